package link

import (
	"time"

	"ramjet/engine"
	"ramjet/engine/netio"
	"ramjet/proto/wire"
)

// firstPing is the longest wait for the first PING after a handshake; rttEvery is how often the round
// trip time is measured at least (reference/protocol.md, section 13).
const (
	firstPingClient = 2 * time.Second
	firstPingOther  = time.Second
	rttEvery        = int64(time.Hour)
)

// pingState is the keep-alive of a connection. Loop.
type pingState struct {
	interval time.Duration
	sent     int64 // when the PING being measured left, unix nanoseconds
	out      uint8 // PINGs without PONG
	max      uint8
	// always: kinds whose PING is not skipped while data arrives
	always bool
}

var pingLine = []byte("PING\r\n")

// SetPing sets interval and limit and arms the timer for a whole interval. Loop.
func (c *Conn) SetPing(interval time.Duration, limit int) {
	c.ping.interval, c.ping.max = interval, uint8(min(max(limit, 0), 254))
	c.ping.always = c.ping.always || c.kind == engine.Router || c.kind == engine.Gateway
	if interval > 0 {
		c.nc.SetTimer(TimerPing, interval)
	}
}

// PingAlways makes the PING be sent also while data arrives: the leafnode's end of its connection. Loop.
func (c *Conn) PingAlways() { c.ping.always = true }

// FirstPing arms the timer for the first PING after the handshake; jitter in [0,1) spreads
// connections that arrive together. Loop.
func (c *Conn) FirstPing(jitter float64) {
	d := firstPingOther
	if c.kind == engine.Client {
		d = firstPingClient
	}
	if c.ping.interval <= 0 {
		return
	}
	d = min(d, c.ping.interval)
	d += time.Duration(float64(d) * 0.2 * jitter)
	c.nc.SetTimer(TimerPing, d)
}

// OnTimer implements netio.Handler.
func (c *Conn) OnTimer(_ *netio.Conn, id uint8) {
	c.lane.Now = c.nc.Loop().Now()
	if c.state == closing {
		return
	}
	switch id {
	case TimerPing:
		c.onPingTimer(c.lane.Now)
	case TimerStall:
		c.onStallTimer()
	default:
		c.proto.OnTimer(id)
	}
}

// onPingTimer sends a PING, skips it while the peer is active, or closes a peer that does not answer.
func (c *Conn) onPingTimer(now int64) {
	p := &c.ping
	c.Logf(engine.Debug, "", "%s Ping Timer", c.kind)
	rtt := c.stats.rtt.Load()
	due := rtt == 0 || now-p.sent > rttEvery
	idle := now - c.stats.lastIn.Load()
	switch {
	case !p.always && !due && idle < int64(p.interval):
		c.Logf(engine.Debug, "", "Delaying PING due to remote client data or ping %v ago",
			time.Duration(idle).Round(time.Second))
	case p.out+1 > p.max:
		c.Logf(engine.Debug, "", "Stale %s Connection - Closing", c.kind)
		c.env.shared.stale[c.kind].Add(1)
		c.CloseErr(wire.TextStaleConnection, netio.ReasonStale)
		return
	default:
		p.out++
		p.sent = now
		c.Send(pingLine)
		if c.lane.Trace {
			c.Logf(engine.Trace, "", "->> [PING]")
		}
	}
	c.nc.SetTimer(TimerPing, p.interval)
}

// Pong notes a PONG of the peer. Loop.
func (c *Conn) Pong() {
	p := &c.ping
	if p.out > 0 {
		c.stats.rtt.Store(max(1, c.lane.Now-p.sent))
	}
	p.out = 0
}

// GuessRTT takes the time from accept to CONNECT as the round trip time until a PONG tells it better. Loop.
func (c *Conn) GuessRTT() {
	if c.stats.rtt.Load() == 0 {
		c.stats.rtt.Store(max(1, c.env.Clock.Now().UnixNano()-c.start))
	}
}

// RTT returns the last measured round trip time, 0 when none. Any goroutine.
func (c *Conn) RTT() time.Duration { return time.Duration(c.stats.rtt.Load()) }
