package server

import (
	"errors"
	"sync"
)

// control runs tasks one at a time on one goroutine: the owner of everything that changes the server
// (options, accounts, listeners, topology). Tasks may wait; loops never wait for them.
type control struct {
	mu     sync.Mutex
	tasks  []func()
	closed bool
	wake   chan struct{} // capacity 1
	done   chan struct{}
}

var errStopped = errors.New("server is shut down")

func newControl() *control {
	c := &control{wake: make(chan struct{}, 1), done: make(chan struct{})}
	go c.run()
	return c
}

// post queues fn; false after stop. Any goroutine, also the control goroutine itself. The queue is
// bounded by its callers: signals, requests of operators, timers of the server.
func (c *control) post(fn func()) bool {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return false
	}
	c.tasks = append(c.tasks, fn)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return true
}

// call runs fn and returns its error. Never from the control goroutine or a loop.
func (c *control) call(fn func() error) error {
	res := make(chan error, 1)
	if !c.post(func() { res <- fn() }) {
		return errStopped
	}
	select {
	case err := <-res:
		return err
	case <-c.done:
		select {
		case err := <-res:
			return err
		default:
			return errStopped
		}
	}
}

// stop makes post refuse; queued tasks still run, then the goroutine ends.
func (c *control) stop() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *control) run() {
	defer close(c.done)
	for {
		c.mu.Lock()
		tasks, closed := c.tasks, c.closed
		c.tasks = nil
		c.mu.Unlock()
		for _, fn := range tasks {
			fn()
		}
		if len(tasks) == 0 {
			if closed {
				return
			}
			<-c.wake
		}
	}
}
