package consumer

// waiter is a pull request that waits for messages.
type waiter struct {
	reply     []byte
	n         int // messages still to deliver
	delivered int
	bytes     int // of max_bytes left
	limited   bool
	noWait    bool
	plain     bool  // no JSON: outside of priority groups
	expires   int64 // 0 = never
	beat      int64 // heartbeat interval, 0 = none
	minPend   int64
	minAck    int64
	pin       string
	priority  int

	prev, next int32
}

// waiting is the queue of requests: a list in serving order and heaps of deadlines.
type waiting struct {
	slab       []waiter
	free       int32
	head, tail int32
	n          int
	noWaits    int // those with noWait
	asked      int // sum of n
	expiry     heap
	beats      heap
}

func newWaiting() waiting { return waiting{free: nilID, head: nilID, tail: nilID} }

func (q *waiting) at(id int32) *waiter { return &q.slab[id] }

// add queues a request behind those of the same priority. w.reply is copied.
func (q *waiting) add(now int64, w *waiter) int32 {
	id := q.free
	if id == nilID {
		q.slab = append(q.slab, waiter{})
		id = int32(len(q.slab) - 1)
	} else {
		q.free = q.slab[id].next
	}
	buf := append(q.slab[id].reply[:0], w.reply...)
	q.slab[id] = *w
	q.slab[id].reply = buf
	q.link(id)
	q.n++
	q.asked += w.n
	if w.noWait {
		q.noWaits++
	}
	if w.expires != 0 {
		q.expiry.set(id, w.expires)
	}
	if w.beat != 0 {
		q.beats.set(id, now+w.beat)
	}
	return id
}

// link puts a request last among those of its priority.
func (q *waiting) link(id int32) {
	w := q.at(id)
	after := q.tail
	for after != nilID && q.at(after).priority > w.priority {
		after = q.at(after).prev
	}
	w.prev = after
	if after == nilID {
		w.next = q.head
		q.head = id
	} else {
		w.next = q.at(after).next
		q.at(after).next = id
	}
	if w.next == nilID {
		q.tail = id
	} else {
		q.at(w.next).prev = id
	}
}

func (q *waiting) unlink(id int32) {
	w := q.at(id)
	if w.prev == nilID {
		q.head = w.next
	} else {
		q.at(w.prev).next = w.next
	}
	if w.next == nilID {
		q.tail = w.prev
	} else {
		q.at(w.next).prev = w.prev
	}
}

// rotate makes id the first: those before it, which must be of one priority, go behind the others.
func (q *waiting) rotate(id int32) {
	for q.head != id {
		h := q.head
		q.unlink(h)
		q.link(h)
	}
}

// remove forgets a request.
func (q *waiting) remove(id int32) {
	q.unlink(id)
	w := q.at(id)
	q.n--
	q.asked -= w.n
	if w.noWait {
		q.noWaits--
	}
	q.expiry.remove(id)
	q.beats.remove(id)
	w.pin = ""
	w.next = q.free
	q.free = id
}

// served notes a delivery of so many bytes; false: the request is complete.
func (q *waiting) served(now int64, id int32, size int) bool {
	w := q.at(id)
	w.n--
	q.asked--
	w.delivered++
	if w.limited {
		w.bytes -= size
	}
	if w.n <= 0 {
		return false
	}
	if w.beat != 0 {
		q.beats.set(id, now+w.beat)
	}
	if w.next != nilID {
		q.unlink(id)
		q.link(id)
	}
	return true
}
