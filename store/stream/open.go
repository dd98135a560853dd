package stream

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"slices"

	"ramjet/store/crypt"
	"ramjet/store/msgtab"
	"ramjet/store/seqset"
	"ramjet/store/subjidx"
	"ramjet/store/vfs"
)

// Recovered tells how a store was opened.
type Recovered struct {
	New      bool
	Applied  uint64 // journal index of the state: commands with a higher one are to be replayed
	Extra    []byte // bytes of the host as of then
	Segments int
	// Rebuilt: no state could be read and the messages were found by scanning. Deletes since Applied that the journal no longer
	// has are undone; Append of what is already there fails with msgtab.ErrSequence, which a replay ignores.
	Rebuilt bool
}

// Open opens the store in dir, which exists, or makes a new one if dir holds none. Any goroutine; it blocks. The caller then hands the store
// to its owner, who replays the journal from Applied.
func Open(o Options, dir string) (*Store, *Recovered, error) {
	o.setDefaults()
	names, err := o.Env.FS.List(dir)
	if err != nil {
		return nil, nil, err
	}
	var ids []uint64
	for _, n := range names {
		if id, ok := parseSegName(n); ok {
			ids = append(ids, id)
		}
	}
	st, pending, err := loadState(&o, dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrCorrupt) {
		return nil, nil, err // the disk, or the key
	}
	damaged := err != nil && !errors.Is(err, fs.ErrNotExist)
	there := st != nil
	if pending {
		// Before anything else: the next checkpoint writes to that name.
		if err := errors.Join(o.Env.FS.Rename(dir+"/"+nextName, dir+"/"+StateName), o.Env.FS.SyncDir(dir)); err != nil {
			return nil, nil, err
		}
	}
	if st == nil {
		prev, perr := readState(&o, dir+"/"+previousName)
		if perr == nil {
			st = prev
		}
		damaged = damaged || !errors.Is(perr, fs.ErrNotExist)
	}
	rec := &Recovered{}
	var s *Store
	switch {
	case damaged, st == nil && len(ids) > 0:
		// A new store writes its state first, so that segments without one prove that it was lost.
		rec.Rebuilt = true
		s = newStore(o, dir, findSalt(&o, dir, ids))
		s.damage(dir+"/"+StateName, 0, 0, "state cannot be read, rebuilt from segments; deletes since the one before may be undone")
		err = s.rebuild(st, ids)
	case st == nil:
		s = newStore(o, dir, newSalt(&o))
		rec.New = true
		var none seqset.Set
		err = s.saveState(&saving{payload: (&state{nextID: 1}).append(nil, &none, &none), dir: true})
	default:
		s = newStore(o, dir, st.salt)
		s.stateThere = there
		err = s.restore(st, ids)
	}
	if err != nil {
		return nil, nil, err
	}
	if st != nil {
		rec.Applied, rec.Extra = st.applied, st.extra
		s.applied = st.applied
	}
	rec.Segments = len(s.Segments())
	return s, rec, nil
}

func newSalt(o *Options) uint64 {
	var salt [8]byte
	if o.Env.Random == nil {
		crypt.SystemRandom(salt[:])
	} else {
		o.Env.Random(salt[:])
	}
	return binary.LittleEndian.Uint64(salt[:])
}

// New makes a store in a directory that does not exist yet. The writer calls prepare before it does anything else: it makes the directory, durably, with
// Initial as the content of the file StateName. An error of prepare is final unless it means that the disk is full.
func New(o Options, dir string, prepare func() error) *Store {
	o.setDefaults()
	s := newStore(o, dir, newSalt(&o))
	var none seqset.Set
	s.initial = sealState(s.Salt(), (&state{nextID: 1}).append(nil, &none, &none), s.o.Codec)
	s.q.jobs = append(s.q.jobs, job{run: func() error {
		err := prepare()
		switch {
		case err == nil:
			s.stateThere = true
		case !IsNoSpace(err) && !vfs.NoDescriptor(err):
			err = errors.Join(errSync, err)
		}
		return err
	}})
	return s
}

