package journal

import (
	"ramjet/store"
	"ramjet/store/vfs"
)

// CONTRACT: signatures other packages compile against; the owner gives each its own file.

// GroupID names the owner of a run of records: a raft group, an R1 stream, an R1 consumer. Persistent.
type GroupID uint64

// Pos is a position in the journal: monotone over the life of a volume.
type Pos uint64

// Kind of a record (../shared/design/durability.md, section 1).
type Kind uint8

// The record kinds.
const (
	KindEntry      Kind = iota + 1 // raft entries
	KindHardState                  // raft hard state
	KindTruncate                   // log truncation of a group
	KindSnapshot                   // snapshot mark of a group
	KindRelease                    // a group has released everything before a position
	KindStream                     // R1 stream command
	KindConsumer                   // R1 consumer command
	KindReference                  // reference to bytes in a segment
	KindCheckpoint                 // checkpoint of a group
	KindCatalog                    // creation, update, deletion of an asset
)

// Record is one record; Payload is borrowed until Append returns, unless Own is set: then the journal
// keeps it by reference and calls Own once it was written.
type Record struct {
	Group   GroupID
	Kind    Kind
	Flags   uint8
	Index   uint64 // raft index, or the group's own counter
	Term    uint64
	Payload []byte
	Own     func()
}

// Options of a journal.
type Options struct {
	FileSize  int64           // bytes per file; 0 = 64 MiB
	MaxFiles  int             // bound of live files; 0 = 64: beyond it Append blocks publishers (Full)
	Interval  int64           // 0 = sync before every completion (group commit); else nanoseconds between syncs
	MaxQueued int64           // bytes queued for the committer before Append says Full; 0 = 64 MiB
	Salt      func() uint64   // random source
	OnFailure func(err error) // the volume failed: nothing is acknowledged any more
	OnDamage  func(d Damage)  // damage found by recovery or scrubbing
}

// Damage describes unreadable committed bytes.
type Damage struct {
	File   uint64
	Offset int64
	Group  GroupID // 0 = unknown
	Reason string
}

// Log is the journal of one volume. Append and Submit: any goroutine (a shard each); completions are
// called on the committer's goroutine, in batches per owner, and must only post to an inbox.
type Log struct{}

// Open recovers dir and returns the log; replay is called for every live record in order, before Open
// returns. A torn tail is cut; damage in the committed part is reported and skipped per group.
func Open(fs vfs.FS, dir string, o Options, replay func(r *Record, pos Pos) error) (*Log, error) {
	panic("contract")
}

// Append queues records (encoded at once into the current batch) and returns the position after them.
func (l *Log) Append(recs ...Record) (Pos, error) { panic("contract") }

// Submit asks for done(pos, err) once everything appended so far by this caller satisfies policy.
func (l *Log) Submit(policy store.SyncPolicy, done func(Pos, error)) { panic("contract") }

// Full reports that publishers must pause; Drained is called (once per Full) when they may go on.
func (l *Log) Full() bool          { panic("contract") }
func (l *Log) OnDrained(fn func()) { panic("contract") }

// ReadAt reads the record at pos into r (Payload in buf). For followers and repair.
func (l *Log) ReadAt(pos Pos, buf []byte, r *Record) error { panic("contract") }

// Release says that group needs nothing before upto; files all groups released are recycled.
func (l *Log) Release(group GroupID, upto Pos) { panic("contract") }

// Forget drops a group (asset deleted).
func (l *Log) Forget(group GroupID) { panic("contract") }

// Close syncs and closes. Stats are for monitoring.
func (l *Log) Close() error { panic("contract") }
