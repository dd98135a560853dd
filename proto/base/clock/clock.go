package clock

import "time"

// contract stub: replaced by the owner of proto/base

// Clock tells the time; the only source of time outside engine/netio loops.
type Clock interface {
	Now() time.Time
	// After calls fn once on its own goroutine (system clock) or from Advance (manual clock).
	AfterFunc(d time.Duration, fn func()) Timer
}

// Timer is a pending AfterFunc.
type Timer interface{ Stop() bool }
