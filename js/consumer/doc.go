// Package consumer is the engine of a consumer: what is delivered, to whom, when again, and what is no longer needed.
//
//  1. Next, Ack, FlowReply and SetInterest bring in what clients do; Published, Removed, Purged and PurgedFew what the stream does.
//  2. Pump serves waiting requests (or the push subscriber): the next redelivery, else Log.Next from where it stopped.
//  3. Each delivery goes to Sink.Deliver with borrowed bytes; a refused one changes nothing.
//  4. The decision becomes a command: it is applied to the State at once and collected for the journal (Commands).
//  5. Deadline says when Tick has to be called: redelivery, expiry of requests, heartbeats, pins, pause, inactivity.
//
// State is what is replicated and journaled: it changes by Apply or, on the leader, by the same methods that Apply calls.
//
// No clock, goroutine, lock or I/O: now (unix nanoseconds) is an argument, effects go to the Sink. Owner: the shard of
// the stream, for every method.
package consumer
