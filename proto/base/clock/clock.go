package clock

import "time"

// Clock tells the time; the only source of time outside engine/netio loops.
type Clock interface {
	Now() time.Time
	// AfterFunc calls fn once after d, on its own goroutine (system clock) or from Advance (manual
	// clock). A d of zero or less means as soon as possible, but never from within AfterFunc.
	AfterFunc(d time.Duration, fn func()) Timer
}

// Timer is a pending AfterFunc. Stop reports whether it prevented the call.
type Timer interface{ Stop() bool }

// System returns the clock of the machine.
func System() Clock { return system{} }

type system struct{}

func (system) Now() time.Time                             { return time.Now() }
func (system) AfterFunc(d time.Duration, fn func()) Timer { return time.AfterFunc(d, fn) }
