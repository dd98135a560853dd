// Package source keeps the mirror or the sources of a stream going: it creates consumers at the origins, takes what they
// deliver and hands it to the front of the stream, and notices whatever goes wrong on the way.
//
// One Engine serves one stream, on its leader only. The path of a message:
//
//  1. The host subscribes for Sink.Listen; what arrives goes to Deliver with the id of the subscription (deliver.go).
//  2. The ack reply subject of the message tells consumer, sequences and time. Another consumer's, older or repeated
//     messages are dropped; a gap of the consumer sequence means lost messages: the consumer is made anew, from
//     behind the last message that was taken.
//  3. Headers are cleaned; a source adds Nats-Stream-Source (headers.go) and applies its transform.
//  4. Sink.Store is Front.Publish: the front gives the sequence (or takes the mirror's, with gaps) and may refuse. A
//     refused message stops the origin, which asks for it again later; a duplicate counts as taken.
//  5. A flow control request is answered only after everything that was taken before it is applied (Stored, flow.go):
//     what is on the way is bounded by the window of the origin, and an origin that removes what was acknowledged
//     (flow control ack policy) keeps what is not durable here.
//  6. Heartbeats tell the last consumer sequence (a loss at the tail) and a flow control that waits; silence for ten
//     seconds means a new consumer (Tick, Deadline).
//
// Setup of an origin (setup.go): search for its position (resume.go; only if Machine.Sourced does not know it), request with
// a fresh reply subject, answer, Listen on the deliver subject. Failures are repeated after 2 s and more (schedule).
//
// What the host does:
//
//   - When a stream with mirror or sources gets its leader here, with everything proposed before applied: New; Close when
//     that ends, with true when the stream is deleted. After a command changed the configuration: Update, or New if there
//     was no engine. A promoted mirror has an engine without origins.
//   - Sink.Store: refuse what clients would be refused for (full disk), then Front.Publish; Sink.SkipTo: Front.SkipTo.
//   - After entries were applied: Stored with the last sequence of the log. After Front.Abort: Restart.
//   - Tick when Deadline says so, and when the log has read a cold block. Deadline may be early, never late.
//   - Stream info: Mirror, Sources. When a leafnode or gateway comes up: Reconnect.
//   - Sink.CaughtUp: with mirror_direct, join or leave jsapi.DirectQueue on the direct get subjects of the origin.
//
// No clock, goroutine, lock or I/O: now (unix nanoseconds) is an argument. Owner: the shard of the stream, for every method.
package source
