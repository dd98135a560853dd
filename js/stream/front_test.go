package stream

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"ramjet/js/op"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
	"ramjet/store"
)

// rig is a stream whose commands are durable at once, or when flush is called.
type rig struct {
	t    testing.TB
	cfg  jsapi.StreamConfig
	log  *fakeLog
	m    *Machine
	f    *Front
	h    Holders
	b    op.Batch
	out  Effects
	now  int64
	seen []string // what was sent
	eff  []string // other effects
	hold bool     // commands wait for flush
	idx  uint64
}

const testStart = 1_700_000_000_000_000_000

func newRig(t testing.TB, config string) *rig {
	return newRigWith(t, config, FrontConfig{})
}

func newRigWith(t testing.TB, config string, fc FrontConfig) *rig {
	t.Helper()
	r := &rig{t: t, log: &fakeLog{}, now: testStart}
	if err := json.Unmarshal([]byte(config), &r.cfg); err != nil {
		t.Fatal(err)
	}
	if r.cfg.Name == "" {
		r.cfg.Name = "S"
	}
	if len(r.cfg.Subjects) == 0 && r.cfg.Mirror == nil {
		r.cfg.Subjects = []string{"a.>", "b.>"}
	}
	r.cfg.Storage = jsapi.MemoryStorage
	if err := CheckCreate(&r.cfg, &Context{Clustered: true}); err != nil {
		t.Fatal(err)
	}
	r.m = NewMachine(&r.cfg, r.log, &r.h)
	r.m.SetLeader(true)
	r.f = NewFront(r.m, fc)
	return r
}

func hdr(pairs ...string) []byte {
	if len(pairs) == 0 {
		return nil
	}
	s := "NATS/1.0\r\n"
	for i := 0; i < len(pairs); i += 2 {
		s += pairs[i] + ": " + pairs[i+1] + "\r\n"
	}
	return []byte(s + "\r\n")
}

// pub publishes and returns the answers.
func (r *rig) pub(subj, payload string, pairs ...string) string {
	return r.pubReply("reply", subj, payload, pairs...)
}

func (r *rig) pubReply(reply, subj, payload string, pairs ...string) string {
	r.f.Publish(&Inbound{Subject: []byte(subj), Reply: []byte(reply), Header: hdr(pairs...), Payload: []byte(payload)}, r.now, &r.b, &r.out)
	if !r.hold {
		r.flush()
	} else {
		r.collect()
	}
	return r.take()
}

func (r *rig) take() string {
	s := strings.Join(r.seen, " ")
	r.seen = r.seen[:0]
	return s
}

func (r *rig) flush() {
	for n := 0; r.b.Len() > 0; n++ {
		entry := r.b.Take()
		rd := op.Open(entry)
		var c op.Cmd
		for rd.Next(&c) {
			r.idx++
			r.m.Apply(r.idx, &c, &r.out)
			r.f.Applied(&c, &r.out)
		}
		if rd.Err() != nil {
			r.t.Fatal(rd.Err())
		}
	}
	r.collect()
}

func (r *rig) collect() {
	for _, e := range r.out.List {
		switch e.Kind {
		case Send:
			p := strings.TrimSuffix(strings.TrimPrefix(string(e.Payload), `{"stream":"S",`), "}")
			if e.Err != nil {
				p = fmt.Sprint(e.Err)
			}
			r.seen = append(r.seen, p)
		case Republish:
			r.eff = append(r.eff, fmt.Sprintf("republish %s %q %s", e.Subject, e.Header, e.Payload))
		case Removed:
			r.eff = append(r.eff, fmt.Sprintf("removed %d %v", e.Seq, e.Limit))
		case Purged:
			r.eff = append(r.eff, fmt.Sprintf("purged %d", e.Seq))
		case Abandoned:
			r.eff = append(r.eff, fmt.Sprintf("abandoned %s %s", e.Subject, e.Text))
		case Failed:
			r.eff = append(r.eff, "failed "+e.Err.Error())
		}
	}
	r.out.Reset()
}

func (r *rig) tick(d time.Duration) {
	r.now += int64(d)
	r.f.Tick(r.now, &r.b, &r.out)
	r.flush()
}

// seqs lists what is stored.
func (r *rig) seqs() string {
	var s []string
	for _, m := range r.log.msgs {
		s = append(s, fmt.Sprintf("%d:%s", m.Seq, m.Subject))
	}
	return strings.Join(s, " ")
}

func (r *rig) want(got, want string) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("got %q, want %q", got, want)
	}
}

