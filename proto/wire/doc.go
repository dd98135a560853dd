// Package wire reads and writes the NATS line protocol: bytes in, values out.
//
// Reading one operation (Next):
//  1. A client `PUB ` with single spaces and a complete payload is recognised by one 32-bit compare and
//     scanned by hand (parse_client.go).
//  2. Everything else: the verb is looked up in the table of the dialect (op.go), so that a verb of one
//     kind of connection cannot be reached from another.
//  3. The line end is found, the control line limit applied, the line split whole (line.go, args.go).
//  4. Announced payloads are bounded, awaited and checked for their CRLF (payload.go).
//
// Writing: Append functions that add to the caller's buffer (append.go, info.go).
//
// Threading: no state, no goroutine, no allocation except for CONNECT and INFO; any goroutine. Decoded
// slices are borrowed from the buffer given to Next.
package wire
