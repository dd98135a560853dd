package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/interest"
	"ramjet/proto/base/clock"
)

// recentFor is how long a subscription counts as recent: until then other clusters may not have heard of it
// (reference/interserver.md, section 2.4).
const recentFor = 2 * time.Second

// recents knows the subscriptions made here a moment ago, by account. Any goroutine.
type recents struct {
	clock clock.Clock
	sets  atomic.Pointer[[]*recentSet] // by account id; immutable

	mu      sync.Mutex // leaf, but for the locks of an index
	queue   []recentSub
	head    int
	armed   bool
	timer   clock.Timer
	stopped bool
}

// recentSet is those of one account.
type recentSet struct {
	n     atomic.Int64
	index *interest.Index
}

type recentSub struct {
	set *recentSet
	sub *interest.Sub
	at  int64 // unix nanoseconds
}

// recentSink stands for a subscriber; nothing is delivered to it.
type recentSink struct{}

func (recentSink) Deliver(engine.LoopID, *engine.Msg, *interest.Sub) engine.Verdict {
	return engine.Refused
}
func (recentSink) Kind() engine.Kind { return engine.Client }
func (recentSink) ID() uint64        { return 0 }

// watch begins to note the subscriptions of an account. Control.
func (r *recents) watch(a *account.Account) (stop func()) {
	set := &recentSet{index: interest.NewIndex()}
	var all []*recentSet
	if p := r.sets.Load(); p != nil {
		all = append(all, *p...)
	}
	id := int(a.Ref().ID)
	for len(all) <= id {
		all = append(all, nil)
	}
	all[id] = set
	r.sets.Store(&all)
	return a.Index().Watch(func(s *interest.Sub, added bool) {
		if added && ownKinds>>s.Kind()&1 != 0 {
			r.note(set, s)
		}
	})
}

// ownKinds are the kinds of subscriptions that this server is asked for, not another one.
const ownKinds = 1<<engine.Client | 1<<engine.System | 1<<engine.JetStream | 1<<engine.Account | 1<<engine.Leaf | 1<<engine.Import

// note remembers a subscription for a while.
func (r *recents) note(set *recentSet, s *interest.Sub) {
	c := interest.NewSub([]byte(s.Subject()), nil, nil, 1, recentSink{})
	if set.index.Insert(c) != nil {
		return
	}
	set.n.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = append(r.queue, recentSub{set, c, r.clock.Now().UnixNano()})
	if !r.armed && !r.stopped {
		r.armed = true
		r.timer = r.clock.AfterFunc(recentFor, r.expire)
	}
}

// expire forgets what is not recent any more.
func (r *recents) expire() {
	now := r.clock.Now().UnixNano()
	r.mu.Lock()
	due := r.head
	for due < len(r.queue) && now-r.queue[due].at >= int64(recentFor) {
		due++
	}
	old := append([]recentSub(nil), r.queue[r.head:due]...)
	clear(r.queue[r.head:due])
	switch r.head = due; {
	case r.head == len(r.queue):
		r.queue, r.head = nil, 0
	case 2*r.head >= len(r.queue):
		r.queue = append([]recentSub(nil), r.queue[r.head:]...)
		r.head = 0
	}
	r.armed = len(r.queue) > 0 && !r.stopped
	if r.armed {
		r.timer = r.clock.AfterFunc(time.Duration(r.queue[r.head].at+int64(recentFor)-now), r.expire)
	}
	r.mu.Unlock()
	for _, o := range old {
		o.set.index.Remove(o.sub)
		o.set.n.Add(-1)
	}
}

// has reports whether a recent subscription of an account matches subject. No allocation.
func (r *recents) has(account uint32, subject []byte) bool {
	p := r.sets.Load()
	if p == nil || int(account) >= len(*p) {
		return false
	}
	set := (*p)[account]
	return set != nil && set.n.Load() > 0 && set.index.HasInterest(subject)
}

// stop ends the timer.
func (r *recents) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	if r.timer != nil {
		r.timer.Stop()
	}
}
