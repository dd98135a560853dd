package netio

import (
	"ramjet/proto/base/bufpool"
)

// AcceptFunc is called on the owning loop for each new connection, before OnOpen. It returns the
// connection's handler, or nil to close it at once.
type AcceptFunc func(c *Conn) Handler

// Handler receives the events of one connection, on its loop.
type Handler interface {
	// OnOpen: enrolled, nothing read yet.
	OnOpen(c *Conn)
	// OnData: plaintext that arrived; borrowed until return. The handler consumes all of it, or gives
	// the rest back with Unread. frame, when not nil, holds data and may be Retained instead of copying.
	OnData(c *Conn, data []byte, frame *bufpool.Frame)
	// OnTurn: end of the batch of reads of this connection in this turn (fold counters, stalls).
	OnTurn(c *Conn)
	// OnDrain: outbox went from above the soft limit to below it, or became empty after blocking.
	OnDrain(c *Conn)
	// OnTimer: a timer set with SetTimer fired.
	OnTimer(c *Conn, id uint8)
	// OnSecured: the TLS handshake started by StartTLS finished.
	OnSecured(c *Conn)
	// OnClose: closed; called exactly once, last.
	OnClose(c *Conn, r Reason)
}

// Stage transforms bytes between socket and handler. Open on the owning loop; Seal and Finish by
// whoever holds the outbox's writing flag.
//
// A stage may also implement
//
//	connClosed()        // on the loop, once, before OnClose: release what waits for bytes
//	eofReason() Reason  // on the loop: the reason of a close by the peer; ReasonUnknown = default
type Stage interface {
	// Open decodes in and emits plaintext (borrowed during emit). An error closes the connection; an
	// error that implements interface{ Reason() Reason } chooses the reason.
	Open(in []byte, emit func(plain []byte) error) error
	// Seal appends the encoded form of plain to dst. An empty plain asks for bytes the stage itself
	// has to send (Conn.kick).
	Seal(dst, plain []byte) ([]byte, error)
	// Finish appends the closing bytes (close_notify, close frame) for reason r.
	Finish(dst []byte, r Reason) []byte
}

// MaxTimers is the number of per-connection timers (ids 0..MaxTimers-1).
const MaxTimers = 4
