package host

import (
	"errors"

	"ramjet/js/op"
	"ramjet/proto/jsapi"
	"ramjet/store"
	"ramjet/store/journal"
)

// entry is a batch of commands of a stream on its way through the journal.
type entry struct {
	st    *Stream
	index uint64
	pos   journal.Pos
	batch *op.Batch
	calls []func(*jsapi.Error) // of API requests that wait for it
}

// held is what waits for the journal: the confirmation of an acknowledgement, or a call.
type held struct {
	c       *Consumer
	to, hdr []byte
	fn      func(error)
}

// policies are the classes of commits: those of one class are decided in order.
const policies = int(store.SyncDurable) + 1

// commit is what one turn of a shard put into the journal for one policy.
type commit struct {
	entries []entry
	held    []held
}

// left reports that a helper left something to submit.
func (s *Shard) left() bool {
	for _, c := range s.turn {
		if c != nil {
			return true
		}
	}
	return false
}

// current returns the commit of this turn for a policy.
func (s *Shard) current(policy store.SyncPolicy) *commit {
	if s.turn[policy] == nil {
		if n := len(s.free); n > 0 {
			s.turn[policy], s.free = s.free[n-1], s.free[:n-1]
		} else {
			s.turn[policy] = &commit{}
		}
	}
	return s.turn[policy]
}

// submit asks for one completion for everything that the turn appended with a policy. What only has to be written is written here, if
// that is little and nobody else writes: then it is decided at once and the result is true.
func (s *Shard) submit() (decided bool) {
	for p, c := range s.turn {
		if c == nil {
			continue
		}
		if s.helped && store.SyncPolicy(p) != store.SyncDurable && !s.h.loopsWrite() {
			s.poke()
			continue
		}
		s.turn[p] = nil
		s.commits[p] = append(s.commits[p], c)
		if store.SyncPolicy(p) != store.SyncDurable && len(s.commits[p]) == 1 {
			if s.h.journal.TryWrite() {
				s.decided(uint8(p), nil)
				decided = true
				continue
			}
		}
		s.h.journal.Submit(store.SyncPolicy(p), s.completions[p])
	}
	return decided
}

// loopsWrite reports whether a helper may write the little that its messages brought, which spares two changes of the thread. Only where
// acknowledgements come from the page cache, and only while nothing suggests that such a write could be held up, as a loop has connections that
// are no part of it: no write was, and no segment or state is being written or synced.
func (h *Host) loopsWrite() bool {
	return h.o.SyncInterval > 0 && len(h.writes) == 0 && h.journal.Calm()
}

// decided takes the outcome of the oldest commit of a policy: its commands are applied, or given up.
func (s *Shard) decided(policy uint8, err error) {
	list := s.commits[policy]
	c := list[0]
	list[0] = nil
	if s.commits[policy] = list[1:]; len(list) == 1 {
		s.commits[policy] = list[:0]
	}
	for i := range c.entries {
		e := &c.entries[i]
		e.st.committed(e, err)
	}
	for i := range c.held {
		h := &c.held[i]
		if h.fn != nil {
			h.fn(err)
		} else if err == nil {
			s.bus.Publish(h.c.st.acct.name, h.to, nil, h.hdr, nil)
		}
	}
	clear(c.entries)
	clear(c.held)
	*c = commit{entries: c.entries[:0], held: c.held[:0]}
	if len(s.free) < 8 {
		s.free = append(s.free, c)
	}
}

// apiError returns what a publisher is told when the journal refuses.
func apiError(err error) *jsapi.Error {
	switch {
	case errors.Is(err, journal.ErrFull):
		return jsapi.StreamTooManyRequests.Err()
	case errors.Is(err, journal.ErrNoSpace), errors.Is(err, journal.ErrClosed):
		return jsapi.InsufficientResources.Err()
	}
	return jsapi.StreamStoreFailed.With("err", err.Error())
}

// essential reports whether a batch only frees space.
func essential(b *op.Batch) bool {
	var c op.Cmd
	r := op.Open(b.Bytes())
	for r.Next(&c) {
		switch c.Kind {
		case op.Remove, op.Purge, op.Expire, op.Config:
		default:
			return false
		}
	}
	return true
}
