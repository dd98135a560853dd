package gateway

import (
	"net/url"
	"sync"
	"sync/atomic"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/dispatch"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/sysapi"
	"ramjet/proto/wire"
)

// Conn is a connection from or to a server of another cluster. What no comment says otherwise of belongs to the loop.
type Conn struct {
	link.Conn
	svc    *Service
	remote *remote  // where an outbound connection leads; nil: inbound
	url    *url.URL // that was dialed
	stage  stage
	claim  string // cluster that CONNECT names

	peer atomic.Pointer[peer] // nil before the handshake is over

	// Outbound: what the other cluster is interested in (modes.go).
	mu       sync.RWMutex
	accounts map[string]*interestOf
	optimism atomic.Int32 // accounts with optimistic interest
	known    atomic.Int32 // subscriptions of the other cluster

	// Inbound: what is announced (announce.go); mu guards feeds too.
	feeds   map[string]*feed
	gone    bool
	last    *account.Account    // of the last message
	unknown map[string]struct{} // accounts it was told are not known here
}

// peer is who the other side is: immutable.
type peer struct {
	cluster      string
	id, server   string
	interestOnly bool // it tells all interest, so nothing is sent on suspicion
	traces       bool // it understands traced messages
}

// stage of the handshake.
type stage uint8

const (
	opening   stage = iota // TLS; outbound: waiting for INFO
	greeting               // inbound: INFO sent, waiting for CONNECT
	checking               // inbound: credentials are being checked
	connected              // inbound: waiting for INFO
	ready
)

// outbound reports that this server dialed.
func (c *Conn) outbound() bool { return c.remote != nil }

// OnOp implements link.Protocol.
func (c *Conn) OnOp(op *wire.Op) error {
	if c.Lane().Trace {
		c.traceIn(op)
	}
	switch op.Kind {
	case wire.OpRMsg:
		if c.outbound() || c.stage != ready {
			return c.violation("message")
		}
		return c.onMsg(op)
	case wire.OpRSub, wire.OpRUnsub, wire.OpASub, wire.OpAUnsub:
		if !c.outbound() || c.stage != ready {
			return c.violation("interest")
		}
		c.onInterest(op)
	case wire.OpPing:
		c.Send(pong)
		if c.Lane().Trace {
			c.Logf(engine.Trace, "", "->> [PONG]")
		}
	case wire.OpPong:
		c.Pong()
	case wire.OpInfo:
		return c.onInfo(op.Arg)
	case wire.OpConnect:
		return c.onConnect(op.Arg)
	case wire.OpErr:
		c.Logf(engine.Error, "RJ-G002", "Gateway Error %s", link.Quote(string(op.Arg)))
		c.CloseErr("", netio.ReasonParseError)
		return link.ErrClosed
	}
	return nil
}

var pong = []byte(wire.Pong)

// violation closes for an operation that has no place on this side of a connection, or comes too early.
func (c *Conn) violation(what string) error {
	side := "inbound"
	if c.outbound() {
		side = "outbound"
	}
	c.Logf(engine.Error, "RJ-G003", "Received %s from gateway on %s connection", what, side)
	c.CloseErr("", netio.ReasonProtocolViolation)
	return link.ErrClosed
}

// OnPeerClose implements link.Protocol.
func (c *Conn) OnPeerClose(r netio.Reason) {
	if err := c.Net().Err(); r == netio.ReasonTLSHandshake && err != nil {
		c.Logf(engine.Error, "RJ-G018", "TLS gateway handshake error: %v", err)
	}
	c.svc.remove(c)
	c.stopFeeds()
	c.dropInterest()
	if !c.outbound() {
		return
	}
	if r == netio.ReasonTLSHandshake {
		c.svc.mu.Lock()
		c.remote.host = "" // it may have been the wrong one
		c.svc.mu.Unlock()
	}
	c.remote.again()
}

// Describe implements link.Protocol.
func (c *Conn) Describe(i *sysapi.ConnInfo) { i.NumSubs = uint32(max(0, c.known.Load())) }

// traceIn logs an operation.
func (c *Conn) traceIn(op *wire.Op) {
	if op.Kind == wire.OpConnect {
		c.Logf(engine.Trace, "", "<<- [CONNECT]")
		return
	}
	c.Logf(engine.Trace, "", "<<- [%s]", op.Line)
	if op.Kind == wire.OpRMsg {
		c.TracePayload("<<-", op.Header, op.Payload)
	}
}

var (
	_ link.Protocol     = (*Conn)(nil)
	_ dispatch.LinkSink = (*Conn)(nil)
	_ dispatch.Ranked   = (*Conn)(nil)
)
