package netio

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"ramjet/engine"
	"ramjet/proto/base/bufpool"
	"ramjet/proto/base/invariant"
)

// maxIov is the number of pieces given to one writev.
const maxIov = 64

// push hands what s has staged to the outbox and writes if nobody else does. s is empty afterwards.
func (o *Outbox) push(s *staged, from engine.LoopID) engine.Verdict {
	n := int64(s.size())
	o.mu.Lock()
	if o.refuse.Load() || o.dead {
		o.mu.Unlock()
		s.drop()
		return engine.Closed
	}
	waits := o.writing || o.blocked
	if hard := o.hard.Load(); waits && hard > 0 && o.pend.Load()+n > hard {
		o.mu.Unlock()
		s.drop()
		o.c.Abort(ReasonSlowPending)
		return engine.OverHard
	}
	o.account(n, s.msgs, s.bytes)
	depth := uint8(o.c.depth())
	if waits || depth > 0 || o.q.head != nil || o.wq.head != nil || len(s.cuts) > 0 {
		o.enqueue(s, depth)
		if waits {
			if o.blocked {
				o.countHeld()
			}
			o.mu.Unlock()
			if o.c.loop.g.overloaded() {
				o.c.loop.g.relieve()
			}
			return o.verdict(0)
		}
		o.writing = true
		o.mu.Unlock()
		return o.writeLoop(from)
	}
	o.writing = true
	o.mu.Unlock()

	// Nothing before it and no stages: straight from the staging buffer, which is then kept.
	w, err := o.c.sockWrite(s.buf)
	if w == len(s.buf) {
		s.reset()
		if v, again := o.leave(int64(w)); !again {
			return v
		}
		return o.writeLoop(from)
	}
	if err != nil && !isTemporary(err) {
		s.reset()
		return o.broken()
	}
	o.wq.push(newSeg(s.f, s.buf[w:], 0, false))
	s.f, s.buf = nil, nil
	s.reset()
	if err == nil {
		o.wrote(int64(w))
		return o.writeLoop(from)
	}
	return o.block(int64(w), from, false)
}

// account counts what enters. Under mu.
func (o *Outbox) account(n int64, msgs, bytes int) {
	o.pend.Add(n)
	if msgs > 0 {
		o.msgs.Add(int64(msgs))
		o.bytes.Add(int64(bytes))
	}
}

// enqueue moves what s has staged to the queue. Under mu.
func (o *Outbox) enqueue(s *staged, depth uint8) {
	if len(s.cuts) == 0 {
		if t := o.q.tail; len(s.buf) < chunkSize/2 && (o.blocked || (t != nil && t.grow && t.depth == depth)) {
			o.q.addCopy(s.buf, depth, firstChunk)
		} else {
			o.q.push(newSeg(s.f, s.buf, depth, s.f != nil))
			s.f, s.buf = nil, nil
		}
		s.reset()
		return
	}
	off := 0
	for i := range s.cuts {
		c := &s.cuts[i]
		o.enqueuePart(s, off, c.off, depth)
		off = c.off
		if o.blocked && len(c.payload) < cap(c.f.B)/8 {
			// a slow destination must not pin a large read buffer for a small payload
			o.q.addCopy(c.payload, depth, firstChunk)
			c.f.Release()
		} else {
			o.q.push(newSeg(c.f, c.payload, depth, false))
		}
	}
	o.enqueuePart(s, off, len(s.buf), depth)
	clear(s.cuts)
	s.cuts = s.cuts[:0]
	s.dropBuf()
	s.reset()
}

func (o *Outbox) enqueuePart(s *staged, from, to int, depth uint8) {
	if from == to {
		return
	}
	if s.f == nil || o.blocked {
		o.q.addCopy(s.buf[from:to], depth, headChunk)
		return
	}
	s.f.Retain()
	o.q.push(newSeg(s.f, s.buf[from:to:to], depth, false))
}

