package consumer_test

import (
	"strconv"
	"testing"
	"time"

	"ramjet/js/consumer"
	"ramjet/proto/base/rng"
	"ramjet/proto/jsapi"
	"ramjet/store"
)

// endless is a log that has every sequence up to last, one subject, and answers at once.
type endless struct{ last uint64 }

var benchSubject, benchPayload = []byte("a.1"), make([]byte, 128)

func (l *endless) Load(seq uint64, r *store.Rec) store.Avail {
	if seq == 0 || seq > l.last {
		return store.None
	}
	*r = store.Rec{Seq: seq, Time: epoch, Subject: benchSubject, Payload: benchPayload}
	return store.Hit
}
func (l *endless) Next(_ *store.Filter, from uint64, r *store.Rec) store.Avail {
	return l.Load(max(from, 1), r)
}
func (l *endless) Prev(_ *store.Filter, upto uint64, r *store.Rec) store.Avail {
	return l.Load(min(upto, l.last), r)
}
func (l *endless) State(s *store.State) {
	*s = store.State{Msgs: l.last, FirstSeq: 1, LastSeq: l.last, Subjects: 1}
}
func (l *endless) Subjects(*store.Filter, func([]byte, uint64, uint64) bool) {}
func (l *endless) Pending(_ *store.Filter, from uint64, _ bool) uint64       { return l.last + 1 - from }
func (l *endless) Deleted(func(from, to uint64) bool)                        {}
func (l *endless) SeqAt(int64) uint64                                        { return 1 }

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

func benchConsumer(policy jsapi.AckPolicy, keep int) (*consumer.Consumer, *void) {
	v := &void{}
	if keep > 0 {
		v.acks = make([][]byte, keep)
	}
	cfg := &jsapi.ConsumerConfig{Durable: "C", AckPolicy: policy, MaxAckPending: -1}
	l := &consumer.Limits{Stream: &jsapi.StreamConfig{Replicas: 1}}
	if err := consumer.SetDefaults(cfg, l, false); err != nil {
		panic(err)
	}
	c := consumer.New(consumer.Env{Stream: "S", Name: "C", Log: &endless{last: 1 << 40}, Sink: v, Rand: rng.New(1)}, cfg, consumer.NewState(policy), epoch)
	c.Start(epoch)
	return c, v
}

// TestSteadyPathDoesNotAllocate: pull requests, deliveries, acks of all kinds, commands and deadlines.
func TestSteadyPathDoesNotAllocate(t *testing.T) {
	for _, policy := range []jsapi.AckPolicy{jsapi.AckNone, jsapi.AckAll, jsapi.AckExplicit} {
		const batch = 100
		c, v := benchConsumer(policy, batch)
		now := epoch
		to := []byte("_INBOX.x")
		body := []byte(`{"batch":` + strconv.Itoa(batch) + `,"expires":5000000000,"idle_heartbeat":500000000}`)
		reply := []byte("r")
		bodies := [][]byte{nil, []byte("+ACK"), []byte("+WPI"), []byte("-NAK"), []byte("+TERM x")}
		if policy == jsapi.AckAll {
			bodies = bodies[:1]
		}
		turn := func() {
			now += int64(time.Millisecond)
			c.Next(now, to, nil, body)
			for i, subj := range v.acks {
				var a jsapi.AckReply
				if !jsapi.ParseAckReply(subj, &a) {
					t.Fatal(string(subj))
				}
				c.Ack(now, &a, reply, bodies[i%len(bodies)])
				c.Ack(now, &a, reply, nil)
			}
			if b := c.Commands(); len(b) == 0 {
				t.Fatal("no commands")
			}
			c.Deadline()
			c.Tick(now)
		}
		for range 10 {
			turn()
		}
		if n := testing.AllocsPerRun(100, turn); n >= 1 {
			t.Errorf("%v: %v allocations per turn of %d messages", policy, n, batch)
		}
	}
}

func benchFetch(b *testing.B, policy jsapi.AckPolicy, ack bool) {
	const batch = 500
	keep := 0
	if ack {
		keep = batch
	}
	c, v := benchConsumer(policy, keep)
	to := []byte("_INBOX.x")
	body := []byte(`{"batch":500,"expires":5000000000}`)
	now := epoch
	bytes := 0
	b.ReportAllocs()
	for b.Loop() {
		now += 1000
		c.Next(now, to, nil, body)
		for _, subj := range v.acks {
			var a jsapi.AckReply
			jsapi.ParseAckReply(subj, &a)
			c.Ack(now, &a, nil, nil)
		}
		bytes += len(c.Commands())
		c.Deadline()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(v.n), "ns/msg")
	b.ReportMetric(float64(bytes)/float64(v.n), "journal-B/msg")
}

// BenchmarkFetch500AckNone fetches 500 messages a time, nothing to acknowledge.
func BenchmarkFetch500AckNone(b *testing.B) { benchFetch(b, jsapi.AckNone, false) }

// BenchmarkFetch500AckExplicit fetches 500 messages and acknowledges each.
func BenchmarkFetch500AckExplicit(b *testing.B) { benchFetch(b, jsapi.AckExplicit, true) }

// BenchmarkFetch500Unacked fetches with explicit acks that never come: what is pending grows.
func BenchmarkFetch500Unacked(b *testing.B) { benchFetch(b, jsapi.AckExplicit, false) }
