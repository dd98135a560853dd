package gateway

import (
	"bytes"
	"strconv"

	"ramjet/engine"
	"ramjet/engine/interest"
	"ramjet/proto/subject"
)

// Deliver implements interest.Sink: a message for one subscription.
func (c *Conn) Deliver(from engine.LoopID, m *engine.Msg, s *interest.Sub) engine.Verdict {
	if s.HasQueue() {
		return c.DeliverLink(from, m, nil, []*interest.Sub{s})
	}
	return c.DeliverLink(from, m, s, nil)
}

// Accepts implements dispatch.LinkSink: optimistic interest has exceptions.
func (c *Conn) Accepts(m *engine.Msg, s *interest.Sub) bool {
	if c.Closed() {
		return false
	}
	return c.optimism.Load() == 0 || s.SID() != everything || c.wants(m)
}

// wants reports that the remote cluster has not said it does not want m.
func (c *Conn) wants(m *engine.Msg) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e := c.accounts[m.Account.Name]
	if e == nil || e.refused {
		return false
	}
	_, unwanted := e.unwanted[subject.View(m.Route())]
	return !unwanted
}

// Fallback implements dispatch.LinkSink: another cluster is always one.
func (c *Conn) Fallback(*interest.Sub) bool { return true }

// MetricsName is the name of the other cluster. Any goroutine.
func (c *Conn) MetricsName() string {
	if c.remote != nil {
		return c.remote.name
	}
	if p := c.peer.Load(); p != nil {
		return p.cluster
	}
	return ""
}

// PeerName implements dispatch.Peer: the name of the other server. Any goroutine.
func (c *Conn) PeerName() string {
	if p := c.peer.Load(); p != nil {
		return p.server
	}
	return ""
}

// Traces implements dispatch.TraceLink. Any goroutine.
func (c *Conn) Traces() bool {
	p := c.peer.Load()
	return p != nil && p.traces
}

// Rank implements dispatch.Ranked: near clusters first.
func (c *Conn) Rank() int64 { return int64(c.RTT()) }

// DeliverLink implements dispatch.LinkSink. No allocation, unless the control line is very long.
func (c *Conn) DeliverLink(from engine.LoopID, m *engine.Msg, plain *interest.Sub, queues []*interest.Sub) engine.Verdict {
	var line [512]byte
	return c.Forward(from, c.svc.appendHead(line[:0], m, queues, len(c.HeaderFor(m))), m)
}

// ackPrefix begins the reply subjects of JetStream deliveries.
var ackPrefix = []byte("$JS.ACK.")

// appendHead appends the control line of m, with its end: RMSG, or HMSG if hdr, the length of the header, is above 0.
func (s *Service) appendHead(b []byte, m *engine.Msg, queues []*interest.Sub, hdr int) []byte {
	if hdr > 0 {
		b = append(b, "HMSG "...)
	} else {
		b = append(b, "RMSG "...)
	}
	b = append(b, m.Account.Name...)
	b = append(b, ' ')
	b = append(b, m.Route()...)
	b = append(b, ' ')
	if len(queues) > 0 {
		if len(m.Reply) > 0 {
			b = append(b, "+ "...)
		} else {
			b = append(b, "| "...)
		}
	}
	if len(m.Reply) > 0 {
		b = append(s.appendReply(b, m), ' ')
	}
	for _, q := range queues {
		b = append(append(b, q.Queue()...), ' ')
	}
	if hdr > 0 {
		b = append(strconv.AppendInt(b, int64(hdr), 10), ' ')
	}
	b = strconv.AppendInt(b, int64(hdr+len(m.Payload)), 10)
	return append(b, '\r', '\n')
}

// appendReply appends the reply subject of m as other clusters see it: with what leads back here, if who waits for the
// answer has only just subscribed; and for a delivery of JetStream with the subject it shows.
func (s *Service) appendReply(b []byte, m *engine.Msg) []byte {
	if s.recent.has(m.Account.ID, m.Reply) {
		b = s.appendPrefix(b)
	}
	b = append(b, m.Reply...)
	if m.To != nil && bytes.HasPrefix(m.Reply, ackPrefix) {
		b = append(append(b, '@'), m.Subject...)
	}
	return b
}
