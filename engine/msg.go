package engine

import "ramjet/proto/base/bufpool"

// LoopID names a producer of output: loops are 0..n-1, other producers with a staging slot of
// their own (JetStream shards) follow. NoLoop is any other goroutine.
type LoopID int32

// NoLoop is the LoopID of a goroutine that has no staging slot: its appends go straight to the
// outbox and it must flush what it touched.
const NoLoop LoopID = -1

// AccountRef identifies an account without importing engine/account.
type AccountRef struct {
	ID   uint32
	Name string
}

// Msg is one message on its way from a publisher to subscribers. It lives on the stack or in a
// per-loop scratch value; every byte slice is borrowed until the call that received the Msg returns.
type Msg struct {
	Account AccountRef
	Subject []byte
	// To, when not nil, is the literal subject that decides who gets the message, while receivers are
	// shown Subject: JetStream delivers what was published to Subject to a subject of the consumer.
	To      []byte
	Reply   []byte
	Header  []byte // whole NATS/1.0 block including the final blank line; nil if none
	Payload []byte
	// Frame, when not nil, is the reference-counted frame that Payload lies in: who wants to keep
	// the payload may Retain it instead of copying.
	Frame *bufpool.Frame

	Origin   Kind   // kind of the connection it came from
	OriginID uint64 // connection id it came from; 0 if internal
	NoEcho   bool   // do not deliver to OriginID itself
	// Cluster is the cluster of the leafnode that the message came from, to this server or to the one of
	// the own cluster that passed it on; "" for none. FromHub: this server is the leafnode, and got it from
	// its hub.
	Cluster string
	FromHub bool
	// Crossed: an import took the message to another account.
	Crossed bool

	// Trace is nil for almost every message: the *trace.Trace (engine/trace) of one whose publisher wants to know what becomes of it.
	Trace Tracing
}

// Tracing is what engine/trace knows of a message on its way.
type Tracing interface {
	// TraceOnly reports that the message is not to be delivered: its publisher only wants to know what would become of it.
	TraceOnly() bool
}

// Route returns the subject that decides who gets the message.
func (m *Msg) Route() []byte {
	if m.To != nil {
		return m.To
	}
	return m.Subject
}

// Size returns the payload size as clients count it: header plus payload, in bytes.
func (m *Msg) Size() int { return len(m.Header) + len(m.Payload) }
