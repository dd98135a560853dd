package trie

import "ramjet/proto/subject"

// The walks below are the same three steps (literal child, `*`, `>`) written out for what is done
// with a value: a callback, an append, or stopping at the first; sharing them through a function
// value would cost the hot one its inlining.

func (n *node[T]) match(s string, fn func(T) bool) bool {
	for _, v := range n.full {
		if !fn(v) {
			return false
		}
	}
	tok, rest, more := subject.Next(s)
	for _, c := range [2]*node[T]{n.child(tok), n.star} {
		if c == nil {
			continue
		}
		if more {
			if !c.match(rest, fn) {
				return false
			}
			continue
		}
		for _, v := range c.vals {
			if !fn(v) {
				return false
			}
		}
	}
	return true
}

func (n *node[T]) appendMatch(dst []T, s string) []T {
	dst = append(dst, n.full...)
	tok, rest, more := subject.Next(s)
	if c := n.child(tok); c != nil {
		if more {
			dst = c.appendMatch(dst, rest)
		} else {
			dst = append(dst, c.vals...)
		}
	}
	if c := n.star; c != nil {
		if more {
			dst = c.appendMatch(dst, rest)
		} else {
			dst = append(dst, c.vals...)
		}
	}
	return dst
}

func (n *node[T]) matches(s string) bool {
	if len(n.full) > 0 {
		return true
	}
	tok, rest, more := subject.Next(s)
	for _, c := range [2]*node[T]{n.child(tok), n.star} {
		if c != nil && (more && c.matches(rest) || !more && len(c.vals) > 0) {
			return true
		}
	}
	return false
}

func (n *node[T]) overlapping(p string, fn func(T) bool) bool {
	tok, rest, more := subject.Next(p)
	if tok == ">" {
		return n.below(fn)
	}
	for _, v := range n.full {
		if !fn(v) {
			return false
		}
	}
	next := func(c *node[T]) bool {
		if c == nil {
			return true
		}
		if more {
			return c.overlapping(rest, fn)
		}
		for _, v := range c.vals {
			if !fn(v) {
				return false
			}
		}
		return true
	}
	if tok == "*" {
		return n.eachKid(func(_ string, c *node[T]) bool { return next(c) }) && next(n.star)
	}
	return next(n.child(tok)) && next(n.star)
}

// below calls fn for every value of at least one more token.
func (n *node[T]) below(fn func(T) bool) bool {
	for _, v := range n.full {
		if !fn(v) {
			return false
		}
	}
	all := func(_ string, c *node[T]) bool {
		for _, v := range c.vals {
			if !fn(v) {
				return false
			}
		}
		return c.below(fn)
	}
	return n.eachKid(all) && (n.star == nil || all("*", n.star))
}

func (n *node[T]) eachKid(fn func(string, *node[T]) bool) bool {
	for _, k := range n.kids {
		if !fn(k.token, k.node) {
			return false
		}
	}
	for t, c := range n.many {
		if !fn(t, c) {
			return false
		}
	}
	return true
}

func (n *node[T]) walk(prefix []byte, fn func(string, T) bool) bool {
	at := func(tok string) []byte {
		if len(prefix) == 0 {
			return append(prefix, tok...)
		}
		return append(append(prefix[:len(prefix):len(prefix)], subject.Sep), tok...)
	}
	for _, v := range n.full {
		if !fn(string(at(">")), v) {
			return false
		}
	}
	into := func(tok string, c *node[T]) bool {
		p := at(tok)
		for _, v := range c.vals {
			if !fn(string(p), v) {
				return false
			}
		}
		return c.walk(p, fn)
	}
	return n.eachKid(into) && (n.star == nil || into("*", n.star))
}
