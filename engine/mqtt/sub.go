package mqtt

import (
	"bytes"
	"strconv"
	"sync"
	"sync/atomic"

	"ramjet/engine"
	"ramjet/engine/interest"
	"ramjet/engine/link"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
	"ramjet/proto/mqtt"
)

// role says what a subscription delivers.
type role uint8

const (
	direct   role = iota // what is published, as QoS 0
	consumer             // what a consumer delivers, with QoS 1 and 2
	pubrel               // PUBREL, what the consumer of them delivers
)

// subscription is the Sink of one subscription of a client.
type subscription struct {
	c    *Client
	s    *Session
	role role
	// hidden: topics that begin with `$` are not delivered.
	hidden  bool
	durable string // consumer
	sid     string // of the subscription that a consumer belongs to
	closed  bool   // guarded by the session's lock: nothing is tracked any more
	qos     atomic.Uint32
	gate    atomic.Pointer[gate]
}

var _ interest.Sink = (*subscription)(nil)

// Kind implements interest.Sink.
func (x *subscription) Kind() engine.Kind { return engine.Client }

// ID implements interest.Sink.
func (x *subscription) ID() uint64 { return x.c.ID() }

// Slow reports whether more is queued than the soft limit. Any goroutine.
func (x *subscription) Slow() bool { return x.c.Slow() }

// Link returns the connection. Any goroutine.
func (x *subscription) Link() *link.Conn { return &x.c.Conn }

// PeerName and Vet implement dispatch.Peer.
func (x *subscription) PeerName() string { return x.c.PeerName() }

// Vet says what Deliver would answer. Any goroutine.
func (x *subscription) Vet(m *engine.Msg, s *interest.Sub) engine.Verdict { return x.c.Vet(m, s) }

// Deliver implements interest.Sink.
func (x *subscription) Deliver(from engine.LoopID, m *engine.Msg, s *interest.Sub) engine.Verdict {
	return x.c.DeliverAs(from, m, s, x, len(m.Subject)+len(m.Payload)+mqtt.PublishRoom)
}

// notSent is what Encode answers for a message that is not sent, or is none.
const notSent = -1

// Encode implements link.Encoder.
func (x *subscription) Encode(from engine.LoopID, dst []byte, m *engine.Msg, _ *interest.Sub) (out []byte, size int) {
	base := len(dst)
	switch x.role {
	case direct:
		out, size = x.encodeDirect(dst, m)
	case consumer:
		out, size = x.encodeConsumer(from, dst, m)
	default:
		out, size = x.encodePubRel(dst, m)
	}
	if g := x.gate.Load(); g != nil && len(out) > base {
		out = g.pass(out, base)
	}
	return out, size
}

// encodeDirect is for messages as they are published. One with a QoS comes again from the consumer, if the
// subscription has one.
func (x *subscription) encodeDirect(dst []byte, m *engine.Msg) ([]byte, int) {
	if m.Origin == engine.JetStream && bytes.HasPrefix(m.Reply, []byte(jsapi.AckPrefix)) {
		return dst, notSent // meant for a consumer's subscriber
	}
	if x.hidden && len(m.Subject) > 0 && m.Subject[0] == '$' {
		return dst, notSent
	}
	if x.qos.Load() > 0 && publishedQoS(m.Header) > 0 {
		return dst, notSent
	}
	return x.c.appendPublish(dst, 0, m.Subject, 0, m.Payload)
}

// appendPublish appends a PUBLISH. What Sparkplug B says about birth and death certificates is done here. Any
// goroutine.
func (c *Client) appendPublish(dst []byte, flags byte, subject []byte, id uint16, payload []byte) ([]byte, int) {
	if mayBeSparkplug(subject) {
		sp := mqtt.SparkplugTopic(mqtt.AppendTopic(nil, subject))
		switch {
		case sp.Birth && sp.Certificate && flags&mqtt.FlagQoS == 0:
			flags |= mqtt.FlagRetain
		case sp.Death && !sp.Certificate:
			payload = mqtt.AppendDeathTime(nil, payload, uint64(c.svc.link.Clock.Now().UnixMilli()))
		}
	}
	payload = payload[:min(len(payload), mqtt.MaxRemaining-4-len(subject))]
	if c.Env().Logger.Enabled(engine.Trace) {
		c.traceOut(subject, flags, id, len(payload))
	}
	dst = mqtt.AppendPublishFor(dst, flags, subject, id, len(payload))
	return append(dst, payload...), len(payload)
}

