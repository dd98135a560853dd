package mqtt

import (
	"fmt"
	"sync"

	"ramjet/engine"
	"ramjet/proto/jsapi"
	"ramjet/proto/mqtt"
)

// maxPipelined is how many packets of a client may wait for the Storage; when it is reached the client is not
// read until half of them are answered.
const maxPipelined = 1024

// The operations behind an answer, in the low bits of a tag.
const (
	opStore  = iota // of the message
	opHold          // of a QoS 2 message before its PUBREL
	opDelete        // of the held one
	opRetain        // of a retained message: a failure was logged and does not count
	opBits   = 2
)

// pipelined is a packet whose answer waits for left operations.
type pipelined struct {
	resp mqtt.Type // 0: there is no answer, only the order counts
	left uint8
	id   uint16
	held uint8  // holdStored or holdDuplicate, of opHold
	seq  uint64 // of opHold
	x    *exchange
	err  error
}

// pipeline answers the packets of one client in their order, however the operations behind them end. push and
// pump belong to the client's loop, Done to any goroutine; mu is a leaf.
type pipeline struct {
	c      *Client
	run    func() // pump, made once
	paused bool   // loop: reading waits for room

	mu         sync.Mutex
	ring       []pipelined // length a power of two
	head, tail uint64
	posted     bool
	dead       bool
}

// push adds a packet that waits for n operations and returns the tag to give to them.
func (p *pipeline) push(resp mqtt.Type, id uint16, n uint8, x *exchange) (tag uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tail-p.head == uint64(len(p.ring)) {
		p.grow()
	}
	p.ring[p.tail&uint64(len(p.ring)-1)] = pipelined{resp: resp, left: n, id: id, x: x}
	tag = p.tail << opBits
	p.tail++
	return tag
}

func (p *pipeline) grow() {
	next := make([]pipelined, max(16, 2*len(p.ring)))
	for i := p.head; i < p.tail; i++ {
		next[i&uint64(len(next)-1)] = p.ring[i&uint64(len(p.ring)-1)]
	}
	p.ring = next
}

// full reports that the client is not to be read any more for now; pump then resumes it.
func (p *pipeline) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = p.tail-p.head >= maxPipelined
	return p.paused
}

// Done implements Waiter: one operation has ended.
func (p *pipeline) Done(from engine.LoopID, tag uint64, r Result) {
	i := tag >> opBits
	p.mu.Lock()
	if p.dead || i < p.head || i >= p.tail {
		p.mu.Unlock()
		return
	}
	e := &p.ring[i&uint64(len(p.ring)-1)]
	err := r.Err
	switch tag & (1<<opBits - 1) {
	case opHold:
		switch {
		case isHeld(err):
			e.held, err = holdDuplicate, nil
		case err == nil:
			e.held, e.seq = holdStored, r.Seq
		}
	case opDelete:
		if isGone(err) {
			err = nil
		}
	case opRetain:
		err = nil
	}
	if e.left--; err != nil && e.err == nil {
		e.err = err
	}
	post := i == p.head && (e.left == 0 || e.err != nil) && !p.posted
	p.posted = p.posted || post
	p.mu.Unlock()
	if post {
		p.c.Net().Loop().PostFrom(from, p.run)
	}
}

// pump answers what is complete at the head. Loop.
func (p *pipeline) pump() {
	c := p.c
	var scratch [256]byte
	out := scratch[:0]
	p.mu.Lock()
	p.posted = false
	for p.head < p.tail && !p.dead {
		e := p.ring[p.head&uint64(len(p.ring)-1)]
		if e.err != nil {
			p.mu.Unlock()
			c.fail(fmt.Errorf("JetStream failed a pipelined QoS1/2 operation (pi=%v): %w; closing the connection", e.id, e.err))
			return
		}
		if e.left > 0 {
			break
		}
		p.ring[p.head&uint64(len(p.ring)-1)] = pipelined{}
		p.head++
		if e.x != nil && e.held != 0 {
			e.x.state, e.x.seq = e.held, e.seq
		}
		if e.resp != 0 {
			out = mqtt.AppendAck(out, e.resp, e.id)
			c.traceAck("->>", e.resp, e.id)
		}
	}
	resume := p.paused && p.tail-p.head <= maxPipelined/2
	p.mu.Unlock()
	if len(out) > 0 {
		c.Send(out)
	}
	if resume {
		p.paused = false
		c.Resume()
	}
}

// kill forgets what waits: the client sends it again when it comes back.
func (p *pipeline) kill() {
	p.mu.Lock()
	p.dead, p.ring, p.head, p.tail = true, nil, 0, 0
	p.mu.Unlock()
}

// isHeld reports that a message with the packet identifier is held already.
func isHeld(err error) bool {
	e, ok := err.(*jsapi.Error)
	return ok && e.ErrCode == jsapi.StreamStoreFailed && e.Description == "maximum messages per subject exceeded"
}
