//go:build invariants

package bufpool

import (
	"testing"

	"ramjet/proto/base/invariant"
)

func TestPoisonAfterRelease(t *testing.T) {
	f := Get(100)
	stale := f.B
	f.Release()
	if !invariant.Mangled(stale) {
		t.Error("released bytes are readable")
	}
	mustPanic(t, "double release of a pooled frame", f.Release)
	f.refs.Store(0)

	f = Get(100)
	stale = f.B
	f.Release()
	stale[1] = 1
	mustPanic(t, "write after release", func() {
		for range len(quarantine.ring) + 1 {
			Get(100).Release()
		}
	})
}
