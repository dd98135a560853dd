package netio

import (
	"io"
	"net"
	"strconv"
	"testing"

	"ramjet/proto/base/bufpool"
	"ramjet/proto/base/invariant"
)

// onLoop runs fn on the connection's loop and waits.
func onLoop(tb testing.TB, c *Conn, fn func()) {
	done := make(chan struct{})
	if !c.Loop().Post(func() { defer close(done); fn() }) {
		tb.Fatal("post refused")
	}
	wait(tb, done, "task on the loop")
}

// sink discards what arrives at the client end.
func sink(nc net.Conn) {
	go func() { _, _ = io.Copy(io.Discard, nc) }()
}

// TestNoAllocations: a message costs no allocation: staged, flushed, written; by copy and by reference.
func TestNoAllocations(t *testing.T) {
	if invariant.On || raceEnabled {
		t.Skip("allocation counts are for the plain build")
	}
	for _, backend := range testBackends() {
		if backend == "mem" {
			continue // the simulated link allocates
		}
		t.Run(backend, func(t *testing.T) {
			w := newWorld(t, backend, Config{Loops: 1})
			h := newHand()
			addr := w.listen(h.accept)
			nc := w.dial(addr)
			sink(nc)
			c := wait(t, h.conn, "open")
			msg := make([]byte, 150)
			frame := bufpool.Get(16 << 10)
			onLoop(t, c, func() {
				me := c.Loop().Index()
				out := c.Out()
				check := func(name string, limit float64, fn func()) {
					for range 100 {
						fn()
					}
					if n := testing.AllocsPerRun(500, fn); n > limit {
						t.Errorf("%s: %v allocations", name, n)
					}
				}
				check("staging", 0, func() { out.End(me, append(out.Begin(me, len(msg)), msg...), 1) })
				check("turn of 10 messages", 0, func() {
					if out.Pending() > 0 {
						return
					}
					for range 10 {
						out.End(me, append(out.Begin(me, len(msg)), msg...), 1)
					}
					w.g.FlushTurn(me)
				})
				check("turn of references", 0, func() {
					if out.Pending() > 0 {
						return // the sink is slow: queueing takes memory
					}
					out.AppendRef(me, msg, frame, frame.B, msg[:2], 1)
					out.AppendRef(me, msg, frame, frame.B, msg[:2], 1)
					w.g.FlushTurn(me)
				})
				check("timer", 0, func() { c.SetTimer(1, 1e9); c.StopTimer(1) })
			})
		})
	}
}

// BenchmarkStage: append one message of 150 bytes to each of n destinations; no system call until a
// destination has 60 KiB (the writes are part of the figure).
func BenchmarkStage(b *testing.B) {
	for _, n := range []int{1, 4, 32} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			w := newWorld(b, "", Config{Loops: 1})
			h := newHand()
			addr := w.listen(h.accept)
			var cs []*Conn
			for range n {
				sink(w.dial(addr))
				cs = append(cs, wait(b, h.conn, "open"))
			}
			msg := make([]byte, 150)
			b.ReportAllocs()
			onLoop(b, cs[0], func() {
				me := cs[0].Loop().Index()
				b.ResetTimer()
				for i := 0; i < b.N; i += n {
					for _, c := range cs {
						o := c.Out()
						o.End(me, append(o.Begin(me, len(msg)), msg...), 1)
						if o.Pending() > 32<<20 { // the sink is slower than we are
							o.Flush(me)
						}
					}
				}
				b.StopTimer()
			})
		})
	}
}

// BenchmarkStageOnly is the staging alone: nothing is written.
func BenchmarkStageOnly(b *testing.B) {
	for _, n := range []int{1, 4, 32} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			g := &Group{producers: []*producer{newProducer(0)}}
			l := &Loop{g: g}
			var cs []*Conn
			for range n {
				c := &Conn{loop: l}
				c.out.c = c
				c.out.key = g.keys.Add(1)
				cs = append(cs, c)
			}
			msg := make([]byte, 150)
			b.ReportAllocs()
			for i := 0; i < b.N; i += n {
				for _, c := range cs {
					o := &c.out
					o.End(0, append(o.Begin(0, len(msg)), msg...), 1)
					if s := g.producers[0].last; len(s.buf) > 50<<10 {
						s.reset()
					}
				}
			}
		})
	}
}

// BenchmarkEcho is one round trip of 16 bytes.
func BenchmarkEcho(b *testing.B) {
	for _, backend := range testBackends() {
		b.Run(backend, func(b *testing.B) {
			w := newWorld(b, backend, Config{Loops: 1})
			h := newHand()
			h.data = echo
			nc := w.dial(w.listen(h.accept))
			buf := make([]byte, 16)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := nc.Write(buf); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(nc, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFanOut: a loop sends bursts of 64 messages of 150 bytes to 4 connections, end to end.
func BenchmarkFanOut(b *testing.B) {
	for _, backend := range testBackends() {
		b.Run(backend, func(b *testing.B) {
			w := newWorld(b, backend, Config{Loops: 2})
			h := newHand()
			addr := w.listen(h.accept)
			var cs []*Conn
			for range 4 {
				sink(w.dial(addr))
				cs = append(cs, wait(b, h.conn, "open"))
			}
			msg := make([]byte, 150)
			l := w.g.Loops()[0]
			b.ReportAllocs()
			for i := 0; i < b.N; i += 256 {
				done := make(chan struct{})
				l.Post(func() {
					for range 64 {
						for _, c := range cs {
							o := c.Out()
							o.End(l.Index(), append(o.Begin(l.Index(), len(msg)), msg...), 1)
						}
					}
					w.g.FlushTurn(l.Index())
					close(done)
				})
				<-done
			}
			b.StopTimer()
		})
	}
}
