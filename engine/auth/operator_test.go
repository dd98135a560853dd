package auth

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/netio"
	"ramjet/proto/base/clock"
	"ramjet/proto/wire"
)

func makeKey(t testing.TB, create func() (nkeys.KeyPair, error)) keyPair {
	t.Helper()
	k, err := create()
	if err != nil {
		t.Fatal(err)
	}
	public, err := k.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{public, k}
}

// realm is an operator with accounts, and a server that trusts it.
type realm struct {
	t        testing.TB
	operator keyPair
	account  keyPair
	signer   keyPair // signing key of account
	scoped   keyPair // scoped signing key of account
	user     keyPair
	clk      *clock.Manual
	opts     *config.Options
	reg      *account.Registry
	auth     *Authenticator
}

type encoder interface {
	Encode(nkeys.KeyPair) (string, error)
}

func encode(t testing.TB, c encoder, by nkeys.KeyPair) string {
	t.Helper()
	s, err := c.Encode(by)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newRealm makes a realm whose account is as change says.
func newRealm(t testing.TB, change func(*realm, *jwt.AccountClaims)) *realm {
	r := &realm{
		t: t, operator: makeKey(t, nkeys.CreateOperator), account: makeKey(t, nkeys.CreateAccount),
		signer: makeKey(t, nkeys.CreateAccount), scoped: makeKey(t, nkeys.CreateAccount), user: makeKey(t, nkeys.CreateUser),
		clk: clock.NewManual(clock.System().Now()),
	}
	r.opts = &config.Options{TrustedKeys: []string{r.operator.public}, Resolver: &config.ResolverOptions{Type: "mem"}}
	r.setAccount(change)
	var err error
	if r.reg, err = account.NewRegistry(r.opts); err != nil {
		t.Fatal(err)
	}
	r.auth = r.compile()
	r.auth.UseClock(r.clk)
	return r
}

func (r *realm) setAccount(change func(*realm, *jwt.AccountClaims)) {
	ac := jwt.NewAccountClaims(r.account.public)
	ac.Name = "acme"
	ac.SigningKeys.Add(r.signer.public)
	s := jwt.NewUserScope()
	s.Key, s.Role = r.scoped.public, "worker"
	s.Template.Pub.Allow.Add("work.{{name()}}.>")
	s.Template.Subs = 7
	ac.SigningKeys.AddScopedSigner(s)
	by := r.operator
	if change != nil {
		change(r, ac)
	}
	r.opts.ResolverPreload = map[string]string{r.account.public: encode(r.t, ac, by.KeyPair)}
}

func (r *realm) compile() *Authenticator {
	r.t.Helper()
	a, _, err := New(r.opts, r.reg)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

// reload replaces the account, and the authenticator.
func (r *realm) reload(change func(*realm, *jwt.AccountClaims)) {
	r.t.Helper()
	r.setAccount(change)
	commit, err := r.reg.Prepare(r.opts)
	if err != nil {
		r.t.Fatal(err)
	}
	commit()
	a := r.compile()
	a.Inherit(r.auth)
	r.auth = a
}

// userJWT issues a user by key, changed by change.
func (r *realm) userJWT(by keyPair, change func(*jwt.UserClaims)) string {
	uc := jwt.NewUserClaims(r.user.public)
	uc.Name = "joe"
	if by.public != r.account.public {
		uc.IssuerAccount = r.account.public
	}
	if by.public == r.scoped.public {
		uc.SetScoped(true)
	}
	if change != nil {
		change(uc)
	}
	return encode(r.t, uc, by.KeyPair)
}

const testNonce = "PXoWU7zWAMt75FY"

// request presents token with the nonce signed by the user.
func (r *realm) request(token string) *Request {
	return &Request{
		Kind: engine.Client, Nonce: testNonce, Remote: netip.MustParseAddrPort("192.0.2.7:4000"),
		Connect: wire.Connect{JWT: token, Sig: r.user.sign(r.t, testNonce, base64.RawURLEncoding)},
	}
}

func (r *realm) outcome(res Result) string {
	if res.User == nil {
		return res.Log
	}
	return "ok"
}

// TestUserChecks has rows for each check of userChecks.
func TestUserChecks(t *testing.T) {
	day := func(r *realm, from, to time.Duration) []jwt.TimeRange {
		now := r.clk.Now().UTC()
		return []jwt.TimeRange{{Start: now.Add(from).Format(time.TimeOnly), End: now.Add(to).Format(time.TimeOnly)}}
	}
	type row struct {
		name    string
		by      func(*realm) keyPair // default: the account itself
		account func(*realm, *jwt.AccountClaims)
		user    func(*realm, *jwt.UserClaims)
		request func(*realm, *Request)
		options func(*realm)
		want    string // part of the log text, "ok"
		reason  netio.Reason
	}
	signer := func(r *realm) keyPair { return r.signer }
	scoped := func(r *realm) keyPair { return r.scoped }
	stranger := func(r *realm) keyPair { return makeKey(r.t, nkeys.CreateAccount) }
	for _, tt := range []row{
		{name: "by the account", want: "ok"},
		{name: "by a signing key", by: signer, want: "ok"},
		{name: "by a scoped signing key", by: scoped, want: "ok"},
		// 1 decode
		{name: "no JWT", request: func(_ *realm, q *Request) { q.Connect.JWT = "" }, want: "a user JWT is required"},
		{name: "no JWT but user and password", request: func(_ *realm, q *Request) { q.Connect = wire.Connect{User: "u", Pass: "p"} }, want: "required"},
		{name: "garbage", request: func(_ *realm, q *Request) { q.Connect.JWT = "a.b.c" }, want: "user JWT not valid"},
		{name: "changed after signing", request: func(_ *realm, q *Request) {
			q.Connect.JWT = q.Connect.JWT[:len(q.Connect.JWT)-8] + "AAAAAAAA"
		}, want: "failed V2 signature verification"},
		{name: "an account's JWT", request: func(r *realm, q *Request) { q.Connect.JWT = r.opts.ResolverPreload[r.account.public] }, want: "not user claim"},
		{name: "MQTT password", request: func(_ *realm, q *Request) {
			q.ConnType, q.Connect.Pass, q.Connect.JWT = engine.MQTT, q.Connect.JWT, ""
		}, want: "ok"},
		{name: "password of another type", request: func(_ *realm, q *Request) { q.Connect.Pass, q.Connect.JWT = q.Connect.JWT, "" }, want: "required"},
		{name: "sentinel", options: func(r *realm) {
			r.opts.DefaultSentinel = r.userJWT(r.account, func(u *jwt.UserClaims) { u.BearerToken = true })
		}, request: func(_ *realm, q *Request) { q.Connect = wire.Connect{JWT: "garbage"} }, want: "ok"},
		// 2 proxy
		{name: "proxy required", user: func(_ *realm, u *jwt.UserClaims) { u.ProxyRequired = true }, want: "proxy connection required", reason: netio.ReasonProxyRequired},
		{name: "proxy required by the scope", by: scoped, account: func(r *realm, a *jwt.AccountClaims) {
			s := jwt.NewUserScope()
			s.Key, s.Template.ProxyRequired = r.scoped.public, true
			a.SigningKeys.AddScopedSigner(s)
		}, want: "proxy connection required", reason: netio.ReasonProxyRequired},
		// 3 validity
		{name: "expires later", user: func(r *realm, u *jwt.UserClaims) { u.Expires = r.clk.Now().Unix() + 2 }, want: "ok"},
		{name: "expired", user: func(r *realm, u *jwt.UserClaims) { u.Expires = r.clk.Now().Unix() }, want: "user JWT has expired"},
		{name: "not yet", user: func(r *realm, u *jwt.UserClaims) { u.NotBefore = r.clk.Now().Unix() + 60 }, want: "not valid yet"},
		{name: "bad subject", user: func(_ *realm, u *jwt.UserClaims) { u.Pub.Allow.Add("a..b") }, want: "user JWT not valid"},
		{name: "bad source", user: func(_ *realm, u *jwt.UserClaims) { u.Src.Add("300.0.0.0/8") }, want: "user JWT not valid"},
		// 4, 5, 6 account and issuer
		{name: "unknown account", by: stranger, user: func(_ *realm, u *jwt.UserClaims) { u.IssuerAccount = "" }, want: "is not known"},
		{name: "unknown key", by: stranger, want: "issuer is not known"},
		{name: "signing key without issuer_account", by: signer, user: func(_ *realm, u *jwt.UserClaims) { u.IssuerAccount = "" }, want: "is not known"},
		{name: "$G", user: func(_ *realm, u *jwt.UserClaims) { u.IssuerAccount = account.Global }, want: "user JWT not valid"},
		// 7 scope
		{name: "scoped user with limits", by: scoped, user: func(_ *realm, u *jwt.UserClaims) { u.Sub.Allow.Add("x") }, want: "no permissions or limits"},
		{name: "scope with a function that does not exist", by: scoped, account: func(r *realm, a *jwt.AccountClaims) {
			s := jwt.NewUserScope()
			s.Key = r.scoped.public
			s.Template.Pub.Allow.Add("a.{{uid()}}")
			a.SigningKeys.AddScopedSigner(s)
		}, want: "permissions that are not valid"},
		// 8 account's time
		{name: "account expires later", account: func(r *realm, a *jwt.AccountClaims) { a.Expires = r.clk.Now().Unix() + 5 }, want: "ok"},
		{name: "account expired", account: func(r *realm, a *jwt.AccountClaims) { a.Expires = r.clk.Now().Unix() - 1 }, want: "account JWT has expired"},
		{name: "account not yet", account: func(r *realm, a *jwt.AccountClaims) { a.NotBefore = r.clk.Now().Unix() + 60 }, want: "account JWT not valid yet"},
		// 9 bearer
		{name: "bearer", user: func(_ *realm, u *jwt.UserClaims) { u.BearerToken = true },
			request: func(_ *realm, q *Request) { q.Connect.Sig = "" }, want: "ok"},
		{name: "bearer disallowed", account: func(_ *realm, a *jwt.AccountClaims) { a.Limits.DisallowBearer = true },
			user: func(_ *realm, u *jwt.UserClaims) { u.BearerToken = true }, want: "does not allow bearer tokens"},
		// 10 connection types
		{name: "type", user: func(_ *realm, u *jwt.UserClaims) { u.AllowedConnectionTypes.Add("standard", "fax") }, want: "ok"},
		{name: "another type", user: func(_ *realm, u *jwt.UserClaims) { u.AllowedConnectionTypes.Add("WEBSOCKET") }, want: "connection type STANDARD is not allowed"},
		{name: "unknown types only", user: func(_ *realm, u *jwt.UserClaims) { u.AllowedConnectionTypes.Add("fax") }, want: "is not allowed"},
		// 11 signature
		{name: "no signature", request: func(_ *realm, q *Request) { q.Connect.Sig = "" }, want: "signature missing"},
		{name: "signature of another nonce", request: func(_ *realm, q *Request) { q.Nonce = "another" }, want: "signature not verified"},
		{name: "signature of another user", request: func(r *realm, q *Request) {
			q.Connect.Sig = newKey(r.t).sign(r.t, testNonce, base64.RawURLEncoding)
		}, want: "signature not verified"},
		{name: "standard encoding", request: func(r *realm, q *Request) { q.Connect.Sig = r.user.sign(r.t, testNonce, base64.StdEncoding) }, want: "ok"},
		// 12 revocation
		{name: "revoked", account: func(r *realm, a *jwt.AccountClaims) { a.RevokeAt(r.user.public, r.clk.Now().Add(time.Minute)) }, want: "revoked"},
		{name: "all revoked", account: func(r *realm, a *jwt.AccountClaims) { a.RevokeAt(jwt.All, r.clk.Now().Add(time.Minute)) }, want: "revoked"},
		{name: "older ones revoked", account: func(r *realm, a *jwt.AccountClaims) { a.RevokeAt(jwt.All, r.clk.Now().Add(-time.Minute)) }, want: "ok"},
		// 13 source
		{name: "source", user: func(_ *realm, u *jwt.UserClaims) { u.Src.Add("10.0.0.0/8", "192.0.2.0/24") }, want: "ok"},
		{name: "mapped source", user: func(_ *realm, u *jwt.UserClaims) { u.Src.Add("::ffff:192.0.2.0/120") }, want: "ok"},
		{name: "source of IPv6 form", user: func(_ *realm, u *jwt.UserClaims) { u.Src.Add("192.0.2.7/32") },
			request: func(_ *realm, q *Request) { q.Remote = netip.MustParseAddrPort("[::ffff:192.0.2.7]:1") }, want: "ok"},
		{name: "other source", user: func(_ *realm, u *jwt.UserClaims) { u.Src.Add("10.0.0.0/8") }, want: "bad source IP 192.0.2.7"},
		// 14 times
		{name: "in time", user: func(r *realm, u *jwt.UserClaims) { u.Times, u.Locale = day(r, -time.Hour, time.Hour), "UTC" }, want: "ok"},
		{name: "out of time", user: func(r *realm, u *jwt.UserClaims) { u.Times, u.Locale = day(r, time.Hour, 2*time.Hour), "UTC" }, want: "outside connect times"},
		// 15 callout
		{name: "callout", account: func(r *realm, a *jwt.AccountClaims) { a.EnableExternalAuthorization(newKey(r.t).public) }, want: "authentication error"},
		{name: "user of the callout", account: func(r *realm, a *jwt.AccountClaims) { a.EnableExternalAuthorization(r.user.public) }, want: "ok"},
		// permissions
		{name: "queue in publish", user: func(_ *realm, u *jwt.UserClaims) { u.Pub.Deny.Add("a q") }, want: "user JWT not valid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRealm(t, tt.account)
			if tt.options != nil {
				tt.options(r)
				r.auth = r.compile()
			}
			by := r.account
			if tt.by != nil {
				by = tt.by(r)
			}
			q := r.request(r.userJWT(by, func(u *jwt.UserClaims) {
				if tt.user != nil {
					tt.user(r, u)
				}
			}))
			if tt.request != nil {
				tt.request(r, q)
			}
			res, pooled := ask(t, r.auth, q)
			if !pooled {
				t.Error("signatures were verified on the loop")
			}
			if got := r.outcome(res); !strings.Contains(got, tt.want) {
				t.Fatalf("%s, want %s", got, tt.want)
			}
			want := tt.reason
			if want == netio.ReasonUnknown {
				want = netio.ReasonAuthFailure
			}
			if res.User == nil && (res.Reason != want || res.Text != "" || !strings.HasPrefix(res.Log, `authentication error - JWT User "`)) {
				t.Errorf("%v %q %s", res.Reason, res.Text, res.Log)
			}
			if u := res.User; u != nil && (u.Account.Name() != r.account.public || u.Name != r.user.public ||
				u.Label != fmt.Sprintf("%q", r.account.public+"/jwt:"+r.user.public) || u.JWT == "" || u.NameTag != "joe" || u.IssuerKey != by.public) {
				t.Errorf("%+v", u)
			}
		})
	}
}

// TestOperatorListeners: JWTs are asked for everywhere, INFO has a nonce, and no other credentials count.
func TestOperatorListeners(t *testing.T) {
	r := newRealm(t, nil)
	for l := range numListeners {
		if !r.auth.Required(l) || !r.auth.InfoRequired(l) || r.auth.NoAuthUser(l, engine.Standard) != "" {
			t.Errorf("listener %d is open", l)
		}
	}
	if !r.auth.NonceNeeded() {
		t.Error("no nonce")
	}
}

// TestUntrusted: accounts that no trusted operator issued are nobody's.
func TestUntrusted(t *testing.T) {
	r := newRealm(t, nil)
	q := r.request(r.userJWT(r.account, nil))
	if res, _ := ask(t, r.auth, q); res.User == nil {
		t.Fatal(res.Log)
	}
	other := newRealm(t, nil)
	r.opts.TrustedKeys = []string{other.operator.public}
	commit, err := r.reg.Prepare(r.opts)
	if err != nil {
		t.Fatal(err)
	}
	commit()
	if w := r.reg.Warnings(); len(w) != 1 || !strings.Contains(w[0], "not issued by a trusted operator") {
		t.Error(w)
	}
	r.auth = r.compile()
	if res, _ := ask(t, r.auth, r.request(q.Connect.JWT)); res.User != nil {
		t.Error("a user of an account that is not trusted was let in")
	}
}

// TestStrictOperator: with strict_signing_key_usage neither operator nor account may sign themselves.
func TestStrictOperator(t *testing.T) {
	r := newRealm(t, nil)
	opSigner := makeKey(t, nkeys.CreateOperator)
	oc := jwt.NewOperatorClaims(r.operator.public)
	oc.StrictSigningKeyUsage = true
	oc.SigningKeys.Add(opSigner.public)
	r.opts.TrustedKeys, r.opts.Operators = nil, []string{encode(t, oc, r.operator)}
	issue := func(by keyPair) {
		r.operator = by
		r.reload(nil)
	}
	try := func(by keyPair) string {
		res, _ := ask(t, r.auth, r.request(r.userJWT(by, nil)))
		return r.outcome(res)
	}
	issue(r.operator)
	if got := try(r.signer); got == "ok" {
		t.Error("an account signed by the operator's own key is trusted")
	}
	issue(opSigner)
	if got := try(r.signer); got != "ok" {
		t.Error(got)
	}
	if got := try(r.account); !strings.Contains(got, "issuer is not known") {
		t.Error(got)
	}
}

// TestExpiry: the session ends with the first of the user's JWT, the account's and the range of the day.
func TestExpiry(t *testing.T) {
	const no = time.Duration(0)
	for _, tt := range []struct {
		user, account, times, want time.Duration
		byAccount                  bool
	}{
		{no, no, no, no, false},
		{time.Minute, no, no, time.Minute, false},
		{time.Minute, time.Hour, no, time.Minute, false},
		{time.Hour, time.Minute, no, time.Minute, true},
		{no, time.Minute, no, time.Minute, true},
		{time.Hour, 2 * time.Hour, time.Minute, time.Minute, false},
		{no, no, time.Minute, time.Minute, false},
	} {
		r := newRealm(t, nil)
		now := time.Unix(r.clk.Now().Unix(), 0)
		after := func(d time.Duration) int64 {
			if d == 0 {
				return 0
			}
			return now.Add(d).Unix()
		}
		r.reload(func(_ *realm, a *jwt.AccountClaims) { a.Expires = after(tt.account) })
		token := r.userJWT(r.account, func(u *jwt.UserClaims) {
			u.Expires = after(tt.user)
			if tt.times > 0 {
				u.Locale = "UTC"
				u.Times = []jwt.TimeRange{{Start: now.UTC().Add(-time.Minute).Format(time.TimeOnly), End: now.UTC().Add(tt.times).Format(time.TimeOnly)}}
			}
		})
		res, _ := ask(t, r.auth, r.request(token))
		if res.User == nil {
			t.Fatalf("%+v: %s", tt, res.Log)
		}
		var got time.Duration
		if e := res.User.Expires; !e.IsZero() {
			got = e.Sub(now)
		}
		if got != tt.want || res.User.ExpiresByAccount != tt.byAccount {
			t.Errorf("%+v: %v %v", tt, got, res.User.ExpiresByAccount)
		}
	}
}

func TestOpenUntil(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.DateTime, "2026-03-04 "+s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	rng := func(s ...string) (out []jwt.TimeRange) {
		for i := 0; i < len(s); i += 2 {
			out = append(out, jwt.TimeRange{Start: s[i], End: s[i+1]})
		}
		return out
	}
	for _, tt := range []struct {
		ranges []jwt.TimeRange
		locale string
		now    string
		left   string // "" = closed
	}{
		{rng("11:00:00", "22:00:00"), "UTC", "13:00:00", "9h0m0s"},
		{rng("11:00:00", "22:00:00"), "UTC", "10:59:59", ""},
		{rng("11:00:00", "22:00:00"), "UTC", "11:00:00", "11h0m0s"},
		{rng("11:00:00", "22:00:00"), "UTC", "22:00:00", ""},
		{rng("22:00:00", "06:00:00"), "UTC", "23:30:00", "6h30m0s"},
		{rng("22:00:00", "06:00:00"), "UTC", "05:00:00", "1h0m0s"},
		{rng("22:00:00", "06:00:00"), "UTC", "06:00:00", ""},
		{rng("22:00:00", "06:00:00"), "UTC", "12:00:00", ""},
		{rng("08:00:00", "12:00:00", "09:00:00", "17:00:00"), "UTC", "10:00:00", "7h0m0s"},
		{rng("08:00:00", "09:00:00"), "Asia/Tokyo", "23:30:00", "30m0s"},
		{rng("08:00:00", "09:00:00"), "Asia/Tokyo", "08:30:00", ""},
	} {
		end, err := openUntil(tt.ranges, tt.locale, at(tt.now))
		got := ""
		if !end.IsZero() {
			got = end.Sub(at(tt.now)).String()
		}
		if err != nil || got != tt.left {
			t.Errorf("%v at %s: %q %v, want %q", tt.ranges, tt.now, got, err, tt.left)
		}
	}
	if _, err := openUntil(rng("x", "y"), "", at("12:00:00")); err == nil {
		t.Error("a range that is none")
	}
	if _, err := openUntil(nil, "Nowhere/City", at("12:00:00")); err == nil {
		t.Error("a place that is none")
	}
}

func TestTemplates(t *testing.T) {
	many := make([]string, 70)
	for i := range many {
		many[i] = fmt.Sprintf("n:%d", i)
	}
	for _, tt := range []struct {
		name              string
		allow, deny       []string
		userTags, accTags []string
		want, wantDeny    string // space separated
		fails             string
	}{
		{name: "plain", allow: []string{"a.b"}, deny: []string{"a.c"}, want: "a.b", wantDeny: "a.c"},
		{name: "name", allow: []string{"u.{{name()}}.>"}, want: "u.joe.>"},
		{name: "case and spaces", allow: []string{"{{ NAME() }}.{{ Account-Name() }}"}, want: "joe.acme"},
		{name: "subjects", allow: []string{"{{subject()}}.{{account-subject()}}"}, want: "USER.ACCOUNT"},
		{name: "tag", allow: []string{"t.{{tag(Team)}}"}, userTags: []string{"team:red", "x:y"}, want: "t.red"},
		{name: "tags multiply", allow: []string{"{{tag(a)}}.{{account-tag(b)}}"}, userTags: []string{"a:1", "a:2"}, accTags: []string{"b:3", "b:4"},
			want: "1.3 1.4 2.3 2.4"},
		{name: "absent tag in allow", allow: []string{"t.{{tag(no)}}", "keep"}, want: "keep"},
		{name: "nothing left in allow", allow: []string{"t.{{tag(no)}}"}, wantDeny: ">"},
		{name: "absent tag in deny", deny: []string{"t.{{tag(no)}}"}, fails: "has no value"},
		{name: "invalid in allow", allow: []string{"t.{{tag(a)}}"}, userTags: []string{"a:x..y", "a:z"}, want: "t.z"},
		{name: "invalid in deny", deny: []string{"t.{{tag(a)}}"}, userTags: []string{"a:x y"}, fails: "invalid subject"},
		{name: "unknown", allow: []string{"{{whoami()}}"}, fails: "is not defined"},
		{name: "no function", allow: []string{"{{name}}"}, fails: "is not defined"},
		{name: "too many", allow: []string{"{{tag(n)}}.{{tag(n)}}"}, userTags: many, fails: "more than 4096"},
	} {
		user := jwt.NewUserClaims("USER")
		user.Name, user.Tags = "joe", tt.userTags
		claims := &account.Claims{Subject: "ACCOUNT", Name: "acme", Tags: tt.accTags}
		in := jwt.UserPermissionLimits{}
		in.Pub.Allow, in.Pub.Deny = slices.Clone(tt.allow), slices.Clone(tt.deny)
		out, err := fillTemplate(&in, user, claims)
		if tt.fails != "" {
			if err == nil || !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("%s: %v, want %s", tt.name, err, tt.fails)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got, deny := strings.Join(out.Pub.Allow, " "), strings.Join(out.Pub.Deny, " "); got != tt.want || deny != tt.wantDeny {
			t.Errorf("%s: allow %q deny %q", tt.name, got, deny)
		}
		if !slices.Equal(in.Pub.Allow, tt.allow) || !slices.Equal(in.Pub.Deny, tt.deny) {
			t.Errorf("%s: the template was changed", tt.name)
		}
	}
	sub := jwt.UserPermissionLimits{}
	sub.Sub.Allow.Add("in.{{name()}} {{name()}}-workers")
	user := jwt.NewUserClaims("USER")
	user.Name = "joe"
	if out, err := fillTemplate(&sub, user, &account.Claims{}); err != nil || out.Sub.Allow[0] != "in.joe joe-workers" {
		t.Error(out, err)
	}
}

// TestUserLimits: limits and permissions come from the JWT, its scope, or the account.
func TestUserLimits(t *testing.T) {
	r := newRealm(t, func(_ *realm, a *jwt.AccountClaims) {
		a.DefaultPermissions.Pub.Deny.Add("secret")
	})
	get := func(by keyPair, change func(*jwt.UserClaims)) *User {
		t.Helper()
		res, _ := ask(t, r.auth, r.request(r.userJWT(by, change)))
		if res.User == nil {
			t.Fatal(res.Log)
		}
		return res.User
	}
	u := get(r.account, nil)
	if u.MaxSubs != -1 || u.MaxPayload != -1 || u.Perms.CanPub([]byte("secret")) || !u.Perms.CanPub([]byte("other")) {
		t.Errorf("default permissions: %+v", u)
	}
	u = get(r.account, func(c *jwt.UserClaims) {
		c.Subs, c.Limits.Payload = 5, 1<<40
		c.Sub.Allow.Add("in.>")
		c.Resp = &jwt.ResponsePermission{MaxMsgs: 3, Expires: time.Second}
	})
	if u.MaxSubs != 5 || u.MaxPayload != 1<<31-1 || u.Perms.CanSub([]byte("out"), nil) || !u.Perms.CanSub([]byte("in.a"), nil) {
		t.Errorf("own permissions: %+v", u)
	}
	if p := u.Perms.Responses(); p == nil || p.MaxMsgs != 3 || p.Expires != time.Second {
		t.Errorf("%+v", p)
	}
	u = get(r.scoped, nil)
	if u.MaxSubs != 7 || !u.Perms.CanPub([]byte("work.joe.x")) || u.Perms.CanPub([]byte("work.ann.x")) {
		t.Errorf("scope: %+v", u)
	}
}

// TestUserRecheck: what a change of the account's JWT means for users that are connected.
func TestUserRecheck(t *testing.T) {
	for _, tt := range []struct {
		name   string
		by     func(*realm) keyPair
		bearer bool
		change func(*realm, *jwt.AccountClaims)
		pass   time.Duration // time that passes before
		want   string
		reason netio.Reason
		text   string
	}{
		{name: "nothing", want: "ok"},
		{name: "limits", change: func(_ *realm, a *jwt.AccountClaims) { a.Limits.Subs = 3 }, want: "ok"},
		{name: "revoked", change: func(r *realm, a *jwt.AccountClaims) { a.RevokeAt(r.user.public, r.clk.Now().Add(time.Minute)) },
			want: "revoked", reason: netio.ReasonRevoked, text: "User Authentication Revoked"},
		{name: "bearer", bearer: true, change: func(_ *realm, a *jwt.AccountClaims) { a.Limits.DisallowBearer = true },
			want: "bearer", reason: netio.ReasonAuthFailure},
		{name: "signing key removed", by: func(r *realm) keyPair { return r.signer },
			change: func(r *realm, a *jwt.AccountClaims) { a.SigningKeys.Remove(r.signer.public) }, want: "issuer is not known", reason: netio.ReasonAuthFailure},
		{name: "another signing key removed", by: func(r *realm) keyPair { return r.scoped },
			change: func(r *realm, a *jwt.AccountClaims) { a.SigningKeys.Remove(r.signer.public) }, want: "ok"},
		{name: "scope changed", by: func(r *realm) keyPair { return r.scoped },
			change: func(r *realm, a *jwt.AccountClaims) {
				s := jwt.NewUserScope()
				s.Key = r.scoped.public
				a.SigningKeys.AddScopedSigner(s)
			}, want: "scope of the signing key has changed", reason: netio.ReasonAuthFailure},
		{name: "account expired", change: func(r *realm, a *jwt.AccountClaims) { a.Expires = r.clk.Now().Unix() - 1 },
			want: "expired", reason: netio.ReasonAuthExpired, text: "Account Authentication Expired"},
		{name: "user expired meanwhile", pass: 2 * time.Hour, want: "expired", reason: netio.ReasonAuthExpired, text: "User Authentication Expired"},
	} {
		r := newRealm(t, nil)
		by := r.account
		if tt.by != nil {
			by = tt.by(r)
		}
		q := r.request(r.userJWT(by, func(u *jwt.UserClaims) {
			u.Expires = r.clk.Now().Add(time.Hour).Unix()
			if by.public != r.scoped.public {
				u.BearerToken = tt.bearer
			}
		}))
		first, _ := ask(t, r.auth, q)
		if first.User == nil {
			t.Fatal(tt.name, first.Log)
		}
		if tt.change != nil {
			r.reload(tt.change)
		}
		r.clk.Advance(tt.pass)
		q.Nonce = "no signature is verified again"
		var res Result
		pool := &testPool{}
		r.auth.recheck(q, pool, func(got Result) { res = got })
		if pool.submits != 0 {
			t.Errorf("%s: the pool was needed", tt.name)
		}
		if got := r.outcome(res); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if res.User == nil && (res.Reason != tt.reason || res.Text != tt.text) {
			t.Errorf("%s: %v %q", tt.name, res.Reason, res.Text)
		}
		if tt.change == nil && tt.pass == 0 && res.User != first.User {
			t.Errorf("%s: another user", tt.name)
		}
	}
}

// TestRecheckAppliesDefaults: new default permissions reach the users without own ones.
func TestRecheckAppliesDefaults(t *testing.T) {
	r := newRealm(t, nil)
	q := r.request(r.userJWT(r.account, nil))
	if res, _ := ask(t, r.auth, q); res.User == nil || !res.User.Perms.CanPub([]byte("x")) {
		t.Fatal(res.Log)
	}
	r.reload(func(_ *realm, a *jwt.AccountClaims) { a.DefaultPermissions.Pub.Deny.Add("x") })
	var res Result
	r.auth.recheck(q, &testPool{}, func(got Result) { res = got })
	if res.User == nil || res.User.Perms.CanPub([]byte("x")) {
		t.Error(r.outcome(res))
	}
}

// FuzzUserToken: whatever a connection presents as JWT is answered, and never lets it in.
func FuzzUserToken(f *testing.F) {
	r := newRealm(f, nil)
	good := r.userJWT(r.account, nil)
	f.Add(good[:len(good)-1])
	f.Add("")
	f.Add("a.b.c")
	f.Add(strings.Replace(good, ".", "..", 1))
	f.Add("eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJuYXRzIjp7InR5cGUiOiJ1c2VyIiwidmVyc2lvbiI6Mn19.AAAA")
	f.Fuzz(func(t *testing.T, token string) {
		r.t = t
		if token == good {
			return
		}
		if res, _ := ask(t, r.auth, r.request(token)); res.User != nil {
			// The last character of base64 has bits that do not count.
			if _, err := jwt.DecodeUserClaims(token); err != nil || res.User.Name != r.user.public {
				t.Fatalf("%q was let in", token)
			}
		}
	})
}

// FuzzCredentials: a file of credentials is refused or has a token and a key that signs.
func FuzzCredentials(f *testing.F) {
	r := newRealm(f, nil)
	seed, err := r.user.Seed()
	if err != nil {
		f.Fatal(err)
	}
	good, err := jwt.FormatUserConfig(r.userJWT(r.account, nil), seed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(seed)
	f.Add([]byte("-----BEGIN NATS USER JWT-----\nx\n------END NATS USER JWT------\n-----BEGIN USER NKEY SEED-----\nSU\n------END USER NKEY SEED------\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, key, err := ParseCredentials(b)
		if err != nil {
			return
		}
		sig, err := key.Sign([]byte("nonce"))
		if err != nil || key.Verify([]byte("nonce"), sig) != nil {
			t.Fatalf("a key that does not sign: %v", err)
		}
	})
}
