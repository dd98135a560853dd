package ocsp

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ocsp"

	"ramjet/engine"
	"ramjet/proto/base/clock"
)

// Times of stapling (reference/monitoring.md, section 7).
const (
	unknownNext  = 24 * time.Hour   // to the next check when the CA does not say
	pastNext     = 2 * time.Minute  // when the time of the next update is over
	minNext      = time.Second      // between two checks, however soon a staple ends
	askTimeout   = 30 * time.Second // of one request in the background
	firstTimeout = 10 * time.Second // of all requests while the server starts or reloads
	stapleWait   = 2 * time.Second  // how long a handshake waits for a staple
	stapleDir    = "ocsp"           // in store_dir
)

var errNoStaple = errors.New("no valid OCSP staple for the certificate")

// StaplerConfig is what a Stapler works for and with.
type StaplerConfig struct {
	Kind     string // of connections, as in log lines: "Client", "Router", "Gateway"
	CertFile string // for log lines
	Cert     tls.Certificate
	Issuer   *x509.Certificate
	URLs     []string // instead of the responders that Cert names
	StoreDir string   // "" = staples are not kept on disk
	// Enforce: a status that is not good ends the server.
	Enforce bool

	Responders *Responders
	Files      Files
	Clock      clock.Clock
	Logger     engine.Logger
	// OnBad is called, once, when Enforce is set and the status is not good any more. It must not wait.
	OnBad func()
}

// staple is a response that was valid when it was obtained, with the certificate that carries it. Immutable.
type staple struct {
	resp *ocsp.Response
	cert tls.Certificate
}

// Stapler keeps the status of one certificate of the server current.
type Stapler struct {
	cfg  StaplerConfig
	leaf *x509.Certificate
	cur  atomic.Pointer[staple] // nil: none obtained yet

	ask    chan struct{} // capacity 1: a handshake needs a staple now
	cancel context.CancelFunc
	ctx    context.Context

	mu      sync.Mutex    // leaf
	attempt chan struct{} // closed when the next request has ended
}

