package consumer

import "math/bits"

const nilID int32 = -1

const (
	chunkBits = 5
	keepSlab  = 4096 // an empty table gives back a larger slab
)

// place says which schedule an entry is in.
type place uint8

const (
	placeNone  place = iota
	placeFIFO        // equal waits, in order
	placeHeap        // any other deadline
	placeQueue       // ready to be delivered again
)

// entry is a delivered message that waits for its acknowledgement.
type entry struct {
	sseq, dseq uint64 // dseq of the first delivery
	ts         int64  // last delivery or progress, unix nanoseconds
	due        int64  // redelivery after this, unix nanoseconds; 0 = at once
	deliveries uint32
	delayed    bool  // due comes from a NAK's delay
	where      place // leader only: which of the schedules it is in
	prev, next int32 // by ascending stream sequence
	qprev      int32 // within the schedule
	qnext      int32
}

// table holds entries by stream sequence, which only grows from entry to entry: a slab, a list in order, and an
// open-addressing index.
type table struct {
	slab       [][]entry // chunks, so that growing copies nothing
	used       int32     // ids ever given out
	free       int32
	head, tail int32
	n          int
	index      []int32 // id plus one; 0 = empty
	shift      uint8
}

func newTable() table { return table{free: nilID, head: nilID, tail: nilID} }

func (t *table) at(id int32) *entry { return &t.slab[id>>chunkBits][id&(1<<chunkBits-1)] }

func (t *table) slot(seq uint64) int { return int((seq * 0x9E3779B97F4A7C15) >> t.shift) }

func (t *table) find(seq uint64) (int32, bool) {
	if t.n == 0 {
		return nilID, false
	}
	for i := t.slot(seq); ; i = (i + 1) & (len(t.index) - 1) {
		id := t.index[i] - 1
		if id < 0 {
			return nilID, false
		}
		if t.at(id).sseq == seq {
			return id, true
		}
	}
}

// add appends an entry; seq must be above the last one's.
func (t *table) add(seq uint64) int32 {
	if (t.n+1)*2 > len(t.index) {
		t.grow()
	}
	id := t.free
	if id == nilID {
		if id = t.used; int(id>>chunkBits) == len(t.slab) {
			t.slab = append(t.slab, make([]entry, 1<<chunkBits))
		}
		t.used++
	} else {
		t.free = t.at(id).next
	}
	*t.at(id) = entry{sseq: seq, prev: t.tail, next: nilID, qprev: nilID, qnext: nilID}
	if t.tail != nilID {
		t.at(t.tail).next = id
	} else {
		t.head = id
	}
	t.tail = id
	t.n++
	t.insert(id)
	return id
}

func (t *table) insert(id int32) {
	i := t.slot(t.at(id).sseq)
	for t.index[i] != 0 {
		i = (i + 1) & (len(t.index) - 1)
	}
	t.index[i] = id + 1
}

func (t *table) grow() {
	n := max(16, 2*len(t.index))
	t.index = make([]int32, n)
	t.shift = uint8(64 - bits.TrailingZeros(uint(n)))
	for id := t.head; id != nilID; id = t.at(id).next {
		t.insert(id)
	}
}

func (t *table) remove(id int32) {
	e := t.at(id)
	mask := len(t.index) - 1
	i := t.slot(e.sseq)
	for t.index[i] != id+1 {
		i = (i + 1) & mask
	}
	// Close the gap: move back whoever would not be found any more.
	for j := (i + 1) & mask; t.index[j] != 0; j = (j + 1) & mask {
		home := t.slot(t.at(t.index[j] - 1).sseq)
		if (j-home)&mask >= (j-i)&mask {
			t.index[i] = t.index[j]
			i = j
		}
	}
	t.index[i] = 0
	if e.prev != nilID {
		t.at(e.prev).next = e.next
	} else {
		t.head = e.next
	}
	if e.next != nilID {
		t.at(e.next).prev = e.prev
	} else {
		t.tail = e.prev
	}
	e.next = t.free
	e.sseq = 0
	t.free = id
	if t.n--; t.n == 0 && t.used > keepSlab {
		*t = newTable()
	}
}

// queue is a list of entries through their qprev and qnext.
type queue struct {
	head, tail int32
	n          int
}

func newQueue() queue { return queue{head: nilID, tail: nilID} }

func (q *queue) push(t *table, id int32) {
	e := t.at(id)
	e.qprev, e.qnext = q.tail, nilID
	if q.tail != nilID {
		t.at(q.tail).qnext = id
	} else {
		q.head = id
	}
	q.tail = id
	q.n++
}

func (q *queue) remove(t *table, id int32) {
	e := t.at(id)
	if e.qprev != nilID {
		t.at(e.qprev).qnext = e.qnext
	} else {
		q.head = e.qnext
	}
	if e.qnext != nilID {
		t.at(e.qnext).qprev = e.qprev
	} else {
		q.tail = e.qprev
	}
	e.qprev, e.qnext = nilID, nilID
	q.n--
}
