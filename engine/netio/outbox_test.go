package netio

import (
	"bytes"
	"errors"
	"io"
	"math/rand"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ramjet/engine"
	"ramjet/proto/base/bufpool"
	"ramjet/proto/base/clock"
)

// TestSlowReader: a reader that waits makes the outbox queue, OverSoft is said, and everything arrives
// in order once it reads; OnDrain follows.
func TestSlowReader(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		h := newHand()
		drained := make(chan int64, 100)
		h.drain = func(c *Conn) { drained <- c.Out().Pending() }
		nc := w.dial(w.listen(h.accept))
		c := wait(t, h.conn, "open")
		const soft = 1 << 20
		c.Out().SetLimits(soft, 0, 0, false)
		block := pattern(100_000, 3)
		var soft1 int
		w.on(c, func() {
			for range 300 {
				b := append(c.Out().Begin(c.Loop().Index(), len(block)), block...)
				if c.Out().End(c.Loop().Index(), b, 1) == engine.OverSoft {
					soft1++
				}
			}
		})
		if soft1 == 0 || !c.Out().Slow() || c.Out().Pending() <= soft {
			t.Fatalf("over soft %d, pending %d", soft1, c.Out().Pending())
		}
		for i := range 300 {
			got := make([]byte, len(block))
			if _, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, block) {
				t.Fatalf("block %d: %v", i, err)
			}
		}
		for p := wait(t, drained, "drain"); p > soft; p = wait(t, drained, "drain") {
			t.Errorf("drained with %d pending", p)
		}
		w.on(c, func() {})
		if n := c.Out().Pending(); n != 0 {
			t.Errorf("pending %d", n)
		}
		if m, b := c.Out().Stats(); m != 300 || b != 300*int64(len(block)) {
			t.Errorf("stats %d %d", m, b)
		}
	})
}

// TestReferencesReleased: payloads by reference arrive between copied bytes, and every reference is
// given back, whether the destination takes them at once, late, or dies.
func TestReferencesReleased(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		for _, dies := range []bool{false, true} {
			w := newWorld(t, backend, Config{})
			h := newHand()
			nc := w.dial(w.listen(h.accept))
			c := wait(t, h.conn, "open")
			var frames []*bufpool.Frame
			var want bytes.Buffer
			w.on(c, func() {
				me := c.Loop().Index()
				for i := range 200 {
					n := 1000 + 97*i
					if i%10 == 0 {
						n += 100_000
					}
					f := bufpool.Get(n)
					copy(f.B, pattern(n, int64(i)))
					frames = append(frames, f)
					c.Out().AppendRef(me, []byte("head "), f, f.B[10:], []byte(" tail"), 1)
					want.WriteString("head ")
					want.Write(f.B[10:])
					want.WriteString(" tail")
					if i%3 == 0 {
						c.Out().Append(me, []byte("+OK"))
						want.WriteString("+OK")
					}
				}
			})
			if dies {
				c.Abort(ReasonKicked)
				if r := wait(t, h.closed, "close"); r != ReasonKicked {
					t.Errorf("reason %v", r)
				}
			} else {
				got := make([]byte, want.Len())
				if _, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, want.Bytes()) {
					t.Fatalf("bytes differ, %v", err)
				}
			}
			w.stop()
			for i, f := range frames {
				if f.Shared() {
					t.Fatalf("dies %v: frame %d is still referenced", dies, i)
				}
				f.Release()
			}
		}
	})
}

// TestReferencesOfATurnTogether: payloads by reference wait for the end of the turn, as many as one read brings; at
// flushRefs they leave at once.
func TestReferencesOfATurnTogether(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		h := newHand()
		nc := w.dial(w.listen(h.accept))
		c := wait(t, h.conn, "open")
		const size, all = 16 << 10, flushRefs/(16<<10) + 1
		if all*size < defaultReadBuffer {
			t.Fatal("a read brings more than a turn keeps")
		}
		f := bufpool.Get(size)
		defer f.Release()
		copy(f.B, pattern(size, 5))
		left := func() int64 { n, _ := c.Out().Stats(); return n }
		w.on(c, func() {
			for i := range all {
				if left() != 0 && i < all-1 {
					t.Errorf("left the staging after %d messages", i)
				}
				c.Out().AppendRef(c.Loop().Index(), []byte("<"), f, f.B, []byte(">"), 1)
			}
			if n := left(); n != all-1 {
				t.Errorf("%d of %d messages left the staging", n, all)
			}
		})
		got := make([]byte, size+2)
		for i := range all {
			if _, err := io.ReadFull(nc, got); err != nil || got[0] != '<' || got[size+1] != '>' || !bytes.Equal(got[1:size+1], f.B) {
				t.Fatalf("message %d: %v", i, err)
			}
		}
	})
}

