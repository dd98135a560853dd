package client

import (
	"ramjet/engine"
	"ramjet/engine/trace"
	"ramjet/proto/wire"
)

// tooLargeText is how traces tell that a message is larger than a client may send.
const tooLargeText = "maximum payload exceeded"

// onTraced is onPub for a message whose header may ask for a trace (reference/monitoring.md, section 6).
func (p *Client) onTraced(op *wire.Op) error {
	t, drop := p.beginTrace(op, len(op.Header)+len(op.Payload), "")
	if drop {
		return nil
	}
	if t == nil {
		p.publish(op)
		return nil
	}
	m := &p.Lane().Msg // that publish fills
	m.Trace = t
	p.publish(op)
	m.Trace = nil
	t.End()
	return nil
}

// beginTrace begins the trace of a message of size bytes, which failed because of that text if it is not "". drop: it goes no further.
func (p *Client) beginTrace(op *wire.Op, size int, failed string) (t *trace.Trace, drop bool) {
	m := trace.Message{
		Account: p.acct, Kind: engine.Client, ID: p.ID(), Name: p.PeerName(), Subject: op.Subject, Header: op.Header, Size: size, Failed: failed,
	}
	if p.mode&restricted != 0 {
		m.MayPublish = p.perms.CanPub
	}
	t, hdr, v, dest := p.svc.env.Tracer.Begin(&m)
	op.Header = hdr
	if v == trace.Denied {
		p.Logf(engine.Error, "RJ-C008", "Publish Violation - Subject %q", dest)
		p.SendErr(wire.PubViolation([]byte(dest)))
	}
	return t, v != trace.Go
}

// OnTooLarge implements link.TooLarge: the trace of such a message ends where it came in.
func (p *Client) OnTooLarge(op *wire.Op) {
	if p.acct == nil || p.mode&needAuth != 0 || !trace.Wants(op.Header, p.acct.Snap().TraceDest != "") {
		return
	}
	if t, _ := p.beginTrace(op, int(op.Max), tooLargeText); t != nil {
		t.End()
	}
}
