package server

import "ramjet/engine/link"

// linkEvents is who hears of what happens to connections. The links write their log lines themselves;
// system account events join here.
func (s *Server) linkEvents() *link.Events { return &link.Events{} }
