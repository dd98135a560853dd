package leaf

import (
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/base/rng"
	"ramjet/proto/wire"
)

// DefaultPort is the port of URLs without one; websocket URLs have those of the web.
const DefaultPort = 7422

// Remote is a hub that this server connects to, again and again. Any goroutine; mu is a leaf.
type Remote struct {
	svc *Service
	sol *link.Solicitor
	rnd *rng.Source // under mu

	mu      sync.Mutex
	c       *config.RemoteLeaf
	urls    []*url.URL // in the order of attempts: learned ones, then those of the configuration
	next    int        // in urls
	now     *url.URL   // of the attempt under way, or of the connection
	wait    time.Duration
	needTLS bool   // the hub asked for TLS
	tlsName string // of a configured URL, for addresses that were learned as numbers
	user    *url.Userinfo
	leaf    *Leaf // the connection, once there is one
	once    bool  // it was connected before
	removed bool
}

// SetRemotes makes list the remotes: those that stay keep their connections, others are closed or begun. Control.
func (s *Service) SetRemotes(list []*config.RemoteLeaf) {
	s.mu.Lock()
	old := s.remotes
	s.remotes = nil
	s.mu.Unlock()
	keep := make(map[*Remote]bool)
	var now []*Remote
	for _, c := range list {
		var r *Remote
		for _, o := range old {
			if !keep[o] && sameRemote(o.config(), c) {
				r = o
				break
			}
		}
		if r == nil {
			if c.Disabled || len(c.URLs) == 0 {
				continue
			}
			r = s.newRemote(c)
			r.start()
		} else if c.Disabled {
			continue
		} else {
			r.update(c)
		}
		keep[r] = true
		now = append(now, r)
	}
	for _, o := range old {
		if !keep[o] {
			o.remove()
		}
	}
	s.mu.Lock()
	s.remotes = now
	s.mu.Unlock()
}

// StopRemotes ends all attempts; connections stay.
func (s *Service) StopRemotes() {
	s.mu.Lock()
	all := slices.Clone(s.remotes)
	s.mu.Unlock()
	for _, r := range all {
		r.sol.Stop()
	}
}

