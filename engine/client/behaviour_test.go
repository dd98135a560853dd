package client

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/sysapi"
)

// conns returns the open clients in the order of their ids.
func (w *world) conns() []*link.Conn {
	var all []*link.Conn
	w.env.Registry.Range(engine.Client, func(c *link.Conn) bool {
		all = append(all, c)
		return true
	})
	for i := range all {
		for j := range i {
			if all[i].ID() < all[j].ID() {
				all[i], all[j] = all[j], all[i]
			}
		}
	}
	return all
}

// eventually waits for ok, asking again after each log line and each millisecond.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			w.t.Fatalf("%s: did not happen\n%s", what, w.log)
		}
	}
}

// TestAuthOrder: while a password is being hashed nothing of the connection is handled, and what
// follows is handled in order.
func TestAuthOrder(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), 8)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(o *config.Options) {
		o.Auth.Users = []*config.User{{Name: "u", Pass: string(hash)}}
	})
	p := w.dial()
	p.info()
	// one write: CONNECT, operations, a cut one
	p.send(`CONNECT {"verbose":false,"user":"u","pass":"secret"}` + "\r\nSUB foo 1\r\nPUB foo 1\r\na\r\nPUB foo 1\r\nb\r\nPI")
	p.send("NG\r\n")
	p.want("MSG foo 1 1\r\na\r\nMSG foo 1 1\r\nb\r\nPONG\r\n")

	q := w.dial()
	q.info()
	q.send(`CONNECT {"verbose":false,"user":"u","pass":"wrong"}` + "\r\nSUB foo 1\r\nPING\r\n")
	q.want("-ERR 'Authorization Violation'\r\n")
	q.eof()
	w.log.wait(t, `authentication error - User "u"`)
	w.log.wait(t, "Client connection closed: Authentication Failure")
}

// TestCutAnywhere: however the bytes of a session are cut, the answer is the same.
func TestCutAnywhere(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t, nil)
	big := strings.Repeat("0123456789", 30_000)
	session := "SUB foo 1\r\nPUB foo bar 5\r\nhello\r\nHPUB foo 12 14\r\nNATS/1.0\r\n\r\nhi\r\n" +
		fmt.Sprintf("PUB foo %d\r\n%s\r\n", len(big), big) + "SUB .. 2\r\nUNSUB 1\r\nPUB foo 0\r\n\r\nPING\r\n"
	want := "MSG foo 1 bar 5\r\nhello\r\nHMSG foo 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n" +
		fmt.Sprintf("MSG foo 1 %d\r\n%s\r\n", len(big), big) + "-ERR 'Invalid Subject'\r\nPONG\r\n"
	for round := range 20 {
		p := w.dial().connect(`"headers":true`)
		go func() {
			rest := session
			for len(rest) > 0 {
				n := 1 + r.IntN(20)
				if round%2 == 0 {
					n = 1 + r.IntN(70_000)
				}
				if len(rest) > 1000 && n < 1000 && len(rest) < len(session)-200 {
					n = 20_000
				}
				n = min(n, len(rest))
				p.c.Write([]byte(rest[:n]))
				rest = rest[n:]
			}
		}()
		p.want(want)
		p.c.Close()
	}
}

// TestLargeByReference: a payload that arrives in one piece in its own frame reaches all subscribers.
func TestLargeByReference(t *testing.T) {
	w := newWorld(t, nil)
	payload := bytes.Repeat([]byte("abcdefgh"), 100_000)
	var subs []*peer
	for range 5 {
		s := w.dial().connect("")
		s.send("SUB big 1\r\n")
		s.sync()
		subs = append(subs, s)
	}
	a := w.dial().connect("")
	var wg sync.WaitGroup
	for _, s := range subs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 5 {
				s.want(fmt.Sprintf("MSG big 1 %d\r\n%s\r\n", len(payload), payload))
			}
		}()
	}
	for range 5 {
		a.send(fmt.Sprintf("PUB big %d\r\n%s\r\n", len(payload), payload))
	}
	wg.Wait()
	s := w.env.Sum()
	if s.InMsgs != 5 || s.OutMsgs != 25 || s.OutBytes != 25*int64(len(payload)) {
		t.Errorf("%+v", s)
	}
}

