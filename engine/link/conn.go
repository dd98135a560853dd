package link

import (
	"strconv"
	"sync/atomic"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/auth"
	"ramjet/engine/dispatch"
	"ramjet/engine/interest"
	"ramjet/engine/netio"
	"ramjet/proto/base/bufpool"
	"ramjet/proto/wire"
)

// Conn is a connection of any kind: netio.Handler and interest.Sink. The protocol packages embed it
// by value, so that a connection is one allocation.
type Conn struct {
	nc    *netio.Conn
	out   *netio.Outbox
	env   *Env
	lane  *Lane // of the owning loop
	proto Protocol
	app   Appender // nil: MSG and HMSG lines
	// packets, when not nil, decodes instead of the line parser.
	packets Packets

	id    uint64
	start int64 // unix nanoseconds
	loop  engine.LoopID
	kind  engine.Kind
	ctype engine.ConnType

	// any goroutine
	flags   atomic.Uint32
	nsubs   atomic.Int32
	ident   atomic.Pointer[Identity]
	replies atomic.Pointer[Replies]
	routed  atomic.Pointer[routedReplies] // nil: no request from another cluster yet
	drain   atomic.Pointer[drainList]
	stats   connStats

	// owning loop
	state feedState
	lim   wire.Limits
	subs  interest.SidTable
	part  *bufpool.Frame // cut operation, or everything that waits for Resume
	need  int            // total length of the cut operation, 0 = not known yet
	ping  pingState
	stall *stallState
}

// Identity is who the peer is: immutable, replaced as a whole.
type Identity struct {
	User                *auth.User // nil before authentication
	Account             *account.Account
	Name, Lang, Version string
	TLSFirst            bool
	Tried               string // the user, when it was not let in
	ClientID            string // of MQTT
}

// user returns the name to show.
func (i *Identity) user() string {
	if i.User != nil {
		return i.User.Name
	}
	return i.Tried
}

// feedState says what happens to bytes that arrive.
type feedState uint8

const (
	feeding feedState = iota
	held              // kept until Resume
	closing           // dropped
)

// Flags of a connection, read by Deliver on any goroutine.
const (
	flagClosed     uint32 = 1 << iota // no delivery any more
	flagHeaders                       // the peer understands HMSG
	flagFilter                        // deliveries are tested with Perms.Deliverable
	flagReplies                       // replies of deliveries are tracked (allow_responses)
	flagAppender                      // app is set
	flagRegistered                    // in the registry
	flagAttached                      // counted in its account
	flagAnnounced                     // a task that writes what Announce queued is posted
)

// deliverSlow are the flags that take a delivery off the shortest path.
const deliverSlow = flagClosed | flagFilter | flagReplies | flagAppender

// Init prepares the connection over nc; first call, on the owning loop.
func (c *Conn) Init(env *Env, nc *netio.Conn, k engine.Kind, t engine.ConnType, p Protocol) {
	c.env, c.nc, c.out, c.proto = env, nc, nc.Out(), p
	c.kind, c.ctype = k, t
	c.loop = nc.Loop().Index()
	c.lane = env.Lane(c.loop)
	c.id = env.Registry.NextID()
	c.start = env.Clock.Now().UnixNano()
	c.stats.lastIn.Store(c.start)
	c.ident.Store(&anonymous)
	if a, ok := p.(Appender); ok {
		c.app = a
		c.flags.Or(flagAppender)
	}
	c.packets, _ = p.(Packets)
}

// anonymous is the identity before authentication.
var anonymous Identity

// ID returns the connection id (cid). Any goroutine.
func (c *Conn) ID() uint64 { return c.id }

// Kind returns the kind of peer. Any goroutine.
func (c *Conn) Kind() engine.Kind { return c.kind }

// Type returns the transport and protocol. Any goroutine.
func (c *Conn) Type() engine.ConnType { return c.ctype }

// Identity returns who the peer is; never nil. Any goroutine.
func (c *Conn) Identity() *Identity { return c.ident.Load() }

// Account returns the account, nil before authentication. Any goroutine.
func (c *Conn) Account() *account.Account { return c.ident.Load().Account }

// User returns the user, nil before authentication. Any goroutine.
func (c *Conn) User() *auth.User { return c.ident.Load().User }

// Net returns the transport connection. Any goroutine.
func (c *Conn) Net() *netio.Conn { return c.nc }

