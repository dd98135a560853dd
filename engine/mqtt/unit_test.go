package mqtt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"ramjet/proto/base/rng"
	"ramjet/proto/jsapi"
	"ramjet/proto/mqtt"
	"ramjet/proto/subject"
)

func TestInflightIdentifiers(t *testing.T) {
	var f inflight
	p := func(seq uint64) pending { return pending{ack: fmt.Sprint("ack", seq), durable: "d", seq: seq, qos: 2} }
	if a, b := f.track(p(1), 10), f.track(p(2), 10); a != 1 || b != 2 {
		t.Fatal(a, b)
	}
	if again := f.track(pending{ack: "later", durable: "d", seq: 1, qos: 2}, 10); again != 1 || f.publish[1].ack != "later" {
		t.Errorf("a delivery that is repeated: identifier %d, %+v", again, f.publish[1])
	}
	if other := f.track(pending{durable: "e", seq: 1}, 10); other != 3 {
		t.Errorf("another consumer: %d", other)
	}
	if full := f.track(p(9), 3); full != 0 {
		t.Errorf("above the limit: %d", full)
	}
	f.trackPubRel(1, "rel", "", 0)
	if rel := f.track(p(1), 10); rel != 0 {
		t.Errorf("after PUBREC: %d", rel)
	}
	if got, ok := f.untrack(1); !ok || got.ack != "later" {
		t.Error(got, ok)
	}
	if _, ok := f.untrack(1); ok {
		t.Error("untracked twice")
	}
	if next := f.track(p(4), 10); next != 4 {
		t.Errorf("an identifier in use for PUBREL was given again, or one that was just freed: %d", next)
	}
	f.last = 0xFFFF
	if next := f.track(p(5), 10); next != 5 {
		t.Errorf("after the last identifier: %d", next)
	}
	f.trackPubRel(1, "rel", "relack", 3)
	if ack := f.untrackPubRel(1); ack != "relack" || len(f.pubrel) != 0 {
		t.Error(ack, f.pubrel)
	}
	if id := f.trackRetained(retainedKey("a"), 1); id != 6 || f.publish[id].ack != "" {
		t.Error(id)
	}
	f.purge("d")
	f.purge(retainedKey("a"))
	if len(f.publish) != 1 || len(f.ids) != 1 {
		t.Errorf("left after purge: %v %v", f.publish, f.ids)
	}
}

func TestInflightExhausted(t *testing.T) {
	var f inflight
	for i := range 0xFFFF {
		if id := f.track(pending{durable: "d", seq: uint64(i + 1)}, 1<<20); int(id) != i+1 {
			t.Fatal(i, id)
		}
	}
	if id := f.track(pending{durable: "d", seq: 1 << 30}, 1<<20); id != 0 {
		t.Errorf("identifier %d although all are in use", id)
	}
}

func TestRetainedCodec(t *testing.T) {
	for _, m := range []retainedMsg{
		{origin: "node", source: "joe", flags: 3, payload: []byte("x")}, {flags: 1, payload: []byte("y")}, {origin: "n", flags: 5},
	} {
		h := appendRetained(nil, []byte("a/b"), &m)
		if del := bytes.Contains(h, []byte("RFlags:-")); del != (len(m.payload) == 0) {
			t.Errorf("%q", h)
		}
		got, err := decodeRetained(h, m.payload)
		if err != nil || fmt.Sprint(*got) != fmt.Sprint(m) {
			t.Errorf("%+v %v, want %+v", got, err, m)
		}
	}
	old, err := decodeRetained(nil, []byte(`{"origin":"n","subject":"a","topic":"a","msg":"aGk=","flags":1,"source":"s"}`))
	if err != nil || string(old.payload) != "hi" || old.source != "s" || old.flags != 1 {
		t.Errorf("%+v %v", old, err)
	}
	for _, h := range []string{"NATS/1.0\r\nNmqtt-RFlags:zz\r\n\r\n", "NATS/1.0\r\nNmqtt-RFlags:f\r\n\r\n", "NATS/1.0\r\nNmqtt-RFlags:7\r\n\r\n", ""} {
		if m, err := decodeRetained([]byte(h), []byte("no JSON")); err == nil {
			t.Errorf("%q: %+v", h, m)
		}
	}
	for s, want := range map[string]bool{SubjectRetained + "a": true, SubjectRetained: false, "x": false, SubjectRetained + "a\x7F": false} {
		if _, ok := retainedSubject(s); ok != want {
			t.Error(s)
		}
	}
}

