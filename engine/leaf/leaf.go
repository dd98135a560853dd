package leaf

import (
	"bytes"
	"strings"
	"sync/atomic"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/auth"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/sysapi"
	"ramjet/proto/wire"
)

// Leaf is one leafnode connection, accepted or solicited: link.Protocol and dispatch.LinkSink. Everything here
// belongs to the owning loop but what is said to be for any goroutine.
type Leaf struct {
	link.Conn
	comp link.Compression
	svc  *Service

	remote *Remote // what we solicited for; nil: accepted
	stage  stage
	nonce  string
	req    *auth.Request // accepted: what the peer presented; kept for reload
	gen    uint32        // of the authentication under way
	maxSub int           // -1 = none

	secured  bool              // the TLS handshake is over
	settled  bool              // compression is negotiated
	wsPacked bool              // websocket messages are compressed, so that S2 is not used
	first    *wire.LeafInfo    // solicited: INFO that waits for the TLS handshake
	connect  *wire.LeafConnect // accepted: CONNECT being judged
	unwanted []string          // accepted: what the peer does not want
	infoSent bool
	tlsFirst bool

	acct *account.Account
	stop func() // ends following the ledger

	// any goroutine
	peer  atomic.Pointer[peer]
	perms atomic.Pointer[perms]
}

// peer is who the other side is: immutable, set before the first subscription is made.
type peer struct {
	server, cluster, domain string
	account                 string // its name for the account
	spoke                   bool   // we are the spoke
	isolated                bool   // interest of other leafnodes is not announced to it
	headers                 bool   // it understands headers
	origin                  string // of its interest, for the ledger
	traces                  bool   // it knows about traced messages
}

// stage of the handshake.
type stage uint8

const (
	transport  stage = iota // TLS, websocket
	greeting                // accepted: waiting for CONNECT; solicited: for INFO
	connecting              // solicited: CONNECT is being made, or waits for its answer
	ready
)

// controlLineFactor is by how much more than of clients a control line may be.
const controlLineFactor = 16

// isSpoke reports whether we are the spoke of this connection. Any goroutine.
func (p *Leaf) isSpoke() bool {
	if q := p.peer.Load(); q != nil {
		return q.spoke
	}
	return false
}

// OnOp implements link.Protocol.
func (p *Leaf) OnOp(op *wire.Op) error {
	if p.Lane().Trace {
		p.traceIn(op)
	}
	switch op.Kind {
	case wire.OpRMsg:
		return p.onMsg(op)
	case wire.OpRSub:
		return p.onSub(op)
	case wire.OpRUnsub:
		return p.onUnsub(op)
	case wire.OpPing:
		p.Send(pongLine)
		if p.Lane().Trace {
			p.Logf(engine.Trace, "", "->> [PONG]")
		}
	case wire.OpPong:
		p.Pong()
		p.comp.Measured(&p.Conn)
	case wire.OpInfo:
		return p.onInfo(op)
	case wire.OpConnect:
		return p.onConnect(op)
	case wire.OpErr:
		return p.onErr(strings.Trim(string(op.Arg), "'"))
	case wire.OpOK:
	default:
		p.CloseErr(wire.TextUnknownOperation, netio.ReasonProtocolViolation)
		return link.ErrClosed
	}
	return nil
}

var pongLine = []byte(wire.Pong)

// outOfTurn closes a peer that speaks before it has an account.
func (p *Leaf) outOfTurn() error {
	p.CloseErr(wire.TextAuthorizationViolation, netio.ReasonProtocolViolation)
	return link.ErrClosed
}

// fail tells the peer, logs and closes.
func (p *Leaf) fail(id, text string, why netio.Reason) error {
	p.Logf(engine.Error, id, "%s", text)
	p.CloseErr(text, why)
	return link.ErrClosed
}

// OnSecured implements link.Protocol.
func (p *Leaf) OnSecured() {
	p.secured = true
	p.Logf(engine.Debug, "", "TLS handshake complete")
	if p.remote != nil {
		p.securedSpoke()
	} else {
		p.securedHub()
	}
}

// OnTimer implements link.Protocol.
func (p *Leaf) OnTimer(id uint8) {
	if id != link.TimerAuth {
		return
	}
	switch {
	case p.stage == ready:
		p.Expire()
	case p.remote == nil:
		p.Logf(engine.Debug, "", "Authentication Timeout")
		p.CloseErr(wire.TextAuthenticationTimeout, netio.ReasonAuthTimeout)
	case p.stage == connecting:
		p.Logf(engine.Debug, "", "%s", textStale)
		p.CloseErr(textStale, netio.ReasonStale)
	default:
		p.Logf(engine.Debug, "", "No INFO from the remote server in time")
		p.CloseErr("", netio.ReasonReadError)
	}
}

const textStale = "Stale Leaf Node Connection - Closing"

// OnPeerClose implements link.Protocol.
func (p *Leaf) OnPeerClose(r netio.Reason) {
	p.gen++
	if err := p.Net().Err(); r == netio.ReasonTLSHandshake && err != nil {
		p.Logf(engine.Error, "RJ-F022", "TLS leafnode handshake error: %v", err)
	}
	if p.stop != nil {
		p.stop()
		p.stop = nil
	}
	p.svc.leave(p)
	p.req, p.connect, p.first = nil, nil, nil
	if p.remote != nil {
		p.remote.closed(p)
	}
}

// Describe implements link.Protocol.
func (p *Leaf) Describe(*sysapi.ConnInfo) {}

// Info is what monitoring shows of a leafnode connection.
func (p *Leaf) Info(now time.Time) sysapi.LeafInfo {
	var c sysapi.ConnInfo
	p.Snapshot(&c, now, true)
	i := sysapi.LeafInfo{
		ID: c.Cid, Account: c.Account, IP: c.IP, Port: c.Port, RTT: c.RTT,
		InMsgs: c.InMsgs, OutMsgs: c.OutMsgs, InBytes: c.InBytes, OutBytes: c.OutBytes, NumSubs: c.NumSubs,
		Compression: p.comp.Mode(), Websocket: p.Type() == engine.LeafnodeWS, Proxy: c.Proxy,
	}
	if q := p.peer.Load(); q != nil {
		i.Name, i.IsSpoke, i.IsIsolated = q.server, q.spoke, q.isolated
	}
	return i
}

// MetricsName is the name of the account. Any goroutine that got the connection from the registry.
func (p *Leaf) MetricsName() string { return p.Account().Name() }

// traceIn logs an operation, secrets of CONNECT redacted.
func (p *Leaf) traceIn(op *wire.Op) {
	line := bytes.TrimRight(op.Line, " \r\n")
	if op.Kind == wire.OpConnect {
		line = []byte("CONNECT [REDACTED]")
	}
	p.Logf(engine.Trace, "", "<<- [%s]", line)
	if op.Kind == wire.OpRMsg {
		p.TracePayload("<<-", op.Header, op.Payload)
	}
}
