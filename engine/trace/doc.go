// Package trace tells publishers what becomes of their messages: who asks in the header of a message gets one event from each
// server that handled it, with every step it took there (reference/monitoring.md, section 6).
//
// Path of a traced message:
//  1. [Wants] is a search in the header for the few names that matter; a message without header never comes here;
//  2. [Tracer.Begin] reads the header, checks the destination and returns a [Trace], or says that the message goes no further;
//  3. the trace travels in engine.Msg.Trace; engine/dispatch adds mappings, imports, deliveries and refusals to it, and the hop
//     to the header of what leaves for another server ([Trace.Hop]);
//  4. a stream that takes the message holds the event back until it has decided ([Trace.Reached]);
//  5. [Trace.End] hands the event to the publisher of events when nobody holds it back.
//
// Threading: a Trace belongs to the goroutine that publishes the message, but for the steps of streams, each of which belongs to
// its stream once Reached has returned it. A Tracer is immutable and for any goroutine.
package trace
