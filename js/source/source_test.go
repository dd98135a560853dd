package source

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ramjet/js/stream"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
	"ramjet/store"
)

// TestRequests compares with what nats-server 2.15.2 sends.
func TestRequests(t *testing.T) {
	cases := []struct{ domain, config, subject, hdr, body string }{
		{"", `{"name":"M","mirror":{"name":"O"}}`, "$JS.API.CONSUMER.CREATE.O", "NATS/1.0\r\nNats-Required-Api-Level: 4\r\n\r\n",
			`{"stream_name":"O","config":{"name":"JS_MIRROR_AH1Lhb5K","deliver_policy":"all","ack_policy":"none","ack_wait":79200000000000,"max_deliver":1,"replay_policy":"instant","flow_control":true,"deliver_subject":"$JS.M.*","idle_heartbeat":1000000000,"inactive_threshold":10000000000,"num_replicas":0,"direct":true,"sourcing":true,"metadata":{"_nats.mirror.acc":"A","_nats.mirror.stream":"M"}},"action":""}`},
		{"", `{"name":"SW","sources":[{"name":"WQ"}]}`, "$JS.API.CONSUMER.CREATE.WQ", "NATS/1.0\r\nNats-Required-Api-Level: 5\r\nNats-Stream-Identity: \r\n\r\n",
			`{"stream_name":"WQ","config":{"name":"JS_SRC_uG5WxyMz","deliver_policy":"all","ack_policy":"none","ack_wait":79200000000000,"max_deliver":1,"replay_policy":"instant","flow_control":true,"deliver_subject":"$JS.S.*","idle_heartbeat":1000000000,"inactive_threshold":10000000000,"num_replicas":0,"direct":true,"sourcing":true,"metadata":{"_nats.src.acc":"A","_nats.src.stream":"SW"}},"action":""}`},
		{"", `{"name":"S","sources":[{"name":"O","subject_transforms":[{"src":"o.3","dest":"x.3"},{"src":"o.2","dest":""}]},{"name":"O","filter_subject":"o.1"}]}`,
			"$JS.API.CONSUMER.CREATE.O", "NATS/1.0\r\nNats-Required-Api-Level: 5\r\nNats-Stream-Identity: \r\n\r\n",
			`{"stream_name":"O","config":{"name":"JS_SRC_0KnT10L7","deliver_policy":"all","ack_policy":"none","ack_wait":79200000000000,"max_deliver":1,"filter_subjects":["o.3","o.2"],"replay_policy":"instant","flow_control":true,"deliver_subject":"$JS.S.*","idle_heartbeat":1000000000,"inactive_threshold":10000000000,"num_replicas":0,"direct":true,"sourcing":true,"metadata":{"_nats.src.acc":"A","_nats.src.stream":"S"}},"action":""}`},
		{"", `{"name":"S","sources":[{"name":"O","filter_subject":"o.1"},{"name":"O","subject_transforms":[{"src":"o.3","dest":"x.3"},{"src":"o.2","dest":""}]}]}`,
			"$JS.API.CONSUMER.CREATE.O.JS_SRC_vW4QBeiw.o.1", "NATS/1.0\r\nNats-Required-Api-Level: 5\r\nNats-Stream-Identity: \r\n\r\n",
			`{"stream_name":"O","config":{"name":"JS_SRC_vW4QBeiw","deliver_policy":"all","ack_policy":"none","ack_wait":79200000000000,"max_deliver":1,"filter_subject":"o.1","replay_policy":"instant","flow_control":true,"deliver_subject":"$JS.S.*","idle_heartbeat":1000000000,"inactive_threshold":10000000000,"num_replicas":0,"direct":true,"sourcing":true,"metadata":{"_nats.src.acc":"A","_nats.src.stream":"S"}},"action":""}`},
		{"D1", `{"name":"M","mirror":{"name":"O","external":{"api":"JSA.API","deliver":"deliver.b"},"opt_start_seq":7}}`, "JSA.API.CONSUMER.CREATE.O", "NATS/1.0\r\nNats-Required-Api-Level: 4\r\n\r\n",
			`{"stream_name":"O","config":{"name":"JS_MIRROR_mIZxYD8R","deliver_policy":"by_start_sequence","opt_start_seq":7,"ack_policy":"none","ack_wait":79200000000000,"max_deliver":1,"replay_policy":"instant","flow_control":true,"deliver_subject":"deliver.b.M.*","idle_heartbeat":1000000000,"inactive_threshold":10000000000,"num_replicas":0,"direct":true,"sourcing":true,"metadata":{"_nats.mirror.acc":"A","_nats.mirror.domain":"D1","_nats.mirror.stream":"M"}},"action":""}`},
		{"D1", `{"name":"S","sources":[{"name":"O","opt_start_time":"2020-01-01T00:00:00Z","subject_transforms":[{"src":"a.*","dest":"b.$1"}],"external":{"api":"$JS.hub.API","deliver":""}}]}`,
			"$JS.hub.API.CONSUMER.CREATE.O.JS_SRC_*.a.*", "NATS/1.0\r\nNats-Required-Api-Level: 5\r\nNats-Stream-Identity: \r\n\r\n",
			`{"stream_name":"O","config":{"name":"JS_SRC_*","deliver_policy":"by_start_time","opt_start_time":"2020-01-01T00:00:00Z","ack_policy":"none","ack_wait":79200000000000,"max_deliver":1,"filter_subject":"a.*","replay_policy":"instant","flow_control":true,"deliver_subject":"$JS.S.*","idle_heartbeat":1000000000,"inactive_threshold":10000000000,"num_replicas":0,"direct":true,"sourcing":true,"metadata":{"_nats.src.acc":"A","_nats.src.domain":"D1","_nats.src.stream":"S"}},"action":""}`},
		{"", `{"name":"S","sources":[{"name":"O","consumer":{"name":"C","deliver_subject":"d.x"}}]}`, "$JS.API.CONSUMER.RESET.O.C", "NATS/1.0\r\nNats-Required-Api-Level: 5\r\nNats-Stream-Identity: \r\n\r\n", ``},
		{"", `{"name":"M","mirror":{"name":"O","consumer":{"name":"C","deliver_subject":"d.x"}}}`, "$JS.API.CONSUMER.RESET.O.C", "", ``},
	}
	for _, c := range cases {
		w := newWorld(t, c.config)
		w.env.Domain = c.domain
		w.restart(false)
		w.advance(300 * time.Millisecond)
		if len(w.sent) == 0 {
			t.Fatalf("%s: nothing was sent", c.config)
		}
		i := slices.IndexFunc(w.sent, func(s string) bool { return like(s, c.subject) })
		if want := fmt.Sprintf("%q %s", c.hdr, c.body); i < 0 || !like(w.bodies[i], want) {
			t.Errorf("got  %q %q\nwant %s %s", w.sent, w.bodies, c.subject, want)
		}
		for _, s := range w.subs {
			if !strings.HasPrefix(s, "$JSC.R.") || len(s) != len("$JSC.R.")+8 {
				t.Errorf("listens on %s", s)
			}
		}
		if len(w.subs) != len(w.e.list) {
			t.Errorf("%d subscriptions", len(w.subs))
		}
	}
}

