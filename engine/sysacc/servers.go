package sysacc

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/dispatch"
	"ramjet/proto/sysapi"
)

// Other servers are known by their events in the system account (reference/monitoring.md): statistics say that one is
// there, counts of connections go into the limits of accounts, and who is silent for long, or says goodbye, is forgotten.

const (
	orphanAfter = 150 * time.Second
	orphanSweep = 90 * time.Second
	// maxServers bounds how many are remembered.
	maxServers = 4096
)

const (
	anyStats    = "$SYS.SERVER.*.STATSZ"
	anyShutdown = "$SYS.SERVER.*.SHUTDOWN"
	anyConns    = "$SYS.ACCOUNT.*.SERVER.CONNS"
)

// others are the servers that have been heard of. Owner: the request worker.
type others struct {
	seen map[string]*otherServer
}

type otherServer struct {
	heard    time.Time
	accounts map[string]bool // whose connections it has told
}

// watchServers subscribes to the events of other servers. Control.
func (s *Service) watchServers(a *account.Account) error {
	if !s.mayBeOthers() {
		return nil
	}
	for subject, fn := range map[string]func(subject string, body []byte){
		anyStats: s.otherStats, anyShutdown: s.otherGone, anyConns: s.otherConns, s.subjects.answers: s.otherConns,
		s.subjects.sums + "*": s.otherNumber,
	} {
		l := listener{local: dispatch.NewLocal(a.Index(), engine.System, 0, func(_ engine.LoopID, m *engine.Msg) { s.heardOf(m, fn) })}
		var err error
		if l.sub, err = l.local.Subscribe(subject, ""); err != nil {
			return fmt.Errorf("subscribing to %s: %w", subject, err)
		}
		s.heard[a] = append(s.heard[a], l)
	}
	return nil
}

// askConns asks the other servers how many connections an account has there.
func (s *Service) askConns(a *account.Account) {
	if !s.mayBeOthers() {
		return
	}
	name := a.Name()
	s.note(func(w *worker) {
		s.send(w, accountPrefix+name+".CONNS", s.subjects.answers, &connsRequest{Server: *s.serverInfo(), Account: name})
	})
}

// connsRequest is the question of another server.
type connsRequest struct {
	Server  sysapi.ServerInfo `json:"server"`
	Account string            `json:"acc"`
}

// heardOf queues an event of another server. Own ones, and what does not come from a server, are ignored. Any goroutine.
func (s *Service) heardOf(m *engine.Msg, fn func(subject string, body []byte)) {
	if s.ending.Load() || m.Origin != engine.Router && m.Origin != engine.Gateway && m.Origin != engine.Leaf || len(m.Payload) > maxBody {
		return
	}
	subject, body := string(m.Subject), append([]byte(nil), m.Payload...)
	n := int64(len(body))
	if s.waiting.Add(n) > maxWaiting || !s.requests.push(func(*worker) { s.waiting.Add(-n); fn(subject, body) }) {
		s.waiting.Add(-n)
		s.drop()
	}
}

// other returns the server with that id, nil for this one and for one too many.
func (s *Service) other(id string) *otherServer {
	if id == "" || id == s.p.ID {
		return nil
	}
	o := s.others.seen[id]
	if o == nil {
		if len(s.others.seen) >= maxServers {
			return nil
		}
		if s.others.seen == nil {
			s.others.seen = map[string]*otherServer{}
		}
		o = &otherServer{accounts: map[string]bool{}}
		s.others.seen[id] = o
		s.active.Store(int64(len(s.others.seen)))
		s.tellAllConns() // new here, it has to know what counts in the limits
	}
	o.heard = s.p.Clock.Now()
	return o
}

func (s *Service) otherStats(subject string, _ []byte) { s.other(serverOf(subject)) }

func (s *Service) otherGone(subject string, _ []byte) { s.forget(serverOf(subject)) }

// serverOf returns the id in the subject of a server's event.
func serverOf(subject string) string {
	id, _, _ := strings.Cut(strings.TrimPrefix(subject, "$SYS.SERVER."), ".")
	return id
}

// otherConns takes the connections that an account has on another server into its limits.
func (s *Service) otherConns(_ string, body []byte) {
	var v sysapi.AccountConns
	if json.Unmarshal(body, &v) != nil {
		return
	}
	o := s.other(v.Server.ID)
	a := s.p.Accounts.Lookup(v.Account)
	if o == nil || a == nil {
		return
	}
	o.accounts[a.Name()] = true
	a.SetRemote(v.Server.ID, v.Conns, v.Leafs)
	if s.p.Shrink != nil {
		s.p.Shrink(a)
	}
}

// forget takes back everything that a server has told.
func (s *Service) forget(id string) {
	o := s.others.seen[id]
	if o == nil {
		return
	}
	for name := range o.accounts {
		if a := s.p.Accounts.Known(name); a != nil {
			a.SetRemote(id, 0, 0)
		}
	}
	delete(s.others.seen, id)
	s.active.Store(int64(len(s.others.seen)))
}

// sweepServers forgets who has been silent for too long.
func (s *Service) sweepServers() {
	s.requests.push(func(*worker) {
		now := s.p.Clock.Now()
		for id, o := range s.others.seen {
			if now.Sub(o.heard) > orphanAfter {
				s.p.Logger.Logf(engine.Debug, "", "Detected orphan remote server: %q", id)
				s.forget(id)
			}
		}
	})
}
