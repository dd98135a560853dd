package link

import (
	"ramjet/engine"
	"ramjet/engine/config"
)

// stallShare is the part of max_pending above which producers are slowed down: 3/4.
func softLimit(hard int64) int64 { return hard / 4 * 3 }

// SetOutputLimits applies max_pending, the write deadline and its policy to the outbox. Loop.
func (c *Conn) SetOutputLimits(o *config.Options) {
	deadline, policy := o.WriteDeadline, o.WriteTimeout
	hard := o.MaxPending
	switch c.kind {
	case engine.Router:
		if x := o.Cluster; x != nil {
			deadline, policy = pick(x.WriteDeadline, deadline), x.WriteTimeout
		}
	case engine.Gateway:
		if x := o.Gateway; x != nil {
			deadline, policy = pick(x.WriteDeadline, deadline), x.WriteTimeout
		}
	case engine.Leaf:
		if x := o.Leafnodes; x != nil {
			deadline, policy = pick(x.WriteDeadline, deadline), x.WriteTimeout
		}
	}
	retry := policy == config.WriteRetry
	if c.kind != engine.Client {
		// Only clients are cut for what is pending; others are told apart by the write deadline.
		hard = 0
		retry = policy != config.WriteClose
	}
	c.out.SetLimits(softLimit(o.MaxPending), hard, deadline, retry)
	// As much as one slow consumer may have: a single one is never treated differently.
	c.env.Group.SetBudget(o.MaxPending)
}

// pick returns a when set, else b.
func pick[T comparable](a, b T) T {
	var zero T
	if a != zero {
		return a
	}
	return b
}

// pendingLimits returns the soft and hard limits in force for clients. Any goroutine.
func (c *Conn) pendingLimits() (soft, hard int64) {
	hard = c.env.Options().MaxPending
	return softLimit(hard), hard
}

// MinLimit returns the smallest of the limits that are set: a limit of -1 is none, and so is 0 for the
// first (the server's own, where 0 means unlimited).
func MinLimit(server int, others ...int) int {
	r := -1
	if server > 0 {
		r = server
	}
	for _, n := range others {
		if n >= 0 && (r < 0 || n < r) {
			r = n
		}
	}
	return r
}
