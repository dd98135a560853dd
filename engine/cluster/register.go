package cluster

import (
	"fmt"
	"slices"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/wire"
)

// verdict of Service.place.
type verdict uint8

const (
	placed    verdict = iota
	duplicate         // the place is taken
	badSlot
	badName
	stopped
	unknownAccount
)

// register ends the handshake: the connection gets its place, says so if it dialed, and interest flows.
func (r *Route) register(in *wire.RouteInfo) error {
	v, first, replaced := r.svc.place(r, in)
	switch v {
	case stopped:
		return r.refuse("", netio.ReasonServerShutdown)
	case badSlot:
		text := fmt.Sprintf("Invalid route pool index: %v - pool size is %v", in.PoolIdx, r.svc.options().Cluster.PoolSize)
		r.Logf(engine.Error, "RJ-R009", "%s", text)
		return r.refuse(text, netio.ReasonProtocolViolation)
	case badName:
		r.Logf(engine.Error, "RJ-R008", "Remote server has a duplicate name: %q", in.ServerName)
		return r.refuse("Duplicate Server Name", netio.ReasonDuplicateServerName)
	case unknownAccount:
		text := fmt.Sprintf("No route for account %q", in.Account)
		r.Logf(engine.Debug, "", "%s", text)
		return r.refuse("", netio.ReasonDuplicateRoute)
	case duplicate:
		r.Logf(engine.Debug, "", "Detected duplicate remote route %q", in.ServerID)
		return r.refuse("", netio.ReasonDuplicateRoute)
	}
	if replaced != nil {
		replaced.on(func() { replaced.CloseErr("", netio.ReasonDuplicateRoute) })
	}
	r.stage = registered
	r.Net().StopTimer(link.TimerAuth)
	r.Limits().NoAccount, r.Limits().NoOrigin = r.account != "", !r.lnocu
	r.SetHeaders(in.Headers && !r.svc.options().NoHeaderSupport)
	r.SetIdentity(&link.Identity{Name: in.ServerName, Version: in.Version})
	r.Env().Registry.Add(&r.Conn, 0)
	if r.member != nil {
		r.member.connected()
		if !r.sent {
			r.sendInfo(true)
		}
	}
	if first && r.svc.port.Greeting != nil {
		if b := r.svc.port.Greeting(); len(b) > 0 {
			r.Send(b)
		}
	}
	r.SetPing(keepAlive(r.svc.options()))
	if r.FirstPing(float64(r.ID()%8) / 8); r.member != nil && first {
		r.Net().SetTimer(link.TimerPing, time.Millisecond) // the answer starts the other connections
	}
	what := ""
	if r.account != "" {
		what = fmt.Sprintf(" for account %q", r.account)
	}
	r.Logf(engine.Debug, "", "Registering remote route %q%s", in.ServerID, what)
	r.Out().Flush(r.LoopID()) // nothing that is announced may overtake the handshake
	r.svc.follow(r)
	if first {
		r.svc.peerUp(r, in)
	}
	return nil
}

