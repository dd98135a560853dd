package interest

import (
	"errors"
	"sync"
	"sync/atomic"

	"ramjet/engine"
	"ramjet/proto/subject"
)

const numShards = 64

// ErrInserted is the refusal of a subscription that an index holds already or that is closed: a bug
// of the caller.
var ErrInserted = errors.New("subscription was inserted before")

// Index is the subscription index of one account. Any goroutine.
type Index struct {
	shards [numShards]shard
	topics [numShards + 1]topic // by first token, the last for patterns that begin with a wildcard

	id                uint32
	count             atomic.Int64
	inserted, removed atomic.Uint64
	watchers          atomic.Pointer[[]*watcher]
	ledgers           atomic.Pointer[ledgerSet]
	watchMu           sync.Mutex // writers of watchers and ledgers
}

// shard is a part of the literals and trailing wildcards, chosen by hash. Readers load the table;
// mu is a leaf lock of writers.
type shard struct {
	mu    sync.Mutex
	table atomic.Pointer[table]
}

// topic is what the patterns of some first tokens have in common.
type topic struct {
	// gen grows with every change. Who caches a result reads it before the match.
	gen atomic.Uint64
	// shape says which patterns exist: bit d (0-15) a trailing `*` after d tokens, bit 16+d a trailing
	// `>` after d tokens (15: or more), bit 32 one in the trie, bit 33+i one of the inner shape of slot i.
	shape atomic.Uint64
	wild  atomic.Pointer[wildcards] // nil until there is a wildcard
}

const (
	deepest    = 15
	fullShape  = 16
	trieShape  = 32
	innerShape = 33
	shapeBits  = innerShape + maxInner

	trailing = 1<<trieShape - 1 // the bits of trailing wildcards
)

// lastIndexID numbers the indexes of the process, for cache keys.
var lastIndexID atomic.Uint32

// NewIndex returns an empty index of about 4 KiB.
func NewIndex() *Index { return &Index{id: lastIndexID.Add(1)} }

// Insert adds s; it is found by every match that starts after Insert returned. The error is
// subject.ErrInvalid for a malformed subject and ErrInserted.
func (x *Index) Insert(s *Sub) error {
	if err := x.insert(s); err != nil {
		return err
	}
	x.notify(s, true)
	return nil
}

// insert is Insert without telling anybody.
func (x *Index) insert(s *Sub) error {
	if !subject.Valid(s.Subject()) {
		return subject.ErrInvalid
	}
	for {
		old := s.state.Load()
		if old&(insertedBit|closedBit) != 0 {
			return ErrInserted
		}
		if s.state.CompareAndSwap(old, old|insertedBit) {
			break
		}
	}
	t := &x.topics[s.topic()]
	if s.form() == formLiteral {
		x.insertTable(s)
	} else {
		x.insertWild(t, s)
	}
	if s.counts() {
		x.count.Add(1)
		x.inserted.Add(1)
	}
	t.gen.Add(1) // last: who has seen the new generation sees the subscription
	return nil
}

// Replace is Insert of s followed by Remove of old, of the same link, subject and queue group: the link has
// another number of members there now. No match in between misses both, and a ledger tells one change.
func (x *Index) Replace(old, s *Sub) error {
	if err := x.insert(s); err != nil {
		return err
	}
	if !x.remove(old) {
		old = nil
	}
	x.notifyWatchers(s, true)
	if old != nil {
		x.notifyWatchers(old, false)
	}
	x.settle(s, old)
	return nil
}

// Remove takes s out and closes it; false if it was not there. Results that were handed out before
// may still contain it: its Take fails.
func (x *Index) Remove(s *Sub) bool {
	if !x.remove(s) {
		return false
	}
	x.notify(s, false)
	return true
}

// remove is Remove without telling anybody.
func (x *Index) remove(s *Sub) bool {
	if !s.inserted() {
		return false
	}
	t := &x.topics[s.topic()]
	if s.form() == formLiteral {
		if !x.removeTable(s) {
			return false
		}
	} else if !x.removeWild(t, s) {
		return false
	}
	if s.counts() {
		x.count.Add(-1)
		x.removed.Add(1)
	}
	t.gen.Add(1)
	return true
}

func (x *Index) insertTable(s *Sub) {
	h := hashSub(s)
	sh := &x.shards[h>>58]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.table.Load()
	if t == nil {
		t = newTable(1)
		sh.table.Store(t)
	}
	if e, b, j := t.find(h, s.form(), s.key()); e == nil {
		if t.full() {
			t = t.grown(hashSub)
			t.put(h, s)
			sh.table.Store(t)
			return
		}
		t.put(h, s)
	} else if e.isList() {
		e.ext.Load().list.Store(e.entries().with(s))
	} else {
		l := (&list{}).with(e).with(s)
		b.slots[j].Store(newListEntry(s, l))
	}
}

