package leaf

import (
	"encoding/base64"
	"errors"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/nats-io/nkeys"

	"ramjet/engine"
	"ramjet/engine/auth"
	"ramjet/engine/interest"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/wire"
)

// connectTimeout is how long the hub may take to answer CONNECT.
const connectTimeout = 2 * time.Second

// openSpoke starts the soliciting end: TLS if it comes first, then the wait for INFO. A websocket connection is
// upgraded already.
func (p *Leaf) openSpoke() {
	c := p.remote.config()
	p.acct = p.svc.env.Accounts.Lookup(c.Account)
	if p.acct == nil {
		p.Logf(engine.Error, "RJ-F015", "Unable to lookup account %s for solicited leafnode connection", c.Account)
		p.CloseErr("", netio.ReasonMissingAccount)
		return
	}
	p.Logf(engine.Info, "", "Leafnode connection created for account: %s", p.acct.NameTag())
	p.SetIdentity(&link.Identity{Account: p.acct})
	p.Net().SetTimer(link.TimerAuth, c.FirstInfoTimeout)
	if p.Type() == engine.LeafnodeWS {
		p.secured = true // or never will be
		p.stage = greeting
		return
	}
	if t := c.TLS; t != nil && t.HandshakeFirst {
		p.tlsFirst = true
		p.dialTLS()
		return
	}
	p.stage = greeting
}

// dialTLS begins the handshake of a solicited connection.
func (p *Leaf) dialTLS() {
	p.Logf(engine.Debug, "", "Starting TLS leafnode client handshake")
	p.Net().StopTimer(link.TimerAuth)
	p.Out().Flush(p.LoopID())
	p.Net().StartTLS(p.remote.tls(p.remote.target()))
}

// securedSpoke: the TLS handshake of a solicited connection is over.
func (p *Leaf) securedSpoke() {
	c := p.remote.config()
	if st := p.Net().TLS(); st != nil && c.TLS != nil && !c.TLS.Pinned(st) {
		_ = p.fail("RJ-F001", "certificate not pinned", netio.ReasonTLSHandshake)
		return
	}
	p.remote.secure()
	p.stage = greeting
	p.Net().SetTimer(link.TimerAuth, c.FirstInfoTimeout)
	if in := p.first; in != nil {
		p.first = nil
		if err := p.greet(in); err != nil && err != link.ErrUpgraded && err != link.ErrHold && !p.Closing() {
			p.CloseErr("", netio.ReasonProtocolViolation)
		}
	}
}

// onInfo handles INFO: the first of a hub, its answer to CONNECT, or news; or compression offered by a spoke.
func (p *Leaf) onInfo(op *wire.Op) error {
	in, err := wire.ParseLeafInfo(op.Arg)
	if err != nil {
		p.Logf(engine.Error, "RJ-F002", "%v", err)
		p.CloseErr("", netio.ReasonProtocolViolation)
		return link.ErrClosed
	}
	if p.remote == nil {
		return p.hubInfo(&in)
	}
	switch p.stage {
	case greeting:
		return p.greet(&in)
	case connecting, ready:
		return p.hear(&in)
	}
	return nil
}

// greet handles the first INFO of a hub, and the one that follows an agreement on compression.
func (p *Leaf) greet(in *wire.LeafInfo) error {
	c := p.remote.config()
	if !p.secured && (in.TLSRequired || c.TLS != nil) {
		if in.TLSRequired && c.ProxyURL != "" && c.TLS == nil {
			p.Logf(engine.Error, "RJ-F016", "TLS configuration mismatch: Hub requires TLS but leafnode remote is not configured for TLS. When using a proxy, ensure TLS leafnode configuration matches the Hub requirements.")
			p.CloseErr("", netio.ReasonTLSHandshake)
			return link.ErrClosed
		}
		p.first = in
		p.dialTLS()
		return link.ErrUpgraded
	}
	if !p.settled {
		if in.ClientID == 0 || in.LeafURLs == nil && !in.InfoOnConnect {
			p.Logf(engine.Error, "RJ-F017", "attempted to connect to wrong port")
			p.CloseErr("", netio.ReasonWrongPort)
			return link.ErrClosed
		}
		p.settled = true
		if err := p.negotiate(in); err != nil {
			return err
		}
	}
	switch {
	case strings.Contains(in.Cluster, " "):
		return p.fail("RJ-F005", textSpaces, netio.ReasonProtocolViolation)
	case in.Cluster == reservedCluster:
		return p.fail("RJ-F005", textReserved, netio.ReasonProtocolViolation)
	}
	o := p.svc.options()
	q := &peer{
		server: in.ServerName, cluster: in.Cluster, domain: in.Domain, spoke: !c.Hub,
		isolated: p.svc.leafOptions().IsolateInterest || c.IsolateInterest, headers: in.Headers && !o.NoHeaderSupport, traces: in.Proto >= link.TraceProto,
	}
	if q.server == "" {
		q.server = in.ServerID
	}
	p.nonce = in.Nonce
	p.setPeer(q)
	p.SetIdentity(&link.Identity{Account: p.acct, Name: q.server, Version: in.Version, TLSFirst: p.tlsFirst})
	p.perms.Store(p.spokePerms(q, in.Import, in.Export))
	p.remote.learn(in)
	p.stage = connecting
	return p.sendConnect(in.InfoOnConnect)
}

