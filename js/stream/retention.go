package stream

import (
	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
	"ramjet/store"
)

// Retainer is what a stream with interest or work-queue retention asks its consumers. It is implemented by Holders.
type Retainer interface {
	// Interest reports whether a consumer wants messages on the literal subject.
	Interest(subject []byte) bool
	// Needs reports whether a consumer has yet to see or acknowledge the message.
	Needs(seq uint64, subject []byte) bool
	// MayNeed is Needs without the subject: false means that nobody needs the message, whatever its subject.
	MayNeed(seq uint64) bool
}

// Holder is one consumer as retention sees it. Owner: the shard.
type Holder interface {
	// Filters returns the filters of the consumer; none means everything.
	Filters() []string
	// Needs reports whether the consumer has yet to see or acknowledge a message that passes its filters.
	Needs(seq uint64) bool
}

// Holders is the set of consumers of a stream. The zero value is empty. Owner: the shard.
type Holders struct{ list []Holder }

// Add registers a consumer.
func (h *Holders) Add(c Holder) { h.list = append(h.list, c) }

// Remove forgets a consumer. What only it needed can go: see Machine.Sweep.
func (h *Holders) Remove(c Holder) {
	for i, o := range h.list {
		if o == c {
			h.list = append(h.list[:i], h.list[i+1:]...)
			return
		}
	}
}

// Len returns the number of consumers.
func (h *Holders) Len() int { return len(h.list) }

func passes(filters []string, subj []byte) bool {
	if len(filters) == 0 {
		return true
	}
	for _, f := range filters {
		if subject.MatchBytes(subj, f) {
			return true
		}
	}
	return false
}

// Interest implements Retainer.
func (h *Holders) Interest(subj []byte) bool {
	for _, c := range h.list {
		if passes(c.Filters(), subj) {
			return true
		}
	}
	return false
}

// Needs implements Retainer.
func (h *Holders) Needs(seq uint64, subj []byte) bool {
	for _, c := range h.list {
		if passes(c.Filters(), subj) && c.Needs(seq) {
			return true
		}
	}
	return false
}

// MayNeed implements Retainer.
func (h *Holders) MayNeed(seq uint64) bool {
	for _, c := range h.list {
		if c.Needs(seq) {
			return true
		}
	}
	return false
}

// released is a range of messages that a consumer no longer needs, which waits for a cold block.
type released struct {
	from, to uint64
	filter   *store.Filter
}

// Released is called when a consumer no longer needs the messages from..to that pass its filter (nil: all): those that
// nobody needs are removed. What cannot be decided before a cold block is read is remembered for Recheck.
func (m *Machine) Released(from, to uint64, filter *store.Filter, out *Effects) {
	if !m.retains() {
		return
	}
	if from == to {
		filter = nil // the consumer had the message
	}
	_, _, first, last := m.size()
	from, to = max(from, first), min(to, last)
	for seq := from; seq <= to; seq++ {
		switch a := m.release(seq, to, filter, out); {
		case a == store.Pending:
			m.recheck = append(m.recheck, released{seq, to, filter})
			return
		case a == store.None:
			return
		case a == store.Hit:
			seq = m.rec.Seq
		}
	}
}

// release decides about the first message at or after seq. Its sequence is left in m.rec.
func (m *Machine) release(seq, to uint64, filter *store.Filter, out *Effects) store.Avail {
	if filter.All() && (m.retainer == nil || !m.retainer.MayNeed(seq)) {
		m.rec.Seq = seq
		m.remove(seq, false, false, out)
		return store.Hit
	}
	a := m.log.Next(filter, seq, &m.rec)
	if a != store.Hit && a != store.Damaged || m.rec.Seq > to {
		if a == store.Pending {
			return a
		}
		return store.None
	}
	if at := m.rec.Seq; a == store.Hit && !m.retainer.Needs(at, m.rec.Subject) {
		m.remove(at, false, false, out)
		m.rec.Seq = at
	}
	return store.Hit
}

// Recheck goes on with what waited for cold blocks: call it when the log has read something.
func (m *Machine) Recheck(out *Effects) {
	list := m.recheck
	m.recheck = nil
	for _, r := range list {
		m.Released(r.from, r.to, r.filter, out)
	}
}

// Sweep removes every message that no consumer needs: after a consumer was deleted, its filter narrowed, the retention
// changed or the stream recovered. On a work queue messages without consumer stay. It looks at every message.
func (m *Machine) Sweep(out *Effects) {
	if m.cfg.Retention != jsapi.InterestRetention {
		return
	}
	if h, ok := m.retainer.(*Holders); m.retainer == nil || ok && h.Len() == 0 {
		if msgs, _, _, _ := m.size(); msgs > 0 {
			m.purge(store.Purge{}, out)
		}
		return
	}
	_, _, first, last := m.size()
	if last > 0 {
		m.Released(first, last, nil, out)
	}
}
