package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"time"

	"ramjet/engine/config"
	"ramjet/engine/netio"
	"ramjet/proto/base/clock"
	"ramjet/proto/base/rng"
)

const (
	// DefaultDialTimeout bounds resolving a name, and connecting to one address (reference/interserver.md, 0).
	DefaultDialTimeout = time.Second
	// MaxRetryDelay is the longest wait between attempts that back off.
	MaxRetryDelay = 30 * time.Second
	// FirstDelay is the longest random wait before the first attempt.
	FirstDelay = 100 * time.Millisecond
)

// Target is what a Solicitor connects to, and how. Functions are called on any goroutine, one at a time, without a
// lock held, and must not block.
type Target struct {
	// URLs returns the addresses of one round of attempts, in the order in which they are tried. An empty list
	// ends the solicitation as GiveUp does.
	URLs func() []*url.URL
	// Port is used for URLs without one.
	Port int
	// Exclude, if set, reports addresses that are not connected to (the server's own).
	Exclude func(netip.AddrPort) bool
	Timeout time.Duration // 0 = DefaultDialTimeout
	// Attempts bounds the rounds without success after the first; negative = no bound.
	Attempts int
	// Delay returns the wait after round n (1, 2, ...) without success.
	Delay func(n int) time.Duration
	// Accept makes the handler of a connection to u; loop. When the connection ends, however far it came, the
	// owner calls Solicitor.Again or Stop.
	Accept func(c *netio.Conn, u *url.URL) netio.Handler
	// Failed hears of each failed attempt: n is the number of the round, addr the address, if one was found.
	Failed func(u *url.URL, addr string, n int, err error)
	// GiveUp is called when Attempts are used up.
	GiveUp func()
}

// Solicitor keeps one outbound connection to another server up: it connects, and connects again when its owner says
// that the connection has ended. Any goroutine; mu is a leaf.
type Solicitor struct {
	env *Env
	t   Target

	mu      sync.Mutex
	rnd     *rng.Source
	timer   clock.Timer
	round   int // rounds since the last success
	gen     int // of the round under way: what belongs to an older one is void
	stopped bool
}

// Solicit returns a solicitor for t, at rest until Again is called.
func (e *Env) Solicit(t Target) *Solicitor {
	if t.Timeout <= 0 {
		t.Timeout = DefaultDialTimeout
	}
	return &Solicitor{env: e, t: t, rnd: rng.NewRandom()}
}

// Again begins a round of attempts after delay. It replaces a round that is waiting or under way. The rounds
// are counted from the last Connected on.
func (s *Solicitor) Again(delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	s.schedule(delay)
}

// schedule requires mu.
func (s *Solicitor) schedule(delay time.Duration) {
	if s.timer != nil {
		s.timer.Stop()
	}
	s.gen++
	gen := s.gen
	s.timer = s.env.Clock.AfterFunc(delay, func() { s.begin(gen) })
}

// Connected notes that the connection is in use: later rounds count from one again.
func (s *Solicitor) Connected() {
	s.mu.Lock()
	s.round = 0
	s.mu.Unlock()
}

// Stop ends the solicitation; a connection that was accepted stays. No function of the target is called for an attempt
// that ends later, except that Accept may be under way.
func (s *Solicitor) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.gen++
	if s.timer != nil {
		s.timer.Stop()
	}
}

// Stopped reports whether Stop was called.
func (s *Solicitor) Stopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

// valid reports that round gen is still wanted.
func (s *Solicitor) valid(gen int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.stopped && s.gen == gen
}

// begin starts a round.
func (s *Solicitor) begin(gen int) {
	s.mu.Lock()
	if s.stopped || s.gen != gen {
		s.mu.Unlock()
		return
	}
	s.round++
	n := s.round
	s.mu.Unlock()
	urls := s.t.URLs()
	if len(urls) == 0 {
		s.giveUp()
		return
	}
	s.try(gen, n, urls)
}

func (s *Solicitor) giveUp() {
	if s.t.GiveUp != nil {
		s.t.GiveUp()
	}
}

