package monitor

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"net"
	"net/http"
	"path"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/bytebufferpool"

	"ramjet/engine"
	"ramjet/engine/config"
)

const (
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 1 << 20
	stopTimeout   = time.Second
)

// Server serves the pages. Create with New; Start and Close from the control goroutine.
type Server struct {
	src     Source
	pages   []page
	metrics http.Handler
	counts  []atomic.Uint64 // requests by index in pages

	mu      sync.Mutex // leaf: guards the fields below
	http    *http.Server
	https   *http.Server
	addr    string
	addrTLS string
}

// page is one path. handle returns the value to send as JSON.
type page struct {
	path    string
	title   string // link text on the index; "" = not listed
	compact bool   // healthz is not indented
	handle  func(s *Server, q *params) (any, error)
	raw     func(s *Server) http.HandlerFunc // instead of handle
}

// New returns a server over src.
func New(src Source) *Server {
	s := &Server{src: src, pages: pageTable()}
	s.counts = make([]atomic.Uint64, len(s.pages))
	s.metrics = newMetrics(src)
	return s
}

func pageTable() []page {
	return []page{
		{path: "/", raw: func(s *Server) http.HandlerFunc { return s.index }},
		{path: "/varz", title: "General", handle: (*Server).varz},
		{path: "/jsz", title: "JetStream", handle: (*Server).jsz},
		{path: "/connz", title: "Connections", handle: (*Server).connz},
		{path: "/slowz", title: "Slow consumers", handle: (*Server).slowz},
		{path: "/accountz", title: "Accounts", handle: (*Server).accountz},
		{path: "/accstatz", title: "Account statistics", handle: (*Server).accstatz},
		{path: "/subsz", title: "Subscriptions", handle: (*Server).subsz},
		{path: "/subscriptionsz", handle: (*Server).subsz},
		{path: "/routez", title: "Routes", handle: (*Server).routez},
		{path: "/leafz", title: "Leafnodes", handle: (*Server).leafz},
		{path: "/gatewayz", title: "Gateways", handle: (*Server).gatewayz},
		{path: "/raftz", title: "Raft groups", handle: (*Server).raftz},
		{path: "/ipqueuesz", handle: (*Server).ipqueuesz},
		{path: "/healthz", title: "Health", compact: true, handle: (*Server).healthz},
		{path: "/livez", title: "Alive", compact: true, handle: (*Server).livez},
		{path: "/readyz", title: "Ready", compact: true, handle: (*Server).readyz},
		{path: "/metrics", title: "Metrics (OpenMetrics)", raw: func(s *Server) http.HandlerFunc { return s.metrics.ServeHTTP }},
		{path: "/debug/vars", title: "Expvar", raw: func(*Server) http.HandlerFunc { return expvar.Handler().ServeHTTP }},
		{path: "/stacksz", raw: func(*Server) http.HandlerFunc { return HandleStacksz }},
	}
}

// Handler returns the handler for all pages below base (the options' http_base_path).
func (s *Server) Handler(base string) http.Handler {
	mux := http.NewServeMux()
	for i := range s.pages {
		p, count := &s.pages[i], &s.counts[i]
		serve := p.raw
		if serve == nil {
			serve = func(s *Server) http.HandlerFunc { return s.json(p) }
		}
		h := serve(s)
		mux.HandleFunc(join(base, p.path), func(w http.ResponseWriter, r *http.Request) {
			count.Add(1)
			h(w, r)
		})
	}
	return mux
}

// join puts base in front of p; the index answers only its own path.
func join(base, p string) string {
	full := path.Join("/", base, p)
	if p == "/" {
		if full != "/" {
			return full
		}
		return "/{$}"
	}
	return full
}

// statusError is an error with its HTTP status; any other error is 400.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return e.text }

// coded is a page with a status of its own.
type coded struct {
	code int
	body any
}

func (s *Server) json(p *page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := params{values: r.URL.Query()}
		v, err := p.handle(s, &q)
		if q.err != nil {
			err = q.err // a value that does not decode counts before anything else
		}
		if err != nil {
			code := http.StatusBadRequest
			var se *statusError
			if errors.As(err, &se) {
				code = se.code
			}
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(code)
			_, _ = w.Write([]byte(err.Error()))
			return
		}
		code := http.StatusOK
		if c, ok := v.(coded); ok {
			code, v = c.code, c.body
		}
		buf := bytebufferpool.Get()
		defer bytebufferpool.Put(buf)
		if err := encode(buf, v, p.compact); err != nil {
			s.src.Logger().Logf(engine.Error, "RJ-M001", "Error marshaling response to %s request: %v", p.path, err)
			code = http.StatusInternalServerError
			buf.SetString(err.Error())
		}
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(buf.Len()))
		w.WriteHeader(code)
		_, _ = w.Write(buf.B)
	}
}

