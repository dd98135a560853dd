package cluster

import (
	"bytes"
	"net/url"
	"sync/atomic"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/dispatch"
	"ramjet/engine/interest"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/sysapi"
	"ramjet/proto/wire"
)

// stage of the handshake.
type stage uint8

const (
	transport  stage = iota // TLS
	connecting              // accepted: waiting for CONNECT
	informing               // waiting for the INFO that says who the other server is
	registered
)

// Route is one connection to a server of the cluster: link.Protocol, dispatch.LinkSink. What is not said otherwise
// belongs to the owning loop.
type Route struct {
	link.Conn
	svc   *Service
	comp  link.Compression
	stage stage
	gen   uint32 // of the check of a password under way
	// confirmed: the other server has answered after the handshake.
	confirmed bool
	sent      bool // the own INFO that registers has left

	member *member // set when we dialed
	url    *url.URL
	nonce  string
	tls    string // server name of the handshake

	creds wire.RouteConnect // of a server that was let in, kept for reload
	subs  interest.SidTable
	key   []byte // scratch of sids
	// unknown is interest for accounts that a resolver may bring later, by sid.
	unknown map[string]*interest.Sub
	// origins are the clusters of leafnodes that a server has named which leaves them out when their interest ends.
	origins map[string]bool
	last    *account.Account
	byName  string // name of last
	// lastCluster is the cluster of the last message of a leafnode.
	lastCluster string

	// Set before the route is registered, then constant.
	remoteID, remoteName string
	account              string // served by this connection alone, "" for a connection of the pool
	acct                 *account.Account
	slot                 int
	single               bool // the only connection to that server
	lnoc, lnocu, ln      bool
	configured           bool
	traces               bool // the other server understands traced messages

	nremote atomic.Int32 // subscriptions it has announced
	weights weights
	follows map[*account.Account]*follow
}

// Kind of protocol.
var (
	_ link.Protocol     = (*Route)(nil)
	_ dispatch.LinkSink = (*Route)(nil)
)

// maxRoutePing is the longest time between two PINGs on a route.
const maxRoutePing = 30 * time.Second

// Accept is the netio.AcceptFunc of the cluster listener.
func (s *Service) Accept(c *netio.Conn) netio.Handler {
	return &s.newRoute(c).Conn
}

func (s *Service) newRoute(c *netio.Conn) *Route {
	r := &Route{svc: s}
	r.Init(s.env, c, engine.Router, engine.Standard, r)
	o := s.options()
	l := r.Limits()
	l.Dialect, l.MaxControlLine, l.MaxPayload = wire.DialectRoute, o.MaxControlLine*16, -1
	l.Headers = true
	return r
}

// OnOpen implements link.Protocol.
func (r *Route) OnOpen() {
	o := r.svc.options()
	if o.Cluster == nil || r.svc.stopped() {
		r.CloseErr("", netio.ReasonServerShutdown)
		return
	}
	r.SetOutputLimits(o)
	r.Logf(engine.Info, "", "Route connection created")
	if r.member == nil {
		r.armTimeout(o.Cluster.Auth.Timeout)
	} else {
		interval, limit := keepAlive(o)
		r.armTimeout(interval * time.Duration(limit+1))
	}
	t := o.Cluster.TLS
	switch {
	case t == nil || t.Config == nil:
		r.secured()
	case r.member != nil:
		r.Logf(engine.Debug, "", "Starting TLS route client handshake")
		r.Net().StartTLS(link.ClientTLS(t, r.url.Hostname(), r.tls))
	default:
		r.Logf(engine.Debug, "", "Starting TLS route server handshake")
		r.Net().StartTLS(netio.TLSSpec{Config: t.Config, Timeout: t.Timeout})
	}
}

// OnSecured implements link.Protocol.
func (r *Route) OnSecured() {
	t := r.svc.options().Cluster.TLS
	if st := r.Net().TLS(); st != nil && t != nil && !t.Pinned(st) {
		r.Logf(engine.Error, "RJ-R001", "TLS handshake error: certificate not pinned")
		r.CloseErr("", netio.ReasonTLSHandshake)
		return
	}
	r.Logf(engine.Debug, "", "TLS handshake complete")
	r.secured()
}

