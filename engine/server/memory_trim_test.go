package server

import (
	"testing"

	"ramjet/proto/base/clock"
)

// TestTrimmer: two collections once it is calm after a burst, none in it, none without one.
func TestTrimmer(t *testing.T) {
	const mb = 1 << 20
	tr := &trimmer{}
	for i, step := range []struct {
		h    heapSample
		want trimAction
	}{
		{heapSample{cycles: 1, allocs: 2 * mb}, trimNothing},                    // start
		{heapSample{cycles: 1, allocs: 3 * mb}, trimNothing},                    // quiet
		{heapSample{cycles: 9, allocs: 900 * mb, live: 100 * mb}, trimNothing},  // burst
		{heapSample{cycles: 12, allocs: 950 * mb, live: 100 * mb}, trimNothing}, // and more of it
		{heapSample{cycles: 12, allocs: 951 * mb, live: 100 * mb}, trimCollect}, // calm
		{heapSample{cycles: 12, allocs: 951 * mb, live: 50 * mb}, trimRelease},
		{heapSample{cycles: 12, allocs: 952 * mb, live: 8 * mb}, trimNothing},
		{heapSample{cycles: 12, allocs: 953 * mb, live: 8 * mb}, trimNothing},    // a little more every time
		{heapSample{cycles: 12, allocs: 960 * mb, live: 800 * mb}, trimNothing},  // little beside what is live
		{heapSample{cycles: 12, allocs: 1151 * mb, live: 800 * mb}, trimNothing}, // much, but it goes on
		{heapSample{cycles: 12, allocs: 1152 * mb, live: 800 * mb}, trimCollect},
		{heapSample{cycles: 12, allocs: 1152 * mb, live: 800 * mb}, trimRelease},
		{heapSample{cycles: 12, allocs: 1152 * mb, live: 800 * mb}, trimNothing},
		{heapSample{cycles: 20, allocs: 1500 * mb, freed: 100 * mb, live: 800 * mb}, trimNothing}, // busy, little is freed
		{heapSample{cycles: 25, allocs: 1900 * mb, freed: 250 * mb, live: 800 * mb}, trimRelease}, // much is
		{heapSample{cycles: 31, allocs: 2300 * mb, freed: 260 * mb, live: 600 * mb}, trimNothing},
		// Not calm, but no collection comes: after three looks, and after three more.
		{heapSample{cycles: 31, allocs: 2305 * mb, freed: 260 * mb, live: 16 * mb}, trimNothing},
		{heapSample{cycles: 31, allocs: 2310 * mb, freed: 260 * mb, live: 16 * mb}, trimNothing},
		{heapSample{cycles: 31, allocs: 2315 * mb, freed: 260 * mb, live: 16 * mb}, trimCollect},
		{heapSample{cycles: 31, allocs: 2320 * mb, freed: 260 * mb, live: 16 * mb}, trimNothing},
		{heapSample{cycles: 31, allocs: 2325 * mb, freed: 260 * mb, live: 16 * mb}, trimNothing},
		{heapSample{cycles: 31, allocs: 2330 * mb, freed: 260 * mb, live: 16 * mb}, trimCollect},
		{heapSample{cycles: 32, allocs: 2332 * mb, freed: 260 * mb, live: 8 * mb}, trimNothing}, // one comes
		{heapSample{cycles: 32, allocs: 2332 * mb, freed: 260 * mb, live: 8 * mb}, trimCollect}, // calm: what came last is collected too
		{heapSample{cycles: 32, allocs: 2332 * mb, freed: 260 * mb, live: 8 * mb}, trimRelease},
		{heapSample{cycles: 32, allocs: 2332 * mb, freed: 260 * mb, live: 8 * mb}, trimNothing},
	} {
		if got := tr.next(step.h); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
}

// TestTrimmerReads: every figure exists in this runtime, and a look arms the next.
func TestTrimmerReads(t *testing.T) {
	tr := &trimmer{clk: clock.System()}
	if h := tr.read(); h.allocs == 0 {
		t.Errorf("%+v", h)
	}
	before := tr.read().allocs
	noteFreed(1 << 40)
	if tr.read().allocs < before+1<<40 {
		t.Error("what was freed does not count")
	}
	manual := clock.NewManual(clock.System().Now())
	tr = &trimmer{clk: manual}
	tr.arm()
	for i := range 3 {
		tr.last.allocs = 0
		manual.Advance(trimEvery)
		if tr.last.allocs == 0 {
			t.Fatalf("look %d did not happen", i)
		}
	}
}
