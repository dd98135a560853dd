package subject

import (
	"errors"
	"strings"
)

// ErrInvalid is the refusal of a malformed subscription subject. The text is what the peer of a
// SUB sees after the -ERR prefix (reference/protocol.md, section 6).
//
//lint:ignore ST1005 the text of the wire protocol
var ErrInvalid = errors.New("Invalid Subject")

// Valid reports whether s may be subscribed to: not empty, no empty token, `>` only as the last
// token, no space, tab, carriage return, line feed or form feed (reference/protocol.md, section 8).
func Valid(s string) bool {
	start := 0
	for i := 0; ; i++ {
		if i == len(s) || s[i] == Sep {
			if i == start {
				return false
			}
			if i == start+1 && s[start] == Full && i != len(s) {
				return false
			}
			if i == len(s) {
				return true
			}
			start = i + 1
			continue
		}
		switch s[i] {
		case ' ', '\t', '\r', '\n', '\f':
			return false
		}
	}
}

// ValidLiteral reports whether s is valid and has no wildcard: what a pedantic server accepts in
// PUB, and what a reply subject should be.
func ValidLiteral(s string) bool { return Valid(s) && !HasWildcard(s) }

// HasWildcard reports whether a token of s is `*` or `>`. Only whole tokens count: `foo*` and
// `a.>b` are literals.
func HasWildcard(s string) bool {
	if strings.IndexByte(s, Star) < 0 && strings.IndexByte(s, Full) < 0 {
		return false
	}
	for more := true; more; {
		var t string
		t, s, more = Next(s)
		if isWild(t) {
			return true
		}
	}
	return false
}

// ValidQueue reports whether q can be a queue group name: not empty and free of white space, as
// it is one field of a protocol line.
func ValidQueue(q string) bool { return q != "" && !strings.ContainsAny(q, " \t\r\n\f") }

func isWild(t string) bool { return len(t) == 1 && (t[0] == Star || t[0] == Full) }
