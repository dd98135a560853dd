package link

import (
	"ramjet/engine"
)

// HeaderFor returns the header of m as the peer gets it: nil when it does not understand headers. Any
// goroutine.
func (c *Conn) HeaderFor(m *engine.Msg) []byte {
	if c.flags.Load()&flagHeaders == 0 {
		return nil
	}
	return m.Header
}

// lineRoom is room for most control lines.
const lineRoom = 1 << 10

// Line returns an empty buffer for a control line that is then given to Forward by the same producer, nil for one
// without a lane. That producer.
func (c *Conn) Line(from engine.LoopID) []byte {
	l := c.env.Lane(from)
	if l == nil {
		return nil
	}
	if l.line == nil {
		l.line = make([]byte, 0, lineRoom)
	}
	return l.line[:0]
}

// Forward sends m to another server: head is the control line with its line end, which has the sizes of
// HeaderFor and of the payload. A large payload is queued by reference. It counts the message. Any
// goroutine; everything is borrowed. A link never asks the producer to slow down.
func (c *Conn) Forward(from engine.LoopID, head []byte, m *engine.Msg) engine.Verdict {
	f := c.flags.Load()
	if f&flagClosed != 0 {
		return engine.Closed
	}
	hdr := m.Header
	if f&flagHeaders == 0 {
		hdr = nil
	}
	l := c.env.Lane(from)
	var v engine.Verdict
	if m.Frame != nil && len(m.Payload) >= refMin && l != nil {
		l.head = append(append(l.head[:0], head...), hdr...)
		v = c.out.AppendRef(from, l.head, m.Frame, m.Payload, crlf, 1)
	} else {
		b := c.out.Begin(from, len(head)+len(hdr)+len(m.Payload)+len(crlf))
		b = append(append(append(append(b, head...), hdr...), m.Payload...), crlf...)
		v = c.out.End(from, b, 1)
	}
	if v == engine.OverSoft {
		v = engine.OK
	}
	if v.Delivered() {
		c.countOut(l, len(hdr)+len(m.Payload))
	}
	switch {
	case l == nil:
		c.out.Flush(from)
	case l.Trace:
		c.Logf(engine.Trace, "", "->> [%s]", string(head[:max(0, len(head)-len(crlf))])) // a copy: head stays on the stack
		c.TracePayload("->>", hdr, m.Payload)
	}
	return v
}
