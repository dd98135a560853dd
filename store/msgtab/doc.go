// Package msgtab is what stream stores in memory and on disk have in common: the encoding of a message, segments of messages with
// their index, and the table that answers every question about them.
//
//  1. Append encodes the message into the last frame of the tail segment and notes offset, sequence and subject id in the
//     segment's index; the subject index counts it (append.go).
//  2. Load finds segment, record and frame. A frame that is not in memory is asked for from the host (load.go).
//  3. Next and Prev find the position first, from subject index and segment indexes, then load it (find.go).
//  4. Remove and Purge change counts, the set of deleted sequences and the bounds; a segment without live messages is
//     dropped (remove.go).
//
// What a message costs besides its bytes: 8 bytes of index in the tail, 1 to 8 in a sealed segment, nothing while the index of a cold
// segment is not loaded.
//
// Threading: a table belongs to one owner, the shard of the stream; there is no lock.
package msgtab
