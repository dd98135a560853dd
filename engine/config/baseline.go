package config

import "time"

// Defaults of limits_and_defaults.md.
const (
	DefaultPort             = 4222
	DefaultLeafPort         = 7422
	DefaultHost             = "0.0.0.0"
	DefaultMaxConn          = 65536
	DefaultMaxControlLine   = 4096
	DefaultMaxPayload       = 1 << 20
	DefaultMaxPending       = 64 << 20
	DefaultMaxClosedClients = 10000
	DefaultPingInterval     = 2 * time.Minute
	DefaultPingMax          = 2
	DefaultWriteDeadline    = 10 * time.Second
	DefaultLameDuck         = 2 * time.Minute
	DefaultLameDuckGrace    = 10 * time.Second
	DefaultAuthTimeout      = 2 * time.Second
	DefaultConnectErrors    = 3600
	DefaultReconnectErrors  = 1
	DefaultPoolSize         = 3
	DefaultLeafReconnect    = time.Second
	DefaultSystemAccount    = "$SYS"
	DefaultMQTTAckWait      = 30 * time.Second
	DefaultMQTTTimeout      = 5 * time.Second
	DefaultMQTTInflight     = 1024
	DefaultSyncInterval     = 2 * time.Minute
	DefaultMaxConsumers     = 1000
)

// orElse sets *v to d if it is not set.
func orElse[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Baseline fills what is not set with defaults. Doing it twice changes nothing. It may replace blocks of
// o by copies, but never writes to those it was given.
func Baseline(o *Options) {
	orElse(&o.Host, DefaultHost)
	orElse(&o.Port, DefaultPort)
	orElse(&o.HTTPHost, o.Host)
	orElse(&o.MaxConn, DefaultMaxConn)
	orElse(&o.MaxControlLine, DefaultMaxControlLine)
	orElse(&o.MaxPayload, DefaultMaxPayload)
	orElse(&o.MaxPending, DefaultMaxPending)
	orElse(&o.MaxClosedClients, DefaultMaxClosedClients)
	orElse(&o.PingInterval, DefaultPingInterval)
	orElse(&o.PingMax, DefaultPingMax)
	orElse(&o.WriteDeadline, DefaultWriteDeadline)
	orElse(&o.LameDuckDuration, DefaultLameDuck)
	orElse(&o.LameDuckGrace, DefaultLameDuckGrace)
	orElse(&o.ConnectErrorReports, DefaultConnectErrors)
	orElse(&o.ReconnectErrorReports, DefaultReconnectErrors)
	o.TLS = baselineTLS(o.TLS)
	baselineAuth(&o.Auth, o.TLS)
	if !o.NoSystemAccount {
		orElse(&o.SystemAccount, DefaultSystemAccount)
	}
	baselineCluster(o)
	baselineGateway(o)
	baselineLeafnodes(o)
	baselineListeners(o)
	baselineJetStream(o)
}

func baselineTLS(t *TLSOptions) *TLSOptions {
	if t == nil || t.Timeout != 0 {
		return t
	}
	c := *t
	c.Timeout = defaultTLSTimeout
	return &c
}

// baselineAuth: with TLS, the handshake comes out of the time to authenticate.
func baselineAuth(a *AuthBlock, t *TLSOptions) {
	if t != nil {
		orElse(&a.Timeout, t.Timeout+time.Second)
	}
	orElse(&a.Timeout, DefaultAuthTimeout)
}

func baselineCluster(o *Options) {
	if o.Cluster == nil {
		return
	}
	c := *o.Cluster
	o.Cluster = &c
	orElse(&c.Host, DefaultHost)
	orElse(&c.PoolSize, DefaultPoolSize)
	orElse(&c.Compression.Mode, "accept")
	c.TLS = baselineTLS(c.TLS)
	baselineAuth(&c.Auth, c.TLS)
}

func baselineGateway(o *Options) {
	if o.Gateway == nil {
		return
	}
	g := *o.Gateway
	o.Gateway = &g
	orElse(&g.Host, DefaultHost)
	g.TLS = baselineTLS(g.TLS)
	baselineAuth(&g.Auth, g.TLS)
}

func baselineLeafnodes(o *Options) {
	if o.Leafnodes == nil {
		return
	}
	l := *o.Leafnodes
	o.Leafnodes = &l
	if l.Port != 0 {
		orElse(&l.Host, DefaultHost)
		orElse(&l.Compression.Mode, "s2_auto")
	}
	orElse(&l.Reconnect, DefaultLeafReconnect)
	orElse(&l.DialTimeout, time.Second)
	l.TLS = baselineTLS(l.TLS)
	baselineAuth(&l.Auth, l.TLS)
	remotes := make([]*RemoteLeaf, len(l.Remotes))
	for i, r := range l.Remotes {
		c := *r
		orElse(&c.Account, globalAccount)
		orElse(&c.Compression.Mode, "s2_auto")
		orElse(&c.FirstInfoTimeout, time.Second)
		orElse(&c.DialTimeout, l.DialTimeout)
		c.TLS = baselineTLS(c.TLS)
		c.ProxyTLS = baselineTLS(c.ProxyTLS)
		remotes[i] = &c
	}
	l.Remotes = remotes
}

func baselineListeners(o *Options) {
	if o.Websocket != nil {
		w := *o.Websocket
		o.Websocket = &w
		orElse(&w.Host, DefaultHost)
		w.TLS = baselineTLS(w.TLS)
		baselineAuth(&w.Auth, w.TLS)
	}
	if o.MQTT != nil {
		q := *o.MQTT
		o.MQTT = &q
		orElse(&q.Host, DefaultHost)
		orElse(&q.AckWait, DefaultMQTTAckWait)
		orElse(&q.JSAPITimeout, DefaultMQTTTimeout)
		orElse(&q.MaxAckPending, DefaultMQTTInflight)
		q.TLS = baselineTLS(q.TLS)
		baselineAuth(&q.Auth, q.TLS)
	}
}

func baselineJetStream(o *Options) {
	if o.JetStream == nil {
		return
	}
	j := *o.JetStream
	o.JetStream = &j
	if !j.SyncSet && j.SyncInterval == 0 {
		j.SyncAlways = true // what was acknowledged is on disk
	}
	orElse(&j.SyncInterval, DefaultSyncInterval)
	orElse(&j.Limits.DefaultMaxConsumers, DefaultMaxConsumers)
	orElse(&j.Cipher, "chacha")
}
