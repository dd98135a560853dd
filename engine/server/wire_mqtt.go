package server

import (
	"fmt"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/engine/monitor"
	"ramjet/engine/mqtt"
	"ramjet/engine/netio"
	"ramjet/engine/ws"
)

// newMQTT makes the service of MQTT clients, if the options have it.
func (s *Server) newMQTT(env *link.Env, o *config.Options) {
	if o.MQTT == nil || o.MQTT.Port == 0 {
		return
	}
	s.mqtt = mqtt.New(env, mqtt.Env{
		Storage: func(a *account.Account) mqtt.Storage { return newMQTTStore(s, a) },
		Node:    func() string { return mqttNode(s) },
		Seed:    s.seed + 13,
	})
}

// listenMQTT binds the MQTT listener. Control.
func (s *Server) listenMQTT(o *config.Options, a *addresses) error {
	if s.mqtt == nil {
		return nil
	}
	q := o.MQTT
	l, err := s.listen("mqtt", q.Host, q.Port, s.mqtt.Accept)
	if err != nil {
		return fmt.Errorf("Unable to listen for MQTT connections: %w", err) //lint:ignore ST1005 the text of nats-server
	}
	a.mqtt = l.Addr()
	scheme := "mqtt"
	if q.TLS != nil {
		scheme = "tls"
	}
	s.log.Logf(engine.Info, "", "Listening for MQTT clients on %s://%s", scheme, shownAddr(q.Host, a.mqtt))
	return nil
}

// acceptMQTT takes over a connection of the websocket listener.
func (s *Server) acceptMQTT(c *netio.Conn, m ws.Meta) netio.Handler {
	return s.mqtt.AcceptWS(c, mqtt.WSMeta{User: m.User, Pass: m.Pass, Token: m.Token, JWT: m.JWT, ForwardedFor: m.ForwardedFor})
}

// MQTT implements monitor.Source.
func (v source) MQTT() monitor.MQTT {
	if v.s.mqtt == nil {
		return nil
	}
	return mqttUsage{v.s.mqtt}
}

// mqttUsage implements monitor.MQTT.
type mqttUsage struct{ svc *mqtt.Service }

func (m mqttUsage) Usage(fn func(account string, u monitor.MQTTUsage)) {
	m.svc.Usage(func(account string, u mqtt.Usage) { fn(account, monitor.MQTTUsage(u)) })
}

// stopMQTT ends the storages: what waits for JetStream need not any more. Control.
func (s *Server) stopMQTT() {
	if s.mqtt != nil {
		s.mqtt.Close()
	}
}