func TestPublishChecks(t *testing.T) {
	big := strings.Repeat("x", 100)
	for _, c := range []struct {
		name, config string
		pubs         [][]string // subject, payload, headers...; the last one's answer counts
		want         string
	}{
		{"plain", `{}`, [][]string{{"a.1", "x"}}, `"seq":1`},
		{"size", `{"max_msg_size":50}`, [][]string{{"a.1", big}}, "message size exceeds maximum allowed (10054)"},
		{"size counts headers", `{"max_msg_size":50}`, [][]string{{"a.1", "", "K", big}}, "message size exceeds maximum allowed (10054)"},
		{"header size", `{}`, [][]string{{"a.1", "", "K", strings.Repeat("y", 65536)}}, "header size exceeds maximum allowed of 64k (10097)"},
		{"incr text", `{"allow_msg_counter":true}`, [][]string{{"a.1", "", "Nats-Incr", "x"}}, "message counter increment is invalid (10171)"},
		{"incr disabled", `{}`, [][]string{{"a.1", "", "Nats-Incr", "1"}}, "message counters is disabled (10168)"},
		{"incr payload", `{"allow_msg_counter":true}`, [][]string{{"a.1", "x", "Nats-Incr", "1"}}, "message counter has payload (10170)"},
		{"incr rollup", `{"allow_msg_counter":true}`, [][]string{{"a.1", "", "Nats-Incr", "1", "Nats-Rollup", "sub"}}, "message counter increment is invalid (10171)"},
		{"incr missing", `{"allow_msg_counter":true}`, [][]string{{"a.1", "x"}}, "message counter increment is missing (10169)"},
		{"expected stream", `{}`, [][]string{{"a.1", "x", "Nats-Expected-Stream", "T"}}, "expected stream does not match (10060)"},
		{"expected stream ok", `{}`, [][]string{{"a.1", "x", "Nats-Expected-Stream", "S"}}, `"seq":1`},
		{"ttl disabled", `{}`, [][]string{{"a.1", "x", "Nats-TTL", "5s"}}, "per-message TTL is disabled (10166)"},
		{"ttl disabled, bad", `{}`, [][]string{{"a.1", "x", "Nats-TTL", "0"}}, "invalid per-message TTL (10165)"},
		{"ttl empty", `{}`, [][]string{{"a.1", "x", "Nats-TTL", ""}}, `"seq":1`},
		{"ttl zero", `{"allow_msg_ttl":true}`, [][]string{{"a.1", "x", "Nats-TTL", "0s"}}, "invalid per-message TTL (10165)"},
		{"last seq text", `{}`, [][]string{{"a.1", "x", "Nats-Expected-Last-Sequence", "x"}}, "wrong last sequence: 0 (10071)"},
		{"subject seq text", `{}`, [][]string{{"a.1", "x", "Nats-Expected-Last-Subject-Sequence", "x"}}, "wrong last sequence: 0 (10071)"},
		{"empty expectations", `{}`, [][]string{{"a.1", "x", "Nats-Expected-Stream", "", "Nats-Rollup", "", "Nats-Msg-Id", "", "Nats-Batch-Id", ""}}, `"seq":1`},
		{"schedule never", `{"allow_msg_schedules":true}`, [][]string{{"a.1", "x", "Nats-Schedule", "0 0 0 30 2 *", "Nats-Schedule-Target", "a.2"}}, "message schedules pattern is invalid (10189)"},
		{"schedule rollup all", `{"allow_msg_schedules":true}`, [][]string{{"a.1", "x", "Nats-Schedule", "@hourly", "Nats-Schedule-Target", "a.2", "Nats-Rollup", "all"}}, "message schedules invalid rollup (10192)"},
		{"scheduler alone", `{"allow_msg_schedules":true}`, [][]string{{"a.1", "x", "Nats-Scheduler", "a.7"}}, "message schedules invalid scheduler (10212)"},
		{"ttl bad", `{"allow_msg_ttl":true}`, [][]string{{"a.1", "x", "Nats-TTL", "500ms"}}, "invalid per-message TTL (10165)"},
		{"ttl never", `{"allow_msg_ttl":true}`, [][]string{{"a.1", "x", "Nats-TTL", "NEVER"}}, `"seq":1`},
		{"subject seq", `{}`, [][]string{{"a.1", "x"}, {"a.1", "x", "Nats-Expected-Last-Subject-Sequence", "0"}}, "wrong last sequence: 1 (10071)"},
		{"subject seq ok", `{}`, [][]string{{"a.1", "x"}, {"a.2", "x"}, {"a.1", "x", "Nats-Expected-Last-Subject-Sequence", "1"}}, `"seq":3`},
		{"subject seq new", `{}`, [][]string{{"a.1", "x"}, {"a.2", "x", "Nats-Expected-Last-Subject-Sequence", "0"}}, `"seq":2`},
		{"subject seq pattern", `{}`, [][]string{{"a.1", "x"}, {"b.2", "x"}, {"a.3", "x", "Nats-Expected-Last-Subject-Sequence", "2", "Nats-Expected-Last-Subject-Sequence-Subject", "a.*"}}, "wrong last sequence: 1 (10071)"},
		{"subject alone", `{}`, [][]string{{"a.3", "x", "Nats-Expected-Last-Subject-Sequence-Subject", "a.*"}}, "missing sequence for expected last sequence per subject (10193)"},
		{"last seq zero", `{}`, [][]string{{"a.1", "x"}, {"a.1", "x", "Nats-Expected-Last-Sequence", "0"}}, "wrong last sequence: 1 (10071)"},
		{"last seq ok", `{}`, [][]string{{"a.1", "x"}, {"a.1", "x", "Nats-Expected-Last-Sequence", "1"}}, `"seq":2`},
		{"stream source", `{}`, [][]string{{"a.1", "x", "Nats-Stream-Source", "x"}}, "message stream source header is not allowed (10227)"},
		{"dup", `{}`, [][]string{{"a.1", "x", "Nats-Msg-Id", "i"}, {"a.2", "x", "Nats-Msg-Id", "i"}}, `"seq":1,"duplicate": true`},
		{"dup prefix", `{}`, [][]string{{"a.1", "x", "Nats-Msg-Id", "i"}, {"a.2", "x", "Nats-Msg-Id2", "i"}}, `"seq":2`},
		{"seq before dup", `{}`, [][]string{{"a.1", "x", "Nats-Msg-Id", "i", "Nats-Expected-Last-Sequence", "0"}, {"a.1", "x", "Nats-Msg-Id", "i", "Nats-Expected-Last-Sequence", "0"}}, "wrong last sequence: 1 (10071)"},
		{"last id", `{}`, [][]string{{"a.1", "x", "Nats-Msg-Id", "i"}, {"a.1", "x", "Nats-Expected-Last-Msg-Id", "j"}}, "wrong last msg ID: i (10070)"},
		{"last id none", `{}`, [][]string{{"a.1", "x"}, {"a.1", "x", "Nats-Expected-Last-Msg-Id", "j"}}, "wrong last msg ID:  (10070)"},
		{"last id ok", `{}`, [][]string{{"a.1", "x", "Nats-Msg-Id", "i"}, {"a.1", "x", "Nats-Expected-Last-Msg-Id", "i"}}, `"seq":2`},
		{"rollup refused", `{}`, [][]string{{"a.1", "x", "Nats-Rollup", "sub"}}, "rollup not permitted (10111)"},
		{"rollup bad", `{"allow_rollup_hdrs":true}`, [][]string{{"a.1", "x", "Nats-Rollup", "x"}}, `rollup value invalid: "x" (10111)`},
		{"discard new msgs", `{"discard":"new","max_msgs":1}`, [][]string{{"a.1", "x"}, {"a.2", "x"}}, "maximum messages exceeded (10077)"},
		{"discard new bytes", `{"discard":"new","max_bytes":60}`, [][]string{{"a.1", "x"}, {"a.2", big}}, "maximum bytes exceeded (10077)"},
		{"discard new subject", `{"discard":"new","max_msgs_per_subject":1,"discard_new_per_subject":true}`, [][]string{{"a.1", "x"}, {"a.1", "x"}}, "maximum messages per subject exceeded (10077)"},
		{"discard new subject rollup", `{"discard":"new","max_msgs_per_subject":1,"discard_new_per_subject":true,"allow_rollup_hdrs":true}`, [][]string{{"a.1", "x"}, {"a.1", "x", "Nats-Rollup", "sub"}}, `"seq":2`},
		{"discard new replaces", `{"discard":"new","max_msgs":1,"max_msgs_per_subject":1}`, [][]string{{"a.1", "x"}, {"a.1", "y"}}, `"seq":2`},
		{"schedule disabled", `{}`, [][]string{{"a.1", "x", "Nats-Schedule", "@every 1s"}}, "message schedules is disabled (10188)"},
		{"schedule pattern", `{"allow_msg_schedules":true}`, [][]string{{"a.1", "x", "Nats-Schedule", "@every 1ms", "Nats-Schedule-Target", "a.2"}}, "message schedules pattern is invalid (10189)"},
		{"schedule target", `{"allow_msg_schedules":true}`, [][]string{{"a.1", "x", "Nats-Schedule", "@every 1s", "Nats-Schedule-Target", "a.1"}}, "message schedules target is invalid (10190)"},
		{"schedule zone", `{"allow_msg_schedules":true}`, [][]string{{"a.1", "x", "Nats-Schedule", "@hourly", "Nats-Schedule-Target", "a.2", "Nats-Schedule-Time-Zone", "No/Where"}}, "message schedules time zone is invalid (10223)"},
		{"schedule zone every", `{"allow_msg_schedules":true}`, [][]string{{"a.1", "x", "Nats-Schedule", "@every 1s", "Nats-Schedule-Target", "a.2", "Nats-Schedule-Time-Zone", "Europe/Vienna"}}, "message schedules pattern is invalid (10189)"},
		{"schedule source", `{"allow_msg_schedules":true}`, [][]string{{"a.1", "x", "Nats-Schedule", "@every 1s", "Nats-Schedule-Target", "a.2", "Nats-Schedule-Source", "a.2"}}, "message schedules source is invalid (10203)"},
		{"schedule ttl", `{"allow_msg_schedules":true}`, [][]string{{"a.1", "x", "Nats-Schedule", "@every 1s", "Nats-Schedule-Target", "a.2", "Nats-Schedule-TTL", "x"}}, "message schedules invalid per-message TTL (10191)"},
		{"schedule rollup", `{"allow_msg_schedules":true}`, [][]string{{"a.1", "x", "Nats-Schedule", "@every 1s", "Nats-Schedule-Target", "a.2", "Nats-Schedule-Rollup", "all"}}, "message schedules invalid rollup (10192)"},
		{"forged next", `{"allow_msg_schedules":true}`, [][]string{{"a.1", "x", "Nats-Schedule-Next", "2024-01-01T00:00:00Z", "Nats-Scheduler", "a.7"}}, "message schedules invalid scheduler (10212)"},
		{"no ack", `{"no_ack":true}`, [][]string{{"a.1", "x"}}, ""},
		{"record size", `{}`, [][]string{{"a.1", strings.Repeat("x", 32<<20)}}, "message too large (10077)"},
		{"batch disabled", `{}`, [][]string{{"a.1", "x", "Nats-Batch-Id", "b"}}, "atomic publish is disabled (10174)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.config)
			got := ""
			for _, p := range c.pubs {
				got = r.pub(p[0], p[1], p[2:]...)
			}
			r.want(got, c.want)
		})
	}
}

