package backup

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"ramjet/proto/base/rng"
	"ramjet/proto/jsapi"
	"ramjet/store"
)

const second = int64(1e9)

// source drives the encoder of a session from a sample.
type source struct {
	*sample
	enc  Encoder
	next int
}

func newSource(t *testing.T, s *sample) *source {
	x := &source{sample: s}
	if err := x.enc.Start(&s.state, len(s.cons), 1); err != nil {
		t.Fatal(err)
	}
	for i := range s.cons {
		if err := x.enc.AddConsumer(&s.cons[i]); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

// pump feeds the session as long as it wants and returns what it sends.
func (x *source) pump(t *testing.T, s *SnapshotSession, now int64) (out []Msg) {
	s.Tick(now)
	for {
		for s.Wants() {
			err := error(nil)
			if x.next < len(x.recs) {
				err = x.enc.AddRecord(&x.recs[x.next])
				x.next++
			} else {
				err = x.enc.Finish()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		m, ok := s.Next(now)
		if !ok {
			return out
		}
		m.Payload = append([]byte(nil), m.Payload...)
		out = append(out, m)
	}
}

func session(x *source, chunk, window int) *SnapshotSession {
	r := &jsapi.SnapshotRequest{DeliverSubject: "d", ChunkSize: chunk, WindowSize: window}
	return NewSnapshotSession(r, "S", "ID", &x.enc, 0)
}

func TestSnapshotIsChunkedWithinTheWindow(t *testing.T) {
	x := newSource(t, newSample(rng.New(1), 200, 1000))
	s := session(x, 4096, 3*4096+100)
	if s.AckSubject() != "$JS.SNAPSHOT.ACK.S.ID.>" {
		t.Error(s.AckSubject())
	}
	if out := x.pump(t, s, 0); out != nil || s.Deadline() != 2*second {
		t.Fatal("sent without interest", out, s.Deadline())
	}
	s.Interest(true, 1)
	var all []byte
	now, chunks, most := int64(1), 0, 0
	var last Msg
	for pending := 0; !s.Done(); now++ {
		for _, m := range x.pump(t, s, now) {
			last = m
			if m.Subject != "d" || (m.Header != nil) != s.Done() && len(m.Payload) == 0 {
				t.Fatalf("%+v", m)
			}
			all = append(all, m.Payload...)
			if m.Reply == "" {
				continue
			}
			chunks++
			pending++
			if want := fmt.Sprint("$JS.SNAPSHOT.ACK.S.ID.4096.", chunks); m.Reply != want || len(m.Payload) != 4096 {
				t.Fatalf("chunk of %d bytes with %s, want %s", len(m.Payload), m.Reply, want)
			}
		}
		most = max(most, pending)
		if pending > 3 || !s.Done() && s.Deadline() == 0 {
			t.Fatal(pending, s.Deadline())
		}
		if pending > 0 {
			pending--
			s.Ack(now)
		}
	}
	if string(last.Header) != "NATS/1.0 204\r\n\r\n" || len(last.Payload) > 0 || last.Reply != "" || s.Err() != nil || s.Deadline() != 0 {
		t.Errorf("%+v %v", last, s.Err())
	}
	if _, ok := s.Next(now); ok || most != 3 || chunks < 10 {
		t.Error(most, chunks)
	}
	if got, err := decode(all, 777, Options{}); err != nil || got.String() != x.want() {
		t.Error(err)
	}
}

func TestSmallSnapshot(t *testing.T) {
	x := newSource(t, newSample(rng.New(1), 3, 10))
	s := session(x, 128<<10, 8<<20)
	s.Interest(true, 0)
	out := x.pump(t, s, 0)
	if len(out) != 2 || out[0].Reply != "" || len(out[0].Payload) == 0 || out[1].Header != nil || len(out[1].Payload) > 0 || !s.Done() {
		t.Fatalf("%+v", out)
	}
}

func TestSnapshotInterestAndAcks(t *testing.T) {
	start := func() (*source, *SnapshotSession) {
		x := newSource(t, newSample(rng.New(1), 100, 1000))
		return x, session(x, 1024, 2048)
	}
	// No interest at all: two seconds later it starts, and nobody acknowledges.
	x, s := start()
	s.Interest(false, 0)
	if x.pump(t, s, 2*second-1) != nil {
		t.Error("too early")
	}
	if n := len(x.pump(t, s, s.Deadline())); n != 2 || s.Deadline() != 7*second {
		t.Error(n, s.Deadline())
	}
	if x.pump(t, s, 7*second-1) != nil {
		t.Error("too early")
	}
	out := x.pump(t, s, 7*second)
	if len(out) != 1 || string(out[0].Header) != "NATS/1.0 408 No Flow Response\r\n\r\n" || out[0].Reply != "" || !s.Done() || s.Err() != ErrNoFlowResponse {
		t.Errorf("%+v %v", out, s.Err())
	}
	// Acks take up to five seconds each; a slow source does not count.
	x, s = start()
	s.Interest(true, second)
	x.pump(t, s, second)
	s.Ack(5 * second)
	if s.Deadline() != 0 {
		t.Error("waits for an ack with a free slot", s.Deadline())
	}
	if out = x.pump(t, s, 60*second); len(out) != 1 || s.Deadline() != 65*second {
		t.Error(len(out), s.Deadline())
	}
	// Interest goes.
	s.Interest(false, 61*second)
	out = x.pump(t, s, 61*second)
	if len(out) != 1 || string(out[0].Header) != "NATS/1.0 408 No Interest\r\n\r\n" || s.Err() != ErrNoInterest || s.Wants() {
		t.Errorf("%+v %v", out, s.Err())
	}
	// The source fails.
	x, s = start()
	s.Interest(true, 0)
	x.pump(t, s, 0)
	s.Fail(errors.New("bad\r\nblock"))
	out = x.pump(t, s, 0)
	if len(out) != 1 || string(out[0].Header) != "NATS/1.0 500 bad  block\r\n\r\n" || s.Err() == nil {
		t.Errorf("%+v %v", out, s.Err())
	}
	s.Fail(errors.New("late"))
	s.Interest(false, 0)
	if s.Err().Error() != "bad\r\nblock" {
		t.Error(s.Err())
	}
}

func TestRestore(t *testing.T) {
	for name, b := range backups(t) {
		h := &transcript{}
		s := NewRestoreSession("S", "ID", NewDecoder(h, Options{}), 0)
		if s.Subject() != "$JS.SNAPSHOT.RESTORE.S.ID" || s.Deadline() != 5*second {
			t.Fatal(s.Subject(), s.Deadline())
		}
		now, size := int64(0), int64(len(b))
		for len(b) > 0 {
			n := min(300, len(b))
			now += 4 * second
			m, ok := s.Chunk("r", b[:n], now)
			if !ok || m.Subject != "r" || m.Header != nil || len(m.Payload) > 0 || s.Phase() != Receiving {
				t.Fatalf("%s: %+v", name, m)
			}
			now += 9 * second // the handler took its time
			s.Touch(now)
			s.Tick(now + 5*second - 1)
			b = b[n:]
		}
		s.Finish(nil)
		if s.Phase() != Receiving {
			t.Fatal("finished before the end")
		}
		m, ok := s.Chunk("last", nil, now)
		if ok || s.Phase() != Received || s.Deadline() != 0 || s.Bytes() != size || s.Reply() != "last" {
			t.Fatalf("%s: %+v %v", name, m, s.Phase())
		}
		s.Tick(now + 100*second)
		s.Finish(nil)
		if s.Phase() != Over || s.Err() != nil || s.APIError() != nil || s.Reply() != "last" {
			t.Fatal(name, s.Phase(), s.Err())
		}
		if _, ok := s.Chunk("r", []byte("x"), now); ok {
			t.Fatal("a chunk after the end")
		}
		if got, err := decode(backups(t)[name], 100, Options{}); err != nil || got.String() != h.String() {
			t.Error(name, err)
		}
	}
}

func TestRestoreFails(t *testing.T) {
	good := backups(t)["testdata/2.15_file"]
	limit := jsapi.StorageResourcesExceeded.Err()
	for name, c := range map[string]struct {
		run   func(s *RestoreSession)
		fail  error // of the handler
		reply string
		err   error
		text  string // of the API
		code  jsapi.ErrCode
	}{
		"garbage":  {func(s *RestoreSession) { s.Chunk("r", []byte("garbage"), 1) }, nil, "r", ErrFrame, "restore failed: backup is not a stream of S2 chunks", 10062},
		"nothing":  {func(s *RestoreSession) { s.Chunk("r", nil, 1) }, nil, "r", errTruncated, "restore failed: backup was truncated", 10062},
		"handler":  {func(s *RestoreSession) { s.Chunk("r", good, 1) }, limit, "r", limit, "insufficient storage", 10047},
		"no reply": {func(s *RestoreSession) { s.Chunk("", good, 1) }, nil, "", ErrNoReply, "reply subject", 10062},
		"silence":  {func(s *RestoreSession) { s.Tick(5 * second) }, nil, "", ErrStalled, "stalled", 10062},
		"not activated": {func(s *RestoreSession) {
			s.Chunk("q", good, 1)
			s.Chunk("r", nil, 1)
			s.Finish(errHandler)
		}, nil, "r", errHandler, "restore failed: handler", 10062},
	} {
		s := NewRestoreSession("S", "ID", NewDecoder(&failing{err: c.fail}, Options{}), 0)
		c.run(s)
		e := s.APIError()
		if s.Phase() != Over || s.Reply() != c.reply || !errors.Is(s.Err(), c.err) || e == nil || e.ErrCode != c.code || !strings.Contains(e.Description, c.text) {
			t.Errorf("%s: %q %v %v", name, s.Reply(), s.Err(), e)
		}
		if _, ok := s.Chunk("r", good, 2); ok || s.Deadline() != 0 {
			t.Errorf("%s: goes on", name)
		}
	}
}

// failing is a handler that cannot store.
type failing struct {
	sequences
	err error
}

func (f *failing) Record(r *store.Rec) error {
	if f.err != nil {
		return f.err
	}
	return f.sequences.Record(r)
}
