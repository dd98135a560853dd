package clock

import (
	"container/heap"
	"sync"
	"time"
)

// Manual is a clock that stands still until Advance. Callbacks run in the order of their deadlines,
// those of equal deadline in the order in which they were armed, so a run is repeatable.
type Manual struct {
	mu     sync.Mutex // leaf; guards everything below
	now    time.Time
	seq    uint64
	timers timerHeap
}

// NewManual returns a clock that shows start, without monotonic reading.
func NewManual(start time.Time) *Manual { return &Manual{now: start.Round(0)} }

// Now returns the time set by the last Advance; within a callback, the deadline of that callback.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// AfterFunc arms fn for d from now; see Clock.
func (m *Manual) AfterFunc(d time.Duration, fn func()) Timer {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seq++
	t := &manualTimer{clock: m, at: m.now.Add(max(d, 0)), seq: m.seq, fn: fn}
	heap.Push(&m.timers, t)
	return t
}

// Advance moves the clock by d and runs every callback that becomes due, also those armed by callbacks.
// The clock shows the deadline of each while it runs. Advance(0) runs what is due now. Only one
// goroutine may advance at a time.
func (m *Manual) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	end := m.now.Add(d)
	for len(m.timers) > 0 && !m.timers[0].at.After(end) {
		t := heap.Pop(&m.timers).(*manualTimer)
		if t.at.After(m.now) {
			m.now = t.at
		}
		m.call(t.fn)
	}
	if end.After(m.now) {
		m.now = end
	}
}

// call runs fn without the lock, and takes it again even if fn panics.
func (m *Manual) call(fn func()) {
	m.mu.Unlock()
	defer m.mu.Lock()
	fn()
}

// Next returns the deadline of the earliest timer; ok is false if there is none.
func (m *Manual) Next() (at time.Time, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.timers) == 0 {
		return time.Time{}, false
	}
	return m.timers[0].at, true
}

// Pending returns the number of armed timers.
func (m *Manual) Pending() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.timers)
}

type manualTimer struct {
	clock *Manual
	at    time.Time
	seq   uint64
	fn    func()
	index int // in the heap; -1 when fired or stopped
}

// Stop disarms the timer.
func (t *manualTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	if t.index < 0 {
		return false
	}
	heap.Remove(&t.clock.timers, t.index)
	return true
}

type timerHeap []*manualTimer

func (h timerHeap) Len() int { return len(h) }

func (h timerHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].seq < h[j].seq
}

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	t := x.(*manualTimer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timerHeap) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	t.index = -1
	return t
}
