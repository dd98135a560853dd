package ws

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const goodLines = "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

const goodRequest = "GET / HTTP/1.1\r\n" + goodLines + "\r\n"

// without removes the line of a header.
func without(name string) string {
	var out []string
	for l := range strings.SplitAfterSeq(goodRequest, "\r\n") {
		if !strings.HasPrefix(l, name+":") {
			out = append(out, l)
		}
	}
	return strings.Join(out, "")
}

func with(lines string) string { return "GET / HTTP/1.1\r\n" + goodLines + lines + "\r\n" }

func path(p string) string { return "GET " + p + " HTTP/1.1\r\n" + goodLines + "\r\n" }

// verdict feeds in, cut into steps, and renders the outcome of the first request.
func verdict(in string, step int) string {
	var p Parser
	b := []byte(in)
	for len(b) > 0 {
		n, req, err := p.Feed(b[:min(step, len(b))])
		b = b[n:]
		if err != nil {
			return fmt.Sprintf("fatal %d %q", err.Status, err.Detail)
		}
		if req != nil {
			if err := req.Check(false, func(r *Request) error {
				if r.Get(Origin) == "bad" {
					return errors.New("not same origin")
				}
				return nil
			}); err != nil {
				return fmt.Sprintf("%d %s", err.Status, err.Reason)
			}
			return fmt.Sprintf("ok %d left %d", req.Endpoint(), len(b))
		}
	}
	return "more"
}

// Statuses and reasons are those of nats-server 2.15.2 for the same bytes.
var upgradeCases = []struct{ name, in, want string }{
	{"good", goodRequest, "ok 0 left 0"},
	{"early data", goodRequest + "\x81\x80abcd", "ok 0 left 6"},
	{"http/1.0", strings.Replace(goodRequest, "1.1", "1.0", 1), "ok 0 left 0"},
	{"http/2.0", strings.Replace(goodRequest, "1.1", "2.0", 1), `fatal 505 "unsupported protocol version"`},
	{"no http", strings.Replace(goodRequest, "HTTP/", "HTTX/", 1), `fatal 400 ""`},
	{"lf only", strings.ReplaceAll(goodRequest, "\r\n", "\n"), "ok 0 left 0"},
	{"blank line first", "\r\n" + goodRequest, `fatal 400 ""`},
	{"post", strings.Replace(goodRequest, "GET", "POST", 1), "405 request method must be GET"},
	{"lower case get", strings.Replace(goodRequest, "GET", "get", 1), "405 request method must be GET"},
	{"no host", without("Host"), `fatal 400 "missing required Host header"`},
	{"no host 1.0", strings.Replace(without("Host"), "1.1", "1.0", 1), "400 'Host' missing in request"},
	{"empty host", strings.Replace(goodRequest, "localhost", "", 1), "400 'Host' missing in request"},
	{"two hosts", with("Host: b\r\n"), `fatal 400 ""`},
	{"no upgrade", without("Upgrade"), "400 invalid value for header 'Upgrade'"},
	{"upgrade foo", strings.Replace(goodRequest, "websocket", "foo", 1), "400 invalid value for header 'Upgrade'"},
	{"upgrade list", strings.Replace(goodRequest, "websocket", "foo, WebSocket", 1), "ok 0 left 0"},
	{"no connection", without("Connection"), "400 invalid value for header 'Connection'"},
	{"keep-alive", strings.Replace(goodRequest, "Connection: Upgrade", "Connection: keep-alive", 1), "400 invalid value for header 'Connection'"},
	{"connection list", strings.Replace(goodRequest, "Connection: Upgrade", "connection: keep-alive,upgrade", 1), "ok 0 left 0"},
	{"no key", without("Sec-WebSocket-Key"), "400 key missing"},
	{"short key", strings.Replace(goodRequest, "dGhlIHNhbXBsZSBub25jZQ==", "abc", 1), "400 invalid websocket key"},
	{"no version", without("Sec-WebSocket-Version"), "400 invalid version"},
	{"version 8", strings.Replace(goodRequest, ": 13", ": 8", 1), "400 invalid version"},
	{"version twice", with("Sec-WebSocket-Version: 8\r\n"), "ok 0 left 0"},
	{"origin", with("Origin: bad\r\n"), "403 origin not allowed: not same origin"},
	{"mqtt", path("/mqtt"), "404 mqtt websocket endpoint not enabled"},
	{"mqtt below", path("/a/mqtt?x=1"), "404 mqtt websocket endpoint not enabled"},
	{"mqtt before method", strings.Replace(path("/mqtt"), "GET", "PUT", 1), "404 mqtt websocket endpoint not enabled"},
	{"mqtt absolute", path("http://localhost/mqtt"), "404 mqtt websocket endpoint not enabled"},
	{"absolute without path", path("http://localhost"), "ok 0 left 0"},
	{"leaf", path("/leafnode"), "ok 1 left 0"},
	{"leaf query", path("/leafnode?x=1"), "ok 1 left 0"},
	{"leaf slash", path("/leafnode/"), "ok 0 left 0"},
	{"escaped path", path("/m%71tt"), "ok 0 left 0"},
	{"no slash", path("foo"), `fatal 400 ""`},
	{"garbage", "\x00\x01\x02hello\r\n\r\n", `fatal 400 ""`},
	{"nats", "CONNECT {}\r\nPING\r\n", `fatal 400 ""`},
	{"no colon", with("Foo\r\n"), `fatal 400 ""`},
	{"space before colon", with("Foo : bar\r\n"), `fatal 400 "invalid header name"`},
	{"continuation line", with("X-A: foo\r\n bar\r\n"), "ok 0 left 0"},
	{"continued version", strings.Replace(goodRequest, ": 13", ": \r\n 13", 1), "ok 0 left 0"},
	{"continuation first", "GET / HTTP/1.1\r\n foo\r\n" + goodLines + "\r\n", `fatal 400 ""`},
	{"control character", with("X-A: foo\x00bar\r\n"), `fatal 400 ""`},
	{"large", with("X-A: " + strings.Repeat("a", 40000) + "\r\n"), "ok 0 left 0"},
	{"too large", with("X-A: " + strings.Repeat("a", MaxRequest) + "\r\n"), `fatal 431 ""`},
	{"too many", with(strings.Repeat("X-A: b\r\n", MaxRequest/8)), `fatal 431 ""`},
	{"endless line", strings.Repeat("G", MaxRequest+1), `fatal 431 ""`},
	{"half", goodRequest[:len(goodRequest)-2], "more"},
}

