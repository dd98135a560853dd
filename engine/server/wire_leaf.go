package server

import (
	"net"
	"os"
	"runtime"
	"strconv"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/leaf"
	"ramjet/engine/link"
	"ramjet/proto/wire"
)

// leafProto is the level of the protocol between servers: message tracing.
const leafProto = 3

// newLeafs returns the service of leafnode connections; without any configured it has nothing to do.
func (s *Server) newLeafs(env *link.Env) *leaf.Service {
	return leaf.New(env, leaf.Port{
		ID:       s.id,
		Info:     func() wire.LeafInfo { return s.infos.Load().leaf },
		Cluster:  s.leafCluster,
		Met:      s.sysacc.LeafConnected,
		Changed:  func(*account.Account) {},
		ReadFile: os.ReadFile,

		GatewayReplies: func() bool { return hasGateway(s.opts.Load()) },
	})
}

// leafCluster is the name under which leafnodes know the cluster of this server, "" if it has none. A server by
// itself that connects to hubs is a cluster of its own name, if it was given one.
func (s *Server) leafCluster() string {
	o := s.opts.Load()
	switch name := s.clusterName(); {
	case name != "":
		return name
	case o.Leafnodes != nil && len(o.Leafnodes.Remotes) > 0:
		return o.ServerName
	}
	return ""
}

// leafInfo is the server-wide part of INFO for leafnodes.
func (s *Server) leafInfo(o *config.Options, addr net.Addr, ws net.Addr) wire.LeafInfo {
	in := wire.LeafInfo{
		ServerID: s.id, ServerName: s.Name(), Version: NATSVersion, Proto: leafProto, GitCommit: gitCommit, Go: runtime.Version(),
		Headers: !o.NoHeaderSupport, MaxPayload: int32(o.MaxPayload), AuthRequired: true, APILevel: APILevel, InfoOnConnect: true,
		Cluster: s.leafCluster(),
	}
	if j := o.JetStream; j != nil && j.Enabled {
		in.JetStream, in.Domain = true, j.Domain
	}
	l := o.Leafnodes
	if l == nil || addr == nil {
		return in
	}
	in.Host, in.Port = advertised(l.Advertise, l.Host, portOf(addr, l.Port))
	if l.Advertise == "" {
		if hosts := expandHost(l.Host, false); len(hosts) > 0 {
			in.Host = hosts[0]
		}
	}
	in.IP = net.JoinHostPort(in.Host, strconv.Itoa(in.Port))
	if !l.NoAdvertise {
		in.LeafURLs = []string{in.IP}
		if s.routes != nil {
			in.LeafURLs = unique(in.LeafURLs, s.routes.PeerLeafURLs())
		}
	}
	if t := l.TLS; t != nil && t.Config != nil {
		in.TLSRequired = true
		in.TLSVerify = t.Verify || t.VerifyAndMap
	}
	if w := o.Websocket; w != nil && ws != nil {
		in.WSConnectURLs = connectURLs(w.Advertise, w.Host, portOf(ws, w.Port))
		if s.routes != nil {
			_, peers := s.routes.PeerURLs()
			in.WSConnectURLs = unique(in.WSConnectURLs, peers)
		}
	}
	return in
}

// leafURL is where other servers of the cluster may send leafnodes to, "" for nowhere.
func (s *Server) leafURL() string {
	if u := s.infos.Load().leaf.LeafURLs; len(u) > 0 {
		return u[0]
	}
	return ""
}

// listenLeafs binds the listener of leafnodes. Control.
func (s *Server) listenLeafs(o *config.Options, a *addresses) error {
	l := o.Leafnodes
	if l == nil || l.Port == 0 {
		return nil
	}
	ln, err := s.listen("leafnode", l.Host, l.Port, s.leafs.Accept)
	if err != nil {
		return err
	}
	a.leaf = ln.Addr()
	s.log.Logf(engine.Info, "", "Listening for leafnode connections on %s", shownAddr(l.Host, a.leaf))
	if l.TLS != nil && l.TLS.HandshakeFirst {
		s.log.Logf(engine.Info, "", "Leafnodes that are not using \"TLS Handshake First\" option will fail to connect")
	}
	return nil
}

// remotesOf returns the hubs of o.
func remotesOf(o *config.Options) []*config.RemoteLeaf {
	if o.Leafnodes == nil {
		return nil
	}
	return o.Leafnodes.Remotes
}

// reloadLeafs follows a reload. Control.
func (s *Server) reloadLeafs(next *config.Options) {
	s.leafs.Sync()
	s.leafs.Recheck()
	if state(s.state.Load()) == stateRunning {
		s.leafs.SetRemotes(remotesOf(next))
	}
}
