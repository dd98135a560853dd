package monitor

// CONTRACT: the port monitor reads the server through; engine/server implements it.

import (
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/link"
)

// Source is what the endpoints report about. Any goroutine; no method takes a data-path lock.
type Source interface {
	ID() string
	Name() string
	Version() string
	GitCommit() string
	StartTime() time.Time
	ConfigTime() time.Time
	Options() *config.Options
	Accounts() *account.Registry
	Registry() *link.Registry
	Counters() link.Counters
	Logger() engine.Logger
	// Ready says whether clients can be served; reasons when not (starting, lame duck, ...).
	Ready() (ok bool, reasons []string)
	// Listeners returns bound addresses by name: "client", "monitoring", "websocket", ... (host, port).
	Listeners() map[string]string
	// ConnectURLs as in INFO.
	ConnectURLs() (client, ws []string)
}

// Server is the monitoring HTTP server.
type Server struct{}

// New returns a server for src.
func New(src Source) *Server { panic("contract") }

// Start binds the HTTP and HTTPS ports of the options and serves. Addrs returns them. Close stops.
func (s *Server) Start() error                { panic("contract") }
func (s *Server) Addrs() (http, https string) { panic("contract") }
func (s *Server) Close()                      { panic("contract") }
