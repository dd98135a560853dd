package server

import (
	"errors"
	"fmt"
	"runtime"

	"ramjet/engine"
	"ramjet/engine/client"
	"ramjet/engine/config"
	"ramjet/engine/dispatch"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/engine/ws"
)

// Start binds the listeners and returns when the server is ready for clients. An error was logged as
// fatal already, and the server is shut down.
func (s *Server) Start() error {
	if !s.state.CompareAndSwap(int32(stateNew), int32(stateStarting)) {
		return errors.New("server was started before")
	}
	err := s.ctl.call(s.start)
	if err != nil {
		s.stopOnce.Do(func() { s.ctl.post(s.stop) })
		<-s.done
	}
	return err
}

// start is Start on the control goroutine.
func (s *Server) start() error {
	o := s.opts.Load()
	s.logHead(o)
	if err := writePidFile(o.PidFile); err != nil {
		return s.logFatal("RJ-S010", err)
	}
	o, err := s.startOCSP(o)
	if err != nil {
		return s.logFatal("RJ-S051", err)
	}
	s.opts.Store(o)
	if err := s.startLoops(o); err != nil {
		return s.logFatal("RJ-S011", err)
	}
	if err := s.startProfile(o); err != nil {
		return s.logFatal("RJ-S012", err)
	}
	s.updateInfo()
	if err := s.startMonitor(o); err != nil {
		return s.logFatal("RJ-S013", err)
	}
	if err := lonelyJetStream(o); err != nil {
		return s.logFatal("RJ-S062", err)
	}
	if err := s.startJetStream(o, true); err != nil {
		return s.logFatal("RJ-S062", err)
	}
	if err := s.awaitJetStream(); err != nil {
		return s.logFatal("RJ-S062", err)
	}
	if err := s.startListeners(o); err != nil {
		return s.logFatal("RJ-S014", err)
	}
	s.state.Store(int32(stateRunning))
	s.resolver.Load().startSync()
	s.log.Logf(engine.Info, "", "Server is ready")
	if err := writePortsFile(o.PortsFileDir, s.ports()); err != nil {
		s.log.Logf(engine.Error, "RJ-S015", "%s", err.Error())
	}
	return nil
}

// logHead writes the lines that say who starts.
func (s *Server) logHead(o *config.Options) {
	git := gitCommit
	if git == "" {
		git = "not set"
	}
	info := func(format string, args ...any) { s.log.Logf(engine.Info, "", format, args...) }
	info("Starting %s", programName)
	info("  Version:  %s (NATS %s)", Version, NATSVersion)
	info("  Git:      [%s]", git)
	info("  Name:     %s", s.Name())
	info("  ID:       %s", s.id)
	for _, w := range s.env.Warnings {
		s.log.Logf(engine.Warn, "RJ-S016", "%s", w)
	}
	for _, w := range s.warnings {
		s.log.Logf(engine.Warn, "RJ-S017", "%s", w)
	}
	s.warnings = nil
	s.warnAccounts()
	if o.File != "" {
		info("Using configuration file: %s (%s)", o.File, o.Digest)
	}
	if s.log.Enabled(engine.Debug) {
		s.log.Logf(engine.Debug, "", "Built with %s, %d processors, %s", runtime.Version(), runtime.GOMAXPROCS(0), runtime.GOOS+"/"+runtime.GOARCH)
	}
}

// warnAccounts logs what an operator should know about the accounts of the configuration. Control.
func (s *Server) warnAccounts() {
	for _, w := range s.accounts.Warnings() {
		s.log.Logf(engine.Warn, "RJ-S045", "%s", w)
	}
}

