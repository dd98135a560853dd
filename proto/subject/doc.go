// Package subject is the algebra of NATS subjects: tokens, validity, matching, overlap, and the
// transforms of subject mappings.
//
// Hot path: (1) [Match] compares a literal with a pattern without allocating; (2) a compiled
// [Table] picks the mapping of a published subject and (3) its [Transform] appends the new
// subject to a scratch buffer of the caller.
//
// Threading: pure functions and immutable values; everything may be used on any goroutine. No
// function keeps a reference to a byte slice it was given.
package subject
