package netio

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"ramjet/engine"
	"ramjet/proto/base/bufpool"
	"ramjet/proto/base/invariant"
)

// TestPauseRead: while paused nothing is read and the sender is held back by its full buffers; nested
// pauses count; nothing is lost.
func TestPauseRead(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		h := newHand()
		var got bytes.Buffer
		first := make(chan struct{}, 1)
		h.data = func(c *Conn, b []byte, _ *bufpool.Frame) {
			got.Write(b)
			if len(first) == 0 && got.Len() == len(b) {
				c.PauseRead()
				c.PauseRead()
				first <- struct{}{}
			}
		}
		nc := w.dial(w.listen(h.accept))
		want := pattern(16<<20, 5) // more than the buffers of a socket hold
		sent := make(chan error, 1)
		_ = nc.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		n, err := nc.Write(want)
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() {
			t.Fatalf("sender was not held back: %d bytes, %v", n, err)
		}
		c := wait(t, h.conn, "open")
		var before int
		w.on(c, func() { before = got.Len(); c.ResumeRead() })
		w.on(c, func() {
			if got.Len() != before {
				t.Error("read after the first of two resumes")
			}
			c.ResumeRead()
		})
		_ = nc.SetDeadline(time.Now().Add(testWait))
		go func() {
			_, err := nc.Write(want[n:])
			_ = nc.Close()
			sent <- err
		}()
		if err := wait(t, sent, "rest sent"); err != nil {
			t.Fatal(err)
		}
		wait(t, h.closed, "close")
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("got %d bytes, want %d", got.Len(), len(want))
		}
	})
}

// TestClosedWhilePaused: the peer sends and goes while reading is paused; the loop does not spin, and
// after ResumeRead everything is delivered.
func TestClosedWhilePaused(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		turns := 0
		w := newWorld(t, backend, Config{Loops: 1, TurnEnd: func(*Loop) { turns++ }})
		h := newHand()
		var got bytes.Buffer
		h.open = func(c *Conn) { c.PauseRead() }
		h.data = func(_ *Conn, b []byte, _ *bufpool.Frame) { got.Write(b) }
		nc, err := w.g.Pipe(h.accept) // AF_UNIX reports the hang-up although nothing is read
		if err != nil {
			t.Fatal(err)
		}
		c := wait(t, h.conn, "open")
		if _, err := nc.Write([]byte("before the end")); err != nil {
			t.Fatal(err)
		}
		_ = nc.Close()
		before, later := 0, make(chan int, 1)
		w.on(c, func() {
			before = turns
			c.Loop().After(30*time.Millisecond, func() { later <- turns })
		})
		if n := wait(t, later, "timer") - before; n > 100 {
			t.Errorf("%d turns while nothing happened", n)
		}
		if len(h.closed) > 0 {
			t.Fatal("closed while paused, input lost")
		}
		w.on(c, func() { c.ResumeRead() })
		if r := wait(t, h.closed, "close"); r != ReasonClientClosed {
			t.Errorf("reason %v", r)
		}
		if got.String() != "before the end" {
			t.Errorf("got %q", got.String())
		}
	})
}

// TestReset: a cut link is a read error.
func TestReset(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		h := newHand()
		nc := w.dial(w.listen(h.accept))
		wait(t, h.conn, "open")
		switch c := nc.(type) {
		case *net.TCPConn:
			_ = c.SetLinger(0)
			_ = c.Close()
		case *MemConn:
			c.Cut()
		}
		if r := wait(t, h.closed, "close"); r != ReasonReadError {
			t.Errorf("reason %v", r)
		}
	})
}

func TestTimers(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		h := newHand()
		fired := make(chan uint8, 10)
		h.timer = func(c *Conn, id uint8) { fired <- id }
		h.open = func(c *Conn) {
			c.SetTimer(0, 40*time.Millisecond)
			c.SetTimer(1, 5*time.Millisecond)
			c.SetTimer(2, time.Hour)
			c.SetTimer(2, 20*time.Millisecond) // re-armed
			c.SetTimer(3, 10*time.Millisecond)
			c.StopTimer(3)
		}
		w.dial(w.listen(h.accept))
		for _, want := range []uint8{1, 2, 0} {
			if id := wait(t, fired, "timer"); id != want {
				t.Errorf("timer %d, want %d", id, want)
			}
		}
		c := <-h.conn
		after := make(chan int64, 2)
		w.on(c, func() {
			l := c.Loop()
			start := l.Now()
			l.After(3*time.Millisecond, func() { after <- l.Now() - start })
			l.After(time.Millisecond, func() { t.Error("stopped timer fired") }).Stop()
		})
		if d := wait(t, after, "After"); d < int64(3*time.Millisecond) {
			t.Errorf("fired after %d ns", d)
		}
		w.on(c, func() { c.SetTimer(0, time.Millisecond); c.Abort(ReasonKicked) })
		wait(t, h.closed, "close")
		w.on(c, func() {})
		if len(fired) != 0 {
			t.Error("timer of a closed connection fired")
		}
	})
}

