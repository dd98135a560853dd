// Package account holds the accounts of a server: isolated subject spaces, each with its own
// subscription index, limits and subject mappings.
//
// Hot path, per published message: (1) the connection already holds its *Account; (2) Account.Snap
// is one atomic load; (3) Snapshot.Map, when not nil, maps the subject; (4) Account.Index finds the
// subscriptions. Registry.Lookup and ByID are one atomic load and one map or slice access.
//
// Threading: an Account's identity (name, ref, index) is immutable. What a reload changes is in an
// immutable Snapshot behind one atomic pointer, stored only by the control goroutine; connection
// counts are one atomic word. The Registry's set of accounts is an immutable table, also behind one
// atomic pointer. Everything else may be called on any goroutine. There is no lock.
package account
