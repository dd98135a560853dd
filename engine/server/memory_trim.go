package server

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"ramjet/proto/base/clock"
)

// Giving memory back after a burst.
//
// A quiet server allocates nothing, so nothing starts the collector: what a storm of connections or a slow consumer
// left, idle pooled buffers above all, would stay until the runtime's forced collections, which come every two minutes
// and of which pools need two. So once it is calm, two collections follow a burst, and the pages go back to the system. A server
// that stays busy, but makes so little garbage that no collection comes, is not calm either: there they follow without calm, and
// the runtime returns the pages in its own time.
const (
	trimEvery = time.Second
	trimMin   = 4 << 20  // bytes allocated since the last collection by trim that are worth another
	trimCalm  = 1 << 20  // bytes allocated between two looks that still count as calm
	trimFreed = 16 << 20 // bytes freed at once that are collected without waiting for calm
	trimRuns  = 2        // a pool gives up what was idle during two collections
	trimWait  = 3        // looks without calm and without a collection after which one is due nevertheless
)

// trimAction is what trimmer decides.
type trimAction int

const (
	trimNothing trimAction = iota
	trimCollect
	trimRelease // collect, and return free pages to the system at once: the runtime's scavenger takes its time
)

// freed counts bytes that became garbage at once, such as a deleted stream in memory: no allocation says that they did.
var freed atomic.Uint64

// noteFreed makes the trimmer count n bytes as allocated, so that it collects them. Any goroutine.
func noteFreed(n int) { freed.Add(uint64(n)) }

// heapSample is what trimmer decides on.
type heapSample struct {
	cycles uint64 // collections since the start
	allocs uint64 // bytes allocated since the start, and freed
	freed  uint64 // bytes that are known to be garbage, since the start
	live   uint64 // bytes marked by the last collection
}

// trimmer decides when to collect. Its timer calls it, never two at a time.
type trimmer struct {
	clk    clock.Clock
	last   heapSample
	known  uint64 // freed when it was last collected
	base   uint64 // allocs when the last burst was dealt with
	left   int    // collections still due after a burst, once it is calm
	busy   int    // collections still due after a burst while it is not
	waited int    // looks since one of busy is due, or since the last one
	sample [3]metrics.Sample
}

// next looks at h. A collection since the last look, or much allocated, means that the runtime is busy: it is left alone, for a while.
func (t *trimmer) next(h heapSample) trimAction {
	calm := h.cycles == t.last.cycles && h.allocs-t.last.allocs <= trimCalm
	if t.waited++; t.busy == 0 || h.cycles != t.last.cycles {
		t.waited = 0
	}
	t.last = h
	if h.freed-t.known >= max(trimFreed, h.live/4) {
		t.known = h.freed // whoever is busy makes no garbage, so that no collection comes for it
		return trimRelease
	}
	if h.allocs-t.base >= max(trimMin, h.live/4) {
		t.base, t.left, t.busy = h.allocs, trimRuns, trimRuns
	}
	switch {
	case calm && t.left > 0:
		t.left--
		t.busy = 0
		if t.left == 0 {
			return trimRelease
		}
		return trimCollect
	case !calm && t.busy > 0 && t.waited >= trimWait:
		t.busy--
		t.waited = 0
		return trimCollect
	}
	return trimNothing
}

// arm looks again after trimEvery.
func (t *trimmer) arm() { t.clk.AfterFunc(trimEvery, t.look) }

func (t *trimmer) look() {
	switch t.next(t.read()) {
	case trimCollect:
		runtime.GC()
		t.last.cycles = t.read().cycles
	case trimRelease:
		debug.FreeOSMemory()
		t.last.cycles = t.read().cycles
	}
	t.arm()
}

func (t *trimmer) read() heapSample {
	for i, name := range [...]string{"/gc/cycles/total:gc-cycles", "/gc/heap/allocs:bytes", "/gc/heap/live:bytes"} {
		t.sample[i].Name = name
	}
	metrics.Read(t.sample[:])
	value := func(i int) uint64 {
		if t.sample[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return t.sample[i].Value.Uint64()
	}
	f := freed.Load()
	return heapSample{cycles: value(0), allocs: value(1) + f, freed: f, live: value(2)}
}
