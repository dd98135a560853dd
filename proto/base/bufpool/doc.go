// Package bufpool hands out size-classed, reference-counted byte buffers.
//
// Path of a frame:
//  1. Get picks the smallest class that fits and takes a recycled frame of it, or makes one.
//  2. The owner fills Frame.B. Whoever keeps the bytes beyond the call that lent them calls Retain.
//  3. Release drops a reference; the last one returns the buffer to its class.
//
// Threading: every function may be called from any goroutine. The bytes themselves are not guarded:
// they may be written only while Shared is false. Buffers above MaxClass are plain memory, left to the
// garbage collector.
//
// With the build tag invariants a released buffer is overwritten and kept aside for a while; a second
// Release, a Retain of a free frame, and a write after release panic.
package bufpool
