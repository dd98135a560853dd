package cluster

import (
	"net/url"

	"ramjet/engine"
	"ramjet/proto/wire"
)

// gossip tells the other servers of the cluster about p, which r leads to (reference/interserver.md, 1.4), and p about
// them as it comes from their own gossip: whoever is told connects.
func (s *Service) gossip(r *Route, p *peer) {
	mode := byte(wire.GossipDefault)
	switch {
	case r.member != nil && r.configured:
		mode = wire.GossipOverride
	case r.member == nil:
		mode = wire.GossipDisabled
	}
	s.mu.Lock()
	if t := p.target; r.member != nil && t != nil && !t.explicit {
		// Learned from others, who tell it themselves, unless they asked for more.
		s.mu.Unlock()
		return
	}
	in := p.info
	var to []*Route
	for _, o := range s.peers {
		if o != p {
			if x := o.any(); x != nil {
				to = append(to, x)
			}
		}
	}
	s.mu.Unlock()
	in.Nonce, in.PoolIdx, in.Account, in.GossipMode = "", 0, "", mode
	for _, x := range to {
		x.on(func() { x.Send(wire.AppendRouteInfo(nil, &in)) })
	}
}

// learned hears about a third server and connects to it, unless that is the case already.
func (s *Service) learned(r *Route, in *wire.RouteInfo) {
	if in.ServerID == s.port.ID || in.IP == "" {
		return
	}
	u, err := url.Parse(in.IP)
	if err != nil || u.Host == "" {
		r.Logf(engine.Debug, "", "Error parsing URL of a server of the cluster: %v", err)
		return
	}
	o := s.options()
	dial := &url.URL{Scheme: "nats-route", Host: u.Host}
	if in.AuthRequired {
		dial.User = url.UserPassword(o.Cluster.Auth.User, o.Cluster.Auth.Pass)
	}
	s.mu.Lock()
	known := s.peers[in.ServerID] != nil
	for _, t := range s.targets {
		known = known || sameHost(t.url, u)
	}
	tlsName := ""
	if r.member != nil {
		tlsName = r.member.target.tlsName
	}
	if tlsName == "" {
		for _, t := range s.targets {
			if t.tlsName != "" {
				tlsName = t.tlsName
				break
			}
		}
	}
	s.mu.Unlock()
	if known {
		return
	}
	s.env.Logger.Logf(engine.Debug, "", "Trying to connect to route on %s", u.Host)
	s.solicit(dial, false, tlsName)
}

// sameHost compares host and port of two URLs.
func sameHost(a, b *url.URL) bool {
	return a.Hostname() == b.Hostname() && portOf(a) == portOf(b)
}

func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return defaultPort
}

const defaultPort = "6222"
