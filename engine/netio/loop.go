package netio

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"ramjet/engine"
	"ramjet/proto/base/bufpool"
	"ramjet/proto/base/invariant"
	"ramjet/proto/base/wheel"
)

const (
	defaultReadBuffer = 256 << 10
	minReadRoom       = 64 << 10               // least free space of a partly shared frame worth reading into
	yieldAfter        = 500 * time.Microsecond // a busy loop lets others of its P run this often
)

// Loop is one event loop: a goroutine, a poller, the connections placed on it.
type Loop struct {
	g    *Group
	idx  engine.LoopID
	poll poller
	prod *producer
	in   inbox
	edge bool // the poller is edge-triggered

	owner invariant.Owner

	// owned by the loop's goroutine
	wheel    *wheel.Wheel
	now      int64 // unix nanoseconds, this turn
	mono     int64 // nanoseconds since the group started, monotonic
	yielded  int64 // mono of the last yield or wait
	frame    *bufpool.Frame
	off      int            // bytes of frame that others hold
	cur      *bufpool.Frame // frame of the data being delivered, nil behind stages
	conns    []*Conn        // by descriptor
	open     int            // entries in conns
	ring     fifo[*Conn]    // connections that wait for a slice (share.go)
	jobs     fifo[func() bool]
	lightAt  int64          // mono of the last turn with a light read
	slice    int64          // elapsed at the start of the slice being served, 0 = not timed
	asked    int64          // elapsed when Tired last looked who waits
	replay   *bufpool.Frame // kept input that is being delivered
	stopping bool
	stopped  bool

	placed atomic.Int32 // connections, also those on their way; read by the listeners
	done   chan struct{}
}

func newLoop(g *Group, idx int) *Loop {
	l := &Loop{g: g, idx: engine.LoopID(idx), done: make(chan struct{})}
	l.prod = g.producers[idx]
	l.tell()
	l.lightAt = -lightTime
	l.wheel = wheel.New(tick, l.mono)
	return l
}

// Index returns the loop's LoopID. Any goroutine.
func (l *Loop) Index() engine.LoopID { return l.idx }

// Now returns unix nanoseconds read once per turn. Loop only.
func (l *Loop) Now() int64 { return l.now }

// Post runs fn on the loop, in order of posting. Any goroutine. False after Stop. A poster that finds
// the inbox full (65536 tasks) is held back up to 20 ms; the task is never dropped. Loops and shards
// use PostFrom.
func (l *Loop) Post(fn func()) bool { return l.post(task{fn: fn}, true) }

// PostFrom is Post for a producer with a LoopID of its own: it never waits.
func (l *Loop) PostFrom(from engine.LoopID, fn func()) bool {
	return l.post(task{fn: fn}, from == engine.NoLoop)
}

func (l *Loop) post(t task, wait bool) bool {
	ok, wake := l.in.push(t, wait)
	if wake {
		l.poll.wake()
	}
	return ok
}

// tell reads the clock.
func (l *Loop) tell() {
	t := l.g.time()
	l.now = t.UnixNano()
	if m := int64(t.Sub(l.g.base)); m > l.mono {
		l.mono = m
	}
}

// beginTurn starts a turn. Called by the poller.
func (l *Loop) beginTurn() { l.tell() }

// endTurn does what is due at the end of a turn; false when the loop has ended. Called by the poller.
func (l *Loop) endTurn() bool {
	l.serveRing()
	l.runJobs()
	if got := l.in.take(); got != nil {
		for i := range got {
			if t := &got[i]; t.c != nil {
				l.signals(t.c)
			} else {
				l.protect(nil, t.fn)
			}
		}
		l.in.done(got)
	}
	l.wheel.Advance(l.mono, fireTimer)
	if hook := l.g.cfg.TurnEnd; hook != nil {
		l.turnHook(hook)
	}
	l.prod.flush()
	if l.stopping && l.open == 0 && l.jobs.n == 0 && !l.stopped {
		l.stopped = true
		l.in.stop()
	}
	if l.mono-l.yielded > int64(yieldAfter) && l.g.mem == nil {
		l.yielded = l.mono
		runtime.Gosched()
	}
	return !l.stopped
}

func (l *Loop) turnHook(hook func(*Loop)) {
	defer l.recover(nil)
	hook(l)
}

// assertOwner checks, in invariant builds, that the caller is on the loop's goroutine.
func (l *Loop) assertOwner() {
	if invariant.On && l.g.mem == nil {
		l.owner.AssertOwner()
	}
}

// untilTimer returns the nanoseconds to the next timer; ok is false if there is none.
func (l *Loop) untilTimer() (d int64, ok bool) {
	at, ok := l.wheel.Next()
	return max(at-l.mono, 0), ok
}

// protect runs fn; a panic is contained and closes c, if any.
func (l *Loop) protect(c *Conn, fn func()) {
	defer l.recover(c)
	fn()
}

