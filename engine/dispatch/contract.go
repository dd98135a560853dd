package dispatch

import (
	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/interest"
)

// CONTRACT: see engine/netio/contract.go for the rule.

// Ctx is the scratch of one producer (a loop or a shard): match cache, random state, slow targets.
type Ctx struct {
	From  engine.LoopID
	Cache *interest.Cache
	// Slow collects, for the current batch of reads, how often a delivery answered OverSoft; the
	// publisher's connection decides about stalling at OnTurn. SlowSinks are who (bounded).
	Slow      int
	SlowSinks []interest.Sink
	// NoStall (no_fast_producer_stall): do not deliver to sinks above their soft limit.
	NoStall bool
}

// NewCtx returns the context of producer from, seeded with seed.
func NewCtx(from engine.LoopID, seed uint64) *Ctx { panic("contract") }

// Outcome of a publish.
type Outcome struct {
	Delivered int  // local deliveries and remote links
	Mapped    bool // subject was changed by a mapping
	Dropped   bool // a mapping dropped it
	Slow      bool // some target was above its soft limit
}

// Router routes messages of all accounts.
type Router struct{}

// NewRouter returns the router over reg.
func NewRouter(reg *account.Registry) *Router { panic("contract") }

// Publish routes m, published in acct: mapping (Client and Leaf origin), match, rules by kind, queue
// selection, fan-out. Re-entrant for different ctx; m is borrowed. No allocation per message.
func (r *Router) Publish(ctx *Ctx, acct *account.Account, m *engine.Msg) Outcome { panic("contract") }
