package stream

import (
	"ramjet/proto/subject"
)

// Retainer is what a stream with interest or work-queue retention asks its consumers. It is implemented by Holders.
type Retainer interface {
	// Interest reports whether a consumer wants messages on the literal subject.
	Interest(subject []byte) bool
	// Needs reports whether a consumer has yet to see or acknowledge the message.
	Needs(seq uint64, subject []byte) bool
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