// recover must be deferred. No input may end the process: a panic closes the connection it happened
// for, is counted and reported. Invariant builds let it through.
func (l *Loop) recover(c *Conn) {
	if invariant.On {
		return
	}
	if v := recover(); v != nil {
		l.g.caught(c, v, debug.Stack())
		if c != nil {
			c.Abort(ReasonUnknown)
		}
	}
}

// event handles what happened to the connection with descriptor fd. Called by the poller.
func (l *Loop) event(fd int, ev events) {
	if fd >= len(l.conns) || l.conns[fd] == nil {
		return // closed earlier in this turn
	}
	c := l.conns[fd]
	defer l.recover(c)
	if ev&evWrite != 0 && c.wantWrite {
		c.onWritable()
	}
	if ev&(evRead|evHup) == 0 {
		return
	}
	more := false
	switch {
	case c.state == stLinger:
		more = c.discard()
	case c.wantRead:
		more = l.readable(c) || ev&evEnd != 0 && !c.share.queued
	case ev&evHup != 0:
		c.onHup()
	}
	if more && l.edge && c.wantRead && c.state != stClosed {
		l.poll.update(c) // report again what is still to be read
	}
}

// readConn does one read for c, of as much as it may. It reports whether there may be more.
func (l *Loop) readConn(c *Conn) (more bool) {
	buf := l.readBuffer()
	if c.share.readMax == 0 {
		c.share.readMax = firstRead
	}
	if n := int(c.share.readMax); n < len(buf) {
		buf = buf[:n]
	}
	n, err := c.sockRead(buf)
	more = n == len(buf)
	switch {
	case n > 0:
		l.slice = 0
		if n >= timedRead {
			l.slice = l.elapsed()
		}
		l.cur = l.frame
		c.feed(buf[:n])
		if c.state == stOpen {
			c.h.OnTurn(c)
		}
		l.cur = nil
		l.charge(c, n, more)
		l.readDone(n)
	case err == nil:
		c.onEOF()
	case isTemporary(err):
	default:
		c.fail(ReasonReadError)
	}
	return more
}

// readBuffer returns where to read to: the whole frame, or what is free behind the part that
// somebody retained.
func (l *Loop) readBuffer() []byte {
	if l.frame == nil {
		l.frame = bufpool.Get(l.g.cfg.ReadBuffer)
		l.off = 0
	}
	return l.frame.B[l.off:]
}

// readDone is called when the first n bytes of readBuffer were dispatched.
func (l *Loop) readDone(n int) {
	if !l.frame.Shared() {
		invariant.Mangle(l.frame.B[l.off : l.off+n])
		l.off = 0
		return
	}
	l.off += (n + 63) &^ 63
	if len(l.frame.B)-l.off < minReadRoom {
		l.frame.Release()
		l.frame = nil
	}
}

// enroll adopts a connection: its descriptor is non-blocking and known to no other poller.
func (l *Loop) enroll(c *Conn, accept AcceptFunc) {
	if l.stopping {
		c.sockClose()
		l.placed.Add(-1)
		return
	}
	defer l.recover(c)
	for int(c.fd) >= len(l.conns) {
		l.conns = append(l.conns, nil)
	}
	l.conns[c.fd] = c
	l.open++
	c.h = nopHandler{}
	c.wantRead = true
	if err := l.poll.add(c); err != nil {
		l.g.logf(engine.Error, "RJ-N003", "could not watch a connection: %v", err)
		c.unregistered = true
		c.finalize(false)
		return
	}
	h := accept(c)
	if h == nil {
		c.finalize(false)
		return
	}
	if c.state == stOpen {
		c.h = h
		h.OnOpen(c)
	}
}

// run is the loop's goroutine.
func (l *Loop) run() {
	defer close(l.done)
	l.owner.Bind()
	l.poll.run()
	l.poll.close()
	if l.frame != nil {
		l.frame.Release()
		l.frame = nil
	}
}

// stop begins the end of the loop: every connection is closed after its output, the loop ends when
// the last one is gone.
func (l *Loop) stop() {
	l.stopping = true
	for _, c := range l.conns {
		if c == nil {
			continue
		}
		if c.state == stLinger {
			continue
		}
		c.CloseAfterFlush(ReasonServerShutdown)
	}
}

// finalizeSafely ends c although its OnClose may panic.
func (l *Loop) finalizeSafely(c *Conn) {
	defer l.recover(c)
	c.finalize(false)
}

// kill drops every connection.
func (l *Loop) kill() {
	l.stopping = true
	for _, c := range l.conns {
		switch {
		case c == nil:
		case c.state == stLinger:
			c.closeNow()
		default:
			c.setReason(ReasonServerShutdown)
			l.finalizeSafely(c)
		}
	}
}
