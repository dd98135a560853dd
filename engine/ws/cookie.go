package ws

import (
	"strings"

	"ramjet/engine/config"
)

// readCookies fills the credentials from the cookies that the options name. The last cookie of a name
// counts; malformed ones are skipped (RFC 6265, 4.2).
func (m *Meta) readCookies(headers []string, o *config.WebsocketOptions) {
	targets := []struct {
		name string
		to   *string
	}{{o.JWTCookie, &m.JWT}, {o.UserCookie, &m.User}, {o.PassCookie, &m.Pass}, {o.TokenCookie, &m.Token}}
	for _, h := range headers {
		for pair := range strings.SplitSeq(h, ";") {
			name, value, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
			name = strings.Trim(name, " \t")
			if !ok || name == "" {
				continue
			}
			if value, ok = cookieValue(value); !ok {
				continue
			}
			for _, t := range targets {
				if t.name == name {
					*t.to = value
					break
				}
			}
		}
	}
}

// cookieValue strips quotes and refuses bytes that a cookie must not contain.
func cookieValue(v string) (string, bool) {
	if len(v) > 1 && v[0] == '"' && v[len(v)-1] == '"' {
		v = v[1 : len(v)-1]
	}
	for i := range len(v) {
		if c := v[i]; c < ' ' || c >= 0x7F || c == '"' || c == ';' || c == '\\' {
			return "", false
		}
	}
	return v, true
}
