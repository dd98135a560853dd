package client

import (
	"regexp"

	"ramjet/engine"
	"ramjet/engine/auth"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/wire"
)

// onConnect handles CONNECT, the first or a repeated one.
func (p *Client) onConnect(op *wire.Op) error {
	cn, err := wire.ParseConnect(op.Arg)
	if err != nil {
		p.Logf(engine.Error, "RJ-C003", "%v", err)
		p.CloseErr("", netio.ReasonProtocolViolation)
		return link.ErrClosed
	}
	if m := p.ws; m != nil {
		fill(&cn.User, m.User)
		fill(&cn.Pass, m.Pass)
		fill(&cn.Token, m.Token)
		fill(&cn.JWT, m.JWT)
	}
	if cn.Account != "" || cn.NewAccount {
		return p.deny(auth.Result{Reason: netio.ReasonAuthFailure, Log: userError(cn.User)})
	}
	if p.mode&connected != 0 {
		// A later CONNECT starts over: other user, other permissions, no subscription.
		p.ClearSubs()
	}
	return p.authenticate(&auth.Request{
		Kind: engine.Client, ConnType: p.Type(), Listener: p.listener,
		Connect: cn, Nonce: p.nonce, ID: p.ID(), TLS: p.Net().TLS(), Remote: p.Net().RemoteAddr(),
	}, link.ErrHold)
}

// fill sets an absent CONNECT field from a websocket cookie.
func fill(dst *string, cookie string) {
	if *dst == "" {
		*dst = cookie
	}
}

// userError is the log text of a denied user.
func userError(user string) string {
	if user == "" {
		user = "N/A"
	}
	return `authentication error - User "` + link.Quote(user) + `"`
}

// accept lets an authenticated client in: identity, limits, options of CONNECT.
func (p *Client) accept(u *auth.User) error {
	cn := &p.req.Connect
	o := p.svc.options()
	if p.acct != u.Account {
		p.Detach()
	}
	p.SetIdentity(&link.Identity{
		User: u, Account: u.Account,
		Name: cn.Name, Lang: cn.Lang, Version: cn.Version, TLSFirst: p.tlsFirst,
	})
	p.acct = u.Account
	p.GuessRTT()
	if !p.Attach() {
		p.acct = nil
		p.Logf(engine.Error, "RJ-C004", "maximum account active connections exceeded")
		p.CloseErr(wire.TextMaxAccountConnections, netio.ReasonMaxAccountConnections)
		return link.ErrClosed
	}
	if cn.Protocol < 0 || cn.Protocol > 1 {
		p.Logf(engine.Error, "RJ-C005", "invalid client protocol")
		p.CloseErr(wire.TextInvalidClientProtocol, netio.ReasonBadProtocolVersion)
		return link.ErrClosed
	}
	headers := cn.Headers && !o.NoHeaderSupport
	if cn.NoResponders && !headers {
		p.Logf(engine.Error, "RJ-C006", "no responders requires headers support")
		p.CloseErr(wire.TextNoRespondersNeedsHeaders, netio.ReasonNoRespondersRequiresHeaders)
		return link.ErrClosed
	}
	first := p.mode&connected == 0
	p.mode &= firstPong | infoSent
	p.mode |= connected
	p.setMode(verbose, cn.Verbose)
	p.setMode(pedantic, cn.Pedantic)
	p.setMode(noEcho, !cn.Echo)
	p.setMode(noResponders, cn.NoResponders)
	p.protocol = uint8(cn.Protocol)
	p.SetHeaders(headers)
	p.Limits().MustConnect = false
	p.Limits().Headers = headers
	p.applyUser(u, o)
	p.stage = ready
	p.armExpiry(u)
	if first {
		p.FirstPing(jitter(p.ID()))
		p.svc.env.Events.Connected(&p.Conn)
	}
	return nil
}

func (p *Client) setMode(m mode, on bool) {
	if on {
		p.mode |= m
	} else {
		p.mode &^= m
	}
}

// applyUser puts permissions and limits of u into force.
func (p *Client) applyUser(u *auth.User, o *config.Options) {
	snap := p.acct.Snap()
	p.perms = u.Perms
	p.cache = nil
	p.setMode(restricted, u.Perms != nil)
	p.setMode(systemAccount, snap.System)
	var r *config.ResponsePerm
	if u.Perms != nil {
		r = u.Perms.Responses()
	}
	p.TrackReplies(r)
	p.maxSub = link.MinLimit(o.MaxSubs, snap.Limits.MaxSubs, u.MaxSubs)
	p.Limits().MaxPayload = link.MinLimit(o.MaxPayload, snap.Limits.MaxPayload, u.MaxPayload)
	p.Limits().MaxControlLine = o.MaxControlLine
}

// applyServerLimits sets what holds before authentication and who the client is without one.
func (p *Client) applyServerLimits(o *config.Options) {
	l := p.Limits()
	l.MaxControlLine, l.MaxPayload = o.MaxControlLine, link.MinLimit(o.MaxPayload)
	p.maxSub = link.MinLimit(o.MaxSubs)
	a := p.svc.env.Auth()
	if a.NonceNeeded() {
		p.nonce = newNonce()
	}
	if a.Required(p.listener) {
		p.mode |= needAuth
		l.MustConnect = p.noAuthUser() == ""
		return
	}
	if g := p.svc.env.Accounts.Global(); g != nil {
		p.acct = g
		p.SetIdentity(&link.Identity{Account: g})
		p.maxSub = link.MinLimit(o.MaxSubs, g.Snap().Limits.MaxSubs)
		l.MaxPayload = link.MinLimit(o.MaxPayload, g.Snap().Limits.MaxPayload)
	}
}

// noAuthUser returns the user of clients that send no credentials, "" for none.
func (p *Client) noAuthUser() string {
	return p.svc.env.Auth().NoAuthUser(p.listener, p.Type())
}

// jitter is a number in [0,1) that differs between connections.
func jitter(id uint64) float64 {
	x := id * 0x9E3779B97F4A7C15
	x ^= x >> 31
	x *= 0xBF58476D1CE4E5B9
	return float64(x>>11) / (1 << 53)
}

// secrets are the fields of CONNECT that no log shows (reference/limits_and_defaults.md), in the letter case of
// anybody: the decoder does not care either. A value of the wrong type hides what follows it too.
var secrets = regexp.MustCompile(`(?is)("(?:auth_token|pass|sig|nkey|proxy_sig|jwt)[^"]*"\s*:\s*)(?:"(?:\\.|[^"\\])*"?|[\[{].*|-?[0-9][^,}]*)`)

// redact replaces the secrets in a CONNECT line.
func redact(line []byte) []byte { return secrets.ReplaceAll(line, []byte(`$1"[REDACTED]"`)) }
