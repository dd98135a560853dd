package stream

import (
	"slices"

	"ramjet/store"
	"ramjet/store/msgtab"
	"ramjet/store/subjidx"
	"ramjet/store/vfs"
)

// loaded is what a reader found in place of an index.
type loaded struct {
	sum    *summary
	det    *detail
	reason string // why the footer could not be used; the records were scanned
	err    error  // the file cannot be read at all
}

// loadIndex reads the index of a sealed segment; if the footer is damaged, the records. Reader.
func (s *Store) loadIndex(f *file) loaded {
	h, err := s.env.FS.Open(f.name)
	if err != nil {
		return loaded{err: err}
	}
	defer h.Close()
	sum, det, err := readFooter(h, s.o.Codec, f.id, true)
	if err == nil {
		return loaded{sum: sum, det: det}
	}
	c, serr := s.scanFile(h, f.id, 0)
	if serr != nil {
		return loaded{err: serr}
	}
	return loaded{sum: &c.summary, det: &c.detail, reason: "footer: " + err.Error()}
}

// scanFile reads all records of a file up to offset end, 0 = as far as they go. Reader.
func (s *Store) scanFile(h vfs.File, id uint64, end uint32) (*collector, error) {
	size, err := h.Size()
	if err != nil {
		return nil, err
	}
	b, err := readAll(h, 0, int(min(size, headerLen)))
	head, ok := parseHeader(b)
	if err == nil && ok && !head.encoded && end > 0 {
		size = min(size, headerLen+int64(end)) // the rest was allocated and not used
	}
	if err == nil {
		b, err = readAll(h, 0, int(size))
	}
	if err != nil {
		return nil, err
	}
	if ok && (head.id != id || head.salt != s.Salt()) {
		return nil, ErrCorrupt
	}
	encoded := head.encoded || (!ok && !s.o.Codec.Plain())
	b = b[min(len(b), headerLen):]
	c := &collector{}
	if !encoded {
		if end > 0 {
			c.scan(b[:min(len(b), int(end))], s.Salt(), false)
		} else {
			c.scan(b[:dataEnd(b, s.Salt())], s.Salt(), false)
		}
		return c, nil
	}
	full := append(make([]byte, headerLen), b...)
	for _, ch := range walkChunks(full, s.Salt(), end) {
		c.chunks = append(c.chunks, ch)
		block, err := s.o.Codec.Open(full[ch.pos+chunkLen:ch.pos+chunkLen+int64(ch.stored)], where(id, ch.off), int(ch.n))
		if err != nil || ch.off != c.end {
			seq := uint64(1)
			if c.n > 0 {
				seq = c.summary.last + 1
			}
			c.skip(seq, ch.off+ch.n-c.end)
			continue
		}
		c.scan(block, s.Salt(), false)
	}
	return c, nil
}

// dataEnd returns where the last record that verifies ends: what follows is a footer or was never written.
func dataEnd(b []byte, salt uint64) int {
	var r store.Rec
	end := 0
	for p := 0; p < len(b); {
		if n, _ := msgtab.Verify(b[p:], salt, &r); n > 0 {
			p += n
			end = p
			continue
		}
		p++
	}
	return end
}

// walkChunks returns the chunks in an encoded file (b from its beginning) up to offset end. Where one does not verify it looks for
// the next.
func walkChunks(b []byte, salt uint64, end uint32) (out []chunk) {
	for p := int64(headerLen); p+chunkLen <= int64(len(b)); {
		c, n := parseChunk(b[p:], salt)
		if n == 0 {
			p++
			continue
		}
		if end > 0 && c.off >= end {
			break
		}
		c.pos = p
		out = append(out, c)
		p += int64(n)
	}
	return out
}

// installIndex gives a segment its index. Owner.
func (s *Store) installIndex(seg *msgtab.Segment, got loaded) {
	f := hostOf(seg)
	if got.err != nil || got.sum.n == 0 {
		reason := "no readable record"
		if got.err != nil {
			reason = got.err.Error()
		}
		seg.Ix = &msgtab.Index{}
		f.damaged = true
		seg.Live = 0
		s.damage(f.name, seg.First, seg.Last, reason)
		s.holesIn(seg, func(uint64) bool { return false })
		s.account(seg)
		return
	}
	if got.reason != "" {
		f.damaged = true
		s.damage(f.name, 0, 0, got.reason)
	}
	ids := make([]subjidx.ID, len(got.sum.subjects))
	for i := range ids {
		ids[i], _ = s.SubjectIndex().Get(got.sum.subjects[i].key)
	}
	lids := make([]subjidx.ID, len(got.det.lids))
	for i, l := range got.det.lids {
		lids[i] = ids[l]
	}
	seg.Ix = msgtab.Build(got.det.sizes, got.det.seqs, lids, false)
	f.chunks = got.sum.chunks
	for _, q := range got.det.holes {
		s.AddHole(q)
	}
	if len(got.det.sizes) != seg.N || got.reason != "" {
		s.holesIn(seg, func(q uint64) bool {
			i := seg.Ix.Find(q)
			return i < seg.Ix.Len() && seg.Ix.Seq(i) == q
		})
	}
	s.account(seg)
}

