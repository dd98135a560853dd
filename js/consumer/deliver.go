package consumer

import (
	"strconv"

	"ramjet/proto/header"
	"ramjet/proto/jsapi"
)

// Pump delivers what can be delivered now.
func (c *Consumer) Pump(now int64) {
	if c.paused > now {
		c.endNoWait(now, false)
		return
	}
	if c.cfg.Pull() {
		c.pumpPull(now)
	} else {
		c.pumpPush(now)
	}
}

// prepare makes of the message at hand what is sent, and builds its ack reply subject.
func (c *Consumer) prepare(id int32) (deliveries uint64) {
	deliveries = 1
	pending := c.NumPending()
	if id != nilID {
		deliveries = uint64(c.st.pending.at(id).deliveries) + 1
	} else if pending > 0 {
		pending--
	}
	if c.cfg.HeadersOnly {
		var n [20]byte
		c.scratch = header.AppendAdd(c.scratch[:0], c.rec.Header, jsapi.HdrMsgSize, strconv.AppendInt(n[:0], int64(len(c.rec.Payload)), 10))
		c.rec.Header, c.rec.Payload = c.scratch, nil
	}
	c.reply = jsapi.AppendAckReply(c.reply[:0], c.prefix, deliveries, c.rec.Seq, c.st.delivered.Consumer+1, c.rec.Time, pending)
	return deliveries
}

// size is what the message at hand counts against max_bytes.
func (c *Consumer) size() int {
	return len(c.rec.Subject) + len(c.reply) + len(c.rec.Header) + len(c.rec.Payload)
}

// send hands the message at hand to the sink and notes the delivery; false: nobody was interested.
func (c *Consumer) send(now int64, to []byte, id int32, deliveries uint64, pinned bool, pin string) bool {
	d := &c.msg
	*d = Delivery{To: to, Subject: c.rec.Subject, Reply: c.reply, Header: c.rec.Header, Payload: c.rec.Payload}
	if pinned {
		c.pinHdr = header.AppendAdd(c.pinHdr[:0], d.Header, jsapi.HdrPinID, []byte(pin))
		d.Header = c.pinHdr
	}
	if !c.env.Sink.Deliver(d) {
		return false
	}
	c.note(now, id, uint32(deliveries))
	return true
}

// note changes the state for the delivery of the message at hand.
func (c *Consumer) note(now int64, id int32, deliveries uint32) {
	dseq, seq := c.st.delivered.Consumer+1, c.rec.Seq
	c.active = now
	if id != nilID {
		due := c.due(now, deliveries)
		c.sched.remove(&c.st.pending, id)
		c.st.again(dseq, seq, deliveries, now, due)
		c.enc.op(cmdAgain, dseq, seq, uint64(deliveries), uint64(now), waitOf(now, due))
		c.arm(id)
		return
	}
	if c.counted && c.count > 0 {
		c.count--
	}
	due := c.due(now, 1)
	id = c.st.fresh(dseq, seq, now, due)
	c.scan = max(c.scan, c.st.next)
	c.replay.sent(now, &c.rec)
	if id == nilID {
		c.enc.moved(dseq, seq, now)
		c.env.Sink.Release(seq, seq)
		return
	}
	c.enc.fresh(dseq, seq, now, due)
	c.arm(id)
}
