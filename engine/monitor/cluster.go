package monitor

import (
	"net/http"
	"time"

	"ramjet/proto/sysapi"
)

// The pages of subsystems that this build does not have answer as a server does on which they are off.

func (s *Server) routez(q *params) (any, error) {
	var o sysapi.RoutezOptions
	o.Subscriptions, o.SubscriptionsDetail = q.subs()
	return s.Routez(&o)
}

// Routes are the connections to other servers of the cluster. Any goroutine.
type Routes interface {
	// Routez fills v. It may wait for the loops, for subscriptions only.
	Routez(v *sysapi.Routez, o *sysapi.RoutezOptions)
	// Name returns the name of the cluster, Remotes the number of other servers.
	Name() string
	Remotes() int
}

// Routez lists the routes.
func (s *Server) Routez(o *sysapi.RoutezOptions) (*sysapi.Routez, error) {
	v := &sysapi.Routez{ID: s.src.ID(), Name: s.src.Name(), Now: s.src.Now().UTC(), Routes: []sysapi.RouteInfo{}}
	if r := s.src.Routes(); r != nil {
		r.Routez(v, o)
	}
	v.NumRoutes = len(v.Routes)
	return v, nil
}

func (s *Server) gatewayz(q *params) (any, error) {
	o := sysapi.GatewayzOptions{Name: q.string("gw_name"), Accounts: q.bool("accs"), AccountName: q.string("acc_name")}
	o.Subscriptions, o.SubscriptionsDetail = q.subs()
	return s.Gatewayz(&o)
}

// Gateways is what the pages show of connections between clusters. Any goroutine.
type Gateways interface {
	Gatewayz(o *sysapi.GatewayzOptions, now time.Time) *sysapi.Gatewayz
	Varz() sysapi.GatewayVarz
}

// Gatewayz lists the gateways.
func (s *Server) Gatewayz(o *sysapi.GatewayzOptions) (*sysapi.Gatewayz, error) {
	if g := s.src.Gateways(); g != nil {
		return g.Gatewayz(o, s.src.Now()), nil
	}
	return &sysapi.Gatewayz{
		ID: s.src.ID(), Now: s.src.Now().UTC(),
		Outbound: map[string]*sysapi.RemoteGateway{}, Inbound: map[string][]*sysapi.RemoteGateway{},
	}, nil
}

func (s *Server) raftz(*params) (any, error) {
	return nil, &statusError{http.StatusNotFound, "No Raft nodes registered"}
}

func (s *Server) ipqueuesz(q *params) (any, error) {
	q.bool("all")
	return struct{}{}, nil
}
