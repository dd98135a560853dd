package gateway

import (
	"ramjet/proto/wire"
)

// Discovered hears of another cluster: from a server of it, from one that knows it, or from a server of this cluster.
// It is connected to, or what is known of it completed. Any goroutine.
func (s *Service) Discovered(in *wire.GatewayInfo) {
	if in.Gateway == s.name || in.Gateway == "" || s.stopping.Load() {
		return
	}
	s.mu.Lock()
	if r := s.remotes[in.Gateway]; r != nil {
		r.learn(in.URLs)
		s.mu.Unlock()
		return
	}
	full := len(s.remotes) >= maxRemotes
	s.mu.Unlock()
	if full {
		return
	}
	r := s.newRemote(in.Gateway, true, nil, in.URLs)
	s.mu.Lock()
	if s.remotes[in.Gateway] != nil || len(r.urls) == 0 {
		s.mu.Unlock()
		r.solicitor.Stop()
		return
	}
	s.remotes[in.Gateway] = r
	s.mu.Unlock()
	r.solicitor.Again(0)
}

// gossip tells the server that connected from cluster about all other clusters. Loop of c.
func (c *Conn) gossip(cluster string) {
	s := c.svc
	s.mu.Lock()
	others := make([]*remote, 0, len(s.remotes))
	for name, r := range s.remotes {
		if name != cluster {
			others = append(others, r)
		}
	}
	s.mu.Unlock()
	for _, r := range others {
		if urls := r.hosts(); len(urls) > 0 {
			c.Announce(wire.AppendGatewayInfo(nil, &wire.GatewayInfo{ServerID: s.p.ID, Gateway: r.name, URLs: urls, Cmd: wire.GatewayGossip}))
		}
	}
}

// tellRoutes tells the other servers of this cluster about a cluster.
func (s *Service) tellRoutes(cluster string, urls []string) {
	if s.p.TellRoutes != nil && len(urls) > 0 {
		s.p.TellRoutes(s.routeInfo(cluster, urls))
	}
}

// routeInfo is INFO about a cluster for routes. The id is none of a server, so that nobody takes it for news of one.
func (s *Service) routeInfo(cluster string, urls []string) *wire.GatewayInfo {
	return &wire.GatewayInfo{ServerID: "GW" + s.p.ID, ServerName: s.p.Name(), Gateway: cluster, URLs: urls, Cmd: wire.GatewayGossip}
}

// ForRoutes returns what a new server of this cluster is told: the clusters that are connected to. Any goroutine.
func (s *Service) ForRoutes() []*wire.GatewayInfo {
	var all []*wire.GatewayInfo
	for _, c := range *s.out.Load() {
		if urls := c.remote.hosts(); len(urls) > 0 {
			all = append(all, s.routeInfo(c.remote.name, urls))
		}
	}
	return all
}
