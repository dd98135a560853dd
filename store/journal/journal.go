package journal

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"ramjet/proto/base/clock"
	"ramjet/store"
	"ramjet/store/vfs"
)

const (
	minFileSize     = 64 << 10
	maxFileSize     = 1 << 30
	defaultFileSize = 64 << 20
	firstFileSize   = 8 << 20 // files double from here to FileSize as they are filled: a small server stays small
	startFileSize   = 1 << 20 // of the file that a start without a spare one makes: nobody waits for more to be written
	defaultMaxFiles = 64
	defaultQueued   = 64 << 20
	byRefSize       = 8 << 10  // payloads from here on are kept by reference when the caller allows it
	defaultBehind   = 2 << 20  // bytes that nobody waits for before they are synced behind the committer: until then they are kept for a rewrite
	maxUnsynced     = 16 << 20 // bytes kept before the committer waits for a sync
)

// Errors of Append and of completions.
var (
	ErrClosed   = errors.New("journal: closed")
	ErrFull     = errors.New("journal: queue is full")           // publishers did not pause while Full
	ErrNoSpace  = errors.New("journal: no space left on device") // only essential records are accepted
	ErrTooLarge = errors.New("journal: record is too large")
	ErrFailed   = errors.New("journal: volume failed") // wrapped around the cause
	errEnded    = errors.New("journal: the group has ended")
	errNotThere = errors.New("journal: no synced record at this position")
)

// Options of a journal; zero values mean the defaults.
type Options struct {
	FileSize  int64         // bytes of a full-grown file; default 64 MiB
	FirstSize int64         // bytes of the first file; default 8 MiB, doubling up to FileSize
	MaxFiles  int           // live files before laggards are rewritten and publishers paused; default 64
	Interval  time.Duration // 0: sync before completing (group commit); else sync this often in the background
	MaxQueued int64         // bytes waiting for the committer before Full; default 64 MiB
	Clock     clock.Clock   // for intervals, retries on a full disk, and what writes take
	Salt      func() uint64 // random source, required
	Expected  bool          // a journal without a file in use is damage: others remember what was in it
	Stepped   bool          // no goroutines: a simulation calls Step
	behindAt  int64         // default defaultBehind

	// Events; called on the committer or the preparer, must not block. Nil members are ignored.
	OnFailure func(err error)               // the volume failed: nothing is acknowledged any more
	OnSyncErr func(err error)               // a sync failed and the unacknowledged batch moved to a fresh file
	OnNoSpace func(full bool)               // the reserve was entered or left
	OnDamage  func(d Damage)                // found by Open
	OnLag     func(g GroupID)               // g pins old files: checkpoint and release, please
	Orphan    func(g GroupID) bool          // nobody will ever checkpoint g: all of it is rewritten, however much
	OnDrained func()                        // Full turned false; called on the committer
	OnMoved   func(g GroupID, from, to Pos) // a live record of g was rewritten
}

// Damage is a range of once durable bytes that do not verify.
type Damage struct {
	File   uint64 // file number
	Pos    Pos
	Length int64
	Group  GroupID // whose record it was; 0 = could not be told: any group with a gap in its indexes
	Reason string
}

// Stats are counters for monitoring.
type Stats struct {
	Records, Bytes, Batches, Syncs uint64
	SyncNanos                      uint64
	Files, Spare                   int
	Queued                         int64
	Head, Synced                   Pos
	NoSpace, Failed                bool
}

