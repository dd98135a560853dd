package leaf

import (
	"fmt"
	"strings"
	"time"

	"ramjet/engine"
	"ramjet/engine/interest"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/subject"
	"ramjet/proto/wire"
)

// How long a spoke waits before it tries again after an error that trying again does not mend
// (reference/interserver.md, section 3.9).
const (
	loopDelay       = 30 * time.Second
	violationDelay  = 30 * time.Second
	clusterDelay    = 30 * time.Second
	minVersionDelay = 5 * time.Second
)

// onSub handles LS+: interest of the other side.
func (p *Leaf) onSub(op *wire.Op) error {
	if p.stage != ready {
		return p.outOfTurn()
	}
	subj := subject.View(op.Subject)
	if p.svc.isLoop(p.acct, op.Subject) {
		return p.loop(true)
	}
	if n := p.perms.Load(); n.send != nil && !unjudged(subj) && !subject.HasWildcard(subj) && !n.send.CanPub(op.Subject) {
		if p.isSpoke() {
			return nil // the hub judges for itself
		}
		return p.violation("Subscription", op.Subject)
	}
	old := p.Sub(subKey(p.Line(p.LoopID()), op))
	if old == nil && p.maxSub >= 0 && p.NumSubs() >= p.maxSub {
		p.Logf(engine.Error, "RJ-F010", "maximum subscriptions exceeded")
		p.SendErr(wire.TextMaxSubscriptions)
		return nil
	}
	if old != nil && (len(op.Queue) == 0 || old.Weight() == op.Weight) {
		return nil
	}
	s := interest.NewSub(op.Subject, op.Queue, subKey(p.Line(p.LoopID()), op), op.Weight, p)
	var err error
	if old != nil {
		err = p.ReplaceSub(old, s)
	} else {
		err = p.AddSub(s)
	}
	if err != nil {
		p.Logf(engine.Error, "RJ-F011", "Could not insert subscription: %v", err)
		p.SendErr("Invalid Subscription")
	}
	return nil
}

// subKey is how a subscription is named by LS-: its subject, and the queue group.
func subKey(room []byte, op *wire.Op) []byte {
	if len(op.Queue) == 0 {
		return op.Subject
	}
	return append(append(append(room, op.Subject...), ' '), op.Queue...)
}

// onUnsub handles LS-.
func (p *Leaf) onUnsub(op *wire.Op) error {
	if p.stage != ready {
		return p.outOfTurn()
	}
	if s := p.Sub(subKey(p.Line(p.LoopID()), op)); s != nil {
		p.RemoveSub(s)
	}
	return nil
}

// violation closes a spoke that does what its user may not.
func (p *Leaf) violation(what string, subj []byte) error {
	p.delay(violationDelay)
	p.Logf(engine.Error, "RJ-F012", "%s Violation on %q - Check other side configuration", what, subj)
	p.CloseErr(fmt.Sprintf("Permissions Violation for %s to %q", what, subj), netio.ReasonProtocolViolation)
	return link.ErrClosed
}

// loop closes a connection that closes a circle; tell says that the other side does not know yet.
func (p *Leaf) loop(tell bool) error {
	p.delay(loopDelay)
	name := ""
	if p.acct != nil {
		name = p.acct.Name()
	}
	text := fmt.Sprintf("Loop detected for leafnode account=%q. Delaying attempt to reconnect for %v", name, loopDelay)
	p.Logf(engine.Error, "RJ-F013", "%s", text)
	if !tell {
		text = ""
	}
	p.CloseErr(text, netio.ReasonProtocolViolation)
	return link.ErrClosed
}

// delay makes a spoke wait longer before it connects again.
func (p *Leaf) delay(d time.Duration) {
	if p.remote != nil {
		p.remote.postpone(d)
	}
}

// onErr handles -ERR of the other side.
func (p *Leaf) onErr(text string) error {
	p.Logf(engine.Error, "RJ-F014", "Leafnode Error '%s'", link.Quote(text))
	switch {
	case strings.Contains(text, textSameCluster):
		p.delay(clusterDelay)
		p.Logf(engine.Error, "RJ-F014", "Leafnode connection dropped with same cluster name error. Delaying attempt to reconnect for %v", clusterDelay)
	case strings.Contains(text, textMinVersion):
		p.delay(minVersionDelay)
		p.Logf(engine.Error, "RJ-F014", "Leafnode connection dropped due to minimum version requirement. Delaying attempt to reconnect for %v", minVersionDelay)
	case strings.Contains(text, "Loop detected"):
		return p.loop(false)
	}
	return nil
}
