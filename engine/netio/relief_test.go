package netio

import (
	"testing"
	"time"

	"ramjet/proto/base/bufpool"
	"ramjet/proto/base/clock"
)

// TestRelief: when those with much waiting hold more memory together than they may, the one with the most is closed as a slow consumer;
// what they share counts once, and who is not bounded by a hard limit is neither counted nor closed.
func TestRelief(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		clk := clock.NewManual(time.Unix(1000, 0))
		w := newWorld(t, backend, Config{Loops: 1, Clock: clk})
		h := newHand()
		addr := w.listen(h.accept)
		open := func(hard int64) *Conn {
			w.dial(addr)
			c := wait(t, h.conn, "open")
			c.Out().SetLimits(0, hard, 0, false)
			fillUp(w, c)
			return c
		}
		const hard = 64 << 20
		a, b, route := open(hard), open(hard), open(0)
		me := a.Loop().Index()
		big := bufpool.Get(1 << 20)
		defer big.Release()
		refer := func(c *Conn, n int) {
			w.on(c, func() {
				for range n {
					c.Out().AppendRef(me, []byte("<"), big, big.B, []byte(">"), 1)
				}
				c.Out().Flush(me)
			})
		}
		copied := func(c *Conn, n int) {
			w.on(c, func() {
				for range n {
					c.Out().Append(me, make([]byte, 1<<20))
					c.Out().Flush(me)
				}
			})
		}
		open0 := func(what string, c *Conn, want bool) {
			t.Helper()
			w.on(route, func() {}) // what was signalled before is done
			if c.Closed() == want {
				t.Errorf("%s: closed %v", what, c.Closed())
			}
		}
		w.on(a, func() { w.g.SetBudget(2 << 20) }) // 8 MiB for all of them
		clk.Advance(reliefEvery)
		refer(a, 20)
		clk.Advance(reliefEvery)
		refer(b, 20)
		open0("one payload for both", a, true)
		open0("one payload for both", b, true)

		clk.Advance(reliefEvery)
		copied(route, 20)
		open0("what waits for a route", a, true)
		open0("a route", route, true)

		clk.Advance(reliefEvery)
		copied(a, 5)
		open0("5 MiB", a, true)
		copied(b, 6)
		open0("looked at a moment ago", b, true)
		clk.Advance(reliefEvery)
		copied(a, 1)
		if r := wait(t, h.closed, "close"); r != ReasonSlowPending {
			t.Errorf("closed for %v", r)
		}
		if a.Closed() == b.Closed() {
			t.Errorf("closed: %v and %v", a.Closed(), b.Closed())
		}
		open0("a route", route, true)
		left := a
		if a.Closed() {
			left = b
		}
		w.on(left, func() {
			if n := w.g.relief.bytes.Load(); n != left.Out().Pending() {
				t.Errorf("%d bytes listed, %d pending", n, left.Out().Pending())
			}
		})
		clk.Advance(reliefEvery)
		left.Abort(ReasonServerShutdown)
		wait(t, h.closed, "close")
		w.on(route, func() {
			if n := w.g.relief.bytes.Load(); n != 0 || len(w.g.relief.listed) != 0 {
				t.Errorf("%d bytes of %d connections are still listed", n, len(w.g.relief.listed))
			}
		})
	})
}
