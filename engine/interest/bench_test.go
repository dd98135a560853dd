package interest

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
)

// benchIndex returns an index of n distinct literals and their subjects.
func benchIndex(n, wild int) (*Index, [][]byte) {
	x, sink := NewIndex(), &fakeSink{}
	subjects := make([][]byte, n)
	for i := range subjects {
		subjects[i] = fmt.Appendf(nil, "load.subs.%07d", i)
		_ = x.Insert(NewSub(subjects[i], nil, fmt.Append(nil, i), 1, sink))
	}
	for i := range wild {
		_ = x.Insert(sub(fmt.Sprintf("load.other%d.*.x", i), "", "1", sink))
	}
	return x, subjects
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1000, 100_000, 1_000_000} {
		for _, wild := range []int{0, 100} {
			x, subjects := benchIndex(n, wild)
			r := rand.New(rand.NewPCG(1, 2))
			for _, set := range []struct {
				name string
				n    int
			}{{"one", 1}, {"hot", 256}, {"all", n}} {
				order := make([][]byte, 1<<16)
				for i := range order {
					order[i] = subjects[r.IntN(set.n)*(n/set.n)]
				}
				b.Run(fmt.Sprintf("subs=%d/wild=%d/%s", n, wild, set.name), func(b *testing.B) {
					c := NewCache()
					b.ReportAllocs()
					for i := range b.N {
						if len(c.Lookup(x, order[i&(1<<16-1)]).Plain) != 1 {
							b.Fatal("lost")
						}
					}
				})
			}
		}
	}
}

// BenchmarkInbox is request and reply: every reply subject is new, the wildcard is one of many.
func BenchmarkInbox(b *testing.B) {
	x, sink := NewIndex(), &fakeSink{}
	const clients = 10_000
	subjects := make([][]byte, clients)
	for i := range subjects {
		_ = x.Insert(sub(fmt.Sprintf("_INBOX.Kf9aPq%06d.*", i), "", "1", sink))
		subjects[i] = fmt.Appendf(nil, "_INBOX.Kf9aPq%06d.Zk%d", i, i)
	}
	c := NewCache()
	b.ReportAllocs()
	for i := range b.N {
		if len(c.Lookup(x, subjects[i*7919%clients]).Plain) != 1 {
			b.Fatal("lost")
		}
	}
}

func BenchmarkInsertRemove(b *testing.B) {
	x, subjects := benchIndex(100_000, 0)
	sink := &fakeSink{}
	b.ReportAllocs()
	for i := range b.N {
		s := NewSub(fmt.Appendf(nil, "new.%d", i), nil, []byte("1"), 1, sink)
		_ = x.Insert(s)
		x.Remove(s)
	}
	_ = subjects
}

func BenchmarkTake(b *testing.B) {
	s := sub("a", "", "1", nil)
	for range b.N {
		s.Take()
	}
}

// BenchmarkBytes reports the live bytes of a subscription: Sub with its text, index, sid table.
func BenchmarkBytes(b *testing.B) {
	const n = 1_000_000
	for range b.N {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		x, sink := NewIndex(), &fakeSink{}
		var sids [8]SidTable
		buf := make([]byte, 0, 64)
		for i := range n {
			buf = fmt.Appendf(buf[:0], "load.subs.%07d", i)
			k := len(buf)
			buf = fmt.Append(buf, i/8+1)
			s := NewSub(buf[:k], nil, buf[k:], 1, sink)
			_ = x.Insert(s)
			sids[i%8].Put(s)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/sub")
		runtime.KeepAlive(x)
		runtime.KeepAlive(&sids)
	}
}

// BenchmarkInsertMany is a connection that subscribes to 20,000 subjects and goes away: ns and bytes for each subscription.
func BenchmarkInsertMany(b *testing.B) {
	const n = 20_000
	for _, form := range []string{"x.%d.y", "x.%d.*", "x.%d.y.>", "x.%d.*.%d.>"} {
		b.Run(form, func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 2))
			text := make([][]byte, n)
			for i := range text {
				text[i] = fmt.Appendf(nil, form, r.Int64(), r.Int64())
			}
			sink := &fakeSink{}
			subs := make([]*Sub, n)
			b.ReportAllocs()
			for range b.N {
				x := NewIndex()
				for i := range subs {
					subs[i] = NewSub(text[i], nil, []byte("12345"), 1, sink)
					_ = x.Insert(subs[i])
				}
				for _, s := range subs {
					x.Remove(s)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/sub")
		})
	}
}
