package gateway

import (
	"net/netip"
	"net/url"
	"time"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/engine/netio"
)

// maxURLs bounds the addresses kept for one cluster, and maxRemotes the clusters learned of: peers name them.
const (
	maxURLs    = 1024
	maxRemotes = 1024
)

// remote is another cluster. Service.mu guards urls and host.
type remote struct {
	svc       *Service
	name      string
	hash      string
	implicit  bool // learned of, not configured
	solicitor *link.Solicitor

	urls map[string]*url.URL // configured and learned, by host:port
	host string              // a host name, for TLS to addresses that are numbers
	used bool                // was connected before: failures are reported as those of reconnecting
}

// newRemote returns the cluster called name, not yet solicited.
func (s *Service) newRemote(name string, implicit bool, urls []*url.URL, learned []string) *remote {
	r := &remote{svc: s, name: name, hash: Hash(name), implicit: implicit, urls: map[string]*url.URL{}}
	r.reset(urls)
	r.learn(learned)
	attempts := -1
	if implicit {
		attempts = s.options().ConnectRetries
	}
	r.solicitor = s.env.Solicit(link.Target{
		URLs: r.shuffled, Attempts: attempts, Delay: r.delay, Accept: r.accept, Failed: r.failed, GiveUp: r.giveUp,
	})
	return r
}

// configured returns the entry of the configuration in force, nil for a cluster that was learned of.
func (r *remote) configured() *config.RemoteGateway {
	for _, c := range r.svc.options().Gateways {
		if c.Name == r.name {
			return c
		}
	}
	return nil
}

// tls returns the TLS block for connections to the cluster, nil for none.
func (r *remote) tls() *config.TLSOptions {
	if c := r.configured(); c != nil && c.TLS != nil {
		return c.TLS
	}
	return r.svc.options().TLS
}

// reset forgets what was learned. Requires mu, or that nobody else has r.
func (r *remote) reset(configured []*url.URL) {
	clear(r.urls)
	for _, u := range configured {
		r.urls[hostKey(u)] = u
		r.noteHost(u)
	}
}

// learn adds addresses a peer told, host:port. Requires mu, or that nobody else has r.
func (r *remote) learn(urls []string) {
	for _, text := range urls {
		u, err := url.Parse("nats://" + text)
		if err != nil || u.Host == "" || r.urls[u.Host] != nil || len(r.urls) >= maxURLs {
			continue
		}
		r.urls[u.Host] = u
		r.noteHost(u)
	}
}

func (r *remote) noteHost(u *url.URL) {
	if _, err := netip.ParseAddr(u.Hostname()); err != nil && r.host == "" {
		r.host = u.Hostname()
	}
}

// hosts returns the addresses, host:port.
func (r *remote) hosts() []string {
	r.svc.mu.Lock()
	defer r.svc.mu.Unlock()
	all := make([]string, 0, len(r.urls))
	for h := range r.urls {
		all = append(all, h)
	}
	return all
}

// shuffled is link.Target.URLs.
func (r *remote) shuffled() []*url.URL {
	r.svc.mu.Lock()
	all := make([]*url.URL, 0, len(r.urls))
	for _, u := range r.urls {
		all = append(all, u)
	}
	r.svc.mu.Unlock()
	r.svc.logf(engine.Debug, "", "Connecting to %s gateway %q", r.kind(), r.name)
	return r.solicitor.ShuffledURLs(all)
}

func (r *remote) kind() string {
	if r.implicit {
		return "implicit"
	}
	return "explicit"
}

// delay is link.Target.Delay.
func (r *remote) delay(n int) time.Duration {
	if r.svc.options().ConnectBackoff {
		return link.Backoff(reconnectDelay, n)
	}
	return reconnectDelay
}

// accept is link.Target.Accept.
func (r *remote) accept(nc *netio.Conn, u *url.URL) netio.Handler {
	c := &Conn{svc: r.svc, remote: r, url: u}
	c.Init(r.svc.env, nc, engine.Gateway, engine.Standard, c)
	return &c.Conn
}

// failed is link.Target.Failed.
func (r *remote) failed(u *url.URL, addr string, n int, err error) {
	o := r.svc.env.Options()
	every := o.ConnectErrorReports
	r.svc.mu.Lock()
	used := r.used
	r.svc.mu.Unlock()
	if used {
		every = o.ReconnectErrorReports
	}
	if link.Reports(n, every) {
		r.svc.logf(engine.Error, "RJ-G001", "Error connecting to %s gateway %q (%s) at %s (attempt %d): %v", r.kind(), r.name, u.Host, addr, n, err)
		return
	}
	r.svc.logf(engine.Debug, "", "Error connecting to %s gateway %q (%s) at %s (attempt %d): %v", r.kind(), r.name, u.Host, addr, n, err)
}

// giveUp is link.Target.GiveUp: the cluster is forgotten, unless it is connected to us.
func (r *remote) giveUp() {
	s := r.svc
	s.mu.Lock()
	if s.hasInbound(r.name) || !r.implicit {
		s.mu.Unlock()
		r.solicitor.Again(reconnectDelay)
		return
	}
	if s.remotes[r.name] == r {
		delete(s.remotes, r.name)
	}
	s.mu.Unlock()
	r.solicitor.Stop()
}

// hasInbound requires mu.
func (s *Service) hasInbound(name string) bool {
	for c := range s.inbound {
		if c.peer.Load().cluster == name {
			return true
		}
	}
	return false
}

// again connects again after the connection has ended.
func (r *remote) again() {
	if r.svc.stopping.Load() {
		return
	}
	d := r.solicitor.RandomDelay(link.FirstDelay)
	if !r.implicit {
		d += reconnectDelay
	}
	r.solicitor.Again(d)
}
