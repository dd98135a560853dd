package link

import (
	"sync"
	"time"

	"ramjet/engine"
	"ramjet/engine/interest"
	"ramjet/engine/netio"
)

// Bounds of a stall (reference/protocol.md, section 10): per slow target, and in all per read.
const (
	stallEach = 2 * time.Millisecond
	stallFull = 5 * time.Millisecond
	stallMost = 10 * time.Millisecond
	// stallLogEvery limits the warning about stalled producers, per connection.
	stallLogEvery = int64(time.Second)
)

// stallState is the pause of a producer whose targets do not keep up; allocated at its first stall. Loop.
type stallState struct {
	on     bool
	since  int64 // start of the pause, unix nanoseconds
	wait   int   // targets still above their soft limit
	gen    uint32
	logged int64
	total  int64 // nanoseconds since the last log line
	own    bool  // this stall is for its own output
	others bool  // it is, or is also, for targets that are slow
}

// What a client may leave unread of the output that it causes itself (answers to PING, +OK, its own messages) before it is read
// less often, in bytes; the second while the output of all slow consumers is over the budget of the process: then it is not read
// again before it has read.
const (
	ownBacklog = 1 << 20
	ownPressed = 256 << 10
	ownLarge   = 8 << 20 // from here on each pause is stallFull instead of stallEach
)

// drainList is who waits for a connection's queue to fall below its soft limit; mu is a leaf.
type drainList struct {
	mu      sync.Mutex
	waiting map[*Conn]uint32 // producer -> the stall it is in
}

// StallFor stops reading from c until the slow targets have drained, for a bounded time: other clients,
// and queues in the server. Loop, after an operation whose deliveries answered OverSoft.
func (c *Conn) StallFor(targets []interest.Sink) {
	if c.state != feeding {
		return
	}
	s := c.stall
	if s == nil {
		s = &stallState{}
		c.stall = s
	}
	if s.on {
		return
	}
	s.gen++
	s.wait = 0
	var d time.Duration
	for _, t := range targets {
		q := linkOf(t)
		if q == nil { // a queue in the server: it does not tell when it has drained, the time is over then
			s.wait++
			d += stallEach
			continue
		}
		if q == c || q.kind != engine.Client || !q.waitDrain(c, s.gen) {
			continue
		}
		s.wait++
		d += stallEach
		if soft, hard := q.pendingLimits(); hard > soft && q.out.Pending() >= hard {
			d += stallFull - stallEach
		}
	}
	if s.wait == 0 {
		return
	}
	s.on, s.others, s.since = true, true, c.env.Clock.Now().UnixNano()
	c.stats.stalls.Add(1)
	c.env.shared.stalled.Add(1)
	c.nc.PauseRead()
	c.nc.SetTimer(TimerStall, min(d, stallMost))
}

// linkOf returns the connection that t delivers to, nil if it is none.
func linkOf(t interest.Sink) *Conn {
	switch x := t.(type) {
	case *Conn:
		return x
	case interface{ Link() *Conn }:
		return x.Link()
	}
	return nil
}

// checkOwn slows a client down that does not read what it causes. pending is what its outbox holds. Loop, at the end of a feed, before
// its counters are folded.
func (c *Conn) checkOwn(pending int64) {
	if c.kind != engine.Client || c.state != feeding {
		return
	}
	l := c.lane
	own := l.sent
	if t := &l.total.slots[c.id%tallySlots]; t.c == c {
		own += t.bytes
	}
	pressed := c.env.Group.Pressed()
	if own == 0 || !pressed && pending <= ownBacklog {
		return
	}
	s := c.stall
	if s == nil {
		s = &stallState{}
		c.stall = s
	}
	if s.on {
		// Its targets are slow, and it is one of them: that pause ends after a few milliseconds, this one must not.
		if pressed && pending > ownPressed && !s.own {
			s.own = true
			s.wait++
			c.waitDrain(c, s.gen)
		}
		return
	}
	d := stallEach
	switch {
	case pressed:
		d = stallMost
	case pending > ownLarge:
		d = stallFull
	}
	s.gen++
	s.wait, s.on, s.own = 1, true, true
	c.waitDrain(c, s.gen)
	c.nc.PauseRead()
	c.nc.SetTimer(TimerStall, d)
}

// onStallTimer ends a stall whose time is over, unless it is for its own output and the process is still over its budget. Loop.
func (c *Conn) onStallTimer() {
	if s := c.stall; s != nil && s.on && s.own && c.env.Group.Pressed() && c.out.Pending() > ownPressed {
		c.nc.SetTimer(TimerStall, stallMost)
		return
	}
	c.endStall()
}

// waitDrain registers w to be told when c has drained; false when it already has.
func (c *Conn) waitDrain(w *Conn, gen uint32) bool {
	l := c.drain.Load()
	if l == nil {
		l = &drainList{}
		if !c.drain.CompareAndSwap(nil, l) {
			l = c.drain.Load()
		}
	}
	l.mu.Lock()
	if l.waiting == nil {
		l.waiting = make(map[*Conn]uint32)
	}
	l.waiting[w] = gen
	l.mu.Unlock()
	// Checked after registering: a drain that happened before is seen here, a later one finds us.
	return c.out.Slow()
}

// OnDrain implements netio.Handler: producers that wait for this connection continue.
func (c *Conn) OnDrain(*netio.Conn) { c.wakeStalled() }

// wakeStalled tells everybody who waits for the queue of c.
func (c *Conn) wakeStalled() {
	l := c.drain.Load()
	if l == nil {
		return
	}
	l.mu.Lock()
	w := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	for p, gen := range w {
		p.nc.Loop().PostFrom(c.loop, func() { p.targetDrained(gen) })
	}
}

// targetDrained counts down the targets of the stall gen. Loop.
func (c *Conn) targetDrained(gen uint32) {
	s := c.stall
	if s == nil || !s.on || s.gen != gen {
		return
	}
	if s.wait--; s.wait <= 0 {
		c.nc.StopTimer(TimerStall)
		c.endStall()
	}
}

// endStall reads from c again. Loop.
func (c *Conn) endStall() {
	s := c.stall
	if s == nil || !s.on {
		return
	}
	others := s.others
	s.on, s.own, s.others = false, false, false
	if !others {
		c.nc.ResumeRead()
		return
	}
	now := c.env.Clock.Now().UnixNano()
	s.total += now - s.since
	if now-s.logged >= stallLogEvery {
		c.Logf(engine.Warn, "RJ-L001", "Producer was stalled for a total of %v", time.Duration(s.total).Round(time.Microsecond))
		s.logged, s.total = now, 0
	}
	c.nc.ResumeRead()
}
