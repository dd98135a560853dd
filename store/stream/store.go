package stream

import (
	"slices"
	"sync"
	"sync/atomic"

	"ramjet/proto/base/clock"
	"ramjet/store"
	"ramjet/store/crypt"
	"ramjet/store/msgtab"
)

// Store is a stream store in files; see js/stream.Log for what its methods promise. Owner: the shard of the stream.
type Store struct {
	*msgtab.Table
	env    *Env
	o      Options
	dir    string
	random crypt.Random

	initial    []byte // of New
	nextID     uint64
	hot        []hotFrame // written frames in memory, oldest first
	hotBytes   int
	unwritten  int // bytes not written yet
	indexBytes int
	inUse      bool // read or written since the last Age
	uses       uint64
	dropped    []uint64  // files to remove after the next checkpoint
	erasing    []erasure // content to destroy after the next checkpoint
	applied    uint64    // of the newest durable checkpoint
	failed     error
	closed     bool
	compacting bool
	scrubID    uint64
	stats      Stats
	graves     []mapped // mappings that were given up
	buried     []mapped // and those before, to be undone
	retry      clock.Timer

	q struct { // leaf lock between owner, writer and readers
		sync.Mutex
		jobs      []job
		running   bool
		active    bool    // the first job is being done
		saving    *saving // the checkpoint that is being saved, or waits for a retry
		stuck     bool    // until a retry
		retried   bool    // and nothing was done since
		abandoned bool    // nothing is tried again, no checkpoint is begun
		broken    error   // for good
		posts     []func()
	}
	posted atomic.Bool

	// Owner: the writer.
	dirDirty   bool
	dirtyFiles []*file

	stateThere bool // owner: who saves a checkpoint
}

// hotFrame is a frame that may be dropped.
type hotFrame struct {
	seg  *msgtab.Segment
	off  uint32
	n    int
	heap bool // from the tail: its memory may be used again
}

// erasure is a record whose content is to be destroyed.
type erasure struct {
	id     uint64
	off, n uint32
}

func newStore(o Options, dir string, salt uint64) *Store {
	o.setDefaults()
	s := &Store{env: o.Env, o: o, dir: dir, nextID: 1, random: o.Env.Random}
	if s.random == nil {
		s.random = crypt.SystemRandom
	}
	s.Table = msgtab.New((*host)(s), salt, false, o.Env.Pool)
	return s
}

// Poll takes in what writer and readers have finished. All other methods that read or write do so too.
func (s *Store) Poll() {
	if !s.posted.Load() {
		return
	}
	s.q.Lock()
	posts := s.q.posts
	s.q.posts = nil
	s.posted.Store(false)
	s.q.Unlock()
	for _, fn := range posts {
		fn()
	}
	s.trim()
}

// post hands fn to the owner. Any goroutine.
func (s *Store) post(fn func()) {
	s.q.Lock()
	s.q.posts = append(s.q.posts, fn)
	s.posted.Store(true)
	s.q.Unlock()
}

// Append stores a message in memory; it is in the file after a checkpoint, or when FlushBytes have collected. ErrReadOnly when writes have failed
// and memory is used up. r is borrowed.
func (s *Store) Append(r *store.Rec) error {
	switch {
	case s.closed:
		return ErrClosed
	case s.failed != nil && s.unwritten > s.o.MaxUnwritten:
		return ErrReadOnly
	}
	n := msgtab.Size(r)
	if err := s.Table.Append(r); err != nil {
		return err
	}
	s.unwritten += n
	s.inUse = true
	segs := s.Segments()
	tail := segs[len(segs)-1]
	if int(tail.End-hostOf(tail).queued) >= s.o.FlushBytes {
		s.flush(tail)
	}
	s.Poll()
	s.trim()
	return nil
}

// Load reads one message; see store.Avail. After Pending the owner is woken.
func (s *Store) Load(seq uint64, r *store.Rec) store.Avail {
	s.Poll()
	s.inUse = true
	return s.Table.Load(seq, r)
}

// Next reads the first message at or after from that passes f.
func (s *Store) Next(f *store.Filter, from uint64, r *store.Rec) store.Avail {
	s.Poll()
	s.inUse = true
	return s.Table.Next(f, from, r)
}

// Prev reads the last message at or before upto that passes f.
func (s *Store) Prev(f *store.Filter, upto uint64, r *store.Rec) store.Avail {
	s.Poll()
	return s.Table.Prev(f, upto, r)
}

// Remove deletes a message; with erase its content is destroyed on disk after the next checkpoint. False: no such message.
func (s *Store) Remove(seq uint64, erase bool) bool {
	s.Poll()
	return s.Table.Remove(seq, erase)
}

// Purge removes what p selects; each, if not nil, is told every removed sequence.
func (s *Store) Purge(p *store.Purge, each func(seq uint64)) uint64 {
	s.Poll()
	return s.Table.Purge(p, each)
}

// Applied returns the journal index of the newest durable checkpoint.
func (s *Store) Applied() uint64 { return s.applied }

// FileBytes returns how many bytes the files of the segments take.
func (s *Store) FileBytes() (n int64) {
	for _, seg := range s.Segments() {
		switch f := hostOf(seg); {
		case f.queued == 0: // it may not be there yet
		case seg.Sealed:
			n += headerLen + int64(seg.End)
		default:
			n += headerLen + f.size
		}
	}
	return n
}

// Failed returns why writes fail at present, or nil.
func (s *Store) Failed() error { return s.failed }

// Stats returns counters.
func (s *Store) Stats() Stats {
	st := s.stats
	st.Segments, st.Memory, st.Failed = len(s.Segments()), s.Memory(), s.failed
	return st
}

