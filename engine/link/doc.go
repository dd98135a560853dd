// Package link is the connection type that every kind of peer shares: it feeds bytes through the
// line protocol to a Protocol and delivers messages into the connection's outbox.
//
// Hot path, one PUB of a client to one subscriber:
//
//  1. netio calls Conn.OnData with the bytes of one read (borrowed).
//  2. feed.go decodes one operation after the other with wire.Next into the loop's scratch Op; a cut
//     operation waits in a small pooled frame of the connection.
//  3. The Protocol (engine/client) checks it and publishes through dispatch.Router.
//  4. dispatch calls Conn.Deliver of each target: one atomic load of the flags, one Take, and the
//     MSG line, header and payload are appended to the staging buffer of (this loop, that
//     connection). No lock, no allocation, no clock, no system call.
//  5. netio writes all staged buffers once, at the end of the loop's turn.
//
// Threading: a Conn belongs to the loop of its netio.Conn. Fields are owned by that loop unless they
// are atomics. Deliver, Snapshot, ID, Kind, Account, User, Label and Logf may be called on any
// goroutine; everything else says where. The locks here are leaves: a shard of the Registry, the
// ring of closed connections, a Replies table and a drain list.
package link
