package config

import (
	"net"
	"net/url"
	"strconv"
	"strings"

	"ramjet/proto/conf"
)

// listen is the value of a listen key.
type listen struct {
	host string
	port int
}

// address takes a port, or host and port in one string, the host being optional.
func (d *decoder) address(e *conf.Entry) (l listen, ok bool) {
	switch v := e.Value; v.Kind {
	case conf.Int:
		if !validPort(v.Int) {
			d.errorf(e.Pos, "%s: %d is not a port", e.Key, v.Int)
			return l, false
		}
		return listen{port: int(v.Int)}, true
	case conf.String:
		host, port, err := net.SplitHostPort(v.Str)
		if err != nil {
			d.errorf(e.Pos, "could not parse address string %q", v.Str)
			return l, false
		}
		n, err := strconv.ParseInt(port, 10, 64)
		if err != nil || !validPort(n) {
			d.errorf(e.Pos, "could not parse port %q", port)
			return l, false
		}
		return listen{host, int(n)}, true
	}
	d.errorf(e.Pos, "%s: expected port or host:port, got %s", e.Key, describe(e.Value))
	return l, false
}

func validPort(n int64) bool { return n >= -1 && n <= 65535 }

// listenKeys are listen, port and host, which all listeners have.
func listenKeys[T any](host func(*T) *string, port func(*T) *int) []key[T] {
	return []key[T]{
		{"listen", func(d *decoder, t *T, e *conf.Entry) {
			if l, ok := d.address(e); ok {
				*host(t), *port(t) = l.host, l.port
			}
		}},
		{"port", portKey(port)},
		{"host net", str(host)},
	}
}

func portKey[T any](f func(*T) *int) func(*decoder, *T, *conf.Entry) {
	return func(d *decoder, t *T, e *conf.Entry) {
		n, ok := d.integer(e, -1<<31, 1<<31-1)
		switch {
		case !ok:
		case !validPort(n):
			d.errorf(e.Pos, "%s: %d is not a port", e.Key, n)
		default:
			*f(t) = int(n)
		}
	}
}

// httpKey takes port or host:port of monitoring.
func httpKey(port func(*Options) *int) func(*decoder, *Options, *conf.Entry) {
	return func(d *decoder, o *Options, e *conf.Entry) {
		if l, ok := d.address(e); ok {
			*port(o) = l.port
			if l.host != "" {
				o.HTTPHost = l.host
			}
		}
	}
}

// parseURL reads a URL; what names it in messages.
func (d *decoder) parseURL(pos conf.Pos, text, what string) *url.URL {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		d.errorf(pos, "error parsing %s url [%q]", what, text)
		return nil
	}
	return u
}

// urls takes an array of URLs. A URL given twice is kept once, with a warning.
func (d *decoder) urls(e *conf.Entry, what string) []*url.URL {
	if e.Value.Kind != conf.Array {
		d.typeError(e, "an array of URLs")
		return nil
	}
	var list []*url.URL
	seen := make(map[string]bool)
	for _, item := range e.Value.Items {
		if item.Kind != conf.String {
			d.errorf(item.Pos, "%s: expected a URL, got %s", e.Key, describe(item))
			continue
		}
		u := d.parseURL(item.Pos, item.Str, what)
		switch {
		case u == nil:
		case seen[u.String()]:
			d.warnings = append(d.warnings, &Problem{Pos: item.Pos, Msg: "invalid use of field \"" + e.Key + "\": Duplicate " + what + " entry: " + u.Redacted()})
		default:
			seen[u.String()] = true
			list = append(list, u)
		}
	}
	return list
}
