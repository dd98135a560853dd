package msgtab

import (
	"math"

	"ramjet/store"
	"ramjet/store/subjidx"
)

const minFrame = 512

// Append stores a message. r.Seq must be above the last sequence; a jump leaves a gap of deleted ones. The slices of r are copied.
func (t *Table) Append(r *store.Rec) error {
	switch {
	case r.Seq <= t.last:
		return ErrSequence
	case len(r.Subject) == 0 || len(r.Subject) > subjidx.MaxSubject:
		return ErrSubject
	}
	n := Size(r)
	if n > MaxRecord {
		return ErrTooLarge
	}
	var tail *Segment
	if k := len(t.segs); k > 0 && !t.segs[k-1].Sealed {
		tail = t.segs[k-1]
	}
	tail = t.host.Tail(tail, r.Seq, n)
	t.put(tail, r, n)
	t.gap(r.Seq)
	id, e := t.idx.Put(r.Subject)
	t.count(e, r.Seq)
	tail.Ix.Add(r.Seq, uint32(n), id)
	tail.note(r)
	tail.End += uint32(n)
	tail.Live++
	t.msgs++
	t.bytes += Bytes(t.memory, r)
	if t.msgs == 1 {
		t.ftSeq, t.ftTime = r.Seq, r.Time
	}
	t.last, t.lastTime = r.Seq, r.Time
	t.expiry(r)
	return nil
}

// note takes a new record into the summary of the segment.
func (s *Segment) note(r *store.Rec) {
	if s.N == 0 {
		s.First, s.FirstTime, s.MaxTim = r.Seq, r.Time, r.Time
	}
	s.Last = r.Seq
	s.MaxTim = max(s.MaxTim, r.Time)
	s.N++
	if r.TTL != 0 {
		s.TTLs = append(s.TTLs, deadline(r))
	}
}

func deadline(r *store.Rec) Deadline {
	if r.TTL < 0 {
		return Deadline{At: -1, Seq: r.Seq}
	}
	return Deadline{At: r.Time + r.TTL*1e9, Seq: r.Seq}
}

func (t *Table) expiry(r *store.Rec) {
	switch {
	case r.TTL > 0:
		t.ttl.push(deadline(r))
	case r.TTL < 0:
		t.never.Add(r.Seq)
	}
}

// count takes a new last message into the entry of its subject.
func (t *Table) count(e *subjidx.Entry, seq uint64) {
	if e.Msgs == 0 {
		e.First, e.Flags = seq, 0
	}
	e.Msgs++
	e.Last = seq
	e.Flags &^= subjidx.LastStale
}

// gap makes what lies between the last sequence and seq deleted.
func (t *Table) gap(seq uint64) {
	if t.msgs == 0 {
		t.first = seq
		t.dels.Clear()
		return
	}
	if seq > t.last+1 {
		t.dels.AddRange(t.last+1, seq-1)
	}
}

// SkipTo makes seq the last sequence without storing a message; ErrSequence if it is below the last one.
func (t *Table) SkipTo(seq uint64) error {
	if seq <= t.last {
		if seq < t.last {
			return ErrSequence
		}
		return nil
	}
	if t.msgs == 0 {
		t.first = seq + 1
	} else {
		t.dels.AddRange(t.last+1, seq)
	}
	t.last = seq
	return nil
}

// put encodes r into the last frame of the tail, opening a new one when it does not fit.
func (t *Table) put(tail *Segment, r *store.Rec, n int) {
	k := len(tail.Frames)
	if k == 0 || cap(tail.Frames[k-1].B)-len(tail.Frames[k-1].B) < n || tail.Frames[k-1].Off+uint32(len(tail.Frames[k-1].B)) != tail.End {
		tail.Frames = append(tail.Frames, Frame{Off: tail.End, B: t.frameFor(tail, n)})
		k++
	}
	f := &tail.Frames[k-1]
	f.B = AppendRecord(f.B, t.salt, r)
}

func (t *Table) frameFor(tail *Segment, n int) []byte {
	size := minFrame
	for size < FrameSize && size < int(tail.End) {
		size *= 2
	}
	if n > size {
		return make([]byte, 0, n)
	}
	if size == FrameSize {
		return t.fullFrame()
	}
	return make([]byte, 0, size)
}

// Recycle takes back the memory of a frame that is in no segment any more.
func (t *Table) Recycle(b []byte) {
	if cap(b) == FrameSize {
		t.inUse--
	}
	t.pool.put(b)
}

// RecycleAll takes back the memory of all frames of a segment that left the table.
func (t *Table) RecycleAll(s *Segment) {
	for i := range s.Frames {
		t.Recycle(s.Frames[i].B)
	}
	s.Frames = nil
}

// NewTail adds an empty segment at the end.
func (t *Table) NewTail(id uint64) *Segment {
	s := &Segment{ID: id, Ix: t.pool.index(), First: math.MaxUint64, Last: math.MaxUint64}
	t.segs = append(t.segs, s)
	return s
}

// Seal makes s immutable and its index small.
func (t *Table) Seal(s *Segment) {
	old := s.Ix
	s.Ix = old.Seal()
	s.Sealed = true
	t.pool.putIndex(old)
}
