package auth

import (
	"encoding/base64"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nkeys"
	"golang.org/x/crypto/bcrypt"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/netio"
	"ramjet/proto/wire"
)

// testPool runs jobs when drained, or refuses them.
type testPool struct {
	mu      sync.Mutex
	jobs    []func()
	refuse  bool
	submits int
}

func (p *testPool) Submit(fn func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.submits++
	if p.refuse {
		return false
	}
	p.jobs = append(p.jobs, fn)
	return true
}

func (p *testPool) drain() {
	for {
		p.mu.Lock()
		if len(p.jobs) == 0 {
			p.mu.Unlock()
			return
		}
		fn := p.jobs[0]
		p.jobs = p.jobs[1:]
		p.mu.Unlock()
		fn()
	}
}

func build(t testing.TB, o *config.Options) (*Authenticator, []string) {
	t.Helper()
	reg, err := account.NewRegistry(o)
	if err != nil {
		t.Fatal(err)
	}
	a, warnings, err := New(o, reg)
	if err != nil {
		t.Fatal(err)
	}
	return a, warnings
}

// ask authenticates and reports whether the pool was needed.
func ask(t testing.TB, a *Authenticator, req *Request) (r Result, pooled bool) {
	t.Helper()
	pool, answers := &testPool{}, 0
	a.begin(req, pool, func(got Result) { r = got; answers++ })
	pooled = answers == 0
	pool.drain()
	if answers != 1 {
		t.Fatalf("%d answers", answers)
	}
	return r, pooled
}

