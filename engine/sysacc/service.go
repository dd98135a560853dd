package sysacc

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/proto/base/clock"
	"ramjet/proto/base/rng"
	"ramjet/proto/sysapi"
)

const (
	maxEvents = 16 << 10 // waiting
	// Statistics are published more and more rarely after the start.
	firstStats = 250 * time.Millisecond
	lastStats  = 10 * time.Second
	// connsEvery is how often the connections of accounts that have any are told without a change.
	connsEvery = 30 * time.Second
)

// Service answers requests and publishes events. Create it with New.
type Service struct {
	p        Port
	subjects subjects
	requests *worker
	events   *worker
	beside   chan struct{} // a token per slow request under way

	ending  atomic.Bool
	waiting atomic.Int64 // bytes of queued requests
	dropped atomic.Int64
	active  atomic.Int64 // other servers
	others  others
	sums    sums
	seq     atomic.Uint64
	ids     *rng.NUID // owner: the event worker

	mu      sync.Mutex // leaf: guards pending
	pending map[*account.Account]bool

	// Owner: control.
	started bool
	system  *account.Account
	heard   map[*account.Account][]listener
	timers  []*repeat
}

// New returns the service of a server; it does nothing before Start.
func New(p Port) *Service {
	s := &Service{
		p: p, subjects: newSubjects(p.ID), beside: make(chan struct{}, maxBeside), ids: rng.NewNUID(rng.New(p.Seed + 3)),
		pending: map[*account.Account]bool{}, heard: map[*account.Account][]listener{},
	}
	s.requests = newWorker(maxRequests, p.Router, p.Seed+1)
	s.events = newWorker(maxEvents, p.Router, p.Seed+2)
	s.events.drain = true
	s.requests.trace, s.events.trace = s.tracePub, s.tracePub
	return s
}

// Start begins to work, unless there is no system account. Control.
func (s *Service) Start() error {
	if s.p.Accounts.System() == nil {
		return nil
	}
	s.started = true
	if !s.p.Stepped {
		go s.requests.run(&s.ending)
		go s.events.run(&s.ending)
	}
	if err := s.Sync(); err != nil {
		return err
	}
	s.timers = append(s.timers,
		s.every(firstStats, lastStats, func() { s.events.push(s.sendStats) }),
		s.every(connsEvery, connsEvery, s.tellAllConns),
		s.every(orphanSweep, orphanSweep, s.sweepServers))
	return nil
}

// Sync brings the internal subscriptions in line with the accounts that exist: at start and after a
// reload. Accounts that are gone keep none. Control.
func (s *Service) Sync() error {
	if !s.started {
		return nil
	}
	s.system = s.p.Accounts.System()
	live := map[*account.Account]bool{}
	var err error
	s.p.Accounts.Range(func(a *account.Account) bool {
		live[a] = true
		if s.heard[a] == nil && err == nil {
			if err = s.hear(a); a != s.system {
				s.askConns(a)
			}
		}
		return true
	})
	for a, ls := range s.heard {
		if !live[a] || s.system == nil {
			for _, l := range ls {
				l.local.Unsubscribe(l.sub)
			}
			delete(s.heard, a)
		}
	}
	return err
}

// hear subscribes to what is answered in account a.
func (s *Service) hear(a *account.Account) error {
	if s.system == nil {
		return nil
	}
	table, kind := s.accountTable(), engine.Account
	if a == s.system {
		if err := s.watchServers(a); err != nil {
			return err
		}
		table, kind = s.systemTable(), engine.System
	}
	for _, e := range table {
		l, err := s.listen(a, kind, e.subject, e.handle)
		if err != nil {
			return fmt.Errorf("subscribing to %s in account %s: %w", e.subject, a.Name(), err)
		}
		s.heard[a] = append(s.heard[a], l)
	}
	return nil
}

// LameDuck tells that the server sends its clients away. Any goroutine.
func (s *Service) LameDuck() {
	if subj := s.subjects.lameDuck; s.wanted(subj) {
		s.events.push(func(w *worker) { s.send(w, subj, "", s.serverInfo()) })
	}
}

