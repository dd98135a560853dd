//go:build linux

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

type slowConn struct {
	Name     string   `json:"name"`
	Account  string   `json:"account"`
	User     string   `json:"user"`
	Backlog  int64    `json:"backlog_bytes"`
	Subjects []string `json:"subjects"`
	Open     bool     `json:"open"`
	Reason   string   `json:"reason"`
}

// slow returns the entries of /slowz.
func (r *rig) slow() []slowConn {
	r.t.Helper()
	var v struct {
		Slow []slowConn `json:"slow"`
	}
	r.page("/slowz", &v)
	return v.Slow
}

// flood publishes size bytes on subject again and again until stop or an error.
func flood(p *peer, subject string, size int, stop *atomic.Bool) error {
	m := []byte(fmt.Sprintf("PUB %s %d\r\n%s\r\n", subject, size, strings.Repeat("x", size)))
	_ = p.SetWriteDeadline(time.Now().Add(patience))
	for !stop.Load() {
		if _, err := p.Write(m); err != nil {
			return err
		}
	}
	return nil
}

// TestSlowConsumerIsNamed: one slow client among 1,000 is found in one look, while it is slow and after it was closed.
func TestSlowConsumerIsNamed(t *testing.T) {
	r := startRig(t, "max_pending: 8M\n")
	l := startLive(r)
	n := 999
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err == nil && lim.Cur < 4000 {
		n = int(lim.Cur / 4)
	}
	others := openMany(t, r, n, func(i int) string { return fmt.Sprintf("SUB calm.%d 1\r\n", i) })
	planted, err := dialPeer(r.client)
	if err != nil {
		t.Fatal(err)
	}
	defer planted.Close()
	_ = planted.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	if err := planted.sync(strings.Replace(login, `"lang"`, `"name":"planted","lang"`, 1) + "SUB news.today 7\r\n"); err != nil {
		t.Fatal(err)
	}
	want := func(s []slowConn) bool {
		return len(s) > 0 && s[0].Name == "planted" && s[0].Account == "APP" && s[0].User == "app" && slices.Equal(s[0].Subjects, []string{"news.today"}) && s[0].Backlog > 0
	}

	pub, err := joinPeer(r.client, "")
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	message := "PUB news.today 16384\r\n" + strings.Repeat("x", 16384) + "\r\n"
	var open slowConn
	for range 10000 {
		if err := pub.sync(message + message + message + message); err != nil {
			t.Fatal(err)
		}
		asked := time.Now()
		if s := r.slow(); len(s) > 0 && s[0].Name == "planted" {
			t.Logf("found in %v among %d", time.Since(asked), n+1)
			if open = s[0]; !open.Open || !want(s) {
				t.Errorf("while it is slow: %+v", s)
			}
			break
		}
	}
	if open.Name == "" {
		t.Fatal("never slow")
	}
	t.Logf("while it is slow: %+v", open)
	if v := r.varz(); v.SlowConsumers != 0 {
		t.Errorf("%d slow consumers counted before any was closed", v.SlowConsumers)
	}

	var stop atomic.Bool
	done := make(chan error, 1)
	go func() { done <- flood(pub, "news.today", 16384, &stop) }()
	eventually(t, "it is closed", func() bool { return r.varz().SlowConsumers == 1 })
	stop.Store(true)
	if err := <-done; err != nil {
		t.Errorf("publisher: %v", err)
	}
	s := r.slow()
	t.Logf("after it was closed: %+v", s)
	if i := slices.IndexFunc(s, func(c slowConn) bool { return c.Name == "planted" }); i > 0 {
		s = s[i:] // on a busy machine others may be slow at this moment, and open ones come first
	}
	if !want(s) || s[0].Open || s[0].Reason != "Slow Consumer (Pending Bytes)" {
		t.Errorf("after it was closed: %+v", s)
	}
	if v := r.varz(); v.SlowStats.Clients != 1 {
		t.Errorf("slow_consumer_stats.clients is %d", v.SlowStats.Clients)
	}
	if n := r.series("ramjet_slow_consumers_total", `{kind="client"}`); n != 1 {
		t.Errorf("ramjet_slow_consumers_total is %v", n)
	}
	r.expect(`Slow Consumer Detected: MaxPending of 8\d+ Exceeded`)
	for i, p := range others { // each is there and gets its message
		if err := p.sync(fmt.Sprintf("PUB calm.%d 2\r\nhi\r\n", i)); err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
	}
	l.end()
	r.unharmed()
}

// TestFloodIsHeldBack: a publisher that is faster than a subscriber that never reads is slowed down, and neither
// takes memory without bound.
func TestFloodIsHeldBack(t *testing.T) {
	r := startRig(t, "max_pending: 4M\n")
	l := startLive(r)
	before := r.rss()
	stalled := r.metric("ramjet_stalled_producers_total")
	deaf, err := joinPeer(r.client, "SUB flood.> 1\r\n")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	pub, err := joinPeer(r.client, "")
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	var stop atomic.Bool
	done := make(chan error, 1)
	go func() { done <- flood(pub, "flood.x", 60000, &stop) }()
	eventually(t, "the subscriber is closed", func() bool { return r.varz().SlowConsumers == 1 })
	stop.Store(true)
	if err := <-done; err != nil {
		t.Errorf("publisher: %v", err)
	}
	if err := pub.sync(""); err != nil {
		t.Errorf("the publisher does not go on: %v", err)
	}
	if n := r.metric("ramjet_stalled_producers_total") - stalled; n == 0 {
		t.Error("the publisher was never held back")
	}
	if got := r.peak() - before; got > 32*mib {
		t.Errorf("memory grew by %d MiB", got/mib)
	}
	t.Logf("resident %d MiB before, %d at most; stalled %v times", before/mib, r.peak()/mib, r.metric("ramjet_stalled_producers_total")-stalled)
	l.end()
	r.unharmed()
}

