package cluster

import (
	"slices"
	"time"

	"ramjet/engine/config"
	"ramjet/engine/interest"
	"ramjet/proto/sysapi"
	"ramjet/proto/wire"
)

// subsTimeout bounds the wait for the subscriptions of one route.
const subsTimeout = time.Second

// Routez lists the routes. Any goroutine but a loop.
func (s *Service) Routez(v *sysapi.Routez, o *sysapi.RoutezOptions) {
	c := s.options().Cluster
	if c == nil {
		return
	}
	v.Import, v.Export = shown(c.Import), shown(c.Export)
	now := s.env.Clock.Now()
	s.each(func(r *Route) { v.Routes = append(v.Routes, r.describe(now, o)) })
	slices.SortFunc(v.Routes, func(a, b sysapi.RouteInfo) int { return int(int64(a.Rid) - int64(b.Rid)) })
}

func shown(p *config.SubjectPerm) *sysapi.SubjectPermission {
	if p == nil {
		return nil
	}
	return &sysapi.SubjectPermission{Allow: p.Allow, Deny: p.Deny}
}

// announcedPerms are the permissions that the server with that id has announced.
func (s *Service) announcedPerms(id string) (imports, exports *sysapi.SubjectPermission) {
	conv := func(p *wire.PermInfo) *sysapi.SubjectPermission {
		if p == nil {
			return nil
		}
		return &sysapi.SubjectPermission{Allow: p.Allow, Deny: p.Deny}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.peers[id]; p != nil {
		imports, exports = conv(p.info.Import), conv(p.info.Export)
	}
	return imports, exports
}

// describe returns the monitoring view of r.
func (r *Route) describe(now time.Time, o *sysapi.RoutezOptions) sysapi.RouteInfo {
	var i sysapi.ConnInfo
	r.Snapshot(&i, now, false)
	imports, exports := r.svc.announcedPerms(r.remoteID)
	out := sysapi.RouteInfo{
		Rid: i.Cid, RemoteID: r.remoteID, RemoteName: r.remoteName, DidSolicit: r.member != nil, IsConfigured: r.configured,
		IP: i.IP, Port: i.Port, Start: i.Start, LastActivity: i.LastActivity, RTT: i.RTT, Uptime: i.Uptime, Idle: i.Idle,
		Import: imports, Export: exports, Pending: i.Pending,
		InMsgs: i.InMsgs, OutMsgs: i.OutMsgs, InBytes: i.InBytes, OutBytes: i.OutBytes,
		NumSubs: uint32(max(0, r.nremote.Load())), Account: r.account, Compression: r.comp.Mode(),
	}
	if !o.Subscriptions && !o.SubscriptionsDetail {
		return out
	}
	var subs []sysapi.SubDetail
	done := make(chan struct{})
	late := make(chan struct{})
	posted := r.Net().Loop().Post(func() {
		select {
		case <-late:
			return
		default:
		}
		r.subs.Range(func(s *interest.Sub) bool {
			d := sysapi.SubDetail{}
			r.SubDetail(&d, s)
			d.Account, d.Sid = s.SID()[:accountLen(s.SID())], ""
			subs = append(subs, d)
			return true
		})
		close(done)
	})
	if !posted {
		return out
	}
	fired := make(chan struct{})
	t := r.Env().Clock.AfterFunc(subsTimeout, func() { close(fired) })
	defer t.Stop()
	select {
	case <-done:
	case <-fired:
		close(late)
		return out
	}
	if o.SubscriptionsDetail {
		out.SubsDetail = subs
		return out
	}
	for i := range subs {
		out.Subs = append(out.Subs, subs[i].Subject)
	}
	return out
}

// accountLen is the length of the account at the start of a sid.
func accountLen(sid string) int {
	for i := range len(sid) {
		if sid[i] == ' ' {
			return i
		}
	}
	return 0
}

// Stats is the part of STATSZ about routes. Any goroutine.
func (s *Service) Stats() []sysapi.RouteStat {
	var out []sysapi.RouteStat
	now := s.env.Clock.Now()
	s.each(func(r *Route) {
		var i sysapi.ConnInfo
		r.Snapshot(&i, now, false)
		out = append(out, sysapi.RouteStat{
			ID: i.Cid, Name: r.remoteName, Pending: i.Pending,
			Sent:     sysapi.DataStats{MsgBytes: sysapi.MsgBytes{Msgs: i.OutMsgs, Bytes: i.OutBytes}},
			Received: sysapi.DataStats{MsgBytes: sysapi.MsgBytes{Msgs: i.InMsgs, Bytes: i.InBytes}},
		})
	})
	return out
}
