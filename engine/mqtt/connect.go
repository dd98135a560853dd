package mqtt

import (
	"encoding/json"
	"errors"
	"fmt"

	"ramjet/engine"
	"ramjet/engine/auth"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/mqtt"
	"ramjet/proto/wire"
)

// onConnect handles the CONNECT of a client that has sent none; it answers when everything is done.
func (c *Client) onConnect(body []byte) error {
	var cn mqtt.Connect
	code, err := mqtt.ParseConnect(body, c.svc.mqttOptions().RejectQoS2, &cn)
	if cn.ClientID == "" && err == nil {
		cn.ClientID = c.svc.newID()
	}
	c.id = cn.ClientID
	c.name.Store(&c.id)
	c.SetIdentity(&link.Identity{ClientID: link.Quote(c.id)})
	if c.Lane().Trace {
		c.traceConnect(&cn)
	}
	if err != nil {
		if code != mqtt.Accepted {
			c.sendConnAck(code, false)
		}
		return c.fail(err)
	}
	c.Net().StopTimer(timerAuth)
	c.will.Store(cn.Will)
	w := wire.DefaultConnect()
	w.User, w.Pass, w.Token = cn.User, cn.Password, cn.Password
	if m := c.ws; m != nil {
		fill(&w.User, m.User)
		fill(&w.Pass, m.Pass)
		fill(&w.Token, m.Token)
		fill(&w.JWT, m.JWT)
	}
	c.req = &auth.Request{
		Kind: engine.Client, ConnType: c.Type(), Listener: auth.MQTTListener, Connect: w,
		ID: c.ID(), TLS: c.Net().TLS(), Remote: c.Net().RemoteAddr(), Gone: c.Closed,
	}
	c.authenticate(func() { c.join(&cn) })
	return link.ErrHold
}

// fill sets an absent field from a websocket cookie.
func fill(dst *string, cookie string) {
	if *dst == "" {
		*dst = cookie
	}
}

func (c *Client) sendConnAck(code byte, present bool) {
	c.Send(mqtt.AppendConnAck(nil, code, present))
	if c.Lane().Trace {
		c.Logf(engine.Trace, "", "->> [CONNACK sp=%v rc=%v]", present, code)
	}
}

// authenticate asks who the client is and goes on with then if it is let in.
func (c *Client) authenticate(then func()) {
	c.gen++
	gen, asked := c.gen, c.svc.link.Auth()
	asked.Begin(c.req, c.svc.link.Group.Pool(), func(r auth.Result) {
		c.post(func() {
			if gen == c.gen {
				c.authenticated(asked, r, then)
			}
		})
	})
}

func (c *Client) authenticated(asked *auth.Authenticator, r auth.Result, then func()) {
	if now := c.svc.link.Auth(); now != asked && r.User != nil {
		// A reload came between: who was let in by the old configuration is asked about in the new one.
		gen := c.gen
		now.Recheck(c.req, c.svc.link.Group.Pool(), func(r auth.Result) {
			c.post(func() {
				if gen == c.gen {
					c.authenticated(now, r, then)
				}
			})
		})
		return
	}
	if r.Warn != "" {
		c.Logf(engine.Warn, "RJ-Q007", "%s", r.Warn)
	}
	if r.User == nil {
		c.deny(r)
		return
	}
	if c.admit(r.User) {
		then()
	}
}

// admit makes the client one of u; false if its account has no room.
func (c *Client) admit(u *auth.User) bool {
	o := c.svc.options()
	c.SetIdentity(&link.Identity{User: u, Account: u.Account, ClientID: link.Quote(c.id)})
	c.acct = u.Account
	c.GuessRTT()
	if !c.Attach() {
		c.acct = nil
		c.Logf(engine.Error, "RJ-Q008", "maximum account active connections exceeded")
		c.CloseErr("", netio.ReasonMaxAccountConnections)
		return false
	}
	c.applyUser(u, o)
	c.limitPackets()
	c.armExpiry(u)
	c.svc.link.Events.Connected(&c.Conn)
	return true
}

func (c *Client) armExpiry(u *auth.User) {
	c.Net().StopTimer(timerAuth)
	if !u.Expires.IsZero() {
		c.Net().SetTimer(timerAuth, max(0, u.Expires.Sub(c.svc.link.Clock.Now())))
	}
}

// deny closes a client that is not let in.
func (c *Client) deny(r auth.Result) {
	if c.User() == nil && c.req.Connect.User != "" {
		c.SetIdentity(&link.Identity{ClientID: link.Quote(c.id), Tried: link.Quote(c.req.Connect.User)})
	}
	c.Denied("RJ-Q009", &r)
	c.sendConnAck(mqtt.NotAuthorized, false)
	c.CloseErr("", r.Reason)
}