func TestUpgrade(t *testing.T) {
	for _, c := range upgradeCases {
		for _, step := range []int{1 << 20, 1, 2, 7, 100} {
			got := verdict(c.in, step)
			if step != 1<<20 {
				want, _, _ := strings.Cut(c.want, " left")
				got, _, _ = strings.Cut(got, " left")
				if got != want {
					t.Errorf("%s, step %d: %s, want %s", c.name, step, got, want)
				}
			} else if got != c.want {
				t.Errorf("%s: %s, want %s", c.name, got, c.want)
			}
		}
	}
}

func TestPipelinedRequests(t *testing.T) {
	var p Parser
	in := []byte(strings.Repeat(goodRequest, 3))
	for i := range 3 {
		n, req, err := p.Feed(in)
		if err != nil || req == nil || n != len(goodRequest) {
			t.Fatalf("request %d: %d %v %v", i, n, req, err)
		}
		in = in[n:]
	}
}

func TestRequestHeaders(t *testing.T) {
	_, req, err := new(Parser).Feed([]byte(with("X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\nCookie: a=b\r\nnats-no-masking: true\r\n" +
		"Sec-WebSocket-Extensions: foo, Permessage-Deflate; client_max_window_bits\r\nContent-Length: 3\r\n")))
	if err != nil || req == nil {
		t.Fatal(err)
	}
	if got := req.Values(ForwardedFor); !reflect.DeepEqual(got, []string{"1.2.3.4", "5.6.7.8"}) {
		t.Error(got)
	}
	if !req.NoMasking() || !req.Deflate() || !req.HasBody() || req.Get(Cookie) != "a=b" || req.Get(UserAgent) != "" {
		t.Errorf("%+v", req)
	}
	for _, v := range []string{"permessage-deflate-frame", "foo", ""} {
		if OffersDeflate([]string{v}) {
			t.Errorf("%q offers nothing", v)
		}
	}
}

func TestResponses(t *testing.T) {
	got := string(AppendSwitching(nil, "dGhlIHNhbXBsZSBub25jZQ==", Accepted{Deflate: true, NoMasking: true, MQTT: true, Headers: "X-Foo: bar\r\n"}))
	want := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n" +
		"Nats-No-Masking: true\r\nSec-Websocket-Protocol: mqtt\r\nX-Foo: bar\r\n\r\n"
	if got != want {
		t.Errorf("%q", got)
	}
	got = string(AppendError(nil, &HTTPError{Status: 405}, "Mon, 23 Nov 2026 22:43:40 GMT", false))
	want = "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain; charset=utf-8\r\nSec-Websocket-Version: 13\r\nX-Content-Type-Options: nosniff\r\n" +
		"Date: Mon, 23 Nov 2026 22:43:40 GMT\r\nContent-Length: 19\r\n\r\nMethod Not Allowed\n"
	if got != want {
		t.Errorf("%q", got)
	}
	got = string(AppendError(nil, fatal(400, "missing required Host header"), "", true))
	want = "HTTP/1.1 400 Bad Request: missing required Host header\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request: missing required Host header"
	if got != want {
		t.Errorf("%q", got)
	}
}

// FuzzUpgrade: no panic, bounded, any split gives the same verdict.
func FuzzUpgrade(f *testing.F) {
	for _, c := range upgradeCases {
		if len(c.in) < 1000 {
			f.Add([]byte(c.in), 3)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		step = 1 + (step&0xFFFF)%50
		whole, _, _ := strings.Cut(verdict(string(in), 1<<20), " left")
		split, _, _ := strings.Cut(verdict(string(in), step), " left")
		if whole != split {
			t.Fatalf("step %d: %s, whole: %s", step, split, whole)
		}
	})
}