func TestHardLimit(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		h := newHand()
		w.dial(w.listen(h.accept))
		c := wait(t, h.conn, "open")
		const hard = 24 << 20 // beyond what the kernel buffers
		c.Out().SetLimits(0, hard, 0, false)
		block := make([]byte, 1<<20)
		var last engine.Verdict
		w.on(c, func() {
			for range 200 {
				b := append(c.Out().Begin(c.Loop().Index(), len(block)), block...)
				if last = c.Out().End(c.Loop().Index(), b, 1); last != engine.OK {
					return
				}
				if n := c.Out().Pending(); n > hard {
					t.Errorf("pending %d over the limit", n)
				}
			}
		})
		if last != engine.OverHard {
			t.Errorf("verdict %v", last)
		}
		if r := wait(t, h.closed, "close"); r != ReasonSlowPending {
			t.Errorf("reason %v", r)
		}
	})
}

// fillUp blocks the outbox.
func fillUp(w *world, c *Conn) {
	w.on(c, func() {
		for c.Out().Pending() == 0 {
			c.Out().Append(c.Loop().Index(), make([]byte, 256<<10))
		}
	})
}

func TestWriteDeadline(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		h := newHand()
		w.dial(w.listen(h.accept))
		c := wait(t, h.conn, "open")
		c.Out().SetLimits(0, 0, 30*time.Millisecond, true) // nothing moves: closes in spite of retry
		fillUp(w, c)
		if r := wait(t, h.closed, "close"); r != ReasonSlowDeadline {
			t.Errorf("reason %v", r)
		}
	})
}

// TestWriteDeadlineRetry: with retry a reader that takes some bytes within each deadline survives.
func TestWriteDeadlineRetry(t *testing.T) {
	for _, retry := range []bool{true, false} {
		const deadline = 100 * time.Millisecond
		clk := clock.NewManual(time.Unix(1000, 0))
		w := newWorld(t, "mem", Config{Clock: clk})
		h := newHand()
		nc := w.dial(w.listen(h.accept))
		c := wait(t, h.conn, "open")
		c.Out().SetLimits(0, 0, deadline, retry)
		w.on(c, func() {
			for range 64 { // 8 MiB: far more than the reader below takes within a deadline
				c.Out().Append(c.Loop().Index(), make([]byte, 128<<10))
			}
		})
		// the reader takes 8 KiB between two looks at the clock
		buf := make([]byte, 8<<10)
		for range 10 {
			if _, err := io.ReadFull(nc, buf); err != nil {
				break
			}
			w.on(c, func() {}) // what was read makes room, which is written
			clk.Advance(deadline / 2)
			w.on(c, func() {})
			w.on(c, func() {}) // timers are due at the end of a turn
		}
		if retry {
			if c.Closed() {
				t.Errorf("retry: closed with %v", wait(t, h.closed, "close"))
			}
			continue
		}
		if r := wait(t, h.closed, "close"); r != ReasonSlowDeadline {
			t.Errorf("close: reason %v", r)
		}
	}
}

// TestOrderAcrossLoops: publishers on all loops and outside append to one connection; each one's
// messages arrive in its order and whole.
func TestOrderAcrossLoops(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{Loops: 3, Producers: 1})
		h := newHand()
		nc := w.dial(w.listen(h.accept))
		c := wait(t, h.conn, "open")
		c.Out().SetLimits(0, 0, 0, false)
		const n = 3000
		send := func(from engine.LoopID, who byte) {
			for i := range n {
				b := c.Out().Begin(from, 1000)
				b = append(b, who, byte(i>>8), byte(i))
				b = append(b, make([]byte, (i%7)*90)...)
				b = append(b, '\n')
				c.Out().End(from, b, 1)
				if from == engine.NoLoop {
					c.Out().Flush(from)
				} else if i%50 == 0 {
					w.g.FlushTurn(from)
				}
			}
			if from != engine.NoLoop {
				w.g.FlushTurn(from)
			}
		}
		for _, l := range w.g.Loops() {
			l.Post(func() { send(l.Index(), byte('a'+l.Index())) })
		}
		var wg sync.WaitGroup
		wg.Add(2)
		go func() { defer wg.Done(); send(3, 'd') }()             // a shard
		go func() { defer wg.Done(); send(engine.NoLoop, 'e') }() // anybody
		next := map[byte]int{}
		for range 5 * n {
			var head [3]byte
			if _, err := io.ReadFull(nc, head[:]); err != nil {
				t.Fatal(err)
			}
			i := int(head[1])<<8 | int(head[2])
			if next[head[0]] != i {
				t.Fatalf("publisher %c: message %d, want %d", head[0], i, next[head[0]])
			}
			next[head[0]]++
			rest := make([]byte, (i%7)*90+1)
			if _, err := io.ReadFull(nc, rest); err != nil || rest[len(rest)-1] != '\n' {
				t.Fatalf("publisher %c: message %d torn, %v", head[0], i, err)
			}
		}
		wg.Wait()
		w.on(c, func() {})
		if m, _ := c.Out().Stats(); m != 5*n {
			t.Errorf("stats: %d messages", m)
		}
	})
}

