package host

import "sync"

const (
	arenaSize  = 64 << 10
	keepArenas = 128
	ownBuffer  = arenaSize / 4 // larger messages get memory of their own
	packetCost = 128           // bytes a message counts for beyond its own
)

// itemQueue is what waits for a shard. Messages are copied into arenas that are used again, so that a message costs one lock and no
// allocation. push and force are for any goroutine, take and done for the owner of the shard.
type itemQueue struct {
	mu    sync.Mutex // leaf; guards everything but busy
	items []item
	slow  int    // items that are not quick
	bytes int64  // of messages that wait or are being handled
	arena []byte // being filled
	full  [][]byte
	spare [][]byte
	least int // fewest spare arenas since the last age

	busy  [][]byte // hold what is being handled. Owner
	small int      // batches in a row that needed little of their memory. Owner
}

// fill is what a push found: how many items wait now, and the bytes of messages with them.
type fill struct {
	ok    bool
	items int
	bytes int64
}

// push copies a message for it.port unless as many items or bytes wait as may.
func (q *itemQueue) push(it item, m *Msg, bound int, most int64) fill {
	n := len(m.Subject) + len(m.Reply) + len(m.Header) + len(m.Payload)
	var own []byte
	if n > ownBuffer {
		own = make([]byte, 0, n)
	}
	it.subject, it.reply, it.header = uint32(len(m.Subject)), uint32(len(m.Reply)), uint32(len(m.Header))
	cost := int64(n) + packetCost
	q.mu.Lock()
	if len(q.items) >= bound || q.bytes+cost > most {
		q.mu.Unlock()
		return fill{}
	}
	b := own
	if b == nil {
		b = q.room(n)
	}
	at := len(b)
	b = append(b, m.Subject...)
	b = append(b, m.Reply...)
	b = append(b, m.Header...)
	b = append(b, m.Payload...)
	it.buf = b[at:len(b):len(b)]
	if own == nil {
		q.arena = b
	}
	if !it.kind.quick() {
		q.slow++
	}
	q.bytes += cost
	q.items = append(q.items, it)
	f := fill{true, len(q.items), q.bytes}
	q.mu.Unlock()
	return f
}

// room returns an arena with room for n bytes, at most ownBuffer. Requires: mu.
func (q *itemQueue) room(n int) []byte {
	if cap(q.arena)-len(q.arena) >= n && q.arena != nil {
		return q.arena
	}
	if q.arena != nil {
		q.full = append(q.full, q.arena)
	}
	if k := len(q.spare); k > 0 {
		q.arena, q.spare = q.spare[k-1], q.spare[:k-1]
		q.least = min(q.least, k-1)
	} else {
		q.arena = make([]byte, 0, arenaSize)
	}
	return q.arena
}

// force adds what may not be refused; first tells that nothing waited.
func (q *itemQueue) force(it item) (first bool) {
	q.mu.Lock()
	q.items = append(q.items, it)
	q.slow++
	first = len(q.items) == 1
	q.mu.Unlock()
	return first
}

// waiting returns how many items wait, and how many of them are not quick.
func (q *itemQueue) waiting() (items, slow int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items), q.slow
}

const (
	keepItems  = 1024 // of an idle queue
	keepSpared = 256  // small batches in a row after which the memory of large ones goes
)

// take returns what waits and leaves the queue empty. spent is what an earlier take returned. Call done when it is handled.
func (q *itemQueue) take(spent []item) []item {
	clear(spent)
	if cap(spent) <= keepItems || len(spent) >= cap(spent)/8 {
		q.small = 0
	} else if q.small++; q.small > keepSpared {
		spent, q.small = nil, 0
	}
	q.mu.Lock()
	batch := q.items
	q.items, q.slow = spent[:0], 0
	if len(q.arena) > 0 {
		q.full = append(q.full, q.arena)
		q.arena = nil
	}
	q.busy, q.full = q.full, q.busy[:0]
	q.mu.Unlock()
	return batch
}

// age lets go of the arenas that were not needed since the last call; it returns the bytes of these, and of those that stay.
func (q *itemQueue) age() (freed, left int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(q.least, len(q.spare))
	q.least = copy(q.spare, q.spare[n:])
	clear(q.spare[q.least:])
	q.spare = q.spare[:q.least]
	return n * arenaSize, q.least * arenaSize
}

// done gives back the memory of what take returned last; bytes is what its messages counted for.
func (q *itemQueue) done(bytes int64) {
	q.mu.Lock()
	q.bytes -= bytes
	for i, a := range q.busy {
		if len(q.spare) < keepArenas {
			q.spare = append(q.spare, a[:0])
		}
		q.busy[i] = nil
	}
	q.mu.Unlock()
}
