package consumer

import "slices"

// schedule says when pending messages are delivered again. Equal waits end in order, so they need only a list; every
// other deadline is in a heap; what is ready waits in a queue.
type schedule struct {
	fifo  queue
	heap  heap
	ready queue
	due   []int32 // scratch of expire
}

func newSchedule() schedule { return schedule{fifo: newQueue(), ready: newQueue()} }

func (s *schedule) remove(t *table, id int32) {
	e := t.at(id)
	switch e.where {
	case placeFIFO:
		s.fifo.remove(t, id)
	case placeHeap:
		s.heap.remove(id)
	case placeQueue:
		s.ready.remove(t, id)
	}
	e.where = placeNone
}

// arm schedules the deadline of an entry.
func (s *schedule) arm(t *table, id int32) {
	s.remove(t, id)
	e := t.at(id)
	switch {
	case e.due == never:
		return
	case !e.delayed && (s.fifo.tail == nilID || t.at(s.fifo.tail).due <= e.due):
		s.fifo.push(t, id)
		e.where = placeFIFO
	default:
		s.heap.set(id, e.due)
		e.where = placeHeap
	}
}

// enqueue makes an entry ready at once.
func (s *schedule) enqueue(t *table, id int32) {
	s.remove(t, id)
	s.ready.push(t, id)
	t.at(id).where = placeQueue
}

func (s *schedule) deadline(t *table) int64 {
	at := int64(never)
	if s.fifo.head != nilID {
		at = t.at(s.fifo.head).due
	}
	if d, _, ok := s.heap.min(); ok {
		at = min(at, d)
	}
	return at
}

// expire takes out what is due and returns it by ascending stream sequence, valid until the next call.
func (s *schedule) expire(t *table, now int64) []int32 {
	s.due = s.due[:0]
	for s.fifo.head != nilID && t.at(s.fifo.head).due <= now {
		id := s.fifo.head
		s.remove(t, id)
		s.due = append(s.due, id)
	}
	for {
		at, id, ok := s.heap.min()
		if !ok || at > now {
			break
		}
		s.remove(t, id)
		s.due = append(s.due, id)
	}
	if len(s.due) > 1 {
		slices.SortFunc(s.due, func(a, b int32) int {
			if t.at(a).sseq < t.at(b).sseq {
				return -1
			}
			return 1
		})
	}
	return s.due
}

func (s *schedule) clear() {
	s.fifo, s.ready = newQueue(), newQueue()
	s.heap.clear()
}
