package gateway

import (
	"strings"
	"sync"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/interest"
	"ramjet/proto/wire"
)

// class says what counts as interest of this cluster: everything but what other clusters want, requests that are taken
// over here (imported services), and answers that find their way by themselves.
func class(s *interest.Sub) (origin string, counts bool) {
	switch s.Kind() {
	case engine.Gateway:
		return "", false
	case engine.Import:
		_, service := s.Sink().(*account.Service)
		return "", !service
	}
	return "", !strings.HasPrefix(s.Subject(), "_GR_.")
}

// feed announces the interest in one account to one inbound connection.
type feed struct {
	c    *Conn
	name string
	stop func()

	mu     sync.Mutex // leaf: guards groups, subs
	groups map[subKey]struct{}
	subs   int // plain
}

// announceAccounts tells the peer the interest in every account, away from the loop. Loop, once.
func (c *Conn) announceAccounts() {
	var all []*account.Account
	c.svc.mu.Lock()
	all = append(all, c.svc.accounts...)
	c.svc.mu.Unlock()
	c.announceAll(all)
}

// announceAll tells the peer the interest in accounts, if it does not hear of it yet. Any goroutine.
func (c *Conn) announceAll(accounts []*account.Account) {
	work := func() {
		for _, a := range accounts {
			c.announce(a)
		}
	}
	if !c.svc.env.Group.Pool().Submit(work) {
		go work()
	}
	c.Net().Loop().Post(func() { c.knownNow(accounts) })
}

// announce tells the peer the interest in a, then every change.
func (c *Conn) announce(a *account.Account) {
	f := &feed{c: c, name: a.Name(), groups: map[subKey]struct{}{}}
	c.mu.Lock()
	if c.gone || c.feeds[f.name] != nil {
		c.mu.Unlock()
		return
	}
	if c.feeds == nil {
		c.feeds = map[string]*feed{}
	}
	c.feeds[f.name] = f
	c.mu.Unlock()
	l, err := c.svc.ledger(a)
	if err != nil {
		c.Logf(engine.Error, "RJ-G013", "Interest in account %q is not announced: %v", f.name, err)
		return
	}
	cmd := wire.GatewayInfo{Gateway: c.svc.name, Cmd: wire.GatewayAllStart, CmdPayload: []byte(f.name)}
	c.Announce(wire.AppendGatewayInfo(nil, &cmd))
	stop := l.Follow(interest.Follower{Tell: f.tell})
	cmd.Cmd = wire.GatewayAllDone
	c.Announce(wire.AppendGatewayInfo(nil, &cmd))
	c.mu.Lock()
	f.stop = stop
	gone := c.gone
	c.mu.Unlock()
	if gone {
		stop()
	}
}

// stopFeeds ends the announcements.
func (c *Conn) stopFeeds() {
	c.mu.Lock()
	c.gone = true
	var stops []func()
	for _, f := range c.feeds {
		if f.stop != nil {
			stops = append(stops, f.stop)
		}
	}
	c.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
}

// tell announces a change. Of a group it counts whether it has members, not how many (reference/interserver.md,
// section 2.2). Any goroutine.
func (f *feed) tell(ch interest.Change) {
	k := subKey{ch.Subject, ch.Queue}
	f.mu.Lock()
	if ch.Queue != "" {
		if _, known := f.groups[k]; known == (ch.Weight > 0) {
			f.mu.Unlock()
			return
		}
		if ch.Weight > 0 {
			f.groups[k] = struct{}{}
		} else {
			delete(f.groups, k)
		}
	} else if ch.Weight > 0 {
		f.subs++
	} else {
		f.subs--
	}
	f.mu.Unlock()
	var line [512]byte
	b := append(line[:0], "RS"...)
	if ch.Weight > 0 {
		b = append(b, "+ "...)
	} else {
		b = append(b, "- "...)
	}
	b = append(append(append(b, f.name...), ' '), ch.Subject...)
	if ch.Queue != "" {
		b = append(append(b, ' '), ch.Queue...)
		if ch.Weight > 0 {
			b = append(b, " 1"...)
		}
	}
	f.c.Announce(append(b, '\r', '\n'))
}
