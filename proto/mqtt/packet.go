package mqtt

import (
	"errors"
	"fmt"
)

// Type is the kind of a control packet: the upper half of its first byte.
type Type uint8

// The control packets.
const (
	CONNECT     Type = 0x10
	CONNACK     Type = 0x20
	PUBLISH     Type = 0x30
	PUBACK      Type = 0x40
	PUBREC      Type = 0x50
	PUBREL      Type = 0x60
	PUBCOMP     Type = 0x70
	SUBSCRIBE   Type = 0x80
	SUBACK      Type = 0x90
	UNSUBSCRIBE Type = 0xA0
	UNSUBACK    Type = 0xB0
	PINGREQ     Type = 0xC0
	PINGRESP    Type = 0xD0
	DISCONNECT  Type = 0xE0
)

var typeNames = [16]string{"", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
	"SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", ""}

// String returns the name of the packet, as in the specification.
func (t Type) String() string { return typeNames[t>>4] }

// Flags of a PUBLISH.
const (
	FlagRetain = 0x01
	FlagQoS    = 0x06
	FlagDup    = 0x08
)

// QoS returns the quality of service in the flags of a PUBLISH.
func QoS(flags byte) byte { return flags & FlagQoS >> 1 }

// SubFailure is the return code of a filter that was not subscribed.
const SubFailure = 0x80

// Return codes of CONNACK.
const (
	Accepted           byte = 0x00
	BadProtocolVersion byte = 0x01
	IdentifierRejected byte = 0x02
	BadUserOrPassword  byte = 0x04
	NotAuthorized      byte = 0x05
	WillQoS2Rejected   byte = 0x10
)

// MaxRemaining is the largest remaining length a packet can have, in bytes.
const MaxRemaining = 0x0FFFFFFF

// Overhead is how much longer than max_payload a packet may be once the client is connected: fixed header,
// the longest topic or filter, and the packet identifier, in bytes (reference/websocket_mqtt.md, B6).
const Overhead = 5 + 2 + 65535 + 2

// Limits of a connection.
type Limits struct {
	// MaxPacket bounds a whole packet, in bytes; negative = none.
	MaxPacket int
	// Connected: CONNECT was accepted, everything else may come.
	Connected bool
}

// Packet is what Next decoded. Slices are borrowed.
type Packet struct {
	Type    Type
	Flags   byte
	ID      uint16 // 0 = none
	Topic   []byte // PUBLISH
	Payload []byte // PUBLISH
	Body    []byte // CONNECT: all of it; SUBSCRIBE, UNSUBSCRIBE: the filters
}

// ErrTooLarge is wrapped by the error for a packet above Limits.MaxPacket.
var ErrTooLarge = errors.New("maximum payload exceeded")

var (
	errVarInt    = errors.New("malformed variable int")
	errNoID      = errors.New("packet identifier cannot be 0")
	errNoTopic   = errors.New("topic cannot be empty")
	errNoFilter  = errors.New("topic filter cannot be empty")
	errNotHere   = errors.New("MQTT clients over websocket must connect to the Websocket port, not the MQTT port")
	errShort     = errors.New("unexpected EOF")
	errQoS3      = errors.New("QoS=3 is invalid in MQTT")
	errNoFilters = errors.New("protocol must contain at least 1 topic filter")
)

func short(field string) error { return fmt.Errorf("error reading %s: %w", field, errShort) }

// Next decodes the packet at the start of data. It returns its length; or 0 when more bytes are needed,
// and then need is the length of the whole packet as soon as that is known. Any error closes the
// connection. However data is cut, the result is the same.
func Next(data []byte, lim *Limits, p *Packet) (n, need int, err error) {
	if len(data) == 0 {
		return 0, 0, nil
	}
	t, flags := Type(data[0]&0xF0), data[0]&0x0F
	if !lim.Connected && t != CONNECT {
		return firstPacket(data, t)
	}
	if err := checkFlags(t, flags); err != nil {
		return 0, 0, err
	}
	remaining, size, err := length(data[1:])
	if err != nil || size == 0 {
		return 0, 0, err
	}
	if want, fixed := fixedLength(t); fixed && remaining != want {
		return 0, 0, fmt.Errorf("invalid remaining length %d for packet type %x", remaining, byte(t))
	}
	total := 1 + size + remaining
	if lim.MaxPacket >= 0 && total > lim.MaxPacket {
		return 0, 0, fmt.Errorf("%w: %d vs %d", ErrTooLarge, total, lim.MaxPacket)
	}
	if len(data) < total {
		return 0, total, nil
	}
	*p = Packet{Type: t, Flags: flags}
	if err := p.decode(data[1+size : total : total]); err != nil {
		return 0, 0, err
	}
	return total, 0, nil
}

