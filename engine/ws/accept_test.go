package ws

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/netio"
	"ramjet/proto/base/bufpool"
)

// lines collects log lines.
type lines struct {
	mu   sync.Mutex
	got  []string
	said chan struct{} // a line was added
}

func (l *lines) Enabled(engine.Level) bool { return true }
func (l *lines) Logf(_ engine.Level, id, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, id+" "+fmt.Sprintf(format, args...))
	select {
	case l.said <- struct{}{}:
	default:
	}
}
func (l *lines) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	got := l.got
	l.got = nil
	return got
}

// await returns what was said since the last time, when there is something.
func (l *lines) await(t *testing.T) []string {
	t.Helper()
	for {
		if got := l.take(); len(got) > 0 {
			return got
		}
		select {
		case <-l.said:
		case <-time.After(10 * time.Second):
			t.Fatal("nothing is logged")
		}
	}
}

// server is what follows the upgrade: it says who it is and echoes.
type server struct{ m Meta }

func (s *server) OnOpen(c *netio.Conn) {
	c.Out().Append(c.Loop().Index(), fmt.Appendf(nil, "%+v", s.m))
}
func (s *server) OnData(c *netio.Conn, b []byte, _ *bufpool.Frame) {
	c.Out().Append(c.Loop().Index(), b)
}
func (s *server) OnTurn(*netio.Conn)                {}
func (s *server) OnDrain(*netio.Conn)               {}
func (s *server) OnTimer(*netio.Conn, uint8)        {}
func (s *server) OnSecured(*netio.Conn)             {}
func (s *server) OnClose(*netio.Conn, netio.Reason) {}

type env struct {
	addr string
	log  *lines
}

func start(t *testing.T, o config.WebsocketOptions, mqtt bool) *env {
	t.Helper()
	e := &env{log: &lines{said: make(chan struct{}, 1)}}
	opts := &config.Options{MaxPayload: 1 << 20, Websocket: &o}
	a := New(func() *config.Options { return opts }, e.log, func() bool { return mqtt }, func(_ *netio.Conn, m Meta) netio.Handler {
		if m.Path == "leafnode" {
			return nil
		}
		return &server{m}
	})
	g, err := netio.NewGroup(netio.Config{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	l, err := g.Listen(netio.ListenSpec{Name: "websocket", Addr: "127.0.0.1:0"}, a.Accept)
	if err != nil {
		t.Fatal(err)
	}
	l.Start()
	e.addr = l.Addr().String()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := g.Stop(ctx); err != nil || g.Panics() > 0 {
			t.Errorf("stop: %v, %d panics", err, g.Panics())
		}
	})
	return e
}

func (e *env) dial(t *testing.T) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return nc
}

// ask sends in and returns everything up to the end of the stream, which the caller's half close ends.
func (e *env) ask(t *testing.T, in string) (out string, from string) {
	t.Helper()
	nc := e.dial(t)
	if _, err := io.WriteString(nc, in); err != nil {
		t.Fatal(err)
	}
	if err := nc.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(nc)
	if err != nil && !strings.Contains(err.Error(), "reset") {
		t.Fatal(err)
	}
	return string(b), nc.LocalAddr().String()
}

func request(path string, extra ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: h.example:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" + strings.Join(extra, "") + "\r\n"
}

const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

// TestUpgrade: responses and log lines as nats-server 2.15.2 gives them to the same bytes.
func TestUpgrade(t *testing.T) {
	e := start(t, config.WebsocketOptions{NoTLS: true, Compression: true, Headers: map[string]string{"X-Two": "b", "X-One": "a"},
		JWTCookie: "jc", UserCookie: "uc", PassCookie: "pc", TokenCookie: "tc"}, false)
	const extra = "X-One: a\r\nX-Two: b\r\n\r\n"
	bye := "\x88\x0f\x03\xe8Client Closed"
	for _, c := range []struct{ name, in, prefix, suffix, log string }{
		{"client", request("/"), switching + extra + "\x82", "{Path:client User: Pass: Token: JWT: ForwardedFor: TLSRequired:false Compressed:false}" + bye, ""},
		{"echo", request("/x"), switching, bye, ""},
		{"cookies", request("/", "Cookie: uc=u; pc=\"p\"; bad=\x01\r\n"), "HTTP/1.1 400", "400 Bad Request", ""},
		{"good cookies", request("/", "Cookie: uc=u; pc=\"p\"; x\r\nCookie: tc=t; jc=j\r\n", "X-Forwarded-For: 1.2.3.4\r\n"), switching,
			"{Path:client User:u Pass:p Token:t JWT:j ForwardedFor:1.2.3.4 TLSRequired:false Compressed:false}" + bye, ""},
		{"forwarded list", request("/", "X-Forwarded-For: 1.2.3.4, 5.6.7.8\r\n"), switching, "ForwardedFor: TLSRequired:false Compressed:false}" + bye, ""},
		{"leaf", request("/leafnode", "Nats-No-Masking: true\r\n"), switching + "Nats-No-Masking: true\r\n" + extra, "Incorrect Port", ""},
		{"mqtt", request("/mqtt"), "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nSec-Websocket-Version: 13\r\nX-Content-Type-Options: nosniff\r\nDate: ",
			" GMT\r\nContent-Length: 10\r\n\r\nNot Found\n", "RJ-W001 %s - websocket handshake error: mqtt websocket endpoint not enabled"},
		{"method", strings.Replace(request("/"), "GET", "POST", 1), "HTTP/1.1 405 Method Not Allowed\r\n", "\r\n\r\nMethod Not Allowed\n",
			"RJ-W001 %s - websocket handshake error: request method must be GET"},
		{"version", strings.Replace(request("/"), ": 13", ": 8", 1) + request("/"), "HTTP/1.1 400 Bad Request\r\n", bye, "RJ-W001 %s - websocket handshake error: client sent data before handshake is complete"},
		{"early data", request("/") + "\x81\x80abcd", "", "", "RJ-W001 %s - websocket handshake error: client sent data before handshake is complete"},
		{"garbage", "CONNECT {}\r\nPING\r\n", "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request", "", ""},
		{"compression", request("/", "Sec-WebSocket-Extensions: permessage-deflate\r\n", "Cookie: uc="+strings.Repeat("u", 200)+"\r\n"),
			switching + "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n" + extra + "\xc2", bye, ""},
	} {
		if c.name == "version" {
			c.log = "RJ-W001 %s - websocket handshake error: invalid version"
		}
		out, from := e.ask(t, c.in)
		if !strings.HasPrefix(out, c.prefix) || !strings.HasSuffix(out, c.suffix) {
			t.Errorf("%s: %q, want %q ... %q", c.name, out, c.prefix, c.suffix)
		}
		want := ""
		if c.log != "" {
			want = fmt.Sprintf(c.log, from)
		}
		if got := strings.Join(e.log.take(), "\n"); got != want {
			t.Errorf("%s: logged %q, want %q", c.name, got, want)
		}
	}
}

