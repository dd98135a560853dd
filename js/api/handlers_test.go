package api

import (
	"strings"
	"testing"
	"time"

	"ramjet/proto/jsapi"
)

// expect asks as account a and compares the code of the answer; 0 is success, -1 no answer.
func (b *bench) expect(subj, body string, code int) string {
	b.Helper()
	return b.expectAs("a", "", subj, body, code)
}

func (b *bench) expectAs(account, hdr, subj, body string, code int) string {
	b.Helper()
	p, ok := b.ask(account, hdr, subj, body)
	got := 0
	if !ok {
		got = -1
	} else if e, _ := fields(b.T, p.body)["error"].(map[string]any); e != nil {
		got = int(e["err_code"].(float64))
	}
	if got != code {
		b.Errorf("%s %s: %d, want %d\n %s", subj, body, got, code, p.body)
	}
	return p.body
}

// TestEveryEndpointHasARow keeps the table complete.
func TestEveryEndpointHasARow(t *testing.T) {
	jsapi.Endpoints(func(e jsapi.Endpoint) {
		switch e {
		case jsapi.DirectGet, jsapi.ConsumerNext, jsapi.ConsumerReset:
			if handlers[e].run != nil {
				t.Errorf("%v is a subscription of its asset", e)
			}
		default:
			if handlers[e].run == nil {
				t.Errorf("%v has no handler", e)
			}
		}
	})
}

func TestOfflineAssets(t *testing.T) {
	b := newBench(t)
	for _, s := range []string{"A", "B", "C"} {
		b.expect("STREAM.CREATE."+s, `{"name":"`+s+`"}`, 0)
	}
	b.expect("CONSUMER.CREATE.A.X", `{"stream_name":"A","config":{"durable_name":"X"}}`, 0)
	b.expect("CONSUMER.CREATE.A.Y", `{"stream_name":"A","config":{"durable_name":"Y"}}`, 0)
	const why = "unsupported - required API level: 9, current API level: 5"
	acc := b.node.accounts["a"]
	acc.streams["A"].consumers["X"].offline = why
	for _, subj := range []string{"CONSUMER.INFO.A.X"} {
		if got := b.expect(subj, "", 10195); !strings.Contains(got, "consumer is offline: "+why) {
			t.Errorf("%s: %s", subj, got)
		}
	}
	b.expect("CONSUMER.CREATE.A.X", `{"stream_name":"A","config":{"durable_name":"X"}}`, 10195)
	b.expect("CONSUMER.PAUSE.A.X", "", -1)
	b.expect("CONSUMER.UNPIN.A.X", `{"group":"g"}`, -1)
	if got := b.expect("CONSUMER.LIST.A", "", 0); !strings.Contains(got, `"missing":["X"],"offline":{"X":"`+why+`"}`) || !strings.Contains(got, `"total":2`) {
		t.Errorf("list: %s", got)
	}
	if got := b.expect("CONSUMER.NAMES.A", "", 0); !strings.Contains(got, `"consumers":["X","Y"]`) {
		t.Errorf("names: %s", got)
	}
	b.expect("CONSUMER.DELETE.A.X", "", 0)

	acc.streams["B"].offline = why
	if got := b.expect("STREAM.INFO.B", "", 10194); !strings.Contains(got, "stream is offline: "+why) {
		t.Errorf("info: %s", got)
	}
	b.expect("STREAM.UPDATE.B", `{"name":"B"}`, 10194)
	b.expect("STREAM.CREATE.B", `{"name":"B"}`, 10194)
	b.expect("CONSUMER.CREATE.B.X", `{"stream_name":"B","config":{}}`, 10194)
	for _, subj := range []string{"STREAM.PURGE.B", "CONSUMER.PAUSE.B.X"} {
		b.expect(subj, "", -1)
	}
	b.expect("STREAM.MSG.GET.B", `{"seq":1}`, -1)
	b.expect("STREAM.MSG.DELETE.B", `{"seq":1}`, -1)
	b.expect("STREAM.SNAPSHOT.B", `{"deliver_subject":"x"}`, -1)
	if got := b.expect("STREAM.LIST", "", 0); !strings.Contains(got, `"missing":["B"],"offline":{"B":"`+why+`"}`) || !strings.Contains(got, `"total":3`) {
		t.Errorf("list: %s", got)
	}
	b.expect("STREAM.DELETE.B", "", 0)
}

func TestNoTier(t *testing.T) {
	b := newBench(t)
	b.expect("STREAM.CREATE.S", `{"name":"S"}`, 0)
	b.node.accounts["a"].noTier = true
	b.expect("STREAM.CREATE.T", `{"name":"T","max_age":1}`, 10052)
	b.expect("STREAM.CREATE.T", `{"name":"T"}`, 10120)
	b.expect("STREAM.UPDATE.S", `{"name":"S","description":"x"}`, 10120)
	b.expect("STREAM.RESTORE.T", `{"config":{},"state":{}}`, 10120)
	b.expect("CONSUMER.CREATE.S.C", `{"stream_name":"S","config":{}}`, 10120)
}

