package stream

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"syscall"

	"ramjet/store/msgtab"
	"ramjet/store/subjidx"
)

// job is work for the writer; failed, if not nil, is told that it will never be done.
type job struct {
	run    func() error
	failed func(error)
	save   *saving // instead of run: a checkpoint to begin
	alone  bool    // not while a checkpoint is being saved
}

// enqueue gives the writer a job. Jobs run one after the other, in order; one that fails stays first until a retry. If writing has
// failed for good, or the store is closed, failed (if not nil) is called instead.
func (s *Store) enqueue(run func() error, failed func(error)) { s.give(job{run: run, failed: failed}) }

func (s *Store) give(j job) {
	s.q.Lock()
	if err := s.q.broken; err != nil {
		s.q.Unlock()
		if j.failed != nil {
			j.failed(err)
		}
		return
	}
	s.q.jobs = append(s.q.jobs, j)
	start := !s.q.running && !s.q.stuck
	if start {
		s.q.running = true
	}
	s.q.Unlock()
	if start {
		s.env.Go(s.runJobs)
	}
}

// runJobs is the writer.
func (s *Store) runJobs() {
	for {
		s.q.Lock()
		if c := s.q.saving; c != nil && c.ended {
			err := c.err
			c.ended = false
			s.q.Unlock()
			s.saved(c, err)
			continue
		}
		if s.q.stuck || len(s.q.jobs) == 0 || (s.q.saving != nil && (s.q.jobs[0].alone || s.q.jobs[0].save != nil)) {
			s.q.running = false
			s.q.Unlock()
			return
		}
		j := s.q.jobs[0]
		s.q.saving = cmp.Or(j.save, s.q.saving)
		s.q.active = true
		s.q.Unlock()
		if j.save != nil {
			s.begin(j.save)
		} else if err := j.run(); err != nil {
			s.halt(err, nil)
			continue
		}
		s.q.Lock()
		s.q.active = false
		s.q.jobs = slices.Delete(s.q.jobs, 0, 1)
		if len(s.q.jobs) == 0 {
			s.q.jobs = nil
		}
		s.q.Unlock()
		if j.save != nil {
			s.env.Go(func() { s.save(j.save) })
		} else {
			s.worked()
		}
	}
}

// halt stops the writer until a retry, after a failed sync for good. c is the checkpoint that failed, or nil for the first job. Writer.
func (s *Store) halt(err error, c *saving) {
	s.q.Lock()
	s.q.active = false
	if s.q.abandoned { // nothing is tried again
		var j job
		if c == nil {
			j = s.q.jobs[0]
			s.q.jobs = slices.Delete(s.q.jobs, 0, 1)
		}
		s.q.Unlock()
		if j.failed != nil {
			j.failed(err)
		}
		return
	}
	s.q.stuck, s.q.retried = true, false
	var lost []job
	if errors.Is(err, errSync) {
		s.q.broken = err
		lost, s.q.jobs = s.q.jobs, nil
	}
	if c != nil {
		c.waits = s.q.broken == nil
	}
	s.q.Unlock()
	for _, j := range lost {
		if j.failed != nil {
			j.failed(err)
		}
	}
	s.post(func() { s.fail(err) })
	s.env.Wake(s)
}

// worked notes that something was done: after a retry that means that writes work again. Writer.
func (s *Store) worked() {
	s.q.Lock()
	again := s.q.retried
	s.q.retried = false
	s.q.Unlock()
	if again {
		s.post(s.recovered)
		s.env.Wake(s)
	}
}

// fail notes that a write failed. Owner.
func (s *Store) fail(err error) {
	first := s.failed == nil
	s.failed = err
	if first && s.o.OnFailure != nil {
		s.o.OnFailure(err)
	}
	if s.env.Clock != nil && !errors.Is(err, errSync) && !s.closed {
		s.retry = s.env.Clock.AfterFunc(retryEvery, s.WriteRetry)
	}
}

// WriteRetry tries again what failed, because there may be space now. Any goroutine.
func (s *Store) WriteRetry() {
	s.q.Lock()
	if !s.q.stuck || s.q.broken != nil {
		s.q.Unlock()
		return
	}
	s.q.stuck, s.q.retried = false, true
	c := s.q.saving
	again := c != nil && c.waits
	if again {
		c.waits = false
	}
	start := !s.q.running
	s.q.running = true
	s.q.Unlock()
	if again {
		s.env.Go(func() { s.save(c) })
	}
	if start {
		s.env.Go(s.runJobs)
	}
}

// recovered notes that writes work again. Owner.
func (s *Store) recovered() {
	if s.failed == nil {
		return
	}
	s.failed = nil
	if s.o.OnFailure != nil {
		s.o.OnFailure(nil)
	}
}

