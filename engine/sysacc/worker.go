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

	router *dispatch.Router
	trace  func(subject, reply string, header, payload []byte)
	ctx    *dispatch.Ctx // owner: the goroutine
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

// run works until the queue was closed and, if drain, is empty.
func (w *worker) run(stopping *atomic.Bool, drain bool) {
	defer close(w.done)
	var batch []func(*worker)
	for {
		ending := stopping.Load() // before the Take: what was queued until then is seen
		batch = w.q.Take(batch)
		if len(batch) == 0 {
			if ending {
				return
			}
			<-w.wake
			continue
		}
		w.busy.Store(int32(len(batch)))
		for _, fn := range batch {
			if drain || !stopping.Load() {
				fn(w)
			}
			w.busy.Add(-1)
		}
	}
}

// publish sends a message of the server in account a. The worker's goroutine.
func (w *worker) publish(a *account.Account, subject, reply string, header, payload []byte) {
	m := engine.Msg{Subject: []byte(subject), Reply: []byte(reply), Header: header, Payload: payload, Origin: engine.System}
	w.trace(subject, reply, header, payload)
	w.router.Publish(w.ctx, a, &m)
	w.ctx.ResetSlow()
}
