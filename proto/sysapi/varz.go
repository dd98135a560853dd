package sysapi

import (
	"encoding/json"
	"time"
)

// Varz is the answer of /varz.
type Varz struct {
	ID                string                 `json:"server_id"`
	Name              string                 `json:"server_name"`
	Version           string                 `json:"version"`
	Proto             int                    `json:"proto"`
	GitCommit         string                 `json:"git_commit,omitempty"`
	Go                string                 `json:"go"`
	Host              string                 `json:"host"`
	Port              int                    `json:"port"`
	AuthRequired      bool                   `json:"auth_required,omitempty"`
	TLSRequired       bool                   `json:"tls_required,omitempty"`
	TLSVerify         bool                   `json:"tls_verify,omitempty"`
	TLSOCSPPeerVerify bool                   `json:"tls_ocsp_peer_verify,omitempty"`
	IP                string                 `json:"ip,omitempty"`
	ConnectURLs       []string               `json:"connect_urls,omitempty"`
	WSConnectURLs     []string               `json:"ws_connect_urls,omitempty"`
	MaxConn           int                    `json:"max_connections"`
	MaxSubs           int                    `json:"max_subscriptions,omitempty"`
	PingInterval      time.Duration          `json:"ping_interval"`
	PingMax           int                    `json:"ping_max"`
	HTTPHost          string                 `json:"http_host"`
	HTTPPort          int                    `json:"http_port"`
	HTTPBasePath      string                 `json:"http_base_path"`
	HTTPSPort         int                    `json:"https_port"`
	AuthTimeout       float64                `json:"auth_timeout"`
	MaxControlLine    int32                  `json:"max_control_line"`
	MaxPayload        int                    `json:"max_payload"`
	MaxPending        int64                  `json:"max_pending"`
	Cluster           ClusterVarz            `json:"cluster"`
	Gateway           GatewayVarz            `json:"gateway"`
	Leaf              LeafVarz               `json:"leaf"`
	MQTT              MQTTVarz               `json:"mqtt"`
	Websocket         WebsocketVarz          `json:"websocket"`
	JetStream         JetStreamVarz          `json:"jetstream"`
	TLSTimeout        float64                `json:"tls_timeout"`
	WriteDeadline     time.Duration          `json:"write_deadline"`
	WriteTimeout      string                 `json:"write_timeout,omitempty"`
	Start             time.Time              `json:"start"`
	Now               time.Time              `json:"now"`
	Uptime            string                 `json:"uptime"`
	Mem               int64                  `json:"mem"`
	Cores             int                    `json:"cores"`
	MaxProcs          int                    `json:"gomaxprocs"`
	MemLimit          int64                  `json:"gomemlimit,omitempty"`
	CPU               float64                `json:"cpu"`
	Connections       int                    `json:"connections"`
	TotalConnections  uint64                 `json:"total_connections"`
	Routes            int                    `json:"routes"`
	Remotes           int                    `json:"remotes"`
	Leafs             int                    `json:"leafnodes"`
	InMsgs            int64                  `json:"in_msgs"`
	InBytes           int64                  `json:"in_bytes"`
	InClientMsgs      int64                  `json:"in_client_msgs"`
	InClientBytes     int64                  `json:"in_client_bytes"`
	OutMsgs           int64                  `json:"out_msgs"`
	OutBytes          int64                  `json:"out_bytes"`
	OutClientMsgs     int64                  `json:"out_client_msgs"`
	OutClientBytes    int64                  `json:"out_client_bytes"`
	SlowConsumers     int64                  `json:"slow_consumers"`
	StaleConnections  int64                  `json:"stale_connections"`
	StalledClients    int64                  `json:"stalled_clients"`
	Subscriptions     uint32                 `json:"subscriptions"`
	HTTPReqStats      map[string]uint64      `json:"http_req_stats"`
	ConfigLoadTime    time.Time              `json:"config_load_time"`
	ConfigDigest      string                 `json:"config_digest"`
	Tags              []string               `json:"tags,omitempty"`
	Metadata          map[string]string      `json:"metadata,omitempty"`
	FeatureFlags      map[string]bool        `json:"feature_flags,omitempty"`
	OperatorsJWT      []string               `json:"trusted_operators_jwt,omitempty"`
	OperatorsClaim    []json.RawMessage      `json:"trusted_operators_claim,omitempty"`
	SystemAccount     string                 `json:"system_account,omitempty"`
	PinnedFails       uint64                 `json:"pinned_account_fails,omitempty"`
	OCSPCache         *OCSPResponseCacheVarz `json:"ocsp_peer_cache,omitempty"`
	SlowConsumerStats *KindStats             `json:"slow_consumer_stats"`
	StaleStats        *KindStats             `json:"stale_connection_stats,omitempty"`
	DiskIOWait        *DiskIOWaitStats       `json:"disk_io_wait_stats"`
	Proxies           *ProxiesVarz           `json:"proxies,omitempty"`
	TLSCertNotAfter   *time.Time             `json:"tls_cert_not_after,omitempty"`
}

