// Package memstream keeps the messages of a stream in memory.
//
//  1. Append encodes the message into the tail segment; msgtab answers every question (see there).
//  2. A tail that reached its size is sealed: its index becomes small.
//  3. A segment of which half is deleted is copied, joined with small neighbours, if more is deleted than live in all: memory follows the
//     live bytes. One that only lost its beginning goes as a whole.
//  4. The frames of what is gone are used again (msgtab.Pool).
//
// Nothing is ever Pending, nothing is durable.
//
// Threading: a store belongs to the shard of its stream; there is no lock and no goroutine.
package memstream
