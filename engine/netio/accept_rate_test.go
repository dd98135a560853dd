package netio

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// TestAcceptRate: an address may connect at its rate and a burst at once; others, and its own later, are not affected.
func TestAcceptRate(t *testing.T) {
	const rate = 100
	r := newAcceptRate(rate)
	now := int64(1e9)
	count := func(a string, tries int) (n int) {
		for range tries {
			if r.allow(netip.MustParseAddr(a), now) {
				n++
			}
		}
		return n
	}
	if n := count("10.0.0.1", 5000); n != rate*rateBurst {
		t.Errorf("%d at once, want %d", n, rate*rateBurst)
	}
	if n := count("10.0.0.2", 1); n != 1 {
		t.Error("another address is refused")
	}
	now += 5e8
	if n := count("10.0.0.1", 5000); n != rate/2 {
		t.Errorf("%d after half a second, want %d", n, rate/2)
	}
	if r.refused != 5000-rate*rateBurst+5000-rate/2 || r.last != netip.MustParseAddr("10.0.0.1") {
		t.Errorf("%d refused, the last from %v", r.refused, r.last)
	}
	now += 60e9
	if n := count("10.0.0.1", 5000); n != rate*rateBurst {
		t.Errorf("%d after a minute", n)
	}
	if n := count("2001:db8::1", 600) + count("2001:db8::2:2", 600) + count("2001:db8:0:1::1", 600); n != rate*rateBurst+600 {
		t.Errorf("%d of two networks", n)
	}
}

// TestAcceptRateBounded: what is remembered is bounded; addresses beyond it are let in, and idle ones are forgotten.
func TestAcceptRateBounded(t *testing.T) {
	r := newAcceptRate(1)
	now := int64(1e9)
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	for i := range rateAddrs + 1000 {
		if !r.allow(addr(i), now) {
			t.Fatalf("address %d is refused", i)
		}
	}
	if len(r.full) != rateAddrs {
		t.Errorf("%d addresses", len(r.full))
	}
	now += 2e9
	r.allow(addr(1<<20), now)
	if len(r.full) != 1 {
		t.Errorf("%d addresses after all were idle", len(r.full))
	}
}

// TestListenerRate: what an address connects beyond the rate is closed without a byte; the others are served.
func TestListenerRate(t *testing.T) {
	for _, backend := range stageBackends() {
		w := newWorld(t, backend, Config{})
		h := newHand()
		l, err := w.g.Listen(ListenSpec{Name: "limited", Addr: "127.0.0.1:0", Rate: 1}, h.accept)
		if err != nil {
			t.Fatal(err)
		}
		l.Start()
		var conns []net.Conn
		for range 5 * rateBurst {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			conns = append(conns, c)
		}
		closed := 0
		for _, c := range conns {
			_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			if _, err := io.ReadAll(c); !isTimeoutErr(err) {
				closed++
			}
		}
		if open := len(conns) - closed; closed == 0 || open < rateBurst {
			t.Errorf("%s: %d served, %d closed", backend, open, closed)
		}
	}
}

func isTimeoutErr(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}
