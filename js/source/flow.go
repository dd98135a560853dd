package source

import (
	"slices"
	"strconv"

	"ramjet/proto/header"
	"ramjet/proto/jsapi"
)

// flowReply is a flow control request that waits until what was taken before it is applied.
type flowReply struct {
	to        string // "" none
	seq, dseq uint64
	need      uint64
}

// stall counts heartbeats that tell of the same flow control.
type stall struct {
	id    string
	times int
}

// control handles a heartbeat or a flow control request.
func (e *Engine) control(o *origin, m *Msg, now int64) {
	if len(m.Reply) > 0 {
		e.owe(o, string(m.Reply))
		return
	}
	if n, ok := jsapi.ParseUint(header.Get(m.Header, jsapi.HdrLastConsumer)); ok && n > 0 && n != o.dseq {
		e.retry(o, now) // the tail was lost
		return
	}
	id := header.Get(m.Header, jsapi.HdrConsumerStalled)
	if len(id) == 0 {
		e.unstalled(o)
		return
	}
	e.stalled(o, string(id))
}

// stalled handles a heartbeat of a consumer that waits for a flow control reply: it was lost, unless it is owed still.
func (e *Engine) stalled(o *origin, id string) {
	if o.flow.to == id {
		return
	}
	if o.stall.id != id {
		o.stall = stall{id: id}
	}
	if o.stall.times++; o.stall.times == stalledTimes {
		o.err = jsapi.SourceConsumerFlowControlStalled.Err()
		e.sink.Warn(o.kind() + " '" + o.src.Name + "' of stream '" + e.m.Config().Name + "' is stalled: flow control replies do not reach its consumer")
	}
	e.owe(o, id)
}

func (e *Engine) unstalled(o *origin) {
	if o.stall.id == "" {
		return
	}
	o.stall = stall{}
	if o.err != nil && o.err.ErrCode == jsapi.SourceConsumerFlowControlStalled {
		o.err = nil
	}
}

// owe answers a flow control request now or once what was taken is applied. Only the latest one counts at the origin.
func (e *Engine) owe(o *origin, to string) {
	if o.flow.to == "" && o.need > e.applied {
		e.owed = append(e.owed, o)
	}
	o.flow = flowReply{to: to, seq: o.seq, dseq: o.dseq, need: o.need}
	if o.need <= e.applied {
		e.payFlow(o)
	}
}

// forget drops what is owed.
func (e *Engine) forget(o *origin) {
	if o.flow.to != "" {
		o.flow = flowReply{}
		e.owed = slices.DeleteFunc(e.owed, func(x *origin) bool { return x == o })
	}
}

// Stored tells that everything up to seq is applied. It may be called from inside Sink.Store.
func (e *Engine) Stored(seq uint64) {
	e.applied = seq
	if len(e.owed) == 0 {
		return
	}
	keep := e.owed[:0]
	for _, o := range e.owed {
		if o.flow.need <= seq {
			e.payFlow(o)
		} else {
			keep = append(keep, o)
		}
	}
	clear(e.owed[len(keep):])
	e.owed = keep
}

// payFlow sends the reply: how far the consumer's messages are stored, which acknowledges them for consumers that
// acknowledge by flow control.
func (e *Engine) payFlow(o *origin) {
	h := append(e.hdr[:0], header.Version+"\r\n"...)
	var num [20]byte
	h = header.AppendField(h, jsapi.HdrLastConsumer, strconv.AppendUint(num[:0], o.flow.dseq, 10))
	h = header.AppendField(h, jsapi.HdrLastStream, strconv.AppendUint(num[:0], o.flow.seq, 10))
	h = append(h, "\r\n"...)
	e.hdr = h
	e.sink.Publish(o.flow.to, "", h, nil)
	o.flow = flowReply{}
}
