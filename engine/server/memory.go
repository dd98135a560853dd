package server

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"

	"ramjet/proto/base/clock"
)

// Garbage collection policy.
//
// The message path allocates nothing, so a server's heap is what connections and subscriptions need, and
// the collector runs when those come and go. The runtime's default lets the heap grow by as much as is
// live (GOGC 100): right while the heap is small, but with a million subscriptions it means as much
// garbage as data. The extra memory that costs the least collector time overall grows with the square
// root of the live heap (Kirisame et al., Optimal Heap Limits for Reducing Browser Memory Use, OOPSLA
// 2022), so that is the rule: full growth up to gcKnee, from there on extra = sqrt(live * gcKnee), never
// less than gcFloor percent. At 128 MiB live that is 50 %, at 512 MiB and above 25 %.
const (
	gcKnee  = 32 << 20
	gcFloor = 25
	gcCeil  = 100
	gcStep  = 10 // percent points of change that are worth setting
)

// gcPercent returns GOGC for live bytes of heap.
func gcPercent(live uint64) int {
	if live <= gcKnee {
		return gcCeil
	}
	return max(int(gcCeil*math.Sqrt(gcKnee/float64(live))), gcFloor)
}

// TuneMemory installs the policy for this process, for the program's main: an embedding program decides
// for itself. GOGC and GOMEMLIMIT in the environment win. Under a cgroup memory limit, the runtime's soft
// limit becomes 90 % of it, so that the collector works harder before the kernel kills.
func TuneMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		if limit := cgroupLimit(); limit > 0 {
			debug.SetMemoryLimit(limit / 10 * 9)
		}
	}
	if os.Getenv("GOGC") == "" {
		armTuner(&gcTuner{percent: gcCeil})
		(&trimmer{clk: clock.System()}).arm()
	}
}

// gcTuner adjusts GOGC after each collection; it runs on the runtime's finalizer goroutine.
type gcTuner struct {
	percent int
	sample  [1]metrics.Sample
}

// sentinel is garbage as soon as it is made: its finalizer runs after the next collection.
type sentinel struct{ t *gcTuner }

func armTuner(t *gcTuner) {
	runtime.SetFinalizer(&sentinel{t}, func(s *sentinel) {
		s.t.adjust()
		armTuner(s.t)
	})
}

func (t *gcTuner) adjust() {
	t.sample[0].Name = "/gc/heap/live:bytes"
	metrics.Read(t.sample[:])
	if t.sample[0].Value.Kind() != metrics.KindUint64 {
		return
	}
	p := gcPercent(t.sample[0].Value.Uint64())
	if d := p - t.percent; d >= gcStep || d <= -gcStep || p == gcCeil && t.percent != gcCeil {
		t.percent = p
		debug.SetGCPercent(p)
	}
}

// cgroupLimit returns the memory limit of this process's control group, 0 if none is known.
func cgroupLimit() int64 {
	for _, name := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
		if err == nil && n > 0 && n < 1<<50 { // "max" and the huge default mean none
			return n
		}
	}
	return 0
}
