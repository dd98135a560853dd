package sysapi

import (
	"encoding/json"
	"time"
)

// Connz is the answer of /connz.
type Connz struct {
	ID       string      `json:"server_id"`
	Now      time.Time   `json:"now"`
	NumConns int         `json:"num_connections"`
	Total    int         `json:"total"`
	Offset   int         `json:"offset"`
	Limit    int         `json:"limit"`
	Conns    []*ConnInfo `json:"connections"`
}

// SublistStats are the figures of a subscription index.
type SublistStats struct {
	NumSubs      uint32  `json:"num_subscriptions"`
	NumCache     uint32  `json:"num_cache"`
	NumInserts   uint64  `json:"num_inserts"`
	NumRemoves   uint64  `json:"num_removes"`
	NumMatches   uint64  `json:"num_matches"`
	CacheHitRate float64 `json:"cache_hit_rate"`
	MaxFanout    uint32  `json:"max_fanout"`
	AvgFanout    float64 `json:"avg_fanout"`
}

// Subsz is the answer of /subsz.
type Subsz struct {
	ID  string    `json:"server_id"`
	Now time.Time `json:"now"`
	SublistStats
	Total  int         `json:"total"`
	Offset int         `json:"offset"`
	Limit  int         `json:"limit"`
	Subs   []SubDetail `json:"subscriptions_list,omitempty"`
}

// Routez is the answer of /routez.
type Routez struct {
	ID        string             `json:"server_id"`
	Name      string             `json:"server_name"`
	Now       time.Time          `json:"now"`
	Import    *SubjectPermission `json:"import,omitempty"`
	Export    *SubjectPermission `json:"export,omitempty"`
	NumRoutes int                `json:"num_routes"`
	Routes    []RouteInfo        `json:"routes"`
}

// RouteInfo is one route.
type RouteInfo struct {
	Rid          uint64             `json:"rid"`
	RemoteID     string             `json:"remote_id"`
	RemoteName   string             `json:"remote_name"`
	DidSolicit   bool               `json:"did_solicit"`
	IsConfigured bool               `json:"is_configured"`
	IP           string             `json:"ip"`
	Port         int                `json:"port"`
	Start        time.Time          `json:"start"`
	LastActivity time.Time          `json:"last_activity"`
	RTT          string             `json:"rtt,omitempty"`
	Uptime       string             `json:"uptime"`
	Idle         string             `json:"idle"`
	Import       *SubjectPermission `json:"import,omitempty"`
	Export       *SubjectPermission `json:"export,omitempty"`
	Pending      int                `json:"pending_size"`
	InMsgs       int64              `json:"in_msgs"`
	OutMsgs      int64              `json:"out_msgs"`
	InBytes      int64              `json:"in_bytes"`
	OutBytes     int64              `json:"out_bytes"`
	NumSubs      uint32             `json:"subscriptions"`
	Subs         []string           `json:"subscriptions_list,omitempty"`
	SubsDetail   []SubDetail        `json:"subscriptions_list_detail,omitempty"`
	Account      string             `json:"account,omitempty"`
	Compression  string             `json:"compression,omitempty"`
}

// Gatewayz is the answer of /gatewayz.
type Gatewayz struct {
	ID       string                      `json:"server_id"`
	Now      time.Time                   `json:"now"`
	Name     string                      `json:"name,omitempty"`
	Host     string                      `json:"host,omitempty"`
	Port     int                         `json:"port,omitempty"`
	Outbound map[string]*RemoteGateway   `json:"outbound_gateways"`
	Inbound  map[string][]*RemoteGateway `json:"inbound_gateways"`
}

// RemoteGateway is a connection to or from another cluster.
type RemoteGateway struct {
	Configured bool              `json:"configured"`
	Connection *ConnInfo         `json:"connection,omitempty"`
	Accounts   []*AccountGateway `json:"accounts,omitempty"`
}

