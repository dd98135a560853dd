package link

import (
	"time"

	"ramjet/engine"
	"ramjet/engine/netio"
	"ramjet/proto/wire"
)

// Expire closes a connection whose user's time is over, and sets TimerAuth again if it fired too early. For kinds that speak the line
// protocol. Loop.
func (c *Conn) Expire() {
	u := c.User()
	if u == nil || u.Expires.IsZero() {
		return
	}
	if left := u.Expires.Sub(c.env.Clock.Now()); left > time.Millisecond {
		c.nc.SetTimer(TimerAuth, left)
		return
	}
	text := wire.TextUserExpired
	if u.ExpiresByAccount {
		text = wire.TextAccountExpired
	}
	c.Logf(engine.Debug, "", "%s", text)
	c.CloseErr(text, netio.ReasonAuthExpired)
}
