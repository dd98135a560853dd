package account

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"ramjet/engine"
	"ramjet/engine/config"
)

type issuer struct {
	nkeys.KeyPair
	public string
}

func newIssuer(t testing.TB, create func() (nkeys.KeyPair, error)) issuer {
	t.Helper()
	kp, err := create()
	if err != nil {
		t.Fatal(err)
	}
	public, err := kp.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return issuer{kp, public}
}

func accountJWT(t testing.TB, by issuer, of string, change func(*jwt.AccountClaims)) string {
	t.Helper()
	ac := jwt.NewAccountClaims(of)
	if change != nil {
		change(ac)
	}
	s, err := ac.Encode(by)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// operatorOptions is operator mode with the accounts of tokens.
func operatorOptions(op issuer, tokens map[string]string) *config.Options {
	return &config.Options{TrustedKeys: []string{op.public}, Resolver: &config.ResolverOptions{Type: "mem"}, ResolverPreload: tokens}
}

func TestClaims(t *testing.T) {
	op, acc, key := newIssuer(t, nkeys.CreateOperator), newIssuer(t, nkeys.CreateAccount), newIssuer(t, nkeys.CreateAccount)
	c, err := DecodeClaims(acc.public, accountJWT(t, op, acc.public, func(a *jwt.AccountClaims) {
		a.Name, a.Expires, a.NotBefore = "acme", 2000000000, 5
		a.Tags.Add("Env:Prod")
		a.Limits.Conn, a.Limits.LeafNodeConn, a.Limits.Subs, a.Limits.Payload = 0, 2, 1<<40, -7
		a.Limits.DisallowBearer = true
		a.SigningKeys.Add(key.public)
		a.RevokeAt("U1", time.Unix(100, 0))
		a.RevokeAt(jwt.All, time.Unix(50, 0))
		a.DefaultPermissions.Sub.Deny.Add("x")
		a.DefaultPermissions.Resp = &jwt.ResponsePermission{MaxMsgs: 2, Expires: time.Second}
		a.Exports.Add(&jwt.Export{Subject: "e", Type: jwt.Stream})
		a.AddMapping("from", jwt.WeightedMapping{Subject: "to", Weight: 40, Cluster: "east"}, jwt.WeightedMapping{Subject: "any"})
		a.AddMapping("bad.*", jwt.WeightedMapping{Subject: "bad.{{wildcard(9)}}"})
	}))
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "acme" || c.Subject != acc.public || c.Issuer != op.public || !slices.Equal(c.Tags, []string{"env:prod"}) ||
		c.Expires.Unix() != 2000000000 || c.NotBefore.Unix() != 5 || !c.DisallowBearer || len(c.exports) != 1 {
		t.Errorf("%+v", c)
	}
	if want := (config.AccountLimits{MaxConn: 0, MaxLeafs: 2, MaxSubs: 1<<31 - 1, MaxPayload: -1}); c.limits != want {
		t.Errorf("%+v, want %+v", c.limits, want)
	}
	if p := c.perms; p == nil || p.Publish != nil || p.Subscribe == nil || p.Subscribe.Deny[0] != "x" || p.Responses.MaxMsgs != 2 {
		t.Errorf("%+v", c.perms)
	}
	if len(c.mappings) != 1 || c.mappings[0].Dests[0] != (config.MapDest{Subject: "to", Weight: 40, Cluster: "east"}) || c.mappings[0].Dests[1].Weight != 100 {
		t.Errorf("%+v", c.mappings)
	}
	if len(c.warnings) != 1 || !strings.Contains(c.warnings[0], "bad.*") {
		t.Errorf("%q", c.warnings)
	}
	for _, tt := range []struct {
		user   string
		issued int64
		want   bool
	}{{"U1", 100, true}, {"U1", 101, false}, {"U2", 50, true}, {"U2", 51, false}} {
		if got := c.Revoked(tt.user, tt.issued); got != tt.want {
			t.Errorf("%s issued at %d: revoked %v", tt.user, tt.issued, got)
		}
	}
	for _, tt := range []struct {
		key    string
		strict bool
		want   bool
	}{{acc.public, false, true}, {acc.public, true, false}, {key.public, true, true}, {op.public, false, false}} {
		if _, ok := c.Signer(tt.key, tt.strict); ok != tt.want {
			t.Errorf("%+v: %v", tt, ok)
		}
	}
}

func TestPreload(t *testing.T) {
	op, other := newIssuer(t, nkeys.CreateOperator), newIssuer(t, nkeys.CreateOperator)
	a, b := newIssuer(t, nkeys.CreateAccount), newIssuer(t, nkeys.CreateAccount)
	good := accountJWT(t, op, a.public, func(c *jwt.AccountClaims) { c.Name, c.Limits.Conn = "acme", 1 })
	for _, tt := range []struct {
		name    string
		tokens  map[string]string
		err     string
		warning string
	}{
		{name: "good", tokens: map[string]string{a.public: good}},
		{name: "no JWT", tokens: map[string]string{"foo": "bar"}, err: `preload account error for "foo": expected 3 chunks`},
		{name: "changed", tokens: map[string]string{a.public: good[:len(good)-8] + "AAAAAAAA"}, err: "signature verification"},
		{name: "reserved", tokens: map[string]string{Global: good}, err: "Reserved Account"},
		{name: "of another account", tokens: map[string]string{b.public: good}, warning: "it is the JWT of account"},
		{name: "of another operator", tokens: map[string]string{b.public: accountJWT(t, other, b.public, nil)}, warning: "not issued by a trusted operator"},
		{name: "self-signed", tokens: map[string]string{b.public: accountJWT(t, b, b.public, nil)}, warning: "not issued by a trusted operator"},
		{name: "not valid", tokens: map[string]string{b.public: accountJWT(t, op, b.public, func(c *jwt.AccountClaims) {
			c.DefaultPermissions.Pub.Allow.Add("a..b")
		})}, warning: "consecutive"},
		{name: "expired", tokens: map[string]string{a.public: accountJWT(t, op, a.public, func(c *jwt.AccountClaims) { c.Expires = 1 })}},
		{name: "imports", tokens: map[string]string{a.public: accountJWT(t, op, a.public, func(c *jwt.AccountClaims) {
			c.Imports.Add(&jwt.Import{Account: b.public, Subject: "x", Type: jwt.Service})
		})}, warning: "Can't locate account [" + b.public + "] for import of [x] service"},
	} {
		r, err := NewRegistry(operatorOptions(op, tt.tokens))
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: %v, want %s", tt.name, err, tt.err)
			}
			continue
		}
		if err != nil {
			t.Fatal(tt.name, err)
		}
		if w := strings.Join(r.Warnings(), "\n"); tt.warning == "" && w != "" || !strings.Contains(w, tt.warning) {
			t.Errorf("%s: %q, want %q", tt.name, w, tt.warning)
		}
		if r.Lookup(b.public) != nil {
			t.Errorf("%s: an account that cannot be used", tt.name)
		}
		if _, ok := tt.tokens[a.public]; ok && (r.Lookup(a.public) == nil || r.Lookup(a.public).Snap().Claims == nil) {
			t.Errorf("%s: no account", tt.name)
		}
	}
}

