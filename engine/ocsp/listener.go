package ocsp

import (
	"crypto/tls"
	"errors"
	"net"
	"slices"
)

// Idler is a net.Conn whose handshakes share a bounded number of slots for computing. Idle runs f without the
// slot of this handshake; only on the handshake's goroutine.
type Idler interface{ Idle(f func()) }

// idleOf returns how a handshake over c waits.
func idleOf(c net.Conn) func(func()) {
	if i, ok := c.(Idler); ok {
		return i.Idle
	}
	return func(f func()) { f() }
}

// errMutualTLS is the text of nats-server.
var errMutualTLS = errors.New("OCSP peer verification for client connections requires TLS verify (mTLS) to be enabled")

// Listener is what the status of certificates does to the handshakes of one TLS block.
type Listener struct {
	Staplers []*Stapler // by index of the certificate; nil = no staple
	Verifier *Verifier  // nil = the CAs of peers are not asked
	// Peers: what is required of the staples of the other side, nil = it needs none.
	Peers *PeerStaples
}

// Stapled reports whether some certificate goes out with a staple.
func (l *Listener) Stapled() bool {
	return slices.ContainsFunc(l.Staplers, func(s *Stapler) bool { return s != nil })
}

// plain reports that there is nothing to do.
func (l *Listener) plain() bool { return l.Verifier == nil && l.Peers == nil && !l.Stapled() }

// Wrap returns the configuration for the handshakes of a listener: base, with current staples and the
// verification of clients. The certificates of base stay visible in it.
//
// Each handshake gets a copy of base, because what waits must know its connection; tickets of the
// returned configuration stay valid across the copies.
func (l *Listener) Wrap(base *tls.Config) (*tls.Config, error) {
	if l.Verifier != nil && base.ClientAuth != tls.RequireAndVerifyClientCert {
		return nil, errMutualTLS
	}
	if l.plain() {
		return base, nil
	}
	outer := base.Clone()
	outer.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		idle := idleOf(hello.Conn)
		c := base.Clone()
		c.Certificates = slices.Clone(base.Certificates)
		for i, s := range l.Staplers {
			if s == nil {
				continue
			}
			var err error
			if c.Certificates[i], err = s.Certificate(idle); err != nil {
				return nil, err
			}
		}
		l.verify(c, base, func(state tls.ConnectionState) error { return l.Verifier.Client(state.VerifiedChains, idle) })
		return c, nil
	}
	return outer, nil
}

// WrapBoth is Wrap for a block that connections are made with, too: of routes and gateways.
func (l *Listener) WrapBoth(base *tls.Config) (*tls.Config, error) {
	outer, err := l.Wrap(base)
	if err == nil && outer != base {
		// Handshakes of the listener do not see these: they get copies of base.
		l.dialing(outer, base)
	}
	return outer, err
}

// WrapDialer returns the configuration for connections that are made: base, with the staple of what this side
// presents and the verification of the server. What waits does so on the goroutine of the handshake.
func (l *Listener) WrapDialer(base *tls.Config) *tls.Config {
	if l.plain() {
		return base
	}
	c := base.Clone()
	l.dialing(c, base)
	return c
}

func (l *Listener) dialing(c, base *tls.Config) {
	wait := func(f func()) { f() }
	l.verify(c, base, func(state tls.ConnectionState) error { return l.Verifier.Server(state.VerifiedChains, wait) })
	if !l.Stapled() {
		return
	}
	c.GetClientCertificate = func(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		i := max(0, slices.IndexFunc(base.Certificates, func(c tls.Certificate) bool { return request.SupportsCertificate(&c) == nil }))
		if l.Staplers[i] == nil {
			return &base.Certificates[i], nil
		}
		cert, err := l.Staplers[i].Certificate(wait)
		return &cert, err
	}
}

// verify makes c verify the other side, after what base does: its staple, then the CAs by ask.
func (l *Listener) verify(c, base *tls.Config, ask func(tls.ConnectionState) error) {
	if l.Peers == nil && l.Verifier == nil {
		return
	}
	c.VerifyConnection = func(state tls.ConnectionState) error {
		if base.VerifyConnection != nil {
			if err := base.VerifyConnection(state); err != nil {
				return err
			}
		}
		if l.Peers != nil {
			if err := l.Peers.verify(state); err != nil {
				return err
			}
		}
		if l.Verifier != nil {
			return ask(state)
		}
		return nil
	}
}
