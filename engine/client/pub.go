package client

import (
	"ramjet/engine"
	"ramjet/engine/dispatch"
	"ramjet/engine/interest"
	"ramjet/engine/trace"
	"ramjet/proto/subject"
	"ramjet/proto/wire"
)

// permCacheSize bounds the publish permission cache; when it is full it starts over.
const permCacheSize = 128

// largePayload is the size from which a payload is offered by reference to its frame.
const largePayload = 8 << 10

// onPub handles PUB and HPUB: count, check, route, answer.
func (p *Client) onPub(op *wire.Op) error {
	if len(op.Header) > 0 && trace.Wants(op.Header, p.acct.Snap().TraceDest != "") {
		return p.onTraced(op)
	}
	p.publish(op)
	return nil
}

func (p *Client) publish(op *wire.Op) {
	l := p.Lane()
	l.CountIn(len(op.Header) + len(op.Payload))
	if p.mode&checked != 0 || suspicious(op.Subject) || suspicious(op.Reply) {
		if !p.admit(op) {
			return
		}
	}
	m := &l.Msg
	m.Account = p.acct.Ref()
	m.Subject, m.Reply, m.Header, m.Payload = p.Routed(op.Subject), op.Reply, op.Header, op.Payload
	m.Frame = nil
	if l.Frame != nil && len(op.Payload) >= largePayload {
		m.Frame = l.Frame
	}
	m.Origin, m.OriginID, m.NoEcho = engine.Client, p.ID(), p.mode&noEcho != 0
	ctx := p.Ctx()
	out := p.svc.env.Router.Publish(ctx, p.acct, m)
	if out.Slow {
		p.stalled(ctx)
	}
	if out.Delivered == 0 && p.mode&noResponders != 0 && len(op.Reply) > 0 {
		p.answerNobody(op)
	}
}

// suspicious is a cheap test for subjects that may be reserved: `_R`, `_G` or `$`.
func suspicious(s []byte) bool {
	return len(s) > 2 && (s[0] == '$' || (s[0] == '_' && (s[1] == 'R' || s[1] == 'G')))
}

// admit makes the checks of reference/protocol.md, section 11, in their order; false drops the message.
func (p *Client) admit(op *wire.Op) bool {
	s, reply := op.Subject, op.Reply
	if gatewayReply(s) ||
		(p.mode&restricted != 0 && !p.mayPublish(s)) ||
		(has(s, "$NRG.") && p.mode&systemAccount == 0) {
		p.Logf(engine.Error, "RJ-C008", "Publish Violation - Subject %q", s)
		p.reject(wire.PubViolation(s))
		return false
	}
	if len(reply) > 0 && (has(reply, "_R_.") || has(reply, "$JS.ACK.") || gatewayReply(reply)) {
		p.Logf(engine.Error, "RJ-C009", "Publish Violation - Reply %q", reply)
		p.reject(wire.ReplyViolation(reply))
		return false
	}
	if p.mode&pedantic != 0 && !subject.ValidLiteral(subject.View(s)) {
		p.SendErr(wire.TextInvalidPublishSubject)
	}
	if p.mode&verbose != 0 {
		p.sendOK()
	}
	return true
}

// reject tells the client why its message goes no further.
func (p *Client) reject(why string) {
	if t, ok := p.Lane().Msg.Trace.(*trace.Trace); ok {
		t.Refuse(why)
	}
	p.SendErr(why)
}

// gatewayReply reports whether s is a subject only gateways use.
func gatewayReply(s []byte) bool { return has(s, "_GR_.") || has(s, "$GR.") }

// has reports whether s begins with prefix.
func has(s []byte, prefix string) bool {
	return len(s) >= len(prefix) && string(s[:len(prefix)]) == prefix
}

// mayPublish is the publish permission: what the user may always, from the cache, or a reply to a
// message that was delivered here (allow_responses).
func (p *Client) mayPublish(s []byte) bool {
	ok, hit := p.cache[string(s)]
	if !hit {
		ok = p.perms.CanPub(s)
		if p.cache == nil {
			p.cache = make(map[string]bool)
		} else if len(p.cache) >= permCacheSize {
			clear(p.cache)
		}
		p.cache[string(s)] = ok
	}
	if ok {
		return true
	}
	r := p.Replies()
	return r != nil && r.Use(s, p.svc.env.Clock.Now().UnixNano())
}

// answerNobody tells a requestor that its request reached nobody, when one of its own plain
// subscriptions waits for the reply (reference/protocol.md, section 7).
func (p *Client) answerNobody(op *wire.Op) {
	for _, s := range p.Ctx().Cache.Lookup(p.acct.Index(), op.Reply).Plain {
		if s.Sink() != interest.Sink(&p.Conn) {
			continue
		}
		const before, after = "NATS/1.0 503\r\nNats-Subject: ", "\r\n\r\n"
		n := len(before) + len(op.Subject) + len(after)
		var scratch [256]byte
		b := wire.AppendMsgHead(scratch[:0], op.Reply, s.SID(), nil, n, 0)
		b = append(b, before...)
		b = append(b, op.Subject...)
		b = append(b, after+"\r\n"...)
		p.Send(b)
		return
	}
}

// stalled slows this producer down for the targets that do not keep up.
func (p *Client) stalled(ctx *dispatch.Ctx) {
	if !ctx.NoStall {
		p.StallFor(ctx.SlowSinks)
	}
	ctx.ResetSlow()
}
