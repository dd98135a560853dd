package server

import (
	"sync/atomic"
	"time"

	"ramjet/engine/trace"
	"ramjet/proto/base/rng"
)

// tracer returns what traces messages for their publishers.
func (s *Server) tracer() *trace.Tracer {
	var seed atomic.Uint64
	seed.Store(s.seed + 8)
	return &trace.Tracer{
		Now: func() time.Time { return s.clk.Now() }, Publish: s.sysacc.Traced, System: s.accounts.System, Logger: s.log,
		Random: func(n int) int { return rng.New(seed.Add(0x9e3779b97f4a7c15)).Intn(n) },
	}
}
