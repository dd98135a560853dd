package stream

import (
	"bytes"
	"slices"

	"ramjet/js/op"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
)

const maxBatchID = 64

func (l *BatchLimits) defaults() {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&l.AtomicPerStream, 50)
	def(&l.FastPerStream, 1000)
	def(&l.AtomicMsgs, 1000)
	def(&l.AtomicBytes, 256<<20)
	if l.Timeout <= 0 {
		l.Timeout = 10e9
	}
}

// SetBatchLimits changes the limits; open batches above them get errors with their next message.
func (f *Front) SetBatchLimits(l BatchLimits) {
	l.defaults()
	f.cfg.Batch = l
}

func (f *Front) total(fast bool, delta int) bool {
	return f.cfg.Batch.Total == nil || f.cfg.Batch.Total(fast, delta)
}

// atomicBatch is an open atomic batch: its messages wait in memory for the commit. Uncommitted batches do not survive
// the leader.
type atomicBatch struct {
	id     string
	msgs   []stagedMsg
	size   int
	last   int64
	staged int // messages proposed during the commit
	subjs  map[string]bool
}

type stagedMsg struct{ subject, header, payload []byte }

// wrote reports whether the batch has proposed a message on a subject that matches pattern.
func (b *atomicBatch) wrote(pattern []byte) bool {
	if b.subjs[string(pattern)] {
		return true
	}
	if subject.HasWildcard(subject.View(pattern)) {
		for s := range b.subjs {
			if subject.Match(s, subject.View(pattern)) {
				return true
			}
		}
	}
	return false
}

// checkOpen makes the checks that come before those of a batch.
func (f *Front) checkOpen(p *publish) *jsapi.Error {
	p.size = MsgSize(f.m.cfg.Storage, len(p.subject), len(p.header), len(p.payload))
	for _, c := range []checkFn{checkSealed, checkServer, checkAccountBytes, checkMsgSize} {
		if err := c(f, p); err != nil {
			return err
		}
	}
	return nil
}

// publishAtomic takes a message of an atomic batch; what it returns was answered.
func (f *Front) publishAtomic(p *publish) *jsapi.Error {
	h := &p.h
	id := string(h.batchID)
	b := f.atomic[id]
	refuse := func(err *jsapi.Error) *jsapi.Error {
		f.refuse(p.in.Reply, err, p.out)
		return err
	}
	fail := func(err *jsapi.Error, reason string) *jsapi.Error {
		if b != nil {
			f.dropAtomic(b, reason, p.out)
		}
		return refuse(err)
	}
	if err := f.checkOpen(p); err != nil {
		return refuse(err)
	}
	seq, ok := jsapi.ParseUint(h.batchSeq)
	eob := string(h.batchCommit) == jsapi.BatchCommitEOB
	most, size := uint64(f.cfg.Batch.AtomicMsgs), seq
	if eob && size > 0 {
		size--
	}
	switch {
	case !f.m.cfg.AllowAtomic:
		return refuse(jsapi.AtomicPublishDisabled.Err())
	case len(id) > maxBatchID:
		return refuse(jsapi.AtomicPublishInvalidBatchID.Err())
	case !ok:
		return refuse(jsapi.AtomicPublishMissingSeq.Err())
	case b == nil && seq != 1 && size > most:
		return refuse(jsapi.AtomicPublishTooLargeBatch.With("size", most))
	case b == nil && seq != 1:
		return refuse(jsapi.AtomicPublishIncompleteBatch.Err())
	case b == nil && (len(f.atomic) >= f.cfg.Batch.AtomicPerStream || !f.total(false, 1)):
		return refuse(jsapi.AtomicPublishTooManyInflight.Err())
	case b == nil:
		if f.atomic == nil {
			f.atomic = make(map[string]*atomicBatch)
		}
		b = &atomicBatch{id: id}
		f.atomic[id] = b
	}
	switch {
	case h.batchCommit != nil && !eob && string(h.batchCommit) != jsapi.BatchCommit:
		return fail(jsapi.AtomicPublishInvalidBatchCommit.Err(), "")
	case h.level != nil && !jsapi.LevelSupported(h.level):
		return fail(jsapi.RequiredApiLevel.Err(), "unsupported")
	case seq != uint64(len(b.msgs))+1 || seq == 1 && eob:
		return fail(jsapi.AtomicPublishIncompleteBatch.Err(), "incomplete")
	case size > most:
		return fail(jsapi.AtomicPublishTooLargeBatch.With("size", most), "large")
	}
	if p.only() {
		return f.tryAtomic(b, p, eob)
	}
	b.last = p.now
	if !eob {
		n := len(p.subject) + len(p.header) + len(p.payload)
		if f.batchMem+n > f.cfg.Batch.AtomicBytes {
			return fail(jsapi.AtomicPublishTooLargeBatch.With("size", most), "large")
		}
		b.msgs = append(b.msgs, stagedMsg{bytes.Clone(p.subject), bytes.Clone(p.header), bytes.Clone(p.payload)})
		b.size += n
		f.batchMem += n
	}
	if h.batchCommit == nil {
		if len(p.in.Reply) > 0 && !f.m.cfg.NoAck {
			p.out.send(p.in.Reply, nil, nil)
		}
		if p.in.Trace != nil {
			p.in.Trace.Accepted(p.subject, false)
		}
		return nil
	}
	if eob {
		last := &b.msgs[len(b.msgs)-1]
		last.header = header.AppendSet(nil, last.header, jsapi.HdrBatchCommit, []byte(jsapi.BatchCommit))
	}
	return f.commit(b, p)
}

