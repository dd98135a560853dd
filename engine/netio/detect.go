package netio

import "time"

const recordHandshake = 0x16 // first byte of a TLS ClientHello

// DetectTLS looks at the first inbound byte: cb(true) if it is a TLS record, cb(false) if it is
// something else or if wait (0 = forever) passed with no byte. The byte is not consumed: after cb,
// which may call StartTLS, it takes the way of all others. cb runs on the loop, at most once, and not
// at all when the connection closes first. Loop only; after ExpectProxy, if both are used.
func (c *Conn) DetectTLS(wait time.Duration, cb func(isTLS bool)) {
	decided := false
	var timer *Timer
	c.intercepts = append(c.intercepts, func(data []byte) ([]byte, bool) {
		if len(data) == 0 {
			return nil, false // a PROXY header came alone
		}
		if !decided {
			decided = true
			if timer != nil {
				timer.Stop()
			}
			cb(data[0] == recordHandshake)
		}
		return data, true
	})
	if wait > 0 {
		timer = c.loop.After(wait, func() {
			if !decided && c.state == stOpen {
				decided = true
				cb(false)
			}
		})
	}
}
