package netio

import (
	"io"
	"testing"
	"time"

	"ramjet/engine"
	"ramjet/proto/base/clock"
)

// lingering closes a connection whose peer has read the end but does not close, and returns both ends.
func lingering(t *testing.T, backend string) (*world, *Conn, io.Writer, *clock.Manual) {
	t.Helper()
	clk := clock.NewManual(time.Unix(1000, 0))
	w := newWorld(t, backend, Config{Loops: 1, Clock: clk})
	h := newHand()
	nc := w.dial(w.listen(h.accept))
	c := wait(t, h.conn, "open")
	w.on(c, func() {
		c.Out().Append(c.Loop().Index(), []byte("bye"))
		c.CloseAfterFlush(ReasonParseError)
	})
	if b, err := io.ReadAll(nc); string(b) != "bye" || err != nil {
		t.Fatalf("got %q, %v", b, err)
	}
	if r := wait(t, h.closed, "close"); r != ReasonParseError {
		t.Errorf("reason %v", r)
	}
	if s := stateOf(w, c); s != stLinger {
		t.Fatalf("state %d before any bound", s)
	}
	return w, c, nc, clk
}

// stateOf reads the state on the loop, after the timers due.
func stateOf(w *world, c *Conn) (s uint8) {
	w.on(c, func() {})
	w.on(c, func() { s = c.state })
	return s
}

// TestLingerTime: a peer that does not close holds the descriptor for lingerTime.
func TestLingerTime(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w, c, _, clk := lingering(t, backend)
		clk.Advance(lingerTime - 2*tick)
		if s := stateOf(w, c); s != stLinger {
			t.Fatalf("state %d before the bound", s)
		}
		clk.Advance(3 * tick)
		if s := stateOf(w, c); s != stClosed {
			t.Errorf("state %d after the bound", s)
		}
		if n := c.Loop().placed.Load(); n != 0 {
			t.Errorf("%d connections on the loop", n)
		}
	})
}

// TestLingerBytes: a peer that goes on sending is read for lingerBytes and then reset, whatever the time.
func TestLingerBytes(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w, c, nc, _ := lingering(t, backend)
		half := make([]byte, lingerBytes/2)
		if _, err := nc.Write(half); err != nil {
			t.Fatal(err)
		}
		read := func() (n int32, s uint8) {
			w.on(c, func() { n, s = c.lingered, c.state })
			return n, s
		}
		limit := time.After(testWait)
		for n, s := read(); n < lingerBytes/2; n, s = read() {
			if s != stLinger {
				t.Fatalf("closed after %d bytes", n)
			}
			select {
			case <-limit:
				t.Fatalf("%d bytes read", n)
			default:
			}
		}
		_, _ = nc.Write(half) // its end may meet the reset
		for n, s := read(); s != stClosed; n, s = read() {
			select {
			case <-limit:
				t.Fatalf("still open after %d bytes", n)
			default:
			}
		}
		if n, _ := read(); n < lingerBytes || n > lingerBytes+defaultReadBuffer {
			t.Errorf("%d bytes read away", n)
		}
		if v := c.Out().Append(engine.NoLoop, []byte("x")); v != engine.Closed {
			t.Errorf("output after the end: %v", v)
		}
	})
}
