package monitor

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/interest"
	"ramjet/engine/link"
	"ramjet/proto/sysapi"
)

// fake is a server with two accounts and no connections.
type fake struct {
	opts  *config.Options
	reg   *account.Registry
	conns *link.Registry
	ready bool
	js    JetStream
}

func (f *fake) MQTT() MQTT                               { return nil }
func (f *fake) ID() string                               { return "SERVER" }
func (f *fake) Name() string                             { return "n1" }
func (f *fake) Version() string                          { return "2.15.2" }
func (f *fake) GitCommit() string                        { return "abcdefg" }
func (f *fake) StartTime() time.Time                     { return time.Unix(1000, 0) }
func (f *fake) ConfigTime() time.Time                    { return time.Unix(1000, 0) }
func (f *fake) Now() time.Time                           { return time.Unix(1090, 0) }
func (f *fake) Options() *config.Options                 { return f.opts }
func (f *fake) OCSPCache() *sysapi.OCSPResponseCacheVarz { return nil }
func (f *fake) Accounts() *account.Registry              { return f.reg }
func (f *fake) Registry() *link.Registry                 { return f.conns }
func (f *fake) Counters() (c link.Counters)              { c.InMsgs = 7; c.SlowByKind[engine.Client] = 3; return c }
func (f *fake) CacheStats() interest.Stats               { return interest.Stats{Matches: 5} }
func (f *fake) Panics() int64                            { return 2 }
func (f *fake) Usage() (int64, float64)                  { return 4096, 12.5 }
func (f *fake) Logger() engine.Logger                    { return nil }
func (f *fake) Listeners() map[string]string             { return map[string]string{"client": "127.0.0.1:4333"} }
func (f *fake) ConnectURLs() (client, ws []string)       { return nil, nil }
func (f *fake) PinnedFails() uint64                      { return 0 }
func (f *fake) AuthRequired() bool                       { return true }
func (f *fake) Routes() Routes                           { return nil }
func (f *fake) JetStream() JetStream                     { return f.js }
func (f *fake) Gateways() Gateways                       { return nil }
func (f *fake) Ready() (ok bool, reasons []string) {
	if f.ready {
		return true, nil
	}
	return false, []string{"starting"}
}

func newFake(t testing.TB) (*fake, http.Handler) {
	t.Helper()
	o := &config.Options{Host: "127.0.0.1", Accounts: []*config.Account{{Name: "A"}},
		Mappings: []*config.Mapping{{Source: "a", Dests: []config.MapDest{{Subject: "b", Weight: 100}}}}}
	config.Baseline(o)
	reg, err := account.NewRegistry(o)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{opts: o, reg: reg, conns: link.NewRegistry(10), ready: true}
	return f, New(f).Handler("")
}

func get(t *testing.T, h http.Handler, path string) (*http.Response, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	res := w.Result()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

func TestPages(t *testing.T) {
	f, h := newFake(t)
	for _, c := range []struct {
		path string
		code int
		want string
	}{
		{"/", 200, `<a href="./varz">`},
		{"/varz", 200, `"port": 4333,`},
		{"/varz", 200, "\n  \"cluster\": {},\n"},
		{"/varz", 200, `"uptime": "1m30s"`},
		{"/connz", 200, `"connections": []`},
		{"/connz?limit=abc", 400, "Error decoding int for 'limit': strconv.Atoi: parsing \"abc\": invalid syntax"},
		{"/connz?auth=maybe", 400, "Error decoding boolean for 'auth': strconv.ParseBool: parsing \"maybe\": invalid syntax"},
		{"/connz?sort=bogus", 400, "invalid sorting option: bogus"},
		{"/connz?sort=stop", 400, "sort by stop only valid on closed connections"},
		{"/connz?sort=stop&state=closed", 200, `"limit": 1024`},
		{"/connz?state=bogus", 400, "Error decoding state for bogus"},
		{"/connz?offset=-5&limit=99999999", 200, `"offset": 0`},
		{"/subsz?test=a.*", 400, "invalid test subject, must be valid publish subject: a.*"},
		{"/subsz?subs=1", 200, `"num_matches": 5`},
		{"/accountz", 200, `"$SYS"`},
		{"/accountz?acc=A", 200, `"account_name": "A"`},
		{"/accountz?acc=$G", 200, `"weight": 100`},
		{"/accountz?acc=none", 400, "Account none does not exist"},
		{"/accstatz?unused=1", 200, `"acc": "A"`},
		{"/accstatz", 200, `"account_statz": []`},
		{"/healthz", 200, `{"status":"ok"}`},
		{"/healthz?js-enabled-only=1", 200, `{"status":"ok"}`}, // nobody asked for JetStream
		{"/healthz?stream=S", 400, `{"status":"error","error":"\"account\" must not be empty when checking stream health"}`},
		{"/livez", 200, `{"status":"ok"}`},
		{"/readyz", 200, `{"status":"ok"}`},
		{"/raftz", 404, "No Raft nodes registered"},
		{"/routez?subs=detail", 200, `"routes": []`},
		{"/gatewayz", 200, `"inbound_gateways": {}`},
		{"/leafz", 200, `"leafs": []`},
		{"/jsz", 200, `"disabled": true`},
		{"/ipqueuesz", 200, `{}`},
		{"/slowz", 200, `"slow": []`},
		{"/debug/vars", 200, `"memstats"`},
		{"/stacksz", 200, "HandleStacksz"},
		{"/nope", 404, "404 page not found"},
	} {
		res, body := get(t, h, c.path)
		if res.StatusCode != c.code || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %.400s", c.path, res.StatusCode, body)
		}
	}
	f.ready = false
	for _, p := range []string{"/healthz", "/readyz"} {
		if res, body := get(t, h, p); res.StatusCode != 503 || !strings.Contains(body, "starting") {
			t.Errorf("%s while starting: %d %s", p, res.StatusCode, body)
		}
	}
	if res, _ := get(t, h, "/livez"); res.StatusCode != 200 {
		t.Errorf("livez while starting: %d", res.StatusCode)
	}
}