func hash(t testing.TB, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

type keyPair struct {
	public string
	nkeys.KeyPair
}

func newKey(t testing.TB) keyPair {
	t.Helper()
	k, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := k.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{public, k}
}

func (k keyPair) sign(t testing.TB, nonce string, enc *base64.Encoding) string {
	t.Helper()
	sig, err := k.Sign([]byte(nonce))
	if err != nil {
		t.Fatal(err)
	}
	return enc.EncodeToString(sig)
}

// outcome is "account/name" or the reason and log text.
func outcome(r Result) string {
	if r.User == nil {
		return r.Reason.String() + ": " + r.Log
	}
	return r.User.Account.Name() + "/" + r.User.Name
}

const denied = "Authentication Failure: authentication error"

func TestIdentities(t *testing.T) {
	h, k := hash(t, "secret"), newKey(t)
	none := &config.Options{}
	token := &config.Options{Auth: config.AuthBlock{Token: "tok"}}
	btoken := &config.Options{Auth: config.AuthBlock{Token: hash(t, "tok")}}
	single := &config.Options{Auth: config.AuthBlock{User: "u", Pass: "p"}}
	bsingle := &config.Options{Auth: config.AuthBlock{User: "u", Pass: h}}
	users := &config.Options{
		Auth: config.AuthBlock{Users: []*config.User{
			{Name: "a", Pass: "pa"}, {Name: "b", Pass: h}, {Name: "empty"},
			{Name: "ws", Pass: "x", ConnTypes: []string{"WEBSOCKET", "MQTT"}}, {Name: "dollar", Pass: "$2z$10$abc"},
		}},
		Accounts: []*config.Account{{Name: "A", Users: []*config.User{{Name: "c", Pass: "pc"}, {Nkey: k.public}}}},
	}
	users2 := &config.Options{Auth: config.AuthBlock{Users: users.Auth.Users[:1]}}
	withDefault := *users
	withDefault.NoAuthUser = "a"
	bcryptDefault := *users
	bcryptDefault.NoAuthUser = "b"
	nkeyDefault := *users
	nkeyDefault.NoAuthUser = k.public
	sysOnly := &config.Options{Accounts: []*config.Account{{Name: "$SYS", Users: []*config.User{{Name: "admin", Pass: "s"}}}}}
	for _, tt := range []struct {
		name string
		o    *config.Options
		c    wire.Connect
		t    engine.ConnType
		want string
		pool bool
	}{
		{"no auth", none, wire.Connect{}, 0, "$G/", false},
		{"no auth, user sent (V)", none, wire.Connect{User: "x", Pass: "y"}, 0, "$G/x", false},
		{"no auth, token sent (V)", none, wire.Connect{Token: "x"}, 0, "$G/[REDACTED]", false},
		{"no auth, nkey sent (V)", none, wire.Connect{Nkey: "UX", User: "c"}, 0, "$G/UX", false},
		{"no auth, jwt sent (V)", none, wire.Connect{JWT: "x"}, 0, "$G/", false},
		{"token (V)", token, wire.Connect{Token: "tok"}, 0, "$G/[REDACTED]", false},
		{"token wrong (V)", token, wire.Connect{Token: "tox"}, 0, denied + ` - Token "[REDACTED]"`, false},
		{"token missing (V)", token, wire.Connect{}, 0, denied, false},
		{"token as password", token, wire.Connect{User: "u", Pass: "tok"}, 0, denied + ` - User "u"`, false},
		{"bcrypt token", btoken, wire.Connect{Token: "tok"}, 0, "$G/[REDACTED]", true},
		{"bcrypt token wrong", btoken, wire.Connect{Token: "tox"}, 0, denied + ` - Token "[REDACTED]"`, true},
		{"single", single, wire.Connect{User: "u", Pass: "p"}, 0, "$G/u", false},
		{"single wrong pass", single, wire.Connect{User: "u", Pass: "x"}, 0, denied + ` - User "u"`, false},
		{"single wrong user", single, wire.Connect{User: "x", Pass: "p"}, 0, denied + ` - User "x"`, false},
		{"single bcrypt", bsingle, wire.Connect{User: "u", Pass: "secret"}, 0, "$G/u", true},
		{"single bcrypt, the hash is no password", bsingle, wire.Connect{User: "u", Pass: h}, 0, denied + ` - User "u"`, true},
		{"single bcrypt, unknown user costs the same", bsingle, wire.Connect{User: "x", Pass: "secret"}, 0, denied + ` - User "x"`, true},
		{"user", users, wire.Connect{User: "a", Pass: "pa"}, 0, "$G/a", false},
		{"user wrong", users, wire.Connect{User: "a", Pass: "pb"}, 0, denied + ` - User "a"`, false},
		{"user without password", users, wire.Connect{User: "empty"}, 0, "$G/empty", false},
		{"user of account", users, wire.Connect{User: "c", Pass: "pc"}, 0, "A/c", false},
		{"bcrypt", users, wire.Connect{User: "b", Pass: "secret"}, 0, "$G/b", true},
		{"bcrypt wrong", users, wire.Connect{User: "b", Pass: "Secret"}, 0, denied + ` - User "b"`, true},
		{"unknown costs like bcrypt", users, wire.Connect{User: "z", Pass: "secret"}, 0, denied + ` - User "z"`, true},
		{"not a bcrypt prefix is plain", users, wire.Connect{User: "dollar", Pass: "$2z$10$abc"}, 0, "$G/dollar", false},
		{"type refused", users, wire.Connect{User: "ws", Pass: "x"}, engine.Standard, denied + ` - User "ws"`, true},
		{"type allowed", users, wire.Connect{User: "ws", Pass: "x"}, engine.Websocket, "$G/ws", false},
		{"in process is a type", users, wire.Connect{User: "ws", Pass: "x"}, engine.InProcess, denied + ` - User "ws"`, true},
		{"empty, no no_auth_user (V)", users, wire.Connect{}, 0, denied, false},
		{"no_auth_user", &withDefault, wire.Connect{}, 0, "$G/a", false},
		{"no_auth_user only for empty credentials", &withDefault, wire.Connect{Pass: "p"}, 0, denied, false},
		{"no_auth_user, token sent", &withDefault, wire.Connect{Token: "t"}, 0, denied + ` - Token "[REDACTED]"`, false},
		{"no_auth_user with bcrypt password", &bcryptDefault, wire.Connect{}, 0, "$G/b", false},
		{"no_auth_user is nkey", &nkeyDefault, wire.Connect{}, 0, "A/" + k.public, false},
		{"the name is who was authenticated, not what CONNECT adds", users2, wire.Connect{Nkey: "UX", User: "a", Pass: "pa"}, 0, "$G/a", false},
		{"a token's name too", token, wire.Connect{User: "admin", Token: "tok"}, 0, "$G/[REDACTED]", false},
		{"jwt is ignored", users, wire.Connect{JWT: "x", User: "a", Pass: "pa"}, 0, "$G/a", false},
		{"system account only: $G is open (V)", sysOnly, wire.Connect{}, 0, "$G/no_auth_user", false},
		{"system account only: login", sysOnly, wire.Connect{User: "admin", Pass: "s"}, 0, "$SYS/admin", false},
		{"system account only: others", sysOnly, wire.Connect{User: "x"}, 0, denied + ` - User "x"`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := build(t, tt.o)
			r, pooled := ask(t, a, &Request{Connect: tt.c, ConnType: tt.t})
			if got := outcome(r); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if pooled != tt.pool {
				t.Errorf("on the pool: %v", pooled)
			}
		})
	}
}

