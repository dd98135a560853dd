package netio

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ramjet/engine"
	"ramjet/proto/base/bufpool"
)

// testBackends are the backends of this platform; all pass the same suite.
func testBackends() []string {
	if runtime.GOOS == "linux" {
		return []string{"epoll", "gnet", "mem"}
	}
	return []string{"gnet", "mem"}
}

const testWait = 20 * time.Second

// testLog keeps what was logged.
type testLog struct {
	mu    sync.Mutex
	lines []string
}

func (l *testLog) Enabled(engine.Level) bool { return true }

func (l *testLog) Logf(_ engine.Level, id, format string, args ...any) {
	l.mu.Lock()
	l.lines = append(l.lines, id+" "+fmt.Sprintf(format, args...))
	l.mu.Unlock()
}

func (l *testLog) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range l.lines {
		if strings.Contains(x, s) {
			return true
		}
	}
	return false
}

// world is a group with its network.
type world struct {
	t    testing.TB
	g    *Group
	net  *MemNet
	log  *testLog
	once sync.Once
}

func newWorld(t testing.TB, backend string, cfg Config) *world {
	t.Helper()
	w := &world{t: t, log: &testLog{}}
	cfg.Backend, cfg.Logger = backend, w.log
	if cfg.Loops == 0 {
		cfg.Loops = 2
	}
	if backend == "mem" {
		w.net = NewMemNet()
		cfg.Net = w.net
	}
	g, err := NewGroup(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.g = g
	if backend == "mem" {
		drive(w)
	}
	t.Cleanup(w.stop)
	return w
}

// drive steps a simulated group in real time.
func drive(w *world) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			for w.g.Step() {
			}
			var after <-chan time.Time
			if d, ok := w.g.UntilTimer(); ok {
				after = time.After(d)
			}
			select {
			case <-w.net.Ready():
			case <-after:
			case <-quit:
				return
			}
		}
	}()
	w.t.Cleanup(func() { close(quit); <-done })
}

func (w *world) stop() {
	w.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), testWait)
		defer cancel()
		if err := w.g.Stop(ctx); err != nil {
			w.t.Errorf("stop: %v", err)
		}
	})
}

func (w *world) listen(accept AcceptFunc) string {
	w.t.Helper()
	addr := "127.0.0.1:0"
	l, err := w.g.Listen(ListenSpec{Name: "test", Addr: addr}, accept)
	if err != nil {
		w.t.Fatal(err)
	}
	l.Start()
	return l.Addr().String()
}

func (w *world) dial(addr string) net.Conn {
	w.t.Helper()
	var c net.Conn
	var err error
	if w.net != nil {
		c, err = w.net.Dial(addr)
	} else {
		c, err = net.Dial("tcp", addr)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(testWait))
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

// on runs fn on the loop of c and waits.
func (w *world) on(c *Conn, fn func()) {
	w.t.Helper()
	done := make(chan struct{})
	if !c.Loop().Post(func() { fn(); close(done) }) {
		w.t.Fatal("post refused")
	}
	wait(w.t, done, "task on the loop")
}

func wait[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(testWait):
		t.Fatalf("timeout: %s", what)
		panic("unreachable")
	}
}

// hand is a Handler of functions that keeps what happened.
type hand struct {
	open   func(*Conn)
	data   func(*Conn, []byte, *bufpool.Frame)
	turn   func(*Conn)
	drain  func(*Conn)
	timer  func(*Conn, uint8)
	closed chan Reason
	conn   chan *Conn
	closes atomic.Int32
}

func newHand() *hand { return &hand{closed: make(chan Reason, 1024), conn: make(chan *Conn, 1)} }

func (h *hand) accept(*Conn) Handler { return h }

func (h *hand) OnOpen(c *Conn) {
	if h.open != nil {
		h.open(c)
	}
	select {
	case h.conn <- c:
	default:
	}
}

func (h *hand) OnData(c *Conn, b []byte, f *bufpool.Frame) {
	if h.data != nil {
		h.data(c, b, f)
	}
}

func (h *hand) OnTurn(c *Conn) {
	if h.turn != nil {
		h.turn(c)
	}
}

func (h *hand) OnDrain(c *Conn) {
	if h.drain != nil {
		h.drain(c)
	}
}

func (h *hand) OnTimer(c *Conn, id uint8) {
	if h.timer != nil {
		h.timer(c, id)
	}
}

func (h *hand) OnSecured(*Conn) {}

