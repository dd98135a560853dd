package server

import (
	"fmt"
	"net"
	"slices"
	"strconv"

	"ramjet/engine"
	"ramjet/engine/netio"
)

// addresses are the bound addresses; immutable.
type addresses struct {
	client, ws, mqtt, profile net.Addr
	cluster, gateway, leaf    net.Addr
	http, https               string // host:port
}

// logFatal writes a fatal line with the text of err and returns err.
func (s *Server) logFatal(id string, err error) error {
	s.log.Logf(engine.Fatal, id, "%s", err.Error())
	return err
}

// listenAddr returns host:port with the port a system call wants: configured -1 is a random one.
func listenAddr(host string, port int) string {
	return net.JoinHostPort(host, strconv.Itoa(max(port, 0)))
}

// clientListeners are those whose connections are limited by connect_rate: other servers are few, and known.
var clientListeners = []string{"client", "websocket", "mqtt"}

// listen binds one listener, which does not accept yet. Control.
func (s *Server) listen(name, host string, port int, accept netio.AcceptFunc) (*netio.Listener, error) {
	addr := listenAddr(host, port)
	spec := netio.ListenSpec{Name: name, Addr: addr}
	if slices.Contains(clientListeners, name) {
		spec.Rate = s.opts.Load().ConnectRate
	}
	l, err := s.group.Listen(spec, accept)
	if err != nil {
		//lint:ignore ST1005 the text of nats-server
		return nil, fmt.Errorf("Error listening on port: %s, %q", addr, err)
	}
	s.listeners[name] = l
	return l, nil
}

// shownAddr is the bound address as the log shows it: the configured host, the real port.
func shownAddr(host string, a net.Addr) string {
	return net.JoinHostPort(host, strconv.Itoa(portOf(a, 0)))
}

// closeListeners stops accepting, but for the listeners that are named; accepted connections stay. Control.
func (s *Server) closeListeners(but ...string) {
	for name, l := range s.listeners {
		if slices.Contains(but, name) {
			continue
		}
		if err := l.Close(); err != nil {
			s.log.Logf(engine.Warn, "RJ-S020", "Error closing the %s listener: %v", name, err)
		}
		delete(s.listeners, name)
	}
}

// ports returns the content of the ports file.
func (s *Server) ports() *Ports {
	a, o := s.addrs.Load(), s.opts.Load()
	p := &Ports{}
	if a.client != nil {
		p.Nats = listenURLs("nats", shownAddr(o.Host, a.client), true)
	}
	if a.cluster != nil {
		p.Cluster = listenURLs("nats", shownAddr(o.Cluster.Host, a.cluster), true)
	}
	if a.http != "" {
		p.Monitoring = append(p.Monitoring, listenURLs("http", a.http, true)...)
	}
	if a.https != "" {
		p.Monitoring = append(p.Monitoring, listenURLs("https", a.https, true)...)
	}
	if a.profile != nil {
		p.Profile = listenURLs("http", shownAddr(o.Host, a.profile), true)
	}
	if a.leaf != nil {
		p.Leafnodes = listenURLs("nats", shownAddr(o.Leafnodes.Host, a.leaf), true)
	}
	if a.ws != nil {
		scheme := "ws"
		if o.Websocket.TLS != nil {
			scheme = "wss"
		}
		p.Websocket = listenURLs(scheme, shownAddr(o.Websocket.Host, a.ws), true)
	}
	return p
}
