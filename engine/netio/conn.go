package netio

import (
	"crypto/tls"
	"net/netip"
	"sync/atomic"
	"time"

	"ramjet/proto/base/bufpool"
	"ramjet/proto/base/wheel"
)

// States of a connection, owned by its loop.
const (
	stOpen    uint8 = iota
	stClosing       // CloseAfterFlush: not reading, output leaves
	stLinger        // OnClose was called, waiting for the peer to read the last bytes
	stClosed
)

// Signals to the owner loop (Conn.ops).
const (
	opAbort   uint32 = 1 << iota // Abort was called, or a write failed
	opBlocked                    // the socket is full: arm writable
	opDrain                      // tell the handler that output drained
	opFlushed                    // everything was written while closing
	opResume                     // deliver stashed input
)

const (
	lingerTime   = 20 * time.Millisecond // wait for the peer's end after our last byte
	lingerBytes  = 512 << 10             // input read away meanwhile; a peer that sends more gets a reset
	stopTimeout  = time.Second           // bound of the last flush while the group stops
	closeTimeout = 5 * time.Second       // bound of CloseAfterFlush without write deadline
	eofTimeout   = 2 * time.Second       // bound of the last flush to a peer that closed
)

// Conn is one connection. Methods are for the owning loop unless they say "any goroutine".
type Conn struct {
	loop  *Loop
	h     Handler
	out   Outbox
	mem   *memEnd // simulated socket; nil for a real one
	fd    int32
	dying atomic.Bool // Closed()

	// owned by the loop
	state        uint8
	wantRead     bool // interest, read by the poller
	wantWrite    bool
	detached     bool // taken out of the poller after a hang-up while paused
	unregistered bool
	eof          bool
	inproc       bool
	pauses       int16
	lingered     int32 // bytes read away since the last output
	unread       []byte
	stash        []byte // input given back while reading is paused
	share        share
	stack        *stack
	intercepts   []interceptor
	timers       [numTimers]wheel.Timer
	closeErr     error // what led to the close, for Err

	ops    atomic.Uint32
	reason atomic.Uint32 // Reason+1, the first one wins

	remote, local netip.AddrPort
	proxied       atomic.Pointer[addrPair] // addresses of the PROXY header
	tlsState      atomic.Pointer[tls.ConnectionState]
}

// addrPair replaces the socket's addresses.
type addrPair struct{ remote, local netip.AddrPort }

// interceptor sees socket bytes before the stages (PROXY header, TLS detection). It returns the bytes
// that go on and whether it is finished; until then rest is ignored and it keeps what it needs.
type interceptor func(data []byte) (rest []byte, done bool)

func newConn(l *Loop, fd int, remote, local netip.AddrPort) *Conn {
	c := &Conn{loop: l, fd: int32(fd), remote: remote, local: local}
	c.out.c = c
	c.out.key = l.g.keys.Add(1)
	return c
}

// Loop returns the owning loop. Any goroutine.
func (c *Conn) Loop() *Loop { return c.loop }

// Out returns the outbox. Any goroutine.
func (c *Conn) Out() *Outbox { return &c.out }

// SetHandler replaces the handler (protocol detection, websocket upgrade).
func (c *Conn) SetHandler(h Handler) { c.h = h }

// RemoteAddr is the peer (after PROXY: the proxied client). Any goroutine.
func (c *Conn) RemoteAddr() netip.AddrPort {
	if p := c.proxied.Load(); p != nil {
		return p.remote
	}
	return c.remote
}

// LocalAddr is our side (after PROXY: the address the client connected to). Any goroutine.
func (c *Conn) LocalAddr() netip.AddrPort {
	if p := c.proxied.Load(); p != nil {
		return p.local
	}
	return c.local
}

// InProcess reports a Pipe connection. Any goroutine.
func (c *Conn) InProcess() bool { return c.inproc }

