package consumer

import "ramjet/proto/jsapi"

// pushState is what a push consumer knows of its subscriber.
type pushState struct {
	interest bool
	to       []byte
	lost     int64 // since when there is no interest
	beat     int64 // next idle heartbeat
}

// SetInterest tells whether the deliver subject (with deliver_group: its queue group) has a subscriber. Push only.
func (c *Consumer) SetInterest(now int64, on bool) {
	if c.cfg.Pull() || on == c.push.interest {
		return
	}
	c.push.interest = on
	c.push.to = append(c.push.to[:0], c.cfg.DeliverSubject...)
	c.touch(now)
	if on {
		c.push.beat = now + int64(c.cfg.Heartbeat)
		c.Pump(now)
		return
	}
	c.push.lost = now
}

// Interest reports whether the push subscriber is there.
func (c *Consumer) Interest() bool { return c.push.interest }

func (p *pushState) deadline(c *Consumer) int64 {
	if !p.interest || c.cfg.Heartbeat <= 0 {
		return never
	}
	return p.beat
}

// pumpPush delivers to the subscriber as long as it is there, its window is open and the rate allows.
func (c *Consumer) pumpPush(now int64) {
	for c.push.interest && !c.flow.closed() && c.bucket.due == 0 {
		f, id := c.fetch(now)
		if f != message {
			return
		}
		deliveries := c.prepare(id)
		size := c.size()
		if !c.bucket.admit(now, size) {
			return
		}
		if !c.send(now, c.push.to, id, deliveries, false, "") {
			c.push.interest, c.push.lost = false, now
			c.touch(now)
			return
		}
		c.bucket.spend(size)
		c.push.beat = now + int64(c.cfg.Heartbeat)
		if c.flow.sent(size) || (c.flow.idle() && c.st.policy == jsapi.AckFlowControl && c.full()) {
			c.askFlow()
		}
	}
}

// following returns the beat after the one that was due at: late beats do not add up.
func following(at, interval, now int64) int64 {
	if at += interval; at > now {
		return at
	}
	return now + interval
}

// beatPush sends the idle heartbeat if it is due.
func (c *Consumer) beatPush(now int64) {
	if c.push.deadline(c) > now {
		return
	}
	c.heartbeat(c.push.to, c.flow.stalled())
	c.push.beat = following(c.push.beat, int64(c.cfg.Heartbeat), now)
	if c.st.policy == jsapi.AckFlowControl && c.st.pending.n > 0 && c.flow.idle() {
		c.askFlow() // the last messages would never be acknowledged
	}
}

const fcPrefix = "$JS.FC."

// askFlow asks the subscriber to tell when it got so far.
func (c *Consumer) askFlow() {
	subj := append(c.flow.subject[:0], fcPrefix...)
	if c.env.AccountHash != "" {
		domain := c.env.Domain
		if domain == "" {
			domain = "_"
		}
		subj = append(append(subj, domain...), '.')
		subj = append(append(subj, c.env.AccountHash...), '.')
	}
	subj = append(append(subj, c.env.Stream...), '.')
	subj = append(append(subj, c.env.Name...), '.')
	for range fcIDLen {
		subj = append(subj, fcAlphabet[c.env.Rand.Intn(len(fcAlphabet))])
	}
	c.flow.subject = subj
	c.flow.asked()
	c.hdr = append(c.hdr[:0], "NATS/1.0 100 "+textFlowControl+"\r\n\r\n"...)
	c.emit(Reply{To: c.push.to, Reply: subj, Header: c.hdr})
}

// FlowReply takes the answer to a flow control request; subject is where it was sent. Only the answer to the latest
// request counts.
func (c *Consumer) FlowReply(now int64, subject, hdr []byte) {
	if !c.flow.answered(subject) {
		return
	}
	c.active = now
	if c.st.policy == jsapi.AckFlowControl {
		c.ackFlow(now, hdr)
	}
	c.Pump(now)
}
