package mqtt

import (
	"slices"
	"time"

	"ramjet/engine"
	"ramjet/engine/auth"
	"ramjet/engine/config"
	"ramjet/engine/interest"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/mqtt"
)

// sweepBatch is how many clients a loop handles in one turn of a sweep over all of them, and sweepPause the
// time until the next batch: messages pass in between.
const (
	sweepBatch = 256
	sweepPause = time.Millisecond
)

// Recheck follows a reload: identity, permissions and limits of every client, limits of the sessions, retained
// messages of users that may not publish them any more. Control.
func (s *Service) Recheck() {
	byLoop := map[*netio.Loop][]*Client{}
	s.link.Registry.Range(engine.Client, func(c *link.Conn) bool {
		if p, ok := c.Protocol().(*Client); ok {
			byLoop[c.Net().Loop()] = append(byLoop[c.Net().Loop()], p)
		}
		return true
	})
	for l, all := range byLoop {
		l.Post(func() { recheckOn(l, all) })
	}
	limit := s.mqttOptions().MaxAckPending
	allowed := s.publishers()
	for _, m := range s.all() {
		m.mu.Lock()
		for _, sess := range m.sessions {
			sess.mu.Lock()
			sess.maxAck = limit
			sess.mu.Unlock()
		}
		m.mu.Unlock()
		m.checkRetained(allowed)
	}
}

func recheckOn(l *netio.Loop, all []*Client) {
	n := min(len(all), sweepBatch)
	for _, c := range all[:n] {
		if !c.Closing() {
			c.recheck()
		}
	}
	if rest := all[n:]; len(rest) > 0 {
		l.After(sweepPause, func() { recheckOn(l, rest) })
	}
}

// recheck asks who the client is under the new configuration. Loop.
func (c *Client) recheck() {
	o := c.svc.options()
	c.SetOutputLimits(o)
	if c.unpinned(o) || c.acct == nil || c.req == nil {
		return
	}
	gen := c.gen
	c.svc.link.Auth().Recheck(c.req, c.svc.link.Group.Pool(), func(r auth.Result) {
		c.Net().Loop().Post(func() {
			if gen == c.gen && !c.Closing() {
				c.rechecked(r)
			}
		})
	})
}

func (c *Client) rechecked(r auth.Result) {
	if r.User == nil || r.User.Account != c.acct {
		c.deny(r) // gone, or another account now: the client comes back
		return
	}
	id := *c.Identity()
	id.User = r.User
	c.SetIdentity(&id)
	c.applyUser(r.User, c.svc.options())
	c.limitPackets()
	c.armExpiry(r.User)
	c.dropForbidden()
}

// dropForbidden removes the subscriptions that the permissions now in force do not allow.
func (c *Client) dropForbidden() {
	if c.perms == nil {
		return
	}
	var gone []*interest.Sub
	c.RangeSubs(func(s *interest.Sub) bool {
		x, ok := s.Sink().(*subscription)
		if ok && x.role == direct && !c.perms.CanSub([]byte(s.Subject()), nil) || ok && x.role != direct && !c.mayListen(s.Subject()) {
			gone = append(gone, s)
		}
		return true
	})
	for _, s := range gone {
		c.Logf(engine.Info, "", "Removed sub %q (sid %q) for user %q - not authorized", s.Subject(), s.SID(), c.User().Name)
		if x := s.Sink().(*subscription); x.role == direct {
			if cc := c.sess.consumer(x.sid); cc != nil {
				c.dropSID(cc.DeliverSubject)
			}
		}
		c.drop(s)
	}
	c.RefreshFilter()
}

// publishers returns a function that tells whether a user of the configuration may publish a subject.
func (s *Service) publishers() func(user, subject string) bool {
	o := s.options()
	perms := map[string]*config.Permissions{}
	add := func(users []*config.User, def *config.Permissions) {
		for _, u := range users {
			if perms[u.Name] = u.Perms; u.Perms == nil {
				perms[u.Name] = def
			}
		}
	}
	add(o.Auth.Users, o.Auth.DefaultPerms)
	for _, a := range o.Accounts {
		add(a.Users, a.DefaultPerms)
	}
	compiled := map[string]*auth.Perms{}
	for user, p := range perms {
		if c, err := auth.CompilePerms(p); err == nil { // else the configuration would have been refused
			compiled[user] = c
		}
	}
	return func(user, subject string) bool {
		p, ok := compiled[user]
		return ok && p.CanPub([]byte(subject))
	}
}

// checkRetained removes the retained messages that were published through this server by users that may not do
// so any more. They are read one after the other, in the order of the stream.
func (m *Manager) checkRetained(allowed func(user, subject string) bool) {
	m.mu.Lock()
	list := make([]retained, 0, m.retained.n)
	m.retained.root.all(func(e *retainedEntry) { list = append(list, retained{subject: e.subject, seq: e.seq}) })
	m.mu.Unlock()
	slices.SortFunc(list, func(a, b retained) int { return int(int64(a.seq - b.seq)) })
	node := m.svc.env.Node()
	var next func()
	next = func() {
		if len(list) == 0 {
			return
		}
		e := list[0]
		list = list[1:]
		m.store.Load(engine.NoLoop, StreamRetained, SubjectRetained+e.subject, WaiterFunc(func(r Result) {
			if r.Err == nil {
				msg, err := decodeRetained(r.Msg.Header, r.Msg.Data)
				if err == nil && msg.source != "" && msg.origin == node && !allowed(msg.source, e.subject) {
					msg.payload = nil
					hdr := appendRetained(nil, mqtt.AppendTopic(nil, []byte(e.subject)), msg)
					m.store.Store(engine.NoLoop, []byte(SubjectRetained+e.subject), hdr, nil, nil, 0)
				}
			}
			next()
		}))
	}
	next()
}
