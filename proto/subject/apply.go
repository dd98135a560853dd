package subject

import (
	"strconv"
	"strings"
)

// Apply appends to dst what t makes of literal, which must match t's source. rnd feeds random(). It
// does not allocate when dst has room.
func (t *Transform) Apply(dst []byte, literal string, rnd uint64) []byte {
	for i := range t.ops {
		o := &t.ops[i]
		switch o.fn {
		case fnLiteral:
			dst = append(dst, o.text...)
		case fnWildcard:
			dst = append(dst, Token(literal, o.toks[0])...)
		case fnRest:
			dst = append(dst, from(literal, o.toks[0])...)
		case fnPartition:
			dst = strconv.AppendUint(dst, o.partition(literal), 10)
		case fnRandom:
			rnd = mix(rnd)
			dst = strconv.AppendUint(dst, bounded(rnd, o.n), 10)
		default:
			dst = o.cut(dst, Token(literal, o.toks[0]))
		}
	}
	return dst
}

// Map returns what t makes of literal; ok is false when literal does not match the source. It
// allocates: for configuration, tests and rare messages.
func (t *Transform) Map(literal string, rnd uint64) (out string, ok bool) {
	if !t.Match(literal) {
		return "", false
	}
	return string(t.Apply(nil, literal, rnd)), true
}

// from returns the tokens of s from number i on.
func from(s string, i int) string {
	for ; i > 0; i-- {
		at := strings.IndexByte(s, Sep)
		if at < 0 {
			return ""
		}
		s = s[at+1:]
	}
	return s
}

// partition hashes the tokens, or the whole subject if none are named, into one of n numbers.
func (o *op) partition(literal string) uint64 {
	if o.n == 0 {
		return 0
	}
	h := uint32(fnvOffset)
	if len(o.toks) == 0 {
		h = fnv1a(h, literal)
	}
	for _, i := range o.toks {
		h = fnv1a(h, Token(literal, i))
	}
	return uint64(h % uint32(o.n))
}

const fnvOffset, fnvPrime = 2166136261, 16777619

// fnv1a continues the FNV-1a hash h over s.
func fnv1a(h uint32, s string) uint32 {
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * fnvPrime
	}
	return h
}

// bounded returns a number below |n|, 0 for 0.
func bounded(rnd uint64, n int32) uint64 {
	if n == 0 {
		return 0
	}
	m := int64(n)
	return rnd >> 1 % uint64(max(m, -m))
}

// mix makes the next random number (splitmix64), so that several random() differ.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// cut appends pieces of one token, as the split, slice, left and right functions do.
func (o *op) cut(dst []byte, tok string) []byte {
	if o.fn == fnSplit {
		return split(dst, tok, o.text)
	}
	n := int(o.n)
	if n <= 0 || n >= len(tok) {
		return append(dst, tok...)
	}
	switch o.fn {
	case fnLeft:
		return append(dst, tok[:n]...)
	case fnRight:
		return append(dst, tok[len(tok)-n:]...)
	case fnSplitFromLeft:
		return joined(dst, tok[:n], tok[n:])
	case fnSplitFromRight:
		return joined(dst, tok[:len(tok)-n], tok[len(tok)-n:])
	case fnSliceFromRight:
		if r := len(tok) % n; r > 0 {
			dst = append(append(dst, tok[:r]...), Sep)
			tok = tok[r:]
		}
	}
	for len(tok) > n {
		dst = append(append(dst, tok[:n]...), Sep)
		tok = tok[n:]
	}
	return append(dst, tok...)
}

func joined(dst []byte, a, b string) []byte {
	return append(append(append(dst, a...), Sep), b...)
}

// split appends the pieces of tok between delim that are not empty, as tokens. An empty delim
// separates the characters.
func split(dst []byte, tok, delim string) []byte {
	start := len(dst)
	for tok != "" {
		i, skip := 0, len(delim)
		if delim == "" {
			i = runeLen(tok)
		} else if i = strings.Index(tok, delim); i < 0 {
			i, skip = len(tok), 0
		}
		if i > 0 {
			if len(dst) > start {
				dst = append(dst, Sep)
			}
			dst = append(dst, tok[:i]...)
		}
		tok = tok[i+skip:]
	}
	return dst
}

// runeLen returns the length of the first character of s in bytes.
func runeLen(s string) int {
	for i := range s[1:] {
		if s[1+i]&0xc0 != 0x80 {
			return i + 1
		}
	}
	return len(s)
}
