package config

import (
	"crypto/tls"
	"net/url"
	"time"
)

// Options is one immutable configuration: what the file, the flags and the defaults say together.
// Zero means "not set" until Baseline fills defaults. Plain data; no behaviour.
type Options struct {
	File   string // path given with -c
	Digest string // "sha256:..."

	ServerName      string
	Host            string
	Port            int // -1 random, 0 default 4222
	ClientAdvertise string
	ServerTags      []string
	Metadata        map[string]string
	FeatureFlags    map[string]bool

	Log LogOptions

	PidFile      string
	PortsFileDir string

	HTTPHost      string
	HTTPPort      int
	HTTPSPort     int
	HTTPBasePath  string
	ProfPort      int
	ProfBlockRate int

	MaxConn               int // -1 = none may connect (configured 0)
	MaxSubs               int
	MaxSubTokens          int
	MaxControlLine        int
	MaxPayload            int
	MaxPending            int64
	MaxClosedClients      int
	PingInterval          time.Duration
	PingMax               int
	WriteDeadline         time.Duration
	WriteTimeout          WritePolicy
	NoFastProducerStall   bool
	LameDuckDuration      time.Duration
	LameDuckGrace         time.Duration
	ConnectErrorReports   int
	ReconnectErrorReports int
	DisableSublistCache   bool
	ProxyProtocol         bool
	NoHeaderSupport       bool
	MaxTracedMsgLen       int

	// ramjet's own
	Reactor string // "gnet" | "epoll" | "" (platform default)
	Loops   int    // 0 = GOMAXPROCS
	// ConnectRate is how many client connections (websocket and MQTT too) one address may open per second, ten seconds' worth at once; 0 = no limit.
	ConnectRate int

	AllowNonTLS bool
	TLS         *TLSOptions
	NoTLS       bool // --tls=false
	OCSP        *OCSPOptions
	OCSPCache   *OCSPCacheOptions

	Auth            AuthBlock // authorization { ... } and flags
	Accounts        []*Account
	Mappings        []*Mapping // for $G
	NoAuthUser      string
	SystemAccount   string // "" = $SYS
	NoSystemAccount bool
	TrustedProxies  []string // public nkeys

	// operator mode and resolver
	Operators              []string // tokens
	TrustedKeys            []string
	DefaultSentinel        string
	Resolver               *ResolverOptions
	ResolverPreload        map[string]string // public account key -> token
	ResolverPinnedAccounts []string
	ResolverTLS            *TLSOptions

	Cluster   *ClusterOptions
	Gateway   *GatewayOptions
	Leafnodes *LeafOptions
	Websocket *WebsocketOptions
	MQTT      *MQTTOptions
	JetStream *JetStreamOptions

	StoreDir        string
	DefaultJSDomain map[string]string

	// Places says where blocks stand ("file:line:col" by the name of the block), for messages.
	Places map[string]string
}

// WritePolicy is write_timeout.
type WritePolicy uint8

// Write policies: default is close for clients and retry for routes, gateways and leafnodes.
const (
	WriteDefault WritePolicy = iota
	WriteClose
	WriteRetry
)

// LogOptions configures logging.
type LogOptions struct {
	Debug, Trace, TraceVerbose, TraceHeaders bool
	Time, TimeUTC                            bool
	File                                     string
	SizeLimit                                int64
	MaxNum                                   int
	Syslog                                   bool
	RemoteSyslog                             string
	Format                                   string // "" or "text", "json"
}

// TLSOptions is a tls { } block. Config is built from the files when the block is validated; the
// rest is kept for monitoring, diffs and rebuilding at reload.
type TLSOptions struct {
	CertFile, KeyFile, CAFile string
	Certs                     []CertPair
	Verify, VerifyAndMap      bool
	KnownURLs                 bool // verify_cert_and_check_known_urls
	Insecure                  bool
	CipherSuites              []uint16
	AllowInsecureCiphers      bool
	Curves                    []tls.CurveID
	MinVersion                uint16
	Timeout                   time.Duration
	PinnedCerts               map[string]struct{}
	RateLimit                 int // connection_rate_limit
	HandshakeFirst            bool
	HandshakeFirstFallback    time.Duration // >0: auto, wait this long for a ClientHello
	OCSPPeer                  map[string]any
	Config                    *tls.Config
}

// CertPair is one entry of certs [ ].
type CertPair struct{ CertFile, KeyFile string }

