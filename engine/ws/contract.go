package ws

import (
	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/netio"
)

// CONTRACT: see engine/netio/contract.go for the rule.

// Meta is what the upgrade learned about a peer.
type Meta struct {
	Path                   string // "client", "leafnode", "mqtt"
	User, Pass, Token, JWT string // cookie values
	ForwardedFor           string
	TLSRequired            bool
}

// Acceptor upgrades connections of the websocket listener.
type Acceptor struct{}

// New returns an acceptor. opts reads the current options. next gives the protocol handler after the
// upgrade (nil refuses: mqtt not enabled gives 404 before the upgrade through MQTTEnabled).
func New(opts func() *config.Options, log engine.Logger, mqttEnabled func() bool,
	next func(c *netio.Conn, m Meta) netio.Handler) *Acceptor {
	panic("contract")
}

// Accept is the netio.AcceptFunc of the websocket listener.
func (a *Acceptor) Accept(c *netio.Conn) netio.Handler { panic("contract") }
