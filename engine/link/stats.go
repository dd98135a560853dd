package link

import (
	"sync/atomic"

	"ramjet/engine"
	"ramjet/engine/netio"
)

// connStats are the counters of one connection, readable on any goroutine. The inbound ones are
// written by the owning loop only; outbound ones are added once per turn of each producer.
type connStats struct {
	inMsgs, inBytes   atomic.Int64
	outMsgs, outBytes atomic.Int64
	lastIn, lastOut   atomic.Int64 // unix nanoseconds
	rtt               atomic.Int64 // nanoseconds, 0 = not measured
	stalls            atomic.Int64
}

// tallySlots is the size of a lane's table of outbound counts: a power of two, at least as large as a
// usual fan-out.
const tallySlots = 64

// tally is what a lane delivered to one connection since the last fold.
type tally struct {
	c           *Conn
	msgs, bytes int64
}

// laneTotals are counted by the lane's producer without synchronisation and published by fold.
type laneTotals struct {
	inMsgs, inBytes, outMsgs, outBytes         int64
	inCliMsgs, inCliBytes, outCliMsgs, outCliB int64

	slots [tallySlots]tally
	dirty []uint8 // slots in use
	moved bool    // something changed since the last fold
}

// lanePublished are the published totals of a lane; the padding keeps the next lane's scratch off
// these cache lines, which monitoring reads.
type lanePublished struct {
	_                                          [64]byte
	inMsgs, inBytes, outMsgs, outBytes         atomic.Int64
	inCliMsgs, inCliBytes, outCliMsgs, outCliB atomic.Int64
	_                                          [64]byte
}

// sharedCounters are the counters of rare events and of producers without a lane.
type sharedCounters struct {
	outMsgs, outBytes, outCliMsgs, outCliBytes atomic.Int64
	stalled                                    atomic.Int64
	slow, stale                                [engine.NumKinds]atomic.Int64
}

// countOut counts one delivered message of size bytes.
func (c *Conn) countOut(l *Lane, size int) {
	n := int64(size)
	if l == nil {
		c.stats.outMsgs.Add(1)
		c.stats.outBytes.Add(n)
		s := &c.env.shared
		s.outMsgs.Add(1)
		s.outBytes.Add(n)
		if c.kind == engine.Client {
			s.outCliMsgs.Add(1)
			s.outCliBytes.Add(n)
		}
		return
	}
	t := &l.total
	i := uint8(c.id % tallySlots)
	e := &t.slots[i]
	if e.c != c {
		if e.c != nil {
			e.flush(l.Now)
		} else {
			t.dirty = append(t.dirty, i)
		}
		e.c = c
	}
	e.msgs++
	e.bytes += n
	t.moved = true
	t.outMsgs++
	t.outBytes += n
	if c.kind == engine.Client {
		t.outCliMsgs++
		t.outCliB += n
	}
}

// flush adds a tally to its connection and clears it.
func (e *tally) flush(now int64) {
	s := &e.c.stats
	s.outMsgs.Add(e.msgs)
	s.outBytes.Add(e.bytes)
	s.lastOut.Store(now)
	*e = tally{}
}

// foldTurn adds what the feed counted to the connection and publishes the lane.
func (c *Conn) foldTurn(l *Lane) {
	if n := l.turn.msgs; n > 0 {
		b := l.turn.bytes
		l.turn = turnCounts{}
		s := &c.stats
		s.inMsgs.Store(s.inMsgs.Load() + n)
		s.inBytes.Store(s.inBytes.Load() + b)
		t := &l.total
		t.moved = true
		t.inMsgs += n
		t.inBytes += b
		if c.kind == engine.Client {
			t.inCliMsgs += n
			t.inCliBytes += b
		}
	}
	l.fold()
}

// fold publishes the totals and the outbound tallies of a lane. Its producer.
func (l *Lane) fold() {
	t := &l.total
	if !t.moved {
		return
	}
	t.moved = false
	for _, i := range t.dirty {
		t.slots[i].flush(l.Now)
	}
	t.dirty = t.dirty[:0]
	p := &l.pub
	p.inMsgs.Store(t.inMsgs)
	p.inBytes.Store(t.inBytes)
	p.outMsgs.Store(t.outMsgs)
	p.outBytes.Store(t.outBytes)
	p.inCliMsgs.Store(t.inCliMsgs)
	p.inCliBytes.Store(t.inCliBytes)
	p.outCliMsgs.Store(t.outCliMsgs)
	p.outCliB.Store(t.outCliB)
}

// TurnEnd publishes what loop l delivered outside a feed (posted publishes, timers); it is meant for
// netio.Config.TurnEnd. Loop l.
func (e *Env) TurnEnd(l *netio.Loop) {
	id := l.Index()
	e.FoldLane(id)
	if ctx := e.Ctx(id); ctx != nil {
		ctx.Cache.Fold()
	}
}

// FoldLane publishes the counters of producer id; producers other than loops call it at the end of
// each batch. That producer only.
func (e *Env) FoldLane(id engine.LoopID) {
	if l := e.Lane(id); l != nil {
		l.fold()
	}
}

// Counters are the server-wide sums of per-loop counters, read by monitoring.
type Counters struct {
	InMsgs, InBytes, OutMsgs, OutBytes                         int64
	InClientMsgs, InClientBytes, OutClientMsgs, OutClientBytes int64
	SlowConsumers, Stale, Stalled                              int64
	SlowByKind, StaleByKind                                    [engine.NumKinds]int64
}

// Sum adds up the per-loop counters. Any goroutine.
func (e *Env) Sum() Counters {
	s := &e.shared
	r := Counters{
		OutMsgs: s.outMsgs.Load(), OutBytes: s.outBytes.Load(),
		OutClientMsgs: s.outCliMsgs.Load(), OutClientBytes: s.outCliBytes.Load(),
		Stalled: s.stalled.Load(),
	}
	for _, l := range e.lanes {
		p := &l.pub
		r.InMsgs += p.inMsgs.Load()
		r.InBytes += p.inBytes.Load()
		r.OutMsgs += p.outMsgs.Load()
		r.OutBytes += p.outBytes.Load()
		r.InClientMsgs += p.inCliMsgs.Load()
		r.InClientBytes += p.inCliBytes.Load()
		r.OutClientMsgs += p.outCliMsgs.Load()
		r.OutClientBytes += p.outCliB.Load()
	}
	for k := range r.SlowByKind {
		r.SlowByKind[k] = s.slow[k].Load()
		r.StaleByKind[k] = s.stale[k].Load()
		r.SlowConsumers += r.SlowByKind[k]
		r.Stale += r.StaleByKind[k]
	}
	return r
}
