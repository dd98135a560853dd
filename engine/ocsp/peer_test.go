package ocsp

import (
	"crypto/x509"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"ramjet/engine/config"
	"ramjet/proto/base/clock"
)

// peerRig is root, intermediate and client, with a verifier.
type peerRig struct {
	*Verifier
	root, mid *authority
	client    *x509.Certificate
	clk       *clock.Manual
	log       *testLog
	files     *memFiles
	mu        sync.Mutex
	rejected  []string
	links     []string
}

func newPeerRig(t *testing.T, peer map[string]any, cache *config.OCSPCacheOptions) *peerRig {
	r := &peerRig{clk: clock.NewManual(epoch), log: &testLog{}, files: &memFiles{}}
	r.root = newAuthority(t, nil, "root")
	r.mid = newAuthority(t, r.root, "mid")
	r.client = r.mid.leaf("client", false).Leaf
	for _, a := range []*authority{r.root, r.mid} {
		a.with(func(a *authority) { a.now = r.clk.Now })
	}
	if peer == nil {
		peer = map[string]any{}
	}
	peer["verify"] = true
	c := NewCache(cache, r.files, r.clk, r.log)
	c.Start()
	t.Cleanup(c.Stop)
	r.Verifier = NewVerifier(VerifierConfig{Kind: "Client", Peer: *ParsePeer(peer), Cache: c, Responders: NewResponders(), Clock: r.clk, Logger: r.log,
		Events: Events{
			PeerRejected: func(kind string, peer *x509.Certificate, reason string) {
				r.mu.Lock()
				r.rejected = append(r.rejected, kind+" "+peer.Subject.CommonName+" "+reason)
				r.mu.Unlock()
			},
			LinkInvalid: func(peer, link *x509.Certificate, reason string) {
				r.mu.Lock()
				r.links = append(r.links, peer.Subject.CommonName+" "+link.Subject.CommonName+" "+reason)
				r.mu.Unlock()
			},
		}})
	return r
}

func (r *peerRig) chain() [][]*x509.Certificate {
	return [][]*x509.Certificate{{r.client, r.mid.cert, r.root.cert}}
}

func (r *peerRig) ok() bool { return r.Client(r.chain(), direct) == nil }

