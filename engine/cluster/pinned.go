package cluster

import "ramjet/proto/wire"

// accountAdded hears that another server gives an account a connection of its own (a reload there). What it announced of
// that account before came by another connection and is void; the answer says that this server knows.
func (s *Service) accountAdded(r *Route, in *wire.RouteInfo) {
	if in.Account == "" {
		return
	}
	r.dropAccount(in.Account)
	out := *in
	mine := s.info(s.options())
	mine.AccReqID, out.Account = in.AccReqID, ""
	r.Send(wire.AppendRouteInfo(nil, &mine))
}
