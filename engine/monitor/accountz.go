package monitor

import (
	"errors"
	"slices"
	"sort"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/proto/sysapi"
)

func (s *Server) accountz(q *params) (any, error) {
	return s.Accountz(&sysapi.AccountzOptions{Account: q.string("acc")})
}

// Accountz lists the accounts, or describes one. Any goroutine, as all pages.
func (s *Server) Accountz(o *sysapi.AccountzOptions) (*sysapi.Accountz, error) {
	v := &sysapi.Accountz{ID: s.src.ID(), Now: s.src.Now().UTC()}
	sys := s.src.Accounts().System()
	if sys != nil {
		v.SystemAccount = sys.Name()
	}
	if o.Account == "" {
		s.src.Accounts().Range(func(a *account.Account) bool {
			v.Accounts = append(v.Accounts, a.Name())
			return true
		})
		sort.Strings(v.Accounts)
		return v, nil
	}
	var err error
	v.Account, err = s.AccountInfo(o.Account)
	if err != nil {
		return nil, err
	}
	return v, nil
}

// AccountInfo describes one account.
func (s *Server) AccountInfo(name string) (*sysapi.AccountInfo, error) {
	a := s.src.Accounts().Lookup(name)
	if a == nil {
		return nil, errors.New("Account " + name + " does not exist")
	}
	clients, leafs := a.Conns()
	stats := sublistStats(a.Index().Stats())
	updated := s.src.ConfigTime().UTC()
	info := &sysapi.AccountInfo{
		Name: a.Name(), Updated: &updated, IsSystem: a == s.src.Accounts().System(), Complete: true, Leafs: leafs, Clients: clients,
		Subs: stats.NumSubs, NameTag: a.NameTag(), Sublist: &stats, Mappings: s.mappings(a.Name()),
		JetStream: s.src.JetStream() != nil && a.Snap().JetStream != nil,
	}
	if x := a.Snap().Exchange; x != nil {
		info.Exports, info.Imports = exports(x), imports(x, s.src.Now().UnixNano())
	}
	if sys := s.src.Accounts().System(); sys != nil {
		info.Imports = append(info.Imports, systemImports(a.Name(), sys.Name(), a == sys, s.src.JetStream() != nil)...)
	}
	if c := a.Snap().Claims; c != nil {
		info.Mappings = mapDests(c.Mappings())
		info.JWT, info.IssuerKey, info.Tags, info.Claim = c.Token, c.Issuer, c.Tags, account.Payload(c.Token)
		info.Expired = !c.Expires.IsZero() && !s.src.Now().Before(c.Expires)
		info.Complete = a.Snap().Incomplete == 0
		info.Revoked = c.Revocations()
	}
	return info, nil
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
	return mapDests(list)
}

func mapDests(list []*config.Mapping) map[string][]sysapi.MapDest {
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

func (s *Server) accstatz(q *params) (any, error) {
	return s.AccountStatz(&sysapi.AccountStatzOptions{IncludeUnused: q.bool("unused")})
}

// AccountStatz reports accounts with connections and their traffic since the start.
func (s *Server) AccountStatz(o *sysapi.AccountStatzOptions) (*sysapi.AccountStatz, error) {
	now := s.src.Now()
	v := &sysapi.AccountStatz{ID: s.src.ID(), Now: now.UTC(), Accounts: []*sysapi.AccountStat{}}
	byName := map[string]*sysapi.AccountStat{}
	s.src.Accounts().Range(func(a *account.Account) bool {
		clients, leafs := a.Conns()
		if len(o.Accounts) > 0 && !slices.Contains(o.Accounts, a.Name()) {
			return true
		}
		if clients+leafs > 0 || o.IncludeUnused {
			st := &sysapi.AccountStat{
				Account: a.Name(), Name: a.NameTag(), Conns: clients, Leafs: leafs, TotalConns: clients + leafs,
				NumSubs: uint32(a.Index().Count()), Sent: emptyData(), Received: emptyData(),
			}
			t := a.Gone()
			st.Received.Msgs, st.Received.Bytes = t.InMsgs, t.InBytes
			st.Sent.Msgs, st.Sent.Bytes = t.OutMsgs, t.OutBytes
			st.SlowConsumers = t.SlowConsumers
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
