package msgtab

import (
	"ramjet/store"
	"ramjet/store/seqset"
	"ramjet/store/subjidx"
)

// Restore sets the bounds of a stream that is being opened; segments and their subjects are added next, in order, then
// Settle completes it.
func (t *Table) Restore(first, last uint64, lastTime int64, dels, lost *seqset.Set) {
	t.first, t.last, t.lastTime = first, last, lastTime
	t.dels, t.lost = *dels, *lost
	t.holes.Clear()
	t.msgs, t.bytes, t.lostBytes = 0, 0, 0
	t.segs = nil
	t.idx.Clear()
	if last >= first && first > 0 {
		t.msgs = last - first + 1 - dels.Len()
	}
}

// AddSegment adds a segment at the end.
func (t *Table) AddSegment(s *Segment) { t.segs = append(t.segs, s) }

// Find returns where the record of a live message is; false if it is in no index.
func (t *Table) Find(seq uint64) (s *Segment, i int, ok bool) {
	if !t.live(seq) {
		return nil, 0, false
	}
	p, a := t.position(seq, true)
	return p.seg, p.i, a == store.Hit
}

// Intact reports whether every record from first to last, of which there are n, is live.
func (t *Table) Intact(first, last uint64, n int) bool {
	return first >= t.first && t.dels.CountRange(first, last)+uint64(n) == last-first+1
}

// Live reports whether seq is a message of the stream, readable or not.
func (t *Table) Live(seq uint64) bool { return t.live(seq) }

// NoneLive reports whether no message from first to last is live.
func (t *Table) NoneLive(first, last uint64) bool {
	from := max(first, t.first)
	return t.msgs == 0 || from > last || t.dels.NextAbsent(from) > min(last, t.last)
}

// CountSubject takes n messages of a subject, first to last, of the newest segment into the subject index.
func (t *Table) CountSubject(key []byte, n, first, last uint64) subjidx.ID {
	id, e := t.idx.Put(key)
	if e.Msgs == 0 {
		e.First, e.Flags = first, 0
	}
	e.Msgs += n
	e.Last = last
	return id
}

// CountBytes adds to the bytes of the stream.
func (t *Table) CountBytes(n uint64) { t.bytes += n }

// AddDeadline takes the deadline of a stored message, if that is live.
func (t *Table) AddDeadline(d Deadline) {
	switch {
	case !t.live(d.Seq):
	case d.At < 0:
		t.never.Add(d.Seq)
	default:
		t.ttl.push(d)
	}
}

// AddHole notes that a message is in no index.
func (t *Table) AddHole(seq uint64) bool {
	if !t.live(seq) || !t.holes.Add(seq) {
		return false
	}
	t.lost.Add(seq)
	return true
}

// Holes calls fn with every live sequence from first to last that is in no segment and notes it as a hole.
func (t *Table) Holes(fn func(lo, hi uint64)) {
	from := t.first
	gap := func(to uint64) { // [from, to) is in no segment
		for t.msgs > 0 && from < to {
			if from = t.dels.NextAbsent(from); from >= to {
				break
			}
			lo := from
			for from < to && !t.dels.Has(from) {
				t.AddHole(from)
				from++
			}
			fn(lo, from-1)
		}
	}
	for _, s := range t.segs {
		if s.N == 0 {
			continue
		}
		gap(min(s.First, t.last+1))
		from = max(from, s.Last+1)
	}
	gap(t.last + 1)
}

// LostBytes returns the estimate of the bytes of lost messages.
func (t *Table) LostBytes() uint64 { return t.lostBytes }

// SetLost takes the estimate of the bytes of lost messages.
func (t *Table) SetLost(bytes uint64) { t.lostBytes = bytes }

// Bounds returns first and last sequence and the time of the last message.
func (t *Table) Bounds() (first, last uint64, lastTime int64) { return t.first, t.last, t.lastTime }

// Bytes returns the bytes of the stream.
func (t *Table) Bytes() uint64 { return t.bytes }

// Window returns records i to j of s, whole records of about n bytes, their offsets (one more than records) and sequences. They do not reach beyond
// the offset limit. The slices are copies.
func (s *Segment) Window(i int, n, limit uint32) (offs []uint32, seqs []uint64) {
	x := s.Ix
	start := x.Off(i)
	for j := i; j < x.Len(); j++ {
		if end := x.Off(j + 1); end > limit || (j > i && end-start > n) {
			break
		}
		offs = append(offs, x.Off(j))
		seqs = append(seqs, x.Seq(j))
	}
	return append(offs, x.Off(i+len(seqs))), seqs
}

// In reports whether all of [off, off+n) is in memory.
func (s *Segment) In(off, n uint32) bool { return s.frame(off, n) != nil }
