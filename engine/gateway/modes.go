package gateway

import (
	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/interest"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/subject"
	"ramjet/proto/wire"
)

// mode says what is known of a remote cluster's interest in one account (reference/interserver.md, section 2.2).
type mode uint8

const (
	optimistic    mode = iota // everything is sent but what it said it does not want
	transitioning             // the same, while it tells all of its interest
	interestOnly              // what it wants is sent
)

// String is the name that monitoring shows.
func (m mode) String() string {
	return [...]string{"Optimistic", "Transitioning", "Interest-Only"}[m]
}

// maxUnwanted bounds the subjects remembered as unwanted in one account: a peer tells its interest before it names that
// many (it does so after 1000).
const maxUnwanted = 4096

// everything is the subscription of optimistic interest. Its sid tells it from what the cluster asked for.
const everything = "*"

// interestOf is the interest of the remote cluster in one account. Conn.mu guards it; only the loop writes.
type interestOf struct {
	name     string
	acct     *account.Account // nil: there is none of that name here
	mode     mode
	refused  bool                // A-: nothing of the account is wanted
	unwanted map[string]struct{} // subjects, while not interestOnly
	subs     map[subKey]*interest.Sub
	queues   int
	all      *interest.Sub // optimistic interest, nil for none
}

type subKey struct{ subject, queue string }

// interestIn returns the entry of an account, made when it is missing. Loop; requires mu.
func (c *Conn) interestIn(name string) *interestOf {
	if e := c.accounts[name]; e != nil {
		return e
	}
	e := &interestOf{name: name, acct: c.svc.env.Accounts.Lookup(name), subs: map[subKey]*interest.Sub{}}
	if c.accounts == nil {
		c.accounts = map[string]*interestOf{}
	}
	c.accounts[name] = e
	return e
}

// bindAccounts brings interest in accounts that exist since then into their indexes, and is optimistic about accounts a
// peer that does not tell everything has said nothing about. Loop.
func (c *Conn) bindAccounts() {
	if c.Closing() || c.stage != ready {
		return
	}
	hopeful := !c.peer.Load().interestOnly
	c.svc.env.Accounts.Range(func(a *account.Account) bool {
		c.mu.Lock()
		e := c.accounts[a.Name()]
		if e == nil && hopeful {
			e = c.interestIn(a.Name())
		}
		var pending []*interest.Sub
		if e != nil && e.acct == nil {
			e.acct = a
			for _, s := range e.subs {
				pending = append(pending, s)
			}
		}
		c.mu.Unlock()
		for _, s := range pending {
			_ = a.Index().Insert(s) // valid: it was checked when it was made
		}
		if e != nil {
			c.hope(e)
		}
		return true
	})
}

// hope makes the optimistic interest in an account agree with what is known. Loop.
func (c *Conn) hope(e *interestOf) {
	want := e.acct != nil && e.mode != interestOnly && !e.refused && !c.peer.Load().interestOnly
	switch {
	case want && e.all == nil:
		c.optimism.Add(1)
		s := interest.NewSub([]byte(">"), nil, []byte(everything), 1, c)
		c.mu.Lock()
		e.all = s
		c.mu.Unlock()
		_ = e.acct.Index().Insert(s)
	case !want && e.all != nil:
		s := e.all
		c.mu.Lock()
		e.all = nil
		c.mu.Unlock()
		e.acct.Index().Remove(s)
		c.optimism.Add(-1)
	}
}

// onInterest handles RS+, RS-, A+ and A-. Loop.
func (c *Conn) onInterest(op *wire.Op) {
	switch op.Kind {
	case wire.OpRSub:
		c.onSub(op)
	case wire.OpRUnsub:
		c.onUnsub(op)
	case wire.OpASub, wire.OpAUnsub:
		c.mu.Lock()
		e := c.interestIn(string(op.Account))
		e.refused = op.Kind == wire.OpAUnsub
		e.unwanted = nil
		c.mu.Unlock()
		c.hope(e)
	}
}