func TestNkeys(t *testing.T) {
	k, other := newKey(t), newKey(t)
	o := &config.Options{Auth: config.AuthBlock{Users: []*config.User{
		{Nkey: k.public}, {Name: "u", Pass: "p"}, {Nkey: other.public, ConnTypes: []string{"mqtt"}},
	}}}
	a, warnings := build(t, o)
	if !a.NonceNeeded() {
		t.Error("no nonce")
	}
	if len(warnings) != 1 { // of u
		t.Errorf("warnings %q", warnings)
	}
	const nonce = "C8-aZl4LAs0TePE"
	sig := k.sign(t, nonce, base64.RawURLEncoding)
	fail := denied + ` - Nkey "` + k.public + `"`
	for _, tt := range []struct {
		name  string
		c     wire.Connect
		nonce string
		want  string
	}{
		{"url base64", wire.Connect{Nkey: k.public, Sig: sig}, nonce, "$G/" + k.public},
		{"std base64", wire.Connect{Nkey: k.public, Sig: k.sign(t, nonce, base64.StdEncoding)}, nonce, "$G/" + k.public},
		{"no signature", wire.Connect{Nkey: k.public}, nonce, fail},
		{"not base64", wire.Connect{Nkey: k.public, Sig: "!!"}, nonce, fail},
		{"too short", wire.Connect{Nkey: k.public, Sig: "AAAA"}, nonce, fail},
		{"other nonce", wire.Connect{Nkey: k.public, Sig: sig}, "other", fail},
		{"other key's signature", wire.Connect{Nkey: k.public, Sig: other.sign(t, nonce, base64.RawURLEncoding)}, nonce, fail},
		{"type not allowed", wire.Connect{Nkey: other.public, Sig: other.sign(t, nonce, base64.RawURLEncoding)}, nonce,
			denied + ` - Nkey "` + other.public + `"`},
		{"unknown nkey beats a good password", wire.Connect{Nkey: "UX", User: "u", Pass: "p"}, nonce, denied + ` - Nkey "UX"`},
		{"user beside nkeys", wire.Connect{User: "u", Pass: "p"}, nonce, "$G/u"},
	} {
		r, _ := ask(t, a, &Request{Connect: tt.c, Nonce: tt.nonce})
		if got := outcome(r); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if r.User != nil && tt.c.Nkey != "" && (r.User.Nkey != k.public || r.User.Label != `"$G/nkey:`+k.public+`"`) {
			t.Errorf("%s: %+v", tt.name, r.User)
		}
	}
	if _, pooled := ask(t, a, &Request{Connect: wire.Connect{Nkey: k.public, Sig: sig}, Nonce: nonce}); !pooled {
		t.Error("a signature was checked on the caller's goroutine")
	}
	// The no_auth_user needs no signature, even when it is named.
	o.NoAuthUser = k.public
	a, _ = build(t, o)
	for _, c := range []wire.Connect{{}, {Nkey: k.public}} {
		if r, _ := ask(t, a, &Request{Connect: c}); outcome(r) != "$G/"+k.public {
			t.Errorf("%+v: %s", c, outcome(r))
		}
	}
	if a.NoAuthUser(ClientListener, engine.Standard) != "" { // before CONNECT only a user will do
		t.Error("an nkey was taken before CONNECT")
	}
}

