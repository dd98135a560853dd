package stream

import (
	"fmt"
	"runtime"
	"testing"

	"ramjet/proto/base/clock"
	"ramjet/store"
	"ramjet/store/msgtab"
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

// TestAtLimit removes the oldest message for each new one: no file is read, none is copied.
func TestAtLimit(t *testing.T) {
	s, _ := mustOpen(t, Options{Env: inline(vfs.NewMem(), 1), SegmentBytes: 256 << 10, CacheBytes: 64 << 10, IndexBytes: 64 << 20})
	r := store.Rec{Payload: make([]byte, 128)}
	const most = 20_000
	for i := range 5 * most {
		r.Seq++
		r.Time++
		r.Subject = fmt.Appendf(r.Subject[:0], "orders.%d", i%100)
		if err := s.Append(&r); err != nil {
			t.Fatal(err)
		}
		if n, _, first, last := s.Size(); n > most && (!s.Remove(first, false) || last != r.Seq) {
			t.Fatalf("%d messages, %d to %d", n, first, last)
		}
		if i%most == 0 {
			if err := checkpoint(s, r.Seq, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	if st := s.Stats(); st.Stalls != 0 || st.Compactions != 0 || st.Reads != 0 {
		t.Errorf("%+v", st)
	}
	// What is left of a segment when the stream shrinks is copied.
	segs := s.Segments()
	if err := checkpoint(s, r.Seq, ""); err != nil {
		t.Fatal(err)
	}
	last := segs[len(segs)-2].Last
	s.Purge(&store.Purge{Below: last - 9}, nil)
	for seq := last - 6; seq <= r.Seq; seq++ {
		s.Remove(seq, false)
	}
	if st := s.Stats(); st.Compactions == 0 {
		t.Errorf("%+v", st)
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
}

// TestAgeDropsIdle: frames of a stream that nobody uses leave the memory, and can be read again.
func TestAgeDropsIdle(t *testing.T) {
	s, _ := mustOpen(t, Options{Env: inline(vfs.NewMem(), 1)})
	r := store.Rec{Subject: []byte("orders.eu"), Payload: make([]byte, 1000)}
	for range 5000 {
		if r.Seq++; s.Append(&r) != nil {
			t.Fatal(r.Seq)
		}
	}
	if dropped, left := s.Age(1 << 20); !s.InUse() && (dropped == 0 || left == 0 || left > 1<<20) {
		t.Errorf("in use: %d dropped, %d left", dropped, left)
	}
	if dropped, left := s.Age(1 << 20); dropped == 0 || left != 0 {
		t.Errorf("idle: %d dropped, %d left", dropped, left)
	}
	var out store.Rec
	for a := s.Load(10, &out); a != store.Hit; a = s.Load(10, &out) {
		if a != store.Pending {
			t.Fatal(a)
		}
	}
	if len(out.Payload) != 1000 || !s.InUse() {
		t.Errorf("%d bytes", len(out.Payload))
	}
}

// TestAppendAllocs: no allocation per message beyond frames, indexes and write batches.
func TestAppendAllocs(t *testing.T) {
	env := inline(vfs.NewMem(), 1)
	env.Pool = msgtab.NewPool(8 << 20)
	s, _ := mustOpen(t, Options{Env: env})
	r := store.Rec{Subject: []byte("orders.eu"), Payload: make([]byte, 128)}
	const batch = 5000
	n := testing.AllocsPerRun(20, func() {
		env.Pool.Turn()
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
