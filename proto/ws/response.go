package ws

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// MaxResponse is the most bytes of a response that are read, status line and headers together.
const MaxResponse = 16 << 10

// Errors of ParseResponse.
var (
	ErrResponseSize = errors.New("the HTTP response is too long")
	ErrResponse     = errors.New("malformed HTTP response")
)

// Response is the answer of a server or proxy to a request that we have sent. Its strings are its own.
type Response struct {
	Status int
	Reason string // "407 Proxy Authentication Required"

	values map[string][]string // by lower-case name
}

// ParseResponse decodes the head of a response at the start of buf and returns its length. n is 0 while it is not
// complete. Stateless; buf is borrowed.
func ParseResponse(buf []byte) (n int, r *Response, err error) {
	end := bytes.Index(buf, []byte("\r\n\r\n"))
	if end < 0 {
		if len(buf) > MaxResponse {
			return 0, nil, ErrResponseSize
		}
		return 0, nil, nil
	}
	if end > MaxResponse {
		return 0, nil, ErrResponseSize
	}
	lines := strings.Split(string(buf[:end]), "\r\n")
	proto, status, _ := strings.Cut(lines[0], " ")
	code, _, _ := strings.Cut(status, " ")
	v, numErr := strconv.ParseUint(code, 10, 16)
	if proto != "HTTP/1.1" && proto != "HTTP/1.0" || len(code) != 3 || numErr != nil {
		return 0, nil, ErrResponse
	}
	r = &Response{Status: int(v), Reason: status, values: make(map[string][]string)}
	for _, l := range lines[1:] {
		name, value, ok := strings.Cut(l, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return 0, nil, ErrResponse
		}
		name = strings.ToLower(name)
		r.values[name] = append(r.values[name], strings.TrimSpace(value))
	}
	return end + 4, r, nil
}

// Get returns the first value of a header, whose name is given in lower case; "" if it is not there.
func (r *Response) Get(name string) string {
	if v := r.values[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Values returns all values of a header, whose name is given in lower case.
func (r *Response) Values(name string) []string { return r.values[name] }

// Upgraded reports whether r agrees to the websocket upgrade asked for with key.
func (r *Response) Upgraded(key string) bool {
	return r.Status == 101 && strings.EqualFold(r.Get("upgrade"), "websocket") && strings.EqualFold(r.Get("connection"), "upgrade") &&
		r.Get("sec-websocket-accept") == AcceptKey(key)
}

// Deflates reports whether r grants compression of messages; ok is false when it does so in a form that was not
// asked for.
func (r *Response) Deflates() (granted, ok bool) {
	for _, v := range r.Values("sec-websocket-extensions") {
		for _, ext := range strings.Split(v, ",") {
			params := strings.Split(ext, ";")
			if !strings.EqualFold(strings.TrimSpace(params[0]), "permessage-deflate") {
				continue
			}
			server, client := false, false
			for _, p := range params[1:] {
				switch strings.ToLower(strings.TrimSpace(p)) {
				case "server_no_context_takeover":
					server = true
				case "client_no_context_takeover":
					client = true
				}
			}
			return true, server && client
		}
	}
	return false, true
}
