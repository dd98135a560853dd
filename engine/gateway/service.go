package gateway

import (
	"crypto/sha256"
	"net"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/dispatch"
	"ramjet/engine/interest"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/wire"
)

const (
	// solicitDelay is the wait before the first connections to other clusters.
	solicitDelay = time.Second
	// reconnectDelay is the wait before a configured cluster is connected to again, and between attempts.
	reconnectDelay = time.Second
	// pingCap bounds the ping interval (reference/interserver.md, section 0).
	pingCap = 15 * time.Second
)

// Ports are what gateways need of the rest of the server; nil functions do nothing. Any goroutine; they must not block.
type Ports struct {
	ID, Version string
	Proto       int // protocol level in INFO
	Name        func() string
	// Duplicate reports that a server of this cluster is called name.
	Duplicate func(name string) bool
	// TellRoutes sends INFO to every other server of this cluster.
	TellRoutes func(in *wire.GatewayInfo)
	// Route returns the link to the server of this cluster whose id has that hash, nil when there is none.
	Route func(hash string, a *account.Account) dispatch.LinkSink
	// Connected: a connection to another cluster was made.
	Connected func()
}

// Service connects this cluster with others. Create it with New; any goroutine unless a method says otherwise.
type Service struct {
	env  *link.Env
	p    Ports
	name string // of this cluster

	hash, serverHash string // in subjects of replies
	advertised       string // host:port of this server's listener
	host             string
	port             int

	out      atomic.Pointer[[]*Conn] // registered outbound connections: immutable
	stopping atomic.Bool
	recent   recents

	mu       sync.Mutex
	remotes  map[string]*remote
	inbound  map[*Conn]struct{}
	urls     map[string]int    // of the servers of this cluster, counted
	peers    map[string]string // other servers of this cluster: URL by id
	ledgers  map[*account.Account]*interest.Ledger
	unwatch  map[*account.Account]func()
	accounts []*account.Account // those that are watched
}

// New returns the service for the gateway block of the options in force. Control, before the first message.
func New(env *link.Env, p Ports) *Service {
	env.Init()
	o := env.Options()
	s := &Service{
		env: env, p: p, name: o.Gateway.Name,
		hash: Hash(o.Gateway.Name), serverHash: Hash(p.ID),
		remotes: map[string]*remote{}, inbound: map[*Conn]struct{}{}, urls: map[string]int{}, peers: map[string]string{},
		ledgers: map[*account.Account]*interest.Ledger{}, unwatch: map[*account.Account]func(){},
	}
	s.out.Store(&[]*Conn{})
	s.recent.clock = env.Clock
	for _, r := range o.Gateway.Gateways {
		if r.Name != s.name {
			s.remotes[r.Name] = s.newRemote(r.Name, false, r.URLs, nil)
		}
	}
	s.Sync()
	return s
}

// Hash is how clusters and servers are named in the subjects of replies: six characters of a hash.
func Hash(name string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	h := sha256.Sum256([]byte(name))
	b := h[:dispatch.RoutedHash]
	for i := range b {
		b[i] = digits[b[i]%byte(len(digits))]
	}
	return string(b)
}

// Name returns the name of this cluster.
func (s *Service) Name() string { return s.name }

// URL returns the address under which other clusters reach this server, "" before Start.
func (s *Service) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.advertised
}

// Start begins to connect: host and port are what this server advertises. Control, once, when the listener is bound.
func (s *Service) Start(host string, port int) {
	u := net.JoinHostPort(host, strconv.Itoa(port))
	s.mu.Lock()
	s.host, s.port, s.advertised = host, port, u
	s.urls[u]++
	all := make([]*remote, 0, len(s.remotes))
	for _, r := range s.remotes {
		all = append(all, r)
	}
	s.mu.Unlock()
	if o := s.options(); o.Advertise != "" {
		s.logf(engine.Info, "", "Advertise address for gateway %q is set to %s", s.name, u)
	} else {
		s.logf(engine.Info, "", "Address for gateway %q is %s", s.name, u)
	}
	for _, r := range all {
		if !r.implicit {
			r.solicitor.Again(solicitDelay)
		}
	}
}

// Stop ends solicitation; connections are closed with the loops. Control.
func (s *Service) Stop() {
	s.stopping.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.remotes {
		r.solicitor.Stop()
	}
	s.recent.stop()
}

// Accept is the netio.AcceptFunc of the gateway listener.
func (s *Service) Accept(nc *netio.Conn) netio.Handler {
	c := &Conn{svc: s}
	c.Init(s.env, nc, engine.Gateway, engine.Standard, c)
	return &c.Conn
}

// options returns the gateway block in force; a reload does not take it away.
func (s *Service) options() *config.GatewayOptions { return s.env.Options().Gateway }

