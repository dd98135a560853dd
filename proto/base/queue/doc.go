// Package queue holds the two queues by which work crosses owners.
//
// MPSC is a bounded inbox: any number of producers, one consumer that takes everything at once.
//  1. Push appends under a short leaf lock.
//  2. The push that finds the inbox empty calls the wake hook, after the lock is released; pushes that
//     follow until the consumer has taken the batch do not: one wake per batch.
//  3. Take swaps the whole batch for the consumer's spent slice.
//
// SPSC is a ring between exactly two goroutines, without locks.
//
// Threading: MPSC.Take, SPSC.Pop and PopBatch are the consumer's; SPSC.Push is the one producer's; the
// rest may be called from any goroutine.
package queue
