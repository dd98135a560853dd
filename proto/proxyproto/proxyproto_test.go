package proxyproto

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
)

func (a Addr) String() string {
	if a.V4 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a.IP[12:])), a.Port).String()
	}
	return netip.AddrPortFrom(netip.AddrFrom16(a.IP), a.Port).String()
}

func v2(verCmd, family byte, body string) string {
	b := binary.BigEndian.AppendUint16([]byte(v2Signature+string([]byte{verCmd, family})), uint16(len(body)))
	return string(b) + body
}

const (
	body4 = "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x6f\x00\xde"
	body6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x6f\x00\xde"
)

// cases: the verdicts were taken from nats-server 2.15.2 by sending each of these to it.
var cases = []struct {
	in       string
	st       State
	n, skip  int
	src, dst string
	err      error
}{
	{in: "", st: More}, {in: "P", st: More}, {in: "PROXY", st: More}, {in: "\r", st: More}, {in: v2Signature, st: More},
	{in: "PING\r\n", st: None}, {in: "proxy TCP4", st: None}, {in: "PROXYX\r\n", st: None}, {in: "\n", st: None},
	{in: "\r\n\r\nxxxx", st: None}, {in: "CONNECT {}", st: None}, {in: "\x16\x03", st: None},

	{in: "PROXY TCP4 1.2.3.4 5.6.7.8 111 222\r\n", st: Found, n: 36, src: "1.2.3.4:111", dst: "5.6.7.8:222"},
	{in: "PROXY TCP4 1.2.3.4 5.6.7.8 111 222\r\nPING\r\n", st: Found, n: 36, src: "1.2.3.4:111", dst: "5.6.7.8:222"},
	{in: "PROXY TCP4  1.2.3.4 5.6.7.8 0 011\r\n", st: Found, n: 35, src: "1.2.3.4:0", dst: "5.6.7.8:11"},
	{in: "PROXY TCP6 2001:db8::1 ::1 111 222\r\n", st: Found, n: 36, src: "[2001:db8::1]:111", dst: "[::1]:222"},
	{in: "PROXY TCP6 ::ffff:1.2.3.4 ::1 111 222\r\n", st: Found, n: 39, src: "[::ffff:1.2.3.4]:111", dst: "[::1]:222"},
	{in: "PROXY UNKNOWN\r\nPING", st: Found, n: 15}, {in: "PROXY UNKNOWN foo bar\r\n", st: Found, n: 23},
	{in: "PROXY UNKNOWN " + strings.Repeat("a", 107-16) + "\r\n", st: Found, n: 107},
	{in: "PROXY TCP4 1.2.3.4 5.6.7.8 111 222\r", st: More},
	{in: "PROXY UNKNOWN " + strings.Repeat("a", 108-16) + "\r\n", st: Invalid, err: ErrTooLong},
	{in: "PROXY UNKNOWN " + strings.Repeat("a", 300), st: Invalid, err: ErrTooLong},
	{in: "PROXY TCP4 1.2.3.4 5.6.7.8 111 222\n", st: Invalid, err: ErrLine},
	{in: "PROXY TCP4 1.2.3.4 5.6.7.8 111\r\n", st: Invalid, err: ErrLine},
	{in: "PROXY TCP4 1.2.3.4 5.6.7.8 111 222 333\r\n", st: Invalid, err: ErrLine},
	{in: "PROXY \r\n", st: Invalid, err: ErrLine}, {in: "PROXY \n", st: Invalid, err: ErrLine},
	{in: "PROXY UDP4 1.2.3.4 5.6.7.8 111 222\r\n", st: Invalid, err: ErrFamily},
	{in: "PROXY TCP4 2001:db8::1 2001:db8::2 111 222\r\n", st: Invalid, err: ErrAddress},
	{in: "PROXY TCP6 1.2.3.4 5.6.7.8 111 222\r\n", st: Invalid, err: ErrAddress},
	{in: "PROXY TCP4 1.2.3.4 2001:db8::2 111 222\r\n", st: Invalid, err: ErrAddress},
	{in: "PROXY TCP4 1.2.3.444 5.6.7.8 111 222\r\n", st: Invalid, err: ErrAddress},
	{in: "PROXY TCP4 1.2.3.4 5.6.7.8 111 65536\r\n", st: Invalid, err: ErrPort},
	{in: "PROXY TCP4 1.2.3.4 5.6.7.8 65536 222\r\n", st: Invalid, err: ErrPort},
	{in: "PROXY TCP4 1.2.3.4 5.6.7.8 +1 222\r\n", st: Invalid, err: ErrPort},

	{in: v2(0x21, 0x11, body4), st: Found, n: 28, src: "1.2.3.4:111", dst: "5.6.7.8:222"},
	{in: v2(0x21, 0x21, body6), st: Found, n: 52, src: "[2001:db8::1]:111", dst: "[2001:db8::2]:222"},
	{in: v2(0x21, 0x11, body4+"\x01\x00\x02ab") + "PING", st: Found, n: 28, skip: 5, src: "1.2.3.4:111", dst: "5.6.7.8:222"},
	{in: v2(0x21, 0x11, body4)[:27], st: More},
	{in: v2(0x20, 0, ""), st: Found, n: 16}, {in: v2(0x20, 0x11, body4), st: Found, n: 16, skip: 12},
	{in: v2(0x21, 0, ""), st: Invalid, err: ErrFamily}, {in: v2(0x21, 0x12, body4), st: Invalid, err: ErrFamily},
	{in: v2(0x21, 0x31, strings.Repeat("a", 216)), st: Invalid, err: ErrFamily},
	{in: v2(0x21, 0x10, body4), st: Invalid, err: ErrFamily}, {in: v2(0x21, 0x41, body4), st: Invalid, err: ErrFamily},
	{in: v2(0x21, 0x11, body4[:8]), st: Invalid, err: ErrShortHeader},
	{in: v2(0x21, 0x21, body4), st: Invalid, err: ErrShortHeader},
	{in: v2(0x11, 0x11, body4), st: Invalid, err: ErrVersion}, {in: v2(0x22, 0x11, body4), st: Invalid, err: ErrCommand},
}

