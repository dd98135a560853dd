package client

import (
	"time"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/wire"
)

const (
	proxyTimeout   = 5 * time.Second // PROXY header
	defaultTimeout = 2 * time.Second // authentication and TLS
	rejectReport   = time.Second / 2 // from the first rejected handshake to the log line about all of them
)

// OnOpen implements link.Protocol: registration, PROXY header, TLS mode, INFO.
func (p *Client) OnOpen() {
	o := p.svc.options()
	p.SetOutputLimits(o)
	p.applyServerLimits(o)
	p.Logf(engine.Debug, "", "Client connection created")
	if !p.svc.env.Registry.Add(&p.Conn, o.MaxConn) {
		p.refuse(wire.TextMaxConnections)
		return
	}
	if p.svc.duck.Load() {
		p.CloseErr("", netio.ReasonServerShutdown)
		return
	}
	p.SetPing(p.pingInterval(o), o.PingMax)
	if p.unpinned(o) { // websocket: the handshake was before
		return
	}
	if p.Type() != engine.Standard {
		// In-process needs no transport security; websocket did it before the upgrade.
		p.sendInfo()
		p.secured()
		return
	}
	if o.ProxyProtocol {
		p.Net().ExpectProxy(proxyTimeout)
	}
	p.openTLS(o)
}

// openTLS starts what the TLS options of the listener say.
func (p *Client) openTLS(o *config.Options) {
	t := o.TLS
	if t == nil || t.Config == nil {
		p.sendInfo()
		p.secured()
		return
	}
	nc := p.Net()
	switch {
	case t.HandshakeFirst && t.HandshakeFirstFallback > 0:
		nc.DetectTLS(t.HandshakeFirstFallback, func(isTLS bool) {
			if isTLS {
				p.tlsFirst = true
			} else {
				p.sendInfo()
			}
			p.startTLS(t)
		})
	case t.HandshakeFirst && !o.AllowNonTLS:
		p.tlsFirst = true
		p.startTLS(t)
	case o.AllowNonTLS:
		// Plain clients speak after INFO, TLS clients start their handshake; one byte tells.
		p.sendInfo()
		nc.DetectTLS(0, func(isTLS bool) {
			if isTLS {
				p.startTLS(t)
			} else {
				p.secured()
			}
		})
		p.armAuthTimer(o)
	default:
		p.sendInfo()
		p.startTLS(t)
	}
}

// startTLS begins the handshake, unless too many were begun this second.
func (p *Client) startTLS(t *config.TLSOptions) {
	if p.Closing() {
		return
	}
	if t.RateLimit > 0 && !p.svc.rate.allow(p.Net().Loop().Now(), t.RateLimit) {
		if l := p.Net().Loop(); p.svc.rate.reject() {
			svc := p.svc
			l.After(rejectReport, func() {
				svc.env.Logger.Logf(engine.Warn, "RJ-C015", "Rejected %d connections due to TLS rate limiting", svc.rate.rejected.Swap(0))
			})
		}
		p.refuse(wire.TextConnectionThrottling)
		return
	}
	d := t.Timeout
	if d <= 0 {
		d = defaultTimeout
	}
	p.Logf(engine.Debug, "", "Starting TLS client connection handshake")
	p.Net().StopTimer(link.TimerAuth)
	p.Out().Flush(p.LoopID())
	p.Net().StartTLS(netio.TLSSpec{Config: t.Config, Timeout: d})
}

// refuse closes a connection there is no room for.
func (p *Client) refuse(text string) {
	if p.mode&infoSent == 0 {
		p.sendInfo()
	}
	p.Logf(engine.Error, "RJ-C002", "%s", text)
	p.CloseErr(text, netio.ReasonMaxConnections)
}

// OnSecured implements link.Protocol.
func (p *Client) OnSecured() {
	p.Logf(engine.Debug, "", "TLS handshake complete")
	if p.unpinned(p.svc.options()) {
		return
	}
	if p.mode&infoSent == 0 {
		p.sendInfo()
	}
	p.secured()
}

// unpinned closes a client whose certificate is not among the pinned ones (any more).
func (p *Client) unpinned(o *config.Options) bool {
	t := o.TLS
	if p.Type() == engine.Websocket && o.Websocket != nil {
		t = o.Websocket.TLS
	}
	st := p.Net().TLS()
	if st == nil || t.Pinned(st) {
		return false
	}
	p.Logf(engine.Error, "RJ-C014", "TLS handshake error: certificate not pinned")
	p.CloseErr("", netio.ReasonTLSHandshake)
	return true
}

// secured: the transport is up, the client may speak.
func (p *Client) secured() {
	if p.stage != transport || p.Closing() {
		return
	}
	p.stage = handshake
	if p.mode&needAuth == 0 {
		p.stage = ready
		return
	}
	p.armAuthTimer(p.svc.options())
}

// armAuthTimer starts the wait for CONNECT.
func (p *Client) armAuthTimer(o *config.Options) {
	if p.mode&needAuth == 0 {
		return
	}
	p.Net().SetTimer(link.TimerAuth, authTimeout(o, p.Type() == engine.Websocket))
}

// authTimeout is the time from INFO to an accepted CONNECT.
func authTimeout(o *config.Options, ws bool) time.Duration {
	if ws && o.Websocket != nil && o.Websocket.Auth.Timeout > 0 {
		return o.Websocket.Auth.Timeout
	}
	if o.Auth.Timeout > 0 {
		return o.Auth.Timeout
	}
	if o.TLS != nil && o.TLS.Timeout > 0 {
		return o.TLS.Timeout + time.Second
	}
	return defaultTimeout
}

// pingInterval of the listener.
func (p *Client) pingInterval(o *config.Options) time.Duration {
	if p.Type() == engine.Websocket && o.Websocket != nil && o.Websocket.PingInterval > 0 {
		return o.Websocket.PingInterval
	}
	return o.PingInterval
}

// OnTimer implements link.Protocol.
func (p *Client) OnTimer(id uint8) {
	switch {
	case id == link.TimerAuth && p.mode&needAuth != 0:
		p.Logf(engine.Debug, "", "Authentication Timeout")
		p.CloseErr(wire.TextAuthenticationTimeout, netio.ReasonAuthTimeout)
	case id == link.TimerAuth:
		p.Expire()
	case id == link.TimerUser:
		p.CloseErr("", netio.ReasonServerShutdown)
	}
}
