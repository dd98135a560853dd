// Package consumer encodes the durable state of a consumer: what was delivered, what is acknowledged, what is pending, how often it was
// delivered again.
//
//  1. Append writes the state, pending entries as differences to their neighbours: 3 to 6 bytes each.
//  2. Decode reads it back after verifying the checksum.
//  3. Save and Load keep it in a file of its own; replicated consumers put the same bytes into snapshots.
//
// Threading: pure functions on values; Save and Load block and belong to a goroutine that may.
package consumer
