package account

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"ramjet/engine"
	"ramjet/engine/config"
)

func named(name string, l config.AccountLimits) *config.Account {
	return &config.Account{Name: name, Limits: l}
}

func limits(conns, leafs int) config.AccountLimits {
	return config.AccountLimits{MaxConn: conns, MaxLeafs: leafs, MaxSubs: -1, MaxPayload: -1}
}

func newRegistry(t testing.TB, o *config.Options) *Registry {
	t.Helper()
	r, err := NewRegistry(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func reload(t testing.TB, r *Registry, o *config.Options) {
	t.Helper()
	commit, err := r.Prepare(o)
	if err != nil {
		t.Fatal(err)
	}
	commit()
}

func names(r *Registry) (out []string) {
	r.Range(func(a *Account) bool { out = append(out, a.Name()); return true })
	return out
}

// Which accounts exist, and which is the system account: all rows verified on nats-server 2.15.2.
func TestAccountsOfConfiguration(t *testing.T) {
	a := []*config.Account{{Name: "A"}}
	for _, tt := range []struct {
		name   string
		o      config.Options
		want   int
		system string
	}{
		{"nothing configured", config.Options{}, 2, System},
		{"no system account", config.Options{NoSystemAccount: true}, 1, ""},
		{"accounts", config.Options{Accounts: a}, 3, System},
		{"named system account", config.Options{Accounts: a, SystemAccount: "A"}, 2, "A"},
		{"named one wins over none", config.Options{Accounts: a, SystemAccount: "A", NoSystemAccount: true}, 2, "A"},
		{"users of $SYS", config.Options{Accounts: []*config.Account{{Name: System}}}, 2, System},
		{"$SYS by name", config.Options{SystemAccount: System}, 2, System},
		{"$G", config.Options{SystemAccount: Global}, 1, Global},
	} {
		r := newRegistry(t, &tt.o)
		if got := names(r); len(got) != tt.want || r.Len() != tt.want {
			t.Errorf("%s: accounts %q", tt.name, got)
		}
		sys := ""
		if s := r.System(); s != nil {
			sys = s.Name()
		}
		if sys != tt.system {
			t.Errorf("%s: system account %q", tt.name, sys)
		}
		if r.Global() == nil || r.Global() != r.Lookup(Global) {
			t.Errorf("%s: no $G", tt.name)
		}
		r.Range(func(acc *Account) bool {
			if acc.Snap().System != (acc == r.System()) {
				t.Errorf("%s: %s: system %v", tt.name, acc.Name(), acc.Snap().System)
			}
			if ref := acc.Ref(); r.ByID(ref.ID) != acc || ref.Name != acc.Name() || int(ref.ID) >= tt.want {
				t.Errorf("%s: %s: ref %+v", tt.name, acc.Name(), ref)
			}
			return true
		})
	}
	for want, o := range map[string]*config.Options{
		`error resolving system account: account missing`: {SystemAccount: "X"},
		`Duplicate Account Entry: A`:                      {Accounts: append(a, a...)},
		`"$G" is a Reserved Account`:                      {Accounts: []*config.Account{{Name: Global}}},
		`Error adding mapping for "a" : individual weights need to be <= 100`: {Mappings: []*config.Mapping{{Source: "a",
			Dests: []config.MapDest{{Subject: "b", Weight: 101}}}}},
	} {
		if _, err := NewRegistry(o); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestRangeStops(t *testing.T) {
	n := 0
	newRegistry(t, &config.Options{}).Range(func(*Account) bool { n++; return false })
	if n != 1 {
		t.Error(n)
	}
}

func TestLimits(t *testing.T) {
	r := newRegistry(t, &config.Options{Accounts: []*config.Account{
		named("none", config.AccountLimits{}), named("zero", limits(0, -1)), {Name: "filed", Pos: "f:1:1"}, named("two", limits(2, 1)), named("free", limits(-1, -1)),
	}})
	const c, l = engine.Client, engine.Leaf
	for _, tt := range []struct {
		account       string
		kinds         []engine.Kind
		want          []bool
		clients, leaf int
	}{
		{Global, []engine.Kind{c, c, l}, []bool{true, true, true}, 2, 1},
		{"none", []engine.Kind{c, c, l, l}, []bool{true, true, true, true}, 2, 2},
		{"free", []engine.Kind{c, c, l, l}, []bool{true, true, true, true}, 2, 2},
		{"filed", []engine.Kind{c, l}, []bool{false, false}, 0, 0}, // zeros in a file
		{"zero", []engine.Kind{c, l}, []bool{false, true}, 0, 1},
		{"two", []engine.Kind{c, l, c, l, c}, []bool{true, true, false, false, false}, 1, 1}, // leafs count for clients
	} {
		a := r.Lookup(tt.account)
		for i, k := range tt.kinds {
			if got := a.Attach(k); got != tt.want[i] {
				t.Errorf("%s: %d. Attach(%v) = %v", tt.account, i, k, got)
			}
		}
		if clients, leafs := a.Conns(); clients != tt.clients || leafs != tt.leaf {
			t.Errorf("%s: %d clients, %d leafnodes", tt.account, clients, leafs)
		}
	}
	two := r.Lookup("two")
	two.Detach(l)
	if !two.Attach(c) || two.Attach(c) {
		t.Error("a place that became free")
	}
	// Leafnodes over max_connections are let in; no client is then.
	reload(t, r, &config.Options{Accounts: []*config.Account{named("two", limits(1, -1))}})
	if !two.Attach(l) || two.Attach(c) {
		t.Error("limits of the reload do not apply")
	}
	for _, k := range []engine.Kind{engine.Router, engine.Gateway, engine.System, engine.JetStream, engine.Account} {
		if !r.Global().Attach(k) {
			t.Error(k, "refused")
		}
		r.Global().Detach(k)
	}
	if clients, leafs := r.Global().Conns(); clients != 2 || leafs != 1 {
		t.Error(clients, leafs)
	}
}

func TestAttachIsExact(t *testing.T) {
	r := newRegistry(t, &config.Options{Accounts: []*config.Account{named("A", limits(50, 20))}})
	a := r.Lookup("A")
	var clients, leafs atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 2000 {
				if k := engine.Client; i%3 == 0 {
					k = engine.Leaf
					if a.Attach(k) {
						if leafs.Add(1) > 20 {
							t.Error("more than 20 leafnodes")
						}
						leafs.Add(-1)
						a.Detach(k)
					}
				} else if a.Attach(k) {
					if clients.Add(1) > 50 {
						t.Error("more than 50 clients")
					}
					clients.Add(-1)
					a.Detach(k)
				}
			}
		})
	}
	wg.Wait()
	if c, l := a.Conns(); c != 0 || l != 0 {
		t.Error(c, l)
	}
}

func TestReloadKeepsIdentity(t *testing.T) {
	r := newRegistry(t, &config.Options{Accounts: []*config.Account{{Name: "A"}, {Name: "B"}}})
	a, b, g := r.Lookup("A"), r.Lookup("B"), r.Global()
	index, ref := b.Index(), b.Ref()
	if a.Index() == b.Index() {
		t.Fatal("accounts share an index")
	}
	before := a.Snap()
	// Prepared but not committed: nothing is visible.
	if _, err := r.Prepare(&config.Options{Accounts: []*config.Account{named("C", limits(1, 1)), named("A", limits(1, 1))}}); err != nil {
		t.Fatal(err)
	}
	if r.Lookup("C") != nil || a.Snap() != before || r.Len() != 4 {
		t.Fatal("Prepare changed something")
	}
	if _, err := r.Prepare(&config.Options{SystemAccount: "X"}); err == nil || r.System() == nil {
		t.Fatal("a reload that must fail", err)
	}
	perms := &config.Permissions{}
	reload(t, r, &config.Options{Accounts: []*config.Account{
		{Name: "C"}, {Name: "A", Limits: limits(7, -1), DefaultPerms: perms}}})
	if r.Lookup("A") != a || r.Global() != g || a.Snap().Limits.MaxConn != 7 || a.Snap().DefaultPerms != perms {
		t.Error("A was not kept, or not changed")
	}
	if r.Lookup("B") != nil || r.Len() != 4 || r.ByID(ref.ID) != b {
		t.Error("B is still configured, or unknown by id")
	}
	c := r.Lookup("C")
	if c == nil || r.ByID(c.Ref().ID) != c || c.Ref().ID != 4 {
		t.Errorf("C: %+v", c)
	}
	b.Attach(engine.Client) // a connection that is still being closed
	reload(t, r, &config.Options{Accounts: []*config.Account{{Name: "B"}}})
	if back := r.Lookup("B"); back != b || back.Ref() != ref || back.Index() != index {
		t.Error("B came back as another account")
	}
	if n, _ := b.Conns(); n != 1 {
		t.Error("connections of B were forgotten")
	}
	for range 100 { // ids do not grow with reloads
		reload(t, r, &config.Options{Accounts: []*config.Account{{Name: "A"}}})
		reload(t, r, &config.Options{Accounts: []*config.Account{{Name: "C"}}})
	}
	if r.ByID(5) != nil || r.ByID(4) == nil || r.ByID(1<<31) != nil {
		t.Error("ids are not dense")
	}
}

func TestLookupsDuringReloads(t *testing.T) {
	one := &config.Options{Accounts: []*config.Account{{Name: "A"}, {Name: "B"}}}
	two := &config.Options{Accounts: []*config.Account{{Name: "B"}, {Name: "C"}, {Name: "D"}}}
	r := newRegistry(t, one)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := len(names(r)); got != 4 && got != 5 {
					t.Errorf("%d accounts", got)
				}
				if b := r.Lookup("B"); b == nil || r.ByID(b.Ref().ID) != b || b.Snap() == nil {
					t.Error("B is gone")
				}
			}
		})
	}
	for range 300 {
		reload(t, r, two)
		reload(t, r, one)
	}
	close(stop)
	wg.Wait()
}

