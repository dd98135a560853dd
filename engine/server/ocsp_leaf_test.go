package server

import (
	"fmt"
	"strings"
	"testing"

	xocsp "golang.org/x/crypto/ocsp"

	"ramjet/engine"
)

// TestOCSPLeafnodes: ocsp_peer holds for leafnode connections, for who is accepted and for who is connected to.
func TestOCSPLeafnodes(t *testing.T) {
	tlsBlock := func(name, more string) string {
		return fmt.Sprintf(`tls { cert_file: "DIR/%[1]s.pem", key_file: "DIR/%[1]s.key", ca_file: "DIR/ca.pem"%[2]s }`, name, more)
	}
	cache := `ocsp_cache { type: none }` + "\n"
	for _, c := range []struct {
		name, hub, spoke string
		revoked          int64 // serial
		want             string
	}{
		{"good", ", verify: true, ocsp_peer: true", ", ocsp_peer: true", 4, ""},
		{"client revoked", ", verify: true, ocsp_peer: true", "", 3, "client not OCSP valid"},
		{"server revoked", ", verify: true", ", ocsp_peer: true", 2, "server not OCSP valid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ca := newOCSPCA(t)
			ca.set(c.revoked, xocsp.Revoked)
			h, hubLog := testServer(t, ca.options(cache+`server_name: H, listen: "127.0.0.1:-1"
				leafnodes { listen: "127.0.0.1:-1", `+tlsBlock("server", c.hub)+` }`))
			_, port, _ := strings.Cut(h.addrs.Load().leaf.String(), ":")
			_, spokeLog := testServer(t, ca.options(cache+`server_name: S, listen: "127.0.0.1:-1"
				leafnodes { reconnect: "50ms", remotes [ { url: "tls://localhost:`+port+`", `+tlsBlock("client", c.spoke)+` } ] }`))
			conns := func() int { return h.registry.Count(engine.Leaf) }
			if c.want == "" {
				until(t, "connected", func() bool { return conns() == 1 })
				return
			}
			log := hubLog
			if strings.HasPrefix(c.want, "server") {
				log = spokeLog
			}
			until(t, c.want, func() bool { return strings.Contains(log.String(), c.want) })
			if conns() != 0 {
				t.Error("a leafnode is connected")
			}
		})
	}
}
