package server

import (
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/engine/monitor"
	"ramjet/proto/sysapi"
)

// source is the view monitoring has of the server.
type source struct{ s *Server }

var _ monitor.Source = source{}

func (v source) ID() string                  { return v.s.id }
func (v source) Name() string                { return v.s.Name() }
func (v source) Version() string             { return NATSVersion }
func (v source) GitCommit() string           { return gitCommit }
func (v source) StartTime() time.Time        { return v.s.startTime }
func (v source) ConfigTime() time.Time       { return time.Unix(0, v.s.confTime.Load()) }
func (v source) Options() *config.Options    { return v.s.opts.Load() }
func (v source) Accounts() *account.Registry { return v.s.accounts }
func (v source) Registry() *link.Registry    { return v.s.registry }
func (v source) Logger() engine.Logger       { return v.s.log }
func (v source) PinnedFails() uint64         { return v.s.auth.Load().NotPinned() }

func (v source) Counters() link.Counters {
	if e := v.s.linkEnv.Load(); e != nil {
		return e.Sum()
	}
	return link.Counters{}
}

func (v source) Panics() int64 {
	if e := v.s.linkEnv.Load(); e != nil {
		return e.Group.Panics()
	}
	return 0
}

func (v source) OCSPCache() *sysapi.OCSPResponseCacheVarz { return v.s.ocspCacheVarz() }

func (v source) Ready() (ok bool, reasons []string) { return v.s.Ready() }

// Ready reports whether clients can be served, and why not. Any goroutine.
func (s *Server) Ready() (ok bool, reasons []string) {
	switch state(s.state.Load()) {
	case stateRunning:
		return true, nil
	case stateNew, stateStarting:
		return false, []string{"starting"}
	case stateLameDuck:
		return false, []string{"lame duck mode"}
	}
	return false, []string{"shutting down"}
}

func (v source) Listeners() map[string]string {
	a, o := v.s.addrs.Load(), v.s.opts.Load()
	m := map[string]string{}
	if a.client != nil {
		m["client"] = shownAddr(o.Host, a.client)
	}
	if a.cluster != nil {
		m["cluster"] = shownAddr(o.Cluster.Host, a.cluster)
	}
	if a.ws != nil {
		m["websocket"] = shownAddr(o.Websocket.Host, a.ws)
	}
	if a.gateway != nil {
		m[gatewayListener] = shownAddr(o.Gateway.Host, a.gateway)
	}
	if a.mqtt != nil {
		m["mqtt"] = shownAddr(o.MQTT.Host, a.mqtt)
	}
	if a.leaf != nil {
		m["leafnode"] = shownAddr(o.Leafnodes.Host, a.leaf)
	}
	if a.http != "" {
		m["monitoring"] = a.http
	}
	if a.https != "" {
		m["monitoring_tls"] = a.https
	}
	if a.profile != nil {
		m["profile"] = a.profile.String()
	}
	return m
}

func (v source) ConnectURLs() (client, ws []string) {
	a, o := v.s.addrs.Load(), v.s.opts.Load()
	if a.client != nil {
		client = connectURLs(o.ClientAdvertise, o.Host, portOf(a.client, o.Port))
	}
	if a.ws != nil {
		ws = connectURLs(o.Websocket.Advertise, o.Websocket.Host, portOf(a.ws, o.Websocket.Port))
	}
	return client, ws
}
