package stream

import (
	"fmt"
	"runtime"
	"testing"

	"ramjet/proto/base/clock"
	"ramjet/store"
	"ramjet/store/vfs"
)

// benchEnv is an Env with goroutines on the real file system.
func benchEnv(b testing.TB, dir string) *Env {
	return &Env{FS: rooted{vfs.OS(), dir}, Go: func(fn func()) { go fn() }, Read: func(fn func()) { go fn() }, Wake: func(*Store) {}}
}

func await(b testing.TB, s *Store, fn func(done func(error))) {
	ch := make(chan error, 1)
	fn(func(err error) { ch <- err })
	if err := <-ch; err != nil {
		b.Fatal(err)
	}
	s.Poll()
}

func fillStore(b testing.TB, s *Store, n, subjects, size int) {
	payload := make([]byte, size)
	var subj []byte
	for i := 1; i <= n; i++ {
		subj = fmt.Appendf(subj[:0], "orders.%d", i%subjects)
		if err := s.Append(&store.Rec{Seq: uint64(i), Time: int64(i), Subject: subj, Payload: payload}); err != nil {
			b.Fatal(err)
		}
		if i%100_000 == 0 {
			await(b, s, s.Flush)
		}
	}
	await(b, s, func(done func(error)) { s.Checkpoint(uint64(n), nil, done) })
}

func BenchmarkAppend128(b *testing.B) {
	s, _ := mustOpen(b, Options{Env: benchEnv(b, b.TempDir())})
	r := store.Rec{Subject: []byte("orders.eu"), Payload: make([]byte, 128)}
	b.SetBytes(128)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		r.Seq++
		if err := s.Append(&r); err != nil {
			b.Fatal(err)
		}
		if r.Seq%200_000 == 0 {
			b.StopTimer()
			await(b, s, s.Flush)
			s.Purge(&store.Purge{}, nil)
			await(b, s, func(done func(error)) { s.Checkpoint(r.Seq, nil, done) })
			b.StartTimer()
		}
	}
	b.StopTimer()
	await(b, s, s.Close)
}

func BenchmarkLoadTail(b *testing.B) {
	s, _ := mustOpen(b, Options{Env: benchEnv(b, b.TempDir())})
	fillStore(b, s, 200_000, 10, 128)
	var r store.Rec
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		if s.Load(uint64(200_000-i%1000), &r) != store.Hit {
			b.Fatal("miss")
		}
	}
	b.StopTimer()
	await(b, s, s.Close)
}

// BenchmarkReadAll reads a cold stream from the beginning.
func BenchmarkReadAll(b *testing.B) {
	const n = 500_000
	env := benchEnv(b, b.TempDir())
	woken := make(chan struct{}, 1)
	env.Wake = func(*Store) {
		select {
		case woken <- struct{}{}:
		default:
		}
	}
	s, _ := mustOpen(b, Options{Env: env})
	fillStore(b, s, n, 10, 128)
	s.TrimCache()
	var r store.Rec
	from := uint64(1)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		a := s.Next(nil, from, &r)
		for a == store.Pending {
			<-woken
			a = s.Next(nil, from, &r)
		}
		if from = r.Seq + 1; from > n || a != store.Hit {
			from = 1
		}
	}
	b.StopTimer()
	await(b, s, s.Close)
}

// BenchmarkOpen measures recovery and memory by messages and subjects; the time is that of one Open.
func BenchmarkOpen(b *testing.B) {
	for _, c := range []struct{ msgs, subjects int }{{1_000_000, 100}, {4_000_000, 100}, {1_000_000, 1_000_000}} {
		b.Run(fmt.Sprintf("msgs=%d/subjects=%d", c.msgs, c.subjects), func(b *testing.B) {
			env := benchEnv(b, b.TempDir())
			s, _ := mustOpen(b, Options{Env: env})
			fillStore(b, s, c.msgs, c.subjects, 128)
			st := s.Stats()
			b.ReportMetric(float64(st.Memory)/float64(c.msgs), "B/msg-running")
			await(b, s, s.Close)
			s = nil
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := clock.System().Now()
			s2, rec := mustOpen(b, Options{Env: env})
			took := clock.System().Now().Sub(start)
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(took.Seconds()*1000, "open-ms")
			b.ReportMetric(float64(rec.Segments), "segments")
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(c.msgs), "B/msg")
			f := &store.Filter{Patterns: []string{"orders.7"}}
			start = clock.System().Now()
			s2.Pending(f, uint64(c.msgs/2), false)
			b.ReportMetric(clock.System().Now().Sub(start).Seconds()*1000, "pending-cold-ms")
			start = clock.System().Now()
			s2.Pending(f, uint64(c.msgs/2), false)
			b.ReportMetric(clock.System().Now().Sub(start).Seconds()*1000, "pending-ms")
			await(b, s2, s2.Close)
		})
	}
}

// TestAppendAllocs: no allocation per message beyond frames, indexes and write batches.
func TestAppendAllocs(t *testing.T) {
	s, _ := mustOpen(t, Options{Env: inline(vfs.NewMem(), 1)})
	r := store.Rec{Subject: []byte("orders.eu"), Payload: make([]byte, 128)}
	const batch = 5000
	n := testing.AllocsPerRun(20, func() {
		for range batch {
			r.Seq++
			if err := s.Append(&r); err != nil {
				t.Fatal(err)
			}
		}
	})
	if n > batch/50 {
		t.Errorf("%v allocations for %d messages", n, batch)
	}
	var out store.Rec
	if n := testing.AllocsPerRun(100, func() { s.Load(r.Seq, &out) }); n != 0 {
		t.Errorf("Load: %v allocations", n)
	}
	f := &store.Filter{Patterns: []string{"orders.*"}}
	if n := testing.AllocsPerRun(100, func() { s.Next(f, r.Seq-10, &out) }); n != 0 {
		t.Errorf("Next: %v allocations", n)
	}
}
