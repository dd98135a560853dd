package wheel

import (
	"math/bits"
	"time"
)

const (
	slotBits = 6
	slots    = 1 << slotBits
	levels   = 6
	spanBits = slotBits * levels // ticks beyond the current span wait in the overflow list
)

// Timer is a deadline, to be embedded in what it belongs to. The zero value is not armed. An armed timer
// must not be copied or moved.
type Timer struct {
	// Owner and ID tell the callback what the timer is for; the wheel does not look at them.
	Owner any
	ID    uint8

	level uint8 // 0 = not armed, else level+1 (levels+1 = overflow)
	slot  uint8
	tick  int64
	next  *Timer // ring; the list head's prev is the tail
	prev  *Timer
}

// Armed reports whether the timer is waiting to fire.
func (t *Timer) Armed() bool { return t.level != 0 }

// Wheel holds armed timers. Create it with New.
type Wheel struct {
	tick  int64 // nanoseconds
	now   int64 // current tick: everything up to it has fired
	count int

	occupied [levels]uint64 // bit per slot
	lists    [levels][slots]*Timer
	overflow *Timer
}

// New returns a wheel with the given resolution, standing at now (nanoseconds, any origin, not negative).
func New(resolution time.Duration, now int64) *Wheel {
	if resolution <= 0 {
		panic("wheel: resolution not positive")
	}
	return &Wheel{tick: int64(resolution), now: now / int64(resolution)}
}

// Len returns the number of armed timers.
func (w *Wheel) Len() int { return w.count }

// Arm makes t fire in the first Advance to deadline (nanoseconds) or later. A deadline that is not in
// the future fires with the next tick, never in the running Advance's tick. An armed timer is moved.
func (w *Wheel) Arm(t *Timer, deadline int64) {
	if t.level != 0 {
		w.unlink(t)
		w.count--
	}
	tick := deadline / w.tick
	if deadline%w.tick > 0 {
		tick++
	}
	t.tick = max(tick, w.now+1)
	w.link(t)
	w.count++
}

// Cancel disarms t; it reports whether t was armed.
func (w *Wheel) Cancel(t *Timer) bool {
	if t.level == 0 {
		return false
	}
	w.unlink(t)
	w.count--
	return true
}

// Advance moves the wheel to now (nanoseconds) and calls fire for each timer that became due, in order
// of deadline. fire may arm and cancel any timer, this one too. It returns the number fired. A now
// before the current one does nothing.
func (w *Wheel) Advance(now int64, fire func(*Timer)) int {
	target := now / w.tick
	fired := 0
	for {
		level, at := w.nextSlot()
		if level < 0 || at > target {
			break
		}
		w.now = at
		switch {
		case level == 0:
			list := &w.lists[0][at&(slots-1)]
			for *list != nil {
				t := *list
				w.unlink(t)
				w.count--
				fired++
				fire(t)
			}
		case level == levels:
			w.spread(&w.overflow)
		default:
			w.spread(&w.lists[level][at>>(slotBits*level)&(slots-1)])
		}
	}
	w.now = max(w.now, target)
	return fired
}

// Next returns a time (nanoseconds) until which Advance has nothing to do; ok is false if no timer is
// armed. It is exact for the next 64 ticks and may be early beyond, when timers have to be filed again.
func (w *Wheel) Next() (at int64, ok bool) {
	level, tick := w.nextSlot()
	return tick * w.tick, level >= 0
}

// nextSlot finds the slot whose time begins first: its level and first tick. Higher levels win ties,
// because their timers have to come down before that tick fires.
func (w *Wheel) nextSlot() (level int, at int64) {
	level = -1
	for l := range levels {
		if w.occupied[l] == 0 {
			continue
		}
		// Slots ahead of the current one only: a timer is filed where its tick differs first.
		shift := slotBits * l
		slot := bits.TrailingZeros64(w.occupied[l])
		first := w.now>>(shift+slotBits)<<(shift+slotBits) + int64(slot)<<shift
		if level < 0 || first <= at {
			level, at = l, first
		}
	}
	if w.overflow != nil {
		if first := (w.now>>spanBits + 1) << spanBits; level < 0 || first <= at {
			level, at = levels, first
		}
	}
	return level, at
}

// spread files the timers of a list again, now that its time has begun.
func (w *Wheel) spread(list **Timer) {
	// Those of the overflow may come back to it: go round once.
	for last := (*list).prev; ; {
		t := *list
		w.unlink(t)
		w.link(t)
		if t == last {
			return
		}
	}
}

// link files t by its tick. A timer due at the current tick (possible in spread only) goes to the
// current slot of level 0, which is served next.
func (w *Wheel) link(t *Timer) {
	diff := uint64(t.tick ^ w.now)
	level := 0
	if diff != 0 {
		level = (bits.Len64(diff) - 1) / slotBits
	}
	list := &w.overflow
	if level < levels {
		t.slot = uint8(t.tick >> (slotBits * level) & (slots - 1))
		list = &w.lists[level][t.slot]
		w.occupied[level] |= 1 << t.slot
	} else {
		level = levels
	}
	t.level = uint8(level + 1)
	if head := *list; head == nil {
		*list, t.next, t.prev = t, t, t
	} else {
		t.next, t.prev = head, head.prev
		head.prev.next, head.prev = t, t
	}
}

// unlink takes t out of its list.
func (w *Wheel) unlink(t *Timer) {
	level := int(t.level) - 1
	list := &w.overflow
	if level < levels {
		list = &w.lists[level][t.slot]
	}
	if t.next == t {
		*list = nil
		if level < levels {
			w.occupied[level] &^= 1 << t.slot
		}
	} else {
		t.prev.next, t.next.prev = t.next, t.prev
		if *list == t {
			*list = t.next
		}
	}
	t.next, t.prev, t.level = nil, nil, 0
}
