//go:build invariants

package bufpool

import (
	"sync"

	"ramjet/proto/base/invariant"
)

// quarantine holds back released frames, so that a stale holder meets poison and a reference count
// of zero instead of somebody else's bytes.
var quarantine struct {
	sync.Mutex
	ring [256]*Frame
	next int
}

// recycle poisons the frame, and lets the one that has waited longest go back to its pool.
func recycle(f *Frame) {
	invariant.Mangle(f.buf)
	quarantine.Lock()
	old := quarantine.ring[quarantine.next]
	quarantine.ring[quarantine.next] = f
	quarantine.next = (quarantine.next + 1) % len(quarantine.ring)
	quarantine.Unlock()
	if old == nil {
		return
	}
	if old.refs.Load() != 0 || old.B != nil {
		panic("bufpool: frame used after its last Release")
	}
	if !invariant.Mangled(old.buf) {
		panic("bufpool: bytes written after the last Release")
	}
	if old.class != plain {
		pools[old.class].Put(old)
	}
}
