package link

import (
	"sync"
	"time"

	"ramjet/engine/config"
)

// maxReplies and pruneEvery say when expired reply permissions are looked for
// (reference/limits_and_defaults.md, tracked reply permissions).
const (
	maxReplies = 4096
	pruneEvery = int64(time.Second)
)

// Replies are the temporary publish permissions of allow_responses: the reply subjects of messages
// delivered to the connection. Any goroutine; mu is a leaf.
type Replies struct {
	mu      sync.Mutex
	max     int   // messages per reply, -1 = unlimited
	ttl     int64 // nanoseconds, negative = unlimited
	pruned  int64 // when expired ones were last removed
	entries map[string]replyPerm
}

type replyPerm struct {
	until int64 // unix nanoseconds, 0 = never
	used  int
}

// newReplies returns an empty table for r (0 keeps the default of one message and two minutes).
func newReplies(r *config.ResponsePerm) *Replies {
	p := &Replies{max: r.MaxMsgs, ttl: int64(r.Expires), entries: make(map[string]replyPerm)}
	if p.max == 0 {
		p.max = 1
	}
	if p.ttl == 0 {
		p.ttl = int64(2 * time.Minute)
	}
	return p
}

// Track allows publishing to reply from now (unix nanoseconds) on.
func (p *Replies) Track(reply []byte, now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.entries) >= maxReplies || (len(p.entries) > 0 && now-p.pruned >= pruneEvery) {
		p.prune(now)
	}
	if _, ok := p.entries[string(reply)]; !ok && len(p.entries) >= maxReplies {
		for k := range p.entries { // bounded: some unexpired one gives way
			delete(p.entries, k)
			break
		}
	}
	e := replyPerm{}
	if p.ttl > 0 {
		e.until = now + p.ttl
	}
	p.entries[string(reply)] = e
}

// prune removes expired entries; mu is held.
func (p *Replies) prune(now int64) {
	p.pruned = now
	for k, e := range p.entries {
		if e.until != 0 && now > e.until {
			delete(p.entries, k)
		}
	}
}

// Use reports whether publishing to subject is allowed now, and counts it.
func (p *Replies) Use(subject []byte, now int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.entries[string(subject)]
	if !ok {
		return false
	}
	if e.until != 0 && now > e.until {
		delete(p.entries, string(subject))
		return false
	}
	e.used++
	if p.max > 0 && e.used >= p.max {
		delete(p.entries, string(subject))
	} else {
		p.entries[string(subject)] = e
	}
	return true
}

// Replies returns the reply permissions, nil when the user has none. Any goroutine.
func (c *Conn) Replies() *Replies { return c.replies.Load() }

// TrackReplies starts or ends (nil) tracking for allow_responses. Loop.
func (c *Conn) TrackReplies(r *config.ResponsePerm) {
	if r == nil {
		c.flags.And(^flagReplies)
		c.replies.Store(nil)
		return
	}
	c.replies.Store(newReplies(r))
	c.flags.Or(flagReplies)
}
