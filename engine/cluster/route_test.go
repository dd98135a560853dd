package cluster

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/auth"
	"ramjet/engine/config"
	"ramjet/engine/dispatch"
	"ramjet/engine/interest"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/base/clock"
	"ramjet/proto/wire"
)

// patience bounds every wait of a test for something that must come.
const patience = 10 * time.Second

type testLog struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *testLog) Enabled(v engine.Level) bool { return v != engine.Trace }

func (l *testLog) Logf(v engine.Level, id, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(&l.b, "%d %s %s\n", v, id, fmt.Sprintf(format, args...))
}

func (l *testLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// world is the part of a server that routes need.
type world struct {
	t       testing.TB
	log     *testLog
	reg     *account.Registry
	env     *link.Env
	svc     *Service
	changed chan struct{}
}

func newWorld(t testing.TB, set func(*config.Options)) *world {
	t.Helper()
	o := &config.Options{
		MaxControlLine: 4096, MaxPayload: 1 << 20, MaxPending: 64 << 20, PingMax: 2, WriteDeadline: 10 * time.Second, PingInterval: time.Hour,
		Accounts: []*config.Account{{Name: "APP", Limits: config.AccountLimits{MaxConn: -1, MaxSubs: -1, MaxPayload: -1, MaxLeafs: -1}}},
		Cluster: &config.ClusterOptions{Name: "C", PoolSize: 3, Compression: config.CompressionOptions{Mode: "off"},
			Auth: config.AuthBlock{Timeout: patience}},
	}
	if set != nil {
		set(o)
	}
	w := &world{t: t, log: &testLog{}, changed: make(chan struct{}, 100)}
	var err error
	if w.reg, err = account.NewRegistry(o); err != nil {
		t.Fatal(err)
	}
	a, _, err := auth.New(o, w.reg)
	if err != nil {
		t.Fatal(err)
	}
	var env link.Env
	g, err := netio.NewGroup(netio.Config{Loops: 2, Logger: w.log, TurnEnd: func(l *netio.Loop) { env.TurnEnd(l) }})
	if err != nil {
		t.Fatal(err)
	}
	ctxs := []*dispatch.Ctx{dispatch.NewCtx(0, 1), dispatch.NewCtx(1, 2)}
	env = link.Env{
		Group: g, Clock: clock.System(), Logger: w.log, Options: func() *config.Options { return o }, Auth: func() *auth.Authenticator { return a },
		Accounts: w.reg, Router: dispatch.NewRouter(w.reg), Registry: link.NewRegistry(0), Ctx: func(id engine.LoopID) *dispatch.Ctx { return ctxs[id] },
	}
	w.env = &env
	w.svc = New(&env, Port{ID: "ME", Version: "2.15.2", Proto: 2, Name: func() string { return "me" },
		ClientURLs: func() ([]string, []string) { return []string{"127.0.0.1:4222"}, nil },
		Changed:    func() { w.changed <- struct{}{} }})
	w.svc.Start(netip.MustParseAddrPort("127.0.0.1:6222"))
	t.Cleanup(func() {
		w.svc.Stop()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = g.Stop(ctx)
		if t.Failed() {
			t.Log(w.log)
		}
	})
	return w
}

// remote is a scripted server of the cluster.
type remote struct {
	t testing.TB
	c net.Conn
	r *bufio.Reader
}

// dial connects to the world and reads its INFO.
func (w *world) dial() (*remote, wire.RouteInfo) {
	w.t.Helper()
	c, err := w.env.Group.Pipe(w.svc.Accept)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	p := &remote{w.t, c, bufio.NewReader(c)}
	in, err := wire.ParseRouteInfo([]byte(strings.TrimPrefix(p.line(), "INFO ")))
	if err != nil {
		w.t.Fatal(err)
	}
	return p, in
}

// join is dial and the rest of the handshake, as server id.
func (w *world) join(id string, set func(*wire.RouteInfo)) *remote {
	w.t.Helper()
	p, in := w.dial()
	p.send(`CONNECT {"name":"` + id + `","cluster":"C","headers":true,"lnoc":true,"lnocu":true,"ln":true}`)
	mine := wire.RouteInfo{ServerID: id, ServerName: "name-" + id, Cluster: "C", Headers: true, PoolSize: in.PoolSize, LNOC: true, LNOCU: true, LN: true}
	if set != nil {
		set(&mine)
	}
	p.raw(string(wire.AppendRouteInfo(nil, &mine)))
	return p
}

func (p *remote) raw(s string) {
	p.t.Helper()
	_ = p.c.SetWriteDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(p.c, s); err != nil {
		p.t.Fatal(err)
	}
}

func (p *remote) send(line string) { p.t.Helper(); p.raw(line + "\r\n") }

// line returns the next line, PINGs left out.
func (p *remote) line() string {
	p.t.Helper()
	for {
		_ = p.c.SetReadDeadline(time.Now().Add(patience))
		s, err := p.r.ReadString('\n')
		if err != nil {
			return "error: " + err.Error()
		}
		if s = strings.TrimRight(s, "\r\n"); s != "PING" {
			return s
		}
	}
}

func (p *remote) expect(want ...string) {
	p.t.Helper()
	for _, w := range want {
		if got := p.line(); got != w {
			p.t.Fatalf("got %q, want %q", got, w)
		}
	}
}

// sync returns when everything sent before has been handled.
func (p *remote) sync() { p.t.Helper(); p.send("PING"); p.expect("PONG") }

// closed expects lines that contain texts, then the end.
func (p *remote) closed(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		if got := p.line(); !strings.Contains(got, text) {
			p.t.Fatalf("got %q, want %q", got, text)
		}
	}
	if got := p.line(); !strings.HasPrefix(got, "error: ") {
		p.t.Fatalf("not closed: %q", got)
	}
}

