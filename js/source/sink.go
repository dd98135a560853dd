package source

import (
	"ramjet/js/stream"
	"ramjet/proto/base/rng"
	"ramjet/proto/jsapi"
)

// Msg is a message that arrived on a subject that the engine listens on. Its slices are borrowed until Deliver returns.
type Msg struct {
	Subject []byte // the one the message shows: of the stored message in deliveries
	Reply   []byte
	Header  []byte // whole block; nil if none
	Payload []byte
}

// Sink is what the engine makes happen. Its methods are called on the shard, inside a method of the engine; they must
// not call the engine, but for Stored and Restart in Store. Slices are borrowed until they return.
type Sink interface {
	// Listen subscribes, in the account of the stream, to a literal subject. What arrives is given to Engine.Deliver with
	// id, in order, until Unlisten. Ids are never used twice.
	Listen(id uint64, subject string)
	Unlisten(id uint64)
	// Publish sends a message into the account of the stream: requests (with reply), flow control replies.
	Publish(subject, reply string, hdr, payload []byte)
	// Store offers a message to the front of the stream. last is the last proposed sequence afterwards; Engine.Stored is
	// called once it was applied. The error is why the message was refused.
	Store(in *stream.Inbound) (last uint64, err *jsapi.Error)
	// SkipTo proposes that the last sequence of the mirror becomes seq, which is above it.
	SkipTo(seq uint64)
	// CaughtUp says whether a mirror has nearly all its origin has, so that it may answer direct gets for it; true comes
	// again after each change of the configuration.
	CaughtUp(on bool)
	// Warn is told what an operator wants to know.
	Warn(text string)
}

// Env is what the engine knows about where it runs.
type Env struct {
	Account string
	Domain  string // of this server; "" for none
	Rand    *rng.Source
	ReplyV2 bool // reply subjects carry domain, account, stream and consumer (feature flag js_api_reply_v2)
}