func TestProxies(t *testing.T) {
	proxy, stranger := newKey(t), newKey(t)
	const nonce = "nonce"
	good, bad := proxy.sign(t, nonce, base64.RawURLEncoding), stranger.sign(t, nonce, base64.RawURLEncoding)
	open := &config.Options{TrustedProxies: []string{proxy.public}}
	user := &config.Options{TrustedProxies: open.TrustedProxies, NoAuthUser: "r", Auth: config.AuthBlock{Users: []*config.User{
		{Name: "r", Pass: "p", ProxyRequired: true}, {Name: "u", Pass: "p"}}}}
	block := &config.Options{TrustedProxies: open.TrustedProxies, Auth: config.AuthBlock{User: "u", Pass: "p", ProxyRequired: true}}
	array := &config.Options{TrustedProxies: open.TrustedProxies, Auth: config.AuthBlock{ProxyRequired: true,
		Users: []*config.User{{Name: "u", Pass: "p"}}}}
	untrusted := &config.Options{Auth: block.Auth}
	const notTrusted, required = "Proxy Not Trusted: authentication error", "Proxy Required: authentication error"
	for _, tt := range []struct {
		name, user, pass, sig string
		o                     *config.Options
		want, key             string
	}{
		{"no auth, no proxy", "", "", "", open, "$G/", ""},
		{"no auth, proxy", "", "", good, open, "$G/", proxy.public},
		{"no auth, stranger", "", "", bad, open, notTrusted, ""},
		{"not base64", "", "", "%", open, notTrusted, ""},
		{"required and there", "r", "p", good, user, "$G/r", proxy.public},
		{"required, wrong password", "r", "x", good, user, denied + ` - User "r"`, ""},
		{"required, missing", "r", "p", "", user, required + ` - User "r"`, ""},
		{"required, stranger", "r", "p", bad, user, notTrusted + ` - User "r"`, ""},
		{"no_auth_user needs the proxy too", "", "", "", user, required, ""},
		{"not required", "u", "p", "", user, "$G/u", ""},
		{"not required, stranger", "u", "p", bad, user, notTrusted + ` - User "u"`, ""},
		{"block", "u", "p", good, block, "$G/u", proxy.public},
		{"block, missing", "u", "p", "", block, required + ` - User "u"`, ""},
		{"block with users, missing", "u", "p", "", array, required + ` - User "u"`, ""},
		{"signature without trusted proxies", "u", "p", good, untrusted, required + ` - User "u"`, ""},
	} {
		a, _ := build(t, tt.o)
		r, _ := ask(t, a, &Request{Nonce: nonce, Connect: wire.Connect{User: tt.user, Pass: tt.pass, ProxySig: tt.sig}})
		if got := outcome(r); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if r.User != nil && r.User.ProxyKey != tt.key {
			t.Errorf("%s: proxy %q", tt.name, r.User.ProxyKey)
		}
	}
	if a, _ := build(t, user); a.NoAuthUser(ClientListener, 0) != "" || !a.NonceNeeded() {
		t.Error("no_auth_user with proxy_required before CONNECT, or no nonce")
	}
}

// A reload closes what a removed key vouched for (reference/auth.md, section 9).
func TestProxyKeyRemoved(t *testing.T) {
	k1, k2 := newKey(t), newKey(t)
	const nonce = "nonce"
	with := func(keys ...string) *Authenticator {
		a, _ := build(t, &config.Options{TrustedProxies: keys})
		return a
	}
	for _, tt := range []struct {
		name string
		next *Authenticator
		sig  string
		want string
	}{
		{"kept", with(k2.public, k1.public), k1.sign(t, nonce, base64.RawURLEncoding), "$G/"},
		{"one removed", with(k2.public), k1.sign(t, nonce, base64.RawURLEncoding), "Proxy Not Trusted: authentication error"},
		{"all removed", with(), k1.sign(t, nonce, base64.RawURLEncoding), "Proxy Not Trusted: authentication error"},
		{"all removed, direct connection", with(), "", "$G/"},
	} {
		req := &Request{Nonce: nonce, Connect: wire.Connect{ProxySig: tt.sig}}
		if r, _ := ask(t, with(k1.public, k2.public), req); r.User == nil {
			t.Fatal(outcome(r))
		}
		r, pooled := askAgain(t, tt.next, req)
		if got := outcome(r); got != tt.want || pooled {
			t.Errorf("%s: %q, want %q; on the pool: %v", tt.name, got, tt.want, pooled)
		}
	}
}