// firstPacket is the error for a first packet that is not CONNECT; a browser on the wrong port is told
// apart once its method is complete.
func firstPacket(data []byte, t Type) (int, int, error) {
	const get = "GET "
	if k := min(len(data), len(get)); string(data[:k]) == get[:k] {
		if k < len(get) {
			return 0, len(get), nil
		}
		return 0, 0, errNotHere
	}
	return 0, 0, fmt.Errorf("the first packet should be a CONNECT (%v), got %v", byte(CONNECT), byte(t))
}

func checkFlags(t Type, flags byte) error {
	want := byte(0)
	switch t {
	case PUBLISH:
		return nil
	case PUBREL, SUBSCRIBE, UNSUBSCRIBE:
		want = 2
	case CONNECT, PUBACK, PUBREC, PUBCOMP, PINGREQ, DISCONNECT:
	default:
		return fmt.Errorf("received unknown packet type %d", byte(t)>>4)
	}
	if flags != want {
		return fmt.Errorf("invalid fixed header flags %x for packet type %x", flags, byte(t))
	}
	return nil
}

// fixedLength is the remaining length of packets that have only one.
func fixedLength(t Type) (n int, fixed bool) {
	switch t {
	case PUBACK, PUBREC, PUBREL, PUBCOMP:
		return 2, true
	case PINGREQ, DISCONNECT:
		return 0, true
	}
	return 0, false
}

// length decodes a remaining length of one to four bytes; size 0: not all there yet.
func length(b []byte) (v, size int, err error) {
	for i := range min(len(b), 4) {
		v |= int(b[i]&0x7F) << (7 * i)
		if b[i]&0x80 == 0 {
			return v, i + 1, nil
		}
	}
	if len(b) >= 4 {
		return 0, 0, errVarInt
	}
	return 0, 0, nil
}

// decode cuts the variable header and payload.
func (p *Packet) decode(b []byte) error {
	switch p.Type {
	case PUBLISH:
		return p.decodePublish(b)
	case CONNECT:
		p.Body = b
	case SUBSCRIBE, UNSUBSCRIBE:
		if len(b) < 2 {
			return short("packet identifier")
		}
		p.ID, p.Body = uint16(b[0])<<8|uint16(b[1]), b[2:]
		if p.ID == 0 {
			return errNoID
		}
		return p.checkFilters()
	case PUBACK, PUBREC, PUBREL, PUBCOMP:
		if p.ID = uint16(b[0])<<8 | uint16(b[1]); p.ID == 0 {
			return errNoID
		}
	}
	return nil
}

func (p *Packet) decodePublish(b []byte) error {
	qos := QoS(p.Flags)
	if qos == 3 {
		return errQoS3
	}
	topic, rest, ok := cutString(b)
	switch {
	case !ok:
		return short("topic")
	case len(topic) == 0:
		return errNoTopic
	}
	if err := checkText(topic, "topic"); err != nil {
		return err
	}
	if qos > 0 {
		if len(rest) < 2 {
			return short("packet identifier")
		}
		p.ID, rest = uint16(rest[0])<<8|uint16(rest[1]), rest[2:]
		if p.ID == 0 {
			return fmt.Errorf("with QoS=%v, packet identifier cannot be 0", qos)
		}
	}
	p.Topic, p.Payload = topic, rest
	return nil
}

// checkFilters decodes the filters once, so that the packet is refused as a whole.
func (p *Packet) checkFilters() error {
	if len(p.Body) == 0 {
		if p.Type == SUBSCRIBE {
			return fmt.Errorf("subscribe %w", errNoFilters)
		}
		return fmt.Errorf("unsubscribe %w", errNoFilters)
	}
	for rest := p.Body; len(rest) > 0; {
		var f []byte
		var ok bool
		if f, rest, ok = cutString(rest); !ok {
			return short("topic filter")
		}
		if len(f) == 0 {
			return errNoFilter
		}
		if err := checkText(f, "topic filter"); err != nil {
			return err
		}
		if p.Type == UNSUBSCRIBE {
			continue
		}
		if len(rest) == 0 {
			return short("QoS")
		}
		if rest[0] > 2 {
			return fmt.Errorf("subscribe QoS value must be 0, 1 or 2, got %v", rest[0])
		}
		rest = rest[1:]
	}
	return nil
}

// Filters calls fn for each filter of a SUBSCRIBE (with its QoS) or UNSUBSCRIBE that Next accepted.
func (p *Packet) Filters(fn func(topic []byte, qos byte)) {
	for rest := p.Body; len(rest) > 0; {
		var f []byte
		f, rest, _ = cutString(rest)
		qos := byte(0)
		if p.Type == SUBSCRIBE {
			qos, rest = rest[0], rest[1:]
		}
		fn(f, qos)
	}
}

// cutString cuts a string with its 16 bit length off b.
func cutString(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(b[0])<<8 | int(b[1])
	if b = b[2:]; len(b) < n {
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}
