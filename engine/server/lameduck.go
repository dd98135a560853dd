package server

import "ramjet/engine"

// lameDuck stops accepting clients and sends the connected ones away (reference/protocol.md, section
// 15). Control.
func (s *Server) lameDuck() {
	if !s.state.CompareAndSwap(int32(stateRunning), int32(stateLameDuck)) {
		return
	}
	o := s.opts.Load()
	s.log.Logf(engine.Info, "", "Entering lame duck mode, stop accepting new clients")
	s.closeListeners(clusterListener, gatewayListener)
	s.leafs.LameDuck()
	s.updateInfo() // ldm is set from here on
	s.sysacc.LameDuck()
	if s.mqtt != nil {
		s.mqtt.LameDuck()
	}
	if s.routes != nil {
		s.routes.LameDuck()
	}
	shutdown := func() { s.stopOnce.Do(func() { s.ctl.post(s.stop) }) }
	if s.registry.Count(engine.Client)+s.registry.Count(engine.Leaf) == 0 {
		shutdown()
		return
	}
	s.clients.LameDuck(o.LameDuckGrace, o.LameDuckDuration, shutdown)
}
