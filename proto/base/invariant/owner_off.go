//go:build !invariants

package invariant

// Owner names the goroutine that may touch some state. The zero value has no owner yet.
type Owner struct{}

// Bind makes the calling goroutine the owner, whoever it was before.
func (o *Owner) Bind() {}

// Release gives the state up: the next AssertOwner binds it.
func (o *Owner) Release() {}

// AssertOwner panics unless the calling goroutine is the owner; the first call binds.
func (o *Owner) AssertOwner() {}
