package mqtt

import (
	"time"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/wire"
)

// Timers of a client.
const (
	timerAuth = link.TimerAuth // CONNECT, then expiry of the user
	timerKeep = link.TimerUser // keep alive
)

// OnOpen implements link.Protocol: registration and TLS.
func (c *Client) OnOpen() {
	o := c.svc.options()
	c.SetOutputLimits(o)
	c.SetHeaders(true)
	c.maxSub, c.maxPay = link.MinLimit(o.MaxSubs), link.MinLimit(o.MaxPayload)
	c.limitPackets()
	c.Logf(engine.Debug, "", "Client connection created")
	if !c.svc.link.Registry.Add(&c.Conn, o.MaxConn) {
		c.Logf(engine.Error, "RJ-Q004", "%s", wire.TextMaxConnections)
		c.CloseErr("", netio.ReasonMaxConnections)
		return
	}
	if c.svc.duck.Load() {
		c.CloseErr("", netio.ReasonServerShutdown)
		return
	}
	if c.Type() == engine.MQTTWS { // TLS was before the upgrade
		if !c.unpinned(o) {
			c.secured(o)
		}
		return
	}
	t := c.svc.mqttOptions().TLS
	switch {
	case t == nil || t.Config == nil:
		c.secured(o)
	case o.AllowNonTLS:
		c.Net().DetectTLS(tlsTimeout(t), func(isTLS bool) {
			if isTLS {
				c.startTLS(t)
			} else {
				c.secured(o)
			}
		})
	default:
		c.startTLS(t)
	}
}

func tlsTimeout(t *config.TLSOptions) time.Duration {
	if t.Timeout > 0 {
		return t.Timeout
	}
	return defaultTimeout
}

func (c *Client) startTLS(t *config.TLSOptions) {
	if c.Closing() {
		return
	}
	c.Logf(engine.Debug, "", "Starting TLS mqtt connection handshake")
	c.Net().StartTLS(netio.TLSSpec{Config: t.Config, Timeout: tlsTimeout(t)})
}

// OnSecured implements link.Protocol.
func (c *Client) OnSecured() {
	c.Logf(engine.Debug, "", "TLS handshake complete")
	if o := c.svc.options(); !c.unpinned(o) {
		c.secured(o)
	}
}

// unpinned closes a client whose certificate is not among the pinned ones (any more).
func (c *Client) unpinned(o *config.Options) bool {
	t := c.svc.mqttOptions().TLS
	if c.Type() == engine.MQTTWS {
		if t = nil; o.Websocket != nil {
			t = o.Websocket.TLS
		}
	}
	st := c.Net().TLS()
	if st == nil || t.Pinned(st) {
		return false
	}
	c.Logf(engine.Error, "RJ-Q005", "TLS handshake error: certificate not pinned")
	c.CloseErr("", netio.ReasonTLSHandshake)
	return true
}

// secured: the transport is up, the client may speak; if it has to say who it is, not for long.
func (c *Client) secured(o *config.Options) {
	if c.Closing() || c.lim.Connected || !c.svc.required() {
		return
	}
	d := c.svc.mqttOptions().Auth.Timeout
	if d <= 0 {
		d = o.Auth.Timeout
	}
	if d <= 0 {
		d = defaultTimeout
	}
	c.Net().SetTimer(timerAuth, d)
}

// OnTimer implements link.Protocol.
func (c *Client) OnTimer(id uint8) {
	switch {
	case id == timerKeep:
		c.onKeepAlive()
	case c.acct == nil:
		c.Logf(engine.Debug, "", "Authentication Timeout")
		c.CloseErr("", netio.ReasonAuthTimeout)
	default:
		c.expire()
	}
}

// startKeepAlive begins to watch the silence of a client that announced seconds between its packets: half as
// much again is allowed.
func (c *Client) startKeepAlive(seconds uint16) {
	if seconds == 0 {
		return
	}
	c.keep = int64(silence(seconds))
	c.heard = c.Net().Loop().Now()
	c.Net().SetTimer(timerKeep, time.Duration(c.keep))
}

// silence is how long a client that announced seconds may be silent.
func silence(seconds uint16) time.Duration { return time.Duration(seconds) * 3 * time.Second / 2 }

func (c *Client) onKeepAlive() {
	if left := c.heard + c.keep - c.Lane().Now; left > 0 {
		c.Net().SetTimer(timerKeep, time.Duration(left))
		return
	}
	c.Logf(engine.Error, "RJ-Q006", "read error: i/o timeout")
	c.CloseErr("", netio.ReasonReadError)
}

// expire closes a client whose user's time is over.
func (c *Client) expire() {
	u := c.User()
	if u == nil || u.Expires.IsZero() {
		return
	}
	if left := u.Expires.Sub(c.svc.link.Clock.Now()); left > time.Millisecond {
		c.Net().SetTimer(timerAuth, left)
		return
	}
	c.Logf(engine.Debug, "", "User Authentication Expired")
	c.CloseErr("", netio.ReasonAuthExpired)
}