// secured begins the conversation: who accepted says who it is, who dialed asks to be let in.
func (r *Route) secured() {
	if r.stage != transport || r.Closing() {
		return
	}
	if r.member != nil {
		r.stage = informing
		r.sendConnect()
		if o := r.svc.options(); !link.NegotiatesCompression(ownCompression(o)) && (o.Cluster.PoolSize < 0 || r.member.account != "") {
			// Nothing depends on what the other server says.
			r.account = r.member.account
			r.sent = true
			r.sendInfo(true)
		}
		return
	}
	r.stage = connecting
	r.Limits().MustConnect = true
	r.nonce = newNonce()
	r.sendInfo(false)
}

// armTimeout bounds the handshake.
func (r *Route) armTimeout(d time.Duration) {
	if d <= 0 {
		d = defaultHandshake
	}
	r.Net().SetTimer(link.TimerAuth, d)
}

const defaultHandshake = 2 * time.Second

// OnTimer implements link.Protocol.
func (r *Route) OnTimer(id uint8) {
	if id != link.TimerAuth || r.stage == registered {
		return
	}
	if r.member != nil {
		r.Logf(engine.Debug, "", "Stale Route Connection - Closing")
		r.CloseErr(wire.TextStaleConnection, netio.ReasonStale)
		return
	}
	r.Logf(engine.Debug, "", "Authentication Timeout")
	r.CloseErr(wire.TextAuthenticationTimeout, netio.ReasonAuthTimeout)
}

// OnOp implements link.Protocol.
func (r *Route) OnOp(op *wire.Op) error {
	if r.Lane().Trace {
		r.traceIn(op)
	}
	switch op.Kind {
	case wire.OpRMsg:
		if r.stage >= informing {
			r.onMsg(op)
			return nil
		}
	case wire.OpRSub:
		if r.stage >= informing {
			r.onSub(op)
			return nil
		}
	case wire.OpRUnsub:
		if r.stage >= informing {
			r.onUnsub(op)
			return nil
		}
	case wire.OpASub, wire.OpAUnsub:
		return nil // words of gateways, harmless here
	case wire.OpPing:
		r.Send(pongLine)
		return nil
	case wire.OpPong:
		r.Pong()
		r.comp.Measured(&r.Conn)
		if r.stage == registered && !r.confirmed {
			// The other server has accepted the first connection: now for the others.
			r.confirmed = true
			r.svc.mend(r.remoteID)
		}
		return nil
	case wire.OpOK:
		return nil
	case wire.OpConnect:
		if r.stage == connecting {
			return r.onConnect(op)
		}
		return nil // a second one says nothing new, nor does that of a server we dialed
	case wire.OpInfo:
		return r.onInfo(op)
	case wire.OpErr:
		r.Logf(engine.Error, "RJ-R002", "Route Error %s", link.Quote(string(op.Arg)))
		r.CloseErr("", netio.ReasonParseError)
		return link.ErrClosed
	}
	r.Logf(engine.Error, "RJ-R003", "Unexpected operation %s before the handshake was over", link.Quote(string(op.Line)))
	r.CloseErr(wire.TextUnknownOperation, netio.ReasonProtocolViolation)
	return link.ErrClosed
}

var pongLine = []byte(wire.Pong)

// OnPeerClose implements link.Protocol.
func (r *Route) OnPeerClose(why netio.Reason) {
	r.gen++
	if err := r.Net().Err(); why == netio.ReasonTLSHandshake && err != nil {
		r.Logf(engine.Error, "RJ-R013", "TLS route handshake error: %v", err)
	}
	r.svc.remove(r, why)
	r.dropSubs()
}

// Describe implements link.Protocol.
func (r *Route) Describe(*sysapi.ConnInfo) {}

// RemoteID returns the id of the other server, "" before the route is registered. Any goroutine that got the route
// from the service.
func (r *Route) RemoteID() string { return r.remoteID }

// MetricsName is the name of the other server. Any goroutine that got the route from the registry.
func (r *Route) MetricsName() string { return r.remoteName }

// RemoteSubs is the number of subscriptions that the other server has announced on this connection. Any goroutine.
func (r *Route) RemoteSubs() int { return max(0, int(r.nremote.Load())) }

// traceIn logs an operation.
func (r *Route) traceIn(op *wire.Op) {
	line := bytes.TrimRight(op.Line, " \r\n")
	if op.Kind == wire.OpConnect {
		line = []byte("CONNECT")
	}
	r.Logf(engine.Trace, "", "<<- [%s]", line)
	if op.Kind == wire.OpRMsg {
		r.TracePayload("<<-", op.Header, op.Payload)
	}
}
