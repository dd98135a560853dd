package interest

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"ramjet/proto/subject"
	"ramjet/proto/subject/trie"
)

// Patterns with a `*` before the last token.
//
// An account uses few shapes of them: where the `*` are, how many tokens there are, whether a `>` follows. So a pattern lies in
// the table under its whole text, and a subject is looked up once for each shape there is, with `*` put where the shape has it. A
// topic has room for maxInner shapes; patterns of further ones, or with more than innerTokens tokens, go to a trie, so that a
// publish costs a bounded number of probes whatever a peer subscribes to. The trie costs ten times the time and the memory of the
// table.
const (
	maxInner    = 8
	innerTokens = 32
	innerText   = 256 // longest pattern that is written without allocating, in bytes
)

// wildcards is the bookkeeping of one topic about its patterns.
type wildcards struct {
	mu     sync.Mutex              // a leaf: counts, and the bits of topic.shape
	counts [shapeBits]int32        // patterns behind each bit
	inner  [maxInner]atomic.Uint64 // the shape of each slot that is or was in use
	trieMu sync.RWMutex            // a leaf
	trie   trie.Trie[*Sub]         // patterns that found no slot
}

// inner encodes where a pattern with an inner `*` has them: bit i for one as token i, above them the number of tokens, and whether
// a `>` follows. 0 for other forms and for a pattern with too many tokens.
func (s *Sub) inner() uint64 {
	if s.form() != formInner {
		return 0
	}
	var stars uint64
	full := uint64(0)
	n := 0
	for rest, more := s.Subject(), true; more; n++ {
		var tok string
		tok, rest, more = subject.Next(rest)
		if n == innerTokens {
			return 0
		}
		if !more && len(tok) == 1 && tok[0] == subject.Full {
			full = 1
			break
		}
		if len(tok) == 1 && tok[0] == subject.Star {
			stars |= 1 << n
		}
	}
	return stars | uint64(n)<<innerTokens | full<<(innerTokens+8)
}

// insertWild adds a wildcard subscription of topic t.
func (x *Index) insertWild(t *topic, s *Sub) {
	w := t.wild.Load()
	if w == nil {
		t.wild.CompareAndSwap(nil, &wildcards{})
		w = t.wild.Load()
	}
	bit := w.reserve(s)
	if bit == trieShape {
		s.state.Or(trieBit)
		w.trieMu.Lock()
		_ = w.trie.Insert(s.Subject(), s) // Insert has checked the subject
		w.trieMu.Unlock()
	} else {
		x.insertTable(s)
	}
	// Only now: who sees the bit finds the subscription. It cannot be cleared while the reservation holds.
	if t.shape.Load()>>bit&1 == 0 {
		w.mu.Lock()
		t.shape.Or(1 << bit)
		w.mu.Unlock()
	}
}

// reserve counts s in and returns the bit of topic.shape it belongs to.
func (w *wildcards) reserve(s *Sub) (bit int) {
	inner := s.inner()
	w.mu.Lock()
	defer w.mu.Unlock()
	bit = w.bitOf(s, inner)
	w.counts[bit]++
	return bit
}

// bitOf returns the bit of a pattern. Under mu.
func (w *wildcards) bitOf(s *Sub, inner uint64) int {
	switch s.form() {
	case formStar, formFull:
		return trailingBit(s)
	}
	if inner == 0 {
		return trieShape
	}
	free := trieShape
	for i := maxInner - 1; i >= 0; i-- {
		if w.counts[innerShape+i] == 0 {
			free = innerShape + i
		} else if w.inner[i].Load() == inner {
			return innerShape + i
		}
	}
	if free != trieShape {
		w.inner[free-innerShape].Store(inner)
	}
	return free
}

// trailingBit returns the bit of a pattern with a trailing wildcard.
func trailingBit(s *Sub) int {
	bit := min(subject.Count(s.Subject())-1, deepest)
	if s.form() == formFull {
		bit += fullShape
	}
	return bit
}

// removeWild takes a wildcard subscription of topic t out and closes it; false if it was not there.
func (x *Index) removeWild(t *topic, s *Sub) bool {
	w := t.wild.Load()
	if w == nil {
		return false
	}
	inTrie := s.state.Load()&trieBit != 0
	if inTrie {
		w.trieMu.Lock()
		ok := w.trie.Remove(s.Subject(), s) && s.leave()
		w.trieMu.Unlock()
		if !ok {
			return false
		}
	} else if !x.removeTable(s) {
		return false
	}
	bit, inner := trieShape, s.inner()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !inTrie {
		bit = w.bitOf(s, inner)
	}
	if w.counts[bit]--; w.counts[bit] == 0 {
		t.shape.And(^(uint64(1) << bit))
	}
	return true
}

// innerMatches appends the table entries and the subscriptions of the tries whose pattern has an inner `*` and matches subj to dst.
func (x *Index) innerMatches(dst []*Sub, subj string, tp uint8) []*Sub {
	var tokens tokenStarts
	for _, i := range [2]uint8{tp, lead} {
		t := &x.topics[i]
		shape := t.shape.Load() >> trieShape
		if shape == 0 {
			continue
		}
		w := t.wild.Load()
		if shape&1 != 0 {
			w.trieMu.RLock()
			dst = w.trie.Append(dst, subj)
			w.trieMu.RUnlock()
		}
		for slots := shape >> 1; slots != 0; slots &= slots - 1 {
			if tokens.n == 0 {
				tokens.read(subj)
			}
			dst = x.appendInner(dst, subj, &tokens, w.inner[bits.TrailingZeros64(slots)].Load())
		}
	}
	return dst
}

// tokenStarts is where the tokens of a subject begin, up to one more than a shape can have.
type tokenStarts struct {
	n    int
	wild bool // some token may be `*` or `>`
	at   [innerTokens + 2]int32
}

// read finds the tokens of subj, which is well-formed. at[n] is where a token would follow the last.
func (t *tokenStarts) read(subj string) {
	t.n, t.wild = 1, subject.HasWildcard(subj)
	for i := range len(subj) {
		if subj[i] == subject.Sep {
			t.at[t.n] = int32(i + 1)
			if t.n++; t.n == innerTokens+1 {
				return
			}
		}
	}
	t.at[t.n] = int32(len(subj) + 1)
}

// appendInner looks for subj under the patterns of one shape.
func (x *Index) appendInner(dst []*Sub, subj string, tokens *tokenStarts, inner uint64) []*Sub {
	n := int(inner >> innerTokens & 0xff)
	full := inner>>(innerTokens+8) != 0
	if full && tokens.n <= n || !full && tokens.n != n {
		return dst
	}
	var buf [innerText]byte
	key := buf[:0]
	done := 0 // subj[:done] is in key
	for stars := inner & (1<<innerTokens - 1); stars != 0; stars &= stars - 1 {
		i := bits.TrailingZeros64(stars)
		key = append(key, subj[done:tokens.at[i]]...)
		key = append(key, subject.Star)
		done = int(tokens.at[i+1]) - 1
	}
	key = append(key, subj[done:tokens.at[n]-1]...)
	if full {
		key = append(key, subject.Sep, subject.Full)
	}
	e := x.find(formInner, subject.View(key))
	// A subject with a token that is a wildcard itself spells patterns of other shapes too: those are found under their own.
	if e != nil && (!tokens.wild || e.inner() == inner) {
		dst = append(dst, e)
	}
	return dst
}
