package stream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ramjet/proto/jsapi"
)

func (r *rig) batch(id string, seq any, commit, subj string, pairs ...string) string {
	pairs = append([]string{"Nats-Batch-Id", id, "Nats-Batch-Sequence", fmt.Sprint(seq)}, pairs...)
	if commit != "" {
		pairs = append(pairs, "Nats-Batch-Commit", commit)
	}
	return r.pub(subj, "x", pairs...)
}

func TestAtomicBatch(t *testing.T) {
	r := newRig(t, `{"allow_atomic":true,"allow_rollup_hdrs":true}`)
	r.want(r.batch("b", 1, "", "a.1"), "")
	r.want(r.seqs(), "")
	r.want(r.batch("b", 2, "", "a.2"), "")
	r.want(r.batch("b", 3, "1", "a.3"), `"seq":3,"batch":"b","count":3`)
	r.want(r.seqs(), "1:a.1 2:a.2 3:a.3")
	r.want(r.batch("e", 1, "", "a.1"), "")
	r.want(r.batch("e", 2, "eob", "a.9"), `"seq":4,"batch":"e","count":1`)
	r.want(string(r.log.msgs[3].Header), "NATS/1.0\r\nNats-Batch-Id: e\r\nNats-Batch-Sequence: 1\r\nNats-Batch-Commit: 1\r\n\r\n")
	r.want(r.batch("l", 1, "1", "a.1"), `"seq":5,"batch":"l","count":1`)

	inc := "atomic publish batch is incomplete (10176)"
	r.want(r.batch("x", 1, "eob", "a.1"), inc)
	r.want(r.batch("x", 2, "", "a.1"), inc)
	r.want(r.batch("x", 1001, "", "a.1"), "atomic publish batch is too large: 1000 (10199)")
	r.want(r.batch("x", "z", "", "a.1"), "atomic publish sequence is missing (10175)")
	r.want(r.batch("x", 0, "", "a.1"), inc)
	r.want(r.batch("x", 1, "2", "a.1"), "atomic publish batch commit is invalid (10200)")
	r.want(r.batch(strings.Repeat("i", 65), 1, "", "a.1"), "atomic publish batch ID is invalid (10179)")
	r.batch("g", 1, "", "a.1")
	r.want(r.batch("g", 3, "", "a.1"), inc)
	r.want(r.batch("g", 2, "", "a.1"), inc)
	r.want(r.batch("v", 1, "", "a.1", "Nats-Required-Api-Level", "99"), "JetStream minimum api level required (10185)")

	// Nothing is stored when one message fails.
	fails := func(want string, msgs ...[]string) {
		t.Helper()
		before, got := r.seqs(), ""
		for i, m := range msgs {
			commit := ""
			if i == len(msgs)-1 {
				commit = "1"
			}
			got = r.batch("f", i+1, commit, m[0], m[1:]...)
		}
		r.want(got, want)
		r.want(r.seqs(), before)
		if len(r.f.atomic) != 0 || r.f.InFlight() != 0 || r.f.inMsgs != 0 || r.f.batchMem != 0 {
			t.Error("something is left of the batch")
		}
	}
	fails("atomic publish unsupported header used: Nats-Expected-Last-Msg-Id (10177)", []string{"a.1"}, []string{"a.1", "Nats-Expected-Last-Msg-Id", "x"})
	fails("wrong last sequence (10164)", []string{"a.1"}, []string{"a.1", "Nats-Expected-Last-Sequence", "6"})
	fails("wrong last sequence: 6 (10071)", []string{"a.1"}, []string{"a.1", "Nats-Expected-Last-Sequence", "5"})
	fails("wrong last sequence (10164)", []string{"a.1"}, []string{"a.2", "Nats-Expected-Last-Subject-Sequence", "1", "Nats-Expected-Last-Subject-Sequence-Subject", "a.1"})
	fails("wrong last sequence: 5 (10071)", []string{"a.1", "Nats-Expected-Last-Sequence", "6"})
	fails("wrong last sequence (10164)", []string{"a.1"}, []string{"a.1", "Nats-Expected-Last-Subject-Sequence", "5"})
	fails("atomic publish batch contains duplicate message id (10201)", []string{"a.1", "Nats-Msg-Id", "d"}, []string{"a.2", "Nats-Msg-Id", "d"})
	fails("batch rollup sub invalid (10111)", []string{"a.1"}, []string{"a.1", "Nats-Rollup", "sub"})
	fails("batch rollup all invalid (10111)", []string{"a.1"}, []string{"a.2", "Nats-Rollup", "all"})
	r.want(r.pub("a.1", "x", "Nats-Msg-Id", "d"), `"seq":6`) // the id of the failed batch is free
	fails("atomic publish batch contains duplicate message id (10201)", []string{"a.1"}, []string{"a.2", "Nats-Msg-Id", "d"})

	r.eff = nil
	r.batch("t", 1, "", "a.1")
	r.tick(10 * time.Second)
	r.want(strings.Join(r.eff, ";"), "abandoned t timeout")
	r.want(r.batch("t", 2, "", "a.1"), inc)
	r.f.SetBatchLimits(BatchLimits{AtomicPerStream: 1, AtomicMsgs: 2})
	r.batch("q", 1, "", "a.1")
	r.want(r.batch("p", 1, "", "a.1"), "atomic publish too many inflight (10210)")
	r.batch("q", 2, "", "a.1")
	r.want(r.batch("q", 3, "eob", "a.1"), `"seq":8,"batch":"q","count":2`)
	r.batch("q", 1, "", "a.1")
	r.batch("q", 2, "", "a.1")
	r.want(r.batch("q", 3, "1", "a.1"), "atomic publish batch is too large: 2 (10199)")
}

