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

// inbox is one awaited answer.
type inbox struct {
	in    *account.Account
	done  func(answer []byte, ok bool)
	timer clock.Timer
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
	x.mu.Lock()
	listen := x.heard[in]
	if listen == nil {
		listen = new(sync.Once)
		x.heard[in] = listen
	}
	id := x.ids.Next()
	reply := x.prefix + id[len(id)-8:]
	b := &inbox{in: in, done: done}
	x.open[reply] = b
	b.timer = x.s.clk.AfterFunc(timeout, func() { x.answer(reply, in, nil, false) })
	x.mu.Unlock()
	listen.Do(func() {
		l := dispatch.NewLocal(in.Index(), engine.Account, 0, func(_ engine.LoopID, m *engine.Msg) {
			x.answer(string(m.Subject), in, m.Payload, true)
		})
		if _, err := l.Subscribe(x.prefix+"*", ""); err != nil {
			x.s.log.Logf(engine.Error, "RJ-S048", "Authorization callout: no inbox in account %q: %v", in.Name(), err)
		}
	})
	m := &engine.Msg{Subject: []byte(subject), Reply: []byte(reply), Header: header, Payload: payload, Origin: engine.System}
	x.ctxMu.Lock()
	out := x.s.router.Publish(x.ctx, in, m)
	x.ctx.ResetSlow()
	x.ctxMu.Unlock()
	if out.Delivered == 0 {
		x.s.log.Logf(engine.Debug, "", "Authorization callout: nobody listens on account %q", in.Name())
	}
}

// answer ends the wait for an answer to reply in account in.
func (x *inboxes) answer(reply string, in *account.Account, payload []byte, ok bool) {
	x.mu.Lock()
	b := x.open[reply]
	if b == nil || b.in != in {
		x.mu.Unlock()
		return
	}
	delete(x.open, reply)
	x.mu.Unlock()
	b.timer.Stop()
	b.done(append([]byte(nil), payload...), ok)
}

// callouts is what authenticators need for authorization callouts.
func (s *Server) callouts() *auth.Callouts {
	return &auth.Callouts{
		Key: s.key, Curve: s.curve, Ask: newInboxes(s).ask,
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
