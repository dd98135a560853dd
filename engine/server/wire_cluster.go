package server

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
	"slices"

	"ramjet/engine"
	"ramjet/engine/cluster"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/engine/monitor"
	"ramjet/proto/sysapi"
)

// clusterListener is the name of the listener for servers of the own cluster.
const clusterListener = "cluster"

// routeProto is the protocol level in INFO of routes: they understand everything.
const routeProto = link.TraceProto

// hasCluster reports that o makes the server part of a cluster.
func hasCluster(o *config.Options) bool { return o.Cluster != nil && o.Cluster.Port != 0 }

// lonelyJetStream refuses JetStream on a server that may become one of several but knows no other, as nats-server does.
func lonelyJetStream(o *config.Options) error {
	if hasCluster(o) && len(o.Cluster.Routes) == 0 && o.JetStream != nil && o.JetStream.Enabled {
		//lint:ignore ST1005 the text of nats-server
		return errors.New("Can't start JetStream: JetStream cluster requires configured routes or solicited leafnode for the system account")
	}
	return nil
}

// newCluster makes the service of routes, before the first message. Control.
func (s *Server) newCluster(env *link.Env, o *config.Options) {
	if !hasCluster(o) {
		return
	}
	v := source{s}
	s.routes = cluster.New(env, cluster.Port{
		ID: s.id, Version: NATSVersion, GitCommit: gitCommit, Go: runtime.Version(), Proto: routeProto, Name: s.Name,
		JetStream: func() (bool, string) {
			if j := s.opts.Load().JetStream; j != nil && j.Enabled {
				return true, j.Domain
			}
			return false, ""
		},
		ClientURLs: v.ConnectURLs,
		LeafURL:    s.leafURL,
		Changed:    func() { s.ctl.post(s.clusterChanged) },
		GatewayURL: s.gatewayURL, PeerUp: s.gatewayPeer, PeerDown: s.gatewayPeerGone,
		Greeting: s.gatewayGreeting, GatewayInfo: s.gatewayLearned,
	})
}

// clusterChanged tells clients what they can connect to now. Control.
func (s *Server) clusterChanged() {
	if state(s.state.Load()) >= stateStopping {
		return
	}
	before := s.infos.Load()
	s.updateInfo()
	now := s.infos.Load()
	if !slices.Equal(before.leaf.LeafURLs, now.leaf.LeafURLs) || !slices.Equal(before.leaf.WSConnectURLs, now.leaf.WSConnectURLs) {
		s.leafs.BroadcastInfo()
	}
	if !slices.Equal(before.client.ConnectURLs, now.client.ConnectURLs) || !slices.Equal(before.client.WSConnectURLs, now.client.WSConnectURLs) {
		s.clients.BroadcastInfo()
	}
}

// listenCluster binds the listener for routes. Control.
func (s *Server) listenCluster(o *config.Options, a *addresses) error {
	if s.routes == nil {
		return nil
	}
	c := o.Cluster
	l, err := s.listen(clusterListener, c.Host, c.Port, s.routes.Accept)
	if err != nil {
		return err
	}
	a.cluster = l.Addr()
	s.log.Logf(engine.Info, "", "Cluster name is %s", s.routes.Name())
	if s.routes.Dynamic() {
		s.log.Logf(engine.Warn, "RJ-R020", "Cluster name was dynamically generated, consider setting one")
	}
	s.log.Logf(engine.Info, "", "Listening for route connections on %s", shownAddr(c.Host, a.cluster))
	s.warnInsecureCluster(c)
	return nil
}

func (s *Server) warnInsecureCluster(c *config.ClusterOptions) {
	if c.TLS != nil && c.TLS.Insecure {
		s.log.Logf(engine.Warn, "RJ-R021", "TLS certificate chain and hostname of solicited routes will not be verified. DO NOT USE IN PRODUCTION!")
	}
}

// reloadCluster follows a reload. Control.
func (s *Server) reloadCluster(cur, next *config.Options) {
	if s.routes == nil {
		return
	}
	if next.Cluster.TLS != cur.Cluster.TLS {
		s.warnInsecureCluster(next.Cluster)
	}
	s.routes.Reload(cur)
}

// startCluster begins to connect to the configured servers. Control, when the listener is bound.
func (s *Server) startCluster(a *addresses) {
	if s.routes == nil {
		return
	}
	var addr netip.AddrPort
	if t, ok := a.cluster.(*net.TCPAddr); ok {
		addr = t.AddrPort()
	}
	s.routes.Start(addr)
}

// clusterURLs returns what INFO of clients says about the other servers: the own URLs and theirs, nothing while the
// server has not met any.
func (s *Server) clusterURLs() (client, ws []string) {
	if s.routes == nil || s.routes.Alone() || s.opts.Load().Cluster.NoAdvertise {
		return nil, nil
	}
	client, ws = source{s}.ConnectURLs()
	if s.InLameDuck() {
		client, ws = nil, nil
	}
	pc, pw := s.routes.PeerURLs()
	return unique(client, pc), unique(ws, pw)
}

// joined reports that there may be other servers.
func (s *Server) joined() bool {
	o := s.opts.Load()
	return hasCluster(o) || hasGateway(o)
}

// clusterName is the name of the server's cluster, "" for none.
func (s *Server) clusterName() string {
	if s.routes == nil {
		if o := s.opts.Load(); hasGateway(o) {
			return o.Gateway.Name
		}
		return ""
	}
	return s.routes.Name()
}

// routeStats is the part of STATSZ about routes.
func (s *Server) routeStats() []sysapi.RouteStat {
	if s.routes == nil {
		return nil
	}
	return s.routes.Stats()
}

// unique appends to own what of others is not in it.
func unique(own, others []string) []string {
	out := slices.Clone(own)
	for _, u := range others {
		if !slices.Contains(out, u) {
			out = append(out, u)
		}
	}
	return out
}

// Routes implements monitor.Source.
func (v source) Routes() monitor.Routes {
	if v.s.routes == nil {
		return nil
	}
	return v.s.routes
}
