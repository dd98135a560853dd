package dispatch

import (
	"bytes"
	"encoding/json"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/interest"
	"ramjet/engine/trace"
	"ramjet/proto/header"
	"ramjet/proto/subject"
)

// hop is one step of a message from account to account: it was taken over by an import of export.
type hop struct {
	export *account.Export
	share  bool // the first importer of the chain tells who asks
	prev   *hop
	// Of a traced request: the trace, which may end here, the import, and the subject in the account of the service that leads to
	// where the trace goes, "" if nobody needed it yet.
	trace   *trace.Trace
	by      *account.ServiceImport
	traceTo string
}

// jsAck begins reply subjects of JetStream messages. They mean the same in every account.
var jsAck = []byte("$JS.ACK.")

// cross takes the message to another account. s is a subscription of kind Import; true if somebody got
// it there.
func (p *pass) cross(s *interest.Sub) bool {
	switch x := s.Sink().(type) {
	case *account.Shadow:
		return p.imported(x)
	case *account.Service:
		if i := x.Import(); i != nil {
			return p.request(i)
		}
	case *account.Replies:
		return p.answer(x)
	}
	return false
}

// usable reports that v may be used now; the clock is read only for what has an end.
func (r *Router) usable(v interface {
	Expires() bool
	Valid(int64) bool
}) bool {
	now := int64(0)
	if v.Expires() {
		now = r.hooks.Clock.Now().UnixNano()
	}
	return v.Valid(now)
}

// imported delivers to a subscriber of another account that imports the stream. What came as a request
// or an answer is no message of a stream.
func (p *pass) imported(x *account.Shadow) bool {
	m, ctx := p.m, p.ctx
	echo := m.NoEcho && m.OriginID != 0 && x.ID() == m.OriginID
	if p.via != nil || !p.r.usable(x.Import) || echo && m.Trace == nil {
		return false
	}
	subj, route, in, crossed, at := m.Subject, m.To, m.Account, m.Crossed, len(ctx.mapped)
	to := x.Import.Map(ctx.mapped[at:], m.Route())
	ctx.keepMapped(at, to)
	direct(m, to)
	m.Account, m.Crossed = x.Importer.Ref(), true
	ok := false
	if m.Trace != nil {
		ok = p.importTraced(x, to, echo)
	} else {
		ok = p.deliver(x.Sub)
	}
	m.Subject, m.To, m.Account, m.Crossed = subj, route, in, crossed
	ctx.mapped = ctx.mapped[:min(at, len(ctx.mapped))]
	return ok
}

// request takes a request to the account of a service. Where it came from by the same export it does
// not go again, and a message from another server was taken over there.
func (p *pass) request(i *account.ServiceImport) bool {
	m, ctx, r := p.m, p.ctx, p.r
	if crossesServers(m.Origin) || !r.usable(i) {
		return false
	}
	via := hop{export: i.Export, share: i.Share, prev: p.via}
	for h := p.via; h != nil; h = h.prev {
		if h.export == i.Export {
			return false
		}
		via.share = h.share
	}
	asked := *m
	measured, trigger := r.sample(ctx, i.Export.Latency, m.Header)
	var reply *account.Reply
	switch {
	case len(m.Reply) == 0:
		if measured {
			r.badRequest(i, m.OriginID, trigger)
		}
	case !bytes.HasPrefix(m.Reply, jsAck):
		reply = &account.Reply{Import: i, To: string(m.Reply), In: i.Owner, Start: r.hooks.Clock.Now().UnixNano()}
		suffix := ""
		if measured && i.Export.Response == account.Singleton {
			reply.Measured, reply.Header, reply.Requestor = true, trigger, r.find(m.OriginID)
			suffix = r.hooks.ReplySuffix
		}
		i.From.Replies().Open(reply, suffix)
		m.Reply = []byte(reply.Subject())
	}
	at := len(ctx.mapped)
	to := i.Map(ctx.mapped[at:], m.Route())
	ctx.keepMapped(at, to)
	direct(m, to)
	m.Header = r.requestInfo(i, &via, &asked)
	m.Account, m.Crossed = i.From.Ref(), true
	var out Outcome
	mapping := i.From.Snap().Map
	only := false // nobody gets it, and no answer comes
	if m.Trace != nil {
		via.by, via.trace = i, traceOf(m)
		only = m.Trace.TraceOnly()
	}
	switch {
	case m.Trace != nil && !p.enterTraced(i.From.Name(), asked.Route(), to, i.Export.AllowTrace):
	case mapping != nil && m.To == nil:
		out = r.mapped(ctx, i.From.Index(), mapping, m, nil, &via)
	default:
		out = r.route(ctx, i.From.Index(), m, nil, &via)
	}
	ctx.mapped = ctx.mapped[:min(at, len(ctx.mapped))]
	*m = asked
	if only && reply != nil {
		i.From.Replies().Close(reply)
	}
	if out.Delivered == 0 && reply != nil {
		i.From.Replies().Lose(reply, account.NoDelivery)
	}
	return p.arrived(out)
}

