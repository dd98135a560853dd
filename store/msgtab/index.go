package msgtab

import (
	"bytes"
	"math/bits"
	"slices"
	"sort"

	"ramjet/store/subjidx"
)

// Index is the index of a segment: for each record its offset, sequence and subject id. While a segment is the tail it grows;
// Seal makes it small.
type Index struct {
	base   uint64
	n      int
	end    uint32 // offset after the last record
	stride uint32 // length of every record if offs is nil
	offs   []uint32
	seqs   []uint32 // sequence - base; nil while there is no gap
	ids    []subjidx.ID
	dict   []subjidx.ID // sorted; then i8, i16 hold positions in it, or all records have its only id
	i8     []uint8
	i16    []uint16
	bloom  []uint64 // of ids, when sealed without dict: a byte a record says of 19 in 20 absent ids that they are
}

// bloomBits returns the two bits of an id in a filter of n words, a power of two.
func bloomBits(id subjidx.ID, n int) (w1, w2 int, b1, b2 uint64) {
	h := uint64(id) * 0x9E3779B97F4A7C15
	return int(h>>6) & (n - 1), int(h>>38) & (n - 1), 1 << (h & 63), 1 << (h >> 32 & 63)
}

// mayHave reports whether a record may have the subject id.
func (x *Index) mayHave(id subjidx.ID) bool {
	if x.bloom == nil {
		return true
	}
	w1, w2, b1, b2 := bloomBits(id, len(x.bloom))
	return x.bloom[w1]&b1 != 0 && x.bloom[w2]&b2 != 0
}

// Len returns the number of records.
func (x *Index) Len() int { return x.n }

// Off returns the offset of record i; Off(Len()) is the end of the last one.
func (x *Index) Off(i int) uint32 {
	switch {
	case i >= x.n:
		return x.end
	case x.offs == nil:
		return uint32(i) * x.stride
	}
	return x.offs[i]
}

// Size returns the length of record i.
func (x *Index) Size(i int) uint32 { return x.Off(i+1) - x.Off(i) }

// Seq returns the sequence of record i.
func (x *Index) Seq(i int) uint64 {
	if x.seqs == nil {
		return x.base + uint64(i)
	}
	return x.base + uint64(x.seqs[i])
}

// ID returns the subject id of record i.
func (x *Index) ID(i int) subjidx.ID {
	switch {
	case x.i8 != nil:
		return x.dict[x.i8[i]]
	case x.i16 != nil:
		return x.dict[x.i16[i]]
	case len(x.dict) == 1:
		return x.dict[0]
	}
	return x.ids[i]
}

// Fits reports whether a record with this sequence can be added.
func (x *Index) Fits(seq uint64) bool { return x.n == 0 || seq-x.base < 1<<32 }

// Add appends a record. Sequences grow.
func (x *Index) Add(seq uint64, size uint32, id subjidx.ID) {
	if x.n == 0 {
		x.base = seq
	}
	if x.seqs == nil && seq != x.base+uint64(x.n) {
		x.seqs = make([]uint32, x.n, max(2*x.n, 16))
		for i := range x.seqs {
			x.seqs[i] = uint32(i)
		}
	}
	if x.seqs != nil {
		x.seqs = append(x.seqs, uint32(seq-x.base))
	}
	x.offs = append(x.offs, x.end)
	x.ids = append(x.ids, id)
	x.end += size
	x.n++
}

// reset empties the index, keeping its memory.
func (x *Index) reset() {
	*x = Index{offs: x.offs[:0], ids: x.ids[:0]}
}

// Find returns the first record with a sequence of at least seq.
func (x *Index) Find(seq uint64) int {
	if x.n == 0 || seq <= x.base {
		return 0
	}
	if x.seqs == nil {
		return int(min(seq-x.base, uint64(x.n)))
	}
	if seq-x.base > uint64(x.seqs[x.n-1]) {
		return x.n
	}
	want := uint32(seq - x.base)
	i, _ := slices.BinarySearch(x.seqs, want)
	return i
}

// Seal returns a compact copy.
func (x *Index) Seal() *Index {
	out := &Index{base: x.base, n: x.n, end: x.end, seqs: slices.Clip(slices.Clone(x.seqs))}
	if x.n > 0 && x.end%uint32(x.n) == 0 {
		out.stride = x.end / uint32(x.n)
		for i, o := range x.offs {
			if o != uint32(i)*out.stride {
				out.stride = 0
				break
			}
		}
	}
	if out.stride == 0 {
		out.offs = slices.Clip(slices.Clone(x.offs))
	}
	out.setIDs(x.ids)
	return out
}

// setIDs stores ids, narrow if there are few different ones.
func (x *Index) setIDs(ids []subjidx.ID) {
	dict := distinct(ids)
	pos := func(id subjidx.ID) int {
		i, _ := slices.BinarySearch(dict, id)
		return i
	}
	if k := len(dict); k > 0 && k <= 1<<16 {
		top := dict[k-1]
		if top == subjidx.NoID && k > 1 {
			top = dict[k-2]
		}
		if span := top - dict[0]; top != subjidx.NoID && span < 1<<20 {
			rank := make([]uint16, span+1)
			for i, id := range dict {
				if id != subjidx.NoID {
					rank[id-dict[0]] = uint16(i)
				}
			}
			lo := dict[0]
			pos = func(id subjidx.ID) int {
				if id == subjidx.NoID {
					return k - 1
				}
				return int(rank[id-lo])
			}
		}
	}
	switch {
	case len(dict) == 1:
	case len(dict) <= 1<<8:
		x.i8 = make([]uint8, len(ids))
		for i, id := range ids {
			x.i8[i] = uint8(pos(id))
		}
	case len(dict) <= 1<<16 && len(dict)*4 < len(ids):
		x.i16 = make([]uint16, len(ids))
		for i, id := range ids {
			x.i16[i] = uint16(pos(id))
		}
	default:
		x.ids = slices.Clone(ids)
		n := 1
		for n*8 < len(ids) {
			n *= 2
		}
		x.bloom = make([]uint64, n)
		for _, id := range ids {
			w1, w2, b1, b2 := bloomBits(id, n)
			x.bloom[w1] |= b1
			x.bloom[w2] |= b2
		}
		return
	}
	x.dict = slices.Clone(dict)
}

