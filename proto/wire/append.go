package wire

import (
	"slices"
	"strconv"
)

// Complete lines without arguments.
const (
	Ping = "PING\r\n"
	Pong = "PONG\r\n"
	OK   = "+OK\r\n"
)

// AppendPing appends a PING line.
func AppendPing(dst []byte) []byte { return append(dst, Ping...) }

// AppendPong appends a PONG line.
func AppendPong(dst []byte) []byte { return append(dst, Pong...) }

// AppendOK appends a +OK line.
func AppendOK(dst []byte) []byte { return append(dst, OK...) }

// AppendErr appends "-ERR 'text'\r\n".
func AppendErr(dst []byte, text string) []byte {
	dst = append(dst, "-ERR '"...)
	dst = append(dst, text...)
	return append(dst, '\'', '\r', '\n')
}

// MsgHeadMax is an upper bound of what AppendMsgHead adds, in bytes: the lengths of subject, sid and
// reply together, plus this.
const MsgHeadMax = len("HMSG ") + 3 + 2*maxIntDigits + 1 + len("\r\n")

const maxIntDigits = 20

// AppendMsgHead appends "MSG subject sid [reply] size\r\n", or the HMSG form if hdrLen is above 0; the
// caller appends header, payload and CRLF (or passes them by reference).
func AppendMsgHead(dst, subject []byte, sid string, reply []byte, hdrLen, payloadLen int) []byte {
	n := len(dst)
	dst = slices.Grow(dst, MsgHeadMax+len(subject)+len(sid)+len(reply))
	b := dst[:cap(dst)]
	if hdrLen > 0 {
		b[n] = 'H'
		n++
	}
	n += copy(b[n:], "MSG ")
	n += copy(b[n:], subject)
	b[n] = ' '
	n++
	n += copy(b[n:], sid)
	b[n] = ' '
	n++
	if len(reply) > 0 {
		n += copy(b[n:], reply)
		b[n] = ' '
		n++
	}
	if hdrLen > 0 {
		n += putInt(b[n:], hdrLen)
		b[n] = ' '
		n++
	}
	n += putInt(b[n:], hdrLen+payloadLen)
	b[n] = '\r'
	b[n+1] = '\n'
	return b[:n+2]
}

// putInt writes v in decimal and returns the number of digits. Sizes up to three digits, which most
// messages have, are written directly.
func putInt(b []byte, v int) int {
	if v < 0 || v > 999 {
		return len(strconv.AppendInt(b[:0], int64(v), 10))
	}
	n := 0
	if v >= 100 {
		b[n] = byte('0' + v/100)
		n++
	}
	if v >= 10 {
		b[n] = byte('0' + v/10%10)
		n++
	}
	b[n] = byte('0' + v%10)
	return n + 1
}
