package gateway

import (
	"slices"
	"strings"
	"time"

	"ramjet/engine/config"
	"ramjet/engine/interest"
	"ramjet/proto/sysapi"
)

// threshold is how many subjects an acceptor names as unwanted before it tells its whole interest.
const threshold = 1000

// Gatewayz describes the connections. Any goroutine.
func (s *Service) Gatewayz(o *sysapi.GatewayzOptions, now time.Time) *sysapi.Gatewayz {
	s.mu.Lock()
	inbound := s.inboundConns()
	z := &sysapi.Gatewayz{ID: s.p.ID, Now: now.UTC(), Name: s.name, Host: s.host, Port: s.port}
	s.mu.Unlock()
	for _, c := range *s.out.Load() {
		if o.Name != "" && o.Name != c.remote.name {
			continue
		}
		if z.Outbound == nil {
			z.Outbound = map[string]*sysapi.RemoteGateway{}
		}
		z.Outbound[c.remote.name] = c.page(o, now)
	}
	if z.Outbound == nil && o.Name == "" {
		z.Outbound = map[string]*sysapi.RemoteGateway{}
	}
	z.Inbound = map[string][]*sysapi.RemoteGateway{}
	for _, c := range inbound {
		if name := c.peer.Load().cluster; o.Name == "" || o.Name == name {
			z.Inbound[name] = append(z.Inbound[name], c.page(o, now))
		}
	}
	return z
}

// page describes a connection.
func (c *Conn) page(o *sysapi.GatewayzOptions, now time.Time) *sysapi.RemoteGateway {
	g := &sysapi.RemoteGateway{Connection: &sysapi.ConnInfo{}, Configured: c.outbound() && !c.remote.implicit}
	c.Snapshot(g.Connection, now, false)
	if !o.Accounts && o.AccountName == "" {
		return g
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.outbound() {
		for name, e := range c.accounts {
			if o.AccountName == "" || o.AccountName == name {
				g.Accounts = append(g.Accounts, c.outboundAccount(e, o))
			}
		}
	} else {
		for name, f := range c.feeds {
			if o.AccountName == "" || o.AccountName == name {
				g.Accounts = append(g.Accounts, f.page())
			}
		}
	}
	slices.SortFunc(g.Accounts, func(a, b *sysapi.AccountGateway) int { return strings.Compare(a.Name, b.Name) })
	if g.Accounts == nil && o.AccountName == "" {
		g.Accounts = []*sysapi.AccountGateway{}
	}
	return g
}

// outboundAccount requires mu.
func (c *Conn) outboundAccount(e *interestOf, o *sysapi.GatewayzOptions) *sysapi.AccountGateway {
	a := &sysapi.AccountGateway{
		Name: e.name, Mode: e.mode.String(), Threshold: threshold, NoInterest: len(e.unwanted), Subs: len(e.subs), QueueSubs: e.queues,
	}
	if !o.Subscriptions && !o.SubscriptionsDetail {
		return a
	}
	for _, s := range e.subs {
		if o.Subscriptions {
			a.List = append(a.List, strings.Clone(s.Subject()))
		} else {
			a.Detail = append(a.Detail, c.detail(e, s))
		}
	}
	slices.Sort(a.List)
	return a
}

func (c *Conn) detail(e *interestOf, s *interest.Sub) sysapi.SubDetail {
	return sysapi.SubDetail{Account: e.name, Subject: strings.Clone(s.Subject()), Queue: strings.Clone(s.Queue()), Cid: c.ID()}
}

// page describes what is announced of an account.
func (f *feed) page() *sysapi.AccountGateway {
	a := &sysapi.AccountGateway{Name: f.name, Mode: interestOnly.String(), Threshold: threshold}
	if f.stop == nil {
		a.Mode = transitioning.String()
	}
	return a
}

// Varz is the gateway block of /varz. Any goroutine.
func (s *Service) Varz() sysapi.GatewayVarz {
	g := s.options()
	v := sysapi.GatewayVarz{
		Name: g.Name, Host: g.Host, Port: s.port, AuthTimeout: g.Auth.Timeout.Seconds(), Advertise: g.Advertise, ConnectRetries: g.ConnectRetries,
		RejectUnknown: g.RejectUnknown, WriteDeadline: g.WriteDeadline, WriteTimeout: g.WriteTimeout.String(),
	}
	if t := g.TLS; t != nil {
		v.TLSRequired, v.TLSVerify, v.TLSTimeout = true, true, t.Timeout.Seconds()
	}
	for _, r := range g.Gateways {
		v.Gateways = append(v.Gateways, sysapi.RemoteGatewayVarz{Name: r.Name, TLSTimeout: timeout(r.TLS), URLs: s.urlsOf(r)})
	}
	return v
}

// urlsOf returns the addresses known of a configured cluster.
func (s *Service) urlsOf(c *config.RemoteGateway) []string {
	var all []string
	if r := s.known(c.Name); r != nil {
		all = r.hosts()
	} else { // its own
		for _, u := range c.URLs {
			all = append(all, hostKey(u))
		}
	}
	slices.Sort(all)
	return all
}

func timeout(t *config.TLSOptions) float64 {
	if t == nil {
		return 0
	}
	return t.Timeout.Seconds()
}

// Stats is the part of STATSZ about gateways. Any goroutine.
func (s *Service) Stats() []sysapi.GatewayStat {
	s.mu.Lock()
	inbound := s.inboundConns()
	s.mu.Unlock()
	var all []sysapi.GatewayStat
	for _, c := range *s.out.Load() {
		st := sysapi.GatewayStat{ID: c.ID(), Name: c.remote.name, Sent: c.traffic().sent}
		for _, in := range inbound {
			if in.peer.Load().cluster == c.remote.name {
				t := in.traffic().received
				st.Received.Msgs += t.Msgs
				st.Received.Bytes += t.Bytes
				st.Inbound++
			}
		}
		all = append(all, st)
	}
	return all
}

type traffic struct{ sent, received sysapi.DataStats }

func (c *Conn) traffic() traffic {
	var i sysapi.ConnInfo
	c.Snapshot(&i, c.Env().Clock.Now(), false)
	return traffic{
		sent:     sysapi.DataStats{MsgBytes: sysapi.MsgBytes{Msgs: i.OutMsgs, Bytes: i.OutBytes}},
		received: sysapi.DataStats{MsgBytes: sysapi.MsgBytes{Msgs: i.InMsgs, Bytes: i.InBytes}},
	}
}
