package ocsp

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"

	"ramjet/engine"
	"ramjet/proto/base/clock"
)

// Defaults of ocsp_peer (reference/limits_and_defaults.md).
const (
	defaultCATimeout = 2 * time.Second
	defaultSkew      = 30 * time.Second
	defaultTTL       = time.Hour
)

// PeerConfig is ocsp_peer of one TLS block.
type PeerConfig struct {
	Timeout          time.Duration // of one request to a CA
	Skew             time.Duration // allowed between the clocks
	TTL              time.Duration // of an answer without next update, from this update
	WarnOnly         bool
	UnknownIsGood    bool
	AllowUnreachable bool // unless a revocation is cached
}

// ParsePeer reads what engine/config decoded; nil when verification is off.
func ParsePeer(m map[string]any) *PeerConfig {
	if m["verify"] != true {
		return nil
	}
	duration := func(key string, def time.Duration, zero bool) time.Duration {
		if d, ok := m[key].(time.Duration); ok && (d > 0 || zero && d == 0) {
			return d
		}
		return def
	}
	return &PeerConfig{
		Timeout:          duration("ca_timeout", defaultCATimeout, false),
		Skew:             duration("allowed_clockskew", defaultSkew, true),
		TTL:              duration("cache_ttl_when_next_update_unset", defaultTTL, true),
		WarnOnly:         m["warn_only"] == true,
		UnknownIsGood:    m["unknown_is_good"] == true,
		AllowUnreachable: m["allow_when_ca_unreachable"] == true,
	}
}

// Events tells the system account about bad certificates; members may be nil. Any goroutine.
type Events struct {
	// PeerRejected: a handshake was refused. kind as in log lines; peer is what the peer presented.
	PeerRejected func(kind string, peer *x509.Certificate, reason string)
	// LinkInvalid: one certificate of a chain is bad, which need not be the peer's own.
	LinkInvalid func(peer, link *x509.Certificate, reason string)
}

// VerifierConfig is what a Verifier works with.
type VerifierConfig struct {
	Kind       string // of connections: "Client"
	Peer       PeerConfig
	Cache      *Cache // nil = none
	Responders *Responders
	Clock      clock.Clock
	Logger     engine.Logger
	Events     Events
}

// Verifier judges the chains of peers of one listener. Any goroutine but a loop's.
type Verifier struct {
	cfg VerifierConfig

	mu      sync.Mutex // leaf
	flights map[string]*flight
}

// flight is a question to a CA that several handshakes may wait for.
type flight struct {
	done chan struct{}
	// set before done is closed
	resp *ocsp.Response
	err  *askError
}

// askError says why a CA's answer cannot be used.
type askError struct {
	reason string // for events
	err    error
	// unreachable: there was no answer at all
	unreachable bool
}

// NewVerifier returns a verifier for one listener.
func NewVerifier(cfg VerifierConfig) *Verifier {
	return &Verifier{cfg: cfg, flights: map[string]*flight{}}
}

// What the handshake of a refused peer fails with.
var (
	errRejected       = errors.New("client not OCSP valid")
	errServerRejected = errors.New("server not OCSP valid")
)

// Client returns an error when none of the verified chains of a client is good. A chain is good when
// every link that names a responder is; a certificate that is its own root always is. Waiting for a CA
// happens inside idle.
func (v *Verifier) Client(chains [][]*x509.Certificate, idle func(func())) error {
	return v.peer("client", errRejected, chains, idle)
}

// Server is Client for the server that we connected to.
func (v *Verifier) Server(chains [][]*x509.Certificate, idle func(func())) error {
	return v.peer("server", errServerRejected, chains, idle)
}

