// Package ocsp obtains, judges and keeps the status of certificates (RFC 6960): the server's own, which it
// staples into handshakes, and those of peers that present a certificate.
//
// A handshake, with what is configured for its TLS block (Listener):
//
//  1. the ClientHello arrives; the certificates get the staples that are known (staple.go). Only when
//     a staple has run out does the handshake wait for a new one, a short time;
//  2. the client's chain was verified by crypto/tls: each link that names a responder is looked up in the
//     cache (cache.go), else its CA is asked (peer.go, responder.go), once for all who wait for it;
//     Routes and gateways that staple look at the staple of the peer instead (peerstaple.go), at both ends;
//  3. a bad link rejects the chain, no good chain rejects the peer.
//
// Staples are renewed in the background at half of the time they have left (staple.go); the cache is saved
// at intervals (cache.go).
//
// Threading: handshakes run on goroutines of their own, many at once; everything they call may be called
// from any goroutine and never from a loop, since it may wait for a CA. A transport that bounds the
// handshakes which compute offers Idle on its net.Conn: what waits runs inside it. Start and Stop of
// staplers and caches are for the control goroutine.
//
// Numbers are those of reference/monitoring.md, section 7, and reference/limits_and_defaults.md.
package ocsp
