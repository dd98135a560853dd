package monitor

import (
	"maps"
	"math"
	"net"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/proto/sysapi"
)

func (s *Server) varz(*params) (any, error) { return s.Varz() }

// Varz describes the server.
func (s *Server) Varz() (*sysapi.Varz, error) {
	src, o, now := s.src, s.src.Options(), s.src.Now()
	rss, cpu := src.Usage()
	c := src.Counters()
	reg := src.Registry()
	listeners := src.Listeners()
	v := &sysapi.Varz{
		ID: src.ID(), Name: src.Name(), Version: src.Version(), Proto: 1, GitCommit: src.GitCommit(), Go: runtime.Version(),
		Host: o.Host, Port: boundPort(listeners["client"], o.Port),
		AuthRequired: src.AuthRequired(),
		MaxConn:      o.MaxConn, MaxSubs: o.MaxSubs,
		PingInterval: o.PingInterval, PingMax: o.PingMax,
		HTTPHost: o.HTTPHost, HTTPPort: boundPort(listeners["monitoring"], o.HTTPPort), HTTPBasePath: o.HTTPBasePath,
		HTTPSPort:   boundPort(listeners["monitoring_tls"], o.HTTPSPort),
		AuthTimeout: o.Auth.Timeout.Seconds(), MaxControlLine: int32(o.MaxControlLine),
		MaxPayload: o.MaxPayload, MaxPending: o.MaxPending,
		TLSTimeout: defaultTLSTimeout, WriteDeadline: o.WriteDeadline, WriteTimeout: policyName(o.WriteTimeout),
		Start: src.StartTime().UTC(), Now: now.UTC(), Uptime: link.Uptime(now.Sub(src.StartTime())),
		Mem: rss, Cores: runtime.NumCPU(), MaxProcs: runtime.GOMAXPROCS(0), CPU: cpu,
		Connections: reg.Count(engine.Client), TotalConnections: reg.Total(),
		Routes: reg.Count(engine.Router), Leafs: reg.Count(engine.Leaf),
		InMsgs: c.InMsgs, InBytes: c.InBytes, InClientMsgs: c.InClientMsgs, InClientBytes: c.InClientBytes,
		OutMsgs: c.OutMsgs, OutBytes: c.OutBytes, OutClientMsgs: c.OutClientMsgs, OutClientBytes: c.OutClientBytes,
		SlowConsumers: c.SlowConsumers, StaleConnections: c.Stale, StalledClients: c.Stalled,
		Subscriptions: s.indexStats("").Subscriptions,
		HTTPReqStats:  s.requestCounts(),
		ConfigDigest:  o.Digest, ConfigLoadTime: src.ConfigTime().UTC(),
		Tags: o.ServerTags, Metadata: o.Metadata, FeatureFlags: featureFlags(o.FeatureFlags),
		SlowConsumerStats: KindStats(&c.SlowByKind), StaleStats: KindStats(&c.StaleByKind),
		DiskIOWait: &sysapi.DiskIOWaitStats{}, JetStream: s.jetStreamVarz(),
	}
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		v.MemLimit = limit
	}
	if a := src.Accounts().System(); a != nil {
		v.SystemAccount = a.Name()
	}
	v.OperatorsJWT = o.Operators
	v.PinnedFails = s.src.PinnedFails()
	for _, token := range o.Operators {
		v.OperatorsClaim = append(v.OperatorsClaim, account.OperatorPayload(token))
	}
	if o.Cluster != nil { // as in INFO: a server by itself names nobody to connect to
		v.ConnectURLs, v.WSConnectURLs = src.ConnectURLs()
		v.Cluster = clusterVarz(o.Cluster, boundPort(listeners["cluster"], o.Cluster.Port))
		if r := src.Routes(); r != nil {
			v.Cluster.Name, v.Remotes = r.Name(), r.Remotes()
		}
	}
	v.OCSPCache = src.OCSPCache()
	if t := o.TLS; t != nil {
		v.TLSRequired = !o.AllowNonTLS
		v.TLSVerify = t.Verify || t.VerifyAndMap
		v.TLSOCSPPeerVerify = v.TLSRequired && t.OCSPPeer != nil
		v.TLSCertNotAfter = notAfter(t)
		if t.Timeout > 0 {
			v.TLSTimeout = t.Timeout.Seconds()
		}
	}
	if len(o.TrustedProxies) > 0 {
		v.Proxies = &sysapi.ProxiesVarz{}
		for _, k := range o.TrustedProxies {
			v.Proxies.Trusted = append(v.Proxies.Trusted, sysapi.ProxyInfo{Key: k})
		}
	}
	if g := src.Gateways(); g != nil {
		v.Gateway = g.Varz()
		v.Gateway.TLSCertNotAfter = notAfter(o.Gateway.TLS)
	}
	v.Leaf = leafVarz(o.Leafnodes, listeners["leafnode"])
	if w := o.Websocket; w != nil && w.Port != 0 {
		v.Websocket = websocketVarz(w, boundPort(listeners["websocket"], w.Port))
	}
	if q := o.MQTT; q != nil && q.Port != 0 {
		v.MQTT = mqttVarz(q, boundPort(listeners["mqtt"], q.Port))
	}
	return v, nil
}

