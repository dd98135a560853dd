package cluster

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/interest"
	"ramjet/engine/link"
	"ramjet/proto/base/rng"
	"ramjet/proto/wire"
)

// DefaultPort is the port of routes whose URL has none.
const DefaultPort = 6222

// Port is what the service needs of the server. Functions may be called on any goroutine and must not block; nil
// members do nothing.
type Port struct {
	ID, Version, GitCommit, Go string
	Proto                      int
	Name                       func() string
	// JetStream says whether it is on, and its domain.
	JetStream func() (on bool, domain string)
	// ClientURLs are the addresses that clients of this server can use, by listener.
	ClientURLs func() (client, ws []string)
	// Changed is called when what clients are told has changed: the name of the cluster, URLs of its servers.
	Changed func()
	// GatewayURL and LeafURL are the own addresses of these listeners, "" for none.
	GatewayURL, LeafURL func() string
	// PeerUp is called when the first connection to a server of the cluster is registered, with its INFO, and
	// PeerInfo for each later INFO about itself; PeerDown after the last one has ended.
	PeerUp, PeerInfo func(in *wire.RouteInfo)
	PeerDown         func(id string)
	// Greeting returns lines for a server that has just been connected to.
	Greeting func() []byte
	// GatewayInfo hears of an INFO about gateways that came over a route.
	GatewayInfo func(in *wire.RouteInfo)
}

// Service are the routes of a server. Any goroutine, unless a method says otherwise.
type Service struct {
	env  *link.Env
	port Port

	duck      atomic.Bool
	peerCount atomic.Int64
	known     atomic.Bool // there was another server once

	mu       sync.Mutex
	addr     netip.AddrPort // of the listener
	name     string
	dynamic  bool
	stopping bool
	peers    map[string]*peer // by server id
	targets  []*target
	self     map[netip.AddrPort]bool // addresses that turned out to be this server
	ledgers  map[*account.Account]*interest.Ledger
	perms    *perms
	rnd      *rng.Source
}

// peer is another server of the cluster. Guarded by Service.mu.
type peer struct {
	id, name string
	info     wire.RouteInfo // last one about itself
	size     int            // connections in the pool; 0: one connection for everything
	pool     []*Route       // by slot; one entry when size is 0
	accounts map[string]*Route
	target   *target // set when this server dials; else the other one does
	seen     bool    // PeerUp was called
}

// routes returns every connection of p.
func (p *peer) routes() []*Route {
	var all []*Route
	for _, r := range p.pool {
		if r != nil {
			all = append(all, r)
		}
	}
	for _, r := range p.accounts {
		all = append(all, r)
	}
	return all
}

// any returns some connection for words that concern the whole server, nil when there is none.
func (p *peer) any() *Route {
	for _, r := range p.pool {
		if r != nil {
			return r
		}
	}
	return nil
}

// slotOf returns the slot of the pool that carries the account.
func slotOf(account string, size int) int {
	if size <= 1 {
		return 0
	}
	const offset, prime = 2166136261, 16777619 // FNV-1a
	h := uint32(offset)
	for i := range len(account) {
		h = (h ^ uint32(account[i])) * prime
	}
	return int(h % uint32(size))
}

// New returns the service; it connects to nobody before Start. Control.
func New(env *link.Env, p Port) *Service {
	env.Init()
	s := &Service{env: env, port: p, peers: map[string]*peer{}, self: map[netip.AddrPort]bool{},
		ledgers: map[*account.Account]*interest.Ledger{}, rnd: rng.NewRandom()}
	o := env.Options()
	if s.name = o.Cluster.Name; s.name == "" {
		if o.Gateway != nil && o.Gateway.Name != "" {
			s.name = o.Gateway.Name
		} else {
			s.name, s.dynamic = rng.NewNUID(s.rnd.Fork()).Next(), true
		}
	}
	s.perms = newPerms(o.Cluster)
	return s
}

func (s *Service) options() *config.Options { return s.env.Options() }

// Name returns the name of the cluster, as configured, chosen or taken over from another server.
func (s *Service) Name() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.name
}

// Dynamic reports that the name of the cluster is not configured.
func (s *Service) Dynamic() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dynamic
}

// Remotes returns how many other servers are connected.
func (s *Service) Remotes() int { return int(s.peerCount.Load()) }

// Alone reports that no other server of the cluster has been met yet.
func (s *Service) Alone() bool { return !s.known.Load() }

// pinned returns the accounts that have connections of their own, as configured now.
func (s *Service) pinned(o *config.Options) []string {
	if o.Cluster.PoolSize <= 0 {
		return nil
	}
	list := o.Cluster.Accounts
	if sys := s.env.Accounts.System(); sys != nil && !slices.Contains(list, sys.Name()) {
		list = append(slices.Clip(list), sys.Name())
	}
	return list
}

// PeerLeafURLs returns the addresses at which the other servers accept leafnodes.
func (s *Service) PeerLeafURLs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var urls []string
	for _, p := range s.peers {
		urls = append(urls, p.info.LeafURLs...)
	}
	slices.Sort(urls)
	return slices.Compact(urls)
}

// PeerURLs returns the client URLs of the other servers, those in lame duck mode left out.
func (s *Service) PeerURLs() (client, ws []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.options().Cluster.NoAdvertise {
		return nil, nil
	}
	for _, p := range s.peers {
		if !p.info.LameDuck {
			client = append(client, p.info.ConnectURLs...)
			ws = append(ws, p.info.WSConnectURLs...)
		}
	}
	slices.Sort(client)
	slices.Sort(ws)
	return slices.Compact(client), slices.Compact(ws)
}

// changed tells the server that clients are to hear something new.
func (s *Service) changed() {
	if s.port.Changed != nil {
		s.port.Changed()
	}
}

// each calls fn for every registered connection, outside the lock.
func (s *Service) each(fn func(*Route)) {
	s.mu.Lock()
	var all []*Route
	for _, p := range s.peers {
		all = append(all, p.routes()...)
	}
	s.mu.Unlock()
	for _, r := range all {
		fn(r)
	}
}

// eachPeer calls fn with one connection to each other server, outside the lock.
func (s *Service) eachPeer(fn func(*Route)) {
	s.mu.Lock()
	var all []*Route
	for _, p := range s.peers {
		if r := p.any(); r != nil {
			all = append(all, r)
		}
	}
	s.mu.Unlock()
	for _, r := range all {
		fn(r)
	}
}

// on runs fn on the loop of r, unless r closes.
func (r *Route) on(fn func()) {
	r.Net().Loop().Post(func() {
		if !r.Closing() {
			fn()
		}
	})
}