// TLS returns the connection state after OnSecured, else nil. Any goroutine.
func (c *Conn) TLS() *tls.ConnectionState { return c.tlsState.Load() }

// Closed reports whether the connection is closed or closing. Any goroutine.
func (c *Conn) Closed() bool { return c.dying.Load() }

// PauseRead stops reading (back pressure). Nestable: reads resume when every pause was resumed.
func (c *Conn) PauseRead() {
	c.loop.assertOwner()
	c.pauses++
	if c.pauses == 1 {
		c.interest()
	}
}

// ResumeRead takes back one PauseRead.
func (c *Conn) ResumeRead() {
	c.loop.assertOwner()
	if c.pauses == 0 {
		panic("netio: ResumeRead without PauseRead")
	}
	c.pauses--
	if c.pauses > 0 || c.state != stOpen {
		return
	}
	if len(c.stash) > 0 {
		c.signal(opResume) // not from within the caller
	}
	if c.share.kept != nil {
		c.loop.enqueue(c)
	}
	c.interest()
}

// interest makes the poller's interest follow the state.
func (c *Conn) interest() {
	if c.unregistered {
		return
	}
	read := (c.state == stOpen && c.pauses == 0) || c.state == stLinger
	if c.detached {
		if !read && !c.wantWrite {
			return
		}
		c.detached = false
		c.wantRead = read
		if c.loop.poll.add(c) != nil {
			c.fail(ReasonReadError)
		}
		return
	}
	if read != c.wantRead {
		c.wantRead = read
		c.loop.poll.update(c)
	}
}

// setWrite arms or disarms writable.
func (c *Conn) setWrite(on bool) {
	if c.unregistered || c.wantWrite == on {
		return
	}
	c.wantWrite = on
	if c.detached {
		c.interest()
		return
	}
	c.loop.poll.update(c)
}

// onHup handles an error or hang-up that arrives while nothing is read: what the peer sent before is
// still to be read after ResumeRead, so the descriptor only leaves the poller until then.
func (c *Conn) onHup() {
	if c.state != stOpen {
		// closing: the peer is gone, the rest cannot be delivered
		c.finalize(false)
		return
	}
	if !c.wantWrite && !c.detached {
		c.detached = true
		c.loop.poll.remove(c)
	}
}

// signal tells the owner loop something about c, coalesced. Any goroutine.
func (c *Conn) signal(op uint32) {
	if c.ops.Or(op) == 0 {
		c.loop.post(task{c: c}, false)
	}
}

// signals handles what signal collected.
func (l *Loop) signals(c *Conn) {
	defer l.recover(c)
	ops := c.ops.Swap(0)
	if c.state == stClosed {
		return
	}
	if ops&opAbort != 0 && c.state != stLinger {
		c.finalize(false)
		return
	}
	if ops&opBlocked != 0 {
		c.onBlocked()
	}
	if ops&opFlushed != 0 && c.state == stClosing {
		c.finalize(true)
		return
	}
	if ops&opResume != 0 && c.state == stOpen && c.pauses == 0 && len(c.stash) > 0 {
		data := c.stash
		c.stash = nil
		l.cur = nil
		c.settle(c.top(data))
		if c.state == stOpen {
			c.h.OnTurn(c)
		}
	}
	if ops&opDrain != 0 && c.state == stOpen {
		c.h.OnDrain(c)
	}
}

// nopHandler stands in until AcceptFunc has returned.
type nopHandler struct{}

func (nopHandler) OnOpen(*Conn)                         {}
func (nopHandler) OnData(*Conn, []byte, *bufpool.Frame) {}
func (nopHandler) OnTurn(*Conn)                         {}
func (nopHandler) OnDrain(*Conn)                        {}
func (nopHandler) OnTimer(*Conn, uint8)                 {}
func (nopHandler) OnSecured(*Conn)                      {}
func (nopHandler) OnClose(*Conn, Reason)                {}
