//go:build !invariants

package invariant

// On reports whether assertions are compiled in.
const On = false

// Check panics with msg if ok is false.
func Check(ok bool, msg string) {}

// Mangle overwrites borrowed bytes after their loan ended, so that a retained slice shows.
func Mangle(b []byte) {}

// CloseChecker catches a second Close and use after Close. The zero value is open.
type CloseChecker struct{}

// Close marks the object closed; it panics if it was closed before.
func (c *CloseChecker) Close() {}

// AssertOpen panics if Close was called.
func (c *CloseChecker) AssertOpen() {}

// AssertClosed panics if Close was not called.
func (c *CloseChecker) AssertClosed() {}
