package proxyproto

import "bytes"

const (
	v1Prefix = "PROXY "
	v1Max    = 107 // bytes, with CRLF
)

// decodeV1 decodes "PROXY TCP4 source destination sport dport\r\n"; b starts with v1Prefix.
func decodeV1(b []byte, h *Header) (State, int, int, error) {
	line := b[:min(len(b), v1Max)]
	end := bytes.IndexByte(line, '\n')
	if end < 0 {
		if len(b) >= v1Max {
			return Invalid, 0, 0, ErrTooLong
		}
		return More, 0, 0, nil
	}
	if line[end-1] != '\r' {
		return Invalid, 0, 0, ErrLine
	}
	rest := line[len(v1Prefix) : end-1]
	family, rest := field(rest)
	switch string(family) {
	case "UNKNOWN":
		return Found, end + 1, 0, nil
	case "TCP4", "TCP6":
	case "":
		return Invalid, 0, 0, ErrLine
	default:
		return Invalid, 0, 0, ErrFamily
	}
	src, rest := field(rest)
	dst, rest := field(rest)
	sport, rest := field(rest)
	dport, rest := field(rest)
	if extra, _ := field(rest); len(dport) == 0 || len(extra) > 0 {
		return Invalid, 0, 0, ErrLine
	}
	v4 := family[3] == '4'
	var ok [4]bool
	h.Source, ok[0] = address(src, v4)
	h.Dest, ok[1] = address(dst, v4)
	h.Source.Port, ok[2] = port(sport)
	h.Dest.Port, ok[3] = port(dport)
	if !ok[0] || !ok[1] {
		return Invalid, 0, 0, ErrAddress
	}
	if !ok[2] || !ok[3] {
		return Invalid, 0, 0, ErrPort
	}
	h.Proxied = true
	return Found, end + 1, 0, nil
}

// field cuts the first of the fields separated by one or more spaces.
func field(b []byte) (f, rest []byte) {
	b = bytes.TrimLeft(b, " \t")
	if i := bytes.IndexAny(b, " \t"); i >= 0 {
		return b[:i], b[i:]
	}
	return b, nil
}

// port decodes decimal digits.
func port(b []byte) (uint16, bool) {
	if len(b) == 0 || len(b) > 5 {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return uint16(n), n <= 0xFFFF
}

// address decodes an address in text form of the announced family. An IPv4-mapped IPv6 address stays
// IPv6 in form.
func address(b []byte, v4 bool) (a Addr, ok bool) {
	if v4 {
		a.V4 = true
		var ip [4]byte
		ip, ok = parseV4(b)
		copy(a.IP[12:], ip[:])
		return a, ok
	}
	a.IP, ok = parseV6(b)
	return a, ok
}

// parseV4 decodes dotted decimal, without leading zeros.
func parseV4(b []byte) (ip [4]byte, ok bool) {
	for i := range ip {
		if i > 0 {
			if len(b) == 0 || b[0] != '.' {
				return ip, false
			}
			b = b[1:]
		}
		n, l := 0, 0
		for l < len(b) && l < 3 && b[l] >= '0' && b[l] <= '9' {
			n = n*10 + int(b[l]-'0')
			l++
		}
		if l == 0 || n > 255 || (l > 1 && b[0] == '0') {
			return ip, false
		}
		ip[i], b = byte(n), b[l:]
	}
	return ip, len(b) == 0
}

// parseV6 decodes the text form of RFC 4291, section 2.2, without zone.
func parseV6(b []byte) (ip [16]byte, ok bool) {
	gap := -1 // where "::" stands
	at := 0
	if len(b) >= 2 && b[0] == ':' && b[1] == ':' {
		gap, b = 0, b[2:]
		if len(b) == 0 {
			return ip, true
		}
	}
	for at < 16 {
		n, l := 0, 0
		for l < len(b) && l < 4 {
			d := hex(b[l])
			if d < 0 {
				break
			}
			n = n<<4 | d
			l++
		}
		if l == 0 {
			return ip, false
		}
		if l < len(b) && b[l] == '.' { // IPv4 in the last 32 bits
			v4, ok := parseV4(b)
			if !ok || at > 12 || (gap < 0 && at != 12) {
				return ip, false
			}
			copy(ip[at:], v4[:])
			at, b = at+4, nil
			break
		}
		ip[at], ip[at+1] = byte(n>>8), byte(n)
		at, b = at+2, b[l:]
		if len(b) == 0 {
			break
		}
		if b[0] != ':' || len(b) == 1 {
			return ip, false
		}
		b = b[1:]
		if b[0] == ':' {
			if gap >= 0 {
				return ip, false
			}
			gap, b = at, b[1:]
			if len(b) == 0 {
				break
			}
		}
	}
	if len(b) > 0 || (at == 16) != (gap < 0) {
		return ip, false
	}
	if gap >= 0 {
		var full [16]byte
		copy(full[:], ip[:gap])
		copy(full[16-(at-gap):], ip[gap:at])
		ip = full
	}
	return ip, true
}

func hex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
