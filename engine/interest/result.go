package interest

import (
	"slices"

	"ramjet/proto/subject"
)

// Group is one queue group of a match result.
type Group struct {
	Name   string
	Subs   []*Sub
	Weight int64 // the sum of the members' weights
	Even   bool  // every member has weight 1
}

// Result is the match of one literal subject: immutable once published by Cache or filled by Match.
type Result struct {
	// Plain has one entry for each matching subscription without a queue group; for a link to another
	// server (Sub.Remote) one in all, as it gets a message once.
	Plain  []*Sub
	Queues []Group
	// Remote reports that a sink of Plain or Queues is a link to another server.
	Remote bool
}

// Empty reports that nothing matched.
func (r *Result) Empty() bool { return len(r.Plain) == 0 && len(r.Queues) == 0 }

// Fanout returns the number of deliveries at most: plain subscriptions and one for each queue group.
func (r *Result) Fanout() int { return len(r.Plain) + len(r.Queues) }

// scratch is the memory a match is collected in. It is reused: a Result that points into it is good
// until the next match with the same scratch.
type scratch struct {
	res     Result
	entries []*Sub
	one     [1]*Sub
	oneQ    [1]Group
	plain   []*Sub
	queue   []*Sub
	groups  []Group
	byName  map[string]int
	sinks   map[Sink]struct{}
}

// collect fills sc.res with the match of subj, whose literal key has hash h. worth reports that the
// work was more than one probe, so that a cache would save something.
func (x *Index) collect(sc *scratch, subj string, h uint64, tp uint8) (worth bool) {
	sc.res = Result{}
	sc.entries = sc.entries[:0]
	e := x.findHashed(h, formLiteral, subj)
	shape := x.shapeOf(tp)
	if shape == 0 || !wellFormed(subj) {
		return e != nil && sc.single(e)
	}
	if e != nil {
		sc.entries = append(sc.entries, e)
	}
	if shape&trailing != 0 {
		sc.entries = x.wildEntries(sc.entries, subj, shape)
	}
	if shape>>trieShape != 0 {
		sc.entries = x.innerMatches(sc.entries, subj, tp)
	}
	switch len(sc.entries) {
	case 0:
	case 1:
		sc.single(sc.entries[0])
	default:
		sc.merge(sc.entries)
	}
	return true
}

// single fills sc.res from one table entry, without building anything if it can.
func (sc *scratch) single(e *Sub) (worth bool) {
	switch {
	case !e.isList() && !e.HasQueue():
		sc.one[0] = e
		sc.res.Plain, sc.res.Remote = sc.one[:], e.Remote()
	case !e.isList():
		sc.one[0] = e
		sc.oneQ[0] = Group{Name: e.Queue(), Subs: sc.one[:], Weight: int64(e.Weight()), Even: e.Weight() == 1}
		sc.res.Queues, sc.res.Remote = sc.oneQ[:], e.Remote()
	default:
		if l := e.entries(); l.dead == 0 && len(l.queue) == 0 && !l.remote {
			sc.res.Plain = l.plain[:len(l.plain):len(l.plain)]
			return false
		}
		sc.one[0] = e
		sc.merge(sc.one[:])
		return true
	}
	return false
}

// merge fills sc.res from several entries: plain subscriptions in the order of the entries, those of
// one link once, queue members grouped by name.
func (sc *scratch) merge(entries []*Sub) {
	plain, queue := sc.plain[:0], sc.queue[:0]
	for _, e := range entries {
		switch {
		case e.isList():
			l := e.entries()
			if l.dead == 0 {
				plain, queue = append(plain, l.plain...), append(queue, l.queue...)
			} else {
				plain, queue = live(plain, l.plain), live(queue, l.queue)
			}
		case e.HasQueue():
			queue = append(queue, e)
		default:
			plain = append(plain, e)
		}
	}
	sc.plain, sc.queue = plain, queue
	remote := 0
	for _, s := range plain {
		if s.Remote() {
			remote++
		}
	}
	if remote > 1 {
		plain = sc.oncePerLink(plain)
	}
	sc.res.Plain = plain
	sc.res.Remote = remote > 0
	if len(queue) > 0 {
		sc.group(queue)
	}
}