// IsNoSpace reports whether err means a full disk.
func IsNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// flush hands the frames of a tail that were not written yet to the writer.
func (s *Store) flush(seg *msgtab.Segment) {
	f := hostOf(seg)
	off, n := f.queued, seg.End-f.queued
	if n == 0 {
		return
	}
	var bufs [][]byte
	for i := range seg.Frames {
		fr := &seg.Frames[i]
		if end := fr.Off + uint32(len(fr.B)); end > off {
			from := max(fr.Off, off) - fr.Off
			bufs = append(bufs, fr.B[from:len(fr.B):len(fr.B)])
		}
	}
	f.queued = seg.End
	first := seg.First
	s.enqueue(func() error { return s.write(seg, f, first, off, n, bufs) }, nil)
}

// handle opens or creates the file. Writer.
func (s *Store) handle(f *file, first uint64) error {
	if f.f != nil {
		return nil
	}
	if f.created {
		h, err := s.env.FS.OpenRW(f.name)
		if err == nil {
			f.f = h
		}
		return err
	}
	h, err := s.env.FS.Create(f.name)
	if err != nil {
		return err
	}
	if err = h.Preallocate(headerLen+f.size, false); err == nil {
		_, err = h.WriteAt(putHeader(f.id, s.Salt(), first, f.encoded), 0)
	}
	if err != nil {
		_ = h.Close()
		return err
	}
	f.f, f.created, s.dirDirty = h, true, true
	return nil
}

// write appends bytes [off, off+n) of a segment. Writer.
func (s *Store) write(seg *msgtab.Segment, f *file, first uint64, off, n uint32, bufs [][]byte) error {
	if f.gone.Load() {
		s.post(func() { s.written(seg, f, off, n, nil) })
		return nil
	}
	if err := s.handle(f, first); err != nil {
		return err
	}
	var chunks []chunk
	out, at := slices.Clone(bufs), int64(headerLen)+int64(off)
	end := at + int64(n)
	if f.encoded {
		at = f.pos
		var b []byte
		o := off
		for _, block := range bufs {
			start := len(b)
			b = appendChunk(b, s.o.Codec, f.id, s.Salt(), o, block)
			chunks = append(chunks, chunk{off: o, n: uint32(len(block)), pos: at + int64(start), stored: uint32(len(b) - start - chunkLen)})
			o += uint32(len(block))
		}
		out, end = [][]byte{b}, at+int64(len(b))
	}
	s.markDirty(f)
	if _, err := f.f.WriteV(out, at); err != nil {
		return err
	}
	f.pos = end
	s.post(func() { s.written(seg, f, off, n, chunks) })
	return nil
}

// markDirty notes that the file has to be synced. Writer.
func (s *Store) markDirty(f *file) {
	if !f.dirty {
		f.dirty = true
		s.dirtyFiles = append(s.dirtyFiles, f)
	}
}

// written notes that frames may be dropped. Owner.
func (s *Store) written(seg *msgtab.Segment, f *file, off, n uint32, chunks []chunk) {
	s.unwritten -= int(n)
	s.stats.Writes++
	s.stats.WrittenBytes += uint64(n)
	f.done = off + n
	f.chunks = append(f.chunks, chunks...)
	if !f.gone.Load() {
		s.cool(seg)
	}
}

// cool makes frames that are written and complete candidates for dropping.
func (s *Store) cool(seg *msgtab.Segment) {
	f := hostOf(seg)
	for i := range seg.Frames {
		fr := &seg.Frames[i]
		end := fr.Off + uint32(len(fr.B))
		if fr.Off < f.cooled || end > f.done || (i == len(seg.Frames)-1 && !seg.Sealed) {
			continue
		}
		f.cooled = end
		s.keep(hotFrame{seg, fr.Off, cap(fr.B), true})
	}
}

// keep adds a frame to those that may be dropped.
func (s *Store) keep(h hotFrame) {
	s.hot = append(s.hot, h)
	s.hotBytes += h.n
}

// trim drops the oldest frames beyond the budget. Not while the caller may hold a message of before.
func (s *Store) trim() {
	if len(s.graves)+len(s.buried) > 0 {
		s.bury()
	}
	for s.hotBytes > s.o.CacheBytes && len(s.hot) > 1 {
		s.dropOldest()
	}
}

func (s *Store) dropOldest() {
	h := s.hot[0]
	s.hot = s.hot[1:]
	s.hotBytes -= h.n
	for i, fr := range h.seg.Frames {
		if fr.Off == h.off {
			h.seg.Frames = slices.Delete(h.seg.Frames, i, i+1)
			if h.heap {
				s.Recycle(fr.B)
			}
			break
		}
	}
	if len(h.seg.Frames) == 0 {
		s.unmap(hostOf(h.seg))
	}
}

