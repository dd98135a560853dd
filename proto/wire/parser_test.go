package wire

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func testLimits() *Limits { return &Limits{MaxControlLine: 64, MaxPayload: 32, Headers: true} }

// TestErrors has a row for each way to fail; texts and close decisions were taken from nats-server.
func TestErrors(t *testing.T) {
	const unknown = TextUnknownOperation
	long := strings.Repeat("a", 65)
	for _, c := range []struct {
		in   string
		lim  Limits
		text string
		code ErrorCode
	}{
		{in: "\r\n", text: unknown},
		{in: "\n", text: unknown},
		{in: " PING\r\n", text: unknown},
		{in: "X", text: unknown},
		{in: "PIN\r\n", text: unknown},
		{in: "PX", text: unknown},
		{in: "PUX", text: unknown},
		{in: "PUBX", text: unknown},
		{in: "PUB\r\n", text: unknown},
		{in: "PUB\n", text: unknown},
		{in: "SUB\r\n", text: unknown},
		{in: "SUBa 1\r\n", text: unknown},
		{in: "UNSUB\r\n", text: unknown},
		{in: "HPUBx", text: unknown},
		{in: "HMSG a 1 1 1\r\n", text: unknown},
		{in: "MSG a 1 1\r\n", text: unknown},
		{in: "RS+ a\r\n", text: unknown},
		{in: "RMSG a\r\n", text: unknown},
		{in: "LS+ a\r\n", text: unknown},
		{in: "A+ a\r\n", text: unknown},
		{in: "-ERR\r\n", text: unknown},
		{in: "-ERRx", text: unknown},
		{in: "+X", text: unknown},
		{in: "+O\r\n", text: unknown},
		{in: "IX", text: unknown},
		{in: "PUB a 1\r\nx\nPING\r\n", text: unknown},
		{in: "PUB a 1\r\nxyz", text: unknown},
		{in: "PUB a 1\r\nx\rP", text: unknown},
		{in: "PUB a 0\r\nx", text: unknown},
		{in: "HPUB a 1 2\r\nxy\n", text: unknown},

		{in: "PUB \r\n"},
		{in: "PUB a\r\n"},
		{in: "PUB a \r\n"},
		{in: "PUB a b c 1\r\n"},
		{in: "PUB a b c 1 1 1 1\r\n"},
		{in: "PUB a -1\r\n"},
		{in: "PUB a +1\r\n"},
		{in: "PUB a 1x\r\n"},
		{in: "PUB a x\r\n"},
		{in: "PUB a 1\r\r\n"},
		{in: "PUB a\r1\n"},
		{in: "PUB a 0000000001\r\n"},
		{in: "PUB a 9999999999\r\n"},
		{in: "PUB a b 99999999999999999999999\r\n"},
		{in: "HPUB \r\n"},
		{in: "HPUB a\r\n"},
		{in: "HPUB a 1\r\n"},
		{in: "HPUB a b c 1 1\r\n"},
		{in: "HPUB a x 1\r\n"},
		{in: "HPUB a 1 x\r\n"},
		{in: "HPUB a 2 1\r\n"},
		{in: "HPUB a 34 33\r\n"},
		{in: "HPUB a 0 0\r\n\r\n", lim: Limits{MaxControlLine: 64, MaxPayload: 32}},
		{in: "HPUB x\r\n", lim: Limits{MaxControlLine: 64, MaxPayload: 32}},
		{in: "SUB \r\n"},
		{in: "SUB a\r\n"},
		{in: "SUB a b c d\r\n"},
		{in: "UNSUB \r\n"},
		{in: "UNSUB 1 2 3\r\n"},

		{in: "PUB a 33\r\n", text: TextMaxPayload, code: ErrMaxPayload},
		{in: "PUB a 999999999\r\n", text: TextMaxPayload, code: ErrMaxPayload},
		{in: "HPUB a 1 33\r\n", text: TextMaxPayload, code: ErrMaxPayload},
		{in: "PUB a 1\r\nx\r\n", lim: Limits{MaxControlLine: 64, MaxPayload: 0}, text: TextMaxPayload, code: ErrMaxPayload},

		{in: "PUB " + long, text: TextMaxControlLine, code: ErrControlLine},
		{in: "PUB " + long[:63] + " 0\r\n\r\n", text: TextMaxControlLine, code: ErrControlLine},
		{in: "SUB " + long + "\r\n", text: TextMaxControlLine, code: ErrControlLine},
		{in: "UNSUB " + long, text: TextMaxControlLine, code: ErrControlLine},
		{in: "CONNECT " + long, text: TextMaxControlLine, code: ErrControlLine},
		{in: "CONNECT" + long, text: TextMaxControlLine, code: ErrControlLine},
		{in: "INFO " + long, text: TextMaxControlLine, code: ErrControlLine},
		{in: "-ERR " + long, text: TextMaxControlLine, code: ErrControlLine},
		{in: "PUB a 0" + strings.Repeat(" ", 62) + "\r\n", text: TextMaxControlLine, code: ErrControlLine},
		{in: "PUB " + strings.Repeat(" ", 64+lineSlack), text: TextMaxControlLine, code: ErrControlLine},
		{in: "PING" + strings.Repeat(" ", 64+lineSlack), text: TextMaxControlLine, code: ErrControlLine},
		{in: "SUB " + strings.Repeat("a", 4097), lim: Limits{}, text: TextMaxControlLine, code: ErrControlLine},

		{in: "P", lim: Limits{MustConnect: true}, text: TextAuthorizationViolation, code: ErrAuth},
		{in: "PING\r\n", lim: Limits{MustConnect: true}, text: TextAuthorizationViolation, code: ErrAuth},
		{in: "PUB a 0\r\n\r\n", lim: Limits{MustConnect: true, MaxPayload: 10}, text: TextAuthorizationViolation, code: ErrAuth},
		{in: "PONG\r\n", lim: Limits{MustConnect: true}, text: TextAuthorizationViolation, code: ErrAuth},
		{in: "INFO {}\r\n", lim: Limits{MustConnect: true}, text: TextAuthorizationViolation, code: ErrAuth},
		{in: "+OK\r\n", lim: Limits{MustConnect: true}, text: TextAuthorizationViolation, code: ErrAuth},
		{in: "-ERR 'x'\r\n", lim: Limits{MustConnect: true}, text: TextAuthorizationViolation, code: ErrAuth},
		{in: "\r\n", lim: Limits{MustConnect: true}, text: TextAuthorizationViolation, code: ErrAuth},
		{in: " CONNECT {}\r\n", lim: Limits{MustConnect: true}, text: TextAuthorizationViolation, code: ErrAuth},
		{in: "CX", lim: Limits{MustConnect: true}, text: unknown},
	} {
		lim := c.lim
		if lim == (Limits{}) && !strings.Contains(c.in, strings.Repeat("a", 4097)) {
			lim = *testLimits()
		}
		var op Op
		n, need, err := Next([]byte(c.in), &lim, &op)
		if err == nil {
			t.Errorf("%q: no error, n %d, need %d", c.in, n, need)
			continue
		}
		if err.Text != c.text || err.Code != c.code || n != 0 || need != 0 || err.Detail == "" || err.Error() != err.Detail {
			t.Errorf("%q: error %+v, n %d, need %d, want %q code %d", c.in, *err, n, need, c.text, c.code)
		}
	}
}