// place gives r its place among the connections to the server that in describes. first says that it is the first one;
// replaced is a connection that gives way.
func (s *Service) place(r *Route, in *wire.RouteInfo) (v verdict, first bool, replaced *Route) {
	o := s.options()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping || o.Cluster == nil {
		return stopped, false, nil
	}
	for _, p := range s.peers {
		if r.member == nil && in.ServerName != "" && p.name == in.ServerName && p.id != in.ServerID {
			return badName, false, nil
		}
	}
	p := s.peers[in.ServerID]
	if p == nil {
		p = &peer{id: in.ServerID, name: in.ServerName, info: *in, accounts: map[string]*Route{}}
		if in.PoolSize > 0 && o.Cluster.PoolSize > 0 {
			p.size = max(in.PoolSize, o.Cluster.PoolSize)
		}
		p.pool = make([]*Route, max(p.size, 1))
		first = true
	}
	r.remoteID, r.remoteName, r.traces = in.ServerID, in.ServerName, in.Proto >= link.TraceProto
	r.single = p.size == 0
	r.lnoc, r.lnocu, r.ln = in.LNOC, in.LNOCU || in.LN, in.LN
	if r.member != nil {
		r.account = r.member.account
	} else {
		r.account, r.slot = in.Account, in.PoolIdx
	}
	place := &r.account
	switch {
	case *place != "":
		if !slices.Contains(s.pinned(o), r.account) || p.size == 0 {
			return unknownAccount, false, nil
		}
		r.acct = s.env.Accounts.Lookup(r.account)
		if r.acct == nil {
			return unknownAccount, false, nil
		}
		if old := p.accounts[r.account]; old != nil {
			if replaced = s.yields(old, r); replaced == nil {
				return duplicate, false, nil
			}
		}
		p.accounts[r.account] = r
	default:
		if r.member != nil {
			if r.slot = slices.Index(p.pool, nil); r.slot < 0 {
				r.slot = 0
			}
		}
		if r.slot < 0 || r.slot >= len(p.pool) {
			return badSlot, false, nil
		}
		if old := p.pool[r.slot]; old != nil {
			if replaced = s.yields(old, r); replaced == nil {
				s.covered(p, r)
				return duplicate, false, nil
			}
		}
		p.pool[r.slot] = r
	}
	if in.IP == "" {
		p.info.IP = "nats-route://" + routeURL(in, r.Net().RemoteAddr()) + "/"
	}
	if r.member != nil {
		p.target = r.member.target
		p.target.peerID = p.id
	}
	s.peers[p.id] = p
	s.peerCount.Store(int64(len(s.peers)))
	s.known.Store(true)
	return placed, first, replaced
}

// yields decides which of two connections to the same place stays, when both servers have dialed at the same time: the
// one that the server with the smaller id has dialed, so that both decide alike. Once the other one is in use it
// stays. It returns old if that one goes. Requires mu.
func (s *Service) yields(old, r *Route) *Route {
	dialedOld, dialed := old.member != nil, r.member != nil
	if dialedOld == dialed || old.RTT() > 0 {
		return nil
	}
	smaller := s.port.ID < r.remoteID
	if dialed == smaller {
		return old
	}
	return nil
}

// covered notes that the server r leads to is connected already, by connections that it has dialed. Requires mu.
func (s *Service) covered(p *peer, r *Route) {
	if r.member != nil {
		r.member.target.peerID = p.id
	}
}

// remove takes a closed connection out. Loop of r.
func (s *Service) remove(r *Route, why netio.Reason) {
	s.mu.Lock()
	down := ""
	p := s.peers[r.remoteID]
	if p != nil {
		for i, o := range p.pool {
			if o == r {
				p.pool[i] = nil
			}
		}
		if r.account != "" && p.accounts[r.account] == r {
			delete(p.accounts, r.account)
		}
		if len(p.routes()) == 0 {
			delete(s.peers, p.id)
			s.peerCount.Store(int64(len(s.peers)))
			if p.seen {
				down = p.id
			}
		}
	}
	stops := r.follows
	r.follows = nil
	s.mu.Unlock()
	for _, f := range stops {
		f.stop()
	}
	if r.member != nil {
		r.member.ended(r, why)
	}
	if down != "" {
		if s.port.PeerDown != nil {
			s.port.PeerDown(down)
		}
		s.changed()
	}
	if r.remoteID != "" {
		s.mend(r.remoteID)
	}
}

// peerUp tells everybody about a server that was connected to for the first time.
func (s *Service) peerUp(r *Route, in *wire.RouteInfo) {
	s.mu.Lock()
	p := s.peers[r.remoteID]
	if p != nil {
		p.seen = true
	}
	s.mu.Unlock()
	if p == nil {
		return
	}
	if s.port.PeerUp != nil {
		s.port.PeerUp(in)
	}
	s.gossip(r, p)
	s.changed()
}

// carries reports whether the interest and the messages of a are for r. Requires mu.
func (s *Service) carries(r *Route, a *account.Account) bool {
	if r.account != "" {
		return a.Name() == r.account
	}
	p := s.peers[r.remoteID]
	if p == nil {
		return false
	}
	if p.size == 0 {
		return true
	}
	return !slices.Contains(s.pinned(s.options()), a.Name()) && slotOf(a.Name(), p.size) == r.slot
}

func (s *Service) stopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}