func TestNotStrict(t *testing.T) {
	b := newBench(t)
	b.expect("STREAM.CREATE.S", `{"name":"S","new_in_3_0":{"a":[1]}}`, 10025)
	b.node.server.Strict = false
	b.expect("STREAM.CREATE.S", `{"name":"S","new_in_3_0":{"a":[1]}}`, 0)
	b.expect("STREAM.CREATE.S", `{"name":5}`, 10025)
	b.expect("STREAM.NAMES", `{"new_in_3_0":1}`, 0)
}

// TestTimesOutOfRange has times that are fine in their zone and have no year of four digits in UTC.
func TestTimesOutOfRange(t *testing.T) {
	b := newBench(t)
	b.expect("STREAM.CREATE.S", `{"name":"S"}`, 0)
	for _, at := range []string{`"9999-12-31T23:59:59-10:00"`, `"0000-01-01T00:00:00+10:00"`} {
		b.expect("STREAM.CREATE.M", `{"name":"M","mirror":{"name":"S","opt_start_time":`+at+`}}`, 10025)
		b.expect("STREAM.CREATE.M", `{"name":"M","sources":[{"name":"S","opt_start_time":`+at+`}]}`, 10025)
		b.expect("STREAM.CREATE.M", `{"name":"M","sources":[null]}`, 10141)
		b.expect("STREAM.UPDATE.S", `{"name":"S","sources":[null]}`, 10141)
		b.expect("STREAM.RESTORE.M", `{"config":{"sources":[null]},"state":{}}`, 10141)
		b.expect("CONSUMER.CREATE.S.C", `{"stream_name":"S","config":{"pause_until":`+at+`}}`, 10025)
		b.expect("CONSUMER.CREATE.S.C", `{"stream_name":"S","config":{"deliver_policy":"by_start_time","opt_start_time":`+at+`}}`, 10025)
		b.expect("CONSUMER.PAUSE.S.C", `{"pause_until":`+at+`}`, 10025)
	}
}

func TestPages(t *testing.T) {
	b := newBench(t)
	acc := b.node.accounts["a"]
	const n = 1100
	for i := range n {
		name := "S" + string(rune('a'+i/676)) + string(rune('a'+i/26%26)) + string(rune('a'+i%26))
		if _, _, err := acc.CreateStream(&jsapi.StreamConfig{Name: name, Subjects: []string{name}}); err != nil {
			t.Fatal(err)
		}
	}
	s := acc.streams["Saaa"]
	for name := range acc.streams {
		if _, err := s.CreateConsumer(name, &jsapi.ConsumerConfig{Name: name}, false); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		subj, body, list string
		limit            int
		want             int
	}{
		{"STREAM.NAMES", "", "streams", 1024, 1024},
		{"STREAM.NAMES", `{"offset":1000}`, "streams", 1024, 100},
		{"STREAM.LIST", "", "streams", 256, 256},
		{"STREAM.LIST", `{"offset":1000}`, "streams", 256, 100},
		{"CONSUMER.NAMES.Saaa", "", "consumers", 1024, 1024},
		{"CONSUMER.NAMES.Saaa", `{"offset":1000}`, "consumers", 1024, 100},
		{"CONSUMER.LIST.Saaa", "", "consumers", 256, 256},
		{"CONSUMER.LIST.Saaa", `{"offset":1000}`, "consumers", 256, 100},
	} {
		m := fields(t, b.expect(c.subj, c.body, 0))
		if got := len(m[c.list].([]any)); got != c.want || m["total"] != float64(n) || m["limit"] != float64(c.limit) {
			t.Errorf("%s %s: %d of %v, limit %v", c.subj, c.body, got, m["total"], m["limit"])
		}
	}
}

func TestDomain(t *testing.T) {
	b := newBench(t)
	b.node.server.Domain = "hub"
	for _, c := range []struct{ subj, body string }{
		{"INFO", ""}, {"STREAM.CREATE.S", `{"name":"S"}`}, {"STREAM.UPDATE.S", `{"name":"S"}`}, {"STREAM.INFO.S", ""}, {"STREAM.LIST", ""},
	} {
		if got := b.expect(c.subj, c.body, 0); !strings.Contains(got, `"domain":"hub"`) {
			t.Errorf("%s: %s", c.subj, got)
		}
	}
}

