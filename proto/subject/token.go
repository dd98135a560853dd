package subject

import (
	"strings"
	"unsafe"
)

// The bytes with a meaning in a subject. A wildcard is one only when it is a whole token.
const (
	Sep  = '.' // between tokens
	Star = '*' // exactly one token
	Full = '>' // one or more tokens, last token only
)

// Next splits off the first token of s. more reports that a separator followed it, so that rest
// (which may be empty: an empty last token) is to be read too.
func Next(s string) (token, rest string, more bool) {
	if i := strings.IndexByte(s, Sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

// Count returns the number of tokens of s: separators plus one, 0 for the empty subject. Limits
// such as max_sub_tokens count this way.
func Count(s string) int {
	if s == "" {
		return 0
	}
	return strings.Count(s, ".") + 1
}

// Token returns token i of s, counted from 0, or "" when there are fewer.
func Token(s string, i int) string {
	for more := true; more; i-- {
		var t string
		if t, s, more = Next(s); i == 0 {
			return t
		}
	}
	return ""
}

// Split appends the tokens of s to dst.
func Split(dst []string, s string) []string {
	if s == "" {
		return dst
	}
	for more := true; more; {
		var t string
		t, s, more = Next(s)
		dst = append(dst, t)
	}
	return dst
}

// View returns the string over borrowed's bytes without copying: valid only while borrowed is not
// modified, for calling the string functions of this package with bytes of a read buffer.
func View(borrowed []byte) string {
	return unsafe.String(unsafe.SliceData(borrowed), len(borrowed))
}