// like compares s with a text in which '*' stands for anything.
func like(s, want string) bool {
	parts := strings.Split(want, "*")
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	for _, p := range parts {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return s == "" || strings.HasSuffix(want, "*")
}

func TestReplyV2(t *testing.T) {
	w := newWorld(t, `{"name":"S","sources":[{"name":"O"},{"name":"P","external":{"api":"$JS.hub.API","deliver":"x"}}]}`)
	w.env.ReplyV2 = true
	w.restart(false)
	w.advance(300 * time.Millisecond)
	var got []string
	for _, s := range w.subs {
		got = append(got, s[:strings.LastIndexByte(s, '.')])
	}
	slices.Sort(got)
	a := jsapi.Hash("A")
	if want := []string{"$JSC.R._." + a + ".O." + w.e.list[0].base, "$JSC.R.hub." + a + ".P." + w.e.list[1].base}; !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
}

func TestMirror(t *testing.T) {
	o := testOrigin("O").add("a=1", "a=2", "b=3", "a=4", "b=5")
	o.remove(2)
	o.remove(4)
	w := newWorld(t, `{"name":"M","mirror":{"name":"O"},"mirror_direct":true}`, o)
	w.advance(time.Second)
	w.want("1:a=1 3:b=3 5:b=5")
	for i, r := range w.log.Msgs {
		if r.Time != o.msgs[i].Time {
			t.Fatal("time differs")
		}
	}
	if i := w.e.Mirror(w.now); i.Lag != 0 || i.Active < 0 || i.Error != nil || i.Name != "O" || !w.direct || w.e.Sources(w.now) != nil {
		t.Fatalf("%+v", i)
	}
	o.add("c=6")
	w.run()
	w.want("1:a=1 3:b=3 5:b=5 6:c=6")
	if o.made != 1 {
		t.Fatal("consumers", o.made)
	}
	// An origin that begins late: its first sequence is taken over even without messages.
	o = testOrigin("O").add("a=1", "a=2", "a=3")
	o.msgs = nil
	w = newWorld(t, `{"name":"M","mirror":{"name":"O"}}`, o)
	w.advance(time.Second)
	if w.log.Log.Last != 3 {
		t.Fatal("last", w.log.Log.Last)
	}
	o.add("a=4")
	w.run()
	w.want("4:a=4")
}

func TestMirrorStart(t *testing.T) {
	at := time.Unix(0, testStart+3).UTC().Format(time.RFC3339Nano)
	for _, c := range []struct{ mirror, want string }{
		{`{"name":"O","opt_start_seq":3}`, "3:b=3 4:b=4"},
		{fmt.Sprintf(`{"name":"O","opt_start_time":%q}`, at), "3:b=3 4:b=4"},
		{`{"name":"O","filter_subject":"a"}`, "1:a=1 2:a=2"},
		{`{"name":"O","subject_transforms":[{"src":"b","dest":"x.b"},{"src":"a","dest":"y"}]}`, "1:y=1 2:y=2 3:x.b=3 4:x.b=4"},
	} {
		w := newWorld(t, `{"name":"M","mirror":`+c.mirror+`}`, testOrigin("O").add("a=1", "a=2", "b=3", "b=4"))
		w.advance(time.Second)
		w.want(c.want)
	}
	// A start sequence that does not exist yet is waited for.
	o := testOrigin("O").add("a=1")
	w := newWorld(t, `{"name":"M","mirror":{"name":"O","opt_start_seq":3}}`, o)
	w.advance(time.Second)
	o.add("a=2", "a=3")
	w.run()
	w.want("3:a=3")
	// After that the mirror goes on behind its own last message, whatever the configuration says.
	o.add("a=4")
	w.restart(true)
	w.advance(time.Second)
	w.want("3:a=3 4:a=4")
}

func TestMirrorHeaders(t *testing.T) {
	o := testOrigin("O")
	o.put("a", []byte("NATS/1.0\r\nNats-Expected-Last-Sequence: 9\r\nX: y\r\nNats-Batch-Id: b\r\nNats-Stream-Source: P 1 > > s\r\n\r\n"), "1")
	o.put("a", []byte("NATS/1.0\r\nNats-Expected-Stream: O\r\n\r\n"), "2")
	o.put("a", []byte("NATS/1.0\r\nX:  z \r\n\r\n"), "3")
	o.put("a", []byte("NATS/1.0\r\nNats-Msg-Id: i\r\n\r\n"), "4")
	o.put("a", []byte("NATS/1.0\r\nNats-Msg-Id: i\r\n\r\n"), "5")
	w := newWorld(t, `{"name":"M","mirror":{"name":"O"}}`, o)
	w.advance(time.Second)
	w.want("1:a=1 2:a=2 3:a=3 4:a=4 5:a=5")
	for i, want := range []string{"NATS/1.0\r\nX: y\r\nNats-Stream-Source: P 1 > > s\r\n\r\n", "", "NATS/1.0\r\nX:  z \r\n\r\n",
		"NATS/1.0\r\nNats-Msg-Id: i\r\n\r\n", "NATS/1.0\r\nNats-Msg-Id: i\r\n\r\n"} {
		if got := string(w.log.Msgs[i].Header); got != want {
			t.Errorf("%d: %q, want %q", i, got, want)
		}
	}
	// A source names its origin, in place of an older name, and duplicates are dropped.
	w = newWorld(t, `{"name":"S","duplicate_window":60000000000,"sources":[{"name":"O"}]}`, o)
	w.advance(time.Second)
	w.want("1:a=1 2:a=2 3:a=3 4:a=4")
	for i, want := range []string{"NATS/1.0\r\nX: y\r\nNats-Stream-Source: O 1 > > a id1\r\n\r\n", "NATS/1.0\r\nNats-Stream-Source: O 2 > > a id1\r\n\r\n",
		"NATS/1.0\r\nX:  z \r\nNats-Stream-Source: O 3 > > a id1\r\n\r\n"} {
		if got := string(w.log.Msgs[i].Header); got != want {
			t.Errorf("%d: %q, want %q", i, got, want)
		}
	}
	if i := w.info(0); i.Seq != 4 || o.made != 2 {
		t.Fatalf("%+v", i)
	}
}

func TestSources(t *testing.T) {
	o := testOrigin("O").add("o.1=m1", "o.2=m2", "o.3=m3")
	p := testOrigin("P").add("p=x")
	w := newWorld(t, `{"name":"S","sources":[{"name":"O","filter_subject":"o.1"},{"name":"O","subject_transforms":[{"src":"o.3","dest":"x.3"},{"src":"o.2","dest":""}]},{"name":"P"},{"name":"NOPE"}]}`, o, p)
	if i := w.info(3); i.Active != -1 || i.Error != nil {
		t.Fatalf("%+v", i)
	}
	nope := testOrigin("NOPE")
	nope.w = w
	w.origins["NOPE"] = nope
	nope.refuse = func(string, bool) *jsapi.Error { return jsapi.StreamNotFound.Err() }
	w.advance(time.Second)
	var got []string
	for _, r := range w.log.Msgs {
		got = append(got, fmt.Sprintf("%s=%s %s", r.Subject, r.Payload, header.Get(r.Header, jsapi.HdrStreamSource)))
	}
	slices.Sort(got)
	want := []string{"o.1=m1 O 1 o.1 > o.1 id1", "o.2=m2 O 2 o.3\fo.2 x.3\f> o.2 id1", "p=x P 1 > > p id1", "x.3=m3 O 3 o.3\fo.2 x.3\f> o.3 id1"}
	if !slices.Equal(got, want) {
		t.Fatalf("got %q\nwant %q", got, want)
	}
	l := w.e.Sources(w.now)
	if l[0].Seq != 1 || l[0].FilterSubject != "o.1" || l[1].Seq != 3 || len(l[1].SubjectTransforms) != 2 || l[2].Seq != 1 ||
		l[3].Error == nil || l[3].Error.ErrCode != jsapi.StreamNotFound || l[3].Active != -1 || w.e.Mirror(w.now) != nil {
		b, _ := json.Marshal(l)
		t.Fatalf("%s", b)
	}
	nope.refuse = nil
	nope.add("n=1")
	w.advance(30 * time.Second)
	if i := w.info(3); i.Error != nil || i.Seq != 1 {
		t.Fatalf("%+v", i)
	}
}

// TestGap loses messages in the middle and at the tail: the consumer is made anew behind what was taken, not sooner than two
// seconds after the last request.
func TestGap(t *testing.T) {
	for _, kind := range []string{"mirror", "sources"} {
		o := testOrigin("O").add("a=1", "a=2", "a=3", "a=4")
		cfg := `{"name":"S","mirror":{"name":"O"}}`
		if kind == "sources" {
			cfg = `{"name":"S","sources":[{"name":"O"}]}`
		}
		w := newWorld(t, cfg, o)
		w.advance(500 * time.Millisecond)
		asked := w.e.list[0].asked
		c := o.cons[o.names()[0]]
		o.add("a=5", "a=6")
		c.dseq++ // as if 5 had been sent
		c.next++
		w.run()
		if kind == "mirror" {
			w.want("1:a=1 2:a=2 3:a=3 4:a=4")
		}
		if len(w.subs) != 0 {
			t.Fatal("still listening", w.subs)
		}
		w.advance(time.Duration(asked + 2*second - w.now))
		if o.made != 1 {
			t.Fatal("too soon")
		}
		w.advance(time.Second)
		w.want("1:a=1 2:a=2 3:a=3 4:a=4 5:a=5 6:a=6")
		if o.made != 2 || o.asked[1].OptStartSeq != 5 || o.asked[1].DeliverPolicy != jsapi.DeliverByStartSequence {
			t.Fatalf("%+v", o.asked)
		}
		// At the tail only the heartbeat tells.
		o.add("a=7")
		c = o.cons[w.e.list[0].consumer]
		c.dseq++
		c.next++
		w.run()
		w.advance(1100 * time.Millisecond)
		if w.e.list[0].phase == running {
			t.Fatal("loss at the tail not noticed")
		}
		w.advance(3 * time.Second)
		if !strings.HasSuffix(w.content(), " 7:a=7") || o.made != 3 {
			t.Fatal(w.content())
		}
	}
}

func TestSilence(t *testing.T) {
	o := testOrigin("O").add("a=1")
	w := newWorld(t, `{"name":"S","sources":[{"name":"O"}]}`, o)
	w.advance(30 * time.Second)
	if o.made != 1 {
		t.Fatal("heartbeats are ignored")
	}
	o.cons = map[string]*origConsumer{} // the origin's server is gone, and comes back
	o.add("a=2")
	w.advance(9 * time.Second)
	if o.made != 1 || w.info(0).Active < 8*time.Second {
		t.Fatal("too soon")
	}
	w.advance(3 * time.Second)
	w.want("1:a=1 2:a=2")
	// Reconnect does not wait for the backoff.
	o.cons = map[string]*origConsumer{}
	o.mute = true
	w.advance(2 * time.Minute)
	if w.e.list[0].fails == 0 {
		t.Fatal("no failures")
	}
	if w.e.list[0].phase == asking {
		w.advance(time.Duration(createTimeout))
	}
	o.mute = false
	w.e.Reconnect(w.now)
	w.advance(2200 * time.Millisecond)
	if w.e.list[0].phase != running {
		t.Fatal("not asked at once")
	}
}

// TestBackoff measures the time between requests that fail.
func TestBackoff(t *testing.T) {
	o := testOrigin("O").add("a=1")
	o.refuse = func(string, bool) *jsapi.Error { return jsapi.StreamNotFound.Err() }
	w := newWorld(t, `{"name":"S","sources":[{"name":"O"}]}`, o)
	last := int64(0)
	for i := range 15 {
		for n := len(w.sent); len(w.sent) == n; {
			w.now, _ = w.e.Deadline()
			w.e.Tick(w.now)
		}
		if i > 0 {
			gap, want := w.now-last, 2*second+min(int64(i)*backoffStep, backoffMax)
			if gap < want+100*ms || gap > want+200*ms {
				t.Fatalf("request %d after %v, want %v", i, time.Duration(gap), time.Duration(want))
			}
		}
		last = w.now
		w.run()
	}
	if len(w.warned) != 1 || w.info(0).Error.ErrCode != jsapi.StreamNotFound {
		t.Fatal(w.warned)
	}
	// Silence: 30 s for the answer, and an answer that comes later is nobody's.
	o.refuse, o.mute = nil, true
	for w.e.list[0].phase != asking {
		w.now, _ = w.e.Deadline()
		w.e.Tick(w.now)
	}
	var inbox string
	for _, s := range w.subs {
		inbox = s
	}
	if at, _ := w.e.Deadline(); at != w.now+createTimeout {
		t.Fatal("timeout", time.Duration(at-w.now))
	}
	id := w.e.list[0].reply
	w.advance(time.Duration(createTimeout))
	if w.e.list[0].phase != resting || len(w.subs) != 0 {
		t.Fatal("no timeout")
	}
	w.e.Deliver(w.now, id, &Msg{Subject: []byte(inbox), Payload: []byte(`{"name":"X","config":{"deliver_subject":"y"}}`)})
	if w.e.list[0].phase != resting {
		t.Fatal("an old answer was taken")
	}
	o.mute = false
	w.advance(3 * time.Minute)
	w.want("1:a=1")
}

// TestOldOrigins falls back to older forms of the request.
func TestOldOrigins(t *testing.T) {
	for _, least := range []int{4, 0} {
		for _, cfg := range []string{`{"name":"S","mirror":{"name":"O"}}`, `{"name":"S","sources":[{"name":"O","filter_subject":"a"}]}`} {
			o := testOrigin("O").add("a=1")
			o.refuse = func(level string, identity bool) *jsapi.Error {
				if level == "5" || level == "4" && least == 0 {
					return jsapi.RequiredApiLevel.Err()
				}
				if identity {
					t.Error("identity in an old request")
				}
				return nil
			}
			w := newWorld(t, cfg, o)
			w.advance(time.Second)
			w.want("1:a=1")
			c := o.asked[0]
			if c.Sourcing != (least == 4) || len(o.asked) != 1 || (least == 0) != strings.Contains(c.Name, w.e.list[0].base+"_") {
				t.Fatalf("%+v", c)
			}
		}
	}
}

func TestRecreated(t *testing.T) {
	o := testOrigin("O").add("a=1", "a=2", "a=3")
	w := newWorld(t, `{"name":"S","sources":[{"name":"O"}]}`, o)
	w.advance(time.Second)
	o.recreate("id2")
	o.mute = true
	w.advance(time.Minute)
	o.mute = false
	o.add("b=1")
	w.advance(2 * time.Minute)
	w.want("1:a=1 2:a=2 3:a=3 4:b=1")
	if i := w.info(0); i.Seq != 1 || len(w.warned) != 1 {
		t.Fatalf("%+v %q", i, w.warned)
	}
	// Known also after a restart, with nothing stored from the new one.
	o.recreate("id3")
	w.restart(false)
	w.advance(5 * time.Second)
	if i := w.info(0); i.Seq != 0 {
		t.Fatalf("stale %+v", i)
	}
	o.add("c=1")
	w.run()
	w.want("1:a=1 2:a=2 3:a=3 4:b=1 5:c=1")
}

func TestFlowControl(t *testing.T) {
	o := testOrigin("O")
	w := newWorld(t, `{"name":"S","sources":[{"name":"O"}]}`, o)
	w.advance(time.Second)
	w.hold = true
	for i := range 40 {
		o.add(fmt.Sprint("a=", i))
	}
	w.run()
	if w.f.InFlight() != origWindow || w.requests("$JS.FC.") != 0 {
		t.Fatal("answered before it was applied", w.f.InFlight())
	}
	w.advance(5 * time.Second) // heartbeats tell of the stall: it is ours
	if w.requests("$JS.FC.") != 0 || w.info(0).Error != nil {
		t.Fatal("answered before it was applied")
	}
	w.apply()
	if w.requests("$JS.FC.") != 1 || !strings.Contains(w.bodies[len(w.bodies)-1], `Nats-Last-Consumer: 8\r\nNats-Last-Stream: 8\r\n`) {
		t.Fatal(w.bodies)
	}
	w.hold = false
	w.run()
	if w.requests("$JS.FC.") != 5 || len(w.log.Msgs) != 40 {
		t.Fatal(w.requests("$JS.FC."), len(w.log.Msgs))
	}
	// Replies that do not arrive: an error after three heartbeats, which goes away.
	o.deaf = true
	for i := range 8 {
		o.add(fmt.Sprint("b=", i))
	}
	w.run()
	w.advance(2 * time.Second)
	if w.info(0).Error != nil {
		t.Fatal("too soon")
	}
	w.advance(2 * time.Second)
	if e := w.info(0).Error; e == nil || e.ErrCode != jsapi.SourceConsumerFlowControlStalled || len(w.warned) != 1 {
		t.Fatal(e, w.warned)
	}
	o.deaf = false
	w.advance(3 * time.Second)
	if w.info(0).Error != nil || o.made != 1 {
		t.Fatal(w.info(0).Error)
	}
}

// TestDiscardNew: a full stream refuses; the message comes again and nothing is skipped.
func TestDiscardNew(t *testing.T) {
	o := testOrigin("O").add("a=1", "a=2", "a=3", "a=4", "a=5")
	w := newWorld(t, `{"name":"S","max_msgs":2,"discard":"new","sources":[{"name":"O"}]}`, o)
	w.advance(10 * time.Second)
	w.want("1:a=1 2:a=2")
	n := o.made
	if n < 4 || n > 6 || len(w.warned) > 0 || w.info(0).Error != nil {
		t.Fatal("requests", n, w.warned)
	}
	w.log.Log.Remove(1)
	w.log.Log.Remove(2)
	w.advance(3 * time.Second)
	w.want("3:a=3 4:a=4")
	if w.info(0).Seq != 4 {
		t.Fatalf("%+v", w.info(0))
	}
	// What can never be stored holds the source up, with growing pauses, and is shown.
	o = testOrigin("O").add("a=1", "a=too long for this", "a=3")
	w = newWorld(t, `{"name":"S","max_msg_size":64,"sources":[{"name":"O"}]}`, o)
	o.put("a", nil, strings.Repeat("x", 100))
	o.add("a=5")
	w.advance(time.Minute)
	if e := w.info(0).Error; e == nil || e.ErrCode != jsapi.StreamMessageExceedsMaximum || len(w.warned) != 1 || o.made > 5 {
		t.Fatal(e, w.warned, o.made)
	}
	w.update(`{"name":"S","max_msg_size":1000,"sources":[{"name":"O"}]}`)
	w.advance(2 * time.Minute)
	if w.info(0).Error != nil || w.info(0).Seq != 5 || len(w.log.Msgs) != 5 {
		t.Fatalf("%+v", w.info(0))
	}
}

func TestDurable(t *testing.T) {
	for _, cfg := range []string{`{"name":"S","mirror":{"name":"O","consumer":{"name":"C","deliver_subject":"d.x"}}}`,
		`{"name":"S","sources":[{"name":"O","consumer":{"name":"C","deliver_subject":"d.x"}}]}`} {
		o := testOrigin("O").add("a=1", "a=2")
		o.cons["C"] = &origConsumer{next: 1, window: origWindow, cfg: jsapi.ConsumerConfig{Name: "C", DeliverSubject: "d.x", AckPolicy: jsapi.AckNone}}
		w := newWorld(t, cfg, o)
		w.advance(time.Second)
		want := jsapi.SourceConsumerRequiresAckFC
		if strings.Contains(cfg, "mirror") {
			want = jsapi.MirrorConsumerRequiresAckFC
		}
		if e := w.info(0).Error; e == nil || e.ErrCode != want || w.content() != "" {
			t.Fatal(e)
		}
		o.cons["C"].cfg.AckPolicy = jsapi.AckFlowControl
		w.advance(15 * time.Second)
		w.want("1:a=1 2:a=2")
		if w.info(0).Error != nil {
			t.Fatal(w.info(0).Error)
		}
		// No answer for 5 s: what the consumer sends shortens the backoff.
		o.mute = true
		o.cons["C"].paused = true
		w.advance(2 * time.Minute)
		for w.e.list[0].phase != resting {
			w.advance(time.Second)
		}
		if w.e.list[0].fails < 3 || !w.e.list[0].probe {
			t.Fatal("fails", w.e.list[0].fails)
		}
		o.mute, o.cons["C"].paused = false, false
		w.advance(4 * time.Second)
		if w.e.list[0].phase != running {
			t.Fatal("the probe did not help")
		}
		w.e.Close(true)
		if len(o.deleted) != 0 || len(w.subs) != 0 {
			t.Fatal("a consumer of others was deleted")
		}
	}
}

func TestUpdate(t *testing.T) {
	o, p := testOrigin("O").add("a=1"), testOrigin("P").add("b=1")
	w := newWorld(t, `{"name":"S","sources":[{"name":"O"}]}`, o, p)
	w.advance(time.Second)
	first := o.names()[0]
	w.update(`{"name":"S","sources":[{"name":"P"},{"name":"O"}]}`)
	w.advance(time.Second)
	w.want("1:a=1 2:b=1")
	if o.made != 1 || len(o.deleted) != 0 {
		t.Fatal("the source that stays was disturbed")
	}
	w.update(`{"name":"S","sources":[{"name":"P"}]}`)
	if !slices.Equal(o.deleted, []string{first}) || len(w.subs) != 1 {
		t.Fatal(o.deleted, w.subs)
	}
	o.add("a=2")
	w.advance(5 * time.Second)
	w.want("1:a=1 2:b=1")
	// Back again: it goes on, even if what it brought is gone and the server was restarted.
	w.log.Log.Purge(nil, 0)
	w.restart(false)
	w.update(`{"name":"S","sources":[{"name":"P"},{"name":"O"}]}`)
	w.advance(time.Second)
	w.want("3:a=2")
	w.advance(15 * time.Second) // the consumers from before the restart end
	// The same stream twice: the consumers are called otherwise.
	w.update(`{"name":"S","sources":[{"name":"P"},{"name":"O"},{"name":"O","filter_subject":"c"}]}`)
	o.add("a=3", "c=4")
	w.advance(5 * time.Second)
	if !strings.Contains(w.content(), "a=3") || strings.Count(w.content(), "c=4") != 1 || len(o.deleted) != 2 || len(w.subs) != 3 {
		t.Fatal(w.content(), o.deleted, w.subs)
	}
	if c := o.asked[len(o.asked)-2:]; c[0].DeliverPolicy == c[1].DeliverPolicy {
		t.Fatal("a new source of a purged stream starts at its last time, one that was there goes on")
	}
	w.e.Close(true)
	if len(o.cons) != 0 || len(p.cons) != 0 || len(w.subs) != 0 {
		t.Fatal("consumers are left", o.cons, p.cons)
	}
	if _, ok := w.e.Deadline(); ok {
		t.Fatal("deadline after close")
	}
}

func TestPromotion(t *testing.T) {
	o := testOrigin("O")
	o.put("a", []byte("NATS/1.0\r\nNats-Stream-Source: Q 7 > > s\r\n\r\n"), "1")
	w := newWorld(t, `{"name":"M","mirror":{"name":"O"}}`, o)
	w.advance(time.Second)
	w.update(`{"name":"M","subjects":["a"]}`)
	if w.e.Mirror(w.now) != nil || w.direct || len(w.subs) != 0 || len(o.cons) != 0 {
		t.Fatal("the mirror lives on")
	}
	if _, ok := w.e.Deadline(); ok {
		t.Fatal("deadline of nothing")
	}
	w.f.Publish(&stream.Inbound{Subject: []byte("a"), Payload: []byte("2")}, w.now, &w.b, &w.out)
	w.apply()
	w.want("1:a=1 2:a=2")
	// The promoted stream takes over the source of its origin, where that was.
	q := testOrigin("Q").add("s=1", "s=2", "s=3", "s=4", "s=5", "s=6", "s=7", "s=8")
	q.w = w
	w.origins["Q"] = q
	w.update(`{"name":"M","subjects":["a"],"sources":[{"name":"Q"}]}`)
	w.advance(time.Second)
	w.want("1:a=1 2:a=2 3:s=8")
}

// TestResume looks for positions in the log, which is partly cold.
func TestResume(t *testing.T) {
	put := func(w *world, subj, hdr string) {
		w.log.Append(&store.Rec{Seq: w.log.Log.Last + 1, Time: testStart - 1, Subject: []byte(subj), Header: []byte(hdr)})
	}
	src := func(v string) string { return "NATS/1.0\r\nNats-Stream-Source: " + v + "\r\n\r\n" }
	o, p, q, r := testOrigin("O"), testOrigin("P"), testOrigin("Q"), testOrigin("R")
	all := []*origStream{o, p, q, r}
	w := newWorld(t, `{"name":"S","sources":[{"name":"O","subject_transforms":[{"src":"a.*","dest":"x.$1"}]},{"name":"P"},{"name":"Q"},{"name":"R"}]}`, all...)
	w.e.Close(false)
	put(w, "x.1", src("O 4 a.* x.$1 a.1 id1"))
	put(w, "x.1", src("O 5 a.* x.$1 a.1 id1"))
	put(w, "q", src("Q 3"))
	put(w, "p", src("$JS.ACK.P.C.1.6.1.1.0"))
	for i := range 3000 {
		put(w, "noise", src(fmt.Sprintf("T %d > > n", i)))
	}
	w.log.Cold[2], w.log.Damaged[3], w.log.Cold[2000] = true, false, true
	for _, x := range all {
		for i := range 10 {
			x.add(fmt.Sprintf("a.%d=%s%d", i+1, x.name, i+1))
		}
	}
	w.restart(true)
	w.e.Tick(w.now)
	w.advance(3 * time.Second)
	if w.e.list[0].phase != searching {
		t.Fatal("did not wait for the cold block")
	}
	delete(w.log.Cold, 2000)
	w.advance(3 * time.Second)
	if w.e.list[0].phase != searching || w.e.list[1].phase != running || w.e.list[1].seq != 10 {
		t.Fatal("found nothing yet")
	}
	delete(w.log.Cold, 2)
	w.advance(3 * time.Second)
	first := map[string]string{}
	for _, m := range w.log.Msgs[3004:] {
		n := string(m.Payload[:1])
		if first[n] == "" {
			first[n] = string(m.Payload)
		}
	}
	if first["O"] != "O6" || first["P"] != "P7" || first["Q"] != "Q4" || first["R"] != "R1" {
		t.Fatal(first)
	}
	// Once more, now from the checkpoint and without the log.
	w.log.Log.Purge(nil, 0)
	for _, x := range all {
		x.add("a.1=" + x.name + "new")
	}
	w.restart(false)
	w.advance(time.Second)
	if got := w.content(); strings.Count(got, "new") != 4 || len(w.log.Msgs) != 4 {
		t.Fatal(got)
	}
}

// TestPurgedStart: a stream that was purged takes a source it knows nothing of from its own last time on.
func TestPurgedStart(t *testing.T) {
	o := testOrigin("O").add("a=1", "a=2", "a=3", "a=4")
	w := newWorld(t, `{"name":"S","subjects":["s"],"sources":[{"name":"O"}]}`, o)
	w.e.Close(false)
	w.log.Append(&store.Rec{Seq: 1, Time: testStart + 3, Subject: []byte("s")})
	w.log.Log.Remove(1)
	w.restart(true)
	w.advance(time.Second)
	w.want("2:a=3 3:a=4")
	if c := o.asked[0]; c.DeliverPolicy != jsapi.DeliverByStartTime || c.OptStartTime.UnixNano() != testStart+3 {
		t.Fatalf("%+v", c)
	}
}

func TestBadAnswers(t *testing.T) {
	o := testOrigin("O").add("a=1")
	answers := []string{`{}`, `{"name":"X"}`, `{"name":"X","config":{"deliver_subject":">"}}`, `{"error":{"code":503,"err_code":10008,"description":"x"}}`}
	i := 0
	o.answer = func(*jsapi.ConsumerInfo, bool) []byte {
		if i++; i <= len(answers) {
			return []byte(answers[i-1])
		}
		return nil
	}
	w := newWorld(t, `{"name":"M","mirror":{"name":"O"}}`, o)
	w.advance(time.Second)
	if e := w.info(0).Error; e == nil || e.ErrCode != jsapi.MirrorConsumerSetupFailed {
		t.Fatal(e)
	}
	w.advance(10 * time.Minute)
	w.want("1:a=1")
	if i != len(answers)+1 || w.info(0).Error != nil {
		t.Fatal(i)
	}
	// Nonsense on the deliver subject changes nothing.
	id := w.e.list[0].feed
	for _, m := range []Msg{{}, {Reply: []byte("$JS.ACK.")}, {Reply: []byte("$JS.ACK.O.other.1.9.2.1.0")}, {Header: []byte("NATS/1.0 503\r\n\r\n")},
		{Reply: []byte("$JS.ACK.O." + w.e.list[0].consumer + ".2.9.2.1.0")}, {Reply: []byte("x"), Payload: []byte("y")}} {
		w.e.Deliver(w.now, id, &m)
	}
	w.e.Deliver(w.now, 99, &Msg{})
	w.e.Deliver(w.now, 0, &Msg{})
	w.run()
	w.want("1:a=1")
	// No responders is an answer.
	w = newWorld(t, `{"name":"M","mirror":{"name":"O"}}`)
	w.advance(300 * time.Millisecond)
	w.e.Deliver(w.now, w.e.list[0].reply, &Msg{Header: []byte("NATS/1.0 503\r\n\r\n")})
	if w.e.list[0].phase != resting || w.info(0).Error == nil {
		t.Fatal("503 is ignored")
	}
	w.advance(15 * time.Second)
	w.e.Deliver(w.now, w.e.list[0].reply, &Msg{Payload: []byte(`{`)})
	if e := w.info(0).Error; w.e.list[0].phase != asking || e.ErrCode != jsapi.InvalidJSON {
		t.Fatal(e)
	}
}

// TestGivenUp: what the journal refuses while the message is handed over is asked for again.
func TestGivenUp(t *testing.T) {
	for _, cfg := range []string{`{"name":"S","mirror":{"name":"O"}}`, `{"name":"S","sources":[{"name":"O"}]}`} {
		o := testOrigin("O").add("a=1", "a=2", "a=3")
		w := newWorld(t, cfg, o)
		w.giveUp = 2
		w.advance(time.Minute)
		w.want("1:a=1 2:a=2 3:a=3")
		if o.made != 2 || w.giveUp != 0 {
			t.Fatal(o.made)
		}
	}
}