// negotiate agrees on compression with a hub. An error says that the bytes that follow are compressed, and that
// another INFO comes.
func (p *Leaf) negotiate(in *wire.LeafInfo) error {
	own := p.ownCompression()
	mode := link.SelectCompression(own, in.Compression)
	switch {
	case p.wsPacked:
		mode = link.CompressionOff
	case !link.NegotiatesCompression(own) && own != link.CompressionNotSupported && in.Compression != "":
		mode = link.CompressionOff
	}
	if !link.Compresses(mode) {
		p.comp.Settle(mode)
		return nil
	}
	p.GuessRTT()
	out := p.svc.port.Info()
	out.ClientID, out.Compression = p.ID(), mode
	p.Send(wire.AppendLeafInfo(nil, &out))
	return p.comp.Start(&p.Conn, mode, p.compressionOptions().RTTThresholds)
}

// sendConnect makes CONNECT on the blocking pool, which may read a file and sign, and sends it. answered says that
// the hub will tell when it has let us in.
func (p *Leaf) sendConnect(answered bool) error {
	r, c := p.remote, p.remote.config()
	cn := wire.LeafConnect{
		Version: p.svc.port.Info().Version, ServerID: p.svc.port.ID, Domain: p.svc.port.Info().Domain, Name: p.svc.port.Info().ServerName,
		Hub: c.Hub, Cluster: p.svc.port.Cluster(), Headers: p.peer.Load().headers, JetStream: p.acct.Snap().JetStream != nil,
		DenyPub: c.DenyImports, Isolate: c.RequestIsolation, Compression: p.comp.Mode(), RemoteAccount: p.acct.Name(),
		Protocol: p.svc.port.Info().Proto,
	}
	cn.User, cn.Pass, cn.Token = r.credentials()
	nonce := p.nonce
	p.Net().SetTimer(link.TimerAuth, connectTimeout)
	loop := p.Net().Loop()
	done := func(err error) {
		if p.Closing() || p.stage != connecting {
			return
		}
		if err != nil {
			p.Logf(engine.Error, "RJ-F018", "%v", err)
			p.CloseErr("", netio.ReasonWriteError)
			return
		}
		p.Send(wire.AppendLeafConnect(nil, &cn))
		p.Logf(engine.Debug, "", "Remote leafnode connect msg sent")
		if !answered {
			_ = p.finish()
		}
		p.Resume()
	}
	ok := p.svc.env.Group.Pool().Submit(func() {
		err := r.sign(&cn, nonce)
		loop.Post(func() { done(err) })
	})
	if !ok {
		p.CloseErr("", netio.ReasonWriteError)
		return link.ErrClosed
	}
	return link.ErrHold
}

// hear handles an INFO of a hub after CONNECT: permissions, the account there, other URLs.
func (p *Leaf) hear(in *wire.LeafInfo) error {
	p.remote.learn(in)
	if in.RemoteAccount != "" {
		q := *p.peer.Load()
		if q.account != in.RemoteAccount {
			q.account = in.RemoteAccount
			p.peer.Store(&q)
		}
		p.svc.names.Store(p.acct.Name(), in.RemoteAccount)
	}
	if in.Import != nil || in.Export != nil {
		p.adopt(p.spokePerms(p.peer.Load(), in.Import, in.Export))
	}
	if in.ConnectInfo && p.stage == connecting {
		return p.finish()
	}
	return nil
}

