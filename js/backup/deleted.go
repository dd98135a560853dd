package backup

import (
	"encoding/binary"
	"fmt"

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

// numbers reads variable-length numbers. After one that is none, or is cut, all are 0.
type numbers struct {
	b   []byte
	bad bool
	cut bool // bad, because there is not enough
}

func (n *numbers) advance(k int) bool {
	if k <= 0 || n.bad {
		n.cut = n.cut || k == 0 && !n.bad
		n.bad, n.b = true, nil
		return false
	}
	n.b = n.b[k:]
	return true
}

func (n *numbers) uint() uint64 {
	v, k := binary.Uvarint(n.b)
	if !n.advance(k) {
		return 0
	}
	return v
}

func (n *numbers) int() int64 {
	v, k := binary.Varint(n.b)
	if !n.advance(k) {
		return 0
	}
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

// take returns the next k bytes; nil if there are fewer.
func (n *numbers) take(k uint64) []byte {
	if k > uint64(len(n.b)) {
		n.cut = n.cut || !n.bad
		n.bad, n.b = true, nil
		return nil
	}
	b := n.b[:k]
	n.b = n.b[k:]
	return b
}
