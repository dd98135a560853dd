package trie

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"ramjet/proto/subject"
)

type pair struct {
	pattern string
	v       int
}

func random(r *rand.Rand, words []string, full bool) string {
	toks := make([]string, 1+r.IntN(4))
	for i := range toks {
		toks[i] = words[r.IntN(len(words))]
	}
	if full && r.IntN(4) == 0 {
		toks[len(toks)-1] = ">"
	}
	return strings.Join(toks, ".")
}

// TestOracle compares all queries with a list of patterns.
func TestOracle(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	words := []string{"*", "*", "a", "b", "c"}
	for i := range 20 {
		words = append(words, fmt.Sprint("w", i)) // enough for nodes with maps
	}
	var tr Trie[int]
	var all []pair
	for step := range 20000 {
		switch k := r.IntN(4); {
		case k == 0 && len(all) < 600:
			p := pair{random(r, words, true), r.IntN(50)}
			if err := tr.Insert(p.pattern, p.v); err != nil {
				t.Fatal(err)
			}
			all = append(all, p)
		case k == 1 && len(all) > 0:
			i := r.IntN(len(all))
			if !tr.Remove(all[i].pattern, all[i].v) {
				t.Fatalf("%v was not there", all[i])
			}
			all = slices.Delete(all, i, i+1)
			if tr.Remove("no.such.pattern", 1) || tr.Remove("a..b", 1) {
				t.Fatal("removed what was not there")
			}
		default:
			lit := random(r, append(words, "", ">"), false)
			pat := random(r, words, true)
			var want, over []int
			for _, p := range all {
				if subject.Match(lit, p.pattern) {
					want = append(want, p.v)
				}
				if subject.Collide(pat, p.pattern) {
					over = append(over, p.v)
				}
			}
			check := func(what string, got, want []int) {
				sort.Ints(got)
				sort.Ints(want)
				if !slices.Equal(got, want) {
					t.Fatalf("step %d: %s: got %v, want %v", step, what, got, want)
				}
			}
			var got []int
			tr.Match(lit, func(v int) bool { got = append(got, v); return true })
			check("Match "+lit, got, want)
			check("Append "+lit, tr.Append(nil, lit), want)
			if tr.Matches(lit) != (len(want) > 0) {
				t.Fatalf("Matches(%q)", lit)
			}
			got = nil
			tr.Overlapping(pat, func(v int) bool { got = append(got, v); return true })
			check("Overlapping "+pat, got, over)
		}
		if tr.Len() != len(all) {
			t.Fatalf("Len %d, want %d", tr.Len(), len(all))
		}
	}
	seen := map[pair]int{}
	tr.Range(func(p string, v int) bool { seen[pair{p, v}]++; return true })
	for _, p := range all {
		seen[p]--
	}
	for p, n := range seen {
		if n != 0 {
			t.Errorf("Range saw %v %+d times", p, n)
		}
	}
	for _, p := range all {
		tr.Remove(p.pattern, p.v)
	}
	if !tr.root.empty() {
		t.Error("nodes are left of an empty trie")
	}
}

func TestStop(t *testing.T) {
	var tr Trie[int]
	for i, p := range []string{"a.b", "a.*", "*.b", "a.>", ">", "a.b"} {
		_ = tr.Insert(p, i)
	}
	for limit := 1; limit <= 6; limit++ {
		for name, walk := range map[string]func(func(int) bool) bool{
			"Match":       func(fn func(int) bool) bool { return tr.Match("a.b", fn) },
			"Overlapping": func(fn func(int) bool) bool { return tr.Overlapping("*.>", fn) },
			"Range":       func(fn func(int) bool) bool { return tr.Range(func(_ string, v int) bool { return fn(v) }) },
		} {
			n := 0
			if walk(func(int) bool { n++; return n < limit }) || n != limit {
				t.Errorf("%s did not stop at %d but %d", name, limit, n)
			}
		}
	}
	if tr.Insert("a..b", 1) != subject.ErrInvalid || tr.Len() != 6 {
		t.Error("a bad pattern was inserted")
	}
}

func TestAllocs(t *testing.T) {
	var tr Trie[int]
	for i := range 30 {
		_ = tr.Insert(fmt.Sprintf("a.k%d.*", i), i)
		_ = tr.Insert("a.*.x", i)
	}
	dst := make([]int, 0, 100)
	if n := testing.AllocsPerRun(100, func() { dst = tr.Append(dst[:0], "a.k7.x"); tr.Matches("a.k7.x") }); n != 0 || len(dst) != 31 {
		t.Errorf("%v allocations, %d values", n, len(dst))
	}
}

func FuzzTrie(f *testing.F) {
	f.Add("a.*\na.>\n*.b", "a.b")
	f.Add(">\n*\nx", "x")
	f.Add("a..b\n\n.", "")
	f.Fuzz(func(t *testing.T, patterns, lit string) {
		var tr Trie[int]
		var want []int
		ps := strings.Split(patterns, "\n")
		for i, p := range ps {
			if tr.Insert(p, i) == nil && subject.Match(lit, p) {
				want = append(want, i)
			}
		}
		got := tr.Append(nil, lit)
		sort.Ints(got)
		if !slices.Equal(got, want) {
			t.Fatalf("%q in %q: %v, want %v", lit, ps, got, want)
		}
		for i, p := range ps {
			if tr.Remove(p, i) != subject.Valid(p) {
				t.Fatalf("Remove(%q)", p)
			}
		}
		if tr.Len() != 0 || !tr.root.empty() {
			t.Fatal("not empty")
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	var tr Trie[int]
	for i := range 10000 {
		_ = tr.Insert(fmt.Sprintf("dev.*.k%d.state", i), i)
	}
	dst := make([]int, 0, 8)
	b.ReportAllocs()
	for range b.N {
		dst = tr.Append(dst[:0], "dev.eu.k777.state")
	}
}
