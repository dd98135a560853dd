// Package account holds the accounts of a server: isolated subject spaces, each with its own
// subscription index, limits and subject mappings, and what they export to and import from each other.
//
// Hot path, per published message: (1) the connection already holds its *Account; (2) Account.Snap
// is one atomic load; (3) Snapshot.Map, when not nil, maps the subject; (4) Account.Index finds the
// subscriptions. Registry.Lookup and ByID are one atomic load and one map or slice access.
//
// Imports are subscriptions (importer.go), so that a message nobody imports pays nothing for them: an
// imported service is one in the importer's index; a stream has, for each subscriber in the importer's
// index that it concerns, a shadow in the exporter's. Both are of kind engine.Import, and what becomes
// of a message for them is decided by engine/dispatch. Answers find their way back by Replies.
//
// Threading: an Account's identity (name, ref, index) is immutable. What a reload changes is in an
// immutable Snapshot behind one atomic pointer, stored only by the control goroutine; connection
// counts are one atomic word. The Registry's set of accounts is an immutable table, also behind one
// atomic pointer. Everything else may be called on any goroutine. The locks are leaves: the set of
// shadows (touched by SUB and UNSUB in accounts that import streams), awaited answers (per request to
// an imported service), and measured requests.
package account
