package subject

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Mapping is one configured subject mapping.
type Mapping struct {
	Source string
	Dests  []Dest
}

// Dest is one destination of a mapping: of the messages it gets Weight percent, on servers of the
// named cluster only if Cluster is not empty.
type Dest struct {
	Subject string
	Weight  int
	Cluster string
}

// Errors of a mapping's weights.
var (
	ErrWeight      = errors.New("individual weights need to be <= 100")
	ErrTotalWeight = errors.New("total weight needs to be <= 100")
)

// Table is the compiled mappings of an account. Immutable.
type Table struct {
	rules   []rule         // in the order of definition
	literal map[string]int // rules whose source has no wildcard
	wild    []int          // the others
}

// rule is one mapping as it applies to this server's cluster.
type rule struct {
	source string
	dests  []choice // by cumulative weight
	keep   bool     // nothing applies here: the subject stays as it is
}

// choice is taken for random numbers of 0 to 99 below upTo.
type choice struct {
	upTo int
	t    *Transform
}

// NewTable compiles mappings for a server of the named cluster ("" = none). A later mapping of the
// same source replaces the earlier one. Errors: of all mappings, joined, each a *SourceError.
func NewTable(mappings []Mapping, cluster string) (*Table, error) {
	t := &Table{literal: map[string]int{}}
	var errs []error
	bySource := map[string]int{}
	for _, m := range mappings {
		r, err := compileMapping(m, cluster)
		if err != nil {
			errs = append(errs, &SourceError{m.Source, err})
			continue
		}
		if i, ok := bySource[m.Source]; ok {
			t.rules[i] = r
			continue
		}
		i := len(t.rules)
		bySource[m.Source] = i
		t.rules = append(t.rules, r)
		if HasWildcard(m.Source) {
			t.wild = append(t.wild, i)
		} else {
			t.literal[m.Source] = i
		}
	}
	return t, errors.Join(errs...)
}

// SourceError says which mapping is wrong.
type SourceError struct {
	Source string
	Err    error
}

func (e *SourceError) Error() string {
	return fmt.Sprintf("Error adding mapping for %q : %v", e.Source, e.Err)
}

// Unwrap returns the mistake.
func (e *SourceError) Unwrap() error { return e.Err }

func compileMapping(m Mapping, cluster string) (rule, error) {
	r := rule{source: m.Source}
	if !Valid(m.Source) {
		return r, ErrBadSubject
	}
	seen := map[string]bool{}
	total := map[string]int{}
	lists := map[string][]choice{}
	for _, d := range m.Dests {
		if seen[d.Subject] {
			return r, fmt.Errorf("duplicate entry for %q", d.Subject)
		}
		seen[d.Subject] = true
		if d.Weight < 0 || d.Weight > 100 {
			return r, ErrWeight
		}
		if total[d.Cluster] += d.Weight; total[d.Cluster] > 100 {
			return r, ErrTotalWeight
		}
		if err := ValidDest(d.Subject); err != nil {
			return r, err
		}
		t, err := NewTransform(m.Source, d.Subject)
		if err != nil {
			return r, err
		}
		lists[d.Cluster] = append(lists[d.Cluster], choice{d.Weight, t})
	}
	scope := ""
	if len(lists[cluster]) > 0 {
		scope = cluster
	}
	r.dests = lists[scope]
	if len(r.dests) == 0 {
		r.keep = true
		return r, nil
	}
	// What is left over keeps its subject, unless the source is a destination of its own: then whoever
	// wrote it wants loss.
	if rest := 100 - total[scope]; rest > 0 && !seen[m.Source] {
		t, err := NewTransform(m.Source, Placeholders(m.Source))
		if err != nil {
			return r, err
		}
		r.dests = append(r.dests, choice{rest, t})
	}
	slices.SortStableFunc(r.dests, func(a, b choice) int { return cmp.Compare(a.upTo, b.upTo) })
	sum := 0
	for i := range r.dests {
		sum += r.dests[i].upTo
		r.dests[i].upTo = sum
	}
	return r, nil
}

// Len returns the number of mappings.
func (t *Table) Len() int { return len(t.rules) }

// Sources calls fn for the source of each mapping, which counts as interest towards leafnodes.
func (t *Table) Sources(fn func(source string)) {
	for i := range t.rules {
		fn(t.rules[i].source)
	}
}

// Map applies the first mapping, in the order of definition, whose source in matches: once, without
// mapping the result again. rnd chooses among weighted destinations. When nothing applies, out is in
// and mapped false; when the mapping drops the message, ok is false; else out is appended to
// scratch[:0]. It does not allocate when scratch has room. in is borrowed.
func (t *Table) Map(in, scratch []byte, rnd uint64) (out []byte, mapped, ok bool) {
	subj := View(in)
	at, found := t.literal[subj]
	for _, i := range t.wild {
		if found && i > at {
			break
		}
		if Match(subj, t.rules[i].source) {
			at, found = i, true
			break
		}
	}
	if !found || t.rules[at].keep {
		return in, false, true
	}
	dests := t.rules[at].dests
	k := 0
	if len(dests) > 1 || dests[0].upTo < 100 {
		w := int(mix(rnd) >> 32 % 100)
		for k < len(dests) && w >= dests[k].upTo {
			k++
		}
		if k == len(dests) {
			return in, false, false
		}
	}
	return dests[k].t.Apply(scratch[:0], subj, rnd), true, true
}