// local subscribes in an account; what arrives goes to the channel.
func (w *world) local(acct, subject, queue string) (*dispatch.Local, *interest.Sub, chan string) {
	w.t.Helper()
	got := make(chan string, 100)
	l := dispatch.NewLocal(w.reg.Lookup(acct).Index(), engine.System, 0, func(_ engine.LoopID, m *engine.Msg) {
		got <- fmt.Sprintf("%s|%s|%s|%s|%s", m.Subject, m.Reply, m.Header, m.Payload, m.Cluster)
	})
	s, err := l.Subscribe(subject, queue)
	if err != nil {
		w.t.Fatal(err)
	}
	return l, s, got
}

// publish publishes on a loop, as a client.
func (w *world) publish(acct string, m engine.Msg) dispatch.Outcome {
	w.t.Helper()
	done := make(chan dispatch.Outcome, 1)
	w.env.Group.Loops()[0].Post(func() {
		done <- w.env.Router.Publish(w.env.Ctx(0), w.reg.Lookup(acct), &m)
	})
	return <-done
}

func take(t testing.TB, ch chan string) string {
	t.Helper()
	select {
	case s := <-ch:
		return s
	case <-time.After(patience):
		t.Fatal("nothing arrived")
		return ""
	}
}

func TestInterest(t *testing.T) {
	w := newWorld(t, nil)
	slot := slotOf("APP", 3)
	w.local("APP", "here.*", "")
	lq, q, _ := w.local("APP", "work", "q")
	p := w.join("B", func(in *wire.RouteInfo) { in.PoolIdx = slot })
	got := []string{p.line(), p.line()}
	if got[0] > got[1] {
		got[0], got[1] = got[1], got[0]
	}
	if got[0] != "RS+ APP here.*" || got[1] != "RS+ APP work q 1" {
		t.Fatalf("told %q", got)
	}
	l, again, _ := w.local("APP", "here.*", "") // counted: not told
	_, second, _ := w.local("APP", "work", "q")
	p.expect("RS+ APP work q 2")
	l.Unsubscribe(again)
	lq.Unsubscribe(second)
	p.expect("RS+ APP work q 1")
	lq.Unsubscribe(q)
	p.expect("RS- APP work q")
	w.local("$G", "other.slot", "") // of another connection of the pool
	if slotOf("$G", 3) != slot {
		p.sync()
	}
	// a pinned account has its own connection, without name
	sys := w.join("B", func(in *wire.RouteInfo) { in.Account = "$SYS" })
	w.local("$SYS", "sys.x", "")
	sys.expect("RS+ sys.x")
	sys.send("RS+ sys.y")
	sys.sync()
	if o := w.publish("$SYS", engine.Msg{Subject: []byte("sys.y"), Payload: []byte("hi")}); o.Delivered != 1 {
		t.Errorf("outcome %+v", o)
	}
	sys.expect("RMSG sys.y 2", "hi")
}

