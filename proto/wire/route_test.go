package wire

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func routeLimits(noAccount bool) *Limits {
	return &Limits{MaxControlLine: 64, MaxPayload: 32, Headers: true, Dialect: DialectRoute, NoAccount: noAccount}
}

// routeAccepted have the account A, which connections that serve one account leave out.
var routeAccepted = []struct{ in, want string }{
	{"RS+ A foo\r\n", `subject="foo" queue=""/false weight=1`},
	{"rs+\tA  foo  q  7 \r\n", `subject="foo" queue="q"/true weight=7`},
	{"RS+ A foo q 0\r\n", `subject="foo" queue="q"/true weight=1`},
	{"RS+ A foo q 999999999\r\n", `subject="foo" queue="q"/true weight=999999999`},
	{"RS- A foo\r\n", `subject="foo" queue=""/false`},
	{"RS- A foo q\r\n", `subject="foo" queue="q"/true`},
	{"LS+ o A foo\r\n", `subject="foo" queue=""/false origin="o" weight=1`},
	{"LS+ _ A foo q 2\r\n", `subject="foo" queue="q"/true origin="_" weight=2`},
	{"LS- o A foo q\r\n", `subject="foo" queue="q"/true origin="o"`},
	{"RMSG A foo 2\r\nhi\r\n", `subject="foo" reply=""/false queues=[] header=""/false payload="hi"`},
	{"RMSG A foo bar 0\r\n\r\n", `subject="foo" reply="bar"/true queues=[] header=""/false payload=""`},
	{"RMSG A foo + bar q1 q2 2\r\nhi\r\n", `subject="foo" reply="bar"/true queues=["q1" "q2"] header=""/false payload="hi"`},
	{"RMSG A foo | q1 2\r\nhi\r\n", `subject="foo" reply=""/false queues=["q1"] header=""/false payload="hi"`},
	{"HMSG A foo 3 5\r\nHDRhi\r\n", `subject="foo" reply=""/false queues=[] header="HDR"/true payload="hi"`},
	{"HMSG A foo + r q 3 5\r\nHDRhi\r\n", `subject="foo" reply="r"/true queues=["q"] header="HDR"/true payload="hi"`},
	{"LMSG o A foo 0 2\r\nhi\r\n", `subject="foo" reply=""/false queues=[] header=""/false payload="hi" origin="o"`},
	{"LMSG o A foo | q 3 5\r\nHDRhi\r\n", `subject="foo" reply=""/false queues=["q"] header="HDR"/true payload="hi" origin="o"`},
}

func TestRouteAccepted(t *testing.T) {
	for _, c := range routeAccepted {
		for _, none := range []bool{false, true} {
			in, want := c.in, `account="A" `+c.want
			if none {
				in, want = strings.Replace(in, "A ", "", 1), `account="" `+c.want
			}
			var op Op
			n, need, err := Next([]byte(in), routeLimits(none), &op)
			if err != nil || n != len(in) || need != 0 {
				t.Errorf("%q: n %d, need %d, error %v", in, n, need, err)
				continue
			}
			got := string(opEvent(&op))
			if !strings.HasSuffix(got, want) {
				t.Errorf("%q:\n got %s\nwant %s", in, got, want)
			}
		}
	}
}

func TestRouteRefused(t *testing.T) {
	for _, in := range []string{
		"RS+\r\n", "RS+ A\r\n", "RS+ A foo q\r\n", "RS+ A foo q 1 2\r\n", "RS- A\r\n", "RS- A foo q 1\r\n", "LS+ o\r\n", "LS+ o A\r\n",
		"LS+ o A foo q\r\n", "LS+ o A foo q 1 2\r\n", "LS- o A\r\n", "LS- o A foo q 1\r\n", "LS- \r\n", "RMSG\r\n", "RMSG A\r\n", "RMSG A 2\r\n",
		"RMSG A foo x\r\n", "RMSG A foo a b 2\r\n", "RMSG A foo + r 2\r\n", "RMSG A foo | 2\r\n", "RMSG A foo 33\r\n", "LMSG o A foo 2\r\n",
		"LMSG o A foo 3 2\r\n", "LMSG 1 2\r\n", "HMSG A foo 2\r\n", "PUB a 1\r\n", "SUB a 1\r\n", "LSX",
	} {
		var op Op
		if n, _, err := Next([]byte(in), routeLimits(false), &op); err == nil || n != 0 {
			t.Errorf("%q: n %d, error %v", in, n, err)
		}
	}
}

