package config

import "strings"

// Class says what a change of an option needs at a reload.
type Class uint8

// The classes, in the order in which changes are applied.
const (
	Hot      Class = iota // read where it is used: takes effect at once
	Conn                  // connections are looked at again: identity, permissions, limits
	Listener              // for connections accepted from now on
	Restart               // refused: the reload fails as a whole
	internal              // not an option of the user
)

func (c Class) String() string {
	return [...]string{"at once", "at once, for connections too", "new connections", "restart", ""}[c]
}

// row classifies one field of Options.
type row struct {
	path  string // field of Options, through blocks: "Cluster.Routes"
	field string // name in messages of nats-server; "" = path
	key   string // configuration key, with the block
	class Class
	// allow is the exception of a Restart row: it says that this change is possible after all. Or of another
	// row, with refuse: it says that this change is not.
	allow, refuse func(old, new *Options) bool
	note          string // on allow or refuse, for the documentation
	message       string // the whole message of a refusal, if it is not the usual one
	secret        bool   // never shown
	line          string // line logged after a reload, if it is not "Reloaded: key = value"
}

// classes classifies every field of Options once; a test compares it with the type. Order: of Options.
var classes = []row{
	{path: "File", class: internal},
	{path: "Digest", class: internal},

	{path: "ServerName", key: "server_name", class: Restart},
	{path: "Host", key: "host", class: Restart},
	{path: "Port", key: "port", class: Restart},
	{path: "ClientAdvertise", key: "client_advertise", class: Hot, line: "Reload: client_advertise = %s"},
	{path: "ServerTags", field: "Tags", key: "server_tags", class: Hot, line: "Reloaded: tags"},
	{path: "Metadata", key: "server_metadata", class: Hot, line: "Reloaded: metadata"},
	{path: "FeatureFlags", key: "feature_flags", class: Restart},

	{path: "Log.Debug", field: "Debug", key: "debug", class: Hot},
	{path: "Log.Trace", field: "Trace", key: "trace", class: Hot},
	{path: "Log.TraceVerbose", field: "TraceVerbose", key: "trace_verbose", class: Hot},
	{path: "Log.TraceHeaders", field: "TraceHeaders", key: "trace_headers", class: Hot},
	{path: "Log.Time", field: "Logtime", key: "logtime", class: Hot},
	{path: "Log.TimeUTC", field: "LogtimeUTC", key: "logtime_utc", class: Hot},
	{path: "Log.File", field: "LogFile", key: "log_file", class: Hot},
	{path: "Log.SizeLimit", field: "LogSizeLimit", key: "logfile_size_limit", class: Restart},
	{path: "Log.MaxNum", field: "LogMaxFiles", key: "logfile_max_num", class: Restart},
	{path: "Log.Syslog", field: "Syslog", key: "syslog", class: Hot},
	{path: "Log.RemoteSyslog", field: "RemoteSyslog", key: "remote_syslog", class: Hot},
	{path: "Log.Format", field: "LogFormat", key: "log_format", class: Hot},

	{path: "PidFile", key: "pid_file", class: Hot},
	{path: "PortsFileDir", key: "ports_file_dir", class: Hot},
	{path: "HTTPHost", key: "http", class: Restart},
	{path: "HTTPPort", key: "http_port", class: Restart},
	{path: "HTTPSPort", key: "https_port", class: Restart},
	{path: "HTTPBasePath", key: "http_base_path", class: Restart},
	{path: "ProfPort", key: "prof_port", class: Restart},
	{path: "ProfBlockRate", key: "prof_block_rate", class: Hot},

	{path: "MaxConn", key: "max_connections", class: Conn},
	{path: "MaxSubs", key: "max_subscriptions", class: Restart},
	{path: "MaxSubTokens", key: "max_sub_tokens", class: Restart},
	{path: "MaxControlLine", key: "max_control_line", class: Conn},
	{path: "MaxPayload", key: "max_payload", class: Conn},
	{path: "MaxPending", key: "max_pending", class: Restart},
	{path: "MaxClosedClients", key: "max_closed_clients", class: Restart},
	{path: "PingInterval", key: "ping_interval", class: Hot},
	{path: "PingMax", field: "MaxPingsOut", key: "ping_max", class: Hot},
	{path: "WriteDeadline", key: "write_deadline", class: Conn},
	{path: "WriteTimeout", key: "write_timeout", class: Restart},
	{path: "NoFastProducerStall", key: "no_fast_producer_stall", class: Hot},
	{path: "LameDuckDuration", key: "lame_duck_duration", class: Restart},
	{path: "LameDuckGrace", field: "LameDuckGracePeriod", key: "lame_duck_grace_period", class: Restart},
	{path: "ConnectErrorReports", key: "connect_error_reports", class: Hot},
	{path: "ReconnectErrorReports", key: "reconnect_error_reports", class: Hot},
	{path: "DisableSublistCache", field: "NoSublistCache", key: "disable_sublist_cache", class: Restart},
	{path: "ProxyProtocol", key: "proxy_protocol", class: Restart},
	{path: "NoHeaderSupport", key: "no_header_support", class: Restart},
	{path: "MaxTracedMsgLen", key: "max_traced_msg_len", class: Hot},

	{path: "Reactor", key: "reactor", class: Restart},
	{path: "Loops", key: "loops", class: Restart},
	{path: "ConnectRate", key: "connect_rate", class: Restart},

	{path: "AllowNonTLS", key: "allow_non_tls", class: Restart},
	{path: "TLS", key: "tls", class: Listener,
		refuse: func(o, n *Options) bool { return o.TLS.rate() != n.TLS.rate() }, note: "connection_rate_limit needs a restart"},
	{path: "NoTLS", class: internal},
	{path: "OCSP", field: "OCSPConfig", key: "ocsp", class: Listener, line: "Reloaded: OCSP"},
	{path: "OCSPCache", field: "OCSPCacheConfig", key: "ocsp_cache", class: Listener, line: "Reloaded OCSP peer cache"},

	{path: "Auth.User", field: "Username", key: "authorization.user", class: Conn, secret: true, line: "Reloaded: authorization username"},
	{path: "Auth.Pass", field: "Password", key: "authorization.password", class: Conn, secret: true, line: "Reloaded: authorization password"},
	{path: "Auth.Token", field: "Authorization", key: "authorization.token", class: Conn, secret: true, line: "Reloaded: authorization token"},
	{path: "Auth.Timeout", field: "AuthTimeout", key: "authorization.timeout", class: Listener, line: "Reloaded: authorization timeout = %s"},
	{path: "Auth.Users", field: "Users", key: "authorization.users", class: Conn, line: "Reloaded: authorization users"},
	{path: "Auth.DefaultPerms", field: "DefaultPermissions", key: "authorization.default_permissions", class: Conn, line: "Reloaded: authorization default permissions"},
	{path: "Auth.ProxyRequired", field: "ProxyRequired", key: "authorization.proxy_required", class: Restart},
	{path: "Auth.Callout", field: "AuthCallout", key: "authorization.auth_callout", class: Restart},
	{path: "Auth.Nkey", class: internal},
	{path: "Auth.Account", class: internal},
	{path: "Accounts", key: "accounts", class: Conn, line: "Reloaded: accounts"},
	{path: "Mappings", key: "mappings", class: Hot, line: "Reloaded: mappings"},
	{path: "NoAuthUser", key: "no_auth_user", class: Restart, allow: removedNoAuthUser, note: "may be removed together with the user"},
	{path: "SystemAccount", key: "system_account", class: Restart},
	{path: "NoSystemAccount", key: "no_system_account", class: Restart},
	{path: "TrustedProxies", field: "Proxies", key: "proxies", class: Conn, line: "Reloaded: proxies"},

	{path: "Operators", field: "TrustedOperators", key: "operator", class: Restart},
	{path: "TrustedKeys", key: "trusted_keys", class: Restart},
	{path: "DefaultSentinel", key: "default_sentinel", class: Hot, secret: true},
	{path: "Resolver", field: "AccountResolver", key: "resolver", class: Hot, line: "Reloaded: resolver",
		refuse:  func(o, n *Options) bool { return (o.Resolver == nil) != (n.Resolver == nil) },
		message: "config reload does not support moving to or from an account resolver", note: "not to or from none"},
	{path: "ResolverPreload", key: "resolver_preload", class: Conn, secret: true, line: "Reloaded: resolver preload"},
	{path: "ResolverPinnedAccounts", key: "resolver_pinned_accounts", class: Restart},
	{path: "ResolverTLS", field: "AccountResolverTLSConfig", key: "resolver_tls", class: Hot},

	{path: "Cluster.Name", field: "cluster name", key: "cluster.name", class: Conn, line: "Reloaded: cluster",
		refuse: func(o, n *Options) bool { return jsOn(o) && o.Cluster != nil && o.Cluster.Name != "" }, note: "not with JetStream"},
	{path: "Cluster.Host", field: "cluster host", key: "cluster.host", class: Restart},
	{path: "Cluster.Port", field: "cluster port", key: "cluster.port", class: Restart},
	{path: "Cluster.Auth", key: "cluster.authorization", class: Listener, secret: true, line: "Reloaded: cluster"},
	{path: "Cluster.Import", key: "cluster.permissions", class: Conn, line: "Reloaded: cluster"},
	{path: "Cluster.Export", key: "cluster.permissions", class: Conn, line: "Reloaded: cluster"},
	{path: "Cluster.Routes", key: "cluster.routes", class: Hot, line: "Reloaded: cluster routes"},
	{path: "Cluster.TLS", key: "cluster.tls", class: Listener, line: "Reloaded: cluster"},
	{path: "Cluster.Advertise", key: "cluster.advertise", class: Hot, line: "Reloaded: cluster"},
	{path: "Cluster.NoAdvertise", key: "cluster.no_advertise", class: Hot, line: "Reloaded: cluster"},
	{path: "Cluster.ConnectRetries", key: "cluster.connect_retries", class: Hot, line: "Reloaded: cluster"},
	{path: "Cluster.ConnectBackoff", key: "cluster.connect_backoff", class: Hot, line: "Reloaded: cluster"},
	{path: "Cluster.PoolSize", key: "cluster.pool_size", class: Conn, line: "Reloaded: cluster"},
	{path: "Cluster.Accounts", key: "cluster.accounts", class: Conn, line: "Reloaded: cluster"},
	{path: "Cluster.Compression", key: "cluster.compression", class: Conn, line: "Reloaded: cluster"},
	{path: "Cluster.PingInterval", key: "cluster.ping_interval", class: Hot, line: "Reloaded: cluster"},
	{path: "Cluster.PingMax", key: "cluster.ping_max", class: Hot, line: "Reloaded: cluster"},
	{path: "Cluster.WriteDeadline", key: "cluster.write_deadline", class: Conn, line: "Reloaded: cluster"},
	{path: "Cluster.WriteTimeout", key: "cluster.write_timeout", class: Conn, line: "Reloaded: cluster"},

	{path: "Gateway.Name", key: "gateway.name", class: Restart},
	{path: "Gateway.Host", key: "gateway.host", class: Restart},
	{path: "Gateway.Port", key: "gateway.port", class: Restart},
	{path: "Gateway.Auth", key: "gateway.authorization", class: Restart, secret: true},
	{path: "Gateway.TLS", key: "gateway.tls", class: Listener, line: "Reloaded: gateway tls"},
	{path: "Gateway.Advertise", key: "gateway.advertise", class: Restart},
	{path: "Gateway.ConnectRetries", key: "gateway.connect_retries", class: Restart},
	{path: "Gateway.ConnectBackoff", key: "gateway.connect_backoff", class: Restart},
	{path: "Gateway.Gateways", key: "gateway.gateways", class: Restart},
	{path: "Gateway.RejectUnknown", key: "gateway.reject_unknown", class: Restart},
	{path: "Gateway.WriteDeadline", key: "gateway.write_deadline", class: Restart},
	{path: "Gateway.WriteTimeout", key: "gateway.write_timeout", class: Restart},

	{path: "Leafnodes.Host", key: "leafnodes.host", class: Restart},
	{path: "Leafnodes.Port", key: "leafnodes.port", class: Restart},
	{path: "Leafnodes.Auth", key: "leafnodes.authorization", class: Restart, secret: true},
	{path: "Leafnodes.TLS", key: "leafnodes.tls", class: Listener, line: "Reloaded: leafnode tls"},
	{path: "Leafnodes.Advertise", key: "leafnodes.advertise", class: Restart},
	{path: "Leafnodes.NoAdvertise", key: "leafnodes.no_advertise", class: Restart},
	{path: "Leafnodes.MinVersion", key: "leafnodes.min_version", class: Restart},
	{path: "Leafnodes.Reconnect", field: "LeafNode: field \"ReconnectInterval\"", key: "leafnodes.reconnect", class: Restart},
	{path: "Leafnodes.DialTimeout", key: "leafnodes.dial_timeout", class: Restart},
	{path: "Leafnodes.Compression", key: "leafnodes.compression", class: Conn, line: "Reloaded: leafnode compression settings"},
	{path: "Leafnodes.IsolateInterest", field: "LeafNode: field \"IsolateLeafnodeInterest\"", key: "leafnodes.isolate_leafnode_interest", class: Restart},
	{path: "Leafnodes.WriteDeadline", key: "leafnodes.write_deadline", class: Restart},
	{path: "Leafnodes.WriteTimeout", key: "leafnodes.write_timeout", class: Restart},
	{path: "Leafnodes.Remotes", key: "leafnodes.remotes", class: Conn, line: "Reloaded: leafnode remotes",
		note: "remotes may be added and removed; of an existing one only compression, disabled, tls and proxy.tls may change"},

	{path: "Websocket.Host", key: "websocket.host", class: Restart},
	{path: "Websocket.Port", key: "websocket.port", class: Restart},
	{path: "Websocket.Advertise", key: "websocket.advertise", class: Restart},
	{path: "Websocket.NoTLS", key: "websocket.no_tls", class: Restart},
	{path: "Websocket.TLS", key: "websocket.tls", class: Listener, line: "Reloaded: websocket tls"},
	{path: "Websocket.SameOrigin", key: "websocket.same_origin", class: Restart},
	{path: "Websocket.AllowedOrigins", key: "websocket.allowed_origins", class: Restart},
	{path: "Websocket.HandshakeTimeout", key: "websocket.handshake_timeout", class: Restart},
	{path: "Websocket.Compression", key: "websocket.compression", class: Restart},
	{path: "Websocket.Auth", key: "websocket.authorization", class: Restart, secret: true},
	{path: "Websocket.JWTCookie", key: "websocket.jwt_cookie", class: Restart},
	{path: "Websocket.UserCookie", key: "websocket.user_cookie", class: Restart},
	{path: "Websocket.PassCookie", key: "websocket.pass_cookie", class: Restart},
	{path: "Websocket.TokenCookie", key: "websocket.token_cookie", class: Restart},
	{path: "Websocket.NoAuthUser", key: "websocket.no_auth_user", class: Restart},
	{path: "Websocket.Headers", key: "websocket.headers", class: Restart},
	{path: "Websocket.PingInterval", key: "websocket.ping_interval", class: Restart},

	{path: "MQTT.Host", key: "mqtt.host", class: Restart},
	{path: "MQTT.Port", key: "mqtt.port", class: Restart},
	{path: "MQTT.TLS", key: "mqtt.tls", class: Listener, line: "Reloaded: mqtt tls"},
	{path: "MQTT.Auth", key: "mqtt.authorization", class: Restart, secret: true},
	{path: "MQTT.NoAuthUser", key: "mqtt.no_auth_user", class: Restart},
	{path: "MQTT.AckWait", key: "mqtt.ack_wait", class: Hot},
	{path: "MQTT.JSAPITimeout", key: "mqtt.js_api_timeout", class: Restart},
	{path: "MQTT.MaxAckPending", key: "mqtt.max_ack_pending", class: Hot},
	{path: "MQTT.JSDomain", key: "mqtt.js_domain", class: Restart},
	{path: "MQTT.StreamReplicas", key: "mqtt.stream_replicas", class: Hot},
	{path: "MQTT.ConsumerReplicas", key: "mqtt.consumer_replicas", class: Hot},
	{path: "MQTT.ConsumerMemory", key: "mqtt.consumer_memory_storage", class: Hot},
	{path: "MQTT.ConsumerInactive", key: "mqtt.consumer_inactive_threshold", class: Hot},
	{path: "MQTT.RejectQoS2", key: "mqtt.reject_qos2_publish", class: Restart},
	{path: "MQTT.DowngradeQoS2", key: "mqtt.downgrade_qos2_subscribe", class: Restart},

	{path: "JetStream.Enabled", key: "jetstream", class: Hot, line: "Reloaded: JetStream"},
	{path: "JetStream.MaxMemory", key: "jetstream.max_memory_store", class: Restart, allow: jsAllow(func(j *JetStreamOptions) int64 { return j.MaxMemory }),
		message: decreasing, note: "may be increased"},
	{path: "JetStream.MaxStore", key: "jetstream.max_file_store", class: Restart, allow: jsAllow(func(j *JetStreamOptions) int64 { return j.MaxStore }),
		message: decreasing, note: "may be increased"},
	jsRow("Domain", "JetStreamDomain", "domain"),
	jsRow("UniqueTag", "JetStreamUniqueTag", "unique_tag"),
	jsRow("ExtensionHint", "JetStreamExtHint", "extension_hint"),
	jsRow("SyncInterval", "SyncInterval", "sync_interval"),
	jsRow("SyncAlways", "SyncAlways", "sync_interval"),
	{path: "JetStream.SyncSet", class: internal},
	{path: "JetStream.MaxMemorySet", class: internal},
	{path: "JetStream.MaxStoreSet", class: internal},
	jsRow("Strict", "JetStreamStrict", "strict"),
	secretRow(jsRow("Key", "JetStreamKey", "encryption_key")),
	secretRow(jsRow("PrevKey", "JetStreamOldKey", "prev_encryption_key")),
	jsRow("Cipher", "JetStreamCipher", "cipher"),
	secretRow(jsRow("TPM", "JetStreamTpm", "tpm")),
	{path: "JetStream.Limits", key: "jetstream.limits", class: Hot, line: "Reloaded: JetStream limits"},
	jsRow("MaxOutstandingCatchup", "JetStreamMaxCatchup", "max_outstanding_catchup"),
	jsRow("MaxBufferedSize", "StreamMaxBufferedSize", "max_buffered_size"),
	jsRow("MaxBufferedMsgs", "StreamMaxBufferedMsgs", "max_buffered_msgs"),
	jsRow("RequestQueueLimit", "JetStreamRequestQueueLimit", "request_queue_limit"),
	jsRow("InfoQueueLimit", "JetStreamInfoQueueLimit", "info_queue_limit"),
	{path: "JetStream.MetaCompact", key: "jetstream.meta_compact", class: Hot},
	{path: "JetStream.MetaCompactSize", key: "jetstream.meta_compact_size", class: Hot},
	{path: "JetStream.MetaCompactSync", key: "jetstream.meta_compact_sync", class: Hot},
	jsRow("MaxConcurrentIO", "JetStreamMaxConcurrentIO", "max_concurrent_io"),

	{path: "StoreDir", key: "store_dir", class: Restart,
		message: "config reload not supported for jetstream storage directory", note: "any time without JetStream"},
	{path: "DefaultJSDomain", field: "JsAccDefaultDomain", key: "default_js_domain", class: Restart},
	{path: "Places", class: internal},
}

