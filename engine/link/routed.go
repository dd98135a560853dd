package link

import (
	"sync"
	"time"

	"ramjet/engine/dispatch"
)

// routedTTL is how long the answer to a request from another cluster finds its way by itself; the interest in the
// reply subject has arrived by then (reference/interserver.md, section 2.4).
const routedTTL = int64(2 * time.Second)

// maxRouted bounds the answers a connection is remembered to owe to other clusters. One that is forgotten is
// published like any other message.
const maxRouted = 1 << 16

// routedReplies are the reply subjects of requests from other clusters as they were before the client got to see them
// without the prefix that leads back. Any goroutine; mu is a leaf.
type routedReplies struct {
	mu      sync.Mutex
	pruned  int64
	entries map[string]routedReply // by plain subject
}

type routedReply struct {
	to    string
	until int64 // unix nanoseconds
}

// trackRouted remembers reply, which has the prefix, and returns it as the client gets it. Any goroutine.
func (c *Conn) trackRouted(reply []byte) []byte {
	plain := dispatch.Unrouted(reply)
	if len(plain) == len(reply) {
		return reply
	}
	r := c.routed.Load()
	if r == nil {
		r = &routedReplies{entries: make(map[string]routedReply)}
		if !c.routed.CompareAndSwap(nil, r) {
			r = c.routed.Load()
		}
	}
	now := c.env.Clock.Now().UnixNano()
	r.mu.Lock()
	r.prune(now)
	if len(r.entries) < maxRouted {
		to := string(reply)
		r.entries[to[len(reply)-len(plain):]] = routedReply{to, now + routedTTL}
	}
	r.mu.Unlock()
	return plain
}

// prune removes expired entries, at most once a second. Requires mu.
func (r *routedReplies) prune(now int64) {
	if now-r.pruned < int64(time.Second) {
		return
	}
	r.pruned = now
	for k, e := range r.entries {
		if e.until <= now {
			delete(r.entries, k)
		}
	}
}

// Routed returns the subject to which the client's message to subject is published: with the prefix that leads to
// another cluster when it answers a request from there, else subject itself. Loop.
func (c *Conn) Routed(subject []byte) []byte {
	r := c.routed.Load()
	if r == nil {
		return subject
	}
	return c.findRouted(r, subject)
}

func (c *Conn) findRouted(r *routedReplies, subject []byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.entries) == 0 {
		return subject
	}
	now := c.env.Clock.Now().UnixNano()
	r.prune(now)
	if e, ok := r.entries[string(subject)]; ok && e.until > now {
		return []byte(e.to)
	}
	return subject
}
