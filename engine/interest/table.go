package interest

import (
	"math/bits"
	"sync/atomic"
)

// bucket is one cache line: seven subscriptions and one byte of hash for each, so that a probe
// reads this line and that of the wanted subscription and nothing else. The eighth byte counts the
// subscriptions that found this bucket full and went on to a later one; a probe stops where it is 0.
type bucket struct {
	tags  atomic.Uint64
	slots [bucketSlots]atomic.Pointer[Sub]
}

const (
	bucketSlots = 7
	overShift   = 8 * bucketSlots
	overMax     = 255 // sticky: a bucket that reached it keeps it until the table is rebuilt

	ones  = 0x0101010101010101
	highs = 0x0080808080808080 // without the overflow byte
)

// table is an open-addressing hash table of *Sub by subject or, for SidTable, by sid. Any number of
// goroutines may find while one writer (the caller's lock or owner) changes it: an entry never
// moves inside a table, so that a reader cannot miss one that is there all the time; growing makes
// a new table.
type table struct {
	buckets []bucket
	n       int // writer only
}

// newTable returns a table with room for n.
func newTable(n int) *table {
	k := (n*7 + 6*bucketSlots - 1) / (6 * bucketSlots)
	return &table{buckets: make([]bucket, max(k, 1))}
}

// full reports that another entry needs a larger table. A single bucket is used up wholly.
func (t *table) full() bool {
	if len(t.buckets) == 1 {
		return t.n >= bucketSlots
	}
	return t.n >= len(t.buckets)*6
}

// sparse reports that the table is far too large for what it holds.
func (t *table) sparse() bool { return len(t.buckets) > 4 && t.n < len(t.buckets) }

// home returns the bucket where the probe for h starts. The lowest 8 bits are the tag and the
// highest 6 choose the shard, so neither takes part.
func (t *table) home(h uint64) int {
	hi, _ := bits.Mul64(h<<6, uint64(len(t.buckets)))
	return int(hi)
}

// tagOf returns the tag byte of h, which is never 0: that means a free slot.
func tagOf(h uint64) uint64 {
	if t := h & 0xff; t != 0 {
		return t
	}
	return 1
}

// find returns the entry of key in the given form, and where it is.
func (t *table) find(h uint64, f form, key string) (s *Sub, b *bucket, slot int) {
	pattern := tagOf(h) * ones
	i := t.home(h)
	for range t.buckets {
		b := &t.buckets[i]
		tags := b.tags.Load()
		x := tags ^ pattern
		// Bytes that are equal, and maybe some above an equal one: the key decides.
		for m := (x - ones) &^ x & highs; m != 0; m &= m - 1 {
			j := bits.TrailingZeros64(m) >> 3
			if s := b.slots[j].Load(); s != nil && s.hasKey(f, key) {
				return s, b, j
			}
		}
		if tags>>overShift == 0 {
			return nil, nil, 0
		}
		if i++; i == len(t.buckets) {
			i = 0
		}
	}
	return nil, nil, 0
}

// put adds s, which must not be there, to a table that is not full.
func (t *table) put(h uint64, s *Sub) {
	i := t.home(h)
	for {
		b := &t.buckets[i]
		tags := b.tags.Load()
		for j := range bucketSlots {
			if tags>>(8*j)&0xff == 0 {
				b.slots[j].Store(s)
				b.tags.Store(tags | tagOf(h)<<(8*j))
				t.n++
				return
			}
		}
		if tags>>overShift < overMax {
			b.tags.Store(tags + 1<<overShift)
		}
		if i++; i == len(t.buckets) {
			i = 0
		}
	}
}

// drop removes the entry that find returned.
func (t *table) drop(h uint64, b *bucket, slot int) {
	for i := t.home(h); &t.buckets[i] != b; {
		p := &t.buckets[i]
		if tags := p.tags.Load(); tags>>overShift < overMax {
			p.tags.Store(tags - 1<<overShift)
		}
		if i++; i == len(t.buckets) {
			i = 0
		}
	}
	b.tags.Store(b.tags.Load() &^ (0xff << (8 * slot)))
	b.slots[slot].Store(nil)
	t.n--
}

// resized returns a copy with room for n entries; by hashes an entry.
func (t *table) resized(n int, by func(*Sub) uint64) *table {
	to := newTable(n)
	t.each(func(s *Sub) bool { to.put(by(s), s); return true })
	return to
}

// grown returns a copy half as large again: the memory stays closer to the need than with doubling.
func (t *table) grown(by func(*Sub) uint64) *table { return t.resized(t.n+t.n/2+1, by) }

// each calls fn for each entry until it returns false.
func (t *table) each(fn func(*Sub) bool) bool {
	for i := range t.buckets {
		for j := range t.buckets[i].slots {
			if s := t.buckets[i].slots[j].Load(); s != nil && !fn(s) {
				return false
			}
		}
	}
	return true
}
