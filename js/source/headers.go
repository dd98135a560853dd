package source

import (
	"bytes"

	"ramjet/js/stream"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
)

// cleanHeader returns the header under which a message of o is stored: without expectations and batches of the origin;
// of a source also with where it comes from. The result is valid until the next call.
func (e *Engine) cleanHeader(o *origin, m *Msg, a *jsapi.AckReply) []byte {
	if o.mirror {
		if !bytes.Contains(m.Header, []byte("\r\nNats-")) {
			return m.Header
		}
		e.hdr = appendKept(e.hdr[:0], m.Header, false)
		if len(e.hdr) <= len(header.Version)+2 {
			return nil
		}
		e.hdr = append(e.hdr, "\r\n"...)
		return e.hdr
	}
	h := append(e.hdr[:0], header.Version+"\r\n"...)
	if len(m.Header) > 0 {
		h = appendKept(e.hdr[:0], m.Header, true)
	}
	h = append(h, jsapi.HdrStreamSource+": "...)
	h = stream.AppendSourceHeader(h, &o.index, a.StreamSeq, m.Subject, o.identity)
	e.hdr = append(h, "\r\n\r\n"...)
	return e.hdr
}

// appendKept appends the lines of block that are stored, without the empty one at the end.
func appendKept(dst, block []byte, source bool) []byte {
	first := true
	for len(block) > 0 {
		line := block
		if i := bytes.Index(block, []byte("\r\n")); i >= 0 {
			line, block = block[:i], block[i+2:]
		} else {
			block = nil
		}
		if len(line) > 0 && (first || !dropped(line, source)) {
			dst = append(append(dst, line...), "\r\n"...)
		}
		first = false
	}
	return dst
}

// dropped reports that a line is not stored.
func dropped(line []byte, source bool) bool {
	has := func(prefix string) bool { return len(line) >= len(prefix) && string(line[:len(prefix)]) == prefix }
	return has("Nats-") && (has(jsapi.HdrExpectedPrefix) || has(jsapi.HdrBatchPrefix) || source && has(jsapi.HdrStreamSource+":"))
}
