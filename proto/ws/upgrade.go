package ws

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"strconv"
	"strings"
)

// MaxRequest is the most bytes of an upgrade request that are read, request line and headers
// together. nats-server reads up to 1 MiB; browsers stop at a fraction of this.
const MaxRequest = 64 << 10

// Header names a request header the upgrade looks at; all others are skipped.
type Header uint8

// The headers kept.
const (
	Host Header = iota
	Upgrade
	Connection
	Key
	Version
	Protocol
	Extensions
	Origin
	WSOrigin // Sec-WebSocket-Origin, of old browsers
	NoMasking
	Cookie
	ForwardedFor
	UserAgent
	ContentLength
	TransferEncoding
	numHeaders
)

var headerNames = [numHeaders]string{"host", "upgrade", "connection", "sec-websocket-key", "sec-websocket-version",
	"sec-websocket-protocol", "sec-websocket-extensions", "origin", "sec-websocket-origin", "nats-no-masking", "cookie",
	"x-forwarded-for", "user-agent", "content-length", "transfer-encoding"}

// Endpoint is what the path of a request asks for.
type Endpoint uint8

// The endpoints.
const (
	EndpointClient Endpoint = iota
	EndpointLeaf
	EndpointMQTT
)

// Request is an upgrade request. Its strings are its own.
type Request struct {
	Method string
	Target string // as sent
	Path   string // without scheme, authority and query, not unescaped
	Minor  int    // of HTTP/1.x

	authority string // of an absolute target; replaces Host (RFC 9112, 3.2.2)
	values    [numHeaders][]string
}

// Values returns the values of h in the order of arrival; not to be modified.
func (r *Request) Values(h Header) []string { return r.values[h] }

