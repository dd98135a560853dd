package ws

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/netio"
	"ramjet/proto/base/bufpool"
	"ramjet/proto/ws"
)

// Meta is what the upgrade learned about a peer.
type Meta struct {
	Path                   string // "client", "leafnode", "mqtt"
	User, Pass, Token, JWT string // cookie values
	ForwardedFor           string
	TLSRequired            bool
	Compressed             bool // messages are
}

// browserFrame is the largest frame sent to a browser, in bytes.
const browserFrame = 4096

// maxRefused is the number of refused requests after which a connection is closed.
const maxRefused = 16

// Acceptor upgrades connections of the websocket listener. Immutable; any goroutine.
type Acceptor struct {
	opts func() *config.Options
	log  engine.Logger
	mqtt func() bool
	next func(c *netio.Conn, m Meta) netio.Handler
}

// New returns an acceptor. opts reads the current options. next is called on the loop after the
// upgrade and gives the protocol handler, whose OnOpen is called then; nil closes the connection.
// mqttEnabled says whether the /mqtt endpoint exists (404 otherwise).
func New(opts func() *config.Options, log engine.Logger, mqttEnabled func() bool,
	next func(c *netio.Conn, m Meta) netio.Handler) *Acceptor {
	return &Acceptor{opts: opts, log: log, mqtt: mqttEnabled, next: next}
}

// Accept is the netio.AcceptFunc of the websocket listener.
func (a *Acceptor) Accept(*netio.Conn) netio.Handler { return &upgrade{a: a} }

// upgrade is the handler of a connection until its protocol is known.
type upgrade struct {
	a         *Acceptor
	parser    ws.Parser
	secure    bool // TLS is used on this listener
	handshake bool // the TLS handshake was begun
	plain     bool // the peer does not speak TLS although it has to
	refused   int
}

const handshakeTimer = 0

// options returns the current block; it is nil after a reload that removed the listener.
func (u *upgrade) options() *config.WebsocketOptions {
	if o := u.a.opts().Websocket; o != nil {
		return o
	}
	return &config.WebsocketOptions{}
}

// OnOpen waits for TLS or for the request.
func (u *upgrade) OnOpen(c *netio.Conn) {
	o := u.options()
	u.restartTimer(c, o)
	if o.NoTLS || o.TLS == nil || o.TLS.Config == nil {
		return
	}
	u.secure = true
	c.DetectTLS(0, func(isTLS bool) {
		if !isTLS {
			u.plain = true
			return
		}
		u.handshake = true
		c.StopTimer(handshakeTimer)
		c.StartTLS(netio.TLSSpec{Config: o.TLS.Config, Timeout: o.HandshakeTimeout})
	})
}

// restartTimer bounds the time to the next complete request; no timeout is the default.
func (u *upgrade) restartTimer(c *netio.Conn, o *config.WebsocketOptions) {
	if o.HandshakeTimeout > 0 {
		c.SetTimer(handshakeTimer, o.HandshakeTimeout)
	}
}

// OnSecured starts the time for the request.
func (u *upgrade) OnSecured(c *netio.Conn) { u.restartTimer(c, u.options()) }

// OnTimer gives up a peer that does not finish its request.
func (u *upgrade) OnTimer(c *netio.Conn, _ uint8) {
	if u.secure && !u.handshake {
		u.tlsFailed(c, errors.New("i/o timeout"))
	}
	c.CloseAfterFlush(netio.ReasonAuthTimeout)
}

// OnClose logs a failed TLS handshake; anything else before the upgrade is silent.
func (u *upgrade) OnClose(c *netio.Conn, r netio.Reason) {
	if r == netio.ReasonTLSHandshake && c.Err() != nil {
		u.tlsFailed(c, c.Err())
	}
}

func (u *upgrade) tlsFailed(c *netio.Conn, err error) {
	u.a.log.Logf(engine.Error, "RJ-W002", "websocket: TLS handshake error from %s: %v", c.RemoteAddr(), err)
}

// OnTurn has nothing to fold.
func (u *upgrade) OnTurn(*netio.Conn) {}

// OnDrain has nothing to resume.
func (u *upgrade) OnDrain(*netio.Conn) {}

// OnData reads requests until one is accepted.
func (u *upgrade) OnData(c *netio.Conn, data []byte, _ *bufpool.Frame) {
	if u.plain {
		u.notTLS(c, data)
		return
	}
	for len(data) > 0 && !c.Closed() {
		n, req, err := u.parser.Feed(data)
		data = data[n:]
		if err != nil {
			u.write(c, ws.AppendError(nil, err, "", true))
			c.CloseAfterFlush(netio.ReasonProtocolViolation)
			return
		}
		if req == nil {
			return
		}
		if u.request(c, req, data) {
			return
		}
	}
}

