package server

import (
	"bytes"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"ramjet/engine/auth"
	"ramjet/engine/interest"
)

// minSample is the shortest time over which CPU use is computed; questions in between get the last figure.
const minSample = time.Second

// usage samples what the process takes from the machine.
type usage struct {
	mu   sync.Mutex // leaf
	at   time.Time
	cpu  time.Duration
	last float64
}

// read returns resident memory in bytes and CPU in percent of one core since the last sample. Any goroutine.
func (u *usage) read(now, start time.Time) (rss int64, percent float64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.at.IsZero() {
		u.at = start
	}
	if elapsed := now.Sub(u.at); elapsed >= minSample {
		cpu := processCPU()
		u.last = float64((cpu-u.cpu)*1000/elapsed) / 10
		u.at, u.cpu = now, cpu
	}
	return residentMemory(), u.last
}

func processCPU() time.Duration {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// residentMemory is the current resident set; where the system does not tell, the largest so far.
func residentMemory() int64 {
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := bytes.Fields(b); len(f) > 1 {
			if pages, err := strconv.ParseInt(string(f[1]), 10, 64); err == nil {
				return pages * int64(os.Getpagesize())
			}
		}
	}
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return int64(r.Maxrss) << 10
}

func (v source) Now() time.Time { return v.s.clk.Now() }

func (v source) Usage() (rss int64, cpu float64) { return v.s.use.read(v.s.clk.Now(), v.s.startTime) }

func (v source) AuthRequired() bool { return v.s.auth.Load().Required(auth.ClientListener) }

// CacheStats sums the match caches of the loops.
func (v source) CacheStats() interest.Stats {
	var total interest.Stats
	if v.s.linkEnv.Load() == nil {
		return total // not started: ctxs is still being built
	}
	for _, c := range v.s.ctxs {
		total.Add(c.Cache.Stats())
	}
	return total
}
