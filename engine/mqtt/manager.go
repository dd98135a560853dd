package mqtt

import (
	"sync"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/netio"
	"ramjet/proto/header"
)

const (
	jailTime  = time.Second            // a client identifier whose connections take over from each other
	jailSweep = 5 * time.Second        // until old entries are removed
	lockRetry = 100 * time.Millisecond // between attempts to get a session that is being worked on
	lockTries = 10
	cacheTime = 2 * time.Minute // of retained messages
)

// Manager holds the sessions and retained messages of one account. mu guards everything below it and is held
// for moments; a session's lock may be taken under it.
type Manager struct {
	svc   *Service
	acct  *account.Account
	store Storage

	mu       sync.Mutex
	ready    bool
	waiting  []func(error) // for ready
	sessions map[string]*Session
	byHash   map[string]*Session
	locked   map[string]*Client // client identifiers whose session is being worked on
	jail     map[string]time.Time
	retained retainedIndex
}

func newManager(svc *Service, a *account.Account) *Manager {
	return &Manager{svc: svc, acct: a, store: svc.env.Storage(a), sessions: map[string]*Session{}, byHash: map[string]*Session{},
		locked: map[string]*Client{}, jail: map[string]time.Time{}}
}

// whenReady calls fn once the storage is open, or with the error that it cannot be. Any goroutine.
func (m *Manager) whenReady(fn func(error)) {
	m.mu.Lock()
	if !m.ready {
		m.waiting = append(m.waiting, fn)
		m.mu.Unlock()
		return
	}
	m.mu.Unlock()
	fn(nil)
}

// opened is the end of Storage.Open.
func (m *Manager) opened(err error) {
	if err != nil {
		m.svc.forget(m)
	}
	m.mu.Lock()
	m.ready = err == nil
	all := m.waiting
	m.waiting = nil
	m.mu.Unlock()
	for _, fn := range all {
		fn(err)
	}
}

// claim is the answer of Manager.lock.
type claim uint8

const (
	claimed claim = iota
	claimBusy
	claimJail
)

// lock reserves the session of a client identifier for the CONNECT of c.
func (m *Manager) lock(c *Client, id string) (*Session, claim) {
	now := m.svc.link.Clock.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok := m.jail[id]; ok {
		if now.Sub(at) <= jailTime {
			return nil, claimJail
		}
		delete(m.jail, id)
	}
	if m.locked[id] != nil {
		return nil, claimBusy
	}
	m.locked[id] = c
	return m.sessions[id], claimed
}

// relock reserves the session of c, which is connected, for another packet; false if it has been taken over.
func (m *Manager) relock(c *Client) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locked[c.sess.id] != nil || !c.sess.owned(c) {
		return false
	}
	m.locked[c.sess.id] = c
	return true
}

// unlock ends what lock and relock began.
func (m *Manager) unlock(c *Client, id string) {
	m.mu.Lock()
	if m.locked[id] == c {
		delete(m.locked, id)
	}
	m.mu.Unlock()
}

// add makes s known.
func (m *Manager) add(s *Session) {
	m.mu.Lock()
	m.sessions[s.id], m.byHash[s.hash] = s, s
	m.mu.Unlock()
}

// remove takes s away, if it is still there.
func (m *Manager) remove(s *Session) {
	m.mu.Lock()
	m.removeLocked(s)
	m.mu.Unlock()
}

func (m *Manager) removeLocked(s *Session) {
	if m.sessions[s.id] == s {
		delete(m.sessions, s.id)
	}
	if m.byHash[s.hash] == s {
		delete(m.byHash, s.hash)
	}
}

// bind makes c the owner of s and returns who was it.
func (m *Manager) bind(s *Session, c *Client, clean bool) (old *Client) {
	s.mu.Lock()
	old, s.owner, s.clean = s.owner, c, clean
	s.mu.Unlock()
	if old != nil {
		m.mu.Lock()
		m.imprison(s.id)
		m.mu.Unlock()
	}
	return old
}

// imprison notes that the connection of a client identifier was taken over. mu is held.
func (m *Manager) imprison(id string) {
	if len(m.jail) == 0 {
		m.svc.link.Clock.AfterFunc(jailSweep, m.sweepJail)
	}
	m.jail[id] = m.svc.link.Clock.Now()
}

func (m *Manager) sweepJail() {
	now := m.svc.link.Clock.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, at := range m.jail {
		if now.Sub(at) > jailTime {
			delete(m.jail, id)
		}
	}
	if len(m.jail) > 0 {
		m.svc.link.Clock.AfterFunc(jailSweep, m.sweepJail)
	}
}

// release ends the binding of c, which is gone, and reports whether it was bound; a session of one connection
// is removed too.
func (m *Manager) release(c *Client) (bound, clean bool) {
	s := c.sess
	m.mu.Lock()
	defer m.mu.Unlock()
	if by := m.locked[s.id]; by != nil && by != c {
		return false, false
	}
	s.mu.Lock()
	bound, clean = s.owner == c, s.clean
	if bound {
		s.owner = nil
	}
	s.mu.Unlock()
	if bound {
		delete(m.jail, s.id)
		if clean {
			m.removeLocked(s)
		}
	}
	return bound, clean
}

// Claimed implements Updates: a client with the identifier of one here has connected to another server.
func (m *Manager) Claimed(hash string, seq uint64) {
	m.mu.Lock()
	s := m.byHash[hash]
	if s == nil {
		m.mu.Unlock()
		return
	}
	s.mu.Lock()
	if seq < s.seq {
		s.mu.Unlock()
		m.mu.Unlock()
		return
	}
	c := s.owner
	s.owner = nil
	s.mu.Unlock()
	m.removeLocked(s)
	if c != nil {
		m.imprison(s.id)
	}
	m.mu.Unlock()
	if c != nil {
		c.Logf(engine.Warn, "RJ-Q001", "Closing because a remote connection has started with the same client ID: %q", s.id)
		c.evict()
	}
}

// Retained implements Updates.
func (m *Manager) Retained(subject string, seq uint64, hdr, payload []byte) {
	subject, ok := retainedSubject(subject)
	if !ok {
		return
	}
	if len(payload) == 0 {
		local := string(header.Get(hdr, headerOrigin)) == m.svc.env.Node()
		m.mu.Lock()
		m.retained.deleted(subject, seq)
		m.mu.Unlock()
		if local {
			m.store.Delete(engine.NoLoop, StreamRetained, seq, nil, 0)
		}
		return
	}
	msg, err := decodeRetained(hdr, payload)
	if err != nil {
		return
	}
	m.mu.Lock()
	m.retained.stored(subject, seq, msg, m.svc.now())
	m.mu.Unlock()
}

// evict closes the connection of a client whose session has gone to another one. Any goroutine.
func (c *Client) evict() {
	c.will.Store(nil)
	c.Net().Loop().Post(func() { c.CloseErr("", netio.ReasonDuplicateClientID) })
}
