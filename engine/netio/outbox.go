package netio

import (
	"sync"
	"sync/atomic"
	"time"

	"ramjet/engine"
	"ramjet/proto/base/bufpool"
)

const (
	chunkSize   = 64 << 10 // largest chunk of the queue of a slow destination
	firstChunk  = 4 << 10  // the first one, and the first behind a payload by reference
	headChunk   = 256      // of what lies between two payloads by reference: a head
	sealBatch   = 64 << 10 // plaintext sealed at a time
	pressedSoft = 4 << 20  // soft limit while the backlog of the group is over its budget
	writeQuota  = 4 << 20  // bytes one caller writes for others before it hands over to the owner loop
)

// Outbox is the output queue of a connection. Any goroutine, but a LoopID argument must be that of
// the calling producer.
//
// The queue q takes what producers flush; who sets writing moves it, sealed through the stages, to wq
// and writes wq. So appending never waits for a system call, and a partial write never moves bytes.
type Outbox struct {
	c   *Conn
	key uint64 // for the producers' tables

	mu      sync.Mutex
	writing bool  // somebody has the right to seal and write
	blocked bool  // the socket is full: only the owner loop goes on, when it is writable
	closing bool  // CloseAfterFlush: signal when everything is written
	sealed  bool  // the stages' closing bytes were produced
	dead    bool  // the connection is closed; the writer, if any, closes the descriptor
	stuck   bool  // blocked since the last drain
	hold    uint8 // segments of this depth and above wait (handshake); 0 = none
	q       segList
	wq      segList // owned by the holder of writing (or blocked)
	written int64   // bytes that left, of pend's count
	mark    int64   // value of written that the write deadline asks for
	moved   int64   // written when the write deadline was armed
	held    int64   // what of pend is counted in Group.backlog: only full sockets hold memory for long
	large   bool    // listed in Group.relief, with held bytes

	pend     atomic.Int64 // bytes queued, not yet written; changed under mu
	left     atomic.Int64 // pend at the end
	msgs     atomic.Int64 // changed under mu
	bytes    atomic.Int64 // changed under mu
	soft     atomic.Int64
	low      atomic.Int64 // the least that the soft limit can be, 0 = none
	hard     atomic.Int64
	deadline atomic.Int64 // nanoseconds
	retry    atomic.Bool
	refuse   atomic.Bool // closed or closing
	over     atomic.Bool // a producer was told OverSoft: OnDrain is due
}

// seg is a piece of a queue: bytes in a frame it has a reference of (nil: plain memory).
type seg struct {
	next  *seg
	f     *bufpool.Frame
	b     []byte
	depth uint8 // stages that existed when it was queued
	grow  bool  // the frame is nobody else's: b may be appended to
}

type segList struct{ head, tail *seg }

var segPool = sync.Pool{New: func() any { return new(seg) }}

func newSeg(f *bufpool.Frame, b []byte, depth uint8, grow bool) *seg {
	s := segPool.Get().(*seg)
	s.f, s.b, s.depth, s.grow = f, b, depth, grow
	return s
}

func (s *seg) free() {
	if s.f != nil {
		s.f.Release()
	}
	*s = seg{}
	segPool.Put(s)
}

func (l *segList) push(s *seg) {
	if l.tail == nil {
		l.head = s
	} else {
		l.tail.next = s
	}
	l.tail = s
}

func (l *segList) pop() *seg {
	s := l.head
	l.head = s.next
	if l.head == nil {
		l.tail = nil
	}
	s.next = nil
	return s
}

func (l *segList) release() {
	for l.head != nil {
		l.pop().free()
	}
}

// addCopy appends b to the last chunk, or to a new one of at least least bytes. Chunks grow as long as nothing comes between them.
func (l *segList) addCopy(b []byte, depth uint8, least int) {
	if t := l.tail; t != nil && t.grow && t.depth == depth {
		if cap(t.b)-len(t.b) >= len(b) {
			t.b = append(t.b, b...)
			return
		}
		least = max(least, min(chunkSize, 4*cap(t.b)))
	}
	f := bufpool.Get(max(least, len(b)))
	l.push(newSeg(f, append(f.B[:0], b...), depth, true))
}

