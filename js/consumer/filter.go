package consumer

import (
	"slices"

	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
	"ramjet/store"
)

// FilterSubjects returns the filters of a configuration; nil: everything.
func FilterSubjects(cfg *jsapi.ConsumerConfig) []string {
	if cfg.FilterSubject != "" {
		return []string{cfg.FilterSubject}
	}
	if len(cfg.FilterSubjects) == 0 {
		return nil
	}
	return slices.Clone(cfg.FilterSubjects)
}

func sameFilters(a, b *jsapi.ConsumerConfig) bool {
	x, y := FilterSubjects(a), FilterSubjects(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// Matches reports whether a message of the subject passes the filter of the consumer.
func (c *Consumer) Matches(subj []byte) bool {
	if c.filter.All() {
		return true
	}
	for _, p := range c.filter.Patterns {
		if subject.MatchBytes(subj, p) {
			return true
		}
	}
	return false
}

// Filter returns the filter, for the stream's log.
func (c *Consumer) Filter() *store.Filter { return &c.filter }

// Needs reports whether the consumer still needs a stored message: for interest and work-queue retention.
func (c *Consumer) Needs(seq uint64, subj []byte) bool { return c.st.wants(seq) && c.Matches(subj) }

// lastBySubject returns the highest sequence that passes the filter, from the index.
func (c *Consumer) lastBySubject() (seq uint64, ok bool) {
	c.env.Log.Subjects(&c.filter, func(_ []byte, _, last uint64) bool {
		seq, ok = max(seq, last), true
		return true
	})
	return seq, ok
}

// lastPerSubject returns the last sequence of every subject that passes the filter, ascending.
func (c *Consumer) lastPerSubject() []uint64 {
	var list []uint64
	c.env.Log.Subjects(&c.filter, func(_ []byte, _, last uint64) bool {
		list = append(list, last)
		return true
	})
	slices.Sort(list)
	return list
}

// MayNeed is Needs without the subject: false means that the consumer does not need the message, whatever its subject.
func (c *Consumer) MayNeed(seq uint64) bool { return c.st.wants(seq) }
