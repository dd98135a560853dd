// Package op encodes the commands of streams and consumers as they stand in the journal and in replicated logs.
//
//  1. The front of a stream adds commands to a Batch, which is one entry: all of its commands become durable together.
//  2. The entry is written as it is; followers and recovery see the same bytes.
//  3. Open and Reader.Next decode without copying; the slices of a Cmd are of the entry.
//
// The leader decides, the command carries the decision: sequence, time, verdicts. Applying needs no clock and no chance.
//
// Pure values, any goroutine.
package op
