// Package stream keeps the messages of a stream in segment files: the applied form of what the journal made durable.
//
//  1. Append encodes the message into the tail frame (msgtab). No system call.
//  2. Every 256 KiB the frames are handed to the writer, which writes them with one call (writer.go). Frames stay in memory for
//     readers until newer ones push them out.
//  3. A full tail is sealed: the writer adds a footer with the index and a summary by subject (footer.go).
//  4. Load and Next that meet a cold block return Pending; a reader populates the mapping (or reads and decodes) and verifies
//     every record, then the owner is woken (reader.go). Records that do not verify are lost, and said to be.
//  5. Checkpoint writes what is left, syncs what changed, and replaces the state file: bounds, deletes, the table of segments, the
//     journal index, the host's own bytes (checkpoint.go). That goes on beside the writer, so that no frame waits for a sync (saving.go). Only
//     then are files removed and content is erased for good.
//  6. Open reads the state file and the summaries; what was written after the checkpoint is forgotten, because the host replays it
//     from the journal (open.go). Without a readable state the segments are scanned.
//  7. Half-empty segments are rewritten, small neighbours joined (compact.go); Scrub verifies cold ones (scrub.go).
//
// Threading: all methods belong to the owner, the shard of the stream, unless they say otherwise. Files are touched by the writer (one
// job at a time per store, in order), by one goroutine that saves a checkpoint, and by readers. One leaf lock guards the queues between them. The owner itself reads a file
// only when a method without Pending (Remove, Purge, Pending, Subjects, SeqAt, State) needs the index of a segment that is not
// loaded; Stats counts these stalls and Warm avoids them.
package stream
