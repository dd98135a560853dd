package config

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
)

// Pinned reports whether the peer of st may connect as far as pinned_certs of t says: none are configured, or the
// public key of its certificate is among them. Any goroutine.
func (t *TLSOptions) Pinned(st *tls.ConnectionState) bool {
	if t == nil || len(t.PinnedCerts) == 0 {
		return true
	}
	if st == nil || len(st.PeerCertificates) == 0 {
		return false
	}
	sum := sha256.Sum256(st.PeerCertificates[0].RawSubjectPublicKeyInfo)
	_, ok := t.PinnedCerts[hex.EncodeToString(sum[:])]
	return ok
}