func TestMappings(t *testing.T) {
	m := func(src string, dests ...config.MapDest) *config.Mapping {
		return &config.Mapping{Source: src, Dests: dests}
	}
	o := &config.Options{
		Cluster:  &config.ClusterOptions{Name: "east"},
		Mappings: []*config.Mapping{m("g.*", config.MapDest{Subject: "to.{{wildcard(1)}}", Weight: 100})},
		Accounts: []*config.Account{{Name: "A", Mappings: []*config.Mapping{
			m("c", config.MapDest{Subject: "east.c", Weight: 100, Cluster: "east"}, config.MapDest{Subject: "any.c", Weight: 100}),
			m("lossy", config.MapDest{Subject: "lossy", Weight: 50}),
		}}, {Name: "B"}},
	}
	r := newRegistry(t, o)
	for _, tt := range []struct{ account, in, want string }{
		{Global, "g.x", "to.x"}, {Global, "other", "other"}, {"A", "c", "east.c"}, {"A", "g.x", "g.x"},
	} {
		out, mapped, ok := r.Lookup(tt.account).Snap().Map([]byte(tt.in), make([]byte, 0, 64), 1)
		if string(out) != tt.want || !ok || mapped != (tt.in != tt.want) {
			t.Errorf("%s: %s -> %s %v %v", tt.account, tt.in, out, mapped, ok)
		}
	}
	if r.Lookup("B").Snap().Map != nil || r.System().Snap().Map != nil {
		t.Error("accounts without mappings map")
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd, lost := rand.New(rand.NewPCG(seed, 2)), 0
	for range 10000 {
		if _, _, ok := r.Lookup("A").Snap().Map([]byte("lossy"), nil, rnd.Uint64()); !ok {
			lost++
		}
	}
	if lost < 4500 || lost > 5500 {
		t.Errorf("%d of 10000 lost, want about half", lost)
	}
	o.Cluster.Name, o.Mappings = "west", nil
	reload(t, r, o)
	if out, _, _ := r.Lookup("A").Snap().Map([]byte("c"), nil, 1); string(out) != "any.c" || r.Global().Snap().Map != nil {
		t.Error("mappings of the reload do not apply")
	}
}