// OCSPOptions and OCSPCacheOptions hold the ocsp blocks.
type OCSPOptions struct {
	Mode string
	URLs []string
}

// OCSPCacheOptions is ocsp_cache { }.
type OCSPCacheOptions struct {
	Type            string
	LocalStore      string
	PreserveRevoked bool
	SaveInterval    time.Duration
}

// AuthBlock is an authorization { } block (top level, websocket, mqtt, cluster, leafnodes).
type AuthBlock struct {
	User, Pass    string
	Token         string
	Timeout       time.Duration // 0 = default
	Users         []*User
	DefaultPerms  *Permissions
	ProxyRequired bool
	Callout       *AuthCallout
	// leafnodes only
	Nkey, Account string
}

// AuthCallout is auth_callout { }.
type AuthCallout struct {
	Issuer, Account, XKey      string
	AuthUsers, AllowedAccounts []string
}

// User is one user or nkey user. Pos is "file:line:col" for messages.
type User struct {
	Name, Pass    string
	Nkey          string
	Account       string // "" = $G
	Perms         *Permissions
	ConnTypes     []string // upper-case names; nil = all
	ProxyRequired bool
	Pos           string
}

// Permissions of a user or default_permissions. nil Subject = absent.
type Permissions struct {
	Publish   *SubjectPerm
	Subscribe *SubjectPerm
	Responses *ResponsePerm
}

// SubjectPerm is an allow/deny pair; entries of subscribe may be "subject queue".
type SubjectPerm struct{ Allow, Deny []string }

// ResponsePerm is allow_responses: MaxMsgs -1 unlimited, Expires negative unlimited.
type ResponsePerm struct {
	MaxMsgs int
	Expires time.Duration
}

// Account is one accounts.<name> entry.
type Account struct {
	Name          string
	Nkey          string
	Users         []*User
	DefaultPerms  *Permissions
	Mappings      []*Mapping
	Limits        AccountLimits
	Exports       []*Export
	Imports       []*Import
	JetStream     *AccountJetStream
	TraceDest     string
	TraceSampling int
	Pos           string
}

// AccountLimits: -1 unlimited.
type AccountLimits struct {
	MaxConn, MaxSubs, MaxPayload, MaxLeafs int
}

// Mapping is a subject mapping in definition order.
type Mapping struct {
	Source string
	Dests  []MapDest
	Pos    string
}

// MapDest is one weighted destination; Weight in percent.
type MapDest struct {
	Subject string
	Weight  int
	Cluster string
}

// Export is an export entry; exactly one of Stream, Service is set.
type Export struct {
	Stream, Service string
	Accounts        []string
	ResponseType    string // "", "singleton", "stream", "chunked"
	Threshold       time.Duration
	LatencySubject  string
	LatencySampling int // 0 = headers when LatencySubject set
	TokenPosition   int
	AllowTrace      bool
	Pos             string
}

// Import is an import entry; exactly one of Stream, Service is set (subject in the exporter).
type Import struct {
	Account         string
	Stream, Service string
	Prefix, To      string
	Share           bool
	AllowTrace      bool
	Pos             string
}

// AccountJetStream is accounts.<name>.jetstream; all -1 by default.
type AccountJetStream struct {
	Enabled                               bool
	MaxMemory, MaxStore                   int64
	MaxStreams, MaxConsumers              int
	MaxBytesRequired                      bool
	MemMaxStreamBytes, DiskMaxStreamBytes int64
	MaxAckPending                         int
	ClusterTraffic                        string
}

// ResolverOptions is resolver.
type ResolverOptions struct {
	Type                    string // "mem", "url", "full", "cache"
	URL, Dir                string
	AllowDelete, HardDelete bool
	Limit                   int64
	TTL, Interval, Timeout  time.Duration
}

// CompressionOptions is compression of routes and leafnodes.
type CompressionOptions struct {
	Mode          string
	RTTThresholds []time.Duration
}

// ClusterOptions is cluster { }.
type ClusterOptions struct {
	Name, Host     string
	Port           int
	Auth           AuthBlock
	Import, Export *SubjectPerm
	Routes         []*url.URL
	TLS            *TLSOptions
	Advertise      string
	NoAdvertise    bool
	ConnectRetries int
	ConnectBackoff bool
	PoolSize       int
	Accounts       []string
	Compression    CompressionOptions
	PingInterval   time.Duration
	PingMax        int
	WriteDeadline  time.Duration
	WriteTimeout   WritePolicy
}

