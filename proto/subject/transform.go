package subject

import (
	"strconv"
	"strings"
)

// Transform turns a subject that matches its source into another one. Immutable.
type Transform struct {
	source, dest string
	ops          []op
}

// op appends a piece of the new subject.
type op struct {
	fn   fn
	text string // fnLiteral: the piece, separators included; fnSplit: the delimiter
	toks []int  // which source tokens, from 0
	n    int32
}

// NewTransform compiles the mapping of source to dest (reference/auth.md, section 4.1). An empty
// source means `>`. Errors: ErrBadSubject, or a *MappingError.
func NewTransform(source, dest string) (*Transform, error) { return compile(source, dest, false) }

// NewImportTransform is NewTransform for an import, whose transform must be reversible: only
// wildcard() is allowed, and every wildcard of source must be used.
func NewImportTransform(source, dest string) (*Transform, error) { return compile(source, dest, true) }

// Source returns the pattern of the subjects that the transform applies to.
func (t *Transform) Source() string { return t.source }

// Dest returns the destination as configured.
func (t *Transform) Dest() string { return t.dest }

// Match reports whether the transform applies to the literal subject.
func (t *Transform) Match(literal string) bool { return Match(literal, t.source) }

func compile(source, dest string, strict bool) (*Transform, error) {
	if source == "" {
		source = ">"
	}
	srcWild, srcFull, ok := shapeOf(source)
	dstWild, dstFull, dok := shapeOf(dest)
	if !ok || !dok || len(dstWild) > 0 || srcFull != dstFull {
		return nil, ErrBadSubject
	}
	t := &Transform{source: source, dest: dest}
	used := 0
	for i, tok := range Split(nil, dest) {
		if i > 0 {
			t.literal(".")
		}
		if tok == ">" {
			t.ops = append(t.ops, op{fn: fnRest, toks: []int{Count(source) - 1}})
			break
		}
		p, err := parsePlaceholder(tok)
		if err != nil {
			return nil, err
		}
		if p.fn == fnLiteral {
			t.literal(tok)
			continue
		}
		if len(srcWild) == 0 && !srcFull {
			// Nothing to take tokens from: only what needs none works.
			if p.fn != fnRandom && p.fn != fnPartition {
				return nil, &MappingError{tok, ErrOutOfRange}
			}
			p.wild = nil
		} else if strict && p.fn != fnWildcard {
			return nil, &MappingError{tok, ErrNotInImport}
		}
		o := op{fn: p.fn, text: p.delim, n: p.n}
		for _, w := range p.wild {
			if w > len(srcWild) {
				return nil, &MappingError{tok + ": [" + strconv.Itoa(w) + "]", ErrOutOfRange}
			}
			at := 0 // what the peer makes of numbers below 1
			if w > 0 {
				at = srcWild[w-1]
			}
			o.toks = append(o.toks, at)
		}
		used += len(p.wild)
		t.ops = append(t.ops, o)
	}
	if strict && used < len(srcWild) {
		return nil, &MappingError{dest, ErrUnused}
	}
	return t, nil
}

// literal appends fixed text.
func (t *Transform) literal(s string) {
	if n := len(t.ops); n > 0 && t.ops[n-1].fn == fnLiteral {
		t.ops[n-1].text += s
		return
	}
	t.ops = append(t.ops, op{fn: fnLiteral, text: s})
}

// shapeOf returns where the `*` tokens of s are, whether it ends in `>`, and whether it is a subject
// at all: white space, which may stand in a function, is not looked at.
func shapeOf(s string) (stars []int, full, ok bool) {
	if s == "" {
		return nil, false, false
	}
	for i, tok := range Split(nil, s) {
		switch {
		case tok == "" || full:
			return nil, false, false
		case tok == ">":
			full = true
		case tok == "*":
			stars = append(stars, i)
		}
	}
	return stars, full, true
}

// ValidDest checks what a configured destination must satisfy beyond NewTransform: no white space
// outside of functions. Destinations of mappings and of JetStream transforms are checked this way.
func ValidDest(dest string) error {
	full := false
	for _, tok := range Split(nil, dest) {
		switch {
		case tok == "" || full:
			return &MappingError{tok, ErrBadToken}
		case isMustache(tok):
		case tok == ">":
			full = true
		case strings.ContainsAny(tok, mustacheSpace):
			return ErrBadToken
		}
	}
	return nil
}

// Placeholders turns the `*` tokens of a pattern into $1, $2, ...: the destination that maps the
// pattern to itself.
func Placeholders(pattern string) string {
	toks := Split(nil, pattern)
	n := 0
	for i, tok := range toks {
		if tok == "*" {
			n++
			toks[i] = "$" + strconv.Itoa(n)
		}
	}
	return strings.Join(toks, ".")
}

// Unplaced is the other way round: it turns the placeholders of single wildcards in a destination, $1 or
// {{wildcard(1)}}, into `*`. A destination without any comes back as it is.
func Unplaced(dest string) string {
	toks := Split(nil, dest)
	for i, tok := range toks {
		if p, err := parsePlaceholder(tok); err == nil && p.fn == fnWildcard {
			toks[i] = "*"
		}
	}
	return strings.Join(toks, ".")
}

// Reverse returns the transform from destinations back to sources, nil if there is none: t uses
// another function than wildcard, or not all wildcards.
func (t *Transform) Reverse() *Transform {
	src, dst := Split(nil, t.dest), Split(nil, t.source)
	n := 0
	for i, tok := range src {
		p, err := parsePlaceholder(tok)
		if err != nil || p.fn != fnLiteral && p.fn != fnWildcard {
			return nil
		}
		if p.fn != fnWildcard {
			continue
		}
		src[i] = "*"
		n++
		if at, ok := starAt(t.source, p.wild[0]); ok && dst[at] == "*" {
			dst[at] = "$" + strconv.Itoa(n)
		}
	}
	for _, tok := range dst {
		if tok == "*" {
			return nil
		}
	}
	r, err := NewTransform(strings.Join(src, "."), strings.Join(dst, "."))
	if err != nil {
		return nil
	}
	return r
}

// starAt returns the index of the n-th `*` token of pattern, n from 1.
func starAt(pattern string, n int) (int, bool) {
	stars, _, _ := shapeOf(pattern)
	if n < 1 || n > len(stars) {
		return 0, false
	}
	return stars[n-1], true
}
