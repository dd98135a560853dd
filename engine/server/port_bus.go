package server

import (
	"fmt"
	"strings"
	"sync"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/dispatch"
	"ramjet/engine/interest"
	"ramjet/engine/link"
	"ramjet/engine/trace"
	"ramjet/js/host"
	"ramjet/js/stream"
	"ramjet/proto/jsapi"
)

// busHub is what the buses of a server share: internal subscriptions and watchers. Any goroutine.
type busHub struct {
	s       *Server
	domain  string        // of JetStream; constant while it runs
	scratch []busScratch  // by LoopID: loops, then shards
	pool    sync.Pool     // *inMsg for producers without a LoopID
	helpers []host.Helper // by LoopID of loops
	watches watchSet
}

// sweepStep is how many entries of a match cache are looked at in a turn, so that closed connections are not kept alive by it.
const sweepStep = 16

// inMsg is the message as an Inbox sees it; kept between messages, so that none is allocated.
type inMsg struct {
	host.Msg
	plain []byte // subject without domain
}

// busScratch is the inMsg of one producer, nil while it is in use. Padded, as neighbours belong to other goroutines.
type busScratch struct {
	m *inMsg
	_ [56]byte
}

// newBusHub returns the hub for loops, and as producers shards after them.
func newBusHub(s *Server, loops, shards int) *busHub {
	h := &busHub{s: s, scratch: make([]busScratch, loops+shards), helpers: make([]host.Helper, loops)}
	h.pool.New = func() any { return new(inMsg) }
	h.watches.accounts = map[*account.Account]*accountWatches{}
	return h
}

// turnEnd lets loop id handle the little that it brought to shards.
func (h *busHub) turnEnd(id engine.LoopID) {
	if p := &h.helpers[id]; p.Pending() {
		h.s.group.FlushTurn(id) // others first
		p.Run()
	}
}

// Subscribe makes in a subscriber of the account called name; queue "" for none.
func (h *busHub) Subscribe(name, subject, queue string, in host.Inbox) (cancel func(), err error) {
	a := h.s.accounts.Lookup(name)
	if a == nil {
		return nil, fmt.Errorf("there is no account %q", name)
	}
	x := a.Index()
	sink := &busSink{h: h, in: in}
	if subject == jsapi.APIPrefix+">" {
		sink.api = a
	}
	sub := interest.NewSub([]byte(subject), []byte(queue), nil, 1, sink)
	if err := x.Insert(sub); err != nil {
		return nil, fmt.Errorf("subject %q: %w", subject, err)
	}
	api, ok := strings.CutPrefix(subject, jsapi.APIPrefix)
	if h.domain == "" || !ok {
		return func() { x.Remove(sub) }, nil
	}
	// The API can be addressed by the domain too.
	named := interest.NewSub([]byte("$JS."+h.domain+".API."+api), []byte(queue), nil, 1, &busSink{h: h, in: in, cut: len(h.domain) + 1})
	if err := x.Insert(named); err != nil {
		x.Remove(sub)
		return nil, fmt.Errorf("subject %q: %w", named.Subject(), err)
	}
	return func() { x.Remove(sub); x.Remove(named) }, nil
}

// busSink is the receiver of one subscription of JetStream. Any goroutine.
type busSink struct {
	h   *busHub
	in  host.Inbox
	cut int // bytes of the domain in the subject, which the inbox does not see
	// api, when not nil: the sink is the API of that account.
	api *account.Account
}

// yields reports an account without JetStream that imports the API of another one, or as much of it as tells about JetStream:
// the other one then answers alone.
func (k *busSink) yields() bool {
	snap := k.api.Snap()
	return snap.JetStream == nil && snap.Exchange.Calls(jsapi.APIPrefix+"INFO")
}

// Kind implements interest.Sink.
func (k *busSink) Kind() engine.Kind { return engine.JetStream }

// ID implements interest.Sink.
func (k *busSink) ID() uint64 { return 0 }

// Deliver implements interest.Sink: it hands a message to the inbox, on the goroutine of its publisher.
func (k *busSink) Deliver(from engine.LoopID, m *engine.Msg, s *interest.Sub) engine.Verdict {
	if k.api != nil && k.yields() {
		return engine.Refused
	}
	if ok, _ := s.Take(); !ok {
		return engine.Refused
	}
	h := k.h
	var v *inMsg
	slot := uint32(from) < uint32(len(h.scratch))
	if slot {
		v = h.scratch[from].m
		h.scratch[from].m = nil // in use: a message that is published meanwhile gets another
	} else {
		v = h.pool.Get().(*inMsg)
	}
	if v == nil {
		v = new(inMsg)
	}
	v.Account, v.Subject, v.Reply, v.Header, v.Payload = m.Account.Name, m.Subject, m.Reply, m.Header, m.Payload
	if m.Origin == engine.Client || m.Origin == engine.Leaf {
		v.Client = m.OriginID
	}
	if t, ok := m.Trace.(*trace.Trace); ok {
		v.Trace = busTrace{t}
	}
	if k.cut > 0 {
		v.plain = append(append(v.plain[:0], "$JS."...), m.Subject[len("$JS.")+k.cut:]...)
		v.Subject = v.plain
	}
	if uint32(from) < uint32(len(h.helpers)) {
		v.Helper = &h.helpers[from]
	}
	verdict := k.in.Deliver(&v.Msg)
	v.Msg = host.Msg{}
	if slot {
		h.scratch[from].m = v
	} else {
		h.pool.Put(v)
	}
	switch verdict {
	case host.Busy:
		return engine.OverSoft
	case host.NotOne:
		return engine.Refused
	}
	return engine.OK
}