func TestAtomicCounters(t *testing.T) {
	r := newRig(t, `{"allow_atomic":true,"allow_msg_counter":true}`)
	add := func(seq int, commit, incr string) string {
		p := []string{"Nats-Batch-Id", "b", "Nats-Batch-Sequence", fmt.Sprint(seq), "Nats-Incr", incr}
		if commit != "" {
			p = append(p, "Nats-Batch-Commit", commit)
		}
		return r.pub("a.1", "", p...)
	}
	add(1, "", "5")
	add(2, "1", "x")
	add(1, "", "5")
	add(2, "", "6")
	add(3, "1", "7")
	r.want(string(r.log.msgs[2].Payload), `{"val":"18"}`)
}

func (r *rig) fast(id string, flow int, gap string, seq, op int, subj string, pairs ...string) string {
	return strings.TrimSpace(r.pubReply(fmt.Sprintf("_I.%s.%d.%s.%d.%d.$FI", id, flow, gap, seq, op), subj, "x", pairs...))
}

// The answers are those of nats-server 2.15.2 to the same messages.
func TestFastBatch(t *testing.T) {
	r := newRig(t, `{"allow_batched":true}`)
	bad := []string{"Nats-Expected-Stream", "X"}
	const (
		unknown   = "batch publish ID unknown (10208)"
		pattern   = "batch publish pattern is invalid (10206)"
		mismatch  = "expected stream does not match (10060)"
		errMsg    = `,"error":{"code":400,"err_code":10060,"description":"expected stream does not match"}`
		ack0, ack = `{"type":"ack","seq":0,"msgs":`, `{"type":"ack","seq":`
	)
	for i, c := range []struct {
		id      string
		flow    int
		gap     string
		seq, op int
		pairs   []string
		want    string
	}{
		{"b", 2, "ok", 1, 0, nil, ack0 + "2"},
		{"b", 2, "ok", 2, 1, nil, ack + `2,"msgs":2`},
		{"b", 2, "ok", 3, 4, nil, `{"type":"gap","last_seq":3,"seq":4 ` + ack + `2,"msgs":2`},
		{"b", 2, "ok", 5, 4, nil, `{"type":"gap","last_seq":4,"seq":6 ` + ack + `4,"msgs":2`},
		{"b", 2, "ok", 3, 2, nil, `{"type":"gap","last_seq":6,"seq":3 "seq":2,"batch":"b","count":5`},
		{"c", 2, "ok", 1, 2, nil, `"seq":3,"batch":"c","count":1`},
		{"c", 2, "ok", 2, 1, nil, unknown},
		{"c", 2, "ok", 1, 4, nil, unknown},
		{"c", 2, "ok", 2, 0, nil, pattern},
		{"c", 2, "no", 1, 0, nil, pattern},
		{"c", 2, "ok", 1, 9, nil, pattern},
		{"c", 2, "ok", 1, 3, nil, pattern},
		{strings.Repeat("x", 65), 2, "ok", 1, 0, nil, "batch publish ID is invalid (10207)"},
		{"other", -1, "ok", 1, 0, nil, ack0 + "10"},
		{"g", 10, "fail", 1, 0, nil, ack0 + `1 ` + ack + `1,"msgs":2`},
		{"g", 10, "fail", 3, 1, nil, `{"type":"gap","last_seq":2,"seq":3 "seq":5,"batch":"g","count":1`},
		{"o", 10, "ok", 1, 0, nil, ack0 + `1 ` + ack + `1,"msgs":2`},
		{"o", 10, "ok", 3, 1, nil, `{"type":"gap","last_seq":2,"seq":3 ` + ack + `3,"msgs":4`},
		{"o", 10, "ok", 4, 3, nil, `"seq":7,"batch":"o","count":3`},
		{"w", 10, "ok", 1, 0, nil, ack0 + `1 ` + ack + `1,"msgs":2`},
		{"w", 10, "ok", 1, 0, nil, `{"type":"gap","last_seq":2,"seq":1 "seq":8,"batch":"w","count":1`},
		{"e", 10, "fail", 1, 0, bad, ack0 + "1 " + mismatch},
		{"e", 10, "fail", 2, 1, nil, unknown},
		{"k", 10, "ok", 1, 0, bad, ack0 + `1 {"type":"err","seq":1` + errMsg},
		{"k", 10, "ok", 2, 1, nil, ack + `2,"msgs":2`},
		{"k", 10, "ok", 3, 3, nil, `"seq":9,"batch":"k","count":2`},
		{"h", 10, "ok", 1, 0, []string{"Nats-Msg-Id", "i"}, ack0 + `1 ` + ack + `1,"msgs":2`},
		{"h", 10, "ok", 2, 1, bad, `{"type":"err","seq":2` + errMsg},
		{"m", 10, "fail", 1, 0, nil, ack0 + `1 ` + ack + `1,"msgs":2`},
		{"m", 10, "fail", 2, 1, bad, `{"type":"err","seq":2` + errMsg + ` "seq":11,"batch":"m","count":1`},
		{"m", 10, "fail", 3, 2, nil, unknown},
		{"q", 3, "ok", 1, 0, nil, ack0 + `1 ` + ack + `1,"msgs":2`},
		{"q", 3, "ok", 2, 1, nil, ""},
		{"q", 3, "ok", 3, 1, nil, ack + `3,"msgs":3`},
		{"q", 3, "ok", 4, 1, nil, ""},
		{"q", 3, "ok", 5, 1, nil, ""},
		{"q", 3, "ok", 6, 1, nil, ack + `6,"msgs":3`},
		{"u", 3, "ok", 1, 2, bad, `{"type":"err","seq":1` + errMsg + ` "seq":0,"batch":"u","count":0`},
	} {
		got := strings.ReplaceAll(r.fast(c.id, c.flow, c.gap, c.seq, c.op, "a.1", c.pairs...), "}} ", "} ")
		if got != c.want {
			t.Errorf("%d %s.%d.%d: got %s, want %s", i, c.id, c.seq, c.op, got, c.want)
		}
	}
	r.want(r.pubReply("_I.c.2.ok.18446744073709551615.1.$FI", "a.1", "x"), pattern)
	// A duplicate is persisted; the PubAck waits for what is in flight.
	r.want(r.fast("h", 10, "ok", 3, 2, "a.1", "Nats-Msg-Id", "i"), ack+`3,"msgs":4 "seq":10,"batch":"h","count":3`)
	r.hold = true
	r.fast("p", 10, "ok", 1, 0, "a.1")
	r.want(r.fast("p", 10, "ok", 2, 2, "a.1"), "")
	r.flush()
	r.want(strings.ReplaceAll(r.take(), "} ", " "), `"seq":19,"batch":"p","count":2`)
	r.hold = false
	r.fast("z", 10, "ok", 1, 0, "a.1")
	r.tick(10 * time.Second)
	r.want(r.fast("z", 10, "ok", 2, 1, "a.1"), unknown)
	// Behind an import the reply subject is in the header.
	info := `{"acc":"B","reply":"_I.i.10.ok.1.2.$FI"}`
	r.want(r.pubReply("_R_.x.y", "a.1", "x", "Nats-Request-Info", info), `"seq":21,"batch":"i","count":1`)
	r.want(r.pubReply("other", "a.1", "x", "Nats-Request-Info", info), `"seq":22`)
	r.want(r.pubReply("_R_.x.y", "a.1", "x", "Nats-Request-Info", `{"acc":"B"}`), `"seq":23`)
	r = newRig(t, `{}`)
	r.want(r.fast("z", 10, "ok", 1, 0, "a.1"), "batch publish is disabled (10205)")
}

