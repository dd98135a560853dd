package interest

import (
	"errors"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Class says whether a subscription counts in a ledger, and where its interest comes from: the name of
// the leafnode's cluster, "" for here. Pure; any goroutine; it must give the same answer for a
// subscription for ever.
type Class func(s *Sub) (origin string, counts bool)

// Change is news about the interest in one subject and queue group.
type Change struct {
	Subject, Queue string // Queue is "" for none; the text may be kept
	Origin         string // of a follower by origin; else ""
	// Weight is what is to be announced now: 0 for no interest (any more), 1 for plain interest, the sum
	// of the members' weights for a queue group.
	Weight int32
}

// Follower hears of the changes of a ledger. The zero value of all but Tell adds up every origin.
type Follower struct {
	// Tell is called for each change, on the goroutine that caused it, in order for each subject and
	// queue group, with the lock of a part of the ledger held: it must not block and not call the ledger
	// or the index.
	Tell func(Change)
	// ByOrigin: the origins are counted, and told, one by one. Else what is told is the sum of all that
	// Skip does not leave out.
	ByOrigin bool
	// Skip, when not nil, says which origins are left out. Pure, and for ever the same.
	Skip func(origin string) bool
}

// MaxWeight is the largest weight of a queue group that is announced.
const MaxWeight = 999999999

// maxLedgers is the number of ledgers an index can have at a time: each has a bit in the state of every
// subscription that says whether it is counted.
const maxLedgers = 6

// ErrLedgers says that an index has all the ledgers it can have.
var ErrLedgers = errors.New("too many ledgers for one index")

// Ledger counts the interest of one account by subject, queue group and origin, and tells its followers
// when something begins, ends or changes its weight: what routes, gateways and leafnodes announce. Any
// goroutine.
//
// A subscription is counted by reconciling a bit in its state with whether the index holds it, under
// the lock of its key, after each insertion and removal. So it does not matter in which order two
// goroutines report, and nothing is counted twice or left over.
type Ledger struct {
	index  *Index
	class  Class
	bit    uint64 // in Sub.state
	shards [numShards]ledgerShard

	mu        sync.Mutex // writers of followers
	followers atomic.Pointer[[]*following]
}

// ledgerShard is a part of the keys. mu is held while followers are told.
type ledgerShard struct {
	mu      sync.Mutex
	closed  bool
	entries map[ledgerKey]*ledgerEntry
}

type ledgerKey struct{ subject, queue string }

// ledgerEntry is the interest in one key; nearly all have one origin.
type ledgerEntry struct {
	ledgerKey
	first originCount
	more  []originCount
}

// originCount is what one origin has: subscriptions and the sum of their weights.
type originCount struct {
	origin string
	subs   int32
	weight int64
}

// following is a follower and the shards whose present state it has been told.
type following struct {
	Follower
	joined [numShards]bool // each guarded by the shard's mu
}

// NewLedger returns a ledger over x that counts what class says. ErrLedgers when x has too many.
func NewLedger(x *Index, class Class) (*Ledger, error) {
	l := &Ledger{index: x, class: class}
	l.followers.Store(&[]*following{})
	if !x.addLedger(l) {
		return nil, ErrLedgers
	}
	x.Range(func(s *Sub) bool { l.settle(s, nil); return true })
	return l, nil
}

// Close ends the ledger: nobody is told anything any more, not even that interest has ended.
func (l *Ledger) Close() {
	l.index.dropLedger(l)
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		sh.closed, sh.entries = true, nil
		sh.mu.Unlock()
	}
	l.index.Range(func(s *Sub) bool { s.state.And(^l.bit); return true })
	l.index.freeLedger(l)
}

// Follow tells f the interest there is, then every change, until stop is called; when stop has returned,
// f.Tell is not called any more. Neither may be called by a follower.
func (l *Ledger) Follow(f Follower) (stop func()) {
	w := &following{Follower: f}
	l.editFollowers(func(all []*following) []*following { return append(slices.Clone(all), w) })
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		w.joined[i] = true
		for _, e := range sh.entries {
			w.tellAll(e)
		}
		sh.mu.Unlock()
	}
	return func() {
		l.editFollowers(func(all []*following) []*following {
			return slices.DeleteFunc(slices.Clone(all), func(o *following) bool { return o == w })
		})
		for i := range l.shards {
			sh := &l.shards[i]
			sh.mu.Lock()
			w.joined[i] = false
			sh.mu.Unlock()
		}
	}
}

