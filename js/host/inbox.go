package host

import (
	"sync"

	"ramjet/proto/base/queue"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
	"ramjet/store/stream"
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
	itemWake   // a store has something for its owner
)

// item is what waits for a shard.
type item struct {
	kind   itemKind
	policy uint8 // itemCommit
	st     *Stream
	c      *Consumer
	p      *packet
	fn     func()
	id     uint64 // itemFeed
	store  *stream.Store
	err    error
}

// packet is a copied message.
type packet struct{ buf, subject, reply, header, payload []byte }

var packets = sync.Pool{New: func() any { return new(packet) }}

const (
	keepPacket = 64 << 10 // larger buffers are left to the collector
	packetCost = 640      // bytes a message counts for beyond its own
)

func newPacket(m *Msg) *packet {
	p := packets.Get().(*packet)
	b := p.buf[:0]
	if n := len(m.Subject) + len(m.Reply) + len(m.Header) + len(m.Payload); cap(b) < n {
		b = make([]byte, 0, max(n, 512))
	}
	cut := func(s []byte) []byte {
		if s == nil {
			return nil
		}
		at := len(b)
		b = append(b, s...)
		return b[at:len(b):len(b)]
	}
	p.subject, p.reply, p.header, p.payload = cut(m.Subject), cut(m.Reply), cut(m.Header), cut(m.Payload)
	p.buf = b
	return p
}

// size is what a packet counts for while it waits.
func (p *packet) size() int64 { return int64(len(p.buf)) + packetCost }

func (p *packet) free() {
	if cap(p.buf) <= keepPacket {
		packets.Put(p)
	}
}

// tooMany is the header of the refusal of a full inbox.
var tooMany = header.AppendStatus(nil, 429, "Too Many Requests")

// port is the Inbox of one subscription of an asset.
type port struct {
	sh   *Shard
	st   *Stream
	c    *Consumer
	kind itemKind
}

// Deliver implements Inbox. Steps: copy once, count the bytes, push. Busy pauses the publisher: too much waits here or, because the
// disk is slow, in the journal. A full inbox refuses requests with 10167 and drops the rest, which is counted.
func (p *port) Deliver(m *Msg) Verdict {
	pk := newPacket(m)
	n := pk.size()
	waiting := p.sh.bytes.Add(n)
	if waiting <= p.sh.h.o.InboxBytes && p.sh.in.Push(item{kind: p.kind, st: p.st, c: p.c, p: pk}) == queue.Pushed {
		if waiting > p.sh.h.o.InboxBytes/2 || p.sh.h.journal.Full() {
			return Busy
		}
		return Taken
	}
	p.sh.bytes.Add(-n)
	p.sh.dropped.Add(1)
	pk.free()
	if p.kind == itemPublish && len(m.Reply) > 0 {
		p.sh.h.publish(m.Account, m.Reply, tooMany, jsapi.AppendPubError(nil, jsapi.StreamTooManyRequests.Err(), p.st.name))
	}
	return Busy
}
