package stream

import "ramjet/store"

// Log is the message log of a stream in its applied form, as the stream machine and the consumers of the stream use
// it; store/stream and store/memstream implement it. Owner: the shard of the stream.
type Log interface {
	// Append stores r; r.Seq is above the last sequence, a jump leaves deleted sequences behind. r is borrowed.
	Append(r *store.Rec) error
	// SkipTo makes seq the last sequence without storing anything.
	SkipTo(seq uint64) error
	Load(seq uint64, r *store.Rec) store.Avail
	// LoadNow and NextNow are never Pending: they read a cold message at once. For what has to be decided now and is rare.
	LoadNow(seq uint64, r *store.Rec) store.Avail
	NextNow(f *store.Filter, from uint64, r *store.Rec) store.Avail
	// Weight returns the bytes a message counts in the limits, 0 if there is none.
	Weight(seq uint64) uint64
	// Next fills r with the first message at or after from that passes f; Prev with the last at or before upto.
	Next(f *store.Filter, from uint64, r *store.Rec) store.Avail
	Prev(f *store.Filter, upto uint64, r *store.Rec) store.Avail
	// Remove deletes one message; erase also destroys its content on disk. False: no such message.
	Remove(seq uint64, erase bool) bool
	// Purge removes what p selects and returns how many; each, when not nil, is told every removed sequence.
	Purge(p *store.Purge, each func(seq uint64)) uint64
	State(*store.State)
	Index
}

// Index is the per-subject side of a Log.
type Index interface {
	// Last returns the last sequence of a literal subject.
	Last(subject []byte) (seq uint64, ok bool)
	// Count returns the messages of a literal subject.
	Count(subject []byte) uint64
	// First returns the first sequence of a literal subject.
	First(subject []byte) (seq uint64, ok bool)
	// Subjects calls fn for each subject that passes f with its message count and last sequence, in byte order.
	Subjects(f *store.Filter, fn func(subject []byte, count, last uint64) bool)
	// Pending counts messages at or after from that pass f; lastPerSubject counts subjects whose last message is there.
	Pending(f *store.Filter, from uint64, lastPerSubject bool) uint64
	// SeqAt returns the first sequence whose time is at or after t (unix nanoseconds), last+1 if there is none.
	SeqAt(t int64) uint64
	// Deleted calls fn for each run of deleted sequences between the first and the last message.
	Deleted(fn func(from, to uint64) bool)
}

// Expirer is the side of a Log that knows the age of messages; a Log without it never expires messages.
type Expirer interface {
	// Expire calls fn for each message whose own TTL is over at now, earliest first; false from fn ends the walk and
	// leaves the message due.
	Expire(now int64, fn func(seq uint64) bool) int
	// NextExpiry returns when the next message expires by its own TTL.
	NextExpiry() (at int64, ok bool)
	// Aged returns the first message at or after from and below limit that is not exempt from max_age.
	Aged(from, limit uint64) (seq uint64, ok bool)
	// OldestExpired looks at the oldest message that is not exempt from maxAge (nanoseconds). Hit: seq is over age at
	// now. None: at is when the next one will be, 0 if there is none. Pending: not known yet.
	OldestExpired(now, maxAge int64) (seq uint64, at int64, a store.Avail)
}

// DueLister is an Expirer that can tell what is due without taking it; with it, delete markers for TTLs cost nothing for
// messages that are not due.
type DueLister interface {
	// Due calls fn, in any order, for each message whose own TTL is over at now until fn returns false.
	Due(now int64, fn func(seq uint64) bool)
}

// Subjecter is a Log that tells the subject of a message without reading it, nil if it is not known: consumers with filters then need
// not count again what is left for them. The slice is borrowed until the next change of the log.
type Subjecter interface {
	Subject(seq uint64) []byte
}

// Sizer is a Log that tells its size without looking at any message: State may have to read the time of the first one.
type Sizer interface {
	Size() (msgs, bytes, first, last uint64)
}
