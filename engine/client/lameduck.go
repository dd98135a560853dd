package client

import (
	"time"

	"ramjet/engine"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/base/rng"
)

// maxGap is the longest time between two closes of lame duck mode.
const maxGap = time.Second

// LameDuck closes all clients and leafnodes in random order over d (reason Server Shutdown), after grace; done is
// called, on some goroutine, when none is left. grace and d as configured: the closes are spread
// over what of d remains after grace.
func (s *Service) LameDuck(grace, d time.Duration, done func()) {
	s.duck.Store(true)
	grace = max(grace, -grace)
	s.BroadcastInfo()
	s.env.Clock.AfterFunc(grace, func() {
		var all []*link.Conn
		for _, k := range []engine.Kind{engine.Client, engine.Leaf} {
			s.env.Registry.Range(k, func(c *link.Conn) bool {
				all = append(all, c)
				return true
			})
		}
		r := rng.NewRandom()
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		q := &duckQueue{s: s, rnd: r, all: all, done: done, batch: 1}
		if n := len(all); n > 0 {
			q.gap = min(max(d-grace, 0)/time.Duration(n), maxGap)
			if q.gap < time.Millisecond {
				// More of them than milliseconds: close several at a time.
				q.gap = time.Millisecond
				q.batch = max(1, n/int(max(1, (d-grace)/time.Millisecond)))
			}
		}
		q.next()
	})
}

// duckQueue is the rest of the connections to close. Used by one timer callback after the other.
type duckQueue struct {
	s     *Service
	rnd   *rng.Source
	all   []*link.Conn
	gap   time.Duration
	batch int
	done  func()
}

// next closes the next batch and arms the timer for the one after it.
func (q *duckQueue) next() {
	n := min(q.batch, len(q.all))
	for _, c := range q.all[:n] {
		c.Net().Loop().Post(func() { c.CloseErr("", netio.ReasonServerShutdown) })
	}
	q.all = q.all[n:]
	if len(q.all) == 0 {
		q.done()
		return
	}
	wait := q.gap/2 + time.Duration(q.rnd.Intn(int(q.gap/2)+1))
	q.s.env.Clock.AfterFunc(wait, q.next)
}