// TestCounters: what connz shows of a connection, open and closed.
func TestCounters(t *testing.T) {
	w := newWorld(t, func(o *config.Options) { sampleUsers(o) })
	b := w.dial().connect(`"user":"all","pass":"p","name":"me","lang":"go","version":"1.2"`)
	b.send("SUB foo 1\r\nUNSUB 1 10\r\nSUB bar q 2\r\n")
	b.sync()
	a := w.dial().connect(`"user":"all","pass":"p"`)
	a.send("PUB foo 5\r\nhello\r\nPUB foo 3\r\nabc\r\nPUB none 1\r\nx\r\n")
	a.sync()
	b.want("MSG foo 1 5\r\nhello\r\nMSG foo 1 3\r\nabc\r\n")
	c := w.conns()
	var in, out sysapi.ConnInfo
	w.eventually("counters", func() bool {
		c[1].Snapshot(&in, w.env.Clock.Now(), true)
		c[0].Snapshot(&out, w.env.Clock.Now(), true)
		return in.InMsgs == 3 && out.OutMsgs == 2
	})
	if in.InBytes != 9 || in.OutMsgs != 0 || out.OutBytes != 8 || out.InMsgs != 0 {
		t.Errorf("%+v\n%+v", in, out)
	}
	if out.Name != "me" || out.Lang != "go" || out.Version != "1.2" || out.AuthorizedUser != "all" || out.Account != "$G" ||
		out.NumSubs != 2 || out.IP != "127.0.0.1" || out.Port == 0 || out.Type != "nats" || out.Kind != "Client" {
		t.Errorf("%+v", out)
	}
	subs := map[string]sysapi.SubDetail{}
	c[0].Subs(patience, func(d *sysapi.SubDetail) { subs[d.Sid] = *d })
	if s := subs["1"]; s.Subject != "foo" || s.Msgs != 2 || s.Max != 10 || s.Account != "$G" || s.Cid != c[0].ID() {
		t.Errorf("%+v", s)
	}
	if s := subs["2"]; s.Queue != "q" {
		t.Errorf("%+v", s)
	}
	if got, want := c[0].Label(), fmt.Sprintf(`%s - cid:%d - "v1.2:go:me" - "$G/user:all"`, b.c.LocalAddr(), c[0].ID()); got != want {
		t.Errorf("label %s, want %s", got, want)
	}
	b.c.Close()
	w.log.wait(t, "Client connection closed: Client Closed")
	w.eventually("closed", func() bool { return w.env.Registry.NumClosed() == 1 })
	w.env.Registry.Closed(func(i *sysapi.ConnInfo, acct string) bool {
		if i.Cid != out.Cid || i.Reason != "Client Closed" || acct != "$G" || i.OutMsgs != 2 || i.NumSubs != 2 ||
			i.Stop == nil || len(i.SubsDetail) != 2 || i.Name != "me" {
			t.Errorf("%+v", i)
		}
		return true
	})
	if n := w.env.Registry.Count(engine.Client); n != 1 {
		t.Errorf("%d open", n)
	}
	if w.env.Registry.Total() != 2 {
		t.Errorf("%d in all", w.env.Registry.Total())
	}
	if clients, _ := w.reg.Global().Conns(); clients != 1 {
		t.Errorf("%d in the account", clients)
	}
	w.eventually("interest gone", func() bool { return w.reg.Global().Index().Count() == 0 })
}

// TestAutoUnsubManyPublishers: exactly max messages are delivered however many loops publish.
func TestAutoUnsubManyPublishers(t *testing.T) {
	w := newWorld(t, nil)
	s := w.dial().connect("")
	const limit = 500
	s.send(fmt.Sprintf("SUB foo 1\r\nUNSUB 1 %d\r\n", limit))
	s.sync()
	var wg sync.WaitGroup
	for range 4 {
		p := w.dial().connect("")
		wg.Add(1)
		go func() {
			defer wg.Done()
			p.send(strings.Repeat("PUB foo 1\r\nx\r\n", limit))
			p.sync()
		}()
	}
	wg.Wait()
	s.want(strings.Repeat("MSG foo 1 1\r\nx\r\n", limit))
	s.sync()
	w.eventually("subscription gone", func() bool {
		return w.conns()[0].NumSubs() == 0 && w.reg.Global().Index().Count() == 0
	})
}