func (v *Verifier) peer(what string, rejected error, chains [][]*x509.Certificate, idle func(func())) error {
	debugf(v.cfg.Logger, "Peer OCSP enabled: %d TLS %s chain(s) will be evaluated", len(chains), what)
	if len(chains) == 0 || len(chains[0]) == 0 {
		v.cfg.Logger.Logf(engine.Error, "RJ-O020", "Peer certificate is nil, rejecting OCSP peer")
		return rejected
	}
	for i, chain := range chains {
		if v.chain(i, chain, chains[0][0], idle) {
			return nil
		}
	}
	debugf(v.cfg.Logger, "No OCSP valid chains, thus peer is invalid")
	if f := v.cfg.Events.PeerRejected; f != nil {
		f(v.cfg.Kind, chains[0][0], rejected.Error())
	}
	return rejected
}

// chain judges one chain; the root at its end needs no status.
func (v *Verifier) chain(i int, chain []*x509.Certificate, peer *x509.Certificate, idle func(func())) bool {
	for k := range len(chain) - 1 {
		link, issuer := chain[k], chain[k+1]
		urls := webResponders(link)
		if len(urls) == 0 {
			continue
		}
		if reason := v.link(link, issuer, urls, idle); reason != "" {
			debugf(v.cfg.Logger, "Chain [%d] is not OCSP valid: %s", i, reason)
			if f := v.cfg.Events.LinkInvalid; f != nil {
				f(peer, link, reason)
			}
			return false
		}
	}
	debugf(v.cfg.Logger, "Chain [%d] is OCSP valid for all eligible links, thus peer is valid", i)
	return true
}

// link judges one certificate and returns why it is bad, "" when it is good or let through.
func (v *Verifier) link(leaf, issuer *x509.Certificate, urls []string, idle func(func())) string {
	key, subject, log := Fingerprint(leaf), SubjectName(leaf), v.cfg.Logger
	r, revoked := v.cached(key, subject, leaf, issuer)
	if r == nil {
		var bad *askError
		idle(func() { r, bad = v.ask(key, subject, leaf, issuer, urls) })
		if bad != nil {
			return v.noAnswer(bad, subject, revoked)
		}
	}
	if r.Status == ocsp.Good || r.Status == ocsp.Unknown && v.cfg.Peer.UnknownIsGood {
		debugf(log, "OCSP verify pass for [%s]", subject)
		return ""
	}
	log.Logf(engine.Warn, "RJ-O021", "OCSP verify fail for [%s] with CA status [%s]", subject, statusName(r.Status))
	if v.warnOnly(subject) {
		return ""
	}
	return "Invalid OCSP response status: " + statusName(r.Status)
}

// noAnswer decides about a certificate whose status cannot be known. revoked: the cache knows that it
// was revoked once.
func (v *Verifier) noAnswer(bad *askError, subject string, revoked bool) string {
	log := v.cfg.Logger
	log.Logf(engine.Warn, "RJ-O022", "%s", bad.err)
	if v.warnOnly(subject) {
		return ""
	}
	if bad.unreachable && v.cfg.Peer.AllowUnreachable {
		if !revoked {
			log.Logf(engine.Warn, "RJ-O023", "Failed to obtain OCSP CA response for [%s] but AllowWhenCAUnreachable set; no cached revocation so allowing", subject)
			return ""
		}
		log.Logf(engine.Warn, "RJ-O024", "Failed to obtain OCSP CA response for [%s] but AllowWhenCAUnreachable set; cached revocation exists so rejecting", subject)
	}
	return bad.reason
}

func (v *Verifier) warnOnly(subject string) bool {
	if v.cfg.Peer.WarnOnly {
		v.cfg.Logger.Logf(engine.Warn, "RJ-O025", "OCSP verify fail for [%s] but WarnOnly is true so allowing", subject)
	}
	return v.cfg.Peer.WarnOnly
}

