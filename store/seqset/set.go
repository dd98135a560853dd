package seqset

import (
	"math/bits"
	"slices"
)

const (
	shift = 11
	block = 1 << shift // sequences per block
	words = block / 64
)

// Set is a set of sequences. The zero value is empty.
type Set struct {
	nodes []node
	n     uint64
	hint  int // node used last
}

// node is one block as a bitmap, or run blocks that are full (bits nil).
type node struct {
	key  uint64 // number of the (first) block
	run  uint64 // blocks; 1 for a bitmap
	size uint32 // members of a bitmap
	bits *[words]uint64
}

func (n *node) end() uint64 { return n.key + n.run }

func (n *node) len() uint64 {
	if n.bits == nil {
		return n.run * block
	}
	return uint64(n.size)
}

// Len returns the number of members.
func (s *Set) Len() uint64 { return s.n }

// Nodes returns the number of nodes, a measure of the memory used.
func (s *Set) Nodes() int { return len(s.nodes) }

// Clear empties the set.
func (s *Set) Clear() { *s = Set{} }

// find returns the index of the first node that ends after block k.
func (s *Set) find(k uint64) int {
	if h := s.hint; h < len(s.nodes) && s.nodes[h].key <= k && k < s.nodes[h].end() {
		return h
	}
	lo, hi := 0, len(s.nodes)
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		if s.nodes[m].end() > k {
			hi = m
		} else {
			lo = m + 1
		}
	}
	s.hint = lo
	return lo
}

// at returns the node that holds block k, or nil.
func (s *Set) at(k uint64) *node {
	i := s.find(k)
	if i < len(s.nodes) && s.nodes[i].key <= k {
		return &s.nodes[i]
	}
	return nil
}

// Has reports whether seq is a member.
func (s *Set) Has(seq uint64) bool {
	if s.n == 0 {
		return false
	}
	n := s.at(seq >> shift)
	if n == nil {
		return false
	}
	return n.bits == nil || n.bits[seq%block/64]&(1<<(seq%64)) != 0
}

// Add makes seq a member; false if it was one.
func (s *Set) Add(seq uint64) bool {
	k := seq >> shift
	i := s.find(k)
	if i == len(s.nodes) || s.nodes[i].key > k {
		s.nodes = slices.Insert(s.nodes, i, node{key: k, run: 1, bits: new([words]uint64)})
	}
	n := &s.nodes[i]
	w, b := seq%block/64, uint64(1)<<(seq%64)
	if n.bits == nil || n.bits[w]&b != 0 {
		return false
	}
	n.bits[w] |= b
	n.size++
	s.n++
	if n.size == block {
		s.filled(i)
	}
	return true
}

// filled turns node i, a bitmap that became full, into a run and joins it with its neighbours.
func (s *Set) filled(i int) {
	s.nodes[i].bits, s.nodes[i].size = nil, 0
	s.join(i)
}

// join joins node i, a run, with neighbours that are runs.
func (s *Set) join(i int) {
	if i+1 < len(s.nodes) && s.nodes[i+1].bits == nil && s.nodes[i+1].key == s.nodes[i].end() {
		s.nodes[i].run += s.nodes[i+1].run
		s.nodes = slices.Delete(s.nodes, i+1, i+2)
	}
	if i > 0 && s.nodes[i-1].bits == nil && s.nodes[i-1].end() == s.nodes[i].key {
		s.nodes[i-1].run += s.nodes[i].run
		s.nodes = slices.Delete(s.nodes, i, i+1)
	}
}

// AddRange adds lo to hi inclusive and returns how many were new.
func (s *Set) AddRange(lo, hi uint64) uint64 {
	if lo > hi {
		return 0
	}
	before := s.n
	kl, kh := lo>>shift, hi>>shift
	if kl == kh {
		s.addWithin(kl, lo%block, hi%block)
		return s.n - before
	}
	if lo%block != 0 {
		s.addWithin(kl, lo%block, block-1)
		kl++
	}
	if hi%block != block-1 {
		s.addWithin(kh, 0, hi%block)
		kh--
	}
	if kl <= kh {
		s.fill(kl, kh+1)
	}
	return s.n - before
}