// TestSlowConsumer: who reads nothing is cut at max_pending, without -ERR, and the others go on.
func TestSlowConsumer(t *testing.T) {
	w := newWorld(t, func(o *config.Options) { o.MaxPending = 1 << 20 })
	slow := w.dial().connect("")
	slow.send("SUB foo 1\r\n")
	slow.sync()
	pub := w.dial().connect("")
	msg := "PUB foo 60000\r\n" + strings.Repeat("x", 60000) + "\r\n"
	for range 2000 {
		if w.env.Sum().SlowConsumers > 0 {
			break
		}
		pub.send(msg)
	}
	w.log.wait(t, "Slow Consumer Detected: MaxPending of 1048576 Exceeded")
	w.log.wait(t, "Client connection closed: Slow Consumer (Pending Bytes)")
	pub.sync()
	s := w.env.Sum()
	if s.SlowConsumers != 1 || s.SlowByKind[engine.Client] != 1 {
		t.Errorf("%+v", s)
	}
	if s.Stalled == 0 {
		t.Error("the producer was never slowed down")
	}
}

// TestReload: changed passwords close, changed permissions remove subscriptions, others stay.
func TestReload(t *testing.T) {
	w := newWorld(t, sampleUsers)
	a := w.dial().connect(`"user":"all","pass":"p"`)
	b := w.dial().connect(`"user":"all2","pass":"p"`)
	a.send("SUB foo 1\r\nSUB bar q 2\r\nSUB keep 3\r\n")
	a.sync()
	w.reload(func(o *config.Options) {
		sampleUsers(o)
		o.Auth.Users[0].Perms = &config.Permissions{Subscribe: &config.SubjectPerm{Deny: []string{"foo", "bar"}}}
		o.Auth.Users[1].Pass = "changed"
	})
	b.want("-ERR 'Authorization Violation'\r\n")
	b.eof()
	got := make([]byte, 0, 300)
	for range 2 {
		line, err := a.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, line...)
	}
	for _, want := range []string{
		"-ERR 'Permissions Violation for Subscription to \"foo\" (sid \"1\")'\r\n",
		"-ERR 'Permissions Violation for Subscription to \"bar\" using queue \"q\" (sid \"2\")'\r\n",
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
	a.send("PUB foo 1\r\nx\r\nPUB keep 1\r\ny\r\n")
	a.want("MSG keep 3 1\r\ny\r\n")
	a.sync()
}

// TestLameDuck: INFO with ldm first, then everybody is closed and done is called.
func TestLameDuck(t *testing.T) {
	w := newWorld(t, nil)
	a := w.dial()
	a.info()
	a.send("CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n")
	a.want("PONG\r\n")
	a.info()
	b := w.dial().connect("") // protocol 0
	w.ldm.Store(true)
	done := make(chan struct{})
	w.svc.LameDuck(20*time.Millisecond, 60*time.Millisecond, func() { close(done) })
	if in := a.info(); in["ldm"] != true {
		t.Errorf("no ldm in %v", in)
	}
	a.eof()
	b.eof()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("done was not called")
	}
	w.log.wait(t, "Client connection closed: Server Shutdown")
}

// TestAccountLimit: max_connections of an account.
func TestAccountLimit(t *testing.T) {
	w := newWorld(t, func(o *config.Options) {
		u := &config.User{Name: "u", Pass: "p", Account: "A"}
		o.Accounts = []*config.Account{{
			Name: "A", Users: []*config.User{u},
			Limits: config.AccountLimits{MaxConn: 1, MaxSubs: 2, MaxPayload: 10, MaxLeafs: -1},
		}}
	})
	a := w.dial().connect(`"user":"u","pass":"p"`)
	b := w.dial()
	b.info()
	b.send("CONNECT {\"verbose\":false,\"user\":\"u\",\"pass\":\"p\"}\r\n")
	b.want("-ERR 'maximum account active connections exceeded'\r\n")
	b.eof()
	a.send("SUB a 1\r\nSUB b 2\r\nSUB c 3\r\n")
	a.want("-ERR 'maximum subscriptions exceeded'\r\n")
	a.send("PUB a 11\r\n")
	a.want("-ERR 'Maximum Payload Violation'\r\n")
	a.eof()
	w.eventually("room again", func() bool { n, _ := w.reg.Lookup("A").Conns(); return n == 0 })
	w.dial().connect(`"user":"u","pass":"p"`)
}