// TestUnsubWithoutOrigin: a server of before names the cluster of a leafnode when interest begins, but not when it ends.
func TestUnsubWithoutOrigin(t *testing.T) {
	w := newWorld(t, nil)
	p := w.join("B", func(in *wire.RouteInfo) { in.PoolIdx, in.LN, in.LNOCU = slotOf("APP", 3), false, false })
	p.send("LS+ hub APP x")
	p.send("LS+ edge APP y")
	p.send("LS+ edge APP x q 1")
	p.send("RS+ APP y")
	p.send("LS- APP x")
	p.sync()
	for subj, want := range map[string]int{"x": 1, "y": 1} {
		var r interest.Result
		w.reg.Lookup("APP").Index().Match([]byte(subj), &r)
		if n := len(r.Plain) + len(r.Queues); n != want {
			t.Errorf("%s: %d", subj, n)
		}
	}
	p.send("LS- APP x q")
	p.send("LS- APP y")
	p.send("LS- APP y") // nothing left but what is no leafnode's
	p.sync()
	if x := w.reg.Lookup("APP").Index(); x.HasInterest([]byte("x")) || !x.HasInterest([]byte("y")) {
		t.Errorf("interest in x %v, in y %v", x.HasInterest([]byte("x")), x.HasInterest([]byte("y")))
	}
	p.send("RS- APP y")
	p.sync()
	if w.reg.Lookup("APP").Index().HasInterest([]byte("y")) {
		t.Error("interest in y")
	}
}

