package netio

import (
	"context"
	"crypto/tls"
	"net"
	"runtime"
	"testing"
	"time"

	"ramjet/proto/base/bufpool"
)

// stageBackends are the backends whose sockets the standard library can dial.
func stageBackends() []string {
	if runtime.GOOS == "linux" {
		return []string{"epoll", "gnet"}
	}
	return []string{"gnet"}
}

// stageEcho writes back what it reads; the functions, when set, see events first.
type stageEcho struct {
	nopHandler
	open    func(c *Conn)
	data    func(c *Conn, data []byte) bool // true: handled
	secured func(c *Conn)
	closed  func(c *Conn, r Reason)
}

func (e *stageEcho) OnOpen(c *Conn) {
	if e.open != nil {
		e.open(c)
	}
}

func (e *stageEcho) OnData(c *Conn, data []byte, _ *bufpool.Frame) {
	if e.data == nil || !e.data(c, data) {
		c.Out().Append(c.Loop().Index(), data)
	}
}

func (e *stageEcho) OnSecured(c *Conn) {
	if e.secured != nil {
		e.secured(c)
	}
}

func (e *stageEcho) OnClose(c *Conn, r Reason) {
	if e.closed != nil {
		e.closed(c, r)
	}
}

// closing is how a connection ended.
type closing struct {
	reason Reason
	err    error
}

// stageServer listens on loopback; every connection gets the handler that accept makes.
func stageServer(t *testing.T, backend string, accept func(c *Conn) Handler) (g *Group, addr string) {
	t.Helper()
	g, err := NewGroup(Config{Backend: backend, Loops: 2})
	if err != nil {
		t.Fatal(err)
	}
	l, err := g.Listen(ListenSpec{Name: "test", Addr: "127.0.0.1:0"}, accept)
	if err != nil {
		t.Fatal(err)
	}
	l.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := g.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
		if n := g.Panics(); n != 0 {
			t.Errorf("%d panics", n)
		}
	})
	return g, l.Addr().String()
}

func dialStage(t *testing.T, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return nc
}

// eachBackend runs test on every backend.
func eachBackend(t *testing.T, test func(t *testing.T, backend string)) {
	for _, b := range stageBackends() {
		t.Run(b, func(t *testing.T) { test(t, b) })
	}
}

func await[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: nothing in 20 s", what)
		panic("unreachable")
	}
}

func tlsDial(t *testing.T, addr string, conf *tls.Config) net.Conn {
	t.Helper()
	tc := tls.Client(dialStage(t, addr), conf)
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	return tc
}
