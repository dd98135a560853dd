package server

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"ramjet/engine"
	"ramjet/engine/config"
)

// memLog keeps lines for tests.
type memLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *memLog) Enabled(lv engine.Level) bool { return lv != engine.Trace }

func (l *memLog) Logf(lv engine.Level, id, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(&l.buf, "[%s] %s\n", levelLabels[lv], fmt.Sprintf(format, args...))
}

func (l *memLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func testServer(t *testing.T, o *config.Options) (*Server, *memLog) {
	t.Helper()
	l := &memLog{}
	if o.Host == "" {
		o.Host, o.Port = "127.0.0.1", -1
	}
	s, err := New(o, Env{Logger: l})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(l.String())
		}
	})
	return s, l
}

func TestServerLife(t *testing.T) {
	s, err := New(&config.Options{Host: "127.0.0.1", Port: -1, ServerName: "x"}, Env{Logger: &memLog{}})
	if err != nil {
		t.Fatal(err)
	}
	if ok, why := s.Ready(); ok || len(why) != 1 {
		t.Errorf("ready before the start: %v", why)
	}
	if _, err := s.InProcessConn(); err == nil {
		t.Error("in-process connection before the start")
	}
	if s.Addr() != nil || s.ClientURL() != "" {
		t.Errorf("address before the start: %v", s.Addr())
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err == nil {
		t.Error("started twice")
	}
	if ok, why := s.Ready(); !ok {
		t.Errorf("not ready: %v", why)
	}
	if s.Name() != "x" || len(s.ID()) != 56 || !strings.HasPrefix(s.ClientURL(), "nats://127.0.0.1:") {
		t.Errorf("%s %s %s", s.Name(), s.ID(), s.ClientURL())
	}
	for range 2 {
		if err := s.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.Wait()
	if ok, why := s.Ready(); ok || len(why) != 1 {
		t.Errorf("ready after the end: %v", why)
	}
	if _, err := s.InProcessConn(); err == nil {
		t.Error("in-process connection after the end")
	}
	if err := s.Reload(&config.Options{}); err == nil {
		t.Error("reload after the end")
	}
}

func TestShutdownBeforeStart(t *testing.T) {
	s, err := New(&config.Options{}, Env{Logger: &memLog{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err == nil {
		t.Error("started after shutdown")
	}
}

func TestStartError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	log := &memLog{}
	s, err := New(&config.Options{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}, Env{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err == nil || !strings.Contains(log.String(), "[FTL] Error listening on port: 127.0.0.1:") {
		t.Errorf("%v\n%s", err, log)
	}
	s.Wait()
}

func TestSeedRepeats(t *testing.T) {
	a, err := newIdentity(7)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := newIdentity(7)
	c, _ := newIdentity(8)
	d, _ := newIdentity(0)
	public := func(i identity) [2]string { return [2]string{i.id, i.xkey} }
	if public(a) != public(b) || a.seed != b.seed || public(a) == public(c) || d.id == a.id || d.seed == 0 {
		t.Errorf("%v %v %v %v", public(a), public(b), public(c), public(d))
	}
	if a.id[0] != 'N' || a.xkey[0] != 'X' || len(a.id) != 56 || len(a.xkey) != 56 {
		t.Errorf("%v", a)
	}
}

func TestReloadIsAllOrNothing(t *testing.T) {
	o := &config.Options{}
	s, l := testServer(t, o)
	before := s.Options()
	next := *o
	next.MaxPayload = 1000
	next.Port = 1
	if err := s.Reload(&next); err == nil || !strings.HasPrefix(err.Error(), "config reload not supported for Port: old=-1, new=1") {
		t.Errorf("got %v", err)
	}
	if s.Options() != before {
		t.Error("the options changed")
	}
	next.Port = -1
	next.ClientAdvertise = "example.com:99"
	if err := s.Reload(&next); err != nil {
		t.Fatal(err)
	}
	if got := s.Options().MaxPayload; got != 1000 {
		t.Errorf("max_payload %d", got)
	}
	for _, want := range []string{"Failed to reload server configuration: config reload", "Reload: client_advertise = example.com:99\n", "Reloaded: max_payload = 1000\n", "Reloaded: accounts\n", "Reloaded server configuration ("} {
		if !strings.Contains(l.String(), want) {
			t.Errorf("no line %q", want)
		}
	}
	if in := s.infos.Load().client; in.Host != "example.com" || in.Port != 99 || in.MaxPayload != 1000 {
		t.Errorf("INFO %+v", in)
	}
}

func TestEmbeddedLameDuck(t *testing.T) {
	s, _ := testServer(t, &config.Options{LameDuckDuration: 30 * time.Second, LameDuckGrace: time.Millisecond})
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.NoReconnect())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	closed := nc.StatusChanged(nats.CLOSED)
	s.LameDuck()
	<-closed
	s.Wait()
}

// TestCacheStats: the figures of /subsz follow traffic, also a little of it.
func TestCacheStats(t *testing.T) {
	s, _ := testServer(t, &config.Options{})
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	before := source{s}.CacheStats()
	if _, err := nc.SubscribeSync("a.*"); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		for _, subj := range []string{"a.1", "a.2"} {
			if err := nc.Publish(subj, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	st := source{s}.CacheStats()
	if st.Matches < before.Matches+20 || st.CacheHits < before.CacheHits+16 || st.CacheSize < before.CacheSize+2 || st.MaxFanout < 1 || st.AvgFanout <= 0 {
		t.Errorf("%+v, before %+v", st, before)
	}
}

// TestConnectRate: connect_rate holds for the client listener, and says in the log what it refused.
func TestConnectRate(t *testing.T) {
	s, log := testServer(t, &config.Options{ConnectRate: 1})
	var conns []net.Conn
	for range 50 {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	served := 0
	for _, c := range conns {
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if n, _ := c.Read(make([]byte, 4)); n == 4 {
			served++
		}
	}
	if served < 10 || served == len(conns) || !strings.Contains(log.String(), "over the rate of 1 a second") {
		t.Errorf("%d of %d served", served, len(conns))
	}
}