// TestKick and the LDM request of one client.
func TestKickAndLameDuckOne(t *testing.T) {
	w := newWorld(t, nil)
	a := w.dial()
	a.info()
	a.send("CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n")
	a.want("PONG\r\n")
	a.info()
	id := w.conns()[0].ID()
	if !w.svc.LameDuckOne(id) {
		t.Error("not found")
	}
	if in := a.info(); in["ldm"] != true {
		t.Errorf("%v", in)
	}
	if w.svc.Kick(id+1) || w.svc.LameDuckOne(id+1) {
		t.Error("found who does not exist")
	}
	if !w.svc.Kick(id) {
		t.Error("not found")
	}
	a.eof()
	w.log.wait(t, "Client connection closed: "+netio.ReasonKicked.String())
}

// TestTrace: the lines of reference/protocol.md, section 16, without secrets.
func TestTrace(t *testing.T) {
	w := newWorld(t, nil)
	w.log.trace.Store(true)
	a := w.dial()
	a.info()
	a.send("CONNECT {\"verbose\":false,\"pass\":\"hunter2\"}\r\nSUB a 1\r\nUNSUB 1 1\r\nPUB a 2\r\nhi\r\nSUB .. 2\r\nPING\r\n")
	a.want("MSG a 1 2\r\nhi\r\n-ERR 'Invalid Subject'\r\nPONG\r\n")
	for _, want := range []string{
		`<<- [CONNECT {"verbose":false,"pass":"[REDACTED]"}]`, "<<- [SUB a 1]", "<<- [UNSUB 1 1]",
		"<<- [PUB a 2]", `<<- MSG_PAYLOAD: ["hi"]`, "->> [MSG a 1 2]", `->> MSG_PAYLOAD: ["hi"]`,
		"<-> [DELSUB 1]", "->> [-ERR Invalid Subject]", "<<- [PING]", "->> [PONG]",
	} {
		w.log.wait(t, want)
	}
	if w.log.has("hunter2") {
		t.Error("a password is shown")
	}
}

// TestInProcess: a connection without a socket.
func TestInProcess(t *testing.T) {
	w := newWorld(t, nil)
	a := w.pipe()
	if in := a.info(); in["client_ip"] != nil || in["tls_required"] != nil {
		t.Errorf("%v", in)
	}
	a.send("CONNECT {\"verbose\":false}\r\nSUB foo 1\r\nPUB foo 1\r\nx\r\n")
	a.want("MSG foo 1 1\r\nx\r\n")
	if ct := w.conns()[0].Type(); ct != engine.InProcess {
		t.Errorf("%v", ct)
	}
}

// TestWebsocketClient: what AcceptWS learned at the upgrade counts: cookies, listener, label.
func TestWebsocketClient(t *testing.T) {
	w := newWorld(t, sampleUsers)
	dial := func(m WSMeta) *peer {
		c, err := w.group.Pipe(func(c *netio.Conn) netio.Handler { return w.svc.AcceptWS(c, m) })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return &peer{t: t, c: c, r: bufio.NewReader(c)}
	}
	p := dial(WSMeta{User: "all", Pass: "p", TLSRequired: true})
	if in := p.info(); in["tls_required"] != true {
		t.Errorf("%v", in)
	}
	p.send("CONNECT {\"verbose\":false}\r\n")
	p.sync()
	c := w.conns()[0]
	if l := c.Label(); !strings.Contains(l, fmt.Sprintf(" - wid:%d", c.ID())) || !strings.Contains(l, "user:all") {
		t.Error(l)
	}
	var info sysapi.ConnInfo
	c.Snapshot(&info, time.Now(), true)
	if info.Type != "websocket" || info.AuthorizedUser != "all" {
		t.Errorf("%+v", info)
	}
	q := dial(WSMeta{User: "all", Pass: "wrong"})
	q.info()
	q.send("CONNECT {\"verbose\":false}\r\n")
	q.want("-ERR 'Authorization Violation'\r\n")
	q.eof()
}