// accepted are inputs that decode; want is checked against the event of the last operation.
var accepted = []struct{ in, want string }{
	{"PUB a 0\r\n\r\n", `kind=3 line="PUB a 0" subject="a" reply=""/false header=""/false payload=""`},
	{"PUB foo.bar 5\r\nhello\r\n", `kind=3 line="PUB foo.bar 5" subject="foo.bar" reply=""/false header=""/false payload="hello"`},
	{"PUB foo _INBOX.1 5\r\nh\r\nlo\r\n", `kind=3 line="PUB foo _INBOX.1 5" subject="foo" reply="_INBOX.1"/true header=""/false payload="h\r\nlo"`},
	{"PUB foo 12 5\r\nhello\r\n", `kind=3 line="PUB foo 12 5" subject="foo" reply="12"/true header=""/false payload="hello"`},
	{"PUB foo 12x 5\r\nhello\r\n", `kind=3 line="PUB foo 12x 5" subject="foo" reply="12x"/true header=""/false payload="hello"`},
	{"PUB a 000000001\r\nx\r\n", `kind=3 line="PUB a 000000001" subject="a" reply=""/false header=""/false payload="x"`},
	{"PUB a 1\nx\r\n", `kind=3 line="PUB a 1" subject="a" reply=""/false header=""/false payload="x"`},
	{"PUB\ta\t \tb\t1\t\r\nx\r\n", `kind=3 line="PUB\ta\t \tb\t1\t" subject="a" reply="b"/true header=""/false payload="x"`},
	{"pUb  a   1 \r\nx\r\n", `kind=3 line="pUb  a   1 " subject="a" reply=""/false header=""/false payload="x"`},
	{"PUB a\x00é 1\r\nx\r\n", `kind=3 line="PUB a\x00é 1" subject="a\x00é" reply=""/false header=""/false payload="x"`},
	{"PUB " + strings.Repeat("a", 62) + " 0\r\n\r\n", ""},
	{"HPUB a 0 1\r\nx\r\n", `kind=3 line="HPUB a 0 1" subject="a" reply=""/false header=""/true payload="x"`},
	{"hpub a r 12 14\r\nNATS/1.0\r\n\r\nxy\r\n", `kind=3 line="hpub a r 12 14" subject="a" reply="r"/true header="NATS/1.0\r\n\r\n"/true payload="xy"`},
	{"SUB a 1\r\n", `kind=4 line="SUB a 1" subject="a" queue=""/false sid="1"`},
	{"SUB a.* q 1\n", `kind=4 line="SUB a.* q 1" subject="a.*" queue="q"/true sid="1"`},
	{"SUB a 1\r\r\n", `kind=4 line="SUB a 1\r" subject="a" queue=""/false sid="1"`},
	{"SUB a \r1\r\n", `kind=4 line="SUB a \r1" subject="a" queue=""/false sid="1"`},
	{"SUB a\rq\r\r1\r\n", `kind=4 line="SUB a\rq\r\r1" subject="a" queue="q"/true sid="1"`},
	{"SUB a \r12\n", `kind=4 line="SUB a \r12" subject="a" queue=""/false sid="12"`},
	{"UNSUB 1\r2\r\n", `kind=5 line="UNSUB 1\r2" sid="1" max=2`},
	{"UNSUB 1\r\n", `kind=5 line="UNSUB 1" sid="1" max=0`},
	{"uNsUb 1 10\r\n", `kind=5 line="uNsUb 1 10" sid="1" max=10`},
	{"UNSUB 1 x\r\n", `kind=5 line="UNSUB 1 x" sid="1" max=0`},
	{"UNSUB 1 -1\r\n", `kind=5 line="UNSUB 1 -1" sid="1" max=0`},
	{"UNSUB 1 99999999999\r\n", `kind=5 line="UNSUB 1 99999999999" sid="1" max=0`},
	{"PING\r\n", `kind=6 line="PING"`},
	{"PING  junk\n", `kind=6 line="PING  junk"`},
	{"pingjunk\r\n", `kind=6 line="pingjunk"`},
	{"PONG\r\n", `kind=7 line="PONG"`},
	{"+OKxx\r\n", `kind=8 line="+OKxx"`},
	{"-ERR 'x y'\r\n", `kind=9 line="-ERR 'x y'" arg="'x y'"`},
	{"-ERR \r\n", `kind=9 line="-ERR " arg=""`},
	{"INFO {}\r\n", `kind=2 line="INFO {}" arg="{}"`},
	{"INFO{}\r\n", `kind=2 line="INFO{}" arg="{}"`},
	{"INFO\r\n", `kind=2 line="INFO" arg=""`},
	{"CONNECT {\"verbose\": false}  \r\n", `kind=1 line="CONNECT {\"verbose\": false}  " arg="{\"verbose\": false}  "`},
	{"CONNECT\t{}\r\n", `kind=1 line="CONNECT\t{}" arg="{}"`},
	{"CONNECT{}\r\n", `kind=1 line="CONNECT{}" arg="{}"`},
	{"CONNECT\r\n", `kind=1 line="CONNECT" arg=""`},
	{"CONNECT \r\n", `kind=1 line="CONNECT " arg=""`},
}

