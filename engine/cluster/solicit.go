package cluster

import (
	"net/netip"
	"net/url"
	"slices"
	"time"

	"ramjet/engine"
	"ramjet/engine/link"
	"ramjet/engine/netio"
)

// retryDelay is the wait between attempts, and its part of a reconnect to a configured server
// (reference/interserver.md, section 0).
const retryDelay = time.Second

// target is a server to be connected to: configured, or learned of from others. Guarded by Service.mu.
type target struct {
	svc      *Service
	url      *url.URL
	explicit bool
	tlsName  string // name for the handshake when url has a number
	peerID   string // the server it turned out to be, "" when not known
	members  []*member
	gone     bool
}

// member is one connection to a target: being dialed, in its handshake, or in use.
type member struct {
	target  *target
	account string // its own connection, "" for the pool
	sol     *link.Solicitor
	ever    bool // it was in use once
}

// Start connects to the configured servers; addr is where the own listener is bound. Control.
func (s *Service) Start(addr netip.AddrPort) {
	s.mu.Lock()
	s.addr = addr
	s.mu.Unlock()
	for _, u := range s.options().Cluster.Routes {
		s.solicit(u, true, "")
	}
}

// Stop ends soliciting; connections stay until the loops end. Control.
func (s *Service) Stop() {
	s.mu.Lock()
	s.stopping = true
	var all []*member
	for _, t := range s.targets {
		all = append(all, t.members...)
	}
	s.targets = nil
	s.mu.Unlock()
	for _, m := range all {
		m.sol.Stop()
	}
}

// solicit begins to connect to u.
func (s *Service) solicit(u *url.URL, explicit bool, tlsName string) {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return
	}
	t := &target{svc: s, url: u, explicit: explicit, tlsName: tlsName}
	if h := u.Hostname(); !isNumber(h) {
		t.tlsName = h
	}
	s.targets = append(s.targets, t)
	m := s.newMember(t, "")
	s.mu.Unlock()
	m.sol.Again(0)
}

func isNumber(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// newMember requires mu.
func (s *Service) newMember(t *target, account string) *member {
	m := &member{target: t, account: account}
	attempts := -1
	if !t.explicit {
		attempts = s.options().Cluster.ConnectRetries
	}
	m.sol = s.env.Solicit(link.Target{
		URLs: func() []*url.URL { return []*url.URL{t.url} }, Port: DefaultPort, Attempts: attempts, Exclude: s.isSelf,
		Delay: func(n int) time.Duration {
			if s.options().Cluster.ConnectBackoff {
				return link.Backoff(retryDelay, n)
			}
			return retryDelay
		},
		Accept: func(c *netio.Conn, u *url.URL) netio.Handler {
			r := s.newRoute(c)
			s.mu.Lock()
			r.member, r.url, r.tls, r.configured = m, u, t.tlsName, t.explicit
			s.mu.Unlock()
			return &r.Conn
		},
		Failed: func(u *url.URL, addr string, n int, err error) { m.failed(addr, n, err) },
		GiveUp: m.giveUp,
	})
	t.members = append(t.members, m)
	return m
}

// isSelf reports an address that turned out to be this server.
func (s *Service) isSelf(a netip.AddrPort) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.self[a]
}

// failed logs an attempt that failed, not all of them.
func (m *member) failed(addr string, n int, err error) {
	s := m.target.svc
	s.mu.Lock()
	ever, covered := m.ever, s.peers[m.target.peerID] != nil
	s.mu.Unlock()
	o := s.options()
	every := o.ConnectErrorReports
	if ever {
		every = o.ReconnectErrorReports
	}
	if covered || !link.Reports(n, every) {
		s.env.Logger.Logf(engine.Debug, "", "Error trying to connect to route (attempt %v): %v", n, err)
		return
	}
	s.env.Logger.Logf(engine.Error, "RJ-R010", "Error trying to connect to route (attempt %v): %v", n, err)
}

