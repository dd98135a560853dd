package api

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"ramjet/proto/jsapi"
)

// restore begins a restore and returns its end.
func restore(b *bench) func(*Restored) {
	b.Helper()
	if p, ok := b.ask("a", "", "STREAM.RESTORE.R", `{"config":{"subjects":["r"]},"state":{}}`); !ok || strings.Contains(p.body, "error") {
		b.Fatalf("answer: %s", p.body)
	}
	return b.node.accounts["a"].restore
}

func TestRestoreEnds(t *testing.T) {
	for _, c := range []struct {
		name   string
		end    func(*fakeStream) *Restored
		want   []string // of the answer
		answer bool
		advice bool
	}{
		{"stream", func(s *fakeStream) *Restored { return &Restored{Stream: s, Bytes: 12, Reply: "r"} },
			[]string{`{"type":"io.nats.jetstream.api.v1.stream_create_response","config":{"name":"R"`, `"_nats.ver":"2.15.2"`, `"state":{`}, true, true},
		{"failure", func(*fakeStream) *Restored {
			return &Restored{Err: jsapi.StreamRestore.With("err", "backup is damaged"), Bytes: 12, Reply: "r"}
		}, []string{`"error":{"code":500,"err_code":10062,"description":"restore failed: backup is damaged"}`}, true, true},
		{"conflict", func(*fakeStream) *Restored {
			return &Restored{Err: jsapi.StreamSubjectOverlap.Err(), Bytes: 12, Reply: "r"}
		},
			[]string{`"err_code":10065`}, true, true},
		{"stall", func(*fakeStream) *Restored {
			return &Restored{Err: jsapi.StreamRestore.With("err", "stalled"), Bytes: 12}
		}, nil, false, false},
	} {
		b := newBench(t)
		b.node.server.Domain = "hub" // not part of this answer
		done := restore(b)
		s, _, err := b.node.accounts["a"].CreateStream(&jsapi.StreamConfig{Name: "R", Subjects: []string{"r"}})
		if err != nil {
			t.Fatal(err)
		}
		b.node.listens["a >"] = true
		done(c.end(s.(*fakeStream)))
		var answers, advices int
		for _, p := range b.node.take() {
			switch p.subject {
			case "r":
				answers++
				for _, w := range c.want {
					if !strings.Contains(p.body, w) {
						t.Errorf("%s: %s lacks %s", c.name, p.body, w)
					}
				}
				if strings.Contains(p.body, "did_create") || strings.Contains(p.body, "hub") {
					t.Errorf("%s: %s", c.name, p.body)
				}
			case "$JS.EVENT.ADVISORY.STREAM.RESTORE_COMPLETE.R":
				advices++
				if !strings.Contains(p.body, `"bytes":12,"client":{"acc":"a","id":7}`) {
					t.Errorf("%s: advisory %s", c.name, p.body)
				}
			}
		}
		if (answers == 1) != c.answer || (advices == 1) != c.advice {
			t.Errorf("%s: %d answers, %d advisories", c.name, answers, advices)
		}
	}
}

func TestSnapshotSizes(t *testing.T) {
	for _, c := range []struct{ chunk, window, wantChunk, wantWindow int }{
		{0, 0, 128 << 10, 8 << 20},
		{1, 1, 1 << 10, 1 << 10},
		{-5, -5, 1 << 10, 1 << 10},
		{5 << 20, 64 << 20, 1 << 20, 32 << 20},
		{512 << 10, 4 << 10, 512 << 10, 512 << 10},
	} {
		r := &jsapi.SnapshotRequest{ChunkSize: c.chunk, WindowSize: c.window}
		if boundSizes(r); r.ChunkSize != c.wantChunk || r.WindowSize != c.wantWindow {
			t.Errorf("%d %d: %d %d", c.chunk, c.window, r.ChunkSize, r.WindowSize)
		}
	}
}

func TestSnapshotFailureIsAdvised(t *testing.T) {
	b := newBench(t)
	b.ask("a", "", "STREAM.CREATE.S", `{"name":"S"}`)
	b.node.accounts["a"].streams["S"].snapshot = errors.New("no flow response")
	b.node.listens["a >"] = true
	b.send("a", "", "STREAM.SNAPSHOT.S", `{"deliver_subject":"x"}`)
	all := b.node.take()
	if last := all[len(all)-1]; !strings.HasSuffix(last.subject, "SNAPSHOT_COMPLETE.S") || !strings.Contains(last.body, `"error":"no flow response"`) {
		t.Errorf("last: %v", last)
	}
}

// TestRestoreMetadata: a stream from before there were API levels has none after its restore, as with nats-server.
func TestRestoreMetadata(t *testing.T) {
	for metadata, want := range map[string]string{
		`{}`: "map[]",
		`{"k":"v","_nats.ver":"1","_nats.level":"1"}`: "map[k:v]",
		`{"k":"v","_nats.req.level":"0"}`:             "map[_nats.req.level:0 k:v]",
	} {
		b := newBench(t)
		if p, ok := b.ask("a", "", "STREAM.RESTORE.R", `{"config":{"subjects":["r"],"metadata":`+metadata+`},"state":{}}`); !ok || strings.Contains(p.body, "error") {
			t.Fatalf("answer: %s", p.body)
		}
		if got := fmt.Sprint(b.node.accounts["a"].restoring.Config.Metadata); got != want {
			t.Errorf("%s: %s, want %s", metadata, got, want)
		}
	}
}
