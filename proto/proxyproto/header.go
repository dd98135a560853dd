package proxyproto

// Addr is an IP address and port. It is plain data because the protocol packages do not know the
// network; netip.AddrFrom16(a.IP).Unmap() or AddrFrom4 gives the usual type.
type Addr struct {
	IP   [16]byte // IPv4 in the last 4 bytes when V4
	V4   bool
	Port uint16
}

// Header is a decoded header. Proxied is false for LOCAL and UNKNOWN: the addresses of the TCP
// connection stay.
type Header struct {
	Proxied      bool
	Source, Dest Addr
}

// Error is an invalid header; the connection is to be closed.
type Error string

func (e Error) Error() string { return "proxy protocol: " + string(e) }

// The errors of Decode.
const (
	ErrLine        = Error("malformed version 1 line")
	ErrTooLong     = Error("version 1 line too long")
	ErrFamily      = Error("unsupported address family or transport")
	ErrAddress     = Error("invalid address")
	ErrPort        = Error("invalid port")
	ErrVersion     = Error("unsupported version 2 version")
	ErrCommand     = Error("unsupported version 2 command")
	ErrShortHeader = Error("version 2 address block too short")
)

// State is the verdict on the first bytes of a connection.
type State uint8

// The verdicts.
const (
	More    State = iota // could still be a header: call again with more bytes
	None                 // no header: all bytes belong to the connection
	Found                // a header of the returned length
	Invalid              // a header that must not be accepted
)

// Decode looks at the first bytes of a connection. n is the length of the header when Found; err is
// set when Invalid. MaxBuffer bytes are always enough for a verdict other than More, except that a
// version 2 header with many extensions (TLVs) must be skipped: skip, with Found, is the number of
// further bytes after n that belong to the header and may not be there yet.
func Decode(b []byte, h *Header) (st State, n, skip int, err error) {
	*h = Header{}
	switch {
	case hasPrefix(b, v1Prefix):
		return decodeV1(b, h)
	case hasPrefix(b, v2Signature):
		return decodeV2(b, h)
	case hasPrefix([]byte(v1Prefix), string(b)), hasPrefix([]byte(v2Signature), string(b)):
		return More, 0, 0, nil
	}
	return None, 0, 0, nil
}

// MaxBuffer is the number of bytes a caller of Decode has to be able to keep.
const MaxBuffer = v1Max

func hasPrefix(b []byte, p string) bool { return len(b) >= len(p) && string(b[:len(p)]) == p }
