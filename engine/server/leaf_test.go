package server

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"ramjet/engine/account"
	"ramjet/engine/interest"
	"ramjet/engine/leaf"
)

// hub starts a server that accepts leafnodes, with more in its leafnodes block and behind it, and returns the address.
func hub(t *testing.T, block, more string) (*Server, string) {
	t.Helper()
	s, _ := confServer(t, fmt.Sprintf("server_name: HUB\nlisten: \"127.0.0.1:-1\"\nleafnodes { listen: \"127.0.0.1:-1\"\n%s }\n%s", block, more))
	return s, s.addrs.Load().leaf.String()
}

// spoke starts a server that connects to url, with more in the remote and behind the block.
func spoke(t *testing.T, name, url, remote, more string) *Server {
	t.Helper()
	s, _ := confServer(t, fmt.Sprintf("server_name: %s\nlisten: \"127.0.0.1:-1\"\nleafnodes { reconnect: 50ms, remotes [ { url: %q\n%s } ] }\n%s",
		name, url, remote, more))
	return s
}

// wanted waits until somebody in account of s wants subj (or nobody, for want false).
func wanted(t *testing.T, s *Server, name, subj string, want bool) {
	t.Helper()
	a := s.accounts.Lookup(name)
	changed := make(chan struct{}, 1)
	stop := a.Index().Watch(func(*interest.Sub, bool) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	defer stop()
	deadline := time.After(10 * time.Second)
	for a.Index().HasInterest([]byte(subj)) != want {
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("interest of %s in %s: still %v", name, subj, !want)
		}
	}
}

// TestLeafMessages: messages with headers and replies in both directions, plain and large, with and without S2.
func TestLeafMessages(t *testing.T) {
	for _, mode := range []string{"off", "s2_fast"} {
		h, addr := hub(t, "compression: "+mode, "")
		s := spoke(t, "S", "nats://"+addr, "compression: "+mode, "")
		for _, way := range []struct{ from, to *Server }{{h, s}, {s, h}} {
			sub, pub := connect(t, way.to), connect(t, way.from)
			got := collect(t, sub, "a.*", "")
			if _, err := sub.Subscribe("svc", func(m *nats.Msg) { _ = m.Respond(append([]byte("re:"), m.Data...)) }); err != nil {
				t.Fatal(err)
			}
			if err := sub.Flush(); err != nil {
				t.Fatal(err)
			}
			wanted(t, way.from, account.Global, "a.b", true)
			wanted(t, way.from, account.Global, "svc", true)
			for _, n := range []int{0, 10, 5000, 100_000} {
				m := nats.NewMsg("a.b")
				m.Header.Set("K", fmt.Sprint(n))
				m.Reply, m.Data = "reply.to", bytes.Repeat([]byte{'x'}, n)
				if err := pub.PublishMsg(m); err != nil {
					t.Fatal(err)
				}
				r := await(t, got)
				if r.Subject != m.Subject || r.Reply != m.Reply || r.Header.Get("K") != m.Header.Get("K") || !bytes.Equal(r.Data, m.Data) {
					t.Fatalf("%s: sent %d bytes, got %q %q %v, %d bytes", mode, n, r.Subject, r.Reply, r.Header, len(r.Data))
				}
			}
			r, err := pub.Request("svc", []byte("x"), 5*time.Second)
			if err != nil || string(r.Data) != "re:x" {
				t.Fatalf("%v %v", r, err)
			}
			sub.Close()
			wanted(t, way.from, account.Global, "a.b", false)
			wanted(t, way.from, account.Global, "svc", false)
			if _, err := pub.Request("svc", nil, 5*time.Second); err != nats.ErrNoResponders {
				t.Fatalf("nobody there: %v", err)
			}
		}
	}
}

