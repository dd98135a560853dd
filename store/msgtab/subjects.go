package msgtab

import (
	"bytes"
	"slices"

	"ramjet/store"
	"ramjet/store/subjidx"
)

// Count returns the messages of a literal subject.
func (t *Table) Count(subject []byte) uint64 {
	if _, e := t.idx.Get(subject); e != nil {
		return e.Msgs
	}
	return 0
}

// Last returns the last sequence of a literal subject.
func (t *Table) Last(subject []byte) (seq uint64, ok bool) {
	id, e := t.idx.Get(subject)
	if e == nil {
		return 0, false
	}
	t.settleLast(id, e)
	return e.Last, true
}

// First returns the first sequence of a literal subject.
func (t *Table) First(subject []byte) (seq uint64, ok bool) {
	id, e := t.idx.Get(subject)
	if e == nil {
		return 0, false
	}
	t.settleFirst(id, e)
	return e.First, true
}

// settleFirst makes e.First exact.
func (t *Table) settleFirst(id subjidx.ID, e *subjidx.Entry) {
	if e.Flags&subjidx.FirstStale == 0 {
		return
	}
	from := max(e.First, t.first)
	for si := t.at(from); si < len(t.segs); si++ {
		if seg := t.segs[si]; seg.Live > 0 && t.host.Index(seg, true) {
			if i, seq := t.nextIn(seg, nil, id, from, t.last); i >= 0 {
				e.First = seq
				break
			}
		}
	}
	e.Flags &^= subjidx.FirstStale
}

// settleLast makes e.Last exact.
func (t *Table) settleLast(id subjidx.ID, e *subjidx.Entry) {
	if e.Flags&subjidx.LastStale == 0 {
		return
	}
	si := min(t.at(e.Last), len(t.segs)-1)
	for ; si >= 0; si-- {
		if seg := t.segs[si]; seg.Live > 0 && t.host.Index(seg, true) {
			if i, seq := t.prevIn(seg, nil, id, e.Last, t.first); i >= 0 {
				e.Last = seq
				break
			}
		}
	}
	e.Flags &^= subjidx.LastStale
}

// manyStale is from how many stale entries on one pass over all indexes is made instead of one per subject.
const manyStale = 16

// settleLasts makes Last of all ids exact.
func (t *Table) settleLasts(ids []subjidx.ID) {
	stale := 0
	for _, id := range ids {
		if t.idx.At(id).Flags&subjidx.LastStale != 0 {
			stale++
		}
	}
	if stale > manyStale {
		for si := len(t.segs) - 1; si >= 0; si-- {
			seg := t.segs[si]
			if seg.Live == 0 || !t.host.Index(seg, true) {
				continue
			}
			for i := seg.Ix.Len() - 1; i >= 0; i-- {
				id := seg.Ix.ID(i)
				if id >= t.idx.MaxID() || t.idx.Key(id) == nil {
					continue
				}
				if e := t.idx.At(id); e.Flags&subjidx.LastStale != 0 && t.live(seg.Ix.Seq(i)) {
					e.Last = seg.Ix.Seq(i)
					e.Flags &^= subjidx.LastStale
				}
			}
		}
	}
	for _, id := range ids {
		t.settleLast(id, t.idx.At(id))
	}
}

// matching returns the ids of the subjects that pass f, in byte order of the subjects if asked.
func (t *Table) matching(f *store.Filter, inOrder bool) []subjidx.ID {
	ids := t.ids[:0]
	collect := func(id subjidx.ID, _ *subjidx.Entry) bool { ids = append(ids, id); return true }
	switch m := t.compile(f); {
	case m == nil && inOrder:
		t.idx.MatchInOrder(">", collect)
	case m == nil:
		t.idx.Match(">", collect)
	case inOrder && len(m.patterns) == 1:
		t.idx.MatchInOrder(m.patterns[0], collect)
	default:
		m.each(collect)
		if inOrder {
			slices.SortFunc(ids, func(a, b subjidx.ID) int { return bytes.Compare(t.idx.Key(a), t.idx.Key(b)) })
		}
	}
	t.ids = ids
	return ids
}