// TestRetainedMatch compares the tree with the definition of matching.
func TestRetainedMatch(t *testing.T) {
	r := rng.New(7)
	toks := []string{"a", "b", "/", "$x", "c"}
	random := func(wild bool) string {
		var s []string
		for range 1 + r.Intn(4) {
			k := toks[r.Intn(len(toks))]
			if wild && r.Intn(3) == 0 {
				k = "*"
			}
			s = append(s, k)
		}
		if wild && r.Intn(3) == 0 {
			s[len(s)-1] = ">"
		}
		return strings.Join(s, ".")
	}
	var x retainedIndex
	have := map[string]bool{}
	for range 3000 {
		s := random(false)
		if r.Intn(3) == 0 {
			x.remove(s)
			delete(have, s)
		} else {
			x.stored(s, uint64(r.Intn(100)+1), &retainedMsg{payload: []byte("x")}, 0)
			have[s] = true
		}
		f := random(true)
		var got, want []string
		x.match(f, func(e *retainedEntry) { got = append(got, e.subject) })
		for s := range have {
			if subject.Match(s, f) {
				want = append(want, s)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("%q matches %q, want %q", f, got, want)
		}
		if x.n != len(have) {
			t.Fatalf("%d entries, want %d", x.n, len(have))
		}
	}
	for s := range have {
		x.remove(s)
	}
	if len(x.root.kids) != 0 || x.n != 0 || x.cached != 0 {
		t.Errorf("left: %v, %d, %d bytes", x.root.kids, x.n, x.cached)
	}
}

func TestRetainedStoring(t *testing.T) {
	var x retainedIndex
	one, two := &retainedMsg{payload: []byte("one")}, &retainedMsg{payload: []byte("two!")}
	x.storing("a", one)
	x.storing("a", two)
	if e := x.find("a", false); e.msg != two || e.gen != 2 || x.cached != 4 {
		t.Fatalf("%+v %d", e, x.cached)
	}
	x.settled("a", one, 1, 0)
	x.stored("a", 1, one, 0) // the feed is late
	if e := x.find("a", false); e.msg != two {
		t.Errorf("an older message replaced the one being stored: %+v", e)
	}
	x.settled("a", two, 2, 1)
	if e := x.find("a", false); e.msg != nil || e.seq != 2 || x.cached != 0 {
		t.Errorf("%+v %d", e, x.cached)
	}
	gen := x.find("a", false).gen
	if !x.loaded("a", gen, 2, two, 5) || x.find("a", false).msg != two {
		t.Error("what was read is not kept")
	}
	x.storing("a", one)
	if x.loaded("a", gen, 2, two, 5) {
		t.Error("an older message would be sent after a newer one")
	}
	x.settled("a", one, 0, 0) // it failed
	if e := x.find("a", false); e == nil || e.msg != nil || e.seq != 2 {
		t.Errorf("after a failure: %+v", e)
	}
	x.missing("a", 99, 2)
	x.deleted("a", 1)
	if x.find("a", false) == nil {
		t.Error("removed by what is older")
	}
	x.deleted("a", 3)
	x.storing("b", one)
	x.settled("b", one, 0, 0)
	if x.n != 0 {
		t.Errorf("%d entries left", x.n)
	}
	x.stored("c", 5, one, 0)
	c := x.find("c", false)
	x.loaded("c", c.gen, 5, one, 0)
	x.sweep(c.until)
	if c.msg == nil {
		t.Error("forgotten too early")
	}
	if x.sweep(c.until + 1); c.msg != nil || x.cached != 0 {
		t.Error("not forgotten")
	}
}

func TestGate(t *testing.T) {
	g := &gate{}
	if out := g.pass([]byte("staged|new"), 7); string(out) != "staged|" {
		t.Errorf("closed: %q", out)
	}
	if b := g.take(false); string(b) != "new" || g.open {
		t.Error(b, g.open)
	}
	g.pass([]byte("more"), 0)
	if b := g.take(true); string(b) != "more" || g.open {
		t.Error(b, g.open)
	}
	if b := g.take(true); b != nil || !g.open {
		t.Error(b, g.open)
	}
	if out := g.pass([]byte("a"), 0); string(out) != "a" {
		t.Errorf("open: %q", out)
	}
	g = &gate{}
	g.pass(make([]byte, maxGated), 0)
	out := g.pass([]byte("xlast"), 1)
	if len(out) != 1+maxGated+4 || out[0] != 'x' || !bytes.HasSuffix(out, []byte("last")) || !g.open {
		t.Errorf("%d bytes, open %v", len(out), g.open)
	}
}

func TestPublishedQoS(t *testing.T) {
	for h, want := range map[string]byte{
		string(qosHeaders[0]): 0, string(qosHeaders[1]): 1, string(qosHeaders[2]): 2, "": 0, "NATS/1.0\r\nA:b\r\n\r\n": 0,
		"NATS/1.0\r\nNmqtt-Pub:2\r\nNats-Msg-Id:q2-7\r\n\r\n": 2, "NATS/1.0\r\nNmqtt-Pub:2d\r\n\r\n": 2, "NATS/1.0\r\nNmqtt-Pub:9\r\n\r\n": 0,
	} {
		if got := publishedQoS([]byte(h)); got != want {
			t.Errorf("%q: %d", h, got)
		}
	}
}

func TestHeldPackets(t *testing.T) {
	var h heldPackets
	pub := func(id uint16, flags byte, n int) *publication {
		return &publication{id: id, flags: flags, subject: []byte("s"), mapped: []byte("m"), payload: make([]byte, n)}
	}
	x := h.record(pub(1, 4, 3))
	if x == nil || string(x.subject) != "s" || string(x.mapped) != "m" || len(x.payload) != 3 || h.bytes != 5 {
		t.Fatalf("%+v %d", x, h.bytes)
	}
	if h.record(pub(2, 4|mqtt.FlagDup, 1)) != nil {
		t.Error("a repetition that is not known here was recorded")
	}
	h.release(1)
	if !h.isReleased(1) || h.isReleased(2) || h.bytes != 0 || len(h.open) != 0 {
		t.Error("after release", h.bytes, h.open)
	}
	if h.record(pub(1, 4|mqtt.FlagDup, 1)) == nil || h.isReleased(1) {
		t.Error("a new message under a released identifier")
	}
	if h.record(pub(3, 4, maxHeldBytes)) != nil {
		t.Error("more bytes than allowed")
	}
	for id := range uint16(maxHeldMsgs + 10) {
		h.record(pub(100+id, 4, 1))
	}
	if len(h.open) != maxHeldMsgs {
		t.Errorf("%d messages", len(h.open))
	}
}

func TestSessionRecord(t *testing.T) {
	s := &Session{}
	fs := []filter{{"a", 1}, {"b", 0x80}, {"c", 0}}
	if !s.update(fs, true) || s.update(fs, true) || len(s.subs) != 2 {
		t.Errorf("%v", s.subs)
	}
	shared := s.subs
	if !s.update([]filter{{"a", 2}}, true) || shared["a"] != 1 {
		t.Error("a map that is being encoded was changed")
	}
	if !s.update([]filter{{"c", 0}}, false) || s.update([]filter{{"c", 0}}, false) {
		t.Error(s.subs)
	}
	s.setConsumer("a", &jsapi.ConsumerConfig{Durable: "d", MaxAckPending: 10})
	s.setConsumer("a", &jsapi.ConsumerConfig{Durable: "e", MaxAckPending: 20})
	if s.ackTotal != 20 || s.consumer("a").Durable != "e" {
		t.Error(s.ackTotal)
	}
	b, err := json.Marshal(&record{ID: "i", Subs: s.subs, Cons: s.cons, PubRel: &jsapi.ConsumerConfig{MaxAckPending: 5}})
	if err != nil {
		t.Fatal(err)
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	var n Session
	n.restore(&r, 9)
	if n.seq != 9 || n.ackTotal != 25 || n.subs["a"] != 2 || n.cons["a"].Durable != "e" {
		t.Errorf("%+v from %s", &n, b)
	}
	n.setConsumer("a", nil)
	if n.ackTotal != 5 {
		t.Error(n.ackTotal)
	}
}

// FuzzStored: what the streams of MQTT hold came over the network once, or was written by an older server: retained messages, whose subjects are
// in those of the stream, and sessions.
func FuzzStored(f *testing.F) {
	f.Add("$MQTT.rmsgs.a.b", appendRetained(nil, []byte("a/b"), &retainedMsg{origin: "n", source: "s", flags: 3, payload: []byte("x")}), []byte("x"))
	f.Add("$MQTT.rmsgs.a", []byte(nil), []byte(`{"origin":"n","subject":"a","topic":"a","msg":"aGk=","flags":1,"source":"s"}`))
	f.Add("", []byte("NATS/1.0\r\nNmqtt-RFlags:-f\r\n\r\n"), []byte(`{"origin":"n","id":"c","clean":true,"subs":{"a":1},"cons":{"1":{"durable_name":"d","max_ack_pending":9},"2":null},"pubrel":{}}`))
	f.Fuzz(func(t *testing.T, stored string, hdr, payload []byte) {
		if m, err := decodeRetained(hdr, payload); err == nil {
			if m.flags&^0x0F != 0 || mqtt.QoS(m.flags) > 2 {
				t.Fatalf("flags %x", m.flags)
			}
			again, err := decodeRetained(appendRetained(nil, []byte("t"), m), m.payload)
			if clean := !strings.ContainsAny(m.origin+m.source, "\r\n\t "); err != nil || again.flags != m.flags || clean && (again.origin != m.origin || again.source != m.source) {
				t.Fatalf("%+v becomes %+v, %v", m, again, err)
			}
		}
		var x retainedIndex
		if s, ok := retainedSubject(stored); ok {
			e := x.find(s, true)
			if x.find(s, false) != e {
				t.Fatalf("%q is not found", s)
			}
		}
		var rec record
		if json.Unmarshal(payload, &rec) != nil {
			return
		}
		s := &Session{}
		s.restore(&rec, 1)
		if b, err := json.Marshal(&record{ID: rec.ID, Clean: s.clean, Subs: s.subs, Cons: s.cons, PubRel: s.pubrel}); err != nil {
			t.Fatalf("a session that cannot be stored again: %s %v", b, err)
		}
	})
}
