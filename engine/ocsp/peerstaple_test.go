package ocsp

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// linkRig is one of two servers that connect to each other, with a stapled certificate and one block for both roles.
type linkRig struct {
	*stapleRig
	base *tls.Config
}

func newLinkRig(t *testing.T, ca *authority, trust *authority) *linkRig {
	pool := x509.NewCertPool()
	pool.AddCert(trust.cert)
	r := &linkRig{stapleRig: newRig(t, ca, nil)}
	r.base = &tls.Config{Certificates: []tls.Certificate{r.cert}, RootCAs: pool, ClientCAs: pool, ServerName: "localhost",
		ClientAuth: tls.RequireAndVerifyClientCert, Time: r.clk.Now}
	return r
}

// both returns the configuration for both roles; staple false: without OCSP.
func (r *linkRig) both(t *testing.T, staple bool) *tls.Config {
	t.Helper()
	if !staple {
		return r.base
	}
	if err := r.Obtain(nil); err != nil {
		t.Fatal(err)
	}
	c, err := (&Listener{Staplers: []*Stapler{r.Stapler}, Peers: &PeerStaples{Kind: "Router", Clock: r.clk}}).WrapBoth(r.base)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestPeerStaples: who connects and who accepts refuse a peer without a staple that is in force and good.
func TestPeerStaples(t *testing.T) {
	type rigs struct{ a, b *linkRig } // a judges b
	for _, tc := range []struct {
		name   string
		setup  func(r rigs)
		plain  bool   // b staples nothing
		want   string // "" = a connection
		accept string // what an a sees that accepts, when not want
	}{
		{name: "good"},
		{name: "good, TLS 1.2", setup: func(r rigs) { r.b.base.MaxVersion = tls.VersionTLS12 }, want: "bad certificate", accept: "Router peer missing OCSP Staple"},
		{name: "revoked", setup: func(r rigs) { r.b.ca.set(r.b.cert.Leaf, ocsp.Revoked) }, want: "bad status for OCSP Staple from Router peer: revoked"},
		{name: "unknown", setup: func(r rigs) { r.b.ca.set(r.b.cert.Leaf, ocsp.Unknown) }, want: "bad status for OCSP Staple from Router peer: unknown"},
		{name: "none", plain: true, want: "Router peer missing OCSP Staple"},
		{name: "of another certificate", setup: func(r rigs) {
			other := r.b.ca.leaf("other", true)
			r.b.ca.with(func(a *authority) { r.b.base.Certificates[0].OCSPStaple = a.respond(other.Leaf.SerialNumber) })
		}, plain: true, want: "failed to parse OCSP response from Router peer"},
		{name: "garbage", setup: func(r rigs) { r.b.base.Certificates[0].OCSPStaple = []byte("x") }, plain: true,
			want: "failed to parse OCSP response from Router peer"},
		{name: "old", setup: func(r rigs) {
			r.b.ca.with(func(a *authority) { r.b.base.Certificates[0].OCSPStaple = a.respond(r.b.cert.Leaf.SerialNumber) })
			r.a.clk.Advance(time.Hour + defaultSkew + time.Second)
		}, plain: true, want: "OCSP staple from Router peer not current"},
		{name: "chain not verified", setup: func(r rigs) {
			r.a.base.InsecureSkipVerify, r.a.base.ClientAuth = true, tls.RequireAnyClientCert
		}, want: "Router peer missing TLS verified chains"},
		{name: "signed by nobody's delegate", setup: func(r rigs) {
			liar := r.b.ca.leaf("liar", false)
			r.b.ca.with(func(a *authority) {
				a.signer, a.signKey, a.embed = liar.Leaf, liar.PrivateKey.(crypto.Signer), true
				r.b.base.Certificates[0].OCSPStaple = a.respond(r.b.cert.Leaf.SerialNumber)
			})
		}, plain: true, want: "missing authorization"},
	} {
		for _, role := range []string{"connects", "accepts"} {
			t.Run(tc.name+"/"+role, func(t *testing.T) {
				ca, cb := newAuthority(t, nil, "ca"), newAuthority(t, nil, "cb")
				r := rigs{newLinkRig(t, ca, cb), newLinkRig(t, cb, ca)}
				ca.set(r.a.cert.Leaf, ocsp.Good)
				if tc.setup != nil {
					tc.setup(r)
				}
				a, b := r.a.both(t, true), r.b.both(t, !tc.plain)
				var waits atomic.Int32
				var got error
				if role == "connects" {
					_, got, _ = shake(b, a, &waits)
				} else {
					_, _, got = shake(a, b, &waits)
				}
				want := tc.want
				if role == "accepts" && tc.accept != "" {
					want = tc.accept
				}
				if (want == "") != (got == nil) || want != "" && !strings.Contains(got.Error(), want) {
					t.Errorf("got %v, want %q", got, want)
				}
			})
		}
	}
}
