package host

import (
	"sync/atomic"
	"time"

	"ramjet/js/advisory"
	"ramjet/proto/base/clock"
	"ramjet/proto/base/queue"
	"ramjet/proto/base/rng"
	"ramjet/proto/base/wheel"
	"ramjet/store"
	"ramjet/store/stream"
)

const resolution = 10 * time.Millisecond // of the wheel

// Shard is a worker that owns streams with their consumers. Everything without a note belongs to its goroutine.
type Shard struct {
	h       *Host
	id      int
	bus     Bus
	in      *queue.MPSC[item] // any goroutine
	bytes   atomic.Int64      // of waiting messages
	wake    chan struct{}
	stop    chan struct{}
	ended   chan struct{}
	dropped atomic.Uint64 // messages refused by a full inbox
	streams atomic.Int64  // assigned

	spent   []item
	now     int64
	wheel   *wheel.Wheel
	timer   clock.Timer
	timerAt int64
	rand    *rng.Source
	advise  *advisory.Builder
	env     stream.Env
	stores  map[*stream.Store]*Stream

	dirty       []*Stream   // have something to propose
	ready       []*Consumer // have something to pump or to journal
	turn        [policies]*commit
	commits     [policies][]*commit // on the way, oldest first
	completions [policies]func(error)
	free        []*commit
	sealed      []byte // scratch
}

func newShard(h *Host, id int) *Shard {
	s := &Shard{h: h, id: id, bus: h.env.Bus(id), wake: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{}),
		stores: map[*stream.Store]*Stream{}, rand: h.env.Rand.Fork()}
	s.in = queue.NewMPSC[item](h.o.InboxSize, s.poke)
	s.now = h.env.Clock.Now().UnixNano()
	s.wheel = wheel.New(resolution, s.now)
	s.advise = advisory.NewBuilder(h.o.Domain, h.env.Rand.Fork())
	s.env = stream.Env{FS: h.env.FS, Clock: h.env.Clock, Go: h.env.Go, Read: h.env.Go,
		Wake: func(st *stream.Store) { s.in.Force(item{kind: itemWake, store: st}) }}
	for p := range s.completions {
		s.completions[p] = func(err error) { s.in.Force(item{kind: itemCommit, policy: uint8(p), err: err}) }
	}
	return s
}

func (s *Shard) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run works until the host stops the shard.
func (s *Shard) Run() {
	defer close(s.ended)
	for {
		for s.Step() {
		}
		select {
		case <-s.wake:
		case <-s.stop:
			for s.Step() {
			}
			return
		}
	}
}

// Step does one turn: everything that waits, one journal append for each stream, one submit. False when there was nothing to do.
func (s *Shard) Step() bool {
	s.spent = s.in.Take(s.spent)
	s.now = s.h.env.Clock.Now().UnixNano()
	fired := s.wheel.Advance(s.now, s.fire)
	if len(s.spent) == 0 && fired == 0 && len(s.dirty) == 0 && len(s.ready) == 0 {
		s.armTimer()
		return false
	}
	var bytes int64
	for i := range s.spent {
		if p := s.spent[i].p; p != nil {
			bytes += p.size()
		}
		s.handle(&s.spent[i])
	}
	if bytes > 0 {
		s.bytes.Add(-bytes)
	}
	s.endTurn()
	s.armTimer()
	s.bus.Flush()
	return true
}

func (s *Shard) handle(it *item) {
	switch it.kind {
	case itemPublish:
		it.st.publish(it.p)
		it.p.free()
	case itemNext, itemAck, itemFlow, itemReset:
		it.c.inbound(it.kind, it.p)
		it.p.free()
	case itemFeed:
		it.st.fed(it.id, it.p)
		it.p.free()
	case itemDirect:
		it.st.direct(it.p)
		it.p.free()
	case itemCall:
		it.fn()
	case itemCommit:
		s.decided(it.policy, it.err)
	case itemWake:
		if st := s.stores[it.store]; st != nil {
			st.woken()
		}
	}
}

// endTurn pumps consumers and appends what streams and consumers decided, until nothing is left.
func (s *Shard) endTurn() {
	for len(s.ready) > 0 || len(s.dirty) > 0 {
		for i := 0; i < len(s.ready); i++ {
			s.ready[i].finish()
		}
		clear(s.ready)
		s.ready = s.ready[:0]
		for i := 0; i < len(s.dirty); i++ {
			st := s.dirty[i]
			st.isDirty = false
			st.settleTurn()
		}
		clear(s.dirty)
		s.dirty = s.dirty[:0]
	}
	s.submit()
}

// fire is called by the wheel.
func (s *Shard) fire(t *wheel.Timer) {
	switch o := t.Owner.(type) {
	case *Stream:
		o.fire(t.ID)
	case *Consumer:
		o.fire(t.ID)
	}
}

// armTimer makes the clock wake the shard when the wheel has something to do.
func (s *Shard) armTimer() {
	at, ok := s.wheel.Next()
	if !ok || (s.timer != nil && s.timerAt == at) {
		return
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	s.timerAt = at
	s.timer = s.h.env.Clock.AfterFunc(time.Duration(max(at-s.now, 0)), func() {
		s.post(func() {
			if s.timerAt == at {
				s.timer = nil
			}
		})
	})
}

// post runs fn on the shard, after what waits already. Any goroutine.
func (s *Shard) post(fn func()) bool { return s.in.Force(item{kind: itemCall, fn: fn}) == queue.Pushed }

// call runs fn on the shard and waits for it; false if the shard has stopped. Any goroutine but the shard's.
func (s *Shard) call(fn func()) bool {
	done := make(chan struct{})
	if !s.post(func() { fn(); close(done) }) {
		return false
	}
	select {
	case <-done:
		return true
	case <-s.ended:
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
}

// ask runs fn on the shard with a function that ends the wait, which may be called later. False if the shard has stopped.
func (s *Shard) ask(fn func(done func())) bool {
	ch := make(chan struct{})
	if !s.post(func() { fn(func() { close(ch) }) }) {
		return false
	}
	select {
	case <-ch:
		return true
	case <-s.ended:
		return false
	}
}

// ackPolicy is what a confirmation of a client's acknowledgement waits for.
func (h *Host) ackPolicy() store.SyncPolicy {
	if h.o.SyncInterval == 0 {
		return store.SyncDurable
	}
	return store.SyncOS
}