// holesIn notes the live messages of a segment that are not there.
func (s *Store) holesIn(seg *msgtab.Segment, there func(seq uint64) bool) {
	f := hostOf(seg)
	first, last, _ := s.Bounds()
	from, to := uint64(0), uint64(0)
	for q := max(first, seg.First); q <= min(last, seg.Last); q++ {
		if q = s.DeletedSet().NextAbsent(q); q > seg.Last || !s.Live(q) || there(q) {
			continue
		}
		if s.AddHole(q); from != 0 && to != q-1 {
			s.damage(f.name, from, to, "records are missing")
			from = 0
		}
		if to = q; from == 0 {
			from = q
		}
	}
	if from != 0 {
		s.damage(f.name, from, to, "records are missing")
	}
}

func (s *Store) damage(name string, from, to uint64, reason string) {
	if s.o.OnDamage != nil {
		s.o.OnDamage(Damage{File: name, From: from, To: to, Reason: reason})
	}
}

// Cold asks a reader for the records around i. Owner.
func (h *host) Cold(seg *msgtab.Segment, i int) {
	s := (*Store)(h)
	f := hostOf(seg)
	offs, seqs := seg.Window(i, readWindow, f.done) // what was not written yet is in memory
	if len(seqs) == 0 || f.busy[offs[0]] {
		return
	}
	if f.busy == nil {
		f.busy = map[uint32]bool{}
	}
	f.busy[offs[0]] = true
	f.readers++
	s.stats.Reads++
	m, sealed, encoded, chunks := f.map_, f.sealed, f.encoded, f.chunks
	s.env.Read(func() {
		block, fresh, freshFile, err := s.readBlock(f, m, sealed, encoded, chunks, offs[0], offs[len(offs)-1])
		bad := verify(block, s.Salt(), offs, seqs)
		s.post(func() {
			f.readers--
			delete(f.busy, offs[0])
			if fresh != nil {
				if f.map_ == nil {
					f.map_, f.mapFile = fresh, freshFile
				} else {
					// Another reader was first; this mapping stays until its frame goes, with the file.
					f.extra = append(f.extra, mapped{fresh, freshFile})
				}
			}
			if f.gone.Load() {
				s.unmap(f)
				return
			}
			s.arrived(seg, offs, seqs, bad, block, err)
		})
		s.env.Wake(s)
	})
}

// arrived installs what a reader brought. Owner.
func (s *Store) arrived(seg *msgtab.Segment, offs []uint32, seqs []uint64, bad []int, block []byte, err error) {
	reason := "record does not verify"
	if err != nil {
		reason = err.Error()
	}
	for _, k := range bad {
		if seg.Ix == nil {
			break
		}
		if i := seg.Ix.Find(seqs[k]); i < seg.Ix.Len() && seg.Ix.Seq(i) == seqs[k] && s.MarkLost(seg, i) {
			hostOf(seg).damaged = true
			s.damage(hostOf(seg).name, seqs[k], seqs[k], reason)
		}
	}
	if len(block) == 0 || seg.In(offs[0], uint32(len(block))) {
		return
	}
	// The frames that this one covers are replaced; they must not take it along when their turn comes.
	end := offs[0] + uint32(len(block))
	s.hot = slices.DeleteFunc(s.hot, func(h hotFrame) bool {
		covered := h.seg == seg && h.off >= offs[0] && h.off+uint32(h.n) <= end
		if covered {
			s.hotBytes -= h.n
		}
		return covered
	})
	seg.Install(msgtab.Frame{Off: offs[0], B: block})
	s.keep(hotFrame{seg, offs[0], len(block), false})
}

// verify returns the records of a block that do not verify. Reader.
func verify(block []byte, salt uint64, offs []uint32, seqs []uint64) (bad []int) {
	var r store.Rec
	for i, seq := range seqs {
		a, b := offs[i]-offs[0], offs[i+1]-offs[0]
		if int(b) > len(block) {
			bad = append(bad, i)
			continue
		}
		if n, erased := msgtab.Verify(block[a:b], salt, &r); n != int(b-a) || erased || r.Seq != seq {
			bad = append(bad, i)
		}
	}
	return bad
}

