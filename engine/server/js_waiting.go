package server

import (
	"sync"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/dispatch"
	"ramjet/js/host"
	"ramjet/proto/jsapi"
)

// jsWaiting answers the API while JetStream recovers: that it is not available yet. Owner: control goroutine, but for Deliver.
type jsWaiting struct {
	s       *Server
	ctxs    sync.Pool // *dispatch.Ctx
	cancels map[*account.Account]func()
	ended   bool
}

// answerWaiting begins to answer in all accounts that exist.
func (s *Server) answerWaiting() *jsWaiting {
	w := &jsWaiting{s: s, cancels: map[*account.Account]func(){}}
	w.ctxs.New = func() any { return dispatch.NewCtx(engine.NoLoop, s.seed+4) }
	w.sync()
	return w
}

// sync answers in the accounts that exist now.
func (w *jsWaiting) sync() {
	if w.ended {
		return
	}
	w.s.accounts.Range(func(a *account.Account) bool {
		if w.cancels[a] != nil || a.Snap().System {
			return true
		}
		cancel, err := w.s.buses.Subscribe(a.Name(), jsapi.APIPrefix+">", "", w)
		if err != nil {
			w.s.log.Logf(engine.Error, "RJ-S064", "JetStream: account %q: %v", a.Name(), err)
			return true
		}
		w.cancels[a] = cancel
		return true
	})
}

// end stops answering; the host has taken over, or JetStream is off.
func (w *jsWaiting) end() {
	w.ended = true
	for _, cancel := range w.cancels {
		cancel()
	}
	w.cancels = nil
}

// Deliver implements host.Inbox.
func (w *jsWaiting) Deliver(m *host.Msg) host.Verdict {
	var c jsapi.APICall
	if !jsapi.ParseAPI(string(m.Subject), &c) || c.Endpoint.ResponseType() == "" {
		return host.NotOne // nobody is there: clients are told so at once
	}
	a := w.s.accounts.Lookup(m.Account)
	if len(m.Reply) == 0 || a == nil {
		return host.Taken
	}
	ctx := w.ctxs.Get().(*dispatch.Ctx)
	w.s.router.Publish(ctx, a, &engine.Msg{Subject: m.Reply, Origin: engine.JetStream,
		Payload: jsapi.AppendResponse(nil, c.Endpoint.ResponseType(), jsapi.ClusterNotAvail.Err(), nil)})
	ctx.ResetSlow()
	w.ctxs.Put(ctx)
	return host.Taken
}
