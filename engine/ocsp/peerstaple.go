package ocsp

import (
	"crypto/tls"
	"fmt"

	"golang.org/x/crypto/ocsp"

	"ramjet/proto/base/clock"
)

// PeerStaples is what servers that staple require of each other, whoever connected: a staple of the peer's
// certificate that is in force and good. Nobody is asked, so a handshake never waits for it. The fields do not
// change; any goroutine.
type PeerStaples struct {
	Kind  string // of connections, as in log lines: "Router", "Gateway"
	Clock clock.Clock
}

// verify judges the peer of a handshake. TLS 1.2 has no staples of clients: such a peer is refused.
func (p *PeerStaples) verify(state tls.ConnectionState) error {
	if len(state.OCSPResponse) == 0 {
		return fmt.Errorf("%s peer missing OCSP Staple", p.Kind)
	}
	if len(state.VerifiedChains) == 0 || len(state.VerifiedChains[0]) == 0 {
		return fmt.Errorf("%s peer missing TLS verified chains", p.Kind)
	}
	chain := state.VerifiedChains[0]
	if len(chain) == 1 {
		return fmt.Errorf("failed to get issuer certificate for %s peer", p.Kind)
	}
	r, err := parse(state.OCSPResponse, chain[0], chain[1])
	if err != nil {
		return fmt.Errorf("failed to parse OCSP response from %s peer: %w", p.Kind, err)
	}
	if err := inForce(r, p.Clock.Now(), defaultSkew, defaultTTL); err != nil {
		return fmt.Errorf("OCSP staple from %s peer not current: %w", p.Kind, err)
	}
	if r.Status != ocsp.Good {
		return fmt.Errorf("bad status for OCSP Staple from %s peer: %s", p.Kind, statusName(r.Status))
	}
	return nil
}
