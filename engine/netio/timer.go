package netio

import (
	"time"

	"ramjet/proto/base/wheel"
)

const tick = time.Millisecond // resolution of a loop's timers

// Timer is a pending After; Stop from the loop only.
type Timer struct {
	node wheel.Timer
	l    *Loop
	fn   func()
}

// firer is the Owner of every timer of a loop's wheel.
type firer interface{ fire(id uint8) }

// After runs fn on the loop after d (wheel resolution 1 ms). Loop only.
func (l *Loop) After(d time.Duration, fn func()) *Timer {
	t := &Timer{l: l, fn: fn}
	t.node.Owner = t
	l.wheel.Arm(&t.node, l.mono+int64(max(d, 0)))
	return t
}

// Stop cancels the timer. Loop only.
func (t *Timer) Stop() { t.l.wheel.Cancel(&t.node) }

func (t *Timer) fire(uint8) { t.l.protect(nil, t.fn) }

func fireTimer(t *wheel.Timer) { t.Owner.(firer).fire(t.ID) }

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
	if c.state == stOpen {
		c.arm(id, d)
	}
}

// StopTimer cancels timer id. Loop only.
func (c *Conn) StopTimer(id uint8) {
	if id < MaxTimers {
		c.disarm(id)
	}
}

func (c *Conn) arm(id uint8, d time.Duration) {
	c.loop.assertOwner()
	t := &c.timers[id]
	t.Owner, t.ID = c, id
	c.loop.wheel.Arm(t, c.loop.mono+int64(max(d, 0)))
}

func (c *Conn) disarm(id uint8) { c.loop.wheel.Cancel(&c.timers[id]) }

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