// A reload asks about all connections at once: what they have proven is not proven again.
func TestRecheck(t *testing.T) {
	k, other := newKey(t), newKey(t)
	const nonce = "nonce"
	h, same := hash(t, "secret"), hash(t, "secret")
	with := func(noAuth string, us ...*config.User) *Authenticator {
		a, _ := build(t, &config.Options{NoAuthUser: noAuth, Auth: config.AuthBlock{Users: us}})
		return a
	}
	bob := func(pass string) *config.User { return &config.User{Name: "bob", Pass: pass} }
	key := &config.User{Nkey: k.public}
	login := wire.Connect{User: "bob", Pass: "secret"}
	signed := wire.Connect{Nkey: k.public, Sig: k.sign(t, nonce, base64.RawURLEncoding)}
	for _, tt := range []struct {
		name         string
		before, next *Authenticator
		c            wire.Connect
		want         string
		pool         bool
	}{
		{"nothing changed", with("", bob(h)), with("", bob(h)), login, "$G/bob", false},
		{"plain now", with("", bob(h)), with("", bob("secret")), login, "$G/bob", false},
		{"password changed", with("", bob("secret")), with("", bob("new")), login, denied + ` - User "bob"`, false},
		{"hash changed, not the password", with("", bob(h)), with("", bob(same)), login, "$G/bob", true},
		{"hash of another password", with("", bob(h)), with("", bob(hash(t, "new"))), login, denied + ` - User "bob"`, true},
		{"plain before, hash now", with("", bob("secret")), with("", bob(h)), login, "$G/bob", true},
		{"user removed", with("", bob("secret")), with("", &config.User{Name: "x", Pass: "secret"}), login, denied + ` - User "bob"`, false},
		{"nkey", with("", key), with("", key), signed, "$G/" + k.public, false},
		{"nkey removed", with("", key), with("", &config.User{Nkey: other.public}), signed, denied + ` - Nkey "` + k.public + `"`, false},
		{"no_auth_user before, no signature", with(k.public, key), with("", key), wire.Connect{Nkey: k.public}, denied + ` - Nkey "` + k.public + `"`, true},
		{"no_auth_user removed", with("bob", bob(h)), with("", bob(h)), wire.Connect{}, denied, false},
		{"another no_auth_user", with("bob", bob(h)), with("x", bob(h), &config.User{Name: "x"}), wire.Connect{}, "$G/x", false},
	} {
		req := &Request{Nonce: nonce, Connect: tt.c}
		if r, _ := ask(t, tt.before, req); r.User == nil {
			t.Fatal(tt.name, outcome(r))
		}
		r, pooled := askAgain(t, tt.next, req)
		if got := outcome(r); got != tt.want || pooled != tt.pool {
			t.Errorf("%s: %q, want %q; on the pool: %v", tt.name, got, tt.want, pooled)
		}
	}
	// A full queue refuses newcomers, never those that were in.
	a := with("", bob(same))
	req := &Request{Connect: login}
	ask(t, with("", bob(h)), req)
	pool, n := &testPool{}, 0
	for range maxJobs + 10 {
		a.recheck(req, pool, func(r Result) {
			if n++; r.User == nil {
				t.Error(outcome(r))
			}
		})
	}
	a.begin(&Request{Connect: login}, pool, func(r Result) {
		if n++; r.User != nil {
			t.Error("let in past a full queue")
		}
	})
	if n != 1 {
		t.Errorf("%d answers before their turn", n)
	}
}