// oncePerLink removes all but the first subscription of each link to another server, in place.
func (sc *scratch) oncePerLink(subs []*Sub) []*Sub {
	if sc.sinks == nil {
		sc.sinks = make(map[Sink]struct{})
	}
	clear(sc.sinks)
	out := subs[:0]
	for _, s := range subs {
		if s.Remote() {
			if _, seen := sc.sinks[s.sink]; seen {
				continue
			}
			sc.sinks[s.sink] = struct{}{}
		}
		out = append(out, s)
	}
	clear(sc.sinks) // keep no connection alive
	return out
}

// group sorts queue members into sc.res.Queues, groups in order of first appearance.
func (sc *scratch) group(queue []*Sub) {
	if sc.byName == nil {
		sc.byName = make(map[string]int)
	}
	clear(sc.byName)
	groups := sc.groups[:0]
	last := -1 // members of one group tend to follow each other
	for _, s := range queue {
		name := s.Queue()
		if last < 0 || groups[last].Name != name {
			i, ok := sc.byName[name]
			if !ok {
				i = len(groups)
				sc.byName[name] = i
				if i < cap(groups) {
					groups = groups[:i+1]
					groups[i] = Group{Name: name, Subs: groups[i].Subs[:0], Even: true}
				} else {
					groups = append(groups, Group{Name: name, Even: true})
				}
			}
			last = i
		}
		g := &groups[last]
		g.Subs = append(g.Subs, s)
		w := s.Weight()
		g.Weight += int64(w)
		g.Even = g.Even && w == 1
		sc.res.Remote = sc.res.Remote || s.Remote()
	}
	clear(sc.byName)
	sc.groups = groups
	sc.res.Queues = groups
}

// keepCap is how many subscriptions a scratch may keep room for; more is given back by forget.
const keepCap = 4096

// forget drops the references of sc, so that a quiet loop does not keep closed connections alive.
func (sc *scratch) forget() {
	sc.res = Result{}
	sc.one[0] = nil
	sc.oneQ[0] = Group{}
	if cap(sc.plain)+cap(sc.queue)+cap(sc.entries) > keepCap || len(sc.groups) > 64 {
		*sc = scratch{}
		return
	}
	clear(sc.entries[:cap(sc.entries)])
	clear(sc.plain[:cap(sc.plain)])
	clear(sc.queue[:cap(sc.queue)])
	gs := sc.groups[:cap(sc.groups)]
	for i := range gs {
		clear(gs[i].Subs[:cap(gs[i].Subs)])
		gs[i].Name = ""
	}
}

// clone returns a copy of r in memory of its own.
func (r *Result) clone() *Result {
	c := &Result{Plain: slices.Clone(r.Plain), Remote: r.Remote}
	if len(r.Queues) == 0 {
		return c
	}
	c.Queues = slices.Clone(r.Queues)
	n := 0
	for _, g := range r.Queues {
		n += len(g.Subs)
	}
	all := make([]*Sub, 0, n)
	for i := range c.Queues {
		from := len(all)
		all = append(all, c.Queues[i].Subs...)
		c.Queues[i].Subs = all[from:len(all):len(all)]
	}
	return c
}

// subs returns the number of subscriptions r refers to.
func (r *Result) subs() int {
	n := len(r.Plain)
	for i := range r.Queues {
		n += len(r.Queues[i].Subs)
	}
	return n
}

// Match fills r with the subscriptions that match the literal subject, in memory of its own. It
// allocates; publishers use a Cache. subject is borrowed.
func (x *Index) Match(literal []byte, r *Result) {
	var sc scratch
	subj := subject.View(literal)
	x.collect(&sc, subj, hashOf(formLiteral, subj), topicOf(subj))
	*r = *sc.res.clone()
}