// queueOne puts b, which nobody else uses, into the queue (NoLoop).
func (o *Outbox) queueOne(b []byte, msgs int) engine.Verdict {
	n := int64(len(b))
	o.mu.Lock()
	if o.refuse.Load() || o.dead {
		o.mu.Unlock()
		return engine.Closed
	}
	if hard := o.hard.Load(); hard > 0 && o.pend.Load()+n > hard && (o.writing || o.blocked) {
		o.mu.Unlock()
		o.c.Abort(ReasonSlowPending)
		return engine.OverHard
	}
	bytes := 0
	if msgs > 0 {
		bytes = len(b)
	}
	o.account(n, msgs, bytes)
	if depth := uint8(o.c.depth()); n > 0 {
		if n < chunkSize/2 {
			o.q.addCopy(b, depth, firstChunk)
		} else {
			o.q.push(newSeg(nil, b, depth, false))
		}
	}
	if o.blocked {
		o.countHeld()
	}
	o.mu.Unlock()
	if o.c.loop.g.overloaded() {
		o.c.loop.g.relieve()
	}
	return o.verdict(0)
}

// tryWrite writes the queue unless somebody does or the socket is full.
func (o *Outbox) tryWrite(from engine.LoopID) {
	o.mu.Lock()
	if o.writing || o.blocked || o.dead || (o.q.head == nil && o.wq.head == nil && (!o.closing || o.sealed)) {
		o.mu.Unlock()
		return
	}
	o.writing = true
	o.mu.Unlock()
	o.writeLoop(from)
}

// finish makes the outbox signal opFlushed once everything has left. Owner loop.
func (o *Outbox) finish(from engine.LoopID) {
	o.refuse.Store(true)
	o.mu.Lock()
	o.closing = true
	busy := o.writing || o.blocked || o.dead
	if !busy {
		o.writing = true
	}
	o.mu.Unlock()
	if !busy {
		o.writeLoop(from)
	}
}

// writeLoop seals and writes until the queue is empty or the socket full. The caller has set writing;
// it is clear afterwards.
func (o *Outbox) writeLoop(from engine.LoopID) engine.Verdict {
	quota := int64(writeQuota)
	for {
		if o.wq.head == nil {
			more, err := o.fill()
			if err != nil {
				return o.broken()
			}
			if !more {
				if v, again := o.leave(0); !again {
					return v
				}
			}
			continue // an empty seal, or more has come, or wq has something now
		}
		n, err := o.c.sockWritev(&o.wq)
		if n > 0 {
			o.consume(n)
			quota -= int64(n)
		}
		switch {
		case err != nil && isTemporary(err):
			return o.block(int64(n), from, false)
		case err != nil:
			return o.broken()
		case quota <= 0:
			return o.block(int64(n), from, true) // the owner goes on in its next turn
		}
		if o.wrote(int64(n)) {
			return o.broken()
		}
	}
}

// consume drops n written bytes from wq.
func (o *Outbox) consume(n int) {
	for n > 0 {
		h := o.wq.head
		if len(h.b) > n {
			h.b = h.b[n:]
			h.grow = false
			return
		}
		n -= len(h.b)
		o.wq.pop().free()
	}
}

// wrote counts n bytes that left and reports whether the connection has died.
func (o *Outbox) wrote(n int64) (dead bool) {
	o.mu.Lock()
	o.pend.Add(-n)
	o.written += n
	dead = o.dead
	o.mu.Unlock()
	return dead
}

// fill moves segments from q to wq, sealed; false if there is nothing to do. The caller holds writing.
func (o *Outbox) fill() (more bool, err error) {
	o.mu.Lock()
	if o.dead {
		o.mu.Unlock()
		return false, nil
	}
	h := o.q.head
	if h != nil && o.hold > 0 && h.depth >= o.hold {
		if !o.closing {
			o.mu.Unlock()
			return false, nil
		}
		// closing before the handshake ended: what waited for it can never leave
		dropped := o.q
		o.q = segList{}
		lost := int64(0)
		for s := dropped.head; s != nil; s = s.next {
			lost += int64(len(s.b))
		}
		o.pend.Add(-lost)
		o.mu.Unlock()
		dropped.release()
		return true, nil
	}
	if h == nil {
		if !o.closing || o.sealed {
			o.mu.Unlock()
			return false, nil
		}
		o.sealed = true
		st, held := o.c.stack, o.hold
		o.mu.Unlock()
		return true, o.sealFinish(st, held)
	}
	depth, size := h.depth, 0
	var run segList
	for o.q.head != nil && o.q.head.depth == depth && (depth == 0 || size < sealBatch) {
		s := o.q.pop()
		size += len(s.b)
		run.push(s)
	}
	st := o.c.stack
	o.mu.Unlock()
	if depth == 0 {
		o.wq = run
		return true, nil
	}
	return true, o.sealRun(st, run, int(depth))
}