// TestPanicContained: a panic closes its connection; the loop and the others go on.
func TestPanicContained(t *testing.T) {
	if invariant.On {
		t.Skip("invariant builds let panics through")
	}
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{Loops: 1})
		bad, good := newHand(), newHand()
		bad.data = func(*Conn, []byte, *bufpool.Frame) { panic("boom in OnData") }
		good.data = echo
		gc := w.dial(w.listen(good.accept))
		bc := w.dial(w.listen(bad.accept))
		wait(t, bad.conn, "open")
		_, _ = bc.Write([]byte("x"))
		wait(t, bad.closed, "close of the bad one")
		w.g.Loops()[0].Post(func() { panic("boom in a task") })
		fired := make(chan struct{})
		w.g.Loops()[0].Post(func() { w.g.Loops()[0].After(0, func() { close(fired); panic("boom in a timer") }) })
		_, _ = gc.Write([]byte("still here"))
		got := make([]byte, 10)
		if _, err := io.ReadFull(gc, got); err != nil || string(got) != "still here" {
			t.Fatalf("%q %v", got, err)
		}
		wait(t, fired, "timer")
		w.stop()
		if !w.log.has("boom in OnData") || !w.log.has("boom in a task") || !w.log.has("boom in a timer") {
			t.Errorf("log: %q", w.log.lines)
		}
		if n := w.g.Panics(); n != 3 {
			t.Errorf("%d panics counted", n)
		}
		if good.closes.Load() != 1 || bad.closes.Load() != 1 {
			t.Errorf("OnClose %d, %d times", good.closes.Load(), bad.closes.Load())
		}
	})
}

// TestRefuseConnection: AcceptFunc returns nil.
func TestRefuseConnection(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		nc := w.dial(w.listen(func(*Conn) Handler { return nil }))
		if n, err := nc.Read(make([]byte, 1)); err == nil {
			t.Errorf("read %d", n)
		}
	})
}

func TestPipe(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		h := newHand()
		h.data = echo
		nc, err := w.g.Pipe(h.accept)
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.SetDeadline(time.Now().Add(testWait))
		if c := wait(t, h.conn, "open"); !c.InProcess() {
			t.Error("not in process")
		}
		want := pattern(1<<20, 6)
		go func() { _, _ = nc.Write(want) }()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("echo differs, %v", err)
		}
		_ = nc.Close()
		if r := wait(t, h.closed, "close"); r != ReasonClientClosed {
			t.Errorf("reason %v", r)
		}
	})
}

func TestDial(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		srv, cli := newHand(), newHand()
		srv.data = echo
		got := make(chan string, 1)
		var in bytes.Buffer
		cli.open = func(c *Conn) { c.Out().Append(c.Loop().Index(), []byte("hello")) }
		cli.data = func(c *Conn, b []byte, _ *bufpool.Frame) {
			if in.Write(b); in.Len() == 5 {
				got <- in.String()
			}
		}
		addr := w.listen(srv.accept)
		w.g.Dial(DialSpec{Addr: addr}, cli.accept, func(err error) { t.Error(err) })
		if s := wait(t, got, "answer"); s != "hello" {
			t.Errorf("got %q", s)
		}
		c := <-cli.conn
		if c.RemoteAddr().String() != addr || !c.LocalAddr().IsValid() {
			t.Errorf("addresses %v %v", c.LocalAddr(), c.RemoteAddr())
		}

		closed, err := w.g.Listen(ListenSpec{Addr: "127.0.0.1:0"}, srv.accept)
		if err != nil {
			t.Fatal(err)
		}
		_ = closed.Close()
		failed := make(chan error, 1)
		w.g.Dial(DialSpec{Addr: closed.Addr().String(), Timeout: time.Second},
			func(*Conn) Handler { t.Error("connected to nobody"); return nil }, func(err error) { failed <- err })
		if err := wait(t, failed, "failure"); err == nil {
			t.Error("no error")
		}
	})
}