// startLoops starts the event loops and the services on them.
func (s *Server) startLoops(o *config.Options) error {
	backend := s.env.Backend
	if backend == "" {
		backend = o.Reactor
	}
	g, err := netio.NewGroup(netio.Config{
		Backend: backend, Loops: o.Loops, Producers: jsShards(), Clock: s.env.Clock, Logger: s.log, Net: s.env.Net,
		TurnEnd: func(l *netio.Loop) {
			if e := s.linkEnv.Load(); e != nil {
				e.TurnEnd(l)
				s.buses.turnEnd(l.Index())
			}
		},
	})
	if err != nil {
		return fmt.Errorf("starting the event loops: %w", err)
	}
	s.group = g
	for i, l := range g.Loops() {
		ctx := dispatch.NewCtx(l.Index(), s.seed+uint64(i)*0x9e3779b97f4a7c15)
		ctx.NoStall = o.NoFastProducerStall
		s.ctxs = append(s.ctxs, ctx)
	}
	env := &link.Env{
		Group:    g,
		Clock:    s.clk,
		Logger:   s.log,
		Options:  s.opts.Load,
		Auth:     s.auth.Load,
		Accounts: s.accounts,
		Router:   s.router,
		Registry: s.registry,
		Tracer:   s.tracer(),
		Ctx:      s.ctx,
		Info:     s.info,
		Events:   s.linkEvents(),
	}
	env.Init()
	s.buses = newBusHub(s, len(g.Loops()), jsShards())
	s.newGateways(env, o)
	s.linkEnv.Store(env)
	s.clients = client.New(env)
	s.newCluster(env, o)
	s.newMQTT(env, o)
	s.leafs = s.newLeafs(env)
	if err := s.sysacc.Start(); err != nil {
		return fmt.Errorf("starting the system account: %w", err)
	}
	return nil
}

// ctx returns the dispatch context of a loop. That loop.
func (s *Server) ctx(id engine.LoopID) *dispatch.Ctx {
	if id >= 0 && int(id) < len(s.ctxs) {
		return s.ctxs[id]
	}
	return nil
}

// startMonitor serves the monitoring endpoints; the monitor logs its addresses.
func (s *Server) startMonitor(o *config.Options) error {
	if o.HTTPPort == 0 && o.HTTPSPort == 0 {
		return nil
	}
	m := s.pages
	if err := m.Start(); err != nil {
		return fmt.Errorf("Can't start monitoring: %w", err) //lint:ignore ST1005 the text of nats-server
	}
	s.monitor = m
	a := *s.addrs.Load()
	a.http, a.https = m.Addrs()
	s.addrs.Store(&a)
	return nil
}

// startListeners binds all listeners first and lets them accept when every one is bound and INFO is known.
func (s *Server) startListeners(o *config.Options) error {
	a := *s.addrs.Load()
	if w := o.Websocket; w != nil && w.Port != 0 {
		acc := ws.New(s.opts.Load, s.log, func() bool { return s.mqtt != nil }, func(c *netio.Conn, m ws.Meta) netio.Handler {
			if m.Path == "mqtt" {
				return s.acceptMQTT(c, m)
			}
			if m.Path == "leafnode" {
				return s.leafs.AcceptWS(c, m.Compressed)
			}
			return s.clients.AcceptWS(c, client.WSMeta{User: m.User, Pass: m.Pass, Token: m.Token, JWT: m.JWT,
				ForwardedFor: m.ForwardedFor, TLSRequired: m.TLSRequired})
		})
		l, err := s.listen("websocket", w.Host, w.Port, acc.Accept)
		if err != nil {
			return err
		}
		a.ws = l.Addr()
		scheme := "ws"
		if w.TLS != nil {
			scheme = "wss"
		}
		s.log.Logf(engine.Info, "", "Listening for websocket clients on %s://%s", scheme, shownAddr(w.Host, a.ws))
		if w.TLS == nil {
			s.log.Logf(engine.Warn, "RJ-S018", "Websocket not configured with TLS. DO NOT USE IN PRODUCTION!")
		}
	}
	if err := s.listenCluster(o, &a); err != nil {
		return err
	}
	if err := s.listenMQTT(o, &a); err != nil {
		return err
	}
	if err := s.listenLeafs(o, &a); err != nil {
		return err
	}
	l, err := s.listen("client", o.Host, o.Port, s.clients.Accept)
	if err != nil {
		return err
	}
	a.client = l.Addr()
	if err := s.listenGateways(o, &a); err != nil {
		return err
	}
	s.addrs.Store(&a)
	s.updateInfo()
	s.log.Logf(engine.Info, "", "Listening for client connections on %s", shownAddr(o.Host, a.client))
	if o.TLS != nil {
		s.log.Logf(engine.Info, "", "TLS %s for client connections", map[bool]string{true: "available", false: "required"}[o.AllowNonTLS])
		if o.TLS.HandshakeFirst {
			s.log.Logf(engine.Info, "", "Clients that are not using \"TLS Handshake First\" option will fail to connect")
		}
	}
	s.startGateways(o, &a) // its address is part of what routes say
	for _, l := range s.listeners {
		l.Start()
	}
	s.startCluster(&a)
	s.leafs.SetRemotes(remotesOf(o))
	return nil
}