// encodeConsumer is for messages of the stream of messages.
func (x *subscription) encodeConsumer(from engine.LoopID, dst []byte, m *engine.Msg) ([]byte, int) {
	subject, ok := bytes.CutPrefix(m.Subject, []byte(SubjectMessages))
	if !ok || len(subject) == 0 {
		return dst, notSent
	}
	qos := min(publishedQoS(m.Header), byte(x.qos.Load()))
	var r jsapi.AckReply
	if qos == 0 || !jsapi.ParseAckReply(m.Reply, &r) {
		return dst, notSent
	}
	s := x.s
	s.mu.Lock()
	if s.owner != x.c || x.closed {
		s.mu.Unlock()
		return dst, notSent
	}
	if x.hidden && subject[0] == '$' || x.denied(subject) {
		s.mu.Unlock()
		s.m.store.Ack(engine.NoLoop, string(m.Reply))
		return dst, notSent
	}
	id := s.inflight.track(pending{ack: string(m.Reply), durable: x.durable, seq: r.StreamSeq, qos: qos}, s.maxAck)
	s.mu.Unlock()
	if id == 0 {
		return dst, notSent // the consumer sends it again after ack_wait
	}
	flags := qos << 1
	if r.Deliveries > 1 {
		flags |= mqtt.FlagDup
	}
	return x.c.appendPublish(dst, flags, subject, id, m.Payload)
}

// denied reports a subject that the user's permissions exclude from a subscription that overlaps it.
func (x *subscription) denied(subject []byte) bool {
	u := x.c.User()
	return u != nil && u.Perms != nil && !u.Perms.Deliverable(subject)
}

// encodePubRel is for the stored PUBRELs of the session.
func (x *subscription) encodePubRel(dst []byte, m *engine.Msg) ([]byte, int) {
	n, err := strconv.ParseUint(string(header.Get(m.Header, headerPubRel)), 10, 16)
	var r jsapi.AckReply
	if err != nil || n == 0 || !jsapi.ParseAckReply(m.Reply, &r) {
		return dst, notSent
	}
	s, id := x.s, uint16(n)
	s.mu.Lock()
	if s.owner != x.c || s.pubrel == nil {
		s.mu.Unlock()
		return dst, notSent
	}
	s.inflight.trackPubRel(id, s.pubrel.Durable, string(m.Reply), r.StreamSeq)
	s.mu.Unlock()
	return mqtt.AppendAck(dst, mqtt.PUBREL, id), notSent
}

// maxGated bounds what waits behind a gate, in bytes; beyond it the order is given up.
const maxGated = 4 << 20

// gate holds back what new subscriptions get until their retained messages were sent, which are older. mu is a
// leaf.
type gate struct {
	mu   sync.Mutex
	open bool
	buf  []byte
}

// pass takes what was appended to dst behind base if the gate is closed.
func (g *gate) pass(dst []byte, base int) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := len(dst) - base
	switch {
	case g.open:
		return dst
	case len(g.buf)+n <= maxGated:
		g.buf = append(g.buf, dst[base:]...)
		return dst[:base]
	}
	g.open = true
	b := g.buf
	g.buf = nil
	last := append([]byte(nil), dst[base:]...)
	return append(append(dst[:base], b...), last...)
}

// take returns what waits. With open, the gate is open when nothing does.
func (g *gate) take(open bool) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.buf
	g.buf = nil
	g.open = g.open || open && len(b) == 0
	return b
}

// openGate sends what waited. Loop.
func (c *Client) openGate(g *gate) {
	c.Out().Flush(c.LoopID())
	for b := g.take(true); len(b) > 0; b = g.take(true) {
		c.Out().Append(c.LoopID(), b)
		c.Out().Flush(c.LoopID())
	}
}