// giveUp ends a member whose attempts are used up.
func (m *member) giveUp() {
	s := m.target.svc
	s.mu.Lock()
	m.drop()
	s.mu.Unlock()
}

// drop takes m out of its target, and an empty target that is not configured out of the list. Requires mu.
func (m *member) drop() {
	t, s := m.target, m.target.svc
	m.sol.Stop()
	t.members = slices.DeleteFunc(t.members, func(o *member) bool { return o == m })
	if len(t.members) == 0 && !t.explicit {
		t.gone = true
		s.targets = slices.DeleteFunc(s.targets, func(o *target) bool { return o == t })
	}
}

// connected notes that the connection of m is in use.
func (m *member) connected() {
	s := m.target.svc
	s.mu.Lock()
	m.ever = true
	s.mu.Unlock()
	m.sol.Connected()
}

// ended decides whether a connection that has closed is dialed again.
func (m *member) ended(r *Route, why netio.Reason) {
	t, s := m.target, m.target.svc
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping || t.gone || m.sol.Stopped() {
		return
	}
	p := s.peers[t.peerID]
	switch {
	case why == netio.ReasonDuplicateRoute && (p != nil || m.account != ""):
		m.drop() // mend looks after what is missing
		return
	case why == netio.ReasonRouteRemoved:
		m.drop()
		return
	case m.account != "" && !slices.Contains(s.pinned(s.options()), m.account):
		m.drop()
		return
	case m.account == "" && p != nil && p.target != t && p.any() != nil:
		m.drop() // the other server has dialed
		return
	case m.account == "" && p != nil && p.target == t && !s.missing(p, t, m):
		m.drop() // a larger pool than is wanted now
		return
	}
	d := m.sol.RandomDelay(link.FirstDelay)
	if t.explicit {
		d += retryDelay
	}
	m.sol.Again(d)
}

// missing reports that the pool of p has room for one more than the members of t other than m. Requires mu.
func (s *Service) missing(p *peer, t *target, m *member) bool {
	n := 0
	for _, o := range t.members {
		if o != m && o.account == "" {
			n++
		}
	}
	return n < len(p.pool)
}

// mend dials what is missing to the server with the given id: connections of the pool and of accounts if this server has
// dialed the first one, or everything anew when the last connection of a configured server has ended.
func (s *Service) mend(id string) {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return
	}
	var start []*member
	p := s.peers[id]
	if p == nil {
		for _, t := range s.targets {
			if t.peerID == id && len(t.members) == 0 {
				t.peerID = ""
				m := s.newMember(t, "")
				m.ever = true
				start = append(start, m)
			}
		}
	} else if t := p.target; t != nil && !t.gone && p.size > 0 {
		pool := 0
		have := map[string]bool{}
		for _, m := range t.members {
			if m.account == "" {
				pool++
			} else {
				have[m.account] = true
			}
		}
		for ; pool < len(p.pool); pool++ {
			start = append(start, s.newMember(t, ""))
		}
		for _, a := range s.pinned(s.options()) {
			if !have[a] && s.env.Accounts.Lookup(a) != nil && p.accounts[a] == nil {
				start = append(start, s.newMember(t, a))
			}
		}
	}
	s.mu.Unlock()
	for _, m := range start {
		d := time.Duration(0)
		if m.ever {
			d = retryDelay + m.sol.RandomDelay(link.FirstDelay)
		}
		m.sol.Again(d)
	}
}

// foundSelf notes that r leads to this server, and does not dial there again.
func (s *Service) foundSelf(r *Route) {
	if r.member == nil {
		return
	}
	s.mu.Lock()
	s.self[r.Net().RemoteAddr()] = true
	r.member.target.gone = true
	r.member.sol.Stop()
	s.targets = slices.DeleteFunc(s.targets, func(o *target) bool { return o == r.member.target })
	s.mu.Unlock()
}
