package stream

import (
	"math"
	"slices"

	"ramjet/store"
	"ramjet/store/msgtab"
	"ramjet/store/seqset"
	"ramjet/store/subjidx"
)

// thinMin returns how many messages must be gone before a rewrite pays.
func (s *Store) thinMin() int { return min(max(s.o.SegmentBytes>>15, 8), 64) }

// Thinned has segments rewritten of which half is gone, with small neighbours. An empty tail that takes space is given up.
func (h *host) Thinned(seg *msgtab.Segment) {
	s := (*Store)(h)
	if !seg.Sealed && seg.Live == 0 && (s.failed != nil || int(seg.End) >= s.o.FlushBytes) {
		s.Discard(seg)
		s.forget(seg)
	}
	if s.TimeToThin(s.o.SegmentBytes / 16) {
		s.compactWorst()
	}
}

// compactWorst rewrites, one after the other, the segments for which it pays. Owner.
func (s *Store) compactWorst() {
	if s.compacting {
		return
	}
	if seg := s.Worst(s.thinMin(), s.o.SegmentBytes/4, movable); seg != nil {
		s.compact(seg)
	}
}

// compactErased rewrites, one after the other, encoded segments with content to be destroyed, and plain ones of a stream that is
// encrypted now. Owner.
func (s *Store) compactErased() {
	for _, seg := range s.Segments() {
		if hostOf(seg).rewrite && movable(seg) {
			s.compact(seg)
			return
		}
	}
}

// movable reports whether a segment can be rewritten.
func movable(o *msgtab.Segment) bool {
	f := hostOf(o)
	return o.Sealed && f.sealed && !f.damaged && !f.gone.Load() && o.Live > 0
}

// compact starts to rewrite seg. Owner.
func (s *Store) compact(seg *msgtab.Segment) {
	if s.compacting || s.failed != nil || s.closed || !movable(seg) {
		return
	}
	olds := s.Neighbours(seg, movable, s.o.SegmentBytes/2, segmentRecords, math.MaxUint32)
	id := s.nextID
	s.nextID++
	s.compacting = true
	// What is deleted now; more may be by the time the copy is done, which then is deleted in the copy too.
	var dead seqset.Set
	lo, hi := olds[0].First, olds[len(olds)-1].Last
	first, _, _ := s.Bounds()
	s.DeletedSet().Ranges(func(a, b uint64) bool {
		if b >= lo && a <= hi {
			dead.AddRange(max(a, lo), min(b, hi))
		}
		return a <= hi
	})
	if first > lo {
		dead.AddRange(lo, min(first-1, hi))
	}
	fresh := &file{id: id, name: segName(s.dir, id), encoded: !s.o.Codec.Plain(), pos: headerLen}
	files := make([]*file, len(olds))
	for i, o := range olds {
		files[i] = hostOf(o)
	}
	s.enqueue(func() error {
		c, err := s.copyLive(fresh, files, &dead)
		s.post(func() { s.compacted(olds, fresh, c, err) })
		s.env.Wake(s)
		return nil // a failed rewrite loses nothing
	}, nil)
}

// copyLive writes the records of files that are not dead to fresh; nil if one of them does not verify or none is left. Writer.
func (s *Store) copyLive(fresh *file, files []*file, dead *seqset.Set) (*collector, error) {
	var buf []byte
	c := &collector{}
	for _, f := range files {
		h, err := s.env.FS.Open(f.name)
		if err != nil {
			return nil, err
		}
		sum, det, err := readFooter(h, s.o.Codec, f.id, true)
		var b []byte
		if err == nil {
			if f.encoded {
				b, err = s.decodeRange(h, f.id, sum.chunks, 0, sum.end)
			} else {
				b, err = readAll(h, headerLen, int(sum.end))
			}
		}
		_ = h.Close()
		if err != nil {
			return nil, err
		}
		at := uint32(0)
		for i, q := range det.seqs {
			rec := b[at : at+det.sizes[i]]
			at += det.sizes[i]
			if dead.Has(q) {
				continue
			}
			var r store.Rec
			if n, erased := msgtab.Verify(rec, s.Salt(), &r); n != len(rec) || erased || r.Seq != q {
				return nil, ErrCorrupt
			}
			buf = append(buf, rec...)
			c.add(&r, det.sizes[i], false)
		}
	}
	if c.n == 0 {
		return nil, nil
	}
	fresh.size = int64(c.end)
	if err := s.handle(fresh, c.first); err != nil {
		return nil, err
	}
	err := s.writeCopy(fresh, c, buf)
	if err == nil {
		err = fresh.f.SyncData()
	}
	_ = fresh.f.Close()
	fresh.f, fresh.dirty = nil, false
	return c, err
}

// writeCopy writes records and footer. Writer.
func (s *Store) writeCopy(f *file, c *collector, buf []byte) error {
	pos := int64(headerLen)
	if f.encoded {
		var out []byte
		off := uint32(0)
		for k := 0; k < len(c.sizes); {
			start, n := len(out), uint32(0)
			for k < len(c.sizes) && (n == 0 || n+c.sizes[k] <= readWindow) {
				n += c.sizes[k]
				k++
			}
			out = appendChunk(out, s.o.Codec, f.id, s.Salt(), off, buf[off:off+n])
			c.chunks = append(c.chunks, chunk{off: off, n: n, pos: pos + int64(start), stored: uint32(len(out) - start - chunkLen)})
			off += n
		}
		buf = out
	}
	if _, err := f.f.WriteAt(buf, pos); err != nil {
		return err
	}
	f.pos = pos + int64(len(buf))
	b := appendFooter(nil, f.pos, f.encoded, s.o.Codec, f.id, &c.summary, &c.detail)
	if _, err := f.f.WriteAt(b, f.pos); err != nil {
		return err
	}
	return f.f.Truncate(f.pos + int64(len(b)))
}

// compacted puts the copy in the place of the old segments. Owner.
func (s *Store) compacted(olds []*msgtab.Segment, f *file, c *collector, err error) {
	s.compacting = false
	discard := func() { s.dropped = append(s.dropped, f.id) }
	if err != nil || c == nil {
		for _, o := range olds {
			hostOf(o).damaged = hostOf(o).damaged || err != nil
		}
		discard()
		return
	}
	// Segments that lost their last message meanwhile are gone already.
	all := s.Segments()
	olds = slices.DeleteFunc(olds, func(o *msgtab.Segment) bool { return !slices.Contains(all, o) })
	seg := &msgtab.Segment{
		ID: f.id, First: c.first, Last: c.summary.last, FirstTime: c.firstTime, MaxTim: c.maxTime, N: c.n, End: c.end, Sealed: true, Host: f,
	}
	ids := make([]subjidx.ID, len(c.subjects))
	for i := range ids {
		ids[i], _ = s.SubjectIndex().Get(c.subjects[i].key)
	}
	lids := make([]subjidx.ID, len(c.lids))
	for i, l := range c.lids {
		lids[i] = ids[l]
		if s.Live(c.seqs[i]) {
			seg.Live++
		}
	}
	if len(olds) == 0 || seg.Live == 0 {
		discard()
		return
	}
	f.sealed, f.done, f.queued, f.cooled, f.chunks = true, c.end, c.end, c.end, c.chunks
	seg.Ix = msgtab.Build(c.sizes, c.seqs, lids, false)
	s.stats.Compactions++
	s.Replace(olds, seg)
	for _, o := range olds {
		s.forget(o)
	}
	s.account(seg)
	if s.compactErased(); !s.compacting {
		s.compactWorst()
	}
}
