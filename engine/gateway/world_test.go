package gateway

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/auth"
	"ramjet/engine/config"
	"ramjet/engine/dispatch"
	"ramjet/engine/interest"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/base/clock"
	"ramjet/proto/wire"
)

// patience bounds every wait for something that must come.
const patience = 10 * time.Second

// lines collects the log.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Enabled(v engine.Level) bool { return v != engine.Trace }
func (l *lines) Logf(v engine.Level, id, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, fmt.Sprintf(format, args...))
}

// world is the part of a server that gateways need; the other clusters are played by the tests, byte by byte.
type world struct {
	t    testing.TB
	env  *link.Env
	svc  *Service
	opts atomic.Pointer[config.Options]
	log  *lines
	ctxs []*dispatch.Ctx
	addr string
}

func newWorld(t testing.TB, set func(*config.Options)) *world {
	t.Helper()
	o := &config.Options{MaxControlLine: 4096, MaxPayload: 1 << 20, MaxPending: 64 << 20, PingMax: 2, WriteDeadline: 10 * time.Second,
		PingInterval: time.Minute, ConnectErrorReports: 3600, ReconnectErrorReports: 1,
		Accounts: []*config.Account{{Name: "X"}},
		Gateway:  &config.GatewayOptions{Name: "A", Host: "127.0.0.1", Auth: config.AuthBlock{Timeout: 2 * time.Second}}}
	if set != nil {
		set(o)
	}
	w := &world{t: t, log: &lines{}}
	w.opts.Store(o)
	reg, err := account.NewRegistry(o)
	if err != nil {
		t.Fatal(err)
	}
	a, _, err := auth.New(o, reg)
	if err != nil {
		t.Fatal(err)
	}
	env := &link.Env{}
	w.env = env
	group, err := netio.NewGroup(netio.Config{Loops: 1, Logger: w.log, TurnEnd: func(l *netio.Loop) { env.TurnEnd(l) }})
	if err != nil {
		t.Fatal(err)
	}
	w.ctxs = []*dispatch.Ctx{dispatch.NewCtx(0, 1)}
	*env = link.Env{
		Group: group, Clock: clock.System(), Logger: w.log, Options: w.opts.Load, Auth: func() *auth.Authenticator { return a },
		Accounts: reg, Router: dispatch.NewRouter(reg), Registry: link.NewRegistry(10),
		Ctx: func(i engine.LoopID) *dispatch.Ctx { return w.ctxs[i] },
	}
	w.svc = New(env, Ports{ID: "NA", Version: "2.15.2", Proto: 2, Name: func() string { return "a" }})
	env.Router.UseHooks(dispatch.Hooks{Clock: clock.System(), Routed: w.svc.Routed})
	ln, err := group.Listen(netio.ListenSpec{Name: "gateway", Addr: "127.0.0.1:0"}, w.svc.Accept)
	if err != nil {
		t.Fatal(err)
	}
	w.addr = ln.Addr().String()
	w.svc.Start("127.0.0.1", ln.Addr().(*net.TCPAddr).Port)
	ln.Start()
	t.Cleanup(func() {
		w.svc.Stop()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = group.Stop(ctx)
		if t.Failed() {
			w.log.mu.Lock()
			defer w.log.mu.Unlock()
			t.Log(strings.Join(w.log.all, "\n"))
		}
	})
	return w
}

// on runs fn on the loop and waits for it.
func (w *world) on(fn func()) {
	w.t.Helper()
	done := make(chan struct{})
	w.env.Group.Loops()[0].Post(func() { defer close(done); fn() })
	select {
	case <-done:
	case <-time.After(patience):
		w.t.Fatal("the loop does not answer")
	}
}

// say publishes a message of a client, with a reply subject if it is not "".
func (w *world) say(acct, subject, reply, payload string) (out dispatch.Outcome) {
	w.t.Helper()
	w.on(func() {
		m := engine.Msg{Subject: []byte(subject), Payload: []byte(payload), Origin: engine.Client, OriginID: 99}
		if reply != "" {
			m.Reply = []byte(reply)
		}
		out = w.env.Router.Publish(w.ctxs[0], w.env.Accounts.Lookup(acct), &m)
	})
	return out
}

// sink is a subscriber.
type sink struct {
	kind engine.Kind
	got  chan string
	n    int
}

