package link

import (
	"sync"
	"sync/atomic"
	"time"

	"ramjet/engine"
	"ramjet/engine/netio"
	"ramjet/proto/sysapi"
)

// shards of the registry: connections that come and go on different loops rarely meet.
const regShards = 32

// Registry holds the open connections by kind and the ring of closed ones. Any goroutine; every lock
// is a leaf and no callback runs under one.
type Registry struct {
	next   atomic.Uint64
	total  atomic.Uint64
	counts [engine.NumKinds]atomic.Int64
	shards [regShards]regShard

	mu     sync.Mutex
	max    int
	closed []closedConn // ring, oldest at head once full
	head   int
}

type regShard struct {
	mu    sync.RWMutex
	conns map[uint64]*Conn
	_     [32]byte
}

// NewRegistry keeps maxClosed closed connections.
func NewRegistry(maxClosed int) *Registry {
	r := &Registry{max: max(0, maxClosed)}
	for i := range r.shards {
		r.shards[i].conns = make(map[uint64]*Conn)
	}
	return r
}

// NextID returns the next connection id; the first is 1.
func (r *Registry) NextID() uint64 { return r.next.Add(1) }

func (r *Registry) shard(id uint64) *regShard { return &r.shards[id%regShards] }

// Add registers c; false, and not registered, when limit (0 = none, negative = nobody) connections
// of its kind are open already. Owning loop of c.
func (r *Registry) Add(c *Conn, limit int) bool {
	n := r.counts[c.kind].Add(1)
	if limit < 0 || (limit > 0 && n > int64(limit)) {
		r.counts[c.kind].Add(-1)
		return false
	}
	r.total.Add(1)
	c.flags.Or(flagRegistered)
	s := r.shard(c.id)
	s.mu.Lock()
	s.conns[c.id] = c
	s.mu.Unlock()
	return true
}

// remove takes c out and remembers it among the closed.
func (r *Registry) remove(c *Conn, why netio.Reason, now time.Time) {
	c.flags.And(^flagRegistered)
	s := r.shard(c.id)
	s.mu.Lock()
	delete(s.conns, c.id)
	if len(s.conns) == 0 {
		s.conns = make(map[uint64]*Conn) // maps do not shrink: a storm of connections leaves nothing
	}
	s.mu.Unlock()
	r.counts[c.kind].Add(-1)
	if c.kind == engine.Client || c.kind == engine.Leaf {
		r.Remember(c, why, now)
	}
}

// Remember adds c to the closed connections (also one that was refused before it was registered).
func (r *Registry) Remember(c *Conn, why netio.Reason, now time.Time) {
	if r.max == 0 {
		return
	}
	e := compact(c, why, now)
	r.mu.Lock()
	if len(r.closed) < r.max {
		r.closed = append(r.closed, e)
	} else {
		r.closed[r.head] = e
		r.head = (r.head + 1) % r.max
	}
	r.mu.Unlock()
}

// Get returns the open connection with the given id, nil if there is none.
func (r *Registry) Get(id uint64) *Conn {
	s := r.shard(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.conns[id]
}

// Range calls fn for each open connection of kind k until it returns false. It sees every connection
// that is open during the whole call.
func (r *Registry) Range(k engine.Kind, fn func(*Conn) bool) {
	var batch []*Conn
	for i := range r.shards {
		s := &r.shards[i]
		batch = batch[:0]
		s.mu.RLock()
		for _, c := range s.conns {
			if c.kind == k {
				batch = append(batch, c)
			}
		}
		s.mu.RUnlock()
		for _, c := range batch {
			if !fn(c) {
				return
			}
		}
	}
}

// Count returns the open connections of kind k.
func (r *Registry) Count(k engine.Kind) int { return int(r.counts[k].Load()) }

// Total returns the connections since start.
func (r *Registry) Total() uint64 { return r.total.Load() }

// NumClosed returns how many closed connections are remembered.
func (r *Registry) NumClosed() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.closed)
}

// Closed calls fn for each remembered closed connection, oldest first, until it returns false. info
// belongs to fn.
func (r *Registry) Closed(fn func(info *sysapi.ConnInfo, account string) bool) {
	r.mu.Lock()
	all := make([]closedConn, 0, len(r.closed))
	all = append(all, r.closed[r.head:]...)
	all = append(all, r.closed[:r.head]...)
	r.mu.Unlock()
	for i := range all {
		info, acct := all[i].expand()
		if !fn(info, acct) {
			return
		}
	}
}
