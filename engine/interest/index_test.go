package interest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"ramjet/engine"
	"ramjet/proto/subject"
)

// TestOracle runs random insertions, removals and lookups against the obvious index.
func TestOracle(t *testing.T) {
	r := seeded(t)
	for round := range 30 {
		sinks := []Sink{&fakeSink{engine.Client, 1}, &fakeSink{engine.Client, 2}, &fakeSink{engine.Router, 3}, &fakeSink{engine.Leaf, 4}}
		x, c, tiny := NewIndex(), NewCache(), NewIndex()
		_ = tiny.Insert(sub("a", "", "other account", sinks[0]))
		var all oracle
		for step := range 2000 {
			switch k := r.IntN(10); {
			case k < 3 && len(all) < 50+round*10:
				q := ""
				if r.IntN(3) == 0 {
					q = fmt.Sprint("q", r.IntN(3))
				}
				s := NewSub([]byte(randPattern(r)), []byte(q), fmt.Append(nil, round, "-", step), 1+int32(r.IntN(2)), sinks[r.IntN(len(sinks))])
				if err := x.Insert(s); err != nil {
					t.Fatal(err)
				}
				all = append(all, s)
			case k == 3 && len(all) > 0:
				i := r.IntN(len(all))
				if !x.Remove(all[i]) {
					t.Fatalf("%q was not removed", all[i].Subject())
				}
				if x.Remove(all[i]) {
					t.Fatalf("%q was removed twice", all[i].Subject())
				}
				all[i] = all[len(all)-1]
				all = all[:len(all)-1]
			default:
				lit := randLiteral(r)
				if r.IntN(20) == 0 {
					c.Lookup(tiny, []byte("a"))
				}
				got, want := describe(c.Lookup(x, []byte(lit))), all.describe(lit)
				if got != want {
					t.Fatalf("round %d step %d: %q: cache\n%s\nwant\n%s", round, step, lit, got, want)
				}
				var m Result
				x.Match([]byte(lit), &m)
				if got := describe(&m); got != want {
					t.Fatalf("%q: match\n%s\nwant\n%s", lit, got, want)
				}
				if x.HasInterest([]byte(lit)) != (want != "") {
					t.Fatalf("%q: HasInterest %v", lit, want == "")
				}
			}
			if x.Count() != len(all) {
				t.Fatalf("count %d, want %d", x.Count(), len(all))
			}
		}
		seen := map[*Sub]bool{}
		x.Range(func(s *Sub) bool { seen[s] = true; return true })
		if len(seen) != len(all) {
			t.Fatalf("Range saw %d of %d", len(seen), len(all))
		}
		for _, s := range all {
			x.Remove(s)
		}
		for i := range x.shards {
			if x.shards[i].table.Load() != nil {
				t.Fatal("a table is left of an empty index")
			}
		}
		for i := range x.topics {
			if w := x.topics[i].wild.Load(); x.topics[i].shape.Load() != 0 || w != nil && (w.trie.Len() != 0 || w.counts != [shapeBits]int32{}) {
				t.Fatal("a wildcard is left of an empty index")
			}
		}
	}
}

