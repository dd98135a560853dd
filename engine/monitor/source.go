package monitor

import (
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/interest"
	"ramjet/engine/link"
	"ramjet/proto/sysapi"
)

// Source is what the pages report about. Any goroutine; no method takes a data-path lock.
type Source interface {
	ID() string
	Name() string
	Version() string
	GitCommit() string
	StartTime() time.Time
	ConfigTime() time.Time
	Now() time.Time
	Options() *config.Options
	Accounts() *account.Registry
	Registry() *link.Registry
	Counters() link.Counters
	// Panics is how many were contained: each a bug that cost one connection and not the process.
	Panics() int64
	// CacheStats sums the match caches of all loops.
	CacheStats() interest.Stats
	// Usage returns resident memory in bytes and CPU in percent of one core since the last sample.
	Usage() (rss int64, cpu float64)
	Logger() engine.Logger
	// Ready says whether clients can be served; reasons when not (starting, lame duck, ...).
	Ready() (ok bool, reasons []string)
	// Listeners returns bound addresses by name: "client", "monitoring", "websocket", ... (host:port).
	Listeners() map[string]string
	// ConnectURLs as in INFO.
	ConnectURLs() (client, ws []string)
	// OCSPCache is the cache of clients' certificate statuses, nil when there is none.
	OCSPCache() *sysapi.OCSPResponseCacheVarz
	// Routes is nil without a cluster.
	Routes() Routes
	// JetStream is nil when it is off.
	JetStream() JetStream
	// PinnedFails counts the users refused because of resolver_pinned_accounts.
	PinnedFails() uint64
	// Gateways is nil when there are none.
	Gateways() Gateways
	// MQTT is nil when it is off.
	MQTT() MQTT
	// AuthRequired as in INFO.
	AuthRequired() bool
}