// notTLS answers a peer that speaks HTTP to a TLS listener, as an HTTPS server does.
func (u *upgrade) notTLS(c *netio.Conn, data []byte) {
	err := errors.New("tls: first record does not look like a TLS handshake")
	for _, p := range []string{"GET /", "HEAD ", "POST ", "PUT /", "OPTIO"} {
		if strings.HasPrefix(string(data[:min(len(data), 5)]), p) {
			err = errors.New("client sent an HTTP request to an HTTPS server")
			u.write(c, []byte("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"))
		}
	}
	u.tlsFailed(c, err)
	c.CloseAfterFlush(netio.ReasonTLSHandshake)
}

// request judges a complete request; true when no further one is to be read.
func (u *upgrade) request(c *netio.Conn, req *ws.Request, rest []byte) (done bool) {
	o := u.options()
	bad := req.Check(u.a.mqtt(), func(r *ws.Request) error { return checkOrigin(r, o, u.secure) })
	if bad == nil && len(rest) > 0 {
		u.failed(c, "client sent data before handshake is complete")
		c.Abort(netio.ReasonProtocolViolation)
		return true
	}
	if bad == nil {
		u.accept(c, req, o)
		return true
	}
	u.failed(c, bad.Reason)
	u.refused++
	closing := u.refused >= maxRefused || req.HasBody() || req.Minor == 0 || req.HasToken(ws.Connection, "close")
	u.write(c, ws.AppendError(nil, bad, httpDate(c.Loop().Now()), closing))
	if closing {
		c.CloseAfterFlush(netio.ReasonProtocolViolation)
		return true
	}
	u.restartTimer(c, o)
	return false
}

func (u *upgrade) failed(c *netio.Conn, reason string) {
	u.a.log.Logf(engine.Error, "RJ-W001", "%s - websocket handshake error: %s", c.RemoteAddr(), reason)
}

// accept answers 101 and hands the connection over.
func (u *upgrade) accept(c *netio.Conn, req *ws.Request, o *config.WebsocketOptions) {
	c.StopTimer(handshakeTimer)
	grant := ws.Accepted{
		Deflate:   o.Compression && req.Deflate(),
		NoMasking: req.NoMasking(),
		MQTT:      req.Endpoint() == ws.EndpointMQTT,
		Headers:   headerLines(o.Headers),
	}
	u.write(c, ws.AppendSwitching(nil, req.Get(ws.Key), grant))
	spec := netio.WebsocketSpec{
		NoMask:     grant.NoMasking,
		Compress:   grant.Deflate,
		MaxPayload: func() int64 { return int64(u.a.opts().MaxPayload) },
	}
	m := Meta{Path: "client", TLSRequired: u.secure, Compressed: spec.Compress, ForwardedFor: forwardedFor(req)}
	switch req.Endpoint() {
	case ws.EndpointLeaf:
		m.Path = "leafnode"
	case ws.EndpointMQTT:
		m.Path = "mqtt"
	}
	if m.Path != "leafnode" {
		if agent := req.Get(ws.UserAgent); strings.HasPrefix(agent, "Mozilla/") {
			spec.FrameLimit = browserFrame
			spec.WholeCompressed = strings.Contains(agent, "Version/") && strings.Contains(agent, "Safari/")
		}
		m.readCookies(req.Values(ws.Cookie), o)
	}
	c.Push(netio.NewWebsocket(c, spec))
	h := u.a.next(c, m)
	if h == nil {
		c.CloseAfterFlush(netio.ReasonWrongPort)
		return
	}
	c.SetHandler(h)
	h.OnOpen(c)
}

func (u *upgrade) write(c *netio.Conn, b []byte) { c.Out().Append(c.Loop().Index(), b) }

// headerLines renders configured headers in a stable order.
func headerLines(headers map[string]string) string {
	names := make([]string, 0, len(headers))
	for k := range headers {
		names = append(names, k)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, k := range names {
		b.WriteString(k + ": " + headers[k] + "\r\n")
	}
	return b.String()
}

// forwardedFor returns the first X-Forwarded-For value if it is a plain address.
func forwardedFor(req *ws.Request) string {
	v := req.Get(ws.ForwardedFor)
	if a, err := netip.ParseAddr(v); err != nil || a.Zone() != "" {
		return ""
	}
	return v
}

func httpDate(nanos int64) string {
	return time.Unix(0, nanos).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
}
