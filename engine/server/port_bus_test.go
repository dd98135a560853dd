package server

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/js/host"
	"ramjet/proto/base/invariant"
)

// testBus returns the bus of shard i; the caller is its goroutine.
func testBus(s *Server, i int) *bus {
	return newBus(s.buses, s.linkEnv.Load(), engine.LoopID(len(s.group.Loops())+i), 7)
}

func connect(t testing.TB, s *Server, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(s.ClientURL(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// collect subscribes and returns what arrives.
func collect(t testing.TB, nc *nats.Conn, subject, queue string) <-chan *nats.Msg {
	t.Helper()
	ch := make(chan *nats.Msg, 10000)
	var err error
	if queue == "" {
		_, err = nc.ChanSubscribe(subject, ch)
	} else {
		_, err = nc.ChanQueueSubscribe(subject, queue, ch)
	}
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func await[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came")
	}
	panic("unreachable")
}

func TestBusDeliver(t *testing.T) {
	s, _ := testServer(t, &config.Options{})
	nc := connect(t, s)
	in, shown := collect(t, nc, "inbox.>", ""), collect(t, nc, "orders.*", "")
	b := testBus(s, 0)
	hdr := []byte("NATS/1.0\r\nA: b\r\n\r\n")
	for i := range 3 {
		if !b.Deliver("$G", []byte("inbox.1"), []byte("orders.new"), fmt.Append(nil, "$JS.ACK.", i), hdr, []byte("hi")) {
			t.Fatal("nobody listens")
		}
	}
	if b.Deliver("$G", []byte("inbox"), []byte("orders.new"), nil, nil, nil) || b.Deliver("nobody", []byte("inbox.1"), nil, nil, nil, nil) {
		t.Error("delivered to nobody")
	}
	b.Publish("$G", []byte("orders.x"), nil, nil, nil)
	b.Flush()
	for i := range 3 {
		m := await(t, in)
		if m.Subject != "orders.new" || m.Reply != fmt.Sprint("$JS.ACK.", i) || m.Header.Get("A") != "b" || string(m.Data) != "hi" {
			t.Fatalf("%+v", m)
		}
	}
	if m := await(t, shown); m.Subject != "orders.x" || len(shown) != 0 || len(in) != 0 {
		t.Errorf("%s, %d and %d more", m.Subject, len(shown), len(in))
	}
	c := source{s}.Counters()
	if c.OutMsgs != 4 || c.OutClientMsgs != 4 {
		t.Errorf("%d messages counted", c.OutMsgs)
	}
	if !b.Interest("$G", []byte("inbox.9")) || b.Interest("$G", []byte("inbox")) || b.Interest("nobody", []byte("inbox.9")) {
		t.Error("interest")
	}
}

// TestBusGroups: of a queue group one member gets each message.
func TestBusGroups(t *testing.T) {
	s, _ := testServer(t, &config.Options{})
	nc1, nc2 := connect(t, s), connect(t, s)
	a, b, all := collect(t, nc1, "d", "g"), collect(t, nc2, "d", "g"), collect(t, nc2, "d", "")
	bus := testBus(s, 0)
	for range 200 {
		if !bus.Deliver("$G", []byte("d"), []byte("s"), nil, nil, []byte("x")) {
			t.Fatal("nobody")
		}
	}
	bus.Flush()
	for range 200 {
		await(t, all)
	}
	for n := 0; n < 200; n++ {
		select {
		case <-a:
		case <-b:
		case <-time.After(10 * time.Second):
			t.Fatalf("%d of 200", n)
		}
	}
	if err := nc1.Flush(); err != nil || len(a)+len(b) > 0 {
		t.Errorf("%v, %d more", err, len(a)+len(b))
	}
}

// TestBusPermissions: what a subscriber may not receive is judged by the subject it listens on.
func TestBusPermissions(t *testing.T) {
	o := &config.Options{}
	o.Auth.Users = []*config.User{{Name: "u", Pass: "p", Perms: &config.Permissions{Subscribe: &config.SubjectPerm{Allow: []string{">"}, Deny: []string{"in.no"}}}}}
	s, _ := testServer(t, o)
	in := collect(t, connect(t, s, nats.UserInfo("u", "p")), "in.*", "")
	b := testBus(s, 0)
	if b.Deliver("$G", []byte("in.no"), []byte("s"), nil, nil, nil) {
		t.Error("delivered what is denied")
	}
	if !b.Deliver("$G", []byte("in.yes"), []byte("in.no"), nil, nil, nil) {
		t.Error("not delivered")
	}
	b.Flush()
	if m := await(t, in); m.Subject != "in.no" {
		t.Errorf("%+v", m)
	}
}

// box keeps copies of what it is given.
type box struct {
	mu  sync.Mutex
	got []string
	n   atomic.Int64
	on  func(m *host.Msg)
	ch  chan struct{}

	verdict host.Verdict
}

func (b *box) Deliver(m *host.Msg) host.Verdict {
	if b.ch != nil {
		b.mu.Lock()
		b.got = append(b.got, strings.Join([]string{m.Account, string(m.Subject), string(m.Reply), string(m.Header), string(m.Payload)}, "|"))
		b.mu.Unlock()
		defer func() { b.ch <- struct{}{} }()
	}
	b.n.Add(1)
	if b.on != nil {
		b.on(m)
	}
	return b.verdict
}

// listenBox makes in a receiver in the global account.
func listenBox(t testing.TB, b *bus, subject, queue string, in host.Inbox) (cancel func()) {
	t.Helper()
	cancel, err := b.Subscribe("$G", subject, queue, in)
	if err != nil {
		t.Fatal(err)
	}
	return cancel
}

func TestBusSubscribe(t *testing.T) {
	s, _ := testServer(t, &config.Options{})
	nc := connect(t, s)
	b := testBus(s, 0)
	in := &box{ch: make(chan struct{}, 10)}
	cancel := listenBox(t, b, "jobs.*", "", in)
	m := nats.NewMsg("jobs.1")
	m.Reply, m.Data = "back", []byte("work")
	m.Header.Set("K", "v")
	if err := nc.PublishMsg(m); err != nil {
		t.Fatal(err)
	}
	await(t, in.ch)
	if in.got[0] != "$G|jobs.1|back|NATS/1.0\r\nK: v\r\n\r\n|work" {
		t.Errorf("%q", in.got)
	}
	cancel()
	cancel()
	if _, err := nc.Request("jobs.1", nil, 5*time.Second); err != nats.ErrNoResponders {
		t.Errorf("after cancel: %v", err)
	}
	if _, err := b.Subscribe("nobody", "x", "", in); err == nil {
		t.Error("subscribed in an account that is not there")
	}
	if _, err := b.Subscribe("$G", "x..y", "", in); err == nil {
		t.Error("subscribed to a bad subject")
	}
}

// TestBusNested: a receiver that publishes on the same goroutine does not disturb the message it was given.
func TestBusNested(t *testing.T) {
	s, _ := testServer(t, &config.Options{})
	b := testBus(s, 0)
	inner := &box{ch: make(chan struct{}, 10)}
	outer := &box{ch: make(chan struct{}, 10)}
	outer.on = func(m *host.Msg) {
		b.Publish("$G", []byte("inner"), []byte("r2"), nil, []byte("two"))
		if string(m.Subject) != "outer" || string(m.Payload) != "one" {
			t.Errorf("%q %q", m.Subject, m.Payload)
		}
	}
	listenBox(t, b, "inner", "", inner)
	listenBox(t, b, "outer", "", outer)
	last := &box{ch: make(chan struct{}, 10)}
	listenBox(t, b, "outer", "", last)
	b.Publish("$G", []byte("outer"), []byte("r"), nil, []byte("one"))
	if inner.got[0] != "$G|inner|r2||two" || last.got[0] != "$G|outer|r||one" {
		t.Errorf("%q %q", inner.got, last.got)
	}
}

// TestBusVerdicts: an inbox that refuses is as one that is not there; one that is busy slows its publishers down.
func TestBusVerdicts(t *testing.T) {
	s, _ := testServer(t, &config.Options{})
	nc := connect(t, s)
	b := testBus(s, 0)
	no, yes := &box{verdict: host.NotOne}, &box{}
	listenBox(t, b, "q", "g", no)
	if _, err := nc.Request("q", nil, 5*time.Second); err != nats.ErrNoResponders {
		t.Errorf("refused by all: %v", err)
	}
	listenBox(t, b, "q", "g", yes)
	for range 50 {
		b.Publish("$G", []byte("q"), nil, nil, nil)
	}
	if n := yes.n.Load(); n != 50 {
		t.Errorf("%d of 50 came to the other member", n)
	}
	full := &box{verdict: host.Busy}
	listenBox(t, b, "full", "", full)
	if err := nc.Publish("full", nil); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil || full.n.Load() != 1 {
		t.Fatal(err, full.n.Load())
	}
	if n := (source{s}).Counters().Stalled; n != 1 {
		t.Errorf("%d stalls", n)
	}
}

func TestBusWatch(t *testing.T) {
	s, _ := testServer(t, &config.Options{})
	nc := connect(t, s)
	var mu sync.Mutex
	var told, group []bool
	note := func(l *[]bool) func(bool) {
		return func(on bool) {
			mu.Lock()
			defer mu.Unlock()
			*l = append(*l, on)
		}
	}
	b := testBus(s, 0)
	cancel := b.Watch("$G", "push.me", "", note(&told))
	stop := b.Watch("$G", "push.me", "g", note(&group))
	step := func(what, want string, do func() (*nats.Subscription, error)) *nats.Subscription {
		t.Helper()
		sub, err := do()
		if err == nil {
			err = nc.Flush()
		}
		mu.Lock()
		defer mu.Unlock()
		if got := fmt.Sprint(told, group); err != nil || got != want {
			t.Fatalf("%s: %s, want %s (%v)", what, got, want, err)
		}
		return sub
	}
	on := func(subj, queue string) func() (*nats.Subscription, error) {
		return func() (*nats.Subscription, error) {
			return nc.QueueSubscribe(subj, queue, func(*nats.Msg) {})
		}
	}
	off := func(sub *nats.Subscription) func() (*nats.Subscription, error) {
		return func() (*nats.Subscription, error) { return sub, sub.Unsubscribe() }
	}
	step("nothing", "[false] [false]", on("push.other", ""))
	a := step("plain", "[false true] [false]", on("push.me", ""))
	w := step("wildcard", "[false true] [false]", on("*.me", ""))
	step("plain gone", "[false true false] [false]", off(a))
	step("wildcard gone", "[false true false] [false]", off(w))
	step("other group", "[false true false] [false]", on("push.me", "h"))
	step("wildcard in the group", "[false true false] [false]", on("push.>", "g"))
	g := step("group", "[false true false] [false true]", on("push.me", "g"))
	step("group gone", "[false true false] [false true false]", off(g))
	leave := listenBox(t, b, "push.me", "", &box{})
	step("JetStream itself", "[false true false true] [false true false]", on("push.other", ""))
	leave()
	cancel()
	step("canceled", "[false true false true false] [false true false true]", on("push.me", "g"))
	step("canceled", "[false true false true false] [false true false true]", on("push.me", ""))
	stop()
	if n := len(s.buses.watches.accounts); n != 0 {
		t.Errorf("%d accounts are watched", n)
	}
	b.Watch("nobody", "x", "", func(on bool) {
		if on {
			t.Error("interest in an account that is not there")
		}
	})()
}

// TestBusSlow: a subscriber that does not read is closed at max_pending, and costs no more than that.
func TestBusSlow(t *testing.T) {
	s, l := testServer(t, &config.Options{MaxPending: 1 << 20})
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "CONNECT {\"verbose\":false}\r\nSUB in 1\r\nPING\r\n"); err != nil {
		t.Fatal(err)
	}
	readUntil(t, c, "PONG\r\n")
	b := testBus(s, 0)
	payload := make([]byte, 10_000)
	sent := 0
	for ; b.Deliver("$G", []byte("in"), []byte("s"), nil, nil, payload); sent++ {
		if sent%10 == 9 {
			b.Flush()
		}
		if sent > 5000 {
			t.Fatal("no end")
		}
	}
	b.Flush()
	if sent < 100 {
		t.Errorf("closed after %d messages", sent)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := (source{s}).Counters().SlowConsumers; n != 1 || !strings.Contains(l.String(), "Slow Consumer Detected: MaxPending") {
		t.Errorf("%d slow consumers", n)
	}
}

func readUntil(t testing.TB, c net.Conn, end string) {
	t.Helper()
	var got bytes.Buffer
	buf := make([]byte, 4096)
	for !bytes.HasSuffix(got.Bytes(), []byte(end)) {
		n, err := c.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			t.Fatalf("%v after %q", err, got.String())
		}
	}
}

// discard reads a subscriber's connection until the end.
func discard(t testing.TB, s *Server, sub string) {
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := fmt.Fprintf(c, "CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB %s 1\r\nPING\r\n", sub); err != nil {
		t.Fatal(err)
	}
	readUntil(t, c, "PONG\r\n")
	go io.Copy(io.Discard, c)
}

// deliverTurns delivers n messages in turns of 100, as fast as they are read.
func deliverTurns(t testing.TB, b *bus, n int, payload []byte) {
	var out *netio.Outbox
	b.s.registry.Range(engine.Client, func(c *link.Conn) bool { out = c.Out(); return false })
	acc, to, subj, reply := "$G", []byte("inbox.1"), []byte("orders.new"), []byte("$JS.ACK.ORDERS.c.1.22.22.1700000000000000000.0")
	for i := range n {
		if !b.Deliver(acc, to, subj, reply, nil, payload) {
			t.Fatal("the subscriber is gone")
		}
		if i%100 == 99 {
			b.Flush()
			for out.Pending() > 4<<20 {
				runtime.Gosched()
			}
		}
	}
}

func TestBusNoAlloc(t *testing.T) {
	if invariant.On {
		t.Skip("assertions allocate")
	}
	s, _ := testServer(t, &config.Options{})
	discard(t, s, "inbox.*")
	b := testBus(s, 0)
	payload := make([]byte, 128)
	deliverTurns(t, b, 2000, payload)
	if n := testing.AllocsPerRun(20, func() { deliverTurns(t, b, 1000, payload) }); n > 20 { // others in the process allocate too
		t.Errorf("%v allocations for 1000 deliveries", n)
	}
	in := &box{}
	listenBox(t, b, "js.*", "", in)
	subj := []byte("js.1")
	if n := testing.AllocsPerRun(200, func() { b.Publish("$G", subj, nil, nil, payload) }); n != 0 {
		t.Errorf("%v allocations for a message to an inbox", n)
	}
}

func BenchmarkBusDeliver(bm *testing.B) {
	for _, size := range []int{128, 1024} {
		bm.Run(fmt.Sprint(size), func(bm *testing.B) {
			s, err := New(&config.Options{Host: "127.0.0.1", Port: -1}, Env{Logger: &memLog{}})
			if err == nil {
				err = s.Start()
			}
			if err != nil {
				bm.Fatal(err)
			}
			defer s.Shutdown(bm.Context())
			discard(bm, s, "inbox.*")
			b := testBus(s, 0)
			payload := make([]byte, size)
			bm.ReportAllocs()
			bm.ResetTimer()
			deliverTurns(bm, b, bm.N, payload)
		})
	}
}

func BenchmarkBusInbox(bm *testing.B) {
	s, err := New(&config.Options{Host: "127.0.0.1", Port: -1}, Env{Logger: &memLog{}})
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		bm.Fatal(err)
	}
	defer s.Shutdown(bm.Context())
	b := testBus(s, 0)
	in := &box{}
	listenBox(bm, b, "js.*", "", in)
	subj, payload := []byte("js.1"), make([]byte, 128)
	bm.ReportAllocs()
	for bm.Loop() {
		b.Publish("$G", subj, nil, nil, payload)
	}
}