func TestAccepted(t *testing.T) {
	for _, c := range accepted {
		var op Op
		n, need, err := Next([]byte(c.in), testLimits(), &op)
		if err != nil || n != len(c.in) || need != 0 {
			t.Errorf("%q: n %d, need %d, error %v", c.in, n, need, err)
			continue
		}
		if got := opEvent(&op); c.want != "" && string(got) != c.want {
			t.Errorf("%q:\n got %s\nwant %s", c.in, got, c.want)
		}
	}
}

// TestStaleFields: fields of a kind do not survive from the operation before.
func TestStaleFields(t *testing.T) {
	var op Op
	for _, in := range []string{"HPUB a r 1 1\r\nx\r\n", "PUB a 0\r\n\r\n", "HPUB a r 1 1\r\nx\r\n", "pub a 0\r\n\r\n"} {
		if _, _, err := Next([]byte(in), testLimits(), &op); err != nil {
			t.Fatal(err)
		}
		if in[0] != 'H' && (op.Reply != nil || op.Header != nil) {
			t.Errorf("%q: reply %q, header %q", in, op.Reply, op.Header)
		}
	}
	Next([]byte("SUB a q 1\r\n"), testLimits(), &op)
	Next([]byte("SUB a 1\r\n"), testLimits(), &op)
	if op.Queue != nil {
		t.Errorf("queue %q", op.Queue)
	}
	Next([]byte("UNSUB 1 5\r\n"), testLimits(), &op)
	Next([]byte("UNSUB 1\r\n"), testLimits(), &op)
	if op.Max != 0 {
		t.Errorf("max %d", op.Max)
	}
}