// TestListener: connections made before Start wait; a second bind fails; Close keeps connections.
func TestListener(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		h := newHand()
		h.data = echo
		l, err := w.g.Listen(ListenSpec{Name: "x", Addr: "127.0.0.1:0"}, h.accept)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.g.Listen(ListenSpec{Name: "y", Addr: l.Addr().String()}, h.accept); err == nil {
			t.Error("bound twice")
		}
		nc := w.dial(l.Addr().String())
		if _, err := nc.Write([]byte("early")); err != nil {
			t.Fatal(err)
		}
		if len(h.conn) != 0 {
			t.Error("accepted before Start")
		}
		l.Start()
		wait(t, h.conn, "open")
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error("second Close:", err)
		}
		got := make([]byte, 9)
		_, _ = nc.Write([]byte(" bird"))
		if _, err := io.ReadFull(nc, got); err != nil || string(got) != "early bir" {
			t.Errorf("%q %v", got, err)
		}
		if _, err := w.g.Listen(ListenSpec{Name: "z", Addr: l.Addr().String()}, h.accept); err != nil {
			t.Error("address still in use:", err)
		}
	})
}

// TestPlacement: connections spread evenly over the loops.
func TestPlacement(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{Loops: 4})
		open := make(chan engine.LoopID, 100)
		addr := w.listen(func(c *Conn) Handler { open <- c.Loop().Index(); return newHand() })
		count := map[engine.LoopID]int{}
		for range 20 {
			w.dial(addr)
			count[wait(t, open, "accept")]++
		}
		for i := range engine.LoopID(4) {
			if count[i] != 5 {
				t.Errorf("loop %d has %d connections", i, count[i])
			}
		}
	})
}

// TestStop: connections get their queued output and the shutdown reason, no goroutine stays, Post is
// refused afterwards.
func TestStop(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		before := runtime.NumGoroutine()
		w := newWorld(t, backend, Config{Loops: 2, Pool: 4})
		h := newHand()
		addr := w.listen(h.accept)
		var ncs []net.Conn
		for range 10 {
			ncs = append(ncs, w.dial(addr))
			c := wait(t, h.conn, "open")
			c.Loop().Post(func() { c.Out().Append(c.Loop().Index(), []byte("bye")) })
		}
		ran := make(chan struct{})
		if !w.g.Pool().Submit(func() { close(ran) }) {
			t.Error("pool refuses")
		}
		wait(t, ran, "pool task")
		read := make(chan string, len(ncs))
		for _, nc := range ncs {
			go func() {
				b, _ := io.ReadAll(nc)
				_ = nc.Close()
				read <- string(b)
			}()
		}
		w.stop()
		for range ncs {
			if s := wait(t, read, "end of stream"); s != "bye" {
				t.Errorf("got %q", s)
			}
			if r := wait(t, h.closed, "close"); r != ReasonServerShutdown {
				t.Errorf("reason %v", r)
			}
		}
		if w.g.Loops()[0].Post(func() {}) || w.g.Pool().Submit(func() {}) {
			t.Error("work accepted after Stop")
		}
		if _, err := w.g.Listen(ListenSpec{Addr: "127.0.0.1:0"}, h.accept); err == nil {
			t.Error("Listen after Stop")
		}
		if err := w.g.Stop(context.Background()); err != nil {
			t.Error("second Stop:", err)
		}
		extra := 0
		if backend == "mem" {
			extra = 1 // the test's driver
		}
		deadline := time.Now().Add(testWait)
		for runtime.NumGoroutine() > before+extra && time.Now().Before(deadline) {
			runtime.Gosched()
		}
		if n := runtime.NumGoroutine(); n > before+extra {
			buf := make([]byte, 1<<16)
			t.Errorf("%d goroutines, %d before\n%s", n, before, buf[:runtime.Stack(buf, true)])
		}
	})
}

// TestStopTimeout: a destination that takes nothing does not hold Stop beyond its context.
func TestStopTimeout(t *testing.T) {
	w := newWorld(t, testBackends()[0], Config{})
	h := newHand()
	w.dial(w.listen(h.accept))
	c := wait(t, h.conn, "open")
	fillUp(w, c)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := w.g.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stop: %v", err)
	}
	if r := wait(t, h.closed, "close"); r != ReasonServerShutdown {
		t.Errorf("reason %v", r)
	}
}

// TestPostOrder: tasks of one poster run in order, from loops too, and none is lost.
func TestPostOrder(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{Loops: 2})
		a, b := w.g.Loops()[0], w.g.Loops()[1]
		const n = 3 * inboxMax / 2 // also beyond the bound of the inbox
		next, done := 0, make(chan struct{})
		go func() {
			for i := range n {
				ok := b.Post(func() {
					if next != i {
						t.Errorf("task %d, want %d", i, next)
					}
					if next++; next == n {
						a.PostFrom(b.Index(), func() { close(done) })
					}
				})
				if !ok {
					t.Error("refused")
				}
			}
		}()
		wait(t, done, "tasks")
	})
}
