package gateway

import (
	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/dispatch"
)

// appendPrefix appends what leads an answer back to this server.
func (s *Service) appendPrefix(b []byte) []byte {
	return dispatch.AppendRouted(b, s.hash, s.serverHash, nil)
}

// Routed is dispatch.Hooks.Routed: an answer that knows its way. It goes to the cluster that it names; in that cluster to
// the server that it names; there, without the prefix, to who waits for it.
func (s *Service) Routed(ctx *dispatch.Ctx, a *account.Account, m *engine.Msg) (out dispatch.Outcome, ok bool) {
	cluster, server, rest := dispatch.Routed(m.Route())
	if cluster == nil {
		return out, false
	}
	came := m.Origin == engine.Gateway || m.Origin == engine.Router
	if string(cluster) != s.hash {
		if came {
			return out, true // not for us, and not to be passed on
		}
		for _, c := range *s.out.Load() {
			if c.remote.hash == string(cluster) {
				if c.DeliverLink(ctx.From, m, nil, nil).Delivered() {
					out.Delivered = 1
				}
				return out, true
			}
		}
		return out, false // a leafnode may know the way
	}
	if m.Origin == engine.Gateway && string(server) != s.serverHash && s.p.Route != nil {
		if l := s.p.Route(string(server), a); l != nil {
			if l.DeliverLink(ctx.From, m, nil, nil).Delivered() {
				out.Delivered = 1
			}
			return out, true
		}
	}
	// It has arrived: from here on it is as if it were published here. Other clusters may be interested too.
	subject, to, origin := m.Subject, m.To, m.Origin
	if came {
		m.Origin = engine.Account
	}
	if m.To != nil {
		m.To = rest
	} else {
		m.Subject = rest
	}
	out = s.env.Router.Publish(ctx, a, m)
	m.Subject, m.To, m.Origin = subject, to, origin
	return out, true
}