// OCSPResponseCacheVarz is the cache of the statuses of peers' certificates.
type OCSPResponseCacheVarz struct {
	Type      string `json:"cache_type,omitempty"`
	Hits      int64  `json:"cache_hits,omitempty"`
	Misses    int64  `json:"cache_misses,omitempty"`
	Responses int64  `json:"cached_responses,omitempty"`
	Revokes   int64  `json:"cached_revoked_responses,omitempty"`
	Goods     int64  `json:"cached_good_responses,omitempty"`
	Unknowns  int64  `json:"cached_unknown_responses,omitempty"`
}

// ClusterVarz, GatewayVarz, LeafVarz, MQTTVarz, WebsocketVarz and JetStreamVarz are the blocks of /varz: {} when
// the subsystem is off.
type ClusterVarz struct {
	Name            string        `json:"name,omitempty"`
	Host            string        `json:"addr,omitempty"`
	Port            int           `json:"cluster_port,omitempty"`
	AuthTimeout     float64       `json:"auth_timeout,omitempty"`
	URLs            []string      `json:"urls,omitempty"`
	TLSTimeout      float64       `json:"tls_timeout,omitempty"`
	TLSRequired     bool          `json:"tls_required,omitempty"`
	TLSVerify       bool          `json:"tls_verify,omitempty"`
	PoolSize        int           `json:"pool_size,omitempty"`
	WriteDeadline   time.Duration `json:"write_deadline,omitempty"`
	WriteTimeout    string        `json:"write_timeout,omitempty"`
	TLSCertNotAfter *time.Time    `json:"tls_cert_not_after,omitempty"`
}

// GatewayVarz is the gateway block.
type GatewayVarz struct {
	Name            string              `json:"name,omitempty"`
	Host            string              `json:"host,omitempty"`
	Port            int                 `json:"port,omitempty"`
	AuthTimeout     float64             `json:"auth_timeout,omitempty"`
	TLSTimeout      float64             `json:"tls_timeout,omitempty"`
	TLSRequired     bool                `json:"tls_required,omitempty"`
	TLSVerify       bool                `json:"tls_verify,omitempty"`
	Advertise       string              `json:"advertise,omitempty"`
	ConnectRetries  int                 `json:"connect_retries,omitempty"`
	Gateways        []RemoteGatewayVarz `json:"gateways,omitempty"`
	RejectUnknown   bool                `json:"reject_unknown,omitempty"`
	WriteDeadline   time.Duration       `json:"write_deadline,omitempty"`
	WriteTimeout    string              `json:"write_timeout,omitempty"`
	TLSCertNotAfter *time.Time          `json:"tls_cert_not_after,omitempty"`
}

// RemoteGatewayVarz is a configured remote gateway.
type RemoteGatewayVarz struct {
	Name       string   `json:"name"`
	TLSTimeout float64  `json:"tls_timeout,omitempty"`
	URLs       []string `json:"urls,omitempty"`
}

