package client

import (
	"bytes"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/auth"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/sysapi"
	"ramjet/proto/wire"
)

// Client is one NATS client: link.Protocol; its embedded Conn is the netio.Handler and interest.Sink.
// Everything here belongs to the owning loop.
type Client struct {
	link.Conn
	svc *Service

	acct  *account.Account // of the identity, nil before authentication
	perms *auth.Perms      // nil = unrestricted
	cache map[string]bool  // publish permission by subject, bounded by permCacheSize

	req    *auth.Request // what the client presented last; kept for reload
	ws     *WSMeta       // websocket only
	nonce  string
	gen    uint32 // of the authentication under way
	maxSub int    // per-connection limit, -1 = none

	mode     mode
	stage    stage
	protocol uint8
	listener auth.Listener
	tlsFirst bool
}

// mode is what the client asked for in CONNECT, and what it has seen.
type mode uint16

const (
	verbose mode = 1 << iota
	pedantic
	noEcho
	noResponders
	restricted    // perms is set
	firstPong     // the first PONG was sent
	connected     // a CONNECT was accepted
	needAuth      // no operation is handled before an authentication
	infoSent      // INFO has left
	systemAccount // of the system account
)

// checked are the modes in which a PUB needs more than the reserved-subject test.
const checked = verbose | pedantic | restricted

// stage of the handshake.
type stage uint8

const (
	transport stage = iota // PROXY, TLS
	handshake              // INFO sent, waiting for CONNECT
	ready                  // authenticated, or no authentication needed
)

// OnOp implements link.Protocol: one operation of the client.
func (p *Client) OnOp(op *wire.Op) error {
	if p.Lane().Trace {
		p.traceIn(op)
	}
	if p.mode&needAuth != 0 && op.Kind != wire.OpConnect {
		if err := p.authAnonymous(); err != nil {
			return err
		}
	}
	switch op.Kind {
	case wire.OpPub:
		return p.onPub(op)
	case wire.OpSub:
		return p.onSub(op)
	case wire.OpUnsub:
		return p.onUnsub(op)
	case wire.OpPing:
		p.onPing()
	case wire.OpPong:
		p.Pong()
	case wire.OpConnect:
		return p.onConnect(op)
	case wire.OpInfo, wire.OpOK:
		// accepted and ignored (reference/protocol.md, section 2)
	case wire.OpErr:
		p.Logf(engine.Error, "RJ-C001", "Client Error %s", link.Quote(string(op.Arg)))
		p.CloseErr("", netio.ReasonParseError)
		return link.ErrClosed
	default:
		p.CloseErr(wire.TextUnknownOperation, netio.ReasonProtocolViolation)
		return link.ErrClosed
	}
	return nil
}

var (
	pongLine = []byte(wire.Pong)
	okLine   = []byte(wire.OK)
)

// onPing answers a PING; the first one also with the INFO that says who the client is.
func (p *Client) onPing() {
	p.Send(pongLine)
	if p.Lane().Trace {
		p.Logf(engine.Trace, "", "->> [PONG]")
	}
	if p.mode&firstPong == 0 {
		p.mode |= firstPong
		if p.protocol >= 1 {
			p.sendConnectInfo()
		}
	}
}

// sendOK answers an accepted operation of a verbose client.
func (p *Client) sendOK() {
	p.Send(okLine)
	if p.Lane().Trace {
		p.Logf(engine.Trace, "", "->> [OK]")
	}
}

// OnPeerClose implements link.Protocol.
func (p *Client) OnPeerClose(netio.Reason) {
	p.gen++ // a pending authentication finds nobody
	p.cache, p.req, p.ws = nil, nil, nil
}

// Describe implements link.Protocol: nothing beyond what every connection shows.
func (p *Client) Describe(*sysapi.ConnInfo) {}

// traceIn logs an operation, secrets of CONNECT redacted.
func (p *Client) traceIn(op *wire.Op) {
	line := bytes.TrimRight(op.Line, " \r\n")
	if op.Kind == wire.OpConnect {
		line = redact(line)
	}
	p.Logf(engine.Trace, "", "<<- [%s]", line)
	if op.Kind == wire.OpPub {
		p.TracePayload("<<-", op.Header, op.Payload)
	}
}

var _ link.Protocol = (*Client)(nil)