// AccountGateway is what is known of the interest in one account.
type AccountGateway struct {
	Name       string      `json:"name"`
	Mode       string      `json:"interest_mode"`
	NoInterest int         `json:"no_interest_count,omitempty"`
	Threshold  int         `json:"interest_only_threshold,omitempty"`
	Subs       int         `json:"num_subs,omitempty"`
	QueueSubs  int         `json:"num_queue_subs,omitempty"`
	List       []string    `json:"subscriptions_list,omitempty"`
	Detail     []SubDetail `json:"subscriptions_list_detail,omitempty"`
}

// Leafz is the answer of /leafz.
type Leafz struct {
	ID       string     `json:"server_id"`
	Now      time.Time  `json:"now"`
	NumLeafs int        `json:"leafnodes"`
	Leafs    []LeafInfo `json:"leafs"`
}

// LeafInfo is one leafnode connection.
type LeafInfo struct {
	ID          uint64     `json:"id"`
	Name        string     `json:"name"`
	IsSpoke     bool       `json:"is_spoke"`
	IsIsolated  bool       `json:"is_isolated,omitempty"`
	Account     string     `json:"account"`
	IP          string     `json:"ip"`
	Port        int        `json:"port"`
	RTT         string     `json:"rtt,omitempty"`
	InMsgs      int64      `json:"in_msgs"`
	OutMsgs     int64      `json:"out_msgs"`
	InBytes     int64      `json:"in_bytes"`
	OutBytes    int64      `json:"out_bytes"`
	NumSubs     uint32     `json:"subscriptions"`
	Subs        []string   `json:"subscriptions_list,omitempty"`
	Compression string     `json:"compression,omitempty"`
	Websocket   bool       `json:"websocket,omitempty"`
	Proxy       *ProxyInfo `json:"proxy,omitempty"`
}

// Accountz is the answer of /accountz.
type Accountz struct {
	ID            string       `json:"server_id"`
	Now           time.Time    `json:"now"`
	SystemAccount string       `json:"system_account,omitempty"`
	Accounts      []string     `json:"accounts,omitempty"`
	Account       *AccountInfo `json:"account_detail,omitempty"`
}

// AccountInfo is one account.
type AccountInfo struct {
	Name      string               `json:"account_name"`
	Updated   *time.Time           `json:"update_time,omitempty"`
	IsSystem  bool                 `json:"is_system,omitempty"`
	Expired   bool                 `json:"expired"`
	Complete  bool                 `json:"complete"`
	JetStream bool                 `json:"jetstream_enabled"`
	Leafs     int                  `json:"leafnode_connections"`
	Clients   int                  `json:"client_connections"`
	Subs      uint32               `json:"subscriptions"`
	Mappings  map[string][]MapDest `json:"mappings,omitempty"`
	Exports   []AccountExport      `json:"exports,omitempty"`
	Imports   []AccountImport      `json:"imports,omitempty"`
	JWT       string               `json:"jwt,omitempty"`
	IssuerKey string               `json:"issuer_key,omitempty"`
	NameTag   string               `json:"name_tag,omitempty"`
	Tags      []string             `json:"tags,omitempty"`
	Claim     json.RawMessage      `json:"decoded_jwt,omitempty"`
	Revoked   map[string]time.Time `json:"revoked_user,omitempty"`
	Sublist   *SublistStats        `json:"sublist_stats,omitempty"`
}

// AccountExport is a stream or service that an account exports.
type AccountExport struct {
	Subject       string               `json:"subject,omitempty"`
	Type          string               `json:"type"`
	TokenReq      bool                 `json:"token_req,omitempty"`
	ResponseType  string               `json:"response_type,omitempty"`
	Threshold     time.Duration        `json:"response_threshold,omitempty"`
	Latency       *LatencySettings     `json:"service_latency,omitempty"`
	TokenPosition int                  `json:"account_token_position,omitempty"`
	AllowTrace    bool                 `json:"allow_trace,omitempty"`
	Approved      []string             `json:"approved_accounts,omitempty"`
	Revoked       map[string]time.Time `json:"revoked_activations,omitempty"`
}

