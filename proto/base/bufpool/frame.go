package bufpool

// contract stub: replaced by the owner of proto/base

// Frame is a reference-counted buffer.
type Frame struct {
	B []byte // full-capacity buffer of the size class, len set by the user
}

// Get returns a frame with len(B) == n and one reference.
func Get(n int) *Frame { return &Frame{B: make([]byte, n)} }

// Retain adds a reference.
func (f *Frame) Retain() {}

// Release drops a reference; the last one returns the buffer to its pool.
func (f *Frame) Release() {}

// Shared reports whether anyone but the caller holds a reference.
func (f *Frame) Shared() bool { return true }