// distinct returns the different ids in order. A bitmap of the ids in use beats sorting.
func distinct(ids []subjidx.ID) []subjidx.ID {
	lo, hi := subjidx.NoID, subjidx.ID(0)
	none := false
	for _, id := range ids {
		if id == subjidx.NoID {
			none = true
			continue
		}
		lo, hi = min(lo, id), max(hi, id)
	}
	var out []subjidx.ID
	if lo <= hi {
		set := make([]uint64, (hi-lo)/64+1)
		for _, id := range ids {
			if id != subjidx.NoID {
				set[(id-lo)/64] |= 1 << ((id - lo) % 64)
			}
		}
		for w, v := range set {
			for ; v != 0; v &= v - 1 {
				out = append(out, lo+subjidx.ID(w*64+bits.TrailingZeros64(v)))
			}
		}
	}
	if none {
		out = append(out, subjidx.NoID)
	}
	return out
}

// Distinct returns the different subject ids of the records, in order.
func (x *Index) Distinct() []subjidx.ID {
	if x.dict != nil {
		return x.dict
	}
	return distinct(x.ids)
}

// Build returns an index of records with these lengths, sequences and subject ids; compact if it will not grow.
func Build(sizes []uint32, seqs []uint64, ids []subjidx.ID, grows bool) *Index {
	x := &Index{offs: make([]uint32, 0, len(sizes)), ids: make([]subjidx.ID, 0, len(sizes))}
	for i, n := range sizes {
		x.Add(seqs[i], n, ids[i])
	}
	if grows {
		return x
	}
	return x.Seal()
}

// Memory returns the bytes the index takes.
func (x *Index) Memory() int {
	return 200 + 4*(cap(x.offs)+cap(x.seqs)+cap(x.ids)+cap(x.dict)) + cap(x.i8) + 2*cap(x.i16) + 8*cap(x.bloom)
}

// nextID returns the first record from i on, below end, with the subject id; end if there is none.
func (x *Index) nextID(i, end int, id subjidx.ID) int {
	if x.dict == nil {
		if !x.mayHave(id) {
			return end
		}
		for ; i < end; i++ {
			if x.ids[i] == id {
				return i
			}
		}
		return end
	}
	p, ok := slices.BinarySearch(x.dict, id)
	if !ok || i >= end {
		return end
	}
	if len(x.dict) == 1 {
		return i
	}
	if x.i8 != nil {
		if k := bytes.IndexByte(x.i8[i:end], uint8(p)); k >= 0 {
			return i + k
		}
		return end
	}
	for ; i < end; i++ {
		if x.i16[i] == uint16(p) {
			return i
		}
	}
	return end
}

// prevID returns the last record at or before i with the subject id; -1 if there is none.
func (x *Index) prevID(i int, id subjidx.ID) int {
	if x.dict == nil {
		if !x.mayHave(id) {
			return -1
		}
		for ; i >= 0 && x.ids[i] != id; i-- {
		}
		return i
	}
	p, ok := slices.BinarySearch(x.dict, id)
	if !ok {
		return -1
	}
	if len(x.dict) == 1 {
		return i
	}
	if x.i8 != nil {
		return bytes.LastIndexByte(x.i8[:i+1], uint8(p))
	}
	for ; i >= 0 && x.i16[i] != uint16(p); i-- {
	}
	return i
}

// Frame is a run of whole records in memory: bytes [Off, Off+len(B)) of the segment.
type Frame struct {
	Off uint32
	B   []byte
}

// Segment is a run of messages that are stored together.
type Segment struct {
	ID                uint64 // never used twice in a stream
	First, Last       uint64 // sequences of first and last record
	FirstTime, MaxTim int64  // time of the first record, latest time
	N, Live           int    // records; those not deleted
	End               uint32 // bytes of all records
	Ix                *Index // nil = not loaded
	Frames            []Frame
	Sealed            bool
	TTLs              []Deadline // of the tail and of segments being loaded; sequence order
	Host              any        // what the host keeps with it
}

// Deadline is when a message expires by its own TTL; At < 0: never, exempt from the age limit.
type Deadline struct {
	At  int64 // unix nanoseconds
	Seq uint64
}

// frame returns the frame that holds [off, off+n), or nil.
func (s *Segment) frame(off, n uint32) []byte {
	fs := s.Frames
	k := len(fs)
	if k == 0 {
		return nil
	}
	if fs[k-1].Off > off {
		k = sort.Search(k, func(i int) bool { return fs[i].Off > off })
		if k == 0 {
			return nil
		}
	}
	f := &fs[k-1]
	if at := off - f.Off; uint64(at)+uint64(n) <= uint64(len(f.B)) {
		return f.B[at : at+n]
	}
	return nil
}

// Install adds a frame, replacing those it covers.
func (s *Segment) Install(f Frame) {
	end := f.Off + uint32(len(f.B))
	s.Frames = slices.DeleteFunc(s.Frames, func(o Frame) bool { return o.Off >= f.Off && o.Off+uint32(len(o.B)) <= end })
	i := sort.Search(len(s.Frames), func(i int) bool { return s.Frames[i].Off > f.Off })
	s.Frames = slices.Insert(s.Frames, i, f)
}
