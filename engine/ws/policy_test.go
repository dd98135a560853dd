package ws

import (
	"testing"

	"ramjet/engine/config"
	"ramjet/proto/ws"
)

// TestOrigin: verdicts of nats-server 2.15.2 with same_origin and allowed_origins.
func TestOrigin(t *testing.T) {
	list := []string{"https://good.example", "http://other.example:8080"}
	for _, c := range []struct {
		host, origin string
		same, list   bool
		secure       bool
		want         string
	}{
		{"h:80", "http://evil", false, false, false, ""},
		{"127.0.0.1:41223", "http://evil", true, true, false, "not same origin"},
		{"127.0.0.1:41223", "http://127.0.0.1:41223", true, true, false, "not in the allowed list"},
		{"127.0.0.1:41223", "http://127.0.0.1:41223", true, false, false, ""},
		{"127.0.0.1:41223", "https://127.0.0.1:41223", true, false, false, "not same origin"},
		{"127.0.0.1:41223", "https://127.0.0.1:41223", true, false, true, ""},
		{"good.example", "https://good.example", true, true, false, "not same origin"},
		{"good.example", "https://good.example", true, true, true, ""},
		{"GOOD.example:443", "https://good.example", true, true, true, ""},
		{"other.example:8080", "http://other.example:8080", true, true, false, ""},
		{"zz.example:80", "http://zz.example", true, true, false, "not in the allowed list"},
		{"x", "https://good.example:443", false, true, false, ""},
		{"x", "https://good.example:444", false, true, false, "not in the allowed list"},
		{"x", "", true, true, false, ""},
		{"x", "http://evil:xx", true, true, false, `parse "http://evil:xx": invalid port ":xx" after host`},
		{"x", "null", true, true, false, `parse "null": invalid URI for request`},
		{"a:b:c", "http://a", true, true, false, "address a:b:c: too many colons in address"},
		{"x", "ftp://x", true, false, false, "not same origin"},
		{"[::1]:80", "http://[::1]", true, false, false, ""},
	} {
		o := &config.WebsocketOptions{SameOrigin: c.same}
		if c.list {
			o.AllowedOrigins = list
		}
		for _, header := range []string{"Origin", "Sec-WebSocket-Origin"} {
			_, req, bad := new(ws.Parser).Feed([]byte("GET / HTTP/1.1\r\nHost: " + c.host + "\r\n" + header + ": " + c.origin + "\r\n\r\n"))
			if bad != nil {
				t.Fatal(bad)
			}
			got := ""
			if err := checkOrigin(req, o, c.secure); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("%s %s %+v: %q", header, c.origin, c, got)
			}
		}
	}
}

func TestCookies(t *testing.T) {
	o := &config.WebsocketOptions{UserCookie: "u", PassCookie: "p"}
	for _, c := range []struct {
		headers []string
		want    Meta
	}{
		{[]string{"u=a; p=b"}, Meta{User: "a", Pass: "b"}},
		{[]string{`u="a b"; p=`, "x=1;;=;u"}, Meta{User: "a b"}},
		{[]string{"u=a", "u=b"}, Meta{User: "b"}},
		{[]string{`u=a\b; p="`}, Meta{}},
		{[]string{"U=a; =b; p=b=c"}, Meta{Pass: "b=c"}},
	} {
		var m Meta
		m.readCookies(c.headers, o)
		if m != c.want {
			t.Errorf("%q: %+v", c.headers, m)
		}
	}
}

// FuzzOrigin: any text as Origin is refused or is an origin that equals itself, and only one of the three parts different makes another.
func FuzzOrigin(f *testing.F) {
	for _, s := range []string{"http://a", "https://a:1", "HTTP://[::1]", "http://[::1]:80", "//", "http://", "null", "http://a:b:c", "http://[", "%", "file:///x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o, err := parseOrigin(s)
		if err != nil {
			return
		}
		if !o.equal(o) || o.equal(origin{o.scheme, o.host, o.port + "0"}) || o.equal(origin{o.scheme, o.host + "x", o.port}) {
			t.Fatalf("%q: %+v", s, o)
		}
	})
}
