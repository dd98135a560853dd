// Package backup reads and writes backups of streams in the formats of nats-server and moves them over the wire:
// archives of 2.15 in both directions, tars of 2.10 to 2.14 in.
//
// A backup (Encoder, SnapshotSession), driven by one goroutine of the host:
//
//  1. The request was checked and its sizes are set; jsck asks for nothing more, since every record is verified as it
//     is read. The host takes the stream's state and its consumers (none if no_consumers is set), makes an Encoder and
//     calls Start and AddConsumer for each. Configuration and the same state are the answer of the API.
//  2. When the answer is out: NewSnapshotSession. The host subscribes to AckSubject and watches interest in the deliver
//     subject: clients subscribe to it after they saw the answer.
//  3. Interest is called with what is known, then with each change; Ack for each message on AckSubject. A backup
//     starts with the interest, or two seconds later.
//  4. After each of these, and after a Tick when Deadline has come: while Wants, the host reads the next record from
//     the stream and calls AddRecord, or Finish after the last sequence of the state; a record on a cold block
//     (store.Pending) is tried again when it is there, a damaged one is a Fail. Then Next gives the messages to send.
//     Both are repeated until neither has more. Wants is false while the window is full, so the encoder holds about a
//     chunk, a block and a record.
//  5. After Done the host unsubscribes; Err is the error of the advisory.
//
// A restore (Decoder, RestoreSession), driven by one goroutine of the host:
//
//  1. The request was checked: there is no such stream, its configuration is valid and within limits. The host
//     subscribes to Subject, which is the answer of the API.
//  2. Chunk is called for each message; the handler creates the stream (with the configuration of the request, not
//     that of the backup) and takes consumers and records. The stream takes no messages, enforces no limits, no
//     retention and no lifetimes yet, and its consumers are idle. The acknowledgement is sent when the handler has
//     taken everything, which slows the client down; Touch follows. Tick is called at Deadline.
//  3. If Phase is Received, Handler.End was called: records below its first are removed, sequences up to its last are
//     used up. The host activates the stream and its consumers, now with limits, and calls Finish.
//  4. If Phase is Over, the host unsubscribes. With an Err, it removes what it created. The answer of the API, the
//     stream or APIError, goes to Reply, and an advisory with Bytes tells that the restore ended; not if it stalled.
//
// Threading: values belong to one goroutine; there are no locks, clocks or I/O.
package backup
