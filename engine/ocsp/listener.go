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

// Listener is what the status of certificates does to the handshakes of one listener.
type Listener struct {
	Staplers []*Stapler // by index of the certificate; nil = no staple
	Verifier *Verifier  // nil = clients are not verified
}

// Wrap returns the configuration for the handshakes of a listener: base, with current staples and the
// verification of clients. The certificates of base stay visible in it.
//
// Each handshake gets a copy of base, because what waits must know its connection; tickets of the
// returned configuration stay valid across the copies.
func (l *Listener) Wrap(base *tls.Config) (*tls.Config, error) {
	if l.Verifier != nil && base.ClientAuth != tls.RequireAndVerifyClientCert {
		return nil, errMutualTLS
	}
	if l.Verifier == nil && !slices.ContainsFunc(l.Staplers, func(s *Stapler) bool { return s != nil }) {
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
		if l.Verifier != nil {
			c.VerifyConnection = func(state tls.ConnectionState) error {
				if base.VerifyConnection != nil {
					if err := base.VerifyConnection(state); err != nil {
						return err
					}
				}
				return l.Verifier.Client(state.VerifiedChains, idle)
			}
		}
		return c, nil
	}
	return outer, nil
}
