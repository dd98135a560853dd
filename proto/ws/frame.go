package ws

import (
	"encoding/binary"
	"strconv"
)

// Opcode is the frame type (RFC 6455, 5.2).
type Opcode uint8

// The frame types; control frames have bit 3 set.
const (
	OpContinuation Opcode = 0
	OpText         Opcode = 1
	OpBinary       Opcode = 2
	OpClose        Opcode = 8
	OpPing         Opcode = 9
	OpPong         Opcode = 10
)

const (
	bitFin  = 0x80
	bitRSV1 = 0x40
	bitRSV2 = 0x20
	bitRSV3 = 0x10
	bitMask = 0x80

	maxControl = 125
	// MaxHeader is the longest frame header in bytes.
	MaxHeader = 14
)

// Error is a violation by the peer: the status to close with and the text for the close frame and
// the log.
type Error struct {
	Code CloseCode
	Text string
}

func (e *Error) Error() string { return e.Text }

// EventKind says what Decoder.Next found.
type EventKind uint8

// The events.
const (
	EventNone EventKind = iota // all of the input was used; more is needed
	EventData                  // a piece of a message
	EventPing                  // a whole control frame each
	EventPong
	EventClose
)

// Event is what Next found. Payload is borrowed from the input or from the decoder and valid until
// the next call.
type Event struct {
	Kind       EventKind
	Compressed bool // EventData: the message is compressed (RFC 7692)
	Final      bool // EventData: this piece ends the message
	Payload    []byte
}

// Decoder decodes frames from input cut at any byte. The zero value is ready; the exported fields
// are set before the first call.
type Decoder struct {
	RequireMask bool // server side: refuse frames without a mask
	Deflate     bool // permessage-deflate was negotiated

	left       uint64 // payload bytes of the current frame still to come
	key        [4]byte
	hdr        [MaxHeader]byte // header torn between inputs
	nhdr       uint8
	maskPos    uint8
	op         Opcode
	fin        bool
	masked     bool
	inFrame    bool // header decoded, payload (maybe empty) not yet delivered
	inMessage  bool // a data message has begun and its final frame has not ended
	compressed bool // of the current message
	ctl        []byte
}

// Next decodes from the start of in, which it unmasks in place, and returns the bytes used. Call it
// again with the rest until EventNone; n is then len(in). After an error the connection is to be
// closed and the decoder not used again.
func (d *Decoder) Next(in []byte, ev *Event) (n int, err *Error) {
	*ev = Event{}
	if !d.inFrame {
		used, ok, err := d.header(in)
		if err != nil || !ok {
			return used, err
		}
		n = used
	}
	if d.op >= OpClose {
		return d.control(in, n, ev)
	}
	rest := in[n:]
	if uint64(len(rest)) > d.left {
		rest = rest[:d.left]
	}
	if len(rest) == 0 && d.left > 0 {
		return n, nil
	}
	if d.masked {
		d.maskPos = uint8(Mask(rest, d.key, int(d.maskPos)))
	}
	d.left -= uint64(len(rest))
	ev.Kind, ev.Compressed, ev.Payload = EventData, d.compressed, rest
	if d.left == 0 {
		d.inFrame = false
		if d.fin {
			ev.Final, d.inMessage = true, false
		}
	}
	return n + len(rest), nil
}

// control delivers a control frame once all of it (at most 125 bytes) is there.
func (d *Decoder) control(in []byte, n int, ev *Event) (int, *Error) {
	rest := in[n:]
	if uint64(len(rest)) > d.left {
		rest = rest[:d.left]
	}
	if d.masked {
		d.maskPos = uint8(Mask(rest, d.key, int(d.maskPos)))
	}
	d.left -= uint64(len(rest))
	n += len(rest)
	if d.left > 0 || len(d.ctl) > 0 {
		if d.ctl == nil {
			d.ctl = make([]byte, 0, maxControl)
		}
		d.ctl = append(d.ctl, rest...)
		rest = d.ctl
	}
	if d.left > 0 {
		return n, nil
	}
	d.ctl = d.ctl[:0]
	d.inFrame = false
	ev.Payload = rest
	switch d.op {
	case OpPing:
		ev.Kind = EventPing
	case OpPong:
		ev.Kind = EventPong
	default:
		ev.Kind = EventClose
	}
	return n, nil
}

