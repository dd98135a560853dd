package link

import (
	"ramjet/engine"
	"ramjet/engine/dispatch"
	"ramjet/engine/interest"
	"ramjet/proto/wire"
)

// refMin is the payload size from which a payload is queued by reference to its frame instead of
// being copied.
const refMin = 8 << 10

// crlf ends a message delivered by reference.
var crlf = []byte("\r\n")

// Deliver implements interest.Sink: it appends m for s to what producer from has staged for this
// connection. Any goroutine; m is borrowed. OverSoft asks the producer to slow down.
func (c *Conn) Deliver(from engine.LoopID, m *engine.Msg, s *interest.Sub) engine.Verdict {
	f := c.flags.Load()
	if f&deliverSlow != 0 {
		if v := c.vet(f, m, s); v != engine.OK {
			return v
		}
	}
	ok, last := s.Take()
	if !ok {
		return engine.Refused
	}
	l := c.env.Lane(from)
	v, size := c.write(from, l, f, m, s)
	if v.Delivered() {
		c.countOut(l, size)
	}
	if last {
		c.expireSub(from, s)
	}
	if l == nil {
		c.out.Flush(from)
	} else if l.Trace {
		c.traceOut(m, s, f)
	}
	return v
}

// Encoder appends the form of m that subscription s gets, for subscriptions that are Sinks of their own. Any
// goroutine. size is what counts as bytes out; below 0: what was appended, if anything, is no message.
type Encoder interface {
	Encode(from engine.LoopID, dst []byte, m *engine.Msg, s *interest.Sub) (out []byte, size int)
}

// DeliverAs is Deliver with the encoding of e. room is about how many bytes it will append.
func (c *Conn) DeliverAs(from engine.LoopID, m *engine.Msg, s *interest.Sub, e Encoder, room int) engine.Verdict {
	f := c.flags.Load()
	if f&deliverSlow != 0 {
		if v := c.vet(f, m, s); v != engine.OK {
			return v
		}
	}
	if ok, _ := s.Take(); !ok {
		return engine.Refused
	}
	b, size := e.Encode(from, c.out.Begin(from, room), m, s)
	l := c.env.Lane(from)
	if l == nil && len(b) == 0 {
		return engine.OK
	}
	if size < 0 {
		v := c.out.End(from, b, 0)
		if l == nil {
			c.out.Flush(from)
		}
		return v
	}
	v := c.out.End(from, b, 1)
	if v.Delivered() {
		c.countOut(l, size)
	}
	if l == nil {
		c.out.Flush(from)
	}
	return v
}

// write appends the protocol form of m.
func (c *Conn) write(from engine.LoopID, l *Lane, f uint32, m *engine.Msg, s *interest.Sub) (engine.Verdict, int) {
	if f&flagAppender != 0 {
		b := c.out.Begin(from, len(m.Subject)+len(m.Reply)+m.Size()+64)
		b, size := c.app.Append(b, m, s)
		return c.out.End(from, b, 1), size
	}
	hdr := m.Header
	if f&flagHeaders == 0 {
		hdr = nil
	}
	sid, reply := s.SID(), m.Reply
	if dispatch.IsRouted(reply) {
		reply = c.trackRouted(reply)
	}
	size := len(hdr) + len(m.Payload)
	room := len(m.Subject) + len(reply) + len(sid) + len(hdr) + headRoom
	if m.Frame != nil && len(m.Payload) >= refMin && l != nil {
		h := wire.AppendMsgHead(l.head[:0], m.Subject, sid, reply, len(hdr), len(m.Payload))
		h = append(h, hdr...)
		l.head = h
		return c.out.AppendRef(from, h, m.Frame, m.Payload, crlf, 1), size
	}
	b := c.out.Begin(from, room+len(m.Payload))
	b = wire.AppendMsgHead(b, m.Subject, sid, reply, len(hdr), len(m.Payload))
	b = append(b, hdr...)
	b = append(b, m.Payload...)
	b = append(b, '\r', '\n')
	return c.out.End(from, b, 1), size
}

// headRoom bounds what a message head needs besides its variable parts: verb, blanks, two numbers
// and two line ends.
const headRoom = 32

// Vet implements dispatch.Peer: what Deliver would answer. Any goroutine.
func (c *Conn) Vet(m *engine.Msg, s *interest.Sub) engine.Verdict {
	f := c.flags.Load()
	switch {
	case f&flagClosed != 0:
		return engine.Closed
	case s.Closed(), s.Max() > 0 && s.Delivered() >= s.Max():
		return engine.Refused
	}
	if f&flagFilter != 0 {
		return c.vet(flagFilter, m, s)
	}
	return engine.OK
}

// vet decides about deliveries that are not on the shortest path; OK lets them go on.
func (c *Conn) vet(f uint32, m *engine.Msg, s *interest.Sub) engine.Verdict {
	if f&flagClosed != 0 {
		return engine.Closed
	}
	if f&(flagFilter|flagReplies) == 0 {
		return engine.OK
	}
	u := c.ident.Load().User
	if u == nil || u.Perms == nil {
		return engine.OK
	}
	if f&flagFilter != 0 && s.HasWildcard() && !u.Perms.DeliverableTo(m.Route(), s.Queue()) {
		return engine.Refused
	}
	if f&flagReplies != 0 && len(m.Reply) > 0 {
		if r, reply := c.replies.Load(), dispatch.Unrouted(m.Reply); r != nil && !u.Perms.CanPub(reply) {
			r.Track(reply, c.env.Clock.Now().UnixNano())
		}
	}
	return engine.OK
}

// Send queues protocol bytes that are no message (PONG, INFO, -ERR, a status) on the loop.
func (c *Conn) Send(b []byte) {
	c.lane.sent += int64(len(b))
	c.out.Append(c.loop, b)
}

// traceOut logs a delivered message (reference/protocol.md, section 16).
func (c *Conn) traceOut(m *engine.Msg, s *interest.Sub, f uint32) {
	hdr := m.Header
	if f&flagHeaders == 0 {
		hdr = nil
	}
	h := wire.AppendMsgHead(nil, m.Subject, s.SID(), dispatch.Unrouted(m.Reply), len(hdr), len(m.Payload))
	c.Logf(engine.Trace, "", "->> [%s]", h[:len(h)-2])
	c.TracePayload("->>", hdr, m.Payload)
}

// TracePayload logs a payload, cut to max_traced_msg_len. dir is "<<-" or "->>".
func (c *Conn) TracePayload(dir string, hdr, payload []byte) {
	o := c.env.Options()
	if o.Log.TraceHeaders {
		if len(hdr) > 0 {
			c.Logf(engine.Trace, "", "%s MSG_PAYLOAD: [%q]", dir, hdr[:max(0, len(hdr)-4)])
		}
		return
	}
	b := payload
	if len(hdr) > 0 {
		b = append(append(make([]byte, 0, len(hdr)+len(payload)), hdr...), payload...)
	}
	if n := o.MaxTracedMsgLen; n > 0 && len(b) > n {
		c.Logf(engine.Trace, "", "%s MSG_PAYLOAD: [\"%s...\"]", dir, b[:n])
		return
	}
	c.Logf(engine.Trace, "", "%s MSG_PAYLOAD: [%q]", dir, b)
}
