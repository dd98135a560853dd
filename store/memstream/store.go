package memstream

import (
	"math"

	"ramjet/store"
	"ramjet/store/msgtab"
)

const (
	segmentBytes   = 248 << 10 // a little less than its frames hold, which do not fill up to the last byte
	segmentRecords = 8192
	thinMin        = 32        // removed messages before copying pays
	thinSlack      = 512 << 10 // bytes of removed messages that a stream may hold beyond as much as it has
)

// Store is a stream store in memory; see js/stream.Log for what its methods promise. Owner: the shard of the stream.
type Store struct {
	*msgtab.Table
	nextID uint64
}

// New returns an empty store that takes its frames from pool and gives them back there; nil: it leaves them to the collector.
func New(pool *msgtab.Pool) *Store {
	s := &Store{}
	s.Table = msgtab.New((*host)(s), 0, true, pool)
	return s
}

// Check verifies counts and indexes against each other and returns what is wrong, or nil.
func (s *Store) Check() error { return s.Table.CheckInvariants() }

// host is what the table needs of the store.
type host Store

func (h *host) Index(*msgtab.Segment, bool) bool              { return true }
func (h *host) Cold(*msgtab.Segment, int)                     {}
func (h *host) Record(*msgtab.Segment, int) []byte            { return nil }
func (h *host) Drop(s *msgtab.Segment)                        { h.RecycleAll(s) }
func (h *host) recordFits(s *msgtab.Segment, seq uint64) bool { return s.Ix.Fits(seq) }

func (h *host) Tail(s *msgtab.Segment, seq uint64, n int) *msgtab.Segment {
	if s != nil && s.Live == 0 && s.N > 0 {
		h.Discard(s)
		h.RecycleAll(s)
		s = nil
	}
	if s != nil && (s.N >= segmentRecords || (s.N > 0 && int(s.End)+n > segmentBytes) || !h.recordFits(s, seq)) {
		h.Seal(s)
		s.TTLs = nil
		s = nil
	}
	if s == nil {
		h.nextID++
		s = h.NewTail(h.nextID)
	}
	s.TTLs = s.TTLs[:0]
	return s
}

func (h *host) Erase(s *msgtab.Segment, i int) { h.EraseInMemory(s, i, uint64(i)+1) }

// Thinned copies segments of which half is gone.
func (h *host) Thinned(s *msgtab.Segment) {
	if s.Live == 0 {
		h.Discard(s)
		h.RecycleAll(s)
		return
	}
	if !h.TimeToThin(thinSlack / 4) {
		return
	}
	sealed := func(o *msgtab.Segment) bool { return o.Sealed }
	for s := h.Worst(thinMin, thinSlack, sealed); s != nil; s = h.Worst(thinMin, thinSlack, sealed) {
		olds := h.Neighbours(s, sealed, segmentBytes/2, segmentRecords, math.MaxUint32)
		h.nextID++
		fresh := h.Rewrite(olds, h.nextID)
		if fresh == nil {
			return
		}
		h.Replace(olds, fresh)
		for _, o := range olds {
			h.RecycleAll(o)
		}
	}
}

var _ interface {
	Append(*store.Rec) error
	Load(uint64, *store.Rec) store.Avail
} = (*Store)(nil)
