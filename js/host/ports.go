package host

import (
	"time"

	"ramjet/js/stream"
	"ramjet/proto/base/clock"
	"ramjet/proto/base/rng"
	"ramjet/proto/jsapi"
	"ramjet/store/crypt"
	"ramjet/store/vfs"
)

// Msg is an inbound message. Its slices are borrowed until Deliver returns.
type Msg struct {
	Account                         string
	Client                          uint64 // connection on this server, 0: none
	Subject, Reply, Header, Payload []byte
	Helper                          *Helper // of the loop that delivers; nil: it does not help
	Trace                           Trace   // nil for almost every message
}

// Trace hears where a message gets that is traced for its publisher.
type Trace interface {
	// TraceOnly reports that the message is not to be stored.
	TraceOnly() bool
	// Reached notes that the message was given to a stream. Only during Deliver.
	Reached(stream string) stream.Trace
}

// Verdict is what an Inbox says about a message.
type Verdict uint8

// The verdicts.
const (
	Taken  Verdict = iota
	Busy           // taken, but the publisher should pause: what waits is above half of what may wait
	NotOne         // not for this inbox: as if it had not subscribed
)

// Inbox takes the messages of a subscription. Deliver is called by any goroutine, must not block and copies what it keeps.
type Inbox interface{ Deliver(m *Msg) Verdict }

// Bus is how JetStream talks to the server. One value belongs to one shard; the one for the API is used by any goroutine
// that holds its lock, which is the host's affair. engine/server implements it over its dispatcher.
type Bus interface {
	// Publish sends a message into an account. Its slices are borrowed until it returns.
	Publish(account string, subject, reply, hdr, payload []byte)
	// Deliver sends a stored message: it is routed to subscribers of to and shows subject. False: nobody listens, nothing was sent.
	Deliver(account string, to, subject, reply, hdr, payload []byte) bool
	// Interest reports whether somebody listens on a literal subject.
	Interest(account string, subject []byte) bool
	// Flush ends a turn: what was published may be written out.
	Flush()

	// Subscribe makes in a subscriber of the account; queue "" for none. Any goroutine, like Watch.
	Subscribe(account, subject, queue string, in Inbox) (cancel func(), err error)
	// Watch tells the present interest in subject (in its queue group, if queue is set) and every change of it. fn is called by any goroutine, in order, and must not block; not after cancel returned.
	Watch(account, subject, queue string, fn func(on bool)) (cancel func())
}

// AccountLimits are the limits of one account.
type AccountLimits struct {
	Flat  jsapi.AccountLimits
	Tiers map[int]jsapi.AccountLimits // by number of replicas; nil: Flat holds for all
}

// Limits tells what an account may use; nil: JetStream is not enabled for it. Any goroutine.
type Limits interface {
	Account(name string) *AccountLimits
}

// Events are told what an operator wants to know. Called by any goroutine; nil members are ignored.
type Events struct {
	// Log is told about a condition: id is one of the ids of docs/log-ids.md, "" for information.
	Log func(id, format string, args ...any)
}

func (e *Events) log(id, format string, args ...any) {
	if e.Log != nil {
		e.Log(id, format, args...)
	}
}

// Env is what the host lives in.
type Env struct {
	FS     vfs.FS
	Clock  clock.Clock
	Rand   *rng.Source         // owned by the host from then on
	Bus    func(shard int) Bus // one for each shard; -1: for the API
	Limits Limits
	Events Events
	// ClientInfo returns the client information of a connection as JSON, nil if it is not known. Any goroutine.
	ClientInfo func(account string, client uint64) []byte
	// Go runs blocking work (segment writes, reads, state files) soon on a background goroutine; nil: a new goroutine each.
	Go func(fn func())
	// Freed is told how many bytes became garbage at once: nobody may allocate for long, so that no collection comes by itself. May be nil.
	// Any goroutine.
	Freed func(bytes int)
}

// Options of a host; zero values mean the defaults.
type Options struct {
	Dir           string        // of JetStream, below the store directory; required
	Shards        int           // default 1
	InboxSize     int           // messages waiting for a shard; default 100,000
	InboxBytes    int64         // and their bytes; default 128 MiB
	PoolBytes     int64         // of free frames that a shard keeps for a while; default 64 MiB
	SyncInterval  time.Duration // 0: always, acknowledged means durable
	Domain        string
	ServerName    string
	ServerID      string
	SystemAccount string
	Version       string
	JournalFile   int64 // bytes of a journal file; 0 the journal's default
	JournalFiles  int
	JournalQueued int64         // bytes that wait to be written before publishers pause; 0 the journal's default
	CheckpointAt  int64         // journal bytes of a stream before it is checkpointed; default 32 MiB
	CheckpointAge time.Duration // and the longest time; default 30 s
	SegmentBytes  int           // of streams; 0 the store's default
	Pending       int           // bytes a direct get batch may send; default 64 MiB

	MaxMemory, MaxStore int64 // bytes of the server; below 0 unlimited

	Cipher       crypt.Cipher
	Key, PrevKey []byte // at rest; nil: not encrypted

	Tunable
}

// Tunable is the part of the options that Tune can change.
type Tunable struct {
	Lenient             bool          // unknown fields of API requests are no errors
	MaxWindow           time.Duration // limit of the duplicate window; 0 none
	MaxAckPending       int           // server limits of consumers; 0 none
	MaxRequestBatch     int
	DefaultMaxConsumers int
	QueueLimit          int // waiting API requests; 0 the default
	InfoLimit           int
	Batch               stream.BatchLimits
}

func (o *Options) setDefaults() {
	if o.Shards == 0 {
		o.Shards = 1
	}
	if o.InboxSize == 0 {
		o.InboxSize = 100000
	}
	if o.InboxBytes == 0 {
		o.InboxBytes = 128 << 20
	}
	if o.PoolBytes == 0 {
		o.PoolBytes = 64 << 20
	}
	if o.CheckpointAt == 0 {
		o.CheckpointAt = 32 << 20
	}
	if o.CheckpointAge == 0 {
		o.CheckpointAge = 30 * time.Second
	}
	if o.Pending == 0 {
		o.Pending = 64 << 20
	}
}
