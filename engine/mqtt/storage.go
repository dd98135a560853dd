package mqtt

import (
	"errors"
	"strings"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/proto/jsapi"
)

// The streams of an account and the subjects in them (reference/websocket_mqtt.md, B4).
const (
	StreamSessions = "$MQTT_sess"
	StreamMessages = "$MQTT_msgs"
	StreamRetained = "$MQTT_rmsgs"
	StreamOut      = "$MQTT_out"
	StreamIn       = "$MQTT_qos2in"

	SubjectSessions = "$MQTT.sess."
	SubjectMessages = "$MQTT.msgs."
	SubjectRetained = "$MQTT.rmsgs."
	SubjectOut      = "$MQTT.out."
	SubjectIn       = "$MQTT.qos2.in."

	subjectPubRel = SubjectOut + "pubrel."
	// DeliverPrefix begins the subjects that consumers deliver to.
	DeliverPrefix = "$MQTT.sub."
	deliverPubRel = "$MQTT.deliver.pubrel."
	durablePubRel = "$MQTT_PUBREL_"
	reserved      = "$MQTT."
)

// Stored is a message of a stream; it belongs to who gets it.
type Stored struct {
	Subject      string
	Seq          uint64
	Header, Data []byte
}

// Result is the answer to a request to the Storage.
type Result struct {
	Seq       uint64 // of what was stored
	Duplicate bool   // it was stored before
	Msg       *Stored
	Err       error // of the API: *jsapi.Error; else the request was not answered
}

// NotFound reports that what was asked for does not exist.
func (r *Result) NotFound() bool { return jsapi.NoMessageFound.Is(r.Err) }

// isGone reports that what was to be removed was not there.
func isGone(err error) bool {
	e, ok := err.(*jsapi.Error)
	return ok && (e.ErrCode == jsapi.SequenceNotFound || e.ErrCode == jsapi.ConsumerNotFound || e.ErrCode == jsapi.NoMessageFound ||
		e.ErrCode == jsapi.StreamMsgDeleteFailed && strings.Contains(e.Description, "no message found"))
}

// ErrStopped answers what waits when a Storage is closed.
var ErrStopped = errors.New("the storage of MQTT is closed")

// Waiter gets the answer to a request, exactly once, on any goroutine, perhaps before the request returned.
// It must not block. from is the LoopID of the caller.
type Waiter interface {
	Done(from engine.LoopID, tag uint64, r Result)
}

// WaiterFunc is a function as a Waiter.
type WaiterFunc func(r Result)

// Done implements Waiter.
func (f WaiterFunc) Done(_ engine.LoopID, _ uint64, r Result) { f(r) }

// Updates is what the Storage tells of its own accord, on any goroutine.
type Updates interface {
	// Retained: a retained message was stored, here or on another server. Its slices are borrowed.
	Retained(subject string, seq uint64, header, payload []byte)
	// Claimed: another server stored the session with that hash.
	Claimed(hash string, seq uint64)
}

// Storage keeps sessions, messages and retained messages of one account. No method blocks; from is the loop
// that calls, or NoLoop; a nil Waiter wants no answer; slices are borrowed until the method returns.
type Storage interface {
	// Open makes the streams and begins to tell u. done is called once, on any goroutine; on an error the
	// Storage is closed.
	Open(u Updates, done func(error))
	// Store adds a message. It returns whether the stream is behind and the publisher should pause.
	Store(from engine.LoopID, subject, header, payload []byte, w Waiter, tag uint64) (busy bool)
	// LoadSession and SaveSession read and write the record of a session; seq is that of the last record
	// known, 0 = none.
	LoadSession(from engine.LoopID, hash string, w Waiter)
	SaveSession(from engine.LoopID, hash string, seq uint64, record []byte, w Waiter)
	// Load returns the last message of subject in stream.
	Load(from engine.LoopID, stream, subject string, w Waiter)
	// Delete removes a message.
	Delete(from engine.LoopID, stream string, seq uint64, w Waiter, tag uint64)
	// AddConsumer makes a durable consumer, DropConsumer removes one.
	AddConsumer(from engine.LoopID, stream string, c *jsapi.ConsumerConfig, w Waiter)
	DropConsumer(from engine.LoopID, stream, durable string, w Waiter)
	// Ack acknowledges a delivery of a consumer.
	Ack(from engine.LoopID, reply string)
	// Send publishes a message of the server itself, as a plain one.
	Send(from engine.LoopID, subject, payload []byte)
	// Close ends everything; what still waits for an answer gets an error.
	Close()
}

// Env is what the service needs besides the links.
type Env struct {
	// Storage returns a new Storage for an account.
	Storage func(*account.Account) Storage
	// Node returns the name of this server in subjects and records.
	Node func() string
	// Seed begins all random choices.
	Seed uint64
}