// Check verifies counts and indexes in memory against each other.
func (s *Store) Check() error {
	s.Poll()
	return s.CheckInvariants()
}

// Flush hands what was appended to the writer; done(nil) is called on the writer when the operating system has it and must only post.
func (s *Store) Flush(done func(error)) {
	s.Poll()
	if segs := s.Segments(); len(segs) > 0 && !segs[len(segs)-1].Sealed {
		s.flush(segs[len(segs)-1])
	}
	s.enqueue(func() error { done(nil); return nil }, done)
}

// Close writes what is left and closes the files; done is called on the writer. The next Open is faster if a checkpoint came before.
func (s *Store) Close(done func(error)) {
	s.Flush(func(error) {})
	s.shut(done)
}

// Abandon closes the files without writing what is left: the journal has what no finished checkpoint covers. What waits for the writer is told
// ErrClosed; done is called when it is at work no more.
func (s *Store) Abandon(done func(error)) {
	s.q.Lock()
	s.q.abandoned = true
	keep := 0
	if s.q.active {
		keep = 1
	}
	lost := slices.Clone(s.q.jobs[keep:])
	clear(s.q.jobs[keep:])
	s.q.jobs = s.q.jobs[:keep]
	if c := s.q.saving; c != nil && c.waits {
		s.q.saving = nil
		lost = append(lost, job{failed: c.failed})
	}
	s.q.stuck = false
	s.q.Unlock()
	for _, j := range lost {
		if j.failed != nil {
			j.failed(ErrClosed)
		}
	}
	s.shut(done)
}

// shut closes the files behind what the writer has to do.
func (s *Store) shut(done func(error)) {
	s.closed = true
	if s.retry != nil {
		s.retry.Stop()
	}
	var maps []*file
	for _, seg := range s.Segments() {
		maps = append(maps, hostOf(seg))
	}
	s.TrimCache()
	s.bury()
	s.bury()
	s.give(job{failed: done, alone: true, run: func() error {
		var first error
		for _, f := range maps {
			if f.f != nil {
				if err := f.f.Close(); err != nil && first == nil {
					first = err
				}
				f.f = nil
			}
		}
		done(first)
		return nil
	}})
}

// host is what the table needs of the store.
type host Store

// Tail seals a full tail and opens the next one.
func (h *host) Tail(seg *msgtab.Segment, seq uint64, n int) *msgtab.Segment {
	s := (*Store)(h)
	if seg != nil {
		f := hostOf(seg)
		if seg.N == 0 || (int64(seg.End)+int64(n) <= f.size && seg.N < segmentRecords && seg.Ix.Fits(seq)) {
			return seg
		}
		if s.seal(seg); seg.Live == 0 {
			s.Discard(seg)
			s.forget(seg)
		}
	}
	id := s.nextID
	s.nextID++
	seg = s.NewTail(id)
	seg.Host = &file{id: id, name: segName(s.dir, id), encoded: !s.o.Codec.Plain(), size: s.target(n), pos: headerLen}
	return seg
}

// target returns the size of the next segment: small streams stay small.
func (s *Store) target(n int) int64 {
	size := int64(min(firstSegment, s.o.SegmentBytes))
	for size < int64(s.o.SegmentBytes) && size*4 < int64(s.Bytes()) {
		size *= 2
	}
	return max(min(size, int64(s.o.SegmentBytes)), int64(n))
}

// Index brings the index of a sealed segment.
func (h *host) Index(seg *msgtab.Segment, now bool) bool {
	s := (*Store)(h)
	f := hostOf(seg)
	s.uses++
	f.last = s.uses
	if seg.Ix != nil {
		return true
	}
	if now {
		s.stats.Stalls++
		s.installIndex(seg, s.loadIndex(f))
		return true
	}
	if !f.loading {
		f.loading = true
		s.stats.Reads++
		s.env.Read(func() {
			got := s.loadIndex(f)
			s.post(func() {
				f.loading = false
				if seg.Ix == nil && !f.gone.Load() {
					s.installIndex(seg, got)
				}
			})
			s.env.Wake(s)
		})
	}
	return seg.Ix != nil
}

// Erase notes what to destroy after the next checkpoint.
func (h *host) Erase(seg *msgtab.Segment, i int) {
	h.erasing = append(h.erasing, erasure{hostOf(seg).id, seg.Ix.Off(i), seg.Ix.Size(i)})
}

// Drop forgets a segment without live messages; its file goes after the next checkpoint.
func (h *host) Drop(seg *msgtab.Segment) { (*Store)(h).forget(seg) }

func (s *Store) forget(seg *msgtab.Segment) {
	f := hostOf(seg)
	f.gone.Store(true)
	s.unwritten -= int(seg.End - f.queued)
	s.dropped = append(s.dropped, f.id)
	frames := seg.Frames
	s.hot = slices.DeleteFunc(s.hot, func(h hotFrame) bool {
		if h.seg != seg {
			return false
		}
		s.hotBytes -= h.n
		if !h.heap {
			frames = slices.DeleteFunc(frames, func(fr msgtab.Frame) bool { return fr.Off == h.off })
		}
		return true
	})
	if seg.Ix != nil && seg.Sealed {
		s.indexBytes -= seg.Ix.Memory()
	}
	seg.Frames = nil
	s.unmap(f)
	s.enqueue(func() error {
		if f.f != nil && !f.syncing {
			_ = f.f.Close()
			f.f = nil
		}
		f.dirty = false
		s.post(func() { // no job of this file is left that writes from them
			for i := range frames {
				s.Recycle(frames[i].B)
			}
		})
		return nil
	}, nil)
}