// encode writes v as JSON to buf. A page may be megabytes, and is asked for again and again: the pool keeps buffers of
// the size that is usual.
func encode(buf *bytebufferpool.ByteBuffer, v any, compact bool) error {
	if compact {
		return encodeLine(buf, v)
	}
	line := bytebufferpool.Get()
	defer bytebufferpool.Put(line)
	if err := encodeLine(line, v); err != nil {
		return err
	}
	dst := bytes.NewBuffer(buf.B[:0])
	err := json.Indent(dst, line.B, "", "  ")
	buf.B = dst.Bytes()
	return err
}

// encodeLine writes v without indentation.
func encodeLine(buf *bytebufferpool.ByteBuffer, v any) error {
	if err := json.NewEncoder(buf).Encode(v); err != nil {
		return err
	}
	buf.B = buf.B[:len(buf.B)-1] // Encode ends with a newline, the pages do not
	return nil
}

// requestCounts returns the requests by path, of pages asked at least once.
func (s *Server) requestCounts() map[string]uint64 {
	m := map[string]uint64{}
	for i := range s.pages {
		if n := s.counts[i].Load(); n > 0 {
			m[s.pages[i].path] = n
		}
	}
	return m
}

// Start binds the HTTP and HTTPS ports of the options and serves.
func (s *Server) Start() error {
	o := s.src.Options()
	h := s.Handler(o.HTTPBasePath)
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if o.HTTPPort != 0 {
		if s.http, s.addr, err = s.serve(h, o.HTTPHost, o.HTTPPort, nil); err != nil {
			return err
		}
	}
	if o.HTTPSPort != 0 {
		if o.TLS == nil || o.TLS.Config == nil {
			return errors.New("TLS cert and key required for HTTPS")
		}
		// The current certificates, also after a reload.
		cfg := &tls.Config{MinVersion: o.TLS.Config.MinVersion, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			return handshakeConfig(s.src.Options(), hello)
		}}
		if s.https, s.addrTLS, err = s.serve(h, o.HTTPHost, o.HTTPSPort, cfg); err != nil {
			return err
		}
	}
	return nil
}

// handshakeConfig is the configuration for one HTTPS handshake: that of clients, without client
// certificates unless the status of clients' certificates is verified (reference/monitoring.md, section 1).
func handshakeConfig(o *config.Options, hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if o.TLS == nil || o.TLS.Config == nil {
		return nil, errors.New("TLS is not configured any more")
	}
	c := o.TLS.Config
	if f := c.GetConfigForClient; f != nil { // staples, verification
		var err error
		if c, err = f(hello); err != nil {
			return nil, err
		}
	}
	if o.TLS.OCSPPeer != nil || o.Websocket != nil && o.Websocket.TLS != nil && o.Websocket.TLS.OCSPPeer != nil {
		return c, nil
	}
	c = c.Clone()
	c.ClientAuth = tls.NoClientCert
	return c, nil
}

// serve listens on host:port (-1 = a free one). Requires: mu.
func (s *Server) serve(h http.Handler, host string, port int, cfg *tls.Config) (*http.Server, string, error) {
	ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(max(port, 0))))
	if err != nil {
		return nil, "", fmt.Errorf("can't listen to the monitor port: %w", err)
	}
	scheme := "http"
	addr := ln.Addr().String()
	if cfg != nil {
		ln, scheme = tls.NewListener(ln, cfg), "https"
	}
	if _, p, err := net.SplitHostPort(addr); err == nil {
		addr = net.JoinHostPort(host, p)
	}
	s.src.Logger().Logf(engine.Info, "", "Starting %s monitor on %s", scheme, addr)
	srv := &http.Server{Handler: h, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: discardLog()}
	go func() { _ = srv.Serve(ln) }()
	return srv, addr, nil
}

// Addrs returns the bound addresses, "" for a listener that is off. Any goroutine.
func (s *Server) Addrs() (plain, secure string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr, s.addrTLS
}

// Close stops serving; requests in progress get a moment to finish.
func (s *Server) Close() {
	s.mu.Lock()
	servers := []*http.Server{s.http, s.https}
	s.http, s.https = nil, nil
	s.mu.Unlock()
	for _, srv := range servers {
		if srv == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		if srv.Shutdown(ctx) != nil {
			_ = srv.Close()
		}
		cancel()
	}
}
