package client

import (
	"embed"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ramjet/engine/config"
)

//go:embed testdata/*.txt
var scripts embed.FS

// profile is a configuration of a script: for Ramjet, and the same as nats-server configuration.
type profile struct {
	set  func(*config.Options)
	conf string
}

func sampleUsers(o *config.Options) {
	o.Auth.Users = []*config.User{
		{Name: "all", Pass: "p"},
		{Name: "all2", Pass: "p"},
		{Name: "some", Pass: "p", Perms: &config.Permissions{
			Publish:   &config.SubjectPerm{Allow: []string{"foo", "_GR_.>"}},
			Subscribe: &config.SubjectPerm{Allow: []string{"foo.>", "bar"}, Deny: []string{"foo.x"}},
		}},
		{Name: "resp", Pass: "p", Perms: &config.Permissions{
			Subscribe: &config.SubjectPerm{Allow: []string{">"}},
			Responses: &config.ResponsePerm{MaxMsgs: 1, Expires: 2 * time.Minute},
		}},
	}
}

const confUsers = `authorization { users: [ {user: all, password: p}, {user: all2, password: p},
  {user: some, password: p, permissions: {publish: {allow: ["foo","_GR_.>"]}, subscribe: {allow: ["foo.>","bar"], deny: "foo.x"}}},
  {user: resp, password: p, permissions: {subscribe: ">", allow_responses: true}} ] }
`

var profiles = map[string]profile{
	"plain": {nil, ""},
	"users": {sampleUsers, confUsers},
	"noauth": {func(o *config.Options) { sampleUsers(o); o.NoAuthUser = "all" },
		confUsers + "no_auth_user: all\n"},
	"small": {func(o *config.Options) { o.MaxPayload, o.MaxSubs, o.MaxConn = 100, 2, 2 },
		"max_payload: 100\nmax_subs: 2\nmax_connections: 2\n"},
	"tokens": {func(o *config.Options) { o.MaxSubTokens = 3 }, "max_sub_tokens: 3\n"},
	"quick": {func(o *config.Options) { sampleUsers(o); o.Auth.Timeout = 150 * time.Millisecond },
		strings.Replace(confUsers, "{ users", "{ timeout: 0.15, users", 1)},
	"pings": {func(o *config.Options) { o.PingInterval, o.PingMax = 60*time.Millisecond, 2 },
		"ping_interval: \"60ms\"\nping_max: 2\n"},
}

// TestScripts runs testdata/*.txt, one file per section of reference/protocol.md. With RAMJET_PEER set
// to a nats-server binary the same scripts run against that server: they are facts about it.
func TestScripts(t *testing.T) {
	files, err := scripts.ReadDir("testdata")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := scripts.ReadFile("testdata/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(f.Name(), ".txt"), func(t *testing.T) {
			for _, sc := range strings.Split("\n"+string(text), "\n== ")[1:] {
				head, body, _ := strings.Cut(sc, "\n")
				name, prof, ok := cutLast(head, " : ")
				p, known := profiles[prof]
				if !ok || !known {
					t.Fatalf("scenario %q: no such profile", head)
				}
				t.Run(name, func(t *testing.T) {
					r := &runner{t: t, dial: start(t, p), peers: map[string]*peer{}}
					for i, line := range strings.Split(body, "\n") {
						r.step(fmt.Sprintf("%s line %d", name, i+1), line)
					}
				})
			}
		})
	}
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// start runs a server with profile p and returns how to connect to it.
func start(t *testing.T, p profile) func() *peer {
	bin := os.Getenv("RAMJET_PEER")
	if bin == "" {
		w := newWorld(t, p.set)
		t.Cleanup(func() {
			if t.Failed() {
				t.Log(w.log)
			}
		})
		return w.dial
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "peer.conf")
	text := "listen: \"127.0.0.1:-1\"\nports_file_dir: " + strconv.Quote(dir) + "\n" + p.conf
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "-c", conf)
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	addr := ""
	buf := make([]byte, 64<<10)
	all := ""
	for addr == "" {
		n, err := pipe.Read(buf)
		if err != nil {
			t.Fatalf("the peer ended: %v\n%s", err, all)
		}
		all += string(buf[:n])
		if strings.Contains(all, "Server is ready") {
			_, rest, _ := strings.Cut(all, "Listening for client connections on ")
			addr, _, _ = strings.Cut(rest, "\n")
		}
	}
	go io.Copy(io.Discard, pipe)
	if _, _, err := net.SplitHostPort(strings.TrimSpace(addr)); err != nil {
		t.Fatal(err)
	}
	return func() *peer { return dialAddr(t, strings.TrimSpace(addr)) }
}

// runner executes the lines of one scenario.
type runner struct {
	t     *testing.T
	dial  func() *peer
	peers map[string]*peer
}

// unescape interprets \r and \n.
var unescape = strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\t`, "\t")

func (r *runner) step(where, line string) {
	r.t.Helper()
	if line == "" || strings.HasPrefix(line, "#") {
		return
	}
	if name, ok := strings.CutPrefix(line, "open! "); ok {
		r.open(where, name)
		return
	}
	if name, ok := strings.CutPrefix(line, "open "); ok {
		r.open(where, name).info()
		return
	}
	name, rest, _ := strings.Cut(line, " ")
	verb, arg, _ := strings.Cut(rest, " ")
	p := r.peers[name]
	if p == nil {
		r.t.Fatalf("%s: no connection %q", where, name)
	}
	p.name = where
	switch verb {
	case ">":
		p.send(unescape.Replace(arg) + "\r\n")
	case ">>":
		p.send(unescape.Replace(arg))
	case "<":
		p.want(unescape.Replace(arg) + "\r\n")
	case "eof":
		p.eof()
	case "sync":
		p.sync()
	case "info":
		checkInfo(r.t, where, p.info(), arg)
	case "split":
		for _, b := range []byte(unescape.Replace(arg)) {
			p.send(string(b))
		}
		p.send("\r\n")
	case "fill", "fill+": // <prefix> <n>: n bytes of argument; + leaves the line open
		prefix, n, _ := strings.Cut(arg, " ")
		count, err := strconv.Atoi(n)
		if err != nil {
			r.t.Fatalf("%s: %v", where, err)
		}
		text := strings.Repeat("a", count)
		if prefix != "payload" {
			text = prefix + " " + text
		}
		if verb == "fill" {
			text += "\r\n"
		}
		p.send(text)
	default:
		r.t.Fatalf("%s: unknown step %q", where, line)
	}
}

func (r *runner) open(where, name string) *peer {
	p := r.dial()
	p.name = where
	r.peers[name] = p
	return p
}

// checkInfo compares fields of an INFO with "key=json" or "key=absent".
func checkInfo(t *testing.T, where string, info map[string]any, want string) {
	t.Helper()
	for _, f := range strings.Fields(want) {
		k, v, _ := strings.Cut(f, "=")
		got, ok := info[k]
		if v == "absent" {
			if ok {
				t.Errorf("%s: %s is %v, want it absent", where, k, got)
			}
			continue
		}
		if s, isString := got.(string); isString {
			got = strconv.Quote(s)
		}
		if fmt.Sprint(got) != v {
			t.Errorf("%s: %s is %v, want %s", where, k, got, v)
		}
	}
}
