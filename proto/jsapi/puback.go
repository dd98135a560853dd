package jsapi

import (
	"strconv"
	"unicode/utf8"
)

// PubAck is the acknowledgement of a publish. At most one of Duplicate, Value and BatchID is set.
type PubAck struct {
	Stream    string
	Domain    string // "" if the server has none
	Seq       uint64
	Duplicate bool
	Value     []byte // decimal value of a counter; nil if the stream has no counters
	BatchID   []byte // batch that was committed; nil if none
	BatchSize int    // messages of the batch
}

// AppendPubAck appends the JSON of a, with the key order and the blank of nats-server that clients know. It does not
// allocate when dst has room.
func AppendPubAck(dst []byte, a *PubAck) []byte {
	dst = append(dst, `{"stream":`...)
	dst = AppendString(dst, a.Stream)
	if a.Domain != "" {
		dst = append(dst, `,"domain":`...)
		dst = AppendString(dst, a.Domain)
	}
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendUint(dst, a.Seq, 10)
	switch {
	case a.Duplicate:
		return append(dst, `,"duplicate": true}`...)
	case a.Value != nil:
		dst = append(dst, `,"val":`...)
		dst = appendBytes(dst, a.Value)
	case a.BatchID != nil:
		dst = append(dst, `,"batch":`...)
		dst = appendBytes(dst, a.BatchID)
		dst = append(dst, `,"count":`...)
		dst = strconv.AppendInt(dst, int64(a.BatchSize), 10)
	}
	return append(dst, '}')
}

// AppendPubError appends the answer to a publish that was refused.
func AppendPubError(dst []byte, e *Error, stream string) []byte {
	dst = append(dst, `{"error":{"code":`...)
	dst = strconv.AppendInt(dst, int64(e.Code), 10)
	if e.ErrCode != 0 {
		dst = append(dst, `,"err_code":`...)
		dst = strconv.AppendInt(dst, int64(e.ErrCode), 10)
	}
	if e.Description != "" {
		dst = append(dst, `,"description":`...)
		dst = AppendString(dst, e.Description)
	}
	dst = append(dst, `},"stream":`...)
	dst = AppendString(dst, stream)
	return append(dst, `,"seq":0}`...)
}

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. Invalid UTF-8 becomes the replacement character.
func AppendString(dst []byte, s string) []byte { return appendJSON(dst, s) }

func appendBytes(dst, b []byte) []byte { return appendJSON(dst, b) }

func appendJSON[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			var buf [utf8.UTFMax]byte
			n := copy(buf[:], s[i:])
			r, size := utf8.DecodeRune(buf[:n])
			dst = utf8.AppendRune(dst, r)
			i += size
			continue
		}
		i++
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c < 0x20 || c == 0x7f || c == '<' || c == '>' || c == '&':
			dst = append(dst, `\u00`...)
			dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
