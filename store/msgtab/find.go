package msgtab

import (
	"math"

	"ramjet/store"
	"ramjet/store/subjidx"
)

// place is where a message is. seg is nil for a hole.
type place struct {
	seq uint64
	seg *Segment
	i   int
}

// next finds the first message at or after from that passes m. Damaged: the message at p.seq is in no index, so that whether it passes
// cannot be told. With now indexes are read at once, else the result may be Pending.
func (t *Table) next(m *memo, from uint64, now bool) (p place, a store.Avail) {
	if t.msgs == 0 || from > t.last {
		return p, store.None
	}
	from = max(from, t.first)
	if m == nil {
		return t.position(t.dels.NextAbsent(from), now)
	}
	hole, isHole := uint64(math.MaxUint64), false
	if t.holes.Len() > 0 {
		if hole, isHole = t.holes.NextPresent(from); !isHole {
			hole = math.MaxUint64
		}
	}
	p, a = t.scan(m, from, min(hole, t.last), now)
	if a == store.None && isHole {
		return place{seq: hole}, store.Damaged
	}
	return p, a
}

// position finds the record of a live sequence.
func (t *Table) position(seq uint64, now bool) (p place, a store.Avail) {
	p.seq = seq
	if seq > t.last {
		return p, store.None
	}
	seg := t.locate(seq)
	if seg == nil || (t.holes.Len() > 0 && t.holes.Has(seq)) {
		return p, store.Damaged
	}
	if seg.Ix == nil && !t.host.Index(seg, now) {
		return p, store.Pending
	}
	i := seg.Ix.Find(seq)
	if i >= seg.Ix.Len() || seg.Ix.Seq(i) != seq {
		return p, store.Damaged
	}
	p.seg, p.i = seg, i
	return p, store.Hit
}

// scan looks for a message that passes m in the indexes of the segments from from to limit.
func (t *Table) scan(m *memo, from, limit uint64, now bool) (p place, a store.Avail) {
	id := subjidx.NoID
	begin := from
	if from >= m.bare && from < m.bareEnd {
		from = m.bareEnd
	}
	if m.literal != nil {
		var e *subjidx.Entry
		if id, e = t.idx.Get(m.literal); e == nil || from > e.Last {
			return p, store.None
		}
		limit = min(limit, e.Last)
		if e.First >= from {
			if e.Flags&subjidx.FirstStale == 0 && e.First <= limit {
				return t.position(e.First, now)
			}
			from = e.First
		}
	}
	for si := t.at(from); si < len(t.segs); si++ {
		seg := t.segs[si]
		if seg.First > limit {
			break
		}
		if seg.Ix == nil && m.literal == nil {
			if from = m.lowerBound(from); from > limit {
				break
			}
			if from > seg.Last {
				si = t.at(from) - 1
				continue
			}
		}
		if seg.Live > 0 {
			if seg.Ix == nil && !t.host.Index(seg, now) {
				m.clear(begin, from)
				return p, store.Pending
			}
			if i, seq := t.nextIn(seg, m, id, from, limit); i >= 0 {
				m.clear(begin, seq)
				return place{seq, seg, i}, store.Hit
			}
		}
		if from = max(from, seg.Last+1); from > limit {
			break
		}
		if m.literal == nil {
			if to := m.lowerBound(from); to > from {
				from = to
				if to > limit {
					break
				}
				si = t.at(from) - 1
			}
		}
	}
	m.clear(begin, min(from, limit+1))
	return p, store.None
}

// nextIn looks in one segment; i is -1 if there is none.
func (t *Table) nextIn(seg *Segment, m *memo, id subjidx.ID, from, limit uint64) (i int, seq uint64) {
	x := seg.Ix
	n := x.Len()
	for i = x.Find(from); i < n; {
		if id != subjidx.NoID {
			i = x.nextID(i, n, id)
		} else {
			for i < n && !m.accepts(x.ID(i)) {
				i++
			}
		}
		if i == n {
			break
		}
		if seq = x.Seq(i); seq > limit {
			break
		}
		if free := t.dels.NextAbsent(seq); free != seq {
			i = x.Find(free)
			continue
		}
		return i, seq
	}
	return -1, 0
}

// prev finds the last message at or before upto that passes m.
func (t *Table) prev(m *memo, upto uint64, now bool) (p place, a store.Avail) {
	if t.msgs == 0 || upto < t.first {
		return p, store.None
	}
	upto = min(upto, t.last)
	if m == nil {
		seq, ok := t.dels.PrevAbsent(upto)
		if !ok || seq < t.first {
			return p, store.None
		}
		return t.position(seq, now)
	}
	lowest, hole := t.first, false
	if t.holes.Len() > 0 {
		// The last hole at or before upto.
		t.holes.Ranges(func(lo, hi uint64) bool {
			if lo <= upto {
				lowest, hole = min(hi, upto), true
			}
			return lo <= upto
		})
	}
	p, a = t.scanBack(m, upto, lowest, now)
	if a == store.None && hole {
		return place{seq: lowest}, store.Damaged
	}
	return p, a
}