func TestMessages(t *testing.T) {
	w := newWorld(t, nil)
	p := w.join("B", func(in *wire.RouteInfo) { in.PoolIdx = slotOf("APP", 3) })
	p.send("RS+ APP plain.>")
	p.send("RS+ APP plain.a q1 1")
	p.send("RS+ APP plain.a q2 2")
	p.send("LS+ hub APP leaf.only")
	p.sync()
	hdr := []byte("NATS/1.0\r\n\r\n")
	for _, c := range []struct {
		m    engine.Msg
		want []string
	}{
		{engine.Msg{Subject: []byte("plain.b"), Payload: []byte("hi")}, []string{"RMSG APP plain.b 2", "hi"}},
		{engine.Msg{Subject: []byte("plain.b"), Reply: []byte("r"), Payload: []byte("hi")}, []string{"RMSG APP plain.b r 2", "hi"}},
		{engine.Msg{Subject: []byte("plain.b"), Reply: []byte("r"), Header: hdr, Payload: []byte("hi")},
			[]string{"HMSG APP plain.b r 12 14", "NATS/1.0", "", "hi"}},
		{engine.Msg{Subject: []byte("leaf.only"), Payload: []byte("x"), Origin: engine.Leaf, OriginID: 77, Cluster: "edge"},
			[]string{"LMSG edge APP leaf.only 0 1", "x"}},
		{engine.Msg{Subject: []byte("orders.1"), To: []byte("plain.dlv"), Reply: []byte("$JS.ACK.S.C.1.1.1.1.0"), Payload: []byte("m"), Origin: engine.JetStream},
			[]string{"RMSG APP plain.dlv $JS.ACK.S.C.1.1.1.1.0@orders.1 1", "m"}},
	} {
		w.publish("APP", c.m)
		p.expect(c.want...)
	}
	// one copy for plain interest and both groups
	w.publish("APP", engine.Msg{Subject: []byte("plain.a"), Reply: []byte("r"), Payload: []byte("q")})
	if got := p.line(); got != "RMSG APP plain.a + r q1 q2 1" && got != "RMSG APP plain.a + r q2 q1 1" {
		t.Fatalf("got %q", got)
	}
	p.expect("q")
	// and the other way
	_, _, plain := w.local("APP", "in.*", "")
	p.expect("RS+ APP in.*")
	_, _, queued := w.local("APP", "in.q", "grp")
	p.expect("RS+ APP in.q grp 1")
	for _, c := range []struct{ in, want, queue string }{
		{"RMSG APP in.a 2\r\nhi\r\n", "in.a|||hi|", ""},
		{"RMSG APP in.a re 2\r\nhi\r\n", "in.a|re||hi|", ""},
		{"HMSG APP in.a re 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", "in.a|re|NATS/1.0\r\n\r\n|hi|", ""},
		{"LMSG edge APP in.a 0 2\r\nhi\r\n", "in.a|||hi|edge", ""},
		{"LMSG _ APP in.a 0 2\r\nhi\r\n", "in.a|||hi|", ""},
		{"RMSG APP in.q | grp 2\r\nhi\r\n", "in.q|||hi|", "in.q|||hi|"},
		{"RMSG APP in.d $JS.ACK.S.C.1.1.1.1.0@orders.1 2\r\nhi\r\n", "orders.1|$JS.ACK.S.C.1.1.1.1.0||hi|", ""},
	} {
		p.raw(c.in)
		if got := take(t, plain); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
		if c.queue != "" {
			if got := take(t, queued); got != c.queue {
				t.Errorf("%q: queue got %q", c.in, got)
			}
		}
	}
	p.raw("RMSG APP in.q 2\r\nhi\r\n") // without a list groups get nothing
	take(t, plain)
	p.raw("RMSG NOBODY in.q 2\r\nhi\r\n") // an account that does not exist
	p.sync()
	if len(queued) != 0 {
		t.Errorf("the queue got %q", <-queued)
	}
	// what is withdrawn is forgotten, and everything with the connection
	p.send("RS- APP plain.>")
	p.send("LS- hub APP leaf.only")
	p.sync()
	if o := w.publish("APP", engine.Msg{Subject: []byte("plain.b")}); o.Delivered != 0 {
		t.Errorf("outcome %+v", o)
	}
	before := w.reg.Lookup("APP").Index().Count()
	p.c.Close()
	<-w.changed
	deadline := time.Now().Add(patience)
	for w.reg.Lookup("APP").Index().Count() != before-2 && time.Now().Before(deadline) {
		w.publish("APP", engine.Msg{Subject: []byte("nobody")}) // a turn of the loop
	}
	if n := w.reg.Lookup("APP").Index().Count(); n != before-2 {
		t.Errorf("%d subscriptions, before %d", n, before)
	}
}

