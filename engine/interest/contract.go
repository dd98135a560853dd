package interest

import (
	"ramjet/engine"
)

// CONTRACT: see engine/netio/contract.go for the rule.

// Sink is where a subscription delivers to. Any goroutine; must not block; copies what it keeps.
type Sink interface {
	// Deliver offers m to subscription s; from is the caller's LoopID.
	Deliver(from engine.LoopID, m *engine.Msg, s *Sub) engine.Verdict
	Kind() engine.Kind
	ID() uint64 // connection id
}

// Sub is one subscription: subject, queue and sid are immutable and stored compactly (the bar is
// 250 B of process memory per subscription, everything included, at one million).
type Sub struct{ _ byte }

// NewSub copies subject, queue (nil = none) and sid. weight is 1 for clients, the announced number of
// members for remote queue interest.
func NewSub(subject, queue, sid []byte, weight int32, sink Sink) *Sub { panic("contract") }

func (s *Sub) Subject() string { panic("contract") }
func (s *Sub) Queue() string   { panic("contract") }
func (s *Sub) SID() string     { panic("contract") }
func (s *Sub) Weight() int32   { panic("contract") }
func (s *Sub) Sink() Sink      { panic("contract") }

// Take counts one delivery: ok is false when max was already reached (do not deliver) or the sub was
// closed; last is true when this delivery reaches max (caller removes the subscription). Any goroutine.
func (s *Sub) Take() (ok, last bool) { panic("contract") }

// Delivered returns the deliveries so far; Max and SetMax the auto-unsubscribe limit (0 = none).
func (s *Sub) Delivered() int64 { panic("contract") }
func (s *Sub) Max() int64       { panic("contract") }
func (s *Sub) SetMax(n int64)   { panic("contract") }

// Close marks the subscription removed: later Takes fail.
func (s *Sub) Close() { panic("contract") }

// Group is one queue group of a match result.
type Group struct {
	Name string
	Subs []*Sub
}

// Result is the match of one literal subject: immutable once published by Cache or filled by Match.
type Result struct {
	Plain  []*Sub
	Queues []Group
}

// Empty reports that nothing matched.
func (r *Result) Empty() bool { return len(r.Plain) == 0 && len(r.Queues) == 0 }

// Index is the subscription index of one account. Any goroutine.
type Index struct{}

func NewIndex() *Index                                           { panic("contract") }
func (x *Index) Insert(s *Sub) error                             { panic("contract") } // subject.ErrInvalid
func (x *Index) Remove(s *Sub) bool                              { panic("contract") }
func (x *Index) Match(subject []byte, r *Result)                 { panic("contract") }
func (x *Index) HasInterest(subject []byte) bool                 { panic("contract") }
func (x *Index) Count() int                                      { panic("contract") }
func (x *Index) Stats() Stats                                    { panic("contract") }
func (x *Index) Range(fn func(*Sub) bool)                        { panic("contract") }
func (x *Index) Watch(fn func(s *Sub, added bool)) (stop func()) { panic("contract") }

// Stats are the figures of /subsz.
type Stats struct {
	Subscriptions             uint32
	CacheSize                 uint32
	Inserts, Removes, Matches uint64
	CacheHits                 uint64
	MaxFanout                 uint32
	AvgFanout                 float64
}

// Cache is one loop's match cache over any number of indexes. Owner: one loop or shard.
type Cache struct{}

func NewCache() *Cache { panic("contract") }

// Lookup returns the match of subject in x, from the cache when the generations still hold. Valid
// until the next Lookup that misses; never modified.
func (c *Cache) Lookup(x *Index, subject []byte) *Result { panic("contract") }