const decreasing = "config reload not supported for decreasing jetstream max memory and store"

// jsRow is an option of JetStream that cannot change while it runs.
func jsRow(path, field, key string) row {
	return row{path: "JetStream." + path, field: field, key: "jetstream." + key, class: Restart}
}

func secretRow(r row) row {
	r.secret = true
	return r
}

func jsOn(o *Options) bool { return o.JetStream != nil && o.JetStream.Enabled }

// jsAllow lets a limit grow. 0 is a limit found out at start, of which nothing is known here.
func jsAllow(f func(*JetStreamOptions) int64) func(o, n *Options) bool {
	return func(o, n *Options) bool {
		return f(o.JetStream) > 0 && f(n.JetStream) >= f(o.JetStream)
	}
}

// removedNoAuthUser says that no_auth_user went away with the user it named.
func removedNoAuthUser(o, n *Options) bool {
	if n.NoAuthUser != "" {
		return false
	}
	for _, u := range allUsers(n) {
		if u.Name == o.NoAuthUser || u.Nkey == o.NoAuthUser {
			return false
		}
	}
	return true
}

// rate is the handshake limit, which is read once at start.
func (t *TLSOptions) rate() int {
	if t == nil {
		return 0
	}
	return t.RateLimit
}

// name is the field in messages.
func (r *row) name() string {
	if r.field != "" {
		return r.field
	}
	block, field, nested := strings.Cut(r.path, ".")
	if !nested {
		return r.path
	}
	if block == "Leafnodes" {
		block = "LeafNode"
	}
	return block + ": field \"" + field + "\""
}
