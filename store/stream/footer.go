package stream

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"

	"ramjet/store"
	"ramjet/store/crypt"
	"ramjet/store/msgtab"
	"ramjet/store/vfs"
)

// Footer of a sealed file: summary, index, both encoded as blocks in encoded files, then the trailer, 48 bytes: position of the summary u64,
// length of it u32, length of the index u32, their checksums u64 each, magic 8, checksum of the trailer u64.
const (
	trailerLen   = 48
	trailerMagic = "RJFOOTER"
	whereSummary = math.MaxUint32
	whereIndex   = math.MaxUint32 - 1
)

// subjectCount is a subject in a summary.
type subjectCount struct {
	key         []byte
	n           uint64
	first, last uint64
}

// summary is what Open needs of a segment.
type summary struct {
	n                  int
	first, last        uint64
	firstTime, maxTime int64
	end                uint32
	subjects           []subjectCount
	ttls               []msgtab.Deadline
	chunks             []chunk
}

// detail is the index of a segment.
type detail struct {
	sizes []uint32
	seqs  []uint64
	lids  []uint32 // positions in summary.subjects
	holes []uint64 // sequences that stand for bytes that do not verify
}

func uv(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

func (s *summary) append(b []byte) []byte {
	b = append(b, fileVersion)
	b = uv(b, uint64(s.n))
	b = uv(b, s.first)
	b = uv(b, s.last-s.first)
	b = binary.AppendVarint(b, s.firstTime)
	b = binary.AppendVarint(b, s.maxTime)
	b = uv(b, uint64(s.end))
	b = uv(b, uint64(len(s.subjects)))
	for i := range s.subjects {
		c := &s.subjects[i]
		b = uv(b, uint64(len(c.key)))
		b = append(b, c.key...)
		b = uv(b, c.n)
		b = uv(b, c.first-s.first)
		b = uv(b, c.last-c.first)
	}
	b = uv(b, uint64(len(s.ttls)))
	for _, d := range s.ttls {
		b = uv(b, d.Seq-s.first)
		b = binary.AppendVarint(b, d.At)
	}
	b = uv(b, uint64(len(s.chunks)))
	for _, c := range s.chunks {
		b = uv(b, uint64(c.n))
		b = uv(b, uint64(c.stored))
	}
	return b
}

// reader decodes varints; after an error everything is zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || r.bad {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 || r.bad {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

// count reads a number of things of at least size bytes each.
func (r *reader) count(size int) int {
	n := r.uint()
	if n > uint64(len(r.b)/size) {
		r.bad = true
		return 0
	}
	return int(n)
}

func (r *reader) byte() byte {
	b := r.bytes(1)
	if b == nil {
		return 0
	}
	return b[0]
}

func parseSummary(b []byte) (*summary, bool) {
	r := &reader{b: b}
	if r.byte() != fileVersion {
		return nil, false
	}
	s := &summary{n: int(min(r.uint(), math.MaxUint32)), first: r.uint()}
	s.last = s.first + r.uint()
	s.firstTime, s.maxTime = r.int(), r.int()
	s.end = uint32(min(r.uint(), math.MaxUint32))
	s.subjects = make([]subjectCount, r.count(4))
	for i := range s.subjects {
		c := &s.subjects[i]
		c.key = r.bytes(r.uint())
		c.n = r.uint()
		c.first = s.first + r.uint()
		c.last = c.first + r.uint()
		if c.last > s.last || c.first < s.first || c.last < c.first {
			r.bad = true
		}
	}
	s.ttls = make([]msgtab.Deadline, r.count(2))
	for i := range s.ttls {
		s.ttls[i] = msgtab.Deadline{Seq: s.first + r.uint(), At: r.int()}
	}
	s.chunks = make([]chunk, r.count(2))
	pos, off := int64(headerLen), uint32(0)
	for i := range s.chunks {
		c := chunk{off: off, n: uint32(r.uint()), pos: pos, stored: uint32(r.uint())}
		s.chunks[i] = c
		off += c.n
		pos += chunkLen + int64(c.stored)
	}
	if r.bad || s.last < s.first || s.n == 0 || uint64(s.n-1) > s.last-s.first || len(r.b) > 0 {
		return nil, false
	}
	return s, true
}

func (d *detail) append(b []byte) []byte {
	b = append(b, fileVersion)
	b = uv(b, uint64(len(d.sizes)))
	if len(d.sizes) == 0 {
		return b
	}
	uniform := !slices.ContainsFunc(d.sizes, func(n uint32) bool { return n != d.sizes[0] })
	if uniform {
		b = uv(append(b, 1), uint64(d.sizes[0]))
	} else {
		b = append(b, 0)
		for _, n := range d.sizes {
			b = uv(b, uint64(n))
		}
	}
	k := len(d.seqs) - 1
	if d.seqs[k]-d.seqs[0] == uint64(k) {
		b = uv(append(b, 1), d.seqs[0])
	} else {
		b = append(b, 0)
		last := uint64(0)
		for _, q := range d.seqs {
			b = uv(b, q-last)
			last = q
		}
	}
	for _, l := range d.lids {
		b = uv(b, uint64(l))
	}
	return b
}

func parseDetail(b []byte, subjects int) (*detail, bool) {
	r := &reader{b: b}
	if r.byte() != fileVersion {
		return nil, false
	}
	n := r.count(1)
	d := &detail{sizes: make([]uint32, n), seqs: make([]uint64, n), lids: make([]uint32, n)}
	if n == 0 {
		return d, !r.bad && len(r.b) == 0
	}
	end := uint64(0)
	if r.byte() == 1 {
		size := r.uint()
		end = size * uint64(n)
		for i := range d.sizes {
			d.sizes[i] = uint32(size)
		}
		r.bad = r.bad || size > msgtab.MaxRecord || size < msgtab.HeaderLen
	} else {
		for i := range d.sizes {
			size := r.uint()
			d.sizes[i] = uint32(size)
			end += size
			r.bad = r.bad || size > msgtab.MaxRecord || size < msgtab.HeaderLen
		}
	}
	if r.byte() == 1 {
		first := r.uint()
		for i := range d.seqs {
			d.seqs[i] = first + uint64(i)
		}
		r.bad = r.bad || first+uint64(n) < first
	} else {
		last := uint64(0)
		for i := range d.seqs {
			step := r.uint()
			d.seqs[i] = last + step
			r.bad = r.bad || d.seqs[i] < last || (step == 0 && i > 0)
			last = d.seqs[i]
		}
		r.bad = r.bad || last-d.seqs[0] > math.MaxUint32
	}
	for i := range d.lids {
		l := r.uint()
		r.bad = r.bad || l >= uint64(subjects)
		d.lids[i] = uint32(l)
	}
	return d, !r.bad && len(r.b) == 0 && end <= math.MaxUint32
}

// appendFooter appends summary, index and trailer for a footer at pos.
func appendFooter(b []byte, pos int64, encoded bool, codec *crypt.Codec, id uint64, s *summary, d *detail) []byte {
	sum, idx := s.append(nil), d.append(nil)
	if encoded {
		sum = codec.Append(nil, sum, where(id, whereSummary))
		idx = codec.Append(nil, idx, where(id, whereIndex))
	}
	b = append(b, sum...)
	b = append(b, idx...)
	at := len(b)
	b = binary.LittleEndian.AppendUint64(b, uint64(pos))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(sum)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(idx)))
	b = binary.LittleEndian.AppendUint64(b, xxhash.Sum64(sum))
	b = binary.LittleEndian.AppendUint64(b, xxhash.Sum64(idx))
	b = append(b, trailerMagic...)
	return binary.LittleEndian.AppendUint64(b, xxhash.Sum64(b[at:]))
}

