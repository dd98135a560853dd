package wire

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func gatewayLimits() *Limits {
	return &Limits{MaxControlLine: 64, MaxPayload: 32, Headers: true, Dialect: DialectGateway}
}

var gatewayAccepted = []struct{ in, want string }{
	{"RS+ A foo\r\n", `account="A" subject="foo" queue=""/false weight=1`},
	{"rs+\tA  foo  q  7 \r\n", `account="A" subject="foo" queue="q"/true weight=7`},
	{"RS+ A foo q 0\r\n", `account="A" subject="foo" queue="q"/true weight=1`},
	{"RS+ A foo q -3\r\n", `account="A" subject="foo" queue="q"/true weight=1`},
	{"RS+ A foo q 9999999999\r\n", `account="A" subject="foo" queue="q"/true weight=1`},
	{"RS- A foo\r\n", `account="A" subject="foo" queue=""/false`},
	{"RS- A foo q\r\n", `account="A" subject="foo" queue="q"/true`},
	{"A+ A\r\n", `account="A"`},
	{"A- $G\n", `account="$G"`},
	{"RMSG A foo 2\r\nhi\r\n", `account="A" subject="foo" reply=""/false queues=[] header=""/false payload="hi"`},
	{"RMSG A foo bar 0\r\n\r\n", `account="A" subject="foo" reply="bar"/true queues=[] header=""/false payload=""`},
	{"RMSG A foo + bar q1 q2 2\r\nhi\r\n", `account="A" subject="foo" reply="bar"/true queues=["q1" "q2"] header=""/false payload="hi"`},
	{"RMSG A foo | q1 2\r\nhi\r\n", `account="A" subject="foo" reply=""/false queues=["q1"] header=""/false payload="hi"`},
	{"HMSG A foo 3 5\r\nHDRhi\r\n", `account="A" subject="foo" reply=""/false queues=[] header="HDR"/true payload="hi"`},
	{"hmsg A foo + r q 0 2\r\nhi\r\n", `account="A" subject="foo" reply="r"/true queues=["q"] header=""/true payload="hi"`},
	{"PING\r\n", ""}, {"PONG\r\n", ""}, {"+OK\r\n", ""}, {"-ERR 'x'\r\n", ""}, {"INFO {}\r\n", ""}, {"CONNECT {}\r\n", ""},
}

func TestGatewayAccepted(t *testing.T) {
	for _, c := range gatewayAccepted {
		var op Op
		n, need, err := Next([]byte(c.in), gatewayLimits(), &op)
		if err != nil || n != len(c.in) || need != 0 {
			t.Errorf("%q: n %d, need %d, error %v", c.in, n, need, err)
			continue
		}
		if got := string(opEvent(&op)); !strings.HasSuffix(got, c.want) {
			t.Errorf("%q:\n got %s\nwant %s", c.in, got, c.want)
		}
	}
}

func TestGatewayRefused(t *testing.T) {
	for _, in := range []string{
		"RS+\r\n", "RS+ A\r\n", "RS+ A foo q\r\n", "RS+ A foo q 1 2\r\n", "RS- A\r\n", "RS- A foo q 1\r\n",
		"A+\r\n", "A+ \r\n", "A- A B\r\n", "RMSG\r\n", "RMSG A\r\n", "RMSG A 2\r\n", "RMSG A foo x\r\n", "RMSG A foo -1\r\n",
		"RMSG A foo 9999999999\r\n", "RMSG A foo a b 2\r\n", "RMSG A foo + 2\r\n", "RMSG A foo + r 2\r\n", "RMSG A foo | 2\r\n",
		"RMSG A foo 33\r\n", "RMSG A foo 2\r\nhiX", "HMSG A foo 2\r\n", "HMSG A foo 3 2\r\n", "HMSG A foo x 2\r\n", "HMSG A 1 2\r\n",
		"RS+ " + strings.Repeat("a", 70), "LMSG foo 2\r\n", "LS+ foo\r\n", "MSG foo 1 2\r\n", "R", "RX",
	} {
		var op Op
		if n, _, err := Next([]byte(in), gatewayLimits(), &op); err == nil && in != "R" || n != 0 {
			t.Errorf("%q: n %d, error %v", in, n, err)
		}
	}
}

// TestVerbsByDialect: what one kind of connection may say means nothing to another, before and after
// authentication.
func TestVerbsByDialect(t *testing.T) {
	examples := map[string]string{
		"PUB": "PUB a 0\r\n\r\n", "HPUB": "HPUB a 0 0\r\n\r\n", "SUB": "SUB a 1\r\n", "UNSUB": "UNSUB 1\r\n",
		"PING": "PING\r\n", "PONG": "PONG\r\n", "CONNECT": "CONNECT {}\r\n", "INFO": "INFO {}\r\n", "+OK": "+OK\r\n", "-ERR": "-ERR 'x'\r\n",
		"RMSG": "RMSG A a 0\r\n\r\n", "HMSG": "HMSG A a 0 0\r\n\r\n", "RS+": "RS+ A a\r\n", "RS-": "RS- A a\r\n", "A+": "A+ A\r\n", "A-": "A- A\r\n",
		"LMSG": "LMSG a 0\r\n\r\n", "LS+": "LS+ a\r\n", "LS-": "LS- a\r\n",
	}
	may := map[Dialect][]string{
		DialectClient:  {"PUB", "HPUB", "SUB", "UNSUB", "PING", "PONG", "CONNECT", "INFO", "+OK", "-ERR"},
		DialectGateway: {"RMSG", "HMSG", "RS+", "RS-", "A+", "A-", "PING", "PONG", "CONNECT", "INFO", "+OK", "-ERR"},
		DialectLeaf:    {"LMSG", "HMSG", "LS+", "LS-", "PING", "PONG", "CONNECT", "INFO", "+OK", "-ERR"},
		DialectRoute:   {"RMSG", "HMSG", "LMSG", "RS+", "RS-", "LS+", "LS-", "A+", "A-", "PING", "PONG", "CONNECT", "INFO", "+OK", "-ERR"},
	}
	// The same verbs carry more between servers of a cluster.
	routed := map[string]string{"LMSG": "LMSG o A a 0 0\r\n\r\n", "LS+": "LS+ o A a\r\n", "LS-": "LS- o A a\r\n"}
	for d, verbs := range may {
		for verb, in := range examples {
			if with, ok := routed[verb]; ok && d == DialectRoute {
				in = with
			}
			for _, must := range []bool{false, true} {
				lim := testLimits()
				lim.Dialect, lim.MustConnect = d, must
				var op Op
				n, _, err := Next([]byte(in), lim, &op)
				want := slices.Contains(verbs, verb) && (!must || verb == "CONNECT")
				if got := n == len(in) && err == nil; got != want {
					t.Errorf("dialect %d, must connect %v, %s: accepted %v", d, must, verb, got)
				}
			}
		}
	}
}

