package sysacc

import (
	"math"
	"runtime"
	"runtime/debug"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/proto/sysapi"
)

// statsz answers a request for the statistics. Without a reply subject it publishes the event.
func (s *Service) statsz(w *worker, r *request) {
	err := s.filtered(r)
	switch {
	case err != nil:
		s.answer(w, r, nil, err)
	case r.reply == "":
		s.events.push(s.sendStats)
	default:
		s.sendIn(w, r.in, r.reply, "", r.accept, s.stats())
	}
}

// sendStats publishes the statistics if anybody wants them. The event worker.
func (s *Service) sendStats(w *worker) {
	if s.wanted(s.subjects.stats) {
		s.send(w, s.subjects.stats, "", s.stats())
	}
}

func (s *Service) stats() *sysapi.ServerStatsEvent {
	rss, cpu := s.p.Usage()
	c := s.p.Counters()
	v := sysapi.ServerStats{
		Start: s.p.StartTime.UTC(), Mem: rss, Cores: runtime.NumCPU(), CPU: cpu,
		Connections: s.p.Registry.Count(engine.Client), TotalConnections: s.p.Registry.Total(),
		Sent: data(c.OutMsgs, c.OutBytes), SentToClients: data(c.OutClientMsgs, c.OutClientBytes),
		Received: data(c.InMsgs, c.InBytes), ReceivedClients: data(c.InClientMsgs, c.InClientBytes),
		SlowConsumers: c.SlowConsumers, Stale: c.Stale, Stalled: c.Stalled,
		SlowConsumerStats: kinds(&c.SlowByKind), StaleStats: kinds(&c.StaleByKind),
		ActiveServers: 1 + int(s.active.Load()), MaxProcs: runtime.GOMAXPROCS(0), JetStream: s.p.Pages.JetStreamStats(),
	}
	if s.p.Routes != nil {
		v.Routes = s.p.Routes()
	}
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		v.MemLimit = limit
	}
	if s.p.Gateways != nil {
		v.Gateways = s.p.Gateways()
	}
	s.p.Accounts.Range(func(a *account.Account) bool {
		v.NumSubs += uint32(a.Index().Count())
		if clients, leafs := a.Conns(); clients+leafs > 0 {
			v.ActiveAccounts++
		}
		return true
	})
	return &sysapi.ServerStatsEvent{Server: *s.serverInfo(), Stats: v}
}

func data(msgs, bytes int64) sysapi.DataStats {
	return sysapi.DataStats{MsgBytes: sysapi.MsgBytes{Msgs: msgs, Bytes: bytes}}
}

// kinds returns the counts by kind, nil when all are zero.
func kinds(n *[engine.NumKinds]int64) *sysapi.KindStats {
	k := sysapi.KindStats{Clients: uint64(n[engine.Client]), Routes: uint64(n[engine.Router]),
		Gateways: uint64(n[engine.Gateway]), Leafs: uint64(n[engine.Leaf])}
	if k == (sysapi.KindStats{}) {
		return nil
	}
	return &k
}
