package consumer

import (
	"slices"
	"sort"

	"ramjet/proto/subject"
	"ramjet/store"
)

// NumPending returns the messages that pass the filter and are still to be delivered for the first time. It is counted
// once from the index of the stream and then kept by differences.
func (c *Consumer) NumPending() uint64 {
	if !c.counted {
		c.count = c.env.Log.Pending(&c.filter, c.st.next, false) + uint64(c.listLeft())
		c.counted = true
	}
	return c.count
}

func (c *Consumer) listLeft() int { return len(c.st.list) - c.st.listPos - c.st.listGone }

// Removed tells that a message left the stream: by limits, by request, or by retention. subject is nil if not known.
func (c *Consumer) Removed(now int64, seq uint64, subject []byte) {
	switch {
	case seq >= c.st.next:
		if c.counted && !c.filter.All() && subject == nil {
			c.counted = false
		} else if c.counted && c.count > 0 && (subject == nil || c.Matches(subject)) {
			c.count--
		}
	default:
		c.forget(now, seq, reasonDeleted)
	}
}

// Reasons of terminations by the stream: it told that the message is gone, or that was found out.
var (
	reasonDeleted = []byte("Unacknowledged message was deleted")
	reasonLimits  = []byte("Message deleted by stream limits")
)

// forget drops what is known of a message that is no longer there; a reason is advised if it was pending, and then that counts as an
// acknowledgement. False: nothing was known.
func (c *Consumer) forget(now int64, seq uint64, reason []byte) bool {
	if id, ok := c.st.pending.find(seq); ok {
		e := c.st.pending.at(id)
		if reason != nil {
			// The count is that of redeliveries, as far as there were any.
			c.advise(Advice{Kind: AdviseTerm, StreamSeq: seq, ConsumerSeq: e.dseq, Deliveries: uint64(max(e.deliveries, 2) - 1), Reason: reason})
		}
		c.sched.remove(&c.st.pending, id)
		if reason != nil && c.st.acked(seq, now) {
			c.enc.ack(seq, now)
			return true
		}
	} else if _, ok := c.st.inList(seq); ok && c.counted && c.count > 0 {
		c.count--
	}
	if !c.st.drop(seq) {
		return false
	}
	c.enc.drop(seq)
	return true
}

// Purged tells that many messages may have left the stream, of any subject. Call Pump afterwards.
func (c *Consumer) Purged(now int64) { c.PurgedOf(now, nil) }

// PurgedOf is Purged with what the purge was limited to, nil for nothing. A consumer of which every message was meant
// goes on behind what was purged. What was pending and is gone counts as acknowledged.
func (c *Consumer) PurgedOf(now int64, f *store.Filter) {
	c.counted = false
	first, pending := c.first(), c.st.pending.n
	if !f.All() && c.within(f) {
		first = c.firstOf(f, first)
	}
	if c.st.next < first {
		c.unscheduleIf(func(uint64) bool { return true })
		c.st.purged(first)
		c.enc.op(cmdPurged, first)
	}
	c.reconcile()
	if c.st.pending.n < pending {
		c.st.ackedAll(0, 0, now)
		c.enc.op(cmdAckAll, 0, 0, uint64(now))
	}
	c.scan = max(c.scan, c.st.next)
}

// PurgedFew is PurgedOf when it is known what is gone: few messages, all on subj. It costs as much as they are.
func (c *Consumer) PurgedFew(now int64, f *store.Filter, subj []byte, gone []uint64) {
	if c.below(c.first()) || (!f.All() && c.within(f)) {
		c.PurgedOf(now, f)
		return
	}
	pending := c.st.pending.n
	matches := c.counted && c.Matches(subj)
	for _, seq := range gone {
		if seq < c.st.next {
			c.forget(0, seq, nil)
		} else if matches && c.count > 0 {
			c.count--
		}
	}
	if c.st.pending.n < pending {
		c.st.ackedAll(0, 0, now)
		c.enc.op(cmdAckAll, 0, 0, uint64(now))
	}
	c.scan = max(c.scan, c.st.next)
}

// firstOf returns the first sequence from first on that the stream has of f, the one after its last if it has none. It is found by
// counting, as the message itself may have to be read first.
func (c *Consumer) firstOf(f *store.Filter, first uint64) uint64 {
	var ls store.State
	c.env.Log.State(&ls)
	n := c.env.Log.Pending(f, first, false)
	if n == 0 {
		return ls.LastSeq + 1
	}
	return first + uint64(sort.Search(int(ls.LastSeq-first), func(i int) bool {
		return c.env.Log.Pending(f, first+uint64(i)+1, false) < n
	}))
}

// within reports whether everything that passes the filter of the consumer passes f.
func (c *Consumer) within(f *store.Filter) bool {
	if c.filter.All() {
		return false
	}
	for _, own := range c.filter.Patterns {
		if !slices.ContainsFunc(f.Patterns, func(p string) bool { return subject.IsSubset(own, p) }) {
			return false
		}
	}
	return true
}

// first returns the first sequence the stream has or will have.
func (c *Consumer) first() uint64 {
	var ls store.State
	c.env.Log.State(&ls)
	if ls.Msgs == 0 {
		return ls.LastSeq + 1
	}
	return ls.FirstSeq
}

// reconcile drops what the stream does not hold any more: after a purge and when becoming leader.
func (c *Consumer) reconcile() {
	if first := c.first(); c.below(first) {
		c.unscheduleIf(func(seq uint64) bool { return seq < first })
		c.st.dropBelow(first)
		c.enc.op(cmdDropBelow, first)
		c.scan, c.counted = max(c.scan, c.st.next), false
	}
	known := c.st.known()
	if len(known) == 0 {
		return
	}
	c.env.Log.Deleted(func(from, to uint64) bool {
		i, _ := slices.BinarySearch(known, from)
		for known = known[i:]; len(known) > 0 && known[0] <= to; known = known[1:] {
			c.forget(0, known[0], nil)
		}
		return len(known) > 0
	})
}

// pullBack goes back to the end of a stream that lost its end.
func (c *Consumer) pullBack() {
	var ls store.State
	c.env.Log.State(&ls)
	if ls.LastSeq >= c.st.delivered.Stream || c.st.delivered.Consumer == 0 {
		return
	}
	c.unscheduleIf(func(seq uint64) bool { return seq > ls.LastSeq })
	c.st.pullBack(ls.LastSeq)
	c.enc.op(cmdPullBack, ls.LastSeq)
	c.scan, c.counted = c.st.next, false
}

// below reports whether anything is known of messages below first.
func (c *Consumer) below(first uint64) bool {
	if c.st.next < first || len(c.st.exhausted) > 0 || c.listLeft() > 0 {
		return true
	}
	h := c.st.pending.head
	return h != nilID && c.st.pending.at(h).sseq < first
}

// unscheduleIf takes the pending messages that pass out of the schedules.
func (c *Consumer) unscheduleIf(pass func(seq uint64) bool) {
	for id := c.st.pending.head; id != nilID; id = c.st.pending.at(id).next {
		if pass(c.st.pending.at(id).sseq) {
			c.sched.remove(&c.st.pending, id)
		}
	}
}
