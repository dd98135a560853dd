package netio

import "math/bits"

// The timing wheel of a loop: six levels of 64 slots, one tick a millisecond, entries cascade down as
// their level turns. Insert and cancel are O(1) without allocation because the links lie in the
// timer itself; finding the next deadline looks at one bitmap per level.
const (
	wheelBits   = 6
	wheelSlots  = 1 << wheelBits
	wheelLevels = 6
	maxTicks    = 1<<(wheelBits*wheelLevels) - 1
	tickNanos   = 1_000_000
)

// firer is called when a timer that it owns fires, on the loop.
type firer interface{ fire(id uint8) }

// timerNode is one timer, linked into its slot while pending. Loop only.
type timerNode struct {
	next, prev *timerNode
	owner      firer
	when       int64 // tick
	slot       int16 // level*wheelSlots+slot
	id         uint8
}

func (t *timerNode) pending() bool { return t.next != nil }

// wheel is owned by one loop.
type wheel struct {
	now   int64 // last tick that fired
	count int
	used  [wheelLevels]uint64
	slots [wheelLevels * wheelSlots]timerNode // list heads
}

// arm (re)schedules t at the given tick; a tick that has passed fires at the next advance.
func (w *wheel) arm(t *timerNode, when int64) {
	w.cancel(t)
	if when <= w.now {
		when = w.now + 1
	}
	if when-w.now > maxTicks {
		when = w.now + maxTicks
	}
	t.when = when
	w.count++
	w.link(t)
}

func (w *wheel) link(t *timerNode) {
	level := 0
	if diff := uint64(t.when ^ w.now); diff != 0 {
		level = (bits.Len64(diff) - 1) / wheelBits
	}
	if level >= wheelLevels {
		level = wheelLevels - 1
	}
	slot := int(t.when>>(level*wheelBits)) & (wheelSlots - 1)
	w.used[level] |= 1 << slot
	t.slot = int16(level*wheelSlots + slot)
	head := &w.slots[t.slot]
	if head.next == nil {
		head.next, head.prev = head, head
	}
	t.prev, t.next = head.prev, head
	head.prev.next = t
	head.prev = t
}

// cancel removes t if it is pending.
func (w *wheel) cancel(t *timerNode) {
	if t.next == nil {
		return
	}
	w.unlink(t)
	w.count--
}

func (w *wheel) unlink(t *timerNode) {
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev = nil, nil
	if head := &w.slots[t.slot]; head.next == head {
		w.used[int(t.slot)/wheelSlots] &^= 1 << (int(t.slot) % wheelSlots)
	}
}

// next returns the first tick at which advance may have something to do (a timer or a cascade).
func (w *wheel) next() (int64, bool) {
	if w.count == 0 {
		return 0, false
	}
	best, ok := int64(0), false
	for level := range wheelLevels {
		m := w.used[level]
		if m == 0 {
			continue
		}
		shift := level * wheelBits
		cur := w.now >> shift
		at := cur & (wheelSlots - 1)
		// slots after the current one in this rotation, else in the next
		ahead := bits.RotateLeft64(m, -int(at+1)&63)
		tick := (cur + 1 + int64(bits.TrailingZeros64(ahead))) << shift
		if !ok || tick < best {
			best, ok = tick, true
		}
	}
	return best, ok
}

// advance moves to tick now and fires what is due, in order of tick.
func (w *wheel) advance(now int64) {
	for w.now < now {
		tick, ok := w.next()
		if !ok || tick > now {
			w.now = now
			return
		}
		w.now = tick
		for level := wheelLevels - 1; level > 0; level-- {
			shift := level * wheelBits
			if tick&(1<<shift-1) != 0 {
				continue
			}
			w.cascade(level*wheelSlots + int(tick>>shift)&(wheelSlots-1))
		}
		w.expire(int(tick) & (wheelSlots - 1))
	}
}

// cascade moves the entries of a slot whose time has come to finer levels.
func (w *wheel) cascade(slot int) {
	head := &w.slots[slot]
	if head.next == nil || head.next == head {
		return
	}
	first, last := head.next, head.prev
	head.next, head.prev = head, head
	w.used[slot/wheelSlots] &^= 1 << (slot % wheelSlots)
	last.next = nil
	for t := first; t != nil; {
		next := t.next
		w.link(t)
		t = next
	}
}

func (w *wheel) expire(slot int) {
	head := &w.slots[slot]
	for head.next != nil && head.next != head {
		t := head.next
		w.unlink(t)
		w.count--
		t.owner.fire(t.id)
	}
}