// TestRouteNoOrigin: servers of before leave the origin of LS- out, and of nothing else.
func TestRouteNoOrigin(t *testing.T) {
	for in, want := range map[string]string{
		"LS- A foo\r\n":     `subject="foo" queue=""/false origin=""`,
		"LS- A foo q\r\n":   `subject="foo" queue="q"/true origin=""`,
		"LS- A foo q o\r\n": "",
		"LS- A\r\n":         "",
		"LS+ o A foo\r\n":   `subject="foo" queue=""/false origin="o" weight=1`,
		"RS- A foo\r\n":     `subject="foo" queue=""/false`,
	} {
		lim := routeLimits(false)
		lim.NoOrigin = true
		var op Op
		n, _, err := Next([]byte(in), lim, &op)
		if (err == nil) != (want != "") {
			t.Errorf("%q: %v", in, err)
		} else if err == nil && (n != len(in) || !strings.HasSuffix(string(opEvent(&op)), `account="A" `+want)) {
			t.Errorf("%q: %s", in, opEvent(&op))
		}
		if err == nil && (op.Origin != nil) != (in[0] == 'L') {
			t.Errorf("%q: origin %q", in, op.Origin)
		}
	}
}

func TestRouteSplits(t *testing.T) {
	var stream []byte
	for _, c := range routeAccepted {
		stream = append(stream, c.in...)
	}
	want, wantRest := decodeAll(stream, routeLimits(false))
	if len(want) != len(routeAccepted) {
		t.Fatalf("%d operations", len(want))
	}
	for size := range 60 {
		got, rest, bad := decodeCut(stream, routeLimits(false), []byte{byte(size)})
		if bad != "" || rest != wantRest || !slices.Equal(got, want) {
			t.Fatalf("pieces of %d: %s\n got %q\nwant %q", size+1, bad, got, want)
		}
	}
}

func TestRouteNoAllocs(t *testing.T) {
	for _, c := range routeAccepted {
		in, lim := []byte(c.in), routeLimits(false)
		var op Op
		Next(in, lim, &op)
		if n := testing.AllocsPerRun(100, func() { Next(in, lim, &op) }); n != 0 {
			t.Errorf("%q: %v allocations", c.in, n)
		}
	}
}

func FuzzRoute(f *testing.F) {
	for _, c := range routeAccepted {
		f.Add([]byte(c.in+c.in), []byte{3, 1}, false, false)
	}
	f.Add([]byte("LMSG o A foo + 2\r\nhi\r\n"), []byte{0}, false, true)
	f.Fuzz(func(t *testing.T, data, sizes []byte, must, none bool) {
		lim := routeLimits(none)
		lim.NoOrigin = none
		lim.MustConnect = must
		data = slices.Clip(bytes.Clone(data))
		want, wantRest := decodeAll(data, lim)
		got, rest, bad := decodeCut(data, lim, sizes)
		if bad != "" || rest != wantRest || !slices.Equal(got, want) {
			t.Fatalf("%q in pieces: %s\n got %q rest %d\nwant %q rest %d", data, bad, got, rest, want, wantRest)
		}
		if rest > lim.MaxControlLine+lineSlack+lim.MaxPayload+4 {
			t.Fatalf("%d bytes pending", rest)
		}
	})
}