func (x *Index) removeTable(s *Sub) bool {
	h := hashSub(s)
	sh := &x.shards[h>>58]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.table.Load()
	if t == nil {
		return false
	}
	e, b, j := t.find(h, s.form(), s.key())
	if e == nil || (e != s && (!e.isList() || !e.entries().contains(s))) || !s.leave() {
		return false
	}
	if e != s {
		l := e.entries().without()
		switch l.live() {
		case 0:
		case 1:
			b.slots[j].Store(l.first())
			return true
		default:
			e.ext.Load().list.Store(l)
			return true
		}
	}
	t.drop(h, b, j)
	switch {
	case t.n == 0:
		sh.table.Store(nil)
	case t.sparse():
		sh.table.Store(t.resized(t.n*2, hashSub))
	}
	return true
}

// leave clears the inserted flag and closes s; false when it was not set: another goroutine removes.
func (s *Sub) leave() bool {
	for {
		old := s.state.Load()
		if old&insertedBit == 0 {
			return false
		}
		if s.state.CompareAndSwap(old, old&^insertedBit|closedBit) {
			return true
		}
	}
}

// find returns the table entry of key.
func (x *Index) find(f form, key string) *Sub {
	return x.findHashed(hashOf(f, key), f, key)
}

func (x *Index) findHashed(h uint64, f form, key string) *Sub {
	t := x.shards[h>>58].table.Load()
	if t == nil {
		return nil
	}
	s, _, _ := t.find(h, f, key)
	return s
}

// wildEntries appends the table entries of the trailing wildcards that match subj to dst.
func (x *Index) wildEntries(dst []*Sub, subj string, shape uint64) []*Sub {
	stars, fulls := uint16(shape), uint16(shape>>fullShape)
	depth, start := 0, 0
	for i := 0; ; i++ {
		// subj[start:i] is being read as token number depth.
		if i == start && fulls>>min(depth, deepest)&1 != 0 {
			if e := x.find(formFull, subj[:start]); e != nil {
				dst = append(dst, e)
			}
		}
		if i == len(subj) {
			break
		}
		if subj[i] == subject.Sep {
			depth, start = depth+1, i+1
		}
	}
	if stars>>min(depth, deepest)&1 != 0 {
		if e := x.find(formStar, subj[:start]); e != nil {
			dst = append(dst, e)
		}
	}
	return dst
}

// shapeOf returns which wildcard patterns can match a subject of topic tp, 0 = none.
func (x *Index) shapeOf(tp uint8) uint64 {
	return x.topics[tp].shape.Load() | x.topics[lead].shape.Load()
}

// HasInterest reports whether a subscription matches the literal subject. It does not allocate
// unless more than eight wildcard patterns match. subject is borrowed.
func (x *Index) HasInterest(literal []byte) bool {
	subj := subject.View(literal)
	if x.find(formLiteral, subj) != nil {
		return true
	}
	tp := topicOf(subj)
	shape := x.shapeOf(tp)
	if shape == 0 || !wellFormed(subj) {
		return false
	}
	var buf [8]*Sub
	if shape&trailing != 0 && len(x.wildEntries(buf[:0], subj, shape)) > 0 {
		return true
	}
	return shape>>trieShape != 0 && len(x.innerMatches(buf[:0], subj, tp)) > 0
}

// counts reports that s is a subscription of this cluster: what other clusters want is no part of the figures.
func (s *Sub) counts() bool { return s.Kind() != engine.Gateway }

// Count returns the number of subscriptions, but for those of other clusters.
func (x *Index) Count() int { return int(x.count.Load()) }

// Range calls fn for each subscription until it returns false. One that is inserted or removed
// meanwhile may or may not be seen. fn is called without a lock held.
func (x *Index) Range(fn func(*Sub) bool) {
	for i := range x.shards {
		t := x.shards[i].table.Load()
		if t == nil {
			continue
		}
		if !t.each(func(e *Sub) bool {
			if !e.isList() {
				return fn(e)
			}
			l := e.entries()
			return each(l.plain, fn) && each(l.queue, fn)
		}) {
			return
		}
	}
	for i := range x.topics {
		w := x.topics[i].wild.Load()
		if w == nil {
			continue
		}
		var all []*Sub
		w.trieMu.RLock()
		w.trie.Range(func(_ string, s *Sub) bool { all = append(all, s); return true })
		w.trieMu.RUnlock()
		if !each(all, fn) {
			return
		}
	}
}

func each(subs []*Sub, fn func(*Sub) bool) bool {
	for _, s := range subs {
		if s.inserted() && !fn(s) {
			return false
		}
	}
	return true
}

// wellFormed reports that subj has no empty token; others match nothing.
func wellFormed(subj string) bool {
	prev := byte(subject.Sep)
	for i := range len(subj) {
		if subj[i] == subject.Sep && prev == subject.Sep {
			return false
		}
		prev = subj[i]
	}
	return prev != subject.Sep
}