// TestIncomplete cuts every accepted operation at every byte.
func TestIncomplete(t *testing.T) {
	for _, c := range accepted {
		lineLen := strings.IndexByte(c.in, '\n') + 1
		for k := range len(c.in) {
			var op Op
			n, need, err := Next([]byte(c.in[:k]), testLimits(), &op)
			want := 0
			if k >= lineLen {
				want = len(c.in)
			}
			if n != 0 || err != nil || need != want {
				t.Errorf("%q: n %d, need %d, want need %d, error %v", c.in[:k], n, need, want, err)
			}
		}
	}
}

// TestSplits: a stream of everything, cut in two at every byte and in pieces of every small size, gives
// the same operations.
func TestSplits(t *testing.T) {
	var all []byte
	for _, c := range accepted {
		all = append(all, c.in...)
	}
	for _, tail := range []string{"", "X", "PUB a 33\r\n", "SUB a\r\n", "PUB a 2\r\nabX"} {
		stream := append(bytes.Clone(all), tail...)
		want, wantRest := decodeAll(stream, testLimits())
		if len(want) < len(accepted) {
			t.Fatalf("only %d operations", len(want))
		}
		for size := range 40 {
			got, rest, bad := decodeCut(stream, testLimits(), []byte{byte(size)})
			if bad != "" || rest != wantRest || !slices.Equal(got, want) {
				t.Fatalf("pieces of %d: %s\n got %q\nwant %q", size+1, bad, got, want)
			}
		}
		for k := range stream {
			var op Op
			var got []event
			var failed *Error
			rest := stream[:k]
			feed := func() {
				for failed == nil {
					n, _, err := Next(rest, testLimits(), &op)
					if err != nil {
						failed = err
						got = append(got, errEvent(err))
					} else if n == 0 {
						return
					} else {
						got = append(got, opEvent(&op))
						rest = rest[n:]
					}
				}
			}
			feed()
			rest = stream[k-len(rest):]
			feed()
			if !slices.Equal(got, want) {
				t.Fatalf("cut at %d:\n got %q\nwant %q", k, got, want)
			}
		}
	}
}

// TestControlLineBoundary is the table measured on nats-server, with its limit.
func TestControlLineBoundary(t *testing.T) {
	lim := &Limits{MaxPayload: 10}
	for _, c := range []struct {
		in string
		ok bool
	}{
		{"PUB " + strings.Repeat("a", 4094) + " 0\r\n\r\n", true},
		{"PUB " + strings.Repeat("a", 4095) + " 0\r\n\r\n", false},
		{"PUB " + strings.Repeat("a", 4094) + " 0\r", true},
		{"PUB " + strings.Repeat("a", 4095) + " 0", false},
		{"PUB a 0" + strings.Repeat(" ", 4093) + "\r\n\r\n", true},
		{"PUB a 0" + strings.Repeat(" ", 4094) + "\r\n\r\n", false},
		{"SUB " + strings.Repeat("a", 4094) + " 1\r\n", true},
		{"SUB " + strings.Repeat("a", 4095) + " 1\r\n", false},
		{"PUB " + strings.Repeat(" ", 200) + strings.Repeat("a", 4000) + " 0\r\n\r\n", true},
	} {
		var op Op
		_, _, err := Next([]byte(c.in), lim, &op)
		if (err == nil) != c.ok || err != nil && err != errControlLine {
			t.Errorf("%d bytes %.10q...: error %v", len(c.in), c.in, err)
		}
	}
}

