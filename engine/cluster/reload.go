package cluster

import (
	"net/url"
	"reflect"
	"slices"
	"time"

	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/interest"
	"ramjet/engine/netio"
	"ramjet/proto/base/rng"
	"ramjet/proto/wire"
)

// Reload follows a change of the configuration from cur to the one in force. Control.
func (s *Service) Reload(cur *config.Options) {
	o := s.options()
	was, now := cur.Cluster, o.Cluster
	if was == nil || now == nil {
		return
	}
	s.reloadName(was, now)
	s.reloadRoutes(was, now)
	again := was.PoolSize != now.PoolSize || !reflect.DeepEqual(was.Compression, now.Compression)
	perms := !reflect.DeepEqual(was.Import, now.Import) || !reflect.DeepEqual(was.Export, now.Export)
	if perms {
		s.reloadPerms(now)
	}
	if again {
		// What was agreed on at the start of a connection is agreed on anew.
		s.each(func(r *Route) { r.on(func() { r.CloseErr("", netio.ReasonClientClosed) }) })
	} else {
		s.reloadAccounts(was, now)
	}
	s.SyncAccounts()
	if perms || was.Advertise != now.Advertise || was.NoAdvertise != now.NoAdvertise || cur.ClientAdvertise != o.ClientAdvertise {
		s.Broadcast()
		s.changed()
	}
	recheck := !reflect.DeepEqual(was.Auth, now.Auth) || was.TLS != now.TLS // who was let in must be let in now
	s.each(func(r *Route) {
		r.on(func() {
			if r.member == nil && recheck {
				if ok, pending := r.authorize(&r.creds); !ok && !pending {
					_ = r.deny(r.creds.User)
					return
				}
			}
			r.SetOutputLimits(o)
			r.SetPing(keepAlive(o))
			if t := now.TLS; t != nil {
				if st := r.Net().TLS(); st != nil && !t.Pinned(st) {
					r.CloseErr("", netio.ReasonTLSHandshake)
				}
			}
		})
	})
}

// keepAlive returns the interval of PINGs, and how many may stay without answer.
func keepAlive(o *config.Options) (interval time.Duration, limit int) {
	if interval = o.Cluster.PingInterval; interval <= 0 {
		interval = o.PingInterval
	}
	if limit = o.Cluster.PingMax; limit <= 0 {
		limit = o.PingMax
	}
	return min(interval, maxRoutePing), limit
}

// reloadName takes another name of the cluster; connections that knew the old one end.
func (s *Service) reloadName(was, now *config.ClusterOptions) {
	if was.Name == now.Name {
		return
	}
	s.mu.Lock()
	if s.name, s.dynamic = now.Name, false; s.name == "" {
		s.name, s.dynamic = rng.NewNUID(s.rnd.Fork()).Next(), true
	}
	s.mu.Unlock()
	s.each(func(r *Route) { r.on(func() { r.CloseErr("", netio.ReasonClusterNameConflict) }) })
	s.changed()
}

// reloadRoutes connects to what was added to the configured routes, and ends what was removed.
func (s *Service) reloadRoutes(was, now *config.ClusterOptions) {
	in := func(u *url.URL, list []*url.URL) bool {
		return slices.ContainsFunc(list, func(o *url.URL) bool { return o.String() == u.String() })
	}
	for _, u := range was.Routes {
		if !in(u, now.Routes) {
			s.removeRoute(u)
		}
	}
	for _, u := range now.Routes {
		if in(u, was.Routes) {
			continue
		}
		s.mu.Lock()
		var has *target
		for _, t := range s.targets {
			if sameHost(t.url, u) {
				has = t // known by gossip, configured now
			}
		}
		if has != nil {
			has.explicit = true
		}
		s.mu.Unlock()
		if has == nil {
			s.solicit(u, true, "")
		}
	}
}

