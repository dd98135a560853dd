package ws

import (
	"strings"
	"testing"
)

func TestResponse(t *testing.T) {
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	head := string(AppendSwitching(nil, key, Accepted{Deflate: true, NoMasking: true}))
	for i := range head {
		if n, _, err := ParseResponse([]byte(head[:i])); n != 0 || err != nil {
			t.Fatalf("%q: n %d, error %v", head[:i], n, err)
		}
	}
	n, r, err := ParseResponse([]byte(head + "rest"))
	if err != nil || n != len(head) || !r.Upgraded(key) || r.Upgraded("x") || r.Get("nats-no-masking") != "true" {
		t.Fatalf("n %d, error %v, %+v", n, err, r)
	}
	if granted, ok := r.Deflates(); !granted || !ok {
		t.Error("compression is not seen")
	}
	_, r, _ = ParseResponse([]byte("HTTP/1.1 101 x\r\nSec-WebSocket-Extensions: a, permessage-deflate; server_no_context_takeover\r\n\r\n"))
	if granted, ok := r.Deflates(); !granted || ok {
		t.Error("compression that keeps state is agreed to")
	}
	_, r, err = ParseResponse([]byte("HTTP/1.0 407 Proxy Authentication Required\r\n\r\n"))
	if err != nil || r.Status != 407 || r.Reason != "407 Proxy Authentication Required" {
		t.Errorf("%+v, %v", r, err)
	}
	for _, bad := range []string{"", "HTTP/2 200 OK", "HTTP/1.1 OK", "HTTP/1.1 20 OK", "HTTP/1.1 200\r\nx", "HTTP/1.1 200\r\n: x", "HTTP/1.1 200\r\na b: x"} {
		if _, _, err := ParseResponse([]byte(bad + "\r\n\r\n")); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	if _, _, err := ParseResponse([]byte(strings.Repeat("a", MaxResponse+1))); err != ErrResponseSize {
		t.Error(err)
	}
}

func FuzzResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\nINFO"))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, r, err := ParseResponse(data)
		if n > len(data) || n > 0 && (r == nil || err != nil) {
			t.Fatalf("n %d of %d, error %v", n, len(data), err)
		}
		if r != nil {
			r.Upgraded("key")
			r.Deflates()
		}
	})
}
