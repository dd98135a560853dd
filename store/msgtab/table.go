package msgtab

import (
	"errors"
	"sort"

	"ramjet/store"
	"ramjet/store/seqset"
	"ramjet/store/subjidx"
)

// Host is what a table needs from the store around it. All calls are made by the owner of the table.
type Host interface {
	// Index brings the index of a sealed segment. With now it returns with the index installed (possibly an empty one, its
	// records being lost); else it may only ask for it and return false.
	Index(s *Segment, now bool) bool
	// Cold asks for the data of record i of s.
	Cold(s *Segment, i int)
	// Record reads record i of s, whose data is not in memory, at once; nil if it does not verify.
	Record(s *Segment, i int) []byte
	// Tail returns the segment for the next record, of n bytes: s, the present tail (nil if there is none), or a new one.
	Tail(s *Segment, seq uint64, n int) *Segment
	// Erase destroys the content of record i of s, which is removed next.
	Erase(s *Segment, i int)
	// Thinned is told that a message of s was removed; it may replace the segment.
	Thinned(s *Segment)
	// Drop is told that s, which was sealed, has no live messages and left the table.
	Drop(s *Segment)
}

// Errors of Append.
var (
	ErrSequence = errors.New("stream store: sequence is not above the last one")
	ErrSubject  = errors.New("stream store: subject is empty or too long")
	ErrTooLarge = errors.New("stream store: message is too large")
)

// Table holds the messages of one stream.
type Table struct {
	host   Host
	salt   uint64
	memory bool // byte accounting of memory streams

	segs  []*Segment // by sequence
	idx   *subjidx.Index
	dels  seqset.Set // deleted, within first to last
	lost  seqset.Set // known to be unreadable
	holes seqset.Set // lost, and in no index: subject and size are unknown

	msgs, bytes uint64
	first, last uint64
	lastTime    int64
	ftSeq       uint64 // sequence for which ftTime holds
	ftTime      int64
	lostBytes   uint64
	ttl         ttlHeap
	never       seqset.Set // messages exempt from the age limit
	pool        *Pool
	inUse       int          // full-grown frames
	slab        []byte       // what is left of the last one
	removed     int          // bytes, since TimeToThin said so
	ids         []subjidx.ID // scratch
}

// New returns an empty table. Frames come from pool, which may be nil.
func New(host Host, salt uint64, memory bool, pool *Pool) *Table {
	return &Table{host: host, salt: salt, memory: memory, idx: subjidx.New(), pool: pool}
}

// Segments returns the segments in order; not to be changed.
func (t *Table) Segments() []*Segment { return t.segs }

// Salt returns the salt of the record checksums.
func (t *Table) Salt() uint64 { return t.salt }

// DeletedSet returns the set of deleted sequences; not to be changed.
func (t *Table) DeletedSet() *seqset.Set { return &t.dels }

// Lost returns the set of sequences known to be unreadable; not to be changed.
func (t *Table) Lost() *seqset.Set { return &t.lost }

// SubjectIndex returns the subject index; not to be changed.
func (t *Table) SubjectIndex() *subjidx.Index { return t.idx }

// NumSubjects returns the number of subjects with messages.
func (t *Table) NumSubjects() int { return t.idx.Len() }

// Size returns the size without looking at any message: State reads the time of the first one, which may be cold.
func (t *Table) Size() (msgs, bytes, first, last uint64) { return t.msgs, t.bytes, t.first, t.last }

// State fills in the summary.
func (t *Table) State(s *store.State) {
	*s = store.State{
		Msgs: t.msgs, Bytes: t.bytes, FirstSeq: t.first, LastSeq: t.last, LastTime: t.lastTime,
		Subjects: t.idx.Len(), LostMsgs: t.lost.Len(), LostBytes: t.lostBytes,
	}
	if t.msgs > 0 {
		s.FirstTime = t.firstTime()
		s.Deleted = t.last - t.first + 1 - t.msgs
	}
}

func (t *Table) firstTime() int64 {
	if t.ftSeq != t.first {
		seg := t.locate(t.first)
		if seg == nil || t.first < seg.First || !t.host.Index(seg, true) {
			return t.ftTime
		}
		at, ok := t.mustTime(seg, seg.Ix.Find(t.first))
		if !ok {
			return t.ftTime
		}
		t.ftSeq, t.ftTime = t.first, at
	}
	return t.ftTime
}

// timeOf returns the time of a record if its data is in memory.
func (t *Table) timeOf(seg *Segment, i int) (int64, bool) {
	if i >= seg.Ix.Len() {
		return 0, false
	}
	if i == 0 {
		return seg.FirstTime, true
	}
	var r store.Rec
	b := seg.frame(seg.Ix.Off(i), seg.Ix.Size(i))
	if b == nil {
		return 0, false
	}
	View(b, &r)
	return r.Time, true
}

// at returns the index of the first segment that ends at or after seq.
func (t *Table) at(seq uint64) int {
	if n := len(t.segs); n > 0 && (n == 1 || t.segs[n-2].Last < seq) {
		if t.segs[n-1].Last >= seq {
			return n - 1
		}
		return n
	}
	return sort.Search(len(t.segs), func(i int) bool { return t.segs[i].Last >= seq })
}

// locate returns the segment that may hold seq, or nil.
func (t *Table) locate(seq uint64) *Segment {
	i := t.at(seq)
	if i < len(t.segs) && t.segs[i].First <= seq {
		return t.segs[i]
	}
	return nil
}

// live reports whether seq is a message of the stream, readable or not.
func (t *Table) live(seq uint64) bool {
	return t.msgs > 0 && seq >= t.first && seq <= t.last && !t.dels.Has(seq)
}

// charge returns what record i of s counts in bytes.
func (t *Table) charge(s *Segment, i int) uint64 {
	n := uint64(s.Ix.Size(i))
	if !t.memory {
		return n - HeaderLen + 30
	}
	n = n - HeaderLen + 16
	if b := s.frame(s.Ix.Off(i), HeaderLen); b != nil && b[3]&0x80 != 0 {
		n -= 4
	}
	return n
}

// Bytes returns what a message counts against limits: file 22 + subject + [4 + header] + payload + 8, memory
// subject + header + payload + 16 (stream.md, section 2).
func Bytes(memory bool, r *store.Rec) uint64 {
	n := uint64(len(r.Subject) + len(r.Header) + len(r.Payload))
	if memory {
		return n + 16
	}
	if len(r.Header) > 0 {
		n += 4
	}
	return n + 30
}
