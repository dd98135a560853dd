package server

import (
	"context"
	"time"

	"ramjet/engine"
)

// How long the end may take: writing out what clients still have to get, and the last log lines.
const (
	stopTimeout     = 10 * time.Second
	logFlushTimeout = 2 * time.Second
)

// stop ends everything. Control, once.
func (s *Server) stop() {
	before := state(s.state.Swap(int32(stateStopping)))
	s.ctl.stop()
	served := before == stateRunning || before == stateLameDuck
	if served { // else the reason was logged as fatal
		s.log.Logf(engine.Info, "", "Initiating Shutdown...")
	}
	s.closeListeners()
	if s.routes != nil {
		s.routes.Stop()
	}
	s.stopGateways()
	s.stopMQTT()
	s.stopJetStream()
	s.resolver.Load().stopSync()
	if s.linkEnv.Load() != nil { // else it was never started
		s.sysacc.Stop()
	}
	if s.group != nil {
		ctx, cancel := s.withTimeout(stopTimeout)
		if err := s.group.Stop(ctx); err != nil {
			s.log.Logf(engine.Error, "RJ-S021", "Stopping the event loops: %v", err)
		}
		cancel()
	}
	s.stopOCSP()
	if s.monitor != nil {
		s.monitor.Close()
	}
	if s.profile != nil {
		s.profile.close()
	}
	if served {
		if err := removePortsFile(s.opts.Load().PortsFileDir); err != nil {
			s.log.Logf(engine.Error, "RJ-S022", "Removing the ports file: %v", err)
		}
		s.log.Logf(engine.Info, "", "Server Exiting..")
	}
	if s.ownLog != nil {
		s.ownLog.Close(logFlushTimeout)
	}
	s.state.Store(int32(stateStopped))
	close(s.done)
}

// withTimeout is context.WithTimeout on the server's clock.
func (s *Server) withTimeout(d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	t := s.clk.AfterFunc(d, cancel)
	return ctx, func() { t.Stop(); cancel() }
}
