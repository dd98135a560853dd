// Package store holds the vocabulary of durable things: records, availability, state, sync policy.
//
// Plain types only: no behaviour, no goroutine. Packages below store/ implement, packages of js
// declare the ports they need in these types.
package store

// Rec is one stored message. On the way in, its slices are borrowed until the call returns; on the way
// out of Load and Next they are valid until the next call on the same store.
type Rec struct {
	Seq     uint64
	Time    int64 // unix nanoseconds
	Subject []byte
	Header  []byte // whole NATS/1.0 block; nil if none
	Payload []byte
	TTL     int64 // seconds after Time; 0 none, -1 never (exempt from max_age)
}

// Avail says what a read found.
type Avail uint8

// The results of a read.
const (
	None    Avail = iota // nothing (more) there
	Hit                  // the record was filled in
	Pending              // on a cold block: a read was requested, retry when the store says so
	Damaged              // the record is known to be lost or does not verify
)

// SyncPolicy says what must have happened before a write counts as done.
type SyncPolicy uint8

// The policies.
const (
	SyncNone    SyncPolicy = iota // accepted in memory
	SyncOS                        // handed to the operating system
	SyncDurable                   // fdatasync covering it returned
)

// State is the summary of a stream store.
type State struct {
	Msgs, Bytes         uint64
	FirstSeq, LastSeq   uint64 // FirstSeq = LastSeq+1 when empty after having had messages; 0,0 when new
	FirstTime, LastTime int64  // unix nanoseconds; 0 = none
	Subjects            int
	Deleted             uint64 // interior deletes between FirstSeq and LastSeq
	LostMsgs, LostBytes uint64
}
