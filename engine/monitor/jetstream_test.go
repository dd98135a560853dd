package monitor

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"ramjet/proto/jsapi"
	"ramjet/proto/sysapi"
)

// fakeJS is a JetStream with accounts A (streams S and BAD, consumer C) and B.
type fakeJS struct{ problem string }

func (j *fakeJS) Problem() string { return j.problem }
func (j *fakeJS) Config() sysapi.JetStreamConfig {
	return sysapi.JetStreamConfig{MaxMemory: 1, MaxStore: 2, StoreDir: "/d"}
}
func (j *fakeJS) Limits() *sysapi.JSLimits { return &sysapi.JSLimits{DefaultMaxConsumers: 1000} }
func (j *fakeJS) Stats() sysapi.JetStreamStats {
	return sysapi.JetStreamStats{Memory: 7, Accounts: 2, API: sysapi.JSAPIStats{Level: 5, Total: 9}}
}
func (j *fakeJS) Accounts() []string { return []string{"A", "B"} }
func (j *fakeJS) Account(name string) *sysapi.AccountDetail {
	if name != "A" && name != "B" {
		return nil
	}
	return &sysapi.AccountDetail{Name: name, ID: name}
}
func (j *fakeJS) Streams(account string, o StreamDetails) []sysapi.StreamDetail {
	if account == "B" {
		return nil
	}
	d := sysapi.StreamDetail{Name: "S", State: jsapi.StreamState{Msgs: 3}}
	if o.Config {
		d.Config = &jsapi.StreamConfig{Name: "S"}
	}
	if o.Consumers {
		d.Consumers = []*jsapi.ConsumerInfo{{Name: "C"}}
	}
	if o.Direct {
		d.DirectConsumers = []*jsapi.ConsumerInfo{{Name: "D"}}
	}
	return []sysapi.StreamDetail{d}
}
func (j *fakeJS) Assets(account string) JetStreamAssets {
	if account == "B" {
		return JetStreamAssets{}
	}
	return JetStreamAssets{Streams: 2, Consumers: 1, Messages: 3, Bytes: 30}
}
func (j *fakeJS) Problems() []AssetProblem {
	return []AssetProblem{{Account: "A", Stream: "BAD", Text: "damaged"}}
}
func (j *fakeJS) Stream(account, name string) (bool, string) {
	if name == "BAD" {
		return true, "damaged"
	}
	return account == "A" && name == "S", ""
}
func (j *fakeJS) Consumer(_, stream, name string) (bool, string) {
	return stream == "S" && name == "C", ""
}
func (j *fakeJS) Journal() sysapi.JSJournal { return sysapi.JSJournal{Records: 4} }
func (j *fakeJS) Dropped() uint64           { return 5 }

// TestJsz: what options select.
func TestJsz(t *testing.T) {
	f, h := newFake(t)
	f.js = &fakeJS{}
	for _, c := range []struct{ query, want string }{
		{"", ""},
		{"config=1&leader-only=1", ""},
		{"acc=A", "A"},
		{"acc=none", ""},
		{"accounts=1", "A B"},
		{"accounts=1&limit=1", "A"},
		{"accounts=1&offset=1", "B"},
		{"accounts=1&offset=9", ""},
		{"streams=1", "A[S] B"},
		{"streams=1&config=1", "A[S config] B"},
		{"consumers=1&acc=A", "A[S C]"},
		{"consumers=1&direct-consumers=1&acc=A&config=1", "A[S config C D]"},
		{"direct-consumers=1&streams=1", "A[S] B"}, // only beside the others
		{"direct-consumers=1&acc=A", "A"},
	} {
		res, body := get(t, h, "/jsz?"+c.query)
		var v sysapi.JSInfo
		if err := json.Unmarshal([]byte(body), &v); err != nil || res.StatusCode != 200 {
			t.Fatalf("%s: %d %v", c.query, res.StatusCode, err)
		}
		var got []string
		for _, a := range v.Accounts {
			s := a.Name
			for _, d := range a.Streams {
				s += "[" + d.Name
				if d.Config != nil {
					s += " config"
				}
				for _, k := range append(d.Consumers, d.DirectConsumers...) {
					s += " " + k.Name
				}
				s += "]"
			}
			got = append(got, s)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %s, want %s", c.query, s, c.want)
		}
		if v.Disabled || v.Total != 2 || v.Streams != 2 || v.Bytes != 30 || v.Memory != 7 || v.Config.StoreDir != "/d" || v.StreamsLeader != 0 {
			t.Errorf("%s: %+v", c.query, v)
		}
	}
	if _, body := get(t, h, "/jsz?raft=1"); !strings.Contains(body, `"streams_leader": 2`) || !strings.Contains(body, `"consumers_leader": 1`) {
		t.Error(body)
	}
	if _, body := get(t, h, "/varz"); !strings.Contains(body, `"store_dir": "/d"`) || !strings.Contains(body, `"total": 9`) {
		t.Error(body)
	}
	s := New(f)
	if v := s.JetStreamStats(); v == nil || v.Config.StoreDir != "" || v.Config.MaxStore != 2 {
		t.Errorf("%+v", v)
	}
	if d, err := s.JszAccount(&sysapi.JSzOptions{Account: "A", Streams: true}); err != nil || len(d.Streams) != 1 {
		t.Errorf("%+v %v", d, err)
	}
	if _, err := s.JszAccount(&sysapi.JSzOptions{Account: "X"}); err == nil || err.Error() != `account "X" not jetstream enabled` {
		t.Error(err)
	}
	f.js = nil
	if _, err := s.JszAccount(&sysapi.JSzOptions{Account: "A"}); err == nil || s.JetStreamStats() != nil {
		t.Error("JetStream is off")
	}
}