func TestSealed(t *testing.T) {
	r := newRig(t, `{}`)
	next := r.cfg
	next.Sealed = true
	if err := CheckUpdate(&r.cfg, &next, nil, &Context{}); err != nil || !next.DenyDelete || !next.DenyPurge || next.Discard != jsapi.DiscardNew {
		t.Fatal(err, next)
	}
	b, _ := json.Marshal(&next)
	r.b.Add(&op.Cmd{Kind: op.Config, Payload: b})
	r.flush()
	r.want(r.pub("a.1", "x"), "invalid operation on sealed stream (10109)")
	var c op.Cmd
	r.want(r.m.CheckPurge(&jsapi.PurgeRequest{}, 0, &c).Error(), "invalid operation on sealed stream (10109)")
	r.want(r.m.CheckDelete(&jsapi.MsgDeleteRequest{Seq: 1}, 0, &c).Error(), "invalid operation on sealed stream (10109)")
}

func TestPipelined(t *testing.T) {
	r := newRig(t, `{"discard":"new","max_msgs":4}`)
	r.hold = true
	r.want(r.pub("a.1", "x", "Nats-Msg-Id", "i"), "")
	r.want(r.pub("a.1", "x", "Nats-Expected-Last-Subject-Sequence", "1"), "")
	r.want(r.pub("a.1", "x", "Nats-Expected-Last-Subject-Sequence", "1"), "wrong last sequence: 2 (10071)")
	r.want(r.pub("a.9", "x", "Nats-Msg-Id", "i"), "") // a duplicate of what is not durable: no answer yet
	r.want(r.pub("a.2", "x", "Nats-Expected-Last-Sequence", "2"), "")
	r.want(r.pub("a.2", "x", "Nats-Expected-Last-Msg-Id", ""), "")
	r.want(r.pub("a.3", "x"), "maximum messages exceeded (10077)")
	r.flush()
	r.want(r.take(), `"seq":1 "seq":1,"duplicate": true "seq":2 "seq":3 "seq":4`)
	r.want(r.seqs(), "1:a.1 2:a.1 3:a.2 4:a.2")
	r.want(fmt.Sprint(r.f.InFlight(), r.f.inMsgs, r.f.inBytes), "0 0 0")

	r = newRig(t, `{}`)
	r.hold = true
	r.pub("a.1", "x")
	r.f.Abort(jsapi.InsufficientResources.Err(), &r.out)
	r.b.Reset()
	r.collect()
	r.want(r.take(), "insufficient resources (10023)")
	r.hold = false
	r.want(r.pub("a.1", "x", "Nats-Expected-Last-Sequence", "0"), `"seq":1`)
}

