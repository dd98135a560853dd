package leaf

import (
	"strconv"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/interest"
	"ramjet/engine/link"
	"ramjet/proto/base/rng"
)

// ties are what the leafnode connections of one account share. Guarded by Service.mu.
type ties struct {
	acct  *account.Account
	loop  string // the subject that finds circles: it must not come back
	conns int
	// ledger counts the account's interest while there are connections, else nil. held are the subjects in it
	// that are no subscriptions.
	ledger *interest.Ledger
	held   map[string]func()
}

// The origins of interest in a ledger: what kind of source, then the cluster behind it or, if it has no name, the
// connection.
const (
	fromLeaf   = "L" // a leafnode that we are the hub of
	fromHub    = "H" // the hub of ours
	fromLoop   = "C" // a subject that finds circles, by whatever connection
	fromServer = "R" // another server of the cluster, or another cluster
	fromOther  = "F" // the same, for a leafnode there

	fromImport    = "I" // a leafnode of ours in an account that imports, without cluster
	fromImportHub = "J" // the same of a hub
)

// originOf names the source that q is, on connection cid.
func originOf(q *peer, cid uint64) string {
	kind := fromLeaf
	if q.spoke {
		kind = fromHub
	}
	if q.cluster == "" {
		return kind + " " + strconv.FormatUint(cid, 10) // no name has blanks
	}
	return kind + q.cluster
}

// classOf returns the class of account a. What the server itself answers in accounts of operators is not announced.
func classOf(a *account.Account) interest.Class {
	if a.Snap().Claims == nil {
		return class
	}
	return func(s *interest.Sub) (origin string, counts bool) {
		if hasPrefix(s.Subject(), "$SYS.REQ.") && s.Kind() != engine.Client && s.Kind() != engine.Leaf {
			return "", false
		}
		return class(s)
	}
}

// class is the interest.Class of leafnodes: what this server's accounts are interested in, by whom.
func class(s *interest.Sub) (origin string, counts bool) {
	switch s.Kind() {
	case engine.Client, engine.System, engine.JetStream, engine.Account:
		return "", true
	case engine.Import:
		if x, ok := s.Sink().(*account.Shadow); ok && x.Sub.Kind() == engine.Leaf {
			return imported(x.Sub), true
		}
		return "", true
	case engine.Leaf:
		p, ok := s.Sink().(*Leaf)
		if !ok {
			return "", false
		}
		origin = p.peer.Load().origin
		if hasPrefix(s.Subject(), loopPrefix) {
			origin = fromLoop + origin[1:]
		}
		return origin, true
	case engine.Router, engine.Gateway:
		x, ok := s.Sink().(link.LeafSource)
		if !ok {
			return fromServer, true
		}
		cluster, leaf := x.LeafOrigin(s)
		switch {
		case !leaf:
			return fromServer, true
		case hasPrefix(s.Subject(), loopPrefix):
			return fromLoop + cluster, true
		}
		return fromOther + cluster, true
	}
	return "", false
}

// imported is the origin of what an import makes of a leafnode's interest in another account: nobody's cluster in this
// one, where it is new to the leafnode's other connections too.
func imported(s *interest.Sub) string {
	if p, ok := s.Sink().(*Leaf); ok && p.isSpoke() {
		return fromImportHub
	}
	return fromImport
}

// InterestOrigin is what routes ask: the cluster that the interest of the other side comes from, and whether the own
// cluster hears of it, which it does not of a hub's. Any goroutine.
func (p *Leaf) InterestOrigin() (cluster string, announced bool) {
	q := p.peer.Load()
	return q.cluster, !q.spoke
}

// skips returns which origins are not announced to q: its own; to a hub only what is here or at leafnodes of ours;
// to an isolated leafnode nothing of others.
func skips(q *peer) func(origin string) bool {
	own := q.origin[1:]
	return func(origin string) bool {
		if origin == "" {
			return false
		}
		kind, from := origin[:1], origin[1:]
		switch {
		case from == own && own != "":
			return true
		case kind == fromLoop:
			return false
		case q.spoke:
			return kind != fromLeaf && kind != fromImport
		case q.isolated:
			return kind != fromServer
		}
		return false
	}
}

