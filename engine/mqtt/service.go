package mqtt

import (
	"sync"
	"sync/atomic"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/auth"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/base/rng"
)

// Service serves MQTT clients: the accept functions of the MQTT listener and of websocket (after the
// upgrade), and what reload and lame duck do to all clients.
type Service struct {
	link *link.Env
	env  Env
	duck atomic.Bool // lame duck: nobody is let in any more

	// mu guards what follows; a leaf.
	mu       sync.Mutex
	managers map[*account.Account]*Manager
	ids      *rng.NUID
	closed   bool
}

// New returns the service. Control.
func New(l *link.Env, env Env) *Service {
	l.Init()
	return &Service{link: l, env: env, managers: map[*account.Account]*Manager{}, ids: rng.NewNUID(rng.New(env.Seed))}
}

// WSMeta is what the websocket upgrade learned.
type WSMeta struct {
	User, Pass, Token, JWT string // from cookies
	ForwardedFor           string
}

// Accept is the netio.AcceptFunc of the MQTT listener.
func (s *Service) Accept(c *netio.Conn) netio.Handler { return &s.accept(c, engine.MQTT).Conn }

// AcceptWS is called by engine/ws after the 101 was queued and the frame stage pushed; the handler's OnOpen is
// called by the caller.
func (s *Service) AcceptWS(c *netio.Conn, m WSMeta) netio.Handler {
	p := s.accept(c, engine.MQTTWS)
	p.ws = &m
	return &p.Conn
}

func (s *Service) accept(c *netio.Conn, t engine.ConnType) *Client {
	p := &Client{svc: s, rnd: uint64(c.Loop().Now()) | 1}
	p.lim.MaxPacket = -1
	p.pipe.c = p
	p.pipe.run = p.pipe.pump
	p.Init(s.link, c, engine.Client, t, p)
	return p
}

// options returns the configuration in force.
func (s *Service) options() *config.Options { return s.link.Options() }

// mqttOptions returns its mqtt block, never nil.
func (s *Service) mqttOptions() *config.MQTTOptions {
	if o := s.options().MQTT; o != nil {
		return o
	}
	return &config.MQTTOptions{MaxAckPending: config.DefaultMQTTInflight, AckWait: config.DefaultMQTTAckWait}
}

func (s *Service) now() int64 { return s.link.Clock.Now().UnixNano() }

// newID returns a unique identifier.
func (s *Service) newID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ids.Next()
}

// manager returns the manager of an account, made and opened on first use; nil after Close.
func (s *Service) manager(a *account.Account) *Manager {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.managers[a]
	if m == nil && !s.closed {
		m = newManager(s, a)
		s.managers[a] = m
		m.store.Open(m, m.opened)
		s.link.Clock.AfterFunc(cacheTime, m.sweepCache)
	}
	return m
}

// forget takes a manager away whose storage could not be opened: the next client tries again.
func (s *Service) forget(m *Manager) {
	s.mu.Lock()
	if s.managers[m.acct] == m {
		delete(s.managers, m.acct)
	}
	s.mu.Unlock()
}

// all returns the managers.
func (s *Service) all() []*Manager {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*Manager, 0, len(s.managers))
	for _, m := range s.managers {
		list = append(list, m)
	}
	return list
}

// Usage is what one account has of MQTT.
type Usage struct{ Sessions, Connected, Inflight, Retained int }

// Usage calls fn for each account that MQTT clients have used. Any goroutine.
func (s *Service) Usage(fn func(account string, u Usage)) {
	for _, m := range s.all() {
		var u Usage
		m.mu.Lock()
		u.Retained = m.retained.n
		sessions := make([]*Session, 0, len(m.sessions))
		for _, x := range m.sessions {
			sessions = append(sessions, x)
		}
		m.mu.Unlock()
		u.Sessions = len(sessions)
		for _, x := range sessions {
			x.mu.Lock()
			if x.owner != nil {
				u.Connected++
			}
			u.Inflight += len(x.inflight.publish) + len(x.inflight.pubrel)
			x.mu.Unlock()
		}
		fn(m.acct.Name(), u)
	}
}

// sweepCache forgets unused retained messages from time to time, as long as m is in service.
func (m *Manager) sweepCache() {
	m.svc.mu.Lock()
	live := m.svc.managers[m.acct] == m
	m.svc.mu.Unlock()
	if !live {
		return
	}
	now := m.svc.now()
	m.mu.Lock()
	m.retained.sweep(now)
	m.mu.Unlock()
	m.svc.link.Clock.AfterFunc(cacheTime, m.sweepCache)
}

// LameDuck makes the service refuse new clients.
func (s *Service) LameDuck() { s.duck.Store(true) }

// Close ends the storages. Control.
func (s *Service) Close() {
	s.mu.Lock()
	all := s.managers
	s.managers, s.closed = map[*account.Account]*Manager{}, true
	s.mu.Unlock()
	for _, m := range all {
		m.store.Close()
	}
}

// Crossed stores a message of an MQTT client that an imported service took to account a under another subject,
// for the subscribers with QoS 1 and 2 there. hdr and payload are borrowed. Any goroutine.
func (s *Service) Crossed(a *account.Account, subject, hdr, payload []byte) {
	if publishedQoS(hdr) == 0 {
		return
	}
	s.mu.Lock()
	m := s.managers[a]
	s.mu.Unlock()
	if m != nil {
		m.store.Store(engine.NoLoop, append([]byte(SubjectMessages), subject...), hdr, payload, nil, 0)
	}
}

// required reports whether clients have to authenticate.
func (s *Service) required() bool { return s.link.Auth().Required(auth.MQTTListener) }

// defaultTimeout is the time for TLS and for CONNECT where nothing is configured.
const defaultTimeout = 2 * time.Second