func (t *Table) scanBack(m *memo, upto, limit uint64, now bool) (p place, a store.Avail) {
	id := subjidx.NoID
	if m.literal != nil {
		var e *subjidx.Entry
		if id, e = t.idx.Get(m.literal); e == nil || upto < e.First {
			return p, store.None
		}
		limit = max(limit, e.First)
		upto = min(upto, e.Last)
	}
	begin := upto
	for {
		if upto >= m.bare && upto < m.bareEnd {
			if upto = m.bare; upto == 0 {
				return p, store.None
			}
			upto--
		}
		if m.literal == nil {
			upto = m.upperBound(upto)
		}
		if upto < limit || upto == 0 {
			return p, store.None
		}
		si := t.at(upto)
		if si == len(t.segs) || t.segs[si].First > upto {
			if si--; si < 0 {
				return p, store.None
			}
		}
		seg := t.segs[si]
		if seg.Live > 0 {
			if seg.Ix == nil && !t.host.Index(seg, now) {
				m.clear(upto+1, begin+1)
				return p, store.Pending
			}
			if i, seq := t.prevIn(seg, m, id, upto, limit); i >= 0 {
				m.clear(seq+1, begin+1)
				return place{seq, seg, i}, store.Hit
			}
		}
		if seg.First == 0 {
			return p, store.None
		}
		upto = min(upto, seg.First-1)
	}
}

func (t *Table) prevIn(seg *Segment, m *memo, id subjidx.ID, upto, limit uint64) (i int, seq uint64) {
	x := seg.Ix
	i = x.Find(upto)
	if i == x.Len() || x.Seq(i) > upto {
		i--
	}
	for i >= 0 {
		if id != subjidx.NoID {
			i = x.prevID(i, id)
		} else {
			for i >= 0 && !m.accepts(x.ID(i)) {
				i--
			}
		}
		if i < 0 {
			break
		}
		if seq = x.Seq(i); seq < limit {
			break
		}
		free, ok := t.dels.PrevAbsent(seq)
		if !ok {
			break
		}
		if free != seq {
			if i = x.Find(free); i == x.Len() || x.Seq(i) > free {
				i--
			}
			continue
		}
		return i, seq
	}
	return -1, 0
}

// Load reads one message.
func (t *Table) Load(seq uint64, r *store.Rec) store.Avail {
	if !t.live(seq) {
		return store.None
	}
	p, a := t.position(seq, false)
	return t.read(p, a, r)
}

// LoadNow is Load for what cannot wait: a cold message is read at once.
func (t *Table) LoadNow(seq uint64, r *store.Rec) store.Avail {
	if !t.live(seq) {
		return store.None
	}
	p, a := t.position(seq, true)
	return t.readNow(p, a, r)
}

// NextNow is Next for what cannot wait.
func (t *Table) NextNow(f *store.Filter, from uint64, r *store.Rec) store.Avail {
	p, a := t.next(t.compile(f), from, true)
	return t.readNow(p, a, r)
}

func (t *Table) readNow(p place, a store.Avail, r *store.Rec) store.Avail {
	if a != store.Hit || t.lost.Has(p.seq) || p.seg.frame(p.seg.Ix.Off(p.i), p.seg.Ix.Size(p.i)) != nil {
		return t.read(p, a, r)
	}
	if b := t.host.Record(p.seg, p.i); b != nil {
		if _, erased := View(b, r); !erased && r.Seq == p.seq {
			return store.Hit
		}
	}
	*r = store.Rec{Seq: p.seq}
	return store.Damaged
}

// Weight returns the bytes that a message counts, 0 if there is none.
func (t *Table) Weight(seq uint64) uint64 {
	if !t.live(seq) {
		return 0
	}
	p, a := t.position(seq, true)
	if a != store.Hit {
		return 0
	}
	return t.charge(p.seg, p.i)
}

// Next reads the first message at or after from that passes f. Damaged: r.Seq tells which one cannot be read.
func (t *Table) Next(f *store.Filter, from uint64, r *store.Rec) store.Avail {
	p, a := t.next(t.compile(f), from, false)
	return t.read(p, a, r)
}

// Prev reads the last message at or before upto that passes f.
func (t *Table) Prev(f *store.Filter, upto uint64, r *store.Rec) store.Avail {
	p, a := t.prev(t.compile(f), upto, false)
	return t.read(p, a, r)
}

// read fills r from a place.
func (t *Table) read(p place, a store.Avail, r *store.Rec) store.Avail {
	if a != store.Hit {
		if a == store.Damaged {
			*r = store.Rec{Seq: p.seq}
		}
		return a
	}
	if t.lost.Len() > 0 && t.lost.Has(p.seq) {
		*r = store.Rec{Seq: p.seq}
		return store.Damaged
	}
	b := p.seg.frame(p.seg.Ix.Off(p.i), p.seg.Ix.Size(p.i))
	if b == nil {
		t.host.Cold(p.seg, p.i)
		return store.Pending
	}
	if n, erased := View(b, r); n != len(b) || erased || r.Seq != p.seq {
		t.MarkLost(p.seg, p.i)
		*r = store.Rec{Seq: p.seq}
		return store.Damaged
	}
	return store.Hit
}

// MarkLost notes that record i of s cannot be read; true if it is a message that was not known to be lost.
func (t *Table) MarkLost(s *Segment, i int) bool {
	seq := s.Ix.Seq(i)
	if !t.live(seq) || !t.lost.Add(seq) {
		return false
	}
	t.lostBytes += t.charge(s, i)
	return true
}