// TestLeafQueues: a member of the own side goes first; without one the other side chooses among its members, and a
// plain subscription beside them gets its copy.
func TestLeafQueues(t *testing.T) {
	h, addr := hub(t, "", "")
	s := spoke(t, "S", "nats://"+addr, "", "")
	far, near := connect(t, s), connect(t, h)
	q1, q2, plain := collect(t, far, "q", "g"), collect(t, far, "q", "g"), collect(t, far, "q", "")
	wanted(t, h, account.Global, "q", true)
	pub := connect(t, h)
	const n = 100
	send := func() {
		for i := range n {
			if err := pub.Publish("q", fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := pub.Flush(); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if m := await(t, plain); string(m.Data) != fmt.Sprint(i) {
				t.Fatalf("message %d: %q", i, m.Data)
			}
		}
	}
	send()
	if len(q1)+len(q2) != n || len(q1) == 0 || len(q2) == 0 {
		t.Fatalf("members got %d and %d of %d", len(q1), len(q2), n)
	}
	local := collect(t, near, "q", "g")
	send()
	for i := range n {
		if m := await(t, local); string(m.Data) != fmt.Sprint(i) {
			t.Fatalf("the local member, message %d: %q", i, m.Data)
		}
	}
	if len(q1)+len(q2) != n {
		t.Fatalf("the others got %d", len(q1)+len(q2)-n)
	}
}

// TestLeafChain: interest and messages pass a hub from spoke to spoke, once, and isolation keeps interest away.
func TestLeafChain(t *testing.T) {
	h, addr := hub(t, "", "")
	a := spoke(t, "A", "nats://"+addr, "", "")
	b := spoke(t, "B", "nats://"+addr, "", "")
	c := spoke(t, "C", "nats://"+addr, "request_isolation: true", "")
	got := collect(t, connect(t, a), "x", "")
	wanted(t, b, account.Global, "x", true)
	if c.accounts.Global().Index().HasInterest([]byte("x")) {
		t.Error("interest of another leafnode is announced to one that is isolated")
	}
	pub := connect(t, b)
	for i := range 10 {
		if err := pub.Publish("x", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		if m := await(t, got); string(m.Data) != fmt.Sprint(i) {
			t.Fatalf("message %d: %q", i, m.Data)
		}
	}
	// The hub still gets what the isolated one publishes for it.
	mine := collect(t, connect(t, h), "y", "")
	wanted(t, c, account.Global, "y", true)
	if err := connect(t, c).Publish("y", nil); err != nil {
		t.Fatal(err)
	}
	await(t, mine)
	if len(got) != 0 {
		t.Errorf("%d messages came twice", len(got))
	}
}

// TestLeafAccounts: who a leafnode is decides about its account and permissions.
func TestLeafAccounts(t *testing.T) {
	h, addr := hub(t, "", `accounts {
		A { users [ { user: a, password: p, permissions { publish: "ok.>", subscribe: "in.>" } }, { user: all, password: p } ] }
		B { users [ {user: b, password: p} ] }
	}`)
	s := spoke(t, "S", "nats://a:p@"+addr, "account: L", `accounts { L { users [ {user: l, password: p} ] } }`)
	there, here := dial(t, h, "all"), dial(t, s, "l")
	// The leafnode gets what its user may subscribe to; it does not ask for more.
	subscribe(t, here, "other")
	in := subscribe(t, here, "in.x")
	wanted(t, h, "A", "in.x", true)
	if h.accounts.Lookup("A").Index().HasInterest([]byte("other")) || h.accounts.Lookup("B").Index().HasInterest([]byte("in.x")) {
		t.Error("interest is there that may not be")
	}
	if err := there.Publish("in.x", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if m := nextMsg(t, in); string(m.Data) != "x" {
		t.Errorf("%q", m.Data)
	}
	// It may bring in what its user may publish, and is told of interest in nothing else.
	subscribe(t, there, "nope")
	ok := subscribe(t, there, "ok.1")
	wanted(t, s, "L", "ok.1", true)
	if s.accounts.Lookup("L").Index().HasInterest([]byte("nope")) {
		t.Error("interest is announced that cannot be served")
	}
	if err := here.Publish("ok.1", []byte("y")); err != nil {
		t.Fatal(err)
	}
	if m := nextMsg(t, ok); string(m.Data) != "y" {
		t.Errorf("%q", m.Data)
	}
	for _, c := range []struct{ send, want string }{
		{"LMSG nope 0\r\n", `-ERR 'Permissions Violation for Publish to "nope"'`},
		{"LS+ nope", `-ERR 'Permissions Violation for Subscription to "nope"'`},
	} {
		r := dialLeaf(t, addr)
		r.expect("INFO ")
		r.send(`CONNECT {"user":"a","pass":"p","name":"R"}`)
		if l := r.expect("INFO "); !strings.Contains(l, `"remote_account":"A"`) || !strings.Contains(l, `"import":{"allow":["in.\u003e"]},"export":{"allow":["ok.\u003e"]}`) {
			t.Error(l)
		}
		r.send(c.send)
		r.expect(c.want)
		r.expect("")
	}
}

// rawLeaf speaks the protocol of leafnodes by hand.
type rawLeaf struct {
	*testing.T
	net.Conn
	buf []byte
}

func dialLeaf(t *testing.T, addr string) *rawLeaf {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &rawLeaf{T: t, Conn: c}
}

func (r *rawLeaf) send(lines ...string) {
	r.Helper()
	if _, err := r.Write([]byte(strings.Join(lines, "\r\n") + "\r\n")); err != nil {
		r.Fatal(err)
	}
}

// expect reads until a line begins with prefix and returns it; "" is the end of the connection.
func (r *rawLeaf) expect(prefix string) string {
	r.Helper()
	_ = r.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		if i := bytes.Index(r.buf, []byte("\r\n")); i >= 0 {
			line := string(r.buf[:i])
			r.buf = r.buf[i+2:]
			if prefix != "" && strings.HasPrefix(line, prefix) {
				return line
			}
			continue
		}
		room := make([]byte, 4096)
		n, err := r.Read(room)
		r.buf = append(r.buf, room[:n]...)
		if err != nil && n == 0 {
			if prefix == "" && !strings.Contains(err.Error(), "timeout") {
				return ""
			}
			r.Fatalf("waiting for %q: %v", prefix, err)
		}
	}
}

// TestLeafProtocol: what the accepting end says to a peer, line by line.
func TestLeafProtocol(t *testing.T) {
	h, addr := hub(t, "compression: off, authorization { user: u, password: p, timeout: 5 }", "max_payload: 100")
	info := dialLeaf(t, addr).expect("INFO ")
	for _, want := range []string{`"auth_required":true`, `"client_id":`, `"nonce":"`, `"compression":"off"`, `"info_on_connect":true`, `"leafnode_urls":["` + addr + `"]`} {
		if !strings.Contains(info, want) {
			t.Errorf("%s is not in %s", want, info)
		}
	}
	const good = `CONNECT {"user":"u","pass":"p","name":"X","cluster":"XC","headers":true,"protocol":3}`
	for _, c := range []struct{ send, want string }{
		{"PING", "-ERR 'Authorization Violation'"},
		{"LS+ foo", "-ERR 'Authorization Violation'"},
		{"INFO {}", "-ERR 'Authorization Violation'"},
		{`CONNECT {"user":"u","pass":"x"}`, "-ERR 'Authorization Violation'"},
		{`CONNECT {"user":"u","pass":"p","lang":"go"}`, "-ERR 'attempted to connect to leaf node port'"},
		{`CONNECT {"user":"u","pass":"p","cluster":"a b"}`, "-ERR 'cluster name cannot contain spaces'"},
		{`CONNECT {"user":"u","pass":"p","cluster":"_"}`, "-ERR 'cluster name is reserved'"},
		{`CONNECT {"user":"u","pass":"p","gateway":"g"}`, `-ERR 'Rejecting connection from gateway "g" on the leafnode port'`},
		{good + "\r\nPUB a 0\r\n", "-ERR 'Unknown Protocol Operation'"},
		{good + "\r\n" + good + "\r\nINFO {\"cluster\":\"a b\"}", "-ERR 'cluster name cannot contain spaces'"},
		{good + "\r\nLMSG a 101\r\n", "-ERR 'Maximum Payload Violation'"},
	} {
		r := dialLeaf(t, addr)
		r.expect("INFO ")
		r.send(c.send)
		r.expect(c.want)
		r.expect("")
	}
	r := dialLeaf(t, addr)
	r.expect("INFO ")
	r.send(good)
	if in := r.expect("INFO "); !strings.Contains(in, `"connect_info":true,"remote_account":"$G"`) {
		t.Error(in)
	}
	lds := strings.TrimPrefix(r.expect("LS+ $LDS."), "LS+ ")
	r.send("PING")
	r.expect("PONG")
	// Interest of a queue group is announced with its weight, each time.
	nc := connect(t, h)
	collect(t, nc, "q", "g")
	if l := r.expect("LS+ q"); l != "LS+ q g 1" {
		t.Error(l)
	}
	nc2 := connect(t, h)
	collect(t, nc2, "q", "g")
	if l := r.expect("LS+ q"); l != "LS+ q g 2" {
		t.Error(l)
	}
	nc2.Close()
	if l := r.expect("LS+ q"); l != "LS+ q g 1" {
		t.Error(l)
	}
	nc.Close()
	if l := r.expect("LS- q"); l != "LS- q g" {
		t.Error(l)
	}
	// Messages with groups, and what JetStream shows.
	r.send("LS+ a.*", "LS+ a.* g1 2", "LS+ js.deliver")
	wanted(t, h, account.Global, "js.deliver", true)
	pub := connect(t, h)
	m := nats.NewMsg("a.b")
	m.Reply, m.Data = "re", []byte("hello")
	if err := pub.PublishMsg(m); err != nil {
		t.Fatal(err)
	}
	if l := r.expect("LMSG"); l != "LMSG a.b + re g1 5" {
		t.Error(l)
	}
	m.Header.Set("A", "b")
	m.Reply = ""
	if err := pub.PublishMsg(m); err != nil {
		t.Fatal(err)
	}
	if l := r.expect("HMSG"); l != "HMSG a.b | g1 18 23" {
		t.Error(l)
	}
	got := collect(t, pub, "deliver", "")
	wanted(t, h, account.Global, "deliver", true)
	r.send("LMSG deliver $JS.ACK.a.b.c.d.e.f.g@orders.1 2", "hi")
	if m := await(t, got); m.Subject != "orders.1" || m.Reply != "$JS.ACK.a.b.c.d.e.f.g" {
		t.Errorf("%q %q", m.Subject, m.Reply)
	}
	// A second connection of the same server replaces the first; a circle ends one.
	r2 := dialLeaf(t, addr)
	r2.expect("INFO ")
	r2.send(`CONNECT {"user":"u","pass":"p","name":"X","cluster":"XC","remote_account":"R"}`)
	r3 := dialLeaf(t, addr)
	r3.expect("INFO ")
	r2.expect("LS+ $LDS.")
	r3.send(`CONNECT {"user":"u","pass":"p","name":"X","cluster":"XC","remote_account":"R"}`)
	r2.expect("-ERR 'Duplicate Remote LeafNode Connection'")
	r3.send("LS+ " + lds)
	r3.expect(`-ERR 'Loop detected for leafnode account="$G". Delaying attempt to reconnect for 30s'`)
	r3.expect("")
}

// TestLeafReconnect: a spoke comes back, to another hub if it has to, and its interest with it.
func TestLeafReconnect(t *testing.T) {
	h, addr := hub(t, "", "")
	s := spoke(t, "S", "nats://"+addr, "", "")
	got := collect(t, connect(t, s), "x", "")
	wanted(t, h, account.Global, "x", true)
	for range 3 {
		h.leafs.Range(func(p *leaf.Leaf) bool { return h.leafs.Kick(p.ID()) })
		wanted(t, h, account.Global, "x", false)
		wanted(t, h, account.Global, "x", true)
		if err := connect(t, h).Publish("x", nil); err != nil {
			t.Fatal(err)
		}
		await(t, got)
	}
}
