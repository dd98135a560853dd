package trace

import (
	"strconv"
	"sync/atomic"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/proto/header"
	"ramjet/proto/sysapi"
)

// Why a message was not delivered, as events tell it.
const (
	NoEcho     = "Not delivered because of no echo"
	SubDenied  = "Not delivered because subscription denies this subject"
	SubClosed  = "Not delivered because subscription is closed"
	ConnClosed = "Not delivered because client is closed"
	SubFull    = "Not delivered because auto-unsubscribe exceeded"
	PubDenied  = "Not delivered because publish denied for this subject"
	NoStall    = "Not delivered because fast producer not stalled and consumer is slow"
	// OnlyUnsupported and Unsupported are about a server that does not know about tracing.
	OnlyUnsupported = "Not delivered because remote does not support message tracing"
	Unsupported     = "Message delivered but remote does not support message tracing so no trace event generated from there"
)

// Trace is what this server knows of one message.
type Trace struct {
	x        *Tracer
	account  *account.Account // where the event goes
	dest     string
	encoding string
	only     bool
	hop      string // of this server, "" where the message was published
	event    sysapi.TraceEvent
	ingress  *sysapi.TraceIngress
	open     atomic.Int32 // who may still add to the event
}

func (t *Trace) step(kind string) sysapi.TraceStep {
	return sysapi.TraceStep{Type: kind, Time: t.x.Now().UTC()}
}

func (t *Trace) add(v any) { t.event.Events = append(t.event.Events, v) }

// TraceOnly implements engine.Trace: the message is not to be delivered.
func (t *Trace) TraceOnly() bool { return t.only }

// Account and Dest are where the event goes.
func (t *Trace) Account() *account.Account { return t.account }

// Dest is the subject that the event goes to, in Account.
func (t *Trace) Dest() string { return t.dest }

// Refuse says why the message went no further than its arrival.
func (t *Trace) Refuse(why string) { t.ingress.Error = why }

// Mapped adds the subject mapping of the account.
func (t *Trace) Mapped(to []byte) {
	t.add(&sysapi.TraceMapping{TraceStep: t.step(sysapi.TraceMappingType), MappedTo: string(to)})
}

// StreamExport adds the way to a subscriber in account, which sees the message as to.
func (t *Trace) StreamExport(account string, to []byte) {
	t.add(&sysapi.TraceStreamExport{TraceStep: t.step(sysapi.TraceStreamExportType), Account: account, To: string(to)})
}

// ServiceImport adds the way to a service in account, or of its answer back.
func (t *Trace) ServiceImport(account string, from, to []byte) {
	t.add(&sysapi.TraceServiceImport{TraceStep: t.step(sysapi.TraceServiceImportType), Account: account, From: string(from), To: string(to)})
}

// Remapped says where the message that ServiceImport added last goes by a mapping of the account of the service.
func (t *Trace) Remapped(to []byte) {
	if v, ok := t.event.Events[len(t.event.Events)-1].(*sysapi.TraceServiceImport); ok {
		v.To = string(to)
	}
}

// Egress is a connection that the message is for.
type Egress struct {
	Kind       engine.Kind
	ID         uint64
	Name       string
	Account    string
	Sub, Queue string // of a client
	Hop        string // of another server, as Hop returned it
	Error      string // why it was not delivered, "" if it was
}

// Egress adds a connection.
func (t *Trace) Egress(e *Egress) {
	v := &sysapi.TraceEgress{TraceStep: t.step(sysapi.TraceEgressType), Kind: int(e.Kind), CID: e.ID, Name: e.Name, Hop: e.Hop, Error: e.Error}
	if e.Kind == engine.Client {
		v.Subscription, v.Queue = e.Sub, e.Queue
	}
	if (e.Kind == engine.Client || e.Kind == engine.Leaf) && e.Account != t.ingress.Account {
		v.Account = e.Account
	}
	t.add(v)
}

// Hop appends hdr with what the next server is told about its place behind this one, and returns that place too. Each server that
// the message is forwarded to has its own.
func (t *Trace) Hop(dst, hdr []byte) (out []byte, hop string) {
	t.event.Hops++
	hop = strconv.Itoa(t.event.Hops)
	if t.hop != "" {
		hop = t.hop + "." + hop
	}
	return header.AppendSet(dst, hdr, header.TraceHop, []byte(hop)), hop
}

// Stream is the part of a trace that a stream fills in (js/stream.Trace).
type Stream struct {
	t *Trace
	v *sysapi.TraceJetStream
}

// Reached adds a stream that the message was given to; the event is held back until the stream has decided.
func (t *Trace) Reached(stream string) *Stream {
	t.open.Add(1)
	v := &sysapi.TraceJetStream{TraceStep: t.step(sysapi.TraceJetStreamType), Stream: stream}
	t.add(v)
	return &Stream{t, v}
}

// TraceOnly reports that the message is to be checked, not stored.
func (s *Stream) TraceOnly() bool { return s.t.only }

// Accepted notes that the stream stores the message as subject, or nothing because nobody is interested.
func (s *Stream) Accepted(subject []byte, noInterest bool) {
	s.v.Subject, s.v.NoInterest, s.v.Time = string(subject), noInterest, s.t.x.Now().UTC()
}

// Done ends the part of the stream; why, when not "", is why the message was not stored. Once.
func (s *Stream) Done(why string) {
	s.v.Error = why
	s.t.End()
}

// End is called once by who began the trace, when the message was handled.
func (t *Trace) End() {
	if t.open.Add(-1) == 0 {
		t.x.Publish(t.account, t.dest, t.encoding, &t.event)
	}
}