func askAgain(t testing.TB, a *Authenticator, req *Request) (r Result, pooled bool) {
	t.Helper()
	pool, answers := &testPool{}, 0
	a.recheck(req, pool, func(got Result) { r = got; answers++ })
	pooled = answers == 0
	pool.drain()
	if answers != 1 {
		t.Fatalf("%d answers", answers)
	}
	return r, pooled
}

func TestListeners(t *testing.T) {
	users := []*config.User{{Name: "a", Pass: "pa"}, {Name: "w", Pass: "pw", ConnTypes: []string{"websocket"}}}
	for _, tt := range []struct {
		name     string
		o        *config.Options
		l        Listener
		ct       engine.ConnType
		required bool
		info     bool
		noAuth   string
		c        wire.Connect
		want     string
	}{
		{"plain", &config.Options{}, ClientListener, 0, false, false, "", wire.Connect{}, "$G/"},
		{"ws inherits", &config.Options{Auth: config.AuthBlock{Users: users}, Websocket: &config.WebsocketOptions{}},
			WebsocketListener, engine.Websocket, true, true, "", wire.Connect{User: "w", Pass: "pw"}, "$G/w"},
		{"ws own user", &config.Options{Websocket: &config.WebsocketOptions{Auth: config.AuthBlock{User: "x", Pass: "y"}}},
			WebsocketListener, engine.Websocket, true, true, "", wire.Connect{User: "x", Pass: "y"}, "$G/x"},
		{"ws own user, wrong", &config.Options{Websocket: &config.WebsocketOptions{Auth: config.AuthBlock{User: "x", Pass: "y"}}},
			WebsocketListener, engine.Websocket, true, true, "", wire.Connect{}, denied},
		{"ws own user says nothing about others", &config.Options{Websocket: &config.WebsocketOptions{Auth: config.AuthBlock{User: "x", Pass: "y"}}},
			ClientListener, 0, false, false, "", wire.Connect{}, "$G/"},
		{"ws own token instead of the general user", &config.Options{Auth: config.AuthBlock{User: "u", Pass: "p"},
			Websocket: &config.WebsocketOptions{Auth: config.AuthBlock{Token: "t"}}},
			WebsocketListener, engine.Websocket, true, true, "", wire.Connect{User: "u", Pass: "p"}, denied + ` - User "u"`},
		{"ws no_auth_user", &config.Options{Auth: config.AuthBlock{Users: users}, Websocket: &config.WebsocketOptions{NoAuthUser: "w"}},
			WebsocketListener, engine.Websocket, true, true, "w", wire.Connect{}, "$G/w"},
		{"ws no_auth_user is for websockets", &config.Options{Auth: config.AuthBlock{Users: users}, Websocket: &config.WebsocketOptions{NoAuthUser: "w"}},
			ClientListener, 0, true, true, "", wire.Connect{}, denied},
		{"general no_auth_user for websockets", &config.Options{NoAuthUser: "a", Auth: config.AuthBlock{Users: users}, Websocket: &config.WebsocketOptions{}},
			WebsocketListener, engine.Websocket, true, false, "a", wire.Connect{}, "$G/a"},
		{"no_auth_user of another type", &config.Options{NoAuthUser: "w", Auth: config.AuthBlock{Users: users}},
			ClientListener, 0, true, false, "", wire.Connect{}, denied},
		{"mqtt own user", &config.Options{MQTT: &config.MQTTOptions{Auth: config.AuthBlock{User: "m", Pass: "n"}}},
			MQTTListener, engine.MQTT, true, true, "", wire.Connect{User: "m", Pass: "n"}, "$G/m"},
		{"leaf as client", &config.Options{Auth: config.AuthBlock{Users: users}, Leafnodes: &config.LeafOptions{}},
			LeafListener, engine.Leafnode, true, true, "", wire.Connect{User: "a", Pass: "pa"}, "$G/a"},
		{"leaf account without credentials", &config.Options{Accounts: []*config.Account{{Name: "A"}, {Name: "B"}},
			Leafnodes: &config.LeafOptions{Auth: config.AuthBlock{Account: "B"}}},
			LeafListener, engine.Leafnode, false, false, "", wire.Connect{}, "B/"},
		{"leaf own users", &config.Options{Auth: config.AuthBlock{Users: users}, Accounts: []*config.Account{{Name: "A"}},
			Leafnodes: &config.LeafOptions{Auth: config.AuthBlock{Users: []*config.User{{Name: "l", Pass: "m", Account: "A"}}}}},
			LeafListener, engine.Leafnode, true, true, "", wire.Connect{User: "l", Pass: "m"}, "A/l"},
		{"leaf own users only", &config.Options{Auth: config.AuthBlock{Users: users},
			Leafnodes: &config.LeafOptions{Auth: config.AuthBlock{Users: []*config.User{{Name: "l", Pass: "m"}}}}},
			LeafListener, engine.Leafnode, true, true, "", wire.Connect{User: "a", Pass: "pa"}, denied + ` - User "a"`},
		{"leaf single user", &config.Options{Accounts: []*config.Account{{Name: "A"}},
			Leafnodes: &config.LeafOptions{Auth: config.AuthBlock{User: "l", Pass: "m", Account: "A"}}},
			LeafListener, engine.Leafnode, true, true, "", wire.Connect{User: "l", Pass: "m"}, "A/l"},
		{"system account only", &config.Options{Accounts: []*config.Account{{Name: "$SYS", Users: users[:1]}}},
			ClientListener, 0, true, true, "no_auth_user", wire.Connect{}, "$G/no_auth_user"},
		{"system account and an authorization block", &config.Options{Places: map[string]string{"authorization": "f:1:1"},
			Accounts: []*config.Account{{Name: "$SYS", Users: users[:1]}}},
			ClientListener, 0, true, true, "", wire.Connect{}, denied},
		{"system account and another", &config.Options{Accounts: []*config.Account{{Name: "$SYS", Users: users[:1]}, {Name: "B"}}},
			ClientListener, 0, true, true, "", wire.Connect{}, denied},
		{"one account that is not the system account", &config.Options{Accounts: []*config.Account{{Name: "B", Users: users[:1]}}},
			ClientListener, 0, true, true, "", wire.Connect{}, denied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := build(t, tt.o)
			if a.Required(tt.l) != tt.required || a.InfoRequired(tt.l) != tt.info || a.NoAuthUser(tt.l, tt.ct) != tt.noAuth {
				t.Errorf("required %v, INFO %v, no_auth_user %q", a.Required(tt.l), a.InfoRequired(tt.l), a.NoAuthUser(tt.l, tt.ct))
			}
			r, _ := ask(t, a, &Request{Listener: tt.l, ConnType: tt.ct, Connect: tt.c})
			if got := outcome(r); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestDefaultPermissions(t *testing.T) {
	own := &config.Permissions{Subscribe: sp("own", "")}
	general := &config.Permissions{Publish: sp("general", "")}
	of := &config.Permissions{Publish: sp("account", "")}
	a, _ := build(t, &config.Options{
		Auth: config.AuthBlock{DefaultPerms: general, Users: []*config.User{{Name: "g"}, {Name: "gown", Perms: own}}},
		Accounts: []*config.Account{
			{Name: "A", DefaultPerms: of, Users: []*config.User{{Name: "a"}, {Name: "aown", Perms: own}}},
			{Name: "B", Users: []*config.User{{Name: "b"}}},
		},
	})
	for name, want := range map[string]*config.Permissions{"g": general, "gown": own, "a": of, "aown": own, "b": nil} {
		r, _ := ask(t, a, &Request{Connect: wire.Connect{User: name}})
		if r.User == nil || r.User.Perms.Source() != want {
			t.Errorf("%s: %s", name, outcome(r))
		}
	}
}

func TestNewErrors(t *testing.T) {
	u := func(us ...*config.User) *config.Options {
		return &config.Options{Auth: config.AuthBlock{Users: us}}
	}
	k := newKey(t)
	for _, tt := range []struct {
		o    *config.Options
		want string
	}{
		{u(&config.User{Name: "u", Perms: &config.Permissions{Publish: sp("a..b", "")}}),
			`invalid permissions for user "u": publish allow: subject "a..b" is not a valid subject`},
		{u(&config.User{Nkey: k.public, Perms: &config.Permissions{Subscribe: sp("", "a b c")}}),
			`invalid permissions for nkey "` + k.public + `": subscribe deny: subject "a b c" is not a valid subject`},
		{u(&config.User{Name: "u", ConnTypes: []string{"FAX"}}), `unknown connection type "FAX"`},
		{u(&config.User{Name: "u"}, &config.User{Name: "u"}), `Duplicate user "u" detected`},
		{u(&config.User{Nkey: k.public}, &config.User{Nkey: k.public}), `Duplicate nkey "` + k.public + `" detected`},
		{u(&config.User{Nkey: "UX"}), `Not a valid public nkey for a user: "UX"`},
		{u(&config.User{Name: "u", Account: "none"}), `account "none" does not exist`},
		{&config.Options{TrustedProxies: []string{"x"}}, `proxy trusted key "x" is invalid`},
		{&config.Options{Auth: config.AuthBlock{Callout: &config.AuthCallout{Account: "none"}}}, `Authorization callout account "none" not valid`},
		{&config.Options{Operators: []string{"x"}}, `operator JWT is not valid: expected 3 chunks`},
	} {
		reg, err := account.NewRegistry(&config.Options{Accounts: tt.o.Accounts})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := New(tt.o, reg); err == nil || err.Error() != tt.want {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
}

func TestPlaintextWarning(t *testing.T) {
	h := hash(t, "x")
	verify := &config.TLSOptions{VerifyAndMap: true}
	for _, tt := range []struct {
		name string
		o    config.Options
		want bool
	}{
		{"nothing", config.Options{}, false},
		{"plain user", config.Options{Auth: config.AuthBlock{Users: []*config.User{{Name: "u", Pass: "p"}}}}, true},
		{"account user", config.Options{Accounts: []*config.Account{{Name: "A", Users: []*config.User{{Name: "u", Pass: "p"}}}}}, true},
		{"bcrypt user", config.Options{Auth: config.AuthBlock{Users: []*config.User{{Name: "u", Pass: h}}}}, false},
		{"no password", config.Options{Auth: config.AuthBlock{Users: []*config.User{{Name: "u"}}}}, true},
		{"no password, certificates", config.Options{TLS: verify, Auth: config.AuthBlock{Users: []*config.User{{Name: "u"}}}}, false},
		{"single", config.Options{Auth: config.AuthBlock{User: "u", Pass: "p"}}, true},
		{"single bcrypt", config.Options{Auth: config.AuthBlock{User: "u", Pass: h}}, false},
		{"token", config.Options{Auth: config.AuthBlock{Token: "t"}}, false},
	} {
		_, warnings := build(t, &tt.o)
		if got := len(warnings) == 1 && warnings[0] == "Plaintext passwords detected, use nkeys or bcrypt"; got != tt.want {
			t.Errorf("%s: %q", tt.name, warnings)
		}
	}
}

func TestLabels(t *testing.T) {
	a, _ := build(t, &config.Options{Auth: config.AuthBlock{Token: "tok"}})
	if r, _ := ask(t, a, &Request{Connect: wire.Connect{Token: "tok"}}); r.User.Label != `"$G/token"` {
		t.Error(r.User.Label)
	}
	a, _ = build(t, &config.Options{})
	for c, want := range map[*wire.Connect]string{
		{User: "a"}: `"$G/user:a"`, {User: "a\n[INF] forged"}: `"$G/user:a\n[INF] forged"`, {}: "", {Token: "x"}: `"$G/token"`,
	} {
		if r, _ := ask(t, a, &Request{Connect: *c}); r.User.Label != want {
			t.Errorf("%q, want %q", r.User.Label, want)
		}
	}
	if r := (&attempt{req: &Request{Connect: wire.Connect{User: "x\ny"}}}).denied(netio.ReasonAuthFailure); strings.Contains(r.Log, "\n") {
		t.Errorf("%q", r.Log)
	}
}