// readBlock brings bytes [from, to) of a segment. Reader.
func (s *Store) readBlock(f *file, m vfs.Mapping, sealed, encoded bool, chunks []chunk, from, to uint32) ([]byte, vfs.Mapping, vfs.File, error) {
	n := int64(to - from)
	if m != nil {
		if err := m.Populate(headerLen+int64(from), n); err != nil {
			return nil, nil, nil, err
		}
		return m.Bytes()[headerLen+int64(from) : headerLen+int64(to) : headerLen+int64(to)], nil, nil, nil
	}
	h, err := s.env.FS.Open(f.name)
	if err != nil {
		return nil, nil, nil, err
	}
	if encoded {
		defer h.Close()
		b, err := s.decodeRange(h, f.id, chunks, from, to)
		return b, nil, nil, err
	}
	if !sealed {
		defer h.Close()
		b, err := readAll(h, headerLen+int64(from), int(n))
		return b, nil, nil, err
	}
	size, err := h.Size()
	if err == nil && size < headerLen+int64(to) {
		err = ErrCorrupt
	}
	if err == nil {
		m, err = h.Map(size)
	}
	if err == nil {
		err = m.Populate(headerLen+int64(from), n)
	}
	if err != nil {
		_ = h.Close()
		return nil, nil, nil, err
	}
	return m.Bytes()[headerLen+int64(from) : headerLen+int64(to) : headerLen+int64(to)], m, h, nil
}

// decodeRange reads bytes [from, to) of an encoded file. Reader.
func (s *Store) decodeRange(h vfs.File, id uint64, chunks []chunk, from, to uint32) ([]byte, error) {
	out := make([]byte, 0, to-from)
	var first error
	for _, c := range chunks {
		if c.off+c.n <= from || c.off >= to {
			continue
		}
		b, err := readAll(h, c.pos, chunkLen+int(c.stored))
		var block []byte
		if err == nil {
			if got, n := parseChunk(b, s.Salt()); n == 0 || got.off != c.off || got.n != c.n {
				err = ErrCorrupt
			} else {
				block, err = s.o.Codec.Open(b[chunkLen:], where(id, c.off), int(c.n))
			}
		}
		if err != nil || len(block) != int(c.n) {
			block = make([]byte, c.n) // zeros do not verify
			if first == nil {
				first = err
			}
		}
		a, z := max(from, c.off)-c.off, min(to, c.off+c.n)-c.off
		out = append(out, block[a:z]...)
	}
	return out, first
}

// mapped is a mapping and the file it keeps open.
type mapped struct {
	m vfs.Mapping
	f vfs.File
}

// unmap gives up the mappings of a file that nobody reads. Owner.
func (s *Store) unmap(f *file) {
	if f.readers > 0 || f.map_ == nil {
		return
	}
	s.graves = append(append(s.graves, f.extra...), mapped{f.map_, f.mapFile})
	f.map_, f.mapFile, f.extra = nil, nil, nil
}

// bury has a reader undo the mappings that were given up before the last call: a caller that holds on to a message a little longer than
// it may must not bring the process down.
func (s *Store) bury() {
	all := s.buried
	s.buried, s.graves = s.graves, nil
	if len(all) == 0 {
		return
	}
	s.env.Read(func() {
		for _, x := range all {
			_ = x.m.Unmap()
			_ = x.f.Close()
		}
	})
}

// Record reads one record at once; nil if it cannot be read or does not verify.
func (h *host) Record(seg *msgtab.Segment, i int) []byte {
	s := (*Store)(h)
	f := hostOf(seg)
	if i >= seg.Ix.Len() {
		return nil
	}
	s.stats.Stalls++
	fh, err := s.env.FS.Open(f.name)
	if err != nil {
		return nil
	}
	defer fh.Close()
	var b []byte
	from, to := seg.Ix.Off(i), seg.Ix.Off(i+1)
	if f.encoded {
		b, err = s.decodeRange(fh, f.id, f.chunks, from, to)
	} else {
		b, err = readAll(fh, headerLen+int64(from), int(to-from))
	}
	if err != nil {
		return nil
	}
	var r store.Rec
	if n, _ := msgtab.Verify(b, s.Salt(), &r); n == 0 {
		return nil
	}
	return b
}

// Warm asks readers for the indexes of all segments in [from, to]; true: all are in memory already. The owner is woken as they
// come.
func (s *Store) Warm(from, to uint64) bool {
	s.Poll()
	all := true
	for _, seg := range s.Segments() {
		if seg.N > 0 && seg.Last >= from && seg.First <= to && !(*host)(s).Index(seg, false) {
			all = false
		}
	}
	return all
}
