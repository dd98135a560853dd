package stream

import (
	"bytes"
	"strconv"

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

// publishAtomic takes a message of an atomic batch.
func (f *Front) publishAtomic(p *publish) {
	h := &p.h
	id := string(h.batchID)
	b := f.atomic[id]
	fail := func(err *jsapi.Error, reason string) {
		if b != nil {
			f.dropAtomic(b, reason, p.out)
		} else if reason != "" {
			f.abandoned(id, reason, p.out)
		}
		f.refuse(p.in.Reply, err, p.out)
	}
	if !f.m.cfg.AllowAtomic {
		f.refuse(p.in.Reply, jsapi.AtomicPublishDisabled.Err(), p.out)
		return
	}
	if id == "" || len(id) > maxBatchID {
		f.refuse(p.in.Reply, jsapi.AtomicPublishInvalidBatchID.Err(), p.out)
		return
	}
	if h.level != nil && !jsapi.LevelSupported(h.level) {
		fail(jsapi.RequiredApiLevel.Err(), "unsupported")
		return
	}
	seq, ok := jsapi.ParseUint(h.batchSeq)
	if !ok {
		fail(jsapi.AtomicPublishMissingSeq.Err(), "")
		return
	}
	eob := string(h.batchCommit) == jsapi.BatchCommitEOB
	if h.batchCommit != nil && !eob && string(h.batchCommit) != jsapi.BatchCommit {
		fail(jsapi.AtomicPublishInvalidBatchCommit.Err(), "")
		return
	}
	most := uint64(f.cfg.Batch.AtomicMsgs)
	switch {
	case seq == 1:
		if b != nil {
			f.dropAtomic(b, "incomplete", p.out)
			b = nil
		}
		if eob {
			fail(jsapi.AtomicPublishIncompleteBatch.Err(), "incomplete")
			return
		}
		if len(f.atomic) >= f.cfg.Batch.AtomicPerStream || !f.total(false, 1) {
			f.refuse(p.in.Reply, jsapi.AtomicPublishTooManyInflight.Err(), p.out)
			return
		}
		if f.atomic == nil {
			f.atomic = make(map[string]*atomicBatch)
		}
		b = &atomicBatch{id: id}
		f.atomic[id] = b
	case b == nil && seq > most:
		fail(jsapi.AtomicPublishTooLargeBatch.With("size", most), "large")
		return
	case b == nil || seq != uint64(len(b.msgs))+1:
		fail(jsapi.AtomicPublishIncompleteBatch.Err(), "incomplete")
		return
	}
	b.last = p.now
	if !eob {
		n := len(p.subject) + len(p.header) + len(p.payload)
		if seq > most || f.batchMem+n > f.cfg.Batch.AtomicBytes {
			fail(jsapi.AtomicPublishTooLargeBatch.With("size", most), "large")
			return
		}
		b.msgs = append(b.msgs, stagedMsg{bytes.Clone(p.subject), bytes.Clone(p.header), bytes.Clone(p.payload)})
		b.size += n
		f.batchMem += n
	}
	if h.batchCommit == nil {
		if len(p.in.Reply) > 0 && !f.m.cfg.NoAck {
			p.out.send(p.in.Reply, nil, nil)
		}
		return
	}
	if eob {
		last := &b.msgs[len(b.msgs)-1]
		last.header = header.AppendSet(nil, last.header, jsapi.HdrBatchCommit, []byte(jsapi.BatchCommit))
	}
	f.commit(b, p)
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

// commit checks the messages of the batch in order and proposes all of them, or none.
func (f *Front) commit(b *atomicBatch, p *publish) {
	reply, now, out, batch := p.in.Reply, p.now, p.out, p.b
	mark := f.mark(batch)
	b.subjs = make(map[string]bool, len(b.msgs))
	var in Inbound
	for i := range b.msgs {
		s := &b.msgs[i]
		in = Inbound{Subject: s.subject, Header: s.header, Payload: s.payload}
		if i == len(b.msgs)-1 {
			in.Reply = reply
		}
		*p = publish{in: &in, subject: s.subject, header: s.header, payload: s.payload, now: now, b: batch, out: out, inBatch: true, atomic: b}
		p.h.parse(s.header)
		if err := f.commitOne(b, p, i); err != nil {
			f.rollback(&mark, batch)
			f.closeAtomic(b)
			f.refuse(reply, err, out)
			return
		}
	}
	f.closeAtomic(b)
}

func (f *Front) commitOne(b *atomicBatch, p *publish, i int) *jsapi.Error {
	switch {
	case p.h.lastID != nil:
		return jsapi.AtomicPublishUnsupportedHeaderBatch.With("header", jsapi.HdrExpectedLastMsgID)
	case p.h.level != nil:
		p.header = header.AppendDelete(nil, p.header, jsapi.HdrRequiredAPILevel)
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

// fastBatch is an open fast batch: its messages are stored one by one, only acknowledgements are batched.
type fastBatch struct {
	id       string
	next     uint64 // expected sequence in the batch
	flow     uint64 // messages per ack that the client wants at most
	every    uint64 // messages per ack now
	acked    uint64 // sequence in the batch up to which was acknowledged
	done     uint64 // sequence in the batch of the last persisted message, duplicates included
	stream   uint64 // its sequence in the stream
	inFlight int
	last     int64
	end      []byte // reply to answer with the PubAck when nothing is in flight any more
	ending   bool
	gapFail  bool
}

// fastReply is a parsed reply subject of a fast batch: <inbox>.<id>.<flow>.<gap>.<seq>.<op>.$FI
type fastReply struct {
	id      []byte
	flow    uint64
	gapFail bool
	seq     uint64
	op      byte
}

func isFastReply(reply []byte) bool { return bytes.HasSuffix(reply, []byte(jsapi.FastReplySuffix)) }

func parseFastReply(reply []byte, r *fastReply) bool {
	rest := reply[:len(reply)-len(jsapi.FastReplySuffix)]
	var tok [5][]byte // op, seq, gap, flow, id
	for i := range tok {
		at := bytes.LastIndexByte(rest, '.')
		if at < 0 {
			return false
		}
		tok[i], rest = rest[at+1:], rest[:at]
	}
	if len(rest) == 0 || len(tok[0]) != 1 || tok[0][0] < '0' || tok[0][0] > '4' {
		return false
	}
	seq, ok := jsapi.ParseUint(tok[1])
	if !ok || seq == 0 || seq == 1<<64-1 {
		return false
	}
	switch string(tok[2]) {
	case "ok":
	case "fail":
		r.gapFail = true
	default:
		return false
	}
	if r.flow, ok = jsapi.ParseUint(tok[3]); !ok || r.flow == 0 {
		r.flow = 10
	}
	r.flow = min(r.flow, 65535)
	r.id, r.seq, r.op = tok[4], seq, tok[0][0]-'0'
	return !(r.op == fastStart && seq != 1) && !((r.op == fastAppend || r.op == fastCommitEOB) && seq < 2)
}

// The operations of a fast batch.
const (
	fastStart = iota
	fastAppend
	fastCommit
	fastCommitEOB
	fastPing
)

// publishFast takes a message of a fast batch.
func (f *Front) publishFast(p *publish) {
	var r fastReply
	reply := p.in.Reply
	switch {
	case !f.m.cfg.AllowBatched:
		f.refuse(reply, jsapi.BatchPublishDisabled.Err(), p.out)
		return
	case !parseFastReply(reply, &r):
		f.refuse(reply, jsapi.BatchPublishInvalidPattern.Err(), p.out)
		return
	case len(r.id) == 0 || len(r.id) > maxBatchID:
		f.refuse(reply, jsapi.BatchPublishInvalidBatchID.Err(), p.out)
		return
	}
	b := f.fast[string(r.id)]
	if b == nil {
		if r.seq != 1 || r.op != fastStart && r.op != fastCommit {
			f.refuse(reply, jsapi.BatchPublishUnknownBatchID.Err(), p.out)
			return
		}
		if len(f.fast) >= f.cfg.Batch.FastPerStream || !f.total(true, 1) {
			f.refuse(reply, jsapi.BatchPublishTooManyInflight.Err(), p.out)
			return
		}
		b = f.openFast(&r)
	}
	b.last = p.now
	if b.ending {
		return // its PubAck is on the way
	}
	b.flow, b.gapFail = r.flow, r.gapFail
	if r.op == fastPing {
		f.pingFast(b, &r, reply, p.out)
		return
	}
	if r.seq != b.next {
		p.out.fastGap(reply, b.next, r.seq)
		if b.gapFail || r.seq < b.next {
			f.endFast(b, reply, p.out)
			return
		}
	}
	b.next = r.seq + 1
	if r.op == fastCommitEOB {
		f.endFast(b, reply, p.out)
		return
	}
	if r.op == fastStart {
		p.out.fastAck(reply, 0, b.every)
	}
	p.fast, p.fastSeq = b, r.seq
	switch err := f.decide(p); {
	case err == nil:
		b.inFlight++
		f.accept(p)
	case r.seq == 1 && b.gapFail:
		f.closeFast(b)
		f.refuse(reply, err, p.out)
		return
	default:
		p.out.fastErr(reply, r.seq, err)
		if b.gapFail {
			f.endFast(b, reply, p.out)
			return
		}
	}
	if r.op == fastCommit {
		f.endFast(b, reply, p.out)
	}
}

// pingFast repeats the last acknowledgement. The sequence of a ping is the last one the client has sent: what did not
// arrive up to it is a gap.
func (f *Front) pingFast(b *fastBatch, r *fastReply, reply []byte, out *Effects) {
	if r.seq >= b.next {
		out.fastGap(reply, b.next, r.seq+1)
		if b.gapFail {
			f.endFast(b, reply, out)
			return
		}
		b.next = r.seq + 1
		if b.inFlight == 0 {
			b.done = r.seq
		}
	}
	if n := (b.done - b.acked) / b.every; b.done > b.acked {
		b.acked += n * b.every
	}
	out.fastAck(reply, b.acked, b.every)
}

func (f *Front) openFast(r *fastReply) *fastBatch {
	if f.fast == nil {
		f.fast = make(map[string]*fastBatch)
	}
	b := &fastBatch{id: string(r.id), next: 1, flow: r.flow, every: 1}
	if len(f.fast) == 0 {
		b.every = min(500, r.flow)
	}
	f.fast[b.id] = b
	return b
}

// fastDone counts a message of the batch that is durable, sequence fseq of the batch and seq of the stream.
func (f *Front) fastDone(b *fastBatch, reply []byte, fseq, seq uint64, out *Effects) {
	b.inFlight--
	b.done, b.stream = max(b.done, fseq), max(b.stream, seq)
	if b.ending {
		if b.inFlight == 0 {
			f.finishFast(b, out)
		}
		return
	}
	if b.done < b.acked+b.every {
		return
	}
	b.acked = b.done
	target := min(max(500/uint64(max(len(f.fast), 1)), 1), b.flow)
	switch {
	case b.every < target:
		b.every = min(b.every*2, target)
	case b.every > target:
		b.every = max(b.every/2, target)
	}
	out.fastAck(reply, b.acked, b.every)
}

// endFast ends the batch with a PubAck to reply as soon as all of its messages are durable.
func (f *Front) endFast(b *fastBatch, reply []byte, out *Effects) {
	b.ending, b.end = true, bytes.Clone(reply)
	if b.inFlight == 0 {
		f.finishFast(b, out)
	}
}

func (f *Front) finishFast(b *fastBatch, out *Effects) {
	f.closeFast(b)
	if !f.m.cfg.NoAck {
		f.ack(b.end, &jsapi.PubAck{Seq: b.stream, BatchID: []byte(b.id), BatchSize: int(b.done)}, out)
	}
}

func (f *Front) closeFast(b *fastBatch) {
	if f.fast[b.id] == b {
		delete(f.fast, b.id)
		f.total(true, -1)
	}
}

// timeoutBatches gives up batches without message for too long.
func (f *Front) timeoutBatches(now int64, _ *op.Batch, out *Effects) {
	for _, b := range f.atomic {
		if now-b.last >= f.cfg.Batch.Timeout {
			f.dropAtomic(b, "timeout", out)
		}
	}
	for _, b := range f.fast {
		if now-b.last >= f.cfg.Batch.Timeout && b.inFlight == 0 {
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

func (e *Effects) fastAck(reply []byte, seq, msgs uint64) {
	b := append([]byte(`{"type":"ack","seq":`), strconv.AppendUint(nil, seq, 10)...)
	b = strconv.AppendUint(append(b, `,"msgs":`...), msgs, 10)
	e.send(reply, nil, append(b, '}'))
}

func (e *Effects) fastGap(reply []byte, expected, got uint64) {
	b := append([]byte(`{"type":"gap","last_seq":`), strconv.AppendUint(nil, expected, 10)...)
	b = strconv.AppendUint(append(b, `,"seq":`...), got, 10)
	e.send(reply, nil, append(b, '}'))
}

func (e *Effects) fastErr(reply []byte, seq uint64, err *jsapi.Error) {
	b := append([]byte(`{"type":"err","seq":`), strconv.AppendUint(nil, seq, 10)...)
	b = jsapi.AppendError(append(b, `,"error":`...), err)
	e.send(reply, nil, append(b, '}'))
}