// cached returns the answer kept for a certificate when it is valid and in force; revoked says that the cache
// has a revocation, in force or not.
func (v *Verifier) cached(key, subject string, leaf, issuer *x509.Certificate) (r *ocsp.Response, revoked bool) {
	raw := v.cfg.Cache.get(key)
	if raw == nil {
		return nil, false
	}
	r, err := parse(raw, leaf, issuer)
	if err != nil {
		debugf(v.cfg.Logger, "Invalid cached OCSP response for [%s] with fingerprint [%s]", subject, key)
		v.cfg.Cache.useless(key)
		return nil, false
	}
	revoked = r.Status == ocsp.Revoked
	if err := v.inForce(r); err != nil {
		debugf(v.cfg.Logger, "Cached OCSP response is expired, status [%s]: %v", statusName(r.Status), err)
		v.cfg.Cache.useless(key)
		return nil, revoked
	}
	debugf(v.cfg.Logger, "Cached OCSP response is current, status [%s]", statusName(r.Status))
	return r, revoked
}

func (v *Verifier) inForce(r *ocsp.Response) error {
	p := &v.cfg.Peer
	if r.NextUpdate.IsZero() && p.TTL == 0 { // used once, never kept
		return inForce(r, v.cfg.Clock.Now(), p.Skew, time.Nanosecond)
	}
	return inForce(r, v.cfg.Clock.Now(), p.Skew, p.TTL)
}

// ask gets the answer of the CA, once for all who ask for the same certificate at the same time.
func (v *Verifier) ask(key, subject string, leaf, issuer *x509.Certificate, urls []string) (*ocsp.Response, *askError) {
	v.mu.Lock()
	f := v.flights[key]
	if f != nil {
		v.mu.Unlock()
		<-f.done
		return f.resp, f.err
	}
	f = &flight{done: make(chan struct{})}
	v.flights[key] = f
	v.mu.Unlock()
	// A panic in a parser must not leave the others waiting.
	f.err = &askError{reason: "Failed OCSP response parse", err: errors.New("OCSP request did not end")}
	defer func() {
		v.mu.Lock()
		delete(v.flights, key)
		v.mu.Unlock()
		close(f.done)
	}()
	f.resp, f.err = v.query(subject, leaf, issuer, urls)
	if f.err == nil {
		v.cfg.Cache.put(key, subject, f.resp)
	}
	return f.resp, f.err
}

// query asks the responders in turn until one answers, and judges the answer.
func (v *Verifier) query(subject string, leaf, issuer *x509.Certificate, urls []string) (*ocsp.Response, *askError) {
	raw, err := v.fetch(leaf, issuer, urls)
	if err != nil {
		return nil, &askError{reason: "Failed OCSP response fetch", unreachable: true,
			//lint:ignore ST1005 a log line of nats-server
			err: fmt.Errorf("Attempt to obtain OCSP response from CA responder for [%s] failed: exhausted OCSP responders: %w", subject, err)}
	}
	r, err := parse(raw, leaf, issuer)
	if errors.Is(err, errNotDelegated) {
		text := fmt.Sprintf("Invalid OCSP response delegation: %s", subject)
		return nil, &askError{reason: text, err: errors.New(text)}
	}
	if err != nil {
		return nil, &askError{reason: "Failed OCSP response parse",
			//lint:ignore ST1005 a log line of nats-server
			err: fmt.Errorf("Could not parse OCSP CA response for [%s]: %w", subject, err)}
	}
	if err := v.inForce(r); err != nil {
		return nil, &askError{reason: "OCSP response not in effectivity window",
			//lint:ignore ST1005 a log line of nats-server
			err: fmt.Errorf("New OCSP CA response obtained for [%s] but not current: %w", subject, err)}
	}
	return r, nil
}

func (v *Verifier) fetch(leaf, issuer *x509.Certificate, urls []string) ([]byte, error) {
	request, err := ocsp.CreateRequest(leaf, issuer, nil)
	if err != nil {
		return nil, err
	}
	var raw []byte
	for _, u := range urls {
		debugf(v.cfg.Logger, "Trying OCSP responder url [%s]", u)
		ctx, cancel := context.WithTimeout(context.Background(), v.cfg.Peer.Timeout)
		raw, err = v.cfg.Responders.get(ctx, u, request)
		cancel()
		if err == nil {
			return raw, nil
		}
	}
	return nil, err
}
