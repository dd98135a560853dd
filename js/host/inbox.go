package host

import (
	"ramjet/js/stream"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
)

type itemKind uint8

const (
	itemPublish itemKind = iota + 1
	itemDirect           // direct get
	itemNext             // pull request
	itemAck
	itemFlow
	itemReset
	itemFeed   // a message of an origin
	itemCall   // run fn
	itemCommit // the oldest commit of a policy is decided
)

// quick reports that a few of a kind take so little time that the loop they came from may handle them.
func (k itemKind) quick() bool { return k == itemPublish || k == itemAck || k == itemDirect }

// item is what waits for a shard.
type item struct {
	port                   *port  // of a message
	buf                    []byte // its subject, reply, header and payload
	subject, reply, header uint32 // lengths
	kind                   itemKind
	policy                 uint8 // itemCommit
	fn                     func()
}

// packet is a message while a shard handles it.
type packet struct{ subject, reply, header, payload []byte }

func (it *item) packet() (p packet) {
	b := it.buf
	cut := func(n uint32) []byte {
		if n == 0 {
			return nil
		}
		s := b[:n:n]
		b = b[n:]
		return s
	}
	p.subject, p.reply, p.header = cut(it.subject), cut(it.reply), cut(it.header)
	p.payload = b
	return p
}

// tooMany is the header of the refusal of a full inbox.
var tooMany = header.AppendStatus(nil, 429, "Too Many Requests")

// port is the Inbox of one subscription of an asset.
type port struct {
	sh   *Shard
	st   *Stream
	c    *Consumer
	feed uint64 // itemFeed: of the engine that follows the origin
	kind itemKind
	// trace, when not nil: the port is that of one message, which is traced.
	trace stream.Trace
}

// traced returns a port for m alone, which is traced. Where the message is stored it is to cause no traces when it is delivered.
func (p *port) traced(m *Msg) *port {
	own := *p
	own.trace = m.Trace.Reached(p.st.name)
	if !m.Trace.TraceOnly() {
		m.Header = header.AppendSet(nil, m.Header, header.TraceDest, []byte(header.TraceDisabled))
	}
	return &own
}

// Deliver implements Inbox. Steps: copy once, count the bytes, push. Busy pauses the publisher: too much waits here or, because the
// disk is slow, in the journal. A full inbox refuses publishes with 10167 and drops the rest, which is counted.
func (p *port) Deliver(m *Msg) Verdict {
	if m.Trace != nil && p.kind == itemPublish {
		p = p.traced(m)
	}
	sh := p.sh
	o := &sh.h.o
	f := sh.in.push(item{port: p, kind: p.kind}, m, o.InboxSize, o.InboxBytes)
	if !f.ok {
		sh.dropped.Add(1)
		if p.trace != nil {
			p.trace.Done(jsapi.StreamTooManyRequests.Err().Description)
		}
		if p.kind == itemPublish && len(m.Reply) > 0 {
			sh.h.tryPublish(m.Account, m.Reply, tooMany, jsapi.AppendPubError(nil, jsapi.StreamTooManyRequests.Err(), p.st.name))
		}
		if p.kind == itemFeed {
			return Taken
		}
		return Busy
	}
	switch {
	case m.Helper == nil || !p.kind.quick() || f.items == helpMost+1:
		if f.items == 1 || m.Helper != nil {
			sh.poke()
		}
	case f.items == 1:
		m.Helper.add(sh)
	}
	if p.kind != itemFeed && (f.bytes > o.InboxBytes/2 || sh.h.journal.Full()) {
		return Busy
	}
	return Taken
}
