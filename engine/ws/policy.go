package ws

import (
	"errors"
	"net"
	"net/url"
	"strings"

	"ramjet/engine/config"
	"ramjet/proto/ws"
)

var (
	errNotSame    = errors.New("not same origin")
	errNotAllowed = errors.New("not in the allowed list")
)

// origin is what origins are compared by.
type origin struct{ scheme, host, port string }

func (o origin) equal(p origin) bool {
	return strings.EqualFold(o.scheme, p.scheme) && strings.EqualFold(o.host, p.host) && o.port == p.port
}

// parseOrigin decodes "scheme://host[:port]"; ports 80 and 443 are the defaults.
func parseOrigin(s string) (origin, error) {
	u, err := url.ParseRequestURI(s)
	if err != nil {
		return origin{}, err
	}
	return withPort(u.Scheme, u.Host)
}

func withPort(scheme, hostport string) (origin, error) {
	o := origin{scheme: scheme, host: hostport, port: "80"}
	if strings.EqualFold(scheme, "https") {
		o.port = "443"
	}
	host, port, err := net.SplitHostPort(hostport)
	var missing *net.AddrError
	if errors.As(err, &missing) && missing.Err == "missing port in address" {
		o.host = strings.Trim(hostport, "[]")
		return o, nil
	}
	if err != nil {
		return origin{}, err
	}
	o.host, o.port = host, port
	return o, nil
}

// checkOrigin applies same_origin and allowed_origins (reference/websocket_mqtt.md, A1). A request
// without origin does not come from a browser and is allowed.
func checkOrigin(r *ws.Request, o *config.WebsocketOptions, secure bool) error {
	if !o.SameOrigin && len(o.AllowedOrigins) == 0 {
		return nil
	}
	text := r.Get(ws.Origin)
	if text == "" {
		text = r.Get(ws.WSOrigin)
	}
	if text == "" {
		return nil
	}
	from, err := parseOrigin(text)
	if err != nil {
		return err
	}
	if o.SameOrigin {
		scheme := "http"
		if secure {
			scheme = "https"
		}
		here, err := withPort(scheme, r.Get(ws.Host))
		if err != nil {
			return err
		}
		if !from.equal(here) {
			return errNotSame
		}
	}
	if len(o.AllowedOrigins) == 0 {
		return nil
	}
	for _, s := range o.AllowedOrigins {
		if allowed, err := parseOrigin(s); err == nil && from.equal(allowed) {
			return nil
		}
	}
	return errNotAllowed
}
