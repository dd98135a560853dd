package backup

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/klauspost/compress/s2"

	"ramjet/proto/base/rng"
	"ramjet/proto/jsapi"
	"ramjet/store"
)

// sample is a stream to be backed up.
type sample struct {
	state jsapi.StreamState
	cons  []Consumer
	recs  []store.Rec
}

func newSample(r *rng.Source, msgs, maxPayload int) *sample {
	s := &sample{}
	seq := r.Uint64() % 1000
	s.state.FirstSeq = seq + 1
	for i := range msgs {
		seq += 1 + r.Uint64()%3
		rec := store.Rec{Seq: seq, Time: int64(r.Uint64() >> 2), Subject: fmt.Appendf(nil, "a.%d", i), Payload: make([]byte, r.Uint64()%uint64(maxPayload+1))}
		for k := 0; k+8 <= len(rec.Payload); k += 8 {
			binary.LittleEndian.PutUint64(rec.Payload[k:], r.Uint64()&0x3f3f3f3f3f3f3f3f)
		}
		switch i % 4 {
		case 0:
			rec.Header = fmt.Appendf(nil, "NATS/1.0\r\nK: %d\r\n\r\n", i)
		case 1:
			rec.Header = fmt.Appendf(nil, "NATS/1.0\r\nNats-TTL: %dm\r\n\r\n", i+1)
			rec.TTL = int64(i+1) * 60
		}
		s.recs = append(s.recs, rec)
	}
	s.state.LastSeq, s.state.Msgs = seq+2, uint64(msgs)
	for i := range 3 {
		c := Consumer{Name: fmt.Sprint("c", i), Config: jsapi.ConsumerConfig{AckPolicy: jsapi.AckExplicit, MaxAckPending: i}}
		c.State.AckFloor = jsapi.SequencePair{Consumer: 1, Stream: s.state.FirstSeq}
		c.State.Delivered = jsapi.SequencePair{Consumer: 100, Stream: s.state.LastSeq}
		for q := s.state.FirstSeq + 1; q <= seq && len(c.State.Pending) < i*10; q += 2 {
			c.State.Pending = append(c.State.Pending, jsapi.PendingDelivery{Stream: q, Consumer: q + 1, Time: int64(q) * 1e9})
			c.State.Redelivered = append(c.State.Redelivered, jsapi.RedeliveryCount{Stream: q, Count: q % 5})
		}
		s.cons = append(s.cons, c)
	}
	return s
}

// want is the transcript of the sample.
func (s *sample) want() string {
	t := &transcript{}
	s.state.Consumers = len(s.cons)
	_ = t.Stream(&Stream{State: &s.state})
	for _, c := range s.cons {
		c.Config.Name = c.Name
		_ = t.Consumer(&c)
	}
	for i := range s.recs {
		_ = t.Record(&s.recs[i])
	}
	_ = t.End(s.state.FirstSeq, s.state.LastSeq)
	return t.String()
}

// encode reads the output whenever limit bytes are there; held is the most that was there.
func (s *sample) encode(t testing.TB, limit int) (out []byte, held int) {
	var e Encoder
	buf := make([]byte, limit)
	drain := func(least int) {
		held = max(held, e.Len())
		for e.Len() >= least {
			out = append(out, buf[:e.Read(buf)]...)
		}
	}
	if err := e.Start(&s.state, len(s.cons), 7); err != nil {
		t.Fatal(err)
	}
	for i := range s.cons {
		if err := e.AddConsumer(&s.cons[i]); err != nil {
			t.Fatal(err)
		}
		drain(limit)
	}
	for i := range s.recs {
		if err := e.AddRecord(&s.recs[i]); err != nil {
			t.Fatal(err)
		}
		drain(limit)
	}
	if e.Finished() {
		t.Fatal("finished before the end")
	}
	if err := e.Finish(); err != nil {
		t.Fatal(err)
	}
	drain(1)
	if !e.Finished() || e.Len() != 0 {
		t.Fatal("not finished")
	}
	return out, held
}

func TestRoundTrip(t *testing.T) {
	r := rng.New(1)
	for i := range 20 {
		s := newSample(r, i*i, 100<<(i%8))
		b, _ := s.encode(t, 1+i*100)
		got, err := decode(b, 1+i*333, Options{})
		if err != nil {
			t.Fatal(i, err)
		}
		if want := s.want(); got.String() != want {
			t.Fatalf("%d: got\n%.2000s\nwant\n%.2000s", i, got, want)
		}
		if _, err := io.Copy(io.Discard, s2.NewReader(bytes.NewReader(b))); err != nil {
			t.Fatal(i, "as another implementation reads it:", err)
		}
	}
}

func TestEmptyStream(t *testing.T) {
	s := &sample{}
	b, _ := s.encode(t, 100)
	if got, err := decode(b, 5, Options{}); err != nil || got.String() != s.want() {
		t.Fatal(got, err)
	}
}