// Get returns the first value of h, "" if there is none.
func (r *Request) Get(h Header) string {
	if v := r.values[h]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// HasToken reports whether any value of h, read as a comma separated list, contains token.
func (r *Request) HasToken(h Header, token string) bool {
	for _, v := range r.values[h] {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.Trim(t, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// Endpoint returns what the path asks for.
func (r *Request) Endpoint() Endpoint {
	switch {
	case strings.HasSuffix(r.Path, "/leafnode"):
		return EndpointLeaf
	case strings.HasSuffix(r.Path, "/mqtt"):
		return EndpointMQTT
	}
	return EndpointClient
}

// HasBody reports whether a request body follows the headers.
func (r *Request) HasBody() bool {
	return len(r.values[TransferEncoding]) > 0 || (r.Get(ContentLength) != "" && r.Get(ContentLength) != "0")
}

// Deflate reports whether the peer offers permessage-deflate.
func (r *Request) Deflate() bool { return OffersDeflate(r.values[Extensions]) }

// OffersDeflate reports whether extension header values contain permessage-deflate.
func OffersDeflate(values []string) bool {
	for _, v := range values {
		for ext := range strings.SplitSeq(v, ",") {
			for param := range strings.SplitSeq(ext, ";") {
				if strings.EqualFold(strings.Trim(param, " \t"), "permessage-deflate") {
					return true
				}
			}
		}
	}
	return false
}

// NoMasking reports whether the peer (a leafnode) asks to send unmasked frames.
func (r *Request) NoMasking() bool { return r.Get(NoMasking) == "true" }

// HTTPError is a refusal: the status of the response and the reason for the log. Fatal says that the
// bytes were not HTTP, so that the connection cannot be used for another request; Detail then
// belongs to the status line.
type HTTPError struct {
	Status int
	Reason string
	Fatal  bool
	Detail string
}

func (e *HTTPError) Error() string { return e.Reason }

// Check applies the rules of the upgrade in their order (reference/websocket_mqtt.md, A1). mqtt says
// whether MQTT over WebSocket is enabled; origin, which may be nil, judges the origin.
func (r *Request) Check(mqtt bool, origin func(*Request) error) *HTTPError {
	switch {
	case !mqtt && r.Endpoint() == EndpointMQTT:
		return &HTTPError{Status: 404, Reason: "mqtt websocket endpoint not enabled"}
	case r.Method != "GET":
		return &HTTPError{Status: 405, Reason: "request method must be GET"}
	case r.Get(Host) == "":
		return &HTTPError{Status: 400, Reason: "'Host' missing in request"}
	case !r.HasToken(Upgrade, "websocket"):
		return &HTTPError{Status: 400, Reason: "invalid value for header 'Upgrade'"}
	case !r.HasToken(Connection, "Upgrade"):
		return &HTTPError{Status: 400, Reason: "invalid value for header 'Connection'"}
	case r.Get(Key) == "":
		return &HTTPError{Status: 400, Reason: "key missing"}
	case !validKey(r.Get(Key)):
		return &HTTPError{Status: 400, Reason: "invalid websocket key"}
	case !r.HasToken(Version, "13"):
		return &HTTPError{Status: 400, Reason: "invalid version"}
	}
	if origin != nil {
		if err := origin(r); err != nil {
			return &HTTPError{Status: 403, Reason: "origin not allowed: " + err.Error()}
		}
	}
	return nil
}

func validKey(key string) bool {
	raw, err := base64.StdEncoding.DecodeString(key)
	return err == nil && len(raw) == 16
}

// AcceptKey returns the Sec-WebSocket-Accept value that answers key.
func AcceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Accepted is what a 101 response grants.
type Accepted struct {
	Deflate, NoMasking, MQTT bool
	Headers                  string // further header lines, each with CRLF
}

// AppendSwitching appends the 101 response to a request with the given key.
func AppendSwitching(dst []byte, key string, a Accepted) []byte {
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = append(append(dst, AcceptKey(key)...), "\r\n"...)
	if a.Deflate {
		dst = append(dst, "Sec-WebSocket-Extensions: "+Extension+"\r\n"...)
	}
	if a.NoMasking {
		dst = append(dst, "Nats-No-Masking: true\r\n"...)
	}
	if a.MQTT {
		dst = append(dst, "Sec-Websocket-Protocol: mqtt\r\n"...)
	}
	return append(append(dst, a.Headers...), "\r\n"...)
}

var statusTexts = map[int]string{400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
	431: "Request Header Fields Too Large", 505: "HTTP Version Not Supported"}

// AppendError appends the response to a refused request. date is the value of the Date header (IMF
// fixdate, RFC 9110, 5.6.7); a fatal error has none. The peer may send another request after an
// error that is not fatal, unless closing says that the connection ends.
func AppendError(dst []byte, e *HTTPError, date string, closing bool) []byte {
	status := strconv.Itoa(e.Status) + " " + statusTexts[e.Status]
	if e.Fatal {
		if e.Detail != "" {
			status += ": " + e.Detail
		}
		return append(dst, "HTTP/1.1 "+status+"\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"+status...)
	}
	body := statusTexts[e.Status] + "\n"
	dst = append(dst, "HTTP/1.1 "+status+"\r\nContent-Type: text/plain; charset=utf-8\r\nSec-Websocket-Version: 13\r\n"+
		"X-Content-Type-Options: nosniff\r\nDate: "+date+"\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n"...)
	if closing {
		dst = append(dst, "Connection: close\r\n"...)
	}
	return append(dst, "\r\n"+body...)
}

// Parser reads requests in pieces. The zero value is ready. It keeps an unfinished line and the
// headers it knows, never more than MaxRequest bytes.
type Parser struct {
	req   *Request
	line  []byte // unfinished line
	total int    // bytes of this request so far
	last  Header // header a continuation line belongs to; numHeaders: one that is skipped
	some  bool   // a header line was seen
}

// Feed takes the next bytes and returns how many of them it used. req is not nil when the request is
// complete; the bytes after n do not belong to it and the parser is ready for another request. in is
// borrowed.
func (p *Parser) Feed(in []byte) (n int, req *Request, err *HTTPError) {
	for n < len(in) {
		rest := in[n:]
		end := bytes.IndexByte(rest, '\n')
		used := len(rest)
		if end >= 0 {
			used = end + 1
		}
		if p.total+used > MaxRequest {
			return n, nil, fatal(431, "")
		}
		p.total += used
		n += used
		if end < 0 {
			p.line = append(p.line, rest...)
			return n, nil, nil
		}
		line := rest[:end]
		if len(p.line) > 0 {
			p.line = append(p.line, line...)
			line = p.line
		}
		if l := len(line); l > 0 && line[l-1] == '\r' {
			line = line[:l-1]
		}
		done, err := p.take(line)
		p.line = p.line[:0]
		if err != nil {
			return n, nil, err
		}
		if done {
			req = p.req
			*p = Parser{}
			return n, req, nil
		}
	}
	return n, nil, nil
}

func fatal(status int, detail string) *HTTPError {
	return &HTTPError{Status: status, Fatal: true, Detail: detail, Reason: strconv.Itoa(status) + " " + statusTexts[status]}
}

// take handles one line without its end; done after the empty line.
func (p *Parser) take(line []byte) (done bool, err *HTTPError) {
	if p.req == nil {
		p.req, err = requestLine(string(line))
		return false, err
	}
	if len(line) == 0 {
		return true, p.complete()
	}
	if line[0] == ' ' || line[0] == '\t' {
		return false, p.fold(line)
	}
	p.some = true
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return false, fatal(400, "")
	}
	for _, c := range line[:colon] {
		if !tokenByte(c) {
			return false, fatal(400, "invalid header name")
		}
	}
	value, ok := fieldValue(line[colon+1:])
	if !ok {
		return false, fatal(400, "")
	}
	p.last = known(line[:colon])
	if p.last < numHeaders {
		p.req.values[p.last] = append(p.req.values[p.last], value)
	}
	return false, nil
}

// fold appends a continuation line to the header before it (RFC 9112, 5.2).
func (p *Parser) fold(line []byte) *HTTPError {
	value, ok := fieldValue(line)
	if !p.some || !ok {
		return fatal(400, "")
	}
	if p.last < numHeaders {
		v := p.req.values[p.last]
		v[len(v)-1] += " " + value
	}
	return nil
}

// complete checks what HTTP itself demands of a request.
func (p *Parser) complete() *HTTPError {
	hosts := p.req.values[Host]
	switch {
	case len(hosts) > 1:
		return fatal(400, "")
	case len(hosts) == 0 && p.req.Minor >= 1:
		return fatal(400, "missing required Host header")
	}
	if p.req.authority != "" {
		p.req.values[Host] = []string{p.req.authority}
	}
	return nil
}

// known returns the Header of a name, numHeaders if it is not one of those kept.
func known(name []byte) Header {
	for h, s := range headerNames {
		if len(s) == len(name) && strings.EqualFold(s, string(name)) {
			return Header(h)
		}
	}
	return numHeaders
}

// fieldValue trims a header value; not ok when it contains control characters.
func fieldValue(b []byte) (string, bool) {
	b = bytes.Trim(b, " \t")
	for _, c := range b {
		if (c < ' ' && c != '\t') || c == 0x7F {
			return "", false
		}
	}
	return string(b), true
}

// tokenByte reports whether c may stand in a method or header name (RFC 9110, 5.6.2).
func tokenByte(c byte) bool {
	return c > ' ' && c < 0x7F && strings.IndexByte("\"(),/:;<=>?@[\\]{}", c) < 0
}

// requestLine decodes "METHOD target HTTP/1.x".
func requestLine(line string) (*Request, *HTTPError) {
	method, rest, ok := strings.Cut(line, " ")
	target, version, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || method == "" {
		return nil, fatal(400, "")
	}
	for i := range len(method) {
		if !tokenByte(method[i]) {
			return nil, fatal(400, "")
		}
	}
	if len(version) != len("HTTP/1.1") || !strings.HasPrefix(version, "HTTP/") || version[6] != '.' ||
		!digit(version[5]) || !digit(version[7]) {
		return nil, fatal(400, "")
	}
	if version[5] != '1' {
		return nil, fatal(505, "unsupported protocol version")
	}
	r := &Request{Method: method, Target: target, Minor: int(version[7] - '0')}
	path := target
	if i := strings.Index(path, "://"); i > 0 && path[0] != '/' {
		r.authority, path = path[i+3:], ""
		if j := strings.IndexAny(r.authority, "/?"); j >= 0 {
			r.authority, path = r.authority[:j], r.authority[j:]
		}
	} else if path == "" || path[0] != '/' {
		return nil, fatal(400, "")
	}
	for i := range len(target) {
		if target[i] <= ' ' || target[i] == 0x7F {
			return nil, fatal(400, "")
		}
	}
	r.Path, _, _ = strings.Cut(path, "?")
	return r, nil
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
