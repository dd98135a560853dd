package sysacc

import (
	"bytes"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/dispatch"
	"ramjet/engine/interest"
	"ramjet/engine/link"
)

const (
	maxRequests = 1024     // waiting
	maxBody     = 64 << 10 // of one request
	maxWaiting  = 4 << 20  // bytes of all requests waiting
)

// request is a copied request.
type request struct {
	subject, reply string
	body           []byte
	tooLarge       bool
	accept         encoding
	in             *account.Account // where it was published, and the answer will be
	asker          *link.Identity   // nil when it did not come from a connection of this server
}

// handler answers a request. The request worker.
type handler func(w *worker, r *request)

// listener is one subscribed subject.
type listener struct {
	local *dispatch.Local
	sub   *interest.Sub
}

// listen subscribes h to a subject in account a. Control.
func (s *Service) listen(a *account.Account, kind engine.Kind, subject string, h handler) (listener, error) {
	l := listener{local: dispatch.NewLocal(a.Index(), kind, 0, func(_ engine.LoopID, m *engine.Msg) { s.take(a, m, h) })}
	var err error
	l.sub, err = l.local.Subscribe(subject, queueOf(subject))
	return l, err
}

// speaksAnyway reports a request that has a meaning without a reply subject: statistics are then
// published as the event.
func speaksAnyway(subj []byte) bool {
	return string(subj) == pingPrefix || bytes.HasSuffix(subj, []byte(".STATSZ"))
}

// take is called on a loop with a message for h: it copies the message and queues it.
func (s *Service) take(a *account.Account, m *engine.Msg, h handler) {
	claims := changesClaims(m.Subject)
	if a != s.p.Accounts.System() && (m.Origin == engine.Router || m.Origin == engine.Gateway) {
		return // the server it came from has asked everybody
	}
	if s.ending.Load() || len(m.Reply) == 0 && !claims && !speaksAnyway(m.Subject) {
		return
	}
	limit := maxBody
	if claims {
		limit = maxClaims
	}
	r := &request{subject: string(m.Subject), reply: string(m.Reply), accept: accepted(m.Header), in: a}
	if r.tooLarge = len(m.Payload) > limit; !r.tooLarge {
		r.body = append([]byte(nil), m.Payload...)
	}
	if m.OriginID != 0 {
		if c := s.p.Registry.Get(m.OriginID); c != nil {
			r.asker = c.Identity()
		}
	}
	n := int64(len(r.body))
	if s.waiting.Add(n) > maxWaiting && n > 0 || !s.requests.push(func(w *worker) {
		s.waiting.Add(-n)
		h(w, r)
	}) {
		s.waiting.Add(-n)
		s.drop()
	}
}
