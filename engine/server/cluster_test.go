package server

import (
	"encoding/json"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"ramjet/engine/config"
	"ramjet/proto/sysapi"
)

// routeTo returns the URL of s for routes.
func routeTo(s *Server) *url.URL {
	port := s.addrs.Load().cluster.(*net.TCPAddr).Port
	return &url.URL{Scheme: "nats-route", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
}

// member starts a server of the cluster C that knows others.
func member(t *testing.T, name string, set func(*config.Options), others ...*Server) *Server {
	t.Helper()
	o := &config.Options{ServerName: name, Cluster: &config.ClusterOptions{Name: "C", Host: "127.0.0.1", Port: -1}}
	for _, s := range others {
		o.Cluster.Routes = append(o.Cluster.Routes, routeTo(s))
	}
	if set != nil {
		set(o)
	}
	s, _ := testServer(t, o)
	return s
}

// formed waits until every server has all its connections to all others.
func formed(t *testing.T, servers ...*Server) {
	t.Helper()
	for _, s := range servers {
		until(t, s.Name()+" is connected", func() bool {
			v, err := s.pages.Routez(&sysapi.RoutezOptions{})
			if err != nil {
				t.Fatal(err)
			}
			pool := max(s.Options().Cluster.PoolSize, 0)
			return s.routes.Remotes() == len(servers)-1 && (pool == 0 || v.NumRoutes == (len(servers)-1)*(pool+1))
		})
	}
}

// heard waits until s knows of interest in subject of account on n other servers or here.
func heard(t *testing.T, s *Server, account, subject string) {
	t.Helper()
	until(t, s.Name()+" knows of "+subject, func() bool { return s.accounts.Lookup(account).Index().HasInterest([]byte(subject)) })
}

func dialMember(t *testing.T, s *Server, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(s.ClientURL(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// TestCluster: three servers that know one; messages, groups, requests, URLs, and what remains when one goes.
func TestCluster(t *testing.T) {
	for _, mode := range []string{"off", "s2_fast", "s2_auto"} {
		t.Run(mode, func(t *testing.T) {
			set := func(o *config.Options) { o.Cluster.Compression.Mode = mode }
			a := member(t, "a", set)
			b := member(t, "b", set, a)
			c := member(t, "c", set, a) // hears of b
			formed(t, a, b, c)
			na, nb, nc := dialMember(t, a), dialMember(t, b), dialMember(t, c)
			plain, err := na.SubscribeSync("news.*")
			if err != nil {
				t.Fatal(err)
			}
			var groups []*nats.Subscription
			for _, n := range []*nats.Conn{na, nb} {
				q, err := n.QueueSubscribeSync("work", "q")
				if err != nil {
					t.Fatal(err)
				}
				groups = append(groups, q)
			}
			if _, err := nb.Subscribe("svc", func(m *nats.Msg) { _ = m.Respond([]byte("from b")) }); err != nil {
				t.Fatal(err)
			}
			for _, n := range []*nats.Conn{na, nb} {
				if err := n.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			heard(t, c, "$G", "news.x")
			heard(t, c, "$G", "work")
			heard(t, c, "$G", "svc")
			big := strings.Repeat("0123456789", 20000)
			for i, body := range []string{"one", big, ""} {
				m := nats.NewMsg("news.x")
				m.Header.Set("n", strconv.Itoa(i))
				m.Data = []byte(body)
				if err := nc.PublishMsg(m); err != nil {
					t.Fatal(err)
				}
				got, err := plain.NextMsg(gatewayPatience)
				if err != nil || string(got.Data) != body || got.Header.Get("n") != strconv.Itoa(i) {
					t.Fatalf("message %d: %v", i, err)
				}
			}
			const n = 400
			for range n {
				if err := nc.Publish("work", nil); err != nil {
					t.Fatal(err)
				}
			}
			pending := func(i int) int { p, _, _ := groups[i].Pending(); return p }
			until(t, "every message reached one member", func() bool { return pending(0)+pending(1) == n })
			if pending(0) < n/5 || pending(1) < n/5 {
				t.Errorf("members got %d and %d", pending(0), pending(1))
			}
			for range 20 {
				if r, err := nc.Request("svc", nil, gatewayPatience); err != nil || string(r.Data) != "from b" {
					t.Fatalf("request: %v", err)
				}
			}
			if _, err := nc.Request("nobody", nil, gatewayPatience); err != nats.ErrNoResponders {
				t.Errorf("request to nobody: %v", err)
			}
			until(t, "clients know of all servers", func() bool { return len(nc.DiscoveredServers()) >= 2 })
			if v, err := c.pages.Varz(); err != nil || v.Cluster.Name != "C" || v.Remotes != 2 || v.Routes != 8 {
				t.Errorf("varz: %+v, %d remotes, %d routes", v.Cluster, v.Remotes, v.Routes)
			}
			v, _ := c.pages.Routez(&sysapi.RoutezOptions{Subscriptions: true})
			for _, r := range v.Routes {
				if off := r.Compression == "off"; off != (mode == "off") {
					t.Errorf("compression %q", r.Compression)
				}
			}
			nb.Close()
			if err := b.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			until(t, "b is forgotten", func() bool {
				return a.routes.Remotes() == 1 && c.routes.Remotes() == 1 && !c.accounts.Global().Index().HasInterest([]byte("svc"))
			})
			gone := ":" + strings.Split(b.ClientURL(), ":")[2]
			until(t, "clients are not told of b", func() bool {
				return !slices.ContainsFunc(c.infos.Load().client.ConnectURLs, func(u string) bool { return strings.HasSuffix(u, gone) })
			})
		})
	}
}

// TestClusterAccounts: imported services and streams cross servers, and connections on all of them count.
func TestClusterAccounts(t *testing.T) {
	set := func(o *config.Options) {
		none := config.AccountLimits{MaxConn: -1, MaxSubs: -1, MaxPayload: -1, MaxLeafs: -1}
		few := none
		few.MaxConn = 3
		o.Accounts = []*config.Account{
			{Name: "SVC", Limits: none, Users: []*config.User{{Name: "svc", Pass: "p", Account: "SVC"}},
				Exports: []*config.Export{{Service: "help"}, {Stream: "news.>"}}},
			{Name: "APP", Limits: none, Users: []*config.User{{Name: "app", Pass: "p", Account: "APP"}},
				Imports: []*config.Import{{Account: "SVC", Service: "help"}, {Account: "SVC", Stream: "news.>", Prefix: "from"}}},
			{Name: "FEW", Limits: few, Users: []*config.User{{Name: "few", Pass: "p", Account: "FEW"}}},
			{Name: "$SYS", Limits: none, Users: []*config.User{{Name: "sys", Pass: "p", Account: "$SYS"}}},
		}
		o.SystemAccount = "$SYS"
		o.Cluster.Accounts = []string{"APP"}
	}
	a := member(t, "a", set)
	b := member(t, "b", set, a)
	until(t, "connected", func() bool {
		v, _ := a.pages.Routez(&sysapi.RoutezOptions{})
		w, _ := b.pages.Routez(&sysapi.RoutezOptions{})
		return v.NumRoutes == 5 && w.NumRoutes == 5
	})
	svc := dialMember(t, a, nats.UserInfo("svc", "p"))
	app := dialMember(t, b, nats.UserInfo("app", "p"))
	if _, err := svc.Subscribe("help", func(m *nats.Msg) { _ = m.Respond([]byte("yes")) }); err != nil {
		t.Fatal(err)
	}
	_ = svc.Flush()
	heard(t, b, "SVC", "help")
	for range 10 {
		if r, err := app.Request("help", nil, gatewayPatience); err != nil || string(r.Data) != "yes" {
			t.Fatalf("request: %v", err)
		}
	}
	news, err := app.SubscribeSync("from.news.x")
	if err != nil {
		t.Fatal(err)
	}
	_ = app.Flush()
	heard(t, a, "SVC", "news.x")
	if err := svc.Publish("news.x", []byte("hi")); err != nil {
		t.Fatal(err)
	}
	if m, err := news.NextMsg(gatewayPatience); err != nil || string(m.Data) != "hi" {
		t.Fatalf("stream: %v", err)
	}
	// every server answers in the system account
	sys := dialMember(t, a, nats.UserInfo("sys", "p"))
	answers, err := sys.SubscribeSync("answers")
	if err != nil {
		t.Fatal(err)
	}
	heard(t, b, "$SYS", "answers")
	if err := sys.PublishRequest("$SYS.REQ.SERVER.PING", "answers", nil); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for range 2 {
		m, err := answers.NextMsg(gatewayPatience)
		if err != nil {
			t.Fatal(err)
		}
		var v sysapi.ServerStatsEvent
		if err := json.Unmarshal(m.Data, &v); err != nil {
			t.Fatal(err)
		}
		names[v.Server.Name+" "+v.Server.Cluster] = len(v.Stats.Routes) == 5
	}
	if !names["a C"] || !names["b C"] {
		t.Errorf("answers of %v", names)
	}
	// three connections of the account in the cluster, and no more
	few := nats.UserInfo("few", "p")
	dialMember(t, a, few)
	dialMember(t, a, few)
	dialMember(t, b, few)
	until(t, "the connections were told", func() bool {
		n, _ := a.accounts.Lookup("FEW").RemoteConns()
		m, _ := b.accounts.Lookup("FEW").RemoteConns()
		return n == 1 && m == 2
	})
	for _, s := range []*Server{a, b} {
		if nc, err := nats.Connect(s.ClientURL(), few, nats.NoReconnect()); err == nil {
			nc.Close()
			t.Errorf("a fourth connection on %s", s.Name())
		}
	}
	gone, err := sys.SubscribeSync("$SYS.SERVER.*.SHUTDOWN")
	if err != nil {
		t.Fatal(err)
	}
	if err := sys.Flush(); err != nil { // b knows the interest before: server a listens too
		t.Fatal(err)
	}
	if err := b.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m, err := gone.NextMsg(gatewayPatience); err != nil || !strings.Contains(m.Subject, b.ID()) {
		t.Errorf("shutdown: %v", err)
	}
	until(t, "its connections do not count any more", func() bool { n, _ := a.accounts.Lookup("FEW").RemoteConns(); return n == 0 })
}

// TestClusterReload: routes are added and removed, permissions change, accounts get connections of their own.
func TestClusterReload(t *testing.T) {
	a := member(t, "a", nil)
	b := member(t, "b", nil)
	change := func(s *Server, set func(c *config.ClusterOptions)) {
		t.Helper()
		o := *s.Options()
		c := *o.Cluster
		set(&c)
		o.Cluster = &c
		if err := s.Reload(&o); err != nil {
			t.Fatal(err)
		}
	}
	change(b, func(c *config.ClusterOptions) { c.Routes = []*url.URL{routeTo(a)} })
	formed(t, a, b)
	na, nb := dialMember(t, a), dialMember(t, b)
	got, err := na.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	_ = na.Flush()
	heard(t, b, "$G", "x")
	change(b, func(c *config.ClusterOptions) { c.Export = &config.SubjectPerm{Allow: []string{"ok"}} })
	until(t, "interest is ignored", func() bool { return !b.accounts.Global().Index().HasInterest([]byte("x")) })
	change(b, func(c *config.ClusterOptions) { c.Export = nil })
	heard(t, b, "$G", "x")
	change(b, func(c *config.ClusterOptions) { c.PoolSize = 5 })
	until(t, "larger pool", func() bool { v, _ := b.pages.Routez(&sysapi.RoutezOptions{}); return v.NumRoutes == 6 })
	heard(t, b, "$G", "x")
	if err := nb.Publish("x", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if m, err := got.NextMsg(gatewayPatience); err != nil || string(m.Data) != "1" {
		t.Fatalf("after the reloads: %v", err)
	}
	change(b, func(c *config.ClusterOptions) { c.Routes = nil })
	until(t, "the route is removed", func() bool { return a.routes.Remotes() == 0 && b.routes.Remotes() == 0 })
}

// TestClusterNotWithJetStream: several servers with JetStream are refused; one that could become one of several is too.
func TestClusterNotWithJetStream(t *testing.T) {
	js := &config.JetStreamOptions{Enabled: true}
	o := &config.Options{ServerName: "s", Host: "127.0.0.1", Port: -1, JetStream: js, StoreDir: t.TempDir(),
		Cluster: &config.ClusterOptions{Name: "C", Host: "127.0.0.1", Port: -1, Routes: []*url.URL{{Scheme: "nats", Host: "127.0.0.1:1"}}}}
	if _, err := New(o, Env{Logger: &memLog{}}); err == nil || !strings.Contains(err.Error(), "cluster with routes, together with jetstream") {
		t.Errorf("error %v", err)
	}
	o.Cluster.Routes = nil
	s, err := New(o, Env{Logger: &memLog{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err == nil || !strings.Contains(err.Error(), "JetStream cluster requires configured routes") {
		t.Errorf("error %v", err)
	}
}