func TestClusteredOrder(t *testing.T) {
	r := newRigWith(t, `{}`, FrontConfig{Clustered: true})
	r.pub("a.1", "x", "Nats-Msg-Id", "i", "Nats-Expected-Last-Sequence", "0")
	r.want(r.pub("a.1", "x", "Nats-Msg-Id", "i", "Nats-Expected-Last-Sequence", "0"), `"seq":1,"duplicate": true`)
	r.hold = true
	r.pub("a.2", "x", "Nats-Msg-Id", "j")
	r.want(r.pub("a.2", "x", "Nats-Msg-Id", "j"), "duplicate message id is in process (10158)")
	r.want(r.pub("a.2", "x", "Nats-Expected-Last-Subject-Sequence", "2"), "wrong last sequence (10164)")
}

func TestDedupeWindow(t *testing.T) {
	r := newRig(t, `{"duplicate_window":1000000000}`)
	r.pub("a.1", "x", "Nats-Msg-Id", "i")
	r.now += 999_999_999
	r.want(r.pub("a.1", "x", "Nats-Msg-Id", "i"), `"seq":1,"duplicate": true`)
	r.m.Apply(9, &op.Cmd{Kind: op.Purge}, &r.out) // does not clear it
	r.want(r.pub("a.1", "x", "Nats-Msg-Id", "i"), `"seq":1,"duplicate": true`)
	r.now += 1
	r.want(r.pub("a.1", "x", "Nats-Msg-Id", "i"), `"seq":2`)
	// Rebuilt from the log.
	m := NewMachine(&r.cfg, r.log, nil)
	m.Rebuild(r.now)
	if seq, ok := m.dedupe.lookup([]byte("i"), r.now); seq != 2 || !ok || string(m.lastID) != "i" {
		t.Error(seq, ok, string(m.lastID))
	}
	// A refused message leaves no id behind.
	r = newRig(t, `{"allow_msg_ttl":true}`)
	r.pub("a.1", "x", "Nats-Msg-Id", "i", "Nats-TTL", "x")
	r.want(r.pub("a.1", "x", "Nats-Msg-Id", "i", "Nats-TTL", "1"), `"seq":1`)
}

