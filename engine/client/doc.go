// Package client serves NATS clients, over TCP, TLS, websocket and in-process pipes: handshake,
// authentication, PUB, SUB and what reload and lame duck do to them.
//
// Hot path of a PUB:
//
//  1. link.Conn.OnData decodes the operation and calls Client.OnOp.
//  2. onPub counts it in the loop's lane. A client without permissions, verbose, pedantic and tracing
//     skips every check but two byte compares for the reserved subjects.
//  3. The lane's scratch Msg is filled with borrowed slices and published through dispatch.
//  4. Nothing was delivered and the client wants to know: the 503 status (pub.go).
//  5. A target was above its soft limit: reading pauses (link.Conn.StallFor).
//
// Threading: a Client belongs to the loop of its connection. Service methods may be called on any
// goroutine; they post to the loops.
package client
