package client

import (
	"strings"
	"testing"
)

// TestVerbsByState is the table of every verb of every connection kind, before authentication, where
// authentication is not needed, and after it (reliability.md, row S3). want is what the server sends
// before the PONG that shows it still serves, or with "closed" before it closes.
func TestVerbsByState(t *testing.T) {
	const denied = "-ERR 'Authorization Violation'\r\n"
	const unknown = "-ERR 'Unknown Protocol Operation'\r\n"
	type result struct {
		out    string
		closed bool
	}
	stays := func(out string) result { return result{out, false} }
	ends := func(out string) result { return result{out, true} }
	cases := []struct {
		op            string
		before, after result
	}{
		{"CONNECT {\"user\":\"all\",\"pass\":\"p\",\"verbose\":false}", stays(""), stays("")},
		{"CONNECT {\"user\":\"all\",\"pass\":\"x\",\"verbose\":false}", ends(denied), ends(denied)},
		{"CONNECT {", ends(""), ends("")},
		{"PING", ends(denied), stays("PONG\r\n")},
		{"PONG", ends(denied), stays("")},
		{"+OK", ends(denied), stays("")},
		{"-ERR 'x'", ends(denied), ends("")},
		{"INFO {}", ends(denied), stays("")},
		{"PUB foo 0\r\n", ends(denied), stays("")},
		{"HPUB foo 12 12\r\nNATS/1.0\r\n\r\n", ends(denied), ends("")},
		{"SUB foo 1", ends(denied), stays("")},
		{"UNSUB 1", ends(denied), stays("")},
		{"MSG foo 1 0\r\n", ends(denied), ends(unknown)},
		{"HMSG foo 1 12 12\r\nNATS/1.0\r\n\r\n", ends(denied), ends(unknown)},
		// route verbs
		{"RS+ $G foo", ends(denied), ends(unknown)},
		{"RS- $G foo", ends(denied), ends(unknown)},
		{"RMSG $G foo 0\r\n", ends(denied), ends(unknown)},
		{"HMSG $G foo 12 12\r\n", ends(denied), ends(unknown)},
		{"A+ x", ends(denied), ends(unknown)},
		{"A- x", ends(denied), ends(unknown)},
		// leafnode verbs
		{"LS+ foo", ends(denied), ends(unknown)},
		{"LS- foo", ends(denied), ends(unknown)},
		{"LMSG foo 0\r\n", ends(denied), ends(unknown)},
		// other protocols
		{"GET / HTTP/1.1", ends(denied), ends(unknown)},
		{"\x16\x03\x01\x00\x05hello", ends(denied), ends(unknown)},
		{"\x10\x0c\x00\x04MQTT", ends(denied), ends(unknown)},
		{"", ends(denied), ends(unknown)},
		{"CONN {}", ends(unknown), ends(unknown)},
	}
	w := newWorld(t, sampleUsers)
	const login = "CONNECT {\"user\":\"all\",\"pass\":\"p\",\"verbose\":false}\r\n"
	for _, authed := range []bool{false, true} {
		for _, c := range cases {
			want, state := c.before, "before"
			if authed {
				want, state = c.after, "after"
			}
			t.Run(state+"/"+strings.ToValidUTF8(strings.SplitN(c.op, "\r", 2)[0], "?"), func(t *testing.T) {
				p := w.dial()
				p.t = t
				p.info()
				if authed {
					p.send(login)
					p.sync()
				}
				p.send(c.op + "\r\n")
				p.want(want.out)
				if want.closed {
					p.eof()
				} else {
					p.sync()
				}
			})
		}
	}
}