// addWithin adds bits a to b of block k.
func (s *Set) addWithin(k, a, b uint64) {
	if a == 0 && b == block-1 {
		s.fill(k, k+1)
		return
	}
	i := s.find(k)
	if i == len(s.nodes) || s.nodes[i].key > k {
		s.nodes = slices.Insert(s.nodes, i, node{key: k, run: 1, bits: new([words]uint64)})
	}
	n := &s.nodes[i]
	if n.bits == nil {
		return
	}
	for w := a / 64; w <= b/64; w++ {
		m := mask(w, a, b)
		add := uint32(bits.OnesCount64(m &^ n.bits[w]))
		n.bits[w] |= m
		n.size += add
		s.n += uint64(add)
	}
	if n.size == block {
		s.filled(i)
	}
}

// mask returns the bits of word w that lie within a to b of its block.
func mask(w, a, b uint64) uint64 {
	m := ^uint64(0)
	if w == a/64 {
		m &= ^uint64(0) << (a % 64)
	}
	if w == b/64 {
		m &= ^uint64(0) >> (63 - b%64)
	}
	return m
}

// fill makes the blocks [from, to) full.
func (s *Set) fill(from, to uint64) {
	i := s.find(from)
	j := i
	lo, hi := from, to
	for j < len(s.nodes) && s.nodes[j].key < to {
		n := &s.nodes[j]
		s.n -= n.len()
		if n.bits == nil {
			lo, hi = min(lo, n.key), max(hi, n.end())
		}
		j++
	}
	s.nodes = slices.Replace(s.nodes, i, j, node{key: lo, run: hi - lo})
	s.n += (hi - lo) * block
	s.join(i)
}

// Remove takes seq out; false if it was no member.
func (s *Set) Remove(seq uint64) bool {
	if !s.Has(seq) {
		return false
	}
	i := s.split(seq >> shift)
	n := &s.nodes[i]
	n.bits[seq%block/64] &^= 1 << (seq % 64)
	n.size--
	s.n--
	if n.size == 0 {
		s.nodes = slices.Delete(s.nodes, i, i+1)
	}
	return true
}

// split makes block k, which has a node, a bitmap of its own and returns its index.
func (s *Set) split(k uint64) int {
	i := s.find(k)
	n := s.nodes[i]
	if n.bits != nil {
		return i
	}
	var parts []node
	if n.key < k {
		parts = append(parts, node{key: n.key, run: k - n.key})
	}
	at := i + len(parts)
	m := node{key: k, run: 1, size: block, bits: new([words]uint64)}
	for w := range m.bits {
		m.bits[w] = ^uint64(0)
	}
	parts = append(parts, m)
	if k+1 < n.end() {
		parts = append(parts, node{key: k + 1, run: n.end() - k - 1})
	}
	s.nodes = slices.Replace(s.nodes, i, i+1, parts...)
	return at
}

// RemoveBelow takes out all members below seq and returns how many there were.
func (s *Set) RemoveBelow(seq uint64) uint64 {
	if s.n == 0 {
		return 0
	}
	before := s.n
	k := seq >> shift
	i := s.find(k)
	for j := range i {
		s.n -= s.nodes[j].len()
	}
	s.nodes = slices.Delete(s.nodes, 0, i)
	s.hint = 0
	if len(s.nodes) == 0 || s.nodes[0].key > k {
		return before - s.n
	}
	if seq%block == 0 && s.nodes[0].bits != nil {
		return before - s.n
	}
	if n := &s.nodes[0]; n.bits == nil {
		s.n -= (k - n.key) * block
		n.key, n.run = k, n.end()-k
		if seq%block == 0 {
			return before - s.n
		}
	}
	n := &s.nodes[s.split(k)]
	for w := uint64(0); w <= (seq%block-1)/64; w++ {
		m := mask(w, 0, seq%block-1)
		gone := uint32(bits.OnesCount64(n.bits[w] & m))
		n.bits[w] &^= m
		n.size -= gone
		s.n -= uint64(gone)
	}
	if n.size == 0 {
		s.nodes = slices.Delete(s.nodes, 0, 1)
	}
	return before - s.n
}

// RemoveAbove takes out all members above seq.
func (s *Set) RemoveAbove(seq uint64) {
	for s.n > 0 {
		hi, _ := s.Max()
		if hi <= seq {
			return
		}
		n := &s.nodes[len(s.nodes)-1]
		if n.key > seq>>shift {
			s.n -= n.len()
			s.nodes = s.nodes[:len(s.nodes)-1]
			continue
		}
		if k := seq >> shift; n.bits == nil && n.end() > k+1 {
			s.n -= (n.end() - k - 1) * block
			n.run = k + 1 - n.key
			continue
		}
		s.Remove(hi)
	}
}