// onSub notes interest; of plain interest, in optimistic mode, only that it is wanted after all.
func (c *Conn) onSub(op *wire.Op) {
	c.mu.Lock()
	e := c.interestIn(string(op.Account))
	if len(op.Queue) == 0 && e.mode == optimistic && !c.peer.Load().interestOnly {
		e.want(subject.View(op.Subject))
		c.mu.Unlock()
		return
	}
	k := subKey{string(op.Subject), string(op.Queue)}
	if e.subs[k] != nil || !subject.Valid(k.subject) {
		c.mu.Unlock()
		return
	}
	s := interest.NewSub(op.Subject, op.Queue, nil, op.Weight, c)
	// The key shares the text of the subscription.
	e.subs[subKey{s.Subject(), s.Queue()}] = s
	c.known.Add(1)
	if len(op.Queue) > 0 {
		e.queues++
	}
	c.mu.Unlock()
	if e.acct != nil {
		_ = e.acct.Index().Insert(s) // valid: it was checked
	}
}

// want takes back that subjects inside pattern are unwanted. Requires mu.
func (e *interestOf) want(pattern string) {
	if !subject.HasWildcard(pattern) {
		delete(e.unwanted, pattern)
		return
	}
	for s := range e.unwanted {
		if subject.IsSubset(s, pattern) {
			delete(e.unwanted, s)
		}
	}
}

// onUnsub notes that interest ended; in optimistic mode that a subject is not wanted.
func (c *Conn) onUnsub(op *wire.Op) {
	c.mu.Lock()
	e := c.interestIn(string(op.Account))
	if len(op.Queue) == 0 && e.mode == optimistic && !c.peer.Load().interestOnly {
		if e.unwanted == nil {
			e.unwanted = map[string]struct{}{}
		}
		if len(e.unwanted) < maxUnwanted {
			e.unwanted[string(op.Subject)] = struct{}{}
		}
		c.mu.Unlock()
		return
	}
	s := e.subs[subKey{subject.View(op.Subject), subject.View(op.Queue)}]
	if s == nil {
		c.mu.Unlock()
		return
	}
	delete(e.subs, subKey{subject.View(op.Subject), subject.View(op.Queue)})
	c.known.Add(-1)
	if len(op.Queue) > 0 {
		e.queues--
	}
	c.mu.Unlock()
	if e.acct != nil {
		e.acct.Index().Remove(s)
	}
}

// onAllStart: all interest in an account follows. Loop.
func (c *Conn) onAllStart(name []byte) error {
	if len(name) == 0 {
		return c.noAccount("start")
	}
	c.Logf(engine.Debug, "", "Gateway %q: switching account %q to %s mode", c.remote.name, name, interestOnly)
	c.mu.Lock()
	e := c.interestIn(string(name))
	if e.mode == optimistic {
		e.mode = transitioning
	}
	c.mu.Unlock()
	return nil
}

// onAllDone: that was all interest in the account. Loop.
func (c *Conn) onAllDone(name []byte) error {
	if len(name) == 0 {
		return c.noAccount("complete")
	}
	c.mu.Lock()
	e := c.interestIn(string(name))
	e.mode, e.unwanted, e.refused = interestOnly, nil, false
	c.mu.Unlock()
	c.hope(e)
	c.Logf(engine.Debug, "", "Gateway %q: switching account %q to %s mode complete", c.remote.name, name, interestOnly)
	return nil
}

func (c *Conn) noAccount(what string) error {
	text := "Account absent from receive-all-subscriptions-" + what + " command"
	c.Logf(engine.Error, "RJ-G012", "%s", text)
	c.CloseErr(text, netio.ReasonProtocolViolation)
	return link.ErrClosed
}

// dropBatch is how many subscriptions leave the indexes in one task of the loop.
const dropBatch = 2048

// dropInterest takes everything out of the indexes, in slices of the loop's time. Loop.
func (c *Conn) dropInterest() {
	c.mu.Lock()
	old := c.accounts
	c.accounts = nil
	c.mu.Unlock()
	type gone struct {
		x *interest.Index
		s *interest.Sub
	}
	var all []gone
	for _, e := range old {
		if e.acct == nil {
			continue
		}
		x := e.acct.Index()
		for _, s := range e.subs {
			s.Close()
			all = append(all, gone{x, s})
		}
		if e.all != nil {
			e.all.Close()
			all = append(all, gone{x, e.all})
		}
	}
	loop := c.Net().Loop()
	var drop func()
	drop = func() {
		n := min(len(all), dropBatch)
		for _, g := range all[:n] {
			g.x.Remove(g.s)
		}
		if all = all[n:]; len(all) > 0 && !loop.Post(drop) {
			for _, g := range all { // the loops have stopped: nobody is kept waiting
				g.x.Remove(g.s)
			}
		}
	}
	drop()
}
