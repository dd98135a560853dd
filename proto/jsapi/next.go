package jsapi

import (
	"encoding/json"
	"strconv"
	"time"
)

// NextRequest is a pull request (reference/jetstream/consumer.md, section 5).
type NextRequest struct {
	Batch         int           `json:"batch,omitempty"`
	MaxBytes      int           `json:"max_bytes,omitempty"`
	Expires       time.Duration `json:"expires,omitempty"`
	NoWait        bool          `json:"no_wait,omitempty"`
	Heartbeat     time.Duration `json:"idle_heartbeat,omitempty"`
	Group         string        `json:"group,omitempty"`
	MinPending    int64         `json:"min_pending,omitempty"`
	MinAckPending int64         `json:"min_ack_pending,omitempty"`
	ID            string        `json:"id,omitempty"`
	Priority      int           `json:"priority,omitempty"`
	Plain         bool          `json:"-"` // the body was empty, a number or no JSON
}

// ParseNext reads the body of a pull request into r. An empty body and any text that is neither a number nor a JSON
// object ask for one message. The error is that of the JSON decoder. Plain numbers and objects of known numeric and
// boolean fields do not allocate.
func ParseNext(body []byte, r *NextRequest) error {
	*r = NextRequest{}
	body = trimSpace(body)
	if len(body) == 0 || body[0] != '{' {
		r.Batch, r.Plain = 1, true
		if n, ok := parseInt(body); ok && n > 0 && n <= 1<<31 {
			r.Batch = int(n)
		}
		return nil
	}
	if parseNextFast(body, r) {
		return nil
	}
	*r = NextRequest{}
	return json.Unmarshal(body, r)
}

// parseNextFast reads the flat objects that clients send; false for whatever it does not understand.
func parseNextFast(b []byte, r *NextRequest) bool {
	s := scanner{b: b, i: 1}
	if s.skip(); s.take('}') {
		return s.end()
	}
	for {
		key, ok := s.str()
		if s.skip(); !ok || !s.take(':') {
			return false
		}
		s.skip()
		switch string(key) {
		case "batch":
			ok = setInt(&s, &r.Batch)
		case "max_bytes":
			ok = setInt(&s, &r.MaxBytes)
		case "expires":
			ok = setInt(&s, &r.Expires)
		case "idle_heartbeat":
			ok = setInt(&s, &r.Heartbeat)
		case "min_pending":
			ok = setInt(&s, &r.MinPending)
		case "min_ack_pending":
			ok = setInt(&s, &r.MinAckPending)
		case "priority":
			ok = setInt(&s, &r.Priority)
		case "no_wait":
			switch {
			case s.lit("true"):
				r.NoWait = true
			case s.lit("false"):
				r.NoWait = false
			default:
				return false
			}
		case "group":
			var v []byte
			if v, ok = s.str(); ok {
				r.Group = string(v)
			}
		case "id":
			var v []byte
			if v, ok = s.str(); ok {
				r.ID = string(v)
			}
		default:
			return false
		}
		if !ok {
			return false
		}
		if s.skip(); s.take('}') {
			return s.end()
		}
		if !s.take(',') {
			return false
		}
		s.skip()
	}
}

func setInt[T ~int | ~int64](s *scanner, v *T) bool {
	from := s.i
	for s.i < len(s.b) && (s.b[s.i] == '-' || s.b[s.i] >= '0' && s.b[s.i] <= '9') {
		s.i++
	}
	n, ok := parseInt(s.b[from:s.i])
	if !ok || (s.b[from] == '0' && s.i-from > 1) || (s.b[from] == '-' && s.b[from+1] == '0') {
		return false
	}
	*v = T(n)
	return true
}

// AppendNext appends the JSON of r, as a source sends it.
func AppendNext(dst []byte, r *NextRequest) []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // numbers and strings
	}
	return append(dst, b...)
}

// scanner reads the simplest JSON.
type scanner struct {
	b []byte
	i int
}

func (s *scanner) skip() {
	for s.i < len(s.b) && isSpace(s.b[s.i]) {
		s.i++
	}
}

func (s *scanner) take(c byte) bool {
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) lit(w string) bool {
	if len(s.b)-s.i >= len(w) && string(s.b[s.i:s.i+len(w)]) == w {
		s.i += len(w)
		return true
	}
	return false
}

func (s *scanner) end() bool { s.skip(); return s.i == len(s.b) }

// str reads a string without escapes and non-ASCII bytes.
func (s *scanner) str() ([]byte, bool) {
	if !s.take('"') {
		return nil, false
	}
	from := s.i
	for ; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return s.b[from : s.i-1], true
		case c == '\\' || c < 0x20 || c >= 0x7f:
			return nil, false
		}
	}
	return nil, false
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func trimSpace(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// parseInt reads a decimal number with an optional minus; false for anything else and on overflow.
func parseInt(b []byte) (int64, bool) {
	neg := len(b) > 0 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	u, ok := ParseUint(b)
	switch {
	case !ok || u > 1<<63 || (u == 1<<63 && !neg):
		return 0, false
	case neg:
		return -int64(u), true
	}
	return int64(u), true
}

// ParseUint reads a decimal number; false for anything else and on overflow.
func ParseUint(b []byte) (uint64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	var n uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		d := uint64(c - '0')
		if n > (1<<64-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}

func appendUint(dst []byte, sep byte, n uint64) []byte {
	return strconv.AppendUint(append(dst, sep), n, 10)
}
