package api

import (
	"time"

	"ramjet/proto/jsapi"
)

// Request is one call of the API. The router owns it: slices are copies.
type Request struct {
	Account string // of the caller
	System  bool   // the caller is in the system account
	Client  uint64 // connection on this server, 0: none (another server, an internal caller)
	Subject string
	Reply   string
	Header  []byte // whole NATS/1.0 block, nil if none
	Body    []byte
}

// Server describes this server to the handlers.
type Server struct {
	Name, ID, Version, Domain string
	Strict                    bool          // unknown fields are errors
	MaxWindow                 time.Duration // limit of the duplicate window; 0 none
	MaxAckPending             int           // server limits of consumers; 0 none
	MaxRequestBatch           int
	DefaultMaxConsumers       int
	QueueLimit, InfoLimit     int // of waiting requests; 0: 10000, InfoLimit as QueueLimit
}

// Node is the runtime of JetStream on one server as the handlers see it; js/host implements it. Methods may block on disk or
// on a shard: they are for API workers, never for a shard.
type Node interface {
	Server() *Server // immutable; a reload gives a new one
	Now() time.Time
	// Account returns the assets of an account, nil if JetStream is not enabled for it.
	Account(name string) Account
	// PurgeAccount deletes everything of an account, enabled or not.
	PurgeAccount(name string) *jsapi.Error
	// Publish sends a message into an account: answers and advisories. Any goroutine.
	Publish(account, subject string, hdr, body []byte)
	// Interest reports whether somebody listens on a literal subject of an account.
	Interest(account, subject string) bool
	// ClientInfo returns the client information of a caller as JSON, nil if it is gone.
	ClientInfo(r *Request) []byte
	// SystemAccount is the name of the account for advisories about the server.
	SystemAccount() string
	// Random is a source of 8 random bytes for generated names. Any goroutine.
	Random() [8]byte
}

// Account holds the assets of an account.
type Account interface {
	Name() string
	// Lock serializes what creates, changes or deletes assets of the account. Reading needs no lock.
	Lock()
	Unlock()
	// Info returns usage, reservations and limits; Domain and API are the handler's.
	Info() *jsapi.AccountInfo
	// Tier returns the limits that apply to streams with so many replicas; the error is 10120 when there is no tier for them.
	Tier(replicas int) (jsapi.AccountLimits, *jsapi.Error)
	// Reserve reports whether the limits of account and server allow next in place of old (nil: a new stream): 10027 and the
	// errors of reservations. Under Lock.
	Reserve(old, next *jsapi.StreamConfig) *jsapi.Error

	Stream(name string) Stream // nil: none
	Streams() []Stream         // in order of names
	// Each calls fn with the configurations of all streams, also of those that are being created, until it returns false.
	Each(fn func(*jsapi.StreamConfig) bool)
	// CreateStream makes a stream of a validated configuration. Under Lock. If wait is not nil the stream is there, and serves, only when wait
	// returned nil: it waits for the disk, without Lock, and is called exactly once. Until then only Each and Reserve know of the stream.
	CreateStream(cfg *jsapi.StreamConfig) (s Stream, wait func() *jsapi.Error, err *jsapi.Error)
	// Restore begins to take a backup: chunks go to the subject that is returned, done is called once at the end of the transfer,
	// from a goroutine of the host without Lock. The configuration is validated by itself (defaults, name); that a stream of this
	// name or an overlapping one came up meanwhile, that replicas or limits do not allow it, shows at the end. Under Lock.
	Restore(r *Request, req *jsapi.RestoreRequest, done func(*Restored)) (subject string, err *jsapi.Error)
}

// Restored is the end of a restore. The answer to Reply and the advisory are the handler's.
type Restored struct {
	Stream Stream // nil if Err is set
	Err    *jsapi.Error
	Bytes  int64  // received
	Reply  string // of the chunk that ended the transfer; empty: nobody to answer, as after a stall
}

// Stream is a stream on this server. What a method returns is the caller's.
type Stream interface {
	Name() string
	Created() time.Time
	Config() *jsapi.StreamConfig // immutable
	// Offline tells why the stream cannot run here, "" if it runs.
	Offline() string
	// Info fills everything but what is the same for all answers of this server (domain, server metadata of the configuration).
	Info(r *jsapi.StreamInfoRequest, page *jsapi.Page) *jsapi.StreamInfo
	// Update puts a validated configuration in force. Under the account's lock, like Delete.
	Update(cfg *jsapi.StreamConfig) *jsapi.Error
	Delete() *jsapi.Error
	Purge(r *jsapi.PurgeRequest) (uint64, *jsapi.Error)
	GetMsg(r *jsapi.MsgGetRequest) (*jsapi.StoredMsg, *jsapi.Error)
	DeleteMsg(r *jsapi.MsgDeleteRequest) *jsapi.Error

	Consumer(name string) Consumer // nil: none
	Consumers() []Consumer         // in order of names, internal ones too
	// CreateConsumer makes a consumer of a validated configuration; legacy tells that the client gave no name, so that the
	// configuration is shown without one. Under the account's lock.
	CreateConsumer(name string, cfg *jsapi.ConsumerConfig, legacy bool) (Consumer, *jsapi.Error)
	// Bound reports whether somebody listens on a deliver subject (in the queue group, if not empty).
	Bound(deliver, group string) bool
	// Snapshot prepares a backup to req.DeliverSubject, whose sizes are in their bounds, and returns the answer for the caller. run
	// sends it and blocks until it ended; the handler calls it exactly once, on a goroutine of its own, after the answer is out.
	// The error is the text of the advisory.
	Snapshot(r *Request, req *jsapi.SnapshotRequest) (answer *jsapi.SnapshotResponse, run func() error, err *jsapi.Error)
}

// Consumer is a consumer on this server.
type Consumer interface {
	Name() string
	Config() *jsapi.ConsumerConfig // immutable
	Offline() string
	// Begin starts to deliver to a push subscriber: the handler calls it when the answer to the creation is out, so that nobody gets
	// messages of a consumer that it does not know yet.
	Begin()
	// Info returns the state as it is shown, without domain-wide additions; nil if the consumer is gone.
	Info() *jsapi.ConsumerInfo
	// Update puts a validated configuration in force. Under the account's lock, like Delete.
	Update(cfg *jsapi.ConsumerConfig) *jsapi.Error
	Delete() *jsapi.Error
	// Pause pauses until a time; zero resumes.
	Pause(until time.Time) *jsapi.Error
	Unpin(group string) *jsapi.Error
}
