package subjidx

import (
	"bytes"
	"slices"
	"sort"
	"strings"

	"ramjet/proto/subject"
)

// mergeAt is how many new subjects may wait outside of the sorted list.
const mergeAt = 1024

// order puts recent in order and merges it into sorted when it has become long, or at once.
func (x *Index) order(merge bool) {
	if !x.inSort {
		slices.SortFunc(x.recent, func(a, b ID) int { return bytes.Compare(x.key(x.At(a)), x.key(x.At(b))) })
		x.inSort = true
	}
	if len(x.recent) == 0 || (!merge && len(x.recent) < mergeAt && len(x.recent)*8 < len(x.sorted)) {
		return
	}
	out := make([]ID, 0, len(x.sorted)+len(x.recent)+len(x.recent)/8)
	at := 0
	for _, id := range x.recent {
		to := x.seek(x.sorted, at, subject.View(x.key(x.At(id))))
		out = append(out, x.sorted[at:to]...)
		out = append(out, id)
		at = to
	}
	x.sorted, x.recent = append(out, x.sorted[at:]...), nil
}

// MatchInOrder is Match in byte order of the subjects. After new subjects were added it costs a copy of the list of ids.
func (x *Index) MatchInOrder(pattern string, fn func(ID, *Entry) bool) bool {
	x.order(true)
	return x.Match(pattern, fn)
}

// Match calls fn with each subject that matches pattern until fn returns false; the order is unspecified. fn may change the
// entry but neither add nor delete subjects. It returns false if fn did.
func (x *Index) Match(pattern string, fn func(ID, *Entry) bool) bool {
	if !strings.ContainsAny(pattern, "*>") {
		if id, e := x.Get([]byte(pattern)); e != nil {
			return fn(id, e)
		}
		return true
	}
	x.order(false)
	return x.walk(x.sorted, pattern, fn) && x.walk(x.recent, pattern, fn)
}

// All calls fn with each subject until fn returns false, as Match with ">" does.
func (x *Index) All(fn func(ID, *Entry) bool) bool { return x.Match(">", fn) }

func (x *Index) walk(list []ID, pattern string, fn func(ID, *Entry) bool) bool {
	prefix := literalPrefix(pattern)
	i := x.seek(list, 0, prefix)
	var target []byte
	for i < len(list) {
		e := x.At(list[i])
		k := x.key(e)
		if !bytes.HasPrefix(k, []byte(prefix)) {
			return true
		}
		if pattern == ">" || subject.MatchBytes(k, pattern) {
			if !e.dead && !fn(list[i], e) {
				return false
			}
			i++
			continue
		}
		to, past := leap(target[:0], k, pattern)
		target = to
		switch {
		case past && len(to) == 0:
			return true
		case len(to) > 0:
			i = x.seek(list, i+1, string(to))
		default:
			i++
		}
	}
	return true
}

// literalPrefix returns what every subject that matches begins with.
func literalPrefix(pattern string) string {
	i := 0
	for rest := pattern; ; {
		tok, r, more := subject.Next(rest)
		if tok == "*" || tok == ">" {
			return pattern[:i]
		}
		if !more {
			return pattern
		}
		i += len(tok) + 1
		rest = r
	}
}

// leap returns, for a subject that does not match, where the next one that may match begins. Empty without past: right after;
// empty with past: nowhere.
func leap(dst, key []byte, pattern string) (to []byte, past bool) {
	start := 0
	for rest := pattern; ; {
		tok, r, more := subject.Next(rest)
		end := bytes.IndexByte(key[start:], '.')
		have := key[start:]
		if end >= 0 {
			have = key[start : start+end]
		}
		if tok == ">" {
			return dst, false
		}
		if tok != "*" && string(have) != tok {
			if strings.HasPrefix(string(have), tok) {
				return dst, false
			}
			if string(key[start:]) < tok {
				return append(append(dst, key[:start]...), tok...), false
			}
			if start == 0 {
				return dst, true
			}
			dst = append(dst, key[:start]...)
			dst[start-1]++ // right after the group key[:start]
			return dst, false
		}
		if !more || end < 0 {
			return dst, false
		}
		start += end + 1
		rest = r
	}
}

// seek returns the first index from at on whose subject is not less than target, galloping.
func (x *Index) seek(list []ID, at int, target string) int {
	if target == "" || at >= len(list) {
		return at
	}
	less := func(i int) bool { return string(x.key(x.At(list[i]))) < target }
	step := 1
	lo := at
	for lo+step < len(list) && less(lo+step) {
		lo += step
		step *= 2
	}
	hi := min(lo+step, len(list))
	return lo + sort.Search(hi-lo, func(i int) bool { return !less(lo + i) })
}
