package client

import (
	"bytes"

	"ramjet/engine"
	"ramjet/engine/interest"
	"ramjet/engine/netio"
	"ramjet/proto/wire"
)

// systemQueue is the queue group only the server may join.
const systemQueue = "_sys_"

// onSub handles SUB: permission, tokens, number, duplicate, validity, in this order.
func (p *Client) onSub(op *wire.Op) error {
	if string(op.Queue) == systemQueue || (p.perms != nil && !p.perms.CanSub(op.Subject, op.Queue)) {
		p.subViolation(op.Subject, op.Queue, op.SID)
		return nil
	}
	if n := p.svc.options().MaxSubTokens; n > 0 && bytes.Count(op.Subject, dot)+1 > n {
		p.Logf(engine.Error, "RJ-C010", "Permissions Violation for Subscription to %q, too many tokens", op.Subject)
		p.SendErr(wire.SubTokens(op.Subject))
		return nil
	}
	if p.maxSub >= 0 && p.NumSubs() >= p.maxSub {
		p.Logf(engine.Error, "RJ-C011", "maximum subscriptions exceeded")
		p.SendErr(wire.TextMaxSubscriptions)
		return nil
	}
	if p.Sub(op.SID) == nil {
		s := interest.NewSub(op.Subject, op.Queue, op.SID, 1, &p.Conn)
		if err := p.AddSub(s); err != nil {
			p.SendErr(wire.TextInvalidSubject)
			return nil
		}
	}
	if p.mode&verbose != 0 {
		p.sendOK()
	}
	return nil
}

var dot = []byte(".")

// subViolation answers and logs a refused subscription.
func (p *Client) subViolation(subj, queue, sid []byte) {
	if len(queue) > 0 {
		p.Logf(engine.Error, "RJ-C012", "Subscription Violation - Subject %q, Queue: %q, SID %s", subj, queue, sid)
	} else {
		p.Logf(engine.Error, "RJ-C012", "Subscription Violation - Subject %q, SID %s", subj, sid)
	}
	p.SendErr(wire.SubViolation(subj, queue))
}

// onUnsub handles UNSUB: now, or after Max messages since SUB.
func (p *Client) onUnsub(op *wire.Op) error {
	if s := p.Sub(op.SID); s != nil {
		if op.Max > 0 {
			p.Limit(s, op.Max)
		} else {
			p.RemoveSub(s)
		}
	}
	if p.mode&verbose != 0 {
		p.sendOK()
	}
	return nil
}

// dropForbidden removes the subscriptions that the permissions now in force do not allow.
func (p *Client) dropForbidden() {
	if p.perms == nil {
		return
	}
	var gone []*interest.Sub
	p.RangeSubs(func(s *interest.Sub) bool {
		if !p.perms.CanSub([]byte(s.Subject()), []byte(s.Queue())) {
			gone = append(gone, s)
		}
		return true
	})
	for _, s := range gone {
		p.RemoveSub(s)
		p.SendErr(wire.SubRemoved([]byte(s.Subject()), []byte(s.Queue()), []byte(s.SID())))
		p.Logf(engine.Info, "", "Removed sub %q (sid %q) for user %q - not authorized", s.Subject(), s.SID(), p.User().Name)
	}
	p.RefreshFilter()
}

// closeOverLimit closes a client that has more subscriptions than it now may.
func (p *Client) closeOverLimit() bool {
	if p.maxSub >= 0 && p.NumSubs() > p.maxSub {
		p.CloseErr(wire.TextMaxSubscriptions, netio.ReasonMaxSubscriptions)
		return true
	}
	return false
}