// sealRun encodes a run of segments of one depth into wq. Several segments are joined first, so that a
// message passed by reference does not become three TLS records or websocket frames: the copy is
// cheap beside the encryption.
func (o *Outbox) sealRun(st *stack, run segList, depth int) error {
	plain := 0
	for s := run.head; s != nil; s = s.next {
		plain += len(s.b)
	}
	f := bufpool.Get(plain + plain/16 + 512)
	out := f.B[:0]
	var err error
	if run.head == run.tail {
		out, err = o.seal(st, depth, out, run.head.b)
	} else {
		joined := bufpool.Get(plain)
		b := joined.B[:0]
		for s := run.head; s != nil; s = s.next {
			b = append(b, s.b...)
		}
		out, err = o.seal(st, depth, out, b)
		joined.Release()
	}
	run.release()
	if err != nil {
		f.Release()
		return err
	}
	o.queueSealed(f, out, plain)
	return nil
}

// queueSealed puts sealed bytes into wq and corrects the count for plain bytes they stand for.
func (o *Outbox) queueSealed(f *bufpool.Frame, out []byte, plain int) {
	if len(out) != plain {
		o.mu.Lock()
		o.pend.Add(int64(len(out) - plain))
		o.mu.Unlock()
	}
	if len(out) == 0 {
		f.Release()
		return
	}
	o.wq.push(newSeg(f, out, 0, false)) // if a stage outgrew f, f is merely kept until out was written
}

// seal encodes b through the stages below depth, from the top down, appending to dst.
func (o *Outbox) seal(st *stack, depth int, dst, b []byte) (out []byte, err error) {
	defer func() {
		if invariant.On {
			return
		}
		if v := recover(); v != nil {
			o.c.loop.g.caught(o.c, v, debug.Stack())
			err = fmt.Errorf("netio: panic in a stage: %v", v)
		}
	}()
	for i := depth - 1; i > 0; i-- {
		f := bufpool.Get(len(b) + len(b)/16 + 512)
		defer f.Release()
		if b, err = st.stages[i].Seal(f.B[:0], b); err != nil {
			return dst, err
		}
	}
	return st.stages[0].Seal(dst, b)
}

// sealFinish produces the closing bytes of the stages, from the top down.
func (o *Outbox) sealFinish(st *stack, held uint8) (err error) {
	if st == nil {
		return nil
	}
	defer func() {
		if invariant.On {
			return
		}
		if v := recover(); v != nil {
			o.c.loop.g.caught(o.c, v, debug.Stack())
			err = errors.New("netio: panic in a stage")
		}
	}()
	for i := len(st.stages) - 1; i >= 0; i-- {
		if held > 0 && i+1 >= int(held) {
			continue // its handshake never ended
		}
		end := st.stages[i].Finish(nil, o.c.closeReason())
		if len(end) == 0 {
			continue
		}
		f := bufpool.Get(len(end) + 1024)
		out := append(f.B[:0], end...)
		if i > 0 {
			if out, err = o.seal(st, i, f.B[:0], end); err != nil {
				f.Release()
				return err
			}
		}
		o.queueSealed(f, out, 0)
	}
	return nil
}