func TestDecode(t *testing.T) {
	for _, c := range cases {
		var h Header
		st, n, skip, err := Decode([]byte(c.in), &h)
		if st != c.st || n != c.n || skip != c.skip || err != c.err {
			t.Errorf("%q: %d %d %d %v, want %d %d %d %v", c.in, st, n, skip, err, c.st, c.n, c.skip, c.err)
			continue
		}
		if h.Proxied != (c.src != "") {
			t.Errorf("%q: proxied %v", c.in, h.Proxied)
		} else if h.Proxied && (h.Source.String() != c.src || h.Dest.String() != c.dst) {
			t.Errorf("%q: %v %v, want %s %s", c.in, h.Source, h.Dest, c.src, c.dst)
		}
	}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	in := [][]byte{[]byte(cases[12].in), []byte(v2(0x21, 0x21, body6)), []byte("PING\r\n"), []byte("PROXY TCP6 2001:db8::1 ::1 111 222\r\n")}
	var h Header
	if n := testing.AllocsPerRun(100, func() {
		for _, b := range in {
			Decode(b, &h)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzDecode: no panic, a verdict within MaxBuffer bytes, and a verdict never changes with more bytes.
func FuzzDecode(f *testing.F) {
	for _, c := range cases {
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var h, ph Header
		st, n, skip, err := Decode(in, &h)
		if n > len(in) || skip < 0 || (err != nil) != (st == Invalid) || (st == Found) != (n > 0) {
			t.Fatalf("%d %d %d %v", st, n, skip, err)
		}
		if st == More && len(in) >= MaxBuffer {
			t.Fatalf("undecided after %d bytes", len(in))
		}
		for i := range in {
			pst, pn, pskip, perr := Decode(in[:i], &ph)
			if pst != More {
				if pst != st || pn != n || pskip != skip || perr != err || ph != h {
					t.Fatalf("at %d: %d %d %d %v %v, whole: %d %d %d %v %v", i, pst, pn, pskip, perr, ph, st, n, skip, err, h)
				}
				break
			}
		}
	})
}

// FuzzAddress compares with net/netip.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"", "::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::3:4:5:6:7:8", "1:2:3:4:5:6:1.2.3.4",
		"::1.2.3.4", "1.2.3.4", "01.2.3.4", "1.2.3.4.5", "1.2.3", "12345::", ":1", "1:", "1::2::3", "::ffff:256.1.1.1", "FE80::A", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:1.2.3.4", ":::", "1:::2", "::1:2:3:4:5:6:7:8"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := netip.ParseAddr(s)
		a4, ok4 := address([]byte(s), true)
		if wantOK := err == nil && want.Is4(); ok4 != wantOK {
			t.Fatalf("%q as IPv4: %v", s, ok4)
		} else if ok4 && netip.AddrFrom4([4]byte(a4.IP[12:])) != want {
			t.Fatalf("%q: %v", s, a4)
		}
		a6, ok6 := address([]byte(s), false)
		if wantOK := err == nil && want.Is6() && want.Zone() == ""; ok6 != wantOK {
			t.Fatalf("%q as IPv6: %v", s, ok6)
		} else if ok6 && netip.AddrFrom16(a6.IP) != want {
			t.Fatalf("%q: %v, want %v", s, a6, want)
		}
	})
}
