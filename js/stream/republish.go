package stream

import (
	"strconv"
	"time"

	"ramjet/js/op"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
)

// republish adds the copy of a stored message for core subscribers; prev is the sequence of the message before it on
// the same subject.
func (m *Machine) republish(c *op.Cmd, prev uint64, out *Effects) {
	lit := subject.View(c.Subject)
	if !m.republ.Match(lit) {
		return
	}
	m.subj = m.republ.Apply(m.subj[:0], lit, c.Seq)
	if !subject.ValidLiteral(subject.View(m.subj)) {
		return
	}
	h := m.hdr[:0]
	if len(c.Header) > len(header.Empty) {
		h = append(h, c.Header[:len(c.Header)-2]...)
	} else {
		h = append(h, header.Version+"\r\n"...)
	}
	h = AppendOrigin(h, m.cfg.Name, c.Subject, c.Seq, c.Time)
	h = appendNum(h, jsapi.HdrLastSequence, prev)
	payload := c.Payload
	if m.cfg.Republish.HeadersOnly {
		h = appendNum(h, jsapi.HdrMsgSize, uint64(len(payload)))
		payload = nil
	}
	m.hdr = append(h, "\r\n"...)
	out.List = append(out.List, Effect{Kind: Republish, Seq: c.Seq, Subject: out.copy(m.subj), Header: out.copy(m.hdr), Payload: out.copy(payload)})
}

// AppendOrigin appends the fields that say where a message is stored, without the line that ends a block.
func AppendOrigin(dst []byte, stream string, subj []byte, seq uint64, at int64) []byte {
	dst = append(append(dst, jsapi.HdrStream+": "...), stream...)
	dst = append(append(dst, "\r\n"+jsapi.HdrSubject+": "...), subj...)
	dst = append(dst, "\r\n"+jsapi.HdrSequence+": "...)
	dst = strconv.AppendUint(dst, seq, 10)
	dst = append(dst, "\r\n"+jsapi.HdrTimeStamp+": "...)
	dst = time.Unix(0, at).UTC().AppendFormat(dst, time.RFC3339Nano)
	return append(dst, "\r\n"...)
}
