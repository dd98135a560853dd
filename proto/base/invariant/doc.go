// Package invariant holds assertions that exist only in builds with the tag invariants.
//
// Without the tag every function is empty and On is false, so that `if invariant.On { ... }` costs
// nothing. A violated invariant is a bug of this program: it panics.
//
// Threading: Mangle, Mangled and Check from any goroutine (the bytes are the caller's); Owner and
// CloseChecker from any goroutine, that is their purpose.
package invariant
