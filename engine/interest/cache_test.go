package interest

import (
	"fmt"
	"testing"
)

func TestLookupAllocs(t *testing.T) {
	x, c := NewIndex(), NewCache()
	for i := range 100 {
		_ = x.Insert(sub(fmt.Sprintf("lit.%d", i), "", "1", &fakeSink{}))
	}
	_ = x.Insert(sub("inbox.me.*", "", "1", &fakeSink{}))
	for i := range 5 {
		_ = x.Insert(sub("mix.*", "", fmt.Sprint(i), &fakeSink{}))
		_ = x.Insert(sub("mix.a", "q", fmt.Sprint(i), &fakeSink{}))
		_ = x.Insert(sub("*.*.mid", "", fmt.Sprint(i), &fakeSink{}))
	}
	subjects := map[string][][]byte{
		"memo":          {[]byte("lit.1")},
		"literals":      {[]byte("lit.1"), []byte("lit.2"), []byte("lit.3")},
		"none":          {[]byte("no.a"), []byte("no.b")},
		"cached":        {[]byte("mix.a"), []byte("mix.b")},
		"trie":          {[]byte("a.b.mid"), []byte("b.b.mid")},
		"wildcard once": nil,
	}
	for i := range 5000 {
		subjects["wildcard once"] = append(subjects["wildcard once"], fmt.Appendf(nil, "inbox.me.%d", i))
	}
	for name, list := range subjects {
		for range 3 {
			for _, s := range list[:min(len(list), 10)] {
				c.Lookup(x, s)
			}
		}
		i := 0
		if n := testing.AllocsPerRun(1000, func() { c.Lookup(x, list[i%len(list)]); i++ }); n != 0 {
			t.Errorf("%s: %v allocations per lookup", name, n)
		}
		if n := testing.AllocsPerRun(100, func() { x.HasInterest(list[0]) }); n != 0 {
			t.Errorf("%s: %v allocations per HasInterest", name, n)
		}
	}
}

// TestHold: a result stays as it is while a delivery looks up others.
func TestHold(t *testing.T) {
	x, c := NewIndex(), NewCache()
	for _, p := range []string{"a", "b", "c.*", "*.d"} {
		_ = x.Insert(sub(p, "", p, &fakeSink{}))
	}
	for range 4 {
		outer := c.Lookup(x, []byte("c.d"))
		want := describe(outer)
		c.Hold()
		for _, s := range []string{"a", "c.x", "y.d", "c.d", "b", "none"} {
			inner := c.Lookup(x, []byte(s))
			iw := describe(inner)
			c.Hold()
			c.Lookup(x, []byte("a"))
			c.Lookup(x, []byte("c.z"))
			c.Release()
			if describe(inner) != iw {
				t.Fatalf("inner result of %s changed", s)
			}
		}
		c.Release()
		if describe(outer) != want {
			t.Fatal("outer result changed")
		}
		if got := describe(c.Lookup(x, []byte("c.z"))); got != "p c.*" {
			t.Fatalf("after the release: %s", got)
		}
	}
}

// TestCacheBounds: entries, bytes and the life of removed subscriptions.
func TestCacheBounds(t *testing.T) {
	x, c := NewIndex(), NewCache()
	all := sub("long.>", "", "1", &fakeSink{})
	_ = x.Insert(all)
	pad := make([]byte, 6000)
	for i := range pad {
		pad[i] = 'x'
	}
	for i := range 8000 {
		s := fmt.Appendf(nil, "long.%s.%d", pad, i)
		c.Lookup(x, s)
		c.Lookup(x, s)
		if c.bytes > maxBytes {
			t.Fatalf("%d bytes", c.bytes)
		}
	}
	if c.live == 0 || c.live > cacheSize {
		t.Fatalf("%d entries", c.live)
	}
	x.Remove(all)
	c.Forget()
	if c.live != 0 || c.bytes != 0 || c.fanout != 0 {
		t.Errorf("%d entries of %d bytes keep a closed subscription", c.live, c.bytes)
	}
}

func TestStats(t *testing.T) {
	x, c := NewIndex(), NewCache()
	a, b := sub("a.*", "", "1", nil), sub("a.>", "", "2", nil)
	_, _ = x.Insert(a), x.Insert(b)
	for range 10 {
		c.Lookup(x, []byte("a.b"))
		c.Lookup(x, []byte("a.c"))
	}
	x.Remove(b)
	c.Fold()
	s := x.Stats()
	s.Add(c.Stats())
	want := Stats{Subscriptions: 1, CacheSize: 2, Inserts: 2, Removes: 1, Matches: 20, CacheHits: 16, MaxFanout: 2, AvgFanout: 2}
	if s != want || s.HitRate() != 0.8 {
		t.Errorf("stats %+v rate %v, want %+v", s, s.HitRate(), want)
	}
}
