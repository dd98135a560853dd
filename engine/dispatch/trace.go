package dispatch

import (
	"cmp"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/interest"
	"ramjet/engine/trace"
	"ramjet/proto/header"
)

// Peer is a Sink that is a connection, as traces see it. Any goroutine.
type Peer interface {
	// PeerName is what a client calls itself, or the name of a server.
	PeerName() string
	// Vet says what Deliver would answer to m for s, without delivering.
	Vet(m *engine.Msg, s *interest.Sub) engine.Verdict
}

// TraceLink is a LinkSink that tells whether the other server knows about tracing; one that does not implement it does.
type TraceLink interface{ Traces() bool }

// traceOf returns the trace of a message that has one.
func traceOf(m *engine.Msg) *trace.Trace { return m.Trace.(*trace.Trace) }

// egress adds to the trace that the message is for s, and what became of it.
func (p *pass) egress(sink interest.Sink, s *interest.Sub, hop, why string) {
	e := trace.Egress{Kind: sink.Kind(), ID: sink.ID(), Account: p.m.Account.Name, Sub: cmp.Or(p.shown, s.Subject()), Queue: s.Queue(), Hop: hop, Error: why}
	if c, ok := sink.(Peer); ok {
		e.Name = c.PeerName()
	}
	traceOf(p.m).Egress(&e)
}

// noEcho notes that s does not get the message because its connection published it.
func (p *pass) noEcho(s *interest.Sub) {
	if p.m.Trace != nil && s.Kind() == engine.Client {
		p.egress(s.Sink(), s, "", trace.NoEcho)
	}
}

// deliverTraced is deliver to a client, of a message that is traced.
func (p *pass) deliverTraced(s *interest.Sub) bool {
	sink := s.Sink()
	if !p.m.Trace.TraceOnly() && p.withheld(sink) {
		p.egress(sink, s, "", trace.NoStall)
		return false
	}
	v := engine.OK
	if !p.m.Trace.TraceOnly() {
		v = sink.Deliver(p.ctx.From, p.m, s)
	} else if c, ok := sink.(Peer); ok {
		v = c.Vet(p.m, s)
	}
	why := ""
	switch {
	case v.Delivered():
	case v == engine.Closed:
		why = trace.ConnClosed
	case s.Closed():
		why = trace.SubClosed
	case s.Max() > 0 && s.Delivered() >= s.Max():
		why = trace.SubFull
	default:
		why = trace.SubDenied
	}
	p.egress(sink, s, "", why)
	return p.count(sink, v)
}

// importTraced delivers to a subscriber of another account, which sees to. echo: it published the message.
func (p *pass) importTraced(x *account.Shadow, to []byte, echo bool) (ok bool) {
	m := p.m
	t := m.Trace
	traceOf(m).StreamExport(x.Importer.Name(), to)
	if !x.Import.AllowTrace {
		if t.TraceOnly() {
			p.out.Delivered++ // somebody would have got it
			return true
		}
		m.Trace = nil
	}
	p.shown = x.Subject()
	if echo {
		p.noEcho(x.Sub)
	} else {
		ok = p.deliver(x.Sub)
	}
	m.Trace, p.shown = t, ""
	return ok
}

// enterTraced notes that the message, which was sent to from, goes on to a service or back from it: to account, where it is sent to
// to. If the trace may not go with it, it goes on without, on other servers too; false: it goes no further.
func (p *pass) enterTraced(account string, from, to []byte, allowed bool) bool {
	m, t := p.m, traceOf(p.m)
	t.ServiceImport(account, from, to)
	switch {
	case allowed:
	case t.TraceOnly():
		return false
	default:
		m.Trace, m.Header = nil, trace.Disable(m.Header)
	}
	return true
}

// sendTraced is sendLink of a message that is traced: each server is told its place.
func (p *pass) sendTraced(l link, i int) {
	m, t := p.m, traceOf(p.m)
	hdr, why := m.Header, ""
	if x, ok := l.sink.(TraceLink); ok && !x.Traces() {
		if t.TraceOnly() {
			p.egress(l.sink, l.first, "", trace.OnlyUnsupported)
			return
		}
		why = trace.Unsupported
	}
	var hop string
	m.Header, hop = t.Hop(make([]byte, 0, len(hdr)+64), hdr)
	if p.via != nil {
		m.Header = header.AppendSet(nil, m.Header, header.TraceDest, []byte(p.traceTo(t)))
	}
	if !p.sendLink(l, i) && why == "" {
		why = trace.ConnClosed
	}
	m.Header = hdr
	p.egress(l.sink, l.first, hop, why)
}

// traceTo returns the subject in the account of a service under which other servers reach the destination of the trace, which is in
// another account.
func (p *pass) traceTo(t *trace.Trace) string {
	if p.via.traceTo == "" {
		i := p.via.by
		r := &account.Reply{Import: i, To: t.Dest(), In: t.Account(), Start: p.r.hooks.Clock.Now().UnixNano(), Many: true}
		i.From.Replies().Open(r, "")
		p.via.traceTo = r.Subject()
	}
	return p.via.traceTo
}