// TestJetStreamHealth: the answers of nats-server 2.15.
func TestJetStreamHealth(t *testing.T) {
	f, h := newFake(t)
	js := &fakeJS{}
	f.js = js
	const ok = `{"status":"ok"}`
	for _, c := range []struct {
		query string
		code  int
		want  string
	}{
		{"", 503, `{"status":"unavailable","error":"damaged"}`},
		{"details=1", 503, `{"status":"error","errors":[{"type":"STREAM","account":"A","stream":"BAD","error":"damaged"}]}`},
		{"js-enabled-only=1", 200, ok},
		{"js-enabled=1", 200, ok},
		{"js-server-only=1", 200, ok},
		{"js-meta-only=1", 200, ok},
		{"account=B", 200, ok},
		{"account=A", 503, `{"status":"unavailable","error":"damaged"}`},
		{"account=NO", 404, `{"status":"unavailable","error":"JetStream account \"NO\" not found"}`},
		{"account=A&stream=S", 200, ok},
		{"account=A&stream=BAD", 503, `{"status":"unavailable","error":"damaged"}`},
		{"account=A&stream=NO", 404, `{"status":"unavailable","error":"JetStream stream \"NO\" not found on account \"A\""}`},
		{"account=A&stream=NO&details=1", 404, `{"status":"error","errors":[{"type":"STREAM","account":"A","stream":"NO","error":"JetStream stream \"NO\" not found on account \"A\""}]}`},
		{"account=A&stream=S&consumer=C", 200, ok},
		{"account=A&stream=S&consumer=NO", 404, `{"status":"unavailable","error":"JetStream consumer \"NO\" not found for stream \"S\" on account \"A\""}`},
		{"stream=S&details=1", 400, `{"status":"error","errors":[{"type":"BAD_REQUEST","error":"\"account\" must not be empty when checking stream health"}]}`},
		{"account=A&consumer=C", 400, `{"status":"error","error":"\"stream\" must not be empty when checking consumer health"}`},
	} {
		res, body := get(t, h, "/healthz?"+c.query)
		if res.StatusCode != c.code || body != c.want {
			t.Errorf("%s: %d %s, want %d %s", c.query, res.StatusCode, body, c.code, c.want)
		}
	}
	js.problem = "JetStream is recovering: 1 of 2 streams"
	for _, q := range []string{"", "js-enabled-only=1", "js-server-only=1", "account=A&stream=S"} {
		if res, body := get(t, h, "/healthz?"+q); res.StatusCode != http.StatusServiceUnavailable || body != fmt.Sprintf(`{"status":"unavailable","error":%q}`, js.problem) {
			t.Errorf("%s: %d %s", q, res.StatusCode, body)
		}
	}
	v := New(f).Healthz(&sysapi.HealthzOptions{Details: true})
	if want := (&sysapi.Health{Status: "error", StatusCode: 503, Errors: []sysapi.HealthError{{Type: "JETSTREAM", Error: js.problem}}}); !reflect.DeepEqual(v, want) {
		t.Errorf("%+v", v)
	}
}
