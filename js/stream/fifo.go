package stream

import "hash/maphash"

// hashSeed makes chains of crafted keys as unlikely as others. Results do not depend on it.
var hashSeed = maphash.MakeSeed()

// fifo is a queue of entries that can be found by key, latest first. It allocates only to grow, and gives memory back
// when it has become far too large. Owner: the shard of the stream.
type fifo struct {
	slots      []slot // a ring; the length is a power of two
	buckets    []uint64
	head, tail uint64 // positions of the oldest entry and after the newest
	keys       []byte // a ring of keys; the length is a power of two
	keyTail    uint64
}

type slot struct {
	hash uint64
	prev uint64 // position+1 of the next older entry of the same bucket
	off  uint64 // of the key
	n    uint32
	seq  uint64
	time int64
}

const minFifo = 64

func (q *fifo) len() int { return int(q.tail - q.head) }

func (q *fifo) at(pos uint64) *slot { return &q.slots[pos&uint64(len(q.slots)-1)] }

func (q *fifo) key(s *slot) []byte {
	at := s.off & uint64(len(q.keys)-1)
	return q.keys[at : at+uint64(s.n) : at+uint64(s.n)]
}

// push appends an entry; key is copied.
func (q *fifo) push(key []byte, seq uint64, time int64) {
	if q.len() == len(q.slots) {
		q.resize(max(minFifo, 2*len(q.slots)))
	}
	off := q.room(len(key))
	s := q.at(q.tail)
	*s = slot{hash: maphash.Bytes(hashSeed, key), off: off, n: uint32(len(key)), seq: seq, time: time}
	copy(q.key(s), key)
	q.keyTail = off + uint64(len(key))
	b := &q.buckets[s.hash&uint64(len(q.buckets)-1)]
	s.prev = *b
	q.tail++
	*b = q.tail
}

// room returns the offset for a key of n bytes behind the last one.
func (q *fifo) room(n int) uint64 {
	for {
		size := uint64(len(q.keys))
		off := q.keyTail
		if size > 0 && off&(size-1)+uint64(n) > size {
			off = (off | (size - 1)) + 1 // keys do not wrap
		}
		first := off
		if q.len() > 0 {
			first = q.at(q.head).off
		}
		if size > 0 && off+uint64(n)-first <= size {
			return off
		}
		q.rekey(max(1024, 2*len(q.keys), n))
	}
}

// rekey moves the keys into a ring of at least size bytes.
func (q *fifo) rekey(size int) {
	n := 1024
	for n < size {
		n *= 2
	}
	for { // what wraps around may need more than the sum
		keys, tail, ok := make([]byte, n), uint64(0), true
		for p := q.head; p < q.tail && ok; p++ {
			s := q.at(p)
			ok = tail+uint64(s.n) <= uint64(n)
			if ok {
				copy(keys[tail:], q.key(s))
				tail += uint64(s.n)
			}
		}
		if !ok {
			n *= 2
			continue
		}
		tail = 0
		for p := q.head; p < q.tail; p++ {
			s := q.at(p)
			s.off = tail
			tail += uint64(s.n)
		}
		q.keys, q.keyTail = keys, tail
		return
	}
}

func (q *fifo) resize(n int) {
	old := *q
	q.slots, q.buckets = make([]slot, n), make([]uint64, n)
	for p := q.head; p < q.tail; p++ {
		s := q.at(p)
		*s = *old.at(p)
		b := &q.buckets[s.hash&uint64(n-1)]
		s.prev = *b
		*b = p + 1
	}
}

// pop drops the oldest entry.
func (q *fifo) pop() {
	q.head++
	if n := q.len(); n == 0 && len(q.slots) > 4096 {
		*q = fifo{}
	} else if len(q.slots) > 4096 && n < len(q.slots)/8 {
		q.resize(len(q.slots) / 2)
		q.rekey(minFifo)
	}
}

// unpush drops the newest entry. Nothing may have been popped since it was pushed.
func (q *fifo) unpush() {
	q.tail--
	s := q.at(q.tail)
	q.buckets[s.hash&uint64(len(q.buckets)-1)] = s.prev
	q.keyTail = s.off
}

// find returns the newest entry of key, nil if there is none.
func (q *fifo) find(key []byte) *slot {
	if q.len() == 0 {
		return nil
	}
	h := maphash.Bytes(hashSeed, key)
	return q.older(h, key, q.buckets[h&uint64(len(q.buckets)-1)])
}

// older returns the newest entry of key at or below position pos-1.
func (q *fifo) older(h uint64, key []byte, pos uint64) *slot {
	for ; pos > q.head; pos = q.at(pos - 1).prev {
		if s := q.at(pos - 1); s.hash == h && string(q.key(s)) == string(key) {
			return s
		}
	}
	return nil
}

// count returns the number of entries of key.
func (q *fifo) count(key []byte) (n uint64) {
	for s := q.find(key); s != nil; s = q.older(s.hash, key, s.prev) {
		n++
	}
	return n
}
