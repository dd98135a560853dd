package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
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
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/base/clock"
	"ramjet/proto/wire"
)

// patience bounds every wait of a test for something that must come.
const patience = 10 * time.Second

// memLog collects log lines.
type memLog struct {
	mu    sync.Mutex
	lines []string
	trace atomic.Bool
	more  chan struct{} // signalled on each line
}

func (l *memLog) Enabled(v engine.Level) bool { return v != engine.Trace || l.trace.Load() }

func (l *memLog) Logf(v engine.Level, id, format string, args ...any) {
	if (v == engine.Warn || v == engine.Error || v == engine.Fatal) && id == "" {
		format = "NO ID: " + format
	}
	l.mu.Lock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
	l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
}

func (l *memLog) has(part string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.lines {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}

func (l *memLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// wait returns when a line with part was logged.
func (l *memLog) wait(t testing.TB, part string) {
	t.Helper()
	deadline := time.After(patience)
	for !l.has(part) {
		select {
		case <-l.more:
		case <-deadline:
			t.Fatalf("no log line with %q in\n%s", part, l)
		}
	}
}

// world is the part of a server that clients need.
type world struct {
	t     testing.TB
	group *netio.Group
	env   *link.Env
	svc   *Service
	ln    *netio.Listener
	log   *memLog
	opts  atomic.Pointer[config.Options]
	auth  atomic.Pointer[auth.Authenticator]
	reg   *account.Registry
	ldm   atomic.Bool
}

// baseOptions are the defaults of reference/limits_and_defaults.md that matter here, without pings: on a machine that is
// slow enough, the first would come between what a test reads.
func baseOptions() *config.Options {
	return &config.Options{
		MaxConn: 65536, MaxControlLine: 4096, MaxPayload: 1 << 20, MaxPending: 64 << 20,
		MaxClosedClients: 100, PingMax: 2, WriteDeadline: 10 * time.Second,
		Auth: config.AuthBlock{Timeout: 2 * time.Second},
	}
}

func newWorld(t testing.TB, set func(*config.Options)) *world {
	t.Helper()
	o := baseOptions()
	if set != nil {
		set(o)
	}
	w := &world{t: t, log: &memLog{more: make(chan struct{}, 1)}}
	w.opts.Store(o)
	reg, err := account.NewRegistry(o)
	if err != nil {
		t.Fatal(err)
	}
	w.reg = reg
	a, _, err := auth.New(o, reg)
	if err != nil {
		t.Fatal(err)
	}
	w.auth.Store(a)
	var env link.Env
	w.env = &env
	w.group, err = netio.NewGroup(netio.Config{
		Loops: 2, Logger: w.log, TurnEnd: func(l *netio.Loop) { env.TurnEnd(l) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctxs := make([]*dispatch.Ctx, len(w.group.Loops()))
	for i := range ctxs {
		ctxs[i] = dispatch.NewCtx(engine.LoopID(i), uint64(i+1))
		ctxs[i].NoStall = o.NoFastProducerStall
	}
	env = link.Env{
		Group: w.group, Clock: clock.System(), Logger: w.log,
		Options: w.opts.Load, Auth: w.auth.Load, Accounts: reg,
		Router: dispatch.NewRouter(reg), Registry: link.NewRegistry(o.MaxClosedClients),
		Ctx: func(i engine.LoopID) *dispatch.Ctx { return ctxs[i] },
		Info: func(auth.Listener) wire.Info {
			return wire.Info{ServerID: "S", ServerName: "S", Version: "2.15.2", Proto: 1, Go: "go", Host: "127.0.0.1",
				Headers: true, LameDuck: w.ldm.Load()}
		},
	}
	w.svc = New(w.env)
	w.ln, err = w.group.Listen(netio.ListenSpec{Name: "client", Addr: "127.0.0.1:0"}, w.svc.Accept)
	if err != nil {
		t.Fatal(err)
	}
	w.ln.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := w.group.Stop(ctx); err != nil {
			t.Error(err)
		}
		if w.log.has("NO ID") {
			t.Errorf("a log line without id:\n%s", w.log)
		}
	})
	return w
}

// reload puts new options into force.
func (w *world) reload(set func(*config.Options)) {
	w.t.Helper()
	o := baseOptions()
	set(o)
	commit, err := w.reg.Prepare(o)
	if err != nil {
		w.t.Fatal(err)
	}
	commit()
	a, _, err := auth.New(o, w.reg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.opts.Store(o)
	w.auth.Store(a)
	w.svc.Recheck()
}

// peer is a raw connection under test.
type peer struct {
	t    testing.TB
	name string
	c    net.Conn
	r    *bufio.Reader
}

func (w *world) dial() *peer {
	w.t.Helper()
	return dialAddr(w.t, w.ln.Addr().String())
}

func dialAddr(t testing.TB, addr string) *peer {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &peer{t: t, c: c, r: bufio.NewReaderSize(c, 64<<10)}
}

// pipe opens an in-process connection.
func (w *world) pipe() *peer {
	w.t.Helper()
	c, err := w.group.Pipe(w.svc.AcceptPipe)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return &peer{t: w.t, c: c, r: bufio.NewReaderSize(c, 64<<10)}
}

func (p *peer) send(s string) {
	p.t.Helper()
	p.c.SetWriteDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(p.c, s); err != nil {
		p.t.Fatalf("%s: write: %v", p.name, err)
	}
}

// want reads exactly s.
func (p *peer) want(s string) {
	p.t.Helper()
	b := make([]byte, len(s))
	p.c.SetReadDeadline(time.Now().Add(patience))
	n, err := io.ReadFull(p.r, b)
	if string(b[:n]) != s {
		p.t.Fatalf("%s: got %q (%v), want %q", p.name, b[:n], err, s)
	}
}

// eof waits for the end of the connection; nothing may come before it.
func (p *peer) eof() {
	p.t.Helper()
	p.c.SetReadDeadline(time.Now().Add(patience))
	b, err := io.ReadAll(p.r)
	if len(b) > 0 || isTimeout(err) {
		p.t.Fatalf("%s: got %q (%v), want the end", p.name, b, err)
	}
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

// sync proves that nothing else is on its way.
func (p *peer) sync() {
	p.t.Helper()
	p.send("PING\r\n")
	p.want("PONG\r\n")
}

// info reads an INFO line.
func (p *peer) info() map[string]any {
	p.t.Helper()
	p.c.SetReadDeadline(time.Now().Add(patience))
	line, err := p.r.ReadBytes('\n')
	if err != nil || !bytes.HasPrefix(line, []byte("INFO {")) || !bytes.HasSuffix(line, []byte("} \r\n")) {
		p.t.Fatalf("%s: got %q (%v), want INFO", p.name, line, err)
	}
	m := make(map[string]any)
	if err := json.Unmarshal(line[5:], &m); err != nil {
		p.t.Fatal(err)
	}
	return m
}

// connect reads INFO, sends CONNECT with the fields and waits until it was handled.
func (p *peer) connect(fields string) *peer {
	p.t.Helper()
	p.info()
	if fields != "" {
		fields = "," + fields
	}
	p.send(`CONNECT {"verbose":false,"pedantic":false` + fields + "}\r\n")
	p.sync()
	return p
}
