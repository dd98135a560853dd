package link

import (
	"sync"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/auth"
	"ramjet/engine/config"
	"ramjet/engine/dispatch"
	"ramjet/engine/netio"
	"ramjet/engine/trace"
	"ramjet/proto/base/bufpool"
	"ramjet/proto/base/clock"
	"ramjet/proto/wire"
)

// Env is what every connection kind shares; built once by engine/server, immutable except through
// the functions, which read atomic pointers.
type Env struct {
	Group    *netio.Group
	Clock    clock.Clock
	Logger   engine.Logger
	Options  func() *config.Options
	Auth     func() *auth.Authenticator
	Accounts *account.Registry
	Router   *dispatch.Router
	Registry *Registry
	Tracer   *trace.Tracer
	// Ctx returns the dispatch context of a loop.
	Ctx func(engine.LoopID) *dispatch.Ctx
	// Info returns the server-wide part of INFO for a listener; the link fills the per-connection part.
	Info   func(l auth.Listener) wire.Info
	Events *Events

	once   sync.Once
	lanes  []*Lane
	shared sharedCounters
}

// extraLanes is how many producers besides the loops (JetStream shards, system publishers) get a
// lane; a producer beyond that counts in the shared counters.
const extraLanes = 64

// Lane is the scratch of one producer of deliveries (a loop, a shard): owned by that producer, except
// the published counters.
type Lane struct {
	// Op and Msg are the scratch values of the operation being handled, so that neither escapes to
	// the heap per read.
	Op  wire.Op
	Msg engine.Msg
	// Ctx is the dispatch context.
	Ctx *dispatch.Ctx
	// Frame holds the bytes being fed, when they lie in a counted frame.
	Frame *bufpool.Frame
	// Trace says that trace logging is on; read once per turn.
	Trace bool
	// Now is the loop's clock at the start of the turn, unix nanoseconds.
	Now int64

	sent  int64  // bytes of Send since the begin of the feed
	head  []byte // scratch of message heads delivered by reference
	line  []byte // scratch of control lines (Line)
	turn  turnCounts
	total laneTotals
	pub   lanePublished
}

// turnCounts is what the connection being fed received in this turn; folded by the feed.
type turnCounts struct{ msgs, bytes int64 }

// Init prepares the lanes; idempotent, called by the constructors of the protocol packages. Control.
func (e *Env) Init() {
	e.once.Do(func() {
		if e.Events == nil {
			e.Events = &Events{}
		}
		e.Events.EnsureDefaults()
		n := extraLanes
		if e.Group != nil {
			n += len(e.Group.Loops())
		}
		e.lanes = make([]*Lane, n)
		for i := range e.lanes {
			e.lanes[i] = &Lane{}
		}
	})
}

// Lane returns the lane of producer id, nil when it has none. The caller is that producer.
func (e *Env) Lane(id engine.LoopID) *Lane {
	if uint32(id) < uint32(len(e.lanes)) {
		return e.lanes[id]
	}
	return nil
}

// ctx returns the dispatch context of the lane, fetched on first use.
func (e *Env) ctx(l *Lane, id engine.LoopID) *dispatch.Ctx {
	if l.Ctx == nil && e.Ctx != nil {
		l.Ctx = e.Ctx(id)
	}
	return l.Ctx
}

// CountIn counts one inbound message of size bytes for the connection being fed.
func (l *Lane) CountIn(size int) {
	l.turn.msgs++
	l.turn.bytes += int64(size)
}

// Events are called synchronously on a loop and must not block (engine/server: log lines, system
// events later). Nil members are replaced by no-ops with EnsureDefaults.
type Events struct {
	Connected    func(c *Conn)
	Disconnected func(c *Conn, r netio.Reason)
	AuthFailed   func(c *Conn, why netio.Reason)
	// Denied: an authorization callout, or the lack of its answer, kept c out; in is the account of the
	// service. AuthFailed is called too.
	Denied       func(c *Conn, in *account.Account, why string)
	SlowConsumer func(c *Conn, r netio.Reason)
}

// EnsureDefaults fills nil members.
func (e *Events) EnsureDefaults() {
	if e.Connected == nil {
		e.Connected = func(*Conn) {}
	}
	if e.Disconnected == nil {
		e.Disconnected = func(*Conn, netio.Reason) {}
	}
	if e.AuthFailed == nil {
		e.AuthFailed = func(*Conn, netio.Reason) {}
	}
	if e.Denied == nil {
		e.Denied = func(*Conn, *account.Account, string) {}
	}
	if e.SlowConsumer == nil {
		e.SlowConsumer = func(*Conn, netio.Reason) {}
	}
}