// TestSourcing follows the consumer of a source: on a stream with limits a new one for each request, else a durable one.
func TestSourcing(t *testing.T) {
	b := newBench(t)
	b.expect("STREAM.CREATE.L", `{"name":"L"}`, 0)
	b.expect("STREAM.CREATE.I", `{"name":"I","retention":"interest"}`, 0)
	acc := b.node.accounts["a"]
	body := func(stream, more string) string {
		return `{"stream_name":"` + stream + `","config":{"deliver_subject":"d","ack_policy":"none","max_deliver":1,"direct":true,"sourcing":true,` +
			`"flow_control":true,"idle_heartbeat":1000000000` + more + `}}`
	}
	for range 2 {
		b.expect("CONSUMER.CREATE.L.SRC", body("L", ""), 0)
		b.expect("CONSUMER.CREATE.I.SRC", body("I", `,"deliver_policy":"by_start_sequence","opt_start_seq":3`), 0)
	}
	if n := len(acc.streams["L"].consumers); n != 2 {
		t.Errorf("%d consumers", n)
	}
	o := acc.streams["I"].consumers["SRC"]
	if len(acc.streams["I"].consumers) != 1 || o == nil || o.cfg.Durable != "SRC" || o.cfg.Direct || o.cfg.AckPolicy != jsapi.AckFlowControl {
		t.Fatalf("%+v", o)
	}
	b.expect("CONSUMER.CREATE.I.SRC", body("I", `,"deliver_policy":"by_start_sequence","opt_start_seq":9`), 0)
	if o.cfg.OptStartSeq != 3 {
		t.Errorf("start moved to %d", o.cfg.OptStartSeq)
	}

	id := identityOf(acc.streams["L"])
	b.expectAs("a", "Nats-Stream-Identity: "+id, "CONSUMER.CREATE.L.SRC", body("L", ""), 0)
	if got := b.expectAs("a", "Nats-Stream-Identity: other", "CONSUMER.CREATE.L.SRC", body("L", ""), 10225); !strings.Contains(got, id) {
		t.Errorf("%s lacks %s", got, id)
	}
	p, _ := b.ask("a", "", "CONSUMER.CREATE.L.SRC", body("L", ""))
	if want := "NATS/1.0\r\nNats-Stream-Identity: " + id + "\r\n\r\n"; p.hdr != want {
		t.Errorf("header %q, want %q", p.hdr, want)
	}
}

// TestGeneratedNamesAreFree has the generator make a name that is taken.
func TestGeneratedNamesAreFree(t *testing.T) {
	b := newBench(t)
	b.expect("STREAM.CREATE.S", `{"name":"S"}`, 0)
	s := b.node.accounts["a"].streams["S"]
	seed := b.node.seed
	b.expect("CONSUMER.CREATE.S", `{"stream_name":"S","config":{}}`, 0)
	b.node.seed = seed
	b.expect("CONSUMER.CREATE.S", `{"stream_name":"S","config":{}}`, 0)
	if len(s.consumers) != 2 {
		t.Errorf("%d consumers", len(s.consumers))
	}
	for name, o := range s.consumers {
		if len(name) != 8 || o.cfg.Name != "" || o.cfg.InactiveThreshold != ephemeralThreshold {
			t.Errorf("%s: %+v", name, o.cfg)
		}
	}
}

func TestPurgeAccount(t *testing.T) {
	b := newBench(t)
	b.expectAs("s", "", "ACCOUNT.PURGE.a", "", 0)
	b.expectAs("s", "Nats-Required-Api-Level: 6", "ACCOUNT.PURGE.a", "", 10185)
	b.expectAs("a", "", "ACCOUNT.PURGE.a", "", -1)
	if len(b.node.purged) != 1 || b.node.purged[0] != "a" {
		t.Errorf("purged %v", b.node.purged)
	}
}

func TestUnpinReachesTheConsumer(t *testing.T) {
	b := newBench(t)
	b.expect("STREAM.CREATE.S", `{"name":"S"}`, 0)
	b.expect("CONSUMER.CREATE.S.C",
		`{"stream_name":"S","config":{"ack_policy":"explicit","priority_groups":["g"],"priority_policy":"pinned_client"}}`, 0)
	b.expect("CONSUMER.UNPIN.S.C", `{"group":"g"}`, 0)
	if got := b.node.accounts["a"].streams["S"].consumers["C"].unpins; len(got) != 1 || got[0] != "g" {
		t.Errorf("unpinned %v", got)
	}
}

func TestSelectors(t *testing.T) {
	b := newBench(t)
	b.expect("STREAM.CREATE.S", `{"name":"S"}`, 0)
	at := `"start_time":"2020-01-01T00:00:00Z"`
	for body, code := range map[string]int{
		`{"seq":1,` + at + `}`:                          10003,
		`{"last_by_subj":"S",` + at + `}`:               10003,
		`{"last_by_subj":"S","next_by_subj":"S"}`:       10003,
		`{"seq":1,"next_by_subj":"S",` + at + `}`:       10003,
		`{"seq":1,"next_by_subj":"S"}`:                  10037,
		`{"next_by_subj":"S",` + at + `}`:               10037,
		`{` + at + `}`:                                  10037,
		`{"no_hdr":true}`:                               10003,
		`{"seq":1,"last_by_subj":"S"}`:                  10003,
		`{"seq":1,"last_by_subj":"S","batch":1}`:        10003,
		`{"seq":1,"up_to_time":"2020-01-01T00:00:00Z"}`: 10037,
	} {
		b.expect("STREAM.MSG.GET.S", body, code)
	}
}

// TestStreamIdentity compares with an identity that nats-server gave.
func TestStreamIdentity(t *testing.T) {
	created, err := time.Parse(time.RFC3339Nano, "2026-11-27T15:18:33.471598581Z")
	if err != nil {
		t.Fatal(err)
	}
	if got := streamIdentity(&fakeStream{created: created.In(time.FixedZone("east", 3600))}); got != "KCiH1eCC" {
		t.Errorf("identity %s", got)
	}
}