// Min returns the smallest member.
func (s *Set) Min() (seq uint64, ok bool) {
	if s.n == 0 {
		return 0, false
	}
	return s.NextPresent(0)
}

// Max returns the largest member.
func (s *Set) Max() (seq uint64, ok bool) {
	if s.n == 0 {
		return 0, false
	}
	n := &s.nodes[len(s.nodes)-1]
	if n.bits == nil {
		return n.end()<<shift - 1, true
	}
	for w := words - 1; ; w-- {
		if n.bits[w] != 0 {
			return n.key<<shift + uint64(w*64+63-bits.LeadingZeros64(n.bits[w])), true
		}
	}
}

// NextPresent returns the smallest member that is at least seq.
func (s *Set) NextPresent(seq uint64) (uint64, bool) {
	for i := s.find(seq >> shift); i < len(s.nodes); i++ {
		n := &s.nodes[i]
		seq = max(seq, n.key<<shift)
		if n.bits == nil {
			return seq, true
		}
		if seq>>shift > n.key {
			continue
		}
		from := seq % block
		for w := from / 64; w < words; w++ {
			if v := n.bits[w] & mask(w, from, block-1); v != 0 {
				return n.key<<shift + w*64 + uint64(bits.TrailingZeros64(v)), true
			}
		}
	}
	return 0, false
}

// NextAbsent returns the smallest sequence that is at least seq and no member.
func (s *Set) NextAbsent(seq uint64) uint64 {
	if s.n == 0 {
		return seq
	}
	for i := s.find(seq >> shift); i < len(s.nodes); i++ {
		n := &s.nodes[i]
		if seq>>shift < n.key {
			return seq
		}
		if n.bits != nil {
			from := seq % block
			for w := from / 64; w < words; w++ {
				if v := ^n.bits[w] & mask(w, from, block-1); v != 0 {
					return n.key<<shift + w*64 + uint64(bits.TrailingZeros64(v))
				}
			}
		}
		seq = n.end() << shift
	}
	return seq
}

// PrevAbsent returns the largest sequence that is at most seq and no member; ok is false if there is none.
func (s *Set) PrevAbsent(seq uint64) (prev uint64, ok bool) {
	if s.n == 0 {
		return seq, true
	}
	for {
		n := s.at(seq >> shift)
		if n == nil {
			return seq, true
		}
		if n.bits != nil {
			to := seq % block
			for w := int(to / 64); w >= 0; w-- {
				if v := ^n.bits[w] & mask(uint64(w), 0, to); v != 0 {
					return n.key<<shift + uint64(w*64+63-bits.LeadingZeros64(v)), true
				}
			}
		}
		if n.key == 0 {
			return 0, false
		}
		seq = n.key<<shift - 1
	}
}

// CountRange returns the number of members from lo to hi inclusive.
func (s *Set) CountRange(lo, hi uint64) (count uint64) {
	if s.n == 0 || lo > hi {
		return 0
	}
	for i := s.find(lo >> shift); i < len(s.nodes) && s.nodes[i].key<<shift <= hi; i++ {
		n := &s.nodes[i]
		first, last := n.key<<shift, n.end()<<shift-1
		switch {
		case n.bits == nil:
			count += min(hi, last) - max(lo, first) + 1
		case lo <= first && last <= hi:
			count += uint64(n.size)
		default:
			a, b := max(lo, first)%block, min(hi, last)%block
			for w := a / 64; w <= b/64; w++ {
				count += uint64(bits.OnesCount64(n.bits[w] & mask(w, a, b)))
			}
		}
	}
	return count
}

// Ranges calls fn with each maximal run of members, in order, until fn returns false.
func (s *Set) Ranges(fn func(lo, hi uint64) bool) {
	seq, ok := s.NextPresent(0)
	for ok {
		end := s.NextAbsent(seq)
		if !fn(seq, end-1) {
			return
		}
		seq, ok = s.NextPresent(end)
	}
}

// All calls fn with each member in order until fn returns false.
func (s *Set) All(fn func(seq uint64) bool) {
	for seq, ok := s.NextPresent(0); ok; seq, ok = s.NextPresent(seq + 1) {
		if !fn(seq) {
			return
		}
	}
}
