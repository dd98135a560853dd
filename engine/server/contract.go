package server

import (
	"context"
	"net"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/netio"
	"ramjet/proto/base/clock"
)

// CONTRACT: see engine/netio/contract.go for the rule.

// Env is what a server takes from outside; zero members get the real ones.
type Env struct {
	Clock   clock.Clock
	Logger  engine.Logger // default: built from the options
	Backend string        // netio backend override (simulation)
	Seed    uint64        // 0 = from crypto/rand
}

// Server is one NATS server: composition and life cycle.
type Server struct{}

func New(opts *config.Options, env Env) (*Server, error) { panic("contract") }

// Start binds listeners and returns when the server is ready for clients. Shutdown stops everything.
func (s *Server) Start() error                       { panic("contract") }
func (s *Server) Shutdown(ctx context.Context) error { panic("contract") }
func (s *Server) Wait()                              { panic("contract") } // until shut down

// Reload applies opts (all or nothing); ReloadFile reads the configuration file again.
func (s *Server) Reload(opts *config.Options) error { panic("contract") }
func (s *Server) ReloadFile() error                 { panic("contract") }

// LameDuck enters lame duck mode; ReopenLog reopens the log file.
func (s *Server) LameDuck()  { panic("contract") }
func (s *Server) ReopenLog() { panic("contract") }

// ClientURL, ID, Name, Addr describe the running server.
func (s *Server) ClientURL() string { panic("contract") }
func (s *Server) ID() string        { panic("contract") }
func (s *Server) Name() string      { panic("contract") }
func (s *Server) Addr() net.Addr    { panic("contract") }

// InProcessConn returns a client connection without a socket (nats.go option InProcessServer).
func (s *Server) InProcessConn() (net.Conn, error) { panic("contract") }

var _ = netio.ReasonUnknown
