package cluster

import (
	"bytes"
	"strings"

	"ramjet/engine"
	"ramjet/engine/interest"
	"ramjet/engine/link"
	"ramjet/engine/trace"
	"ramjet/proto/wire"
)

// largePayload is the size from which a payload is offered by reference to its frame.
const largePayload = 8 << 10

// onMsg publishes a message of the other server.
func (r *Route) onMsg(op *wire.Op) {
	l := r.Lane()
	l.CountIn(len(op.Header) + len(op.Payload))
	a := r.lookup(op.Account)
	if a == nil {
		r.Logf(engine.Debug, "", "Unknown account %q for routed message on subject: %q", op.Account, op.Subject)
		return
	}
	var t *trace.Trace
	if link.WantsTrace(op) {
		var drop bool
		may := func(dest []byte) bool { return r.svc.currentPerms().canImport(string(dest)) }
		if t, drop = r.BeginTrace(a, op, r.remoteName, may); drop {
			return
		}
	}
	m := &l.Msg
	*m = engine.Msg{Subject: op.Subject, Reply: op.Reply, Header: op.Header, Payload: op.Payload, Origin: engine.Router, OriginID: r.ID()}
	if l.Frame != nil && len(op.Payload) >= largePayload {
		m.Frame = l.Frame
	}
	if op.Origin != nil {
		m.Cluster = r.cluster(op.Origin)
	}
	if shown, ack := splitAck(op.Reply); shown != nil {
		m.To, m.Subject, m.Reply = op.Subject, shown, ack
	}
	if t != nil {
		m.Trace = t
		defer t.End()
	}
	ctx := r.Ctx()
	r.Env().Router.PublishQueues(ctx, a, m, op.Queues)
	ctx.ResetSlow() // other servers are not slowed down: their write deadline tells them apart
	*m = engine.Msg{}
}

// cluster returns the name of a leafnode's cluster, without allocation for the one of the last message.
func (r *Route) cluster(origin []byte) string {
	if string(origin) == noOrigin {
		return ""
	}
	if string(origin) != r.lastCluster {
		r.lastCluster = string(origin)
	}
	return r.lastCluster
}

var jsAck = []byte("$JS.ACK.")

// ackDots is how many dots of a reply subject of JetStream come before the subject of the message that travels behind it.
const ackDots = 8

// splitAck returns the subject that travels behind the reply of a message that JetStream delivers, and the reply; shown
// is nil when there is none.
func splitAck(reply []byte) (shown, ack []byte) {
	if !bytes.HasPrefix(reply, jsAck) {
		return nil, nil
	}
	dots := 0
	for i, c := range reply {
		switch {
		case c == '.':
			dots++
		case c == '@' && dots >= ackDots:
			if i+1 == len(reply) {
				return nil, nil
			}
			return reply[i+1:], reply[:i:i]
		}
	}
	return nil, nil
}

// Deliver implements interest.Sink: a message for one subscription of the other server. Any goroutine.
func (r *Route) Deliver(from engine.LoopID, m *engine.Msg, s *interest.Sub) engine.Verdict {
	if s.HasQueue() {
		return r.DeliverLink(from, m, nil, []*interest.Sub{s})
	}
	return r.DeliverLink(from, m, s, nil)
}

// PeerName implements dispatch.Peer. Any goroutine.
func (r *Route) PeerName() string { return r.remoteName }

// Traces implements dispatch.TraceLink. Any goroutine.
func (r *Route) Traces() bool { return r.traces }

// Accepts implements dispatch.LinkSink. Interest that came from a leafnode's cluster is not interested in messages of
// the same cluster. Any goroutine.
func (r *Route) Accepts(m *engine.Msg, s *interest.Sub) bool {
	if m.Cluster == "" || !s.HasQueue() {
		return true // for plain interest the other server sees to it
	}
	cluster, leaf := r.LeafOrigin(s)
	return !leaf || cluster != m.Cluster
}

// Fallback implements dispatch.LinkSink: interest of a leafnode of the other server comes last. Any goroutine.
func (r *Route) Fallback(s *interest.Sub) bool {
	_, leaf := r.LeafOrigin(s)
	return leaf
}

// LeafOrigin implements link.LeafSource. Any goroutine.
func (r *Route) LeafOrigin(s *interest.Sub) (cluster string, leaf bool) {
	_, rest, _ := strings.Cut(s.SID(), " ") // account, origin, subject, queue
	cluster, _, _ = strings.Cut(rest, " ")
	if cluster == noOrigin {
		return "", true
	}
	return cluster, cluster != ""
}

// DeliverLink implements dispatch.LinkSink. Any goroutine.
func (r *Route) DeliverLink(from engine.LoopID, m *engine.Msg, _ *interest.Sub, queues []*interest.Sub) engine.Verdict {
	h := wire.RouteMsg{Subject: m.Subject, Reply: m.Reply}
	if r.account == "" {
		h.Account = m.Account.Name
	}
	if m.To != nil {
		h.Subject = m.To
		if len(m.Reply) > 0 {
			h.Shown = m.Subject
		}
	}
	if m.Cluster != "" && r.lnoc {
		h.Origin = m.Cluster
	}
	hdr := r.HeaderFor(m)
	b := wire.AppendRouteHead(r.Line(from), &h, len(hdr) > 0, len(queues) > 0)
	for _, q := range queues {
		b = wire.AppendQueue(b, q.Queue())
	}
	b = wire.AppendSizes(b, len(hdr), len(m.Payload), h.Origin != "")
	return r.Forward(from, b, m)
}
