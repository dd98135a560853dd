package netio

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"ramjet/engine"
	"ramjet/proto/base/bufpool"
	"ramjet/proto/base/clock"
)

// CONTRACT: signatures other packages compile against. The owners of engine/netio move each item
// into its own file with a real body and delete this file. Signatures change only by agreement.

// Config configures a Group.
type Config struct {
	Backend    string // "gnet", "epoll", "mem"; "" = platform default
	Loops      int    // 0 = GOMAXPROCS
	Producers  int    // staging slots beyond the loops (JetStream shards)
	ReadBuffer int    // bytes per loop; 0 = 256 KiB
	Pool       int    // workers of the blocking pool; 0 = default
	Clock      clock.Clock
	Logger     engine.Logger
	// TurnEnd, when set, runs on each loop at the end of each turn, before staged output is flushed.
	TurnEnd func(*Loop)
}

// Group is a set of event loops.
type Group struct{}

// NewGroup creates and starts the loops.
func NewGroup(cfg Config) (*Group, error) { panic("contract") }

// Loops returns the loops, index = LoopID.
func (g *Group) Loops() []*Loop { panic("contract") }

// Pool returns the bounded blocking pool (TLS handshakes, bcrypt, DNS, dialing).
func (g *Group) Pool() *Pool { panic("contract") }

// Listen binds addr and returns a listener that does not accept before Start.
func (g *Group) Listen(spec ListenSpec, accept AcceptFunc) (*Listener, error) { panic("contract") }

// Dial connects from the blocking pool; cb runs on the chosen loop (conn) or on the pool (err).
func (g *Group) Dial(spec DialSpec, accept AcceptFunc, fail func(error)) { panic("contract") }

// Pipe returns the client end of an in-process connection whose server end is enrolled.
func (g *Group) Pipe(accept AcceptFunc) (net.Conn, error) { panic("contract") }

// FlushTurn flushes everything staged by producer from. Loops do it themselves at end of turn;
// other producers (shards) call it at the end of their batch.
func (g *Group) FlushTurn(from engine.LoopID) { panic("contract") }

// Stop closes listeners and connections (ReasonServerShutdown) and ends the loops.
func (g *Group) Stop(ctx context.Context) error { panic("contract") }

// AcceptFunc is called on the owning loop for each new connection, before OnOpen. It returns the
// connection's handler, or nil to close it at once.
type AcceptFunc func(c *Conn) Handler

// ListenSpec describes a listener.
type ListenSpec struct {
	Name string // for logs: "client", "websocket"
	Addr string // host:port
}

// DialSpec describes an outbound connection.
type DialSpec struct {
	Addr    string
	Timeout time.Duration
}

// Listener accepts connections on its own goroutine; descriptor exhaustion makes it back off
// (10 ms to 1 s) and never ends it.
type Listener struct{}

// Start begins accepting.
func (l *Listener) Start() { panic("contract") }

// Addr returns the bound address.
func (l *Listener) Addr() net.Addr { panic("contract") }

// Close stops accepting; accepted connections stay.
func (l *Listener) Close() error { panic("contract") }

// Loop is one event loop.
type Loop struct{}

// Index returns the loop's LoopID.
func (l *Loop) Index() engine.LoopID { panic("contract") }

// Post runs fn on the loop, in order of posting. Any goroutine. False after Stop. Bounded inbox:
// a poster that finds it full waits (never call Post from a loop to another loop under a lock);
// posts from loops are never dropped.
func (l *Loop) Post(fn func()) bool { panic("contract") }

// After runs fn on the loop after d (wheel resolution about 1 ms near, coarser far). Loop only.
func (l *Loop) After(d time.Duration, fn func()) *Timer { panic("contract") }

// Now returns unix nanoseconds read once per turn. Loop only.
func (l *Loop) Now() int64 { panic("contract") }

// Timer is a pending After; Stop from the loop only.
type Timer struct{}

// Stop cancels the timer.
func (t *Timer) Stop() { panic("contract") }

// Pool is the bounded blocking pool.
type Pool struct{}

// Submit queues fn; false when the queue is full or the pool stopped. Any goroutine.
func (p *Pool) Submit(fn func()) bool { panic("contract") }

