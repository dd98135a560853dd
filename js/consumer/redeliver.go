package consumer

import (
	"slices"
	"time"

	"ramjet/proto/jsapi"
	"ramjet/store"
)

func equalWaits(a, b []time.Duration) bool { return slices.Equal(a, b) }

// due returns when a delivery, the n-th of its message, has to be acknowledged.
func (c *Consumer) due(ts int64, n uint32) int64 {
	if c.st.policy == jsapi.AckNone || c.st.policy == jsapi.AckFlowControl {
		return never
	}
	wait := c.cfg.AckWait
	if b := c.cfg.BackOff; len(b) > 0 {
		wait = b[min(max(int(n), 1), len(b))-1]
	}
	if wait <= 0 {
		return never
	}
	return ts + int64(wait)
}

func (c *Consumer) arm(id int32) { c.sched.arm(&c.st.pending, id) }

// expireDeliveries makes ready what was not acknowledged in time, or gives it up after max_deliver.
func (c *Consumer) expireDeliveries(now int64) {
	if c.sched.deadline(&c.st.pending) > now {
		return
	}
	for _, id := range c.sched.expire(&c.st.pending, now) {
		c.retryOrGiveUp(id)
	}
}

// retryOrGiveUp makes a message ready for the next delivery, unless it had its last.
func (c *Consumer) retryOrGiveUp(id int32) {
	e := c.st.pending.at(id)
	if c.cfg.MaxDeliver > 0 && int(e.deliveries) >= c.cfg.MaxDeliver {
		c.advise(Advice{Kind: AdviseMaxDeliver, StreamSeq: e.sseq, ConsumerSeq: e.dseq, Deliveries: uint64(e.deliveries)})
		c.sched.remove(&c.st.pending, id)
		c.enc.op(cmdExhaust, e.sseq)
		c.st.exhaust(id)
		return
	}
	c.sched.enqueue(&c.st.pending, id)
}

// found says what fetch found.
type found uint8

const (
	nothing found = iota // the end of what there is to deliver
	message              // c.rec is the next message
	later                // wait: for acknowledgements, a cold block, or the time of a replay
)

// fetch loads the next message to deliver into c.rec: redeliveries first. id is the pending entry of a redelivery,
// nilID for a new message.
func (c *Consumer) fetch(now int64) (f found, id int32) {
	if c.blocked {
		return later, nilID
	}
	for c.sched.ready.head != nilID {
		id = c.sched.ready.head
		e := c.st.pending.at(id)
		if c.cfg.MaxDeliver > 0 && int(e.deliveries) >= c.cfg.MaxDeliver {
			c.retryOrGiveUp(id)
			continue
		}
		switch c.env.Log.Load(e.sseq, &c.rec) {
		case store.Hit:
			return message, id
		case store.Pending:
			c.blocked = true
			return later, nilID
		case store.Damaged:
			c.advise(Advice{Kind: AdviseDamaged, StreamSeq: e.sseq})
			c.forget(now, e.sseq, reasonLimits)
		default:
			c.forget(now, e.sseq, reasonLimits)
		}
	}
	if c.full() {
		return later, nilID
	}
	if f = c.fetchListed(); f != nothing {
		return f, nilID
	}
	return c.fetchNew(now), nilID
}

// full reports whether max_ack_pending holds new deliveries back.
func (c *Consumer) full() bool {
	return c.cfg.MaxAckPending > 0 && c.st.policy != jsapi.AckNone && c.st.pending.n >= c.cfg.MaxAckPending
}

// fetchListed loads from the list of last sequences per subject.
func (c *Consumer) fetchListed() found {
	for c.st.listPos < len(c.st.list) {
		seq := c.st.list[c.st.listPos] // never a removed one
		switch c.env.Log.Load(seq, &c.rec) {
		case store.Hit:
			return message
		case store.Pending:
			c.blocked = true
			return later
		case store.Damaged:
			c.advise(Advice{Kind: AdviseDamaged, StreamSeq: seq})
			c.forget(0, seq, nil)
		default:
			c.forget(0, seq, nil)
		}
	}
	return nothing
}

// fetchNew loads the next message never delivered.
func (c *Consumer) fetchNew(now int64) found {
	for {
		switch c.env.Log.Next(&c.filter, c.scan, &c.rec) {
		case store.Hit:
			c.scan = c.rec.Seq
			if c.replay.until != 0 && !c.replay.ripe(now, &c.rec) {
				return later
			}
			return message
		case store.Pending:
			c.blocked = true
			return later
		case store.Damaged:
			seq := max(c.rec.Seq, c.scan)
			c.advise(Advice{Kind: AdviseDamaged, StreamSeq: seq})
			c.st.skip(seq + 1)
			c.enc.op(cmdSkip, seq+1)
			c.scan, c.counted = seq+1, false
		default:
			var ls store.State
			c.env.Log.State(&ls)
			c.scan = max(c.scan, ls.LastSeq+1)
			if c.replay.until != 0 && c.scan > c.replay.until {
				c.replay.until = 0
			}
			return nothing
		}
	}
}

// replay keeps the gaps between messages until it caught up.
type replay struct {
	until uint64 // last sequence that is paced; 0 = not pacing
	wall  int64  // when the previous message was sent
	time  int64  // its time in the stream
	due   int64  // when the next one may go; 0 = nothing waits
}

// ripe reports whether the time of r has come.
func (p *replay) ripe(now int64, r *store.Rec) bool {
	if r.Seq > p.until {
		p.until = 0
		return true
	}
	if p.wall != 0 {
		if at := p.wall + max(r.Time-p.time, 0); at > now {
			p.due = at
			return false
		}
	}
	return true
}

func (p *replay) sent(now int64, r *store.Rec) {
	if p.until == 0 {
		return
	}
	p.wall, p.time, p.due = now, r.Time, 0
	if r.Seq >= p.until {
		p.until = 0
	}
}
