package seqset

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// Encoding: version u8, number of nodes, then per node the distance of its block from the end of the node before, a kind and its
// content. Numbers are uvarints.
const (
	version = 1

	kindRun    = 0 // number of full blocks
	kindSparse = 1 // count, then positions as u16
	kindBitmap = 2 // the words
	sparseMax  = block / 16 / 2
)

// ErrCorrupt is returned for bytes that are no set.
var ErrCorrupt = errors.New("seqset: corrupt encoding")

// Append appends the encoding of s.
func (s *Set) Append(dst []byte) []byte {
	dst = append(dst, version)
	dst = binary.AppendUvarint(dst, uint64(len(s.nodes)))
	end := uint64(0)
	for i := range s.nodes {
		n := &s.nodes[i]
		dst = binary.AppendUvarint(dst, n.key-end)
		end = n.end()
		switch {
		case n.bits == nil:
			dst = append(dst, kindRun)
			dst = binary.AppendUvarint(dst, n.run)
		case n.size <= sparseMax:
			dst = append(dst, kindSparse)
			dst = binary.AppendUvarint(dst, uint64(n.size))
			for w, v := range n.bits {
				for ; v != 0; v &= v - 1 {
					dst = binary.LittleEndian.AppendUint16(dst, uint16(w*64+bits.TrailingZeros64(v)))
				}
			}
		default:
			dst = append(dst, kindBitmap)
			for _, v := range n.bits {
				dst = binary.LittleEndian.AppendUint64(dst, v)
			}
		}
	}
	return dst
}

// Decode reads a set from the start of b into s and returns the bytes used. Memory is bounded by 24 times len(b).
func (s *Set) Decode(b []byte) (n int, err error) {
	*s = Set{}
	if len(b) == 0 || b[0] != version {
		return 0, ErrCorrupt
	}
	p := 1
	next := func() uint64 {
		v, k := binary.Uvarint(b[p:])
		if k <= 0 {
			err = ErrCorrupt
			return 0
		}
		p += k
		return v
	}
	count := next()
	if err != nil || count > uint64(len(b)) {
		return 0, ErrCorrupt
	}
	var out Set
	end := uint64(0)
	const maxKey = 1 << (64 - shift)
	for range count {
		key := next() + end
		if err != nil || key < end || key >= maxKey || p >= len(b) {
			return 0, ErrCorrupt
		}
		nd := node{key: key, run: 1}
		kind := b[p]
		p++
		switch kind {
		case kindRun:
			nd.run = next()
			if err != nil || nd.run == 0 || nd.run >= maxKey-key {
				return 0, ErrCorrupt
			}
			if k := len(out.nodes); k > 0 && key == end && out.nodes[k-1].bits == nil {
				return 0, ErrCorrupt
			}
		case kindSparse, kindBitmap:
			used := nd.decode(b[p:], kind)
			if used == 0 {
				return 0, ErrCorrupt
			}
			p += used
		default:
			return 0, ErrCorrupt
		}
		out.nodes = append(out.nodes, nd)
		out.n += nd.len()
		end = nd.end()
	}
	*s = out
	return p, nil
}

// decode reads the members of a bitmap; 0 if they are not in canonical form.
func (n *node) decode(b []byte, kind byte) (used int) {
	n.bits = new([words]uint64)
	if kind == kindBitmap {
		if len(b) < words*8 {
			return 0
		}
		for w := range n.bits {
			n.bits[w] = binary.LittleEndian.Uint64(b[w*8:])
			n.size += uint32(bits.OnesCount64(n.bits[w]))
		}
		if n.size <= sparseMax || n.size == block {
			return 0
		}
		return words * 8
	}
	size, k := binary.Uvarint(b)
	if k <= 0 || size == 0 || size > sparseMax || len(b)-k < int(size)*2 {
		return 0
	}
	last := -1
	for i := range int(size) {
		v := int(binary.LittleEndian.Uint16(b[k+i*2:]))
		if v <= last || v >= block {
			return 0
		}
		last = v
		n.bits[v/64] |= 1 << (v % 64)
	}
	n.size = uint32(size)
	return k + int(size)*2
}
