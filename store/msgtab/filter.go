package msgtab

import (
	"bytes"
	"math"
	"slices"
	"strings"

	"ramjet/proto/subject"
	"ramjet/store"
	"ramjet/store/subjidx"
)

// memo is what a table remembers about a filter, in Filter.Compiled.
type memo struct {
	t        *Table
	epoch    uint32
	literal  []byte // the only pattern, without wildcards
	patterns []string
	known    []uint64 // two bits per subject id: looked at, matches
	// No message from bare to bareEnd (exclusive) passes. That stays true: what is appended comes after. It makes a search that
	// had to wait for an index go on where it stopped, even if the indexes before were dropped meanwhile.
	bare, bareEnd uint64
}

// clear notes that no message from lo to hi (exclusive) passes.
func (m *memo) clear(lo, hi uint64) {
	switch {
	case lo >= hi:
	case lo <= m.bareEnd && m.bare <= hi:
		m.bare, m.bareEnd = min(lo, m.bare), max(hi, m.bareEnd)
	default:
		m.bare, m.bareEnd = lo, hi
	}
}

// compile returns the memo of f; nil if everything passes.
func (t *Table) compile(f *store.Filter) *memo {
	if f.All() {
		return nil
	}
	m, _ := f.Compiled.(*memo)
	if m == nil || m.t != t {
		if slices.Contains(f.Patterns, ">") {
			return nil
		}
		m = &memo{t: t, patterns: f.Patterns, epoch: t.idx.Epoch()}
		if len(f.Patterns) == 1 && !strings.ContainsAny(f.Patterns[0], "*>") {
			m.literal = []byte(f.Patterns[0])
		}
		f.Compiled = m
	}
	if m.epoch != t.idx.Epoch() {
		m.epoch = t.idx.Epoch()
		clear(m.known)
	}
	return m
}

// accepts reports whether the subject of id passes.
func (m *memo) accepts(id subjidx.ID) bool {
	w, b := int(id/32), id%32*2
	if w < len(m.known) {
		if k := m.known[w] >> b & 3; k != 0 {
			return k == 3
		}
	}
	return m.look(id)
}

func (m *memo) look(id subjidx.ID) bool {
	if id >= m.t.idx.MaxID() {
		return false
	}
	ok := false
	if k := m.t.idx.Key(id); k != nil {
		if m.literal != nil {
			ok = bytes.Equal(k, m.literal)
		}
		for i := 0; i < len(m.patterns) && !ok; i++ {
			ok = subject.MatchBytes(k, m.patterns[i])
		}
	}
	w, b := int(id/32), id%32*2
	if w >= len(m.known) {
		m.known = append(m.known, make([]uint64, max(w+1-len(m.known), len(m.known)/2, 4))...)
	}
	v := uint64(1)
	if ok {
		v = 3
	}
	m.known[w] |= v << b
	return ok
}

// each calls fn for every subject that passes, once, in unspecified order until it returns false.
func (m *memo) each(fn func(subjidx.ID, *subjidx.Entry) bool) {
	x := m.t.idx
	if m.literal != nil {
		if id, e := x.Get(m.literal); e != nil {
			fn(id, e)
		}
		return
	}
	if len(m.patterns) == 1 {
		x.Match(m.patterns[0], fn)
		return
	}
	for k, p := range m.patterns {
		more := x.Match(p, func(id subjidx.ID, e *subjidx.Entry) bool {
			for _, q := range m.patterns[:k] {
				if subject.MatchBytes(x.Key(id), q) {
					return true
				}
			}
			return fn(id, e)
		})
		if !more {
			return
		}
	}
}

const maxBoundLooks = 256

// lowerBound returns a sequence at or after from before which nothing passes; MaxUint64 if nothing passes at all. It gives up
// with from when too many subjects match.
func (m *memo) lowerBound(from uint64) uint64 {
	best, looks := uint64(math.MaxUint64), 0
	m.each(func(_ subjidx.ID, e *subjidx.Entry) bool {
		if looks++; looks > maxBoundLooks {
			best = from
			return false
		}
		if e.Last >= from {
			best = min(best, max(e.First, from))
		}
		return best > from
	})
	return best
}

// upperBound is lowerBound for the way back; 0 if nothing passes.
func (m *memo) upperBound(upto uint64) uint64 {
	best, looks := uint64(0), 0
	m.each(func(_ subjidx.ID, e *subjidx.Entry) bool {
		if looks++; looks > maxBoundLooks {
			best = upto
			return false
		}
		if e.First <= upto {
			best = max(best, min(e.Last, upto))
		}
		return best < upto
	})
	return best
}