// join gets the manager of the account.
func (c *Client) join(cn *mqtt.Connect) {
	if c.m = c.svc.manager(c.acct); c.m == nil {
		c.CloseErr("", netio.ReasonServerShutdown)
		return
	}
	c.m.whenReady(func(err error) {
		c.post(func() {
			if err != nil {
				c.failConnect(err)
				return
			}
			c.take(cn, 0)
		})
	})
}

func (c *Client) failConnect(err error) { c.fail(fmt.Errorf("unable to connect: %w", err)) }

// take reserves the session, or waits until it is free, for a bounded time. A client identifier whose
// connections take over from each other is held up, so that they do not do so as fast as they can.
func (c *Client) take(cn *mqtt.Connect, tried int) {
	s, got := c.m.lock(c, c.id)
	switch got {
	case claimJail:
		c.Net().Loop().After(jailTime, func() {
			if !c.Closing() {
				c.CloseErr("", netio.ReasonDuplicateClientID)
			}
		})
		return
	case claimBusy:
		if tried++; tried == lockTries {
			c.failConnect(fmt.Errorf("other session with client ID %q is in the process of connecting", c.id))
			return
		}
		c.Net().Loop().After(lockRetry, func() {
			if !c.Closing() {
				c.take(cn, tried)
			}
		})
		return
	}
	c.holds = true
	if s != nil {
		c.resume(cn, s)
		return
	}
	s = newSession(c.m, c.id)
	c.m.store.LoadSession(c.LoopID(), s.hash, WaiterFunc(func(r Result) {
		c.post(func() { c.loaded(cn, s, r) })
	}))
}

var errCollision = errors.New("stored session does not match client ID")

// loaded takes the stored session, or begins a new one.
func (c *Client) loaded(cn *mqtt.Connect, s *Session, r Result) {
	if r.NotFound() {
		s.owner, s.clean = c, cn.Clean
		c.m.add(s)
		c.persist(cn, s, false)
		return
	}
	if r.Err != nil {
		c.failSession(fmt.Errorf("loading session record: %w", r.Err))
		return
	}
	var rec record
	if err := json.Unmarshal(r.Msg.Data, &rec); err != nil {
		c.failSession(fmt.Errorf("unmarshal of session record at sequence %v: %w", r.Msg.Seq, err))
		return
	}
	if rec.ID != c.id {
		c.sendConnAck(mqtt.IdentifierRejected, false)
		c.failSession(errCollision)
		return
	}
	s.restore(&rec, r.Msg.Seq)
	c.m.add(s)
	c.resume(cn, s)
}

func (c *Client) failSession(err error) {
	c.unlock()
	c.failConnect(fmt.Errorf("%w for account %q, session %q", err, c.acct.Name(), c.id))
}

// resume continues a session that existed, or discards it.
func (c *Client) resume(cn *mqtt.Connect, s *Session) {
	s.mu.Lock()
	discard := cn.Clean || s.clean
	s.mu.Unlock()
	if !discard {
		c.bind(cn, s, true)
		return
	}
	s.clear(c.LoopID(), func(err error) {
		c.post(func() {
			if err != nil {
				c.m.remove(s)
				c.unlock()
				c.failConnect(fmt.Errorf("unable to delete session %q: %w", c.id, err))
				return
			}
			c.bind(cn, s, false)
		})
	})
}

// bind makes the session this client's; who had it is closed.
func (c *Client) bind(cn *mqtt.Connect, s *Session, present bool) {
	if old := c.m.bind(s, c, cn.Clean); old != nil && old != c {
		c.Logf(engine.Warn, "RJ-Q010", "Replacing old client %q since both have the same client ID %q", old.Label(), c.id)
		old.evict()
	}
	c.persist(cn, s, present)
}

// persist stores the record, which tells other servers too that the session is in use, and accepts.
func (c *Client) persist(cn *mqtt.Connect, s *Session, present bool) {
	c.sess = s
	s.save(c.LoopID(), func(err error) {
		c.post(func() {
			if err != nil {
				c.m.remove(s)
				c.unlock()
				c.failConnect(fmt.Errorf("unable to persist session %q: %w", c.id, err))
				return
			}
			c.connected(cn, present)
		})
	})
}

// connected accepts the client and subscribes what its session had.
func (c *Client) connected(cn *mqtt.Connect, present bool) {
	c.lim.Connected = true
	c.limitPackets()
	c.startKeepAlive(cn.KeepAlive)
	c.sendConnAck(mqtt.Accepted, present)
	c.Out().Flush(c.LoopID()) // what others deliver from now on comes after it
	c.Logf(engine.Debug, "", "Client connected")
	c.sess.mu.Lock()
	filters := make([]filter, 0, len(c.sess.subs))
	for subject, qos := range c.sess.subs {
		filters = append(filters, filter{subject: subject, code: qos})
	}
	c.sess.mu.Unlock()
	op := &subscribing{c: c, filters: filters}
	op.done = func() {
		c.unlock()
		c.Resume()
	}
	op.run()
}
