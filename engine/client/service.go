package client

import (
	"sync/atomic"

	"ramjet/engine"
	"ramjet/engine/auth"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/engine/netio"
)

// Service serves NATS clients: the accept functions of the client listener, of websocket (after the
// upgrade) and of in-process connections, and what reload and lame duck do to all clients.
type Service struct {
	env  *link.Env
	rate rateLimiter // TLS handshakes (connection_rate_limit)
	duck atomic.Bool // lame duck: nobody is let in any more
}

// New returns the service over env. Control.
func New(env *link.Env) *Service {
	env.Init()
	s := &Service{env: env}
	return s
}

// WSMeta is what the websocket upgrade learned.
type WSMeta struct {
	User, Pass, Token, JWT string // from cookies
	ForwardedFor           string
	TLSRequired            bool
}

// Accept is the netio.AcceptFunc of the TCP client listener (PROXY, TLS modes, INFO, CONNECT).
func (s *Service) Accept(c *netio.Conn) netio.Handler {
	return &s.accept(c, engine.Standard, auth.ClientListener).Conn
}

// AcceptPipe serves in-process connections.
func (s *Service) AcceptPipe(c *netio.Conn) netio.Handler {
	return &s.accept(c, engine.InProcess, auth.ClientListener).Conn
}

// AcceptWS is called by engine/ws after the 101 was queued and the frame stage pushed; the handler's
// OnOpen is called by the caller.
func (s *Service) AcceptWS(c *netio.Conn, m WSMeta) netio.Handler {
	p := s.accept(c, engine.Websocket, auth.WebsocketListener)
	p.ws = &m
	return &p.Conn
}

// accept makes the client of connection c. Loop.
func (s *Service) accept(c *netio.Conn, t engine.ConnType, l auth.Listener) *Client {
	p := &Client{svc: s, listener: l, mode: verbose | pedantic, maxSub: -1}
	p.Init(s.env, c, engine.Client, t, p)
	return p
}

// options returns the configuration in force.
func (s *Service) options() *config.Options { return s.env.Options() }

// rateLimiter counts events per second of the server's clock. Any goroutine.
type rateLimiter struct {
	window atomic.Int64 // unix second of count
	count  atomic.Int64

	rejected atomic.Int64 // since the last report
}

// reject counts a rejected event; true for the first since the last report.
func (r *rateLimiter) reject() bool { return r.rejected.Add(1) == 1 }

// allow reports whether one more event fits into the second now (unix nanoseconds), of limit.
func (r *rateLimiter) allow(now int64, limit int) bool {
	sec := now / 1e9
	if w := r.window.Load(); w != sec && r.window.CompareAndSwap(w, sec) {
		r.count.Store(0)
	}
	return r.count.Add(1) <= int64(limit)
}
