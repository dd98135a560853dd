package msgtab

import (
	"sync"

	"ramjet/proto/base/invariant"
)

// FrameSize is the size of a full-grown frame, the only one that a pool keeps.
const FrameSize = 64 << 10

// Pool keeps frames that streams do not need any more for those that grow: memory that is used again costs neither a collection nor
// page faults, which are half of what a message in memory costs otherwise. The zero value is ready; a nil pool keeps nothing.
//
// A frame is not given out again before Turn, because who read a message from it may hold its bytes until the turn ends.
// Put and Turn are for the owner, the shard; the rest is for any goroutine.
type Pool struct {
	mu      sync.Mutex // leaf
	free    [][]byte
	graves  [][]byte
	indexes []*Index // of tails, empty
	most    int      // frames that may be kept
	unused  int      // fewest that were free since the last Age
}

// NewPool returns a pool that keeps at most so many bytes.
func NewPool(bytes int) *Pool { return &Pool{most: bytes / FrameSize} }

// get returns an empty frame, nil if there is none.
func (p *Pool) get() []byte {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.free) - 1
	if n < 0 {
		return nil
	}
	b := p.free[n]
	p.free[n] = nil
	p.free = p.free[:n]
	p.unused = min(p.unused, n)
	return b
}

// put takes a frame that is in no segment any more.
func (p *Pool) put(b []byte) {
	if p == nil || cap(b) != FrameSize {
		return
	}
	p.mu.Lock()
	if len(p.free)+len(p.graves) < p.most {
		p.graves = append(p.graves, b[:0])
	}
	p.mu.Unlock()
}

// Turn says that nobody holds bytes of what was put before.
func (p *Pool) Turn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.graves) == 0 {
		return
	}
	for _, b := range p.graves {
		invariant.Mangle(b[:cap(b)])
	}
	p.free = append(p.free, p.graves...)
	clear(p.graves)
	p.graves = p.graves[:0]
}

// Age lets go of the frames that nobody needed since the last call, and of the indexes, and returns the bytes of the frames.
func (p *Pool) Age() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.indexes)
	p.indexes = p.indexes[:0]
	n := min(p.unused, len(p.free))
	keep := len(p.free) - n
	copy(p.free, p.free[n:])
	clear(p.free[keep:])
	if p.free = p.free[:keep]; keep == 0 {
		p.free = nil
	}
	p.unused = keep
	return n * FrameSize
}

// keepIndexes is how many indexes of tails wait for the next ones; each may have grown to 512 KiB.
const keepIndexes = 4

// index returns an empty index.
func (p *Pool) index() *Index {
	if p == nil {
		return &Index{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.indexes) - 1
	if n < 0 {
		return &Index{}
	}
	x := p.indexes[n]
	p.indexes[n] = nil
	p.indexes = p.indexes[:n]
	return x
}

// putIndex takes the index of a tail that was sealed.
func (p *Pool) putIndex(x *Index) {
	if p == nil {
		return
	}
	x.reset()
	p.mu.Lock()
	if len(p.indexes) < keepIndexes {
		p.indexes = append(p.indexes, x)
	}
	p.mu.Unlock()
}

// Bytes returns what the frames take that the pool holds.
func (p *Pool) Bytes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return (len(p.free) + len(p.graves)) * FrameSize
}
