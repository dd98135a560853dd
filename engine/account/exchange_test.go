package account

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/interest"
	"ramjet/proto/base/clock"
)

// traders returns options with the accounts A, B and C.
func traders(set func(a, b, c *config.Account)) *config.Options {
	list := []*config.Account{{Name: "A"}, {Name: "B"}, {Name: "C"}}
	set(list[0], list[1], list[2])
	return &config.Options{Accounts: list}
}

func TestExchangeErrors(t *testing.T) {
	type (
		X = []*config.Export
		I = []*config.Import
	)
	for name, tt := range map[string]struct {
		set  func(a, b, c *config.Account)
		want string
	}{
		"stream not exported": {func(a, b, _ *config.Account) {
			b.Imports = I{{Account: "A", Stream: "x", Pos: "f.conf:3:7"}}
		}, `f.conf:3:7: Error adding stream import "x": stream import not authorized`},
		"wider than the export": {func(a, b, _ *config.Account) {
			a.Exports, b.Imports = X{{Service: "x.*"}}, I{{Account: "A", Service: "x.>"}}
		}, `Error adding service import "x.>": service import not authorized`},
		"for others": {func(a, b, _ *config.Account) {
			a.Exports, b.Imports = X{{Service: "x", Accounts: []string{"C"}}}, I{{Account: "A", Service: "x"}}
		}, `Error adding service import "x": service import not authorized`},
		"for somebody else's name": {func(a, b, _ *config.Account) {
			a.Exports, b.Imports = X{{Stream: "x.*", TokenPosition: 2}}, I{{Account: "A", Stream: "x.C"}}
		}, `Error adding stream import "x.C": stream import not authorized`},
		"token position": {func(a, _, _ *config.Account) {
			a.Exports = X{{Service: "x.y", TokenPosition: 2}}
		}, `Error adding service export "x.y": `},
		"prefix": {func(a, b, _ *config.Account) {
			a.Exports, b.Imports = X{{Stream: "x"}}, I{{Account: "A", Stream: "x", Prefix: "p.*"}}
		}, `Error adding stream import "x": stream import prefix can not contain wildcard tokens`},
		"duplicate stream": {func(a, b, _ *config.Account) {
			a.Exports, b.Imports = X{{Stream: "x"}}, I{{Account: "A", Stream: "x"}, {Account: "A", Stream: "x", Prefix: "p"}}
		}, `Error adding stream import "x": stream import already exists`},
		"duplicate service": {func(a, b, _ *config.Account) {
			a.Exports, b.Imports = X{{Service: "x"}, {Service: "y"}}, I{{Account: "A", Service: "x"}, {Account: "A", Service: "y", To: "x"}}
		}, `duplicate service import subject "x", previously used in import for account "A", subject "x"`},
		"stream cycle": {func(a, b, _ *config.Account) {
			a.Exports, b.Exports = X{{Stream: "x"}}, X{{Stream: "x"}}
			a.Imports, b.Imports = I{{Account: "B", Stream: "x"}}, I{{Account: "A", Stream: "x"}}
		}, `import forms a cycle`},
		"service cycle of three": {func(a, b, c *config.Account) {
			a.Exports, b.Exports, c.Exports = X{{Service: "*"}}, X{{Service: "help"}}, X{{Service: "*"}}
			a.Imports, b.Imports, c.Imports = I{{Account: "B", Service: "help"}}, I{{Account: "C", Service: "help"}}, I{{Account: "A", Service: "*"}}
		}, `import forms a cycle`},
		"unused wildcard": {func(a, b, _ *config.Account) {
			a.Exports, b.Imports = X{{Stream: "x.*.*"}}, I{{Account: "A", Stream: "x.*.*", To: "y.$1"}}
		}, `failed to create mapping transform for stream import subject from "x.*.*" to "y.$1"`},
		"latency of a stream of answers": {func(a, _, _ *config.Account) {
			a.Exports = X{{Service: "x", ResponseType: "stream", LatencySubject: "l", LatencySampling: 10}}
		}, `Error adding service latency sampling for "x" on subject "l": bad service response type`},
		"latency into the service": {func(a, _, _ *config.Account) {
			a.Exports = X{{Service: "*", LatencySubject: "l", LatencySampling: 10}}
		}, `Error adding service latency sampling for "*" on subject "l": invalid publish subject`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewRegistry(traders(tt.set)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

// TestNoCycle has imports that meet on a subject without anything going round.
func TestNoCycle(t *testing.T) {
	_, err := NewRegistry(traders(func(a, b, c *config.Account) {
		a.Exports, b.Exports, c.Exports = []*config.Export{{Service: "*"}}, []*config.Export{{Service: "help"}}, []*config.Export{{Service: "*"}}
		a.Imports = []*config.Import{{Account: "B", Service: "help"}}
		b.Imports = []*config.Import{{Account: "C", Service: "nohelp"}}
		c.Imports = []*config.Import{{Account: "A", Service: "*"}}
	}))
	if err != nil {
		t.Error(err)
	}
}

func TestImportSubjects(t *testing.T) {
	for _, tt := range []struct {
		source, prefix, to string
		sub, there         string // a subscription here and its shadow, "" for none
		in, out            string // a message there as it is seen here
	}{
		{"x", "", "", "x", "x", "x", "x"},
		{"x", "", "", ">", "x", "x", "x"},
		{"x", "", "y.z", "y.*", "x", "x", "y.z"},
		{"x", "", "y.z", "x", "", "", ""},
		{"x.>", "", "", "x.*.b", "x.*.b", "x.a.b", "x.a.b"},
		{"x.>", "", "", "*.a", "x.a", "x.a", "x.a"},
		{"x.>", "p", "", "p.x.a", "x.a", "x.a", "p.x.a"},
		{"x.>", "p.", "", ">", "x.>", "x.a.b", "p.x.a.b"},
		{"x.*.*", "", "y.$2.$1", "y.b.*", "x.*.b", "x.a.b", "y.b.a"},
		{"x.*.*", "", "y.$2.$1", "y.>", "x.*.*", "x.a.b", "y.b.a"},
		{"x.*.*", "", "y.*.*", "y.1.>", "x.1.*", "x.1.2", "y.1.2"},
	} {
		r, err := NewRegistry(traders(func(a, b, _ *config.Account) {
			a.Exports = []*config.Export{{Stream: tt.source}}
			b.Imports = []*config.Import{{Account: "A", Stream: tt.source, Prefix: tt.prefix, To: tt.to}}
		}))
		if err != nil {
			t.Errorf("%+v: %v", tt, err)
			continue
		}
		i := r.Lookup("B").Snap().Exchange.StreamImports[0]
		there, ok := i.shadow(tt.sub)
		if there != tt.there || ok != (tt.there != "") {
			t.Errorf("%+v: shadow %q, %v", tt, there, ok)
		}
		if tt.in != "" {
			if out := i.Map(nil, []byte(tt.in)); string(out) != tt.out {
				t.Errorf("%+v: seen as %q", tt, out)
			}
		}
	}
}

func TestServiceSubjects(t *testing.T) {
	for _, tt := range []struct{ target, to, local, in, out string }{
		{"x", "", "x", "x", "x"},
		{"x", "y", "y", "y", "x"},
		{"x.>", "", "x.>", "x.a", "x.a"},
		{"x.*.*", "y.$2.$1", "y.*.*", "y.b.a", "x.a.b"},
		{"x.*", "y.*.z", "y.*.z", "y.a.z", "x.a"},
	} {
		r, err := NewRegistry(traders(func(a, b, _ *config.Account) {
			a.Exports = []*config.Export{{Service: tt.target}}
			b.Imports = []*config.Import{{Account: "A", Service: tt.target, To: tt.to}}
		}))
		if err != nil {
			t.Errorf("%+v: %v", tt, err)
			continue
		}
		i := r.Lookup("B").Snap().Exchange.ServiceImports[0]
		if out := i.Map(nil, []byte(tt.in)); i.Local != tt.local || string(out) != tt.out || i.Target != tt.target {
			t.Errorf("%+v: %+v, %q", tt, i, out)
		}
	}
}

// endpoint is a sink that takes everything.
type endpoint struct{ id uint64 }

func (e endpoint) Deliver(engine.LoopID, *engine.Msg, *interest.Sub) engine.Verdict { return engine.OK }
func (e endpoint) Kind() engine.Kind                                                { return engine.Client }
func (e endpoint) ID() uint64                                                       { return e.id }

func subscribe(t *testing.T, a *Account, subj, queue string) *interest.Sub {
	t.Helper()
	s := interest.NewSub([]byte(subj), []byte(queue), []byte("1"), 1, endpoint{7})
	if err := a.Index().Insert(s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestImportsFollowReload checks what a reload does to the subscriptions behind imports.
func TestImportsFollowReload(t *testing.T) {
	with := func(exports []*config.Export, imports []*config.Import) *config.Options {
		return traders(func(a, b, _ *config.Account) { a.Exports, b.Imports = exports, imports })
	}
	streams := with([]*config.Export{{Stream: "s.>"}, {Service: "q"}},
		[]*config.Import{{Account: "A", Stream: "s.>"}, {Account: "A", Service: "q"}})
	r, err := NewRegistry(streams)
	if err != nil {
		t.Fatal(err)
	}
	a, b := r.Lookup("A"), r.Lookup("B")
	reload := func(o *config.Options) {
		t.Helper()
		commit, err := r.Prepare(o)
		if err != nil {
			t.Fatal(err)
		}
		commit()
	}
	count := func(where string, wantA, wantB int) {
		t.Helper()
		if a.Index().Count() != wantA || b.Index().Count() != wantB {
			t.Errorf("%s: %d subscriptions in A, %d in B, want %d and %d", where, a.Index().Count(), b.Index().Count(), wantA, wantB)
		}
	}
	count("start", 0, 1) // q
	s := subscribe(t, b, "s.1", "workers")
	other := subscribe(t, b, "other", "")
	count("subscribed", 1, 3)
	var res interest.Result
	if a.Index().Match([]byte("s.1"), &res); len(res.Queues) != 1 || res.Queues[0].Name != "workers" || res.Queues[0].Subs[0].Sink().ID() != 7 {
		t.Errorf("%+v", res)
	}
	service := b.imports.services[serviceKey{a, "q"}].sub
	reload(streams)
	count("same", 1, 3)
	if b.imports.services[serviceKey{a, "q"}].sub != service {
		t.Error("the subscription of an import that stays was replaced")
	}
	reload(with([]*config.Export{{Stream: "s.>"}}, []*config.Import{{Account: "A", Stream: "s.>", Prefix: "p"}}))
	count("prefix", 0, 2)
	p := subscribe(t, b, "p.s.>", "")
	count("with prefix", 1, 3)
	reload(streams)
	count("back", 1, 4)
	b.Index().Remove(s)
	count("gone", 0, 3)
	b.Index().Remove(other)
	b.Index().Remove(p)
	subscribe(t, b, "s.2", "")
	reload(&config.Options{Accounts: []*config.Account{{Name: "A"}}})
	count("B removed", 0, 1)
}

// replyWorld is A with a service that B imports, on a manual clock.
func replyWorld(t *testing.T, response string) (clk *clock.Manual, a, b *Account, i *ServiceImport, lost map[*Reply]Loss) {
	t.Helper()
	r, err := NewRegistry(traders(func(a, b, _ *config.Account) {
		a.Exports = []*config.Export{{Service: "q", ResponseType: response, Threshold: time.Second}}
		b.Imports = []*config.Import{{Account: "A", Service: "q"}}
	}))
	if err != nil {
		t.Fatal(err)
	}
	clk, lost = clock.NewManual(time.Unix(1000, 0)), make(map[*Reply]Loss)
	r.UseHooks(Hooks{Clock: clk, Lost: func(r *Reply, why Loss) { lost[r] = why }})
	a, b = r.Lookup("A"), r.Lookup("B")
	return clk, a, b, b.Snap().Exchange.ServiceImports[0], lost
}

func TestReplies(t *testing.T) {
	clk, a, b, i, lost := replyWorld(t, "")
	x := a.Replies()
	open := func(to string, measured bool) *Reply {
		r := &Reply{Import: i, To: to, In: b, Start: clk.Now().UnixNano(), Measured: measured}
		x.Open(r, "")
		return r
	}
	now := func() int64 { return clk.Now().UnixNano() }
	one, two := open("in.1", true), open("in.2", true)
	if s := one.Subject(); len(s) != 17 || !strings.HasPrefix(s, "_R_.") || s[10] != '.' || s[:11] != two.Subject()[:11] || s == two.Subject() {
		t.Errorf("%q and %q", s, two.Subject())
	}
	if !a.Index().HasInterest([]byte(one.Subject())) {
		t.Error("nobody listens for answers")
	}
	if r, ours := x.Find([]byte(one.Subject())); r != one || !ours {
		t.Errorf("%v, %v", r, ours)
	}
	if r, final := x.Take(one.Subject(), now()); r != one || !final {
		t.Errorf("%v, %v", r, final)
	}
	if r, ours := x.Find([]byte(one.Subject())); r != nil || !ours {
		t.Errorf("%v, %v", r, ours)
	}
	for _, s := range []string{"in.1", "_R_.other!.abcdef"} {
		if r, ours := x.Find([]byte(s)); r != nil || ours {
			t.Errorf("%v, %v", r, ours)
		}
	}
	one.Answered()
	if r, _ := x.Take(one.Subject(), now()); r != nil {
		t.Error("a second answer was let through")
	}
	clk.Advance(600 * time.Millisecond)
	three := open("in.3", true)
	clk.Advance(600 * time.Millisecond)
	if lost[two] != TimedOut || x.Len() != 1 || len(lost) != 1 {
		t.Errorf("lost %v, %d wait", lost, x.Len())
	}
	// Interest: of two subscribers one is enough.
	s, other := subscribe(t, b, "in.3", ""), subscribe(t, b, "in.*", "")
	b.Index().Remove(s)
	if len(lost) != 1 {
		t.Error("given up while somebody waits")
	}
	b.Index().Remove(other)
	if why, ok := lost[three]; !ok || why != Abandoned || x.Len() != 0 || len(b.abandon.waiting) != 0 {
		t.Errorf("lost %v, %d wait, %d watched", lost, x.Len(), len(b.abandon.waiting))
	}
	four := open("in.4", false)
	x.Lose(four, NoDelivery)
	if _, told := lost[four]; told || x.Len() != 0 {
		t.Error("what is not measured was reported")
	}
	if clk.Pending() > 1 {
		t.Errorf("%d timers", clk.Pending())
	}
}

func TestStreamedReplies(t *testing.T) {
	clk, a, b, i, _ := replyWorld(t, "stream")
	x := a.Replies()
	r := &Reply{Import: i, To: "in", In: b, Start: clk.Now().UnixNano()}
	x.Open(r, "")
	for range 5 { // each answer gives the next one time
		clk.Advance(900 * time.Millisecond)
		if got, final := x.Take(r.Subject(), clk.Now().UnixNano()); got != r || final {
			t.Fatalf("%v, %v", got, final)
		}
	}
	if x.Len() != 1 {
		t.Error("given up early")
	}
	clk.Advance(1500 * time.Millisecond)
	if x.Len() != 0 {
		t.Error("still waiting")
	}
	if x.Close(r) {
		t.Error("closed twice")
	}
}

// TestClaimsExchange has accounts of JWTs: one that exports with and without activation, one that imports.
func TestClaimsExchange(t *testing.T) {
	op, a, b, signer := newIssuer(t, nkeys.CreateOperator), newIssuer(t, nkeys.CreateAccount), newIssuer(t, nkeys.CreateAccount), newIssuer(t, nkeys.CreateAccount)
	activate := func(change func(*jwt.ActivationClaims), by issuer) string {
		act := jwt.NewActivationClaims(b.public)
		act.ImportSubject, act.ImportType = "private", jwt.Service
		if by.public != a.public {
			act.IssuerAccount = a.public
		}
		if change != nil {
			change(act)
		}
		token, err := act.Encode(by.KeyPair)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for name, tt := range map[string]struct {
		token   string
		exports func(*jwt.AccountClaims)
		valid   bool
		expires bool
	}{
		"account":        {token: activate(nil, a), valid: true},
		"signing key":    {token: activate(nil, signer), valid: true},
		"no token":       {},
		"stranger":       {token: activate(nil, newIssuer(t, nkeys.CreateAccount))},
		"for another":    {token: activate(func(c *jwt.ActivationClaims) { c.Subject = a.public }, a)},
		"expired":        {token: activate(func(c *jwt.ActivationClaims) { c.Expires = 1 }, a)},
		"with an end":    {token: activate(func(c *jwt.ActivationClaims) { c.Expires = time.Now().Unix() + 3600 }, a), valid: true, expires: true},
		"revoked":        {token: activate(nil, a), exports: func(c *jwt.AccountClaims) { c.Exports[0].Revoke(b.public) }},
		"all revoked":    {token: activate(nil, a), exports: func(c *jwt.AccountClaims) { c.Exports[0].Revoke(jwt.All) }},
		"revoked before": {token: activate(nil, a), exports: func(c *jwt.AccountClaims) { c.Exports[0].RevokeAt(b.public, time.Unix(5, 0)) }, valid: true},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := NewRegistry(operatorOptions(op, map[string]string{
				a.public: accountJWT(t, op, a.public, func(c *jwt.AccountClaims) {
					c.SigningKeys.Add(signer.public)
					c.Exports.Add(&jwt.Export{Subject: "private", Type: jwt.Service, TokenReq: true, ResponseType: jwt.ResponseTypeChunked},
						&jwt.Export{Subject: "news.*", Type: jwt.Stream, AccountTokenPosition: 2})
					if tt.exports != nil {
						tt.exports(c)
					}
				}),
				b.public: accountJWT(t, op, b.public, func(c *jwt.AccountClaims) {
					c.Imports.Add(&jwt.Import{Account: a.public, Subject: "private", Type: jwt.Service, LocalSubject: "mine", Token: tt.token, Share: true},
						&jwt.Import{Account: a.public, Subject: jwt.Subject("news." + b.public), Type: jwt.Stream, LocalSubject: "news"})
				}),
			}))
			if err != nil {
				t.Fatal(err)
			}
			importer := r.Lookup(b.public)
			if importer == nil { // a token that can never be right makes the whole JWT unusable
				if name != "for another" || len(r.Warnings()) != 1 {
					t.Errorf("not there: %q", r.Warnings())
				}
				return
			}
			snap := importer.Snap()
			if snap.Exchange == nil || len(snap.Exchange.StreamImports) != 1 {
				t.Fatalf("no stream: %v", r.Warnings())
			}
			list := snap.Exchange.ServiceImports
			if !tt.valid {
				if len(list) != 0 || snap.Incomplete != 1 || len(r.Warnings()) != 1 {
					t.Errorf("%d imports, %d incomplete, %q", len(list), snap.Incomplete, r.Warnings())
				}
				return
			}
			if len(list) != 1 {
				t.Fatalf("not imported: %q", r.Warnings())
			}
			i := list[0]
			if i.Local != "mine" || i.Target != "private" || !i.Share || i.Export.Response != Chunked || i.Expires() != tt.expires {
				t.Errorf("%+v", i)
			}
			if now := time.Now(); !i.Valid(now.UnixNano()) || tt.expires && i.Valid(now.Add(2*time.Hour).UnixNano()) {
				t.Error("its end is not respected")
			}
		})
	}
}

// TestRepliesBounded asks once more than is remembered.
func TestRepliesBounded(t *testing.T) {
	clk, a, b, i, lost := replyWorld(t, "")
	x := a.Replies()
	x.bound = 100
	first := &Reply{Import: i, To: "in", In: b, Start: clk.Now().UnixNano(), Measured: true}
	x.Open(first, "")
	for range x.bound {
		x.Open(&Reply{Import: i, To: "in", In: b, Start: clk.Now().UnixNano() + 1}, "")
	}
	if x.Len() != x.bound || lost[first] != TimedOut || len(lost) != 1 {
		t.Errorf("%d wait, lost %v", x.Len(), lost)
	}
}

// TestShadowsConcurrent subscribes and unsubscribes on several goroutines while reloads change the
// imports: in the end there is one shadow for each subscription that is left, and none for the others.
func TestShadowsConcurrent(t *testing.T) {
	config1 := traders(func(a, b, _ *config.Account) {
		a.Exports, b.Imports = []*config.Export{{Stream: "s.>"}}, []*config.Import{{Account: "A", Stream: "s.>"}}
	})
	config2 := traders(func(a, b, _ *config.Account) {
		a.Exports, b.Imports = []*config.Export{{Stream: "s.>"}}, []*config.Import{{Account: "A", Stream: "s.>", Prefix: "p"}}
	})
	r, err := NewRegistry(config1)
	if err != nil {
		t.Fatal(err)
	}
	a, b := r.Lookup("A"), r.Lookup("B")
	const workers, rounds, kept = 4, 300, 5
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range rounds {
				s := interest.NewSub(fmt.Appendf(nil, "s.%d.%d", w, i), nil, []byte("1"), 1, endpoint{7})
				if b.Index().Insert(s) == nil && i < rounds-kept {
					b.Index().Remove(s)
				}
			}
		}()
	}
	for _, o := range []*config.Options{config2, config1, config2, config1} {
		commit, err := r.Prepare(o)
		if err != nil {
			t.Fatal(err)
		}
		commit()
	}
	wg.Wait()
	if n := a.Index().Count(); n != workers*kept || b.Index().Count() != n || len(b.imports.shadows) != n {
		t.Errorf("%d shadows in A, %d subscriptions in B, %d known", n, b.Index().Count(), len(b.imports.shadows))
	}
}
