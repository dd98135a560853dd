package client

import (
	"time"

	"ramjet/engine/link"
	"ramjet/engine/netio"
)

// CONTRACT: see engine/netio/contract.go for the rule.

// Service serves NATS clients: the accept functions of the client listener, of websocket (after the
// upgrade) and of in-process connections, and what reload and lame duck do to all clients.
type Service struct{}

func New(env *link.Env) *Service { panic("contract") }

// Accept is the netio.AcceptFunc of the TCP client listener (PROXY, TLS modes, INFO, CONNECT).
func (s *Service) Accept(c *netio.Conn) netio.Handler { panic("contract") }

// AcceptPipe serves in-process connections.
func (s *Service) AcceptPipe(c *netio.Conn) netio.Handler { panic("contract") }

// WSMeta is what the websocket upgrade learned.
type WSMeta struct {
	User, Pass, Token, JWT string // from cookies
	ForwardedFor           string
	TLSRequired            bool
}

// AcceptWS is called by engine/ws after the 101 was queued and the frame stage pushed; the handler's
// OnOpen is called by the caller.
func (s *Service) AcceptWS(c *netio.Conn, m WSMeta) netio.Handler { panic("contract") }

// Recheck re-evaluates every client after a reload (epoch): identity, permissions, limits, paced.
func (s *Service) Recheck() { panic("contract") }

// BroadcastInfo sends the current INFO to clients with protocol >= 1 that had their first PONG.
func (s *Service) BroadcastInfo() { panic("contract") }

// LameDuck closes all clients in random order over d (reason Server Shutdown); done when none is left.
func (s *Service) LameDuck(grace, d time.Duration, done func()) { panic("contract") }