func FuzzFastReply(f *testing.F) {
	f.Add([]byte("_I.b.2.ok.1.0.$FI"))
	f.Add([]byte(".$FI"))
	f.Add([]byte("a.b.-1.fail.2.1.$FI"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if !isFastReply(b) {
			return
		}
		var r fastReply
		if parseFastReply(b, &r) && (r.seq == 0 || r.flow == 0 || r.flow > 65535) {
			t.Fatalf("%q: %+v", b, r)
		}
	})
}

func TestHolders(t *testing.T) {
	var h Holders
	if h.Interest([]byte("a")) || h.Needs(1, []byte("a")) {
		t.Error("nobody")
	}
	all := &fakeHolder{}
	h.Add(all)
	if !h.Interest([]byte("a")) || h.Len() != 1 {
		t.Error("unfiltered")
	}
	h.Remove(all)
	if h.Len() != 0 {
		t.Error("removed")
	}
}

func TestAckRule(t *testing.T) {
	for _, c := range []struct {
		cfg    jsapi.StreamConfig
		always bool
		want   string
	}{
		{jsapi.StreamConfig{Storage: jsapi.MemoryStorage, Replicas: 1}, true, "{false 0}"},
		{jsapi.StreamConfig{Storage: jsapi.MemoryStorage, Replicas: 3}, true, "{true 0}"},
		{jsapi.StreamConfig{Replicas: 1}, true, "{false 2}"},
		{jsapi.StreamConfig{Replicas: 3}, true, "{true 2}"},
		{jsapi.StreamConfig{Replicas: 1}, false, "{false 1}"},
		{jsapi.StreamConfig{Replicas: 3}, false, "{true 1}"},
		{jsapi.StreamConfig{Replicas: 1, PersistMode: jsapi.PersistAsync}, true, "{false 0}"},
	} {
		if got := fmt.Sprint(RuleFor(&c.cfg, c.always)); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