// InUse reports whether the stream was read or written since the last Age.
func (s *Store) InUse() bool { return s.inUse }

// Age sets how many bytes of written frames may stay in memory from now on; if the stream was not in use since the last call, all of
// them go. It returns how many were dropped and are left.
func (s *Store) Age(cacheBytes int) (dropped, left int) {
	before := s.hotBytes
	s.o.CacheBytes = cacheBytes
	if !s.inUse {
		s.TrimCache()
	}
	s.trim()
	s.inUse = false
	return before - s.hotBytes, s.hotBytes + len(s.graves) + len(s.buried)
}

// TrimCache drops everything from memory that can be read again.
func (s *Store) TrimCache() {
	for len(s.hot) > 0 {
		s.dropOldest()
	}
}

// seal closes a full tail: the writer adds the footer.
func (s *Store) seal(seg *msgtab.Segment) {
	s.flush(seg)
	s.Seal(seg)
	s.cool(seg)
	f := hostOf(seg)
	ids := seg.Ix.Distinct()
	keys := make([][]byte, len(ids))
	for i, id := range ids {
		keys[i] = s.SubjectIndex().Key(id)
	}
	sum := &summary{
		n: seg.N, first: seg.First, last: seg.Last, firstTime: seg.FirstTime, maxTime: seg.MaxTim, end: seg.End, ttls: seg.TTLs,
	}
	seg.TTLs = nil
	ix := seg.Ix
	s.enqueue(func() error {
		d := details.Get().(*detail)
		defer details.Put(d)
		describe(d, sum, ix, ids, keys)
		sum.chunks = nil
		if f.gone.Load() {
			return nil
		}
		if err := s.handle(f, sum.first); err != nil {
			return err
		}
		if f.encoded {
			if sum.chunks = s.chunksOf(f); sum.chunks == nil {
				return ErrCorrupt
			}
		}
		return s.writeFooter(f, sum, d)
	}, nil)
	s.account(seg)
}

// chunksOf reads back the chunk table of an encoded file: the owner's copy may lag behind. Writer.
func (s *Store) chunksOf(f *file) []chunk {
	b, err := readAll(f.f, 0, int(f.pos))
	if err != nil {
		return nil
	}
	return walkChunks(b, s.Salt(), 1<<32-1)
}

// details keeps the memory of indexes that were written: 1 MiB for a segment of small messages.
var details = sync.Pool{New: func() any { return &detail{} }}

// describe fills the subjects of a summary, and d with the index to write. Writer.
func describe(d *detail, sum *summary, ix *msgtab.Index, ids []subjidx.ID, keys [][]byte) {
	n := ix.Len()
	d.sizes, d.seqs, d.lids = slices.Grow(d.sizes[:0], n)[:n], slices.Grow(d.seqs[:0], n)[:n], slices.Grow(d.lids[:0], n)[:n]
	sum.subjects = make([]subjectCount, len(ids))
	for i, k := range keys {
		sum.subjects[i].key = k
	}
	for i := range n {
		lid, _ := slices.BinarySearch(ids, ix.ID(i))
		d.sizes[i], d.seqs[i], d.lids[i] = ix.Size(i), ix.Seq(i), uint32(lid)
		sc := &sum.subjects[lid]
		if sc.n == 0 {
			sc.first = d.seqs[i]
		}
		sc.n++
		sc.last = d.seqs[i]
	}
}

// writeFooter makes a file sealed. Writer.
func (s *Store) writeFooter(f *file, sum *summary, d *detail) error {
	if err := s.handle(f, sum.first); err != nil {
		return err
	}
	pos := int64(headerLen) + int64(sum.end)
	if f.encoded {
		pos = f.pos
	}
	b := appendFooter(nil, pos, f.encoded, s.o.Codec, f.id, sum, d)
	s.markDirty(f)
	if _, err := f.f.WriteAt(b, pos); err != nil {
		return err
	}
	if err := f.f.Truncate(pos + int64(len(b))); err != nil {
		return err
	}
	s.post(func() {
		if f.sealed = true; f.rewrite {
			s.compactErased()
		}
	})
	return nil
}

// account counts the memory of the index of a sealed segment and drops those used longest ago beyond the budget.
func (s *Store) account(seg *msgtab.Segment) {
	s.indexBytes += seg.Ix.Memory()
	for s.indexBytes > s.o.IndexBytes {
		var oldest *msgtab.Segment
		for _, o := range s.Segments() {
			if o != seg && o.Ix != nil && o.Sealed && hostOf(o).sealed && !hostOf(o).damaged && (oldest == nil || hostOf(o).last < hostOf(oldest).last) {
				oldest = o
			}
		}
		if oldest == nil {
			return
		}
		s.indexBytes -= oldest.Ix.Memory()
		oldest.Ix = nil
	}
}