func TestSplitAck(t *testing.T) {
	for in, want := range map[string]string{
		"$JS.ACK.S.C.1.2.3.4.5@a.b": "a.b $JS.ACK.S.C.1.2.3.4.5", "$JS.ACK.S.C.1.2.3.4@a.b": " ",
		"$JS.ACK.S.C.1.2@a.b": " ", "$JS.ACK.S.C.1.2.3.4.5@": " ", "$JS.ACK.S.C.1.2.3.4.5": " ", "_INBOX.1.2.3.4.5.6.7.8@a": " ", "": " ",
		"$JS.ACK.d.h.S@x.C.1.2.3.4.5.r@a@b": "a@b $JS.ACK.d.h.S@x.C.1.2.3.4.5.r",
	} {
		shown, ack := splitAck([]byte(in))
		if got := string(shown) + " " + string(ack); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestRefused(t *testing.T) {
	w := newWorld(t, func(o *config.Options) { o.Cluster.Auth.User, o.Cluster.Auth.Pass = "u", "p" })
	for _, c := range []struct{ say, want string }{
		{`CONNECT {"lang":"go","user":"u","pass":"p"}`, "attempted to connect to route port"},
		{`CONNECT {"gateway":"G","name":"x"}`, `Rejecting connection from gateway "G" on the Route port`},
		{`CONNECT {"name":"B","cluster":"C"}`, "Authorization Violation"},
		{`CONNECT {"name":"B","cluster":"C","user":"u","pass":"no"}`, "Authorization Violation"},
		{`CONNECT {"name":"B","cluster":"D","user":"u","pass":"p"}`, `cluster name "D" does not match "C"`},
		{"PING", "Authorization Violation"},
		{"INFO {}", "Authorization Violation"},
		{"RMSG APP a 0\r\n", "Authorization Violation"},
	} {
		p, in := w.dial()
		if !in.AuthRequired || in.Cluster != "C" || in.ServerID != "ME" || in.PoolSize != 3 || in.Compression != "off" {
			t.Errorf("INFO %+v", in)
		}
		p.send(c.say)
		p.closed(c.want)
	}
	if w.svc.Remotes() != 0 {
		t.Error("somebody was let in")
	}
}

func TestPlaces(t *testing.T) {
	w := newWorld(t, nil)
	a := w.join("B", nil)
	a.sync()
	w.join("B", nil).closed() // the slot is taken
	w.join("B", func(in *wire.RouteInfo) { in.PoolIdx = 3 }).closed("Invalid route pool index")
	w.join("B", func(in *wire.RouteInfo) { in.Account = "APP" }).closed() // not pinned here
	w.join("ME", nil).closed()                                            // ourselves
	w.join("X", func(in *wire.RouteInfo) { in.ServerName = "me" }).closed("Duplicate Server Name")
	w.join("Y", func(in *wire.RouteInfo) { in.ServerName = "name-B" }).closed("Duplicate Server Name")
	single := w.join("OLD", func(in *wire.RouteInfo) { in.PoolSize = 0 })
	single.sync()
	w.local("APP", "x", "")
	w.local("$G", "y", "")
	single.expect("RS+ APP x", "RS+ $G y")
	if n := w.svc.Remotes(); n != 2 {
		t.Errorf("%d remotes", n)
	}
	// the second server was told to the first, with its address
	if got := a.line(); !strings.Contains(got, `"server_id":"OLD"`) || !strings.Contains(got, `"gossip_mode":1`) {
		t.Errorf("gossip %q", got)
	}
}

func TestPermissions(t *testing.T) {
	w := newWorld(t, func(o *config.Options) {
		o.Cluster.Import = &config.SubjectPerm{Allow: []string{"in.>"}}
		o.Cluster.Export = &config.SubjectPerm{Allow: []string{"out.>"}, Deny: []string{"out.secret"}}
	})
	p := w.join("B", func(in *wire.RouteInfo) { in.PoolIdx = slotOf("APP", 3) })
	w.local("APP", "no", "")
	w.local("APP", "in.a", "")
	p.expect("RS+ APP in.a")
	p.send("RS+ APP out.x")
	p.send("RS+ APP out.secret")
	p.send("RS+ APP no2")
	p.sync()
	for subject, want := range map[string]int{"out.x": 1, "out.secret": 0, "no2": 0} {
		if o := w.publish("APP", engine.Msg{Subject: []byte(subject)}); o.Delivered != want {
			t.Errorf("%s: %+v", subject, o)
		}
	}
}

func TestDynamicName(t *testing.T) {
	w := newWorld(t, func(o *config.Options) { o.Cluster.Name = "" })
	if !w.svc.Dynamic() || len(w.svc.Name()) != 22 {
		t.Fatalf("name %q", w.svc.Name())
	}
	w.join("B", nil).sync() // its cluster is C, not dynamic
	if w.svc.Dynamic() || w.svc.Name() != "C" {
		t.Errorf("name %q", w.svc.Name())
	}
}

func TestClientURLs(t *testing.T) {
	w := newWorld(t, nil)
	p := w.join("B", func(in *wire.RouteInfo) { in.ConnectURLs = []string{"10.0.0.1:4222"} })
	<-w.changed
	if urls, _ := w.svc.PeerURLs(); len(urls) != 1 || urls[0] != "10.0.0.1:4222" {
		t.Errorf("%q", urls)
	}
	in := wire.RouteInfo{ServerID: "B", ConnectURLs: []string{"10.0.0.1:4222"}, LameDuck: true}
	p.raw(string(wire.AppendRouteInfo(nil, &in)))
	<-w.changed
	if urls, _ := w.svc.PeerURLs(); len(urls) != 0 {
		t.Errorf("of a server in lame duck mode: %q", urls)
	}
}

func TestSlots(t *testing.T) {
	// FNV-1a of the name, as other servers compute it
	if slotOf("$G", 1) != 0 || slotOf("anything", 0) != 0 {
		t.Error("a pool of one")
	}
	for name, want := range map[string]uint32{"": 2166136261, "a": 0xe40c292c, "foobar": 0xbf9cf968} {
		if got := slotOf(name, 1<<20); got != int(want%(1<<20)) {
			t.Errorf("%q: %d", name, got)
		}
	}
}

func TestHostMatches(t *testing.T) {
	for _, c := range []struct {
		name, host string
		want       bool
	}{
		{"a.b.c", "A.b.c", true}, {"*.b.c", "x.b.c", true}, {"*.c", "x.b.c", false}, {"a.*.c", "a.b.c", false}, {"a", "b", false},
	} {
		if hostMatches(c.name, c.host) != c.want {
			t.Errorf("%+v", c)
		}
	}
}

// TestSolicits: a configured server is dialed, the pool is filled when it has answered, and dialed again when it has gone.
func TestSolicits(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conns := make(chan net.Conn, 10)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns <- c
		}
	}()
	newWorld(t, func(o *config.Options) {
		u, _ := url.Parse("nats-route://u:p@" + ln.Addr().String())
		o.Cluster.Routes = []*url.URL{u}
	})
	accept := func() (*remote, wire.RouteInfo) {
		t.Helper()
		select {
		case c := <-conns:
			t.Cleanup(func() { c.Close() })
			p := &remote{t, c, bufio.NewReader(c)}
			if got := p.line(); !strings.HasPrefix(got, "CONNECT ") || !strings.Contains(got, `"user":"u","pass":"p"`) {
				t.Fatalf("got %q", got)
			}
			p.raw(string(wire.AppendRouteInfo(nil, &wire.RouteInfo{ServerID: "B", ServerName: "b", Cluster: "C", Headers: true, PoolSize: 2, LNOC: true, LNOCU: true, LN: true})))
			in, err := wire.ParseRouteInfo([]byte(strings.TrimPrefix(p.line(), "INFO ")))
			if err != nil {
				t.Fatal(err)
			}
			return p, in
		case <-time.After(patience):
			t.Fatal("nobody came")
			return nil, wire.RouteInfo{}
		}
	}
	first, in := accept()
	if in.PoolIdx != 0 || in.Account != "" || in.PoolSize != 3 {
		t.Errorf("first %+v", in)
	}
	first.send("PONG")
	slots := map[string]bool{}
	for range 3 { // two more of the pool of three, and the one of the system account
		p, in := accept()
		slots[fmt.Sprint(in.PoolIdx, in.Account)] = true
		p.send("PONG")
	}
	if len(slots) != 3 || !slots["1"] || !slots["2"] || !slots["0$SYS"] {
		t.Errorf("places %v", slots)
	}
	first.c.Close()
	if _, in = accept(); in.PoolIdx != 0 {
		t.Errorf("again %+v", in)
	}
}

