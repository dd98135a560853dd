package backup

import (
	"encoding/binary"
	"fmt"
	"hash"
	"math"
	"math/bits"

	"ramjet/store/seqset"
)

// maxNodes bounds the nodes of a set of deleted sequences, each of which stands for 2048 sequences or a run of them.
const maxNodes = 1 << 20

// deletions is what a backup of the older format says of deleted messages: first in its blocks, then in its index,
// which counts if it is not older than the blocks.
type deletions struct {
	first    uint64     // the first message in the blocks; 0 = none
	last     uint64     // the highest message or used sequence in the blocks
	tombs    seqset.Set // deletions told in the blocks
	maxTomb  uint64
	indexed  bool
	idxFirst uint64
	idxLast  uint64
	index    seqset.Set // deletions told in the index
}

// stored notes a message and reports whether it is in order; others are left overs of a rewritten block.
func (d *deletions) stored(seq uint64) bool {
	if seq <= d.last {
		return false
	}
	if d.first == 0 {
		d.first = seq
	}
	d.last = seq
	return true
}

// removed notes a deletion. Erased records stand where the message was and use its sequence up.
func (d *deletions) removed(seq uint64, erased bool) error {
	if erased {
		d.last = max(d.last, seq)
		return nil
	}
	if seq == 0 {
		return nil
	}
	d.tombs.Add(seq)
	d.maxTomb = max(d.maxTomb, seq)
	return d.bounded(&d.tombs)
}

func (d *deletions) bounded(s *seqset.Set) error {
	if s.Nodes() > maxNodes {
		return fmt.Errorf("%w: too many deleted messages", ErrTooLarge)
	}
	return nil
}

// bounds returns first and last sequence of the stream; wanted is what the first should at least be.
func (d *deletions) bounds(wanted uint64) (first, last uint64) {
	first, last = max(wanted, d.first), max(d.last, d.maxTomb)
	if d.indexed {
		first, last = max(first, d.idxFirst), max(last, d.idxLast)
	}
	if d.first == 0 && last > 0 || first > last { // no messages
		first = last + 1
		if last == 0 {
			first = 0
		}
	}
	return first, last
}

// ranges calls fn with the deleted sequences from first to last.
func (d *deletions) ranges(first, last uint64, fn func(from, to uint64) error) (err error) {
	set := &d.index
	if !d.indexed || d.idxLast < d.last {
		set = &d.tombs
		d.index.Ranges(func(lo, hi uint64) bool {
			set.AddRange(lo, hi)
			return true
		})
	}
	set.Ranges(func(lo, hi uint64) bool {
		lo, hi = max(lo, first), min(hi, last)
		if lo <= hi && first <= last {
			err = fn(lo, hi)
		}
		return err == nil
	})
	return err
}

// readIndex reads index.db: magic and version; state of the stream; subjects; blocks, with a set of deleted sequences
// each; the last block and its checksum; a checksum of all of it.
func (d *deletions) readIndex(b []byte, sum hash.Hash64) error {
	const magic, maxVersion = 11, 4
	if len(b) < 2+sumLen {
		return fmt.Errorf("%w: %s is too short", ErrDamaged, fileIndex)
	}
	body := b[:len(b)-sumLen]
	sum.Write(body)
	if string(sum.Sum(nil)) != string(b[len(body):]) {
		return fmt.Errorf("%w: of %s", ErrChecksum, fileIndex)
	}
	version := body[1]
	if body[0] != magic || version == 0 || version > maxVersion {
		return fmt.Errorf("%w: %s of version %d", ErrUnsupported, fileIndex, version)
	}
	n := numbers{b: body[2:]}
	n.uint() // messages
	n.uint() // bytes
	d.idxFirst = n.uint()
	n.int() // time of the first
	d.idxLast = n.uint()
	n.int() // time of the last
	for i := n.count(); i > 0 && !n.bad; i-- {
		n.skip(n.count())
		total := n.uint()
		n.uint() // first block
		if total > 1 || version >= 4 {
			n.uint() // last block
		}
	}
	prev := uint64(0)
	if d.idxFirst > 0 {
		prev = d.idxFirst - 1
	}
	for i := n.count(); i > 0 && !n.bad; i-- {
		first, last, deleted := n.indexBlock(version)
		if last == math.MaxUint64 || n.bad {
			return errIndex()
		}
		if first > prev+1 {
			d.index.AddRange(prev+1, first-1)
		}
		prev = max(prev, last)
		if deleted > 0 {
			n.sequences(&d.index)
		}
		if err := d.bounded(&d.index); err != nil {
			return err
		}
	}
	n.uint() // the last block
	n.skip(sumLen)
	if n.bad || len(n.b) > 0 || d.idxLast == math.MaxUint64 {
		return errIndex()
	}
	if prev < d.idxLast {
		d.index.AddRange(prev+1, d.idxLast)
	}
	d.indexed = true
	return nil
}

func errIndex() error { return fmt.Errorf("%w: content of %s", ErrDamaged, fileIndex) }

// numbers reads a document of variable-length numbers.
type numbers struct {
	b   []byte
	bad bool
}

func (n *numbers) uint() uint64 {
	v, k := binary.Uvarint(n.b)
	if k <= 0 {
		n.bad, n.b = true, nil
		return 0
	}
	n.b = n.b[k:]
	return v
}

func (n *numbers) int() int64 {
	v, k := binary.Varint(n.b)
	if k <= 0 {
		n.bad, n.b = true, nil
		return 0
	}
	n.b = n.b[k:]
	return v
}

// count reads the number of things of at least one byte that follow.
func (n *numbers) count() int {
	v := n.uint()
	if v > uint64(len(n.b)) {
		n.bad, n.b = true, nil
		return 0
	}
	return int(v)
}

func (n *numbers) skip(k int) {
	if k > len(n.b) {
		n.bad, n.b = true, nil
		return
	}
	n.b = n.b[k:]
}

// indexBlock reads what the index says of a block.
func (n *numbers) indexBlock(version byte) (first, last, deleted uint64) {
	n.uint() // number of the block
	n.uint() // bytes
	first = n.uint()
	n.int() // time of the first
	last = n.uint()
	n.int() // time of the last
	deleted = n.uint()
	if version >= 2 {
		n.uint() // messages with a lifetime
	}
	if version >= 3 {
		n.uint() // schedules
	}
	return first, last, deleted
}

// sequences reads a set: magic, version, nodes and size (4 bytes each), and for each node its base (8), its bits and
// its height (2); little endian.
func (n *numbers) sequences(s *seqset.Set) {
	const magic, head = 22, 10
	if len(n.b) < head || n.b[0] != magic {
		n.bad = true
		return
	}
	words := 0
	switch n.b[1] {
	case 1:
		words = 64
	case 2:
		words = 32
	default:
		n.bad = true
		return
	}
	nodes := uint64(binary.LittleEndian.Uint32(n.b[2:]))
	each := (words+1)*8 + 2
	n.b = n.b[head:]
	if nodes > uint64(len(n.b)/each) {
		n.bad = true
		return
	}
	for ; nodes > 0 && s.Nodes() <= maxNodes; nodes-- {
		base := binary.LittleEndian.Uint64(n.b)
		if base > math.MaxUint64-uint64(words)*64 {
			n.bad = true
			return
		}
		for w := range words {
			for v := binary.LittleEndian.Uint64(n.b[8+8*w:]); v != 0; v &= v - 1 {
				s.Add(base + uint64(w)*64 + uint64(bits.TrailingZeros64(v)))
			}
		}
		n.b = n.b[each:]
	}
}
