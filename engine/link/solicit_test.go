package link

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/netio"
	"ramjet/proto/base/bufpool"
	"ramjet/proto/base/clock"
)

type noHandler struct{ opened func(c *netio.Conn) }

func (h noHandler) OnOpen(c *netio.Conn)                     { h.opened(c) }
func (noHandler) OnData(*netio.Conn, []byte, *bufpool.Frame) {}
func (noHandler) OnTurn(*netio.Conn)                         {}
func (noHandler) OnDrain(*netio.Conn)                        {}
func (noHandler) OnTimer(*netio.Conn, uint8)                 {}
func (noHandler) OnSecured(*netio.Conn)                      {}
func (noHandler) OnClose(*netio.Conn, netio.Reason)          {}

type discard struct{}

func (discard) Enabled(engine.Level) bool                 { return false }
func (discard) Logf(engine.Level, string, string, ...any) {}

// world is a simulated network with a clock.
type world struct {
	t   *testing.T
	clk *clock.Manual
	net *netio.MemNet
	env *Env
	mu  sync.Mutex
	log []string
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, clk: clock.NewManual(time.Unix(1000, 0)), net: netio.NewMemNet()}
	g, err := netio.NewGroup(netio.Config{Backend: "mem", Loops: 1, Clock: w.clk, Logger: discard{}, Net: w.net})
	if err != nil {
		t.Fatal(err)
	}
	w.env = &Env{Group: g, Clock: w.clk, Logger: discard{}}
	return w
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	w.log = append(w.log, fmt.Sprintf(format, args...))
	w.mu.Unlock()
}

// advance lets d pass and everything due happen; it returns what was noted.
func (w *world) advance(d time.Duration) []string {
	w.clk.Advance(d)
	for w.env.Group.Step() {
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.log
	w.log = nil
	return l
}

func urls(list ...string) func() []*url.URL {
	var out []*url.URL
	for _, s := range list {
		u, err := url.Parse(s)
		if err != nil {
			panic(err)
		}
		out = append(out, u)
	}
	return func() []*url.URL { return out }
}

func (w *world) target(u func() []*url.URL) Target {
	return Target{
		URLs: u, Port: 6222, Attempts: -1,
		Delay: func(n int) time.Duration { return Backoff(time.Second, n) },
		Accept: func(c *netio.Conn, u *url.URL) netio.Handler {
			return noHandler{func(*netio.Conn) { w.note("open %s", u.Host) }}
		},
		Failed: func(u *url.URL, addr string, n int, err error) { w.note("failed %s %d", u.Host, n) },
		GiveUp: func() { w.note("gave up") },
	}
}

func (w *world) expect(d time.Duration, want ...string) {
	w.t.Helper()
	if got := w.advance(d); !slices.Equal(got, want) {
		w.t.Fatalf("after %v: %q, want %q", d, got, want)
	}
}

func TestSolicitor(t *testing.T) {
	w := newWorld(t)
	refused := errors.New("refused")
	w.net.Refuse(func(string) error { return refused })
	s := w.env.Solicit(w.target(urls("nats-route://127.0.0.1:1111", "nats-route://127.0.0.2")))
	w.expect(time.Hour)
	s.Again(time.Second)
	w.expect(999 * time.Millisecond)
	w.expect(time.Millisecond, "failed 127.0.0.1:1111 1", "failed 127.0.0.2 1")
	w.expect(time.Second, "failed 127.0.0.1:1111 2", "failed 127.0.0.2 2")
	w.expect(time.Second)
	w.expect(time.Second, "failed 127.0.0.1:1111 3", "failed 127.0.0.2 3")
	w.net.Refuse(nil)
	l, err := w.env.Group.Listen(netio.ListenSpec{Addr: "127.0.0.2:6222"}, func(*netio.Conn) netio.Handler {
		return noHandler{func(*netio.Conn) {}}
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Start()
	w.expect(4*time.Second, "failed 127.0.0.1:1111 4", "open 127.0.0.2")
	w.expect(time.Hour)
	s.Connected()
	s.Again(0)
	w.expect(0, "failed 127.0.0.1:1111 1", "open 127.0.0.2")
	s.Again(time.Second)
	s.Stop()
	w.expect(time.Hour)
	s.Again(0)
	w.expect(time.Hour)
	if !s.Stopped() {
		t.Error("not stopped")
	}
}

func TestSolicitorGivesUp(t *testing.T) {
	w := newWorld(t)
	for attempts, want := range []int{1, 2, 3} {
		target := w.target(urls("nats-route://127.0.0.1:1111"))
		target.Attempts = attempts
		s := w.env.Solicit(target)
		s.Again(0)
		var got []string
		for range 10 {
			got = append(got, w.advance(MaxRetryDelay)...)
		}
		if len(got) != want+1 || got[want] != "gave up" {
			t.Errorf("%d retries: %q", attempts, got)
		}
	}
	none := w.env.Solicit(w.target(func() []*url.URL { return nil }))
	none.Again(0)
	w.expect(0, "gave up")
}

func TestSolicitorExclude(t *testing.T) {
	w := newWorld(t)
	target := w.target(urls("nats-route://127.0.0.1:1111"))
	own := netip.MustParseAddrPort("127.0.0.1:1111")
	target.Exclude = func(a netip.AddrPort) bool { return a == own }
	w.net.Refuse(func(string) error { w.note("dialed"); return net.ErrClosed })
	w.env.Solicit(target).Again(0)
	w.expect(0, "failed 127.0.0.1:1111 1")
}

func TestBackoff(t *testing.T) {
	for n, want := range map[int]time.Duration{0: 1, 1: 1, 2: 2, 5: 16, 6: 30, 1000: 30} {
		if got := Backoff(time.Second, n); got != want*time.Second {
			t.Errorf("%d: %v", n, got)
		}
	}
	for n, want := range map[int]bool{1: true, 2: false, 3600: true, 3601: false, 7200: true} {
		if Reports(n, 3600) != want {
			t.Errorf("round %d", n)
		}
	}
}

func TestClientTLS(t *testing.T) {
	for _, c := range []struct{ host, name, want string }{
		{"a.example", "b.example", "a.example"}, {"127.0.0.1", "b.example", "b.example"}, {"127.0.0.1", "", "127.0.0.1"},
	} {
		s := ClientTLS(&config.TLSOptions{Timeout: time.Second}, c.host, c.name)
		if s.Config.ServerName != c.want || !s.Client || s.Timeout != time.Second {
			t.Errorf("%+v: %+v", c, s)
		}
	}
}
