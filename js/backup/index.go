package backup

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash"
	"math"
	"math/bits"
)

// indexReader takes index.db in pieces of any size: magic and version; state of the stream; subjects; blocks, with a
// set of deleted sequences each; the last block and its checksum; a checksum of all of it. It holds one of these
// things at most, as an index has any number of subjects.
type indexReader struct {
	d       *deletions
	sum     hash.Hash64
	left    int64 // bytes before the checksum to come
	buf     []byte
	tail    []byte // the checksum
	part    indexPart
	version byte
	count   uint64 // subjects or blocks to come
	nodes   uint64 // of a set to come
	words   int    // of a node's bits
	prev    uint64 // the last sequence of the blocks so far
	failed  error
}

// indexPart is what comes next in an index.
type indexPart uint8

const (
	indexState indexPart = iota
	indexSubject
	indexBlocks // their number
	indexBlock
	indexNode
	indexEnd
	indexDone
)

const (
	indexMagic   = 11
	indexVersion = 4 // the newest
	setMagic     = 22
	maxIndexItem = 80 << 10 // a subject and some numbers
)

func newIndexReader(d *deletions, size int64, sum hash.Hash64) (*indexReader, error) {
	if size < 2+sumLen {
		return nil, fmt.Errorf("%w: %s is too short", ErrDamaged, fileIndex)
	}
	return &indexReader{d: d, sum: sum, left: size - sumLen}, nil
}

// feed takes the next piece. What is wrong is told at the end, after a wrong checksum.
func (r *indexReader) feed(b []byte) error {
	n := min(r.left, int64(len(b)))
	r.left -= n
	r.sum.Write(b[:n])
	r.tail = append(r.tail, b[n:]...)
	if r.failed == nil {
		r.failed = r.parse(b[:n])
	}
	return nil
}

func (r *indexReader) close() error {
	if !bytes.Equal(r.sum.Sum(nil), r.tail) {
		return fmt.Errorf("%w: of %s", ErrChecksum, fileIndex)
	}
	if r.failed != nil {
		return r.failed
	}
	if r.part != indexDone || len(r.buf) > 0 {
		return errIndex()
	}
	if r.prev < r.d.idxLast {
		r.d.index.AddRange(r.prev+1, r.d.idxLast)
	}
	r.d.indexed = true
	return nil
}

func errIndex() error { return fmt.Errorf("%w: content of %s", ErrDamaged, fileIndex) }

func (r *indexReader) parse(b []byte) error {
	r.buf = append(r.buf, b...)
	n := numbers{b: r.buf}
	for len(n.b) > 0 {
		at := n
		if err := r.next(&n); err != nil {
			return err
		}
		if n.cut && len(at.b) < maxIndexItem && r.left > 0 {
			n = at
			break
		}
		if n.bad {
			return errIndex()
		}
	}
	r.buf = r.buf[:copy(r.buf, n.b)]
	return nil
}

// next reads what comes next; if n is bad, nothing happened.
func (r *indexReader) next(n *numbers) error {
	switch r.part {
	case indexState:
		return r.state(n)
	case indexSubject:
		n.take(n.uint())
		total := n.uint()
		n.uint() // first block
		if total > 1 || r.version >= 4 {
			n.uint() // last block
		}
		if !n.bad {
			r.counted(indexBlocks)
		}
	case indexBlocks:
		if v := n.uint(); !n.bad {
			r.part, r.count = indexBlock, v+1
			r.counted(indexEnd)
		}
	case indexBlock:
		return r.block(n)
	case indexNode:
		return r.node(n)
	case indexEnd:
		n.uint() // the last block
		n.take(sumLen)
		if !n.bad {
			r.part = indexDone
		}
	case indexDone:
		return errIndex()
	}
	return nil
}

// counted goes on to the next part after the last of the things that are counted.
func (r *indexReader) counted(next indexPart) {
	if r.count--; r.count == 0 {
		r.part = next
	}
}

func (r *indexReader) state(n *numbers) error {
	head := n.take(2)
	n.uint() // messages
	n.uint() // bytes
	first := n.uint()
	n.int() // time of the first
	last := n.uint()
	n.int() // time of the last
	subjects := n.uint()
	switch {
	case n.bad:
		return nil
	case head[0] != indexMagic || head[1] == 0 || head[1] > indexVersion:
		return fmt.Errorf("%w: %s of version %d", ErrUnsupported, fileIndex, head[1])
	case last == math.MaxUint64:
		return errIndex()
	}
	r.version, r.d.idxFirst, r.d.idxLast = head[1], first, last
	if first > 0 {
		r.prev = first - 1
	}
	r.part, r.count = indexSubject, subjects+1
	r.counted(indexBlocks)
	return nil
}

// block reads what is said of a block: its sequences and how many of them are deleted, followed by the head of a set:
// magic, version, nodes and size (4 bytes each, little endian).
func (r *indexReader) block(n *numbers) error {
	n.uint() // number of the block
	n.uint() // bytes
	first := n.uint()
	n.int() // time of the first
	last := n.uint()
	n.int() // time of the last
	deleted := n.uint()
	if r.version >= 2 {
		n.uint() // messages with a lifetime
	}
	if r.version >= 3 {
		n.uint() // schedules
	}
	var head []byte
	if deleted > 0 {
		head = n.take(10)
	}
	if n.bad {
		return nil
	}
	if last == math.MaxUint64 {
		return errIndex()
	}
	r.nodes = 0
	if deleted > 0 {
		r.nodes = uint64(binary.LittleEndian.Uint32(head[2:]))
		r.words = map[byte]int{1: 64, 2: 32}[head[1]]
		if head[0] != setMagic || r.words == 0 {
			return errIndex()
		}
	}
	if first > r.prev+1 {
		r.d.index.AddRange(r.prev+1, first-1)
	}
	r.prev = max(r.prev, last)
	if r.nodes > 0 {
		r.part = indexNode
	} else {
		r.counted(indexEnd)
	}
	return r.d.bounded(&r.d.index)
}

// node reads a node of a set: its base (8 bytes), its bits and its height (2); little endian.
func (r *indexReader) node(n *numbers) error {
	b := n.take(uint64(8 + 8*r.words + 2))
	if n.bad {
		return nil
	}
	base := binary.LittleEndian.Uint64(b)
	if base > math.MaxUint64-uint64(r.words)*64 {
		return errIndex()
	}
	for w := range r.words {
		for v := binary.LittleEndian.Uint64(b[8+8*w:]); v != 0; v &= v - 1 {
			r.d.index.Add(base + uint64(w)*64 + uint64(bits.TrailingZeros64(v)))
		}
	}
	if r.nodes--; r.nodes == 0 {
		r.part = indexBlock
		r.counted(indexEnd)
	}
	return r.d.bounded(&r.d.index)
}