// LatencySettings say how a service is measured. Sampling is "headers" or a percentage.
type LatencySettings struct {
	Sampling any    `json:"sampling"`
	Results  string `json:"results"`
}

// AccountImport is a stream or service that an account imports.
type AccountImport struct {
	Subject      string           `json:"subject,omitempty"`
	Account      string           `json:"account,omitempty"`
	To           string           `json:"to,omitempty"`
	LocalSubject string           `json:"local_subject,omitempty"`
	Type         string           `json:"type,omitempty"`
	AllowTrace   bool             `json:"allow_trace,omitempty"`
	Invalid      bool             `json:"invalid"`
	Share        bool             `json:"share"`
	Tracking     bool             `json:"tracking"`
	Latency      *LatencySettings `json:"latency,omitempty"`
}

// MapDest is a mapping destination.
type MapDest struct {
	Subject string `json:"subject"`
	Weight  uint8  `json:"weight"`
	Cluster string `json:"cluster,omitempty"`
}

// AccountStatz is the answer of /accstatz.
type AccountStatz struct {
	ID       string         `json:"server_id"`
	Now      time.Time      `json:"now"`
	Accounts []*AccountStat `json:"account_statz"`
}

// AccountStat is the traffic of one account.
type AccountStat struct {
	Account       string    `json:"acc"`
	Name          string    `json:"name"`
	Conns         int       `json:"conns"`
	Leafs         int       `json:"leafnodes"`
	TotalConns    int       `json:"total_conns"`
	NumSubs       uint32    `json:"num_subscriptions"`
	Sent          DataStats `json:"sent"`
	Received      DataStats `json:"received"`
	SlowConsumers int64     `json:"slow_consumers"`
}

// MsgBytes counts messages.
type MsgBytes struct {
	Msgs  int64 `json:"msgs"`
	Bytes int64 `json:"bytes"`
}

// DataStats counts messages, also by kind of peer.
type DataStats struct {
	MsgBytes
	Gateways *MsgBytes `json:"gateways,omitempty"`
	Routes   *MsgBytes `json:"routes,omitempty"`
	Leafs    *MsgBytes `json:"leafs,omitempty"`
}

// Health is the answer of /healthz.
type Health struct {
	Status     string        `json:"status"`
	StatusCode int           `json:"status_code,omitempty"`
	Error      string        `json:"error,omitempty"`
	Errors     []HealthError `json:"errors,omitempty"`
}

// HealthError is one cause in /healthz?details=true.
type HealthError struct {
	Type     string `json:"type"`
	Account  string `json:"account,omitempty"`
	Stream   string `json:"stream,omitempty"`
	Consumer string `json:"consumer,omitempty"`
	Error    string `json:"error,omitempty"`
}

// Slowz is the answer of /slowz, Ramjet's own page: who is slow.
type Slowz struct {
	ID    string     `json:"server_id"`
	Now   time.Time  `json:"now"`
	Slow  []SlowConn `json:"slow"`
	Total int        `json:"total"`
}

// SlowConn is a connection that does not keep up, or was closed because it did not.
type SlowConn struct {
	Cid      uint64     `json:"cid"`
	Name     string     `json:"name,omitempty"`
	Account  string     `json:"account,omitempty"`
	User     string     `json:"user,omitempty"`
	IP       string     `json:"ip"`
	Port     int        `json:"port"`
	Backlog  int        `json:"backlog_bytes"`
	Stalls   int64      `json:"stalls,omitempty"`
	Subjects []string   `json:"subjects,omitempty"`
	Open     bool       `json:"open"`
	Closed   *time.Time `json:"closed,omitempty"`
	Reason   string     `json:"reason,omitempty"`
}
