package consumer

import (
	"math"
	"slices"

	"ramjet/proto/jsapi"
)

// never is the deadline of what is not redelivered by time.
const never = math.MaxInt64

// gone marks an entry of the start list whose message left the stream.
const gone = uint64(1) << 63

// Pair is a consumer and a stream sequence and when they were reached (unix nanoseconds, 0 = never).
type Pair struct {
	Consumer, Stream uint64
	At               int64
}

// State is the replicated part of a consumer. It changes by Apply, and on the leader by the methods Apply uses; both
// give the same result. Owner: the shard.
type State struct {
	policy    jsapi.AckPolicy
	delivered Pair
	floor     Pair
	next      uint64   // first stream sequence not yet delivered nor skipped
	list      []uint64 // last_per_subject: what is delivered first, ascending; gone marks removed ones
	listPos   int
	listGone  int // gone ones at or after listPos

	pending   table
	redel     int               // entries with more than one delivery
	exhausted map[uint64]uint32 // gave up after max_deliver, still wanted: deliveries
}

// NewState returns the state of a consumer that has not started.
func NewState(policy jsapi.AckPolicy) *State {
	return &State{policy: policy, pending: newTable(), next: 1}
}

// Delivered and AckFloor return where the consumer stands.
func (s *State) Delivered() Pair { return s.delivered }

// AckFloor returns up to where everything is acknowledged.
func (s *State) AckFloor() Pair { return s.floor }

// NumAckPending returns the number of delivered and not acknowledged messages.
func (s *State) NumAckPending() int { return s.pending.n }

// NumRedelivered returns the number of messages delivered more than once that are still tracked.
func (s *State) NumRedelivered() int { return s.redel + len(s.exhausted) }

// Next returns the first stream sequence that was neither delivered nor skipped.
func (s *State) Next() uint64 { return s.next }

// start sets where delivery begins; list comes before next.
func (s *State) start(next uint64, list []uint64) {
	s.next, s.list, s.listPos, s.listGone = max(next, 1), list, 0, 0
	first := s.next
	if len(list) > 0 {
		first = list[0]
	}
	s.delivered = Pair{Stream: first - 1}
	s.floor = s.delivered
}

// fresh notes the first delivery of a message.
func (s *State) fresh(dseq, sseq uint64, ts, due int64) int32 {
	s.delivered = Pair{dseq, sseq, ts}
	if sseq < s.next {
		for s.listPos < len(s.list) && s.list[s.listPos]&^gone <= sseq {
			if s.list[s.listPos]&gone != 0 {
				s.listGone--
			}
			s.listPos++
		}
		s.trimList()
	} else {
		s.next = sseq + 1
		s.list, s.listPos, s.listGone = nil, 0, 0
	}
	if s.policy == jsapi.AckNone {
		s.floor.Consumer, s.floor.Stream = dseq, sseq
		return nilID
	}
	if s.pending.tail != nilID && s.pending.at(s.pending.tail).sseq >= sseq {
		return nilID // only from a corrupt command
	}
	id := s.pending.add(sseq)
	e := s.pending.at(id)
	e.dseq, e.ts, e.due, e.deliveries = dseq, ts, due, 1
	return id
}

// again notes a redelivery.
func (s *State) again(dseq, sseq uint64, deliveries uint32, ts, due int64) {
	s.delivered.Consumer, s.delivered.At = dseq, ts
	s.delivered.Stream = max(s.delivered.Stream, sseq)
	id, ok := s.pending.find(sseq)
	if !ok {
		return
	}
	e := s.pending.at(id)
	if e.deliveries <= 1 && deliveries > 1 {
		s.redel++
	}
	e.deliveries, e.ts, e.due, e.delayed = deliveries, ts, due, false
}

// retry sets when a pending message is delivered again; due 0: at once.
func (s *State) retry(id int32, due int64) {
	e := s.pending.at(id)
	e.due, e.delayed = due, true
}

// progress restarts the wait of a pending message.
func (s *State) progress(id int32, ts, due int64) {
	e := s.pending.at(id)
	e.ts, e.due, e.delayed = ts, due, false
}

// take removes a pending message and moves the floor. One that was given up leaves a hole: the floor stays below it until nothing is
// pending.
func (s *State) take(id int32) {
	e := s.pending.at(id)
	head := s.pending.head == id && e.dseq == s.floor.Consumer+1
	if e.deliveries > 1 {
		s.redel--
	}
	s.pending.remove(id)
	s.settle(head)
}

// settle moves the floor after a removal; head tells that the first of all pending was removed.
func (s *State) settle(head bool) {
	switch {
	case s.pending.n == 0:
		s.raise(s.delivered.Consumer, s.delivered.Stream)
	case head:
		e := s.pending.at(s.pending.head)
		s.raise(e.dseq-1, e.sseq-1)
	}
}

func (s *State) raise(dseq, sseq uint64) {
	s.floor.Consumer = max(s.floor.Consumer, dseq)
	s.floor.Stream = max(s.floor.Stream, sseq)
}

// acked takes one message off by sequence; false if it was not waiting.
func (s *State) acked(sseq uint64, ts int64) bool {
	if _, ok := s.exhausted[sseq]; ok {
		delete(s.exhausted, sseq)
		s.floor.At = ts
		return true
	}
	id, ok := s.pending.find(sseq)
	if ok {
		s.take(id)
		s.floor.At = ts
	}
	return ok
}