// Initial returns the content of the state file that a store of New begins with. Any goroutine.
func (s *Store) Initial() []byte { return s.initial }

// loadState reads the state file; pending tells that it still has its other name.
func loadState(o *Options, dir string) (st *state, pending bool, err error) {
	st, err = readState(o, dir+"/"+StateName)
	if errors.Is(err, fs.ErrNotExist) {
		if next, nerr := readState(o, dir+"/"+nextName); nerr == nil {
			return next, true, nil
		}
	}
	return st, false, err
}

func readState(o *Options, name string) (*state, error) {
	b, err := vfs.ReadFile(o.Env.FS, name, maxState)
	if err != nil {
		return nil, err
	}
	return parseState(b, o.codec())
}

// restore builds the table from a state file.
func (s *Store) restore(st *state, ids []uint64) error {
	s.nextID = max(1, st.nextID)
	for _, id := range ids {
		s.nextID = max(s.nextID, id+1)
	}
	s.erasing = st.erasing
	s.Restore(st.first, st.last, st.lastTime, &st.dels, &st.lost)
	known := map[uint64]bool{}
	for i := range st.segs {
		g := &st.segs[i]
		known[g.id] = true
		s.restoreSegment(g)
	}
	s.reencode()
	s.Holes(func(lo, hi uint64) { s.damage(s.dir, lo, hi, "no segment has these messages") })
	s.recheck()
	if s.Lost().Len() > 0 && (st.lostBytes > s.LostBytes() || st.bytes > s.Bytes()) {
		s.SetLost(max(st.lostBytes, s.LostBytes()+st.bytes-min(st.bytes, s.Bytes())))
	}
	for _, id := range ids {
		if !known[id] {
			s.dropped = append(s.dropped, id) // written after the state, or left over from before it: nothing refers to it
		}
	}
	return nil
}

// recheck reads again what could not be read when the state was written: the disk may be well again.
func (s *Store) recheck() {
	var seqs []uint64
	s.Lost().All(func(q uint64) bool { seqs = append(seqs, q); return true })
	for _, q := range seqs {
		seg, i, ok := s.Find(q)
		if !ok {
			if !s.Live(q) {
				s.Lost().Remove(q)
			}
			continue
		}
		s.Lost().Remove(q)
		if (*host)(s).Record(seg, i) == nil {
			s.MarkLost(seg, i)
			hostOf(seg).damaged = true
			s.damage(hostOf(seg).name, q, q, "record does not verify")
		}
	}
}

// reencode closes a tail that is stored otherwise than new messages shall be, and has plain segments of a stream that is encrypted
// now rewritten.
func (s *Store) reencode() {
	encoded := !s.o.Codec.Plain()
	for _, seg := range s.Segments() {
		f := hostOf(seg)
		if s.o.Codec.Cipher() != crypt.NoCipher && !f.encoded {
			f.rewrite = true
		}
		if !seg.Sealed && f.encoded != encoded {
			s.seal(seg)
		}
	}
	s.compactErased()
}

