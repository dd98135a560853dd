package queue

import (
	"math/bits"
	"sync/atomic"
)

// cacheLine keeps the two sides' words apart: 64 bytes, doubled for the adjacent-line prefetcher.
const cacheLine = 128

// SPSC is a bounded ring for one producer and one consumer. Create it with NewSPSC.
type SPSC[T any] struct {
	buf  []T
	mask uint64

	_    [cacheLine]byte
	head atomic.Uint64 // next to pop; written by the consumer
	seen uint64        // consumer's last view of tail
	_    [cacheLine]byte
	tail atomic.Uint64 // next to push; written by the producer
	room uint64        // producer's last view of head
	_    [cacheLine]byte
}

// NewSPSC returns a ring with a capacity of at least n, rounded up to a power of two.
func NewSPSC[T any](n int) *SPSC[T] {
	if n < 1 {
		panic("queue: capacity below 1")
	}
	size := 1 << bits.Len(uint(n-1))
	return &SPSC[T]{buf: make([]T, size), mask: uint64(size - 1)}
}

// Push appends v; false if the ring is full. Producer only.
func (q *SPSC[T]) Push(v T) bool {
	tail := q.tail.Load()
	if tail-q.room > q.mask {
		q.room = q.head.Load()
		if tail-q.room > q.mask {
			return false
		}
	}
	q.buf[tail&q.mask] = v
	q.tail.Store(tail + 1)
	return true
}

// Pop removes the oldest item; false if the ring is empty. Consumer only.
func (q *SPSC[T]) Pop() (v T, ok bool) {
	head := q.head.Load()
	if head == q.seen {
		q.seen = q.tail.Load()
		if head == q.seen {
			return v, false
		}
	}
	slot := &q.buf[head&q.mask]
	v = *slot
	var zero T
	*slot = zero
	q.head.Store(head + 1)
	return v, true
}

// PopBatch moves up to len(dst) items into dst and returns their number. Consumer only.
func (q *SPSC[T]) PopBatch(dst []T) int {
	head := q.head.Load()
	q.seen = q.tail.Load()
	n := min(len(dst), int(q.seen-head))
	var zero T
	for i := range n {
		slot := &q.buf[(head+uint64(i))&q.mask]
		dst[i] = *slot
		*slot = zero
	}
	q.head.Store(head + uint64(n))
	return n
}

// Len returns the number of items, a moment ago if the other side is active.
func (q *SPSC[T]) Len() int {
	head := q.head.Load() // before tail, so that the difference is never negative
	return int(q.tail.Load() - head)
}

// Cap returns the capacity.
func (q *SPSC[T]) Cap() int { return len(q.buf) }