// TestAbortFromAnywhere: Abort races with writers on other loops and with the peer's close; OnClose
// comes once.
func TestAbortFromAnywhere(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{Loops: 2})
		for range 30 {
			h := newHand()
			nc := w.dial(w.listen(h.accept))
			c := wait(t, h.conn, "open")
			var stop atomic.Bool
			var wg sync.WaitGroup
			for i := range 4 {
				wg.Add(1)
				go func() {
					defer wg.Done()
					if i == 3 {
						_ = nc.Close()
						return
					}
					for !stop.Load() {
						c.Out().Append(engine.NoLoop, make([]byte, 1000))
						c.Out().Flush(engine.NoLoop)
						if i == 0 {
							c.Abort(ReasonKicked)
						}
					}
				}()
			}
			other := w.g.Loops()[1-int(c.Loop().Index())]
			other.Post(func() {
				for range 100 {
					c.Out().Append(other.Index(), make([]byte, 3000))
					c.Out().Flush(other.Index())
				}
			})
			wait(t, h.closed, "close")
			stop.Store(true)
			wg.Wait()
			w.on(c, func() {}) // a second OnClose would have come by now
			if n := h.closes.Load(); n != 1 {
				t.Fatalf("OnClose %d times", n)
			}
			if v := c.Out().Append(engine.NoLoop, []byte("x")); v != engine.Closed {
				t.Errorf("verdict %v", v)
			}
		}
	})
}

// TestCloseAfterFlushWhileBlocked: a queue of megabytes leaves before the close.
func TestCloseAfterFlushWhileBlocked(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{Clock: clock.NewManual(time.Unix(1000, 0))}) // no bound passes, however slow the machine
		h := newHand()
		nc := w.dial(w.listen(h.accept))
		c := wait(t, h.conn, "open")
		want := pattern(20<<20, 4)
		w.on(c, func() {
			c.Out().Append(c.Loop().Index(), want)
			c.CloseAfterFlush(ReasonAuthExpired)
		})
		got, err := io.ReadAll(nc)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d of %d bytes, %v", len(got), len(want), err)
		}
		if r := wait(t, h.closed, "close"); r != ReasonAuthExpired {
			t.Errorf("reason %v", r)
		}
	})
}

// TestCloseAfterFlushBounded: nobody reads, the write deadline ends the close.
func TestCloseAfterFlushBounded(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		h := newHand()
		w.dial(w.listen(h.accept))
		c := wait(t, h.conn, "open")
		c.Out().SetLimits(0, 0, 20*time.Millisecond, false)
		w.on(c, func() {
			c.Out().Append(c.Loop().Index(), make([]byte, 32<<20))
			c.CloseAfterFlush(ReasonAuthExpired)
		})
		if r := wait(t, h.closed, "close"); r != ReasonAuthExpired {
			t.Errorf("reason %v", r)
		}
	})
}

