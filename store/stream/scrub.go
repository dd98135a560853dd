package stream

import (
	"slices"
	"strings"

	"ramjet/store"
	"ramjet/store/crypt"
	"ramjet/store/msgtab"
	"ramjet/store/vfs"
)

// Scrub asks a reader to verify the next sealed segment and returns its size in bytes, 0 if there is none. The host paces the
// calls. What does not verify is reported and marked lost. done is called by Poll.
func (s *Store) Scrub(done func(bad int)) int64 {
	s.Poll()
	segs := s.Segments()
	i := slices.IndexFunc(segs, func(g *msgtab.Segment) bool { return g.First > s.scrubID && g.N > 0 && g.Sealed && hostOf(g).sealed })
	if i < 0 {
		s.scrubID = 0
		return 0
	}
	seg := segs[i]
	s.scrubID = seg.First
	f := hostOf(seg)
	f.readers++
	s.env.Read(func() {
		bad, reason := verifyFile(s.env.FS, f.name, f.id, s.Salt(), s.o.Codec)
		s.post(func() {
			f.readers--
			n := 0
			if !f.gone.Load() {
				n = s.scrubbed(seg, bad, reason)
			}
			done(n)
		})
		s.env.Wake(s)
	})
	return int64(seg.End)
}

func (s *Store) scrubbed(seg *msgtab.Segment, bad []uint64, reason string) (n int) {
	f := hostOf(seg)
	if reason != "" {
		f.damaged = true
		s.damage(f.name, 0, 0, reason)
		n++
	}
	if len(bad) == 0 {
		return n
	}
	(*host)(s).Index(seg, true)
	for _, q := range bad {
		i := seg.Ix.Find(q)
		if i < seg.Ix.Len() && seg.Ix.Seq(i) == q && s.MarkLost(seg, i) {
			f.damaged = true
			s.damage(f.name, q, q, "record does not verify")
			n++
		}
	}
	return n
}

// verifyFile reads a sealed file and returns the sequences of records that do not verify, and what else is wrong. Erased records verify.
func verifyFile(fsys vfs.FS, name string, id, salt uint64, codec *crypt.Codec) (bad []uint64, reason string) {
	h, err := fsys.Open(name)
	if err != nil {
		return nil, err.Error()
	}
	defer h.Close()
	head, err := readAll(h, 0, headerLen)
	hd, ok := parseHeader(head)
	if err != nil || !ok || hd.id != id || hd.salt != salt {
		reason = "header does not verify"
		hd.encoded = !codec.Plain()
	}
	sum, det, err := readFooter(h, codec, id, true)
	if err != nil {
		return nil, "footer: " + err.Error()
	}
	tmp := &Store{o: Options{Codec: codec}}
	tmp.Table = msgtab.New((*host)(tmp), salt, false, nil)
	var b []byte
	if hd.encoded {
		b, err = tmp.decodeRange(h, id, sum.chunks, 0, sum.end)
	} else {
		b, err = readAll(h, headerLen, int(sum.end))
	}
	if err != nil && reason == "" && !hd.encoded {
		reason = err.Error()
	}
	at := 0
	var r store.Rec
	for i, q := range det.seqs {
		end := at + int(det.sizes[i])
		if end > len(b) {
			bad = append(bad, q)
		} else if n, _ := msgtab.Verify(b[at:end], salt, &r); n != end-at || r.Seq != q {
			bad = append(bad, q)
		}
		at = end
	}
	return bad, reason
}

// Report is what Check found.
type Report struct {
	Segments      int
	Msgs          uint64
	First, Last   uint64
	Applied       uint64
	Bytes         int64 // read
	Problems      []Damage
	NotReferenced []string // files no state refers to
}

// Check verifies the store in dir without changing anything. codec is nil for plain stores. progress, if not nil, is called after each
// file with its size. Any goroutine; the store must not be in use.
func Check(fsys vfs.FS, dir string, codec *crypt.Codec, progress func(bytes int64)) (*Report, error) {
	names, err := fsys.List(dir)
	if err != nil {
		return nil, err
	}
	if codec == nil {
		codec = &crypt.Codec{}
	}
	rep := &Report{}
	bad := func(name string, from, to uint64, reason string) {
		rep.Problems = append(rep.Problems, Damage{File: dir + "/" + name, From: from, To: to, Reason: reason})
	}
	o := &Options{Env: &Env{FS: fsys}, Codec: codec}
	st, _, err := loadState(o, dir)
	if err != nil {
		bad(StateName, 0, 0, err.Error())
		if st, _ = readState(o, dir+"/"+previousName); st == nil {
			return rep, nil
		}
	}
	rep.First, rep.Last, rep.Applied = st.first, st.last, st.applied
	if st.last >= st.first && st.first > 0 {
		rep.Msgs = st.last - st.first + 1 - st.dels.Len()
	}
	known := map[string]bool{StateName: true, previousName: true}
	next := st.first
	live := func(q uint64) bool { return q >= st.first && q <= st.last && !st.dels.Has(q) }
	gap := func(to uint64) {
		if from := st.dels.NextAbsent(next); from < to {
			bad("", from, to-1, "no segment has these messages")
		}
	}
	for i := range st.segs {
		g := &st.segs[i]
		rep.Segments++
		name := strings.TrimPrefix(segName("", g.id), "/")
		known[name] = true
		rep.checkSegment(fsys, dir, name, g, st, codec, live, bad)
		gap(g.first)
		next = max(next, g.last+1)
		if progress != nil {
			progress(int64(g.end))
		}
		rep.Bytes += int64(g.end)
	}
	gap(st.last + 1)
	for _, n := range names {
		if !known[n] {
			rep.NotReferenced = append(rep.NotReferenced, n)
		}
	}
	return rep, nil
}

func (rep *Report) checkSegment(fsys vfs.FS, dir, name string, g *segState, st *state, codec *crypt.Codec, live func(uint64) bool, bad func(string, uint64, uint64, string)) {
	if g.sealed {
		seqs, reason := verifyFile(fsys, dir+"/"+name, g.id, st.salt, codec)
		if reason != "" {
			bad(name, g.first, g.last, reason)
		}
		for _, q := range seqs {
			if live(q) {
				bad(name, q, q, "record does not verify")
			}
		}
		return
	}
	tmp := &Store{o: Options{Codec: codec}}
	tmp.Table = msgtab.New((*host)(tmp), st.salt, false, nil)
	h, err := fsys.Open(dir + "/" + name)
	if err != nil {
		bad(name, g.first, g.last, err.Error())
		return
	}
	defer h.Close()
	c, err := tmp.scanFile(h, g.id, g.end)
	if err != nil {
		bad(name, g.first, g.last, err.Error())
		return
	}
	for _, q := range c.holes {
		bad(name, q, q, "record does not verify")
	}
	if c.end < g.end {
		bad(name, c.summary.last+1, g.last, "records are missing")
	}
}
