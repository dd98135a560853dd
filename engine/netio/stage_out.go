package netio

import (
	"ramjet/engine"
	"ramjet/proto/base/bufpool"
)

const (
	flushAt    = 60 << 10  // copied bytes staged for one destination that are flushed at once
	flushRefs  = 480 << 10 // the same with payloads by reference: more than a read brings, as a write costs more than its pieces
	firstStage = 2 << 10   // first size of a staging buffer
	refMin     = 4 << 10   // a shorter payload is copied: a reference costs more than the copy
	keepStaged = 1 << 20   // bytes of idle staging buffers a producer keeps
)

// staged is what one producer has for one destination: copied bytes, and cuts where a payload by
// reference lies between them.
type staged struct {
	o     *Outbox
	f     *bufpool.Frame // memory of buf; nil if buf is plain memory
	buf   []byte
	cuts  []cut
	refs  int // bytes in cuts
	msgs  int
	bytes int // message bytes
	pos   int // in producer.table
}

// cut is a payload that belongs before buf[off:].
type cut struct {
	off     int
	payload []byte
	f       *bufpool.Frame
}

// producer is the staging area of a LoopID; owned by the goroutine that has the id.
type producer struct {
	id    engine.LoopID
	dirty []*staged // in order of first touch
	table []*staged // open addressing by Outbox.key, at most half full
	last  *staged
	idle  []*staged
	kept  int // bytes of buffers in idle
}

func newProducer(id engine.LoopID) *producer {
	return &producer{id: id, table: make([]*staged, 64)}
}

// get returns the staging of o, new if this is its first touch since the flush.
func (p *producer) get(o *Outbox) *staged {
	if s := p.last; s != nil && s.o == o {
		return s
	}
	mask := len(p.table) - 1
	at := p.home(o)
	for p.table[at] != nil {
		if p.table[at].o == o {
			p.last = p.table[at]
			return p.last
		}
		at = (at + 1) & mask
	}
	s := p.take(o)
	s.pos = at
	p.table[at] = s
	p.dirty = append(p.dirty, s)
	p.last = s
	if 2*len(p.dirty) > len(p.table) {
		p.rehash()
	}
	return s
}

// find returns the staging of o if there is one.
func (p *producer) find(o *Outbox) *staged {
	mask := len(p.table) - 1
	for at := p.home(o); p.table[at] != nil; at = (at + 1) & mask {
		if p.table[at].o == o {
			return p.table[at]
		}
	}
	return nil
}

func (p *producer) home(o *Outbox) int {
	return int(o.key*0x9E3779B97F4A7C15>>32) & (len(p.table) - 1)
}

func (p *producer) rehash() {
	p.table = make([]*staged, 2*len(p.table))
	mask := len(p.table) - 1
	for _, s := range p.dirty {
		at := p.home(s.o)
		for p.table[at] != nil {
			at = (at + 1) & mask
		}
		s.pos = at
		p.table[at] = s
	}
}

func (p *producer) take(o *Outbox) *staged {
	if n := len(p.idle); n > 0 {
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.kept -= cap(s.buf)
		s.o = o
		return s
	}
	return &staged{o: o}
}

// flush writes or queues everything staged, one push per destination.
func (p *producer) flush() {
	if len(p.dirty) == 0 {
		return
	}
	p.last = nil
	for _, s := range p.dirty {
		p.table[s.pos] = nil
		if len(s.buf) > 0 || s.refs > 0 {
			s.o.push(s, p.id)
		}
		s.o = nil
		if p.kept+cap(s.buf) > keepStaged {
			s.dropBuf()
		}
		p.kept += cap(s.buf)
		p.idle = append(p.idle, s)
	}
	clear(p.dirty)
	p.dirty = p.dirty[:0]
}

// flushOne flushes one destination; it stays in the list of touched ones.
func (p *producer) flushOne(o *Outbox) engine.Verdict {
	if s := p.find(o); s != nil && (len(s.buf) > 0 || s.refs > 0) {
		return o.push(s, p.id)
	}
	return engine.OK
}

func (s *staged) size() int { return len(s.buf) + s.refs }

// reset forgets what is staged, keeping the buffer.
func (s *staged) reset() {
	s.buf = s.buf[:0]
	s.refs, s.msgs, s.bytes = 0, 0, 0
}

// drop forgets what is staged and gives up the references.
func (s *staged) drop() {
	for i := range s.cuts {
		s.cuts[i].f.Release()
	}
	clear(s.cuts)
	s.cuts = s.cuts[:0]
	s.reset()
}

