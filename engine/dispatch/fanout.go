package dispatch

import (
	"ramjet/engine"
	"ramjet/engine/interest"
)

// plain is stage 3: every plain subscription, links set aside for stage 5.
func (p *pass) plain() {
	m := p.m
	rules := &plainRules[m.Origin]
	echoOff := m.NoEcho && m.OriginID != 0
	for _, s := range p.res.Plain {
		switch rules[s.Kind()] {
		case local:
			if echoOff && s.Sink().ID() == m.OriginID {
				continue
			}
			p.deliver(s)
		case remote, fallback:
			if accepts(m, s) {
				p.ctx.links[p.link(s)].plain = s
			}
		case across:
			p.cross(s)
		}
	}
}

// deliver offers the message to a connection that ends here; false if it was not taken.
func (p *pass) deliver(s *interest.Sub) bool {
	ctx, sink := p.ctx, s.Sink()
	if ctx.NoStall && p.m.Origin == engine.Client && tooSlow(sink) {
		ctx.Refused++
		return false
	}
	return p.count(sink, sink.Deliver(ctx.From, p.m, s))
}

// count books a verdict and reports whether the message was handed over.
func (p *pass) count(sink interest.Sink, v engine.Verdict) bool {
	switch v {
	case engine.OK:
		p.out.Delivered++
		return true
	case engine.OverSoft:
		p.out.Delivered++
		p.out.Slow = true
		p.ctx.slow(sink)
		return true
	case engine.Refused:
		p.ctx.Refused++
	}
	return false
}

// tooSlow reports that a sink is above its soft limit.
func tooSlow(s interest.Sink) bool {
	t, ok := s.(interface{ Slow() bool })
	return ok && t.Slow()
}

// link returns the index in ctx.links of the link of s, which it adds if the message was not to go
// there yet. There are few: one per server.
func (p *pass) link(s *interest.Sub) int {
	ctx, sink := p.ctx, s.Sink()
	for i := p.links; i < len(ctx.links); i++ {
		if ctx.links[i].sink == sink {
			return i
		}
	}
	ctx.links = append(ctx.links, link{sink: sink, first: s})
	return len(ctx.links) - 1
}

// sendLinks is stage 5.
func (p *pass) sendLinks() {
	ctx := p.ctx
	end := len(ctx.links)
	for i := p.links; i < end; i++ {
		l := ctx.links[i] // a copy: the delivery may publish and grow ctx.links
		remote, ok := l.sink.(LinkSink)
		if !ok {
			p.count(l.sink, l.sink.Deliver(ctx.From, p.m, l.first))
			continue
		}
		at := len(ctx.members)
		for _, c := range ctx.picks[p.picks:] {
			if c.link == i {
				ctx.members = append(ctx.members, c.sub)
			}
		}
		p.count(l.sink, remote.DeliverLink(ctx.From, p.m, l.plain, ctx.members[at:]))
		clear(ctx.members[at:])
		ctx.members = ctx.members[:at]
	}
	clear(ctx.links[p.links:]) // keep no closed connection alive
	clear(ctx.picks[p.picks:])
	ctx.links, ctx.picks = ctx.links[:p.links], ctx.picks[:p.picks]
}
