package server

import (
	"net"
	"runtime"
	"slices"
	"strconv"

	"ramjet/engine/auth"
	"ramjet/engine/config"
	"ramjet/proto/wire"
)

// infoSet is the server-wide part of INFO per listener: immutable, replaced when the configuration, the
// cluster or the life of the server changes.
type infoSet struct {
	client, ws wire.Info
	leaf       wire.LeafInfo
}

func (i *infoSet) get(l auth.Listener) wire.Info {
	if l == auth.WebsocketListener {
		return i.ws
	}
	return i.client
}

// updateInfo computes INFO again. Control.
func (s *Server) updateInfo() { s.infos.Store(s.buildInfo()) }

func (s *Server) buildInfo() *infoSet {
	o, a := s.opts.Load(), s.auth.Load()
	addrs := s.addrs.Load()
	in := wire.Info{
		ServerID:   s.id,
		ServerName: s.Name(),
		Version:    NATSVersion,
		GitCommit:  gitCommit,
		Go:         runtime.Version(),
		Proto:      protoLevel,
		Headers:    !o.NoHeaderSupport,
		MaxPayload: int32(o.MaxPayload),
		LameDuck:   s.InLameDuck(),
		APILevel:   APILevel,
		XKey:       s.xkey,
	}
	if j := o.JetStream; j != nil && j.Enabled {
		in.JetStream, in.Domain = true, j.Domain
	}
	if s.routes != nil {
		in.Cluster, in.ClusterDynamic = s.routes.Name(), s.routes.Dynamic()
		in.ConnectURLs, in.WSConnectURLs = s.clusterURLs()
	}
	set := &infoSet{client: in, ws: in}
	c := &set.client
	c.Host, c.Port = advertised(o.ClientAdvertise, o.Host, portOf(addrs.client, o.Port))
	c.AuthRequired = a.Required(auth.ClientListener)
	setTLS(c, o.TLS, o.AllowNonTLS)
	if w := o.Websocket; w != nil {
		c := &set.ws
		c.Host, c.Port = advertised(w.Advertise, w.Host, portOf(addrs.ws, w.Port))
		c.AuthRequired = a.Required(auth.WebsocketListener)
		setTLS(c, w.TLS, false)
	}
	set.leaf = s.leafInfo(o, addrs.leaf, addrs.ws)
	return set
}

func setTLS(in *wire.Info, t *config.TLSOptions, allowPlain bool) {
	if t == nil {
		return
	}
	in.TLSRequired = !allowPlain
	in.TLSAvailable = allowPlain
	in.TLSVerify = t.Verify || t.VerifyAndMap
}

// advertised returns the host and port to show: those of adv ("host[:port]") where given.
func advertised(adv, host string, port int) (string, int) {
	if adv == "" {
		return host, port
	}
	h, p, err := net.SplitHostPort(adv)
	if err != nil {
		return adv, port
	}
	if n, err := strconv.Atoi(p); err == nil && n > 0 {
		port = n
	}
	return h, port
}

// portOf returns the bound port, or the configured one before binding.
func portOf(a net.Addr, configured int) int {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.Port
	}
	return configured
}

// connectURLs returns the host:port pairs under which this server's clients can reach it: what
// protocol.md, section 12 puts in connect_urls once a cluster is known.
func connectURLs(adv, host string, port int) []string {
	if adv != "" {
		h, p := advertised(adv, host, port)
		return []string{net.JoinHostPort(h, strconv.Itoa(p))}
	}
	var urls []string
	for _, h := range expandHost(host, false) {
		urls = append(urls, net.JoinHostPort(h, strconv.Itoa(port)))
	}
	slices.Sort(urls)
	return slices.Compact(urls)
}
