package dispatch

import (
	"ramjet/engine"
	"ramjet/engine/interest"
)

// Handler receives the messages of an internal subscriber: on the goroutine of the publisher, from
// being its LoopID. It must not block; m is borrowed. It may publish with the publisher's Ctx.
type Handler func(from engine.LoopID, m *engine.Msg)

// Local is an internal subscriber: a Sink that calls a function. Any goroutine.
type Local struct {
	index *interest.Index
	kind  engine.Kind
	id    uint64
	fn    Handler
}

// NewLocal returns a sink of the given kind (System, JetStream or Account; as a Client it would be
// subject to the rules of clients) for subscriptions in x. id is what NoEcho compares, 0 = nothing.
func NewLocal(x *interest.Index, kind engine.Kind, id uint64, fn Handler) *Local {
	return &Local{index: x, kind: kind, id: id, fn: fn}
}

// Subscribe adds a subscription that delivers to l; Unsubscribe takes it away, as does reaching a
// limit set on it. queue is "" for none.
func (l *Local) Subscribe(subject, queue string) (*interest.Sub, error) {
	s := interest.NewSub([]byte(subject), []byte(queue), nil, 1, l)
	if err := l.index.Insert(s); err != nil {
		return nil, err
	}
	return s, nil
}

// Unsubscribe removes s; false if it was removed before. No call of the handler begins for s after
// it returned, but one may be under way.
func (l *Local) Unsubscribe(s *interest.Sub) bool { return l.index.Remove(s) }

// Deliver implements interest.Sink.
func (l *Local) Deliver(from engine.LoopID, m *engine.Msg, s *interest.Sub) engine.Verdict {
	ok, last := s.Take()
	if !ok {
		return engine.Refused
	}
	if last {
		l.index.Remove(s)
	}
	l.fn(from, m)
	return engine.OK
}

// Kind implements interest.Sink.
func (l *Local) Kind() engine.Kind { return l.kind }

// ID implements interest.Sink.
func (l *Local) ID() uint64 { return l.id }
