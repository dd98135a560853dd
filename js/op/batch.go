package op

// Batch builds an entry. The zero value is ready; Reset keeps its memory.
type Batch struct {
	buf []byte
	n   int
	mem *Buffers
}

// NewBatch returns a batch that takes its memory from mem, which may be nil.
func NewBatch(mem *Buffers) *Batch { return &Batch{mem: mem} }

// Mark is a position in a batch.
type Mark struct{ size, n int }

// Add appends a command; its slices are copied.
func (b *Batch) Add(c *Cmd) {
	if len(b.buf) == 0 {
		if b.buf == nil {
			b.buf = b.mem.get()
		}
		b.buf = append(b.buf, Version)
	}
	b.buf = Append(b.buf, c)
	b.n++
}

// Len returns the number of commands, Size the bytes of the entry.
func (b *Batch) Len() int { return b.n }

// Size returns the bytes of the entry.
func (b *Batch) Size() int { return len(b.buf) }

// Bytes returns the entry, valid until the next call; nil if it has no command.
func (b *Batch) Bytes() []byte {
	if b.n == 0 {
		return nil
	}
	return b.buf
}

// Take returns the entry and leaves the batch empty: the caller owns it.
func (b *Batch) Take() []byte {
	e := b.Bytes()
	b.buf, b.n = nil, 0
	return e
}

// Mark returns the present position, for Truncate.
func (b *Batch) Mark() Mark { return Mark{len(b.buf), b.n} }

// Truncate drops the commands that were added after m was taken.
func (b *Batch) Truncate(m Mark) { b.buf, b.n = b.buf[:m.size], m.n }

// Reset empties the batch.
func (b *Batch) Reset() { b.buf, b.n = b.buf[:0], 0 }

// Free empties the batch and gives its memory back.
func (b *Batch) Free() {
	b.mem.put(b.buf)
	b.buf, b.n = nil, 0
}