// restoreSegment adds a segment of the state to the table.
func (s *Store) restoreSegment(g *segState) {
	f := &file{id: g.id, name: segName(s.dir, g.id), created: true, sealed: g.sealed, queued: g.end, done: g.end, pos: headerLen, size: int64(g.end), cooled: g.end}
	seg := &msgtab.Segment{ID: g.id, First: g.first, Last: g.last, FirstTime: g.firstTime, MaxTim: g.maxTime, N: g.n, End: g.end, Sealed: g.sealed, Host: f}
	if s.o.SegmentBytes > int(f.size) {
		f.size = s.target(0)
	}
	sum, det, reason, err := s.readSegment(f, g)
	if err != nil {
		// Its messages are holes. The file stays as it is and stays in the state: the next Open tries again. New messages go to
		// another one.
		f.damaged, f.sealed, seg.Sealed = true, true, true
		seg.Ix = &msgtab.Index{}
		s.AddSegment(seg)
		s.holesIn(seg, func(uint64) bool { return false })
		s.damage(f.name, g.first, g.last, err.Error())
		s.account(seg)
		return
	}
	if reason != "" {
		f.damaged = true
		s.damage(f.name, 0, 0, reason)
	}
	s.AddSegment(seg)
	f.chunks = sum.chunks
	for _, c := range sum.chunks {
		f.pos = c.pos + chunkLen + int64(c.stored)
	}
	if det == nil {
		for i := range sum.subjects {
			c := &sum.subjects[i]
			s.CountSubject(c.key, c.n, c.first, c.last)
		}
		seg.Live = sum.n
		s.CountBytes(uint64(sum.end) - uint64(sum.n)*(msgtab.HeaderLen-30))
	} else {
		s.restoreRecords(seg, sum, det)
	}
	for _, d := range sum.ttls {
		s.AddDeadline(d)
	}
	if !g.sealed {
		seg.TTLs = sum.ttls
	}
}

// readSegment reads the summary of a segment, and its index if that is needed to know what is live. reason tells why the footer was not
// used.
func (s *Store) readSegment(f *file, g *segState) (*summary, *detail, string, error) {
	h, err := s.env.FS.Open(f.name)
	if err != nil {
		return nil, nil, "", err
	}
	defer h.Close()
	reason := ""
	head, err := readAll(h, 0, headerLen)
	hd, ok := parseHeader(head)
	f.encoded = hd.encoded || (!ok && !s.o.Codec.Plain())
	if g.sealed {
		intact := s.Intact(g.first, g.last, g.n) && s.Lost().CountRange(g.first, g.last) == 0
		sum, det, ferr := readFooter(h, s.o.Codec, f.id, !intact)
		switch {
		case err == nil && ok && hd.id == f.id && hd.salt == s.Salt() && ferr == nil && sum.n == g.n && sum.first == g.first && sum.last == g.last && sum.end == g.end:
			return sum, det, "", nil
		case ferr != nil:
			reason = "footer: " + ferr.Error()
		default:
			reason = "header or footer of another file"
		}
	}
	c, err := s.scanFile(h, f.id, g.end)
	if err != nil {
		return nil, nil, "", err
	}
	if c.n == 0 {
		return nil, nil, "", ErrCorrupt
	}
	if c.end < g.end { // the rest is missing
		c.skip(c.summary.last+1, g.end-c.end)
	}
	return &c.summary, &c.detail, reason, nil
}

// restoreRecords counts the live records of a segment and gives it its index.
func (s *Store) restoreRecords(seg *msgtab.Segment, sum *summary, det *detail) {
	hole := map[uint64]bool{}
	for _, q := range det.holes {
		hole[q] = true
	}
	type tally struct{ n, first, last uint64 }
	count := make([]tally, len(sum.subjects))
	sure := func(i int) bool {
		return s.Live(det.seqs[i]) && !hole[det.seqs[i]] && len(sum.subjects[det.lids[i]].key) > 0
	}
	for i, l := range det.lids {
		if q := det.seqs[i]; sure(i) {
			c := &count[l]
			if c.n == 0 {
				c.first = q
			}
			c.n++
			c.last = q
			seg.Live++
			s.CountBytes(uint64(det.sizes[i]) - (msgtab.HeaderLen - 30))
		}
	}
	ids := make([]subjidx.ID, len(count))
	for l, c := range count {
		ids[l] = subjidx.NoID
		if c.n > 0 {
			ids[l] = s.CountSubject(sum.subjects[l].key, c.n, c.first, c.last)
		}
	}
	lids := make([]subjidx.ID, len(det.lids))
	for i, l := range det.lids {
		lids[i] = ids[l]
	}
	seg.N = len(det.seqs)
	seg.Ix = msgtab.Build(det.sizes, det.seqs, lids, !seg.Sealed)
	for i, q := range det.seqs {
		if s.Live(q) && !sure(i) {
			s.AddHole(q)
		}
	}
	if len(det.holes) > 0 {
		hostOf(seg).damaged = true
	}
	s.holesIn(seg, func(q uint64) bool {
		i := seg.Ix.Find(q)
		return i < seg.Ix.Len() && seg.Ix.Seq(i) == q && !hole[q]
	})
	if seg.Sealed {
		s.account(seg)
	}
}

