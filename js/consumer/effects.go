package consumer

import "ramjet/store"

// Log is what a consumer reads of its stream: part of js/stream.Log.
type Log interface {
	Load(seq uint64, r *store.Rec) store.Avail
	Next(f *store.Filter, from uint64, r *store.Rec) store.Avail
	Prev(f *store.Filter, upto uint64, r *store.Rec) store.Avail
	State(*store.State)
	Subjects(f *store.Filter, fn func(subject []byte, count, last uint64) bool)
	Pending(f *store.Filter, from uint64, lastPerSubject bool) uint64
	SeqAt(t int64) uint64
	Deleted(fn func(from, to uint64) bool)
}

// Sink takes the effects, in order, while a method of Consumer runs. All bytes are borrowed until the call returns. It
// must not call the Consumer.
//
// When the commands of a turn have to be durable or replicated first, the host keeps what belongs behind them: for a
// replicated consumer everything of the turn, else confirmations (Reply.Confirm) and releases.
type Sink interface {
	// Deliver sends a message; false: nobody is interested, nothing was sent and nothing will be noted.
	Deliver(d *Delivery) bool
	// Send sends a status, heartbeat, flow control request or confirmation.
	Send(r *Reply)
	// Interest reports whether somebody listens on a subject.
	Interest(subject []byte) bool
	// Release tells that the consumer no longer needs the messages from..to that pass its filter.
	Release(from, to uint64)
	// Advise reports an event, only of use if somebody listens.
	Advise(a *Advice)
	// Inactive asks for the deletion of the consumer: nobody used it for its inactive threshold.
	Inactive()
}

// Delivery is one message on its way to a client.
type Delivery struct {
	To      []byte // transport subject: the inbox or the deliver subject
	Subject []byte // of the message
	Reply   []byte // ack reply subject
	Header  []byte
	Payload []byte
}

// Reply is a message without payload.
type Reply struct {
	To      []byte
	Reply   []byte // flow control: where the answer goes
	Header  []byte
	Confirm bool // the confirmation of an acknowledgement
}

// AdviceKind says what happened.
type AdviceKind uint8

// The kinds of advice (reference/jetstream/consumer.md, section 8).
const (
	AdviseMaxDeliver AdviceKind = iota + 1 // StreamSeq, Deliveries
	AdviseNak                              // StreamSeq, ConsumerSeq, Deliveries
	AdviseTerm                             // the same, Reason
	AdvisePinned                           // Group, Pin
	AdviseUnpinned                         // Group, Reason
	AdviseResumed                          // the pause is over
	AdviseDamaged                          // StreamSeq was skipped: it can not be read
	AdviseAck                              // sampled metric: StreamSeq, ConsumerSeq, Deliveries, AckTime
)

// Advice is an advisory or a metric; Reason is borrowed.
type Advice struct {
	Kind        AdviceKind
	StreamSeq   uint64
	ConsumerSeq uint64
	Deliveries  uint64
	AckTime     int64 // nanoseconds between delivery and acknowledgement
	Reason      []byte
	Group       string
	Pin         string
}