// SetLimits sets the soft limit (Verdict OverSoft, OnDrain), the hard limit (slow consumer close), both
// in bytes and 0 = none, the write deadline (0 = none) and whether a deadline that passes while bytes
// still move closes (false) or retries (true). Any goroutine; a deadline takes effect when the socket
// is full the next time.
func (o *Outbox) SetLimits(soft, hard int64, deadline time.Duration, retry bool) {
	o.soft.Store(soft)
	o.low.Store(min(soft, pressedSoft))
	o.hard.Store(hard)
	o.deadline.Store(int64(deadline))
	o.retry.Store(retry)
}

// Pending returns the bytes queued but not yet written (staged ones not included). Any goroutine.
func (o *Outbox) Pending() int64 { return o.pend.Load() }

// Left returns what was pending when the connection was closed, until then what is. Any goroutine.
func (o *Outbox) Left() int64 {
	if n := o.pend.Load(); n > 0 {
		return n
	}
	return o.left.Load()
}

// Stats returns messages and bytes accepted since the start (message bytes as given to End), as of the
// last flush of each producer. Any goroutine.
func (o *Outbox) Stats() (msgs, bytes int64) { return o.msgs.Load(), o.bytes.Load() }

// Slow reports whether Pending is above the soft limit. Any goroutine.
func (o *Outbox) Slow() bool { return o.above(o.pend.Load()) }

// above reports whether n bytes are more than the soft limit, which is smaller while the group's backlog is over its budget.
func (o *Outbox) above(n int64) bool {
	soft := o.soft.Load()
	return soft > 0 && (n > soft || n > pressedSoft && o.c.loop.g.Pressed())
}

// verdict judges extra bytes on top of what is queued, without the lock.
func (o *Outbox) verdict(extra int64) engine.Verdict {
	if o.refuse.Load() {
		return engine.Closed
	}
	if low, n := o.low.Load(), o.pend.Load()+extra; low > 0 && n > low && o.above(n) {
		if !o.over.Load() {
			o.over.Store(true)
		}
		return engine.OverSoft
	}
	return engine.OK
}

// countHeld counts what is pending in the group's backlog while the socket is full, and nothing while it is not. Under mu.
func (o *Outbox) countHeld() {
	n := int64(0)
	if o.blocked && !o.dead {
		n = o.pend.Load()
	}
	if n == o.held {
		return
	}
	g := o.c.loop.g
	g.backlog.Add(n - o.held)
	was := int64(0)
	if o.large {
		was = o.held
	}
	o.held = n
	if large := n >= largeBacklog && o.hard.Load() > 0; large != o.large {
		o.large = large
		g.relief.list(o, large)
	}
	if !o.large {
		n = 0
	}
	if n != was {
		g.relief.bytes.Add(n - was)
	}
}

// kill ends the outbox: the queue is dropped and the descriptor closed, by the writer if there is one.
// Owner loop.
func (o *Outbox) kill() {
	o.refuse.Store(true)
	o.mu.Lock()
	o.dead = true
	mine := !o.writing
	o.mu.Unlock()
	if mine {
		o.bury()
	}
}

// bury releases everything; called once, by kill or by the last writer.
func (o *Outbox) bury() {
	o.mu.Lock()
	q, wq := o.q, o.wq
	o.q, o.wq = segList{}, segList{}
	o.left.Store(o.pend.Load()) // before pend, so that Left never misses both
	o.pend.Store(0)
	o.dead = true
	o.countHeld()
	o.mu.Unlock()
	q.release()
	wq.release()
	o.c.sockClose()
}

// insert queues b, encoded by the stage at level depth, before everything that has to pass that stage
// and is still in the queue. A held stage's output is all still there.
func (o *Outbox) insert(b []byte, depth uint8) {
	f := bufpool.Get(len(b))
	copy(f.B, b)
	s := newSeg(f, f.B, depth, false)
	o.mu.Lock()
	if o.dead {
		o.mu.Unlock()
		s.free()
		return
	}
	o.pend.Add(int64(len(b)))
	if o.hold > depth {
		at := &o.q.head
		for *at != nil && (*at).depth <= depth {
			at = &(*at).next
		}
		s.next = *at
		*at = s
		if s.next == nil {
			o.q.tail = s
		}
	} else {
		o.q.push(s)
	}
	o.mu.Unlock()
}

// kick queues an empty segment.
func (o *Outbox) kick() {
	o.mu.Lock()
	if !o.dead {
		o.q.push(newSeg(nil, nil, uint8(o.c.depth()), false))
	}
	o.mu.Unlock()
}
