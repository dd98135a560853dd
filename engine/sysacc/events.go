package sysacc

import (
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/sysapi"
)

// Hook adds the service to the listeners of connection events. Before the first connection.
func (s *Service) Hook(e *link.Events) {
	e.Connected, e.Disconnected, e.AuthFailed, e.Denied = s.connected, s.disconnected, s.authFailed, s.denied
}

// note queues an event; false when it was dropped. Any goroutine.
func (s *Service) note(fn func(*worker)) (ok bool) {
	ok = s.events.push(fn)
	if !ok && !s.ending.Load() {
		s.drop()
	}
	return ok
}

// reported says whose coming and going is told.
func reported(c *link.Conn) bool { return c.Kind() == engine.Client || c.Kind() == engine.Leaf }

// connected: c was let in. Loop.
func (s *Service) connected(c *link.Conn) {
	a := c.Account()
	if !reported(c) || a == nil {
		return
	}
	s.noteConns(a)
	subj := connectSubject(a.Name())
	if !s.wanted(subj) {
		return
	}
	now := s.p.Clock.Now().UTC()
	client, _ := describe(c, now)
	client.RTT = 0 // a guess at this point
	s.note(func(w *worker) {
		s.send(w, subj, "", &sysapi.ConnectEvent{TypedEvent: s.typed(sysapi.ConnectType, now), Server: *s.serverInfo(), Client: client})
	})
}

// disconnected: c has gone. Loop.
func (s *Service) disconnected(c *link.Conn, why netio.Reason) {
	if !reported(c) {
		return
	}
	a := c.Account()
	if a == nil {
		a = s.p.Accounts.Global() // it was never let in
	} else {
		s.noteConns(a)
	}
	s.noteGone(c, disconnectSubject(a.Name()), nil, why.String())
}

// authFailed: c was not let in, or may not stay. Loop.
func (s *Service) authFailed(c *link.Conn, why netio.Reason) {
	if c.Kind() != engine.Client {
		return
	}
	s.noteGone(c, s.subjects.authErr, nil, why.String())
	if a := c.Account(); a != nil {
		s.noteGone(c, accountDenied, a, why.String())
	}
}

// denied: c was kept out by the authorization callout of account in. Loop.
func (s *Service) denied(c *link.Conn, in *account.Account, why string) {
	s.noteGone(c, accountDenied, in, why)
}

// noteGone notes a disconnect event for subj in account in (nil = the system account). Loop.
func (s *Service) noteGone(c *link.Conn, subj string, in *account.Account, why string) {
	if in == nil {
		in = s.p.Accounts.System()
	}
	if in == nil || s.ending.Load() || !in.Index().HasInterest([]byte(subj)) && !s.verbose() {
		return
	}
	now := s.p.Clock.Now().UTC()
	client, info := describe(c, now)
	client.Stop = &now
	s.note(func(w *worker) {
		s.sendIn(w, in, subj, "", plain, &sysapi.DisconnectEvent{
			TypedEvent: s.typed(sysapi.DisconnectType, now), Server: *s.serverInfo(), Client: client,
			Sent: data(info.InMsgs, info.InBytes), Received: data(info.OutMsgs, info.OutBytes), Reason: why,
		})
	})
}

// DescribeClient returns who c is, as events and advisories tell it. Any goroutine.
func DescribeClient(c *link.Conn, now time.Time) sysapi.ClientInfo {
	info, _ := describe(c, now)
	return info
}

func describe(c *link.Conn, now time.Time) (sysapi.ClientInfo, *sysapi.ConnInfo) {
	var i sysapi.ConnInfo
	c.Snapshot(&i, now, true)
	if i.Account == "" {
		i.Account, i.NameTag = account.Global, account.Global
	}
	return *link.ClientInfoOf(&i), &i
}

// typed begins an event. The event worker.
func (s *Service) typed(kind string, at time.Time) sysapi.TypedEvent {
	return sysapi.TypedEvent{Type: kind, ID: s.ids.Next(), Time: at}
}

// noteConns notes that the number of connections of a has changed. A change that finds one of the same
// account queued is told together with it. Any goroutine.
func (s *Service) noteConns(a *account.Account) {
	subj := connsSubjects(a.Name())
	if !s.wanted(subj[0]) && !s.wanted(subj[1]) {
		return
	}
	s.mu.Lock()
	queued := s.pending[a]
	s.pending[a] = true
	s.mu.Unlock()
	if queued {
		return
	}
	ok := s.note(func(w *worker) {
		s.unqueue(a)
		if v := s.accountConns(a.Name()); v != nil {
			s.sendConns(w, v, subj[0], subj[1])
		}
	})
	if !ok {
		s.unqueue(a)
	}
}

// LeafConnected tells that a leafnode was connected to account a: to servers of other clusters, which then send what
// the account is interested in only. Any goroutine.
func (s *Service) LeafConnected(a *account.Account) {
	subj := "$SYS.ACCOUNT." + a.Name() + ".LEAFNODE.CONNECT"
	if g := s.p.Options().Gateway; g == nil || g.Name == "" || !s.wanted(subj) {
		return
	}
	s.note(func(w *worker) {
		s.send(w, subj, "", &sysapi.LeafConnect{Server: *s.serverInfo(), Account: a.Name()})
	})
}

func (s *Service) unqueue(a *account.Account) {
	s.mu.Lock()
	delete(s.pending, a)
	s.mu.Unlock()
}

// tellAllConns notes the accounts that have connections.
func (s *Service) tellAllConns() {
	s.p.Accounts.Range(func(a *account.Account) bool {
		if clients, leafs := a.Conns(); clients+leafs > 0 {
			s.noteConns(a)
		}
		return true
	})
}

// accountConns returns the figures of an account, nil when there is none of that name.
func (s *Service) accountConns(name string) *sysapi.AccountStat {
	v, err := s.p.Pages.AccountStatz(&sysapi.AccountStatzOptions{Accounts: []string{name}, IncludeUnused: true})
	if err != nil || len(v.Accounts) == 0 {
		return nil
	}
	return v.Accounts[0]
}

// sendConns publishes the figures of an account. The event worker.
func (s *Service) sendConns(w *worker, v *sysapi.AccountStat, subjects ...string) {
	t := s.typed(sysapi.ConnsType, s.p.Clock.Now().UTC())
	for _, subj := range subjects {
		s.send(w, subj, "", &sysapi.AccountConns{TypedEvent: t, Server: *s.serverInfo(), AccountStat: *v})
	}
}

// Traced publishes the event of a traced message to dest in account a. acceptEncoding is what its publisher can read. Without a system
// account nothing is traced. Any goroutine.
func (s *Service) Traced(a *account.Account, dest, acceptEncoding string, v *sysapi.TraceEvent) {
	if s.p.Accounts.System() == nil {
		return
	}
	s.note(func(w *worker) {
		v.Server = *s.serverInfo()
		s.sendIn(w, a, dest, "", encodingOf(acceptEncoding), v)
	})
}

// Measured publishes the latency of a service to subj in account a. Any goroutine.
func (s *Service) Measured(a *account.Account, subj string, v *sysapi.ServiceLatency) {
	now := s.p.Clock.Now().UTC()
	s.note(func(w *worker) {
		v.TypedEvent = s.typed(sysapi.LatencyType, now)
		s.sendIn(w, a, subj, "", plain, v)
	})
}
