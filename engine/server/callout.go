package server

import (
	"sync"
	"time"

	"github.com/nats-io/jwt/v2"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/auth"
	"ramjet/engine/dispatch"
	"ramjet/proto/base/clock"
	"ramjet/proto/base/rng"
)

// inboxes are the reply subjects of requests that the server itself makes, one wildcard subscription in
// each account where it does. Any goroutine but, for ask, a loop; mu and ctxMu are leaves but for the
// delivery of the request below ctxMu.
type inboxes struct {
	s      *Server
	prefix string // of every reply subject

	mu    sync.Mutex
	open  map[string]*inbox
	heard map[*account.Account]*sync.Once // subscribing
	ids   *rng.NUID

	ctxMu sync.Mutex // held while a request is published
	ctx   *dispatch.Ctx
}

// inbox is where answers to one request are awaited.
type inbox struct {
	in    *account.Account
	timer clock.Timer

	mu sync.Mutex // guards the rest, and is held during take
	// take is called with each answer until it returns true; and at last with ok false if it never did: the time is up, or everybody who
	// was asked has answered.
	take  func(answer []byte, ok bool) (enough bool)
	over  bool
	asked int // 0 = not known, or it does not matter
	came  int // answers
}

// answer takes an answer, or with ok false the end of the wait, and reports whether it was the last.
func (b *inbox) answer(payload []byte, ok bool) (last bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return false
	}
	if ok {
		b.came++
		b.over = b.take(append([]byte(nil), payload...), true)
		if b.over || b.asked == 0 || b.came < b.asked {
			return b.over
		}
	}
	b.over = true
	b.take(nil, false)
	return true
}

// expect says how many answers there will be at most.
func (b *inbox) expect(n int) (last bool) {
	b.mu.Lock()
	b.asked = n
	complete := b.came >= n
	b.mu.Unlock()
	return complete && b.answer(nil, false)
}

func newInboxes(s *Server) *inboxes {
	return &inboxes{
		s: s, prefix: "$SYS._INBOX." + shortName(s.Name()) + ".",
		open: make(map[string]*inbox), heard: make(map[*account.Account]*sync.Once), ids: rng.NewNUID(rng.New(s.seed + 4)),
		ctx: dispatch.NewCtx(engine.NoLoop, s.seed+5),
	}
}

// ask is auth.Callouts.Ask.
func (x *inboxes) ask(in *account.Account, subject string, header, payload []byte, timeout time.Duration, done func(answer []byte, ok bool)) {
	x.publish(in, subject, header, payload, timeout, false, func(answer []byte, ok bool) bool {
		done(answer, ok)
		return true
	})
}

// collect asks and calls take with each answer until it has enough or the time is up, with each (a single answer from each who is asked)
// no longer than until all have answered; then it returns. Not on a loop: it waits.
func (x *inboxes) collect(in *account.Account, subject string, payload []byte, timeout time.Duration, each bool, take func(answer []byte) (enough bool)) {
	done := make(chan struct{})
	x.publish(in, subject, nil, payload, timeout, each, func(answer []byte, ok bool) bool {
		enough := !ok || take(answer)
		if enough {
			close(done)
		}
		return enough
	})
	<-done
}

// publish asks; counted: one answer from each who is asked.
func (x *inboxes) publish(in *account.Account, subject string, header, payload []byte, timeout time.Duration, counted bool, take func([]byte, bool) bool) {
	x.mu.Lock()
	listen := x.heard[in]
	if listen == nil {
		listen = new(sync.Once)
		x.heard[in] = listen
	}
	id := x.ids.Next()
	reply := x.prefix + id[len(id)-8:]
	b := &inbox{in: in, take: take}
	x.open[reply] = b
	b.timer = x.s.clk.AfterFunc(timeout, func() { x.answer(reply, in, nil, false) })
	x.mu.Unlock()
	listen.Do(func() {
		l := dispatch.NewLocal(in.Index(), engine.Account, 0, func(_ engine.LoopID, m *engine.Msg) {
			x.answer(string(m.Subject), in, m.Payload, true)
		})
		if _, err := l.Subscribe(x.prefix+"*", ""); err != nil {
			x.s.log.Logf(engine.Error, "RJ-S048", "No inbox in account %q for answers to the server: %v", in.Name(), err)
		}
	})
	m := &engine.Msg{Subject: []byte(subject), Reply: []byte(reply), Header: header, Payload: payload, Origin: engine.System}
	x.ctxMu.Lock()
	out := x.s.router.Publish(x.ctx, in, m)
	x.ctx.ResetSlow()
	x.ctxMu.Unlock()
	if out.Delivered == 0 {
		x.s.log.Logf(engine.Debug, "", "Request to %q: nobody listens on account %q", subject, in.Name())
	}
	if counted && x.s.gateways == nil && b.expect(out.Delivered) { // through a gateway several servers may answer
		x.end(reply, b)
	}
}

// answer passes an answer to reply in account in on, or with ok false the end of the wait.
func (x *inboxes) answer(reply string, in *account.Account, payload []byte, ok bool) {
	x.mu.Lock()
	b := x.open[reply]
	x.mu.Unlock()
	if b != nil && b.in == in && b.answer(payload, ok) {
		x.end(reply, b)
	}
}

// end forgets an inbox that has ended.
func (x *inboxes) end(reply string, b *inbox) {
	x.mu.Lock()
	delete(x.open, reply)
	x.mu.Unlock()
	b.timer.Stop()
}

// callouts is what authenticators need for authorization callouts.
func (s *Server) callouts() *auth.Callouts {
	return &auth.Callouts{
		Key: s.key, Curve: s.curve, Ask: s.inboxes.ask,
		Server: func() jwt.ServerID {
			o := s.Options()
			id := jwt.ServerID{Name: s.Name(), Host: o.Host, ID: s.id, Version: NATSVersion, Tags: o.ServerTags}
			if o.Cluster != nil {
				id.Cluster = o.Cluster.Name
			}
			return id
		},
	}
}
