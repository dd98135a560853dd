package cluster

import (
	"net"
	"net/netip"
	"reflect"
	"strconv"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/wire"
)

// info is the INFO of this server for routes.
func (s *Service) info(o *config.Options) wire.RouteInfo {
	c := o.Cluster
	s.mu.Lock()
	in := wire.RouteInfo{
		ServerID: s.port.ID, ServerName: s.port.Name(), Version: s.port.Version, Proto: s.port.Proto, GitCommit: s.port.GitCommit, Go: s.port.Go,
		Host: c.Host, Port: int(s.addr.Port()), Headers: !o.NoHeaderSupport, MaxPayload: int32(o.MaxPayload),
		AuthRequired: c.Auth.User != "", Cluster: s.name, ClusterDynamic: s.dynamic, LameDuck: s.duck.Load(),
		LNOC: true, LNOCU: true, LN: true, Import: permInfo(c.Import), Export: permInfo(c.Export),
	}
	s.mu.Unlock()
	if t := c.TLS; t != nil {
		in.TLSRequired, in.TLSVerify = true, true
	}
	if c.PoolSize > 0 {
		in.PoolSize = c.PoolSize
	}
	if m := ownCompression(o); link.NegotiatesCompression(m) || m == link.CompressionOff {
		in.Compression = m
	}
	if s.port.JetStream != nil {
		in.JetStream, in.Domain = s.port.JetStream()
	}
	if s.port.ClientURLs != nil && !c.NoAdvertise {
		in.ConnectURLs, in.WSConnectURLs = s.port.ClientURLs()
	}
	if c.Advertise != "" {
		in.Host, in.Port = advertised(c.Advertise, in.Port)
		in.IP = "nats-route://" + net.JoinHostPort(in.Host, strconv.Itoa(in.Port)) + "/"
	}
	if s.port.GatewayURL != nil {
		in.GatewayURL = s.port.GatewayURL()
	}
	if s.port.LeafURL != nil {
		if u := s.port.LeafURL(); u != "" {
			in.LeafURLs = []string{u}
		}
	}
	return in
}

// advertised splits host[:port].
func advertised(adv string, port int) (string, int) {
	h, p, err := net.SplitHostPort(adv)
	if err != nil {
		return adv, port
	}
	if n, err := strconv.Atoi(p); err == nil && n > 0 {
		port = n
	}
	return h, port
}

// ownCompression is the configured mode.
func ownCompression(o *config.Options) string {
	return link.CompressionMode(&o.Cluster.Compression, link.CompressionFast)
}

func permInfo(p *config.SubjectPerm) *wire.PermInfo {
	if p == nil {
		return nil
	}
	return &wire.PermInfo{Allow: p.Allow, Deny: p.Deny}
}

// sendInfo sends the own INFO; final is the one with which the server that dialed registers.
func (r *Route) sendInfo(final bool) { r.sendInfoOf(r.svc.options(), final) }

func (r *Route) sendInfoOf(o *config.Options, final bool) {
	in := r.svc.info(o)
	in.Nonce = r.nonce
	if final {
		in.PoolIdx, in.Account = r.slot, r.account
		if r.single {
			in.PoolSize = 0
		}
	}
	if r.comp.Mode() == link.CompressionNotSupported {
		in.Compression = ""
	}
	r.Send(wire.AppendRouteInfo(nil, &in))
}

// onInfo handles INFO: of the handshake, about the other server later, or about a third one.
func (r *Route) onInfo(op *wire.Op) error {
	in, err := wire.ParseRouteInfo(op.Arg)
	if err != nil {
		r.Logf(engine.Error, "RJ-R004", "%v", err)
		return r.refuse("", netio.ReasonProtocolViolation)
	}
	if in.GatewayCmd != 0 {
		if r.stage == registered && r.svc.port.GatewayInfo != nil {
			r.svc.port.GatewayInfo(&in)
		}
		return nil
	}
	switch {
	case r.stage == registered && in.ServerID != r.remoteID:
		r.svc.learned(r, &in)
		return nil
	case r.stage == registered:
		r.svc.updated(r, &in)
		return nil
	case r.stage != informing:
		return r.refuse(wire.TextUnknownOperation, netio.ReasonProtocolViolation)
	}
	if in.ServerID == r.svc.port.ID {
		r.svc.foundSelf(r)
		r.Logf(engine.Debug, "", "Detected route to self")
		return r.refuse("", netio.ReasonDuplicateRoute)
	}
	if r.member == nil && in.ServerName != "" && in.ServerName == r.svc.port.Name() {
		r.Logf(engine.Error, "RJ-R008", "Remote server has a duplicate name: %q", in.ServerName)
		return r.refuse("Duplicate Server Name", netio.ReasonDuplicateServerName)
	}
	if r.member != nil && !r.svc.agree(in.Cluster, in.ClusterDynamic, in.ServerID) && !in.ClusterDynamic {
		return r.nameConflict(in.Cluster)
	}
	if r.comp.Mode() == "" {
		if err := r.negotiate(&in); err != nil {
			return err
		}
	}
	return r.register(&in)
}

// negotiate settles compression; ErrUpgraded means that another INFO follows.
func (r *Route) negotiate(in *wire.RouteInfo) error {
	o := r.svc.options()
	own := ownCompression(o)
	mode := link.SelectCompression(own, in.Compression)
	if !link.NegotiatesCompression(own) || !link.Compresses(mode) {
		r.comp.Settle(mode)
		return nil
	}
	limits := o.Cluster.Compression.RTTThresholds
	if r.member != nil {
		mine := r.svc.info(o)
		mine.Compression = mode
		r.Send(wire.AppendRouteInfo(nil, &mine))
		return r.comp.Start(&r.Conn, mode, limits)
	}
	err := r.comp.Start(&r.Conn, mode, limits)
	r.sendInfo(false)
	return err
}

// updated takes what a connected server says about itself later.
func (s *Service) updated(r *Route, in *wire.RouteInfo) {
	s.mu.Lock()
	p := s.peers[r.remoteID]
	if p == nil {
		s.mu.Unlock()
		return
	}
	if in.AccReqID != "" {
		s.mu.Unlock()
		s.accountAdded(r, in)
		return
	}
	keep := p.info
	p.info = *in
	p.info.IP, p.info.PoolSize = keep.IP, keep.PoolSize
	if in.IP != "" {
		p.info.IP = in.IP
	}
	wider := !reflect.DeepEqual(keep.Export, in.Export)
	all := p.routes()
	s.mu.Unlock()
	if wider { // what it ignored before it may take now
		for _, o := range all {
			s.refollow(o, true)
		}
	}
	if s.port.PeerInfo != nil {
		s.port.PeerInfo(in)
	}
	s.changed()
}

// routeURL is where the server that in describes, connected from addr, accepts routes: host:port.
func routeURL(in *wire.RouteInfo, addr netip.AddrPort) string {
	return net.JoinHostPort(addr.Addr().Unmap().String(), strconv.Itoa(in.Port))
}

// Broadcast sends the present INFO to every server of the cluster. Any goroutine.
func (s *Service) Broadcast() {
	o := s.options() // as of now: the others must hear of each change of what they may announce, not only of the last
	s.eachPeer(func(r *Route) { r.on(func() { r.sendInfoOf(o, false) }) })
}

// LameDuck tells the cluster that the clients of this server are sent away. Any goroutine.
func (s *Service) LameDuck() {
	s.duck.Store(true)
	s.Broadcast()
}
