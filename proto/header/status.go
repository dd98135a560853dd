package header

import "strconv"

// Status returns the inline status of the version line, "NATS/1.0 <code>[ <description>]"; ok is false if
// block has none: three digits followed by a space or the end of the line.
func Status(block []byte) (code int, description []byte, ok bool) {
	if len(block) < len(Version)+1 || string(block[:len(Version)]) != Version {
		return 0, nil, false
	}
	line := block[len(Version):]
	if i := indexCRLF(line); i >= 0 {
		line = line[:i]
	}
	if len(line) == 0 || line[0] != ' ' {
		return 0, nil, false
	}
	line = trimLeft(line)
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' {
		return 0, nil, false
	}
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return 0, nil, false
		}
		code = code*10 + int(c-'0')
	}
	return code, trimLeft(line[3:]), true
}

// AppendStatusLine appends "NATS/1.0 <code>[ <description>]\r\n"; fields and a final CRLF have to follow.
// code has three digits.
func AppendStatusLine(dst []byte, code int, description string) []byte {
	dst = append(dst, Version+" "...)
	dst = strconv.AppendInt(dst, int64(code), 10)
	if description != "" {
		dst = append(dst, ' ')
		dst = append(dst, description...)
	}
	return append(dst, crlf...)
}

// AppendStatus appends a complete block that consists of a status.
func AppendStatus(dst []byte, code int, description string) []byte {
	return append(AppendStatusLine(dst, code, description), crlf...)
}

// NoRespondersLen is the length of AppendNoResponders without the subject, in bytes.
const NoRespondersLen = len(Version+" 503"+crlf+NatsSubject+": "+crlf) + len(crlf)

// AppendNoResponders appends the block that answers a request to a subject without subscribers.
func AppendNoResponders(dst, subject []byte) []byte {
	dst = AppendStatusLine(dst, 503, "")
	return append(AppendField(dst, NatsSubject, subject), crlf...)
}