func TestGatewaySplits(t *testing.T) {
	var stream []byte
	for _, c := range gatewayAccepted {
		stream = append(stream, c.in...)
	}
	want, wantRest := decodeAll(stream, gatewayLimits())
	if len(want) != len(gatewayAccepted) {
		t.Fatalf("%d operations", len(want))
	}
	for size := range 60 {
		got, rest, bad := decodeCut(stream, gatewayLimits(), []byte{byte(size)})
		if bad != "" || rest != wantRest || !slices.Equal(got, want) {
			t.Fatalf("pieces of %d: %s\n got %q\nwant %q", size+1, bad, got, want)
		}
	}
}

func TestGatewayNoAllocs(t *testing.T) {
	lim := gatewayLimits()
	for _, c := range gatewayAccepted {
		in := []byte(c.in)
		var op Op
		Next(in, lim, &op)
		if n := testing.AllocsPerRun(100, func() { Next(in, lim, &op) }); n != 0 {
			t.Errorf("%q: %v allocations", c.in, n)
		}
	}
}

// TestQueuesRoom: a long list of groups is read, and its memory given back afterwards.
func TestQueuesRoom(t *testing.T) {
	lim := &Limits{MaxControlLine: 1 << 16, MaxPayload: -1, Dialect: DialectGateway}
	var b strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&b, " q%d", i)
	}
	var op Op
	if n, _, err := Next([]byte("RMSG A foo |"+b.String()+" 0\r\n\r\n"), lim, &op); n == 0 || err != nil || len(op.Queues) != 2000 {
		t.Fatalf("n %d, error %v, %d queues", n, err, len(op.Queues))
	}
	Next([]byte("RMSG A foo 0\r\n\r\n"), lim, &op)
	if len(op.Queues) != 0 || cap(op.Queues) > keepQueues {
		t.Errorf("%d of %d queues", len(op.Queues), cap(op.Queues))
	}
}

func FuzzGateway(f *testing.F) {
	for _, c := range gatewayAccepted {
		f.Add([]byte(c.in+c.in), []byte{3, 1}, false)
	}
	f.Add([]byte("RMSG A foo + 2\r\nhi\r\n"), []byte{0}, false)
	f.Add([]byte("HMSG A foo | q 3 2\r\nhi\r\n"), []byte{5}, true)
	f.Fuzz(func(t *testing.T, data, sizes []byte, must bool) {
		lim := gatewayLimits()
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

func BenchmarkGatewayMsg(b *testing.B) {
	in := []byte("RMSG $G foo.bar.baz _INBOX.abcdefghijklmnop.qrstuvwx 16\r\n0123456789abcdef\r\n")
	lim := &Limits{MaxPayload: -1, Dialect: DialectGateway, MaxControlLine: 65536}
	var op Op
	for b.Loop() {
		Next(in, lim, &op)
	}
}

// TestGatewayInfo: the bytes are those of the peer's acceptor, and decode to the same value.
func TestGatewayInfo(t *testing.T) {
	want := `INFO {"server_id":"N1","server_name":"S1","version":"2.15.2","proto":3,"go":"","host":"127.0.0.1","port":14994,` +
		`"headers":true,"max_payload":1048576,"gateway":"C1","gateway_urls":["127.0.0.1:14994"],"gateway_url":"127.0.0.1:14994",` +
		`"gateway_nrp":true,"gateway_iom":true}` + "\r\n"
	in := GatewayInfo{ServerID: "N1", ServerName: "S1", Version: "2.15.2", Proto: 3, Host: "127.0.0.1", Port: 14994, Headers: true,
		MaxPayload: 1 << 20, Gateway: "C1", URLs: []string{"127.0.0.1:14994"}, URL: "127.0.0.1:14994", NRP: true, IOM: true}
	b := AppendGatewayInfo(nil, &in)
	if string(b) != want {
		t.Errorf("\n got %s\nwant %s", b, want)
	}
	back, err := ParseGatewayInfo(b[5 : len(b)-2])
	if err != nil || fmt.Sprint(back) != fmt.Sprint(in) {
		t.Errorf("%+v, error %v", back, err)
	}
	cmd := AppendGatewayInfo(nil, &GatewayInfo{Gateway: "C1", Cmd: GatewayAllStart, CmdPayload: []byte("ACC")})
	if !bytes.Contains(cmd, []byte(`"gateway_cmd":2,"gateway_cmd_payload":"QUND"`)) {
		t.Errorf("%s", cmd)
	}
}