func TestPreloadReload(t *testing.T) {
	op, id := newIssuer(t, nkeys.CreateOperator), newIssuer(t, nkeys.CreateAccount)
	at := func(conns int64) *config.Options {
		return operatorOptions(op, map[string]string{id.public: accountJWT(t, op, id.public, func(c *jwt.AccountClaims) {
			c.Limits.Conn = conns
			c.AddMapping("a", jwt.WeightedMapping{Subject: "b"})
		})})
	}
	one := at(1)
	r := newRegistry(t, one)
	a := r.Lookup(id.public)
	if !a.Attach(engine.Client) || a.Attach(engine.Client) || a.NameTag() != id.public || r.Global().NameTag() != Global {
		t.Error("limit of the JWT, name")
	}
	if out, _, _ := a.Snap().Map([]byte("a"), nil, 1); string(out) != "b" {
		t.Errorf("mapped to %q", out)
	}
	before := a.Snap().Claims
	trial, err := r.Trial(one)
	if err != nil {
		t.Fatal(err)
	}
	if got := trial.Lookup(id.public); got == a || got.Snap().Claims != before {
		t.Error("a trial shares accounts, or decodes again")
	}
	reload(t, r, one)
	if a.Snap().Claims != before || r.Lookup(id.public) != a {
		t.Error("the same JWT was decoded again, or makes another account")
	}
	reload(t, r, at(2))
	if a.Snap().Claims == before || !a.Attach(engine.Client) || a.Attach(engine.Client) {
		t.Error("the new JWT does not apply")
	}
	reload(t, r, operatorOptions(op, nil))
	if r.Lookup(id.public) != nil {
		t.Error("an account without JWT")
	}
}

// FuzzClaims: no text is a usable account JWT but those an operator signed, and none panics.
func FuzzClaims(f *testing.F) {
	op, id := newIssuer(f, nkeys.CreateOperator), newIssuer(f, nkeys.CreateAccount)
	good := accountJWT(f, op, id.public, nil)
	f.Add(good)
	f.Add(good[:40])
	f.Add("eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJuYXRzIjp7InR5cGUiOiJhY2NvdW50IiwidmVyc2lvbiI6Mn19.AAAA")
	f.Fuzz(func(t *testing.T, token string) {
		c, err := DecodeClaims(id.public, token)
		if err != nil {
			return
		}
		if c.Issuer != op.public || c.Subject != id.public {
			t.Fatalf("%q: issued by %s for %s", token, c.Issuer, c.Subject)
		}
	})
}

// FuzzOperator: no text is an operator JWT but one that is signed by whom it names.
func FuzzOperator(f *testing.F) {
	op := newIssuer(f, nkeys.CreateOperator)
	claims := jwt.NewOperatorClaims(op.public)
	claims.AccountServerURL, claims.AssertServerVersion = "http://127.0.0.1/jwt/v1", "2.9.0"
	good, err := claims.Encode(op)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-9])
	f.Add(strings.Replace(good, ".", "..", 1))
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		if c, err := decodeOperator(token); err == nil && c.Issuer != op.public {
			t.Fatalf("%q: issued by %s", token, c.Issuer)
		}
		Payload(token)
	})
}
