package netio

import (
	"errors"
)

// errStop ends the delivery of a read because the connection is closing; it is not a failure.
var errStop = errors.New("netio: connection closed during delivery")

// maxStash bounds what is kept of input that was given back, in bytes.
const maxStash = 64 << 20

// stack holds the stages of a connection, from the socket up. It only grows. The loop writes it under
// out.mu; the holder of the outbox's writing flag reads it under out.mu.
type stack struct {
	stages []Stage
	emits  []func([]byte) error // emits[i] takes what stages[i] decoded
}

// depth is the number of stages. Loop, or under out.mu.
func (c *Conn) depth() int {
	if c.stack == nil {
		return 0
	}
	return len(c.stack.stages)
}

// Push puts a stage between the socket side pushed so far and the handler. Bytes of the current
// read that follow the data already given to OnData go through it: return leftovers with Unread.
// Output staged or queued before leaves without it.
func (c *Conn) Push(s Stage) { c.push(s, false) }

// push adds a stage; with hold, output appended from now on waits until releaseHold.
func (c *Conn) push(s Stage, hold bool) {
	c.loop.assertOwner()
	c.loop.prod.flushOne(&c.out) // what was staged before belongs below the stage
	level := c.depth() + 1
	next := &stack{}
	if c.stack != nil {
		next.stages = append(next.stages, c.stack.stages...)
		next.emits = append(next.emits, c.stack.emits...)
	}
	next.stages = append(next.stages, s)
	next.emits = append(next.emits, func(plain []byte) error { return c.deliver(level, plain) })
	c.out.mu.Lock()
	c.stack = next
	if hold {
		c.out.hold = uint8(level)
	}
	c.out.mu.Unlock()
}

// releaseHold lets the output go that waited since push(s, true).
func (c *Conn) releaseHold() {
	c.out.mu.Lock()
	c.out.hold = 0
	c.out.mu.Unlock()
	c.out.tryWrite(c.loop.idx)
}

// levelOf returns the index of a stage in the stack, -1 if it is not there.
func (c *Conn) levelOf(s Stage) int {
	if c.stack != nil {
		for i, x := range c.stack.stages {
			if x == s {
				return i
			}
		}
	}
	return -1
}

// writeBelow queues bytes that stage s itself has encoded (handshake, control frame): they pass only
// the stages below s, before any output that waits for s. Loop only.
func (c *Conn) writeBelow(s Stage, b []byte) {
	level := c.levelOf(s)
	if level < 0 || len(b) == 0 {
		return
	}
	c.out.insert(b, uint8(level))
	c.out.tryWrite(c.loop.idx)
}

// kick makes the holder of the writing flag call Seal of the top stage with an empty plaintext, for
// bytes a stage has to send that must keep their order with sealed ones. Loop only.
func (c *Conn) kick() {
	if c.depth() == 0 {
		return
	}
	c.out.kick()
	c.out.tryWrite(c.loop.idx)
}

// Unread gives back the tail of the data of the current OnData call; it is delivered again, through
// stages pushed meanwhile, to the then current handler, after OnData returns. While reading is paused,
// or when everything was given back without any change, it waits for ResumeRead or for more input.
func (c *Conn) Unread(tail []byte) { c.unread = tail }

// Reopen passes data, which the handler was given before it pushed a stage, through that stage. The handler's last
// act with the data it is handling.
func (c *Conn) Reopen(data []byte) {
	c.loop.assertOwner()
	if n := c.depth(); n > 0 {
		c.settle(c.deliver(n-1, data))
	}
}

// feed takes what was read from the socket.
func (c *Conn) feed(data []byte) {
	for len(c.intercepts) > 0 {
		rest, done := c.intercepts[0](data)
		if c.state != stOpen || !done {
			return
		}
		c.intercepts = c.intercepts[1:]
		data = rest
		c.loop.cur = nil // rest may lie in the interceptor's own memory
	}
	if len(c.intercepts) == 0 && c.intercepts != nil {
		c.intercepts = nil
	}
	if len(data) > 0 {
		c.settle(c.deliver(0, data))
	}
}

// settle handles the error of a delivery.
func (c *Conn) settle(err error) {
	if err == nil || err == errStop {
		return
	}
	r := ReasonReadError
	var with interface{ Reason() Reason }
	if errors.As(err, &with) {
		r = with.Reason()
	}
	c.closeFor(r, err)
}

// deliver passes data to the stage at level, or to the handler above the last one.
func (c *Conn) deliver(level int, data []byte) error {
	if st := c.stack; st != nil && level < len(st.stages) {
		if c.state != stOpen {
			return errStop
		}
		c.loop.cur = nil
		return st.stages[level].Open(data, st.emits[level])
	}
	return c.top(data)
}

// top passes plaintext to the handler, until it is consumed.
func (c *Conn) top(data []byte) error {
	if c.share.kept != nil {
		return c.keep(data)
	}
	if len(c.stash) > 0 {
		if len(c.stash)+len(data) > maxStash {
			return errors.New("netio: input given back beyond all bounds")
		}
		c.stash = append(c.stash, data...)
		if c.pauses > 0 {
			return nil
		}
		data, c.stash = c.stash, nil
		c.loop.cur = nil
	}
	for len(data) > 0 {
		if c.state != stOpen || c.dying.Load() {
			return errStop
		}
		depth, h := c.depth(), c.h
		c.unread, c.share.yielded = nil, false
		h.OnData(c, data, c.loop.cur)
		rest := c.unread
		c.unread = nil
		if c.state != stOpen {
			return errStop
		}
		switch {
		case len(rest) == 0:
			return nil
		case c.depth() > depth:
			return c.deliver(depth, rest)
		case c.share.yielded && c.pauses == 0:
			return c.keep(rest)
		case c.pauses > 0, len(rest) == len(data) && h == c.h:
			c.stash = append([]byte(nil), rest...)
			return nil
		}
		data = rest
	}
	return nil
}
