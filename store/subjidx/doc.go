// Package subjidx is the index of a stream's subjects: subject -> first and last sequence, number of messages.
//
//  1. A hash table of whole subjects finds the entry of a literal subject: one probe, no allocation (index.go).
//  2. Entries live in slabs and are named by small stable ids, which message indexes use instead of the subject.
//  3. Wildcards walk the ids sorted by subject, leaping over what cannot match (match.go). New subjects wait in a short
//     list until a wildcard asks, so that appends never pay for the order.
//
// Why a sorted array and not a radix tree: 4 bytes a subject instead of a node, and a hash probe on the hot path
// where a tree chases one pointer a byte.
//
// Threading: an index belongs to one owner; there is no lock.
package subjidx
