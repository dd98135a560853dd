// Package clock is the only source of time outside the reactor's loops, so that a simulation can own it.
//
// Threading: clocks may be used from any goroutine. A callback runs once: on a goroutine of its own
// (System) or on the goroutine that calls Advance, with no lock held (Manual).
package clock
