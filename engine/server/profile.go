package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"time"

	"ramjet/engine"
	"ramjet/engine/config"
)

// profiler is the pprof HTTP server of prof_port.
type profiler struct {
	srv *http.Server
}

func (s *Server) startProfile(o *config.Options) error {
	if o.ProfPort == 0 {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", listenAddr(o.Host, o.ProfPort))
	if err != nil {
		return fmt.Errorf("error starting profiling: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	p := &profiler{srv: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}}
	s.profile = p
	runtime.SetBlockProfileRate(o.ProfBlockRate)
	a := *s.addrs.Load()
	a.profile = l.Addr()
	s.addrs.Store(&a)
	s.log.Logf(engine.Info, "", "profiling port: %d", portOf(a.profile, 0))
	go func() {
		if err := p.srv.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.log.Logf(engine.Error, "RJ-S019", "error serving the profiling port: %v", err)
		}
	}()
	return nil
}

func (p *profiler) close() { _ = p.srv.Close() }
