package msgtab

import (
	"math"

	"ramjet/store"
)

// ttlHeap is a min-heap of deadlines.
type ttlHeap []Deadline

func (h *ttlHeap) push(d Deadline) {
	*h = append(*h, d)
	s := *h
	for i := len(s) - 1; i > 0; {
		p := (i - 1) / 2
		if !s[i].before(s[p]) {
			break
		}
		s[i], s[p] = s[p], s[i]
		i = p
	}
}

func (d Deadline) before(o Deadline) bool { return d.At < o.At || (d.At == o.At && d.Seq < o.Seq) }

func (h *ttlHeap) pop() {
	s := *h
	n := len(s) - 1
	s[0] = s[n]
	s = s[:n]
	*h = s
	s.down(0)
}

func (h ttlHeap) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && h[c+1].before(h[c]) {
			c++
		}
		if !h[c].before(h[i]) {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}

// Expire calls fn for each message whose own TTL is over at now, earliest first. If fn returns true the message is not offered again
// (the caller removes it); with false it stays due and Expire returns. Returns how many fn took.
func (t *Table) Expire(now int64, fn func(seq uint64) bool) int {
	n := 0
	for len(t.ttl) > 0 && t.ttl[0].At <= now {
		seq := t.ttl[0].Seq
		if t.live(seq) {
			if !fn(seq) {
				return n
			}
			n++
		}
		if len(t.ttl) > 0 && t.ttl[0].Seq == seq {
			t.ttl.pop()
		}
	}
	return n
}

// NextExpiry returns when the next message expires by its own TTL.
func (t *Table) NextExpiry() (at int64, ok bool) {
	for len(t.ttl) > 0 && !t.live(t.ttl[0].Seq) {
		t.ttl.pop()
	}
	if len(t.ttl) == 0 {
		return 0, false
	}
	return t.ttl[0].At, true
}

// tidy drops deadlines of removed messages when they are many.
func (t *Table) tidy() {
	if len(t.ttl) < 1024 || uint64(len(t.ttl)) < 4*t.msgs {
		return
	}
	keep := t.ttl[:0]
	for _, d := range t.ttl {
		if t.live(d.Seq) {
			keep = append(keep, d)
		}
	}
	t.ttl = keep
	for i := len(keep)/2 - 1; i >= 0; i-- {
		keep.down(i)
	}
}

// OldestExpired looks at the oldest message that is not exempt from the age limit. Hit: seq is older than maxAge (nanoseconds) at now.
// None: nothing is due; at is when that will change, 0 if there is no such message. Pending: its time is being read.
func (t *Table) OldestExpired(now, maxAge int64) (seq uint64, at int64, a store.Avail) {
	if t.msgs == 0 {
		return 0, 0, store.None
	}
	seq, ok := t.Aged(0, math.MaxUint64)
	if !ok {
		return 0, 0, store.None
	}
	seg := t.locate(seq)
	if seg == nil || (t.holes.Len() > 0 && t.holes.Has(seq)) {
		// A hole: at most as old as what follows.
		at = t.lastTime
		if i := t.at(seq); i < len(t.segs) && t.segs[i].N > 0 {
			if at = t.segs[i].FirstTime; t.segs[i].First <= seq {
				at = t.segs[i].MaxTim
			}
		}
		if at+maxAge <= now {
			return seq, at + maxAge, store.Hit
		}
		return seq, at + maxAge, store.None
	}
	if seg.MaxTim <= now-maxAge {
		return seq, seg.MaxTim + maxAge, store.Hit
	}
	if seq == t.first && t.ftSeq == seq {
		at = t.ftTime
	} else {
		if !t.host.Index(seg, false) {
			return seq, 0, store.Pending
		}
		i := seg.Ix.Find(seq)
		if i >= seg.Ix.Len() || seg.Ix.Seq(i) != seq {
			return seq, 0, store.Hit
		}
		if t.lost.Has(seq) {
			at = seg.MaxTim
		} else {
			var ok bool
			if at, ok = t.timeOf(seg, i); !ok {
				t.host.Cold(seg, i)
				return seq, 0, store.Pending
			}
		}
		if seq == t.first {
			t.ftSeq, t.ftTime = seq, at
		}
	}
	if at+maxAge <= now {
		return seq, at + maxAge, store.Hit
	}
	return seq, at + maxAge, store.None
}

// Aged returns the first message at or after from and below limit that an age limit may remove.
func (t *Table) Aged(from, limit uint64) (seq uint64, ok bool) {
	if t.msgs == 0 {
		return 0, false
	}
	seq = t.dels.NextAbsent(max(from, t.first))
	for t.never.Has(seq) {
		seq = t.dels.NextAbsent(t.never.NextAbsent(seq))
	}
	return seq, seq < limit && seq <= t.last
}

// SeqAt returns the first message stored at or after at (unix nanoseconds); the last sequence plus one if there is none. Times are
// taken to grow with the sequence.
func (t *Table) SeqAt(at int64) uint64 {
	for _, seg := range t.segs {
		if seg.MaxTim < at || seg.N == 0 {
			continue
		}
		from := seg.First
		if seg.FirstTime < at && t.host.Index(seg, true) {
			lo, hi := 0, seg.Ix.Len()
			for lo < hi {
				m := int(uint(lo+hi) / 2)
				if tm, ok := t.mustTime(seg, m); ok && tm < at {
					lo = m + 1
				} else {
					hi = m
				}
			}
			if lo == seg.Ix.Len() {
				continue
			}
			from = seg.Ix.Seq(lo)
		}
		if seq := t.dels.NextAbsent(max(from, t.first)); t.msgs > 0 && seq <= t.last {
			return seq
		}
		break
	}
	return t.last + 1
}

// mustTime returns the time of a record, reading it if need be.
func (t *Table) mustTime(seg *Segment, i int) (int64, bool) {
	if at, ok := t.timeOf(seg, i); ok {
		return at, true
	}
	var r store.Rec
	b := t.host.Record(seg, i)
	if b == nil {
		return 0, false
	}
	View(b, &r)
	return r.Time, true
}

// Due calls fn, in any order, for each message whose own TTL is over at now until fn returns false. fn must not change the stream.
func (t *Table) Due(now int64, fn func(seq uint64) bool) { t.due(0, now, fn) }

func (t *Table) due(i int, now int64, fn func(seq uint64) bool) bool {
	if i >= len(t.ttl) || t.ttl[i].At > now {
		return true
	}
	if t.live(t.ttl[i].Seq) && !fn(t.ttl[i].Seq) {
		return false
	}
	return t.due(2*i+1, now, fn) && t.due(2*i+2, now, fn)
}
