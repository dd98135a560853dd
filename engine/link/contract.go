package link

import (
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/auth"
	"ramjet/engine/config"
	"ramjet/engine/dispatch"
	"ramjet/engine/netio"
	"ramjet/proto/base/clock"
	"ramjet/proto/sysapi"
	"ramjet/proto/wire"
)

// CONTRACT: see engine/netio/contract.go for the rule.

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
	// Ctx returns the dispatch context of a loop.
	Ctx func(engine.LoopID) *dispatch.Ctx
	// Info returns the server-wide part of INFO for a listener; the link fills the per-connection part.
	Info   func(l auth.Listener) wire.Info
	Events *Events
}

// Events are called synchronously on a loop and must not block (engine/server: log lines, system
// events later). Nil members are replaced by no-ops with EnsureDefaults.
type Events struct {
	Connected    func(c *Conn)
	Disconnected func(c *Conn, r netio.Reason)
	AuthFailed   func(c *Conn, why string)
	SlowConsumer func(c *Conn, r netio.Reason)
}

// EnsureDefaults fills nil members.
func (e *Events) EnsureDefaults() { panic("contract") }

// Protocol is what a connection kind implements; called on the owning loop except Append.
type Protocol interface {
	// OnOp handles one operation.
	OnOp(op *wire.Op) error
	// OnTimer, OnPeerClose as in netio.Handler.
	OnTimer(id uint8)
	OnPeerClose(r netio.Reason)
	Describe(*sysapi.ConnInfo)
}

// Conn is a connection of any kind: netio.Handler and interest.Sink.
type Conn struct{}

func (c *Conn) ID() uint64                { panic("contract") }
func (c *Conn) Kind() engine.Kind         { panic("contract") }
func (c *Conn) Account() *account.Account { panic("contract") }
func (c *Conn) User() *auth.User          { panic("contract") }
func (c *Conn) Net() *netio.Conn          { panic("contract") }
func (c *Conn) Label() string             { panic("contract") } // log prefix `ip:port - cid:N ...`

// Snapshot is the monitoring view of a connection, taken on any goroutine without touching the loop:
// every field comes from atomics or immutable pointers; Subs detail asks the owner loop.
func (c *Conn) Snapshot(info *sysapi.ConnInfo, now time.Time, authDetail bool) { panic("contract") }

// Subs calls fn for each subscription, on the owning loop, and returns when done or after timeout.
func (c *Conn) Subs(timeout time.Duration, fn func(*sysapi.SubDetail)) { panic("contract") }

// Registry holds the open connections by kind and the ring of closed ones.
type Registry struct{}

// NewRegistry keeps maxClosed closed connections.
func NewRegistry(maxClosed int) *Registry { panic("contract") }

func (r *Registry) NextID() uint64                                             { panic("contract") }
func (r *Registry) Get(id uint64) *Conn                                        { panic("contract") }
func (r *Registry) Range(k engine.Kind, fn func(*Conn) bool)                   { panic("contract") }
func (r *Registry) Count(k engine.Kind) int                                    { panic("contract") }
func (r *Registry) Total() uint64                                              { panic("contract") } // connections since start
func (r *Registry) Closed(fn func(info *sysapi.ConnInfo, account string) bool) { panic("contract") }

// Counters are the server-wide sums of per-loop counters, read by monitoring.
type Counters struct {
	InMsgs, InBytes, OutMsgs, OutBytes                         int64
	InClientMsgs, InClientBytes, OutClientMsgs, OutClientBytes int64
	SlowConsumers, Stale, Stalled                              int64
	SlowByKind, StaleByKind                                    [engine.NumKinds]int64
}

// Sum adds up the per-loop counters. Any goroutine.
func (e *Env) Sum() Counters { panic("contract") }