// readFooter reads the summary of a sealed file, and the index if asked.
func readFooter(f vfs.File, codec *crypt.Codec, id uint64, withIndex bool) (*summary, *detail, error) {
	size, err := f.Size()
	if err != nil {
		return nil, nil, err
	}
	if size < headerLen+trailerLen {
		return nil, nil, ErrCorrupt
	}
	head, err := readAll(f, 0, headerLen)
	if err != nil {
		return nil, nil, err
	}
	hd, ok := parseHeader(head)
	encoded := hd.encoded || (!ok && !codec.Plain())
	t, err := readAll(f, size-trailerLen, trailerLen)
	if err != nil {
		return nil, nil, err
	}
	if string(t[32:40]) != trailerMagic || binary.LittleEndian.Uint64(t[40:]) != xxhash.Sum64(t[:40]) {
		return nil, nil, ErrCorrupt
	}
	pos := int64(binary.LittleEndian.Uint64(t))
	ns, ni := int(binary.LittleEndian.Uint32(t[8:])), int(binary.LittleEndian.Uint32(t[12:]))
	if pos < headerLen || pos+int64(ns)+int64(ni) != size-trailerLen {
		return nil, nil, ErrCorrupt
	}
	part := func(at int64, n int, digest uint64, place uint32) ([]byte, error) {
		b, err := readAll(f, at, n)
		if err != nil {
			return nil, err
		}
		if xxhash.Sum64(b) != digest {
			return nil, ErrCorrupt
		}
		if encoded {
			return codec.Open(b, where(id, place), crypt.MaxBlock)
		}
		return b, nil
	}
	b, err := part(pos, ns, binary.LittleEndian.Uint64(t[16:]), whereSummary)
	if err != nil {
		return nil, nil, err
	}
	s, good := parseSummary(b)
	ok = good
	if !ok {
		return nil, nil, ErrCorrupt
	}
	if !withIndex {
		return s, nil, nil
	}
	if b, err = part(pos+int64(ns), ni, binary.LittleEndian.Uint64(t[24:]), whereIndex); err != nil {
		return nil, nil, err
	}
	d, ok := parseDetail(b, len(s.subjects))
	if !ok || len(d.sizes) != s.n || d.seqs[0] != s.first || d.seqs[s.n-1] != s.last {
		return nil, nil, ErrCorrupt
	}
	return s, d, nil
}

