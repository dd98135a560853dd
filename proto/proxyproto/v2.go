package proxyproto

import "encoding/binary"

const (
	v2Signature = "\r\n\r\n\x00\r\nQUIT\n"
	v2Header    = 16
)

// decodeV2 decodes the binary header; b starts with v2Signature. The fixed part is judged as soon as
// it is there; extensions after the addresses are not looked at.
func decodeV2(b []byte, h *Header) (State, int, int, error) {
	if len(b) < v2Header {
		return More, 0, 0, nil
	}
	if b[12]>>4 != 2 {
		return Invalid, 0, 0, ErrVersion
	}
	length := int(binary.BigEndian.Uint16(b[14:]))
	size := 0 // of one address
	switch b[12] & 0xF {
	case 0: // LOCAL: health checks of the proxy itself
		return Found, v2Header, length, nil
	case 1:
		switch b[13] {
		case 0x11: // TCP over IPv4
			size = 4
		case 0x21: // TCP over IPv6
			size = 16
		default:
			return Invalid, 0, 0, ErrFamily
		}
	default:
		return Invalid, 0, 0, ErrCommand
	}
	block := 2*size + 4
	if length < block {
		return Invalid, 0, 0, ErrShortHeader
	}
	if len(b) < v2Header+block {
		return More, 0, 0, nil
	}
	a := b[v2Header:]
	h.Proxied = true
	h.Source.V4, h.Dest.V4 = size == 4, size == 4
	copy(h.Source.IP[16-size:], a[:size])
	copy(h.Dest.IP[16-size:], a[size:2*size])
	h.Source.Port = binary.BigEndian.Uint16(a[2*size:])
	h.Dest.Port = binary.BigEndian.Uint16(a[2*size+2:])
	return Found, v2Header + block, length - block, nil
}
