package stream

import (
	"strconv"

	"ramjet/proto/header"
	"ramjet/proto/jsapi"
	"ramjet/store"
)

// EffectKind is what an effect asks the host to do.
type EffectKind uint8

// The kinds of effects.
const (
	// Send publishes a message into the account of the stream: an acknowledgement, an error, a message of a direct get.
	// Republish does the same with a copy of a stored message. Leaders only.
	Send EffectKind = iota + 1
	Republish
	// Stored says that Seq on Subject can be delivered.
	Stored
	// Removed says that Seq on Subject (nil if that is not known) is gone, by limits (Limit) or by request.
	Removed
	// Purged says that everything that Purge selects is gone; First is the first sequence now. If that was little, all on Subject, Seqs names it.
	Purged
	// Configured says that a new configuration is in force.
	Configured
	// Abandoned says that the batch named by Subject was given up, for the reason Text.
	Abandoned
	// Failed says that the log refused; the stream must not go on.
	Failed
)

// Effect is one thing to do. Its slices are valid until the next Reset of the list it is in.
type Effect struct {
	Kind    EffectKind
	Limit   bool
	Seq     uint64
	Subject []byte
	Header  []byte
	Payload []byte
	Text    string
	Purge   store.Purge
	Seqs    []uint64 // in order
	Err     error
}

// Effects is a reusable list of effects. Owner: the shard.
type Effects struct {
	List []Effect
	buf  []byte
	seqs []uint64
}

// Reset empties the list and keeps its memory.
func (e *Effects) Reset() {
	clear(e.List)
	e.List, e.buf, e.seqs = e.List[:0], e.buf[:0], e.seqs[:0]
}

// room makes sure that n bytes can be appended to the buffer without moving what is in it.
func (e *Effects) room(n int) {
	if cap(e.buf)-len(e.buf) < n {
		e.buf = make([]byte, 0, max(4096, 2*cap(e.buf), n))
	}
}

// copy keeps b until the next Reset.
func (e *Effects) copy(b []byte) []byte {
	if b == nil {
		return nil
	}
	e.room(len(b))
	at := len(e.buf)
	e.buf = append(e.buf, b...)
	return e.buf[at:len(e.buf):len(e.buf)]
}

// send adds a message; subject and header are copied, payload is kept as it is.
func (e *Effects) send(subject, hdr, payload []byte) {
	e.List = append(e.List, Effect{Kind: Send, Subject: e.copy(subject), Header: e.copy(hdr), Payload: payload})
}

// ack adds a publish acknowledgement.
func (e *Effects) ack(reply []byte, a *jsapi.PubAck) {
	e.room(128 + 6*(len(a.Stream)+len(a.Domain)+len(a.BatchID)+len(a.Value)) + len(reply))
	subj := e.copy(reply)
	at := len(e.buf)
	e.buf = jsapi.AppendPubAck(e.buf, a)
	e.List = append(e.List, Effect{Kind: Send, Subject: subj, Payload: e.buf[at:len(e.buf):len(e.buf)], Seq: a.Seq})
}

// refuse adds the answer to a publish that was refused.
func (e *Effects) refuse(reply []byte, err *jsapi.Error, stream string) {
	e.List = append(e.List, Effect{Kind: Send, Subject: e.copy(reply), Payload: jsapi.AppendPubError(nil, err, stream), Err: err})
}

// status adds a message that consists of a status line.
func (e *Effects) status(reply []byte, code int, text string) {
	e.List = append(e.List, Effect{Kind: Send, Subject: e.copy(reply), Header: header.AppendStatus(nil, code, text)})
}

func appendNum(dst []byte, key string, n uint64) []byte {
	dst = append(dst, key...)
	dst = append(dst, ':', ' ')
	dst = strconv.AppendUint(dst, n, 10)
	return append(dst, '\r', '\n')
}