// header decodes a frame header, kept in d.hdr when torn. ok is false when more bytes are needed.
// The first two bytes are judged as soon as they are there.
func (d *Decoder) header(in []byte) (used int, ok bool, err *Error) {
	b := in
	if d.nhdr > 0 {
		b = d.hdr[:d.nhdr]
	}
	for {
		need := 2
		if len(b) >= 2 {
			if err := d.judge(b[0], b[1]); err != nil {
				return used, false, err
			}
			need = headerLen(b[1])
		}
		if len(b) >= need {
			err = d.begin(b[:need])
			if d.nhdr == 0 {
				used = need
			}
			d.nhdr = 0
			return used, err == nil, err
		}
		if d.nhdr == 0 { // torn: continue in d.hdr
			d.nhdr = uint8(copy(d.hdr[:], b))
			if len(b) == 0 {
				return 0, false, nil
			}
			used = len(b)
			return used, false, nil
		}
		c := copy(d.hdr[d.nhdr:need], in[used:])
		if c == 0 {
			return used, false, nil
		}
		d.nhdr += uint8(c)
		used += c
		b = d.hdr[:d.nhdr]
	}
}

// headerLen returns the length of a header whose second byte is b1.
func headerLen(b1 byte) int {
	n := 2
	switch b1 &^ bitMask {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if b1&bitMask != 0 {
		n += 4
	}
	return n
}

// judge checks the first two bytes of a frame (reference/websocket_mqtt.md, A2).
func (d *Decoder) judge(b0, b1 byte) *Error {
	op, fin, rsv1 := Opcode(b0&0xF), b0&bitFin != 0, b0&bitRSV1 != 0
	text := ""
	switch {
	case b0&(bitRSV2|bitRSV3) != 0:
		text = "RSV2 and RSV3 must be clear"
	case rsv1 && !d.Deflate:
		text = "compressed frame received without negotiated permessage-deflate"
	case op == OpText || op == OpBinary:
		if d.inMessage {
			text = "new message started before final frame for previous message was received"
		}
	case op == OpContinuation:
		if !d.inMessage || rsv1 {
			text = "invalid continuation frame"
		}
	case op == OpClose || op == OpPing || op == OpPong:
		switch {
		case b1&^bitMask > maxControl:
			text = "control frame length bigger than maximum allowed of 125 bytes"
		case !fin:
			text = "control frame does not have final bit set"
		case rsv1:
			text = "control frame must not be compressed"
		}
	default:
		text = "unknown opcode " + strconv.Itoa(int(op))
	}
	if text == "" && d.RequireMask && b1&bitMask == 0 {
		text = "mask bit missing"
	}
	if text == "" {
		return nil
	}
	return &Error{CloseProtocol, text}
}

// begin takes over a complete, judged header.
func (d *Decoder) begin(h []byte) *Error {
	d.op, d.fin = Opcode(h[0]&0xF), h[0]&bitFin != 0
	d.masked = h[1]&bitMask != 0
	switch l := h[1] &^ bitMask; l {
	case 126:
		d.left = uint64(binary.BigEndian.Uint16(h[2:]))
	case 127:
		d.left = binary.BigEndian.Uint64(h[2:])
		if d.left>>63 != 0 {
			return &Error{CloseProtocol, "invalid 64-bit payload length"}
		}
	default:
		d.left = uint64(l)
	}
	if d.masked {
		copy(d.key[:], h[len(h)-4:])
	}
	d.maskPos, d.inFrame = 0, true
	if d.op == OpText || d.op == OpBinary {
		d.inMessage, d.compressed = true, h[0]&bitRSV1 != 0
	}
	return nil
}

// AppendHeader appends the header of a frame with n payload bytes. key, when not nil, is announced
// as the mask: the caller masks the payload with Mask(payload, *key, 0).
func AppendHeader(dst []byte, op Opcode, fin, compressed bool, n int, key *[4]byte) []byte {
	b0, m := byte(op), byte(0)
	if fin {
		b0 |= bitFin
	}
	if compressed {
		b0 |= bitRSV1
	}
	if key != nil {
		m = bitMask
	}
	switch {
	case n <= maxControl:
		dst = append(dst, b0, m|byte(n))
	case n <= 0xFFFF:
		dst = append(dst, b0, m|126, byte(n>>8), byte(n))
	default:
		dst = append(dst, b0, m|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	if key != nil {
		dst = append(dst, key[:]...)
	}
	return dst
}
