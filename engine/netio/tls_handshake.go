package netio

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"

	"ramjet/proto/base/invariant"
)

const (
	// maxHandshakes is the number of handshakes that may be between their first complete record and
	// their end (about 25 KiB each); further ones wait their turn, within their timeout.
	maxHandshakes = 4096
	// maxEarly is the ciphertext kept for a handshake, in bytes; reading pauses beyond it. It is more
	// than the largest handshake message crypto/tls accepts (256 KiB) with its record headers.
	maxEarly = 320 << 10
	// maxRecord is the largest record announced by a ClientHello that is waited for.
	maxRecord = 16<<10 + 256
)

var (
	errHandshakeTimeout = errors.New("TLS handshake timeout")
	errHandshakeClosed  = errors.New("netio: connection closed during TLS handshake")
)

// handshaker bounds the handshakes of a group. The zero value is ready.
//
// crypto/tls wants to block while it waits for the peer, so a handshake has a goroutine; a worker of
// the blocking pool would be held for as long as a slow or malicious peer likes. What is scarce is
// bounded apart: running counts goroutines (each costs some KiB), and slots the handshakes that
// compute. A goroutine gives its slot back whenever it waits for bytes, and none is started before
// the first record is complete, so a peer that sends half a ClientHello costs only a buffer.
type handshaker struct {
	once  sync.Once
	slots chan struct{}

	mu      sync.Mutex
	running int
	queue   []*handshake
}

func (h *handshaker) init() {
	h.once.Do(func() { h.slots = make(chan struct{}, max(2, runtime.GOMAXPROCS(0))) })
}

// start runs hs now or when another handshake ends.
func (h *handshaker) start(hs *handshake) {
	h.init()
	h.mu.Lock()
	if h.running >= maxHandshakes {
		h.queue = append(h.queue, hs)
		h.mu.Unlock()
		return
	}
	h.running++
	h.mu.Unlock()
	go hs.run()
}

// done is called by a goroutine that ends.
func (h *handshaker) done() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.queue) > 0 {
		next := h.queue[0]
		h.queue[0] = nil
		h.queue = h.queue[1:]
		if !next.over() {
			go next.run()
			return
		}
	}
	h.running--
}

// handshake is the first part of a tlsStage's life. The goroutine run computes; everything that
// touches the connection happens on the loop, in tasks it posts: they alone write to the socket, so
// that records leave in the order in which they were made.
type handshake struct {
	t       *tlsStage
	h       *handshaker
	started bool // loop
	ended   bool // loop: succeeded, failed or given up
	timer   *Timer
}

// StartTLS begins a handshake (server role, or client role when spec.Client). Output appended later
// waits for it; OnSecured or OnClose(ReasonTLSHandshake) follows. Loop only.
func (c *Conn) StartTLS(spec TLSSpec) {
	t := &tlsStage{c: c, spec: spec}
	t.pipe.st, t.pipe.wake = t, make(chan struct{}, 1)
	if spec.Client {
		t.conn = tls.Client(&t.pipe, spec.Config)
	} else {
		t.conn = tls.Server(&t.pipe, spec.Config)
	}
	t.hs = handshake{t: t, h: &c.loop.g.handshakes}
	c.push(t, true)
	if spec.Timeout > 0 {
		t.hs.timer = c.loop.After(spec.Timeout, func() {
			if !t.hs.ended {
				t.hs.fail(errHandshakeTimeout)
			}
		})
	}
	if spec.Client {
		t.hs.begin()
	}
}

func (hs *handshake) stopTimer() {
	if hs.timer != nil {
		hs.timer.Stop()
	}
}

func (hs *handshake) begin() {
	hs.started = true
	hs.h.start(hs)
}

// feed takes ciphertext during the handshake. Loop.
func (hs *handshake) feed(in []byte) error {
	p := &hs.t.pipe
	p.mu.Lock()
	p.in = append(p.in, in...)
	ready := hs.started || firstRecordComplete(p.in)
	pause := len(p.in) > maxEarly && !p.paused && !hs.ended
	if pause {
		p.paused = true
	}
	p.mu.Unlock()
	if pause {
		hs.t.c.PauseRead()
	}
	if !hs.started && ready && !hs.ended {
		hs.begin()
		return nil
	}
	p.signal()
	return nil
}

