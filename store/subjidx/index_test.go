package subjidx

import (
	"bytes"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"testing"

	"ramjet/proto/base/rng"
	"ramjet/proto/subject"
)

func randomSubject(r *rng.Source) string {
	toks := []string{"a", "b", "ab", "a-b", "c", "kv", "x1", "x"}
	s := toks[r.Intn(len(toks))]
	for range r.Intn(4) {
		s += "." + toks[r.Intn(len(toks))]
	}
	return s
}

func randomPattern(r *rng.Source) string {
	toks := []string{"a", "*", "ab", "*", "c", "kv", "x"}
	s := toks[r.Intn(len(toks))]
	for range r.Intn(4) {
		s += "." + toks[r.Intn(len(toks))]
	}
	if r.Intn(3) == 0 {
		s += ".>"
	}
	return s
}

func TestAgainstMap(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		r := rng.New(seed)
		x := New()
		m := map[string]uint64{}
		for op := range 6000 {
			s := randomSubject(r)
			if seed%3 == 0 {
				s += fmt.Sprint(".", r.Intn(5000))
			}
			switch r.Intn(5) {
			case 0, 1, 2:
				_, e := x.Put([]byte(s))
				if e.Msgs != m[s] {
					t.Fatalf("seed %d op %d: %q has %d, want %d", seed, op, s, e.Msgs, m[s])
				}
				e.Msgs++
				m[s]++
			case 3:
				id, e := x.Get([]byte(s))
				if (e != nil) != (m[s] > 0) {
					t.Fatalf("seed %d op %d: Get(%q)", seed, op, s)
				}
				if e != nil {
					if string(x.Key(id)) != s {
						t.Fatalf("seed %d: key %q, want %q", seed, x.Key(id), s)
					}
					x.Delete(id)
					delete(m, s)
				}
			case 4:
				if r.Intn(10) != 0 {
					continue
				}
				p := randomPattern(r)
				var got, want []string
				x.Match(p, func(id ID, e *Entry) bool {
					got = append(got, fmt.Sprint(string(x.Key(id)), e.Msgs))
					return true
				})
				for k, n := range m {
					if subject.Match(k, p) {
						want = append(want, fmt.Sprint(k, n))
					}
				}
				slices.Sort(got)
				slices.Sort(want)
				var ordered []string
				if r.Intn(4) == 0 {
					x.MatchInOrder(p, func(id ID, _ *Entry) bool { ordered = append(ordered, string(x.Key(id))); return true })
					if len(ordered) != len(want) || !slices.IsSorted(ordered) {
						t.Fatalf("seed %d op %d: MatchInOrder(%q) = %v", seed, op, p, ordered)
					}
				}
				if !slices.Equal(got, want) {
					t.Fatalf("seed %d op %d: Match(%q) = %v, want %v", seed, op, p, got, want)
				}
			}
			if x.Len() != len(m) {
				t.Fatalf("seed %d op %d: Len %d, want %d", seed, op, x.Len(), len(m))
			}
		}
		enc := x.Append(nil)
		back := New()
		if n, err := back.Decode(enc); err != nil || n != len(enc) || back.Len() != len(m) {
			t.Fatalf("seed %d: decode %d %v, len %d want %d", seed, n, err, back.Len(), len(m))
		}
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if _, e := back.Get([]byte(k)); e == nil || e.Msgs != m[k] {
				t.Fatalf("seed %d: %q lost", seed, k)
			}
		}
		if !bytes.Equal(back.Append(nil), enc) {
			t.Fatalf("seed %d: encoding is not stable", seed)
		}
	}
}

// TestRecycle lets subjects come and go: memory must not grow with the number ever seen.
func TestRecycle(t *testing.T) {
	x := New()
	for i := range 200_000 {
		id, _ := x.Put(fmt.Appendf(nil, "job.%d", i))
		x.Delete(id)
	}
	if x.MaxID() > 10_000 || len(x.keys) > 20 || x.Epoch() == 0 {
		t.Fatalf("ids %d, key chunks %d, epoch %d", x.MaxID(), len(x.keys), x.Epoch())
	}
}

func TestNoAllocOnUpdate(t *testing.T) {
	x := New()
	s := []byte("orders.eu.1")
	x.Put(s)
	if n := testing.AllocsPerRun(100, func() { _, e := x.Put(s); e.Msgs++ }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func FuzzDecode(f *testing.F) {
	x := New()
	f.Add(x.Append(nil))
	for _, s := range []string{"a", "a.b", "a.bc", "z"} {
		_, e := x.Put([]byte(s))
		e.First, e.Last, e.Msgs = 1, 5, 2
	}
	f.Add(x.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		x := New()
		n, err := x.Decode(b)
		if err != nil {
			return
		}
		if n > len(b) {
			t.Fatal("over-read")
		}
		enc := x.Append(nil)
		y := New()
		if _, err := y.Decode(enc); err != nil || !bytes.Equal(y.Append(nil), enc) || x.Len() != y.Len() {
			t.Fatalf("not stable: %v", err)
		}
	})
}

func BenchmarkPutExisting(b *testing.B) {
	x := New()
	keys := make([][]byte, 1<<16)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "orders.region%d.customer%d", i%16, i)
		x.Put(keys[i])
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		_, e := x.Put(keys[i&(1<<16-1)])
		e.Msgs++
	}
}

func BenchmarkMemoryMillion(b *testing.B) {
	for range b.N {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		x := New()
		var key []byte
		for i := range 1_000_000 {
			key = fmt.Appendf(key[:0], "orders.region%d.customer%d", i%16, i)
			x.Put(key)
		}
		x.Match("orders.region1.*", func(ID, *Entry) bool { return true })
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "B/subject")
		runtime.KeepAlive(x)
	}
}

func BenchmarkMatchWildcard(b *testing.B) {
	x := New()
	for i := range 1 << 17 {
		x.Put(fmt.Appendf(nil, "orders.region%d.customer%d", i%16, i))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		x.Match("orders.*.customer77", func(ID, *Entry) bool { return true })
	}
}