// rebuild finds the messages by scanning all segments, with the bounds and deletes of an older state if there is one.
func (s *Store) rebuild(old *state, ids []uint64) error {
	type found struct {
		g segState
		c *collector
	}
	var all []found
	slices.Sort(ids)
	slices.Reverse(ids)
	maxID := uint64(0)
	for _, id := range ids {
		maxID = max(maxID, id)
		f := &file{id: id, name: segName(s.dir, id)}
		h, err := s.env.FS.Open(f.name)
		if err != nil {
			return err
		}
		head, _ := readAll(h, 0, headerLen)
		hd, ok := parseHeader(head)
		var c *collector
		if err = ErrCorrupt; ok && hd.salt == s.Salt() {
			c, err = s.scanFile(h, f.id, 0)
		}
		_ = h.Close()
		if err != nil || c.n == 0 || c.n == len(c.holes) {
			s.damage(f.name, 0, 0, "no readable record")
			s.putAside(f.name)
			continue
		}
		g := segState{id: id, first: c.first, last: c.summary.last, n: c.n, firstTime: c.firstTime, maxTime: c.maxTime, end: c.end, sealed: true}
		// A newer file that covers the same sequences is a compacted copy, or was written after a crash.
		if slices.ContainsFunc(all, func(o found) bool { return o.g.first <= g.last && g.first <= o.g.last }) {
			s.putAside(f.name)
			continue
		}
		all = append(all, found{g, c})
	}
	slices.SortFunc(all, func(a, b found) int {
		if a.g.first < b.g.first {
			return -1
		}
		return 1
	})
	st := old
	if st == nil {
		st = &state{}
	}
	if st.first == 0 { // nothing was ever in it
		if st.first = 1; len(all) > 0 {
			st.first = all[0].g.first
		}
		st.last = st.first - 1
	}
	st.salt, st.nextID, st.segs, st.bytes, st.lostBytes = s.Salt(), max(maxID+1, st.nextID), nil, 0, 0
	for _, x := range all {
		if x.g.last > st.last {
			// Sequences the old state does not know: those not found are taken for deleted.
			for _, q := range x.c.seqs {
				if q <= st.last || slices.Contains(x.c.holes, q) {
					continue
				}
				if q > st.last+1 && st.last >= st.first {
					st.dels.AddRange(st.last+1, q-1)
				}
				st.last = q
			}
			st.lastTime = x.c.maxTime
		}
		st.segs = append(st.segs, x.g)
	}
	if len(all) == 0 && st.last == 0 {
		st.first, st.last = 0, 0
	}
	if err := s.restore(st, nil); err != nil {
		return err
	}
	for _, seg := range s.Segments() {
		hostOf(seg).damaged = false
	}
	return nil
}

// putAside renames a file that a rebuilt state will not refer to, so that it is never taken for garbage.
func (s *Store) putAside(name string) {
	if err := s.env.FS.Rename(name, name+".bad"); err == nil {
		s.dirDirty = true
	}
}

// findSalt returns the salt of the newest readable segment.
func findSalt(o *Options, dir string, ids []uint64) (salt uint64) {
	newest := uint64(0)
	for _, id := range ids {
		f, err := o.Env.FS.Open(segName(dir, id))
		if err != nil {
			continue
		}
		b, _ := readAll(f, 0, headerLen)
		_ = f.Close()
		if h, ok := parseHeader(b); ok && h.id == id && id >= newest {
			newest, salt = id, h.salt
		}
	}
	return salt
}
