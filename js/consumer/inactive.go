package consumer

import (
	"time"

	"ramjet/proto/jsapi"
)

const ephemeralThreshold = 5 * time.Second

// threshold returns after how long without use the consumer is deleted; 0 = never.
func (c *Consumer) threshold() int64 {
	switch {
	case c.cfg.InactiveThreshold > 0:
		return int64(c.cfg.InactiveThreshold)
	case c.cfg.Durable == "":
		return int64(ephemeralThreshold)
	}
	return 0
}

// touch starts the inactivity timer anew.
func (c *Consumer) touch(now int64) {
	c.active = max(c.active, now)
	c.push.lost = max(c.push.lost, now)
	t := c.threshold()
	if t == 0 || (!c.cfg.Pull() && c.push.interest) {
		c.idle = never
		return
	}
	c.idle = now + t + c.slack()
}

// slack spreads deletions of pull consumers.
func (c *Consumer) slack() int64 {
	if c.cfg.Pull() {
		return c.jitter
	}
	return 0
}

// checkIdle asks for deletion when the threshold passed without use. The timer is not moved by every activity: when it
// fires, it is set again to what the last activity says.
func (c *Consumer) checkIdle(now int64) {
	if now < c.idle {
		return
	}
	t := c.threshold()
	if t == 0 || (!c.cfg.Pull() && c.push.interest) {
		c.idle = never
		return
	}
	last := c.push.lost
	if c.cfg.Pull() {
		last = c.active
		c.dropUninterested()
		if c.wait.n > 0 {
			last = now
		}
		last = max(last, c.longestWait(now)) // whoever works on a message may still come back
	}
	if at := last + t + c.slack(); at > now {
		c.idle = at
		return
	}
	c.idle = now + t + c.slack()
	c.env.Sink.Inactive()
}

// longestWait returns the last deadline of all outstanding acknowledgements that is not over, or 0.
func (c *Consumer) longestWait(now int64) (at int64) {
	if c.st.policy != jsapi.AckExplicit && c.st.policy != jsapi.AckAll {
		return 0
	}
	for id := c.st.pending.head; id != nilID; id = c.st.pending.at(id).next {
		if d := c.st.pending.at(id).due; d != never && d > now {
			at = max(at, d)
		}
	}
	return at
}
