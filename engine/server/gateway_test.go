package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"ramjet/engine/config"
	"ramjet/engine/interest"
	"ramjet/proto/sysapi"
)

// gatewayPatience bounds the wait for another cluster: the first connection is made a second after the start.
const gatewayPatience = 20 * time.Second

// clusterOptions are those of a server that is the cluster called name by itself and knows the clusters of others.
func clusterOptions(name string, others ...*Server) *config.Options {
	g := &config.GatewayOptions{Name: name, Host: "127.0.0.1", Port: -1}
	for _, o := range others {
		u, _ := url.Parse("nats://" + o.gateways.URL())
		g.Gateways = append(g.Gateways, &config.RemoteGateway{Name: o.gateways.Name(), URLs: []*url.URL{u}})
	}
	return &config.Options{ServerName: "srv-" + name, Gateway: g}
}

// until waits for something that others do, looking again when the interest of s changes or a little later.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(gatewayPatience)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%s did not come true", what)
		}
	}
}

// joined waits until every server has a connection to and from each of n other clusters.
func joined(t testing.TB, n int, servers ...*Server) {
	t.Helper()
	for _, s := range servers {
		until(t, s.Name()+" joined", func() bool { return s.gateways.Outbound() == n && s.gateways.Inbound() >= n })
	}
}

// interested waits until s knows of interest in subject in other clusters.
func interested(t testing.TB, s *Server, subject string, want int) {
	t.Helper()
	until(t, fmt.Sprintf("%d clusters want %s", want, subject), func() bool {
		n := 0
		var r interest.Result
		s.accounts.Global().Index().Match([]byte(subject), &r)
		for _, p := range r.Plain {
			if p.Remote() {
				n++
			}
		}
		for _, q := range r.Queues {
			for _, p := range q.Subs {
				if p.Remote() {
					n++
				}
			}
		}
		return n == want
	})
}