func TestLimits(t *testing.T) {
	r := newRig(t, `{"max_msgs":3,"max_msgs_per_subject":2}`)
	for _, s := range []string{"a.1", "a.1", "a.1", "a.2", "b.1"} {
		r.pub(s, "x")
	}
	r.want(r.seqs(), "3:a.1 4:a.2 5:b.1")
	r = newRig(t, `{"max_bytes":60}`)
	for range 5 {
		r.pub("a.1", "x") // 20 bytes each
	}
	r.want(r.seqs(), "3:a.1 4:a.1 5:a.1")
	r = newRig(t, `{"allow_rollup_hdrs":true}`)
	for _, s := range []string{"a.1", "a.2", "a.1", "a.2"} {
		r.pub(s, "x")
	}
	r.pub("a.1", "y", "Nats-Rollup", "SUB")
	r.want(r.seqs(), "2:a.2 4:a.2 5:a.1")
	r.pub("b.1", "y", "Nats-Rollup", "all")
	r.want(r.seqs(), "6:b.1")
	next := r.cfg
	next.MaxMsgs = 1
	r.pub("b.1", "y")
	b, _ := json.Marshal(&next)
	r.m.Apply(99, &op.Cmd{Kind: op.Config, Payload: b}, &r.out)
	r.want(r.seqs(), "7:b.1")
	r.m.Apply(100, &op.Cmd{Kind: op.Purge}, &r.out)
	r.want(r.pub("b.1", "y"), `"seq":8`)
	r.log.fail = fmt.Errorf("disk on fire")
	r.eff = nil
	r.pub("b.1", "y")
	r.want(strings.Join(r.eff, ";"), "failed disk on fire")
}