// tryAtomic checks a message of an atomic batch, and the batch if it is the commit; nothing changes.
func (f *Front) tryAtomic(b *atomicBatch, p *publish, eob bool) (err *jsapi.Error) {
	try := &atomicBatch{id: b.id, msgs: slices.Clone(b.msgs)}
	if !eob {
		try.msgs = append(try.msgs, stagedMsg{p.subject, p.header, p.payload})
	}
	reply, out, batch := p.in.Reply, p.out, p.b
	if p.h.batchCommit == nil {
		p.in.Trace.Accepted(p.subject, false)
	} else {
		mark := f.mark(batch)
		if err = f.stage(try, p); err == nil {
			f.rollback(&mark, batch)
		}
	}
	p.held = false
	if len(b.msgs) == 0 {
		f.closeAtomic(b) // nothing was sent for it but what is only checked
	}
	if err != nil {
		f.refuse(reply, err, out)
	}
	return err
}

// frontMark is what a failed commit returns to.
type frontMark struct {
	seq, allBelow, inMsgs, inBytes uint64
	time                           int64
	lastID                         []byte
	idsSet                         bool
	pend, subjs, ids               uint64
	batch                          op.Mark
	counters                       map[string]*counter
}

func (f *Front) mark(b *op.Batch) frontMark {
	m := frontMark{seq: f.seq, allBelow: f.allBelow, inMsgs: f.inMsgs, inBytes: f.inBytes, time: f.time,
		lastID: bytes.Clone(f.lastID), idsSet: f.idsSet, pend: f.pend.tail, subjs: f.subjs.tail, ids: f.ids.tail, batch: b.Mark()}
	if len(f.counters) > 0 {
		m.counters = make(map[string]*counter, len(f.counters))
		for k, v := range f.counters {
			m.counters[k] = v
		}
	}
	return m
}

func (f *Front) rollback(m *frontMark, b *op.Batch) {
	f.seq, f.allBelow, f.inMsgs, f.inBytes, f.time = m.seq, m.allBelow, m.inMsgs, m.inBytes, m.time
	f.lastID, f.idsSet, f.counters = m.lastID, m.idsSet, m.counters
	f.pend.tail = m.pend
	for f.subjs.tail > m.subjs {
		f.subjs.unpush()
	}
	for f.ids.tail > m.ids {
		f.ids.unpush()
	}
	b.Truncate(m.batch)
}

