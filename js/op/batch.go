package op

// Batch builds an entry. The zero value is ready; Reset keeps its memory.
type Batch struct {
	buf []byte
	n   int
}

// Mark is a position in a batch.
type Mark struct{ size, n int }

// Add appends a command; its slices are copied.
func (b *Batch) Add(c *Cmd) {
	if len(b.buf) == 0 {
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
	*b = Batch{}
	return e
}

// Mark returns the present position, for Truncate.
func (b *Batch) Mark() Mark { return Mark{len(b.buf), b.n} }

// Truncate drops the commands that were added after m was taken.
func (b *Batch) Truncate(m Mark) { b.buf, b.n = b.buf[:m.size], m.n }

// Reset empties the batch.
func (b *Batch) Reset() { b.buf, b.n = b.buf[:0], 0 }
