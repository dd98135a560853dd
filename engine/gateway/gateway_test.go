package gateway

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/interest"
	"ramjet/proto/base/clock"
	"ramjet/proto/sysapi"
	"ramjet/proto/wire"
)

func TestHash(t *testing.T) {
	// Known from the wire (reference/interserver.md, section 2.4, captured for cluster "A").
	if h := Hash("A"); len(h) != 6 || h == Hash("B") || h != Hash("A") {
		t.Errorf("%q", h)
	}
}

func TestShownAt(t *testing.T) {
	for reply, want := range map[string]int{
		"":                          0,
		"inbox@x":                   0,
		"$JS.ACK.S.C.1.1.1.1.0@foo": 21,
		"$JS.ACK.S.C.1.1.1.1.0@":    0,
		"$JS.ACK.S.C.1@foo":         0,
		"$JS.ACK.S.C.1.1.1.1.0":     0,
		"_GR_.1vR9Ah.cIlrfV.$JS.ACK.S.C.1.1.1.1.0@foo": 40,
	} {
		if got := shownAt([]byte(reply)); got != want {
			t.Errorf("%s: %d, want %d", reply, got, want)
		}
	}
}

// TestHead: control lines as they go to other clusters.
func TestHead(t *testing.T) {
	s := &Service{hash: "CCCCCC", serverHash: "SSSSSS"}
	group := interest.NewSub([]byte("a"), []byte("q1"), nil, 1, nil)
	other := interest.NewSub([]byte("a"), []byte("q2"), nil, 1, nil)
	for _, c := range []struct {
		m      engine.Msg
		queues []*interest.Sub
		hdr    int
		want   string
	}{
		{engine.Msg{Subject: []byte("a"), Payload: []byte("hi")}, nil, 0, "RMSG $G a 2"},
		{engine.Msg{Subject: []byte("a"), Reply: []byte("r")}, nil, 0, "RMSG $G a r 0"},
		{engine.Msg{Subject: []byte("a"), Reply: []byte("r"), Payload: []byte("hi")}, []*interest.Sub{group, other}, 0, "RMSG $G a + r q1 q2 2"},
		{engine.Msg{Subject: []byte("a"), Payload: []byte("hi")}, []*interest.Sub{group}, 12, "HMSG $G a | q1 12 14"},
		{engine.Msg{Subject: []byte("shown"), To: []byte("to"), Reply: []byte("$JS.ACK.S.C.1.1.1.1.0")}, nil, 0, "RMSG $G to $JS.ACK.S.C.1.1.1.1.0@shown 0"},
		{engine.Msg{Subject: []byte("shown"), To: []byte("to"), Reply: []byte("r")}, nil, 0, "RMSG $G to r 0"},
	} {
		c.m.Account.Name = "$G"
		if got := string(s.appendHead(nil, &c.m, c.queues, c.hdr)); got != c.want+"\r\n" {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestRecent(t *testing.T) {
	clk := clock.NewManual(time.Unix(1000, 0))
	w := newWorld(t, nil)
	r := &recents{clock: clk}
	a := w.env.Accounts.Global()
	stop := r.watch(a)
	id := a.Ref().ID
	if r.has(id, []byte("inbox.1")) || r.has(id+100, []byte("inbox.1")) {
		t.Error("nobody subscribed")
	}
	w.subscribe("$G", "inbox.*", "", &sink{kind: engine.Client})
	w.subscribe("$G", "remote.*", "", &sink{kind: engine.Router})
	if !r.has(id, []byte("inbox.1")) || r.has(id, []byte("remote.1")) || r.has(id, []byte("other.1")) {
		t.Error("recent subscription not known, or another one")
	}
	clk.Advance(time.Second)
	w.subscribe("$G", "later.*", "", &sink{kind: engine.Client})
	clk.Advance(time.Second)
	if r.has(id, []byte("inbox.1")) || !r.has(id, []byte("later.1")) {
		t.Error("after two seconds of the first")
	}
	clk.Advance(time.Second)
	if r.has(id, []byte("later.1")) || len(r.queue) != 0 {
		t.Error("after two seconds of the second")
	}
	stop()
	w.subscribe("$G", "more.*", "", &sink{kind: engine.Client})
	if r.has(id, []byte("more.1")) {
		t.Error("after the end")
	}
}

// TestInbound: what an acceptor says and does.
func TestInbound(t *testing.T) {
	w := newWorld(t, nil)
	got := make(chan string, 10)
	here := &sink{kind: engine.Client, got: got}
	w.subscribe("$G", "foo.*", "", here)
	w.subscribe("$G", "foo.*", "q", here)
	p := w.dial()
	info := p.expect("INFO ")
	if !strings.Contains(info, `"gateway":"A","gateway_urls":["`+w.addr+`"],"gateway_url":"`+w.addr+`","gateway_nrp":true,"gateway_iom":true}`) {
		t.Errorf("%s", info)
	}
	p.send(`CONNECT {"gateway":"Z"}` + "\r\n" + `INFO {"server_id":"NZ","gateway":"Z"}` + "\r\n")
	// Queue groups and plain interest of each account, enclosed.
	var said []string
	for range w.env.Accounts.Len() {
		for {
			s := p.line()
			if strings.Contains(s, `"gateway_cmd":3`) {
				break
			}
			if strings.HasPrefix(s, "RS") {
				said = append(said, s)
			}
		}
	}
	slices.Sort(said)
	if fmt.Sprint(said) != "[RS+ $G foo.* RS+ $G foo.* q 1]" {
		t.Errorf("%q", said)
	}
	second := w.subscribe("$G", "foo.*", "q", here)
	third := w.subscribe("X", "bar", "", here)
	if s := p.line(); s != "RS+ X bar" {
		t.Errorf("%s", s)
	}
	w.env.Accounts.Global().Index().Remove(second)
	w.env.Accounts.Lookup("X").Index().Remove(third)
	if s := p.line(); s != "RS- X bar" {
		t.Errorf("%s", s)
	}
	for in, want := range map[string]string{
		"RMSG $G foo.1 2\r\nhi\r\n":                                           "foo.1  hi",
		"RMSG $G foo.2 r 2\r\nhi\r\n":                                         "foo.2 r hi",
		"RMSG $G foo.3 | other 2\r\nhi\r\n":                                   "foo.3  hi",
		"RMSG $G foo.4 $JS.ACK.S.C.1.1.1.1.0@orders 2\r\nhi\r\n":              "orders $JS.ACK.S.C.1.1.1.1.0 hi",
		"RMSG $G _GR_." + Hash("A") + "." + Hash("NA") + ".foo.5 2\r\nhi\r\n": "foo.5  hi",
	} {
		p.send(in)
		select {
		case s := <-got:
			if s != want {
				t.Errorf("%q: got %q", in, s)
			}
		case <-time.After(patience):
			t.Fatalf("%q: nothing", in)
		}
		if strings.Contains(in, "_GR_") { // an answer is for a group too, whose members nobody has chosen
			<-got
		}
	}
	// For a group by name: plain and one member.
	p.send("RMSG $G foo.6 | q 2\r\nhi\r\n")
	<-got
	<-got
	// For another cluster: dropped. For an account that is not known: said once.
	p.send("RMSG $G _GR_." + Hash("B") + "." + Hash("NA") + ".foo.5 2\r\nhi\r\nRMSG Q foo.5 0\r\n\r\nRMSG Q foo.5 0\r\n\r\n")
	if s := p.line(); s != "A- Q" {
		t.Errorf("%s", s)
	}
	p.sync()
	if len(got) != 0 {
		t.Errorf("%d more", len(got))
	}
	z := w.svc.Gatewayz(&sysapi.GatewayzOptions{AccountName: "$G"}, time.Now())
	if in := z.Inbound["Z"]; len(in) != 1 || len(in[0].Accounts) != 1 || in[0].Accounts[0].Mode != "Interest-Only" || in[0].Connection.InMsgs != 9 {
		t.Errorf("%+v", z)
	}
	p.send("RS+ $G foo\r\n")
	p.closed()
}

// TestOutbound: what a dialer sends to a cluster that tells all its interest.
func TestOutbound(t *testing.T) {
	w := newWorld(t, nil)
	p := w.accept(`,"gateway_iom":true`)
	if o := w.say("$G", "foo", "", "x"); o.Delivered != 0 {
		t.Errorf("%+v before any interest", o)
	}
	p.send("RS+ $G foo\r\nRS+ $G foo\r\nRS+ $G foo q 1\r\nRS+ $G *.x q2 1\r\nRS+ Nowhere foo\r\n")
	p.sync()
	w.say("$G", "foo", "r", "hello")
	if s, body := p.line(), p.line(); s != "RMSG $G foo + r q 5" || body != "hello" {
		t.Errorf("%q %q", s, body)
	}
	// A member here serves the group.
	local := w.subscribe("$G", "foo", "q", &sink{kind: engine.Client})
	w.say("$G", "foo", "", "hello")
	if s := p.line(); s != "RMSG $G foo 5" {
		t.Errorf("%q", s)
	}
	p.line()
	w.env.Accounts.Global().Index().Remove(local)
	w.say("$G", "a.x", "", "")
	if s := p.line(); s != "RMSG $G a.x | q2 0" {
		t.Errorf("%q", s)
	}
	p.line()
	// Who waits for the answer has only just subscribed.
	w.subscribe("$G", "inbox.1", "", &sink{kind: engine.Client})
	w.say("$G", "foo", "inbox.1", "")
	if s := p.line(); s != "RMSG $G foo + _GR_."+Hash("A")+"."+Hash("NA")+".inbox.1 q 0" {
		t.Errorf("%q", s)
	}
	p.line()
	// An answer to the other cluster, which has said nothing of its subject.
	answer := "_GR_." + Hash("Z") + ".123456.inbox.9"
	if o := w.say("$G", answer, "", "yes"); o.Delivered != 1 {
		t.Errorf("%+v", o)
	}
	if s := p.line(); s != "RMSG $G "+answer+" 3" {
		t.Errorf("%q", s)
	}
	p.line()
	z := w.svc.Gatewayz(&sysapi.GatewayzOptions{Accounts: true, Subscriptions: true}, time.Now())
	var g *sysapi.AccountGateway
	for _, a := range z.Outbound["Z"].Accounts {
		if a.Name == "$G" {
			g = a
		}
	}
	if g == nil || g.Subs != 3 || g.QueueSubs != 2 || fmt.Sprint(g.List) != "[*.x foo foo]" || z.Outbound["Z"].Configured ||
		z.Outbound["Z"].Connection.NumSubs != 4 {
		t.Errorf("%+v", g)
	}
	p.send("RS- $G foo\r\nRS- $G foo q\r\nRS- $G never\r\n")
	p.sync()
	if o := w.say("$G", "foo", "", ""); o.Delivered != 0 {
		t.Errorf("%+v after the end of interest", o)
	}
	// The connection ends: nothing of it is left.
	_ = p.c.Close()
	waitFor(t, func() bool {
		return w.svc.Outbound() == 0 && !w.env.Accounts.Global().Index().HasInterest([]byte("a.x"))
	})
	if fmt.Sprint(w.svc.Stats()) != "[]" {
		t.Errorf("%+v", w.svc.Stats())
	}
}

// TestOptimistic: a cluster that does not tell its interest by itself gets everything but what it refuses.
func TestOptimistic(t *testing.T) {
	w := newWorld(t, nil)
	p := w.accept("")
	sent := func(acct, subject string, want bool) {
		t.Helper()
		o := w.say(acct, subject, "", "")
		if (o.Delivered == 1) != want {
			t.Fatalf("%s %s: %+v", acct, subject, o)
		}
		if want {
			if s := p.line(); s != "RMSG "+acct+" "+subject+" 0" {
				t.Errorf("%q", s)
			}
			p.line()
		}
	}
	sent("$G", "foo", true)
	p.send("RS- $G foo\r\nRS- $G bar.x\r\n")
	p.sync()
	sent("$G", "foo", false)
	sent("$G", "other", true)
	p.send("RS+ $G bar.*\r\n")
	p.sync()
	sent("$G", "bar.x", true)
	sent("$G", "foo", false)
	p.send("A- X\r\n")
	p.sync()
	sent("X", "foo", false)
	p.send("A+ X\r\n")
	p.sync()
	sent("X", "foo", true)
	// A group, while everything is sent anyway.
	p.send("RS+ $G foo q 1\r\n")
	p.sync()
	if w.say("$G", "foo", "", ""); p.line() != "RMSG $G foo | q 0" {
		t.Error("group of a subject that is not wanted otherwise")
	}
	p.line()
	mode := func() string {
		for _, a := range w.svc.Gatewayz(&sysapi.GatewayzOptions{AccountName: "$G"}, time.Now()).Outbound["Z"].Accounts {
			return fmt.Sprintf("%s %d", a.Mode, a.NoInterest)
		}
		return ""
	}
	if m := mode(); m != "Optimistic 1" {
		t.Errorf("%s", m)
	}
	p.send(`INFO {"gateway":"Z","gateway_cmd":2,"gateway_cmd_payload":"JEc="}` + "\r\nRS+ $G wanted\r\n")
	p.sync()
	if m := mode(); m != "Transitioning 1" {
		t.Errorf("%s", m)
	}
	sent("$G", "other", true)
	p.send(`INFO {"gateway":"Z","gateway_cmd":3,"gateway_cmd_payload":"JEc="}` + "\r\n")
	p.sync()
	if m := mode(); m != "Interest-Only 0" {
		t.Errorf("%s", m)
	}
	sent("$G", "other", false)
	sent("$G", "wanted", true)
	sent("X", "other", true)
	p.send(`INFO {"gateway":"Z","gateway_cmd":2}` + "\r\n")
	p.expect("-ERR 'Account absent from receive-all-subscriptions-start command'")
	p.closed()
}

// TestWrongPeers: who comes to the wrong place, and bad input before and after the handshake.
func TestWrongPeers(t *testing.T) {
	w := newWorld(t, func(o *config.Options) {
		o.Gateway.Auth.User, o.Gateway.Auth.Pass = "u", "p"
		o.Gateway.RejectUnknown = true
		o.Gateway.Gateways = []*config.RemoteGateway{{Name: "Z", URLs: []*url.URL{mustURL("nats://127.0.0.1:1")}}}
	})
	for in, want := range map[string]string{
		`INFO {"gateway":"Z"}` + "\r\n":    "-ERR 'Authorization Violation'",
		"PING\r\n":                         "-ERR 'Authorization Violation'",
		`CONNECT {"gateway":"Z"}` + "\r\n": "-ERR 'Authorization Violation'",
		`CONNECT {"gateway":"Z","user":"u","pass":"x"}` + "\r\n": "-ERR 'Authorization Violation'",
		`CONNECT {"lang":"go","user":"u","pass":"p"}` + "\r\n":   "-ERR 'attempted to connect to gateway port'",
		`CONNECT {"gateway":"Y","user":"u","pass":"p"}` + "\r\n": `-ERR 'Connection to gateway "A" rejected'`,
		"CONNECT {\r\n":                         "",
		"CONNECT " + strings.Repeat("x", 70000): "-ERR 'maximum control line exceeded'",
		`CONNECT {"gateway":"Z","user":"u","pass":"p"}` + "\r\nRMSG $G a 0\r\n\r\n":                                  "",
		`CONNECT {"gateway":"Z","user":"u","pass":"p"}` + "\r\nRMSG $G a 9\r\n":                                      "-ERR 'Maximum Payload Violation'",
		`CONNECT {"gateway":"Z","user":"u","pass":"p"}` + "\r\nINFO {\r\n":                                           "",
		`CONNECT {"gateway":"Z","user":"u","pass":"p"}` + "\r\nCONNECT {}\r\n":                                       "",
		`CONNECT {"gateway":"Z","user":"u","pass":"p"}` + "\r\n" + `INFO {"gateway":"Z","server_name":"a"}` + "\r\n": "",
		`CONNECT {"gateway":"Z","user":"u","pass":"p"}` + "\r\n" + `INFO {"gateway":"Z"}` + "\r\nSUB a 1\r\n":        "-ERR 'Unknown Protocol Operation'",
		`CONNECT {"gateway":"Z","user":"u","pass":"p"}` + "\r\n" + `INFO {"gateway":"Z"}` + "\r\n-ERR 'no'\r\n":      "",
	} {
		p := w.dial()
		p.expect("INFO ")
		p.send(in)
		if want != "" {
			if s := p.expect("-ERR"); s != want {
				t.Errorf("%.80q: %s", in, s)
			}
		}
		p.closed()
	}
	waitFor(t, func() bool { return w.svc.Inbound() == 0 })
}

// TestWrongAcceptor: a URL that leads to something else.
func TestWrongAcceptor(t *testing.T) {
	for info, want := range map[string]string{
		`{"server_id":"x","client_id":5}`:   `-ERR 'Attempt to connect to gateway "Z" using wrong port'`,
		`{"server_id":"x","gateway":"Y"}`:   `-ERR 'Connection from "A" rejected, wanted to connect to "Z", this is "Y"'`,
		`{"server_name":"a","gateway":"Z"}`: "",
	} {
		w := newWorld(t, nil)
		p := w.acceptRaw()
		p.send("INFO " + info + "\r\n")
		if want != "" {
			if s := p.line(); s != want {
				t.Errorf("%s: %s", info, s)
			}
		}
		p.closed()
	}
}

// TestGossip: what a peer tells of other clusters, and is told.
func TestGossip(t *testing.T) {
	told := make(chan *wire.GatewayInfo, 10)
	w := newWorld(t, func(o *config.Options) { o.Gateway.ConnectRetries = 1000 })
	w.svc.p.TellRoutes = func(in *wire.GatewayInfo) { told <- in }
	p := w.accept(`,"gateway_iom":true,"gateway_urls":["127.0.0.1:1","127.0.0.1:2"]`)
	if in := <-told; in.Gateway != "Z" || len(in.URLs) != 2 || in.Cmd != wire.GatewayGossip || !strings.HasPrefix(in.ServerID, "GW") {
		t.Errorf("%+v", in)
	}
	p.send(`INFO {"gateway":"Y","gateway_cmd":1,"gateway_urls":["127.0.0.1:3"]}` + "\r\n")
	p.sync()
	if w.svc.known("Y") == nil {
		t.Error("Y is not known")
	}
	if all := w.svc.ForRoutes(); len(all) != 1 || all[0].Gateway != "Z" {
		t.Errorf("%+v", all)
	}
	q := w.dial()
	q.expect("INFO ")
	q.send(`CONNECT {"gateway":"X"}` + "\r\n" + `INFO {"server_id":"NX","gateway":"X"}` + "\r\n")
	var names []string
	for len(names) == 0 || names[len(names)-1] != "Z" {
		if s := q.expect("INFO "); strings.Contains(s, `"gateway_cmd":1`) {
			in, _ := wire.ParseGatewayInfo([]byte(s[5:]))
			names = append(names, in.Gateway)
		}
		if len(names) == 2 {
			break
		}
	}
	if !slices.Contains(names, "Z") {
		t.Errorf("%q", names)
	}
	// Addresses of this cluster.
	w.svc.PeerUp("N2", "10.0.0.2:1")
	for !strings.Contains(q.expect("INFO "), `"gateway_urls":["10.0.0.2:1","`+w.addr+`"]`) {
	}
	w.svc.PeerDown("N2")
	for !strings.Contains(q.expect("INFO "), `"gateway_urls":["`+w.addr+`"]`) {
	}
}

// TestNoAllocations: messages in both directions.
func TestNoAllocations(t *testing.T) {
	w := newWorld(t, nil)
	p := w.accept(`,"gateway_iom":true`)
	go func() {
		buf := make([]byte, 1<<16)
		for {
			if _, err := p.c.Read(buf); err != nil {
				return
			}
		}
	}()
	a := w.env.Accounts.Global()
	p.send("RS+ $G foo\r\nRS+ $G foo q 1\r\n")
	waitFor(t, func() bool { return a.Index().HasInterest([]byte("foo")) })
	waitFor(t, func() bool {
		return w.svc.Gatewayz(&sysapi.GatewayzOptions{}, time.Now()).Outbound["Z"].Connection.NumSubs == 2
	})
	m := engine.Msg{Subject: []byte("foo"), Reply: []byte("inbox.1"), Header: []byte("NATS/1.0\r\n\r\n"), Payload: []byte("hello"), Origin: engine.Client, OriginID: 9}
	w.on(func() {
		w.subscribe("$G", "inbox.*", "", &sink{kind: engine.Client}) // so that the reply is looked for
		publish := func() { w.env.Router.Publish(w.ctxs[0], a, &m) }
		publish()
		if n := testing.AllocsPerRun(200, publish); n != 0 {
			t.Errorf("%v allocations for a message to another cluster", n)
		}
	})
	w.inbound()
	var in *Conn
	w.svc.mu.Lock()
	for c := range w.svc.inbound {
		in = c
	}
	w.svc.mu.Unlock()
	here := &sink{kind: engine.Client}
	w.subscribe("$G", "bar", "q", here)
	data := bytes.Repeat([]byte("HMSG $G bar + r q 12 17\r\nNATS/1.0\r\n\r\nhello\r\n"), 10)
	w.on(func() {
		feed := func() { in.OnData(in.Net(), data, nil) }
		feed()
		if n := testing.AllocsPerRun(100, feed); n != 0 {
			t.Errorf("%v allocations for ten messages from another cluster", n)
		}
	})
	if here.n != 1020 {
		t.Errorf("%d messages", here.n)
	}
}

func waitFor(t testing.TB, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("did not come true")
		}
	}
}
