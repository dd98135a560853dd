// Package journal is the one append-only log of a volume: every durable decision of a server, of all its
// streams, consumers and raft groups, is a checksummed record in it, written and synced in groups.
//
// Path of a record:
//
//  1. Append (a shard) encodes the records into the open batch, assigns positions; a large payload that the caller
//     hands over (Record.Own) is not copied (batch.go).
//  2. Submit registers who wants to know when; it wakes the committer once.
//  3. The committer takes the whole batch, closes it with a commit record, writes it with one WriteV and
//     syncs once if anybody waits for that (commit.go). Whatever arrives meanwhile is the next batch. What nobody waits for is
//     synced behind, while more is written, so that little of it has to be kept for a failover (behind.go).
//  4. Completions are called; they only post to an inbox.
//  5. Release drops what a group no longer needs; files that nobody needs are recycled, not deleted, so that
//     later writes change no metadata (release.go). A group that pins old files with few records has
//     them rewritten at the head (rewrite.go).
//     What happens when the disk fills up is in room.go.
//  6. Open reads back what is live, tells a torn tail from damage, and replays (recover.go); then it goes on in a fresh file
//     (begin.go).
//
// The rules: a batch is written only after the previous one was synced (with an interval: a commit record says how
// far the log was synced when it was written), so valid bytes after invalid ones prove that the invalid ones were once
// durable. A failed sync is never repeated on the same range: what was not acknowledged goes to a fresh file.
//
// Threads: Append, Submit, Release from any goroutine (one leaf lock around the open batch and the table of
// files); writing, syncing and completions on the committer's goroutine alone, but for TryWrite and one sync behind at a time; files are made and removed, and laggards rewritten, on the
// preparer's. With Options.Stepped there are no goroutines: a simulation calls Step.
package journal
