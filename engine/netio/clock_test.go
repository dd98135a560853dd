package netio

import (
	"testing"
	"time"

	"ramjet/proto/base/bufpool"
	"ramjet/proto/base/clock"
)

// TestManualClock: timers, write deadlines and Now follow the configured clock alone.
func TestManualClock(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		clk := clock.NewManual(time.Unix(1000, 0))
		w := newWorld(t, backend, Config{Loops: 1, Clock: clk})
		h := newHand()
		fired := make(chan int64, 1)
		h.timer = func(c *Conn, _ uint8) { fired <- c.Loop().Now() }
		h.open = func(c *Conn) { c.SetTimer(0, time.Hour) }
		w.dial(w.listen(h.accept))
		c := wait(t, h.conn, "open")
		w.on(c, func() {})
		clk.Advance(59 * time.Minute)
		w.on(c, func() {})
		if len(fired) != 0 {
			t.Fatal("fired early")
		}
		w.on(c, func() {})
		clk.Advance(2 * time.Minute)
		w.on(c, func() {})
		if now := wait(t, fired, "timer"); now < time.Unix(1000, 0).Add(time.Hour).UnixNano() {
			t.Errorf("fired at %v", time.Unix(0, now))
		}
		c.Out().SetLimits(0, 0, time.Minute, false)
		fillUp(w, c)
		w.on(c, func() {})
		clk.Advance(59 * time.Second)
		w.on(c, func() {})
		if c.Closed() {
			t.Fatal("deadline passed early")
		}
		clk.Advance(2 * time.Second)
		w.on(c, func() {})
		if r := wait(t, h.closed, "close"); r != ReasonSlowDeadline {
			t.Errorf("reason %v", r)
		}
	})
}

// TestSimulationIsDeterministic: the same script gives the same history of events.
func TestSimulationIsDeterministic(t *testing.T) {
	run := func() (log []string) {
		clk := clock.NewManual(time.Unix(0, 0))
		net := NewMemNet()
		g, err := NewGroup(Config{Backend: "mem", Net: net, Clock: clk, Loops: 3})
		if err != nil {
			t.Fatal(err)
		}
		note := func(c *Conn, s string) {
			log = append(log, clk.Now().Format("05.000")+" "+c.RemoteAddr().String()+" "+s)
		}
		l, err := g.Listen(ListenSpec{Addr: "10.0.0.1:4222"}, func(c *Conn) Handler {
			h := newHand()
			h.open = func(c *Conn) { note(c, "open"); c.SetTimer(0, time.Duration(len(log))*time.Millisecond) }
			h.data = func(c *Conn, b []byte, _ *bufpool.Frame) {
				note(c, "data "+string(b))
				c.Out().Append(c.Loop().Index(), b)
			}
			h.timer = func(c *Conn, _ uint8) { note(c, "timer"); c.CloseAfterFlush(ReasonStale) }
			return h
		})
		if err != nil {
			t.Fatal(err)
		}
		l.Start()
		var cs []*MemConn
		for i := range 10 {
			c, err := net.Dial("10.0.0.1:4222")
			if err != nil {
				t.Fatal(err)
			}
			cs = append(cs, c)
			_, _ = c.TryWrite([]byte{byte('a' + i)})
		}
		for range 40 {
			for g.Step() {
			}
			clk.Advance(time.Millisecond)
		}
		for i, c := range cs {
			b := make([]byte, 10)
			if n, err := c.TryRead(b); n != 1 || b[0] != byte('a'+i) || err != nil {
				t.Errorf("client %d: %q %v", i, b[:n], err)
			}
		}
		return log
	}
	a, b := run(), run()
	if len(a) != 30 {
		t.Errorf("%d events: %q", len(a), a)
	}
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("event %d: %s, then %s", i, a[i], b[i])
		}
	}
}
