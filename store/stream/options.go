package stream

import (
	"errors"
	"time"

	"ramjet/proto/base/clock"
	"ramjet/store/crypt"
	"ramjet/store/msgtab"
	"ramjet/store/vfs"
)

// Env is what a store needs from its host; shared by all stores of a node.
type Env struct {
	FS    vfs.FS
	Clock clock.Clock     // retries after a full disk; nil: only WriteRetry retries
	Go    func(fn func()) // runs fn soon on a background goroutine; the writer
	Read  func(fn func()) // runs fn soon on a reader
	// Wake asks the owner of s to call Poll and retry what was Pending. Any goroutine.
	Wake   func(s *Store)
	Random crypt.Random // nil: the operating system's
	Pool   *msgtab.Pool // of the owner of the stores, for their frames; may be nil
}

// Options of one store; zero values mean the defaults.
type Options struct {
	Env          *Env
	SegmentBytes int          // of a full-grown segment; default 16 MiB, 2 MiB when encoded
	FlushBytes   int          // bytes collected before a write; default 256 KiB
	CacheBytes   int          // of written frames kept in memory; default 2 MiB
	IndexBytes   int          // of indexes of sealed segments kept in memory; default 64 MiB
	MaxUnwritten int          // bytes kept while writes fail before Append fails too; default 64 MiB
	Codec        *crypt.Codec // nil: plain files, which are mapped
	// OnDamage and OnFailure are called on the owner's goroutine. A nil error tells that writes work again.
	OnDamage  func(Damage)
	OnFailure func(err error)
}

const (
	defaultSegment   = 16 << 20
	encodedSegment   = 2 << 20
	firstSegment     = 256 << 10
	segmentRecords   = 64 << 10
	defaultFlush     = 256 << 10
	defaultCache     = 2 << 20
	defaultIndexes   = 64 << 20
	defaultUnwritten = 64 << 20
	readWindow       = 256 << 10
	retryEvery       = time.Second
)

func (o *Options) codec() *crypt.Codec {
	if o.Codec == nil {
		return &crypt.Codec{}
	}
	return o.Codec
}

func (o *Options) setDefaults() {
	o.Codec = o.codec()
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	if o.Codec.Plain() {
		set(&o.SegmentBytes, defaultSegment)
	} else {
		set(&o.SegmentBytes, encodedSegment)
	}
	set(&o.FlushBytes, defaultFlush)
	set(&o.CacheBytes, defaultCache)
	set(&o.IndexBytes, defaultIndexes)
	set(&o.MaxUnwritten, defaultUnwritten)
}

// Damage is something that does not verify.
type Damage struct {
	File     string
	From, To uint64 // sequences; 0,0 = no message, only summaries, which were rebuilt
	Reason   string
}

// Errors of a store.
var (
	ErrReadOnly = errors.New("stream store: writes fail, read only")
	ErrClosed   = errors.New("stream store: closed")
	ErrNoStream = errors.New("stream store: no stream here")
	ErrKey      = errors.New("stream store: wrong encryption key")
	ErrCorrupt  = errors.New("stream store: corrupt file")
	errSync     = errors.New("stream store: sync failed, the file cannot be trusted until it is opened again")
)

// Stats are counters for monitoring.
type Stats struct {
	Writes, WrittenBytes uint64
	Reads                uint64 // cold blocks
	Stalls               uint64 // indexes or times read by the owner itself
	Compactions          uint64
	Segments             int
	Memory               int
	Failed               error
}
