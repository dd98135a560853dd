package ws

import (
	"encoding/binary"
	"strconv"
	"unicode/utf8"
)

// CloseCode is the status of a close frame (RFC 6455, 7.4).
type CloseCode uint16

// The status codes this server sends or treats specially.
const (
	CloseNormal       CloseCode = 1000
	CloseGoingAway    CloseCode = 1001
	CloseProtocol     CloseCode = 1002
	CloseUnsupported  CloseCode = 1003
	CloseNoStatus     CloseCode = 1005 // never on the wire: the close frame had no status
	CloseAbnormal     CloseCode = 1006 // never on the wire
	CloseInvalidData  CloseCode = 1007
	ClosePolicy       CloseCode = 1008
	CloseTooBig       CloseCode = 1009
	CloseInternal     CloseCode = 1011
	CloseTLSHandshake CloseCode = 1015
)

// Valid reports whether a peer may send c. 1004 to 1006, 1015 and the unassigned ranges are not
// allowed on the wire.
func (c CloseCode) Valid() bool {
	switch {
	case c < 1000, c == 1004, c == CloseNoStatus, c == CloseAbnormal:
		return false
	case c <= 1014:
		return true
	}
	return c >= 3000 && c < 5000
}

// ParseClose decodes the payload of a close frame. An empty payload gives CloseNoStatus. text is
// borrowed from payload.
func ParseClose(payload []byte) (c CloseCode, text []byte, err *Error) {
	switch len(payload) {
	case 0:
		return CloseNoStatus, nil, nil
	case 1:
		return 0, nil, &Error{CloseProtocol, "close frame payload cannot be 1 byte"}
	}
	c = CloseCode(binary.BigEndian.Uint16(payload))
	if !c.Valid() {
		return 0, nil, &Error{CloseProtocol, "invalid close status code " + strconv.Itoa(int(c))}
	}
	if text = payload[2:]; !utf8.Valid(text) {
		return 0, nil, &Error{CloseInvalidData, "invalid utf8 body in close frame"}
	}
	return c, text, nil
}

// AppendClose appends a close frame; CloseNoStatus gives an empty one. A text that does not fit the
// 123 bytes left is cut at a character and ends in "...". key as in AppendHeader.
func AppendClose(dst []byte, c CloseCode, text string, key *[4]byte) []byte {
	if c == CloseNoStatus {
		return AppendHeader(dst, OpClose, true, false, 0, key)
	}
	const room = maxControl - 2
	dots := ""
	if len(text) > room {
		cut := room - 3
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text, dots = text[:cut], "..."
	}
	dst = AppendHeader(dst, OpClose, true, false, 2+len(text)+len(dots), key)
	at := len(dst)
	dst = binary.BigEndian.AppendUint16(dst, uint16(c))
	dst = append(append(dst, text...), dots...)
	if key != nil {
		Mask(dst[at:], *key, 0)
	}
	return dst
}
