package seqset

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"ramjet/proto/base/rng"
)

func members(s *Set) []uint64 {
	var out []uint64
	s.All(func(q uint64) bool { out = append(out, q); return true })
	return out
}

// TestAgainstMap compares random operations with a map.
func TestAgainstMap(t *testing.T) {
	for seed := uint64(1); seed <= 30; seed++ {
		r := rng.New(seed)
		var s Set
		m := map[uint64]bool{}
		span := uint64(3 * block)
		if seed%2 == 0 {
			span = 12 * block
		}
		for op := range 2500 {
			q := r.Uint64n(span)
			switch r.Intn(8) {
			case 0, 1:
				if s.Add(q) == m[q] {
					t.Fatalf("seed %d op %d: Add(%d)", seed, op, q)
				}
				m[q] = true
			case 2:
				if s.Remove(q) != m[q] {
					t.Fatalf("seed %d op %d: Remove(%d)", seed, op, q)
				}
				delete(m, q)
			case 3:
				hi := q + r.Uint64n(2*block+100)
				n := uint64(0)
				for x := q; x <= hi; x++ {
					if !m[x] {
						n++
					}
					m[x] = true
				}
				if got := s.AddRange(q, hi); got != n {
					t.Fatalf("seed %d op %d: AddRange(%d,%d) %d, want %d", seed, op, q, hi, got, n)
				}
			case 4:
				if r.Intn(20) != 0 {
					continue
				}
				q = q / 4
				n := uint64(0)
				maps.DeleteFunc(m, func(x uint64, _ bool) bool {
					if x < q {
						n++
					}
					return x < q
				})
				if got := s.RemoveBelow(q); got != n {
					t.Fatalf("seed %d op %d: RemoveBelow(%d) %d, want %d", seed, op, q, got, n)
				}
			case 5:
				hi := q + r.Uint64n(block*2)
				n := uint64(0)
				for x := q; x <= hi; x++ {
					if m[x] {
						n++
					}
				}
				if got := s.CountRange(q, hi); got != n {
					t.Fatalf("seed %d op %d: CountRange(%d,%d) %d, want %d", seed, op, q, hi, got, n)
				}
			case 6:
				a := q
				for m[a] {
					a++
				}
				if got := s.NextAbsent(q); got != a {
					t.Fatalf("seed %d op %d: NextAbsent(%d) %d, want %d", seed, op, q, got, a)
				}
				b, ok := q, true
				for m[b] {
					if b == 0 {
						ok = false
						break
					}
					b--
				}
				if got, gok := s.PrevAbsent(q); gok != ok || (ok && got != b) {
					t.Fatalf("seed %d op %d: PrevAbsent(%d) %d %v, want %d %v", seed, op, q, got, gok, b, ok)
				}
			case 7:
				if r.Intn(30) == 0 {
					hi := q + span/2
					maps.DeleteFunc(m, func(x uint64, _ bool) bool { return x > hi })
					s.RemoveAbove(hi)
				}
			}
			if s.Len() != uint64(len(m)) || s.Has(q) != m[q] {
				t.Fatalf("seed %d op %d: Len %d, want %d; Has(%d) %v", seed, op, s.Len(), len(m), q, s.Has(q))
			}
		}
		want := slices.Sorted(maps.Keys(m))
		if !slices.Equal(members(&s), want) {
			t.Fatalf("seed %d: members differ", seed)
		}
		if len(want) > 0 {
			lo, _ := s.Min()
			hi, _ := s.Max()
			if lo != want[0] || hi != want[len(want)-1] {
				t.Fatalf("seed %d: Min %d Max %d, want %d %d", seed, lo, hi, want[0], want[len(want)-1])
			}
		}
		enc := s.Append(nil)
		var back Set
		if n, err := back.Decode(append(enc, 1, 2, 3)); err != nil || n != len(enc) || !slices.Equal(members(&back), want) {
			t.Fatalf("seed %d: decode %d of %d, %v", seed, n, len(enc), err)
		}
	}
}

func TestHugeGap(t *testing.T) {
	var s Set
	s.AddRange(10, 1<<50)
	s.Remove(1 << 40)
	if s.Nodes() > 5 || s.Len() != 1<<50-10 || s.NextAbsent(10) != 1<<40 {
		t.Fatalf("nodes %d len %d", s.Nodes(), s.Len())
	}
	s.RemoveBelow(1<<40 + 1)
	if lo, _ := s.Min(); lo != 1<<40+1 {
		t.Fatalf("min %d", lo)
	}
	s.RemoveAbove(1 << 45)
	if hi, _ := s.Max(); hi != 1<<45 {
		t.Fatalf("max %d", hi)
	}
}

func FuzzDecode(f *testing.F) {
	var s Set
	f.Add(s.Append(nil))
	s.AddRange(100, 9000)
	s.Add(1 << 40)
	f.Add(s.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Set
		n, err := s.Decode(b)
		if err != nil {
			return
		}
		if n > len(b) {
			t.Fatal("over-read")
		}
		enc := s.Append(nil)
		var again Set
		if _, err := again.Decode(enc); err != nil || !bytes.Equal(again.Append(nil), enc) || again.Len() != s.Len() {
			t.Fatalf("not stable: %v", err)
		}
	})
}

func BenchmarkHas(b *testing.B) {
	var s Set
	for i := uint64(0); i < 1<<20; i += 3 {
		s.Add(i)
	}
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		s.Has(uint64(i*7) & (1<<20 - 1))
	}
}