// Log is the journal of one volume.
type Log struct {
	fs  vfs.FS
	dir string
	o   Options

	// mu guards the open batch, positions and the table of files. Leaf: held for an append, a swap or a look-up,
	// never during I/O.
	mu struct {
		sync.Mutex
		cur      *batch
		free     []*batch // written ones, for reuse
		arenas   arenas
		next     Pos
		live     []*file // oldest first; the last one takes the next record; no handle until the committer starts it
		spare    []*file // ready to be used
		retired  []*file // not needed, to be removed once a newer file header says so
		slots    int     // next slot number
		number   uint64  // newest file number
		grow     int64   // size of the next file to be made
		released map[GroupID]Pos
		closed   bool
		err      error // volume failed
		noSpace  bool
		tight    bool  // the volume is nearly full: only room that exists already is given away
		making   bool  // somebody is making a file
		want     int64 // room an append was refused for

		moving GroupID // a group that is being rewritten
		ended  bool    // it ended or was forgotten meanwhile: no more copies
	}

	kick     chan struct{} // the committer has work; capacity 1
	prepare  chan struct{} // the preparer has work; capacity 1
	made     chan struct{} // a file stands ready, or its making failed; capacity 1
	stop     chan struct{}
	done     sync.WaitGroup
	queued   atomic.Int64
	full     atomic.Bool
	retrying atomic.Bool // the preparer looks again later
	synced   atomic.Uint64
	stats    struct{ records, bytes, batches, syncs, nanos atomic.Uint64 }

	turn sync.Mutex // before mu; held by who commits: the committer, or TryWrite

	// Owner: who holds turn, and Open.
	open       *file    // file being written
	dirty      bool     // it was written to since its last sync
	wrote      bool     // a batch was written since Open
	unsynced   []*batch // written, not synced
	unsyncedN  int64
	behind     behind
	writeErr   error         // of TryWrite: the committer makes it good
	late       []waiter      // of that batch
	calmAt     atomic.Int64  // unix ns, when what TryWrite was held up is made up for
	iov        [][]byte      // scratch
	oldestSaid atomic.Uint64 // oldest live file as the newest durable file header says
	syncDue    atomic.Bool   // the background timer asks for a sync
	timer      clock.Timer
	header     [fileHeaderLen]byte
	mark       [markLen]byte
}

func (o *Options) setDefaults() {
	if o.FileSize == 0 {
		o.FileSize = defaultFileSize
	}
	if o.FirstSize == 0 {
		o.FirstSize = firstFileSize
	}
	o.FileSize = min(max(o.FileSize, minFileSize), maxFileSize)
	o.FirstSize = min(max(o.FirstSize, minFileSize), o.FileSize)
	if o.MaxFiles == 0 {
		o.MaxFiles = defaultMaxFiles
	}
	if o.MaxQueued == 0 {
		o.MaxQueued = defaultQueued
	}
	if o.behindAt == 0 {
		o.behindAt = defaultBehind
	}
}

// MaxPayload returns the largest payload a record may have.
func (l *Log) MaxPayload() int { return maxPayload(l.o.FileSize) }

// maxPayload is the largest payload that fits into a file of size bytes.
func maxPayload(size int64) int { return int(size - fileHeaderLen - headerLen - 2*commitLen - align) }

// Full reports that publishers must pause until OnDrained: the disk is slower than they are. Any goroutine.
func (l *Log) Full() bool { return l.full.Load() }

// Stats returns the counters. Any goroutine.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	s := Stats{Head: l.mu.next, NoSpace: l.mu.noSpace, Failed: l.mu.err != nil, Files: len(l.mu.live), Spare: len(l.mu.spare)}
	l.mu.Unlock()
	s.Records, s.Bytes, s.Batches = l.stats.records.Load(), l.stats.bytes.Load(), l.stats.batches.Load()
	s.Syncs, s.SyncNanos = l.stats.syncs.Load(), l.stats.nanos.Load()
	s.Queued, s.Synced = l.queued.Load(), Pos(l.synced.Load())
	return s
}

// Submit asks for done(err) once everything appended before this call satisfies policy. done runs on the committer and
// must only post. With SyncNone it is called when the batch was taken. Any goroutine.
func (l *Log) Submit(policy store.SyncPolicy, done func(error)) {
	l.mu.Lock()
	err := l.mu.err
	if l.mu.closed && err == nil {
		err = ErrClosed
	}
	if err == nil {
		l.mu.cur.waiters = append(l.mu.cur.waiters, waiter{policy, done})
	}
	l.mu.Unlock()
	if err != nil {
		done(err)
		return
	}
	poke(l.kick)
}

// Close commits what is queued, syncs and closes the files. Records appended later fail with ErrClosed.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.mu.closed {
		l.mu.Unlock()
		return nil
	}
	l.mu.closed = true
	l.mu.Unlock()
	close(l.stop)
	if l.o.Stepped {
		for l.commit() {
		}
		l.finish()
	}
	l.done.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.mu.err
	for _, list := range [][]*file{l.mu.live, l.mu.spare, l.mu.retired} {
		for _, f := range list {
			if f.f == nil {
				continue
			}
			if err := f.f.Close(); err != nil && first == nil {
				first = err
			}
		}
	}
	return first
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
