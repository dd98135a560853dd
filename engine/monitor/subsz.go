package monitor

import (
	"fmt"

	"ramjet/engine/account"
	"ramjet/engine/interest"
	"ramjet/proto/subject"
	"ramjet/proto/sysapi"
)

// indexStats sums the figures of the indexes of all accounts, or of one.
func (s *Server) indexStats(name string) interest.Stats {
	var total interest.Stats
	s.src.Accounts().Range(func(a *account.Account) bool {
		if name == "" || a.Name() == name {
			total.Add(a.Index().Stats())
		}
		return true
	})
	return total
}

func sublistStats(st interest.Stats) sysapi.SublistStats {
	return sysapi.SublistStats{
		NumSubs: st.Subscriptions, NumCache: st.CacheSize, NumInserts: st.Inserts, NumRemoves: st.Removes,
		NumMatches: st.Matches, CacheHitRate: st.HitRate(), MaxFanout: st.MaxFanout, AvgFanout: st.AvgFanout,
	}
}

func (s *Server) subsz(q *params) (any, error) {
	o := sysapi.SubszOptions{Account: q.string("acc"), Test: q.string("test")}
	o.Subscriptions, _ = q.subs()
	o.Offset, o.Limit = q.page()
	return s.Subsz(&o)
}

// Subsz reports about the subscription indexes.
func (s *Server) Subsz(o *sysapi.SubszOptions) (*sysapi.Subsz, error) {
	list, acc, test := o.Subscriptions, o.Account, o.Test
	offset, limit := pageOf(o.Offset, o.Limit)
	if test != "" {
		list = true
		if !subject.ValidLiteral(test) {
			return nil, fmt.Errorf("invalid test subject, must be valid publish subject: %s", test)
		}
	}
	stats := s.indexStats(acc)
	stats.Add(s.src.CacheStats())
	v := &sysapi.Subsz{ID: s.src.ID(), Now: s.src.Now().UTC(), SublistStats: sublistStats(stats), Offset: offset, Limit: limit}
	if !list {
		return v, nil
	}
	var details []sysapi.SubDetail
	s.src.Accounts().Range(func(a *account.Account) bool {
		if acc != "" && a.Name() != acc {
			return true
		}
		a.Index().Range(func(sub *interest.Sub) bool {
			if !sub.Remote() && (test == "" || subject.Match(test, sub.Subject())) {
				details = append(details, sysapi.SubDetail{
					Account: a.Name(), AccountTag: a.Name(), Subject: sub.Subject(), Queue: sub.Queue(), Sid: sub.SID(),
					Msgs: sub.Delivered(), Max: sub.Max(), Cid: sub.Sink().ID(),
				})
			}
			return true
		})
		return true
	})
	from, to := window(len(details), offset, limit)
	v.Subs, v.Total = details[from:to], len(details)
	return v, nil
}
