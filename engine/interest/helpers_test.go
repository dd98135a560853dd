package interest

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"testing"
	"time"

	"ramjet/engine"
	"ramjet/proto/subject"
)

type fakeSink struct {
	kind engine.Kind
	id   uint64
}

func (f *fakeSink) Deliver(engine.LoopID, *engine.Msg, *Sub) engine.Verdict { return engine.OK }
func (f *fakeSink) Kind() engine.Kind                                       { return f.kind }
func (f *fakeSink) ID() uint64                                              { return f.id }

func seeded(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

func sub(subj, queue, sid string, sink Sink) *Sub {
	return NewSub([]byte(subj), []byte(queue), []byte(sid), 1, sink)
}

// randPattern returns a valid pattern over a small alphabet, so that overlaps are common.
func randPattern(r *rand.Rand) string {
	words := []string{"a", "b", "c", "foo", "*", "*", "foo*", "x>"}
	n := 1 + r.IntN(4)
	if r.IntN(40) == 0 {
		n += 14 // deeper than the shape bits tell apart
	}
	toks := make([]string, n)
	for i := range toks {
		toks[i] = words[r.IntN(len(words))]
	}
	if r.IntN(5) == 0 {
		toks[n-1] = ">"
	}
	return strings.Join(toks, ".")
}

// randLiteral returns a subject as a publisher may send it, malformed ones and wildcards included.
func randLiteral(r *rand.Rand) string {
	words := []string{"a", "b", "c", "foo", "foo*", "x>", "a", "b", "c"}
	n := 1 + r.IntN(4)
	if r.IntN(40) == 0 {
		n += 14
	}
	toks := make([]string, n)
	for i := range toks {
		toks[i] = words[r.IntN(len(words))]
	}
	switch r.IntN(30) {
	case 0:
		toks[r.IntN(n)] = ""
	case 1:
		toks[r.IntN(n)] = "*"
	case 2:
		toks[r.IntN(n)] = ">"
	}
	return strings.Join(toks, ".")
}

// describe returns r in a canonical form.
func describe(r *Result) string {
	var out []string
	for _, s := range r.Plain {
		if s.Remote() { // which of its subscriptions stands for a link is not defined
			out = append(out, fmt.Sprint("link ", s.Sink().ID()))
			continue
		}
		out = append(out, "p "+s.SID())
	}
	for _, g := range r.Queues {
		var w int64
		for _, s := range g.Subs {
			out = append(out, "q "+g.Name+" "+s.SID())
			w += int64(s.Weight())
		}
		if w != g.Weight {
			out = append(out, fmt.Sprintf("group %s has weight %d, members %d", g.Name, g.Weight, w))
		}
	}
	sort.Strings(out)
	return strings.Join(out, "\n")
}

// oracle is the obvious index.
type oracle []*Sub

func (o oracle) describe(literal string) string {
	r := Result{}
	groups := map[string]int{}
	links := map[Sink]bool{}
	for _, s := range o {
		if !subject.Match(literal, s.Subject()) {
			continue
		}
		if q := s.Queue(); q != "" {
			i, ok := groups[q]
			if !ok {
				i = len(r.Queues)
				groups[q] = i
				r.Queues = append(r.Queues, Group{Name: q})
			}
			r.Queues[i].Subs = append(r.Queues[i].Subs, s)
			r.Queues[i].Weight += int64(s.Weight())
			continue
		}
		if s.Remote() {
			if links[s.Sink()] {
				continue
			}
			links[s.Sink()] = true
		}
		r.Plain = append(r.Plain, s)
	}
	return describe(&r)
}
