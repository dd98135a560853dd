package gateway

import (
	"bytes"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/dispatch"
	"ramjet/engine/link"
	"ramjet/engine/trace"
	"ramjet/proto/subject"
	"ramjet/proto/wire"
)

const (
	// largePayload is the size from which a payload is offered by reference to its frame.
	largePayload = 8 << 10
	// maxUnknown bounds the accounts a peer is told once that they are not known here.
	maxUnknown = 1024
	// ackDots is how many dots an acknowledgement subject has at least before the subject that is shown.
	ackDots = 8
)

// onMsg publishes a message from another cluster. Loop.
func (c *Conn) onMsg(op *wire.Op) error {
	l := c.Lane()
	l.CountIn(len(op.Header) + len(op.Payload))
	a := c.last
	if a == nil || a.Name() != string(op.Account) {
		if a = c.svc.env.Accounts.Lookup(subject.View(op.Account)); a == nil {
			c.refuseAccount(op.Account)
			return nil
		}
		c.last = a
	}
	var t *trace.Trace
	if link.WantsTrace(op) {
		var drop bool
		if t, drop = c.BeginTrace(a, op, c.PeerName(), nil); drop {
			return nil
		}
	}
	m := &l.Msg
	m.Subject, m.To, m.Reply = op.Subject, nil, op.Reply
	m.Header, m.Payload, m.Frame = op.Header, op.Payload, nil
	if len(op.Header) == 0 {
		m.Header = nil
	}
	if l.Frame != nil && len(op.Payload) >= largePayload {
		m.Frame = l.Frame
	}
	m.Origin, m.OriginID, m.NoEcho = engine.Gateway, c.ID(), false
	if at := shownAt(op.Reply); at > 0 {
		m.To, m.Subject, m.Reply = op.Subject, op.Reply[at+1:], op.Reply[:at]
	}
	if t != nil {
		m.Trace = t
		defer t.End()
	}
	ctx := c.Ctx()
	c.svc.env.Router.PublishQueues(ctx, a, m, op.Queues)
	m.To, m.Trace = nil, nil
	ctx.ResetSlow() // other clusters are not slowed down
	return nil
}

// shownAt returns where, in the reply subject of a JetStream delivery, the `@` is that separates it from the subject to
// be shown; 0 when there is none.
func shownAt(reply []byte) int {
	plain := dispatch.Unrouted(reply)
	if !bytes.HasPrefix(plain, ackPrefix) {
		return 0
	}
	at := bytes.IndexByte(plain, '@')
	if at < 0 || at == len(plain)-1 || bytes.Count(plain[:at], []byte{'.'}) < ackDots {
		return 0
	}
	return len(reply) - len(plain) + at
}

// refuseAccount tells the peer, once, that an account is not known here. Loop.
func (c *Conn) refuseAccount(name []byte) {
	c.Logf(engine.Debug, "", "Unknown account %q for gateway message", name)
	if _, told := c.unknown[string(name)]; told || len(c.unknown) >= maxUnknown {
		return
	}
	if c.unknown == nil {
		c.unknown = map[string]struct{}{}
	}
	c.unknown[string(name)] = struct{}{}
	c.Send(append(append([]byte("A- "), name...), '\r', '\n'))
}

// knownNow forgets that the peer was told of unknown accounts which exist now; it is told that too. Loop.
func (c *Conn) knownNow(fresh []*account.Account) {
	for _, a := range fresh {
		if _, told := c.unknown[a.Name()]; told {
			delete(c.unknown, a.Name())
			c.Send([]byte("A+ " + a.Name() + "\r\n"))
		}
	}
}