// TestAppendRoute: what is appended is what is read.
func TestAppendRoute(t *testing.T) {
	for _, c := range []struct {
		m            RouteMsg
		queues       []string
		hdr, payload string
		want         string
	}{
		{m: RouteMsg{Account: "A", Subject: []byte("s")}, payload: "hi", want: "RMSG A s 2\r\nhi\r\n"},
		{m: RouteMsg{Subject: []byte("s"), Reply: []byte("r")}, payload: "hi", want: "RMSG s r 2\r\nhi\r\n"},
		{m: RouteMsg{Account: "A", Subject: []byte("s"), Reply: []byte("r")}, queues: []string{"q", "p"}, hdr: "HD", payload: "x",
			want: "HMSG A s + r q p 2 3\r\nHDx\r\n"},
		{m: RouteMsg{Account: "A", Subject: []byte("s")}, queues: []string{"q"}, want: "RMSG A s | q 0\r\n\r\n"},
		{m: RouteMsg{Account: "A", Origin: "o", Subject: []byte("s")}, payload: "hi", want: "LMSG o A s 0 2\r\nhi\r\n"},
		{m: RouteMsg{Account: "A", Origin: "o", Subject: []byte("s"), Reply: []byte("r")}, hdr: "HD", want: "LMSG o A s r 2 2\r\nHD\r\n"},
		{m: RouteMsg{Account: "A", Subject: []byte("d"), Reply: []byte("ack"), Shown: []byte("x.y")}, payload: "hi", want: "RMSG A d ack@x.y 2\r\nhi\r\n"},
	} {
		b := AppendRouteHead(nil, &c.m, c.hdr != "", len(c.queues) > 0)
		for _, q := range c.queues {
			b = AppendQueue(b, q)
		}
		b = AppendSizes(b, len(c.hdr), len(c.payload), c.m.Origin != "")
		b = append(b, c.hdr+c.payload+"\r\n"...)
		if string(b) != c.want {
			t.Errorf("%q, want %q", b, c.want)
		}
		var op Op
		lim := routeLimits(c.m.Account == "")
		if n, _, err := Next(b, lim, &op); n != len(b) || err != nil {
			t.Errorf("%q: n %d, error %v", b, n, err)
			continue
		}
		var queues []string
		for _, q := range op.Queues {
			queues = append(queues, string(q))
		}
		if string(op.Account) != c.m.Account || string(op.Origin) != c.m.Origin || string(op.Subject) != string(c.m.Subject) ||
			string(op.Header) != c.hdr || string(op.Payload) != c.payload || !slices.Equal(queues, c.queues) {
			t.Errorf("%q: %s", b, opEvent(&op))
		}
	}
	for _, c := range []struct {
		s    RouteSub
		want string
	}{
		{RouteSub{Account: "A", Subject: "s", Weight: 1}, "RS+ A s\r\n"},
		{RouteSub{Account: "A", Subject: "s"}, "RS- A s\r\n"},
		{RouteSub{Subject: "s", Queue: "q", Weight: 1234}, "RS+ s q 1234\r\n"},
		{RouteSub{Account: "A", Origin: "_", Subject: "s", Queue: "q", Weight: 3}, "LS+ _ A s q 3\r\n"},
		{RouteSub{Account: "A", Origin: "o", Subject: "s", Queue: "q"}, "LS- o A s q\r\n"},
		{RouteSub{Account: "A", Origin: "o", Subject: "s", Queue: "q", Unnamed: true}, "LS- A s q\r\n"},
		{RouteSub{Account: "A", Origin: "o", Subject: "s", Weight: 1, Unnamed: true}, "LS+ o A s\r\n"},
		{RouteSub{Account: "A", Subject: "s", Unnamed: true}, "RS- A s\r\n"},
	} {
		if got := string(AppendRouteSub(nil, &c.s)); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestRouteInfo: the bytes are those of the peer's acceptor, and decode to the same value.
func TestRouteInfo(t *testing.T) {
	want := `INFO {"server_id":"N1","server_name":"S1","version":"2.15.2","proto":3,"go":"go1.26.8","host":"127.0.0.1","port":14993,"headers":true,` +
		`"max_payload":1048576,"nonce":"abc","cluster":"C1","connect_urls":["127.0.0.1:14991"],"compression":"accept","lnoc":true,"lnocu":true,"ln":true,` +
		`"route_pool_size":3,"gateway_url":"127.0.0.1:14994","leafnode_urls":["127.0.0.1:14995"]} ` + "\r\n"
	in := RouteInfo{ServerID: "N1", ServerName: "S1", Version: "2.15.2", Proto: 3, Go: "go1.26.8", Host: "127.0.0.1", Port: 14993, Headers: true,
		MaxPayload: 1 << 20, Nonce: "abc", Cluster: "C1", ConnectURLs: []string{"127.0.0.1:14991"}, Compression: "accept", LNOC: true, LNOCU: true,
		LN: true, PoolSize: 3, GatewayURL: "127.0.0.1:14994", LeafURLs: []string{"127.0.0.1:14995"}}
	b := AppendRouteInfo(nil, &in)
	if string(b) != want {
		t.Errorf("\n got %s\nwant %s", b, want)
	}
	back, err := ParseRouteInfo(b[5:])
	if err != nil || fmt.Sprint(back) != fmt.Sprint(in) {
		t.Errorf("%+v, error %v", back, err)
	}
}
