package netio

import (
	"sync"
	"sync/atomic"
	"time"

	"ramjet/proto/base/bufpool"
)

// What all slow consumers may hold together.
//
// The hard limit bounds what one connection holds, not what a thousand do. So connections with a hard limit that have much waiting for
// a full socket are listed, and when they hold more memory than reliefShare budgets, the one with the most is closed as if it were
// over its hard limit, then the next. Memory, not bytes: a payload that waits for many by reference is there once, and a fan-out to
// slow readers is no reason to close anybody.
const (
	largeBacklog = pressedSoft            // what waits for a listed connection, in bytes
	reliefShare  = 4                      // budgets that all listed ones may hold
	reliefEvery  = 100 * time.Millisecond // between two looks at what they hold
)

// relief is the list of a group. mu is taken below Outbox.mu to change the list, and above none.
type relief struct {
	mu     sync.Mutex
	listed map[*Outbox]struct{}
	bytes  atomic.Int64 // waiting for listed ones
	looked atomic.Int64 // when relieve looked last, nanoseconds since the group started
}

// list adds or removes o. Under o.mu.
func (r *relief) list(o *Outbox, on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !on {
		delete(r.listed, o)
		return
	}
	if r.listed == nil {
		r.listed = make(map[*Outbox]struct{})
	}
	r.listed[o] = struct{}{}
}

// overloaded reports that the listed connections have more waiting than they may hold; relieve tells whether it is memory. Any goroutine.
func (g *Group) overloaded() bool {
	n := g.budget.Load()
	return n > 0 && g.relief.bytes.Load() > reliefShare*n
}

// holding is what one listed connection holds.
type holding struct {
	o      *Outbox
	bytes  int64
	plain  int64 // memory of no frame
	frames []*bufpool.Frame
}

// holds returns what o holds; false if it is not slow any more or about to be closed.
func (o *Outbox) holds() (h holding, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.blocked || o.dead || o.refuse.Load() {
		return h, false
	}
	h.o, h.bytes = o, o.pend.Load()
	for _, l := range [...]*segList{&o.q, &o.wq} {
		for s := l.head; s != nil; s = s.next {
			if s.f == nil {
				h.plain += int64(len(s.b))
			} else if n := len(h.frames); n == 0 || h.frames[n-1] != s.f {
				h.frames = append(h.frames, s.f)
			}
		}
	}
	return h, true
}

// relieve closes the connections with the most waiting until the others hold no more than they may. Any goroutine, without Outbox.mu.
func (g *Group) relieve() {
	now := int64(g.time().Sub(g.base))
	if last := g.relief.looked.Load(); now-last < int64(reliefEvery) || !g.relief.looked.CompareAndSwap(last, now) {
		return
	}
	r := &g.relief
	r.mu.Lock()
	all := make([]*Outbox, 0, len(r.listed))
	for o := range r.listed {
		all = append(all, o)
	}
	r.mu.Unlock()

	var held []holding
	uses := make(map[*bufpool.Frame]int)
	memory := int64(0)
	for _, o := range all {
		h, ok := o.holds()
		if !ok {
			continue
		}
		held = append(held, h)
		memory += h.plain
		for _, f := range h.frames {
			if uses[f]++; uses[f] == 1 {
				memory += int64(f.Size())
			}
		}
	}
	for limit := reliefShare * g.budget.Load(); limit > 0 && memory > limit && len(held) > 0; {
		worst := 0
		for i := range held {
			if held[i].bytes > held[worst].bytes {
				worst = i
			}
		}
		h := held[worst]
		held[worst] = held[len(held)-1]
		held = held[:len(held)-1]
		h.o.c.Abort(ReasonSlowPending)
		memory -= h.plain
		for _, f := range h.frames {
			if uses[f]--; uses[f] == 0 {
				memory -= int64(f.Size())
			}
		}
	}
}