func TestPeer(t *testing.T) {
	revoke := func(r *peerRig) { r.mid.set(r.client, ocsp.Revoked) }
	forget := func(r *peerRig) { r.mid.set(r.client, ocsp.Unknown) }
	down := func(r *peerRig) { r.mid.with(func(a *authority) { a.fail = true }) }
	garbage := func(r *peerRig) { r.mid.with(func(a *authority) { a.garbage = true }) }
	old := func(d time.Duration, validity time.Duration) func(r *peerRig) {
		return func(r *peerRig) {
			r.mid.with(func(a *authority) { a.now, a.validity = func() time.Time { return epoch.Add(-d) }, validity })
		}
	}
	signer := func(use x509.ExtKeyUsage) func(r *peerRig) {
		return func(r *peerRig) {
			c, key := r.mid.issue(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{use}})
			r.mid.with(func(a *authority) { a.signer, a.signKey, a.embed = c, key, true })
		}
	}
	none := &config.OCSPCacheOptions{Type: "none"}
	for _, tc := range []struct {
		name   string
		peer   map[string]any
		cache  *config.OCSPCacheOptions
		ca     func(r *peerRig)
		reason string // "" = accepted
		log    string
	}{
		{name: "good"},
		{name: "good without cache", cache: none},
		{name: "revoked", ca: revoke, reason: "client client Invalid OCSP response status: revoked", log: "1 RJ-O021 OCSP verify fail for [CN=client] with CA status [revoked]"},
		{name: "revoked intermediate", ca: func(r *peerRig) { r.root.set(r.mid.cert, ocsp.Revoked) }, reason: "client mid Invalid OCSP response status: revoked"},
		{name: "revoked, warn_only", peer: map[string]any{"warn_only": true}, ca: revoke, log: "OCSP verify fail for [CN=client] but WarnOnly is true so allowing"},
		{name: "unknown", ca: forget, reason: "client client Invalid OCSP response status: unknown"},
		{name: "unknown_is_good", peer: map[string]any{"unknown_is_good": true}, ca: forget},
		{name: "revoked, unknown_is_good", peer: map[string]any{"unknown_is_good": true}, ca: revoke, reason: "client client Invalid OCSP response status: revoked"},
		{name: "unreachable", ca: down, reason: "client client Failed OCSP response fetch", log: "Attempt to obtain OCSP response from CA responder for [CN=client] failed: exhausted OCSP responders: bad OCSP responder http status: [503]"},
		{name: "unreachable, warn_only", peer: map[string]any{"warn_only": true}, ca: down},
		{name: "unreachable, allowed", peer: map[string]any{"allow_when_ca_unreachable": true}, ca: down, log: "no cached revocation so allowing"},
		{name: "garbage", ca: garbage, reason: "client client Failed OCSP response parse", log: "Could not parse OCSP CA response for [CN=client]"},
		{name: "garbage is not unreachable", peer: map[string]any{"allow_when_ca_unreachable": true}, ca: garbage, reason: "client client Failed OCSP response parse"},
		{name: "delegate", ca: signer(x509.ExtKeyUsageOCSPSigning)},
		{name: "no delegate", ca: signer(x509.ExtKeyUsageClientAuth), reason: "client client Invalid OCSP response delegation: CN=client"},
		{name: "ended within the skew", ca: old(time.Hour+29*time.Second, time.Hour)},
		{name: "ended", ca: old(time.Hour+31*time.Second, time.Hour), reason: "client client OCSP response not in effectivity window"},
		{name: "ended, larger skew", peer: map[string]any{"allowed_clockskew": time.Minute}, ca: old(time.Hour+31*time.Second, time.Hour)},
		{name: "future within the skew", ca: old(-29*time.Second, time.Hour)},
		{name: "future", ca: old(-60*time.Second, time.Hour), reason: "client client OCSP response not in effectivity window"},
		{name: "no next update, young", ca: old(59*time.Minute, 0)},
		{name: "no next update, old", ca: old(61*time.Minute, 0), reason: "client client OCSP response not in effectivity window"},
		{name: "no next update, other ttl", peer: map[string]any{"cache_ttl_when_next_update_unset": 2 * time.Hour}, ca: old(61*time.Minute, 0)},
		{name: "no next update, no ttl", peer: map[string]any{"cache_ttl_when_next_update_unset": time.Duration(0)}, ca: old(time.Minute, 0), reason: "client client OCSP response not in effectivity window"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newPeerRig(t, tc.peer, tc.cache)
			if tc.ca != nil {
				tc.ca(r)
			}
			err := r.Client(r.chain(), direct)
			var links, rejected []string
			if tc.reason != "" {
				links, rejected = []string{tc.reason}, []string{"Client client client not OCSP valid"}
				if !errors.Is(err, errRejected) {
					t.Errorf("got %v", err)
				}
			} else if err != nil {
				t.Error(err)
			}
			if !reflect.DeepEqual(r.links, links) || !reflect.DeepEqual(r.rejected, rejected) {
				t.Errorf("events %q %q", r.links, r.rejected)
			}
			if !r.log.has(tc.log) {
				t.Errorf("no line %q in\n%s", tc.log, r.log.buf.String())
			}
		})
	}
}