// TestStagingTable: many destinations in one turn, flushed in order of first touch.
func TestStagingTable(t *testing.T) {
	p := newProducer(0)
	boxes := make([]*Outbox, 1000)
	for i := range boxes {
		boxes[i] = &Outbox{key: uint64(i + 1)}
	}
	rnd := rand.New(rand.NewSource(1))
	want := map[*Outbox]*staged{}
	var order []*Outbox
	for range 20_000 {
		o := boxes[rnd.Intn(len(boxes))]
		s := p.get(o)
		if old, ok := want[o]; ok && old != s {
			t.Fatal("two stagings for one destination")
		} else if !ok {
			want[o] = s
			order = append(order, o)
		}
		if s.o != o || p.find(o) != s {
			t.Fatal("wrong destination")
		}
	}
	for i, s := range p.dirty {
		if s.o != order[i] {
			t.Fatal("not in order of first touch")
		}
	}
	p.flush() // nothing staged: only forgets
	for _, s := range p.table {
		if s != nil {
			t.Fatal("table not empty after flush")
		}
	}
	if len(p.idle) != len(want) {
		t.Errorf("%d idle, want %d", len(p.idle), len(want))
	}
}

func TestEndAfterReallocation(t *testing.T) {
	w := newWorld(t, "mem", Config{})
	h := newHand()
	nc := w.dial(w.listen(h.accept))
	c := wait(t, h.conn, "open")
	long := strings.Repeat("x", 50_000)
	w.on(c, func() {
		me := c.Loop().Index()
		b := c.Out().Begin(me, 10)
		b = append(b, long...) // far more than announced
		c.Out().End(me, b, 1)
		c.Out().Append(me, []byte("end"))
	})
	got := make([]byte, len(long)+3)
	if _, err := io.ReadFull(nc, got); err != nil || string(got) != long+"end" {
		t.Fatalf("bytes differ, %v", err)
	}
}

// TestOutboxScript: random appends of all kinds by one loop, by copy and by reference, flushed at random
// moments, against a reader of random pace; the stream is exactly what was appended.
func TestOutboxScript(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{Loops: 2})
		seed := time.Now().UnixNano()
		t.Logf("seed %d", seed)
		rnd := rand.New(rand.NewSource(seed))
		for round := range 4 {
			h := newHand()
			nc := w.dial(w.listen(h.accept))
			c := wait(t, h.conn, "open")
			if round%2 == 1 {
				w.on(c, func() { c.Push(&xorStage{}) })
			}
			me := w.g.Loops()[round/2] // owner or foreign
			var want bytes.Buffer
			done := make(chan struct{})
			source := pattern(1<<20, seed)
			ops := 400
			if raceEnabled {
				ops = 60 // each byte costs a hundred times as much
			}
			var step func()
			step = func() {
				for range 1 + rnd.Intn(8) {
					piece := source[rnd.Intn(len(source)/2):]
					piece = piece[:rnd.Intn([]int{20, 500, 10_000, 200_000}[rnd.Intn(4)])]
					switch rnd.Intn(3) {
					case 0:
						c.Out().Append(me.Index(), piece)
						want.Write(piece)
					case 1:
						b := c.Out().Begin(me.Index(), len(piece)/2+1) // half of what is needed
						c.Out().End(me.Index(), append(b, piece...), 1)
						want.Write(piece)
					case 2:
						f := bufpool.Get(len(piece) + 5)
						copy(f.B, piece)
						c.Out().AppendRef(me.Index(), []byte("<<"), f, f.B[:len(piece)], []byte(">>"), 1)
						f.Release()
						want.WriteString("<<")
						want.Write(piece)
						want.WriteString(">>")
					}
					if rnd.Intn(10) == 0 {
						c.Out().Flush(me.Index())
					}
				}
				if ops--; ops == 0 {
					close(done)
					return
				}
				me.PostFrom(me.Index(), step)
			}
			me.Post(step)
			var got bytes.Buffer
			buf := make([]byte, 300_000)
			pace := rand.New(rand.NewSource(seed + 1))
			read := func(n int, patience time.Duration) {
				_ = nc.SetDeadline(time.Now().Add(patience)) // from here: the whole script takes long under the race detector
				k, err := nc.Read(buf[:n])
				got.Write(buf[:k])
				if err != nil && (patience == testWait || !errors.Is(err, os.ErrDeadlineExceeded)) {
					t.Fatal(err)
				}
			}
			read(1, testWait)
			for running := true; running; {
				select {
				case <-done:
					running = false
				default:
					// What is pending may have arrived already, and it may have been the last.
					if pending := c.Out().Pending(); pending > 1<<20 || pending > 0 && pace.Intn(4) > 0 {
						read(1+pace.Intn(len(buf)), 10*time.Millisecond)
					}
				}
			}
			for got.Len() < want.Len() {
				read(len(buf), testWait)
			}
			out := got.Bytes()
			if round%2 == 1 {
				for i := range out {
					out[i] ^= 0x5A
				}
			}
			if !bytes.Equal(out, want.Bytes()) {
				t.Fatalf("seed %d round %d: %d bytes, want %d", seed, round, len(out), want.Len())
			}
		}
	})
}

