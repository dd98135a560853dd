package sysapi

import "time"

// Flags of ServerInfo.
const (
	CapJetStream       uint64 = 1 << iota // JetStream is enabled
	CapBinarySnapshots                    // understands binary stream snapshots
	CapAccountNRG                         // can move raft traffic into accounts
)

// ServerInfo says which server an event or an answer comes from. Seq increases from event to event.
type ServerInfo struct {
	Name         string            `json:"name"`
	Host         string            `json:"host"`
	ID           string            `json:"id"`
	Cluster      string            `json:"cluster,omitempty"`
	Domain       string            `json:"domain,omitempty"`
	Version      string            `json:"ver"`
	Tags         []string          `json:"tags,omitempty"`
	Metadata     map[string]string `json:"metadata,omitempty"`
	FeatureFlags map[string]bool   `json:"feature_flags,omitempty"`
	JetStream    bool              `json:"jetstream"`
	Flags        uint64            `json:"flags"`
	Seq          uint64            `json:"seq"`
	Time         time.Time         `json:"time"`
}

// ClientInfo says who a connection is.
type ClientInfo struct {
	Start      *time.Time    `json:"start,omitempty"`
	Host       string        `json:"host,omitempty"`
	ID         uint64        `json:"id,omitempty"`
	Account    string        `json:"acc,omitempty"`
	Service    string        `json:"svc,omitempty"`
	User       string        `json:"user,omitempty"`
	Name       string        `json:"name,omitempty"`
	Lang       string        `json:"lang,omitempty"`
	Version    string        `json:"ver,omitempty"`
	RTT        time.Duration `json:"rtt,omitempty"`
	Server     string        `json:"server,omitempty"`
	Cluster    string        `json:"cluster,omitempty"`
	Alternates []string      `json:"alts,omitempty"`
	Stop       *time.Time    `json:"stop,omitempty"`
	JWT        string        `json:"jwt,omitempty"`
	IssuerKey  string        `json:"issuer_key,omitempty"`
	NameTag    string        `json:"name_tag,omitempty"`
	Tags       []string      `json:"tags,omitempty"`
	Kind       string        `json:"kind,omitempty"`
	ClientType string        `json:"client_type,omitempty"`
	MQTTClient string        `json:"client_id,omitempty"`
	Nonce      string        `json:"nonce,omitempty"`
	Reply      string        `json:"reply,omitempty"`
}

// The types of events.
const (
	ConnectType    = "io.nats.server.advisory.v1.client_connect"
	DisconnectType = "io.nats.server.advisory.v1.client_disconnect"
	ConnsType      = "io.nats.server.advisory.v1.account_connections"
	LatencyType    = "io.nats.server.metric.v1.service_latency"
)

// TypedEvent is what every typed event starts with.
type TypedEvent struct {
	Type string    `json:"type"`
	ID   string    `json:"id"`
	Time time.Time `json:"timestamp"`
}

// ConnectEvent: a client was let in.
type ConnectEvent struct {
	TypedEvent
	Server ServerInfo `json:"server"`
	Client ClientInfo `json:"client"`
}

// DisconnectEvent: a client has gone, or was not let in. Sent and Received are from the client's side.
type DisconnectEvent struct {
	TypedEvent
	Server   ServerInfo `json:"server"`
	Client   ClientInfo `json:"client"`
	Sent     DataStats  `json:"sent"`
	Received DataStats  `json:"received"`
	Reason   string     `json:"reason"`
}

// LeafConnect: a leafnode was connected to an account.
type LeafConnect struct {
	Server  ServerInfo `json:"server"`
	Account string     `json:"acc"`
}

// AccountConns: the number of connections of an account has changed.
type AccountConns struct {
	TypedEvent
	Server ServerInfo `json:"server"`
	AccountStat
}

// ServerStatsEvent is STATSZ, as event and as answer.
type ServerStatsEvent struct {
	Server ServerInfo  `json:"server"`
	Stats  ServerStats `json:"statsz"`
}

// ServerStats are the figures of STATSZ.
type ServerStats struct {
	Start             time.Time      `json:"start"`
	Mem               int64          `json:"mem"`
	Cores             int            `json:"cores"`
	CPU               float64        `json:"cpu"`
	Connections       int            `json:"connections"`
	TotalConnections  uint64         `json:"total_connections"`
	ActiveAccounts    int            `json:"active_accounts"`
	NumSubs           uint32         `json:"subscriptions"`
	Sent              DataStats      `json:"sent"`
	SentToClients     DataStats      `json:"sent_to_clients"`
	Received          DataStats      `json:"received"`
	ReceivedClients   DataStats      `json:"received_from_clients"`
	SlowConsumers     int64          `json:"slow_consumers"`
	SlowConsumerStats *KindStats     `json:"slow_consumer_stats,omitempty"`
	Stale             int64          `json:"stale_connections,omitempty"`
	StaleStats        *KindStats     `json:"stale_connection_stats,omitempty"`
	Stalled           int64          `json:"stalled_clients,omitempty"`
	Routes            []RouteStat    `json:"routes,omitempty"`
	Gateways          []GatewayStat  `json:"gateways,omitempty"`
	ActiveServers     int            `json:"active_servers,omitempty"`
	JetStream         *JetStreamVarz `json:"jetstream,omitempty"`
	MemLimit          int64          `json:"gomemlimit,omitempty"`
	MaxProcs          int            `json:"gomaxprocs,omitempty"`
}

// RouteStat is the traffic of one route.
type RouteStat struct {
	ID       uint64    `json:"rid"`
	Name     string    `json:"name,omitempty"`
	Sent     DataStats `json:"sent"`
	Received DataStats `json:"received"`
	Pending  int       `json:"pending"`
}

// GatewayStat is the traffic of one gateway.
type GatewayStat struct {
	ID       uint64    `json:"gwid"`
	Name     string    `json:"name"`
	Sent     DataStats `json:"sent"`
	Received DataStats `json:"received"`
	Inbound  int       `json:"inbound_connections"`
}

// ServiceLatency is one measured request to an exported service. The durations are in nanoseconds.
type ServiceLatency struct {
	TypedEvent
	Status    int                 `json:"status"`
	Error     string              `json:"description,omitempty"`
	Requestor *ClientInfo         `json:"requestor,omitempty"`
	Responder *ClientInfo         `json:"responder,omitempty"`
	Header    map[string][]string `json:"header,omitempty"` // only what made it be measured
	Start     time.Time           `json:"start"`
	Service   time.Duration       `json:"service"`
	System    time.Duration       `json:"system"`
	Total     time.Duration       `json:"total"`
}
