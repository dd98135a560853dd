package dispatch

import (
	"slices"

	"ramjet/engine"
	"ramjet/engine/interest"
)

// queues is stage 4: one member of each group. A message from another server is only for the groups
// in only, which the sender has chosen; where an import or a mapping took it, nobody has.
func (p *pass) queues(only [][]byte) {
	filter := chosenGroups(p.m.Origin) && p.via == nil && (!p.mapped || len(only) > 0)
	for i := range p.res.Queues {
		g := &p.res.Queues[i]
		if filter && !named(g.Name, only) {
			continue
		}
		p.pick(g)
	}
}

func named(group string, only [][]byte) bool {
	for _, q := range only {
		if string(q) == group {
			return true
		}
	}
	return false
}

// pick finds a member of g for the message: from a random start, chosen by weight, once around. A
// local member that refuses is passed over; a link is taken without asking its far end; leafnodes,
// and routes that speak for leafnodes, are taken if nobody else did; then the nearest other cluster.
func (p *pass) pick(g *interest.Group) {
	m, subs := p.m, g.Subs
	rules := &queueRules[m.Origin]
	echoOff := m.NoEcho && m.OriginID != 0
	var last, far *interest.Sub
	at := p.ctx.start(g)
	if rules[subs[at].Kind()] == never {
		at = p.ctx.startAmong(g, rules)
	}
	for range subs {
		s := subs[at]
		if at++; at == len(subs) {
			at = 0
		}
		switch r := rules[s.Kind()]; r {
		case local:
			if echoOff && s.Sink().ID() == m.OriginID {
				p.noEcho(s)
				continue
			}
			if p.deliver(s) {
				return
			}
		case remote, fallback:
			if !accepts(m, s) {
				continue
			}
			if r == fallback || lastResort(s) {
				if last == nil {
					last = s
				}
				continue
			}
			p.choose(s)
			return
		case elsewhere:
			if accepts(m, s) && (far == nil || rank(s) < rank(far)) {
				far = s
			}
		case across:
			if p.cross(s) {
				return
			}
		}
	}
	if last == nil {
		last = far
	}
	if last == nil && m.Origin == engine.Router {
		last = p.back(g)
	}
	if last != nil {
		p.choose(last)
	}
}

// back is the member of g for a message from a route that nobody here can take any more, as the member it was sent for has just gone:
// one on another server of the cluster, perhaps the one it came from, which has heard by then that there is none here. Not a server
// that had the message for plain interest: it would get that one again. nil: there is none.
func (p *pass) back(g *interest.Group) *interest.Sub {
	for _, s := range g.Subs {
		had := func(x *interest.Sub) bool { return x.Sink() == s.Sink() }
		if s.Kind() == engine.Router && !slices.ContainsFunc(p.res.Plain, had) {
			return s
		}
	}
	return nil
}

// rank is how far away the other cluster is that s's link leads to.
func rank(s *interest.Sub) int64 {
	if r, ok := s.Sink().(Ranked); ok {
		return r.Rank()
	}
	return 0
}

// choose notes that s's link gets the message for the group of s.
func (p *pass) choose(s *interest.Sub) {
	p.ctx.picks = append(p.ctx.picks, chosen{p.link(s), s})
}

func lastResort(s *interest.Sub) bool {
	l, ok := s.Sink().(LinkSink)
	return ok && l.Fallback(s)
}

// startAmong is start among the members that may get the message at all: those who never do would hand their share to
// whoever follows them.
func (c *Ctx) startAmong(g *interest.Group, rules *row) int {
	weight := int64(0)
	for _, s := range g.Subs {
		if rules[s.Kind()] != never {
			weight += int64(s.Weight())
		}
	}
	if weight <= 0 {
		return 0
	}
	k := int64(c.below(uint64(weight)))
	for i, s := range g.Subs {
		if rules[s.Kind()] == never {
			continue
		}
		if k -= int64(s.Weight()); k < 0 {
			return i
		}
	}
	return 0
}

// start returns the index of the member where the walk begins: each is as likely as its weight.
func (c *Ctx) start(g *interest.Group) int {
	if len(g.Subs) == 1 || g.Weight <= 0 {
		return 0
	}
	k := int64(c.below(uint64(g.Weight)))
	if g.Even {
		return int(k)
	}
	for i, s := range g.Subs {
		if k -= int64(s.Weight()); k < 0 {
			return i
		}
	}
	return 0
}