// answer takes the answer of a service back to the account of who asked.
func (p *pass) answer(x *account.Replies) bool {
	m, ctx, r := p.m, p.ctx, p.r
	now := r.hooks.Clock.Now().UnixNano()
	reply, final := x.Take(subject.View(m.Route()), now)
	if reply == nil {
		return false
	}
	via := hop{export: reply.Import.Export, share: reply.Import.Share, prev: p.via}
	answered := *m
	if reply.Measured {
		reply.Answered()
		r.measured(reply, m.OriginID, now)
	}
	var back *account.Reply
	if len(m.Reply) > 0 && !bytes.HasPrefix(m.Reply, jsAck) {
		back = &account.Reply{Import: reply.Import, To: string(m.Reply), In: x.Account(), Start: now}
		reply.In.Replies().Open(back, "")
		m.Reply = []byte(back.Subject())
	}
	direct(m, []byte(reply.To))
	m.Account, m.Crossed = reply.In.Ref(), true
	if m.Origin == engine.Router {
		// New in the requestor's account: who waits for it may be on any server, also on the one it came from.
		m.Origin, m.OriginID = engine.Account, 0
	}
	var out Outcome
	if m.Trace == nil || p.enterTraced(reply.In.Name(), answered.Route(), m.Route(), false) {
		out = r.route(ctx, reply.In.Index(), m, nil, &via)
	}
	*m = answered
	if out.Delivered == 0 && back != nil {
		reply.In.Replies().Close(back)
	}
	if !final && (out.Delivered == 0 || m.Size() == 0) {
		x.Close(reply)
	}
	return p.arrived(out)
}

// direct sends m to another subject. A message that shows another one than that it is sent to goes on
// showing it.
func direct(m *engine.Msg, to []byte) {
	if m.To != nil {
		m.To = to
	} else {
		m.Subject = to
	}
}

// arrived books what became of the message in the other account.
func (p *pass) arrived(out Outcome) bool {
	p.out.Slow = p.out.Slow || out.Slow
	if out.Delivered == 0 {
		return false
	}
	p.out.Delivered++
	return true
}

// infoKey is the header that tells a service about who asks (reference/auth.md, section 3.1).
const infoKey = "Nats-Request-Info"

// fastReply ends the reply subjects of fast batches (JetStream), which say what the message is in its batch.
var fastReply = []byte(".$FI")

// toldReply returns the reply subject of the request m if the service has to know it: behind the import it has another.
func toldReply(m *engine.Msg) []byte {
	if bytes.HasSuffix(m.Reply, fastReply) {
		return m.Reply
	}
	return nil
}

// requestInfo returns the header of a request with who asks in it; without details unless the importer
// shares them. m is the request as it was published in the importing account.
func (r *Router) requestInfo(i *account.ServiceImport, via *hop, m *engine.Msg) []byte {
	var value []byte
	if via.prev == nil && !via.share && i.From != r.reg.System() {
		if m.Origin == engine.System {
			return m.Header
		}
		value = append(append(make([]byte, 0, 64), `{"acc":`...), i.Owner.QuotedName()...)
		if rtt := r.rtt(m.OriginID); rtt > 0 {
			value = appendInt(append(value, `,"rtt":`...), int64(rtt))
		}
		if reply := toldReply(m); reply != nil {
			quoted, _ := json.Marshal(string(reply)) // a string always can be
			value = append(append(value, `,"reply":`...), quoted...)
		}
		value = append(value, '}')
	} else if value = r.details(i, via, m); value == nil {
		return m.Header
	}
	return header.AppendSet(make([]byte, 0, len(m.Header)+len(infoKey)+len(value)+16), m.Header, infoKey, value)
}
