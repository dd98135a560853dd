package jstest_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"ramjet/js/consumer"
	"ramjet/js/op"
	"ramjet/js/stream"
	"ramjet/proto/base/rng"
	"ramjet/proto/jsapi"
	"ramjet/store"
	"ramjet/store/memstream"
	filestream "ramjet/store/stream"
	"ramjet/store/vfs"
)

// benchLog returns an empty log of a kind. The file store works on the real file system.
func benchLog(b testing.TB, kind string) stream.Log {
	if kind == "memory" {
		return memstream.New(nil)
	}
	env := &filestream.Env{FS: vfs.OS(), Go: func(fn func()) { go fn() }, Read: func(fn func()) { fn() }, Wake: func(*filestream.Store) {}}
	s, _, err := filestream.Open(filestream.Options{Env: env}, b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		done := make(chan struct{})
		s.Close(func(error) { close(done) })
		<-done
	})
	return s
}

// publisher is the whole path of a message but for the journal.
type publisher struct {
	m   *stream.Machine
	f   *stream.Front
	b   op.Batch
	out stream.Effects
	in  stream.Inbound
	now int64
}

func newPublisher(b testing.TB, kind string, window time.Duration) *publisher {
	cfg := jsapi.StreamConfig{Name: "S", Subjects: []string{"orders.>"}, DuplicateWindow: window}
	if kind == "memory" {
		cfg.Storage = jsapi.MemoryStorage
	}
	if err := stream.CheckCreate(&cfg, &stream.Context{}); err != nil {
		b.Fatal(err)
	}
	p := &publisher{now: testStart}
	p.m = stream.NewMachine(&cfg, benchLog(b, kind), nil)
	p.m.SetLeader(true)
	p.f = stream.NewFront(p.m, stream.FrontConfig{})
	p.in = stream.Inbound{Subject: []byte("orders.eu"), Reply: []byte("_INBOX.abcdef.123"), Payload: make([]byte, 128)}
	return p
}

// turn publishes n messages as one entry and applies it.
func (p *publisher) turn(n int, each func(i int)) {
	p.now += 1e5
	for i := range n {
		if each != nil {
			each(i)
		}
		p.f.Publish(&p.in, p.now, &p.b, &p.out)
	}
	var c op.Cmd
	for r := op.Open(p.b.Bytes()); r.Next(&c); {
		p.m.Apply(1, &c, &p.out)
		p.f.Applied(&c, &p.out)
	}
	p.b.Reset()
	p.out.Reset()
}

func perMessage(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/msg")
}

// BenchmarkPublish decides and applies messages of 128 bytes, 100 an entry, with an acknowledgement for each.
func BenchmarkPublish(b *testing.B) {
	for _, kind := range []string{"memory", "file"} {
		b.Run(kind, func(b *testing.B) {
			p := newPublisher(b, kind, 0)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				p.turn(100, nil)
				if n += 100; n%1_000_000 == 0 {
					p.m.Log().Purge(&store.Purge{}, nil)
				}
			}
			perMessage(b, n)
		})
	}
}

// void takes effects and keeps the last acks.
type void struct {
	acks [][]byte
	n    int
}

func (v *void) Deliver(d *consumer.Delivery) bool {
	if v.acks != nil {
		i := v.n % len(v.acks)
		v.acks[i] = append(v.acks[i][:0], d.Reply...)
	}
	v.n++
	return true
}
func (v *void) Send(*consumer.Reply)    {}
func (v *void) Interest([]byte) bool    { return true }
func (v *void) Release(uint64, uint64)  {}
func (v *void) Advise(*consumer.Advice) {}
func (v *void) Inactive()               {}

// BenchmarkDeliver reads a million messages of 128 bytes through a pull consumer, 500 a request, over and over.
func BenchmarkDeliver(b *testing.B) {
	for _, kind := range []string{"memory", "file"} {
		p := newPublisher(b, kind, 0)
		for range 10_000 {
			p.turn(100, nil)
		}
		for _, c := range []struct {
			name   string
			policy jsapi.AckPolicy
			most   int
			ack    bool
			filter string
		}{{"none", jsapi.AckNone, 0, false, ""}, {"none, filter", jsapi.AckNone, 0, false, "orders.*"}, {"explicit", jsapi.AckExplicit, 1000, true, ""},
			{"explicit, unlimited", jsapi.AckExplicit, -1, true, ""}, {"all", jsapi.AckAll, 1000, true, ""}} {
			b.Run(kind+"/"+c.name, func(b *testing.B) {
				const batch = 500
				v := &void{}
				if c.ack {
					v.acks = make([][]byte, batch)
				}
				cfg := &jsapi.ConsumerConfig{Durable: "C", AckPolicy: c.policy, MaxAckPending: c.most, FilterSubject: c.filter}
				l := &consumer.Limits{Stream: &jsapi.StreamConfig{Replicas: 1}}
				if err := consumer.SetDefaults(cfg, l, false); err != nil {
					b.Fatal(err)
				}
				open := func() *consumer.Consumer {
					o := consumer.New(consumer.Env{Stream: "S", Name: "C", Log: p.m.Log(), Sink: v, Rand: rng.New(1)}, cfg, consumer.NewState(c.policy), testStart)
					o.Start(testStart)
					return o
				}
				o := open()
				to, body := []byte("_INBOX.abcdef.123"), []byte(`{"batch":500,"expires":5000000000}`)
				now, left := testStart, 1_000_000
				b.ReportAllocs()
				for b.Loop() {
					if left == 0 {
						o, left = open(), 1_000_000
					}
					now += 1e5
					had := v.n
					o.Next(now, to, nil, body)
					for range 50 {
						if v.n-had == batch {
							break
						}
						o.Wake(now)
					}
					if v.n-had != batch {
						b.Fatal(v.n - had)
					}
					left -= batch
					for i, subj := range v.acks {
						var a jsapi.AckReply
						jsapi.ParseAckReply(subj, &a)
						if c.policy != jsapi.AckAll || i == batch-1 {
							o.Ack(now, &a, nil, nil)
						}
					}
					o.Commands()
					o.Deadline()
				}
				perMessage(b, v.n)
			})
		}
	}
}

// BenchmarkMemory tells what a million messages of 128 bytes on one subject and on a subject each leave in memory.
func BenchmarkMemory(b *testing.B) {
	for _, kind := range []string{"memory", "file"} {
		for _, subjects := range []int{1, 1_000_000} {
			b.Run(fmt.Sprintf("%s/subjects=%d", kind, subjects), func(b *testing.B) {
				for b.Loop() {
					var before, after runtime.MemStats
					runtime.GC()
					runtime.ReadMemStats(&before)
					p := newPublisher(b, kind, 0)
					n := 0
					for range 10_000 {
						p.turn(100, func(int) {
							if n++; subjects > 1 {
								p.in.Subject = fmt.Appendf(p.in.Subject[:0], "orders.eu.%08d", n)
							}
						})
					}
					runtime.GC()
					runtime.ReadMemStats(&after)
					b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/1e6, "heap-B/msg")
					b.ReportMetric(float64(int64(after.HeapInuse+after.StackInuse)-int64(before.HeapInuse+before.StackInuse))/1e6, "inuse-B/msg")
					runtime.KeepAlive(p)
				}
			})
		}
	}
}