func TestExpiry(t *testing.T) {
	r := newRig(t, `{"max_age":1000000000,"allow_msg_ttl":true}`)
	r.pub("a.1", "x", "Nats-TTL", "never")
	r.pub("a.2", "x")
	r.pub("a.3", "x", "Nats-TTL", "3s")
	at, ok := r.f.NextTick(r.now)
	if !ok || at != r.now+1e9 {
		t.Error(at, ok)
	}
	r.tick(time.Second)
	r.want(r.seqs(), "1:a.1")
	if _, ok := r.f.NextTick(r.now); ok {
		t.Error("nothing to wait for")
	}
}

// TestExpiryAllowedLater: what a stream that allows no TTLs got from its origins expires once it does.
func TestExpiryAllowedLater(t *testing.T) {
	r := newRig(t, `{"sources":[{"name":"O"}],"max_age":5000000000}`)
	for i, ttl := range []string{"1s", "never", "4s"} {
		h := header.AppendAdd(nil, sourcedHeader(fmt.Sprintf("O %d > > x", i+1)), jsapi.HdrTTL, []byte(ttl))
		r.f.Publish(&Inbound{Subject: []byte("a.x"), Header: h, Origin: Source}, r.now, &r.b, &r.out)
		r.flush()
	}
	r.tick(2 * time.Second)
	r.want(r.seqs(), "1:a.x 2:a.x 3:a.x")
	next := r.cfg
	next.AllowMsgTTL = true
	b, _ := json.Marshal(&next)
	r.b.Add(&op.Cmd{Kind: op.Config, Payload: b, Time: r.now})
	r.flush()
	r.want(r.seqs(), "2:a.x 3:a.x")
	r.tick(3 * time.Second)
	r.want(r.seqs(), "") // the age limit held for the second when it came
}

func TestMarkers(t *testing.T) {
	r := newRig(t, `{"max_age":1000000000,"subject_delete_marker_ttl":5000000000}`)
	r.pub("a.1", "x")
	r.pub("a.1", "x")
	r.pub("a.2", "x", "KV-Operation", "PURGE")
	r.now += 5e8
	r.pub("a.3", "x")
	r.tick(5e8)
	r.want(r.seqs(), "4:a.3 5:a.1")
	r.want(string(r.log.msgs[1].Header), "NATS/1.0\r\nNats-Marker-Reason: MaxAge\r\nNats-TTL: 5s\r\nNats-Rollup: sub\r\n\r\n")
	r.want(fmt.Sprint(r.log.msgs[1].TTL), "5")
	r.tick(10 * time.Second) // markers leave no markers; a.3 does
	r.want(r.seqs(), "6:a.3")
	r.tick(10 * time.Second)
	r.want(r.seqs(), "")

	r = newRig(t, `{"subject_delete_marker_ttl":5000000000}`)
	r.pub("a.1", "x", "Nats-TTL", "1s")
	r.want(string(r.log.msgs[0].Header), "NATS/1.0\r\nNats-TTL: 5\r\n\r\n")
	r.pub("a.2", "x")
	r.tick(6 * time.Second)
	r.want(r.seqs(), "2:a.2 3:a.1")
}

type fakeHolder struct {
	filters []string
	need    map[uint64]bool
	floor   uint64
}

func (h *fakeHolder) Filters() []string     { return h.filters }
func (h *fakeHolder) Needs(seq uint64) bool { return seq > h.floor || h.need[seq] }