// removeRoute ends the connections to a configured server. One that dials this server stays.
func (s *Service) removeRoute(u *url.URL) {
	s.mu.Lock()
	var gone []*Route
	for _, t := range slices.Clone(s.targets) {
		if !t.explicit || !sameHost(t.url, u) {
			continue
		}
		t.explicit, t.gone = false, true
		for _, m := range slices.Clone(t.members) {
			m.drop()
		}
		s.targets = slices.DeleteFunc(s.targets, func(o *target) bool { return o == t })
		for _, p := range s.peers {
			for _, r := range p.routes() {
				if r.member != nil && r.member.target == t {
					gone = append(gone, r)
				}
			}
		}
	}
	s.mu.Unlock()
	for _, r := range gone {
		r.on(func() { r.CloseErr("", netio.ReasonRouteRemoved) })
	}
}

// reloadPerms puts other permissions into force: what may not be exported any more is forgotten, what may be imported
// now is announced; the other servers, told by INFO, announce what they could not before.
func (s *Service) reloadPerms(now *config.ClusterOptions) {
	p := newPerms(now)
	s.mu.Lock()
	s.perms = p
	s.mu.Unlock()
	s.each(func(r *Route) {
		r.on(func() {
			var gone []*interest.Sub
			r.subs.Range(func(x *interest.Sub) bool {
				if !p.canExport([]byte(x.Subject())) {
					gone = append(gone, x)
				}
				return true
			})
			for _, x := range gone {
				r.subs.Delete([]byte(x.SID()))
				r.nremote.Add(-1)
				r.unindex(x)
			}
		})
		s.refollow(r, false)
	})
}

// reloadAccounts gives accounts connections of their own, or takes them away.
func (s *Service) reloadAccounts(was, now *config.ClusterOptions) {
	s.mu.Lock()
	var gone []*Route
	for _, p := range s.peers {
		for name, r := range p.accounts {
			if !slices.Contains(s.pinned(s.options()), name) {
				gone = append(gone, r)
			}
		}
	}
	s.mu.Unlock()
	for _, r := range gone {
		r.on(func() { r.CloseErr("", netio.ReasonDuplicateRoute) })
	}
	for _, name := range now.Accounts {
		if slices.Contains(was.Accounts, name) {
			continue
		}
		s.eachPeerOf(name, func(r *Route) {
			r.on(func() {
				r.dropAccount(name)
				in := s.info(s.options())
				in.AccReqID, in.Account = newNonce(), name
				r.Send(wire.AppendRouteInfo(nil, &in))
			})
		})
	}
}

// eachPeerOf calls fn with the connection of the pool that carries an account, for each other server.
func (s *Service) eachPeerOf(account string, fn func(*Route)) {
	s.mu.Lock()
	var all []*Route
	for _, p := range s.peers {
		if p.size == 0 {
			continue // its only connection carries every account
		}
		if r := p.pool[slotOf(account, len(p.pool))]; r != nil {
			all = append(all, r)
		}
	}
	s.mu.Unlock()
	for _, r := range all {
		fn(r)
	}
}

// accountAdded hears that another server gives an account a connection of its own (a reload there). What it announced of
// that account before came by another connection and is void; the answer says that this server knows.
func (s *Service) accountAdded(r *Route, in *wire.RouteInfo) {
	if in.Account == "" {
		return // the answer to our own word
	}
	r.dropAccount(in.Account)
	mine := s.info(s.options())
	mine.AccReqID = in.AccReqID
	r.Send(wire.AppendRouteInfo(nil, &mine))
}

// refollow announces what permissions allow now: own ones that have changed, or (all) those of the other server.
func (s *Service) refollow(r *Route, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for a, f := range r.follows {
		if f.perms == s.perms && !all {
			continue
		}
		f.stop()
		delete(r.follows, a)
		s.takeBack(r, a, f.perms)
	}
	s.followLocked(r)
}

// takeBack withdraws what r has announced of a and permissions do not allow any more. The rest is told again, which changes
// nothing. Requires mu.
func (s *Service) takeBack(r *Route, a *account.Account, was *perms) {
	l := s.ledgers[a]
	if l == nil || was == s.perms {
		return
	}
	tell := r.teller(a, was)
	l.Range(func(c interest.Change) bool {
		if !s.perms.canImport(c.Subject) {
			c.Weight = 0
			tell(c)
		}
		return true
	})
}