// firstRecordComplete reports whether b holds a whole record, or something crypto/tls will refuse.
func firstRecordComplete(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	if b[0] != recordHandshake {
		return len(b) >= 5 // what crypto/tls reads before it says so
	}
	if len(b) < 5 {
		return false
	}
	n := int(binary.BigEndian.Uint16(b[3:]))
	return n > maxRecord || len(b) >= 5+n
}

// over reports whether the connection was closed meanwhile. Any goroutine.
func (hs *handshake) over() bool {
	p := &hs.t.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// run is the handshake's goroutine.
func (hs *handshake) run() {
	defer hs.h.done()
	hs.h.slots <- struct{}{}
	err := hs.compute()
	<-hs.h.slots
	hs.t.c.loop.Post(func() { hs.finish(err) })
}

// compute contains a panic of a certificate callback: no input may end the process.
func (hs *handshake) compute() (err error) {
	defer func() {
		if invariant.On {
			return
		}
		if v := recover(); v != nil {
			hs.t.c.loop.g.caught(hs.t.c, v, debug.Stack())
			err = fmt.Errorf("netio: panic in a TLS handshake: %v", v)
		}
	}()
	return hs.t.conn.Handshake()
}

// read is tlsPipe.Read on the goroutine: it waits for ciphertext, without a slot.
func (hs *handshake) read(b []byte) (int, error) {
	p := &hs.t.pipe
	free := false
	for {
		p.mu.Lock()
		n := copy(b, p.in)
		if n > 0 {
			if p.in = p.in[n:]; len(p.in) == 0 {
				p.in = nil
			}
		}
		closed, tell := p.closed, len(p.out) > 0 || p.paused
		p.mu.Unlock()
		if n > 0 || closed {
			if free {
				hs.h.slots <- struct{}{}
			}
			if n == 0 {
				return 0, errHandshakeClosed
			}
			return n, nil
		}
		if !free {
			free = true
			<-hs.h.slots
		}
		if tell {
			hs.t.c.loop.Post(hs.flight)
		}
		<-p.wake
	}
}

// Idle runs f, which may wait, without the slot of the handshake. It is for callbacks of crypto/tls that
// wait for somebody else than the peer; they find it on ClientHelloInfo.Conn. Handshake goroutine only.
func (p *tlsPipe) Idle(f func()) {
	slots := p.st.hs.h.slots
	<-slots
	defer func() { slots <- struct{}{} }()
	f()
}

// flight sends what the goroutine has produced before it waits. Loop.
func (hs *handshake) flight() {
	if hs.ended || hs.t.c.state != stOpen {
		return
	}
	hs.t.c.writeBelow(hs.t, hs.t.pipe.take())
	hs.resume()
}

// resume lets reading go on after the buffer was full. Loop.
func (hs *handshake) resume() {
	p := &hs.t.pipe
	p.mu.Lock()
	paused := p.paused
	p.paused = false
	p.mu.Unlock()
	if paused {
		hs.t.c.ResumeRead()
	}
}

// finish is the one task that ends a handshake: what is left to send, then the steady state, then the
// bytes that arrived meanwhile. Loop.
func (hs *handshake) finish(err error) {
	t, c := hs.t, hs.t.c
	if hs.ended || c.state != stOpen {
		return
	}
	defer c.loop.recover(c)
	c.writeBelow(t, t.pipe.take())
	if err != nil {
		hs.fail(err)
		return
	}
	hs.ended = true
	hs.stopTimer()
	state := t.conn.ConnectionState()
	c.tlsState.Store(&state)
	early := t.pipe.in
	t.pipe.in, t.pipe.wake = nil, nil
	t.pipe.steady = true
	c.releaseHold()
	c.h.OnSecured(c)
	if c.state != stOpen {
		return
	}
	hs.resume()
	// Also with no early bytes: crypto/tls may have read some beyond the handshake.
	c.loop.cur = nil
	c.settle(c.deliver(c.levelOf(t), early))
	if c.state == stOpen {
		c.h.OnTurn(c)
	}
}

// fail closes the connection; the alert, if there is one, was queued. Loop.
func (hs *handshake) fail(err error) {
	hs.ended = true
	hs.stopTimer()
	hs.t.pipe.end()
	hs.t.c.closeFor(ReasonTLSHandshake, err)
}