// ackedAll takes everything up to and with sseq; dseq is the consumer sequence of that delivery.
func (s *State) ackedAll(sseq, dseq uint64, ts int64) {
	for id := s.pending.head; id != nilID; id = s.pending.head {
		e := s.pending.at(id)
		if e.sseq > sseq {
			break
		}
		if e.deliveries > 1 {
			s.redel--
		}
		s.pending.remove(id)
	}
	for seq := range s.exhausted {
		if seq <= sseq {
			delete(s.exhausted, seq)
		}
	}
	s.raise(min(dseq, s.delivered.Consumer), min(sseq, s.delivered.Stream))
	s.floor.At = ts
}

// exhaust gives up on a message after its last delivery: not pending any more, but still wanted, so that the floor stays where it is.
func (s *State) exhaust(id int32) {
	e := s.pending.at(id)
	if s.exhausted == nil {
		s.exhausted = map[uint64]uint32{}
	}
	s.exhausted[e.sseq] = e.deliveries
	if e.deliveries > 1 {
		s.redel--
	}
	s.pending.remove(id)
}

// drop forgets a message that left the stream; false if nothing was known of it.
func (s *State) drop(sseq uint64) bool {
	if _, ok := s.exhausted[sseq]; ok {
		delete(s.exhausted, sseq)
		return true
	}
	if id, ok := s.pending.find(sseq); ok {
		s.take(id)
		return true
	}
	if i, ok := s.inList(sseq); ok {
		s.list[i] |= gone
		s.listGone++
		s.trimList()
		return true
	}
	return false
}

// trimList steps over removed entries at the front of the list.
func (s *State) trimList() {
	for s.listPos < len(s.list) && s.list[s.listPos]&gone != 0 {
		s.listPos++
		s.listGone--
	}
	if s.listPos == len(s.list) {
		s.list, s.listPos, s.listGone = nil, 0, 0
	}
}

func (s *State) inList(sseq uint64) (int, bool) {
	if s.listPos >= len(s.list) {
		return 0, false
	}
	i, ok := slices.BinarySearchFunc(s.list[s.listPos:], sseq, func(e, t uint64) int {
		switch e &^= gone; {
		case e < t:
			return -1
		case e > t:
			return 1
		}
		return 0
	})
	i += s.listPos
	return i, ok && s.list[i]&gone == 0
}

// dropBelow forgets everything below first: the stream begins there now.
func (s *State) dropBelow(first uint64) {
	for id := s.pending.head; id != nilID && s.pending.at(id).sseq < first; id = s.pending.head {
		s.take(id)
	}
	for seq := range s.exhausted {
		if seq < first {
			delete(s.exhausted, seq)
		}
	}
	for i := s.listPos; i < len(s.list) && s.list[i]&^gone < first; i++ {
		if s.list[i]&gone == 0 {
			s.list[i] |= gone
			s.listGone++
		}
	}
	s.trimList()
	s.next = max(s.next, first)
}

// purged moves on to first, below which nothing is left.
func (s *State) purged(first uint64) {
	s.dropBelow(first)
	if s.delivered.Stream < first-1 {
		s.delivered.Stream = first - 1
		s.settle(false)
	}
}

// known returns all sequences something is known of, ascending.
func (s *State) known() []uint64 {
	if s.pending.n+len(s.exhausted)+len(s.list)-s.listPos == 0 {
		return nil
	}
	var k []uint64
	for id := s.pending.head; id != nilID; id = s.pending.at(id).next {
		k = append(k, s.pending.at(id).sseq)
	}
	for seq := range s.exhausted {
		k = append(k, seq)
	}
	for _, seq := range s.list[s.listPos:] {
		if seq&gone == 0 {
			k = append(k, seq)
		}
	}
	slices.Sort(k)
	return k
}

// skip passes over what can not be read.
func (s *State) skip(next uint64) { s.next = max(s.next, next) }

// reset begins anew at next with consumer sequence 1.
func (s *State) reset(next uint64) {
	s.pending = newTable()
	s.redel, s.exhausted = 0, nil
	s.start(next, nil)
}

// pullBack makes last the last sequence seen: the stream lost its end.
func (s *State) pullBack(last uint64) {
	for id := s.pending.tail; id != nilID && s.pending.at(id).sseq > last; id = s.pending.tail {
		if s.pending.at(id).deliveries > 1 {
			s.redel--
		}
		s.pending.remove(id)
	}
	for seq := range s.exhausted {
		if seq > last {
			delete(s.exhausted, seq)
		}
	}
	s.next = min(s.next, last+1)
	s.delivered.Stream = min(s.delivered.Stream, last)
	s.floor.Stream = min(s.floor.Stream, last)
	s.settle(false)
}

// wants reports whether the consumer still needs a message that passes its filter.
func (s *State) wants(seq uint64) bool {
	if seq >= s.next {
		return true
	}
	if _, ok := s.pending.find(seq); ok {
		return true
	}
	if _, ok := s.exhausted[seq]; ok {
		return true
	}
	_, ok := s.inList(seq)
	return ok
}
