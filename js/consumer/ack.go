package consumer

import (
	"time"

	"ramjet/proto/header"
	"ramjet/proto/jsapi"
)

// Ack takes an acknowledgement: a is its subject, reply where the confirmation goes (may be empty), body without
// headers. An acknowledgement of what was never delivered is ignored and not confirmed; one that says nothing is
// confirmed and does nothing.
func (c *Consumer) Ack(now int64, a *jsapi.AckReply, reply, body []byte) {
	if c.st.policy == jsapi.AckNone || c.st.policy == jsapi.AckFlowControl {
		return
	}
	var m jsapi.AckMsg
	jsapi.ParseAck(body, &m)
	if a.StreamSeq == 0 || a.StreamSeq >= c.st.next {
		return
	}
	c.active = now
	confirm := len(reply) > 0
	switch m.Kind {
	case jsapi.Ack:
		c.ackOne(now, a)
	case jsapi.AckNext:
		c.ackOne(now, a)
		confirm = false
	case jsapi.AckNak:
		c.nak(now, a, m.Delay)
	case jsapi.AckProgress:
		c.progress(now, a.StreamSeq)
	case jsapi.AckTerm:
		c.term(now, a, m.Reason)
	}
	if confirm {
		c.emit(Reply{To: reply, Confirm: true})
	}
	if m.Kind == jsapi.AckNext && len(reply) > 0 {
		c.Next(now, reply, nil, m.Next)
	}
	c.Pump(now)
}

func (c *Consumer) ackOne(now int64, a *jsapi.AckReply) {
	if c.st.policy == jsapi.AckAll {
		c.ackAll(now, a.StreamSeq, a.ConsumerSeq)
		return
	}
	if id, ok := c.st.pending.find(a.StreamSeq); ok {
		e := c.st.pending.at(id)
		if c.sample > 0 && c.env.Rand.Intn(100) < c.sample {
			c.advise(Advice{Kind: AdviseAck, StreamSeq: e.sseq, ConsumerSeq: a.ConsumerSeq,
				Deliveries: a.Deliveries, AckTime: now - e.ts})
		}
		c.sched.remove(&c.st.pending, id)
	}
	c.done(now, a.StreamSeq)
}

// done takes a message off for good.
func (c *Consumer) done(now int64, seq uint64) {
	if c.st.acked(seq, now) {
		c.enc.ack(seq, now)
		c.env.Sink.Release(seq, seq)
	}
}

func (c *Consumer) ackAll(now int64, sseq, dseq uint64) {
	from := c.st.floor.Stream + 1
	if h := c.st.pending.head; h != nilID {
		from = min(from, c.st.pending.at(h).sseq)
	}
	if sseq < from {
		return
	}
	for id := c.st.pending.head; id != nilID; id = c.st.pending.at(id).next {
		if c.st.pending.at(id).sseq > sseq {
			break
		}
		c.sched.remove(&c.st.pending, id)
	}
	c.st.ackedAll(sseq, dseq, now)
	c.enc.op(cmdAckAll, sseq, dseq, uint64(now))
	c.env.Sink.Release(from, sseq)
}

func (c *Consumer) nak(now int64, a *jsapi.AckReply, delay time.Duration) {
	id, ok := c.st.pending.find(a.StreamSeq)
	if !ok || a.ConsumerSeq <= c.st.floor.Consumer || a.ConsumerSeq > c.st.delivered.Consumer {
		return
	}
	e := c.st.pending.at(id)
	c.advise(Advice{Kind: AdviseNak, StreamSeq: e.sseq, ConsumerSeq: a.ConsumerSeq, Deliveries: a.Deliveries})
	if e.where == placeQueue && delay <= 0 {
		return
	}
	due := int64(0)
	if delay > 0 { // also for one that is to be delivered again at once
		due = now + int64(delay)
		c.st.retry(id, due)
		c.arm(id)
	} else {
		c.st.retry(id, 0)
		c.sched.enqueue(&c.st.pending, id) // whether it had its last delivery shows when its turn comes
	}
	c.enc.op(cmdRetry, a.StreamSeq, uint64(due))
}

func (c *Consumer) progress(now int64, seq uint64) {
	id, ok := c.st.pending.find(seq)
	if !ok || c.st.pending.at(id).where == placeQueue { // it is delivered again anyway
		return
	}
	due := c.due(now, c.st.pending.at(id).deliveries)
	c.st.progress(id, now, due)
	c.enc.op(cmdProgress, seq, uint64(now), waitOf(now, due))
	c.arm(id)
}

func (c *Consumer) term(now int64, a *jsapi.AckReply, reason []byte) {
	// Told even if it was acknowledged before.
	c.advise(Advice{Kind: AdviseTerm, StreamSeq: a.StreamSeq, ConsumerSeq: a.ConsumerSeq, Deliveries: a.Deliveries, Reason: reason})
	if id, ok := c.st.pending.find(a.StreamSeq); ok && c.st.policy != jsapi.AckAll {
		c.sched.remove(&c.st.pending, id)
	}
	if c.st.policy == jsapi.AckAll { // as an acknowledgement
		c.ackAll(now, a.StreamSeq, a.ConsumerSeq)
		return
	}
	c.done(now, a.StreamSeq)
}

// ackFlow acknowledges everything up to what the headers of a flow control answer say.
func (c *Consumer) ackFlow(now int64, hdr []byte) {
	dseq, ok1 := jsapi.ParseUint(header.Get(hdr, jsapi.HdrLastConsumer))
	sseq, ok2 := jsapi.ParseUint(header.Get(hdr, jsapi.HdrLastStream))
	if ok1 && ok2 && sseq > 0 && dseq <= c.st.delivered.Consumer {
		c.ackAll(now, min(sseq, c.st.delivered.Stream), dseq)
	}
}
