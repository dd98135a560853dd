package netio

import (
	"errors"
	"time"

	"ramjet/proto/base/bufpool"
	"ramjet/proto/base/invariant"
)

// How a loop shares its time.
//
// Bytes say little about work: 256 KiB are four large messages or five thousand subscriptions. So a connection is judged by the
// time its reads take. Those that take little are served as the poller reports them. One that took much, or has more to
// read than it may at a time, waits in a ring until the others of the turn were served; the ring has a share of each turn, and a
// slice of it goes to one connection after the other. A handler that asks Tired every few operations is stopped within a
// read when its slice is over and somebody waits; what is left of the read is kept, in a frame of its own, and comes first in
// the next slice. How much a connection may read follows what it got done in its slices, so that little is left.
//
// Small slices cost batches. So they are small only while there is somebody to be quick for: a loop that serves nothing but bulk
// senders gives each a whole read in turn, and one that has the loop to itself is never tired.
const (
	sliceTime  = int64(500 * time.Microsecond) // what the read of one connection should take at most
	ringTime   = int64(500 * time.Microsecond) // of all connections in the ring, in a turn; the last slice may pass it
	tiredTime  = 2 * sliceTime                 // when a read is stopped: it was misjudged, or its loop had no processor
	coarseTime = int64(4 * time.Millisecond)   // instead of ringTime and tiredTime while nobody but the ring has anything to do
	lightTime  = int64(10 * time.Millisecond)  // how long a light read makes the loop expect another one
	heavyTime  = int64(200 * time.Microsecond) // a read that took longer sends its connection to the ring
	jobTime    = int64(100 * time.Microsecond) // of background jobs in a turn; the last step may pass it
	timedRead  = 2 << 10                       // a shorter read is not timed: it cannot take long
	firstRead  = 16 << 10                      // what a new connection may read at a time, in bytes
	leastRead  = 4 << 10                       // the least that any may
)

// errKept ends a delivery whose input cannot be kept.
var errKept = errors.New("netio: input kept beyond all bounds")

// share is what a connection has of its loop's time. Loop.
type share struct {
	kept    *bufpool.Frame // input of a slice that was over, before anything the socket has; nil: none
	keptOff int            // bytes of it that were consumed
	readMax int32          // bytes it may read at a time, 0 = firstRead
	heavy   bool           // its last slice was long, or left something
	queued  bool           // in the ring
	yielded bool           // Yield was called in this delivery
}

// elapsed is the time since the group started in nanoseconds, read now.
func (l *Loop) elapsed() int64 {
	if l.g.cfg.Clock != nil {
		return int64(l.g.cfg.Clock.Now().Sub(l.g.base))
	}
	return int64(time.Since(l.g.base))
}

// Tired reports that the slice of the connection whose OnData runs is over and others wait for the loop: the handler should give
// the rest of its data to Yield and return. To be asked every few operations, as it reads the clock. Loop, within OnData only.
func (c *Conn) Tired() bool {
	l := c.loop
	now := l.elapsed()
	if l.slice == 0 {
		l.slice = now
		return false
	}
	if now-l.slice < tiredTime || now-l.asked < tiredTime {
		return false
	}
	l.asked = now
	return l.in.waiting() || l.poll.others(c) || (l.ring.n > 0 || l.jobs.n > 0) && (l.fine() || now-l.slice >= coarseTime)
}

// Yield gives back the tail of the data of the current OnData call as Unread does, to be delivered in the next slice of the
// connection. Loop, within OnData only.
func (c *Conn) Yield(tail []byte) {
	c.unread = tail
	c.share.yielded = true
}

// fine reports that connections with little to do were served lately, so that slices are to be small.
func (l *Loop) fine() bool { return l.mono-l.lightAt < lightTime }

// keep holds input for the next slice, behind what is kept already.
func (c *Conn) keep(data []byte) error {
	s, l := &c.share, c.loop
	l.enqueue(c)
	if f := l.replay; f != nil && s.kept == nil && f == l.cur {
		// data is the tail of the frame that was kept before
		f.Retain()
		s.kept, s.keptOff = f, len(f.B)-len(data)
		return nil
	}
	if s.kept == nil {
		f := bufpool.Get(len(data))
		copy(f.B, data)
		s.kept, s.keptOff = f, 0
		return nil
	}
	old := s.kept.B[s.keptOff:]
	n := len(old) + len(data)
	if n > maxStash {
		return errKept
	}
	if s.keptOff == 0 && n <= cap(s.kept.B) && !s.kept.Shared() {
		s.kept.B = append(s.kept.B, data...)
		return nil
	}
	f := bufpool.Get(max(n, 2*len(old)))
	f.B = append(append(f.B[:0], old...), data...)
	s.kept.Release()
	s.kept, s.keptOff = f, 0
	return nil
}

// dropKept forgets what is kept.
func (c *Conn) dropKept() {
	if f := c.share.kept; f != nil {
		f.Release()
		c.share.kept, c.share.keptOff = nil, 0
	}
}

// enqueue puts c at the end of the ring.
func (l *Loop) enqueue(c *Conn) {
	if !c.share.queued {
		c.share.queued = true
		l.ring.push(c)
	}
}