// Out returns the outbox. Any goroutine.
func (c *Conn) Out() *netio.Outbox { return c.out }

// LoopID returns the id of the owning loop. Any goroutine.
func (c *Conn) LoopID() engine.LoopID { return c.loop }

// Lane returns the lane of the owning loop. Loop.
func (c *Conn) Lane() *Lane { return c.lane }

// Env returns the shared environment. Any goroutine.
func (c *Conn) Env() *Env { return c.env }

// Start returns when the connection was accepted, unix nanoseconds. Any goroutine.
func (c *Conn) Start() int64 { return c.start }

// Closed reports whether the connection is closed or closing. Any goroutine.
func (c *Conn) Closed() bool { return c.flags.Load()&flagClosed != 0 }

// PeerName implements dispatch.Peer: what a client calls itself, or the name of a server.
func (c *Conn) PeerName() string { return c.ident.Load().Name }

// Slow reports whether more is queued than the soft limit. Any goroutine.
func (c *Conn) Slow() bool { return c.out.Slow() }

// SetIdentity replaces who the peer is. Loop.
func (c *Conn) SetIdentity(id *Identity) { c.ident.Store(id) }

// SetHeaders says whether the peer understands HMSG. Loop.
func (c *Conn) SetHeaders(on bool) { c.setFlag(flagHeaders, on) }

func (c *Conn) setFlag(f uint32, on bool) {
	if on {
		c.flags.Or(f)
	} else {
		c.flags.And(^f)
	}
}

// Limits returns the parser's limits, to be changed between operations. Loop.
func (c *Conn) Limits() *wire.Limits { return &c.lim }

// idPrefix is how logs name the id of a connection (reference/protocol.md, section 16).
func idPrefix(k engine.Kind, t engine.ConnType) string {
	switch k {
	case engine.Router:
		return "rid"
	case engine.Gateway:
		return "gid"
	case engine.Leaf:
		if t == engine.LeafnodeWS {
			return "lid_ws"
		}
		return "lid"
	}
	switch t {
	case engine.Websocket:
		return "wid"
	case engine.MQTT:
		return "mid"
	case engine.MQTTWS:
		return "mid_ws"
	}
	return "cid"
}

// Label is the log prefix `ip:port - cid:N - "v1:go:name" - "account/user:u"`. It is built on each
// call, because most connections never log. Any goroutine.
func (c *Conn) Label() string {
	b := make([]byte, 0, 96)
	if c.nc.InProcess() {
		b = append(b, "pipe"...)
	} else {
		b = c.nc.RemoteAddr().AppendTo(b)
	}
	b = append(b, " - "...)
	b = append(b, idPrefix(c.kind, c.ctype)...)
	b = append(b, ':')
	b = strconv.AppendUint(b, c.id, 10)
	id := c.ident.Load()
	if id.Name != "" || id.Lang != "" || id.Version != "" {
		b = append(b, ` - "`...)
		if id.Version != "" {
			b = append(b, 'v')
			b = append(b, id.Version...)
		}
		if id.Lang != "" {
			if id.Version != "" {
				b = append(b, ':')
			}
			b = append(b, id.Lang...)
		}
		if id.Name != "" {
			if id.Version != "" || id.Lang != "" {
				b = append(b, ':')
			}
			b = append(b, id.Name...)
		}
		b = append(b, '"')
	}
	if id.ClientID != "" {
		b = append(b, " - "...)
		b = strconv.AppendQuote(b, id.ClientID)
	}
	if id.User != nil && id.User.Label != "" {
		b = append(b, " - "...)
		b = append(b, id.User.Label...)
	}
	return string(b)
}

// Logf logs with the connection's label in front. Any goroutine.
func (c *Conn) Logf(l engine.Level, id, format string, args ...any) {
	if (l == engine.Debug || l == engine.Trace) && !c.env.Logger.Enabled(l) {
		return
	}
	c.env.Logger.Logf(l, id, "%s - "+format, append([]any{c.Label()}, args...)...)
}

// Protocol returns the connection's protocol. Any goroutine.
func (c *Conn) Protocol() Protocol { return c.proto }

// Ctx returns the dispatch context of the owning loop. Loop.
func (c *Conn) Ctx() *dispatch.Ctx {
	if l := c.lane; l.Ctx != nil {
		return l.Ctx
	}
	return c.env.ctx(c.lane, c.loop)
}
