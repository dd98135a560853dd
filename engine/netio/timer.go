package netio

import "time"

// Timer is a pending After; Stop from the loop only.
type Timer struct {
	node timerNode
	l    *Loop
	fn   func()
}

// After runs fn on the loop after d (wheel resolution about 1 ms). Loop only.
func (l *Loop) After(d time.Duration, fn func()) *Timer {
	t := &Timer{l: l, fn: fn}
	t.node.owner = t
	l.wheel.arm(&t.node, l.tickAfter(d))
	return t
}

// Stop cancels the timer. Loop only.
func (t *Timer) Stop() { t.l.wheel.cancel(&t.node) }

func (t *Timer) fire(uint8) { t.l.protect(nil, t.fn) }

// tickAfter rounds up, so that a timer never fires early.
func (l *Loop) tickAfter(d time.Duration) int64 {
	if d < 0 {
		d = 0
	}
	return (l.mono + int64(d) + tickNanos - 1) / tickNanos
}

// Internal timers of a connection follow those of the handler.
const (
	timerWrite = MaxTimers + iota // write deadline, bound of a close, end of lingering
	numTimers
)

// SetTimer (re)arms timer id (0..MaxTimers-1). Loop only, no allocation.
func (c *Conn) SetTimer(id uint8, d time.Duration) {
	if id >= MaxTimers {
		panic("netio: no such timer")
	}
	if c.state != stOpen {
		return
	}
	c.arm(id, d)
}

// StopTimer cancels timer id. Loop only.
func (c *Conn) StopTimer(id uint8) {
	if id < MaxTimers {
		c.loop.wheel.cancel(&c.timers[id])
	}
}

func (c *Conn) arm(id uint8, d time.Duration) {
	t := &c.timers[id]
	t.owner, t.id = c, id
	c.loop.wheel.arm(t, c.loop.tickAfter(d))
}

// fire is called by the wheel.
func (c *Conn) fire(id uint8) {
	defer c.loop.recover(c)
	if id == timerWrite {
		c.onWriteTimer()
		return
	}
	if c.state == stOpen {
		c.h.OnTimer(c, id)
	}
}
