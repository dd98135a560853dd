package server

import (
	"ramjet/engine"
	"ramjet/engine/link"
	"ramjet/engine/netio"
)

// linkEvents turns what happens to connections into log lines; system events join here later.
func (s *Server) linkEvents() *link.Events {
	return &link.Events{
		AuthFailed: func(c *link.Conn, why string) {
			s.log.Logf(engine.Error, "RJ-S030", "%s - %s", c.Label(), why)
		},
		SlowConsumer: func(c *link.Conn, r netio.Reason) {},
	}
}
