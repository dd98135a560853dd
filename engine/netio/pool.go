package netio

import (
	"context"
	"sync"
)

const (
	defaultWorkers = 32
	poolQueue      = 8192
)

// Pool is the bounded blocking pool: what may wait or computes for long (DNS, dialing, bcrypt, signatures) runs here
// and posts its result to a loop. TLS handshakes have their own bounds (tls_handshake.go): a slow peer must not hold a
// worker.
type Pool struct {
	g       *Group
	limit   int
	mu      sync.Mutex // a leaf
	queue   chan func()
	workers int
	idle    int
	stopped bool
	wg      sync.WaitGroup
}

func newPool(g *Group, workers int) *Pool {
	if workers <= 0 {
		workers = defaultWorkers
	}
	return &Pool{g: g, limit: workers, queue: make(chan func(), poolQueue)}
}

// Submit queues fn; false when the queue (8192) is full or the pool stopped. Never waits. Any
// goroutine. In a simulation fn runs in the next step.
func (p *Pool) Submit(fn func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return false
	}
	select {
	case p.queue <- fn:
	default:
		return false
	}
	if p.g.mem != nil {
		p.g.mem.touch()
		return true
	}
	if p.idle == 0 && p.workers < p.limit {
		p.workers++
		p.wg.Add(1)
		go p.work()
	}
	return true
}

func (p *Pool) work() {
	defer p.wg.Done()
	for {
		p.mu.Lock()
		p.idle++
		p.mu.Unlock()
		fn, ok := <-p.queue
		p.mu.Lock()
		p.idle--
		p.mu.Unlock()
		if !ok {
			return
		}
		p.run(fn)
	}
}

func (p *Pool) run(fn func()) {
	defer p.g.loops[0].recover(nil)
	fn()
}

// step runs one queued function; simulation only.
func (p *Pool) step() bool {
	select {
	case fn, ok := <-p.queue:
		if ok {
			p.run(fn)
		}
		return ok
	default:
		return false
	}
}

// stop lets the workers finish what is queued and waits for them, up to the end of ctx.
func (p *Pool) stop(ctx context.Context) error {
	p.mu.Lock()
	if !p.stopped {
		p.stopped = true
		close(p.queue)
	}
	p.mu.Unlock()
	done := make(chan struct{})
	go func() { p.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
