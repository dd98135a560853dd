package msgtab

import (
	"fmt"
	"slices"

	"ramjet/store"
	"ramjet/store/subjidx"
)

// EraseInMemory overwrites the content of record i in its frame, if it is in memory.
func (t *Table) EraseInMemory(s *Segment, i int, seed uint64) {
	if b := s.frame(s.Ix.Off(i), s.Ix.Size(i)); b != nil {
		Erase(b, t.salt, seed)
	}
}

// LiveBytes estimates the bytes of the live records of s.
func (s *Segment) LiveBytes() int {
	if s.N == 0 {
		return 0
	}
	return int(uint64(s.End) * uint64(s.Live) / uint64(s.N))
}

// Neighbours returns s with as many of its neighbours as ok allows and fit together into a segment of so many bytes, records and
// sequences, in order.
func (t *Table) Neighbours(s *Segment, ok func(*Segment) bool, bytes, records int, span uint64) []*Segment {
	i := slices.Index(t.segs, s)
	lo, hi := i, i+1
	b, n := s.LiveBytes(), s.Live
	fits := func(o *Segment, first, last uint64) bool {
		return ok(o) && b+o.LiveBytes() <= bytes && n+o.Live <= records && last-first < span
	}
	for {
		if lo > 0 && fits(t.segs[lo-1], t.segs[lo-1].First, t.segs[hi-1].Last) {
			lo--
			b, n = b+t.segs[lo].LiveBytes(), n+t.segs[lo].Live
			continue
		}
		if hi < len(t.segs) && fits(t.segs[hi], t.segs[lo].First, t.segs[hi].Last) {
			b, n = b+t.segs[hi].LiveBytes(), n+t.segs[hi].Live
			hi++
			continue
		}
		return slices.Clone(t.segs[lo:hi])
	}
}

// Rewrite returns a sealed segment with the live records of olds, whose frames are all in memory; nil if there are none.
func (t *Table) Rewrite(olds []*Segment, id uint64) *Segment {
	out := &Segment{ID: id, Ix: &Index{}}
	size := 0
	t.eachLive(olds, func(o *Segment, i int) { size += int(o.Ix.Size(i)) })
	buf := make([]byte, 0, size)
	t.eachLive(olds, func(o *Segment, i int) {
		b := o.frame(o.Ix.Off(i), o.Ix.Size(i))
		if b == nil {
			return
		}
		var r store.Rec
		View(b, &r)
		buf = append(buf, b...)
		out.Ix.Add(o.Ix.Seq(i), uint32(len(b)), o.Ix.ID(i))
		r.TTL = 0
		r.Seq = o.Ix.Seq(i)
		out.note(&r)
	})
	if out.N == 0 {
		return nil
	}
	out.Live, out.End, out.Sealed = out.N, uint32(len(buf)), true
	out.Ix = out.Ix.Seal()
	out.Frames = []Frame{{B: buf}}
	return out
}

func (t *Table) eachLive(segs []*Segment, fn func(s *Segment, i int)) {
	for _, s := range segs {
		for i := range s.Ix.Len() {
			if t.live(s.Ix.Seq(i)) {
				fn(s, i)
			}
		}
	}
}

// Memory estimates the bytes the table takes, without subjects.
func (t *Table) Memory() (n int) {
	for _, s := range t.segs {
		n += 200
		if s.Ix != nil {
			n += s.Ix.Memory()
		}
		for _, f := range s.Frames {
			n += cap(f.B)
		}
	}
	return n
}

// CheckInvariants verifies counts and indexes against each other. It loads every index; for tests and checks.
func (t *Table) CheckInvariants() error {
	var msgs, bytes uint64
	counts := map[subjidx.ID]uint64{}
	last := uint64(0)
	for k, s := range t.segs {
		if s.N == 0 {
			continue
		}
		if s.First > s.Last || s.First <= last && k > 0 {
			return fmt.Errorf("segment %d covers %d to %d, the one before ends at %d", s.ID, s.First, s.Last, last)
		}
		last = s.Last
		if !t.host.Index(s, true) {
			return fmt.Errorf("segment %d has no index", s.ID)
		}
		live := 0
		for i := range s.Ix.Len() {
			seq := s.Ix.Seq(i)
			if !t.live(seq) || t.holes.Has(seq) {
				continue
			}
			live++
			bytes += t.charge(s, i)
			counts[s.Ix.ID(i)]++
			if e := t.idx.At(s.Ix.ID(i)); seq < e.First || seq > e.Last {
				return fmt.Errorf("sequence %d of %q is outside of %d to %d", seq, t.idx.Key(s.Ix.ID(i)), e.First, e.Last)
			}
		}
		if live != s.Live {
			return fmt.Errorf("segment %d has %d live messages, counted %d", s.ID, live, s.Live)
		}
		msgs += uint64(live)
	}
	msgs += t.holes.Len()
	if msgs != t.msgs || (bytes != t.bytes && t.holes.Len() == 0) {
		return fmt.Errorf("%d messages of %d bytes, counted %d of %d", msgs, bytes, t.msgs, t.bytes)
	}
	if t.msgs > 0 && t.last-t.first+1-t.dels.Len() != t.msgs {
		return fmt.Errorf("%d to %d with %d deleted, but %d messages", t.first, t.last, t.dels.Len(), t.msgs)
	}
	if len(counts) != t.idx.Len() {
		return fmt.Errorf("%d subjects in use, %d in the index", len(counts), t.idx.Len())
	}
	for id, n := range counts {
		if e := t.idx.At(id); e.Msgs != n {
			return fmt.Errorf("%q has %d messages, the index says %d", t.idx.Key(id), n, e.Msgs)
		}
	}
	return nil
}
