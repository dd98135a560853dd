package queue

import "sync"

// Result says what became of a push.
type Result uint8

// The results.
const (
	Pushed Result = iota
	Full          // not accepted: the bound is reached
	Closed        // not accepted: Close was called
)

// MPSC is a bounded inbox. Create it with NewMPSC.
type MPSC[T any] struct {
	mu     sync.Mutex // leaf; guards everything below
	space  sync.Cond  // signalled when a full inbox was taken or closed
	items  []T
	bound  int
	waits  int // producers in PushWait
	closed bool

	wake func()
}

// NewMPSC returns an inbox for up to bound items. wake is called by producers, with no lock held, when
// the inbox turns from empty to not empty and by Close; it must not block. It may be nil.
func NewMPSC[T any](bound int, wake func()) *MPSC[T] {
	if bound < 1 {
		panic("queue: bound below 1")
	}
	if wake == nil {
		wake = func() {}
	}
	q := &MPSC[T]{bound: bound, wake: wake}
	q.space.L = &q.mu
	return q
}

// Push appends v unless the inbox is full or closed. It never waits.
func (q *MPSC[T]) Push(v T) Result {
	q.mu.Lock()
	if !q.closed && len(q.items) >= q.bound {
		q.mu.Unlock()
		return Full
	}
	return q.append(v)
}

// Force appends v even to a full inbox, for producers that may neither wait nor drop and whose number
// is bounded by other means.
func (q *MPSC[T]) Force(v T) Result {
	q.mu.Lock()
	return q.append(v)
}

// PushWait appends v, waiting while the inbox is full. The consumer itself must not call it.
func (q *MPSC[T]) PushWait(v T) Result {
	q.mu.Lock()
	for !q.closed && len(q.items) >= q.bound {
		q.waits++
		q.space.Wait()
		q.waits--
	}
	return q.append(v)
}

// append adds v and unlocks.
func (q *MPSC[T]) append(v T) Result {
	if q.closed {
		q.mu.Unlock()
		return Closed
	}
	q.items = append(q.items, v)
	first := len(q.items) == 1
	q.mu.Unlock()
	if first {
		q.wake()
	}
	return Pushed
}

// maxIdleCap bounds the memory that an inbox keeps after a burst, in items.
const maxIdleCap = 1024

// Take returns everything queued, in order of arrival, and leaves the inbox empty. spent is the batch
// of an earlier Take that the consumer is done with, or nil; its memory is used again. After Close,
// Take still returns what was accepted before.
func (q *MPSC[T]) Take(spent []T) []T {
	clear(spent)
	if cap(spent) > maxIdleCap && len(spent) < cap(spent)/8 {
		spent = nil
	}
	q.mu.Lock()
	batch := q.items
	q.items = spent[:0]
	if q.waits > 0 {
		q.space.Broadcast()
	}
	q.mu.Unlock()
	return batch
}

// Len returns the number of queued items.
func (q *MPSC[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

// Close refuses further pushes, releases waiting producers and wakes the consumer. It may be repeated.
func (q *MPSC[T]) Close() {
	q.mu.Lock()
	q.closed = true
	q.space.Broadcast()
	q.mu.Unlock()
	q.wake()
}