// featureFlags shows the known flags (reference/config.md, section 2) as configured or by default.
func featureFlags(set map[string]bool) map[string]bool {
	all := map[string]bool{"js_ack_fc_v2": false, "js_api_reply_v2": false, "js_raft_delete_range": true, "js_snapshot_sources": false}
	maps.Copy(all, set)
	return all
}

// defaultTLSTimeout is shown also without TLS, in seconds (reference/limits_and_defaults.md).
const defaultTLSTimeout = 2

func clusterVarz(c *config.ClusterOptions, port int) sysapi.ClusterVarz {
	if c.Port == 0 {
		return sysapi.ClusterVarz{}
	}
	v := sysapi.ClusterVarz{
		Name: c.Name, Host: c.Host, Port: port, AuthTimeout: c.Auth.Timeout.Seconds(), TLSTimeout: defaultTLSTimeout,
		PoolSize: c.PoolSize, WriteDeadline: c.WriteDeadline, WriteTimeout: policyName(c.WriteTimeout),
	}
	for _, u := range c.Routes {
		v.URLs = append(v.URLs, u.Host)
	}
	if t := c.TLS; t != nil {
		v.TLSRequired, v.TLSVerify, v.TLSCertNotAfter = true, true, notAfter(t)
		if t.Timeout > 0 {
			v.TLSTimeout = t.Timeout.Seconds()
		}
	}
	return v
}

func websocketVarz(w *config.WebsocketOptions, port int) sysapi.WebsocketVarz {
	v := sysapi.WebsocketVarz{
		Host: w.Host, Port: port, Advertise: w.Advertise, NoAuthUser: w.NoAuthUser, JWTCookie: w.JWTCookie,
		HandshakeTimeout: w.HandshakeTimeout, AuthTimeout: w.Auth.Timeout.Seconds(), NoTLS: w.NoTLS,
		SameOrigin: w.SameOrigin, AllowedOrigins: w.AllowedOrigins, Compression: w.Compression,
	}
	if t := w.TLS; t != nil {
		v.TLSMap = t.VerifyAndMap
		v.TLSOCSPPeerVerify = t.OCSPPeer != nil
		for k := range t.PinnedCerts {
			v.TLSPinnedCerts = append(v.TLSPinnedCerts, k)
		}
		v.TLSCertNotAfter = notAfter(t)
	}
	return v
}

func mqttVarz(q *config.MQTTOptions, port int) sysapi.MQTTVarz {
	v := sysapi.MQTTVarz{
		Host: q.Host, Port: port, NoAuthUser: q.NoAuthUser, AuthTimeout: q.Auth.Timeout.Seconds(), JSDomain: q.JSDomain,
		AckWait: q.AckWait, MaxAckPending: uint16(q.MaxAckPending),
	}
	if t := q.TLS; t != nil {
		v.TLSMap, v.TLSTimeout = t.VerifyAndMap, t.Timeout.Seconds()
		v.TLSOCSPPeerVerify = t.OCSPPeer != nil
		for k := range t.PinnedCerts {
			v.TLSPinnedCerts = append(v.TLSPinnedCerts, k)
		}
		v.TLSCertNotAfter = notAfter(t)
	}
	return v
}

// notAfter is when the first certificate of a block expires.
func notAfter(t *config.TLSOptions) *time.Time {
	if t == nil || t.Config == nil || len(t.Config.Certificates) == 0 || t.Config.Certificates[0].Leaf == nil {
		return nil
	}
	at := t.Config.Certificates[0].Leaf.NotAfter.UTC()
	return &at
}

// KindStats puts counts by kind of connection into the form of the pages.
func KindStats(n *[engine.NumKinds]int64) *sysapi.KindStats {
	return &sysapi.KindStats{
		Clients: uint64(n[engine.Client]), Routes: uint64(n[engine.Router]),
		Gateways: uint64(n[engine.Gateway]), Leafs: uint64(n[engine.Leaf]),
	}
}

func policyName(p config.WritePolicy) string {
	switch p {
	case config.WriteClose:
		return "close"
	case config.WriteRetry:
		return "retry"
	}
	return ""
}

// boundPort is the port of a bound address, or the configured one while it is not bound.
func boundPort(addr string, configured int) int {
	if _, p, err := net.SplitHostPort(addr); err == nil {
		if n, err := strconv.Atoi(p); err == nil {
			return n
		}
	}
	return max(0, configured)
}