func (h *hand) OnClose(_ *Conn, r Reason) {
	h.closes.Add(1)
	h.closed <- r
}

func echo(c *Conn, b []byte, _ *bufpool.Frame) { c.Out().Append(c.Loop().Index(), b) }

// each runs a test on every backend.
func each(t *testing.T, fn func(t *testing.T, backend string)) {
	for _, b := range testBackends() {
		t.Run(b, func(t *testing.T) { fn(t, b) })
	}
}

func pattern(n int, seed int64) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(seed)).Read(b)
	return b
}

func TestEcho(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		h := newHand()
		h.data = echo
		addr := w.listen(func(c *Conn) Handler { return h })
		var wg sync.WaitGroup
		for i := range 8 {
			c := w.dial(addr)
			wg.Add(2)
			want := pattern(300_000+i, int64(i))
			go func() {
				defer wg.Done()
				rnd := rand.New(rand.NewSource(int64(i)))
				for b := want; len(b) > 0; {
					n := min(len(b), 1+rnd.Intn(20_000)) // torn at random places
					if _, err := c.Write(b[:n]); err != nil {
						t.Error(err)
						return
					}
					b = b[n:]
				}
			}()
			go func() {
				defer wg.Done()
				got := make([]byte, len(want))
				if _, err := io.ReadFull(c, got); err != nil {
					t.Error(err)
				} else if !bytes.Equal(got, want) {
					t.Error("echo differs")
				}
			}()
		}
		wg.Wait()
	})
}

func TestAddresses(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		h := newHand()
		addr := w.listen(h.accept)
		nc := w.dial(addr)
		c := wait(t, h.conn, "open")
		if c.LocalAddr().String() != addr || c.RemoteAddr().String() != nc.LocalAddr().String() {
			t.Errorf("addresses %v %v, want %v %v", c.LocalAddr(), c.RemoteAddr(), addr, nc.LocalAddr())
		}
		if c.InProcess() || c.Closed() || c.TLS() != nil {
			t.Error("fresh connection reports the wrong state")
		}
	})
}

func TestPeerCloses(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		h := newHand()
		var got bytes.Buffer
		h.data = func(_ *Conn, b []byte, _ *bufpool.Frame) { got.Write(b) }
		nc := w.dial(w.listen(h.accept))
		_, _ = nc.Write([]byte("last words"))
		_ = nc.Close()
		if r := wait(t, h.closed, "close"); r != ReasonClientClosed {
			t.Errorf("reason %v", r)
		}
		if got.String() != "last words" {
			t.Errorf("got %q", got.String())
		}
		c := <-h.conn
		if !c.Closed() {
			t.Error("not closed")
		}
		if v := c.Out().Append(engine.NoLoop, []byte("x")); v != engine.Closed {
			t.Errorf("verdict %v", v)
		}
		w.stop()
		if n := h.closes.Load(); n != 1 {
			t.Errorf("OnClose called %d times", n)
		}
	})
}

// TestHalfClose: a peer that shuts down its direction still gets what was queued for it.
func TestHalfClose(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		h := newHand()
		h.data = echo
		nc := w.dial(w.listen(h.accept))
		want := pattern(100_000, 1)
		go func() {
			_, _ = nc.Write(want)
			_ = nc.(interface{ CloseWrite() error }).CloseWrite()
		}()
		got, err := io.ReadAll(nc)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
		if r := wait(t, h.closed, "close"); r != ReasonClientClosed {
			t.Errorf("reason %v", r)
		}
	})
}

// TestErrorReachesPeer: -ERR and close, while the peer goes on sending and we do not read it.
func TestErrorReachesPeer(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		h := newHand()
		h.data = func(c *Conn, b []byte, _ *bufpool.Frame) {
			c.Out().Append(c.Loop().Index(), []byte("-ERR 'no'\r\n"))
			c.CloseAfterFlush(ReasonProtocolViolation)
			if v := c.Out().Append(c.Loop().Index(), []byte("late")); v != engine.Closed {
				t.Errorf("verdict after close %v", v)
			}
		}
		nc := w.dial(w.listen(h.accept))
		if _, err := nc.Write(pattern(400_000, 2)); err != nil {
			t.Log(err) // the server may be gone already
		}
		got, err := io.ReadAll(nc)
		if string(got) != "-ERR 'no'\r\n" || err != nil {
			t.Fatalf("got %q, %v", got, err)
		}
		if r := wait(t, h.closed, "close"); r != ReasonProtocolViolation {
			t.Errorf("reason %v", r)
		}
	})
}
