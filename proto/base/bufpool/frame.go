package bufpool

import "sync/atomic"

// Frame is a reference-counted buffer. It must not be copied.
type Frame struct {
	// B is the buffer: Get sets its length, the capacity is that of the size class. The holder may
	// reslice it; the pool keeps the whole buffer by itself.
	B []byte

	buf   []byte // whole buffer of the class, length = capacity
	refs  atomic.Int32
	class int8 // index into pools, or plain
}

// Get returns a frame with len(B) == n and one reference. The bytes are not zeroed.
func Get(n int) *Frame {
	c := classOf(n)
	if c == plain {
		f := &Frame{B: make([]byte, n), class: plain}
		f.buf = f.B
		f.refs.Store(1)
		return f
	}
	f := take(c)
	f.B = f.buf[:n]
	f.refs.Store(1)
	return f
}

// Retain adds a reference. The caller must hold one.
func (f *Frame) Retain() {
	if f.refs.Add(1) <= 1 {
		panic("bufpool: Retain of a free frame")
	}
}

// Release drops a reference; the last one returns the buffer to its pool, after which neither the
// frame nor its bytes may be touched.
func (f *Frame) Release() {
	// The only holder needs no read-modify-write: nobody else can reach the frame.
	if f.refs.Load() == 1 {
		f.refs.Store(0)
	} else if n := f.refs.Add(-1); n > 0 {
		return
	} else if n < 0 {
		panic("bufpool: Release of a free frame")
	}
	f.B = nil
	recycle(f)
}

// Size returns the memory of the whole buffer in bytes; it never changes, not even by Release.
func (f *Frame) Size() int { return len(f.buf) }

// Shared reports whether anyone but the caller holds a reference. A false answer stays true as long
// as the caller does not hand out references itself.
func (f *Frame) Shared() bool { return f.refs.Load() != 1 }
