package msgtab

import (
	"slices"

	"ramjet/store"
	"ramjet/store/subjidx"
)

// Remove deletes one message; with erase its content is destroyed too. False: there is no such message.
func (t *Table) Remove(seq uint64, erase bool) bool {
	if !t.live(seq) {
		return false
	}
	p, a := t.position(seq, true)
	t.remove(p, a, erase)
	return true
}

// remove deletes the live message at p (a is Damaged for a hole).
func (t *Table) remove(p place, a store.Avail, erase bool) {
	seq := p.seq
	if t.lost.Len() > 0 && t.lost.Remove(seq) {
		t.holes.Remove(seq)
		if a == store.Hit {
			t.lostBytes -= min(t.lostBytes, t.charge(p.seg, p.i))
		}
		if t.lost.Len() == 0 {
			t.lostBytes = 0
		}
	}
	if t.never.Len() > 0 {
		t.never.Remove(seq)
	}
	if a == store.Hit {
		n := t.charge(p.seg, p.i)
		t.bytes -= min(t.bytes, n)
		t.removed += int(n)
		t.uncount(p.seg.Ix.ID(p.i), seq)
		p.seg.Live--
		if erase {
			t.host.Erase(p.seg, p.i)
		}
	}
	t.msgs--
	switch {
	case t.msgs == 0:
		t.first = t.last + 1
		t.dels.Clear()
		t.never.Clear()
		t.bytes, t.lostBytes = 0, 0
		if t.idx.Len() > 0 { // of messages that were lost with their index
			t.idx.Clear()
		}
	case seq == t.first:
		t.first = t.dels.NextAbsent(seq + 1)
		t.dels.RemoveBelow(t.first)
	default:
		t.dels.Add(seq)
	}
	if a != store.Hit {
		return
	}
	if p.seg.Live == 0 && p.seg.Sealed {
		t.drop(p.seg)
	} else {
		t.host.Thinned(p.seg)
	}
	t.tidy()
}

// TimeToThin reports, once for so many bytes that were removed, that somebody should look for segments to copy.
func (t *Table) TimeToThin(bytes int) bool {
	if t.removed < bytes {
		return false
	}
	t.removed = 0
	return true
}

// Worst returns the segment that it pays most to copy, of those that ok allows: the larger part of it, and least records or more, are
// gone, it will not go by itself, and in all segments together more is gone than is live, and slack bytes. Nil: none. With less
// patience a stream of which most messages are replaced soon, as of a key-value bucket, would be copied all the time.
func (t *Table) Worst(least, slack int, ok func(*Segment) bool) (worst *Segment) {
	dead, most := 0, 0
	for _, s := range t.segs {
		n := int(s.End) - s.LiveBytes()
		dead += n
		if gone := s.N - s.Live; n > most && gone >= least && gone >= s.Live && ok(s) && !t.goesSoon(s) {
			worst, most = s, n
		}
	}
	if dead <= int(t.bytes)+slack {
		return nil
	}
	return worst
}

// goesSoon reports whether only the beginning of s is gone, and that takes less space than the stream: s will leave the table as a
// whole, as those of a stream at its limit do, so that copying what is left would be for nothing.
func (t *Table) goesSoon(s *Segment) bool {
	if t.first <= s.First || t.first > s.Last || uint64(int(s.End)-s.LiveBytes()) > t.bytes {
		return false
	}
	next, ok := t.dels.NextPresent(t.first)
	return !ok || next > s.Last
}

// Subject returns the subject of a message, nil if there is none or it is lost. Borrowed until the next change.
func (t *Table) Subject(seq uint64) []byte {
	if !t.live(seq) {
		return nil
	}
	p, a := t.position(seq, true)
	if a != store.Hit {
		return nil
	}
	return t.idx.Key(p.seg.Ix.ID(p.i))
}

// drop takes s out of the table.
func (t *Table) drop(s *Segment) {
	if i := slices.Index(t.segs, s); i >= 0 {
		t.segs = slices.Delete(t.segs, i, i+1)
	}
	t.host.Drop(s)
}

// Discard takes a segment without live messages out of the table without telling the host.
func (t *Table) Discard(s *Segment) {
	if i := slices.Index(t.segs, s); i >= 0 {
		t.segs = slices.Delete(t.segs, i, i+1)
	}
}

// uncount takes a removed message out of the entry of its subject.
func (t *Table) uncount(id subjidx.ID, seq uint64) {
	e := t.idx.At(id)
	if e.Msgs--; e.Msgs == 0 {
		t.idx.Delete(id)
		return
	}
	if seq == e.First {
		if e.Msgs == 1 && e.Flags&subjidx.LastStale == 0 {
			e.First = e.Last
			e.Flags &^= subjidx.FirstStale
		} else {
			e.First = seq + 1
			e.Flags |= subjidx.FirstStale
		}
	}
	if seq == e.Last {
		if e.Msgs == 1 && e.Flags&subjidx.FirstStale == 0 {
			e.Last = e.First
			e.Flags &^= subjidx.LastStale
		} else {
			e.Last = seq - 1
			e.Flags |= subjidx.LastStale
		}
	}
}

// Purge removes what p selects and returns how many messages that were; each, if not nil, is told every sequence.
func (t *Table) Purge(p *store.Purge, each func(seq uint64)) (n uint64) {
	if t.msgs == 0 {
		return 0
	}
	m := t.compile(p.Filter)
	below := t.last + 1
	if p.Below > 0 {
		below = min(below, p.Below)
	}
	limit := t.Pending(p.Filter, 0, false)
	limit -= min(limit, p.Keep)
	if m == nil && below > t.last && p.Keep == 0 {
		return t.purgeAll(each)
	}
	for from := t.first; n < limit; {
		at, a := t.next(m, from, true)
		if a == store.None || at.seq >= below {
			break
		}
		from = at.seq + 1
		if a == store.Damaged && m != nil {
			continue // its subject is unknown: an unfiltered purge or a delete removes it
		}
		t.remove(at, a, false)
		if each != nil {
			each(at.seq)
		}
		n++
	}
	return n
}

func (t *Table) purgeAll(each func(seq uint64)) uint64 {
	n := t.msgs
	if each != nil {
		for seq := t.first; ; seq++ {
			if seq = t.dels.NextAbsent(seq); seq > t.last {
				break
			}
			each(seq)
		}
	}
	t.msgs, t.bytes, t.lostBytes = 0, 0, 0
	t.first = t.last + 1
	t.dels.Clear()
	t.lost.Clear()
	t.holes.Clear()
	t.never.Clear()
	t.ttl = nil
	t.idx.Clear()
	segs := t.segs
	t.segs = nil
	for _, s := range segs {
		s.Live = 0
		if s.Sealed {
			t.host.Drop(s)
		} else {
			t.segs = append(t.segs, s)
		}
	}
	for _, s := range slices.Clone(t.segs) {
		t.host.Thinned(s)
	}
	return n
}

// Replace puts s, possibly nil, in the place of the neighbours from olds[0] on.
func (t *Table) Replace(olds []*Segment, s *Segment) {
	i := slices.Index(t.segs, olds[0])
	if s == nil {
		t.segs = slices.Delete(t.segs, i, i+len(olds))
		return
	}
	t.segs = slices.Replace(t.segs, i, i+len(olds), s)
}