// TestHealth: the right answer of three, in each state that can be seen from outside.
func TestHealth(t *testing.T) {
	r := startRig(t, "lame_duck_duration: 30s\n")
	check := func(state, page string, code int, part string) {
		t.Helper()
		if got, body := r.get(page); got != code || !strings.Contains(body, part) {
			t.Errorf("%s: %s: %d %s, want %d with %q", state, page, got, body, code, part)
		}
	}
	for _, page := range []string{"/healthz", "/livez", "/readyz"} {
		check("running", page, http.StatusOK, `"ok"`)
	}
	nc, err := nats.Connect(r.url, nats.NoReconnect())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	r.signal(syscall.SIGUSR2)
	r.expect(`Entering lame duck mode`)
	check("lame duck", "/livez", http.StatusOK, `"ok"`)
	check("lame duck", "/readyz", http.StatusServiceUnavailable, "lame duck mode")
	check("lame duck", "/healthz", http.StatusServiceUnavailable, "lame duck mode")
	if n := r.metric("ramjet_ready"); n != 0 {
		t.Errorf("ramjet_ready is %v", n)
	}
	if err := nc.Flush(); err != nil {
		t.Errorf("the client is not served: %v", err)
	}
	r.signal(syscall.SIGINT) // SIGTERM leaves a lame duck alone, as nats-server does
	r.exit()
	if c, err := net.Dial("tcp", r.http); err == nil {
		_ = c.Close()
		t.Error("monitoring answers after the end")
	}
}

// TestSecretsStayInside: what clients and the configuration keep secret is in no log, not even with traces, and on no page.
func TestSecretsStayInside(t *testing.T) {
	const secret = "Pl4nted" // begins every secret
	conf := strings.Replace(rigConfig, "accounts {", "accounts {\n  SEC { users: [ {user: careful, password: Pl4ntedConfigured} ] }", 1)
	path := writeFile(t, "secret.conf", conf)
	r := startRigFile(t, path, "-DV")
	nc, err := nats.Connect("nats://"+r.client, nats.UserInfo("careful", "Pl4ntedConfigured"), nats.Name("inside"), nats.NoReconnect(), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, line := range []string{
		`CONNECT {"user":"careful","pass":"Pl4ntedWrong"}`,
		`CONNECT {"auth_token":"Pl4ntedToken"}`,
		`CONNECT { "pass" : "Pl4ntedSpaces" , "user":"careful" }`,
		`CONNECT {"user":"careful","pass":"Pl4ntedQuoted\"Pl4ntedRest"}`,
		`CONNECT {"user":"careful","pass":"Pl4ntedUnfinished`,
		`CONNECT {"pass":"Pl4ntedTwice","pass":"Pl4ntedAgain"}`,
		`CONNECT {"PASS":"Pl4ntedCase"}`,
		`CONNECT {"pass":["Pl4ntedArray"]}`,
		`connect	{"user":"careful","pass":"Pl4ntedTab"}`,
		`CONNECT {"jwt":"eyJ0eXAiOiJKV1QifQ.Pl4ntedJWT.x","sig":"Pl4ntedSig"}`,
	} {
		p, err := dialPeer(r.client)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(p, line+"\r\nPING\r\n")
		_ = p.SetReadDeadline(time.Now().Add(patience))
		_, _ = io.Copy(io.Discard, p) // until the server closes it
		_ = p.Close()
	}
	c, err := net.Dial("tcp", r.ws)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, strings.Replace(upgrade, "\r\n\r\n", "\r\nCookie: jwt=Pl4ntedCookie\r\nAuthorization: Bearer Pl4ntedBearer\r\n\r\n", 1))
	_ = c.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, c)
	_ = c.Close()

	rewrite(t, path, strings.Replace(conf, "Pl4ntedConfigured", "Pl4ntedReloaded", 1))
	r.signal(syscall.SIGHUP)
	r.expect(`Reloaded server configuration`)

	var v struct {
		Connections []struct {
			User string `json:"authorized_user"`
		} `json:"connections"`
	}
	r.page("/connz?auth=1&state=closed", &v)
	if !slices.ContainsFunc(v.Connections, func(c struct {
		User string `json:"authorized_user"`
	}) bool {
		return c.User == "[REDACTED]" || c.User == "careful"
	}) {
		t.Errorf("the refused are not listed: %+v", v)
	}
	for _, page := range []string{"/varz", "/connz?auth=1&subs=detail", "/connz?auth=1&subs=detail&state=closed", "/connz?auth=1&state=any",
		"/accountz", "/accountz?acc=SEC", "/accstatz?unused=1", "/subsz?subs=1", "/slowz", "/metrics", "/healthz?details=1", "/", "/debug/vars"} {
		if _, body := r.get(page); strings.Contains(body, secret) {
			t.Errorf("%s: %.300s", page, body[max(0, strings.Index(body, secret)-100):])
		}
	}
	r.signal(syscall.SIGTERM)
	r.exit()
	r.seen = 0
	r.expect(`Plaintext passwords detected`)
	r.expect(`\[TRC\].*<<- \[CONNECT`)
	r.never(secret)
}
