package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"ramjet/engine/server"
)

func TestVersion(t *testing.T) {
	for _, arg := range []string{"-v", "--version", "version"} {
		code, out, _ := runOnce(t, arg)
		if want := "ramjet: v" + server.Version + " (NATS " + server.NATSVersion + ")\n"; code != 0 || out != want {
			t.Errorf("%s: %d %q", arg, code, out)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, arg := range []string{"-h", "--help", "help"} {
		code, out, _ := runOnce(t, arg)
		if code != 0 || !strings.Contains(out, "Usage: ramjet [options]") || !strings.Contains(out, "--signal") {
			t.Errorf("%s: %d %q", arg, code, out)
		}
	}
	if code, out, _ := runOnce(t, "--help_tls"); code != 0 || !strings.Contains(out, "tls") {
		t.Errorf("--help_tls: %d %q", code, out)
	}
}

func TestCommandLineErrors(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.conf")
	for _, c := range []struct {
		args   []string
		code   int
		stderr string // regular expression
	}{
		{[]string{"--bogus"}, 0, `^flag provided but not defined: -bogus\n`},
		{[]string{"-p", "abc"}, 0, `^invalid value "abc" for flag -p: parse error\n`},
		{[]string{"foo"}, 1, `^ramjet: unrecognized command: "foo"\n$`},
		{[]string{"-c", missing}, 1, `^ramjet: (error opening config file: )?open .*missing.conf: no such file or directory\n`},
		{[]string{"-t"}, 1, `^ramjet: must specify \[-c, --config\] option to check configuration file syntax\n$`},
		{[]string{"-c", writeFile(t, "bad.conf", "bad: 1\n")}, 1, `^ramjet: .*bad\.conf:1:\d: unknown field "bad"`},
		{[]string{"-l", filepath.Join(t.TempDir(), "no", "x.log"), "-p", "-1"}, 1, `error opening file: open .*: no such file or directory\n`},
	} {
		code, _, stderr := runOnce(t, c.args...)
		if code != c.code || !regexp.MustCompile(c.stderr).MatchString(stderr) {
			t.Errorf("%q: exit code %d, want %d; %q does not match %q", c.args, code, c.code, stderr, c.stderr)
		}
	}
}

func TestCheck(t *testing.T) {
	good := writeFile(t, "good.conf", "port: 4222\n")
	code, _, stderr := runOnce(t, "-t", "-c", good)
	if want := "ramjet: configuration file " + regexp.QuoteMeta(good) + ` is valid \(sha256:[0-9a-f]{64}\)` + "\n"; code != 0 || !regexp.MustCompile("^"+want+"$").MatchString(stderr) {
		t.Errorf("%d %q", code, stderr)
	}
	for name, text := range map[string]string{
		"unknown field": "bad: 1\n",
		"empty":         "\n",
		"warning":       "ping_interval: 5\n",
		"no such thing": "server_name: s\ncluster { name: c, port: -1, routes: [\"nats://127.0.0.1:1\"] }\njetstream: true\n",
	} {
		if code, _, stderr := runOnce(t, "-t", "-c", writeFile(t, "x.conf", text)); code != 1 || !strings.HasPrefix(stderr, "ramjet: ") {
			t.Errorf("%s: %d %q", name, code, stderr)
		}
	}
}

func TestStartAndStop(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		p := start(t, "-a", "127.0.0.1", "-p", "-1", "-n", "tester")
		prefix := `^\[` + strconv.Itoa(p.cmd.Process.Pid) + `\] \d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6} \[INF\] `
		p.expect(prefix + `Starting ramjet$`)
		p.expect(prefix + `  Version:  `)
		p.expect(prefix + `  Git:      \[`)
		p.expect(prefix + `  Name:     tester$`)
		p.expect(prefix + `  ID:       N[A-Z2-7]{55}$`)
		url := p.ready()
		nc, err := nats.Connect(url, nats.NoReconnect())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if got := nc.ConnectedServerName(); got != "tester" {
			t.Errorf("server name %q", got)
		}
		if got := nc.ConnectedServerVersion(); got != server.NATSVersion {
			t.Errorf("server version %q", got)
		}
		closed := nc.StatusChanged(nats.CLOSED)
		p.signal(sig)
		p.expect(`\[INF\] Trapped "` + sig.String() + `" signal$`)
		p.expect(`\[INF\] Initiating Shutdown\.\.\.$`)
		p.expect(`\[INF\] Server Exiting\.\.$`)
		if code := p.exit(); code != 0 {
			t.Errorf("%v: exit code %d", sig, code)
		}
		select {
		case <-closed:
		case <-time.After(patience):
			t.Error("the client was not closed")
		}
	}
}

func TestPubSubRequest(t *testing.T) {
	nc, err := nats.Connect(start(t, "-a", "127.0.0.1", "-p", "-1").ready())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Subscribe("svc.*", func(m *nats.Msg) { _ = m.Respond(append([]byte("re: "), m.Data...)) }); err != nil {
		t.Fatal(err)
	}
	sub, err := nc.SubscribeSync("feed.>")
	if err != nil {
		t.Fatal(err)
	}
	const n = 1000
	for i := range n {
		m := nats.NewMsg("feed.a.b")
		m.Header.Set("N", strconv.Itoa(i))
		m.Data = []byte(strings.Repeat("x", i))
		if err := nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		m, err := sub.NextMsg(patience)
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if m.Header.Get("N") != strconv.Itoa(i) || len(m.Data) != i {
			t.Fatalf("message %d: %v, %d bytes", i, m.Header, len(m.Data))
		}
	}
	m, err := nc.Request("svc.echo", []byte("hello"), patience)
	if err != nil {
		t.Fatal(err)
	}
	if string(m.Data) != "re: hello" {
		t.Errorf("got %q", m.Data)
	}
	if _, err := nc.Request("nobody", nil, patience); err != nats.ErrNoResponders {
		t.Errorf("want no responders, got %v", err)
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	p := start(t, "-a", "127.0.0.1", "-p", port)
	p.expect(`\[FTL\] Error listening on port: 127\.0\.0\.1:` + port + `, "listen tcp 127\.0\.0\.1:` + port + `: bind: address already in use"$`)
	if code := p.exit(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	p = start(t, "-a", "127.0.0.1", "-p", "-1", "-m", port)
	p.expect(`\[FTL\] Can't start monitoring: .*address already in use`)
	if code := p.exit(); code != 1 {
		t.Errorf("exit code %d", code)
	}
}

func TestPidAndPortsFiles(t *testing.T) {
	dir := t.TempDir()
	pidFile := filepath.Join(dir, "r.pid")
	p := start(t, "-a", "127.0.0.1", "-p", "-1", "-m", "-1", "-P", pidFile, "--ports_file_dir", dir)
	url := p.ready()
	pid := strconv.Itoa(p.cmd.Process.Pid)
	if b, err := os.ReadFile(pidFile); err != nil || string(b) != pid {
		t.Errorf("pid file: %q %v", b, err)
	}
	portsFile := filepath.Join(dir, "ramjet_"+pid+".ports")
	var ports server.Ports
	eventually(t, "ports file complete", func() bool {
		b, err := os.ReadFile(portsFile)
		return err == nil && json.Unmarshal(b, &ports) == nil
	})
	if len(ports.Nats) != 1 || ports.Nats[0] != url || len(ports.Monitoring) != 1 {
		t.Errorf("ports %+v, client URL %s", ports, url)
	}
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(portsFile); !os.IsNotExist(err) {
		t.Errorf("ports file after the end: %v", err)
	}
	if _, err := os.Stat(pidFile); err != nil {
		t.Errorf("pid file after the end: %v", err)
	}
	p = start(t, "-a", "127.0.0.1", "-p", "-1", "-P", filepath.Join(dir, "no", "r.pid"))
	p.expect(`\[FTL\] Could not write pidfile: open `)
	if code := p.exit(); code != 1 {
		t.Errorf("exit code %d", code)
	}
}

func TestLogFileReopenAndFormats(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.log")
	p := start(t, "-a", "127.0.0.1", "-p", "-1", "-l", path, "-T=false")
	contains := func(name, text string) func() bool {
		return func() bool {
			b, err := os.ReadFile(name)
			return err == nil && strings.Contains(string(b), text)
		}
	}
	prefix := "[" + strconv.Itoa(p.cmd.Process.Pid) + "] [INF] "
	eventually(t, "ready", contains(path, prefix+"Server is ready\n"))
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGUSR1)
	eventually(t, "re-opened", contains(path, prefix+"File log re-opened\n"))
	if !contains(path+".1", `Trapped "user defined signal 1" signal`)() {
		t.Error("no signal line in the old file")
	}

	conf := writeFile(t, "json.conf", "listen: \"127.0.0.1:-1\"\nlog_format: json\n")
	p = start(t, "-c", conf)
	var line struct {
		Time  time.Time
		Level string
		Msg   string
	}
	if err := json.Unmarshal([]byte(p.expect(`.*Server is ready.*`)[0]), &line); err != nil {
		t.Fatal(err)
	}
	if line.Level != "info" || line.Msg != "Server is ready" || line.Time.IsZero() {
		t.Errorf("got %+v", line)
	}
}

func TestLogRotationAndPurge(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.log")
	conf := writeFile(t, "r.conf", "listen: \"127.0.0.1:-1\"\nlogfile: \""+path+"\"\nlogfile_size_limit: 400\nlogfile_max_num: 3\n")
	p := start(t, "-c", conf)
	eventually(t, "ready", func() bool { // a signal before that ends the process
		files, _ := filepath.Glob(path + "*")
		for _, name := range files {
			if b, _ := os.ReadFile(name); strings.Contains(string(b), "Server is ready") {
				return true
			}
		}
		return false
	})
	eventually(t, "purged", func() bool {
		p.signal(syscall.SIGUSR1)
		b, _ := os.ReadFile(path)
		return strings.Contains(string(b), "Purged log file")
	})
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if files, _ := filepath.Glob(path + "*"); len(files) != 3 {
		t.Errorf("want 3 files, got %q", files)
	}
}

func TestLameDuck(t *testing.T) {
	conf := writeFile(t, "ld.conf", "listen: \"127.0.0.1:-1\"\nlame_duck_duration: \"30s\"\nlame_duck_grace_period: \"100ms\"\n")
	p := start(t, "-c", conf)
	url := p.ready()
	lame := make(chan struct{})
	nc, err := nats.Connect(url, nats.NoReconnect(), nats.LameDuckModeHandler(func(*nats.Conn) { close(lame) }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.RTT(); err != nil {
		t.Fatal(err)
	}
	closed := nc.StatusChanged(nats.CLOSED)
	p.signal(syscall.SIGUSR2)
	p.expect(`Entering lame duck mode, stop accepting new clients$`)
	select {
	case <-lame:
	case <-time.After(patience):
		t.Fatal("the client heard nothing")
	}
	if c, err := net.Dial("tcp", strings.TrimPrefix(url, "nats://")); err == nil {
		t.Error("still accepting")
		c.Close()
	}
	p.signal(syscall.SIGTERM)
	p.expect(`Trapped "terminated" signal$`)
	select {
	case <-closed:
	case <-time.After(patience):
		t.Fatal("the client was not closed")
	}
	p.expect(`Initiating Shutdown`)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestLameDuckWithoutClients(t *testing.T) {
	p := start(t, "-a", "127.0.0.1", "-p", "-1")
	p.ready()
	p.signal(syscall.SIGUSR2)
	p.expect(`Entering lame duck mode`)
	p.expect(`Server Exiting`)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