func gatewayClient(t testing.TB, s *Server, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(s.ClientURL(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func subscribed(t testing.TB, nc *nats.Conn, subject, queue string) *nats.Subscription {
	t.Helper()
	subscribe := func() (*nats.Subscription, error) { return nc.SubscribeSync(subject) }
	if queue != "" {
		subscribe = func() (*nats.Subscription, error) { return nc.QueueSubscribeSync(subject, queue) }
	}
	sub, err := subscribe()
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func arrives(t testing.TB, sub *nats.Subscription) *nats.Msg {
	t.Helper()
	m, err := sub.NextMsg(gatewayPatience)
	if err != nil {
		t.Fatalf("%s: %v", sub.Subject, err)
	}
	return m
}

func TestGatewayPair(t *testing.T) {
	a, _ := testServer(t, clusterOptions("A"))
	b, _ := testServer(t, clusterOptions("B", a))
	joined(t, 1, a, b)
	ca, cb := gatewayClient(t, a), gatewayClient(t, b)
	there := subscribed(t, cb, "foo.*", "")
	interested(t, a, "foo.bar", 1)
	m := nats.NewMsg("foo.bar")
	m.Header.Set("K", "v")
	m.Data = []byte("hello")
	if err := ca.PublishMsg(m); err != nil {
		t.Fatal(err)
	}
	if got := arrives(t, there); string(got.Data) != "hello" || got.Header.Get("K") != "v" || got.Subject != "foo.bar" {
		t.Errorf("got %+v", got)
	}
	// A large one, by reference.
	big := strings.Repeat("x", 300_000)
	if err := ca.Publish("foo.big", []byte(big)); err != nil {
		t.Fatal(err)
	}
	if got := arrives(t, there); string(got.Data) != big {
		t.Errorf("%d bytes", len(got.Data))
	}
	// Interest ends.
	if err := there.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	interested(t, a, "foo.bar", 0)
	// A request whose inbox nobody has heard of yet; the service answers at once, and once more later.
	service, err := cb.Subscribe("svc", func(m *nats.Msg) {
		if strings.Contains(m.Reply, "_GR_") {
			t.Errorf("reply %q", m.Reply)
		}
		_ = m.Respond([]byte("answer"))
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = cb.Flush()
	interested(t, a, "svc", 1)
	for range 3 {
		fresh := gatewayClient(t, a)
		if r, err := fresh.Request("svc", []byte("q"), gatewayPatience); err != nil || string(r.Data) != "answer" {
			t.Fatalf("answer %v, error %v", r, err)
		}
	}
	// Nobody there, nobody here.
	_ = service.Unsubscribe()
	_ = cb.Flush()
	interested(t, a, "svc", 0)
	if _, err := ca.Request("svc", nil, gatewayPatience); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("error %v", err)
	}
}

func TestGatewayQueues(t *testing.T) {
	a, _ := testServer(t, clusterOptions("A"))
	b, _ := testServer(t, clusterOptions("B", a))
	c, _ := testServer(t, clusterOptions("C", a, b))
	joined(t, 2, a, b, c)
	ca, cb, cc := gatewayClient(t, a), gatewayClient(t, b), gatewayClient(t, c)
	qb, qc := subscribed(t, cb, "work", "q"), subscribed(t, cc, "work", "q")
	pb, pc := subscribed(t, cb, "work", ""), subscribed(t, cc, "work", "")
	interested(t, a, "work", 4)
	count := func(n int) (b, c int) {
		for range n {
			if err := ca.Publish("work", nil); err != nil {
				t.Fatal(err)
			}
		}
		for range n {
			arrives(t, pb)
			arrives(t, pc)
		}
		_ = cb.Flush()
		_ = cc.Flush()
		b, _, _ = qb.Pending()
		c, _, _ = qc.Pending()
		return b, c
	}
	if b, c := count(20); b+c != 20 {
		t.Fatalf("%d and %d of 20", b, c)
	}
	// The own cluster comes first.
	qa := subscribed(t, ca, "work", "q")
	if b, c := count(10); b+c != 20 {
		t.Fatalf("%d and %d of 20", b, c)
	}
	for range 10 {
		arrives(t, qa)
	}
}

// TestGatewayGossip: clusters learn of each other, and of the end of a cluster.
func TestGatewayGossip(t *testing.T) {
	a, _ := testServer(t, clusterOptions("A"))
	b, _ := testServer(t, clusterOptions("B", a))
	c, _ := testServer(t, clusterOptions("C", a)) // B and C hear of each other from A
	joined(t, 2, a, b, c)
	z, err := b.pages.Gatewayz(&sysapi.GatewayzOptions{Accounts: true})
	if err != nil {
		t.Fatal(err)
	}
	if !z.Outbound["A"].Configured || z.Outbound["C"].Configured || len(z.Inbound["C"]) != 1 || z.Name != "B" {
		b, _ := json.Marshal(z)
		t.Errorf("%s", b)
	}
	if n := slices.IndexFunc(z.Outbound["C"].Accounts, func(a *sysapi.AccountGateway) bool { return a.Name == "$G" }); n < 0 {
		t.Errorf("accounts %+v", z.Outbound["C"].Accounts)
	}
	if err := c.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Server{a, b} {
		until(t, "C is gone", func() bool { return s.gateways.Outbound() == 1 && s.gateways.Inbound() == 1 })
	}
}

// TestGatewayClusters: two clusters of two servers, where only one server of each knows the other cluster.
func TestGatewayClusters(t *testing.T) {
	clustered := func(o *config.Options, name string, mates ...*Server) *config.Options {
		o.ServerName = name
		o.Cluster = &config.ClusterOptions{Name: o.Gateway.Name, Host: "127.0.0.1", Port: -1}
		for _, m := range mates {
			u, _ := url.Parse("nats://" + source{m}.Listeners()["cluster"])
			o.Cluster.Routes = append(o.Cluster.Routes, u)
		}
		return o
	}
	a1, _ := testServer(t, clustered(clusterOptions("A"), "a1"))
	a2, _ := testServer(t, clustered(clusterOptions("A"), "a2", a1))
	b1, _ := testServer(t, clustered(clusterOptions("B", a1), "b1"))
	b2, _ := testServer(t, clustered(clusterOptions("B"), "b2", b1))
	for _, s := range []*Server{a1, a2, b1, b2} {
		until(t, s.Name()+" joined", func() bool { return s.gateways.Outbound() == 1 && s.routes.Remotes() == 1 })
	}
	all := []*Server{a1, a2, b1, b2}
	var clients []*nats.Conn
	for _, s := range all {
		clients = append(clients, gatewayClient(t, s))
	}
	// Every server serves one subject; everybody asks everybody, with inboxes nobody has heard of.
	for i, nc := range clients {
		name := all[i].Name()
		if _, err := nc.Subscribe("svc."+name, func(m *nats.Msg) { _ = m.Respond([]byte(name)) }); err != nil {
			t.Fatal(err)
		}
		_ = nc.Flush()
	}
	for i, s := range all {
		for j, to := range all {
			if i != j {
				until(t, s.Name()+" hears of "+to.Name(), func() bool { return s.accounts.Global().Index().HasInterest([]byte("svc." + to.Name())) })
			}
		}
	}
	for _, s := range all {
		for _, to := range all {
			for range 3 {
				nc := gatewayClient(t, s)
				if r, err := nc.Request("svc."+to.Name(), nil, gatewayPatience); err != nil || string(r.Data) != to.Name() {
					t.Fatalf("%s to %s: %v, error %v", s.Name(), to.Name(), r, err)
				}
				nc.Close()
			}
		}
	}
	// A message reaches every server once, and one member of a group in all.
	var plain, queue []*nats.Subscription
	for _, nc := range clients {
		plain = append(plain, subscribed(t, nc, "once", ""))
		queue = append(queue, subscribed(t, nc, "once", "q"))
	}
	for _, s := range all {
		until(t, s.Name()+" hears of all", func() bool {
			var r interest.Result
			s.accounts.Global().Index().Match([]byte("once"), &r)
			return len(r.Plain) == 3 && len(r.Queues) == 1 && len(r.Queues[0].Subs) == 3 // own, route, gateway
		})
	}
	for _, nc := range clients {
		for range 10 {
			if err := nc.Publish("once", nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, sub := range plain {
		for range 40 {
			arrives(t, sub)
		}
		if n, _, _ := sub.Pending(); n != 0 {
			t.Errorf("%d more", n)
		}
	}
	got := 0
	until(t, "40 in the group", func() bool {
		got = 0
		for _, sub := range queue {
			n, _, _ := sub.Pending()
			got += n
		}
		return got >= 40
	})
	if got != 40 {
		t.Errorf("%d in the group", got)
	}
}

// TestGatewayTLS: mutual TLS in both roles, users, and clusters that are known by the host of their URL.
func TestGatewayTLS(t *testing.T) {
	ca := newOCSPCA(t)
	conf := func(name, more string) *config.Options {
		return ca.options(fmt.Sprintf(`
			server_name: %q, host: 127.0.0.1, port: -1
			gateway {
				name: %q, host: 127.0.0.1, port: -1, advertise: localhost
				authorization { user: u, password: p, timeout: 5 }
				tls { cert_file: "DIR/server.pem", key_file: "DIR/server.key", ca_file: "DIR/ca.pem", timeout: 5 }
				%s
			}`, name, name, more))
	}
	a, _ := testServer(t, conf("A", ""))
	b, bl := testServer(t, conf("B", `gateways [ { name: A, url: "nats://u:p@`+a.gateways.URL()+`" } ]`))
	joined(t, 1, a, b)
	there := subscribed(t, gatewayClient(t, b), "foo", "")
	interested(t, a, "foo", 1)
	if err := gatewayClient(t, a).Publish("foo", []byte("x")); err != nil {
		t.Fatal(err)
	}
	arrives(t, there)
	z, err := b.pages.Gatewayz(&sysapi.GatewayzOptions{})
	if err != nil || z.Outbound["A"].Connection.TLSVersion == "" || z.Inbound["A"][0].Connection.TLSVersion == "" {
		t.Errorf("%+v, error %v", z, err)
	}
	v, err := b.pages.Varz()
	if err != nil || !v.Gateway.TLSRequired || len(v.Gateway.Gateways) != 1 || fmt.Sprint(v.Gateway.Gateways[0].URLs) != "["+a.gateways.URL()+"]" {
		t.Errorf("%+v, error %v", v.Gateway, err)
	}
	// Wrong credentials: refused, and tried again.
	c, cl := testServer(t, conf("C", `gateways [ { name: A, url: "nats://u:wrong@`+a.gateways.URL()+`" } ]`))
	until(t, "C is refused", func() bool { return strings.Contains(cl.String(), "Gateway Error 'Authorization Violation'") })
	if c.gateways.Inbound() != 0 {
		t.Error("C was let in")
	}
	_ = bl
}

// TestGatewayLeaf: a leafnode of one cluster and a client of another ask each other.
func TestGatewayLeaf(t *testing.T) {
	oa := clusterOptions("A")
	oa.Leafnodes = &config.LeafOptions{Host: "127.0.0.1", Port: -1}
	a, _ := testServer(t, oa)
	b, _ := testServer(t, clusterOptions("B", a))
	u, _ := url.Parse("nats://" + source{a}.Listeners()["leafnode"])
	spoke, _ := testServer(t, &config.Options{ServerName: "spoke", Leafnodes: &config.LeafOptions{
		Remotes: []*config.RemoteLeaf{{URLs: []*url.URL{u}}}}})
	joined(t, 1, a, b)
	answer := func(s *Server, subject string) {
		nc := gatewayClient(t, s)
		if _, err := nc.Subscribe(subject, func(m *nats.Msg) {
			if strings.HasPrefix(m.Reply, "_GR_") {
				t.Errorf("reply %q", m.Reply)
			}
			_ = m.Respond([]byte(subject))
		}); err != nil {
			t.Fatal(err)
		}
		_ = nc.Flush()
	}
	answer(b, "at.b")
	answer(spoke, "at.spoke")
	for s, subject := range map[*Server]string{b: "at.spoke", spoke: "at.b"} {
		until(t, s.Name()+" hears of "+subject, func() bool { return s.accounts.Global().Index().HasInterest([]byte(subject)) })
		for range 3 {
			nc := gatewayClient(t, s)
			if r, err := nc.Request(subject, nil, gatewayPatience); err != nil || string(r.Data) != subject {
				t.Fatalf("%s from %s: %v, error %v", subject, s.Name(), r, err)
			}
		}
	}
}