// commit proposes the messages of the batch, and answers if that is not possible.
func (f *Front) commit(b *atomicBatch, p *publish) *jsapi.Error {
	reply, out := p.in.Reply, p.out
	err := f.stage(b, p)
	f.closeAtomic(b)
	if err != nil {
		f.refuse(reply, err, out)
	}
	return err
}

// stage checks the messages of the batch in order and proposes all of them, or none. p is that of the message that commits.
func (f *Front) stage(b *atomicBatch, p *publish) *jsapi.Error {
	asked, now, out, batch := p.in, p.now, p.out, p.b
	mark := f.mark(batch)
	b.subjs = make(map[string]bool, len(b.msgs))
	var in Inbound
	for i := range b.msgs {
		s := &b.msgs[i]
		in = Inbound{Subject: s.subject, Header: s.header, Payload: s.payload}
		if i == len(b.msgs)-1 {
			in.Reply, in.Trace = asked.Reply, asked.Trace
		}
		*p = publish{in: &in, subject: s.subject, header: s.header, payload: s.payload, now: now, b: batch, out: out, inBatch: true, atomic: b}
		p.h.parse(s.header)
		if err := f.commitOne(b, p, i); err != nil {
			f.rollback(&mark, batch)
			return err
		}
	}
	return nil
}

// dropLevel removes the header that asks for an API level, which is not stored.
func dropLevel(h []byte) []byte { return header.AppendDelete(nil, h, jsapi.HdrRequiredAPILevel) }

func (f *Front) commitOne(b *atomicBatch, p *publish, i int) *jsapi.Error {
	switch {
	case p.h.lastID != nil:
		return jsapi.AtomicPublishUnsupportedHeaderBatch.With("header", jsapi.HdrExpectedLastMsgID)
	case p.h.level != nil:
		p.header = dropLevel(p.header)
	}
	if err := f.decide(p); err != nil {
		return err
	}
	if p.isDup {
		return jsapi.AtomicPublishContainsDuplicateMessage.Err()
	}
	b.subjs[string(p.subject)] = true
	b.staged++
	if i == len(b.msgs)-1 {
		p.count = len(b.msgs)
	}
	f.accept(p)
	return nil
}

func (f *Front) closeAtomic(b *atomicBatch) {
	if f.atomic[b.id] == b {
		delete(f.atomic, b.id)
		f.batchMem -= b.size
		f.total(false, -1)
	}
}

func (f *Front) dropAtomic(b *atomicBatch, reason string, out *Effects) {
	f.closeAtomic(b)
	if reason != "" {
		f.abandoned(b.id, reason, out)
	}
}

func (f *Front) abandoned(id, reason string, out *Effects) {
	out.List = append(out.List, Effect{Kind: Abandoned, Subject: []byte(id), Text: reason})
}

// Staging reports whether messages wait for the rest of their batch.
func (f *Front) Staging() bool { return len(f.atomic) > 0 }

// timeoutBatches gives up batches without message for too long.
func (f *Front) timeoutBatches(now int64, _ *op.Batch, out *Effects) {
	for _, b := range f.atomic {
		if now-b.last >= f.cfg.Batch.Timeout {
			f.dropAtomic(b, "timeout", out)
		}
	}
	for _, b := range f.fast {
		if now-b.at >= f.cfg.Batch.Timeout && b.inFlight == 0 {
			f.closeFast(b)
		}
	}
}

// dropDisabled drops the open batches of features that were turned off.
func (f *Front) dropDisabled(out *Effects) {
	if !f.m.cfg.AllowAtomic {
		for _, b := range f.atomic {
			f.dropAtomic(b, "incomplete", out)
		}
	}
	if !f.m.cfg.AllowBatched {
		for _, b := range f.fast {
			f.closeFast(b)
		}
	}
}

// closeBatches forgets all batches: this is no longer the leader.
func (f *Front) closeBatches(*Effects) {
	for _, b := range f.atomic {
		f.closeAtomic(b)
	}
	for _, b := range f.fast {
		f.closeFast(b)
	}
}

// Close gives up everything that is open: the stream is deleted or led elsewhere.
func (f *Front) Close(out *Effects) { f.Abort(nil, out) }
