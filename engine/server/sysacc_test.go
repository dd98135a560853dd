package server

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats.go"

	"ramjet/engine/config"
)

const sysConf = `
host: 127.0.0.1, port: -1
server_name: probe-1
server_tags: ["eu", "fast"]
accounts {
  A { users: [
    {user: a, password: p}
    {user: a2, password: p, permissions: {publish: {allow: ["foo", "$SYS.>"]}, subscribe: "_INBOX.>", allow_responses: true}}
  ] }
  B { users: [ {user: b, password: p} ] }
  $SYS { users: [ {user: s, password: p} ] }
}
`

// confServer starts a server from a configuration file.
func confServer(t *testing.T, text string) (s *Server, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "r.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o, _, err := config.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, _ = testServer(t, o)
	return s, file
}

func dial(t *testing.T, s *Server, user string, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(s.ClientURL(), append(opts, nats.UserInfo(user, "p"))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// ask sends a request and returns the answer as it came.
func ask(t *testing.T, nc *nats.Conn, subj, body string) string {
	t.Helper()
	m, err := nc.Request(subj, []byte(body), 5*time.Second)
	if err != nil {
		t.Fatalf("%s %s: %v", subj, body, err)
	}
	return string(m.Data)
}

// keys returns the names of the fields of a JSON object, in order of emission.
func keys(t *testing.T, b string) (names []string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(b))
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		t.Fatalf("no object: %v %v in %s", tok, err, b)
	}
	for d.More() {
		k, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, k.(string))
		var skip json.RawMessage
		if err := d.Decode(&skip); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// field returns the raw value at a path of names.
func field(t *testing.T, b string, path ...string) string {
	t.Helper()
	for _, p := range path {
		var m map[string]json.RawMessage
		if err := json.Unmarshal([]byte(b), &m); err != nil {
			t.Fatalf("%v in %s", err, b)
		}
		b = string(m[p])
	}
	return b
}

const (
	goldenServer = "name host id ver tags jetstream flags seq time"
	goldenStats  = "start mem cores cpu connections total_connections active_accounts subscriptions sent sent_to_clients " +
		"received received_from_clients slow_consumers active_servers gomaxprocs"
	goldenConn = "cid kind type ip port start last_activity rtt uptime idle pending_bytes in_msgs out_msgs in_bytes out_bytes " +
		"subscriptions lang version"
	goldenSubsz = "server_id now num_subscriptions num_cache num_inserts num_removes num_matches cache_hit_rate max_fanout " +
		"avg_fanout total offset limit"
	goldenJsz = "memory storage reserved_memory reserved_storage accounts ha_assets api server_id now disabled config streams " +
		"consumers messages bytes total"
	goldenClient = "start host id acc user lang ver name_tag kind client_type"
)

// TestSystemRequestFields compares the names and the order of fields with those nats-server 2.15.2 sends.
func TestSystemRequestFields(t *testing.T) {
	s, _ := confServer(t, sysConf)
	nc := dial(t, s, "s")
	dial(t, s, "a")
	for _, c := range []struct {
		x, want string
		path    []string
	}{
		{"", "server statsz", nil},
		{"", goldenServer, []string{"server"}},
		{"", goldenStats, []string{"statsz"}},
		{".STATSZ", goldenStats, []string{"statsz"}},
		{".IDZ", "name host id", nil},
		{".VARZ", "server data", nil},
		{".SUBSZ", goldenSubsz, []string{"data"}},
		{".CONNZ", "server_id now num_connections total offset limit connections", []string{"data"}},
		{".ROUTEZ", "server_id server_name now num_routes routes", []string{"data"}},
		{".GATEWAYZ", "server_id now outbound_gateways inbound_gateways", []string{"data"}},
		{".LEAFZ", "server_id now leafnodes leafs", []string{"data"}},
		{".ACCOUNTZ", "server_id now system_account accounts", []string{"data"}},
		{".JSZ", goldenJsz, []string{"data"}},
		{".HEALTHZ", "status status_code", []string{"data"}},
		{".PROFILEZ", "profile error", []string{"data"}},
		{".EXPVARZ", "memstats cmdline", []string{"data"}},
		{".IPQUEUESZ", "pending in_progress", []string{"data", "System recvQ"}},
		{".RAFTZ", "", []string{"data"}},
	} {
		for _, who := range []string{"PING", s.ID()} {
			if c.x == "" && who != "PING" {
				continue
			}
			got := keys(t, field(t, ask(t, nc, "$SYS.REQ.SERVER."+who+c.x, ""), c.path...))
			if !reflect.DeepEqual(got, strings.Fields(c.want)) && len(got)+len(c.want) > 0 {
				t.Errorf("%s %s %v:\n got %v\nwant %v", who, c.x, c.path, got, c.want)
			}
		}
	}
	var conns []json.RawMessage
	if err := json.Unmarshal([]byte(field(t, ask(t, nc, "$SYS.REQ.SERVER.PING.CONNZ", ""), "data", "connections")), &conns); err != nil {
		t.Fatal(err)
	}
	if len(conns) != 2 {
		t.Fatalf("%d connections: internal subscribers must not be shown", len(conns))
	}
	if got := keys(t, string(conns[0])); !reflect.DeepEqual(got, strings.Fields(goldenConn)) {
		t.Errorf("connection: %v", got)
	}
}

// TestSystemRequestAnswers is about contents, filters and errors.
func TestSystemRequestAnswers(t *testing.T) {
	s, _ := confServer(t, sysConf)
	sys, a := dial(t, s, "s"), dial(t, s, "a")
	a2 := dial(t, s, "a2")
	own := "$SYS.REQ.SERVER." + s.ID() + "."
	badJSON := `"error":{"code":400,"description":"invalid character 'b' looking for beginning of object key string"}}`
	for _, c := range []struct {
		nc               *nats.Conn
		subj, body, want string
	}{
		{sys, "$SYS.REQ.SERVER.PING", `{bad`, badJSON},
		{sys, "$SYS.REQ.SERVER.PING.VARZ", `{bad`, badJSON},
		{sys, "$SYS.REQ.SERVER.PING.IDZ", `{bad`, `{"name":"probe-1",`},
		{sys, "$SYS.REQ.SERVER.PING.VARZ", strings.Repeat(" ", 70<<10), `"error":{"code":400,"description":"request body too large"}}`},
		{sys, "$SYS.REQ.SERVER.PING.CONNZ", `{"sort":"blah"}`, `"data":null,"error":{"code":500,"description":"invalid sorting option: blah"}}`},
		{sys, "$SYS.REQ.SERVER.PING.CONNZ", `{"acc":"B","limit":1}`, `"num_connections":0,"total":0,"offset":0,"limit":1,"connections":[]}}`},
		{sys, "$SYS.REQ.SERVER.PING.CONNZ", `{"acc":"A","filter_subject":"none"}`, `"num_connections":0,`},
		{sys, "$SYS.REQ.SERVER.PING.CONNZ", `{"filter_subject":"x"}`, `"description":"filter by subject only valid with account filtering"`},
		{sys, "$SYS.REQ.SERVER.PING.VARZ", `{"server_name":"obe","tags":["FAST","eu"],"host":"127"}`, `"server_name":"probe-1"`},
		{sys, "$SYS.REQ.SERVER.PING.VARZ", `{"server_name":"probe-1","exact_match":true}`, `"server_name":"probe-1"`},
		{sys, "$SYS.REQ.SERVER.PING.SUBSZ", `{"subscriptions":true,"account":"B"}`, `"subject":"$SYS.REQ.USER.INFO"`},
		{sys, "$SYS.REQ.SERVER.PING.ACCOUNTZ", `{"account":"A"}`, `"account_detail":{"account_name":"A"`},
		{sys, "$SYS.REQ.SERVER.PING.HEALTHZ", ``, `"data":{"status":"ok","status_code":200}}`},
		{sys, "$SYS.REQ.SERVER.PING.HEALTHZ", `{"stream":"S"}`, `"data":{"status":"error","status_code":400,"error":"\"account\" must not be empty when checking stream health"}}`},
		{sys, "$SYS.REQ.SERVER.PING.PROFILEZ", ``, `"data":{"profile":null,"error":"Profile name not specified"}}`},
		{sys, "$SYS.REQ.SERVER.PING.PROFILEZ", `{"name":"cpu","duration":20000000000}`, `"error":"Duration 20s should be between 0s and 15s"`},
		{sys, "$SYS.REQ.SERVER.PING.PROFILEZ", `{"name":"goroutine","debug":1}`, `"error":""`},
		{sys, "$SYS.REQ.SERVER.PING.PROFILEZ", `{"name":"nope"}`, `Profile \"nope\" not found`},
		{sys, own + "KICK", `{"cid":999}`, `"error":{"code":500,"description":"no such client or leafnode id"}}`},
		{sys, own + "LDM", `{"cid":999}`, `"error":{"code":500,"description":"no such client id"}}`},
		{sys, "$SYS.REQ.ACCOUNT.A.SUBSZ", ``, `"num_subscriptions":6,`}, // 4 of the server, one inbox per client that asked
		{sys, "$SYS.REQ.ACCOUNT.A.CONNZ", `{"acc":"B"}`, `"num_connections":2,"total":2,`},
		{sys, "$SYS.REQ.ACCOUNT.NOPE.CONNZ", ``, `"num_connections":0,`},
		{sys, "$SYS.REQ.ACCOUNT.A.LEAFZ", ``, `"leafnodes":0,"leafs":[]}}`},
		{sys, "$SYS.REQ.ACCOUNT.A.JSZ", ``, `"data":null,"error":{"code":500,"description":"jetstream not enabled"}}`},
		{sys, "$SYS.REQ.ACCOUNT.A.INFO", ``, `"data":{"account_name":"A",`},
		{sys, "$SYS.REQ.ACCOUNT.NOPE.INFO", ``, `"data":null,"error":{"code":500,"description":"Account NOPE does not exist"}}`},
		{sys, "$SYS.REQ.ACCOUNT.A.STATZ", ``, `"account_statz":[{"acc":"A","name":"A","conns":2,`},
		{sys, "$SYS.REQ.ACCOUNT.B.STATZ", `{"include_unused":true}`, `"account_statz":[{"acc":"B","name":"B","conns":0,`},
		{sys, "$SYS.REQ.ACCOUNT.A.CONNS", ``, `{"type":"io.nats.server.advisory.v1.account_connections",`},
		{sys, "$SYS.REQ.ACCOUNT.PING.STATZ", `{"accounts":["A"]}`, `"account_statz":[{"acc":"A",`},
		{sys, "$SYS.REQ.ACCOUNT.NSUBS", `{"acc":"A","subject":"_INBOX.>"}`, `2`},
		{sys, "$SYS.DEBUG.SUBSCRIBERS", `_INBOX.>`, `1`},
		{sys, "$SYS.DEBUG.SUBSCRIBERS", `foo bar`, `0`},
		{sys, "$SYS.REQ.USER.INFO", ``, `"data":{"user":"s","account":"$SYS","account_name":"$SYS"}}`},
		{a, "$SYS.REQ.USER.INFO", ``, `"data":{"user":"a","account":"A","account_name":"A"}}`},
		{a2, "$SYS.REQ.USER.INFO", ``, `"permissions":{"publish":{"allow":["foo","$SYS.\u003e"]},"subscribe":{"allow":["_INBOX.\u003e"]},` +
			`"responses":{"max":1,"ttl":120000000000}}}}`},
		{a, "$SYS.REQ.ACCOUNT.PING.STATZ", `{"accounts":["B"],"include_unused":true}`, `"account_statz":[{"acc":"A","name":"A","conns":2,`},
		{a, "$SYS.REQ.ACCOUNT.PING.CONNZ", `{"acc":"$SYS"}`, `"num_connections":2,"total":2,`},
		{a, "$SYS.REQ.SERVER.PING.CONNZ", `{"user":"a"}`, `"num_connections":1,"total":1,`},
		{a, "$SYS.REQ.SERVER.PING.CONNZ", `{bad`, badJSON},
	} {
		// Everybody has an inbox by now, so that counts are the same for every row.
		for _, nc := range []*nats.Conn{a, a2} {
			if nc.NumSubscriptions() == 0 {
				ask(t, nc, "$SYS.REQ.USER.INFO", "")
			}
		}
		if got := ask(t, c.nc, c.subj, c.body); !strings.Contains(got, c.want) {
			t.Errorf("%s %.50s:\n got %.600s\nwant %s", c.subj, c.body, got, c.want)
		}
	}
	for _, subj := range []string{"$SYS.REQ.SERVER.PING", "$SYS.REQ.ACCOUNT.A.CONNZ", "$SYS.DEBUG.SUBSCRIBERS", own + "RELOAD"} {
		if _, err := a.Request(subj, nil, 5*time.Second); err != nats.ErrNoResponders {
			t.Errorf("%s from an ordinary account: %v", subj, err)
		}
	}
}

// TestSystemRequestSilence: who is not meant says nothing, also not that nobody is there. A request that
// is answered, sent after the silent ones, shows that they were handled: answers leave in order.
func TestSystemRequestSilence(t *testing.T) {
	s, _ := confServer(t, sysConf)
	nc := dial(t, s, "s")
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	own := "$SYS.REQ.SERVER." + s.ID() + "."
	for _, c := range [][2]string{
		{"$SYS.REQ.SERVER.PING", `{"server_name":"xx"}`},
		{"$SYS.REQ.SERVER.PING.VARZ", `{"server_name":"probe","exact_match":true}`},
		{"$SYS.REQ.SERVER.PING.VARZ", `{"host":"10."}`},
		{"$SYS.REQ.SERVER.PING.VARZ", `{"cluster":"c"}`},
		{"$SYS.REQ.SERVER.PING.VARZ", `{"domain":"d"}`},
		{"$SYS.REQ.SERVER.PING.VARZ", `{"tags":["eu","slow"]}`},
		{"$SYS.REQ.ACCOUNT.B.STATZ", ``},
		{"$SYS.REQ.ACCOUNT.B.CONNS", ``},
		{"$SYS.REQ.ACCOUNT.NSUBS", `{"acc":"B","subject":"x"}`},
		{own + "KICK", `{bad`},
		{own + "KICK", ``},
	} {
		if err := nc.PublishRequest(c[0], inbox, []byte(c[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.PublishRequest("$SYS.REQ.SERVER.PING.IDZ", inbox, nil); err != nil {
		t.Fatal(err)
	}
	m, err := sub.NextMsg(5 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if got := keys(t, string(m.Data)); !slices.Equal(got, []string{"name", "host", "id"}) {
		t.Errorf("answered: %s", m.Data)
	}
}

func TestSystemRequestEncoding(t *testing.T) {
	s, _ := confServer(t, sysConf)
	nc := dial(t, s, "s")
	for _, c := range []struct{ accept, want string }{{"gzip", "gzip"}, {"s2", "snappy"}, {"Snappy", "snappy"}, {"br", "identity"}} {
		m, err := nc.RequestMsg(&nats.Msg{Subject: "$SYS.REQ.SERVER.PING.VARZ", Header: nats.Header{"Accept-Encoding": {c.accept}}}, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Header.Get("Content-Encoding"); got != c.want {
			t.Errorf("%s: %q", c.accept, got)
		}
		r := io.Reader(bytes.NewReader(m.Data))
		switch c.want {
		case "gzip":
			if r, err = gzip.NewReader(r); err != nil {
				t.Fatal(err)
			}
		case "snappy":
			r = s2.NewReader(r)
		}
		b, err := io.ReadAll(r)
		if err != nil || !json.Valid(b) || !bytes.Contains(b, []byte(`"server_name":"probe-1"`)) {
			t.Errorf("%s: %v %.200s", c.accept, err, b)
		}
	}
}

// next returns the next message, which must be on the subject.
func next(t *testing.T, sub *nats.Subscription, subj string) string {
	t.Helper()
	m, err := sub.NextMsg(10 * time.Second)
	if err != nil {
		t.Fatalf("waiting for %s: %v", subj, err)
	}
	if m.Subject != subj {
		t.Fatalf("%s, want %s: %s", m.Subject, subj, m.Data)
	}
	return string(m.Data)
}

func subscribe(t *testing.T, nc *nats.Conn, subj string) *nats.Subscription {
	t.Helper()
	sub, err := nc.SubscribeSync(subj)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return sub
}

func TestSystemConnectionEvents(t *testing.T) {
	s, _ := confServer(t, sysConf)
	sys := dial(t, s, "s")
	sub := subscribe(t, sys, "$SYS.ACCOUNT.A.*")
	a := dial(t, s, "a")
	b := next(t, sub, "$SYS.ACCOUNT.A.CONNECT")
	if got := keys(t, b); !slices.Equal(got, strings.Fields("type id timestamp server client")) {
		t.Errorf("connect: %v", got)
	}
	if got := keys(t, field(t, b, "client")); !slices.Equal(got, strings.Fields(goldenClient)) {
		t.Errorf("client: %v", got)
	}
	if field(t, b, "type") != `"io.nats.server.advisory.v1.client_connect"` || len(field(t, b, "id")) != 24 || field(t, b, "client", "user") != `"a"` {
		t.Error(b)
	}
	if err := a.Publish("foo", []byte("bar")); err != nil {
		t.Fatal(err)
	}
	if err := a.Flush(); err != nil {
		t.Fatal(err)
	}
	a.Close()
	gone := next(t, sub, "$SYS.ACCOUNT.A.DISCONNECT")
	if got := keys(t, gone); !slices.Equal(got, strings.Fields("type id timestamp server client sent received reason")) {
		t.Errorf("disconnect: %v", got)
	}
	if field(t, gone, "sent") != `{"msgs":1,"bytes":3}` || field(t, gone, "received") != `{"msgs":0,"bytes":0}` || field(t, gone, "reason") != `"Client Closed"` {
		t.Error(gone)
	}
	if field(t, gone, "client", "stop") != field(t, gone, "timestamp") {
		t.Error(gone)
	}
	var first, second struct{ Server struct{ Seq uint64 } }
	if json.Unmarshal([]byte(b), &first) != nil || json.Unmarshal([]byte(gone), &second) != nil || second.Server.Seq <= first.Server.Seq {
		t.Errorf("sequence %d, then %d", first.Server.Seq, second.Server.Seq)
	}
}

func TestSystemAuthErrorEvent(t *testing.T) {
	s, _ := confServer(t, sysConf)
	sys := dial(t, s, "s")
	failed := subscribe(t, sys, "$SYS.SERVER.*.CLIENT.AUTH.ERR")
	gone := subscribe(t, sys, "$SYS.ACCOUNT.*.DISCONNECT")
	if _, err := nats.Connect(s.ClientURL(), nats.UserInfo("a", "wrong"), nats.Name("me")); err == nil {
		t.Fatal("let in")
	}
	b := next(t, failed, "$SYS.SERVER."+s.ID()+".CLIENT.AUTH.ERR")
	for path, want := range map[string]string{"acc": `"$G"`, "user": `"a"`, "name": `"me"`, "lang": `"go"`, "kind": `"Client"`} {
		if got := field(t, b, "client", path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if field(t, b, "type") != `"io.nats.server.advisory.v1.client_disconnect"` || field(t, b, "reason") != `"Authentication Failure"` {
		t.Error(b)
	}
	next(t, gone, "$SYS.ACCOUNT.$G.DISCONNECT")
	info := ask(t, sys, "$SYS.REQ.SERVER.PING.CONNZ", `{"state":1,"auth":true}`)
	if !strings.Contains(info, `"authorized_user":"a"`) || !strings.Contains(info, `"reason":"Authentication Failure"`) {
		t.Error(info)
	}
}

func TestSystemConnsEvent(t *testing.T) {
	s, _ := confServer(t, sysConf)
	sys := dial(t, s, "s")
	subjects := []string{"$SYS.ACCOUNT.B.SERVER.CONNS", "$SYS.SERVER.ACCOUNT.B.CONNS"}
	subs := []*nats.Subscription{subscribe(t, sys, subjects[0]), subscribe(t, sys, subjects[1])}
	b := dial(t, s, "b")
	for i, subj := range subjects {
		e := next(t, subs[i], subj)
		if got := keys(t, e); !slices.Equal(got, strings.Fields("type id timestamp server acc name conns leafnodes total_conns num_subscriptions sent received slow_consumers")) {
			t.Errorf("%s: %v", subj, got)
		}
		if field(t, e, "conns") != "1" {
			t.Error(e)
		}
	}
	if err := b.Publish("foo", []byte("bar")); err != nil {
		t.Fatal(err)
	}
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	b.Close()
	for i, subj := range subjects {
		e := next(t, subs[i], subj)
		if field(t, e, "conns") != "0" || !strings.HasPrefix(field(t, e, "received"), `{"msgs":1,"bytes":3,`) {
			t.Error(e)
		}
	}
}

func TestSystemStatsEvent(t *testing.T) {
	s, _ := confServer(t, sysConf)
	sys := dial(t, s, "s")
	sub := subscribe(t, sys, "$SYS.SERVER.*.STATSZ")
	// The schedule, and a request that wants no answer.
	for i := range 2 {
		if got := keys(t, next(t, sub, "$SYS.SERVER."+s.ID()+".STATSZ")); !slices.Equal(got, []string{"server", "statsz"}) {
			t.Errorf("%d: %v", i, got)
		}
		if err := sys.Publish("$SYS.REQ.SERVER.PING", nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSystemEndEvents(t *testing.T) {
	s, _ := confServer(t, sysConf)
	sys := dial(t, s, "s", nats.NoReconnect())
	msgs := make(chan *nats.Msg, 64) // a synchronous subscription ends with its connection
	if _, err := sys.ChanSubscribe("$SYS.SERVER.*.*", msgs); err != nil {
		t.Fatal(err)
	}
	if err := sys.Flush(); err != nil {
		t.Fatal(err)
	}
	s.LameDuck()
	wait := func(subj string) {
		t.Helper()
		for {
			select {
			case m := <-msgs:
				if m.Subject != subj {
					continue
				}
				if got := keys(t, string(m.Data)); !slices.Equal(got, strings.Fields(goldenServer)) {
					t.Errorf("%s: %v", subj, got)
				}
				return
			case <-t.Context().Done():
				t.Fatalf("no %s", subj)
			}
		}
	}
	wait("$SYS.SERVER." + s.ID() + ".LAMEDUCK")
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	wait("$SYS.SERVER." + s.ID() + ".SHUTDOWN")
}

func TestSystemKickAndLameDuck(t *testing.T) {
	s, _ := confServer(t, sysConf)
	sys := dial(t, s, "s")
	events := subscribe(t, sys, "$SYS.ACCOUNT.A.DISCONNECT")
	duck, gone := make(chan struct{}, 1), make(chan struct{}, 1)
	a := dial(t, s, "a", nats.NoReconnect(), nats.LameDuckModeHandler(func(*nats.Conn) { duck <- struct{}{} }),
		nats.ClosedHandler(func(*nats.Conn) { gone <- struct{}{} }))
	cid, err := a.GetClientID()
	if err != nil {
		t.Fatal(err)
	}
	await := func(what string, ch chan struct{}) {
		t.Helper()
		select {
		case <-ch:
		case <-t.Context().Done():
			t.Fatal(what)
		}
	}
	for _, c := range []struct {
		verb string
		ch   chan struct{}
	}{{"LDM", duck}, {"KICK", gone}} {
		got := ask(t, sys, "$SYS.REQ.SERVER."+s.ID()+"."+c.verb, fmt.Sprintf(`{"cid":%d}`, cid))
		if k := keys(t, got); !slices.Equal(k, []string{"server"}) {
			t.Errorf("%s: %s", c.verb, got)
		}
		await(c.verb, c.ch)
	}
	if e := next(t, events, "$SYS.ACCOUNT.A.DISCONNECT"); field(t, e, "reason") != `"Kicked"` {
		t.Error(e)
	}
	if info := ask(t, sys, "$SYS.REQ.SERVER.PING.CONNZ", `{"state":1}`); !strings.Contains(info, `"reason":"Kicked"`) {
		t.Error(info)
	}
}

// TestSystemReload: the request reloads, and accounts that come and go get and lose what is answered.
func TestSystemReload(t *testing.T) {
	s, file := confServer(t, sysConf)
	sys := dial(t, s, "s")
	reload := "$SYS.REQ.SERVER." + s.ID() + ".RELOAD"
	count := func() string { return field(t, ask(t, sys, "$SYS.REQ.SERVER.PING", ""), "statsz", "subscriptions") }
	before := count()
	if got := ask(t, sys, reload, ""); !slices.Equal(keys(t, got), []string{"server"}) {
		t.Error(got)
	}
	if after := count(); after != before {
		t.Errorf("%s subscriptions, %s after a reload", before, after)
	}
	next := strings.Replace(sysConf, "B { users: [ {user: b", "C { users: [ {user: c", 1)
	if err := os.WriteFile(file, []byte(next), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, sys, reload, ""); !slices.Equal(keys(t, got), []string{"server"}) {
		t.Error(got)
	}
	if after := count(); after != before {
		t.Errorf("%s subscriptions, %s after an account was replaced", before, after)
	}
	if got := ask(t, dial(t, s, "c"), "$SYS.REQ.USER.INFO", ""); !strings.Contains(got, `"account":"C"`) {
		t.Error(got)
	}
	if err := os.WriteFile(file, []byte("nonsense: 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, sys, reload, ""); !strings.Contains(got, `"error":{"code":500,"description":`) {
		t.Error(got)
	}
}

func TestNoSystemAccount(t *testing.T) {
	s, _ := confServer(t, "host: 127.0.0.1, port: -1\nno_system_account: true\n")
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Request("$SYS.REQ.USER.INFO", nil, 5*time.Second); err != nats.ErrNoResponders {
		t.Errorf("%v", err)
	}
	if n := s.accounts.Global().Index().Count(); n != 1 {
		t.Errorf("%d subscriptions", n)
	}
}