func TestInterest(t *testing.T) {
	r := newRig(t, `{"retention":"interest"}`)
	r.want(r.pub("a.1", "x", "Nats-Msg-Id", "i"), `"seq":1`)
	r.want(r.pub("a.1", "x", "Nats-Msg-Id", "i"), `"seq":1,"duplicate": true`)
	r.want(r.seqs(), "")
	h := &fakeHolder{filters: []string{"a.*"}, floor: 1}
	g := &fakeHolder{filters: []string{"a.2", "b.*"}, floor: 1}
	r.h.Add(h)
	r.h.Add(g)
	r.pub("a.1", "x")
	r.pub("a.2", "x")
	r.pub("b.1", "x")
	r.pub("b.1.c", "x")
	r.want(r.seqs(), "2:a.1 3:a.2 4:b.1")
	h.floor = 3
	r.m.Released(2, 2, nil, &r.out)
	r.m.Released(3, 3, nil, &r.out)
	r.want(r.seqs(), "3:a.2 4:b.1")
	r.h.Remove(g)
	r.m.Sweep(&r.out)
	r.want(r.seqs(), "")
	var s store.State
	r.log.State(&s)
	r.want(fmt.Sprint(s.LastSeq), "5")
	r.h.Remove(h)
	r.pub("a.1", "x")
	r.want(r.seqs(), "")

	// A work queue: a range is released by the consumer of a filter, others keep theirs. Cold blocks are awaited.
	r = newRig(t, `{"retention":"workqueue"}`)
	h, g = &fakeHolder{filters: []string{"a.*"}}, &fakeHolder{filters: []string{"b.*"}}
	r.h.Add(h)
	r.h.Add(g)
	for _, s := range []string{"a.1", "b.1", "a.2", "b.2", "a.3"} {
		r.pub(s, "x")
	}
	h.floor = 4
	r.log.cold = true
	r.m.Released(1, 4, &store.Filter{Patterns: h.filters}, &r.out)
	r.want(r.seqs(), "1:a.1 2:b.1 3:a.2 4:b.2 5:a.3")
	r.log.cold = false
	r.m.Recheck(&r.out)
	r.want(r.seqs(), "2:b.1 4:b.2 5:a.3")
	g.floor, r.log.cold = 2, true // nobody else wants it: no look at the message is needed
	r.m.Released(2, 2, nil, &r.out)
	r.want(r.seqs(), "4:b.2 5:a.3")
	r.log.cold = false
	r.m.Released(5, 5, nil, &r.out) // who wants it stands before it
	r.want(r.seqs(), "4:b.2 5:a.3")
	h.floor = 5
	r.m.Released(5, 5, nil, &r.out) // and on it; the other one only may want it
	r.want(r.seqs(), "4:b.2")
	r.m.Sweep(&r.out) // leaves a work queue alone
	r.want(r.seqs(), "4:b.2")
}

// configure puts a changed configuration in force.
func (r *rig) configure(change func(*jsapi.StreamConfig)) {
	r.t.Helper()
	next := r.cfg
	change(&next)
	b, err := json.Marshal(&next)
	if err != nil {
		r.t.Fatal(err)
	}
	r.b.Add(&op.Cmd{Kind: op.Config, Payload: b, Time: r.now})
	r.flush()
	r.cfg = next
}

// TestUpdateKeeps: a change of the configuration is not what happened last, and lower limits take nothing from a stream that refuses
// new messages.
func TestUpdateKeeps(t *testing.T) {
	r := newRig(t, `{"discard":"new"}`)
	for range 3 {
		r.pub("a.1", "x")
	}
	stored := r.now
	r.now += int64(time.Minute)
	r.configure(func(c *jsapi.StreamConfig) { c.MaxMsgs, c.MaxBytes = 1, 10 })
	r.want(r.seqs(), "1:a.1 2:a.1 3:a.1")
	var s jsapi.StreamState
	r.m.FillState(&s, nil, &jsapi.Page{})
	r.want(s.LastTime.String(), timeOf(stored).String())
	r.configure(func(c *jsapi.StreamConfig) { c.Discard, c.MaxBytes = jsapi.DiscardOld, -1 })
	r.want(r.seqs(), "3:a.1")
}

// TestBecomesInterest: what no consumer asks for goes at once when a stream with limits becomes one of interest. nats-server keeps it
// until it starts again.
func TestBecomesInterest(t *testing.T) {
	r := newRig(t, `{}`)
	r.h.Add(&fakeHolder{filters: []string{"a.2"}, floor: 2})
	for _, s := range []string{"a.1", "a.2", "a.1", "a.2"} {
		r.pub(s, "x")
	}
	r.configure(func(c *jsapi.StreamConfig) { c.Retention = jsapi.InterestRetention })
	r.want(r.seqs(), "4:a.2")
}

// TestLongTTL: a TTL that no number holds is refused, and one of three centuries does not wrap around. nats-server takes both, and
// removes the message at once.
func TestLongTTL(t *testing.T) {
	r := newRig(t, `{"allow_msg_ttl":true}`)
	r.want(r.pub("a.1", "x", "Nats-TTL", "99999999999999999999"), "invalid per-message TTL (10165)")
	r.want(r.pub("a.1", "x", "Nats-TTL", "9223372036854775807"), `"seq":1`)
	r.tick(10 * time.Second)
	r.want(r.seqs(), "1:a.1")
}

// TestDeleteTwice: the answers are those of nats-server 2.15.2 for files.
func TestDeleteTwice(t *testing.T) {
	r := newRig(t, `{}`)
	for range 4 {
		r.pub("a.1", "x")
	}
	r.m.cfg.Storage = jsapi.FileStorage
	r.log.Remove(1, false)
	r.log.Remove(3, false)
	for seq, want := range []string{"no message found (10057)", "no message found (10057)", "<nil>", "sequence 3 not found (10043)", "<nil>", "stream store EOF (10057)"} {
		var c op.Cmd
		var got error
		if err := r.m.CheckDelete(&jsapi.MsgDeleteRequest{Seq: uint64(seq)}, r.now, &c); err != nil {
			got = err
		}
		r.want(fmt.Sprint(got), want)
	}
}