// leave gives writing back after n bytes left with nothing queued; again says that more has come
// meanwhile and writing was kept.
func (o *Outbox) leave(n int64) (v engine.Verdict, again bool) {
	o.mu.Lock()
	o.pend.Add(-n)
	o.written += n
	if o.dead {
		o.mu.Unlock()
		o.bury()
		return engine.Closed, false
	}
	if h := o.q.head; (h != nil && (o.hold == 0 || h.depth < o.hold || o.closing)) || (o.closing && !o.sealed) {
		o.mu.Unlock()
		return engine.OK, true
	}
	o.writing = false
	if o.held > 0 {
		o.countHeld()
	}
	var ops uint32
	if o.closing {
		ops = opFlushed
	}
	if o.stuck || (o.over.Load() && !o.Slow()) {
		o.stuck = false
		o.over.Store(false)
		ops |= opDrain
	}
	o.mu.Unlock()
	if ops != 0 {
		o.c.signal(ops)
	}
	return engine.OK, false
}

// block gives writing back because the socket is full, or (rearm) because the caller has done enough.
func (o *Outbox) block(n int64, from engine.LoopID, rearm bool) engine.Verdict {
	o.mu.Lock()
	o.pend.Add(-n)
	o.written += n
	if o.dead {
		o.mu.Unlock()
		o.bury()
		return engine.Closed
	}
	o.writing, o.blocked, o.stuck = false, true, true
	o.countHeld()
	var ops uint32
	if o.over.Load() && !o.Slow() {
		o.over.Store(false)
		ops = opDrain
	}
	hard := o.hard.Load()
	slow := hard > 0 && o.pend.Load() > hard
	closing := o.closing
	o.mu.Unlock()
	if slow && !closing {
		o.c.Abort(ReasonSlowPending)
		return engine.OverHard
	}
	if from == o.c.loop.idx {
		if rearm {
			o.c.wantWrite = false // an edge-triggered poller must be asked again
		}
		o.c.onBlocked()
	} else {
		ops |= opBlocked
	}
	if ops != 0 {
		o.c.signal(ops)
	}
	return o.verdict(0)
}

// broken gives writing back because the socket cannot be written any more.
func (o *Outbox) broken() engine.Verdict {
	o.mu.Lock()
	o.writing = false
	// nobody else may try: the descriptor stays ours to close
	o.blocked = true
	dead := o.dead
	o.mu.Unlock()
	if dead {
		o.bury()
		return engine.Closed
	}
	o.c.Abort(ReasonWriteError)
	return engine.Closed
}

// onBlocked arms writable and the write deadline. Owner loop.
func (c *Conn) onBlocked() {
	o := &c.out
	o.mu.Lock()
	blocked := o.blocked && !o.dead
	if blocked && c.state == stOpen && !c.timers[timerWrite].Armed() {
		o.mark, o.moved = o.written+o.pend.Load(), o.written
	}
	o.mu.Unlock()
	if !blocked || c.state == stLinger || c.state == stClosed {
		return
	}
	if d := time.Duration(o.deadline.Load()); d > 0 && c.state == stOpen && !c.timers[timerWrite].Armed() {
		c.arm(timerWrite, d)
	}
	c.setWrite(true)
}

// onWritable goes on with a blocked outbox. Owner loop.
func (c *Conn) onWritable() {
	o := &c.out
	o.mu.Lock()
	if !o.blocked || o.dead || o.writing {
		o.mu.Unlock()
		c.setWrite(false)
		return
	}
	o.blocked, o.writing = false, true
	o.mu.Unlock()
	o.writeLoop(c.loop.idx)
	o.mu.Lock()
	still := o.blocked
	o.mu.Unlock()
	if still || c.state == stClosed {
		return
	}
	c.setWrite(false)
	if c.state == stOpen {
		c.disarm(timerWrite)
	}
}

// onWriteTimer: a write deadline passed, or the bound of a close. Owner loop.
func (c *Conn) onWriteTimer() {
	switch c.state {
	case stClosing:
		c.finalize(false)
		return
	case stLinger:
		c.closeNow()
		return
	case stClosed:
		return
	}
	o := &c.out
	d := time.Duration(o.deadline.Load())
	o.mu.Lock()
	if !o.blocked || d <= 0 {
		o.mu.Unlock()
		return
	}
	ok := o.written >= o.mark || (o.retry.Load() && o.written > o.moved)
	if ok {
		o.mark, o.moved = o.written+o.pend.Load(), o.written
	}
	o.mu.Unlock()
	if ok {
		c.arm(timerWrite, d)
		return
	}
	c.Abort(ReasonSlowDeadline)
}
