package leaf

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"ramjet/engine"
	"ramjet/engine/auth"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/wire"
)

const (
	nonceBytes     = 11 // raw; 15 characters
	defaultTimeout = 2 * time.Second
)

// OnOpen implements link.Protocol.
func (p *Leaf) OnOpen() {
	o := p.svc.options()
	p.SetOutputLimits(o)
	l := p.Limits()
	l.Dialect = wire.DialectLeaf
	l.MaxControlLine = o.MaxControlLine * controlLineFactor
	l.MaxPayload = link.MinLimit(o.MaxPayload)
	l.Headers = true
	p.SetPing(o.PingInterval, o.PingMax)
	p.Net().StopTimer(link.TimerPing) // the first one follows the handshake
	if p.remote != nil {
		p.openSpoke()
		return
	}
	p.openHub()
}

// openHub starts the accepting end: INFO and TLS in the configured order, then the wait for CONNECT.
func (p *Leaf) openHub() {
	p.Logf(engine.Info, "", "Leafnode connection created")
	o := p.svc.leafOptions()
	l := p.Limits()
	l.MustConnect = true
	l.InfoFirst = !p.wsPacked && link.NegotiatesCompression(p.ownCompression())
	p.nonce = newNonce()
	t := o.TLS
	nc := p.Net()
	switch {
	case p.Type() == engine.LeafnodeWS, t == nil || t.Config == nil:
		p.sendInfo()
		p.securedHub()
	case t.HandshakeFirst && t.HandshakeFirstFallback > 0:
		nc.DetectTLS(t.HandshakeFirstFallback, func(isTLS bool) {
			if isTLS {
				p.tlsFirst = true
			} else {
				p.sendInfo()
			}
			p.startTLS(t)
		})
	case t.HandshakeFirst:
		p.tlsFirst = true
		p.startTLS(t)
	default:
		p.sendInfo()
		p.startTLS(t)
	}
}