// try connects to the first of urls, or goes on with the rest.
func (s *Solicitor) try(gen, n int, urls []*url.URL) {
	if !s.valid(gen) {
		return
	}
	u := urls[0]
	failed := func(addr string, err error) {
		if !s.valid(gen) {
			return
		}
		if s.t.Failed != nil {
			s.t.Failed(u, addr, n, err)
		}
		if len(urls) > 1 {
			s.try(gen, n, urls[1:])
			return
		}
		s.unsuccessful(gen, n)
	}
	ok := s.env.Group.Pool().Submit(func() {
		addr, err := s.resolve(u)
		if err != nil {
			failed("", err)
			return
		}
		s.env.Group.Dial(netio.DialSpec{Addr: addr, Timeout: s.t.Timeout}, func(c *netio.Conn) netio.Handler {
			if !s.valid(gen) {
				return nil // nobody wants it any more
			}
			return s.t.Accept(c, u)
		}, func(err error) { failed(addr, err) })
	})
	if !ok {
		go failed("", errors.New("the blocking pool is full or stopped"))
	}
}

// unsuccessful ends a round in which no address could be connected to.
func (s *Solicitor) unsuccessful(gen, n int) {
	if s.t.Attempts >= 0 && n > s.t.Attempts {
		s.giveUp()
		return
	}
	d := s.t.Delay(n)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped && s.gen == gen {
		s.schedule(d)
	}
}

// resolve returns one of the addresses of u that are not excluded, at random. Blocking pool.
func (s *Solicitor) resolve(u *url.URL) (string, error) {
	host, port := u.Hostname(), u.Port()
	if port == "" {
		port = strconv.Itoa(s.t.Port)
	}
	nport, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", fmt.Errorf("invalid port %q", port)
	}
	ips := []string{host}
	if _, err := netip.ParseAddr(host); err != nil {
		ctx, cancel := context.WithCancel(context.Background())
		t := s.env.Clock.AfterFunc(s.t.Timeout, cancel)
		ips, err = net.DefaultResolver.LookupHost(ctx, host)
		t.Stop()
		cancel()
		if err != nil {
			return "", fmt.Errorf("lookup for host %q: %w", host, err)
		}
	}
	var good []string
	for _, ip := range ips {
		a, err := netip.ParseAddr(ip)
		if err != nil {
			continue
		}
		ap := netip.AddrPortFrom(a.Unmap(), uint16(nport))
		if s.t.Exclude == nil || !s.t.Exclude(ap) {
			good = append(good, ap.String())
		}
	}
	if len(good) == 0 {
		return "", fmt.Errorf("no address to connect to for %q", net.JoinHostPort(host, port))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return good[s.rnd.Intn(len(good))], nil
}

// RandomDelay returns a random wait in [0, limit).
func (s *Solicitor) RandomDelay(limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.rnd.Uint64n(uint64(limit)))
}

// Backoff returns base doubled n-1 times, at most MaxRetryDelay.
func Backoff(base time.Duration, n int) time.Duration {
	for ; n > 1 && base < MaxRetryDelay; n-- {
		base *= 2
	}
	return min(base, MaxRetryDelay)
}

// Reports says whether a failure in round n is worth a line in the log: the first, and every every-th.
func Reports(n, every int) bool { return n == 1 || every > 0 && n%every == 0 }

// ShuffledURLs returns urls in random order.
func (s *Solicitor) ShuffledURLs(urls []*url.URL) []*url.URL {
	out := append([]*url.URL(nil), urls...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rnd.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// ClientTLS returns the handshake of a connection we dialed to host with the options t. name is the server name known
// from a configured URL, for addresses that were learned as numbers.
func ClientTLS(t *config.TLSOptions, host, name string) netio.TLSSpec {
	c := &tls.Config{}
	d := defaultTLSTimeout
	if t != nil {
		if t.Config != nil {
			c = t.Config.Clone()
		}
		if t.Timeout > 0 {
			d = t.Timeout
		}
	}
	if _, err := netip.ParseAddr(host); err == nil && name != "" {
		host = name
	}
	if c.ServerName == "" {
		c.ServerName = host
	}
	return netio.TLSSpec{Config: c, Client: true, Timeout: d}
}

const defaultTLSTimeout = 2 * time.Second
