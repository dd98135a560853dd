//go:build invariants

package invariant

import "sync/atomic"

// On reports whether assertions are compiled in.
const On = true

// Check panics with msg if ok is false.
func Check(ok bool, msg string) {
	if !ok {
		panic("invariant: " + msg)
	}
}

// Mangle overwrites borrowed bytes after their loan ended, so that a retained slice shows.
func Mangle(b []byte) {
	if len(b) == 0 {
		return
	}
	b[0] = Poison
	for n := 1; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

// CloseChecker catches a second Close and use after Close. The zero value is open.
type CloseChecker struct{ closed atomic.Bool }

// Close marks the object closed; it panics if it was closed before.
func (c *CloseChecker) Close() { Check(!c.closed.Swap(true), "closed twice") }

// AssertOpen panics if Close was called.
func (c *CloseChecker) AssertOpen() { Check(!c.closed.Load(), "used after close") }

// AssertClosed panics if Close was not called.
func (c *CloseChecker) AssertClosed() { Check(c.closed.Load(), "not closed") }
