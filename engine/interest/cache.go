package interest

import (
	"strings"
	"sync/atomic"

	"ramjet/proto/subject"
)

// Cache is one loop's match cache over any number of indexes. Owner: one loop or shard; only Stats is
// for any goroutine.
//
// An entry holds for the generations of its subject's first token and of leading wildcards. Stale
// entries are found when asked for again, when their set is needed, and by Sweep, so that closed
// subscriptions are not kept alive.
type Cache struct {
	memo    memo
	levels  []*scratch // one for each depth of Hold
	depth   int
	hashes  []uint64 // of entries, 0 = free; apart so that a probe that fails reads one line
	entries []entry
	door    []uint16 // subjects asked for once: a cheap guess, may be wrong both ways
	bytes   int      // of entries, bounded by maxBytes
	live    int
	hand    int // next entry that Sweep looks at
	fanout  int // sum over entries

	lookups, hits uint64
	published     struct {
		lookups, hits, entries, fanout, maxFanout atomic.Uint64
	}
	maxFanout int
}

const (
	cacheWays = 4
	cacheSets = 1024
	cacheSize = cacheSets * cacheWays
	// maxBytes bounds what the entries own: subjects, results.
	maxBytes = 8 << 20
	// maxMemo bounds the subject kept for the memo.
	maxMemo = 512
	// entryBytes is what an entry costs beside subject and subscriptions.
	entryBytes = 160
	foldEvery  = 256 // lookups between publications of the counters
)

// stamp is the generations a result was computed at.
type stamp struct{ topic, lead uint64 }

// memo is the last lookup.
type memo struct {
	x       *Index
	subject []byte
	topic   uint8
	depth   int // of the scratch res points into, 0 if it does not
	at      stamp
	res     *Result
}

type entry struct {
	x       *Index
	subject string
	topic   uint8
	used    bool // since the last replacement in its set
	at      stamp
	res     *Result
}

// NewCache returns an empty cache; it takes memory when it is used.
func NewCache() *Cache { return &Cache{levels: []*scratch{new(scratch)}} }

func (x *Index) stampOf(tp uint8) stamp {
	return stamp{x.topics[tp].gen.Load(), x.topics[lead].gen.Load()}
}

// Lookup returns the match of subject in x, from the cache when the generations still hold. Valid
// until the next Lookup that misses, unless Hold was called; never modified. literal is borrowed.
func (c *Cache) Lookup(x *Index, literal []byte) *Result {
	c.lookups++
	if c.lookups%foldEvery == 0 {
		c.Fold()
	}
	m := &c.memo
	if m.x == x && string(m.subject) == string(literal) && m.depth <= c.depth && m.at == x.stampOf(m.topic) {
		c.hits++
		return m.res
	}
	return c.lookup(x, subject.View(literal))
}

func (c *Cache) lookup(x *Index, subj string) *Result {
	tp := topicOf(subj)
	at := x.stampOf(tp) // before the match
	h := hashOf(formLiteral, subj)
	k := (h ^ uint64(x.id)*0x9e3779b97f4a7c15) | 1 // 0 marks a free entry
	if c.entries != nil {
		set := c.set(k)
		for i := set; i < set+cacheWays; i++ {
			if c.hashes[i] != k {
				continue
			}
			if e := &c.entries[i]; e.x == x && e.subject == subj {
				if e.at != at {
					c.evict(i)
					break
				}
				e.used = true
				c.hits++
				c.remember(x, subj, tp, at, e.res, 0)
				return e.res
			}
		}
	}
	sc := c.levels[c.depth]
	if !x.collect(sc, subj, h, tp) || !c.knock(k) {
		c.remember(x, subj, tp, at, &sc.res, c.depth)
		return &sc.res
	}
	r := c.admit(k, x, subj, tp, at, &sc.res)
	c.remember(x, subj, tp, at, r, 0)
	if r == &sc.res {
		c.memo.depth = c.depth
	}
	return r
}

// set returns the index of the first entry of k's set.
func (c *Cache) set(k uint64) int { return int(k>>40) % cacheSets * cacheWays }

// knock reports whether k was asked for lately: only then is it worth an entry.
func (c *Cache) knock(k uint64) bool {
	if c.door == nil {
		c.door = make([]uint16, cacheSize)
	}
	d := &c.door[k>>4%cacheSize]
	tag := uint16(k>>48) | 1
	if *d == tag {
		return true
	}
	*d = tag
	return false
}

