package monitor

import (
	"net/http"

	"ramjet/proto/sysapi"
)

// The pages of subsystems that this build does not have answer as a server does on which they are off.

func (s *Server) routez(q *params) (any, error) {
	q.subs()
	return &sysapi.Routez{ID: s.src.ID(), Name: s.src.Name(), Now: s.src.Now().UTC(), Routes: []sysapi.RouteInfo{}}, nil
}

func (s *Server) gatewayz(q *params) (any, error) {
	q.subs()
	q.bool("accs")
	return &sysapi.Gatewayz{
		ID: s.src.ID(), Now: s.src.Now().UTC(),
		Outbound: map[string]*sysapi.RemoteGateway{}, Inbound: map[string][]sysapi.RemoteGateway{},
	}, nil
}

func (s *Server) leafz(q *params) (any, error) {
	q.subs()
	return &sysapi.Leafz{ID: s.src.ID(), Now: s.src.Now().UTC(), Leafs: []sysapi.LeafInfo{}}, nil
}

func (s *Server) jsz(q *params) (any, error) {
	for _, name := range []string{"accounts", "streams", "consumers", "direct-consumers", "config", "leader-only", "raft", "stream-leader-only"} {
		q.bool(name)
	}
	q.page()
	return &sysapi.JSInfo{ID: s.src.ID(), Now: s.src.Now().UTC(), Disabled: true}, nil
}

func (s *Server) raftz(*params) (any, error) {
	return nil, &statusError{http.StatusNotFound, "No Raft nodes registered"}
}

func (s *Server) ipqueuesz(q *params) (any, error) {
	q.bool("all")
	return struct{}{}, nil
}