func (s *staged) dropBuf() {
	if s.f != nil {
		s.f.Release()
	}
	s.f, s.buf = nil, nil
}

// room makes at least n bytes free.
func (s *staged) room(n int) {
	if cap(s.buf)-len(s.buf) >= n {
		return
	}
	f := bufpool.Get(max(firstStage, min(2*cap(s.buf), chunkSize), len(s.buf)+n))
	buf := append(f.B[:0], s.buf...)
	s.dropBuf()
	s.f, s.buf = f, buf
}

// Begin returns a buffer with at least n bytes of free capacity after its length to append to; the
// appended slice is given back with End, before anything else is done with the outbox by from.
func (o *Outbox) Begin(from engine.LoopID, n int) []byte {
	if from == engine.NoLoop {
		return make([]byte, 0, n)
	}
	p := o.c.loop.g.producers[from]
	s := p.get(o)
	if cap(s.buf)-len(s.buf) < n {
		if len(s.buf)+n > chunkSize && len(s.buf) > 0 {
			o.push(s, from)
		}
		s.room(n)
	}
	return s.buf
}

// End stages what was appended, counting msgs messages (0: no message, not in Stats). With from ==
// NoLoop it goes to the queue.
func (o *Outbox) End(from engine.LoopID, b []byte, msgs int) engine.Verdict {
	if from == engine.NoLoop {
		return o.queueOne(b, msgs)
	}
	p := o.c.loop.g.producers[from]
	s := p.get(o)
	n := len(b) - len(s.buf)
	if cap(b) != cap(s.buf) { // the caller's append moved it
		if s.f != nil {
			s.f.Release()
			s.f = nil
		}
	}
	s.buf = b
	if msgs > 0 {
		s.msgs += msgs
		s.bytes += n
	}
	return o.staged(s, from)
}

// staged decides what happens after something was staged.
func (o *Outbox) staged(s *staged, from engine.LoopID) engine.Verdict {
	size := s.size()
	if hard := o.hard.Load(); len(s.buf) >= flushAt || size >= flushRefs || size >= flushAt && o.nearSoft(size) ||
		(hard > 0 && o.pend.Load()+int64(size) > hard) {
		if v := o.push(s, from); v > engine.OverSoft {
			return v
		}
		size = 0
	}
	v := o.verdict(int64(size))
	if v == engine.Closed {
		s.drop()
	}
	return v
}

// nearSoft reports that size bytes on top of what is queued pass the soft limit: then they go to the queue at once, where
// a producer that is to be held back sees them.
func (o *Outbox) nearSoft(size int) bool {
	soft := o.soft.Load()
	return soft > 0 && o.pend.Load()+int64(size) > soft
}

// AppendRef stages head by copy, payload by reference to f (Retained until written) and tail by copy.
// A short payload, or one without frame, is copied.
func (o *Outbox) AppendRef(from engine.LoopID, head []byte, f *bufpool.Frame, payload, tail []byte, msgs int) engine.Verdict {
	if f == nil || len(payload) < refMin || from == engine.NoLoop {
		b := o.Begin(from, len(head)+len(payload)+len(tail))
		b = append(b, head...)
		b = append(b, payload...)
		return o.End(from, append(b, tail...), msgs)
	}
	p := o.c.loop.g.producers[from]
	s := p.get(o)
	s.room(len(head) + len(tail))
	s.buf = append(s.buf, head...)
	f.Retain()
	s.cuts = append(s.cuts, cut{len(s.buf), payload, f})
	s.refs += len(payload)
	s.buf = append(s.buf, tail...)
	if msgs > 0 {
		s.msgs += msgs
		s.bytes += len(head) + len(payload) + len(tail)
	}
	return o.staged(s, from)
}

// Append stages a copy of b that is no message (PONG, INFO, -ERR).
func (o *Outbox) Append(from engine.LoopID, b []byte) engine.Verdict {
	return o.End(from, append(o.Begin(from, len(b)), b...), 0)
}

// Flush makes staged output of from leave now: if nobody is writing, the caller writes the socket.
func (o *Outbox) Flush(from engine.LoopID) {
	if from != engine.NoLoop {
		p := o.c.loop.g.producers[from]
		if s := p.find(o); s != nil && s.size() > 0 {
			o.push(s, from)
			return
		}
	}
	o.tryWrite(from)
}
