package netio

import (
	"sync"
	"time"
)

const (
	inboxMax  = 1 << 16               // tasks after which posters wait
	inboxWait = 20 * time.Millisecond // longest wait: two full loops posting to each other must not deadlock
)

// task is a unit of work for a loop: a function, or signals of a connection (Conn.ops).
type task struct {
	fn func()
	c  *Conn
}

// inbox is the queue of tasks of one loop: many posters, one taker, one wake for whatever arrived
// while the loop slept.
type inbox struct {
	mu       sync.Mutex
	items    []task
	spare    []task
	room     chan struct{} // closed when a full queue was taken; nil if nobody waits
	sleeping bool
	stopped  bool
}

// push queues t and reports whether it was accepted and whether the loop must be woken. With wait,
// the caller is held back while the queue is full.
func (in *inbox) push(t task, wait bool) (ok, wake bool) {
	in.mu.Lock()
	if wait && len(in.items) >= inboxMax && !in.stopped {
		in.waitRoom()
	}
	if in.stopped {
		in.mu.Unlock()
		return false, false
	}
	in.items = append(in.items, t)
	wake, in.sleeping = in.sleeping, false
	in.mu.Unlock()
	return true, wake
}

// waitRoom gives up mu, waits until the queue was taken or the time is over, and locks again.
func (in *inbox) waitRoom() {
	if in.room == nil {
		in.room = make(chan struct{})
	}
	ch := in.room
	in.mu.Unlock()
	tm := time.NewTimer(inboxWait)
	select {
	case <-ch:
	case <-tm.C:
	}
	tm.Stop()
	in.mu.Lock()
}

// take returns what is queued; valid until the next take.
func (in *inbox) take() []task {
	in.mu.Lock()
	in.sleeping = false
	if len(in.items) == 0 {
		in.mu.Unlock()
		return nil
	}
	got := in.items
	in.items, in.spare = in.spare[:0], got
	if in.room != nil {
		close(in.room)
		in.room = nil
	}
	in.mu.Unlock()
	return got
}

// done forgets the tasks of the last take, so that their memory can be freed.
func (in *inbox) done(got []task) {
	clear(got)
	if cap(got) > 4096 { // a burst must not pin its peak
		in.mu.Lock()
		in.spare = nil
		in.mu.Unlock()
	}
}

// waiting reports that there are tasks.
func (in *inbox) waiting() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.items) > 0
}

// sleep announces that the loop is about to wait; false if there is work.
func (in *inbox) sleep() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.items) > 0 || in.stopped {
		return false
	}
	in.sleeping = true
	return true
}

// stop refuses further tasks and lets waiting posters go.
func (in *inbox) stop() {
	in.mu.Lock()
	in.stopped = true
	if in.room != nil {
		close(in.room)
		in.room = nil
	}
	in.mu.Unlock()
}
