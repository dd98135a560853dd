package server

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestWebsocketViolationLogged: compressed data that cannot be inflated ends the connection, and the log says why.
func TestWebsocketViolationLogged(t *testing.T) {
	ca := &ocspCA{t: t, dir: t.TempDir()}
	s, log := testServer(t, ca.options(`listen: "127.0.0.1:-1", websocket { listen: "127.0.0.1:-1", no_tls: true, compression: true }`))
	c, err := net.Dial("tcp", s.addrs.Load().ws.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n\r\n")
	r := bufio.NewReader(c)
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp, err)
	}
	_, _ = io.WriteString(c, "\xc2\x85\x00\x00\x00\x00\xff\xff\xff\xff\x01")
	_, _ = io.Copy(io.Discard, r) // until the server closes
	until(t, "the log line", func() bool {
		return strings.Contains(log.String(), "[ERR]") && strings.Contains(log.String(), "read error: flate: corrupt input")
	})
}