// TestNoFastProducerStall: messages for a stalled consumer are withheld and nobody waits.
func TestNoFastProducerStall(t *testing.T) {
	w := newWorld(t, func(o *config.Options) { o.MaxPending, o.NoFastProducerStall = 1<<20, true })
	slow := w.dial().connect("")
	slow.send("SUB foo 1\r\n")
	slow.sync()
	pub := w.dial().connect("")
	msg := "PUB foo 60000\r\n" + strings.Repeat("x", 60000) + "\r\n"
	for range 500 {
		pub.send(msg)
	}
	pub.sync()
	if s := w.env.Sum(); s.SlowConsumers != 0 || s.Stalled != 0 {
		t.Errorf("%+v", s)
	}
	if s := w.env.Sum(); s.OutMsgs >= 500 {
		t.Errorf("%d of 500 delivered to who reads nothing", s.OutMsgs)
	}
}

// TestCorners: corner cases of the line protocol in which nats-server behaves otherwise (docs/differences.md).
func TestCorners(t *testing.T) {
	w := newWorld(t, nil)
	p := w.dial().connect(`"pedantic":true`)
	p.send("SUB > 1\r\nPUB a 0001\r\nx\r\n")
	p.want("MSG a 1 1\r\nx\r\n")
	p.send("PUB a\rb 1\r\ny\r\n")
	p.want("-ERR 'Invalid Publish Subject'\r\nMSG a\rb 1 1\r\ny\r\n")
	p.sync()
}

// TestOwnOutputUnread: a client that does not read the answers it causes is read less often, and gets all of them once it reads.
func TestOwnOutputUnread(t *testing.T) {
	for _, budget := range []int64{0, 1} {
		w := newWorld(t, func(o *config.Options) { o.WriteDeadline = 0 })
		p := w.dial().connect("")
		p.sync()
		other := w.dial().connect("")
		other.sync()
		if budget > 0 {
			w.group.SetBudget(budget)
		}
		const pings = 3_000_000
		sent := make(chan error, 1)
		go func() {
			block := bytes.Repeat([]byte("PING\r\n"), 10_000)
			for range pings / 10_000 {
				if _, err := p.c.Write(block); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		w.eventually("the client is slowed down", func() bool { return w.group.Backlog() > 256<<10 })
		other.sync() // nobody else is
		n, err := io.CopyN(io.Discard, p.r, pings*int64(len("PONG\r\n")))
		if err != nil {
			t.Fatalf("budget %d: %v after %d bytes", budget, err, n)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		p.sync()
	}
}

// TestOwnFloodUnread: over the budget of the process a client that gets its own flood and reads nothing is not read either, although
// the pause of a producer whose targets are slow is short; once it reads it gets everything.
func TestOwnFloodUnread(t *testing.T) {
	w := newWorld(t, func(o *config.Options) { o.WriteDeadline = 0 })
	p := w.dial().connect("")
	p.send("SUB flood.> 1\r\n")
	p.sync()
	q := w.dial().connect("")
	q.send("SUB flood.> 1\r\n") // it reads nothing either, and is what the first slows down for
	q.sync()
	other := w.dial().connect("")
	const size, first, msgs = 60_000, 150, 500
	msg := "PUB flood.x 60000\r\n" + strings.Repeat("y", size) + "\r\n"
	for range first {
		other.send(msg)
	}
	other.sync()
	w.group.SetBudget(1)
	sent := make(chan error, 1)
	go func() {
		for range msgs {
			if _, err := io.WriteString(p.c, msg); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	w.eventually("the client is stalled", func() bool { return w.env.Sum().Stalled > 0 })
	held := w.group.Backlog()
	for _, l := range w.group.Loops() {
		later := make(chan struct{})
		l.Post(func() { l.After(200*time.Millisecond, func() { close(later) }) }) // twenty pauses of a producer
		<-later
	}
	if n := w.group.Backlog(); n > held+1<<20 {
		t.Errorf("backlog grew from %d to %d while nothing was read", held, n)
	}
	other.sync()
	go func() { _, _ = io.Copy(io.Discard, q.r) }()
	head := int64(len("MSG flood.x 1 60000\r\n") + 2)
	if n, err := io.CopyN(io.Discard, p.r, (first+msgs)*(size+head)); err != nil {
		t.Fatalf("%v after %d bytes", err, n)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	p.sync()
}
