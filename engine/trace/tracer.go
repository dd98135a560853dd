package trace

import (
	"bytes"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/proto/header"
	"ramjet/proto/subject"
	"ramjet/proto/sysapi"
)

// Tracer begins traces. Its members are constant once it is used; every function may be called on any goroutine and must not block.
type Tracer struct {
	Now func() time.Time
	// Publish sends an event to a literal subject in account a; encoding is what the requestor accepts (Accept-Encoding). The event
	// is not changed any more.
	Publish func(a *account.Account, dest, encoding string, v *sysapi.TraceEvent)
	// System returns the system account, nil when there is none.
	System func() *account.Account
	Logger engine.Logger
	// Random returns a number in [0, n).
	Random func(n int) int
}

// Message is one that came in over a connection and whose header may ask for a trace. Its slices are borrowed.
type Message struct {
	Account *account.Account // nil: not known here
	Kind    engine.Kind      // of the connection
	ID      uint64
	Name    string // of the peer: what a client says in CONNECT, the name of a server
	Subject []byte // as published
	Header  []byte
	Size    int
	// MayPublish reports whether the peer may publish to a literal subject; nil: to every one.
	MayPublish func(subject []byte) bool
	// Failed, when not "", is why the message goes no further; the caller ends the trace at once.
	Failed string
}

// Verdict says what is to be done with a message.
type Verdict uint8

// The verdicts.
const (
	Go     Verdict = iota // handle it, with the header that Begin returned
	Drop                  // handle it no further
	Denied                // the same, because the peer may not publish to the destination Denial
)

// Begin looks at a message that Wants a trace. t is nil when it is not traced; hdr is the header to go on with: that of the message, or
// memory of its own when other servers are to be kept from tracing. dest is the destination, of a verdict of Denied.
func (x *Tracer) Begin(m *Message) (t *Trace, hdr []byte, v Verdict, dest string) {
	r, ok := parse(m.Header)
	if !ok {
		return nil, m.Header, Go, ""
	}
	unless := func(drop bool) Verdict {
		if drop {
			return Drop
		}
		return Go
	}
	switch {
	case !r.external && r.dest == "":
		return nil, m.Header, unless(r.only), ""
	case r.forwarded:
		x.Logger.Logf(engine.Error, "RJ-T001", "Message tracing disabled because of header %q", header.TraceOrigin)
		if m.Failed == "" && !r.only {
			return nil, Disable(m.Header), Go, ""
		}
		return nil, m.Header, unless(r.only), ""
	case m.Account == nil:
		return nil, m.Header, unless(r.only), ""
	}
	if r.external {
		snap := m.Account.Snap()
		if snap.TraceDest == "" {
			return nil, m.Header, Go, ""
		}
		// Where the message entered the system it was decided for all servers.
		if m.Kind == engine.Client && !x.sample(snap.TraceSampling) {
			return nil, Disable(m.Header), Go, ""
		}
		r.dest = snap.TraceDest
	}
	if !subject.ValidLiteral(r.dest) {
		x.Logger.Logf(engine.Error, "RJ-T002", "Message tracing: destination %q is not valid", r.dest)
		return nil, m.Header, unless(r.only), ""
	}
	if !x.mayPublish(m, []byte(r.dest)) {
		return nil, m.Header, Denied, r.dest
	}
	if m.Kind == engine.Client {
		r.hop = "" // only servers say where they stand
	}
	t = &Trace{x: x, account: m.Account, dest: r.dest, encoding: r.encoding, only: r.only, hop: r.hop}
	t.open.Store(1)
	t.event.Request = sysapi.TraceRequest{Header: r.header, MsgSize: m.Size}
	t.ingress = &sysapi.TraceIngress{
		TraceStep: t.step(sysapi.TraceIngressType), Kind: int(m.Kind), CID: m.ID, Name: m.Name,
		Account: m.Account.Name(), Subject: string(m.Subject), Error: m.Failed,
	}
	t.event.Events = append(t.event.Events, t.ingress)
	return t, m.Header, Go, ""
}

// sample reports whether one more message is among percent of all.
func (x *Tracer) sample(percent int) bool {
	return percent <= 0 || percent >= 100 || x.Random(100) < percent
}

// mayPublish reports whether the sender of m may make this server publish to dest.
func (x *Tracer) mayPublish(m *Message, dest []byte) bool {
	switch {
	case bytes.HasPrefix(dest, []byte("_GR_.")), bytes.HasPrefix(dest, []byte("$GR.")):
		return false
	case bytes.HasPrefix(dest, []byte("$NRG.")) && m.Account != x.System():
		return false
	}
	return m.MayPublish == nil || m.MayPublish(dest)
}

// Disable returns hdr with a destination that stops tracing on all servers to come, in memory of its own.
func Disable(hdr []byte) []byte {
	return header.AppendSet(make([]byte, 0, len(hdr)+64), hdr, header.TraceDest, []byte(header.TraceDisabled))
}