// A record larger than a block, and many blocks: what is held does not grow.
func TestEncoderIsBounded(t *testing.T) {
	s := newSample(rng.New(2), 300, 200<<10)
	s.recs[100].Payload = bytes.Repeat([]byte("xyz"), 1<<20)
	b, held := s.encode(t, 4096)
	if held > 200<<10+2*blockSize { // the large one compresses well
		t.Errorf("held %d bytes", held)
	}
	if got, err := decode(b, 64<<10, Options{}); err != nil || got.String() != s.want() {
		t.Fatal("decode", err)
	}
}

func TestConsumerIsBoundedByState(t *testing.T) {
	s := newSample(rng.New(3), 10, 10)
	last := s.state.LastSeq
	c := &s.cons[0]
	c.State.Delivered.Stream = last + 10
	c.State.Pending = jsapi.SnapshotPending{{Stream: last, Consumer: 5, Time: 6}, {Stream: last + 3, Consumer: 6, Time: 7}}
	c.State.Redelivered = jsapi.SnapshotRedelivered{{Stream: last, Count: 1}, {Stream: last + 3, Count: 2}}
	b, _ := s.encode(t, 10)
	if len(c.State.Pending) != 2 || c.State.Delivered.Stream != last+10 {
		t.Error("the caller's state was changed")
	}
	c.State.Delivered.Stream, c.State.Pending, c.State.Redelivered = last, c.State.Pending[:1], c.State.Redelivered[:1]
	if got, err := decode(b, 100, Options{}); err != nil || got.String() != s.want() {
		t.Fatal(got, err)
	}
}

func TestEncoderOrder(t *testing.T) {
	rec := func(seq uint64) *store.Rec { return &store.Rec{Seq: seq, Subject: []byte("a")} }
	state := &jsapi.StreamState{FirstSeq: 5, LastSeq: 9, Msgs: 5}
	for name, c := range map[string]struct {
		do   func(e *Encoder) error
		want error
	}{
		"record before start":    {func(e *Encoder) error { return e.AddRecord(rec(5)) }, ErrOrder},
		"end before start":       {(*Encoder).Finish, ErrOrder},
		"consumer too many":      {func(e *Encoder) error { return errors.Join(e.Start(state, 0, 1), e.AddConsumer(&Consumer{Name: "c"})) }, ErrOrder},
		"record before consumer": {func(e *Encoder) error { return errors.Join(e.Start(state, 1, 1), e.AddRecord(rec(5))) }, ErrOrder},
		"record twice": {func(e *Encoder) error {
			return errors.Join(e.Start(state, 0, 1), e.AddRecord(rec(5)), e.AddRecord(rec(5)))
		}, ErrOrder},
		"record below":  {func(e *Encoder) error { return errors.Join(e.Start(state, 0, 1), e.AddRecord(rec(4))) }, ErrRange},
		"record above":  {func(e *Encoder) error { return errors.Join(e.Start(state, 0, 1), e.AddRecord(rec(10))) }, ErrRange},
		"start twice":   {func(e *Encoder) error { return errors.Join(e.Start(state, 0, 1), e.Start(state, 0, 1)) }, ErrOrder},
		"end twice":     {func(e *Encoder) error { return errors.Join(e.Start(state, 0, 1), e.Finish(), e.Finish()) }, ErrOrder},
		"after the end": {func(e *Encoder) error { return errors.Join(e.Start(state, 0, 1), e.Finish(), e.AddRecord(rec(5))) }, ErrOrder},
	} {
		if err := c.do(new(Encoder)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	var e Encoder
	rec := store.Rec{Subject: []byte("orders.new"), Payload: bytes.Repeat([]byte("abcdefghij0123456789"), 10)}
	if err := e.Start(&jsapi.StreamState{FirstSeq: 1, LastSeq: 1 << 60}, 0, 1); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 128<<10)
	b.SetBytes(int64(len(rec.Payload)))
	b.ReportAllocs()
	for b.Loop() {
		rec.Seq++
		if err := e.AddRecord(&rec); err != nil {
			b.Fatal(err)
		}
		for e.Len() >= len(buf) {
			e.Read(buf)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	s := newSample(rng.New(1), 10000, 400)
	s.cons = nil
	in, _ := s.encode(b, 1<<20)
	h := &discard{}
	b.SetBytes(int64(len(plain(b, in))))
	b.ReportAllocs()
	for b.Loop() {
		d := NewDecoder(h, Options{})
		for rest := in; len(rest) > 0; rest = rest[min(128<<10, len(rest)):] {
			if err := d.Feed(rest[:min(128<<10, len(rest))]); err != nil {
				b.Fatal(err)
			}
		}
		if err := d.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

type discard struct{ sequences }

func (*discard) Record(*store.Rec) error { return nil }
