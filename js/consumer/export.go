package consumer

import (
	"maps"
	"slices"

	"ramjet/proto/jsapi"
)

// Export returns the state as it is in a backup. What gave up after its last delivery is no longer pending; its count stays.
func (s *State) Export() jsapi.SnapshotConsumerState {
	x := jsapi.SnapshotConsumerState{
		Delivered: jsapi.SequencePair{Consumer: s.delivered.Consumer, Stream: s.delivered.Stream},
		AckFloor:  jsapi.SequencePair{Consumer: s.floor.Consumer, Stream: s.floor.Stream},
	}
	for id := s.pending.head; id != nilID; id = s.pending.at(id).next {
		e := s.pending.at(id)
		x.Pending = append(x.Pending, jsapi.PendingDelivery{Stream: e.sseq, Consumer: e.dseq, Time: e.ts})
		if e.deliveries > 1 {
			x.Redelivered = append(x.Redelivered, jsapi.RedeliveryCount{Stream: e.sseq, Count: uint64(e.deliveries) - 1})
		}
	}
	for _, q := range slices.Sorted(maps.Keys(s.exhausted)) {
		x.Redelivered = append(x.Redelivered, jsapi.RedeliveryCount{Stream: q, Count: max(uint64(s.exhausted[q]), 1) - 1})
	}
	slices.SortFunc(x.Redelivered, func(a, b jsapi.RedeliveryCount) int {
		if a.Stream < b.Stream {
			return -1
		}
		return 1
	})
	return x
}

// Import returns the state that a backup says: what is pending is delivered again at once, as after a restart of its clients.
func Import(policy jsapi.AckPolicy, x *jsapi.SnapshotConsumerState) *State {
	s := NewState(policy)
	s.delivered = Pair{Consumer: x.Delivered.Consumer, Stream: x.Delivered.Stream}
	s.floor = Pair{Consumer: x.AckFloor.Consumer, Stream: x.AckFloor.Stream}
	s.next = x.Delivered.Stream + 1
	if policy == jsapi.AckNone {
		return s
	}
	counts := make(map[uint64]uint32, len(x.Redelivered))
	for _, r := range x.Redelivered {
		counts[r.Stream] = uint32(min(r.Count, 1<<31))
	}
	for _, p := range x.Pending {
		if p.Stream >= s.next || s.pending.tail != nilID && s.pending.at(s.pending.tail).sseq >= p.Stream {
			continue // inconsistent
		}
		id := s.pending.add(p.Stream)
		e := s.pending.at(id)
		e.dseq, e.ts, e.due, e.deliveries = p.Consumer, p.Time, p.Time, counts[p.Stream]+1
		if e.deliveries > 1 {
			s.redel++
		}
	}
	return s
}