func TestInsertRefuses(t *testing.T) {
	x := NewIndex()
	for _, bad := range []string{"", ".", "a.", ".a", "a..b", ">.a", "a.>.b", "a b", "a\tb", "a\r"} {
		if err := x.Insert(sub(bad, "", "1", nil)); err != subject.ErrInvalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
	s := sub("a", "", "1", nil)
	if err := x.Insert(s); err != nil {
		t.Fatal(err)
	}
	if err := x.Insert(s); err != ErrInserted {
		t.Errorf("second insertion: %v", err)
	}
	if x.Remove(sub("a", "", "1", nil)) || NewIndex().Remove(s) {
		t.Error("removed what was not there")
	}
	if x.Count() != 1 || !x.HasInterest([]byte("a")) {
		t.Error("the subscription is gone")
	}
}

// TestManyOnOneSubject covers the lazy removal from long lists.
func TestManyOnOneSubject(t *testing.T) {
	r := seeded(t)
	x, c := NewIndex(), NewCache()
	var all []*Sub
	for i := range 3000 {
		q := ""
		if i%3 == 0 {
			q = "q"
		}
		s := sub("news", q, fmt.Sprint(i), &fakeSink{id: uint64(i)})
		all = append(all, s)
		if err := x.Insert(s); err != nil {
			t.Fatal(err)
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for i, s := range all {
		if !x.Remove(s) {
			t.Fatal("not removed")
		}
		if i%97 == 0 || i > 2950 {
			res := c.Lookup(x, []byte("news"))
			if n := res.subs(); n != len(all)-i-1 {
				t.Fatalf("%d subscriptions after %d removals", n, i+1)
			}
			if x.HasInterest([]byte("news")) != (i+1 < len(all)) {
				t.Fatal("HasInterest")
			}
		}
	}
}

func TestGenerations(t *testing.T) {
	x := NewIndex()
	at := func(s string) stamp { return x.stampOf(topicOf(s)) }
	orders, metrics := at("orders.1"), at("metrics.cpu")
	if topicOf("orders.1") == topicOf("metrics.cpu") {
		t.Fatal("the example tokens share a shard")
	}
	_ = x.Insert(sub("orders.*", "", "1", nil))
	if at("orders.1") == orders || at("metrics.cpu") != metrics {
		t.Error("a subscription to orders.* must invalidate orders only")
	}
	orders = at("orders.1")
	_ = x.Insert(sub("*.cpu", "", "2", nil))
	if at("orders.1") == orders || at("metrics.cpu") == metrics {
		t.Error("a leading wildcard must invalidate everything")
	}
}

func TestWatch(t *testing.T) {
	x := NewIndex()
	var log []string
	stop := x.Watch(func(s *Sub, added bool) { log = append(log, fmt.Sprint(s.Subject(), added)) })
	stop2 := x.Watch(func(*Sub, bool) {})
	a := sub("a", "", "1", nil)
	_ = x.Insert(a)
	stop2()
	x.Remove(a)
	x.Remove(a)
	stop()
	_ = x.Insert(sub("b", "", "1", nil))
	if fmt.Sprint(log) != "[atrue afalse]" {
		t.Errorf("watched %v", log)
	}
}

// TestChurn: subscriptions that stay are always found, by readers of the index and of caches, while
// others come and go around them and tables grow and shrink. Run with -race.
func TestChurn(t *testing.T) {
	seed := seeded(t).Uint64()
	x := NewIndex()
	sink := &fakeSink{}
	var stay oracle
	pats := []string{"k.1", "k.2", "k.*", "k.>", "*.1", "k.*.x", ">", "k.1.x"}
	for i, p := range pats {
		s := sub(p, "", fmt.Sprint("stay", i), sink)
		stay = append(stay, s)
		if err := x.Insert(s); err != nil {
			t.Fatal(err)
		}
	}
	lits := []string{"k.1", "k.2", "k.3", "k.1.x", "k.9.x", "z", "z.1"}
	want := map[string]int{}
	for _, l := range lits {
		for _, p := range pats {
			if subject.Match(l, p) {
				want[l]++
			}
		}
	}
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for w := range 3 {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(w)))
			var mine []*Sub
			for i := range 6000 {
				if len(mine) > 400 || len(mine) > 0 && r.IntN(3) == 0 {
					k := r.IntN(len(mine))
					if !x.Remove(mine[k]) {
						t.Error("churned subscription was lost")
						return
					}
					mine[k] = mine[len(mine)-1]
					mine = mine[:len(mine)-1]
					continue
				}
				p := fmt.Sprintf("churn.%d", r.IntN(500))
				if r.IntN(4) == 0 {
					p = pats[r.IntN(len(pats))]
				}
				s := sub(p, "", fmt.Sprint("churn", w, "-", i), sink)
				if err := x.Insert(s); err != nil {
					t.Error(err)
					return
				}
				mine = append(mine, s)
			}
			for _, s := range mine {
				x.Remove(s)
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			c := NewCache()
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				l := lits[i%len(lits)]
				n := 0
				for _, s := range c.Lookup(x, []byte(l)).Plain {
					if s.SID()[:4] == "stay" {
						n++
					}
				}
				if n != want[l] {
					t.Errorf("%s: %d of %d lasting subscriptions", l, n, want[l])
					return
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	if x.Count() != len(stay) {
		t.Errorf("%d subscriptions left, want %d", x.Count(), len(stay))
	}
	c := NewCache()
	for _, l := range lits {
		if got, want := describe(c.Lookup(x, []byte(l))), stay.describe(l); got != want {
			t.Errorf("%s: after the churn\n%s\nwant\n%s", l, got, want)
		}
	}
}

func TestSidTable(t *testing.T) {
	r := seeded(t)
	var x SidTable
	have := map[string]*Sub{}
	for range 60000 {
		sid := fmt.Sprint(r.IntN(5000))
		switch r.IntN(5) {
		case 0, 1:
			s := sub("a", "", sid, nil)
			if x.Put(s) != (have[sid] == nil) {
				t.Fatalf("Put(%s)", sid)
			}
			if have[sid] == nil {
				have[sid] = s
			}
		case 2, 3:
			if got := x.Delete([]byte(sid)); got != have[sid] {
				t.Fatalf("Delete(%s)", sid)
			}
			delete(have, sid)
		default:
			if x.Get([]byte(sid)) != have[sid] {
				t.Fatalf("Get(%s)", sid)
			}
		}
		if x.Len() != len(have) {
			t.Fatalf("Len %d, want %d", x.Len(), len(have))
		}
	}
	n := 0
	x.Range(func(s *Sub) bool {
		if have[s.SID()] != s {
			t.Errorf("Range has %s", s.SID())
		}
		n++
		return true
	})
	if n != len(have) {
		t.Errorf("Range saw %d of %d", n, len(have))
	}
	for sid := range have {
		x.Delete([]byte(sid))
	}
	if x.Len() != 0 || x.t != nil {
		t.Error("an empty table keeps memory")
	}
}

// TestInnerShapes: patterns beyond the shapes a topic has room for, and of too many tokens, are found all the same, and room that
// becomes free is used again.
func TestInnerShapes(t *testing.T) {
	r := seeded(t)
	x, c, sink := NewIndex(), NewCache(), &fakeSink{}
	w := func() *wildcards { return x.topics[topicOf("k")].wild.Load() }
	var all oracle
	add := func(pattern string) *Sub {
		s := sub(pattern, "", fmt.Sprint(len(all)), sink)
		if err := x.Insert(s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
		return s
	}
	drop := func(s *Sub) {
		if !x.Remove(s) || x.Remove(s) {
			t.Fatalf("%q: not removed once", s.Subject())
		}
		all = slices.DeleteFunc(all, func(o *Sub) bool { return o == s })
	}
	check := func() {
		for range 200 {
			toks := []string{"k"}
			for range r.IntN(12) {
				toks = append(toks, []string{"a", "b", "*", ">"}[r.IntN(4)])
			}
			lit := strings.Join(toks, ".")
			if got, want := describe(c.Lookup(x, []byte(lit))), all.describe(lit); got != want {
				t.Fatalf("%q:\n%s\nwant\n%s", lit, got, want)
			}
		}
	}
	var first []*Sub
	for i := range maxInner {
		first = append(first, add("k.*"+strings.Repeat(".a", i+1)))
		add("k.*" + strings.Repeat(".b", i+1))
	}
	if n := w().trie.Len(); n != 0 {
		t.Fatalf("%d patterns in the trie while there is room", n)
	}
	over := add("k.*.a.>") // no room for this shape
	long := add("k" + strings.Repeat(".a", innerTokens-2) + ".*.a")
	if n := w().trie.Len(); n != 2 {
		t.Fatalf("%d patterns in the trie, want 2", n)
	}
	lit := "k" + strings.Repeat(".a", innerTokens-2) + ".x.a"
	if got, want := describe(c.Lookup(x, []byte(lit))), all.describe(lit); got != want || want == "" {
		t.Fatalf("long: %s, want %s", got, want)
	}
	check()
	drop(first[0])
	drop(all[0]) // the other one of its shape
	again := add("k.*.a.>")
	if n := w().trie.Len(); n != 2 {
		t.Fatalf("%d patterns in the trie, want 2: the same pattern may be in both", n)
	}
	check()
	drop(over)
	check()
	drop(again)
	drop(long)
	check()
	if n := w().trie.Len(); n != 0 {
		t.Fatalf("%d patterns left in the trie", n)
	}
}