// Subjects calls fn for each subject that passes f with its messages and last sequence, in byte order, until fn returns false. fn must not
// change the stream.
func (t *Table) Subjects(f *store.Filter, fn func(subject []byte, count, last uint64) bool) {
	ids := t.matching(f, true)
	t.ids = nil // fn may ask
	t.settleLasts(ids)
	for _, id := range ids {
		if e := t.idx.At(id); !fn(t.idx.Key(id), e.Msgs, e.Last) {
			break
		}
	}
	t.ids = ids
}

// Pending counts the messages at or after from that pass f; with lastPerSubject the subjects whose last message is there. Messages whose
// subject is lost are counted only by a filter that everything passes.
func (t *Table) Pending(f *store.Filter, from uint64, lastPerSubject bool) (n uint64) {
	if t.msgs == 0 || from > t.last {
		return 0
	}
	from = max(from, t.first)
	if lastPerSubject {
		ids := t.matching(f, false)
		t.settleLasts(ids)
		for _, id := range ids {
			if t.idx.At(id).Last >= from {
				n++
			}
		}
		return n
	}
	m := t.compile(f)
	if m == nil {
		return t.last - from + 1 - t.dels.CountRange(from, t.last)
	}
	// Subjects that begin at or after from count fully; the rest is counted in the indexes, on the shorter side.
	var straddle idSet
	below := from-t.first < t.last-from
	m.each(func(id subjidx.ID, e *subjidx.Entry) bool {
		switch {
		case e.First >= from:
			n += e.Msgs
		case e.Last >= from:
			straddle.add(id, t.idx.MaxID())
			if below {
				n += e.Msgs
			}
		}
		return true
	})
	switch {
	case straddle == nil:
		return n
	case below:
		return n - t.countIn(straddle, t.first, from-1)
	}
	return n + t.countIn(straddle, from, t.last)
}

// idSet is a set of subject ids.
type idSet []uint64

func (s *idSet) add(id, limit subjidx.ID) {
	if *s == nil {
		*s = make(idSet, limit/64+1)
	}
	(*s)[id/64] |= 1 << (id % 64)
}

func (s idSet) has(id subjidx.ID) bool {
	return int(id/64) < len(s) && s[id/64]&(1<<(id%64)) != 0
}

// countIn counts the messages from lo to hi whose subject is in set.
func (t *Table) countIn(set idSet, lo, hi uint64) (n uint64) {
	for si := t.at(lo); si < len(t.segs) && t.segs[si].First <= hi; si++ {
		seg := t.segs[si]
		if seg.Live == 0 || !t.host.Index(seg, true) {
			continue
		}
		x := seg.Ix
		i, end := x.Find(lo), x.Len()
		if seg.Last > hi {
			end = x.Find(hi + 1)
		}
		if x.dict != nil && !slices.ContainsFunc(x.dict, set.has) {
			continue
		}
		intact := seg.Live == seg.N
		count := func(i int) {
			if intact || !t.dels.Has(x.Seq(i)) {
				n++
			}
		}
		switch {
		case len(x.dict) == 1 && intact: // it is in the set
			n += uint64(max(end-i, 0))
		case x.i8 != nil:
			var in [256]bool
			for k, id := range x.dict {
				in[k] = set.has(id)
			}
			for ; i < end; i++ {
				if in[x.i8[i]] {
					count(i)
				}
			}
		default:
			for ; i < end; i++ {
				if set.has(x.ID(i)) {
					count(i)
				}
			}
		}
	}
	return n
}

// Deleted calls fn for each run of deleted sequences between the first and the last sequence.
func (t *Table) Deleted(fn func(from, to uint64) bool) {
	if t.msgs > 0 {
		t.dels.Ranges(fn)
	}
}
