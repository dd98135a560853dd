// Package stream is the machine of a stream: what a leader decides about each inbound message (Front) and what every
// replica does with the decision (Machine).
//
//  1. Front.Publish reads the headers, applies the subject transform and makes the checks in order (precheck.go), taking
//     into account what was proposed before and is not applied yet.
//  2. What passes becomes a command in an op.Batch; what does not is answered at once (Effects).
//  3. The host makes the batch durable: journal or replicated log.
//  4. Machine.Apply appends to the Log, enforces limits, removes what a roll-up replaces, republishes.
//  5. Front.Applied answers the publisher; the host signals consumers from the effects.
//
// Time enters as an argument, time-driven work by Front.NextTick and Tick: expiry, delete markers, schedules, batches that
// went silent. Reads that would have to wait for the disk are retried (Pending) or, where a decision depends on them,
// made at once (LoadNow).
//
// No clock, goroutine, lock or I/O. Owner: the shard of the stream, for everything.
package stream
