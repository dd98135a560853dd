package server

import (
	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/dispatch"
	"ramjet/engine/gateway"
	"ramjet/engine/link"
	"ramjet/engine/monitor"
	"ramjet/proto/sysapi"
	"ramjet/proto/wire"
)

// gatewayListener is the name of the listener for servers of other clusters.
const gatewayListener = "gateway"

// gatewayProto is the protocol level in INFO of gateways: accounts and message tracing.
const gatewayProto = 3

// hasGateway reports that o joins this server's cluster with others.
func hasGateway(o *config.Options) bool { return o.Gateway != nil && o.Gateway.Name != "" }

// newGateways makes the service of gateways, before the first message. Control.
func (s *Server) newGateways(env *link.Env, o *config.Options) {
	if !hasGateway(o) {
		return
	}
	s.gateways = gateway.New(env, gateway.Ports{
		ID: s.id, Version: NATSVersion, Proto: gatewayProto, Name: s.Name,
		Duplicate: func(name string) bool { return s.routes != nil && s.routes.Knows(name) },
		TellRoutes: func(in *wire.GatewayInfo) {
			if s.routes != nil {
				s.routes.Tell(wire.AppendGatewayInfo(nil, in))
			}
		},
		Route: func(hash string, a *account.Account) dispatch.LinkSink {
			if s.routes == nil {
				return nil
			}
			if r := s.routes.To(func(id string) bool { return gateway.Hash(id) == hash }, a); r != nil {
				return r
			}
			return nil
		},
	})
}

// gatewayURL is where other clusters reach this server, "" when they do not.
func (s *Server) gatewayURL() string {
	if s.gateways == nil {
		return ""
	}
	return s.gateways.URL()
}

// gatewayPeer hears of a server of this cluster, gatewayPeerGone that it is gone.
func (s *Server) gatewayPeer(in *wire.RouteInfo) {
	if s.gateways != nil {
		s.gateways.PeerUp(in.ServerID, in.GatewayURL)
	}
}

func (s *Server) gatewayPeerGone(id string) {
	if s.gateways != nil {
		s.gateways.PeerDown(id)
	}
}

// gatewayGreeting is what a server of this cluster is told of other clusters when it connects.
func (s *Server) gatewayGreeting() []byte {
	if s.gateways == nil {
		return nil
	}
	var b []byte
	for _, in := range s.gateways.ForRoutes() {
		b = wire.AppendGatewayInfo(b, in)
	}
	return b
}

// gatewayLearned hears of another cluster from a server of this one.
func (s *Server) gatewayLearned(in *wire.RouteInfo) {
	if s.gateways == nil {
		s.log.Logf(engine.Error, "RJ-G017", "Received information about gateway %q from %s, but gateway is not configured", in.Gateway, in.ServerID)
		return
	}
	if in.GatewayCmd != wire.GatewayGossip {
		s.log.Logf(engine.Error, "RJ-G016", "Unknown command %d from server %q", in.GatewayCmd, in.ServerID)
		return
	}
	s.gateways.Discovered(&wire.GatewayInfo{Gateway: in.Gateway, URLs: in.GatewayURLs})
}

// routed is dispatch.Hooks.Routed.
func (s *Server) routed(ctx *dispatch.Ctx, a *account.Account, m *engine.Msg) (dispatch.Outcome, bool) {
	if s.gateways == nil || a == nil {
		return dispatch.Outcome{}, false
	}
	return s.gateways.Routed(ctx, a, m)
}

// listenGateways binds the listener for other clusters. Control.
func (s *Server) listenGateways(o *config.Options, a *addresses) error {
	if s.gateways == nil {
		return nil
	}
	g := o.Gateway
	s.log.Logf(engine.Info, "", "Gateway name is %s", g.Name)
	l, err := s.listen(gatewayListener, g.Host, g.Port, s.gateways.Accept)
	if err != nil {
		return err
	}
	a.gateway = l.Addr()
	s.log.Logf(engine.Info, "", "Listening for gateways connections on %s", shownAddr(g.Host, a.gateway))
	if insecureGateways(g) {
		s.log.Logf(engine.Warn, "RJ-G014", "TLS certificates of other clusters are not verified (insecure): use it for tests only")
	}
	return nil
}

func insecureGateways(g *config.GatewayOptions) bool {
	if g.TLS != nil && g.TLS.Insecure {
		return true
	}
	for _, r := range g.Gateways {
		if r.TLS != nil && r.TLS.Insecure {
			return true
		}
	}
	return false
}

// startGateways begins to connect to other clusters. Control, when the listener is bound.
func (s *Server) startGateways(o *config.Options, a *addresses) {
	if s.gateways == nil {
		return
	}
	host := o.Gateway.Host
	if o.Gateway.Advertise == "" {
		if all := expandHost(host, false); len(all) > 0 { // 0.0.0.0 is no address to connect to
			host = all[0]
		} else {
			s.log.Logf(engine.Error, "RJ-G015", "Could not find any non-local IP for gateway %q with listen specification %q", o.Gateway.Name, host)
		}
	}
	host, port := advertised(o.Gateway.Advertise, host, portOf(a.gateway, o.Gateway.Port))
	s.gateways.Start(host, port)
}

// syncLinks lets the links to other servers follow a change of the set of accounts. Control.
func (s *Server) syncLinks() {
	if s.routes != nil {
		s.routes.SyncAccounts()
	}
	if s.gateways != nil {
		s.gateways.Sync()
	}
}

// reloadGateways follows a reload. Control.
func (s *Server) reloadGateways() {
	if s.gateways != nil {
		s.gateways.Sync()
		s.gateways.Recheck()
	}
}

func (s *Server) stopGateways() {
	if s.gateways != nil {
		s.gateways.Stop()
	}
}

// Gateways implements monitor.Source.
func (v source) Gateways() monitor.Gateways {
	if v.s.gateways == nil {
		return nil
	}
	return v.s.gateways
}

// gatewayStats is the part of STATSZ about gateways.
func (s *Server) gatewayStats() []sysapi.GatewayStat {
	if s.gateways == nil {
		return nil
	}
	return s.gateways.Stats()
}
