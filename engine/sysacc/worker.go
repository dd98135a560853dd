package sysacc

import (
	"sync/atomic"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/dispatch"
	"ramjet/proto/base/queue"
)

// worker is a goroutine that runs queued functions one after the other and may publish.
type worker struct {
	q    *queue.MPSC[func(*worker)]
	wake chan struct{} // capacity 1
	done chan struct{}
	busy atomic.Int32 // taken, not yet finished

	drain bool // what is queued when the service ends is still run

	router *dispatch.Router
	trace  func(subject, reply string, header, payload []byte)
	ctx    *dispatch.Ctx // owner: the goroutine, as of batch
	batch  []func(*worker)
}

func newWorker(bound int, router *dispatch.Router, seed uint64) *worker {
	w := &worker{wake: make(chan struct{}, 1), done: make(chan struct{}), router: router, ctx: dispatch.NewCtx(engine.NoLoop, seed)}
	w.q = queue.NewMPSC[func(*worker)](bound, func() {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	})
	return w
}

// push queues fn; false when the queue is full or closed. Any goroutine; never waits.
func (w *worker) push(fn func(*worker)) bool { return w.q.Push(fn) == queue.Pushed }

// step runs what is queued, or only takes it away when the service ends and !drain; false when there was
// nothing. The worker's goroutine.
func (w *worker) step(stopping *atomic.Bool) bool {
	w.batch = w.q.Take(w.batch)
	if len(w.batch) == 0 {
		return false
	}
	w.busy.Store(int32(len(w.batch)))
	for _, fn := range w.batch {
		if w.drain || !stopping.Load() {
			fn(w)
		}
		w.busy.Add(-1)
	}
	return true
}

// run steps until the queue was closed and is empty.
func (w *worker) run(stopping *atomic.Bool) {
	defer close(w.done)
	for {
		ending := stopping.Load() // before the step: what was queued until then is seen
		if w.step(stopping) {
			continue
		}
		if ending {
			return
		}
		<-w.wake
	}
}

// publish sends a message of the server in account a. The worker's goroutine.
func (w *worker) publish(a *account.Account, subject, reply string, header, payload []byte) {
	m := engine.Msg{Subject: []byte(subject), Reply: []byte(reply), Header: header, Payload: payload, Origin: engine.System}
	w.trace(subject, reply, header, payload)
	w.router.Publish(w.ctx, a, &m)
	w.ctx.ResetSlow()
}
