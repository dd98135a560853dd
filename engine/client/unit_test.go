package client

import (
	"strings"
	"testing"
	"time"

	"ramjet/engine/config"
)

func TestRedact(t *testing.T) {
	in := `CONNECT {"user":"u","pass" : "a\"b","auth_token":"t","sig":"s","nkey":"n","proxy_sig":"x","name":"me"}`
	got := string(redact([]byte(in)))
	for _, secret := range []string{`a\"b`, `"t"`, `"s"`, `"n"`, `"x"`} {
		if strings.Contains(got, secret) {
			t.Errorf("%s is shown in %s", secret, got)
		}
	}
	for _, kept := range []string{`"user":"u"`, `"name":"me"`, "[REDACTED]"} {
		if !strings.Contains(got, kept) {
			t.Errorf("%s is missing in %s", kept, got)
		}
	}
	// what the decoder takes or refuses all the same
	for _, in := range []string{`{"PASS":"secret"}`, `{"Jwt" :"secret"}`, `{"pass":["a","secret"]}`, `{"sig":{"x":"secret"}}`, "{\"pass\":\n\"sec\nret\"}", `{"pass":5ecret}`, `{"pass":-1e5ecret}`} {
		if got := string(redact([]byte("CONNECT " + in))); strings.Contains(got, "ret") {
			t.Errorf("shown: %s", got)
		}
	}
	if in := `CONNECT {"jwt":null,"user":"u","tls_required":false}`; string(redact([]byte(in))) != in {
		t.Errorf("%s", redact([]byte(in)))
	}
	// cut off in the middle of a secret
	if got := string(redact([]byte(`CONNECT {"pass":"sec`))); strings.Contains(got, "sec") {
		t.Errorf("shown: %s", got)
	}
}

func TestJitter(t *testing.T) {
	lo, hi := 1.0, 0.0
	for id := range uint64(1000) {
		j := jitter(id)
		if j < 0 || j >= 1 {
			t.Fatalf("jitter(%d) = %v", id, j)
		}
		lo, hi = min(lo, j), max(hi, j)
	}
	if lo > 0.1 || hi < 0.9 {
		t.Errorf("not spread: %v to %v", lo, hi)
	}
}

func TestRateLimiter(t *testing.T) {
	var r rateLimiter
	now := int64(100 * time.Second)
	allowed := 0
	for range 10 {
		if r.allow(now, 3) {
			allowed++
		}
	}
	if allowed != 3 {
		t.Errorf("%d in one second, want 3", allowed)
	}
	if !r.allow(now+int64(time.Second), 3) {
		t.Error("the next second starts over")
	}
}

func TestAuthTimeout(t *testing.T) {
	for _, c := range []struct {
		o    config.Options
		ws   bool
		want time.Duration
	}{
		{config.Options{}, false, 2 * time.Second},
		{config.Options{TLS: &config.TLSOptions{Timeout: 4 * time.Second}}, false, 5 * time.Second},
		{config.Options{Auth: config.AuthBlock{Timeout: time.Second}}, false, time.Second},
		{config.Options{Websocket: &config.WebsocketOptions{Auth: config.AuthBlock{Timeout: 3 * time.Second}}}, true, 3 * time.Second},
		{config.Options{Websocket: &config.WebsocketOptions{Auth: config.AuthBlock{Timeout: 3 * time.Second}}}, false, 2 * time.Second},
	} {
		if got := authTimeout(&c.o, c.ws); got != c.want {
			t.Errorf("%+v ws %v: %v, want %v", c.o, c.ws, got, c.want)
		}
	}
}

func TestSuspicious(t *testing.T) {
	for s, want := range map[string]bool{
		"": false, "a": false, "_": false, "$": false, "_INBOX.x": false, "foo": false,
		"_R_.a": true, "_GR_.a": true, "$GR.a": true, "$NRG.a": true, "$JS.ACK.x": true,
	} {
		if got := suspicious([]byte(s)); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}