// Handler receives the events of one connection, on its loop.
type Handler interface {
	// OnOpen: enrolled, nothing read yet.
	OnOpen(c *Conn)
	// OnData: plaintext that arrived; borrowed until return. The handler consumes all of it. frame,
	// when not nil, holds data and may be Retained instead of copying.
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

// MaxTimers is the number of per-connection timers (ids 0..MaxTimers-1).
const MaxTimers = 4

// Conn is one connection. Methods are for the owning loop unless they say "any goroutine".
type Conn struct{}

// Loop returns the owning loop. Any goroutine.
func (c *Conn) Loop() *Loop { panic("contract") }

// Out returns the outbox. Any goroutine.
func (c *Conn) Out() *Outbox { panic("contract") }

// SetHandler replaces the handler (protocol detection, websocket upgrade).
func (c *Conn) SetHandler(h Handler) { panic("contract") }

// Push puts a stage between the socket side pushed so far and the handler. Bytes of the current
// read that follow the data already given to OnData go through it: return leftovers with Unread.
func (c *Conn) Push(s Stage) { panic("contract") }

// Unread gives back the tail of the data of the current OnData call; it is delivered again, through
// stages pushed meanwhile, to the then current handler, after OnData returns.
func (c *Conn) Unread(tail []byte) { panic("contract") }

// StartTLS begins a handshake (server role, or client role when spec.Client). Output appended later
// waits for it; OnSecured or OnClose(ReasonTLSHandshake) follows.
func (c *Conn) StartTLS(spec TLSSpec) { panic("contract") }

// DetectTLS looks at the first inbound byte: cb(true) if it is a TLS record, cb(false) if it is
// something else or if wait (0 = forever) passed with no byte. The byte is not consumed.
func (c *Conn) DetectTLS(wait time.Duration, cb func(isTLS bool)) { panic("contract") }

// ExpectProxy reads an optional PROXY v1/v2 header before anything else (also before TLS). An
// invalid header closes with ReasonProtocolViolation; an incomplete one after timeout too.
func (c *Conn) ExpectProxy(timeout time.Duration) { panic("contract") }

// PauseRead stops reading (back pressure), ResumeRead continues. Nestable: reads resume when every
// pause was resumed.
func (c *Conn) PauseRead()  { panic("contract") }
func (c *Conn) ResumeRead() { panic("contract") }

// SetTimer (re)arms timer id; StopTimer cancels it.
func (c *Conn) SetTimer(id uint8, d time.Duration) { panic("contract") }
func (c *Conn) StopTimer(id uint8)                 { panic("contract") }

// CloseAfterFlush closes once queued output was written (or the write deadline passed). Reading stops.
func (c *Conn) CloseAfterFlush(r Reason) { panic("contract") }

// Abort closes as soon as possible, dropping queued output. Any goroutine.
func (c *Conn) Abort(r Reason) { panic("contract") }

// RemoteAddr is the peer (after PROXY: the proxied client). LocalAddr likewise. Any goroutine.
func (c *Conn) RemoteAddr() netip.AddrPort { panic("contract") }
func (c *Conn) LocalAddr() netip.AddrPort  { panic("contract") }

// InProcess reports a Pipe connection.
func (c *Conn) InProcess() bool { panic("contract") }

// TLS returns the connection state after OnSecured, else nil. Any goroutine.
func (c *Conn) TLS() *tls.ConnectionState { panic("contract") }

// Closed reports whether the connection is closed or closing. Any goroutine.
func (c *Conn) Closed() bool { panic("contract") }

// TLSSpec describes a handshake.
type TLSSpec struct {
	Config  *tls.Config
	Client  bool
	Timeout time.Duration // 0 = none
}

// Stage transforms bytes between socket and handler. Open on the owning loop; Seal and Finish by
// whoever holds the outbox's writing flag.
type Stage interface {
	// Open decodes in and emits plaintext (borrowed during emit). An error closes the connection; an
	// error that implements interface{ Reason() Reason } chooses the reason.
	Open(in []byte, emit func(plain []byte) error) error
	// Seal appends the encoded form of plain to dst.
	Seal(dst, plain []byte) ([]byte, error)
	// Finish appends the closing bytes (close_notify, close frame) for reason r.
	Finish(dst []byte, r Reason) []byte
}

// Outbox is the output queue of a connection. Any goroutine, but a LoopID argument must be that of
// the calling producer.
type Outbox struct{}

// SetLimits sets the soft limit (Verdict OverSoft, OnDrain), the hard limit (slow consumer close;
// 0 = none), the write deadline (0 = none) and whether a deadline that passes while bytes still move
// closes (false) or retries (true).
func (o *Outbox) SetLimits(soft, hard int64, deadline time.Duration, retry bool) { panic("contract") }

// Begin returns a buffer with at least n bytes of free capacity after its length to append to; the
// appended slice is given back with End, before anything else is done with the outbox by from.
func (o *Outbox) Begin(from engine.LoopID, n int) []byte { panic("contract") }

// End stages what was appended, counting msgs messages. With from == NoLoop it goes to the queue.
func (o *Outbox) End(from engine.LoopID, b []byte, msgs int) engine.Verdict { panic("contract") }

// AppendRef stages head by copy, payload by reference to f (Retained until written) and tail by copy.
func (o *Outbox) AppendRef(from engine.LoopID, head []byte, f *bufpool.Frame, payload, tail []byte, msgs int) engine.Verdict {
	panic("contract")
}

// Append stages a copy of b that is no message (PONG, INFO, -ERR).
func (o *Outbox) Append(from engine.LoopID, b []byte) engine.Verdict { panic("contract") }

// Flush makes staged output of from leave now: if nobody is writing, the caller writes the socket.
func (o *Outbox) Flush(from engine.LoopID) { panic("contract") }

// Pending returns the bytes queued but not yet written (staged ones not included).
func (o *Outbox) Pending() int64 { panic("contract") }

// Stats returns messages and bytes accepted since the start (message bytes as given to End).
func (o *Outbox) Stats() (msgs, bytes int64) { panic("contract") }

// Slow reports whether Pending is above the soft limit.
func (o *Outbox) Slow() bool { panic("contract") }
