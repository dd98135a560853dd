package cluster

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/wire"
)

// newNonce returns 15 random characters, which INFO carries.
func newNonce() string {
	var b [11]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// sendConnect asks the server we dialed to be let in.
func (r *Route) sendConnect() {
	o := r.svc.options()
	c := &wire.RouteConnect{
		Echo: true, Headers: !o.NoHeaderSupport, Name: r.svc.port.ID, Cluster: r.svc.Name(), ClusterDynamic: r.svc.Dynamic(),
		LNOC: true, LNOCU: true, LN: true, TLSRequired: o.Cluster.TLS != nil,
	}
	if u := r.url.User; u != nil {
		c.User = u.Username()
		c.Pass, _ = u.Password()
	} else if a := &o.Cluster.Auth; a.User != "" && !r.configured {
		c.User, c.Pass = a.User, a.Pass
	}
	r.Send(wire.AppendRouteConnect(nil, c))
}

// onConnect judges who wants to be let in.
func (r *Route) onConnect(op *wire.Op) error {
	c, err := wire.ParseRouteConnect(op.Arg)
	if err != nil {
		r.Logf(engine.Error, "RJ-R004", "%v", err)
		return r.refuse("", netio.ReasonProtocolViolation)
	}
	switch {
	case c.Lang != "":
		r.Logf(engine.Error, "RJ-R005", "attempted to connect to route port")
		return r.refuse("attempted to connect to route port", netio.ReasonWrongPort)
	case c.Gateway != "":
		text := fmt.Sprintf("Rejecting connection from gateway %q on the Route port", c.Gateway)
		r.Logf(engine.Error, "RJ-R005", "%s", text)
		return r.refuse(text, netio.ReasonWrongGateway)
	}
	if r.Limits().MustConnect {
		if ok, pending := r.authorize(&c); pending {
			return link.ErrRetry
		} else if !ok {
			return r.deny(c.User)
		}
	}
	if !r.svc.agree(c.Cluster, c.ClusterDynamic, c.Name) {
		return r.nameConflict(c.Cluster)
	}
	r.creds = c
	r.lnoc, r.lnocu, r.ln = c.LNOC, c.LNOCU || c.LN, c.LN
	r.Limits().NoOrigin = !r.lnocu
	r.SetHeaders(c.Headers && !r.svc.options().NoHeaderSupport)
	r.Limits().MustConnect = false
	r.stage = informing
	return nil
}

// answer hands the result of a check from wherever it was made to the loop: whoever moves state second acts on it.
type answer struct {
	state atomic.Uint32 // 0 running, 1 the answer is there, 2 the loop waits
	ok    bool
}

// authorize checks credentials or certificate; pending says that the answer comes later, and the CONNECT again.
func (r *Route) authorize(c *wire.RouteConnect) (ok, pending bool) {
	o := r.svc.options()
	a := &o.Cluster.Auth
	if t := o.Cluster.TLS; t != nil && (t.VerifyAndMap || t.KnownURLs) {
		return r.knownCertificate(o), false
	}
	if a.User == "" {
		return true, false
	}
	r.gen++
	gen, loop, w := r.gen, r.Net().Loop(), &answer{}
	r.Env().Auth().CheckServer(a.User, a.Pass, c.User, c.Pass, r.Env().Group.Pool(), func(ok bool) {
		w.ok = ok
		if !w.state.CompareAndSwap(0, 1) {
			loop.Post(func() { r.judged(gen, w.ok, c.User) })
		}
	})
	if w.state.CompareAndSwap(0, 2) {
		return false, true
	}
	return w.ok, false
}

// judged goes on after the password was compared. A right one is remembered, so that the CONNECT, which is looked at
// again, is answered at once.
func (r *Route) judged(gen uint32, ok bool, user string) {
	if gen != r.gen || r.Closing() {
		return
	}
	if ok {
		r.Resume()
		return
	}
	_ = r.deny(user)
}

func (r *Route) deny(user string) error {
	r.Logf(engine.Error, "RJ-R006", "authentication error - User %q", link.Quote(user))
	r.Env().Events.AuthFailed(&r.Conn, netio.ReasonAuthFailure)
	return r.refuse(wire.TextAuthorizationViolation, netio.ReasonAuthFailure)
}

// knownCertificate reports that the certificate of the peer names the user of the cluster, or the host of a configured
// route.
func (r *Route) knownCertificate(o *config.Options) bool {
	st := r.Net().TLS()
	if st == nil || len(st.PeerCertificates) == 0 {
		return false
	}
	cert, c := st.PeerCertificates[0], o.Cluster
	if c.TLS.KnownURLs {
		for _, name := range cert.DNSNames {
			for _, u := range c.Routes {
				if hostMatches(name, u.Hostname()) {
					return true
				}
			}
		}
	}
	if !c.TLS.VerifyAndMap || c.Auth.User == "" {
		return false
	}
	names := append(append([]string{}, cert.EmailAddresses...), cert.DNSNames...)
	names = append(names, cert.Subject.ToRDNSequence().String())
	for _, n := range names {
		if n == c.Auth.User {
			return true
		}
	}
	return false
}

// hostMatches compares a DNS name of a certificate with a host: label by label, `*` in the first one stands for any.
func hostMatches(name, host string) bool {
	a, b := strings.Split(strings.ToLower(name), "."), strings.Split(strings.ToLower(host), ".")
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && (i != 0 || a[i] != "*") {
			return false
		}
	}
	return true
}

// refuse closes the connection with an error text.
func (r *Route) refuse(text string, why netio.Reason) error {
	r.CloseErr(text, why)
	return link.ErrClosed
}

func (r *Route) nameConflict(theirs string) error {
	text := fmt.Sprintf("Rejecting connection, cluster name %q does not match %q", theirs, r.svc.Name())
	r.Logf(engine.Error, "RJ-R007", "%s", text)
	return r.refuse(text, netio.ReasonClusterNameConflict)
}

// agree applies the rules for names of clusters (reference/interserver.md, 1.2); false is a conflict. Who takes over
// another name closes its connections to everybody but the server it comes from.
func (s *Service) agree(theirs string, dynamic bool, id string) bool {
	s.mu.Lock()
	if theirs == "" || theirs == s.name {
		s.mu.Unlock()
		return true
	}
	if !s.dynamic || dynamic && s.name > theirs {
		s.mu.Unlock()
		return false
	}
	s.name, s.dynamic = theirs, dynamic
	var gone []*Route
	for _, p := range s.peers {
		if p.id != id {
			gone = append(gone, p.routes()...)
		}
	}
	s.mu.Unlock()
	for _, r := range gone {
		r.on(func() { r.CloseErr("", netio.ReasonClusterNameConflict) })
	}
	s.changed()
	return true
}
