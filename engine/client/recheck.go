package client

import (
	"time"

	"ramjet/engine"
	"ramjet/engine/auth"
	"ramjet/engine/link"
	"ramjet/engine/netio"
)

// sweepBatch is how many clients a loop handles in one turn of a sweep over all of them, and
// sweepPause the time until the next batch: messages pass in between.
const (
	sweepBatch = 256
	sweepPause = time.Millisecond
)

// sweep calls fn for every client, on its loop, in batches. Any goroutine.
func (s *Service) sweep(fn func(*Client)) {
	byLoop := make(map[*netio.Loop][]*Client)
	s.env.Registry.Range(engine.Client, func(c *link.Conn) bool {
		if p, ok := c.Protocol().(*Client); ok {
			l := c.Net().Loop()
			byLoop[l] = append(byLoop[l], p)
		}
		return true
	})
	for l, all := range byLoop {
		l.Post(func() { sweepOn(l, all, fn) })
	}
}

// sweepOn handles a batch now and the rest later. Loop.
func sweepOn(l *netio.Loop, all []*Client, fn func(*Client)) {
	n := min(len(all), sweepBatch)
	for _, p := range all[:n] {
		if !p.Closing() {
			fn(p)
		}
	}
	if rest := all[n:]; len(rest) > 0 {
		l.After(sweepPause, func() { sweepOn(l, rest, fn) })
	}
}

// Recheck re-evaluates every client after a reload (epoch): identity, permissions, limits, paced.
func (s *Service) Recheck() { s.sweep((*Client).recheck) }

// BroadcastInfo sends the current INFO to clients with protocol >= 1 that had their first PONG.
func (s *Service) BroadcastInfo() { s.sweep((*Client).sendUpdate) }

// LameDuckOne sends the current INFO with the lame duck flag to one client; false when there is no
// such client. Any goroutine.
func (s *Service) LameDuckOne(cid uint64) bool {
	c := s.env.Registry.Get(cid)
	if c == nil {
		return false
	}
	p, ok := c.Protocol().(*Client)
	if !ok {
		return false
	}
	return c.Net().Loop().Post(func() {
		if p.protocol >= 1 && p.mode&firstPong != 0 && !p.Closing() {
			in := p.info(s.options())
			in.LameDuck = true
			p.queueInfo(&in)
		}
	})
}

// Kick closes the connection with the given id (reason Kicked); false when there is none. Any goroutine.
func (s *Service) Kick(cid uint64) bool {
	c := s.env.Registry.Get(cid)
	if c == nil {
		return false
	}
	return c.Net().Loop().Post(func() { c.CloseErr("", netio.ReasonKicked) })
}

// recheck asks who the client is under the new configuration. Loop.
func (p *Client) recheck() {
	o := p.svc.options()
	p.SetOutputLimits(o)
	p.SetPing(p.pingInterval(o), o.PingMax)
	if p.unpinned(o) {
		return
	}
	a := p.svc.env.Auth()
	if p.stage != ready || p.acct == nil {
		// Not in yet: what it will be asked for is the new configuration's business.
		if p.stage == handshake && !a.Required(p.listener) {
			p.mode &^= needAuth
			p.Limits().MustConnect = false
			p.applyServerLimits(o)
			p.stage = ready
		}
		return
	}
	if p.req == nil { // never sent CONNECT
		if !a.Required(p.listener) {
			p.applyServerLimits(o)
			return
		}
		if p.noAuthUser() == "" {
			p.deny(auth.Result{Reason: netio.ReasonAuthFailure})
			return
		}
		p.req = p.anonymousRequest()
	}
	gen := p.gen
	loop := p.Net().Loop()
	a.Recheck(p.req, p.svc.env.Group.Pool(), func(r auth.Result) {
		loop.Post(func() {
			if gen == p.gen && !p.Closing() {
				p.rechecked(r)
			}
		})
	})
}

// rechecked applies the answer. Loop.
func (p *Client) rechecked(r auth.Result) {
	if r.User == nil || r.User.Account != p.acct {
		// Gone, or another account now: its subscriptions cannot move, the client comes back.
		p.deny(auth.Result{Reason: r.Reason, Log: r.Log, Text: r.Text})
		return
	}
	id := *p.Identity()
	id.User = r.User
	p.SetIdentity(&id)
	o := p.svc.options()
	p.applyUser(r.User, o)
	p.armExpiry(r.User)
	p.dropForbidden()
	if !p.closeOverLimit() && p.stage == ready {
		p.mode |= connected
	}
}
