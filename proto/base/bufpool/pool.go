package bufpool

import (
	"math/bits"
	"sync"
)

// Two classes per doubling (2^k and 1.5*2^k bytes), so that at most a third of a buffer is unused.
const (
	minShift = 6  // smallest class: 64 bytes
	maxShift = 20 // largest class: 1 MiB
	classes  = 2*(maxShift-minShift) + 1

	plain = -1
)

// MaxClass is the largest pooled buffer in bytes.
const MaxClass = 1 << maxShift

// pools holds free frames with their buffers; idle ones are dropped by the garbage collector.
var pools [classes]sync.Pool

// classOf returns the smallest class that holds n bytes, or plain.
func classOf(n int) int8 {
	if n <= 1<<minShift {
		return 0
	}
	if n > MaxClass {
		return plain
	}
	shift := bits.Len(uint(n - 1)) // 2^(shift-1) < n <= 2^shift
	c := int8(2 * (shift - minShift))
	if n <= 3<<(shift-2) {
		c--
	}
	return c
}

// classSize is the capacity of class c in bytes.
func classSize(c int8) int {
	if c&1 == 0 {
		return 1 << (minShift + c/2)
	}
	return 3 << (minShift + c/2 - 1)
}

// Cap returns the capacity that Get(n) would give: what a caller can fill without waste.
func Cap(n int) int {
	c := classOf(n)
	if c == plain {
		return n
	}
	return classSize(c)
}

func take(c int8) *Frame {
	if f, ok := pools[c].Get().(*Frame); ok {
		return f
	}
	return &Frame{buf: make([]byte, classSize(c)), class: c}
}
