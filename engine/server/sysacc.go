package server

import (
	"ramjet/engine"
	"ramjet/engine/link"
	"ramjet/engine/sysacc"
)

// newSysacc returns the service of the system account; without one it has nothing to do.
func (s *Server) newSysacc() *sysacc.Service {
	v := source{s}
	return sysacc.New(sysacc.Port{
		ID: s.id, Version: NATSVersion, StartTime: s.startTime, Seed: s.seed,
		Clock: s.clk, Logger: s.log, Name: s.Name, Options: s.opts.Load,
		Accounts: s.accounts, Registry: s.registry, Router: s.router,
		Joined: s.joined, Shrink: s.shrinkAccount, Routes: s.routeStats, Cluster: s.clusterName, Gateways: s.gatewayStats,
		Counters: v.Counters, Usage: v.Usage, Pages: s.pages,
		JetStream: func() bool { return v.JetStream() != nil },
		Reload:    s.ReloadFile,
		Claims:    claims{s},
		Kick:      func(cid uint64) bool { return s.clients.Kick(cid) || s.leafs.Kick(cid) },
		LameDuck:  func(cid uint64) bool { return s.clients.LameDuckOne(cid) },
	})
}

// linkEvents is who hears of what happens to connections. The links write their log lines themselves.
func (s *Server) linkEvents() *link.Events {
	e := &link.Events{}
	s.sysacc.Hook(e)
	return e
}

// syncSysacc follows a reload of the accounts. Control.
func (s *Server) syncSysacc() {
	if err := s.sysacc.Sync(); err != nil {
		s.log.Logf(engine.Error, "RJ-S044", "System account: %v", err)
	}
}
