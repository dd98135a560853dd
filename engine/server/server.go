package server

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/auth"
	"ramjet/engine/client"
	"ramjet/engine/cluster"
	"ramjet/engine/config"
	"ramjet/engine/dispatch"
	"ramjet/engine/gateway"
	"ramjet/engine/leaf"
	"ramjet/engine/link"
	"ramjet/engine/monitor"
	"ramjet/engine/mqtt"
	"ramjet/engine/netio"
	"ramjet/engine/ocsp"
	"ramjet/engine/sysacc"
	"ramjet/proto/base/clock"
	"ramjet/proto/wire"
)

// state is where a server is in its life.
type state int32

const (
	stateNew state = iota
	stateStarting
	stateRunning
	stateLameDuck
	stateStopping
	stateStopped
)

// Server is one NATS server: composition and life cycle.
type Server struct {
	env    Env
	clk    clock.Clock
	log    engine.Logger
	ownLog *Log // log, when built here; else nil
	identity

	state     atomic.Int32
	opts      atomic.Pointer[config.Options]
	auth      atomic.Pointer[auth.Authenticator]
	infos     atomic.Pointer[infoSet]
	addrs     atomic.Pointer[addresses]
	ocsp      atomic.Pointer[ocspSet]
	resolver  atomic.Pointer[resolver] // nil: not in operator mode
	confTime  atomic.Int64             // unix ns of the last configuration
	startTime time.Time

	ctl *control
	use usage

	// Set by New or Start, then constant.
	accounts *account.Registry
	registry *link.Registry
	router   *dispatch.Router
	group    *netio.Group
	ctxs     []*dispatch.Ctx // per loop
	linkEnv  atomic.Pointer[link.Env]
	clients  *client.Service
	leafs    *leaf.Service
	routes   *cluster.Service // nil: no cluster
	mqtt     *mqtt.Service    // nil: off
	pages    *monitor.Server  // what monitoring shows
	monitor  *monitor.Server  // pages, when they are served over HTTP
	sysacc   *sysacc.Service
	inboxes  *inboxes
	buses    *busHub                   // set by Start
	gateways *gateway.Service          // set by Start; nil: none
	js       atomic.Pointer[jetStream] // nil: off
	failed   atomic.Pointer[error]     // why the server ended by itself

	responders *ocsp.Responders
	ocspEvents ocsp.Events // to the system account

	// Owner: control goroutine.
	listeners map[string]*netio.Listener
	profile   *profiler
	warnings  []string // of the authenticator, to be logged at start

	stopOnce sync.Once
	done     chan struct{}
}

// New returns a server for opts, not yet started. opts is not modified; it must not be changed any more.
// An error says what is wrong with the options, or that the log cannot be opened.
func New(opts *config.Options, env Env) (*Server, error) {
	if opts == nil {
		opts = &config.Options{}
	}
	o := *opts
	config.Baseline(&o)
	if err := checkOptions(&o); err != nil {
		return nil, err
	}
	s := &Server{env: env, clk: env.Clock, log: env.Logger, listeners: map[string]*netio.Listener{}, done: make(chan struct{})}
	if s.clk == nil {
		s.clk = clock.System() // env.Clock stays nil: loops then use the runtime's timers directly
	}
	var err error
	if s.identity, err = newIdentity(env.Seed); err != nil {
		return nil, err
	}
	r, found, err := newResolver(&o, s.clk, s.disk())
	if err != nil {
		return nil, err
	}
	if s.accounts, err = account.NewRegistry(&o); err != nil {
		return nil, err
	}
	a, warnings, err := auth.New(&o, s.accounts)
	if err != nil {
		return nil, err
	}
	a.UseClock(s.clk)
	s.auth.Store(a)
	s.warnings = append(found, warnings...)
	if s.log == nil {
		if s.ownLog, err = NewLog(&o.Log, s.clk); err != nil {
			return nil, err
		}
		s.log = s.ownLog
	}
	s.opts.Store(&o)
	s.addrs.Store(&addresses{})
	s.startTime = s.clk.Now()
	s.confTime.Store(s.startTime.UnixNano())
	s.registry = link.NewRegistry(o.MaxClosedClients)
	s.router = dispatch.NewRouter(s.accounts)
	s.responders = ocsp.NewResponders()
	s.pages = monitor.New(source{s})
	s.sysacc = s.newSysacc()
	s.inboxes = newInboxes(s)
	s.joinAccounts()
	s.useResolver(r)
	s.ctl = newControl()
	return s, nil
}

// checkOptions applies the rules that hold at start and at reload, and completes o with what operators
// say.
func checkOptions(o *config.Options) error {
	if err := account.ApplyOperator(o); err != nil {
		return err
	}
	if err := config.Validate(o); err != nil {
		return err
	}
	return config.Unsupported(o)
}

// Options returns the configuration in force. Not to be modified.
func (s *Server) Options() *config.Options { return s.opts.Load() }

// ID returns the public server key, new at each start.
func (s *Server) ID() string { return s.id }

// Name returns server_name, by default the id.
func (s *Server) Name() string {
	if n := s.opts.Load().ServerName; n != "" {
		return n
	}
	return s.id
}

// Addr returns the bound address of the client listener, nil before Start.
func (s *Server) Addr() net.Addr { return s.addrs.Load().client }

// ClientURL returns a URL that clients on this machine can connect to, "" before Start.
func (s *Server) ClientURL() string {
	a := s.addrs.Load().client
	if a == nil {
		return ""
	}
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "nats"
	if o := s.opts.Load(); o.TLS != nil && !o.AllowNonTLS {
		scheme = "tls"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// InProcessConn returns a client connection without a socket; nats.InProcessServer of nats.go takes the
// server as it is.
func (s *Server) InProcessConn() (net.Conn, error) {
	switch state(s.state.Load()) {
	case stateRunning:
		return s.group.Pipe(s.clients.AcceptPipe)
	case stateNew, stateStarting:
		return nil, errors.New("server is not started")
	}
	return nil, errStopped
}

// ReopenLog opens the log file again by its name, after it was moved away.
func (s *Server) ReopenLog() {
	if s.ownLog != nil {
		s.ownLog.Reopen()
	}
}

// Err returns why the server has ended by itself, nil if it was asked to. After Wait.
func (s *Server) Err() error {
	if e := s.failed.Load(); e != nil {
		return *e
	}
	return nil
}

// Wait returns when the server has shut down.
func (s *Server) Wait() { <-s.done }

// Shutdown stops accepting, closes every connection and returns when everything has ended or ctx is
// done. Any goroutine but a loop's; more than once is allowed.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopOnce.Do(func() { s.ctl.post(s.stop) })
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// LameDuck enters lame duck mode: no new clients, the connected ones are sent away over
// lame_duck_duration, then the server shuts down. Returns at once.
func (s *Server) LameDuck() { s.ctl.post(s.lameDuck) }

// InLameDuck reports whether lame duck mode was entered.
func (s *Server) InLameDuck() bool { return state(s.state.Load()) >= stateLameDuck }

// info returns the server-wide part of INFO for a listener. Any goroutine.
func (s *Server) info(l auth.Listener) wire.Info { return s.infos.Load().get(l) }

// Logger returns the server's logger.
func (s *Server) Logger() engine.Logger { return s.log }
