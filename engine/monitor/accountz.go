package monitor

import (
	"fmt"
	"sort"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/link"
	"ramjet/proto/sysapi"
)

func (s *Server) accountz(q *params) (any, error) {
	v := &sysapi.Accountz{ID: s.src.ID(), Now: s.src.Now().UTC()}
	sys := s.src.Accounts().System()
	if sys != nil {
		v.SystemAccount = sys.Name()
	}
	name := q.string("acc")
	if name == "" {
		s.src.Accounts().Range(func(a *account.Account) bool {
			v.Accounts = append(v.Accounts, a.Name())
			return true
		})
		sort.Strings(v.Accounts)
		return v, nil
	}
	a := s.src.Accounts().Lookup(name)
	if a == nil {
		return nil, fmt.Errorf("Account %s does not exist", name) //nolint:staticcheck // text of the reference
	}
	clients, leafs := a.Conns()
	stats := sublistStats(a.Index().Stats())
	updated := s.src.ConfigTime().UTC()
	v.Account = &sysapi.AccountInfo{
		Name: a.Name(), Updated: &updated, IsSystem: a == sys, Complete: true, Leafs: leafs, Clients: clients,
		Subs: stats.NumSubs, NameTag: a.Name(), Sublist: &stats, Mappings: s.mappings(a.Name()),
	}
	return v, nil
}

// mappings returns the configured subject mappings of an account.
func (s *Server) mappings(name string) map[string][]sysapi.MapDest {
	o := s.src.Options()
	list := o.Mappings
	if name != account.Global {
		list = nil
		for _, a := range o.Accounts {
			if a.Name == name {
				list = a.Mappings
			}
		}
	}
	if len(list) == 0 {
		return nil
	}
	m := make(map[string][]sysapi.MapDest, len(list))
	for _, mp := range list {
		for _, d := range mp.Dests {
			m[mp.Source] = append(m[mp.Source], sysapi.MapDest{Subject: d.Subject, Weight: uint8(d.Weight), Cluster: d.Cluster})
		}
	}
	return m
}

// accstatz reports accounts with connections; traffic is that of the open connections.
func (s *Server) accstatz(q *params) (any, error) {
	unused := q.bool("unused")
	now := s.src.Now()
	v := &sysapi.AccountStatz{ID: s.src.ID(), Now: now.UTC(), Accounts: []*sysapi.AccountStat{}}
	byName := map[string]*sysapi.AccountStat{}
	s.src.Accounts().Range(func(a *account.Account) bool {
		clients, leafs := a.Conns()
		if clients+leafs > 0 || unused {
			st := &sysapi.AccountStat{
				Account: a.Name(), Name: a.Name(), Conns: clients, Leafs: leafs, TotalConns: clients + leafs,
				NumSubs: uint32(a.Index().Count()), Sent: emptyData(), Received: emptyData(),
			}
			byName[a.Name()] = st
			v.Accounts = append(v.Accounts, st)
		}
		return true
	})
	for _, k := range []engine.Kind{engine.Client, engine.Leaf} {
		s.src.Registry().Range(k, func(c *link.Conn) bool {
			var i sysapi.ConnInfo
			c.Snapshot(&i, now, true)
			if st := byName[i.Account]; st != nil {
				st.Sent.Msgs += i.OutMsgs
				st.Sent.Bytes += i.OutBytes
				st.Received.Msgs += i.InMsgs
				st.Received.Bytes += i.InBytes
			}
			return true
		})
	}
	sort.Slice(v.Accounts, func(i, j int) bool { return v.Accounts[i].Account < v.Accounts[j].Account })
	return v, nil
}

func emptyData() sysapi.DataStats {
	return sysapi.DataStats{Gateways: &sysapi.MsgBytes{}, Routes: &sysapi.MsgBytes{}, Leafs: &sysapi.MsgBytes{}}
}
