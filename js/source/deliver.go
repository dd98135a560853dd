package source

import (
	"bytes"

	"ramjet/js/stream"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
)

// Deliver takes what arrived at now for the subscription id. Unknown ids are ignored: something was on its way when the
// engine stopped to listen.
func (e *Engine) Deliver(now int64, id uint64, m *Msg) {
	o := e.byID[id]
	switch {
	case o == nil:
	case id == o.reply:
		e.answered(o, m, now)
	case o.probe:
		e.probed(o, now)
	default:
		o.last = now
		if isControl(m) {
			e.control(o, m, now)
			return
		}
		e.delivered(o, m, now)
	}
}

var controlPrefix = []byte(header.Version + " 100 ")

// isControl reports that m is a heartbeat or a flow control request.
func isControl(m *Msg) bool { return len(m.Payload) == 0 && bytes.HasPrefix(m.Header, controlPrefix) }

// delivered takes a message of the consumer of o.
func (e *Engine) delivered(o *origin, m *Msg, now int64) {
	var a jsapi.AckReply
	if !jsapi.ParseAckReply(m.Reply, &a) || string(a.Consumer) != o.consumer || a.Deliveries > 1 {
		return
	}
	next := a.ConsumerSeq == o.dseq+1
	switch {
	case a.StreamSeq <= o.seq:
		if next {
			o.dseq++
		}
		return
	case next || o.mirror && a.StreamSeq == o.seq+1:
	case a.ConsumerSeq > o.dseq:
		e.retry(o, now) // something is missing
		return
	default:
		return
	}
	o.lag = max(a.Pending, 1) - 1
	e.unstalled(o)
	if !e.store(o, &a, m, now) {
		return
	}
	o.seq, o.dseq = a.StreamSeq, a.ConsumerSeq
	if o.mirror && a.Pending < caughtUpBelow {
		e.setCaughtUp(true)
	}
}

// store hands a message to the front. False: it was refused, and the origin starts again there later.
func (e *Engine) store(o *origin, a *jsapi.AckReply, m *Msg, now int64) bool {
	e.in = stream.Inbound{Origin: stream.Mirror, Subject: m.Subject, Header: m.Header, Payload: m.Payload, Seq: a.StreamSeq, Time: a.Time}
	if !o.mirror {
		e.in.Origin, e.in.Seq, e.in.Time = stream.Source, 0, 0
	}
	e.in.Header = e.cleanHeader(o, m, a)
	for _, t := range o.rules {
		if t.Match(subject.View(m.Subject)) {
			e.subj = t.Apply(e.subj[:0], subject.View(m.Subject), e.env.Rand.Uint64())
			e.in.Subject = e.subj
			break
		}
	}
	n := e.restarts
	last, err := e.sink.Store(&e.in)
	e.in = stream.Inbound{}
	if e.restarts != n {
		return false // it was given up at once: o is where Restart put it
	}
	if err == nil || err.ErrCode == jsapi.StreamDuplicateMessageConflict {
		o.need = last
		if o.refused > 0 {
			o.refused, o.err = 0, nil
		}
		return true
	}
	if !stream.IsFull(err) { // a full stream is nothing to worry about: others make room
		if o.refused++; o.refused == 1 {
			e.sink.Warn(o.kind() + " '" + o.src.Name + "' of stream '" + e.m.Config().Name + "': message refused: " + err.Error())
		}
		o.err = err
	}
	e.retry(o, now)
	return false
}
