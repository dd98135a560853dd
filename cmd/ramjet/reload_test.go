package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

func TestReload(t *testing.T) {
	const listen = "listen: \"127.0.0.1:-1\"\n"
	conf := writeFile(t, "r.conf", listen+"authorization { users [ {user: a, password: a}, {user: b, password: b} ] }\n")
	p := start(t, "-c", conf)
	url := p.ready()
	connect := func(user string) *nats.Conn {
		t.Helper()
		nc, err := nats.Connect(url, nats.UserInfo(user, user), nats.NoReconnect())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	a, b := connect("a"), connect("b")
	closed := a.StatusChanged(nats.CLOSED)

	// A refused key: nothing changes, not even what could.
	rewrite(t, conf, listen+"max_pending: 5M\ndebug: true\nauthorization { user: c, password: c }\n")
	p.signal(syscall.SIGHUP)
	p.expect(`Trapped "hangup" signal$`)
	p.expect(`\[ERR\] Failed to reload server configuration: config reload not supported for MaxPending: old=67108864, new=5000000$`)
	connect("a")

	// A file with an error.
	rewrite(t, conf, listen+"unknown_key: 1\n")
	p.signal(syscall.SIGHUP)
	p.expect(`\[ERR\] Failed to reload server configuration: .*r\.conf:2:\d: unknown field "unknown_key"`)
	connect("b")

	// What needs a restart.
	rewrite(t, conf, listen+"cluster { name: c, port: -1 }\n")
	p.signal(syscall.SIGHUP)
	p.expect(`\[ERR\] Failed to reload server configuration: `)
	connect("b")

	// User a goes, b stays.
	rewrite(t, conf, listen+"debug: true\nmax_payload: 2048\nauthorization { users [ {user: b, password: b} ] }\n")
	p.signal(syscall.SIGHUP)
	p.expect(`\[INF\] Reloaded: debug = true$`)
	p.expect(`\[INF\] Reloaded: authorization users$`)
	p.expect(`\[INF\] Reloaded server configuration \(sha256:[0-9a-f]{64}\)$`)
	select {
	case <-closed:
	case <-time.After(patience):
		t.Fatal("the removed user is still connected")
	}
	if _, err := b.RTT(); err != nil {
		t.Errorf("the remaining user: %v", err)
	}
	if _, err := nats.Connect(url, nats.UserInfo("a", "a"), nats.NoReconnect()); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("removed user: %v", err)
	}
	if got := connect("b").MaxPayload(); got != 2048 {
		t.Errorf("max_payload %d", got)
	}
	p.expect(`\[DBG\] .* - cid:\d+ - `)
}

func TestReloadMaxConnections(t *testing.T) {
	conf := writeFile(t, "r.conf", "listen: \"127.0.0.1:-1\"\n")
	p := start(t, "-c", conf)
	url := p.ready()
	closed := make(chan error, 3)
	for range 3 {
		nc, err := nats.Connect(url, nats.NoReconnect(), nats.ClosedHandler(func(nc *nats.Conn) { closed <- nc.LastError() }))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
	}
	rewrite(t, conf, "listen: \"127.0.0.1:-1\"\nmax_connections: 1\n")
	p.signal(syscall.SIGHUP)
	p.expect(`Closed 2 connections to fall within max_connections$`)
	for range 2 {
		select {
		case err := <-closed:
			if !errors.Is(err, nats.ErrMaxConnectionsExceeded) {
				t.Errorf("closed with %v", err)
			}
		case <-time.After(patience):
			t.Fatal("not closed")
		}
	}
	if _, err := nats.Connect(url, nats.NoReconnect()); err == nil || !strings.HasSuffix(err.Error(), "maximum connections exceeded") {
		t.Errorf("one more: %v", err)
	}
}

func TestReloadWithoutFile(t *testing.T) {
	p := start(t, "-a", "127.0.0.1", "-p", "-1")
	p.ready()
	p.signal(syscall.SIGHUP)
	p.expect(`\[ERR\] Failed to reload server configuration: can only reload config when a file is provided using -c or --config$`)
}

func TestReloadLogFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.log")
	conf := writeFile(t, "r.conf", "listen: \"127.0.0.1:-1\"\n")
	p := start(t, "-c", conf)
	p.ready()
	rewrite(t, conf, "listen: \"127.0.0.1:-1\"\nlogfile: \""+filepath.Join(dir, "no", "x.log")+"\"\n")
	p.signal(syscall.SIGHUP)
	p.expect(`Failed to reload server configuration: error opening file: `)
	rewrite(t, conf, "listen: \"127.0.0.1:-1\"\nlogfile: \""+path+"\"\n")
	p.signal(syscall.SIGHUP)
	eventually(t, "the new log", func() bool {
		b, _ := os.ReadFile(path)
		return strings.Contains(string(b), "Reloaded server configuration")
	})
}

func TestSignalCommand(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "r.pid")
	p := start(t, "-a", "127.0.0.1", "-p", "-1", "-P", pidFile)
	p.ready()
	for _, c := range []struct {
		arg, stderr string
		code        int
	}{
		{"bogus", `ramjet: unknown signal "bogus"`, 1},
		{"reload=12x*", "ramjet: invalid pid: 12x", 1},
		{"reload=" + pidFile + ".none", "ramjet: invalid pid: " + pidFile + ".none", 1},
		{"quit=2147483646", "ramjet: \nsignal \"quit\" 2147483646: no such process", 1},
		{"reload=999999999*", "ramjet: no ramjet processes running", 1},
		{"reload=" + pidFile, "", 0},
	} {
		code, _, stderr := runOnce(t, "--signal", c.arg)
		if code != c.code || strings.TrimSpace(stderr) != strings.TrimSpace(c.stderr) {
			t.Errorf("%s: %d %q", c.arg, code, stderr)
		}
	}
	p.expect(`Trapped "hangup" signal$`)
	if code, _, stderr := runOnce(t, "-sl", "term="+pidFile); code != 0 {
		t.Errorf("%d %q", code, stderr)
	}
	p.expect(`Trapped "terminated" signal$`)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
