package wire

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func leafLimits() *Limits {
	return &Limits{MaxControlLine: 64, MaxPayload: 32, Headers: true, Dialect: DialectLeaf}
}

var leafAccepted = []struct{ in, want string }{
	{"LS+ foo\r\n", `account="" subject="foo" queue=""/false weight=1`},
	{"ls+\tfoo  q  7 \r\n", `account="" subject="foo" queue="q"/true weight=7`},
	{"LS+ foo q 0\r\n", `account="" subject="foo" queue="q"/true weight=1`},
	{"LS- foo\n", `account="" subject="foo" queue=""/false`},
	{"LS- foo q\r\n", `account="" subject="foo" queue="q"/true`},
	{"LMSG foo 2\r\nhi\r\n", `account="" subject="foo" reply=""/false queues=[] header=""/false payload="hi"`},
	{"LMSG foo bar 0\r\n\r\n", `account="" subject="foo" reply="bar"/true queues=[] header=""/false payload=""`},
	{"LMSG foo + bar q1 q2 2\r\nhi\r\n", `account="" subject="foo" reply="bar"/true queues=["q1" "q2"] header=""/false payload="hi"`},
	{"LMSG foo | q1 2\r\nhi\r\n", `account="" subject="foo" reply=""/false queues=["q1"] header=""/false payload="hi"`},
	{"HMSG foo 3 5\r\nHDRhi\r\n", `account="" subject="foo" reply=""/false queues=[] header="HDR"/true payload="hi"`},
	{"hmsg foo + r q 0 2\r\nhi\r\n", `account="" subject="foo" reply="r"/true queues=["q"] header=""/true payload="hi"`},
	{"PING\r\n", ""}, {"PONG\r\n", ""}, {"+OK\r\n", ""}, {"-ERR 'x'\r\n", ""}, {"INFO {}\r\n", ""}, {"CONNECT {}\r\n", ""},
}

func TestLeafAccepted(t *testing.T) {
	for _, c := range leafAccepted {
		in := []byte(c.in)
		var op Op
		n, need, err := Next(in, leafLimits(), &op)
		if err != nil || n != len(in) || need != 0 {
			t.Errorf("%q: n %d, need %d, error %v", c.in, n, need, err)
			continue
		}
		if got := string(opEvent(&op)); !strings.HasSuffix(got, c.want) {
			t.Errorf("%q:\n got %s\nwant %s", c.in, got, c.want)
		}
		lim := leafLimits()
		if n := testing.AllocsPerRun(100, func() { Next(in, lim, &op) }); n != 0 {
			t.Errorf("%q: %v allocations", c.in, n)
		}
	}
}

func TestLeafRefused(t *testing.T) {
	for _, in := range []string{
		"LS+\r\n", "LS+ \r\n", "LS+ foo q\r\n", "LS+ foo q 1 2\r\n", "LS-\r\n", "LS- foo q 1\r\n", "LMSG\r\n", "LMSG 2\r\n",
		"LMSG foo x\r\n", "LMSG foo -1\r\n", "LMSG foo a b 2\r\n", "LMSG foo + 2\r\n", "LMSG foo + r 2\r\n", "LMSG foo | 2\r\n",
		"LMSG foo 33\r\n", "LMSG foo 2\r\nhiX", "HMSG foo 2\r\n", "HMSG foo 3 2\r\n", "HMSG foo x 2\r\n",
		"LS+ " + strings.Repeat("a", 70), "RMSG A foo 2\r\n", "RS+ A foo\r\n", "SUB a 1\r\n", "PUB a 0\r\n\r\n", "A+ A\r\n", "LX",
	} {
		var op Op
		if n, _, err := Next([]byte(in), leafLimits(), &op); err == nil || n != 0 {
			t.Errorf("%q: n %d, error %v", in, n, err)
		}
	}
}

// TestLeafInfoFirst: compression is agreed on before CONNECT, nothing else is said.
func TestLeafInfoFirst(t *testing.T) {
	lim := leafLimits()
	lim.MustConnect, lim.InfoFirst = true, true
	var op Op
	for in, ok := range map[string]bool{"INFO {}\r\n": true, "connect {}\r\n": true, "PING\r\n": false, "LS+ a\r\n": false, "-ERR 'x'\r\n": false} {
		if n, _, err := Next([]byte(in), lim, &op); (err == nil && n > 0) != ok {
			t.Errorf("%q: n %d, error %v", in, n, err)
		}
	}
}

func FuzzLeaf(f *testing.F) {
	for _, c := range leafAccepted {
		f.Add([]byte(c.in+c.in), []byte{3, 1}, byte(0))
	}
	f.Add([]byte("LMSG foo + 2\r\nhi\r\n"), []byte{0}, byte(0))
	f.Add([]byte("HMSG foo | q 3 2\r\nhi\r\n"), []byte{5}, byte(3))
	f.Fuzz(func(t *testing.T, data, sizes []byte, flags byte) {
		lim := leafLimits()
		lim.MustConnect, lim.InfoFirst = flags&1 != 0, flags&2 != 0
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

// TestLeafInfo: the bytes are those of the peer's acceptor (reference/interserver.md, section 6), and decode to the same value.
func TestLeafInfo(t *testing.T) {
	want := `INFO {"server_id":"N1","server_name":"S1","version":"2.15.2","proto":3,"go":"go1.26.8","host":"127.0.0.1","port":14995,` +
		`"headers":true,"auth_required":true,"max_payload":1048576,"ip":"127.0.0.1:14995","client_id":9,"nonce":"abc","cluster":"C1",` +
		`"compression":"s2_auto","api_lvl":5,"info_on_connect":true,"leafnode_urls":["127.0.0.1:14995"]} ` + "\r\n"
	in := LeafInfo{ServerID: "N1", ServerName: "S1", Version: "2.15.2", Proto: 3, Go: "go1.26.8", Host: "127.0.0.1", Port: 14995, Headers: true,
		AuthRequired: true, MaxPayload: 1 << 20, IP: "127.0.0.1:14995", ClientID: 9, Nonce: "abc", Cluster: "C1", Compression: "s2_auto",
		APILevel: 5, InfoOnConnect: true, LeafURLs: []string{"127.0.0.1:14995"}}
	b := AppendLeafInfo(nil, &in)
	if string(b) != want {
		t.Errorf("\n got %s\nwant %s", b, want)
	}
	back, err := ParseLeafInfo(b[5 : len(b)-3])
	if err != nil || fmt.Sprint(back) != fmt.Sprint(in) {
		t.Errorf("%+v, error %v", back, err)
	}
	c := LeafConnect{User: "u", Pass: "p", Name: "S2", DenyPub: []string{"a"}, Compression: "off", RemoteAccount: "$G", Protocol: 3}
	line := AppendLeafConnect(nil, &c)
	if got, err := ParseLeafConnect(line[len("CONNECT ") : len(line)-2]); err != nil || fmt.Sprint(got) != fmt.Sprint(c) {
		t.Errorf("%s: %+v, error %v", line, got, err)
	}
}
