package stream

import (
	"bytes"
	"strconv"

	"ramjet/proto/jsapi"
)

// fastBatch is an open fast batch: its messages are stored one by one, only acknowledgements are batched. The first
// message says what is done about gaps and how many messages the client wants per acknowledgement.
type fastBatch struct {
	id       string
	last     uint64 // sequence in the batch of the last message that was taken
	done     uint64 // sequence in the batch up to which nothing is in flight
	acked    uint64 // sequence in the batch up to which was acknowledged
	flow     uint64 // messages per acknowledgement at most
	every    uint64 // messages per acknowledgement now
	stream   uint64 // sequence in the stream of the last message that was stored
	inFlight int
	at       int64  // of the last message
	end      []byte // reply to answer with the PubAck when nothing is in flight any more
	ending   bool
	gapOK    bool
}

// fastReply is a parsed reply subject of a fast batch: <inbox>.<id>.<flow>.<gap>.<seq>.<op>.$FI
type fastReply struct {
	id    []byte
	flow  uint64
	gapOK bool
	seq   uint64
	op    byte
}

func isFastReply(reply []byte) bool { return bytes.HasSuffix(reply, []byte(jsapi.FastReplySuffix)) }

// fastReply returns the reply subject that makes the message one of a fast batch, nil if it is none. Behind an import the
// one that answers go to is another.
func (p *publish) fastReply() []byte {
	reply := p.in.Reply
	if p.h.requestInfo != nil && bytes.HasPrefix(reply, []byte(jsapi.ImportReplyPrefix)) {
		reply = originalReply(p.h.requestInfo)
	}
	if isFastReply(reply) {
		return reply
	}
	return nil
}

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
		r.gapOK = true
	case "fail":
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

// publishFast takes a message of a fast batch; what it returns was answered.
func (f *Front) publishFast(p *publish) *jsapi.Error {
	var r fastReply
	b, err := f.findFast(p, &r)
	if err != nil {
		f.refuse(p.in.Reply, err, p.out)
		return err
	}
	reply := p.in.Reply
	if p.only() {
		p.fast, p.fastSeq = b, r.seq
		if err = f.decide(p); err != nil {
			p.out.fastErr(reply, r.seq, err)
		}
		if b.last == 0 {
			f.closeFast(b) // nothing was sent for it but what is only checked
		}
		return err
	}
	b.at = p.now
	switch {
	case r.op == fastPing:
		f.pingFast(b, &r, reply, p.out)
		return nil
	case b.ending:
		return nil // its PubAck is on the way
	case r.seq != b.last+1:
		p.out.fastGap(reply, b.last+1, r.seq)
		if !b.gapOK || r.seq <= b.last {
			f.endFast(b, reply, p.out)
			return nil
		}
	}
	if r.op == fastCommitEOB {
		f.caughtUp(b, r.seq-1)
		f.endFast(b, reply, p.out)
		return nil
	}
	b.last = r.seq
	if r.seq == 1 && r.op != fastCommit && !f.m.cfg.NoAck {
		p.out.fastAck(reply, 0, b.every)
	}
	p.fast, p.fastSeq = b, r.seq
	err = f.decide(p)
	switch {
	case err == nil:
		b.inFlight++ // a duplicate too, until its original is durable
		f.accept(p)
	case r.seq == 1 && !r.gapOK:
		f.closeFast(b)
		f.refuse(reply, err, p.out)
		return err
	default:
		p.out.fastErr(reply, r.seq, err)
		if r.gapOK && r.op != fastCommit {
			return err
		}
		f.caughtUp(b, r.seq-1)
		f.endFast(b, reply, p.out)
		return err
	}
	if r.op == fastCommit {
		f.endFast(b, reply, p.out)
	}
	return nil
}

// findFast returns the batch of a message, which may open it.
func (f *Front) findFast(p *publish, r *fastReply) (*fastBatch, *jsapi.Error) {
	if err := f.checkOpen(p); err != nil {
		return nil, err
	}
	switch {
	case !f.m.cfg.AllowBatched:
		return nil, jsapi.BatchPublishDisabled.Err()
	case !parseFastReply(p.fastReply(), r):
		return nil, jsapi.BatchPublishInvalidPattern.Err()
	case len(r.id) == 0 || len(r.id) > maxBatchID:
		return nil, jsapi.BatchPublishInvalidBatchID.Err()
	}
	b := f.fast[string(r.id)]
	if b == nil {
		switch {
		case r.seq != 1 || r.op == fastPing:
			return nil, jsapi.BatchPublishUnknownBatchID.Err()
		case len(f.fast) >= f.cfg.Batch.FastPerStream || !f.total(true, 1):
			return nil, jsapi.BatchPublishTooManyInflight.Err()
		}
		b = f.openFast(r)
	}
	if p.h.level != nil && !jsapi.LevelSupported(p.h.level) {
		f.closeFast(b)
		return nil, jsapi.RequiredApiLevel.Err()
	}
	if p.h.level != nil {
		p.header = dropLevel(p.header)
	}
	return b, nil
}

// pingFast repeats the last acknowledgement. The sequence of a ping is the last one the client has sent: what did not
// arrive up to it is a gap.
func (f *Front) pingFast(b *fastBatch, r *fastReply, reply []byte, out *Effects) {
	if r.seq > b.last {
		out.fastGap(reply, b.last+1, r.seq+1)
		if !b.gapOK {
			if f.endFast(b, reply, out); b.inFlight == 0 {
				return
			}
		} else if f.caughtUp(b, r.seq); f.ackFast(b, reply, out) {
			return
		}
	}
	out.fastAck(reply, b.acked, b.every)
}

func (f *Front) openFast(r *fastReply) *fastBatch {
	if f.fast == nil {
		f.fast = make(map[string]*fastBatch)
	}
	b := &fastBatch{id: string(r.id), flow: r.flow, every: 1, gapOK: r.gapOK}
	if len(f.fast) == 0 {
		b.every = min(500, r.flow)
	}
	f.fast[b.id] = b
	return b
}

// caughtUp makes last the last message taken.
func (f *Front) caughtUp(b *fastBatch, last uint64) {
	if b.last = last; b.inFlight == 0 {
		b.done = last
	}
}

// fastDone counts a message of the batch, sequence seq in it, that is durable.
func (f *Front) fastDone(b *fastBatch, reply []byte, seq uint64, out *Effects) {
	b.inFlight--
	if b.done = max(b.done, seq); b.inFlight == 0 {
		b.done = b.last
	}
	if !b.ending {
		f.ackFast(b, reply, out)
	} else if b.inFlight == 0 {
		f.finishFast(b, out)
	}
}

// ackFast acknowledges if it is time to, and says from when on to expect the next acknowledgement.
func (f *Front) ackFast(b *fastBatch, reply []byte, out *Effects) bool {
	if b.done < b.acked+b.every {
		return false
	}
	b.acked += (b.done - b.acked) / b.every * b.every
	target := min(max(500/uint64(max(len(f.fast), 1)), 1), b.flow)
	switch {
	case b.every < target:
		b.every = min(b.every*2, target)
	case b.every > target:
		b.every = max(b.every/2, target)
	}
	out.fastAck(reply, b.acked, b.every)
	return true
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
	f.ack(b.end, &jsapi.PubAck{Seq: b.stream, BatchID: []byte(b.id), BatchSize: int(b.last)}, out)
}

func (f *Front) closeFast(b *fastBatch) {
	if f.fast[b.id] == b {
		delete(f.fast, b.id)
		f.total(true, -1)
	}
}

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