func TestHeadersAndCounts(t *testing.T) {
	_, h := newFake(t)
	res, _ := get(t, h, "/connz")
	if res.Header.Get("Content-Type") != "application/json" || res.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error(res.Header)
	}
	get(t, h, "/varz")
	_, body := get(t, h, "/varz")
	var v struct {
		Stats map[string]int `json:"http_req_stats"`
	}
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	if v.Stats["/varz"] != 2 || v.Stats["/connz"] != 1 || len(v.Stats) != 2 {
		t.Error(v.Stats)
	}
}

func TestBasePath(t *testing.T) {
	f, _ := newFake(t)
	h := New(f).Handler("/nats")
	for path, code := range map[string]int{"/nats/varz": 200, "/nats": 200, "/varz": 404, "/": 404} {
		if res, _ := get(t, h, path); res.StatusCode != code {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}

// TestMetricsDocumented: every name is in docs/metrics.md and the other way round.
func TestMetricsDocumented(t *testing.T) {
	f, h := newFake(t)
	if _, body := get(t, h, "/metrics"); strings.Contains(body, "ramjet_jetstream") {
		t.Error("metrics of JetStream, which is off")
	}
	f.js = &fakeJS{}
	_, body := get(t, h, "/metrics")
	doc, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`ramjet_[a-z_]+`)
	exported, documented := map[string]bool{}, map[string]bool{}
	for _, line := range strings.Split(body, "\n") {
		if !strings.HasPrefix(line, "#") {
			if n := name.FindString(line); n != "" {
				exported[n] = true
			}
		}
	}
	for _, m := range remoteMetrics() { // there are none here
		exported[name.FindString(m.desc.String())] = true
	}
	for _, n := range name.FindAllString(string(doc), -1) {
		documented[n] = true
	}
	for n := range exported {
		if !documented[n] {
			t.Errorf("%s is not documented", n)
		}
	}
	for n := range documented {
		if !exported[n] {
			t.Errorf("%s is documented and not exported", n)
		}
	}
	if !strings.Contains(body, `ramjet_slow_consumers_total{kind="client"} 3`) || !strings.Contains(body, "ramjet_in_messages_total 7") {
		t.Error("values are missing")
	}
	req := httptest.NewRequest("GET", "/metrics", nil)
	req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	if ct := w.Header().Get("Content-Type"); !strings.HasPrefix(ct, "application/openmetrics-text") || !strings.HasSuffix(w.Body.String(), "# EOF\n") {
		t.Errorf("not OpenMetrics: %s", ct)
	}
}

// TestSystemImports lists what accounts import without saying so.
func TestSystemImports(t *testing.T) {
	show := func(own, js bool) (s string) {
		for _, i := range systemImports("A", "SYS", own, js) {
			if i.Account != "SYS" || i.To != i.LocalSubject || i.Type != "service" {
				t.Errorf("%+v", i)
			}
			s += i.LocalSubject + "->" + i.Subject + " "
		}
		return s
	}
	const user = "$SYS.REQ.USER.INFO->$SYS.REQ.USER.A.INFO "
	want := "$SYS.REQ.ACCOUNT.PING.CONNZ->$SYS.REQ.ACCOUNT.A.CONNZ $SYS.REQ.SERVER.PING.CONNZ->$SYS.REQ.ACCOUNT.A.CONNZ " +
		"$SYS.REQ.ACCOUNT.PING.STATZ->$SYS.REQ.ACCOUNT.A.STATZ " + user
	if got := show(false, false); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got := show(false, true); got != want+"$JS.API.>->$JS.API.> " {
		t.Errorf("with JetStream: %s", got)
	}
	if got := show(true, true); got != user {
		t.Errorf("the system account: %s", got)
	}
}

// FuzzQuery: whatever is asked for, a page is answered, as JSON or with a reason why not.
func FuzzQuery(f *testing.F) {
	paths := []string{"/connz", "/subsz", "/routez", "/accountz", "/accstatz", "/jsz", "/healthz", "/gatewayz", "/leafz", "/varz", "/slowz"}
	for i, q := range []string{"limit=-1&offset=9223372036854775807", "sort=stop&state=closed", "subs=detail&auth=1&acc=A&filter_subject=%3e", "test=a..b&subs=1", "cid=-1", "unused=1",
		"streams=true&consumer=x&config=1&limit=1&offset=99", "js-enabled-only=1&stream=s", "gw_name=%ff", "%", "a=1;b"} {
		f.Add(uint8(i), q)
	}
	_, h := newFake(f)
	f.Fuzz(func(t *testing.T, page uint8, query string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path, r.URL.RawQuery = paths[int(page)%len(paths)], query
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if strings.Contains(query, "callback") {
			return
		}
		if w.Code == 200 && !json.Valid(w.Body.Bytes()) || w.Code == 500 {
			t.Fatalf("%s?%s: %d %s", r.URL.Path, query, w.Code, w.Body)
		}
	})
}
