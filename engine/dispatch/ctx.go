package dispatch

import (
	"math/bits"

	"ramjet/engine"
	"ramjet/engine/interest"
)

// Ctx is the scratch of one producer (a loop or a shard): match cache, random state, slow targets.
// Owner: that producer.
type Ctx struct {
	From  engine.LoopID
	Cache *interest.Cache
	// Slow collects, for the current batch of reads, how often a delivery answered OverSoft; the
	// publisher's connection decides about stalling at OnTurn. SlowSinks are who (bounded).
	Slow      int
	SlowSinks []interest.Sink
	// NoStall (no_fast_producer_stall): do not deliver to sinks above their soft limit.
	NoStall bool
	// Refused counts deliveries that a sink refused or NoStall withheld.
	Refused uint64

	rnd     uint64
	depth   int
	mapped  []byte   // subjects of the mapped messages being delivered, one behind the other
	links   []link   // the same of the links chosen
	picks   []chosen // queue members that chose a link
	members []*interest.Sub
}

const (
	// maxSlowSinks bounds SlowSinks; Slow goes on counting.
	maxSlowSinks = 32
	// maxDepth bounds deliveries that publish, which publish, ...: a circle of internal subscribers.
	maxDepth = 32
	// maxMapped is how much memory for mapped subjects a Ctx keeps.
	maxMapped = 64 << 10
)

// NewCtx returns the context of producer from, seeded with seed.
func NewCtx(from engine.LoopID, seed uint64) *Ctx {
	return &Ctx{From: from, Cache: interest.NewCache(), rnd: seed}
}

// ResetSlow empties Slow and SlowSinks: the batch they were collected for is done.
func (c *Ctx) ResetSlow() {
	c.Slow = 0
	clear(c.SlowSinks)
	c.SlowSinks = c.SlowSinks[:0]
}

// random returns the next number of the sequence given by the seed (wyrand).
func (c *Ctx) random() uint64 {
	c.rnd += 0xa0761d6478bd642f
	hi, lo := bits.Mul64(c.rnd, c.rnd^0xe7037ed1a0b428db)
	return hi ^ lo
}

// below returns a random number in [0, n), n > 0.
func (c *Ctx) below(n uint64) uint64 {
	hi, _ := bits.Mul64(c.random(), n)
	return hi
}

// slow notes that s is above its soft limit.
func (c *Ctx) slow(s interest.Sink) {
	c.Slow++
	if n := len(c.SlowSinks); n < maxSlowSinks && (n == 0 || c.SlowSinks[n-1] != s) {
		c.SlowSinks = append(c.SlowSinks, s)
	}
}
