package netio

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"
)

// TLSSpec describes a handshake.
type TLSSpec struct {
	Config  *tls.Config
	Client  bool
	Timeout time.Duration // 0 = none
}

// tlsStage carries a connection's bytes over crypto/tls without a goroutine of its own once the
// handshake (tls_handshake.go) is over. The tls.Conn reads and writes an in-memory pipe:
//
//   - Open (loop) lends the pipe the ciphertext that arrived and calls tls.Conn.Read until it reports
//     the pipe's "no bytes" error. The error says it is temporary, and crypto/tls keeps no temporary
//     read error: the next Read goes on in the middle of a record. stage_tls_test.go pins that.
//   - Seal and Finish (writing flag, any goroutine) let tls.Conn.Write put records into the chunk that
//     is about to be written.
//
// Read may write too (an answer to a key update, an alert), while Seal runs elsewhere: crypto/tls
// orders records under its own lock and the pipe's write side is locked, so the order of records in
// the output is the order in which they were encrypted.
type tlsStage struct {
	c    *Conn
	spec TLSSpec
	conn *tls.Conn
	pipe tlsPipe
	hs   handshake
}

// noBytes is what the pipe's Read reports in the steady state when all lent bytes were used.
type noBytes struct{}

func (noBytes) Error() string   { return "netio: no bytes yet" }
func (noBytes) Timeout() bool   { return true }
func (noBytes) Temporary() bool { return true }

// tlsPipe is the net.Conn under a tls.Conn.
type tlsPipe struct {
	st   *tlsStage
	lent []byte // steady state, loop only: ciphertext of the current Open

	mu  sync.Mutex
	out []byte // ciphertext to be sent; during Seal, the chunk being filled
	in  []byte // handshake: ciphertext not yet read
	// steady is set on the loop after the handshake goroutine has ended; the loop alone reads then.
	steady  bool
	sealing bool // out is the chunk of a Seal that is going on
	closed  bool
	paused  bool          // reading is paused because in is full
	wake    chan struct{} // capacity 1: in or closed changed
}

// tlsRead is room for the plaintext of one record.
const tlsRead = 16 << 10

var tlsBuffers = sync.Pool{New: func() any { b := make([]byte, tlsRead); return &b }}

// Open decrypts what is complete and keeps the rest inside the tls.Conn.
func (t *tlsStage) Open(in []byte, emit func([]byte) error) error {
	if !t.pipe.steady {
		return t.hs.feed(in)
	}
	buf := tlsBuffers.Get().(*[]byte)
	defer tlsBuffers.Put(buf)
	t.pipe.lent = in
	var err error
	for {
		var n int
		n, err = t.conn.Read(*buf)
		if n > 0 {
			if e := emit((*buf)[:n]); e != nil {
				err = e
				break
			}
		}
		if err != nil {
			break
		}
	}
	t.pipe.lent = nil
	if t.pipe.waiting() {
		t.c.kick()
	}
	switch {
	case err == error(noBytes{}):
		return nil
	case err == io.EOF: // close_notify
		return &stageError{ReasonClientClosed, err}
	}
	return err
}

// Seal encrypts plain into dst; an empty plain only collects what tls.Conn.Read had to say.
func (t *tlsStage) Seal(dst, plain []byte) ([]byte, error) {
	t.pipe.beginSeal(dst)
	var err error
	if len(plain) > 0 {
		_, err = t.conn.Write(plain)
	}
	return t.pipe.endSeal(), err
}

// Finish appends close_notify.
func (t *tlsStage) Finish(dst []byte, _ Reason) []byte {
	t.pipe.beginSeal(dst)
	// After a fatal error crypto/tls refuses; its alert is in the pipe then.
	_ = t.conn.CloseWrite()
	return t.pipe.endSeal()
}

// connClosed ends a handshake that waits for bytes.
func (t *tlsStage) connClosed() {
	t.hs.stopTimer()
	t.pipe.end()
}

// eofReason: a peer that leaves during the handshake failed it.
func (t *tlsStage) eofReason() Reason {
	if t.pipe.steady {
		return ReasonUnknown
	}
	t.c.closeErr = io.EOF
	return ReasonTLSHandshake
}

// Read is called by crypto/tls: by the handshake goroutine, later by the loop.
func (p *tlsPipe) Read(b []byte) (int, error) {
	if !p.steady {
		return p.st.hs.read(b)
	}
	if len(p.lent) == 0 {
		return 0, noBytes{}
	}
	n := copy(b, p.lent)
	p.lent = p.lent[n:]
	return n, nil
}

// Write is called by crypto/tls under its own lock for records.
func (p *tlsPipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	p.out = append(p.out, b...)
	p.mu.Unlock()
	return len(b), nil
}

// beginSeal makes records go to dst, after those that wait.
func (p *tlsPipe) beginSeal(dst []byte) {
	p.mu.Lock()
	p.out, p.sealing = append(dst, p.out...), true
	p.mu.Unlock()
}

func (p *tlsPipe) endSeal() []byte {
	p.mu.Lock()
	dst := p.out
	p.out, p.sealing = nil, false
	p.mu.Unlock()
	return dst
}

// waiting reports whether records wait that no Seal is about to take.
func (p *tlsPipe) waiting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.out) > 0 && !p.sealing
}

// take returns what waits to be sent.
func (p *tlsPipe) take() []byte {
	p.mu.Lock()
	b := p.out
	p.out = nil
	p.mu.Unlock()
	return b
}

// end makes a waiting handshake fail.
func (p *tlsPipe) end() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.signal()
}

func (p *tlsPipe) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// The rest of net.Conn: deadlines are kept by the loop's timers.

func (p *tlsPipe) Close() error                     { return nil }
func (p *tlsPipe) LocalAddr() net.Addr              { return net.TCPAddrFromAddrPort(p.st.c.LocalAddr()) }
func (p *tlsPipe) RemoteAddr() net.Addr             { return net.TCPAddrFromAddrPort(p.st.c.RemoteAddr()) }
func (p *tlsPipe) SetDeadline(time.Time) error      { return nil }
func (p *tlsPipe) SetReadDeadline(time.Time) error  { return nil }
func (p *tlsPipe) SetWriteDeadline(time.Time) error { return nil }