func (s *Service) logf(l engine.Level, id, format string, args ...any) {
	if l == engine.Debug && !s.env.Logger.Enabled(l) {
		return
	}
	s.env.Logger.Logf(l, id, format, args...)
}

// info is what this server says of itself.
func (s *Service) info() wire.GatewayInfo {
	o := s.env.Options()
	g := o.Gateway
	in := wire.GatewayInfo{
		ServerID: s.p.ID, ServerName: s.p.Name(), Version: s.p.Version, Proto: s.p.Proto,
		Headers: !o.NoHeaderSupport, MaxPayload: int32(o.MaxPayload),
		AuthRequired: g.Auth.User != "", TLSRequired: g.TLS != nil, TLSVerify: g.TLS != nil,
		Gateway: s.name, NRP: true, IOM: true,
	}
	s.mu.Lock()
	in.Host, in.Port, in.URL, in.URLs = s.host, s.port, s.advertised, s.ownURLs()
	s.mu.Unlock()
	return in
}

// ownURLs requires mu.
func (s *Service) ownURLs() []string {
	all := make([]string, 0, len(s.urls))
	for u := range s.urls {
		all = append(all, u)
	}
	slices.Sort(all)
	return all
}

// PeerUp notes a server of this cluster and the address of its gateway listener ("" for none), PeerDown that it is gone;
// other clusters are told.
func (s *Service) PeerUp(id, u string) {
	s.mu.Lock()
	old := s.peers[id]
	s.peers[id] = u
	s.mu.Unlock()
	if old != u {
		s.countURL(u, 1)
		s.countURL(old, -1)
	}
}

// PeerDown is described with PeerUp.
func (s *Service) PeerDown(id string) {
	s.mu.Lock()
	u := s.peers[id]
	delete(s.peers, id)
	s.mu.Unlock()
	s.countURL(u, -1)
}

func (s *Service) countURL(u string, by int) {
	if u == "" || s.stopping.Load() {
		return
	}
	s.mu.Lock()
	before := s.urls[u]
	if n := before + by; n > 0 {
		s.urls[u] = n
	} else {
		delete(s.urls, u)
	}
	changed := (before > 0) != (s.urls[u] > 0)
	conns := s.inboundConns()
	s.mu.Unlock()
	if !changed {
		return
	}
	in := s.info()
	b := wire.AppendGatewayInfo(nil, &in)
	for _, c := range conns {
		c.Announce(b)
	}
}

// inboundConns requires mu.
func (s *Service) inboundConns() []*Conn {
	all := make([]*Conn, 0, len(s.inbound))
	for c := range s.inbound {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *Conn) int { return int(a.ID()) - int(b.ID()) })
	return all
}

// Sync follows a change of the accounts. Control.
func (s *Service) Sync() {
	var fresh []*account.Account
	s.mu.Lock()
	s.env.Accounts.Range(func(a *account.Account) bool {
		if s.unwatch[a] == nil {
			s.unwatch[a] = s.recent.watch(a)
			s.accounts = append(s.accounts, a)
			fresh = append(fresh, a)
		}
		return true
	})
	inbound := s.inboundConns()
	s.mu.Unlock()
	if len(fresh) == 0 {
		return
	}
	for _, c := range inbound {
		c.announceAll(fresh)
	}
	for _, c := range *s.out.Load() {
		c.Net().Loop().Post(c.bindAccounts)
	}
}

// Recheck applies a reload to the connections: their limits, and certificates that are not pinned any more. Control.
func (s *Service) Recheck() {
	s.env.Registry.Range(engine.Gateway, func(lc *link.Conn) bool {
		if c, ok := lc.Protocol().(*Conn); ok {
			c.Net().Loop().Post(c.recheck)
		}
		return true
	})
}

// Outbound returns the number of outbound, Inbound that of inbound connections in use.
func (s *Service) Outbound() int { return len(*s.out.Load()) }

// Inbound is described with Outbound.
func (s *Service) Inbound() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.inbound)
}

// addOut puts c into the list of outbound connections; false when its cluster has one already.
func (s *Service) addOut(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := *s.out.Load()
	for _, o := range all {
		if o.remote == c.remote {
			return false
		}
	}
	next := append(slices.Clone(all), c)
	s.out.Store(&next)
	return true
}

// remove takes c out of the lists.
func (s *Service) remove(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.inbound, c)
	next := slices.DeleteFunc(slices.Clone(*s.out.Load()), func(o *Conn) bool { return o == c })
	s.out.Store(&next)
}

// ledger returns what counts the interest in account a, made on first use.
func (s *Service) ledger(a *account.Account) (*interest.Ledger, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.ledgers[a]; l != nil {
		return l, nil
	}
	l, err := interest.NewLedger(a.Index(), class)
	if err == nil {
		s.ledgers[a] = l
	}
	return l, err
}

// hostKey is how URLs of a remote cluster are told apart: without scheme and user.
func hostKey(u *url.URL) string { return u.Host }
