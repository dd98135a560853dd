// Package host is JetStream on one server: it gives the machines of streams and consumers a thread, a journal and files.
//
// The way of a publish:
//
//  1. port.Deliver, on the publisher's loop: one copy into the queue of the stream's shard (queue.go).
//  2. A turn of the shard takes everything that waits; the front of each stream decides and adds commands to the stream's batch. A few
//     quick messages to an idle shard are handled by the loop that brought them, at the end of its own turn (help.go).
//  3. The end of the turn appends one record for each stream to the journal and submits once for each sync policy. What need not be
//     durable is written at once, if it is little.
//  4. The completion comes back as an item: the commands are applied, the publisher gets its acknowledgement, consumers have something
//     to pump.
//  5. A stream in memory skips 3 and 4: its commands are applied at the end of the turn.
//
// What a consumer decides (deliveries, acknowledgements) is in force at once and journaled at the end of the turn; only what a client
// asked to have confirmed waits for the sync. Removals by retention are journaled behind the acknowledgements they come from.
//
// Who asks for the state of a stream or consumer sees what was published before: the answer waits, for a bounded time, for the entries
// on the way (settled).
//
// Assets are created, and end, with a record in the journal (decision.go); they have no files before their first checkpoint (files.go).
//
// Checkpoints put the applied state into the files of the stream and release the journal. Open reads checkpoints and replays
// what came after them (recover.go).
//
// Threading: a shard is one goroutine and owns its streams with their consumers; no lock between them. A loop that helps takes the
// shard's place for a turn, under the lock owner. API workers create, change and
// delete under the lock of the account and ask the shard with call, ask and post. Inboxes and subscriptions belong to whoever
// publishes. Leaf locks guard the maps of names, the journal groups, the random source; the lock of the API's bus is held while
// one message is published.
package host
