//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// rig is a running server with client, websocket and monitoring listeners, and two accounts.
type rig struct {
	*proc
	url, client, ws, http string
}

const rigConfig = `
listen: "127.0.0.1:-1"
http: "127.0.0.1:-1"
websocket { listen: "127.0.0.1:-1", no_tls: true }
accounts {
  $SYS { users: [ {user: sys, password: sys} ] }
  APP { users: [ {user: app, password: app} ] }
}
`

// login is what a raw client of account APP says first.
const login = `CONNECT {"verbose":false,"pedantic":false,"user":"app","pass":"app","lang":"raw","version":"1","protocol":1,"headers":true}` + "\r\n"

func startRig(t *testing.T, extra string, args ...string) *rig {
	t.Helper()
	return startRigFile(t, writeFile(t, "rig.conf", rigConfig+extra), args...)
}

func startRigFile(t *testing.T, path string, args ...string) *rig {
	t.Helper()
	r := &rig{proc: start(t, append([]string{"-c", path}, args...)...)}
	r.http = r.expect(`Starting http monitor on (\S+)$`)[1]
	r.ws = strings.TrimPrefix(r.expect(`Listening for websocket clients on (\S+)$`)[1], "ws://")
	r.client = r.expect(`Listening for client connections on (\S+)$`)[1]
	r.expect(`Server is ready$`)
	r.url = "nats://app:app@" + r.client
	return r
}

var monitorClient = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}

// get returns status and body of a monitoring page.
func (r *rig) get(page string) (int, string) {
	r.t.Helper()
	resp, err := monitorClient.Get("http://" + r.http + page)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// page decodes a monitoring page.
func (r *rig) page(page string, into any) {
	r.t.Helper()
	code, body := r.get(page)
	if err := json.Unmarshal([]byte(body), into); code != http.StatusOK || err != nil {
		r.t.Fatalf("%s: %d %v %.200s", page, code, err, body)
	}
}

// metric returns the value of a series without labels.
func (r *rig) metric(name string) float64 { r.t.Helper(); return r.series(name, "") }

// series returns the value of a series with its labels as they are printed.
func (r *rig) series(name, labels string) float64 {
	r.t.Helper()
	_, body := r.get("/metrics")
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name+labels) + ` (\S+)$`).FindStringSubmatch(body)
	if m == nil {
		r.t.Fatalf("no metric %s", name)
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

type varz struct {
	Connections   int    `json:"connections"`
	Subscriptions int    `json:"subscriptions"`
	SlowConsumers int    `json:"slow_consumers"`
	Mem           int64  `json:"mem"`
	Name          string `json:"server_name"`
	SlowStats     struct {
		Clients int `json:"clients"`
	} `json:"slow_consumer_stats"`
}

func (r *rig) varz() (v varz) {
	r.t.Helper()
	r.page("/varz", &v)
	return v
}

// status reads a memory figure of /proc/PID/status in bytes.
func (r *rig) status(key string) int64 {
	r.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	if err != nil {
		r.t.Fatal(err)
	}
	m := regexp.MustCompile(key + `:\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		r.t.Fatalf("no %s: the process has ended", key)
	}
	n, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return n << 10
}

func (r *rig) rss() int64  { r.t.Helper(); return r.status("VmRSS") }
func (r *rig) peak() int64 { r.t.Helper(); return r.status("VmHWM") }

func (r *rig) fds() int {
	r.t.Helper()
	e, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.cmd.Process.Pid))
	if err != nil {
		r.t.Fatal(err)
	}
	return len(e)
}

// unharmed fails if the process had to contain a bug, or has ended.
func (r *rig) unharmed() {
	r.t.Helper()
	if n := r.metric("ramjet_panics_total"); n != 0 {
		r.t.Errorf("%v panics were contained", n)
	}
	r.never(`panic|fatal error`)
}

// live is request and reply on two connections of its own, that nothing may disturb.
type live struct {
	t            *testing.T
	a, b         *nats.Conn
	ending       atomic.Bool
	failed, lost atomic.Int64
	stop, done   chan struct{}
	took         []time.Duration // of the goroutine until done
}

func startLive(r *rig) *live {
	r.t.Helper()
	l := &live{t: r.t, stop: make(chan struct{}), done: make(chan struct{})}
	connect := func() *nats.Conn {
		nc, err := nats.Connect(r.url, nats.Name("live"), nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) {
			if !l.ending.Load() {
				l.lost.Add(1)
			}
		}))
		if err != nil {
			r.t.Fatal(err)
		}
		return nc
	}
	l.a, l.b = connect(), connect()
	if _, err := l.b.Subscribe("live.echo", func(m *nats.Msg) { _ = m.Respond(m.Data) }); err != nil {
		r.t.Fatal(err)
	}
	if err := l.b.Flush(); err != nil {
		r.t.Fatal(err)
	}
	first := make(chan struct{})
	go l.run(first)
	<-first
	r.t.Cleanup(l.end)
	return l
}

func (l *live) run(first chan struct{}) {
	defer close(l.done)
	tick := time.NewTicker(4 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		begin := time.Now()
		if _, err := l.a.Request("live.echo", []byte("0123456789"), patience); err != nil {
			l.failed.Add(1)
		}
		l.took = append(l.took, time.Since(begin))
		if i == 0 {
			close(first)
		}
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
	}
}

// end stops the traffic; it had to go on without a failure.
func (l *live) end() {
	l.t.Helper()
	if l.ending.Swap(true) {
		return
	}
	close(l.stop)
	<-l.done
	if f, d := l.failed.Load(), l.lost.Load(); f != 0 || d != 0 {
		l.t.Errorf("live traffic: %d requests failed, %d connections were lost (%v, %v)", f, d, l.a.LastError(), l.b.LastError())
	}
	l.a.Close()
	l.b.Close()
	slices.Sort(l.took)
	at := func(q float64) time.Duration { return l.took[int(q*float64(len(l.took)-1))] }
	l.t.Logf("live traffic: %d requests, p50 %v, p99 %v, max %v", len(l.took), at(.5), at(.99), at(1))
}

// peer is a client without a library: it reads only when asked to.
type peer struct {
	net.Conn
	in *bufio.Reader
}

func dialPeer(addr string) (*peer, error) {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	return &peer{c, bufio.NewReaderSize(c, 1024)}, nil
}

// joinPeer dials, logs in, sends commands and waits for the PONG that answers the last of them.
func joinPeer(addr, commands string) (*peer, error) {
	p, err := dialPeer(addr)
	if err != nil {
		return nil, err
	}
	if err = p.sync(login + commands); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// sync sends commands and a PING, and reads up to the PONG.
func (p *peer) sync(commands string) error {
	_ = p.SetDeadline(time.Now().Add(patience))
	defer func() { _ = p.SetDeadline(time.Time{}) }()
	if _, err := io.WriteString(p, commands+"PING\r\n"); err != nil {
		return err
	}
	for {
		line, err := p.in.ReadSlice('\n')
		switch {
		case err != nil:
			return err
		case bytes.HasPrefix(line, []byte("-ERR")):
			return fmt.Errorf("%s", line)
		case string(line) == "PONG\r\n":
			return nil
		}
	}
}