// GatewayOptions is gateway { }.
type GatewayOptions struct {
	Name, Host     string
	Port           int
	Auth           AuthBlock
	TLS            *TLSOptions
	Advertise      string
	ConnectRetries int
	ConnectBackoff bool
	Gateways       []*RemoteGateway
	RejectUnknown  bool
	WriteDeadline  time.Duration
	WriteTimeout   WritePolicy
}

// RemoteGateway is one entry of gateways [ ].
type RemoteGateway struct {
	Name string
	URLs []*url.URL
	TLS  *TLSOptions
}

// LeafOptions is leafnodes { }.
type LeafOptions struct {
	Host            string
	Port            int
	Auth            AuthBlock
	TLS             *TLSOptions
	Advertise       string
	NoAdvertise     bool
	MinVersion      string
	Reconnect       time.Duration
	DialTimeout     time.Duration
	Compression     CompressionOptions
	IsolateInterest bool
	WriteDeadline   time.Duration
	WriteTimeout    WritePolicy
	Remotes         []*RemoteLeaf
}

// RemoteLeaf is one entry of remotes [ ].
type RemoteLeaf struct {
	URLs                           []*url.URL
	Account, Creds, Nkey           string
	TLS                            *TLSOptions
	Hub                            bool
	DenyImports, DenyExports       []string
	NoRandomize                    bool
	Compression                    CompressionOptions
	WSCompression                  bool
	WSNoMasking                    bool
	JSMigrate                      bool
	JSMigrateDelay                 time.Duration
	IsolateInterest                bool
	RequestIsolation               bool
	FirstInfoTimeout               time.Duration
	DialTimeout                    time.Duration
	Disabled                       bool
	IgnoreDiscovered               bool
	ProxyURL, ProxyUser, ProxyPass string
	ProxyTimeout                   time.Duration
	ProxyTLS                       *TLSOptions
	Pos                            string
}

// WebsocketOptions is websocket { }.
type WebsocketOptions struct {
	Host                                           string
	Port                                           int
	Advertise                                      string
	NoTLS                                          bool
	TLS                                            *TLSOptions
	SameOrigin                                     bool
	AllowedOrigins                                 []string
	HandshakeTimeout                               time.Duration
	Compression                                    bool
	Auth                                           AuthBlock
	JWTCookie, UserCookie, PassCookie, TokenCookie string
	NoAuthUser                                     string
	Headers                                        map[string]string
	PingInterval                                   time.Duration
}

// MQTTOptions is mqtt { }.
type MQTTOptions struct {
	Host             string
	Port             int
	TLS              *TLSOptions
	Auth             AuthBlock
	NoAuthUser       string
	AckWait          time.Duration
	JSAPITimeout     time.Duration
	MaxAckPending    int
	JSDomain         string
	StreamReplicas   int
	ConsumerReplicas int
	ConsumerMemory   bool
	ConsumerInactive time.Duration
	RejectQoS2       bool
	DowngradeQoS2    bool
}

// JetStreamOptions is jetstream { } (also -js).
type JetStreamOptions struct {
	Enabled                                            bool
	MaxMemory, MaxStore                                int64 // 0 = found out at start, unless set
	MaxMemorySet, MaxStoreSet                          bool  // given, so that 0 means nothing
	Domain, UniqueTag, ExtensionHint                   string
	SyncInterval                                       time.Duration
	SyncAlways                                         bool
	SyncSet                                            bool // sync_interval given
	Strict                                             bool
	Key, PrevKey, Cipher                               string
	TPM                                                map[string]any
	Limits                                             JetStreamLimits
	MaxOutstandingCatchup, MaxBufferedSize             int64
	MaxBufferedMsgs, RequestQueueLimit, InfoQueueLimit int
	MetaCompact                                        int
	MetaCompactSize                                    int64
	MetaCompactSync                                    bool
	MaxConcurrentIO                                    int
}

// JetStreamLimits is jetstream.limits { }.
type JetStreamLimits struct {
	MaxAckPending, MaxHAAssets, MaxRequestBatch, DefaultMaxConsumers int
	DuplicateWindow                                                  time.Duration
	BatchMaxInflightPerStream, BatchMaxInflightTotal, BatchMaxMsgs   int
	BatchTimeout                                                     time.Duration
}