func TestCounter(t *testing.T) {
	r := newRig(t, `{"allow_msg_counter":true}`)
	r.hold = true
	r.pub("a.1", "", "Nats-Incr", "+5")
	r.pub("a.1", "", "Nats-Incr", "-2")
	r.pub("a.2", "", "Nats-Incr", "100000000000000000000000000000")
	r.flush()
	r.want(r.take(), `"seq":1,"val":"5" "seq":2,"val":"3" "seq":3,"val":"100000000000000000000000000000"`)
	r.hold = false
	r.want(r.pub("a.1", "", "Nats-Incr", "0"), `"seq":4,"val":"3"`)
	r.want(string(r.log.msgs[3].Payload), `{"val":"3"}`)
	if len(r.f.counters) != 0 {
		t.Error("counters kept")
	}
	source := func(val, incr string) {
		r.f.Publish(&Inbound{Origin: Source, Subject: []byte("a.1"), Payload: []byte(`{"val":"` + val + `"}`),
			Header: hdr("Nats-Incr", incr, "Nats-Stream-Source", "O 7 > > x.1")}, r.now, &r.b, &r.out)
		r.flush()
	}
	source("10", "4")
	source("17", "7")
	last := r.log.msgs[len(r.log.msgs)-1]
	r.want(string(last.Payload), `{"val":"20"}`)
	r.want(r.pub("a.1", "", "Nats-Incr", "1"), `"seq":7,"val":"21"`)
	r.log.msgs[len(r.log.msgs)-1].Payload = []byte("x")
	r.want(r.pub("a.1", "", "Nats-Incr", "1"), "message counter is broken (10172)")
}

func TestTransformRepublish(t *testing.T) {
	r := newRig(t, `{"subject_transform":{"src":"a.*","dest":"b.{{wildcard(1)}}"},"republish":{"src":"b.>","dest":"r.>"}}`)
	r.pub("a.1", "x", "Nats-Expected-Last-Subject-Sequence", "0")
	r.want(r.pub("a.1", "xy", "Nats-Expected-Last-Subject-Sequence", "1"), `"seq":2`)
	r.want(r.seqs(), "1:b.1 2:b.1")
	r.want(r.eff[1], `republish r.1 "NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: 1\r\nNats-Stream: S\r\nNats-Subject: b.1\r\nNats-Sequence: 2\r\nNats-Time-Stamp: 2023-11-14T22:13:20Z\r\nNats-Last-Sequence: 1\r\n\r\n" xy`)
	r = newRig(t, `{"republish":{"src":"a.>","dest":"r.>","headers_only":true}}`)
	r.pub("a.1", "xyz")
	r.want(r.eff[0], `republish r.1 "NATS/1.0\r\nNats-Stream: S\r\nNats-Subject: a.1\r\nNats-Sequence: 1\r\nNats-Time-Stamp: 2023-11-14T22:13:20Z\r\nNats-Last-Sequence: 0\r\nNats-Msg-Size: 3\r\n\r\n" `)
}

func TestHeadersCleaned(t *testing.T) {
	r := newRig(t, `{}`)
	r.f.Publish(&Inbound{Subject: []byte("a.1"), Header: []byte("NATS/1.0 503 No\r\nNats-Request-Info: {}\r\nA: b\r\n\r\n")}, r.now, &r.b, &r.out)
	r.f.Publish(&Inbound{Subject: []byte("a.1"), Header: []byte("NATS/1.0\r\nNats-Request-Info: {}\r\n\r\n")}, r.now, &r.b, &r.out)
	r.flush()
	r.want(fmt.Sprintf("%q %q", r.log.msgs[0].Header, r.log.msgs[1].Header), `"NATS/1.0\r\nA: b\r\n\r\n" ""`)
}

func TestMirrorOrigin(t *testing.T) {
	r := newRig(t, `{"mirror":{"name":"O"}}`)
	for _, seq := range []uint64{5, 5, 9} {
		r.f.Publish(&Inbound{Origin: Mirror, Seq: seq, Time: int64(seq), Subject: []byte("x"), Header: hdr("Nats-Msg-Id", "i")}, r.now, &r.b, &r.out)
	}
	r.flush()
	r.want(r.seqs(), "5:x 9:x")
	r.want(fmt.Sprint(r.log.msgs[0].Time), "5")
}
