package gateway

import (
	"fmt"
	"net/url"
	"time"

	"ramjet/engine"
	"ramjet/engine/auth"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/wire"
)

const (
	// lineFactor is how much longer than a client's the lines of other servers may be.
	lineFactor = 16
	// defaultTLSTimeout bounds a handshake when the TLS block says nothing.
	defaultTLSTimeout = 2 * time.Second
)

// Texts for peers that came to the wrong place.
const (
	textWrongPort = "attempted to connect to gateway port"
)

// OnOpen implements link.Protocol: TLS at once, then the acceptor speaks first.
func (c *Conn) OnOpen() {
	o := c.Env().Options()
	l := c.Limits()
	l.Dialect, l.MaxControlLine, l.Headers = wire.DialectGateway, o.MaxControlLine*lineFactor, true
	l.MaxPayload = 0 // nobody is known yet
	l.MustConnect = !c.outbound()
	c.SetOutputLimits(o)
	if c.svc.stopping.Load() {
		c.CloseErr("", netio.ReasonServerShutdown)
		return
	}
	c.Env().Registry.Add(&c.Conn, 0)
	if c.outbound() {
		c.Logf(engine.Info, "", "Creating outbound gateway connection to %q", c.remote.name)
		c.svc.mu.Lock()
		c.remote.used = true
		c.svc.mu.Unlock()
		// Nothing may be sent before INFO arrives, so that no PING can tell whether the peer is there.
		c.Net().SetTimer(link.TimerUser, c.pingInterval(o)*time.Duration(o.PingMax+1))
		if t := c.remote.tls(); t != nil {
			c.svc.mu.Lock()
			host := c.remote.host
			c.svc.mu.Unlock()
			c.Logf(engine.Debug, "", "Starting TLS gateway client handshake")
			c.Net().StartTLS(link.ClientTLS(t, c.url.Hostname(), host))
		}
		return
	}
	c.Logf(engine.Info, "", "Processing inbound gateway connection")
	g := o.Gateway
	c.Net().SetTimer(link.TimerAuth, g.Auth.Timeout)
	if t := g.TLS; t != nil && t.Config != nil {
		d := t.Timeout
		if d <= 0 {
			d = defaultTLSTimeout
		}
		c.Logf(engine.Debug, "", "Starting TLS gateway server handshake")
		c.Net().StopTimer(link.TimerAuth)
		c.Net().StartTLS(netio.TLSSpec{Config: t.Config, Timeout: d})
		return
	}
	c.greet()
}

// OnSecured implements link.Protocol.
func (c *Conn) OnSecured() {
	c.Logf(engine.Debug, "", "TLS handshake complete")
	if c.unpinned() || c.outbound() {
		return
	}
	c.Net().SetTimer(link.TimerAuth, c.svc.options().Auth.Timeout)
	c.greet()
}

// greet sends INFO to who connected.
func (c *Conn) greet() {
	c.stage = greeting
	in := c.svc.info()
	c.Send(wire.AppendGatewayInfo(nil, &in))
}

// unpinned closes a connection whose certificate is not among the pinned ones (any more).
func (c *Conn) unpinned() bool {
	t := c.svc.options().TLS // that of a remote cluster has none
	st := c.Net().TLS()
	if st == nil || t.Pinned(st) {
		return false
	}
	c.Logf(engine.Error, "RJ-G004", "TLS handshake error: certificate not pinned")
	c.CloseErr("", netio.ReasonTLSHandshake)
	return true
}

// recheck applies a reload. Loop.
func (c *Conn) recheck() {
	if c.Closing() {
		return
	}
	o := c.Env().Options()
	c.Limits().MaxControlLine = o.MaxControlLine * lineFactor
	c.SetOutputLimits(o)
	c.unpinned()
}

func (c *Conn) pingInterval(o *config.Options) time.Duration {
	if o.PingInterval <= 0 {
		return pingCap
	}
	return min(o.PingInterval, pingCap)
}

// alive begins to send PINGs: the handshake has come so far that they are understood.
func (c *Conn) alive() {
	o := c.Env().Options()
	c.Net().StopTimer(link.TimerUser)
	c.SetPing(c.pingInterval(o), o.PingMax)
	c.FirstPing(float64(c.ID()%16) / 16)
}

// OnTimer implements link.Protocol.
func (c *Conn) OnTimer(id uint8) {
	switch id {
	case link.TimerAuth:
		c.Logf(engine.Debug, "", "Authentication Timeout")
		c.CloseErr(wire.TextAuthenticationTimeout, netio.ReasonAuthTimeout)
	case link.TimerUser:
		c.Logf(engine.Debug, "", "Stale Gateway Connection - Closing")
		c.CloseErr(wire.TextStaleConnection, netio.ReasonStale)
	}
}

