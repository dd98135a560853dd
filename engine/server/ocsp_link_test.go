package server

import (
	"fmt"
	"strings"
	"testing"

	xocsp "golang.org/x/crypto/ocsp"

	"ramjet/engine"
)

// TestOCSPLinks: servers that staple connect by routes and gateways only with servers that staple, whoever
// connects; ocsp_peer holds there, too; a reload with a staple lets the connection come up.
func TestOCSPLinks(t *testing.T) {
	tlsBlock := func(name, more string) string {
		return fmt.Sprintf(`tls { cert_file: "DIR/%[1]s.pem", key_file: "DIR/%[1]s.key", ca_file: "DIR/ca.pem", timeout: 10%[2]s }`, name, more)
	}
	const staple, cache, peer = "ocsp { mode: always }\n", "ocsp_cache { type: none }\n", ", ocsp_peer: true"
	route := func(name, block, port string) string {
		return `server_name: ` + name + `, listen: "127.0.0.1:-1", cluster { name: X, listen: "127.0.0.1:-1", pool_size: -1, ` + block +
			`, routes [ "tls://localhost:` + port + `" ] }` + "\n"
	}
	first := `server_name: A, listen: "127.0.0.1:-1", cluster { name: X, listen: "127.0.0.1:-1", pool_size: -1, BLOCK }` + "\n"
	gate := func(name, block, port string) string {
		return `server_name: ` + name + `, listen: "127.0.0.1:-1", gateway { name: B, listen: "127.0.0.1:-1", ` + block +
			`, gateways [ { name: A, url: "tls://localhost:` + port + `", ` + block + ` } ] }` + "\n"
	}
	firstGate := `server_name: A, listen: "127.0.0.1:-1", gateway { name: A, listen: "127.0.0.1:-1", BLOCK }` + "\n"
	for _, link := range []struct {
		kind   engine.Kind
		name   string // in errors
		first  string
		second func(name, block, port string) string
	}{
		{engine.Router, "Router", first, route},
		{engine.Gateway, "Gateway", firstGate, gate},
	} {
		for _, c := range []struct {
			name, top, block, top2, block2 string // of who accepts, and of who connects
			revoked                        int64  // serial
			by, want                       string // who says no: A or B
		}{
			{name: "both staple", top: staple, top2: staple, revoked: 4},
			{name: "who connects has no staple", top: staple, by: "A", want: link.name + " peer missing OCSP Staple"},
			{name: "who accepts has no staple", top2: staple, by: "B", want: link.name + " peer missing OCSP Staple"},
			{name: "who connects is revoked", block: peer, revoked: 3, by: "A", want: "client not OCSP valid"},
			{name: "who accepts is revoked", block2: peer, revoked: 2, by: "B", want: "server not OCSP valid"},
		} {
			t.Run(link.name+"/"+c.name, func(t *testing.T) {
				ca := newOCSPCA(t)
				ca.set(c.revoked, xocsp.Revoked)
				text := func(top, block string) string {
					return cache + top + strings.ReplaceAll(link.first, "BLOCK", tlsBlock("server", block))
				}
				a, logA := testServer(t, ca.options(text(c.top, c.block)))
				addr := a.addrs.Load().cluster
				if link.kind == engine.Gateway {
					addr = a.addrs.Load().gateway
				}
				_, port, _ := strings.Cut(addr.String(), ":")
				b, logB := testServer(t, ca.options(cache+c.top2+link.second("B", tlsBlock("client", c.block2), port)))
				up := func() bool { return a.registry.Count(link.kind) > 0 && b.registry.Count(link.kind) > 0 }
				if c.want == "" {
					until(t, "connected", up)
					return
				}
				log := logA
				if c.by == "B" {
					log = logB
				}
				until(t, c.want, func() bool { return strings.Contains(log.String(), c.want) })
				if !strings.Contains(c.want, "missing") {
					return
				}
				// Who had no staple gets one.
				var err error
				if c.top == "" {
					err = a.Reload(ca.options(text(staple, c.block)))
				} else {
					err = b.Reload(ca.options(cache + staple + link.second("B", tlsBlock("client", c.block2), port)))
				}
				if err != nil {
					t.Fatal(err)
				}
				until(t, "connected after the reload", up)
			})
		}
	}
}
