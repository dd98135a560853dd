package netio

import (
	"errors"
	"net/netip"
	"time"

	"ramjet/proto/proxyproto"
)

var errProxyTimeout = errors.New("proxy protocol: no header in time")

// ExpectProxy reads an optional PROXY v1/v2 header before anything else (also before TLS). A
// connection whose first bytes are no header goes on without one. An invalid header closes with
// ReasonProtocolViolation, and so does a connection that has not sent enough to decide after timeout
// (0 = none). Output is not held back. Loop only; before DetectTLS and StartTLS.
func (c *Conn) ExpectProxy(timeout time.Duration) {
	p := &proxyPrefix{c: c}
	if timeout > 0 {
		p.timer = c.loop.After(timeout, func() {
			if c.state == stOpen {
				c.closeFor(ReasonProtocolViolation, errProxyTimeout)
			}
		})
	}
	c.intercepts = append(c.intercepts, p.take)
}

// proxyPrefix collects the header. It is not a Stage: nothing of it is left after the first bytes.
type proxyPrefix struct {
	c     *Conn
	timer *Timer
	buf   []byte // undecided bytes, fewer than proxyproto.MaxBuffer
	skip  int    // bytes of extensions still to be dropped
	found bool
}

// take is the interceptor.
func (p *proxyPrefix) take(data []byte) (rest []byte, done bool) {
	if p.found {
		return p.drop(data)
	}
	if len(p.buf) > 0 {
		data = append(p.buf, data...)
		p.buf = nil
	}
	var h proxyproto.Header
	st, n, skip, err := proxyproto.Decode(data, &h)
	switch st {
	case proxyproto.More:
		p.buf = append([]byte(nil), data...)
		return nil, false
	case proxyproto.Invalid:
		p.stop()
		p.c.closeFor(ReasonProtocolViolation, err)
		return nil, true
	case proxyproto.None:
		p.stop()
		return data, true
	}
	p.found, p.skip = true, skip
	if h.Proxied {
		p.c.proxied.Store(&addrPair{remote: netAddr(h.Source), local: netAddr(h.Dest)})
	}
	return p.drop(data[n:])
}

// drop passes over the extensions of a version 2 header.
func (p *proxyPrefix) drop(data []byte) ([]byte, bool) {
	n := min(p.skip, len(data))
	p.skip -= n
	if p.skip > 0 {
		return nil, false
	}
	p.stop()
	return data[n:], true
}

func (p *proxyPrefix) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

func netAddr(a proxyproto.Addr) netip.AddrPort {
	if a.V4 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a.IP[12:])), a.Port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(a.IP).Unmap(), a.Port)
}