// onConnect handles CONNECT of an inbound connection.
func (c *Conn) onConnect(arg []byte) error {
	if c.outbound() || c.stage != greeting {
		return c.violation("CONNECT")
	}
	cn, err := wire.ParseGatewayConnect(arg)
	if err != nil {
		c.Logf(engine.Error, "RJ-G005", "%v", err)
		c.CloseErr("", netio.ReasonProtocolViolation)
		return link.ErrClosed
	}
	c.stage = checking
	g := c.svc.options()
	if t := g.TLS; t != nil && t.KnownURLs {
		ok := auth.NamedByURL(c.Net().TLS(), c.svc.knownURLs())
		return c.checked(&cn, ok)
	}
	if t := g.TLS; t != nil && t.VerifyAndMap {
		return c.checked(&cn, auth.NamedBy(c.Net().TLS(), g.Auth.User))
	}
	if g.Auth.User == "" {
		return c.checked(&cn, true)
	}
	// Nothing that follows is handled before the answer.
	loop, later := c.Net().Loop(), false
	held := make(chan bool, 1)
	c.Env().Auth().CheckServer(g.Auth.User, g.Auth.Pass, cn.User, cn.Pass, c.Env().Group.Pool(), func(ok bool) {
		select {
		case held <- ok: // before CheckServer returned, or first
		default:
		}
		loop.Post(func() {
			if later && !c.Closing() {
				later = false
				if c.checked(&cn, ok) == nil {
					c.Resume()
				}
			}
		})
	})
	select {
	case ok := <-held:
		return c.checked(&cn, ok)
	default:
		later = true
		return link.ErrHold
	}
}

// knownURLs are those of the configured clusters.
func (s *Service) knownURLs() []*url.URL {
	var all []*url.URL
	for _, r := range s.options().Gateways {
		all = append(all, r.URLs...)
	}
	return all
}

// checked goes on after the credentials were checked.
func (c *Conn) checked(cn *wire.GatewayConnect, ok bool) error {
	if !ok {
		c.Logf(engine.Error, "RJ-G006", "authentication error")
		c.Env().Events.AuthFailed(&c.Conn, netio.ReasonAuthFailure)
		c.CloseErr(wire.TextAuthorizationViolation, netio.ReasonAuthFailure)
		return link.ErrClosed
	}
	c.Net().StopTimer(link.TimerAuth)
	if cn.Gateway == "" {
		c.Logf(engine.Error, "RJ-G007", "%s", textWrongPort)
		c.CloseErr(textWrongPort, netio.ReasonWrongPort)
		return link.ErrClosed
	}
	if c.svc.options().RejectUnknown && c.svc.known(cn.Gateway) == nil {
		c.Logf(engine.Error, "RJ-G008", "Rejecting connection from gateway %q", link.Quote(cn.Gateway))
		c.CloseErr(fmt.Sprintf("Connection to gateway %q rejected", c.svc.name), netio.ReasonWrongGateway)
		return link.ErrClosed
	}
	c.claim = cn.Gateway
	c.stage = connected
	c.Limits().MustConnect = false
	c.alive()
	return nil
}

// known returns the cluster called name, nil when it was neither configured nor learned of.
func (s *Service) known(name string) *remote {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remotes[name]
}

// onInfo handles INFO on either side.
func (c *Conn) onInfo(arg []byte) error {
	in, err := wire.ParseGatewayInfo(arg)
	if err != nil {
		c.Logf(engine.Error, "RJ-G005", "%v", err)
		c.CloseErr("", netio.ReasonProtocolViolation)
		return link.ErrClosed
	}
	switch {
	case c.outbound():
		return c.onAcceptorInfo(&in)
	case c.stage == connected:
		return c.onDialerInfo(&in)
	}
	return nil // an acceptor has nothing to learn from later ones
}

// duplicate closes when the other server has the name of one of this cluster.
func (c *Conn) duplicate(in *wire.GatewayInfo) bool {
	own := in.ServerName != "" && in.ServerName == c.svc.p.Name()
	if !own && (c.svc.p.Duplicate == nil || !c.svc.p.Duplicate(in.ServerName)) {
		return false
	}
	c.Logf(engine.Error, "RJ-G009", "Remote server has a duplicate name: %q", link.Quote(in.ServerName))
	c.CloseErr("", netio.ReasonDuplicateServerName)
	return true
}

