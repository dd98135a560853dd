package auth

import "sync"

// maxJobs bounds the attempts waiting in one queue. Beyond it an attempt is denied: it would not be
// served before its authentication timeout, and a client tries again.
const maxJobs = 16384

// submitter is the part of netio.Pool used here.
type submitter interface{ Submit(fn func()) bool }

// queue runs jobs in order on at most width workers borrowed from the blocking pool, so that slow
// authentication cannot take all of it. A worker returns to the pool when the queue is empty.
// Any goroutine; mu is a leaf.
type queue struct {
	width   int
	mu      sync.Mutex
	jobs    []func()
	head    int
	workers int
}

// submit queues job; false when limit jobs wait already. Never blocks.
func (q *queue) submit(pool submitter, job func(), limit int) bool {
	q.mu.Lock()
	if len(q.jobs)-q.head >= limit {
		q.mu.Unlock()
		return false
	}
	q.jobs = append(q.jobs, job)
	start := q.workers < q.width
	if start {
		q.workers++
	}
	q.mu.Unlock()
	if start && !pool.Submit(q.run) {
		q.refused()
	}
	return true
}

// refused handles a pool that is full or stopped. Another worker will come to the job; the last one
// is replaced by a goroutine of its own, so that a job never waits for a worker that does not exist.
func (q *queue) refused() {
	q.mu.Lock()
	last := q.workers == 1
	if !last {
		q.workers--
	}
	q.mu.Unlock()
	if last {
		go q.run()
	}
}

// run is a worker.
func (q *queue) run() {
	for {
		q.mu.Lock()
		if q.head == len(q.jobs) {
			q.jobs, q.head = nil, 0
			q.workers--
			q.mu.Unlock()
			return
		}
		job := q.jobs[q.head]
		q.jobs[q.head] = nil
		if q.head++; q.head >= 1024 && 2*q.head >= len(q.jobs) {
			q.jobs = append(q.jobs[:0], q.jobs[q.head:]...)
			q.head = 0
		}
		q.mu.Unlock()
		job()
	}
}
