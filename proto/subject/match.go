package subject

// Match reports whether the published subject literal is of interest to pattern. literal is taken
// literally, also when it contains wildcard tokens; with an empty token it matches nothing
// (reference/protocol.md, section 8). pattern must be Valid.
func Match(literal, pattern string) bool {
	l, p := 0, 0 // start of the current token in each
	for {
		le, pe := tokenEnd(literal, l), tokenEnd(pattern, p)
		if le == l || pe == p {
			return false
		}
		switch {
		case pe == p+1 && pattern[p] == Full && pe == len(pattern):
			return noEmptyToken(literal, l)
		case pe == p+1 && pattern[p] == Star:
		case literal[l:le] != pattern[p:pe]:
			return false
		}
		if le == len(literal) || pe == len(pattern) {
			return le == len(literal) && pe == len(pattern)
		}
		l, p = le+1, pe+1
	}
}

// MatchBytes is Match for a subject in a read buffer. It does not allocate.
func MatchBytes(literal []byte, pattern string) bool { return Match(View(literal), pattern) }

// IsSubset reports whether every subject that matches sub also matches of. Both must be Valid;
// either may have wildcards.
func IsSubset(sub, of string) bool {
	for {
		st, srest, smore := Next(sub)
		ot, orest, omore := Next(of)
		switch {
		case st == "" || ot == "":
			return false
		case ot == ">":
			return true
		case st == ">":
			return false
		case ot == "*":
		case st != ot:
			return false
		}
		if !smore || !omore {
			return smore == omore
		}
		sub, of = srest, orest
	}
}

// tokenEnd returns the index after the token of s that starts at i.
func tokenEnd(s string, i int) int {
	for i < len(s) && s[i] != Sep {
		i++
	}
	return i
}

// noEmptyToken reports that the tokens of s from index i on are not empty.
func noEmptyToken(s string, i int) bool {
	for {
		e := tokenEnd(s, i)
		if e == i {
			return false
		}
		if e == len(s) {
			return true
		}
		i = e + 1
	}
}