// onAcceptorInfo handles INFO of the server that was dialed: the first one, later addresses of its cluster, other
// clusters it knows, and the beginning and end of an account's interest.
func (c *Conn) onAcceptorInfo(in *wire.GatewayInfo) error {
	r, first := c.remote, c.stage == opening
	switch {
	case in.Gateway == "":
		text := fmt.Sprintf("Attempt to connect to gateway %q using wrong port", r.name)
		c.Logf(engine.Error, "RJ-G007", "%s", text)
		c.CloseErr(text, netio.ReasonWrongPort)
		return link.ErrClosed
	case in.Gateway != r.name && !first && in.Cmd == wire.GatewayGossip:
		if !c.svc.options().RejectUnknown || c.svc.known(in.Gateway) != nil {
			c.svc.Discovered(in)
		}
		return nil
	case in.Gateway != r.name:
		c.Logf(engine.Error, "RJ-G010", "Failing connection to gateway %q, remote gateway name is %q", r.name, link.Quote(in.Gateway))
		c.CloseErr(fmt.Sprintf("Connection from %q rejected, wanted to connect to %q, this is %q", c.svc.name, r.name, in.Gateway), netio.ReasonWrongGateway)
		return link.ErrClosed
	case c.duplicate(in):
		return link.ErrClosed
	}
	if len(in.URLs) > 0 {
		var configured []*url.URL
		if rc := r.configured(); rc != nil {
			configured = rc.URLs
		}
		c.svc.mu.Lock()
		r.reset(configured)
		r.learn(in.URLs)
		c.svc.mu.Unlock()
	}
	switch {
	case first:
		if err := c.join(in); err != nil {
			return err
		}
	case in.Cmd == wire.GatewayAllStart:
		return c.onAllStart(in.CmdPayload)
	case in.Cmd == wire.GatewayAllDone:
		return c.onAllDone(in.CmdPayload)
	case in.Cmd != 0:
		c.Logf(engine.Warn, "RJ-G011", "Received unknown command %d from gateway %q", in.Cmd, r.name)
		return nil
	}
	c.svc.tellRoutes(in.Gateway, in.URLs)
	return nil
}

// join answers the first INFO of the acceptor: CONNECT and INFO, and the connection is in use.
func (c *Conn) join(in *wire.GatewayInfo) error {
	o := c.Env().Options()
	cn := wire.GatewayConnect{User: o.Gateway.Auth.User, Pass: o.Gateway.Auth.Pass, TLSRequired: c.Net().TLS() != nil,
		Name: c.svc.p.ID, Gateway: c.svc.name}
	if u := c.url.User; u != nil {
		cn.User = u.Username()
		cn.Pass, _ = u.Password()
	}
	own := c.svc.info()
	c.Send(wire.AppendGatewayInfo(wire.AppendGatewayConnect(nil, &cn), &own))
	c.SetHeaders(!o.NoHeaderSupport && in.Headers)
	c.SetIdentity(&link.Identity{Name: in.ServerID})
	c.peer.Store(&peer{cluster: c.remote.name, id: in.ServerID, server: in.ServerName, interestOnly: in.IOM, traces: in.Proto >= link.TraceProto})
	c.Limits().MaxPayload = 0 // messages go the other way
	c.stage = ready
	// CONNECT must be ahead of the first message of any loop.
	c.Out().Flush(c.LoopID())
	if !c.svc.addOut(c) {
		c.CloseErr("", netio.ReasonWrongGateway)
		return link.ErrClosed
	}
	c.bindAccounts()
	c.remote.solicitor.Connected()
	c.Logf(engine.Info, "", "Outbound gateway connection to %q (%s) registered", c.remote.name, link.Quote(in.ServerID))
	c.alive()
	if f := c.svc.p.Connected; f != nil {
		f()
	}
	return nil
}

// onDialerInfo handles the INFO that follows CONNECT.
func (c *Conn) onDialerInfo(in *wire.GatewayInfo) error {
	if c.duplicate(in) {
		return link.ErrClosed
	}
	if in.Gateway == "" {
		in.Gateway = c.claim
	}
	o := c.Env().Options()
	c.stage = ready
	c.Limits().MaxPayload = -1
	c.SetHeaders(!o.NoHeaderSupport && in.Headers)
	c.SetIdentity(&link.Identity{Name: in.ServerID})
	c.peer.Store(&peer{cluster: in.Gateway, id: in.ServerID, server: in.ServerName, traces: in.Proto >= link.TraceProto})
	c.svc.mu.Lock()
	c.svc.inbound[c] = struct{}{}
	c.svc.mu.Unlock()
	c.Logf(engine.Info, "", "Inbound gateway connection from %q (%s) registered", link.Quote(in.Gateway), link.Quote(in.ServerID))
	// Announcements go straight into the queue; what was staged by the handshake is ahead of them.
	c.Out().Flush(c.LoopID())
	c.announceAccounts()
	c.svc.Discovered(in)
	c.gossip(in.Gateway)
	return nil
}
