package host

import (
	"sync"
	"sync/atomic"
	"time"

	"ramjet/js/advisory"
	"ramjet/js/op"
	"ramjet/proto/base/clock"
	"ramjet/proto/base/rng"
	"ramjet/proto/base/wheel"
	"ramjet/store"
	"ramjet/store/msgtab"
	"ramjet/store/stream"
)

const resolution = time.Millisecond // of the wheel: replays and heartbeats are about milliseconds

// Shard is a worker that owns streams with their consumers. Everything without a note belongs to who holds owner: its goroutine, or for
// a short turn a helper.
type Shard struct {
	h       *Host
	id      int
	bus     Bus
	owner   sync.Mutex // first of all locks; only tried by helpers
	in      itemQueue  // any goroutine
	wake    chan struct{}
	stop    chan struct{}
	ended   chan struct{}
	dropped atomic.Uint64 // messages refused by a full inbox
	streams atomic.Int64  // assigned

	spent    []item
	now      int64
	wheel    *wheel.Wheel
	timer    clock.Timer
	timerAt  int64
	rand     *rng.Source
	advise   *advisory.Builder
	env      stream.Env
	stores   map[*stream.Store]*Stream
	batches  op.Buffers
	pool     *msgtab.Pool // frames for streams
	ageTimer wheel.Timer

	dirty       []*Stream   // have something to propose
	ready       []*Consumer // have something to pump or to journal
	turn        [policies]*commit
	commits     [policies][]*commit // on the way, oldest first
	completions [policies]func(error)
	free        []*commit
	helped      bool   // the turn is a loop's
	sealed      []byte // scratch
}

func newShard(h *Host, id int) *Shard {
	s := &Shard{h: h, id: id, bus: h.env.Bus(id), wake: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{}),
		stores: map[*stream.Store]*Stream{}, pool: msgtab.NewPool(int(h.o.PoolBytes)), rand: h.env.Rand.Fork()}
	s.now = h.env.Clock.Now().UnixNano()
	s.wheel = wheel.New(resolution, s.now)
	s.advise = advisory.NewBuilder(h.o.Domain, h.env.Rand.Fork())
	s.env = stream.Env{FS: h.env.FS, Clock: h.env.Clock,
		Go:   func(fn func()) { h.env.Go(func() { h.writes.run(fn) }) },
		Read: func(fn func()) { h.env.Go(func() { h.reads.run(fn) }) },
		Pool: s.pool,
		Wake: func(st *stream.Store) {
			s.post(func() {
				if own := s.stores[st]; own != nil {
					own.woken()
				}
			})
		}}
	for p := range s.completions {
		s.completions[p] = func(err error) {
			if err != nil {
				s.post(func() { s.decided(uint8(p), err) })
			} else if s.in.force(item{kind: itemCommit, policy: uint8(p)}) {
				s.poke()
			}
		}
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
		s.work()
		select {
		case <-s.wake:
		case <-s.stop:
			s.work()
			return
		}
	}
}

// work does turns as long as there is something to do.
func (s *Shard) work() {
	s.owner.Lock()
	defer s.owner.Unlock()
	for s.step(true) {
	}
}

// Step does one turn: everything that waits, one journal append for each stream, one submit. False when there was nothing to do.
func (s *Shard) Step() bool {
	s.owner.Lock()
	defer s.owner.Unlock()
	return s.step(true)
}

// step does one turn, with timers only if it may take its time.
func (s *Shard) step(timers bool) bool {
	s.spent = s.in.take(s.spent)
	s.now = s.h.env.Clock.Now().UnixNano()
	s.pool.Turn()
	fired := 0
	if timers {
		fired = s.wheel.Advance(s.now, s.fire)
	}
	if len(s.spent) == 0 && fired == 0 && len(s.dirty) == 0 && len(s.ready) == 0 && (s.helped || !s.left()) {
		s.armTimer()
		return false
	}
	var bytes int64
	for i := range s.spent {
		it := &s.spent[i]
		if it.port != nil {
			bytes += int64(len(it.buf)) + packetCost
		}
		s.handle(it)
	}
	if bytes > 0 {
		s.in.done(bytes)
		s.armAge()
	}
	s.endTurn()
	s.armTimer()
	s.bus.Flush()
	return true
}

func (s *Shard) handle(it *item) {
	switch it.kind {
	case itemCall:
		it.fn()
		return
	case itemCommit:
		s.decided(it.policy, nil)
		return
	}
	p := it.packet()
	switch it.kind {
	case itemPublish:
		it.port.st.publish(&p, it.port.trace)
	case itemFeed:
		it.port.st.fed(it.port.feed, &p)
	case itemDirect:
		it.port.st.direct(&p)
	default:
		it.port.c.inbound(it.kind, &p)
	}
}

// endTurn pumps consumers and appends what streams and consumers decided, until nothing is left.
func (s *Shard) endTurn() {
	for s.settle(); s.submit(); s.settle() {
	}
}

func (s *Shard) settle() {
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
}

// fire is called by the wheel.
func (s *Shard) fire(t *wheel.Timer) {
	switch o := t.Owner.(type) {
	case *Stream:
		o.fire(t.ID)
	case *Consumer:
		o.fire(t.ID)
	case *Shard:
		o.age()
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
func (s *Shard) post(fn func()) {
	if s.in.force(item{kind: itemCall, fn: fn}) {
		s.poke()
	}
}

// call runs fn on the shard and waits for it; false if the shard has stopped. Any goroutine but the shard's.
func (s *Shard) call(fn func()) bool {
	done := make(chan struct{})
	s.post(func() { fn(); close(done) })
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
func (s *Shard) ask(fn func(done func())) bool { return s.begin(fn)() }

// begin is ask in two steps: wait does the waiting.
func (s *Shard) begin(fn func(done func())) (wait func() bool) {
	ch := make(chan struct{})
	s.post(func() { fn(func() { close(ch) }) })
	return func() bool {
		select {
		case <-ch:
			return true
		case <-s.ended:
			return false
		}
	}
}

// ackPolicy is what a confirmation of a client's acknowledgement waits for.
func (h *Host) ackPolicy() store.SyncPolicy {
	if h.o.SyncInterval == 0 {
		return store.SyncDurable
	}
	return store.SyncOS
}
