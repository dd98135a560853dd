package memstream

import (
	"fmt"
	"runtime"
	"testing"

	"ramjet/proto/base/rng"
	"ramjet/store"
	"ramjet/store/msgtab"
	"ramjet/store/storetest"
)

func TestOracle(t *testing.T) {
	for seed := uint64(1); seed <= 40; seed++ {
		d := &storetest.Driver{R: rng.New(seed), S: New(nil), O: &storetest.Oracle{Memory: true}}
		if seed%4 == 0 {
			d.Payload = 3000
		}
		if seed%5 == 0 {
			d.Keys = 2000
		}
		for i := range 2500 {
			err := d.Change()
			if err == nil {
				err = d.Query()
			}
			if err == nil && i%500 == 499 {
				err = d.ExpireAll(d.Now + 1e9)
			}
			if err == nil && i%100 == 0 {
				err = d.S.Check()
			}
			if err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, i, err)
			}
		}
	}
}

// TestMemoryFollowsLive overwrites the same keys for long: memory must stay in proportion to what is live.
func TestMemoryFollowsLive(t *testing.T) {
	s := New(nil)
	r := rng.New(1)
	payload := make([]byte, 200)
	var rec store.Rec
	for i := range 200_000 {
		subj := fmt.Appendf(nil, "kv.%d", r.Intn(1000))
		if old, ok := s.Last(subj); ok {
			s.Remove(old, false)
		}
		rec = store.Rec{Seq: uint64(i + 1), Time: int64(i), Subject: subj, Payload: payload}
		if err := s.Append(&rec); err != nil {
			t.Fatal(err)
		}
	}
	if m := s.Memory(); m > 2<<20 {
		t.Fatalf("%d bytes for 1000 messages of 250 bytes in %d segments", m, len(s.Segments()))
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
}

// TestAllocsAtLimit: a stream at its limit goes on with the memory of what it removes.
func TestAllocsAtLimit(t *testing.T) {
	pool := msgtab.NewPool(8 << 20)
	s := New(pool)
	fill(s, 50_000, 10)
	r := store.Rec{Seq: 50_000, Subject: []byte("s.3"), Payload: make([]byte, 128)}
	const batch = 5000
	n := testing.AllocsPerRun(20, func() {
		pool.Turn()
		for i := range batch {
			if r.Seq++; s.Append(&r) != nil || !s.Remove(r.Seq-50_000, false) {
				t.Fatal(i)
			}
		}
	})
	if n > batch/50 {
		t.Errorf("%v allocations for %d messages", n, batch)
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
}

// TestFramesInUse reads messages, removes them and appends others: what was read stays as it was until the turn ends.
func TestFramesInUse(t *testing.T) {
	pool := msgtab.NewPool(8 << 20)
	s := New(pool)
	fill(s, 20_000, 10)
	seq := uint64(20_000)
	for range 10 {
		pool.Turn()
		var held [100]store.Rec
		var want [100]string
		for i := range held {
			at := seq - 20_000 + uint64(i)*150 + 1
			if s.Load(at, &held[i]) != store.Hit {
				t.Fatal(at)
			}
			want[i] = string(held[i].Subject) + string(held[i].Payload)
		}
		for range 20_000 {
			seq++
			if err := s.Append(&store.Rec{Seq: seq, Subject: []byte("other"), Payload: []byte("other")}); err != nil {
				t.Fatal(err)
			}
			s.Remove(seq-20_000, false)
		}
		for i := range held {
			if got := string(held[i].Subject) + string(held[i].Payload); got != want[i] {
				t.Fatalf("%q became %q", want[i], got)
			}
		}
	}
}

func TestAppendErrors(t *testing.T) {
	s := New(nil)
	r := store.Rec{Seq: 5, Subject: []byte("a")}
	if err := s.Append(&r); err != nil {
		t.Fatal(err)
	}
	if s.Append(&r) == nil || s.SkipTo(4) == nil {
		t.Error("sequence went back")
	}
	if s.Append(&store.Rec{Seq: 6}) == nil {
		t.Error("no subject")
	}
	if err := s.SkipTo(5); err != nil {
		t.Error(err)
	}
}

func fill(s *Store, n, subjects int) {
	payload := make([]byte, 128)
	for i := 1; i <= n; i++ {
		_ = s.Append(&store.Rec{Seq: uint64(i), Time: int64(i), Subject: fmt.Appendf(nil, "s.%d", i%subjects), Payload: payload})
	}
}

func BenchmarkAppend128(b *testing.B) {
	s := New(nil)
	r := store.Rec{Subject: []byte("orders.eu"), Payload: make([]byte, 128)}
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		r.Seq++
		if err := s.Append(&r); err != nil {
			b.Fatal(err)
		}
		if r.Seq%1_000_000 == 0 {
			s.Purge(&store.Purge{}, nil)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	s := New(nil)
	fill(s, 100_000, 10)
	var r store.Rec
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		if s.Load(uint64(i%100_000+1), &r) != store.Hit {
			b.Fatal("miss")
		}
	}
}

func BenchmarkNextFilter(b *testing.B) {
	for _, subjects := range []int{10, 1000, 50_000} {
		s := New(nil)
		fill(s, 500_000, subjects)
		for _, p := range []string{"s.7", "s.*"} {
			b.Run(fmt.Sprintf("subjects=%d/%s", subjects, p), func(b *testing.B) {
				f := &store.Filter{Patterns: []string{p}}
				var r store.Rec
				from := uint64(1)
				b.ReportAllocs()
				for i := 0; i < b.N; i++ {
					if s.Next(f, from, &r) != store.Hit {
						from = 1
						continue
					}
					from = r.Seq + 1
				}
			})
		}
	}
}

func BenchmarkPending(b *testing.B) {
	s := New(nil)
	fill(s, 1_000_000, 1000)
	for _, p := range []string{"s.7", "s.*", ">"} {
		b.Run(p, func(b *testing.B) {
			f := &store.Filter{Patterns: []string{p}}
			for i := 0; i < b.N; i++ {
				s.Pending(f, 500_000, false)
			}
		})
	}
}

func BenchmarkMemoryMillion(b *testing.B) {
	for range b.N {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := New(nil)
		fill(s, 1_000_000, 100)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "B/msg")
		runtime.KeepAlive(s)
	}
}