func (l *Ledger) editFollowers(edit func([]*following) []*following) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := edit(*l.followers.Load())
	l.followers.Store(&all)
}

// Hold counts interest in subject that is no subscription, until release is called (once): the source
// of a mapping, a subject of the protocol.
func (l *Ledger) Hold(subject, origin string) (release func()) {
	k := ledgerKey{subject: subject}
	count := func(by int32) {
		sh, i := l.shard(subject)
		sh.mu.Lock()
		defer sh.mu.Unlock()
		if sh.closed {
			return
		}
		e := sh.entry(k)
		before := e.copy()
		e.add(origin, by, int64(by))
		l.told(i, &before, e)
		sh.tidy(e)
	}
	count(1)
	return func() { count(-1) }
}

// Range calls fn for each key and origin with interest until it returns false; what changes meanwhile may
// or may not be seen. fn must not block nor call the ledger.
func (l *Ledger) Range(fn func(Change) bool) {
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		for _, e := range sh.entries {
			if !e.each(func(c *originCount) bool {
				return fn(Change{e.subject, e.queue, c.origin, e.announced(c.subs, c.weight)})
			}) {
				sh.mu.Unlock()
				return
			}
		}
		sh.mu.Unlock()
	}
}

// Len returns the number of keys with interest.
func (l *Ledger) Len() int {
	n := 0
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		n += len(sh.entries)
		sh.mu.Unlock()
	}
	return n
}

func (l *Ledger) shard(subject string) (*ledgerShard, int) {
	i := int(hashOf(formLiteral, subject) >> 58)
	return &l.shards[i], i
}

// settle counts s in or out according to whether the index holds it, and the same for old, which s
// replaces (nil: nothing): one change is told for both.
func (l *Ledger) settle(s, old *Sub) {
	origin, ok := l.class(s)
	if !ok {
		return
	}
	sh, i := l.shard(s.Subject())
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.closed || !l.differs(s) && (old == nil || !l.differs(old)) {
		return
	}
	e := sh.entry(ledgerKey{s.Subject(), s.Queue()})
	before := e.copy()
	l.count(e, origin, s)
	if old != nil {
		l.count(e, origin, old)
	}
	l.told(i, &before, e)
	sh.tidy(e)
}

// differs reports that s is counted although it is gone, or the other way round.
func (l *Ledger) differs(s *Sub) bool {
	st := s.state.Load()
	return (st&insertedBit != 0) != (st&l.bit != 0)
}

// count makes the count of s agree with its state. The shard is locked, so that only this ledger's bit
// of others may change meanwhile; the removal that follows an insertion is reported after this call.
func (l *Ledger) count(e *ledgerEntry, origin string, s *Sub) {
	st := s.state.Load()
	held, counted := st&insertedBit != 0, st&l.bit != 0
	switch {
	case held && !counted:
		s.state.Or(l.bit)
		e.add(origin, 1, int64(s.Weight()))
	case !held && counted:
		s.state.And(^l.bit)
		e.add(origin, -1, -int64(s.Weight()))
	}
}

// told tells the followers what has changed between two states of an entry in shard i.
func (l *Ledger) told(i int, before, after *ledgerEntry) {
	for _, w := range *l.followers.Load() {
		if w.joined[i] {
			w.tell(before, after)
		}
	}
}

// entry returns the entry of k, a new one without interest if there is none.
func (sh *ledgerShard) entry(k ledgerKey) *ledgerEntry {
	if e := sh.entries[k]; e != nil {
		return e
	}
	if sh.entries == nil {
		sh.entries = make(map[ledgerKey]*ledgerEntry)
	}
	// A copy: the text of a Sub shares its memory and would keep the connection alive.
	k = ledgerKey{strings.Clone(k.subject), strings.Clone(k.queue)}
	e := &ledgerEntry{ledgerKey: k}
	sh.entries[k] = e
	return e
}

// tidy drops e when nobody is interested any more.
func (sh *ledgerShard) tidy(e *ledgerEntry) {
	if e.first.subs == 0 && len(e.more) == 0 {
		delete(sh.entries, e.ledgerKey)
		if len(sh.entries) == 0 {
			sh.entries = nil // maps do not shrink
		}
	}
}

// copy returns the entry as it is now.
func (e *ledgerEntry) copy() ledgerEntry {
	c := *e
	c.more = slices.Clone(e.more)
	return c
}

