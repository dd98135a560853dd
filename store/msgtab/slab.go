package msgtab

import "runtime"

// Fresh memory comes a page at a time, at the price of a fault for every 4 KiB; on a virtual machine that is more than all the rest
// of storing the twenty messages that fit. A stream that holds much in memory therefore takes its frames from slabs, for which the
// system is asked for huge pages: one fault for 2 MiB. A slab is let go when none of its frames is in use.
const (
	slabSize   = 8 << 20
	slabFrames = 64 // full-grown frames that a table has in use before it takes slabs
)

// fullFrame returns a full-grown frame for a stream that has as many in use already: one that was used before, or the next of
// a slab. A stream in files takes none: its frames are few and come and go, and one of them would keep a slab.
func (t *Table) fullFrame() []byte {
	b := t.pool.get()
	switch {
	case b != nil:
	case t.inUse < slabFrames || !t.memory:
		b = make([]byte, 0, FrameSize)
	default:
		if len(t.slab) == 0 {
			t.slab = newSlab()
		}
		b = t.slab[:0:FrameSize]
		t.slab = t.slab[FrameSize:]
	}
	t.inUse++
	return b
}

// newSlab returns memory of slabSize bytes, in huge pages if the system has them.
func newSlab() []byte {
	b := make([]byte, slabSize)
	if adviseHuge(b) {
		runtime.AddCleanup(&b[0], unadviseHuge, span(b))
	}
	return b
}