// tie begins to announce interest to p, which is in use now. Loop of p.
func (s *Service) tie(p *Leaf) {
	s.mu.Lock()
	t := s.ties[p.acct]
	if t == nil {
		t = &ties{acct: p.acct, loop: loopPrefix + rng.NewNUID(rng.NewRandom()).Next()}
		s.ties[p.acct] = t
	}
	t.conns++
	l := t.ledger
	if l == nil {
		var err error
		if l, err = interest.NewLedger(p.acct.Index(), classOf(p.acct)); err != nil {
			s.mu.Unlock()
			p.Logf(engine.Error, "RJ-F009", "Interest of account %q cannot be announced: %v", p.acct.Name(), err)
			return
		}
		t.ledger, t.held = l, make(map[string]func())
		s.hold(t)
	}
	s.mu.Unlock()
	p.stop = l.Follow(interest.Follower{Tell: p.tell, Skip: skips(p.peer.Load())})
}

// retell announces all interest to p again. Loop of p.
func (s *Service) retell(p *Leaf) {
	l := s.ledgerOf(p)
	if l == nil {
		return
	}
	p.stop()
	p.Out().Flush(p.LoopID())
	p.stop = l.Follow(interest.Follower{Tell: p.tell, Skip: skips(p.peer.Load())})
}

// ledgerOf returns the ledger that p follows, nil for none. Loop of p.
func (s *Service) ledgerOf(p *Leaf) *interest.Ledger {
	if p.stop == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.ties[p.acct]; t != nil {
		return t.ledger
	}
	return nil
}

// untie ends what tie began for one connection of a.
func (s *Service) untie(a *account.Account) {
	s.mu.Lock()
	t := s.ties[a]
	if t == nil {
		s.mu.Unlock()
		return
	}
	t.conns--
	var l *interest.Ledger
	if t.conns == 0 {
		l, t.ledger, t.held = t.ledger, nil, nil
	}
	s.mu.Unlock()
	if l != nil {
		l.Close()
	}
}

// hold makes the ledger of t count what is no subscription: the subject that finds circles, sources of mappings,
// answers that come by gateways. Requires mu.
func (s *Service) hold(t *ties) {
	want := map[string]bool{t.loop: true}
	if m := t.acct.Snap().Mappings; m != nil {
		m.Sources(func(src string) { want[src] = true })
	}
	if s.port.GatewayReplies != nil && s.port.GatewayReplies() {
		want[gatewayPrefix+">"] = true
	}
	for subj, release := range t.held {
		if !want[subj] {
			release()
			delete(t.held, subj)
		}
	}
	for subj := range want {
		if t.held[subj] == nil {
			t.held[subj] = t.ledger.Hold(subj, "")
		}
	}
}

// Sync follows a reload of the accounts: sources of mappings may have come and gone. Control.
func (s *Service) Sync() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.ties {
		if t.ledger != nil {
			s.hold(t)
		}
	}
}

// isLoop reports whether subj is the subject by which account a finds circles.
func (s *Service) isLoop(a *account.Account, subj []byte) bool {
	if !hasPrefix(subj, loopPrefix) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.ties[a]
	return t != nil && t.loop == string(subj)
}

// tell announces a change. Any goroutine, under the lock of a part of the ledger.
func (p *Leaf) tell(c interest.Change) {
	if !p.Closed() && p.perms.Load().announces(c.Subject) {
		p.announce(c)
	}
}

// announce says c to the other side. Any goroutine.
func (p *Leaf) announce(c interest.Change) {
	var room [256]byte
	b := append(room[:0], "LS- "...)
	if c.Weight > 0 {
		b[2] = '+'
	}
	b = append(b, c.Subject...)
	if c.Queue != "" {
		b = append(append(b, ' '), c.Queue...)
		if c.Weight > 0 {
			b = strconv.AppendInt(append(b, ' '), int64(c.Weight), 10)
		}
	}
	if p.Env().Logger.Enabled(engine.Trace) {
		p.Logf(engine.Trace, "", "->> [%s]", b)
	}
	p.Announce(append(b, '\r', '\n'))
}
