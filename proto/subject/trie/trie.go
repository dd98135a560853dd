package trie

import (
	"slices"
	"strings"

	"ramjet/proto/subject"
)

// Trie maps patterns to values; a pattern can have any number of values. The zero value is empty.
type Trie[T comparable] struct {
	root node[T]
	n    int
}

// node is the point reached after some tokens.
type node[T comparable] struct {
	kids []child[T]          // literal tokens, sorted, while there are few
	many map[string]*node[T] // all of them, when there are many
	star *node[T]            // `*`
	full []T                 // patterns that end in `>` here
	vals []T                 // patterns that end here
}

type child[T comparable] struct {
	token string
	node  *node[T]
}

// mapFrom is the number of literal children from which a node uses a map.
const mapFrom = 12

// Len returns the number of values.
func (t *Trie[T]) Len() int { return t.n }

// Insert adds v under pattern, which must be a valid subject (subject.ErrInvalid). The same value may
// be added several times.
func (t *Trie[T]) Insert(pattern string, v T) error {
	if !subject.Valid(pattern) {
		return subject.ErrInvalid
	}
	n := &t.root
	rest, more := pattern, true
	for more {
		var tok string
		tok, rest, more = subject.Next(rest)
		switch tok {
		case ">":
			n.full = append(n.full, v)
			t.n++
			return nil
		case "*":
			if n.star == nil {
				n.star = &node[T]{}
			}
			n = n.star
		default:
			n = n.grow(tok)
		}
	}
	n.vals = append(n.vals, v)
	t.n++
	return nil
}

// Remove takes one v away from pattern and prunes what became empty; false if it was not there.
func (t *Trie[T]) Remove(pattern string, v T) bool {
	if !subject.Valid(pattern) || !t.root.remove(pattern, v) {
		return false
	}
	t.n--
	return true
}

// Match calls fn for each value whose pattern matches the literal subject, until fn returns false;
// it returns false then. A subject with an empty token matches nothing.
func (t *Trie[T]) Match(literal string, fn func(T) bool) bool {
	if t.n == 0 || hasEmptyToken(literal) {
		return true
	}
	return t.root.match(literal, fn)
}

// Append appends the values whose pattern matches the literal subject to dst. It allocates only when
// dst is too small.
func (t *Trie[T]) Append(dst []T, literal string) []T {
	if t.n == 0 || hasEmptyToken(literal) {
		return dst
	}
	return t.root.appendMatch(dst, literal)
}

// Matches reports whether some pattern matches the literal subject.
func (t *Trie[T]) Matches(literal string) bool {
	return t.n > 0 && !hasEmptyToken(literal) && t.root.matches(literal)
}

// Overlapping calls fn for each value whose pattern has a subject in common with pattern (see
// subject.Collide), until fn returns false; it returns false then.
func (t *Trie[T]) Overlapping(pattern string, fn func(T) bool) bool {
	if t.n == 0 || !subject.Valid(pattern) {
		return true
	}
	return t.root.overlapping(pattern, fn)
}

// Range calls fn for each pattern and value until fn returns false; it returns false then. fn must
// not change t.
func (t *Trie[T]) Range(fn func(pattern string, v T) bool) bool {
	return t.root.walk(nil, fn)
}

// hasEmptyToken reports that s has a token of no bytes, as the empty subject does.
func hasEmptyToken(s string) bool {
	return s == "" || s[0] == subject.Sep || s[len(s)-1] == subject.Sep || strings.Contains(s, "..")
}

func (n *node[T]) child(tok string) *node[T] {
	if n.many != nil {
		return n.many[tok]
	}
	if i, ok := n.search(tok); ok {
		return n.kids[i].node
	}
	return nil
}

func (n *node[T]) search(tok string) (int, bool) {
	return slices.BinarySearchFunc(n.kids, tok, func(c child[T], t string) int { return strings.Compare(c.token, t) })
}

// grow returns the child for tok, made if need be. The token is copied: a pattern must not keep the
// memory of whatever it was part of alive.
func (n *node[T]) grow(tok string) *node[T] {
	if c := n.child(tok); c != nil {
		return c
	}
	c := &node[T]{}
	tok = strings.Clone(tok)
	if n.many != nil {
		n.many[tok] = c
		return c
	}
	i, _ := n.search(tok)
	n.kids = slices.Insert(n.kids, i, child[T]{tok, c})
	if len(n.kids) >= mapFrom {
		n.many = make(map[string]*node[T], 2*mapFrom)
		for _, k := range n.kids {
			n.many[k.token] = k.node
		}
		n.kids = nil
	}
	return c
}

// cut removes the child for tok.
func (n *node[T]) cut(tok string) {
	if n.many != nil {
		delete(n.many, tok)
		if len(n.many) == 0 {
			n.many = nil
		}
		return
	}
	if i, ok := n.search(tok); ok {
		n.kids = slices.Delete(n.kids, i, i+1)
		if len(n.kids) == 0 {
			n.kids = nil
		}
	}
}

func (n *node[T]) empty() bool {
	return len(n.kids) == 0 && n.many == nil && n.star == nil && len(n.full) == 0 && len(n.vals) == 0
}

func (n *node[T]) remove(pattern string, v T) bool {
	tok, rest, more := subject.Next(pattern)
	switch tok {
	case ">":
		return take(&n.full, v)
	case "*":
		if n.star == nil || !n.star.removeIn(rest, more, v) {
			return false
		}
		if n.star.empty() {
			n.star = nil
		}
		return true
	}
	c := n.child(tok)
	if c == nil || !c.removeIn(rest, more, v) {
		return false
	}
	if c.empty() {
		n.cut(tok)
	}
	return true
}

func (n *node[T]) removeIn(rest string, more bool, v T) bool {
	if more {
		return n.remove(rest, v)
	}
	return take(&n.vals, v)
}

// take removes one v from *list, keeping the order.
func take[T comparable](list *[]T, v T) bool {
	i := slices.Index(*list, v)
	if i < 0 {
		return false
	}
	*list = slices.Delete(*list, i, i+1)
	if len(*list) == 0 {
		*list = nil
	}
	return true
}