// xorStage changes every byte and no length.
type xorStage struct{}

func (*xorStage) Open(in []byte, emit func([]byte) error) error { return emit(in) }

func (*xorStage) Seal(dst, plain []byte) ([]byte, error) {
	for _, b := range plain {
		dst = append(dst, b^0x5A)
	}
	return dst, nil
}

func (*xorStage) Finish(dst []byte, _ Reason) []byte { return dst }

// TestBacklog: what waits for full sockets is counted, and over the budget soft limits are smaller; nothing of it is left when the
// sockets are read again or closed.
func TestBacklog(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{Loops: 1, Clock: clock.NewManual(time.Unix(1000, 0))})
		h := newHand()
		addr := w.listen(h.accept)
		na := w.dial(addr)
		a := wait(t, h.conn, "open")
		w.dial(addr)
		b := wait(t, h.conn, "open")
		fillUp(w, a)
		fillUp(w, b)
		w.on(a, func() {
			if n, want := w.g.Backlog(), a.Out().Pending()+b.Out().Pending(); n != want {
				t.Errorf("backlog %d, want %d", n, want)
			}
			a.Out().Append(a.Loop().Index(), make([]byte, pressedSoft))
			a.Out().Flush(a.Loop().Index())
			if n, want := w.g.Backlog(), a.Out().Pending()+b.Out().Pending(); n != want {
				t.Errorf("backlog %d after more output, want %d", n, want)
			}
			a.Out().SetLimits(16*pressedSoft, 0, 0, false)
			b.Out().SetLimits(16*pressedSoft, 0, 0, false)
			if w.g.Pressed() || a.Out().Slow() {
				t.Error("there is no budget yet")
			}
			w.g.SetBudget(a.Out().Pending())
			if !w.g.Pressed() || !a.Out().Slow() || b.Out().Slow() {
				t.Errorf("over the budget: pressed %v, slow %v and %v", w.g.Pressed(), a.Out().Slow(), b.Out().Slow())
			}
		})
		b.Abort(ReasonServerShutdown)
		wait(t, h.closed, "close")
		w.on(a, func() {
			if w.g.Pressed() || a.Out().Slow() {
				t.Error("still pressed after a close")
			}
		})
		w.on(a, func() { w.g.SetBudget(1) })
		drained := make(chan struct{}, 1)
		w.on(a, func() {
			h.drain = func(*Conn) {
				select {
				case drained <- struct{}{}:
				default:
				}
			}
		})
		go func() { _, _ = io.Copy(io.Discard, na) }()
		for {
			wait(t, drained, "drain")
			left := int64(1)
			w.on(a, func() { left = a.Out().Pending() })
			if left == 0 {
				break
			}
		}
		if n := w.g.Backlog(); n != 0 {
			t.Errorf("backlog %d of nothing", n)
		}
	})
}

// TestMemoryOfSlowDestination: what waits for a full socket costs about its bytes: payloads by reference cost their reference, the heads
// between them little, and copied output is in chunks that grow with it.
func TestMemoryOfSlowDestination(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		h := newHand()
		w.dial(w.listen(h.accept))
		c := wait(t, h.conn, "open")
		fillUp(w, c)
		o := c.Out()
		me := c.Loop().Index()
		copied := func() (n int) {
			o.mu.Lock()
			defer o.mu.Unlock()
			for s := o.q.head; s != nil; s = s.next {
				if s.grow {
					n += cap(s.b)
				}
			}
			return n
		}
		f := bufpool.Get(60_000)
		defer f.Release()
		w.on(c, func() {
			before := copied()
			const refs = 64
			for range refs {
				o.AppendRef(me, []byte("MSG some.subject 1 60000\r\n"), f, f.B, []byte("\r\n"), 1)
			}
			o.Flush(me)
			if n := copied() - before; n > refs*headChunk+2*chunkSize {
				t.Errorf("%d bytes for the heads of %d payloads", n, refs)
			}
			before = copied()
			for range 64 {
				o.Append(me, make([]byte, 4<<10))
				o.Flush(me)
			}
			if n := copied() - before; n < 64*(4<<10) || n > 64*(4<<10)+chunkSize {
				t.Errorf("%d bytes for 256 KiB", n)
			}
		})
	})
}
