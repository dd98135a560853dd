package client

import (
	"crypto/rand"
	"encoding/base64"
	"sync/atomic"

	"ramjet/engine"
	"ramjet/engine/auth"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/wire"
)

// nonceBytes is the raw length of a nonce; it is sent as 15 characters of base64.
const nonceBytes = 11

// newNonce returns what the client has to sign.
func newNonce() string {
	var b [nonceBytes]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// authWait hands a result from wherever the authenticator finished to the loop. Whoever moves state
// second delivers: the authenticator before Begin returned (the loop then takes the result at
// once), or later (it posts).
type authWait struct {
	state atomic.Uint32 // 0 running, 1 result there, 2 the loop waits
	res   auth.Result
}

// authAnonymous authenticates a client that sent an operation before CONNECT as the no_auth_user.
func (p *Client) authAnonymous() error {
	if p.noAuthUser() == "" {
		return p.deny(auth.Result{Reason: netio.ReasonAuthFailure, Log: "authentication error"})
	}
	return p.authenticate(p.anonymousRequest(), link.ErrRetry)
}

// anonymousRequest is what a client without CONNECT presents: nothing, for the no_auth_user.
func (p *Client) anonymousRequest() *auth.Request {
	return &auth.Request{
		Kind: engine.Client, ConnType: p.Type(), Listener: p.listener, Connect: wire.DefaultConnect(),
		Nonce: p.nonce, TLS: p.Net().TLS(), Remote: p.Net().RemoteAddr(), NoAuthUser: true, ID: p.ID(),
	}
}

// authenticate asks the authenticator about req. pending is what OnOp returns while the answer is
// awaited: no operation of the connection is handled before, so that their order holds.
func (p *Client) authenticate(req *auth.Request, pending error) error {
	p.gen++
	gen := p.gen
	req.Gone = p.Closed
	p.req = req
	w := &authWait{}
	loop := p.Net().Loop()
	asked := p.svc.env.Auth()
	asked.Begin(req, p.svc.env.Group.Pool(), func(r auth.Result) {
		w.res = r
		if !w.state.CompareAndSwap(0, 1) {
			loop.Post(func() { p.authenticated(asked, gen, w.res) })
		}
	})
	if w.state.CompareAndSwap(0, 2) {
		return pending
	}
	return p.decide(w.res)
}

// authenticated receives an answer that came later from the authenticator asked. Loop.
func (p *Client) authenticated(asked *auth.Authenticator, gen uint32, r auth.Result) {
	if gen != p.gen || p.Closing() {
		return
	}
	if now := p.svc.env.Auth(); now != asked && r.User != nil {
		// A reload came between: who was let in by the old configuration is asked about in the new one.
		loop := p.Net().Loop()
		now.Recheck(p.req, p.svc.env.Group.Pool(), func(r auth.Result) {
			loop.Post(func() { p.authenticated(now, gen, r) })
		})
		return
	}
	if p.decide(r) == nil {
		p.Resume()
	}
}

// decide acts on an answer.
func (p *Client) decide(r auth.Result) error {
	if r.Warn != "" {
		p.Logf(engine.Warn, "RJ-C013", "%s", r.Warn)
	}
	if r.User == nil {
		return p.deny(r)
	}
	if err := p.accept(r.User); err != nil {
		return err
	}
	if p.mode&verbose != 0 && !p.req.NoAuthUser {
		p.sendOK()
	}
	return nil
}

// deny closes a client that is not let in.
func (p *Client) deny(r auth.Result) error {
	switch r.Reason {
	case netio.ReasonProxyRequired:
		p.Logf(engine.Debug, "", "proxy connection required")
	case netio.ReasonProxyNotTrusted:
		p.Logf(engine.Debug, "", "proxy is not trusted")
	}
	p.showTried()
	p.Denied("RJ-C007", &r)
	p.CloseErr(r.Text, r.Reason)
	return link.ErrClosed
}

// showTried makes what a client said in CONNECT visible in logs, events and the list of closed
// connections, although it was not let in.
func (p *Client) showTried() {
	if p.req == nil || p.req.NoAuthUser || p.User() != nil {
		return
	}
	cn := &p.req.Connect
	id := &link.Identity{Name: cn.Name, Lang: cn.Lang, Version: cn.Version, TLSFirst: p.tlsFirst}
	switch {
	case cn.Nkey != "":
		id.Tried = link.Quote(cn.Nkey)
	case cn.User != "":
		id.Tried = link.Quote(cn.User)
	case cn.Token != "":
		id.Tried = "[REDACTED]"
	}
	p.SetIdentity(id)
}

// armExpiry starts the timer that ends the session of a user with a deadline; it replaces the
// authentication timeout.
func (p *Client) armExpiry(u *auth.User) {
	p.Net().StopTimer(link.TimerAuth)
	if u.Expires.IsZero() {
		return
	}
	p.Net().SetTimer(link.TimerAuth, max(0, u.Expires.Sub(p.svc.env.Clock.Now())))
}