// remember makes r the memo.
func (c *Cache) remember(x *Index, subj string, tp uint8, at stamp, r *Result, depth int) {
	m := &c.memo
	if len(subj) > maxMemo {
		m.x, m.res = nil, nil
		return
	}
	m.subject = append(m.subject[:0], subj...)
	m.x, m.topic, m.at, m.res, m.depth = x, tp, at, r, depth
}

// admit stores a copy of r and returns it; r itself if it is too large to keep.
func (c *Cache) admit(k uint64, x *Index, subj string, tp uint8, at stamp, r *Result) *Result {
	size := entryBytes + len(subj) + 8*r.subs() + 48*len(r.Queues)
	if size > maxBytes/4 {
		return r
	}
	if c.entries == nil {
		c.entries, c.hashes = make([]entry, cacheSize), make([]uint64, cacheSize)
	}
	for n := 0; c.bytes+size > maxBytes && n < cacheSize; n++ {
		c.evict(c.hand)
		c.hand = (c.hand + 1) % cacheSize
	}
	i := c.victim(c.set(k))
	c.evict(i)
	r = r.clone()
	c.entries[i] = entry{x: x, subject: strings.Clone(subj), topic: tp, at: at, res: r, used: true}
	c.hashes[i] = k
	c.bytes += size
	c.live++
	c.fanout += r.Fanout()
	c.maxFanout = max(c.maxFanout, r.Fanout())
	c.Sweep(2) // may evict the new entry, if the generation has moved on already
	return r
}

// victim returns the entry of a set to replace: a free or stale one, else one that was not used
// since the last replacement.
func (c *Cache) victim(set int) int {
	for i := set; i < set+cacheWays; i++ {
		if c.hashes[i] == 0 || c.stale(i) {
			return i
		}
	}
	v := set
	for i := set + cacheWays - 1; i >= set; i-- {
		if !c.entries[i].used {
			v = i
		}
		c.entries[i].used = false
	}
	return v
}

func (c *Cache) stale(i int) bool {
	e := &c.entries[i]
	return e.x != nil && e.at != e.x.stampOf(e.topic)
}

func (c *Cache) evict(i int) {
	e := &c.entries[i]
	if e.x == nil {
		return
	}
	c.bytes -= entryBytes + len(e.subject) + 8*e.res.subs() + 48*len(e.res.Queues)
	c.live--
	c.fanout -= e.res.Fanout()
	*e = entry{}
	c.hashes[i] = 0
}

// Sweep looks at the next n entries and drops stale ones; with n of Size it looks at all. Loops call
// it in quiet moments (a few hundred a second are plenty).
func (c *Cache) Sweep(n int) {
	if c.entries == nil {
		return
	}
	for range min(n, cacheSize) {
		if c.stale(c.hand) {
			c.evict(c.hand)
		}
		c.hand = (c.hand + 1) % cacheSize
	}
}

// Size is the number of entries a cache can hold.
func (c *Cache) Size() int { return cacheSize }

// Forget drops everything that is not in a valid entry: stale entries, the memo and the memory of the
// last match. For an idle loop; no Result may be in use.
func (c *Cache) Forget() {
	c.memo = memo{subject: c.memo.subject[:0]}
	for _, sc := range c.levels {
		sc.forget()
	}
	c.Sweep(cacheSize)
	c.Fold()
}

// Hold keeps the results returned so far unchanged until Release, whatever is looked up between: for
// a delivery that publishes. Calls nest.
func (c *Cache) Hold() {
	c.depth++
	if c.depth == len(c.levels) {
		c.levels = append(c.levels, new(scratch))
	}
}

// Release ends the last Hold.
func (c *Cache) Release() { c.depth-- }

// Fold publishes the counters to Stats. Called every few hundred lookups and by the owner at the end
// of a busy turn.
func (c *Cache) Fold() {
	p := &c.published
	if p.lookups.Load() == c.lookups && p.entries.Load() == uint64(c.live) {
		return
	}
	p.lookups.Store(c.lookups)
	p.hits.Store(c.hits)
	p.entries.Store(uint64(c.live))
	p.fanout.Store(uint64(c.fanout))
	p.maxFanout.Store(uint64(c.maxFanout))
}

// Stats returns the figures as of the last Fold. Any goroutine.
func (c *Cache) Stats() Stats {
	p := &c.published
	s := Stats{
		CacheSize: uint32(p.entries.Load()),
		Matches:   p.lookups.Load(),
		CacheHits: p.hits.Load(),
		MaxFanout: uint32(p.maxFanout.Load()),
	}
	if s.CacheSize > 0 {
		s.AvgFanout = float64(p.fanout.Load()) / float64(s.CacheSize)
	}
	return s
}