// add counts subs subscriptions of origin, of the given weight in all.
func (e *ledgerEntry) add(origin string, subs int32, weight int64) {
	c := &e.first
	if c.subs != 0 && c.origin != origin {
		i := slices.IndexFunc(e.more, func(c originCount) bool { return c.origin == origin })
		if i < 0 {
			i = len(e.more)
			e.more = append(e.more, originCount{origin: origin})
		}
		c = &e.more[i]
	}
	c.origin = origin
	c.subs += subs
	c.weight += weight
	if c.subs > 0 {
		return
	}
	switch n := len(e.more); {
	case n == 0:
		e.first = originCount{}
	case c == &e.first:
		e.first = e.more[n-1]
		e.more = e.more[:n-1]
	default:
		*c = e.more[n-1]
		e.more = e.more[:n-1]
	}
	if len(e.more) == 0 {
		e.more = nil
	}
}

// each calls fn for each origin with interest until it returns false.
func (e *ledgerEntry) each(fn func(*originCount) bool) bool {
	if e.first.subs > 0 && !fn(&e.first) {
		return false
	}
	for i := range e.more {
		if !fn(&e.more[i]) {
			return false
		}
	}
	return true
}

// announced is the weight to announce for counts.
func (e *ledgerEntry) announced(subs int32, weight int64) int32 {
	switch {
	case subs <= 0:
		return 0
	case e.queue == "":
		return 1
	}
	return int32(min(max(weight, 1), MaxWeight))
}

// of returns the announced weight of one origin.
func (e *ledgerEntry) of(origin string) int32 {
	w := int32(0)
	e.each(func(c *originCount) bool {
		if c.origin == origin {
			w = e.announced(c.subs, c.weight)
		}
		return w == 0
	})
	return w
}

// sum returns the announced weight of all origins that skip leaves in.
func (e *ledgerEntry) sum(skip func(string) bool) int32 {
	var subs int32
	var weight int64
	e.each(func(c *originCount) bool {
		if skip == nil || !skip(c.origin) {
			subs, weight = subs+c.subs, weight+c.weight
		}
		return true
	})
	return e.announced(subs, weight)
}

// tellAll tells everything in e.
func (w *following) tellAll(e *ledgerEntry) { w.tell(&ledgerEntry{}, e) }

// tell tells how after differs from before.
func (w *following) tell(before, after *ledgerEntry) {
	if !w.ByOrigin {
		if n := after.sum(w.Skip); n != before.sum(w.Skip) {
			w.Tell(Change{Subject: after.subject, Queue: after.queue, Weight: n})
		}
		return
	}
	one := func(origin string, from, to int32) {
		if from != to && (w.Skip == nil || !w.Skip(origin)) {
			w.Tell(Change{after.subject, after.queue, origin, to})
		}
	}
	after.each(func(c *originCount) bool {
		one(c.origin, before.of(c.origin), after.announced(c.subs, c.weight))
		return true
	})
	before.each(func(c *originCount) bool {
		if after.of(c.origin) == 0 {
			one(c.origin, after.announced(c.subs, c.weight), 0)
		}
		return true
	})
}

// ledgerSet are the ledgers of an index: immutable, replaced as a whole.
type ledgerSet struct {
	all  []*Ledger
	used uint64 // bits in use, in the place of the first
}

// addLedger gives l a bit and lets it hear of every change from now on; false when there is no bit left.
func (x *Index) addLedger(l *Ledger) bool {
	x.watchMu.Lock()
	defer x.watchMu.Unlock()
	old := x.ledgers.Load()
	if old == nil {
		old = &ledgerSet{}
	}
	i := bits.TrailingZeros64(^old.used)
	if i >= maxLedgers {
		return false
	}
	l.bit = firstLedgerBit << i
	x.ledgers.Store(&ledgerSet{append(slices.Clone(old.all), l), old.used | 1<<i})
	return true
}

// dropLedger makes l hear of nothing any more; its bit stays taken until freeLedger.
func (x *Index) dropLedger(l *Ledger) {
	x.watchMu.Lock()
	defer x.watchMu.Unlock()
	old := x.ledgers.Load()
	x.ledgers.Store(&ledgerSet{slices.DeleteFunc(slices.Clone(old.all), func(o *Ledger) bool { return o == l }), old.used})
}

// freeLedger gives the bit of l, which no subscription has set any more, back.
func (x *Index) freeLedger(l *Ledger) {
	x.watchMu.Lock()
	defer x.watchMu.Unlock()
	old := x.ledgers.Load()
	x.ledgers.Store(&ledgerSet{old.all, old.used &^ (l.bit / firstLedgerBit)})
}