// TestNoAllocations: nothing is allocated for a message from or to another server.
func TestNoAllocations(t *testing.T) {
	w := newWorld(t, nil)
	p := w.join("B", func(in *wire.RouteInfo) { in.PoolIdx = slotOf("APP", 3) })
	p.send("RS+ APP out")
	p.send("RS+ APP out q 3")
	p.sync()
	n := 0
	l := dispatch.NewLocal(w.reg.Lookup("APP").Index(), engine.System, 0, func(engine.LoopID, *engine.Msg) { n++ })
	if _, err := l.Subscribe("in", ""); err != nil {
		t.Fatal(err)
	}
	p.expect("RS+ APP in")
	go io.Copy(io.Discard, p.r)
	r := w.svc.peers["B"].pool[slotOf("APP", 3)]
	onLoop := func(fn func()) {
		done := make(chan struct{})
		r.Net().Loop().Post(func() { fn(); close(done) })
		<-done
	}
	for _, in := range []string{"RMSG APP in 5\r\nhello\r\n", "RMSG APP in re | q 5\r\nhello\r\n", "HMSG APP in re 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"} {
		in := strings.Replace(in, " re | q", " + re q", 1)
		data := bytes.Repeat([]byte(in), 100)
		onLoop(func() {
			for range 20 {
				r.OnData(r.Net(), data, nil)
			}
			if a := testing.AllocsPerRun(50, func() { r.OnData(r.Net(), data, nil) }); a > 1 {
				t.Errorf("%q: %.1f allocations for 100 messages", in, a)
			}
		})
	}
	if n == 0 {
		t.Error("nothing was delivered")
	}
	m := engine.Msg{Subject: []byte("out"), Reply: []byte("_INBOX.x"), Payload: []byte("hello")}
	acct := w.reg.Lookup("APP")
	onLoop(func() {
		id := r.LoopID()
		send := func() {
			for range 100 {
				m.OriginID = 0
				w.env.Router.Publish(w.env.Ctx(id), acct, &m)
			}
			w.env.Group.FlushTurn(id)
		}
		for range 20 {
			send()
		}
		if a := testing.AllocsPerRun(50, send); a > 3 { // the flush may allocate when the socket is full
			t.Errorf("sent: %.1f allocations for 100 messages", a)
		}
	})
}

