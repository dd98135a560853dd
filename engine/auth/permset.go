package auth

import (
	"bytes"
	"strings"

	"ramjet/proto/subject"
)

// permSet is one allow or deny list: literal entries in a hash table, wildcard entries in a token
// trie. Immutable once built; matching does not allocate.
type permSet struct {
	lits    map[string]*permLeaf
	root    *permNode // nil: no wildcard entry
	entries []string  // subjects of all entries, for overlap tests
}

// permNode is a token of wildcard entries.
type permNode struct {
	next map[string]*permNode
	star *permNode
	full *permLeaf // entries that end here with `>`
	here *permLeaf // entries that end here
}

// permLeaf is what entries with one subject say.
type permLeaf struct {
	plain  bool     // an entry without queue
	queues []string // queue names (may have wildcards) of the entries with one
}

// verdict is what all entries that match a subject say together.
type verdict struct {
	plain   bool // an entry without queue matches
	queued  bool // an entry with a queue matches the subject
	inQueue bool // and one of them the queue
}

// newPermSet compiles entries, which are "subject" or "subject queue" and were validated; nil when
// there are none.
func newPermSet(entries []string) *permSet {
	if len(entries) == 0 {
		return nil
	}
	s := &permSet{lits: make(map[string]*permLeaf)}
	for _, e := range entries {
		f := strings.Fields(e)
		subj, queue := f[0], ""
		if len(f) == 2 {
			queue = f[1]
		}
		s.entries = append(s.entries, subj)
		s.leaf(subj).add(queue)
	}
	return s
}

func (l *permLeaf) add(queue string) {
	if queue == "" {
		l.plain = true
	} else {
		l.queues = append(l.queues, queue)
	}
}

// leaf returns the leaf of subj, made on first use.
func (s *permSet) leaf(subj string) *permLeaf {
	if !subject.HasWildcard(subj) {
		return orNew(s.lits, subj)
	}
	n := orNewPtr(&s.root)
	for more := true; more; {
		var t string
		t, subj, more = subject.Next(subj)
		switch t {
		case ">":
			return orNewPtr(&n.full)
		case "*":
			n = orNewPtr(&n.star)
		default:
			if n.next == nil {
				n.next = make(map[string]*permNode)
			}
			n = orNew(n.next, t)
		}
	}
	return orNewPtr(&n.here)
}

func orNew[T any](m map[string]*T, k string) *T {
	v := m[k]
	if v == nil {
		v = new(T)
		m[k] = v
	}
	return v
}

func orNewPtr[T any](p **T) *T {
	if *p == nil {
		*p = new(T)
	}
	return *p
}

// mode is how a wildcard token of the tested subject meets the wildcards of the entries.
type mode uint8

const (
	// asLiteral: the subject's tokens are plain text, also `*` and `>`.
	asLiteral mode = iota
	// asSubset: an entry matches when it matches everything the subject matches.
	asSubset
)

// match asks all entries about subj. queue "" is none.
func (s *permSet) match(subj []byte, queue string, m mode) (v verdict) {
	if len(subj) == 0 || hasEmptyToken(subj) {
		return verdict{}
	}
	s.lits[string(subj)].report(queue, &v)
	if s.root != nil {
		s.root.match(subj, queue, m, &v)
	}
	return v
}

// matchPlain reports whether an entry without queue matches the literal subj: the path of each
// published and filtered message.
func (s *permSet) matchPlain(subj []byte) bool {
	if l := s.lits[string(subj)]; l != nil && l.plain {
		return true
	}
	return s.root != nil && s.match(subj, "", asLiteral).plain
}

func (l *permLeaf) report(queue string, v *verdict) {
	if l == nil {
		return
	}
	v.plain = v.plain || l.plain
	if len(l.queues) == 0 {
		return
	}
	v.queued = true
	for _, q := range l.queues {
		if v.inQueue {
			return
		}
		v.inQueue = queue != "" && queueMatches(queue, q)
	}
}

// queueMatches reports whether the queue entry pattern covers queue. Wildcards count in a pattern, but
// a queue name may also be spelled with the same wildcards.
func queueMatches(queue, pattern string) bool {
	return queue == pattern || subject.HasWildcard(pattern) && subject.IsSubset(queue, pattern)
}

// match walks the entries below n; the recursion is as deep as the longest entry.
func (n *permNode) match(rest []byte, queue string, m mode, v *verdict) {
	n.full.report(queue, v)
	t, more := rest, false
	if i := bytes.IndexByte(rest, subject.Sep); i >= 0 {
		t, rest, more = rest[:i], rest[i+1:], true
	}
	wild := byte(0)
	if m == asSubset && len(t) == 1 {
		wild = t[0]
	}
	if wild == subject.Full && !more {
		return // only `>` covers `>`
	}
	if n.star != nil {
		n.star.step(rest, more, queue, m, v)
	}
	if wild != subject.Star && n.next != nil {
		if c := n.next[string(t)]; c != nil {
			c.step(rest, more, queue, m, v)
		}
	}
}

func (n *permNode) step(rest []byte, more bool, queue string, m mode, v *verdict) {
	if more {
		n.match(rest, queue, m, v)
	} else {
		n.here.report(queue, v)
	}
}

// overlaps reports whether some literal subject matches both subj and an entry.
func (s *permSet) overlaps(subj string) bool {
	for _, e := range s.entries {
		if subject.Collide(e, subj) {
			return true
		}
	}
	return false
}

func hasEmptyToken(s []byte) bool {
	last := byte(subject.Sep)
	for _, c := range s {
		if c == subject.Sep && last == subject.Sep {
			return true
		}
		last = c
	}
	return last == subject.Sep
}