// LeafVarz is the leafnode block.
type LeafVarz struct {
	Host              string           `json:"host,omitempty"`
	Port              int              `json:"port,omitempty"`
	AuthTimeout       float64          `json:"auth_timeout,omitempty"`
	TLSTimeout        float64          `json:"tls_timeout,omitempty"`
	TLSRequired       bool             `json:"tls_required,omitempty"`
	TLSVerify         bool             `json:"tls_verify,omitempty"`
	Remotes           []RemoteLeafVarz `json:"remotes,omitempty"`
	TLSOCSPPeerVerify bool             `json:"tls_ocsp_peer_verify,omitempty"`
	WriteDeadline     time.Duration    `json:"write_deadline,omitempty"`
	WriteTimeout      string           `json:"write_timeout,omitempty"`
	TLSCertNotAfter   *time.Time       `json:"tls_cert_not_after,omitempty"`
}

// RemoteLeafVarz is a configured leafnode remote.
type RemoteLeafVarz struct {
	LocalAccount      string     `json:"local_account,omitempty"`
	TLSTimeout        float64    `json:"tls_timeout,omitempty"`
	URLs              []string   `json:"urls,omitempty"`
	Deny              *DenyRules `json:"deny,omitempty"`
	TLSOCSPPeerVerify bool       `json:"tls_ocsp_peer_verify,omitempty"`
}

// DenyRules are the denied subjects of a leafnode remote.
type DenyRules struct {
	Exports []string `json:"exports,omitempty"`
	Imports []string `json:"imports,omitempty"`
}

// MQTTVarz is the MQTT block.
type MQTTVarz struct {
	Host              string        `json:"host,omitempty"`
	Port              int           `json:"port,omitempty"`
	NoAuthUser        string        `json:"no_auth_user,omitempty"`
	AuthTimeout       float64       `json:"auth_timeout,omitempty"`
	TLSMap            bool          `json:"tls_map,omitempty"`
	TLSTimeout        float64       `json:"tls_timeout,omitempty"`
	TLSPinnedCerts    []string      `json:"tls_pinned_certs,omitempty"`
	JSDomain          string        `json:"js_domain,omitempty"`
	AckWait           time.Duration `json:"ack_wait,omitempty"`
	MaxAckPending     uint16        `json:"max_ack_pending,omitempty"`
	TLSOCSPPeerVerify bool          `json:"tls_ocsp_peer_verify,omitempty"`
	TLSCertNotAfter   *time.Time    `json:"tls_cert_not_after,omitempty"`
}

// WebsocketVarz is the websocket block.
type WebsocketVarz struct {
	Host              string        `json:"host,omitempty"`
	Port              int           `json:"port,omitempty"`
	Advertise         string        `json:"advertise,omitempty"`
	NoAuthUser        string        `json:"no_auth_user,omitempty"`
	JWTCookie         string        `json:"jwt_cookie,omitempty"`
	HandshakeTimeout  time.Duration `json:"handshake_timeout,omitempty"`
	AuthTimeout       float64       `json:"auth_timeout,omitempty"`
	NoTLS             bool          `json:"no_tls,omitempty"`
	TLSMap            bool          `json:"tls_map,omitempty"`
	TLSPinnedCerts    []string      `json:"tls_pinned_certs,omitempty"`
	SameOrigin        bool          `json:"same_origin,omitempty"`
	AllowedOrigins    []string      `json:"allowed_origins,omitempty"`
	Compression       bool          `json:"compression,omitempty"`
	TLSOCSPPeerVerify bool          `json:"tls_ocsp_peer_verify,omitempty"`
	TLSCertNotAfter   *time.Time    `json:"tls_cert_not_after,omitempty"`
}

// KindStats counts an event by kind of connection.
type KindStats struct {
	Clients  uint64 `json:"clients"`
	Routes   uint64 `json:"routes"`
	Gateways uint64 `json:"gateways"`
	Leafs    uint64 `json:"leafs"`
}

// DiskIOWaitStats says how long storage waited for its turn.
type DiskIOWaitStats struct {
	Waiters     int64  `json:"waiters"`
	Waits       uint64 `json:"waits"`
	WaitTime    uint64 `json:"wait_time"`
	MaxWaitTime uint64 `json:"max_wait_time"`
}

// ProxiesVarz lists the trusted proxies.
type ProxiesVarz struct {
	Trusted []ProxyInfo `json:"trusted,omitempty"`
}