func (s *sink) Deliver(_ engine.LoopID, m *engine.Msg, _ *interest.Sub) engine.Verdict {
	s.n++
	if s.got != nil {
		s.got <- fmt.Sprintf("%s %s %s", m.Subject, m.Reply, m.Payload)
	}
	return engine.OK
}
func (s *sink) Kind() engine.Kind { return s.kind }
func (s *sink) ID() uint64        { return 7 }

func (w *world) subscribe(acct, subject, queue string, s *sink) *interest.Sub {
	w.t.Helper()
	sub := interest.NewSub([]byte(subject), []byte(queue), []byte("1"), 1, s)
	if err := w.env.Accounts.Lookup(acct).Index().Insert(sub); err != nil {
		w.t.Fatal(err)
	}
	return sub
}

// raw is the other end of a connection.
type raw struct {
	t testing.TB
	c net.Conn
	r *bufio.Reader
}

func newRaw(t testing.TB, c net.Conn) *raw {
	t.Cleanup(func() { _ = c.Close() })
	return &raw{t, c, bufio.NewReader(c)}
}

func (p *raw) send(s string) {
	p.t.Helper()
	if _, err := p.c.Write([]byte(s)); err != nil {
		p.t.Fatal(err)
	}
}

// line returns the next line that is no PING.
func (p *raw) line() string {
	p.t.Helper()
	for {
		_ = p.c.SetReadDeadline(time.Now().Add(patience))
		s, err := p.r.ReadString('\n')
		if err != nil {
			p.t.Fatalf("reading: %v after %q", err, s)
		}
		if s != wire.Ping {
			return strings.TrimRight(s, "\r\n")
		}
	}
}

// expect reads lines until one that begins with prefix and returns it.
func (p *raw) expect(prefix string) string {
	p.t.Helper()
	for {
		if s := p.line(); strings.HasPrefix(s, prefix) {
			return s
		}
	}
}

// closed reads until the end.
func (p *raw) closed() {
	p.t.Helper()
	_ = p.c.SetReadDeadline(time.Now().Add(patience))
	for {
		if _, err := p.r.ReadByte(); err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				p.t.Fatal("not closed")
			}
			return
		}
	}
}

// dial connects as a server of cluster Z and says who it is.
func (w *world) dial() *raw {
	w.t.Helper()
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	return newRaw(w.t, c)
}

// inbound is dial with the whole handshake; all interest has been told when it returns.
func (w *world) inbound() *raw {
	w.t.Helper()
	p := w.dial()
	p.expect("INFO ")
	p.send(`CONNECT {"gateway":"Z","name":"NZ"}` + "\r\n" + `INFO {"server_id":"NZ","server_name":"z","gateway":"Z","headers":true}` + "\r\n")
	for range w.env.Accounts.Len() {
		for !strings.Contains(p.expect("INFO "), `"gateway_cmd":3`) {
		}
	}
	return p
}

// acceptRaw makes the service dial cluster Z.
func (w *world) acceptRaw() *raw {
	w.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	defer ln.Close()
	w.svc.Discovered(&wire.GatewayInfo{Gateway: "Z", URLs: []string{ln.Addr().String()}})
	c, err := ln.Accept()
	if err != nil {
		w.t.Fatal(err)
	}
	return newRaw(w.t, c)
}

// accept is acceptRaw with the whole handshake; extra are more members of INFO.
func (w *world) accept(extra string) *raw {
	w.t.Helper()
	p := w.acceptRaw()
	p.send(`INFO {"server_id":"NZ","server_name":"z","gateway":"Z","headers":true` + extra + "}\r\n")
	if s := p.line(); !strings.HasPrefix(s, `CONNECT {"echo":false,`) || !strings.Contains(s, `"gateway":"A"`) {
		w.t.Fatalf("%s", s)
	}
	if s := p.line(); !strings.Contains(s, `"gateway":"A"`) || !strings.Contains(s, `"gateway_iom":true`) {
		w.t.Fatalf("%s", s)
	}
	p.send("PING\r\n")
	p.expect("PONG")
	return p
}

// sync returns when the service has handled everything p sent.
func (p *raw) sync() {
	p.t.Helper()
	p.send("PING\r\n")
	p.expect("PONG")
}

func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}
