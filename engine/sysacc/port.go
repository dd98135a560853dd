package sysacc

import (
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/dispatch"
	"ramjet/engine/link"
	"ramjet/proto/base/clock"
	"ramjet/proto/sysapi"
)

// Port is what the service needs of the server. Functions may be called on any goroutine.
type Port struct {
	ID, Version string
	StartTime   time.Time
	Clock       clock.Clock
	Logger      engine.Logger
	Name        func() string
	Options     func() *config.Options
	Accounts    *account.Registry
	Registry    *link.Registry
	Router      *dispatch.Router
	Counters    func() link.Counters
	Usage       func() (rss int64, cpu float64)
	JetStream   func() bool // it is on; nil: never
	Claims      Claims      // nil: not in operator mode
	Pages       Pages
	// Routes are the figures of the routes; nil: none.
	Routes func() []sysapi.RouteStat
	// Joined says whether there may be other servers; nil: never.
	Joined func() bool
	// Shrink closes the newest clients of an account that has more than it may, here and on other servers; nil: nothing.
	Shrink func(*account.Account)
	// Cluster is the name of the cluster, "" for none; nil: none.
	Cluster func() string
	// Gateways are the figures of the connections to other clusters; nil: there are none.
	Gateways func() []sysapi.GatewayStat
	// Reload reads the configuration file again; it may take its time.
	Reload func() error
	// Kick closes a connection, LameDuck sends a client away; false when there is none with that id.
	Kick, LameDuck func(cid uint64) bool
	Seed           uint64
	// Stepped: there are no goroutines, the owner calls Step (simulation).
	Stepped bool
}

// Pages computes what monitoring shows; implemented by engine/monitor.
type Pages interface {
	Varz() (*sysapi.Varz, error)
	Connz(*sysapi.ConnzOptions) (*sysapi.Connz, error)
	Subsz(*sysapi.SubszOptions) (*sysapi.Subsz, error)
	Routez(*sysapi.RoutezOptions) (*sysapi.Routez, error)
	Gatewayz(*sysapi.GatewayzOptions) (*sysapi.Gatewayz, error)
	Leafz(*sysapi.LeafzOptions) (*sysapi.Leafz, error)
	Accountz(*sysapi.AccountzOptions) (*sysapi.Accountz, error)
	AccountInfo(name string) (*sysapi.AccountInfo, error)
	AccountStatz(*sysapi.AccountStatzOptions) (*sysapi.AccountStatz, error)
	Jsz(*sysapi.JSzOptions) (*sysapi.JSInfo, error)
	JszAccount(*sysapi.JSzOptions) (*sysapi.AccountDetail, error)
	JetStreamStats() *sysapi.JetStreamVarz // nil when it is off
	Healthz(*sysapi.HealthzOptions) *sysapi.Health
}
