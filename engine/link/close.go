package link

import (
	"errors"
	"strings"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/auth"
	"ramjet/engine/netio"
	"ramjet/proto/wire"
	"ramjet/proto/ws"
)

// SendErr queues -ERR 'text'; the connection stays. A protocol of packets has no such thing. Loop.
func (c *Conn) SendErr(text string) {
	if c.packets == nil {
		var b [256]byte
		c.Send(wire.AppendErr(b[:0], text))
	}
	if c.lane.Trace {
		c.Logf(engine.Trace, "", "->> [-ERR %s]", text)
	}
}

// CloseErr sends -ERR 'text' (none for "") and closes with reason r once it is written. Nothing is
// delivered or read after it. Loop.
func (c *Conn) CloseErr(text string, r netio.Reason) {
	if c.state == closing {
		return
	}
	if text != "" {
		c.SendErr(text)
	}
	c.state = closing
	c.flags.Or(flagClosed)
	c.nc.CloseAfterFlush(r)
}

// Denied completes r, which does not let c in, with what is said in general, logs it under id, and tells the listeners of events. The caller
// closes with r.Text and r.Reason in the way of its protocol. Loop.
func (c *Conn) Denied(id string, r *auth.Result) {
	if r.Log == "" {
		r.Log = "authentication error"
	}
	if r.Reason == netio.ReasonUnknown {
		r.Reason = netio.ReasonAuthFailure
	}
	if r.Text == "" {
		r.Text = wire.TextAuthorizationViolation
	}
	c.Logf(engine.Error, id, "%s", r.Log)
	c.env.Events.AuthFailed(c, r.Reason)
	if r.DetailAccount != nil {
		c.env.Events.Denied(c, r.DetailAccount, r.Detail)
	}
}

// Kill closes as soon as possible, dropping what is queued. Any goroutine.
func (c *Conn) Kill(r netio.Reason) {
	c.flags.Or(flagClosed)
	c.nc.Abort(r)
}

// Closing reports whether the connection has begun to close. Loop.
func (c *Conn) Closing() bool { return c.state == closing }

// parseError closes for what wire.Next refused. data is what it looked at.
func (c *Conn) parseError(e *wire.Error, data []byte) {
	if e == badPacket {
		if c.state != closing {
			c.CloseErr("", netio.ReasonProtocolViolation)
		}
		return
	}
	r := netio.ReasonProtocolViolation
	switch e.Code {
	case wire.ErrControlLine:
		r = netio.ReasonMaxControlLine
	case wire.ErrMaxPayload:
		r = netio.ReasonMaxPayload
		if p, ok := c.proto.(TooLarge); ok {
			p.OnTooLarge(&c.lane.Op)
		}
	case wire.ErrAuth:
		r = netio.ReasonAuthFailure
		c.env.Events.AuthFailed(c, r)
	}
	detail := e.Detail
	if detail == "" {
		detail = e.Text
	}
	c.Logf(engine.Error, "RJ-L002", "%s", detail)
	c.CloseErr(e.Text, r)
}

// OnClose implements netio.Handler: the last event of a connection.
func (c *Conn) OnClose(_ *netio.Conn, r netio.Reason) {
	c.state = closing
	f := c.flags.Or(flagClosed)
	c.lane.Now = c.nc.Loop().Now()
	c.dropPart()
	c.noteSlow(r)
	c.wakeStalled()
	if f&flagRegistered != 0 {
		c.env.Registry.remove(c, r, c.env.Clock.Now())
	}
	c.ClearSubs()
	if f&flagAttached != 0 {
		c.flags.And(^flagAttached)
		if a := c.Account(); a != nil {
			a.Detach(c.kind)
			a.AddGone(c.traffic(r))
		}
	}
	c.replies.Store(nil)
	c.routed.Store(nil)
	if bad := (*ws.Error)(nil); r == netio.ReasonReadError && errors.As(c.nc.Err(), &bad) {
		c.Logf(engine.Error, "RJ-L003", "read error: %v", bad)
	}
	if c.kind == engine.Client {
		c.Logf(engine.Debug, "", "%s connection closed: %s", c.kind, r)
	} else {
		c.Logf(engine.Info, "", "%s connection closed: %s", c.kind, r)
	}
	c.env.Events.Disconnected(c, r)
	c.proto.OnPeerClose(r)
}

// traffic returns what c has exchanged, for the sums of its account.
func (c *Conn) traffic(r netio.Reason) account.Traffic {
	s := &c.stats
	t := account.Traffic{InMsgs: s.inMsgs.Load(), InBytes: s.inBytes.Load(), OutMsgs: s.outMsgs.Load(), OutBytes: s.outBytes.Load()}
	if r == netio.ReasonSlowPending || r == netio.ReasonSlowDeadline {
		t.SlowConsumers = 1
	}
	return t
}

// noteSlow counts and logs a slow consumer.
func (c *Conn) noteSlow(r netio.Reason) {
	o := c.env.Options()
	switch r {
	case netio.ReasonSlowPending:
		c.Logf(engine.Info, "", "Slow Consumer Detected: MaxPending of %d Exceeded", o.MaxPending)
	case netio.ReasonSlowDeadline:
		c.Logf(engine.Info, "", "Slow Consumer Detected: WriteDeadline of %v exceeded with %d total bytes.",
			o.WriteDeadline, c.out.Left())
	default:
		return
	}
	c.env.shared.slow[c.kind].Add(1)
	c.env.Events.SlowConsumer(c, r)
}

// Attach counts the connection in the account of its identity; false when the account is full. Loop.
func (c *Conn) Attach() bool {
	if c.flags.Load()&flagAttached != 0 {
		return true
	}
	if !c.Account().Attach(c.kind) {
		return false
	}
	c.flags.Or(flagAttached)
	return true
}

// Detach counts the connection out of its account, before the identity changes. Loop.
func (c *Conn) Detach() {
	if c.flags.Load()&flagAttached != 0 {
		c.flags.And(^flagAttached)
		c.Account().Detach(c.kind)
	}
}

// Quote cuts s for a log line and makes it printable.
func Quote(s string) string {
	if len(s) > 128 {
		s = s[:128]
	}
	return strings.ToValidUTF8(s, "?")
}
