package leaf

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/base/bufpool"
	"ramjet/proto/ws"
)

// approach is the handler of a solicited connection that does not begin with the line protocol: a tunnel through
// a proxy, a websocket upgrade, or both. It hands the connection over to the Leaf. Loop.
type approach struct {
	p     *Leaf
	c     *config.RemoteLeaf
	u     *url.URL
	proxy *url.URL // nil: none
	step  step
	part  []byte // of a response
	key   string // of the upgrade
	err   error
	over  bool // the Leaf has the connection
}

// step is what an approach waits for.
type step uint8

const (
	proxyTLS step = iota
	tunnel
	hubTLS
	upgrade
)

const approachTimer = link.TimerAuth

func newApproach(p *Leaf, c *config.RemoteLeaf, u *url.URL) *approach {
	a := &approach{p: p, c: c, u: u}
	if c.ProxyURL != "" {
		a.proxy, _ = url.Parse(c.ProxyURL) // it was validated
	}
	return a
}

// OnOpen begins with the proxy, or with the hub.
func (a *approach) OnOpen(c *netio.Conn) {
	if a.proxy == nil {
		a.atHub(c)
		return
	}
	d := a.c.ProxyTimeout
	if d <= 0 {
		d = a.c.DialTimeout
	}
	if a.proxy.Scheme == "https" {
		spec := link.ClientTLS(a.c.ProxyTLS, a.proxy.Hostname(), "")
		a.step = proxyTLS
		c.StartTLS(spec)
		return
	}
	c.SetTimer(approachTimer, d)
	a.askProxy(c)
}

// askProxy asks for a tunnel to the hub.
func (a *approach) askProxy(c *netio.Conn) {
	a.step = tunnel
	target := withPort(a.u, "7422", "443")
	if isWebsocket(a.u) {
		target = withPort(a.u, "80", "443")
	}
	req := "CONNECT " + target.Host + " HTTP/1.1\r\nHost: " + target.Host + "\r\nUser-Agent: Go-http-client/1.1\r\n"
	if a.c.ProxyUser != "" && a.c.ProxyPass != "" {
		req += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(a.c.ProxyUser+":"+a.c.ProxyPass)) + "\r\n"
	}
	a.write(c, req+"\r\n")
}

// atHub goes on with the hub at the other end.
func (a *approach) atHub(c *netio.Conn) {
	if !isWebsocket(a.u) {
		a.handOver(c, nil)
		return
	}
	if a.p.remote.wantsTLS(a.u) {
		a.step = hubTLS
		c.StopTimer(approachTimer)
		c.StartTLS(a.p.remote.tls(a.u))
		return
	}
	a.askUpgrade(c)
}

// askUpgrade sends the websocket request.
func (a *approach) askUpgrade(c *netio.Conn) {
	a.step = upgrade
	var raw [16]byte
	rand.Read(raw[:]) // never fails (crypto/rand)
	a.key = base64.StdEncoding.EncodeToString(raw[:])
	req := "GET " + path.Join("/", a.u.EscapedPath(), "leafnode") + " HTTP/1.1\r\nHost: " + a.u.Host +
		"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " + a.key + "\r\nSec-WebSocket-Version: 13\r\n"
	if a.c.WSCompression {
		req += "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
	}
	if a.c.WSNoMasking {
		req += "Nats-No-Masking: true\r\n"
	}
	c.SetTimer(approachTimer, a.c.FirstInfoTimeout)
	a.write(c, req+"\r\n")
}

func (a *approach) write(c *netio.Conn, s string) { c.Out().Append(c.Loop().Index(), []byte(s)) }

// OnSecured goes on after a TLS handshake.
func (a *approach) OnSecured(c *netio.Conn) {
	if a.step == proxyTLS {
		d := a.c.ProxyTimeout
		if d <= 0 {
			d = a.c.DialTimeout
		}
		c.SetTimer(approachTimer, d)
		a.askProxy(c)
		return
	}
	if st := c.TLS(); st != nil && a.c.TLS != nil && !a.c.TLS.Pinned(st) {
		a.fail(c, errors.New("certificate not pinned"))
		return
	}
	a.p.remote.secure()
	a.askUpgrade(c)
}

// OnData reads the response to the request under way.
func (a *approach) OnData(c *netio.Conn, data []byte, _ *bufpool.Frame) {
	if a.step != tunnel && a.step != upgrade {
		a.fail(c, errors.New("bytes before they were asked for"))
		return
	}
	a.part = append(a.part, data...)
	n, r, err := ws.ParseResponse(a.part)
	if err != nil {
		a.fail(c, err)
		return
	}
	if n == 0 {
		return
	}
	rest := a.part[n:]
	a.part = nil
	c.StopTimer(approachTimer)
	if a.step == tunnel {
		if r.Status != 200 {
			a.fail(c, fmt.Errorf("proxy CONNECT failed: %s", r.Reason))
			return
		}
		if !isWebsocket(a.u) {
			a.handOver(c, rest)
			return
		}
		if len(rest) > 0 {
			a.fail(c, errors.New("the server spoke before the websocket upgrade"))
			return
		}
		a.atHub(c)
		return
	}
	if !r.Upgraded(a.key) {
		a.fail(c, errors.New("invalid websocket connection"))
		return
	}
	packed := false
	if a.c.WSCompression {
		granted, ok := r.Deflates()
		if !ok {
			a.fail(c, errors.New("compression negotiation error"))
			return
		}
		packed = granted
	}
	opts := a.p.svc.options
	c.Push(netio.NewWebsocket(c, netio.WebsocketSpec{
		Client: true, Compress: packed, NoMask: a.c.WSNoMasking && r.Get("nats-no-masking") == "true",
		MaxPayload: func() int64 { return int64(opts().MaxPayload) },
		MaskKey: func() (k [4]byte) {
			rand.Read(k[:]) // never fails (crypto/rand)
			return k
		},
	}))
	a.p.wsPacked = packed
	a.handOver(c, rest)
}

// handOver gives the connection to the Leaf, with what has arrived for it.
func (a *approach) handOver(c *netio.Conn, rest []byte) {
	a.over = true
	c.SetHandler(&a.p.Conn)
	a.p.Conn.OnOpen(c)
	c.Unread(rest)
}

func (a *approach) fail(c *netio.Conn, err error) {
	a.err = err
	c.CloseAfterFlush(netio.ReasonReadError)
}

// OnTimer gives up a proxy or server that does not answer.
func (a *approach) OnTimer(c *netio.Conn, _ uint8) { a.fail(c, errors.New("no answer in time")) }

// OnTurn has nothing to fold.
func (a *approach) OnTurn(*netio.Conn) {}

// OnDrain has nothing to resume.
func (a *approach) OnDrain(*netio.Conn) {}

// OnClose reports why the hub was not reached.
func (a *approach) OnClose(c *netio.Conn, r netio.Reason) {
	err := a.err
	switch {
	case err != nil:
	case c.Err() != nil:
		err = c.Err()
	default:
		err = errors.New(r.String())
	}
	if a.step == upgrade || a.step == hubTLS {
		a.p.svc.env.Logger.Logf(engine.Error, "RJ-F021", "Error soliciting websocket connection: %v", err)
	} else {
		a.p.remote.failed(nil, "", 1, err)
	}
	a.p.remote.closed(a.p)
}

func hostPort(host, port string) string { return net.JoinHostPort(host, port) }