func TestNextNoAllocs(t *testing.T) {
	lim := &Limits{MaxPayload: 1 << 20, Headers: true}
	for _, c := range accepted {
		in := []byte(c.in)
		var op Op
		if n := testing.AllocsPerRun(100, func() { Next(in, lim, &op) }); n != 0 {
			t.Errorf("%q: %v allocations", c.in, n)
		}
	}
	for _, s := range []string{"X", "PUB a\r\n", "PUB a 9999999\r\n", "PUB a 100\r\nabc"} {
		in := []byte(s)
		if n := testing.AllocsPerRun(100, func() {
			var op Op
			Next(in, lim, &op)
		}); n != 0 {
			t.Errorf("%q: %v allocations", s, n)
		}
	}
}

func FuzzNext(f *testing.F) {
	for _, c := range accepted {
		f.Add([]byte(c.in+c.in+"PING\r\n"), []byte{0}, byte(0))
		f.Add([]byte(c.in), []byte{3, 1}, byte(3))
	}
	f.Add([]byte("PUB a 33\r\n"), []byte{1}, byte(0))
	f.Add([]byte("HPUB a 5 3\r\nabc\r\n"), []byte{1}, byte(1))
	f.Add([]byte("PUB a\rb 1\r\r\nx\r\n\r\n"), []byte{7, 0}, byte(2))
	f.Add([]byte("SUB "+strings.Repeat("a", 70)+" 1\r\nMSG"), []byte{}, byte(0))
	f.Add([]byte("connect {}\r\npub a 0\r\n\r\n"), []byte{}, byte(2))
	f.Fuzz(func(t *testing.T, data, sizes []byte, flags byte) {
		lim := testLimits()
		lim.Headers = flags&1 == 0
		lim.MustConnect = flags&2 != 0
		// Full capacity: a read beyond the input would be out of range.
		data = slices.Clip(bytes.Clone(data))
		want, wantRest := oracle(string(data), lim)
		got, rest := decodeAll(data, lim)
		if rest != wantRest || !slices.Equal(got, want) {
			t.Fatalf("%q\n got %q rest %d\nwant %q rest %d", data, got, rest, want, wantRest)
		}
		cut, cutRest, bad := decodeCut(data, lim, sizes)
		if bad != "" || cutRest != rest || !slices.Equal(cut, got) {
			t.Fatalf("%q in pieces: %s\n got %q rest %d\nwant %q rest %d", data, bad, cut, cutRest, got, rest)
		}
		if rest > lim.MaxControlLine+lineSlack+lim.MaxPayload+4 {
			t.Fatalf("%d bytes pending", rest)
		}
	})
}

func benchNext(b *testing.B, in string) {
	lim := &Limits{MaxPayload: 1 << 20, Headers: true}
	stream := []byte(strings.Repeat(in, 64))
	var op Op
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	rest := stream
	for b.Loop() {
		n, _, err := Next(rest, lim, &op)
		if err != nil || n == 0 {
			b.Fatal(err)
		}
		if rest = rest[n:]; len(rest) == 0 {
			rest = stream
		}
	}
}

func BenchmarkNext(b *testing.B) {
	pub := func(subject string, size int) string {
		return fmt.Sprintf("PUB %s %d\r\n%s\r\n", subject, size, strings.Repeat("x", size))
	}
	for _, c := range []struct{ name, in string }{
		{"pub/16", pub("orders.new.eu", 16)},
		{"pub/128", pub("orders.new.eu", 128)},
		{"pub/128/reply", pub("orders.new.eu _INBOX.abcdefghijklmnopqrstuv.1", 128)},
		{"pub/4096", pub("orders.new.eu", 4096)},
		{"pub/lower", strings.Replace(pub("orders.new.eu", 128), "PUB", "pub", 1)},
		{"hpub/12+128", "HPUB orders.new.eu 12 140\r\nNATS/1.0\r\n\r\n" + strings.Repeat("x", 128) + "\r\n"},
		{"sub", "SUB orders.* workers 17\r\n"},
		{"unsub", "UNSUB 17\r\n"},
		{"ping", "PING\r\n"},
	} {
		b.Run(c.name, func(b *testing.B) { benchNext(b, c.in) })
	}
}

// TestTokenEnd compares with the byte loop for every byte value at every offset.
func TestTokenEnd(t *testing.T) {
	for n := range 20 {
		for at := range n {
			for c := range 256 {
				b := bytes.Repeat([]byte{0x80}, n)
				b[at] = byte(c)
				if at+1 < n {
					b[at+1] = ' '
				}
				for from := range n + 1 {
					want := from
					for want < n && b[want] > ' ' {
						want++
					}
					if got := tokenEnd(b, from); got != want {
						t.Fatalf("%q from %d: %d, want %d", b, from, got, want)
					}
				}
			}
		}
	}
}
