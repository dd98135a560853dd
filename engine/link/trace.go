package link

import (
	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/trace"
	"ramjet/proto/wire"
)

// TraceProto is the protocol level from which on a server understands messages that are traced.
const TraceProto = 3

// WantsTrace reports whether the header of a message from another server may ask for a trace. No allocation.
func WantsTrace(op *wire.Op) bool { return len(op.Header) > 0 && trace.Wants(op.Header, true) }

// BeginTrace begins the trace of a message that arrived over c from another server, for account a (nil: not known here). name is that
// of the other server; mayPublish, if not nil, says what it may make this one publish. drop: the message goes no further. The caller puts
// a trace that is not nil into the message, publishes it, and ends the trace. Loop.
func (c *Conn) BeginTrace(a *account.Account, op *wire.Op, name string, mayPublish func([]byte) bool) (t *trace.Trace, drop bool) {
	t, hdr, v, dest := c.env.Tracer.Begin(&trace.Message{
		Account: a, Kind: c.kind, ID: c.id, Name: name, Subject: op.Subject, Header: op.Header, Size: len(op.Header) + len(op.Payload), MayPublish: mayPublish,
	})
	op.Header = hdr
	if v == trace.Denied {
		c.Logf(engine.Error, "RJ-C008", "Publish Violation - Subject %q", dest)
		if c.kind == engine.Leaf {
			c.SendErr(wire.PubViolation([]byte(dest)))
		}
	}
	return t, v != trace.Go
}
