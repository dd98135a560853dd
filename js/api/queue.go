package api

import (
	"sync"

	"ramjet/proto/jsapi"
)

// infoShare is how many other requests workers take before one of the info queue has its turn.
const infoShare = 8

// task is a request that waits.
type task struct {
	req    *Request
	call   jsapi.APICall
	serial string // not empty: tasks of the same name run one after the other
	asset  string // not empty: it waits for detached tasks of the same name
	info   bool
	ready  bool // holds its serial name, though it waits
}

// taskQueue holds what waits, in two lanes: info requests yield to the others. Any goroutine.
type taskQueue struct {
	mu      sync.Mutex
	some    sync.Cond
	others  lane
	infos   lane
	parked  map[string][]task // by serial name in use, what waits behind its holder; all of them are of others
	held    map[string][]task // by asset of a detached task, what waits behind it; likewise
	behind  int               // how many are parked or held
	turns   int               // of others since the last info
	running int
	closed  bool
}

func newTaskQueue() *taskQueue {
	q := &taskQueue{parked: make(map[string][]task), held: make(map[string][]task)}
	q.some.L = &q.mu
	return q
}

// push adds t. If that fills its lane (limit tasks; 0 no limit), everything that waits in it is dropped and the number returned.
func (q *taskQueue) push(t task, limit int) (dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0
	}
	l := &q.others
	n := l.len() + q.behind + 1
	if t.info {
		l = &q.infos
		n = l.len() + 1
	}
	if limit <= 0 || n < limit {
		l.push(t)
		q.some.Signal()
		return 0
	}
	if !t.info {
		for name := range q.parked {
			q.parked[name] = nil
		}
		for name := range q.held {
			q.held[name] = nil
		}
		q.behind = 0
		for !l.empty() {
			if w := l.pop(); w.ready {
				delete(q.parked, w.serial)
			}
		}
	}
	*l = lane{}
	return n
}

// next waits for a task that may run; false if the queue is closed. done must follow.
func (q *taskQueue) next() (task, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed {
		t, ok := q.pop()
		if !ok {
			q.some.Wait()
			continue
		}
		if waiting, held := q.held[t.asset]; held && t.asset != "" {
			if t.ready {
				t.ready = false
				q.leave(t.serial)
			}
			q.held[t.asset] = append(waiting, t)
			q.behind++
			continue
		}
		if t.serial != "" && !t.ready {
			waiting, held := q.parked[t.serial]
			if held {
				q.parked[t.serial] = append(waiting, t)
				q.behind++
				continue
			}
			q.parked[t.serial] = nil
		}
		q.running++
		return t, true
	}
	return task{}, false
}

func (q *taskQueue) pop() (task, bool) {
	switch {
	case !q.others.empty() && (q.turns < infoShare || q.infos.empty()):
		q.turns++
		return q.others.pop(), true
	case !q.infos.empty():
		q.turns = 0
		return q.infos.pop(), true
	}
	return task{}, false
}

// done ends a task of next.
func (q *taskQueue) done(t task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running--
	q.leave(t.serial)
}

// detach lets the tasks of the same serial name go on, but for those about the same asset, which wait until finished.
func (q *taskQueue) detach(t task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held[t.asset] = nil
	q.leave(t.serial)
}

// finished ends a task that was detached. What waited for it goes to the end of the lane.
func (q *taskQueue) finished(t task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running--
	waiting := q.held[t.asset]
	delete(q.held, t.asset)
	for _, n := range waiting {
		q.behind--
		q.others.push(n)
		q.some.Signal()
	}
}

// leave gives a serial name up. The first that was parked behind it goes to the end of the lane, so that one busy account does not keep a worker
// for itself. Requires: mu.
func (q *taskQueue) leave(serial string) {
	if serial == "" {
		return
	}
	waiting := q.parked[serial]
	if len(waiting) == 0 {
		delete(q.parked, serial)
		return
	}
	n := waiting[0]
	waiting[0] = task{}
	q.parked[serial] = waiting[1:]
	q.behind--
	n.ready = true
	q.others.push(n)
	q.some.Signal()
}

// inflight returns how many tasks wait or run.
func (q *taskQueue) inflight() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.others.len() + q.behind + q.infos.len() + q.running
}

// close drops what waits and ends next.
func (q *taskQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.others, q.infos, q.behind = lane{}, lane{}, 0
	clear(q.parked)
	clear(q.held)
	q.some.Broadcast()
}

// lane is a FIFO.
type lane struct {
	tasks []task
	head  int
}

func (l *lane) len() int    { return len(l.tasks) - l.head }
func (l *lane) empty() bool { return l.len() == 0 }

func (l *lane) push(t task) {
	if l.head > 0 && l.head >= len(l.tasks)/2 && len(l.tasks) == cap(l.tasks) {
		n := copy(l.tasks, l.tasks[l.head:])
		clear(l.tasks[n:])
		l.tasks, l.head = l.tasks[:n], 0
	}
	l.tasks = append(l.tasks, t)
}

func (l *lane) pop() task {
	t := l.tasks[l.head]
	l.tasks[l.head] = task{}
	l.head++
	if l.head == len(l.tasks) {
		*l = lane{} // a burst leaves no memory behind
	}
	return t
}