// collector makes summary and index from records in order.
type collector struct {
	summary
	detail
	ids map[string]uint32
}

// add takes one record; an erased one keeps its place.
func (c *collector) add(r *store.Rec, size uint32, erased bool) {
	if c.ids == nil {
		c.ids = map[string]uint32{}
	}
	key := r.Subject
	if erased {
		key = nil
	}
	lid, ok := c.ids[string(key)]
	if !ok {
		lid = uint32(len(c.subjects))
		k := slices.Clone(key)
		c.ids[string(k)] = lid
		c.subjects = append(c.subjects, subjectCount{key: k, first: r.Seq})
	}
	sc := &c.subjects[lid]
	sc.n++
	sc.last = r.Seq
	c.place(r.Seq, size, lid)
	if c.n == 1 {
		c.firstTime, c.maxTime = r.Time, r.Time
	}
	c.maxTime = max(c.maxTime, r.Time)
	if r.TTL != 0 && !erased {
		at := int64(-1)
		if r.TTL > 0 {
			at = r.Time + r.TTL*1e9
		}
		c.ttls = append(c.ttls, msgtab.Deadline{At: at, Seq: r.Seq})
	}
}

// skip notes size bytes that do not verify; seq is one of the messages that were there.
func (c *collector) skip(seq uint64, size uint32) {
	if c.ids == nil {
		c.ids = map[string]uint32{}
	}
	lid, ok := c.ids[""]
	if !ok {
		lid = uint32(len(c.subjects))
		c.ids[""] = lid
		c.subjects = append(c.subjects, subjectCount{first: seq})
	}
	c.subjects[lid].last = seq
	c.place(seq, size, lid)
	c.holes = append(c.holes, seq)
}

func (c *collector) place(seq uint64, size, lid uint32) {
	if c.n == 0 {
		c.first = seq
	}
	c.n++
	c.summary.last = seq
	c.end += size
	c.sizes = append(c.sizes, size)
	c.seqs = append(c.seqs, seq)
	c.lids = append(c.lids, lid)
}

// scan takes the records in b (which begins at offset c.end) up to its end. Where a record does not verify it looks for the
// next one that does. stop ends the scan at the first bad record instead; it returns the bytes used.
func (c *collector) scan(b []byte, salt uint64, stop bool) int {
	var r store.Rec
	for p := 0; p < len(b); {
		n, erased := msgtab.Verify(b[p:], salt, &r)
		if n > 0 && (c.n == 0 || r.Seq > c.summary.last) {
			c.add(&r, uint32(n), erased)
			p += n
			continue
		}
		if stop {
			return p
		}
		q := p + 1
		for ; q < len(b); q++ {
			if n, _ := msgtab.Verify(b[q:], salt, &r); n > 0 && (c.n == 0 || r.Seq > c.summary.last+1) {
				break
			}
		}
		seq := uint64(1)
		if c.n > 0 {
			seq = c.summary.last + 1
		} else if q < len(b) {
			seq = r.Seq - 1
		}
		c.skip(seq, uint32(q-p))
		p = q
	}
	return len(b)
}