// sameRemote reports whether two entries name the same remote.
func sameRemote(a, b *config.RemoteLeaf) bool {
	if a.Account != b.Account || a.Creds != b.Creds || a.Nkey != b.Nkey || len(a.URLs) != len(b.URLs) {
		return false
	}
	x, y := texts(a.URLs), texts(b.URLs)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

func texts(urls []*url.URL) []string {
	list := make([]string, len(urls))
	for i, u := range urls {
		list[i] = u.String()
	}
	return list
}

func (s *Service) newRemote(c *config.RemoteLeaf) *Remote {
	r := &Remote{svc: s, c: c, rnd: rng.NewRandom()}
	r.urls = r.shuffled(c.URLs)
	for _, u := range c.URLs {
		r.remember(u)
	}
	t := link.Target{
		URLs: r.attempt, Port: DefaultPort, Timeout: c.DialTimeout, Attempts: -1,
		Delay: func(int) time.Duration { return r.pause() }, Accept: r.accept, Failed: r.failed,
	}
	if c.ProxyURL != "" && c.ProxyTimeout > 0 {
		t.Timeout = c.ProxyTimeout
	}
	r.sol = s.env.Solicit(t)
	return r
}

// remember keeps what a configured URL says that learned ones do not. Requires mu, or that nobody else knows r.
func (r *Remote) remember(u *url.URL) {
	if r.tlsName == "" && !isNumber(u.Hostname()) {
		r.tlsName = u.Hostname()
	}
	if r.user == nil && u.User != nil {
		r.user = u.User
	}
}

func isNumber(host string) bool {
	return strings.Trim(host, "0123456789.") == "" || strings.Contains(host, ":")
}

func (r *Remote) shuffled(urls []*url.URL) []*url.URL {
	out := slices.Clone(urls)
	if !r.c.NoRandomize {
		r.rnd.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	return out
}

func (r *Remote) start() { r.sol.Again(0) }

// config returns the entry of the configuration in force.
func (r *Remote) config() *config.RemoteLeaf {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.c
}

// update makes c, another entry for the same remote, the one in force.
func (r *Remote) update(c *config.RemoteLeaf) {
	r.mu.Lock()
	old, p := r.c, r.leaf
	r.c = c
	r.mu.Unlock()
	if p != nil && old.Compression.Mode != c.Compression.Mode {
		// The mode is agreed on at the start of a connection.
		p.Net().Loop().Post(func() { p.CloseErr("", netio.ReasonClientClosed) })
	}
}

// remove ends the remote and its connection.
func (r *Remote) remove() {
	r.sol.Stop()
	r.mu.Lock()
	r.removed = true
	p := r.leaf
	r.mu.Unlock()
	if p != nil {
		p.Net().Loop().Post(func() { p.CloseErr("", netio.ReasonClientClosed) })
	}
}

// attempt chooses the next URL, and what to dial for it: its server, or the proxy.
func (r *Remote) attempt() []*url.URL {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.urls) == 0 {
		return nil
	}
	r.next %= len(r.urls)
	r.now = r.urls[r.next]
	r.next++
	r.svc.env.Logger.Logf(engine.Debug, "", "Trying to connect as leafnode to remote server on %q", r.now.Host)
	if r.c.ProxyURL != "" {
		if u, err := url.Parse(r.c.ProxyURL); err == nil { // it was validated
			return []*url.URL{withPort(u, "80", "443")}
		}
	}
	if isWebsocket(r.now) {
		return []*url.URL{withPort(r.now, "80", "443")}
	}
	return []*url.URL{r.now}
}

// withPort returns u with the port of its scheme if it has none.
func withPort(u *url.URL, plain, secure string) *url.URL {
	if u.Port() != "" {
		return u
	}
	c := *u
	port := plain
	if s := strings.ToLower(u.Scheme); s == "https" || s == "wss" {
		port = secure
	}
	c.Host = hostPort(u.Hostname(), port)
	return &c
}

func isWebsocket(u *url.URL) bool {
	return strings.EqualFold(u.Scheme, "ws") || strings.EqualFold(u.Scheme, "wss")
}

// target is the URL of the attempt under way.
func (r *Remote) target() *url.URL {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// pause is the wait before another attempt: the configured one, and as much again at random.
func (r *Remote) pause() time.Duration {
	d := r.svc.leafOptions().Reconnect
	if d <= 0 {
		d = time.Second
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return d + time.Duration(r.rnd.Uint64n(uint64(d)))
}

// failed reports an attempt without success.
func (r *Remote) failed(_ *url.URL, _ string, n int, err error) {
	o := r.svc.options()
	r.mu.Lock()
	every := o.ConnectErrorReports
	if r.once {
		every = o.ReconnectErrorReports
	}
	host := ""
	if r.now != nil {
		host = r.now.Host
	}
	r.mu.Unlock()
	level, id := engine.Debug, ""
	if link.Reports(n, every) {
		level, id = engine.Error, "RJ-F019"
	}
	r.svc.env.Logger.Logf(level, id, "Error trying to connect as leafnode to remote server %q (attempt %v): %v", host, n, err)
}

// accept makes the handler of a connection that was dialed. Loop.
func (r *Remote) accept(c *netio.Conn, _ *url.URL) netio.Handler {
	if r.stopped() {
		return nil
	}
	cfg, u := r.config(), r.target()
	t := engine.Leafnode
	if isWebsocket(u) {
		t = engine.LeafnodeWS
	}
	p := r.svc.newLeaf(c, t, r)
	r.mu.Lock()
	r.leaf = p
	r.mu.Unlock()
	if cfg.ProxyURL == "" && t == engine.Leafnode {
		return &p.Conn
	}
	return newApproach(p, cfg, u)
}

func (r *Remote) stopped() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.removed
}

// wanted reports whether p may be used.
func (r *Remote) wanted(p *Leaf) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.removed && r.leaf == p && !r.c.Disabled
}

// connected notes that p is in use.
func (r *Remote) connected(*Leaf) {
	r.mu.Lock()
	r.once = true
	r.mu.Unlock()
	r.sol.Connected()
}

// closed: p has ended, however far it came.
func (r *Remote) closed(p *Leaf) {
	r.mu.Lock()
	if r.leaf != p {
		r.mu.Unlock()
		return
	}
	r.leaf = nil
	wait := r.wait
	r.wait = 0
	removed := r.removed
	r.mu.Unlock()
	if removed || r.svc.duck.Load() {
		return
	}
	d := r.svc.leafOptions().Reconnect
	if d <= 0 {
		d = time.Second
	}
	r.sol.Again(d + wait)
}

// postpone makes the wait after the connection's end longer.
func (r *Remote) postpone(d time.Duration) {
	r.mu.Lock()
	r.wait = d
	r.mu.Unlock()
}

// secure notes that the hub wants TLS.
func (r *Remote) secure() {
	r.mu.Lock()
	r.needTLS = true
	r.mu.Unlock()
}

// tls returns the handshake with the server of u.
func (r *Remote) tls(u *url.URL) netio.TLSSpec {
	r.mu.Lock()
	defer r.mu.Unlock()
	return link.ClientTLS(r.c.TLS, u.Hostname(), r.tlsName)
}

// wantsTLS reports whether a websocket connection to u begins with TLS.
func (r *Remote) wantsTLS(u *url.URL) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.EqualFold(u.Scheme, "wss") || r.c.TLS != nil || r.needTLS
}

// credentials are the user, password and token of the URL in use, else of a configured one.
func (r *Remote) credentials() (user, pass, token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if user, pass, token, ok := urlCredentials(r.now); ok {
		return user, pass, token
	}
	if r.user != nil {
		user, pass, token, _ = urlCredentials(&url.URL{User: r.user})
	}
	return user, pass, token
}

// learn takes the URLs of the hub's cluster from an INFO: they are tried first.
func (r *Remote) learn(in *wire.LeafInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.c.IgnoreDiscovered || len(in.LeafURLs) == 0 && len(in.WSConnectURLs) == 0 {
		return
	}
	list, scheme := in.LeafURLs, "nats-leaf"
	if len(r.c.URLs) > 0 && isWebsocket(r.c.URLs[0]) {
		list, scheme = in.WSConnectURLs, "ws"
		if r.needTLS || r.c.TLS != nil || strings.EqualFold(r.c.URLs[0].Scheme, "wss") {
			scheme = "wss"
		}
	}
	var urls []*url.URL
	for _, s := range list {
		u, err := url.Parse(scheme + "://" + s)
		if err != nil || u.Host == "" {
			r.svc.env.Logger.Logf(engine.Error, "RJ-F020", "Error parsing url %q of a leafnode's hub: %v", link.Quote(s), err)
			continue
		}
		if !slices.ContainsFunc(r.c.URLs, func(c *url.URL) bool { return c.Host == u.Host }) {
			urls = append(urls, u)
		}
	}
	r.urls = append(urls, r.shuffled(r.c.URLs)...)
}
