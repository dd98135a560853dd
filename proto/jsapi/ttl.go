package jsapi

import (
	"strings"
	"time"
)

// maxTTL keeps deadlines inside 64 bits of nanoseconds: 190 years.
const maxTTL = 6_000_000_000

// ParseTTL reads the value of Nats-TTL: seconds, -1 for never; false if it is invalid (reference/jetstream/stream.md, section 3).
func ParseTTL(v []byte) (int64, bool) {
	if len(v) == 0 {
		return 0, true
	}
	if strings.EqualFold(string(v), "never") {
		return -1, true
	}
	if n, ok := ParseUint(v); ok {
		return int64(min(n, maxTTL)), n > 0
	}
	d, err := time.ParseDuration(string(v))
	if err != nil || d < time.Second {
		return 0, false
	}
	return int64(d / time.Second), true
}
