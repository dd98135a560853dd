//go:build linux

package main

import (
	"bytes"
	be "encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"
)

// attack is one way to misuse a port. run ends soon after the connection is closed under it.
type attack struct {
	name  string
	port  string // client, ws or http
	login bool   // works only for those who may log in
	run   func(c net.Conn, rng *rand.Rand)
}

// noise returns n random bytes.
func noise(rng *rand.Rand, n int) []byte {
	b := make([]byte, n+8)
	for i := 0; i < n; i += 8 {
		be.LittleEndian.PutUint64(b[i:], rng.Uint64())
	}
	return b[:n]
}

// listen reads what comes for d at most.
func listen(c net.Conn, d time.Duration) {
	_ = c.SetReadDeadline(time.Now().Add(d))
	_, _ = io.Copy(io.Discard, c)
}

// say is an attack that sends once what gen makes and listens for a moment.
func say(gen func(rng *rand.Rand) []byte) func(net.Conn, *rand.Rand) {
	return func(c net.Conn, rng *rand.Rand) {
		_ = c.SetWriteDeadline(time.Now().Add(2 * time.Second))
		_, _ = c.Write(gen(rng))
		listen(c, 100*time.Millisecond)
	}
}

func text(s string) func(net.Conn, *rand.Rand) {
	return say(func(*rand.Rand) []byte { return []byte(s) })
}

// repeat is an attack that sends b again and again and never reads.
func repeat(first string, b []byte) func(net.Conn, *rand.Rand) {
	return func(c net.Conn, _ *rand.Rand) {
		_ = c.SetWriteDeadline(time.Now().Add(2 * time.Second))
		_, err := io.WriteString(c, first)
		for err == nil {
			_, err = c.Write(b)
		}
	}
}

const upgrade = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

// badOps are operations with a lie or a hole in them, and those of other kinds of connections.
var badOps = []string{
	"PUB a 999999999999\r\n", "PUB a -1\r\n", "PUB a 99999999999999999999999999\r\n", "PUB a 1048577\r\n", "PUB  \r\n", "PUB a.b.\xff\x00 2\r\nhi\r\n",
	"HPUB a 10 5\r\nxxxxx\r\n", "HPUB a 22 1048576\r\n", "HPUB a 0 0\r\n\r\n", "HPUB a 12 12\r\nNATS/9.9\r\n\r\n\r\n",
	"SUB\r\n", "SUB a b c d e\r\n", "SUB a..b 1\r\n", "UNSUB\r\n", "UNSUB 1 -5\r\n", "MSG a 1 2\r\nhi\r\n", "HMSG a 1 2 2\r\nhi\r\n",
	"RS+ APP a\r\n", "RS- APP a\r\n", "RMSG APP a 2\r\nhi\r\n", "LS+ a\r\n", "LMSG a 2\r\nhi\r\n", "A+ APP\r\n", "A- APP\r\n",
	"-ERR 'x'\r\n", "+OK\r\n", "INFO {\"server_id\":\"x\"}\r\n", "PING PING\r\n", "PONG\r\nPONG\r\nPONG\r\n", "CONNECT {}\r\n", "CONNECT []\r\n",
}

