// Package backup reads and writes backups of streams in the formats of nats-server and moves them over the wire:
// archives of 2.15 in both directions, tars of 2.10 to 2.14 in.
//
// A backup (Encoder, SnapshotSession), driven by one goroutine of the host:
//
//  1. The request is decoded and checked (CheckSnapshotRequest); jsck asks for nothing more, since every record is
//     verified as it is read. The host takes the stream's state and its consumers (none if no_consumers is set), makes
//     an Encoder and calls Start and AddConsumer for each.
//  2. NewSnapshotSession; the host subscribes to AckSubject, watches interest in the deliver subject, sends the API
//     response (configuration and the same state) and the advisory that the backup began.
//  3. Interest is called with what is known, then with each change; Ack for each message on AckSubject. A backup
//     starts with the interest, or two seconds later.
//  4. After each of these, and after a Tick when Deadline has come: while Wants, the host reads the next record from
//     the stream and calls AddRecord, or Finish after the last sequence of the state; a record on a cold block
//     (store.Pending) is tried again when it is there, a damaged one is a Fail. Then Next gives the messages to send.
//     Both are repeated until neither has more. Wants is false while the window is full, so the encoder holds about a
//     chunk, a block and a record.
//  5. After Done the host unsubscribes and sends the advisory that the backup ended, with Err.
//
// A restore (Decoder, RestoreSession), driven by one goroutine of the host:
//
//  1. The host checks the request: the stream must not exist, its configuration must be valid and within limits. It
//     subscribes to Subject, sends the API response with it, and the advisory that the restore began.
//  2. Chunk is called for each message; the handler creates the stream (with the configuration of the request, not
//     that of the backup) and takes consumers and records. The stream takes no messages, enforces no limits, no
//     retention and no lifetimes yet, and its consumers are idle. The reply is sent when the handler has taken
//     everything, which slows the client down; Touch follows.
//  3. If Phase is Received, Handler.End was called: records below its first are removed, sequences up to its last are
//     used up. The host activates the stream and its consumers, now with limits, and sends what Finish returns.
//  4. If Phase is Over, by an error or by a Tick at Deadline, Err says so: the host removes what it created, silently
//     if the client was.
//  5. The host unsubscribes and sends the advisory that the restore ended, with Bytes; none if it stalled.
//
// Threading: values belong to one goroutine; there are no locks, clocks or I/O.
package backup
