package netio

import "time"

// setReason keeps the first reason. Any goroutine.
func (c *Conn) setReason(r Reason) { c.reason.CompareAndSwap(0, uint32(r)+1) }

func (c *Conn) closeReason() Reason {
	if v := c.reason.Load(); v > 0 {
		return Reason(v - 1)
	}
	return ReasonUnknown
}

// Abort closes as soon as possible, dropping queued output. OnClose follows on the loop, not from
// within this call. Any goroutine.
func (c *Conn) Abort(r Reason) {
	c.setReason(r)
	c.dying.Store(true)
	c.out.refuse.Store(true)
	c.signal(opAbort)
}

// fail closes after a socket error.
func (c *Conn) fail(r Reason) { c.Abort(r) }

// onEOF: the peer has closed its side. It may still read: what is queued gets one chance.
func (c *Conn) onEOF() {
	c.eof = true
	r := ReasonClientClosed
	if c.stack != nil {
		for _, s := range c.stack.stages {
			if e, ok := s.(interface{ eofReason() Reason }); ok {
				if x := e.eofReason(); x != ReasonUnknown {
					r = x
				}
			}
		}
	}
	c.CloseAfterFlush(r)
}

// CloseAfterFlush closes once queued output was written (or the write deadline passed, 5 s without
// one). Reading stops, further output is refused. The peer gets the time to read the last bytes: our
// side is shut down first, and the descriptor closed when the peer has closed too, after lingerTime, or
// when it has sent another lingerBytes.
func (c *Conn) CloseAfterFlush(r Reason) {
	c.loop.assertOwner()
	if c.state != stOpen {
		return
	}
	c.setReason(r)
	c.loop.prod.flushOne(&c.out)
	c.state = stClosing
	c.dropKept()
	c.dying.Store(true)
	for i := range MaxTimers {
		c.loop.wheel.Cancel(&c.timers[i])
	}
	c.interest()
	bound := closeTimeout
	if d := time.Duration(c.out.deadline.Load()); d > 0 {
		bound = d
	}
	if c.eof {
		bound = min(bound, eofTimeout)
	}
	if c.loop.stopping {
		bound = min(bound, stopTimeout)
	}
	c.arm(timerWrite, bound)
	c.out.finish(c.loop.idx)
}

// closeFor is CloseAfterFlush with the error that led to it.
func (c *Conn) closeFor(r Reason, err error) {
	if c.closeErr == nil {
		c.closeErr = err
	}
	c.CloseAfterFlush(r)
}

// Err returns the error behind the close reason, for the log: a TLS, websocket or PROXY violation, a
// failed handshake. nil when there is none. Loop only, from OnClose on.
func (c *Conn) Err() error { return c.closeErr }

// finalize ends the connection for the handler. With graceful, everything was written and the peer
// gets the time to read it. Loop only, never from within a call of the handler.
func (c *Conn) finalize(graceful bool) {
	if c.state == stClosed || c.state == stLinger {
		return
	}
	c.dying.Store(true)
	for i := range c.timers {
		c.loop.wheel.Cancel(&c.timers[i])
	}
	h := c.h
	c.h = nopHandler{}
	if graceful && !c.eof && c.sockShutdown() == nil {
		c.state = stLinger
		c.out.refuse.Store(true)
		c.arm(timerWrite, lingerTime)
		c.setWrite(false)
		c.interest()
	} else {
		c.closeNow()
	}
	if c.stack != nil {
		for _, s := range c.stack.stages {
			if e, ok := s.(interface{ connClosed() }); ok {
				e.connClosed()
			}
		}
	}
	c.intercepts, c.stash, c.unread = nil, nil, nil
	c.dropKept()
	h.OnClose(c, c.closeReason())
}

// closeNow takes the connection out of the loop and closes the descriptor, or leaves that to whoever
// is writing it.
func (c *Conn) closeNow() {
	c.state = stClosed
	l := c.loop
	c.disarm(timerWrite)
	if !c.detached && !c.unregistered {
		l.poll.remove(c)
	}
	l.conns[c.fd] = nil
	l.open--
	l.placed.Add(-1)
	c.out.kill()
}

// discard reads what a peer still sends to a connection that waits for its end, up to lingerBytes: closing with unread
// input resets the stream, which may destroy our last bytes; reading on for long would hide from a peer that it was closed.
func (c *Conn) discard() (more bool) {
	n, err := c.sockRead(c.loop.readBuffer())
	c.lingered += int32(n)
	if (n > 0 || (err != nil && isTemporary(err))) && c.lingered < lingerBytes {
		return n > 0
	}
	c.closeNow()
	return false
}