// Stop tells that the server ends, and returns when nothing more will be published. It does not wait
// for slow requests. Control.
func (s *Service) Stop() {
	if s.ending.Swap(true) || !s.started {
		return
	}
	for _, t := range s.timers {
		t.stop()
	}
	subj := s.subjects.shutdown
	s.events.push(func(w *worker) { s.send(w, subj, "", s.serverInfo()) })
	for _, w := range []*worker{s.requests, s.events} {
		w.q.Close()
		if s.p.Stepped {
			w.step(&s.ending)
			continue
		}
		<-w.done
	}
}

// Step does what is queued, for a service that was made with Port.Stepped; false when there was nothing.
// One goroutine at a time.
func (s *Service) Step() bool {
	requests := s.requests.step(&s.ending)
	return s.events.step(&s.ending) || requests
}

// drop counts a request or event that found no room, and reports the first and every thousandth.
func (s *Service) drop() {
	if n := s.dropped.Add(1); n%1000 == 1 {
		s.p.Logger.Logf(engine.Warn, "RJ-Y001", "System account: %d requests and events dropped, the queue is full", n)
	}
}

// wanted reports whether anybody subscribes to a literal subject in the system account. Any goroutine.
func (s *Service) wanted(subject string) bool { return s.wants([]byte(subject)) }

func (s *Service) wants(subject []byte) bool {
	a := s.p.Accounts.System()
	return a != nil && !s.ending.Load() && (a.Index().HasInterest(subject) || s.verbose())
}

// serverInfo describes this server, with the next sequence number.
func (s *Service) serverInfo() *sysapi.ServerInfo {
	o := s.p.Options()
	i := &sysapi.ServerInfo{
		Name: s.p.Name(), Host: o.Host, ID: s.p.ID, Version: s.p.Version, Tags: o.ServerTags, Metadata: o.Metadata,
		FeatureFlags: o.FeatureFlags, Seq: s.seq.Add(1), Time: s.p.Clock.Now().UTC(),
		Domain: s.domain(), Cluster: s.cluster(),
	}
	if s.p.JetStream != nil && s.p.JetStream() {
		i.JetStream, i.Flags = true, sysapi.CapJetStream|sysapi.CapBinarySnapshots|sysapi.CapAccountNRG
	}
	return i
}

// cluster is the name of the server's cluster, "" for none.
func (s *Service) cluster() string {
	if s.p.Cluster == nil {
		return ""
	}
	return s.p.Cluster()
}

// domain is the JetStream domain of the server, "" for none.
func (s *Service) domain() string {
	if j := s.p.Options().JetStream; j != nil && j.Enabled {
		return j.Domain
	}
	return ""
}

// send publishes v as JSON in the system account. A worker.
func (s *Service) send(w *worker, subject, reply string, v any) {
	a := s.p.Accounts.System()
	if a == nil {
		return
	}
	s.sendIn(w, a, subject, reply, plain, v)
}

func (s *Service) sendIn(w *worker, a *account.Account, subject, reply string, e encoding, v any) {
	b, err := json.Marshal(v)
	var hdr []byte
	if err == nil {
		hdr, b, err = e.encode(b)
	}
	if err != nil {
		s.p.Logger.Logf(engine.Error, "RJ-Y002", "System account: message to %q not encoded: %v", subject, err)
		return
	}
	w.publish(a, subject, reply, hdr, b)
}

// repeat calls a function again and again, first after an interval that doubles up to a longest one.
type repeat struct {
	mu      sync.Mutex // leaf
	timer   clock.Timer
	stopped bool
}

func (s *Service) every(d, longest time.Duration, fn func()) *repeat {
	r := &repeat{}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arm(s.p.Clock, d, longest, fn)
	return r
}

// arm requires: mu.
func (r *repeat) arm(c clock.Clock, d, longest time.Duration, fn func()) {
	r.timer = c.AfterFunc(d, func() {
		fn()
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.stopped {
			r.arm(c, min(2*d, longest), longest, fn)
		}
	})
}

func (r *repeat) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	r.timer.Stop()
}