// busTrace implements host.Trace.
type busTrace struct{ *trace.Trace }

// Reached implements host.Trace.
func (t busTrace) Reached(name string) stream.Trace { return t.Trace.Reached(name) }

// interest reports whether somebody listens on a literal subject of an account.
func (h *busHub) interest(name string, subject []byte) bool {
	a := h.s.accounts.Lookup(name)
	return a != nil && a.Index().HasInterest(subject)
}

// bus is the way of one JetStream shard into the server: a producer with staging, match cache and counters of its own, so that
// a thousand deliveries to a connection are one append to its outbox and one write. Owner: the shard's goroutine; Subscribe,
// Interest and Watch are for any.
//
// A delivery takes no lock and allocates nothing. What slows consumers down is their own limits: a
// connection beyond max_pending is closed as a slow consumer, and Deliver then reports that nobody listens.
type bus struct {
	*busHub
	id   engine.LoopID
	env  *link.Env
	lane *link.Lane
	ctx  *dispatch.Ctx
	msg  engine.Msg // scratch
	busy bool       // msg is in use
	name string     // of acct, the account of the last message
	acct *account.Account
}

func newBus(h *busHub, env *link.Env, id engine.LoopID, seed uint64) *bus {
	b := &bus{busHub: h, id: id, env: env, lane: env.Lane(id), ctx: dispatch.NewCtx(id, seed)}
	b.begin()
	return b
}

// begin starts a turn: what holds for all of it is looked up once.
func (b *bus) begin() {
	b.lane.Now = b.env.Clock.Now().UnixNano()
	b.lane.Trace = b.env.Logger.Enabled(engine.Trace)
	b.name, b.acct = "", nil // a reload may have removed it
}

// account returns the account called name, nil when there is none.
func (b *bus) account(name string) *account.Account {
	if b.acct == nil || b.name != name {
		b.name, b.acct = name, b.s.accounts.Lookup(name)
	}
	return b.acct
}

// Publish sends a message into an account. Its slices are borrowed until it returns.
func (b *bus) Publish(account string, subject, reply, hdr, payload []byte) {
	b.send(account, nil, subject, reply, hdr, payload)
}

// Deliver sends a stored message to who listens on the literal subject to, showing subject; false: nobody took it.
func (b *bus) Deliver(account string, to, subject, reply, hdr, payload []byte) bool {
	return b.send(account, to, subject, reply, hdr, payload)
}

func (b *bus) send(account string, to, subject, reply, hdr, payload []byte) bool {
	a := b.account(account)
	if a == nil {
		return false
	}
	m := &b.msg
	if b.busy {
		m = new(engine.Msg) // a receiver publishes
	}
	was := b.busy
	b.busy = true
	m.To, m.Subject, m.Reply, m.Header, m.Payload = to, subject, reply, hdr, payload
	m.Origin = engine.JetStream
	out := b.s.router.Publish(b.ctx, a, m)
	b.busy = was
	return out.Delivered > 0
}

// Flush ends a turn: what was published may be written out.
func (b *bus) Flush() {
	b.msg = engine.Msg{} // the messages are not ours any more
	b.ctx.ResetSlow()
	b.env.Group.FlushTurn(b.id)
	b.env.FoldLane(b.id)
	b.ctx.Cache.Sweep(sweepStep)
	b.ctx.Cache.Fold()
	b.begin()
}

// Interest reports whether somebody listens on a literal subject. For the answer to a request from another account that is who
// asked there.
func (b *bus) Interest(account string, subject []byte) bool {
	a := b.account(account)
	for a != nil {
		r, ours := a.Replies().Find(subject)
		switch {
		case !ours:
			return a.Index().HasInterest(subject)
		case r == nil:
			return false
		}
		a, subject = r.In, []byte(r.To)
	}
	return false
}

// apiBus is the bus of API handlers: one goroutine at a time, unbuffered, so there is nothing to flush.
type apiBus struct {
	*busHub
	ctx *dispatch.Ctx
}

func newAPIBus(h *busHub, seed uint64) *apiBus {
	return &apiBus{busHub: h, ctx: dispatch.NewCtx(engine.NoLoop, seed)}
}

// Publish sends a message into an account. Its slices are borrowed until it returns.
func (b *apiBus) Publish(account string, subject, reply, hdr, payload []byte) {
	b.Deliver(account, nil, subject, reply, hdr, payload)
}

// Deliver is Deliver of a shard's bus.
func (b *apiBus) Deliver(account string, to, subject, reply, hdr, payload []byte) bool {
	a := b.s.accounts.Lookup(account)
	if a == nil {
		return false
	}
	m := &engine.Msg{To: to, Subject: subject, Reply: reply, Header: hdr, Payload: payload, Origin: engine.JetStream}
	out := b.s.router.Publish(b.ctx, a, m)
	b.ctx.ResetSlow()
	b.ctx.Cache.Sweep(sweepStep)
	return out.Delivered > 0
}

// Interest reports whether somebody listens on a literal subject.
func (b *apiBus) Interest(account string, subject []byte) bool { return b.interest(account, subject) }

// Flush does nothing: messages have left.
func (b *apiBus) Flush() {}
