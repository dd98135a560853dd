package netio

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"ramjet/engine"
	"ramjet/proto/base/clock"
)

// Config configures a Group.
type Config struct {
	Backend    string // "gnet", "epoll", "mem"; "" = platform default
	Loops      int    // 0 = GOMAXPROCS
	Producers  int    // staging slots beyond the loops (JetStream shards)
	ReadBuffer int    // bytes per loop; 0 = 256 KiB
	Pool       int    // workers of the blocking pool; 0 = default
	Clock      clock.Clock
	Logger     engine.Logger
	// TurnEnd, when set, runs on each loop at the end of each turn, before staged output is flushed.
	TurnEnd func(*Loop)
	// Net is the simulated network of the "mem" backend.
	Net *MemNet
}

// Group is a set of event loops.
type Group struct {
	cfg       Config
	base      time.Time
	loops     []*Loop
	producers []*producer // loops, then the others
	pool      *Pool
	mem       *MemNet
	keys      atomic.Uint64
	panics    atomic.Int64
	backlog   atomic.Int64 // bytes that wait for full sockets
	budget    atomic.Int64 // of backlog, 0 = none
	relief    relief
	stepping  sync.Mutex // simulation: one step at a time

	handshakes handshaker // TLS handshakes going on

	ctx    context.Context // ends with Stop: cancels dials
	cancel context.CancelFunc

	mu        sync.Mutex // a leaf: guards listeners and stopping
	listeners map[*Listener]struct{}
	stopping  bool
}

// errStopped is returned by a group that was stopped.
var errStopped = errors.New("netio: group stopped")

// NewGroup creates and starts the loops.
func NewGroup(cfg Config) (*Group, error) {
	if cfg.Loops <= 0 {
		cfg.Loops = runtime.GOMAXPROCS(0)
	}
	if cfg.ReadBuffer <= 0 {
		cfg.ReadBuffer = defaultReadBuffer
	}
	if cfg.Clock == clock.System() {
		cfg.Clock = nil // loops wait for the machine's clock by themselves
	}
	if cfg.Backend == "" {
		cfg.Backend = defaultBackend
	}
	g := &Group{cfg: cfg, listeners: map[*Listener]struct{}{}}
	if cfg.Backend == "mem" {
		if cfg.Net == nil {
			return nil, errors.New("netio: the mem backend needs Config.Net")
		}
		g.mem = cfg.Net
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.base = g.time()
	for i := range cfg.Loops + cfg.Producers {
		g.producers = append(g.producers, newProducer(engine.LoopID(i)))
	}
	for i := range cfg.Loops {
		l := newLoop(g, i)
		p, err := newPoller(cfg.Backend, l)
		if err != nil {
			for _, l := range g.loops {
				l.poll.close()
			}
			g.cancel()
			return nil, fmt.Errorf("netio: backend %q: %w", cfg.Backend, err)
		}
		l.poll = p
		g.loops = append(g.loops, l)
	}
	g.pool = newPool(g, cfg.Pool)
	if g.mem != nil {
		return g, nil
	}
	for _, l := range g.loops {
		go l.run()
	}
	return g, nil
}

// Loops returns the loops, index = LoopID. Any goroutine.
func (g *Group) Loops() []*Loop { return g.loops }

// Pool returns the bounded blocking pool (bcrypt, signatures, DNS, dialing). Any goroutine.
func (g *Group) Pool() *Pool { return g.pool }

// Panics returns how many panics of handlers, stages and tasks were contained. Any goroutine.
func (g *Group) Panics() int64 { return g.panics.Load() }

// SetBudget sets how many bytes may wait for full sockets in all before Pressed, and of how much the connections with a hard limit may
// hold four times before some are closed (ReasonSlowPending); 0 = no bound. Any goroutine.
func (g *Group) SetBudget(n int64) {
	if g.budget.Load() != n {
		g.budget.Store(n)
	}
}

// Backlog returns how many bytes wait for sockets that are full. Any goroutine.
func (g *Group) Backlog() int64 { return g.backlog.Load() }

// Pressed reports that more waits for full sockets than the budget allows: soft limits are smaller then, and whoever does not read
// what he causes should not be read either. Any goroutine.
func (g *Group) Pressed() bool {
	n := g.budget.Load()
	return n > 0 && g.backlog.Load() > n
}

// FlushTurn flushes everything staged by producer from. Loops do it themselves at end of turn;
// other producers (shards) call it at the end of their batch.
func (g *Group) FlushTurn(from engine.LoopID) { g.producers[from].flush() }

// Stop closes listeners and connections (ReasonServerShutdown) and ends the loops. Queued output gets
// up to a second; when ctx ends first, what is left is dropped and ctx's error returned. Not from a
// loop or a pool worker.
func (g *Group) Stop(ctx context.Context) error {
	g.mu.Lock()
	g.stopping = true
	var ls []*Listener
	for l := range g.listeners {
		ls = append(ls, l)
	}
	g.mu.Unlock()
	for _, l := range ls {
		_ = l.Close()
	}
	for _, l := range ls {
		l.wait()
	}
	for _, l := range g.loops {
		l.post(task{fn: l.stop}, false)
	}
	g.cancel()
	if g.mem != nil {
		g.stopMem()
		return g.pool.stop(ctx)
	}
	var err error
	for _, l := range g.loops {
		select {
		case <-l.done:
			continue
		case <-ctx.Done():
			err = ctx.Err()
		}
		l.post(task{fn: l.kill}, false)
		<-l.done
	}
	return errors.Join(err, g.pool.stop(ctx))
}

// pick returns the loop with the fewest connections and counts one more on it.
func (g *Group) pick() *Loop {
	best := g.loops[0]
	for _, l := range g.loops[1:] {
		if l.placed.Load() < best.placed.Load() {
			best = l
		}
	}
	best.placed.Add(1)
	return best
}

// time is now, by the configured clock.
func (g *Group) time() time.Time {
	if g.cfg.Clock != nil {
		return g.cfg.Clock.Now()
	}
	return time.Now()
}

func (g *Group) afterFunc(d time.Duration, fn func()) clock.Timer {
	if g.cfg.Clock != nil {
		return g.cfg.Clock.AfterFunc(d, fn)
	}
	return time.AfterFunc(d, fn)
}

func (g *Group) logf(l engine.Level, id, format string, args ...any) {
	if g.cfg.Logger != nil {
		g.cfg.Logger.Logf(l, id, format, args...)
	}
}

// caught reports a contained panic.
func (g *Group) caught(c *Conn, v any, stack []byte) {
	g.panics.Add(1)
	if c == nil {
		g.logf(engine.Error, "RJ-N001", "panic in a task of an event loop: %v\n%s", v, stack)
		return
	}
	g.logf(engine.Error, "RJ-N002", "panic while serving %v, connection closed: %v\n%s", c.RemoteAddr(), v, stack)
}
