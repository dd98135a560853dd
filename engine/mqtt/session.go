package mqtt

import (
	"encoding/json"
	"maps"
	"sync"

	"ramjet/engine"
	"ramjet/proto/jsapi"
)

// maxAckTotal bounds the sum of max_ack_pending of the consumers of a session: packet identifiers have 16 bits.
const maxAckTotal = 0xFFFF

// Session is what is kept for a client identifier. mu guards everything; it is held for moments only, by
// the loop of the client and by who delivers to it.
type Session struct {
	m        *Manager
	id, hash string

	mu       sync.Mutex
	owner    *Client // who is connected
	clean    bool
	seq      uint64 // of the record
	subs     map[string]byte
	cons     map[string]*jsapi.ConsumerConfig // by sid
	pubrel   *jsapi.ConsumerConfig
	ackTotal int // of cons and pubrel
	maxAck   int // deliveries under way
	inflight inflight
}

// record is how a session is stored (reference/websocket_mqtt.md, B4).
type record struct {
	Origin string                           `json:"origin,omitempty"`
	ID     string                           `json:"id,omitempty"`
	Clean  bool                             `json:"clean,omitempty"`
	Subs   map[string]byte                  `json:"subs,omitempty"`
	Cons   map[string]*jsapi.ConsumerConfig `json:"cons,omitempty"`
	PubRel *jsapi.ConsumerConfig            `json:"pubrel,omitempty"`
}

func newSession(m *Manager, id string) *Session {
	return &Session{m: m, id: id, hash: jsapi.Hash(id), maxAck: m.svc.mqttOptions().MaxAckPending}
}

// restore fills a new session from its record.
func (s *Session) restore(r *record, seq uint64) {
	s.clean, s.seq, s.subs, s.pubrel = r.Clean, seq, r.Subs, r.PubRel
	s.cons = map[string]*jsapi.ConsumerConfig{}
	for sid, c := range r.Cons {
		if c != nil {
			s.cons[sid] = c
			s.ackTotal += c.MaxAckPending
		}
	}
	if s.pubrel != nil {
		s.ackTotal += s.pubrel.MaxAckPending
	}
}

// save stores the record; done is called once, on any goroutine.
func (s *Session) save(from engine.LoopID, done func(error)) {
	s.mu.Lock()
	b, err := json.Marshal(&record{Origin: s.m.svc.env.Node(), ID: s.id, Clean: s.clean, Subs: s.subs, Cons: s.cons, PubRel: s.pubrel})
	seq := s.seq
	s.mu.Unlock()
	if err != nil {
		done(err)
		return
	}
	s.m.store.SaveSession(from, s.hash, seq, b, WaiterFunc(func(r Result) {
		if r.Err == nil {
			s.mu.Lock()
			s.seq = r.Seq
			s.mu.Unlock()
		}
		done(r.Err)
	}))
}

// clear discards the session's state and removes its consumers and its record. With done, which is called
// once, on any goroutine, one is removed after the other; without, nothing is waited for.
func (s *Session) clear(from engine.LoopID, done func(error)) {
	s.mu.Lock()
	var gone []string
	for _, c := range s.cons {
		gone = append(gone, c.Durable)
	}
	out := s.pubrel
	seq := s.seq
	s.subs, s.cons, s.pubrel, s.seq, s.ackTotal, s.inflight = nil, nil, nil, 0, 0, inflight{}
	s.mu.Unlock()
	store := s.m.store
	if done == nil {
		for _, c := range gone {
			store.DropConsumer(from, StreamMessages, c, nil)
		}
		if out != nil {
			store.DropConsumer(from, StreamOut, out.Durable, nil)
		}
		if seq > 0 {
			store.Delete(from, StreamSessions, seq, nil, 0)
		}
		return
	}
	var next func(r Result)
	next = func(r Result) {
		switch {
		case r.Err != nil && !isGone(r.Err):
			done(r.Err)
		case len(gone) > 0:
			c := gone[0]
			gone = gone[1:]
			store.DropConsumer(engine.NoLoop, StreamMessages, c, WaiterFunc(next))
		case out != nil:
			name := out.Durable
			out = nil
			store.DropConsumer(engine.NoLoop, StreamOut, name, WaiterFunc(next))
		case seq > 0:
			n := seq
			seq = 0
			store.Delete(engine.NoLoop, StreamSessions, n, WaiterFunc(next), 0)
		default:
			done(nil)
		}
	}
	next(Result{})
}

// update notes the accepted filters of a SUBSCRIBE (or takes away those of an UNSUBSCRIBE) and reports
// whether the record has to be stored.
func (s *Session) update(filters []filter, add bool) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	subs := maps.Clone(s.subs) // a record being encoded shares the old one
	for i := range filters {
		f := &filters[i]
		qos, ok := subs[f.subject]
		switch {
		case !add && ok:
			delete(subs, f.subject)
		case add && f.code <= 2 && (!ok || qos != f.code):
			if subs == nil {
				subs = map[string]byte{}
			}
			subs[f.subject] = f.code
		default:
			continue
		}
		changed = true
	}
	s.subs = subs
	return changed
}

// consumer returns the consumer of a subscription, nil if there is none.
func (s *Session) consumer(sid string) *jsapi.ConsumerConfig {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cons[sid]
}

// setConsumer notes (or with nil takes away) the consumer of a subscription.
func (s *Session) setConsumer(sid string, c *jsapi.ConsumerConfig) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.cons[sid]; old != nil {
		s.ackTotal -= old.MaxAckPending
		delete(s.cons, sid)
	}
	if c != nil {
		if s.cons == nil {
			s.cons = map[string]*jsapi.ConsumerConfig{}
		}
		s.cons[sid] = c
		s.ackTotal += c.MaxAckPending
	}
}

// owned reports whether c is who the session belongs to.
func (s *Session) owned(c *Client) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owner == c
}