func newNonce() string {
	var b [nonceBytes]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (p *Leaf) startTLS(t *config.TLSOptions) {
	if p.Closing() {
		return
	}
	d := t.Timeout
	if d <= 0 {
		d = defaultTimeout
	}
	p.Logf(engine.Debug, "", "Starting TLS leafnode server handshake")
	p.Out().Flush(p.LoopID())
	p.Net().StartTLS(netio.TLSSpec{Config: t.Config, Timeout: d})
}

// securedHub: the transport of an accepted connection is up.
func (p *Leaf) securedHub() {
	if p.stage != transport || p.Closing() {
		return
	}
	o := p.svc.leafOptions()
	if st := p.Net().TLS(); st != nil && o.TLS != nil && !o.TLS.Pinned(st) {
		_ = p.fail("RJ-F001", "certificate not pinned", netio.ReasonTLSHandshake)
		return
	}
	if !p.infoSent {
		p.sendInfo()
	}
	p.stage = greeting
	d := o.Auth.Timeout
	if d <= 0 {
		d = defaultTimeout
	}
	p.Net().SetTimer(link.TimerAuth, d)
}

// ownCompression is the mode that this end is configured for.
func (p *Leaf) ownCompression() string {
	c := p.compressionOptions()
	return link.CompressionMode(c, link.CompressionAuto)
}

func (p *Leaf) compressionOptions() *config.CompressionOptions {
	if p.remote != nil {
		return &p.remote.config().Compression
	}
	return &p.svc.leafOptions().Compression
}

// sendInfo sends the first INFO of an accepted connection.
func (p *Leaf) sendInfo() {
	p.infoSent = true
	in := p.svc.port.Info()
	in.ClientID, in.Nonce = p.ID(), p.nonce
	if !p.wsPacked {
		if own := p.ownCompression(); own != link.CompressionNotSupported {
			in.Compression = own
		}
	}
	if p.Type() == engine.LeafnodeWS {
		in.TLSRequired, in.TLSVerify = false, false
	}
	p.Send(wire.AppendLeafInfo(nil, &in))
}

// hubInfo handles the INFO of a peer that we accepted: it agrees on compression, before CONNECT.
func (p *Leaf) hubInfo(in *wire.LeafInfo) error {
	if strings.Contains(in.Cluster, " ") {
		return p.fail("RJ-F005", textSpaces, netio.ReasonProtocolViolation)
	}
	if p.settled || p.stage != greeting {
		return nil
	}
	p.settled = true
	p.Limits().InfoFirst = false
	mode := link.SelectCompression(p.ownCompression(), in.Compression)
	if p.wsPacked {
		mode = link.CompressionOff
	}
	if !link.Compresses(mode) {
		p.comp.Settle(mode)
		return nil
	}
	err := p.comp.Start(&p.Conn, mode, p.compressionOptions().RTTThresholds)
	out := p.svc.port.Info()
	out.ClientID, out.Nonce, out.Compression = p.ID(), p.nonce, p.announcedMode(mode)
	p.Send(wire.AppendLeafInfo(nil, &out))
	return err
}

// announcedMode is how a chosen mode is told: s2_auto stays that, whatever level it is now.
func (p *Leaf) announcedMode(mode string) string {
	if mode == link.CompressionAuto {
		return mode
	}
	return p.comp.Mode()
}

// onConnect handles the CONNECT of a peer that we accepted.
func (p *Leaf) onConnect(op *wire.Op) error {
	switch {
	case p.remote != nil:
		return p.outOfTurn()
	case p.stage == ready:
		// Who the peer is has been settled; one that says so again is told everything again.
		p.sendConnectInfo(false)
		p.svc.retell(p)
		return nil
	case p.stage != greeting:
		return p.outOfTurn()
	}
	cn, err := wire.ParseLeafConnect(op.Arg)
	if err != nil {
		p.Logf(engine.Error, "RJ-F002", "%v", err)
		p.CloseErr("", netio.ReasonProtocolViolation)
		return link.ErrClosed
	}
	p.Limits().InfoFirst = false
	p.connect = &cn
	return p.authenticate(&auth.Request{
		Kind: engine.Leaf, ConnType: p.Type(), Listener: auth.LeafListener,
		Connect: wire.Connect{Token: cn.Token, User: cn.User, Pass: cn.Pass, Name: cn.Name, Version: cn.Version, Sig: cn.Sig,
			JWT: cn.JWT, Nkey: cn.Nkey, ProxySig: cn.ProxySig, Protocol: cn.Protocol, Headers: cn.Headers},
		Nonce: p.nonce, ID: p.ID(), TLS: p.Net().TLS(), Remote: p.Net().RemoteAddr(),
	})
}

// answer hands a result from wherever the authenticator finished to the loop. Whoever moves state second delivers.
type answer struct {
	state atomic.Uint32 // 0 running, 1 result there, 2 the loop waits
	res   auth.Result
}

func (p *Leaf) authenticate(req *auth.Request) error {
	p.gen++
	gen := p.gen
	req.Gone = p.Closed
	p.req = req
	w := &answer{}
	loop := p.Net().Loop()
	p.svc.env.Auth().Begin(req, p.svc.env.Group.Pool(), func(r auth.Result) {
		w.res = r
		if !w.state.CompareAndSwap(0, 1) {
			loop.Post(func() {
				if gen == p.gen && !p.Closing() && p.decide(w.res) == nil {
					p.Resume()
				}
			})
		}
	})
	if w.state.CompareAndSwap(0, 2) {
		return link.ErrHold
	}
	return p.decide(w.res)
}

// decide acts on the answer of the authenticator.
func (p *Leaf) decide(r auth.Result) error {
	if r.Warn != "" {
		p.svc.env.Logger.Logf(engine.Warn, "RJ-F003", "%s", r.Warn)
	}
	if r.User == nil {
		return p.deny(r)
	}
	return p.accept(r.User)
}

// deny closes a peer that is not let in.
func (p *Leaf) deny(r auth.Result) error {
	p.Denied("RJ-F004", &r)
	p.CloseErr(r.Text, r.Reason)
	return link.ErrClosed
}

// refusal is why a peer with good credentials is not let in all the same.
func (p *Leaf) refusal(cn *wire.LeafConnect) (text string, why netio.Reason) {
	switch own := p.svc.port.Cluster(); {
	case cn.Lang != "":
		return "attempted to connect to leaf node port", netio.ReasonWrongPort
	case strings.Contains(cn.Cluster, " "):
		return textSpaces, netio.ReasonProtocolViolation
	case cn.Cluster == reservedCluster:
		return textReserved, netio.ReasonProtocolViolation
	case own != "" && cn.Cluster == own:
		return textSameCluster, netio.ReasonClusterNamesIdentical
	case cn.Gateway != "":
		return fmt.Sprintf("Rejecting connection from gateway %q on the leafnode port", cn.Gateway), netio.ReasonWrongGateway
	}
	if least := p.svc.leafOptions().MinVersion; least != "" && !versionAtLeast(cn.Version, least) {
		return fmt.Sprintf("%s %q", textMinVersion, least), netio.ReasonMinVersion
	}
	return "", 0
}

// Texts of -ERR that both ends know.
const (
	textSpaces      = "cluster name cannot contain spaces"
	textReserved    = "cluster name is reserved"
	textSameCluster = "remote leafnode has same cluster name"
	textMinVersion  = "connection rejected since minimum version required is"
	textDuplicate   = "Duplicate Remote LeafNode Connection"

	reservedCluster = "_"
)

// accept lets an authenticated peer in.
func (p *Leaf) accept(u *auth.User) error {
	cn := p.connect
	if cn == nil { // a repeated answer
		return nil
	}
	p.connect = nil
	p.SetIdentity(&link.Identity{User: u, Account: u.Account, Name: cn.Name, Version: cn.Version, TLSFirst: p.tlsFirst})
	p.acct = u.Account
	p.GuessRTT()
	if text, why := p.refusal(cn); text != "" {
		if why == netio.ReasonMinVersion {
			p.sendConnectInfo(false) // what recent peers need to understand the refusal
		}
		return p.fail("RJ-F005", text, why)
	}
	if !p.Attach() {
		return p.fail("RJ-F006", wire.TextMaxAccountConnections, netio.ReasonMaxAccountConnections)
	}
	o := p.svc.options()
	q := &peer{
		server: cn.Name, cluster: cn.Cluster, domain: cn.Domain, account: cn.RemoteAccount, spoke: cn.Hub,
		isolated: p.svc.leafOptions().IsolateInterest || cn.Isolate, headers: cn.Headers && !o.NoHeaderSupport, traces: cn.Protocol >= link.TraceProto,
	}
	if !p.settled {
		p.settled = true
		mode := cn.Compression
		if mode == "" {
			mode = link.CompressionNotSupported
		}
		p.comp.Settle(mode)
	}
	p.Limits().MustConnect = false
	p.TrackReplies(u.Perms.Responses())
	p.setPeer(q)
	p.unwanted = cn.DenyPub
	p.perms.Store(p.hubPerms(u, q, p.unwanted))
	return p.begin(u)
}

// setPeer makes q the peer.
func (p *Leaf) setPeer(q *peer) {
	q.origin = originOf(q, p.ID())
	p.SetHeaders(q.headers)
	p.peer.Store(q)
}

// begin puts a connection into use: handshakes are over, the account is known, its permissions are in force.
func (p *Leaf) begin(u *auth.User) error {
	s := p.svc
	if s.duck.Load() {
		p.CloseErr("", netio.ReasonServerShutdown)
		return link.ErrClosed
	}
	old, ok := s.enter(p)
	if !ok {
		return p.loop(true)
	}
	if old != nil {
		p.Logf(engine.Warn, "RJ-F007", "Replacing connection from same server")
		old.Net().Loop().Post(func() { _ = old.fail("RJ-F007", textDuplicate, netio.ReasonDuplicateRemoteLeaf) })
	}
	s.env.Registry.Add(&p.Conn, 0)
	p.stage = ready
	p.Net().StopTimer(link.TimerAuth)
	p.applyLimits(u)
	if p.remote == nil {
		p.sendConnectInfo(false)
	}
	if p.isSpoke() {
		p.PingAlways()
	}
	p.Out().Flush(p.LoopID()) // before what is announced
	s.tie(p)
	p.FirstPing(jitter(p.ID()))
	s.env.Events.Connected(&p.Conn)
	if p.remote == nil || p.remote.config().Hub {
		s.port.Met(p.acct)
	}
	s.port.Changed(p.acct)
	return nil
}

// jitter is a number in [0,1) that differs between connections.
func jitter(id uint64) float64 {
	x := id * 0x9E3779B97F4A7C15
	x ^= x >> 31
	x *= 0xBF58476D1CE4E5B9
	return float64(x>>11) / (1 << 53)
}

// applyLimits puts the limits of account and user into force.
func (p *Leaf) applyLimits(u *auth.User) {
	o, lim := p.svc.options(), p.acct.Snap().Limits
	subs, pay := []int{lim.MaxSubs}, []int{lim.MaxPayload}
	if u != nil {
		subs, pay = append(subs, u.MaxSubs), append(pay, u.MaxPayload)
		p.armExpiry(u)
	}
	p.maxSub = link.MinLimit(o.MaxSubs, subs...)
	p.Limits().MaxPayload = link.MinLimit(o.MaxPayload, pay...)
}

// armExpiry starts the timer that ends the session of a user with a deadline; one that had a deadline may have none now.
func (p *Leaf) armExpiry(u *auth.User) {
	p.Net().StopTimer(link.TimerAuth)
	if !u.Expires.IsZero() {
		p.Net().SetTimer(link.TimerAuth, max(0, u.Expires.Sub(p.svc.env.Clock.Now())))
	}
}

// sendConnectInfo sends the INFO that tells the peer its account and permissions. changed: it was told of others before.
func (p *Leaf) sendConnectInfo(changed bool) {
	in := p.svc.port.Info()
	in.ClientID, in.ConnectInfo = p.ID(), true
	in.RemoteAccount = p.acct.Name()
	in.IsSystemAccount = p.acct.Snap().System
	in.Import, in.Export = announcedPerms(p.User())
	if changed && in.Import == nil {
		in.Import = everything
	}
	if changed && in.Export == nil {
		in.Export = everything
	}
	p.Send(wire.AppendLeafInfo(nil, &in))
}

// everything takes permissions back, which leaving them out does not.
var everything = &wire.SubjectPatterns{Allow: []string{">"}}

// versionAtLeast compares versions "2.8.0", also with "v" before and "-beta" behind. What is no version is too old.
func versionAtLeast(v, least string) bool {
	a, ok := parseVersion(v)
	if !ok {
		return false
	}
	b, _ := parseVersion(least)
	for i := range a {
		if a[i] != b[i] {
			return a[i] > b[i]
		}
	}
	return true
}

func parseVersion(s string) (n [3]int, ok bool) {
	parts := strings.SplitN(strings.TrimPrefix(s, "v"), ".", 3)
	if len(parts) < len(n) {
		return n, false
	}
	for i := range n {
		digits, _, _ := strings.Cut(parts[i], "-")
		if digits == "" || len(digits) > 9 {
			return n, false
		}
		for _, c := range digits {
			if c < '0' || c > '9' {
				return n, false
			}
			n[i] = n[i]*10 + int(c-'0')
		}
	}
	return n, true
}