// NewStapler returns a stapler for cfg.Cert. It has no staple before Obtain, and renews none before Start.
func NewStapler(cfg StaplerConfig) *Stapler {
	s := &Stapler{cfg: cfg, leaf: cfg.Cert.Leaf, ask: make(chan struct{}, 1), attempt: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Kind is the kind of connections that the certificate is for.
func (s *Stapler) Kind() string { return s.cfg.Kind }

// Obtain gets the first staple: that of a stapler before it for the same certificate, that of the disk, or
// one of the CA. It may wait for the CA. The error is that of nats-server: there is none, or the
// status found ends the server. Control.
func (s *Stapler) Obtain(before []*Stapler) error {
	for _, old := range before {
		if st := old.cur.Load(); st != nil && old.leaf.Equal(s.leaf) && s.valid(st.resp) == nil {
			s.set(st.resp)
		}
	}
	if s.cur.Load() == nil && s.cfg.StoreDir != "" {
		if raw, err := s.cfg.Files.ReadFile(s.file()); err == nil {
			if r, err := s.parse(raw); err == nil {
				s.set(r)
			}
		}
	}
	if s.cur.Load() == nil {
		ctx, cancel := context.WithTimeout(s.ctx, firstTimeout)
		defer cancel()
		if err := s.fetch(ctx); err != nil {
			return fmt.Errorf("bad OCSP status update for certificate at '%s': %w", s.cfg.CertFile, err)
		}
	}
	if r := s.cur.Load().resp; s.bad(r) {
		return &BadStatusError{CertFile: s.cfg.CertFile, Status: statusName(r.Status)}
	}
	return nil
}

// BadStatusError says that a certificate must not be used by this configuration.
type BadStatusError struct{ CertFile, Status string }

func (e *BadStatusError) Error() string {
	return fmt.Sprintf("found existing OCSP status for certificate at '%s': %s", e.CertFile, e.Status)
}

func (s *Stapler) bad(r *ocsp.Response) bool { return s.cfg.Enforce && r.Status != ocsp.Good }

// Start renews the staple until Stop. Control.
func (s *Stapler) Start() { go s.run() }

// Stop ends renewing; handshakes go on with the staple that is there. Control; returns at once.
func (s *Stapler) Stop() { s.cancel() }

// Certificate returns the certificate with its staple. When the staple has run out it asks for a new one and
// waits a little, inside idle; while there has never been one, the certificate goes out without. Any
// goroutine but a loop's.
func (s *Stapler) Certificate(idle func(func())) (tls.Certificate, error) {
	st := s.cur.Load()
	if st == nil {
		return s.cfg.Cert, nil
	}
	if s.valid(st.resp) == nil {
		return st.cert, nil
	}
	idle(s.waitAttempt)
	if st = s.cur.Load(); s.valid(st.resp) != nil {
		return tls.Certificate{}, errNoStaple
	}
	return st.cert, nil
}

func (s *Stapler) waitAttempt() {
	s.mu.Lock()
	done := s.attempt
	s.mu.Unlock()
	select {
	case s.ask <- struct{}{}:
	default:
	}
	over := make(chan struct{})
	t := s.cfg.Clock.AfterFunc(stapleWait, func() { close(over) })
	defer t.Stop()
	select {
	case <-done:
	case <-over:
	case <-s.ctx.Done():
	}
}

// run is the stapler's goroutine.
func (s *Stapler) run() {
	next := pastNext
	if st := s.cur.Load(); st != nil {
		if s.finished(st.resp) {
			return
		}
		if next = s.next(); st.resp.Status == ocsp.Good {
			s.cfg.Logger.Logf(engine.Info, "", "Found OCSP status for %s certificate at '%s': good, next update %s, checking again in %s",
				s.cfg.Kind, s.cfg.CertFile, st.resp.NextUpdate.Format(time.RFC3339Nano), next)
		}
	}
	var last time.Time
	for {
		due := make(chan struct{})
		t := s.cfg.Clock.AfterFunc(next, func() { close(due) })
		asked := false
		select {
		case <-due:
		case <-s.ask:
			asked = true
		case <-s.ctx.Done():
			t.Stop()
			return
		}
		t.Stop()
		// Handshakes alone cannot make this a storm of requests.
		if now := s.cfg.Clock.Now(); !asked || now.Sub(last) >= minNext {
			last = now
			if s.renew() {
				return
			}
		}
		s.attempted()
		next = s.next()
	}
}

// attempted wakes the handshakes that wait.
func (s *Stapler) attempted() {
	s.mu.Lock()
	close(s.attempt)
	s.attempt = make(chan struct{})
	s.mu.Unlock()
}

// renew asks the CA and reports whether the stapler is done.
func (s *Stapler) renew() bool {
	err := s.fetch(s.ctx)
	if s.ctx.Err() != nil {
		return true
	}
	log := s.cfg.Logger
	if err != nil {
		log.Logf(engine.Error, "RJ-O001", "Bad OCSP status update for certificate '%s': %s, trying again in %v", s.cfg.CertFile, err, s.next())
		return false
	}
	r := s.cur.Load().resp
	if r.Status == ocsp.Good {
		log.Logf(engine.Info, "", "Received OCSP status for %s certificate '%s': good, next update %s, checking again in %s",
			s.cfg.Kind, s.cfg.CertFile, r.NextUpdate.Format(time.RFC3339Nano), s.next())
		return false
	}
	log.Logf(engine.Error, "RJ-O002", "Received OCSP status for %s certificate '%s': %s", s.cfg.Kind, s.cfg.CertFile, statusName(r.Status))
	return s.finished(r)
}

// finished ends the server when the status demands it.
func (s *Stapler) finished(r *ocsp.Response) bool {
	if !s.bad(r) {
		return false
	}
	s.cfg.OnBad()
	return true
}

// next is the time to the next check.
func (s *Stapler) next() time.Duration {
	st := s.cur.Load()
	switch {
	case st == nil:
		return pastNext
	case st.resp.NextUpdate.IsZero():
		return unknownNext
	}
	d := st.resp.NextUpdate.Sub(s.cfg.Clock.Now()) / 2
	if d < 0 {
		return pastNext
	}
	return max(d, minNext)
}

// fetch asks the responders in turn, each by POST and then by GET, until one gives a valid answer.
func (s *Stapler) fetch(ctx context.Context) error {
	request, err := ocsp.CreateRequest(s.leaf, s.cfg.Issuer, nil)
	if err != nil {
		return err
	}
	urls := s.cfg.URLs
	if len(urls) == 0 {
		urls = s.leaf.OCSPServer
	}
	if len(urls) == 0 {
		return errors.New("no available ocsp servers")
	}
	for _, u := range urls {
		var r *ocsp.Response
		if r, err = s.query(ctx, u, request); err == nil {
			if s.cfg.StoreDir != "" {
				if err := s.cfg.Files.WriteFile(s.file(), r.Raw); err != nil {
					// The staple is good; only the next start has to ask again.
					s.cfg.Logger.Logf(engine.Error, "RJ-O003", "Unable to save OCSP staple: %v", err)
				}
			}
			s.set(r)
			return nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return fmt.Errorf("exhausted ocsp servers: %w", err)
}

func (s *Stapler) query(ctx context.Context, u string, request []byte) (*ocsp.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var errs []error
	for _, ask := range []func(context.Context, string, []byte) ([]byte, error){s.cfg.Responders.post, s.cfg.Responders.get} {
		raw, err := ask(ctx, u, request)
		if err == nil {
			debugf(s.cfg.Logger, "Received OCSP response (url=%s, %d bytes)", u, len(raw))
			r, err := s.parse(raw)
			if err != nil {
				return nil, fmt.Errorf("failed to get remote status from %s: %w", u, err)
			}
			return r, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (s *Stapler) parse(raw []byte) (*ocsp.Response, error) {
	r, err := parse(raw, s.leaf, s.cfg.Issuer)
	if err != nil {
		return nil, err
	}
	return r, s.valid(r)
}

func (s *Stapler) valid(r *ocsp.Response) error { return inForce(r, s.cfg.Clock.Now(), 0, 0) }

func (s *Stapler) set(r *ocsp.Response) {
	cert := s.cfg.Cert
	cert.OCSPStaple = r.Raw
	s.cur.Store(&staple{resp: r, cert: cert})
}

// file is named after the whole certificate, not its key: another certificate has another status.
func (s *Stapler) file() string {
	sum := sha256.Sum256(s.leaf.Raw)
	return filepath.Join(s.cfg.StoreDir, stapleDir, hex.EncodeToString(sum[:]))
}