// TestPeerChains: one good chain is enough, a chain without responders is good, and no chain is bad.
func TestPeerChains(t *testing.T) {
	r := newPeerRig(t, nil, nil)
	r.mid.set(r.client, ocsp.Revoked)
	bad := r.chain()[0]
	plain := *r.client
	plain.OCSPServer = []string{"ldap://x", ":"}
	for name, tc := range map[string]struct {
		chains [][]*x509.Certificate
		ok     bool
	}{
		"none":               {nil, false},
		"empty":              {[][]*x509.Certificate{{}}, false},
		"own root":           {[][]*x509.Certificate{{r.root.cert}}, true},
		"second is good":     {[][]*x509.Certificate{bad, {&plain, r.root.cert}}, true},
		"nobody to ask":      {[][]*x509.Certificate{{&plain, r.root.cert}}, true},
		"all of them bad":    {[][]*x509.Certificate{bad, bad}, false},
		"wrong issuer there": {[][]*x509.Certificate{{r.client, r.root.cert, r.root.cert}}, false},
	} {
		if err := r.Client(tc.chains, direct); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPeerCache: the CA is asked once while its answer holds; then again.
func TestPeerCache(t *testing.T) {
	r := newPeerRig(t, nil, nil)
	want := func(asked int, s CacheStats) {
		t.Helper()
		if n := r.mid.requests(); n != asked {
			t.Errorf("asked %d times, want %d", n, asked)
		}
		if got := r.cfg.Cache.Stats(); got != s {
			t.Errorf("stats %+v, want %+v", got, s)
		}
	}
	if !r.ok() {
		t.Fatal("rejected")
	}
	want(1, CacheStats{Misses: 2, Responses: 2, Good: 2})
	r.mid.set(r.client, ocsp.Revoked)
	if !r.ok() {
		t.Fatal("the cache was not used")
	}
	want(1, CacheStats{Hits: 2, Misses: 2, Responses: 2, Good: 2})
	r.clk.Advance(2 * time.Hour)
	if r.ok() {
		t.Fatal("an old answer was used")
	}
	want(2, CacheStats{Hits: 2, Misses: 3, Responses: 2, Good: 1, Revoked: 1})
}

// TestPreserveRevoked: an old revocation forbids letting a client in because the CA is away, and only that.
func TestPreserveRevoked(t *testing.T) {
	for _, preserve := range []bool{false, true} {
		r := newPeerRig(t, map[string]any{"allow_when_ca_unreachable": true}, &config.OCSPCacheOptions{Type: "local", PreserveRevoked: preserve})
		r.mid.set(r.client, ocsp.Revoked)
		if r.ok() {
			t.Fatal("accepted")
		}
		r.clk.Advance(2 * time.Hour)
		r.mid.with(func(a *authority) { a.fail = true })
		if r.ok() {
			t.Fatal("accepted with the revocation in the cache")
		}
		if !r.log.has("cached revocation exists so rejecting") {
			t.Error("not logged")
		}
		if r.ok() == preserve { // the second time only a preserved revocation is still there
			t.Errorf("preserve %v: accepted %v", preserve, !preserve)
		}
		r.mid.with(func(a *authority) { a.fail = false })
		r.mid.set(r.client, ocsp.Good)
		if !r.ok() {
			t.Error("rejected although the CA says good now")
		}
	}
}

// TestPeerTogether: handshakes that need the same answer share one question, and all wait inside idle.
func TestPeerTogether(t *testing.T) {
	r := newPeerRig(t, map[string]any{"ca_timeout": time.Minute}, &config.OCSPCacheOptions{Type: "none"})
	gate := make(chan struct{})
	r.mid.with(func(a *authority) { a.gate = gate })
	const n = 20
	results, idling := make(chan error, n), make(chan bool, 2*n)
	for range n {
		go func() {
			results <- r.Client(r.chain()[:1], func(f func()) { idling <- true; f() })
		}()
	}
	for range n {
		await(t, idling, "waiting handshake")
	}
	await(t, r.mid.asked, "request")
	close(gate)
	for range n {
		if err := await(t, results, "result"); err != nil {
			t.Error(err)
		}
	}
	// Who came after the answer asks again, since nothing is cached; the others shared.
	if asked := r.mid.requests(); asked >= n {
		t.Errorf("asked %d times", asked)
	}
	if len(r.flights) != 0 {
		t.Error("a question is left")
	}
}

// TestPeerTimeout: a CA that does not answer costs ca_timeout and no more.
func TestPeerTimeout(t *testing.T) {
	r := newPeerRig(t, map[string]any{"ca_timeout": 50 * time.Millisecond}, nil)
	gate := make(chan struct{})
	defer close(gate)
	r.mid.with(func(a *authority) { a.gate = gate })
	if r.ok() {
		t.Error("accepted")
	}
	if !r.log.has("context deadline exceeded") {
		t.Error(r.log.buf.String())
	}
}

func TestParsePeer(t *testing.T) {
	if ParsePeer(nil) != nil || ParsePeer(map[string]any{"verify": false, "warn_only": true}) != nil {
		t.Error("not asked for")
	}
	got := *ParsePeer(map[string]any{"verify": true, "ca_timeout": -time.Second, "allowed_clockskew": time.Duration(0)})
	if want := (PeerConfig{Timeout: 2 * time.Second, TTL: time.Hour}); got != want {
		t.Errorf("%+v", got)
	}
	got = *ParsePeer(map[string]any{"verify": true})
	if want := (PeerConfig{Timeout: 2 * time.Second, Skew: 30 * time.Second, TTL: time.Hour}); got != want {
		t.Errorf("%+v", got)
	}
}