// readable serves c at once, or lets it wait in the ring. It reports whether an edge-triggered poller must be asked again.
func (l *Loop) readable(c *Conn) (more bool) {
	if c.share.queued {
		return false
	}
	if c.share.heavy {
		l.enqueue(c)
		return false
	}
	more = l.readConn(c)
	if more && c.state == stOpen {
		l.enqueue(c)
	}
	if c.share.queued {
		return false
	}
	l.lightAt = l.mono
	return more
}

// serveRing gives the connections in the ring a slice each, as far as its share of the turn goes. What the others have staged leaves
// first.
func (l *Loop) serveRing() {
	if l.ring.n == 0 {
		return
	}
	l.prod.flush()
	start, share := l.elapsed(), ringTime
	if !l.fine() {
		share = coarseTime
	}
	for range l.ring.n {
		c := l.ring.pop()
		c.share.queued = false
		l.serve(c)
		took := l.elapsed() - start
		if l.ring.n == 0 || took >= share || took >= ringTime && (l.in.waiting() || l.poll.others(nil)) {
			return
		}
	}
}

// serve gives one slice to c.
func (l *Loop) serve(c *Conn) {
	defer l.recover(c)
	if c.state != stOpen {
		return
	}
	if c.share.kept != nil {
		if c.pauses > 0 {
			return // ResumeRead puts it back
		}
		if l.replayKept(c) > sliceTime/2 && c.share.kept == nil {
			l.enqueue(c)
		}
		if c.share.queued || c.state != stOpen {
			return
		}
	}
	if !c.wantRead {
		return // the poller reports it when it is read again
	}
	switch more := l.readConn(c); {
	case c.state != stOpen:
	case more:
		l.enqueue(c)
	case l.edge && c.wantRead && !c.share.queued:
		l.poll.update(c) // what was reported meanwhile was not looked at
	}
}

// replayKept delivers what c has kept and returns how long that took.
func (l *Loop) replayKept(c *Conn) (cost int64) {
	s := &c.share
	f, data := s.kept, s.kept.B[s.keptOff:]
	s.kept = nil
	l.cur, l.replay = f, f
	l.slice = l.elapsed()
	c.settle(c.top(data))
	if c.state == stOpen {
		c.h.OnTurn(c)
	}
	l.cur, l.replay = nil, nil
	cost = l.charge(c, len(data), false)
	if !f.Shared() {
		invariant.Mangle(f.B)
	}
	f.Release()
	return cost
}

// charge judges a slice in which n bytes were delivered; full: the read got all it may. It returns the cost, 0 when it was not timed.
func (l *Loop) charge(c *Conn, n int, full bool) (cost int64) {
	s := &c.share
	if l.slice != 0 {
		cost = l.elapsed() - l.slice
		l.slice = 0
	}
	switch {
	case s.kept != nil:
		s.readMax = max(int32(n-(len(s.kept.B)-s.keptOff))/2, s.readMax/2, leastRead)
	case cost > sliceTime && l.ring.n > 0 && l.fine():
		s.readMax = max(s.readMax/4*3, leastRead)
	case full && (cost < sliceTime/2 || !l.fine()):
		s.readMax = int32(min(2*int(s.readMax), l.g.cfg.ReadBuffer))
	}
	s.heavy = full || s.kept != nil || cost > heavyTime
	return cost
}

// Background runs step on the loop until it returns false, a little in each turn: work that nobody waits for. A step should take
// some 50 us at most. False after Stop. Loop only.
func (l *Loop) Background(step func() (more bool)) bool {
	l.assertOwner()
	if l.stopped {
		return false
	}
	l.jobs.push(step)
	return true
}

// runJobs gives background jobs their share; a loop that ends finishes them.
func (l *Loop) runJobs() {
	if l.jobs.n == 0 {
		return
	}
	start := l.elapsed()
	for l.jobs.n > 0 {
		step := l.jobs.pop()
		more := false
		l.protect(nil, func() { more = step() })
		if more {
			l.jobs.push(step)
		}
		if !l.stopping && l.elapsed()-start >= jobTime {
			return
		}
	}
}

// busy reports that the loop has work that no poller will report.
func (l *Loop) busy() bool { return l.ring.n > 0 || l.jobs.n > 0 }

// fifo is a queue in a ring of memory.
type fifo[T any] struct {
	items []T // length is a power of two
	head  int
	n     int
}

func (q *fifo[T]) push(v T) {
	if q.n == len(q.items) {
		next := make([]T, max(16, 2*len(q.items)))
		for i := range q.n {
			next[i] = q.items[(q.head+i)&(len(q.items)-1)]
		}
		q.items, q.head = next, 0
	}
	q.items[(q.head+q.n)&(len(q.items)-1)] = v
	q.n++
}

// pop takes the oldest; there is one.
func (q *fifo[T]) pop() T {
	var zero T
	v := q.items[q.head]
	q.items[q.head] = zero
	q.head = (q.head + 1) & (len(q.items) - 1)
	if q.n--; q.n == 0 && len(q.items) > 1024 {
		*q = fifo[T]{} // a burst must not pin its peak
	}
	return v
}
