package source

import (
	"strings"

	"ramjet/js/stream"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
	"ramjet/store"
)

const (
	searchSteps = 1024 // messages that one Tick looks at
	searchWait  = 100 * ms
)

// search looks, from the end of the log to its beginning, for the newest message of each origin in phase searching. It is
// needed only where the machine did not see those messages being stored: after a restore, or a lost checkpoint.
type search struct {
	active bool
	upto   uint64
	filter store.Filter
	rec    store.Rec
}

// begin starts the search, or starts it again, for one more origin.
func (s *search) begin(upto uint64) {
	s.active, s.upto, s.filter = true, max(s.upto, upto), store.Filter{}
}

// searchStep goes on. Origins that are found go on from there; at the end the others begin as new ones.
func (e *Engine) searchStep(now int64) {
	s := &e.search
	if len(s.filter.Patterns) == 0 {
		s.filter = e.searchFilter()
	}
	for range searchSteps {
		left := 0
		for _, o := range e.list {
			if o.phase == searching {
				left++
			}
		}
		if left == 0 || s.upto == 0 {
			e.endSearch(now)
			return
		}
		switch e.m.Log().Prev(&s.filter, s.upto, &s.rec) {
		case store.None:
			e.endSearch(now)
			return
		case store.Pending:
			e.searchAgain(now + searchWait)
			return
		case store.Hit:
			e.searchHit(&s.rec, now)
		}
		s.upto = s.rec.Seq - 1
	}
	e.searchAgain(now)
}

func (e *Engine) searchAgain(at int64) {
	for _, o := range e.list {
		if o.phase == searching {
			e.arm(o, at)
		}
	}
}

// searchHit gives a stored message to the origin that it came from.
func (e *Engine) searchHit(r *store.Rec, now int64) {
	var h stream.SourceHeader
	v := header.Get(r.Header, jsapi.HdrStreamSource)
	if len(v) == 0 || !stream.ParseSourceHeader(v, &h) {
		return
	}
	key := h.AppendIndex(nil)
	for _, o := range e.list {
		old := h.Filter == nil && (string(h.Name) == o.src.Name || string(h.Name) == o.index.Name)
		if o.phase == searching && (old || string(key) == o.key) {
			o.found, o.foundID = h.Seq, string(h.Identity)
			e.foundOrigin(o, now)
		}
	}
}

func (e *Engine) foundOrigin(o *origin, now int64) {
	o.searched = true
	o.seq, o.identity = o.found, o.foundID
	e.schedule(o, now)
}

func (e *Engine) endSearch(now int64) {
	e.search = search{}
	for _, o := range e.list {
		if o.phase == searching {
			e.foundOrigin(o, now)
		}
	}
	e.rearm()
}

// searchFilter returns the subjects under which the searched origins' messages can be stored.
func (e *Engine) searchFilter() store.Filter {
	all := store.Filter{Patterns: []string{">"}}
	if e.m.Config().SubjectTransform != nil {
		return all
	}
	var f store.Filter
	add := func(p string) { f.Patterns = append(f.Patterns, p) }
	for _, o := range e.list {
		if o.phase != searching {
			continue
		}
		if len(o.src.SubjectTransforms) == 0 {
			add(o.src.FilterSubject)
		}
		for _, t := range o.src.SubjectTransforms {
			if t.Destination == "" {
				add(t.Source)
			} else {
				add(landing(t.Destination))
			}
		}
	}
	for _, p := range f.Patterns {
		if p == "" || p == ">" || !subject.Valid(p) {
			return all
		}
	}
	return f
}

// landing returns a pattern for all subjects that a transform with the destination dest makes.
func landing(dest string) string {
	if strings.Contains(dest, "{{") {
		return ">" // a function may make several tokens
	}
	toks := subject.Split(nil, dest)
	for i, t := range toks {
		if t != "" && t[0] == '$' {
			toks[i] = "*"
		}
	}
	return strings.Join(toks, ".")
}