func attacks() []attack {
	var list []attack
	add := func(name, port string, run func(net.Conn, *rand.Rand)) {
		list = append(list, attack{name: name, port: port, run: run})
	}
	asUser := func(name string, run func(net.Conn, *rand.Rand)) {
		list = append(list, attack{name: name, port: "client", login: true, run: run})
	}
	for _, port := range []string{"client", "ws", "http"} {
		add("random bytes "+port, port, say(func(r *rand.Rand) []byte { return noise(r, 1+r.IntN(64<<10)) }))
		add("silence "+port, port, func(c net.Conn, _ *rand.Rand) { listen(c, 500*time.Millisecond) })
		add("gone at once "+port, port, func(c net.Conn, r *rand.Rand) {
			_ = c.(*net.TCPConn).SetLinger(r.IntN(2) - 1)
		})
	}
	for _, op := range badOps {
		gen := func(first string) func(*rand.Rand) []byte {
			return func(r *rand.Rand) []byte { return append([]byte(first+op), noise(r, r.IntN(200))...) }
		}
		add(fmt.Sprintf("%q before CONNECT", op), "client", say(gen("")))
		asUser(fmt.Sprintf("%q", op), say(gen(login)))
	}

	// Before login.
	add("deep JSON", "client", text("CONNECT "+strings.Repeat(`{"a":`, 200)+"1"+strings.Repeat("}", 200)+"\r\n"))
	add("deep JSON in little", "client", text("CONNECT "+strings.Repeat("[", 3000)+"\r\n"))
	add("endless CONNECT", "client", text(`CONNECT {"name":"`+strings.Repeat("x", 4<<20)))
	add("wrong password", "client", text(strings.Replace(login, `"pass":"app"`, `"pass":"no"`, 1)+"PING\r\n"))
	add("false JWT", "client", text(`CONNECT {"jwt":"`+strings.Repeat("eyJ.", 300)+`","sig":"AAAA","nkey":"U"}`+"\r\n"))
	add("TLS hello on a plain port", "client", say(func(r *rand.Rand) []byte {
		return append([]byte{22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3}, noise(r, 500)...)
	}))
	add("HTTP on the client port", "client", text("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	add("PING flood before CONNECT", "client", repeat("", bytes.Repeat([]byte("PING\r\n"), 5000)))
	add("slow CONNECT", "client", func(c net.Conn, _ *rand.Rand) {
		for _, b := range []byte(`CONNECT {"v`) {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			listen(c, 50*time.Millisecond)
		}
	})

	// After login.
	asUser("endless SUB", text(login+"SUB "+strings.Repeat("a.", 1<<20)))
	asUser("many tokens", text(login+"SUB "+strings.Repeat("a.", 1500)+"> 1\r\nPUB "+strings.Repeat("a.", 1500)+"b 2\r\nhi\r\nPING\r\n"))
	asUser("SUB flood", say(func(r *rand.Rand) []byte {
		b := bytes.NewBufferString(login)
		for i := range 5000 {
			fmt.Fprintf(b, "SUB x.%d.*.%d.> %d\r\n", r.Int64(), r.Int64(), i+1)
		}
		return b.Bytes()
	}))
	asUser("payload that stops", func(c net.Conn, r *rand.Rand) {
		_, _ = c.Write(append([]byte(login+"PUB a 1000000\r\n"), noise(r, 900000)...))
		listen(c, 500*time.Millisecond)
	})
	asUser("own flood never read", repeat(login+"SUB flood.> 1\r\n", []byte("PUB flood.x 60000\r\n"+strings.Repeat("y", 60000)+"\r\n")))
	asUser("PING flood never read", repeat(login, bytes.Repeat([]byte("PING\r\n"), 10000)))
	for _, subject := range []string{"$JS.API.STREAM.CREATE.X", "$JS.ACK.S.C.1.1.1.1.1", "$SYS.REQ.SERVER.PING.VARZ", "$SYS.REQ.USER.INFO", "_R_.x", "_GR_.a.b"} {
		asUser("junk to "+subject, say(func(r *rand.Rand) []byte {
			junk := [][]byte{noise(r, 300), []byte("{"), bytes.Repeat([]byte("["), 50000), []byte(`{"name":"` + strings.Repeat("z", 5000) + `"}`), []byte(`{"limit":-9e99}`)}
			p := junk[r.IntN(len(junk))]
			return fmt.Appendf(nil, "%sSUB _i.> 1\r\nPUB %s _i.1 %d\r\n%s\r\nPING\r\n", login, subject, len(p), p)
		}))
	}

	// Websocket: frames that lie after a valid upgrade, and upgrades that do not end.
	for i, frame := range [][]byte{
		be.BigEndian.AppendUint64([]byte{0x82, 0xff}, 1<<62), {0x89, 0xfe, 0xff, 0xff}, {0x82, 0x05, 'h', 'e', 'l', 'l', 'o'},
		{0xf2, 0x85, 0, 0, 0, 0, 'h', 'e', 'l', 'l', 'o'}, {0x00, 0x80, 0, 0, 0, 0}, {0x88, 0x81, 0, 0, 0, 0, 1}, {0x02, 0x80, 0, 0, 0, 0, 0x02, 0x80, 0, 0, 0, 0},
	} {
		add(fmt.Sprintf("websocket frame %d", i), "ws", func(c net.Conn, r *rand.Rand) {
			_, _ = io.WriteString(c, upgrade)
			listen(c, 50*time.Millisecond)
			_, _ = c.Write(append(bytes.Clone(frame), noise(r, 4000)...))
			listen(c, 100*time.Millisecond)
		})
	}
	add("websocket frames with the upgrade", "ws", say(func(r *rand.Rand) []byte { return append([]byte(upgrade), noise(r, 4000)...) }))
	add("websocket endless header", "ws", text("GET / HTTP/1.1\r\nX: "+strings.Repeat("a", 2<<20)))
	add("websocket many headers", "ws", text("GET / HTTP/1.1\r\n"+strings.Repeat("A: b\r\n", 20000)))
	add("websocket junk request", "ws", text("POST /..//%00 HTTP/9.9\r\nUpgrade: \x00\r\n\r\n"))
	add("websocket compression", "ws", func(c net.Conn, r *rand.Rand) {
		_, _ = io.WriteString(c, strings.Replace(upgrade, "\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n\r\n", 1))
		listen(c, 50*time.Millisecond)
		_, _ = c.Write(append([]byte{0xc2, 0xfe, 0x10, 0, 0, 0, 0, 0}, noise(r, 4096)...))
		listen(c, 100*time.Millisecond)
	})

	// Monitoring.
	for _, q := range []string{
		"/connz?limit=99999999&offset=-1&subs=detail", "/connz?sort=nonsense", "/connz?state=any&auth=1&cid=-1", "/subsz?subs=1&limit=-1&test=..>", "/slowz?limit=-1&offset=99999999999999999999",
		"/jsz?accounts=1&streams=1&consumers=1&config=1&limit=-9", "/varz?x=" + strings.Repeat("y", 60000), "/../../etc/passwd", "/debug/pprof/heap",
		"/accountz?acc=" + strings.Repeat("%00", 100), "/accstatz?unused=x", "/healthz?stream=a&consumer=b", "/metrics", "/stacksz", "/%zz",
	} {
		add("GET "+q[:min(len(q), 30)], "http", text("GET "+q+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
	}
	add("endless header of monitoring", "http", text("GET / HTTP/1.1\r\nX: "+strings.Repeat("a", 2<<20)))
	return list
}
