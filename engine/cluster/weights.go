package cluster

import (
	"sync"
	"time"

	"ramjet/engine/account"
	"ramjet/engine/interest"
)

// weightDelay is how long the loss of members of a queue group may wait for more, so that a connection that goes with
// many of them is one line and not many. New members, and that there are none any more, are told at once.
const weightDelay = 2 * time.Millisecond

// weights are the queue groups that a route has announced. mu is a leaf, taken below the lock of a part of a ledger.
type weights struct {
	mu      sync.Mutex
	told    map[weightKey]int32
	pending map[weightKey]func() // what tells the present weight
	armed   bool
}

type weightKey struct {
	account                *account.Account
	subject, queue, origin string
}

// defers reports whether the change is told later, by tell; then later has been called, which must arrange for flush to be
// called once. Any goroutine; changes of one key come one after the other.
func (w *weights) defers(a *account.Account, c *interest.Change, tell func(), later func()) bool {
	k := weightKey{a, c.Subject, c.Queue, c.Origin}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.told == nil {
		w.told, w.pending = map[weightKey]int32{}, map[weightKey]func(){}
	}
	before := w.told[k]
	if c.Weight == 0 {
		delete(w.told, k)
		delete(w.pending, k)
		return false
	}
	w.told[k] = c.Weight
	if c.Weight >= before {
		delete(w.pending, k)
		return false
	}
	w.pending[k] = tell
	if !w.armed {
		w.armed = true
		later()
	}
	return true
}

// flush tells what waits. Loop of the route.
func (w *weights) flush() {
	w.mu.Lock()
	defer w.mu.Unlock() // held while telling: a later change of the same key must not come before
	w.armed = false
	for k, tell := range w.pending {
		delete(w.pending, k)
		tell()
	}
}