func BenchmarkRoutedMsg(b *testing.B) {
	w := newWorld(b, nil)
	p := w.join("B", func(in *wire.RouteInfo) { in.PoolIdx = slotOf("APP", 3) })
	p.send("RS+ APP out")
	p.sync()
	l := dispatch.NewLocal(w.reg.Lookup("APP").Index(), engine.System, 0, func(engine.LoopID, *engine.Msg) {})
	if _, err := l.Subscribe("in", ""); err != nil {
		b.Fatal(err)
	}
	p.expect("RS+ APP in")
	go io.Copy(io.Discard, p.r)
	r := w.svc.peers["B"].pool[slotOf("APP", 3)]
	const batch = 256
	run := func(b *testing.B, fn func()) {
		b.ReportAllocs()
		done := make(chan struct{})
		r.Net().Loop().Post(func() {
			b.ResetTimer()
			for i := 0; i < b.N; i += batch {
				fn()
			}
			close(done)
		})
		<-done
	}
	data := bytes.Repeat([]byte("RMSG APP in 16\r\n0123456789abcdef\r\n"), batch)
	b.Run("in", func(b *testing.B) { run(b, func() { r.OnData(r.Net(), data, nil) }) })
	m := engine.Msg{Subject: []byte("out"), Payload: []byte("0123456789abcdef")}
	acct := w.reg.Lookup("APP")
	b.Run("out", func(b *testing.B) {
		run(b, func() {
			for range batch {
				w.env.Router.Publish(w.env.Ctx(r.LoopID()), acct, &m)
			}
			w.env.Group.FlushTurn(r.LoopID())
		})
	})
}