// finish puts a solicited connection into use.
func (p *Leaf) finish() error {
	if p.stage != connecting {
		return nil
	}
	if !p.remote.wanted(p) {
		p.CloseErr("", netio.ReasonClientClosed)
		return link.ErrClosed
	}
	if !p.Attach() {
		return p.fail("RJ-F006", wire.TextMaxAccountConnections, netio.ReasonMaxAccountConnections)
	}
	p.GuessRTT()
	if err := p.begin(p.User()); err != nil {
		return err
	}
	p.remote.connected(p)
	return nil
}

// sign completes cn with the credentials of the remote: a file of them, or an nkey. Blocking pool.
func (r *Remote) sign(cn *wire.LeafConnect, nonce string) error {
	c := r.config()
	var pair nkeys.KeyPair
	var err error
	switch {
	case c.Creds != "":
		b, err := r.svc.port.ReadFile(c.Creds)
		if err != nil {
			return err
		}
		defer clear(b)
		if cn.JWT, pair, err = auth.ParseCredentials(b); err != nil {
			return err
		}
	case c.Nkey != "":
		if pair, err = nkeys.FromSeed([]byte(c.Nkey)); err != nil {
			return errors.New("remote nkey has malformed seed")
		}
		if cn.Nkey, err = pair.PublicKey(); err != nil {
			return err
		}
	default:
		return nil
	}
	defer pair.Wipe()
	sig, err := pair.Sign([]byte(nonce))
	if err != nil {
		return err
	}
	cn.Sig = base64.RawURLEncoding.EncodeToString(sig)
	return nil
}

// credentials are what a URL says about who we are.
func urlCredentials(u *url.URL) (user, pass, token string, ok bool) {
	if u.User == nil {
		return "", "", "", false
	}
	user = u.User.Username()
	pass, has := u.User.Password()
	if !has {
		token = user
	}
	return user, pass, token, true
}

// recheck asks, after a reload, whether an accepted peer is still let in, and with which permissions. Loop.
func (p *Leaf) recheck() {
	if p.remote != nil || p.req == nil || p.stage != ready {
		return
	}
	gen, loop := p.gen, p.Net().Loop()
	p.svc.env.Auth().Recheck(p.req, p.svc.env.Group.Pool(), func(r auth.Result) {
		loop.Post(func() {
			if gen != p.gen || p.Closing() {
				return
			}
			if r.User == nil || r.User.Account != p.acct {
				_ = p.deny(auth.Result{Reason: r.Reason, Log: r.Log, Text: r.Text})
				return
			}
			same := reflect.DeepEqual(p.User().Perms.Source(), r.User.Perms.Source())
			id := *p.Identity()
			id.User = r.User
			p.SetIdentity(&id)
			p.applyLimits(r.User)
			n := p.hubPerms(r.User, p.peer.Load(), p.unwanted)
			if same {
				p.perms.Store(n)
				return
			}
			p.TrackReplies(r.User.Perms.Responses())
			p.sendConnectInfo(true) // first: the other side ignores interest that it may not serve
			p.adopt(n)
		})
	})
}

// adopt puts n into force, also for what was announced before: interest that may not be told any more is withdrawn, what may be now is
// told. Subscriptions of the other side stay, as each message to them is judged. Loop.
func (p *Leaf) adopt(n *perms) {
	was := p.perms.Load()
	l := p.svc.ledgerOf(p)
	if l == nil {
		p.perms.Store(n)
		return
	}
	p.stop()
	p.Out().Flush(p.LoopID())
	p.perms.Store(n)
	l.Range(func(c interest.Change) bool {
		if was.announces(c.Subject) && !n.announces(c.Subject) {
			c.Weight = 0
			p.announce(c)
		}
		return true
	})
	p.stop = l.Follow(interest.Follower{Tell: p.tell, Skip: skips(p.peer.Load())})
}

// Recheck judges every accepted connection again after a reload. Any goroutine.
func (s *Service) Recheck() { s.sweep((*Leaf).recheck) }
