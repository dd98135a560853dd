// Package netio moves bytes between sockets and handlers on a fixed set of event loops; it is the only
// package that knows the reactor, and it knows no NATS.
//
// Hot path, one message from socket to socket:
//  1. poller (loop_epoll_linux.go, loop_gnet.go, loop_mem.go): a descriptor is readable.
//  2. Loop.readConn (loop.go): one read into the loop's large buffer, which is a bufpool.Frame; connections whose reads take long
//     wait for a slice of the turn first (share.go).
//  3. Conn.deliver (deliver.go): through the stages' Open to Handler.OnData, borrowed bytes.
//  4. Outbox.Begin/End/AppendRef (stage_out.go): the handler appends to the staging buffer of
//     (producer, destination); no lock, no system call, no allocation.
//  5. end of turn, 60 KiB copied or 480 KiB with references: producer.flush (stage_out.go), once per touched destination.
//  6. Outbox.push (flush.go): a short lock; whoever finds nobody writing seals through the stages and
//     writes the socket itself, whichever loop owns it; who finds a writer queues and leaves.
//  7. EAGAIN: blocked is set and the owner loop arms writable and goes on there (flush.go, onWritable).
//
// Threading. A Conn belongs to one loop: reading, stages' Open, handler calls, timers and the close of
// the descriptor's registration happen there. The outbox may be used by any goroutine: mu guards the
// queue, the flag `writing` gives the right to seal and to write. A producer (LoopID) belongs to one
// goroutine. Work for a loop goes through its inbox, with one coalesced wake.
package netio
