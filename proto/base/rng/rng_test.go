package rng

import (
	"strings"
	"testing"
)

// TestReference is the sequence of the authors' C code for the state 1, 2, 3, 4.
func TestReference(t *testing.T) {
	r := &Source{s: [4]uint64{1, 2, 3, 4}}
	for i, want := range []uint64{41943041, 58720359, 3588806011781223, 3591011842654386, 9228616714210784205} {
		if got := r.Uint64(); got != want {
			t.Errorf("draw %d: %d, want %d", i, got, want)
		}
	}
	// splitmix64 of 1234567, the authors' test vector.
	r.Seed(1234567)
	if r.s != [4]uint64{6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431} {
		t.Errorf("seeded state %v", r.s)
	}
}

func TestDeterministic(t *testing.T) {
	a, b, c := New(7), New(7), New(8)
	fa, fb := a.Fork(), b.Fork()
	same := 0
	for range 1000 {
		if a.Uint64() != b.Uint64() || fa.Uint64() != fb.Uint64() {
			t.Fatal("equal seeds differ")
		}
		if a.Uint64() == c.Uint64() {
			same++
		}
		b.Uint64()
	}
	if same > 0 {
		t.Error("different seeds agree")
	}
	if x, y := NewRandom(), NewRandom(); x.s == y.s {
		t.Error("two random sources agree")
	}
}

func TestRanges(t *testing.T) {
	r := New(42)
	for _, n := range []int{1, 2, 3, 10, 62} {
		counts := make([]int, n)
		const draws = 20000
		for range draws {
			counts[r.Intn(n)]++
		}
		for v, c := range counts {
			if want := draws / n; c < want*7/10 || c > want*13/10 {
				t.Errorf("%d of %d drawn %d times, expected about %d", v, n, c, want)
			}
		}
	}
	sum := 0.0
	for range 10000 {
		f := r.Float64()
		if f < 0 || f >= 1 {
			t.Fatalf("%v out of range", f)
		}
		sum += f
	}
	if sum < 4800 || sum > 5200 {
		t.Errorf("mean %v", sum/10000)
	}
	if v := r.Uint64n(1<<63 + 1); v > 1<<63 {
		t.Errorf("%d out of range", v)
	}
	order := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	seen, moved := 0, 0
	for i, v := range order {
		seen |= 1 << v
		if i != v {
			moved++
		}
	}
	if seen != 1<<10-1 || moved == 0 {
		t.Errorf("shuffled to %v", order)
	}
	for n := range 20 {
		b := make([]byte, n+1)
		r.Fill(b[:n])
		if b[n] != 0 {
			t.Errorf("filled over %d bytes", n)
		}
		if n >= 16 && strings.Count(string(b[:n]), "\x00") > 4 {
			t.Errorf("%d bytes not filled: %x", n, b)
		}
	}
}

func TestNUID(t *testing.T) {
	g := NewNUID(New(1))
	seen := map[string]bool{}
	prefix := ""
	for range 10000 {
		id := g.Next()
		if len(id) != IDLen || strings.Trim(id, base62) != "" {
			t.Fatalf("id %q", id)
		}
		if seen[id] {
			t.Fatalf("%q twice", id)
		}
		seen[id] = true
		if prefix == "" {
			prefix = id[:prefixLen]
		} else if id[:prefixLen] != prefix {
			t.Fatalf("prefix changed to %q", id)
		}
	}
	g.seq = maxSeq - 1
	if id := g.Next(); id[:prefixLen] == prefix || len(id) != IDLen {
		t.Errorf("prefix kept after the sequence ended: %q", id)
	}
	first, same, other := NewNUID(New(1)).Next(), NewNUID(New(1)).Next(), NewNUID(New(2)).Next()
	if first != same || first == other {
		t.Error("seed does not decide")
	}
	buf := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { g.AppendNext(buf) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkUint64(b *testing.B) {
	r := New(1)
	for b.Loop() {
		r.Uint64()
	}
}

func BenchmarkNUID(b *testing.B) {
	g, buf := NewNUID(New(1)), make([]byte, 0, 64)
	for b.Loop() {
		g.AppendNext(buf)
	}
}
