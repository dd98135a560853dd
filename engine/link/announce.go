package link

import "ramjet/engine"

// Announce queues protocol bytes that no message may overtake which is published after Announce returned:
// the interest of this server, announced to another one, so that the answer to a request finds its way.
// They are written soon, many at a time. Any goroutine; b is borrowed.
func (c *Conn) Announce(b []byte) {
	// Straight into the queue: what producers have staged is older and may come later, as a
	// subscription may be known too early and forgotten too early, but not too late. A handshake must
	// not be overtaken: its loop flushes it before the first announcement.
	c.out.Append(engine.NoLoop, b)
	if c.flags.Or(flagAnnounced)&flagAnnounced != 0 {
		return
	}
	if !c.nc.Loop().Post(c.sendAnnounced) {
		c.flags.And(^flagAnnounced)
	}
}

// sendAnnounced writes what Announce has queued. Loop.
func (c *Conn) sendAnnounced() {
	c.flags.And(^flagAnnounced)
	c.out.Flush(c.loop)
}
