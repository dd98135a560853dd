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
				p.noEcho(s)
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
	if p.m.Trace != nil && s.Kind() == engine.Client {
		return p.deliverTraced(s)
	}
	sink := s.Sink()
	if p.withheld(sink) {
		return false
	}
	return p.count(sink, sink.Deliver(p.ctx.From, p.m, s))
}

// withheld reports that sink does not get the message because it is too slow and producers are not to wait for it.
func (p *pass) withheld(sink interest.Sink) bool {
	if !p.ctx.NoStall || p.m.Origin != engine.Client || !tooSlow(sink) {
		return false
	}
	p.ctx.Refused++
	return true
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

// sendLink sends to the i-th link of ctx.links, of which l is a copy: the delivery may publish and grow ctx.links. True if it was handed
// over.
func (p *pass) sendLink(l link, i int) bool {
	ctx := p.ctx
	remote, ok := l.sink.(LinkSink)
	if !ok {
		return p.count(l.sink, l.sink.Deliver(ctx.From, p.m, l.first))
	}
	at := len(ctx.members)
	for _, c := range ctx.picks[p.picks:] {
		if c.link == i {
			ctx.members = append(ctx.members, c.sub)
		}
	}
	ok = p.count(l.sink, remote.DeliverLink(ctx.From, p.m, l.plain, ctx.members[at:]))
	clear(ctx.members[at:])
	ctx.members = ctx.members[:at]
	return ok
}

// sendLinks is stage 5.
func (p *pass) sendLinks() {
	ctx := p.ctx
	end := len(ctx.links)
	for i := p.links; i < end; i++ {
		if p.m.Trace != nil {
			p.sendTraced(ctx.links[i], i)
		} else {
			p.sendLink(ctx.links[i], i)
		}
	}
	clear(ctx.links[p.links:]) // keep no closed connection alive
	clear(ctx.picks[p.picks:])
	ctx.links, ctx.picks = ctx.links[:p.links], ctx.picks[:p.picks]
}