func TestMQTTEndpoint(t *testing.T) {
	e := start(t, config.WebsocketOptions{NoTLS: true}, true)
	out, _ := e.ask(t, request("/mqtt"))
	if !strings.HasPrefix(out, switching+"Sec-Websocket-Protocol: mqtt\r\n\r\n") || !strings.Contains(out, "Path:mqtt") {
		t.Errorf("%q", out)
	}
}

// TestRefusalsAreBounded: a peer cannot keep a connection busy with bad requests.
func TestRefusalsAreBounded(t *testing.T) {
	e := start(t, config.WebsocketOptions{NoTLS: true}, false)
	out, _ := e.ask(t, strings.Repeat(request("/mqtt"), 100))
	if n := strings.Count(out, "HTTP/1.1 404"); n != maxRefused {
		t.Errorf("%d responses", n)
	}
}

func TestHandshakeTimeout(t *testing.T) {
	e := start(t, config.WebsocketOptions{NoTLS: true, HandshakeTimeout: 30 * time.Millisecond}, false)
	nc := e.dial(t)
	if _, err := io.WriteString(nc, "GET / HTTP/1.1\r\n"); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(nc); err != nil || len(b) > 0 {
		t.Errorf("%q %v", b, err)
	}
	// An upgraded connection is not bounded by it.
	nc = e.dial(t)
	if _, err := io.WriteString(nc, request("/")); err != nil {
		t.Fatal(err)
	}
	if err := nc.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, nc); err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("ended: %v", err)
	}
}

func testTLS(t *testing.T) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func TestTLS(t *testing.T) {
	conf := testTLS(t)
	patient := start(t, config.WebsocketOptions{TLS: &config.TLSOptions{Config: conf}, HandshakeTimeout: time.Minute}, false)
	hasty := start(t, config.WebsocketOptions{TLS: &config.TLSOptions{Config: conf}, HandshakeTimeout: 50 * time.Millisecond}, false)
	e := patient
	tc := tls.Client(e.dial(t), &tls.Config{InsecureSkipVerify: true})
	if _, err := io.WriteString(tc, request("/")); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(tc)
	if line, err := r.ReadString('}'); err != nil || !strings.HasPrefix(line, switching+"\r\n\x82") || !strings.HasSuffix(line, "TLSRequired:true Compressed:false}") {
		t.Errorf("%q %v", line, err)
	}
	for _, c := range []struct {
		e            *env
		in, out, log string
	}{
		{patient, "GET / HTTP/1.1\r\n\r\n", "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n", "client sent an HTTP request to an HTTPS server"},
		{patient, "CONNECT {}\r\n", "", "tls: first record does not look like a TLS handshake"},
		{hasty, "", "", "i/o timeout"},
		{hasty, "\x16\x03\x01\x00\xff\x01", "", "TLS handshake timeout"},
	} {
		nc := c.e.dial(t)
		if _, err := io.WriteString(nc, c.in); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(nc)
		if err != nil && !strings.Contains(err.Error(), "reset") {
			t.Fatal(err)
		}
		nc.Close()
		want := fmt.Sprintf("RJ-W002 websocket: TLS handshake error from %s: %s", nc.LocalAddr(), c.log)
		got := c.e.log.await(t)
		if string(b) != c.out || len(got) != 1 || got[0] != want {
			t.Errorf("%q: %q, logged %q, want %q", c.in, b, got, want)
		}
	}
}
