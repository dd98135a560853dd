package auth

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/netio"
	"ramjet/proto/wire"
)

// operator is operator mode, compiled: users prove with JWTs who they are. Immutable.
type operator struct {
	trust    *account.Trust
	sentinel string // JWT of connections without one, "" for none
	accounts *account.Registry
	pushed   bool // accounts come and go without a reload
	// pinned are the only accounts whose users are let in, besides the system account; nil = all.
	pinned    map[string]bool
	notPinned *atomic.Uint64
}

// newOperator compiles operator mode; nil when opts does not ask for it.
func newOperator(opts *config.Options, reg *account.Registry) (*operator, error) {
	trust, err := account.Trusts(opts)
	if trust == nil || err != nil {
		return nil, err
	}
	o := &operator{trust: trust, sentinel: opts.DefaultSentinel, accounts: reg, notPinned: new(atomic.Uint64),
		pushed: opts.Resolver != nil && opts.Resolver.Type != "mem"}
	if len(opts.ResolverPinnedAccounts) > 0 {
		o.pinned = map[string]bool{opts.SystemAccount: true}
		for _, name := range opts.ResolverPinnedAccounts {
			o.pinned[name] = true
		}
	}
	return o, nil
}

// userProof is what the JWT of a connection has proven; see proof.
type userProof struct {
	token  *userToken
	signed bool // the nonce is signed by the user
	grant  *userGrant
}

// userCheck is one run of userChecks.
type userCheck struct {
	at   *attempt
	op   *operator
	now  time.Time
	prev *userProof // of an earlier run with the same request, nil for none

	tokens *userTokens

	token   *userToken
	user    *jwt.UserClaims // of token
	account *account.Account
	claims  *account.Claims
	scope   *jwt.UserScope            // nil: limits are those of the JWT itself
	limits  *jwt.UserPermissionLimits // of the JWT or, with a scope, of its template
	grant   *userGrant                // made before for the same JWTs of user and account, nil for none
	types   uint16                    // bit set of allowed engine.ConnType, 0 = all
	signed  bool
	expires time.Time
	byAcct  bool   // it is the account that expires
	missing string // account that is not known
}

// refusal is why a check fails.
type refusal struct {
	why    string
	reason netio.Reason // ReasonUnknown: authentication failure
	text   string       // with reason, for a connection that was let in before; "" for the usual one
}

func refuse(format string, args ...any) *refusal { return &refusal{why: fmt.Sprintf(format, args...)} }

// userChecks are the checks of a user JWT, in the order in which they are made (reference/auth.md,
// section 6). Each may rely on those before it.
var userChecks = [...]func(*userCheck) *refusal{
	1:  (*userCheck).decode,
	2:  (*userCheck).needsProxy,
	3:  (*userCheck).valid,
	4:  (*userCheck).accountPinned,
	5:  (*userCheck).findAccount,
	6:  (*userCheck).accountTrusted,
	7:  (*userCheck).issuerKnown,
	8:  (*userCheck).applyScope,
	9:  (*userCheck).accountInTime,
	10: (*userCheck).bearerAllowed,
	11: (*userCheck).typeAllowed,
	12: (*userCheck).signature,
	13: (*userCheck).notRevoked,
	14: (*userCheck).sourceAllowed,
	15: (*userCheck).inTimes,
}

// finishUser runs the checks and answers. On the pool, unless the request has proven all before.
func (a *Authenticator) finishUser(at *attempt) Result {
	k := &userCheck{at: at, op: a.operator, tokens: a.tokens, now: a.clock.Now(), prev: at.proven}
	for _, check := range userChecks[1:] {
		if r := check(k); r != nil {
			return k.refused(r)
		}
	}
	u, err := k.identity()
	if err != nil {
		return k.refused(refuse("%v", err))
	}
	if k.grant == nil || k.grant.user != u {
		k.grant = &userGrant{claims: k.claims, scope: k.scope, limits: k.limits, user: u}
		k.token.last.Store(k.grant)
	}
	at.proven = &userProof{token: k.token, signed: k.signed, grant: k.grant}
	return at.granted(u)
}

// refused is the answer of a failed check.
func (k *userCheck) refused(r *refusal) Result {
	reason := r.reason
	if reason == netio.ReasonUnknown || r.text != "" && k.prev == nil {
		reason = netio.ReasonAuthFailure
	}
	who := ""
	if k.user != nil {
		who = k.user.Subject
	}
	res := Result{missing: k.missing, Reason: reason, Log: "authentication error - JWT User " + strconv.Quote(who) + ": " + r.why}
	if k.prev != nil { // it was let in before
		res.Text = r.text
	}
	return res
}

// decode takes the JWT of CONNECT, of MQTT the password, else default_sentinel.
func (k *userCheck) decode() *refusal {
	if p := k.prev; p != nil {
		k.token, k.user = p.token, p.token.user
		return nil
	}
	c := &k.at.req.Connect
	tokens := []string{c.JWT}
	if t := k.at.req.ConnType; c.JWT == "" && (t == engine.MQTT || t == engine.MQTTWS) {
		tokens[0] = c.Pass
	}
	if k.op.sentinel != "" {
		tokens = append(tokens, k.op.sentinel)
	}
	var err error
	for _, text := range tokens {
		if text == "" {
			continue
		}
		if k.token, err = k.tokens.get(text); err == nil {
			k.user = k.token.user
			return nil
		}
	}
	if err == nil {
		return refuse("a user JWT is required")
	}
	return refuse("user JWT not valid: %v", err)
}

func (k *userCheck) needsProxy() *refusal {
	if k.user.ProxyRequired && k.at.proxyKey == "" {
		return &refusal{why: "proxy connection required", reason: netio.ReasonProxyRequired}
	}
	return nil
}

// valid checks the contents of the JWT and its time.
func (k *userCheck) valid() *refusal {
	if k.token.problem != nil {
		return refuse("user JWT not valid: %v", k.token.problem)
	}
	if k.user.NotBefore != 0 && k.now.Before(time.Unix(k.user.NotBefore, 0)) {
		return refuse("user JWT not valid yet")
	}
	if k.user.Expires == 0 {
		return nil
	}
	k.expires = time.Unix(k.user.Expires, 0)
	if !k.now.Before(k.expires) {
		return &refusal{why: "user JWT has expired", reason: netio.ReasonAuthExpired, text: wire.TextUserExpired}
	}
	return nil
}

// accountName is the account that issued the user, itself or through a signing key.
func (k *userCheck) accountName() string { return cmp.Or(k.user.IssuerAccount, k.user.Issuer) }

func (k *userCheck) accountPinned() *refusal {
	if name := k.accountName(); k.op.pinned != nil && !k.op.pinned[name] {
		k.op.notPinned.Add(1)
		return refuse("account %q is not one of resolver_pinned_accounts", name)
	}
	return nil
}

func (k *userCheck) findAccount() *refusal {
	name := k.accountName()
	k.account = k.op.accounts.Lookup(name)
	if k.account != nil {
		k.claims = k.account.Snap().Claims
	}
	if k.claims == nil {
		if k.prev == nil { // an account that was there and is not any more was deleted
			k.missing = name
		}
		r := refuse("account %q is not known", name)
		if k.op.pushed {
			r.text = wire.TextAccountExpired
		}
		return r
	}
	return nil
}

func (k *userCheck) accountTrusted() *refusal {
	if _, ok := k.op.trust.Keys[k.claims.Issuer]; !ok {
		return refuse("account JWT not signed by trusted operator")
	}
	return nil
}

func (k *userCheck) issuerKnown() *refusal {
	var ok bool
	if k.scope, ok = k.claims.Signer(k.user.Issuer, k.op.trust.Keys[k.claims.Issuer]); !ok {
		return refuse("user JWT issuer is not known")
	}
	return nil
}

// applyScope: a user of a scoped signing key has the limits of its template, and none of its own. A
// connection does not survive a change of the template.
func (k *userCheck) applyScope() *refusal {
	if k.prev != nil && k.prev.grant.claims != k.claims && !reflect.DeepEqual(k.prev.grant.scope, k.scope) {
		return refuse("the scope of the signing key has changed")
	}
	g := k.token.last.Load()
	switch {
	case g != nil && g.claims == k.claims:
		k.grant, k.limits = g, g.limits
	case k.scope == nil:
		k.limits = &k.user.UserPermissionLimits
	default:
		err := k.scope.ValidateScopedSigner(k.user)
		if err != nil {
			return refuse("user JWT is not valid: %v", err)
		}
		if k.limits, err = fillTemplate(&k.scope.Template, k.user, k.claims); err != nil {
			return refuse("user JWT has permissions that are not valid: %v", err)
		}
	}
	if k.limits.ProxyRequired && k.at.proxyKey == "" {
		return &refusal{why: "proxy connection required", reason: netio.ReasonProxyRequired}
	}
	return nil
}

func (k *userCheck) accountInTime() *refusal {
	if k.now.Before(k.claims.NotBefore) {
		return refuse("account JWT not valid yet")
	}
	end := k.claims.Expires
	if end.IsZero() {
		return nil
	}
	if !k.now.Before(end) {
		return &refusal{why: "account JWT has expired", reason: netio.ReasonAuthExpired, text: wire.TextAccountExpired}
	}
	if k.expires.IsZero() || end.Before(k.expires) {
		k.expires, k.byAcct = end, true
	}
	return nil
}

func (k *userCheck) bearerAllowed() *refusal {
	if k.limits.BearerToken && k.claims.DisallowBearer {
		return refuse("account does not allow bearer tokens")
	}
	return nil
}

// typeAllowed: unknown types are ignored, unless all are.
func (k *userCheck) typeAllowed() *refusal {
	list := k.limits.AllowedConnectionTypes
	if len(list) == 0 {
		return nil
	}
	for _, name := range list {
		if bit, ok := connTypeBit(name); ok {
			k.types |= bit
		}
	}
	if k.types>>k.at.req.ConnType&1 == 0 {
		return refuse("connection type %s is not allowed", k.at.req.ConnType)
	}
	return nil
}

// signature: the nonce must be signed by the user, except of a bearer.
func (k *userCheck) signature() *refusal {
	switch {
	case k.prev != nil && k.prev.signed:
		k.signed = true
		return nil
	case k.limits.BearerToken:
		return nil
	case k.at.req.Connect.Sig == "":
		return refuse("signature missing")
	}
	key, err := nkeys.FromPublicKey(k.user.Subject)
	if err != nil {
		return refuse("user nkey not valid: %v", err)
	}
	if !verifySignature(key, k.at.req.Nonce, k.at.req.Connect.Sig) {
		return refuse("signature not verified")
	}
	k.signed = true
	return nil
}

func (k *userCheck) notRevoked() *refusal {
	if k.claims.Revoked(k.user.Subject, k.user.IssuedAt) {
		return &refusal{why: "user authentication revoked", reason: netio.ReasonRevoked, text: wire.TextUserRevoked}
	}
	return nil
}

func (k *userCheck) sourceAllowed() *refusal {
	if len(k.limits.Src) == 0 {
		return nil
	}
	from := k.at.req.Remote.Addr().Unmap().WithZone("")
	for _, s := range k.limits.Src {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return refuse("source %q is not valid", s)
		}
		if unmapPrefix(p).Contains(from) {
			return nil
		}
	}
	return refuse("bad source IP %s", from)
}

// unmapPrefix makes a prefix of IPv4 addresses in IPv6 form one of IPv4 addresses.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// inTimes: the session ends with the range of the day that is open now and lasts longest.
func (k *userCheck) inTimes() *refusal {
	if len(k.limits.Times) == 0 {
		return nil
	}
	end, err := openUntil(k.limits.Times, k.limits.Locale, k.now)
	switch {
	case err != nil:
		return refuse("connect times not valid: %v", err)
	case end.IsZero():
		return &refusal{why: "outside connect times", reason: netio.ReasonAuthExpired, text: wire.TextUserExpired}
	case k.expires.IsZero() || end.Before(k.expires):
		k.expires, k.byAcct = end, false
	}
	return nil
}

// openUntil returns when the ranges that contain now end, at the latest; zero when none does. A range
// that ends before it starts spans midnight.
func openUntil(ranges []jwt.TimeRange, locale string, now time.Time) (last time.Time, err error) {
	if locale != "" {
		loc, err := time.LoadLocation(locale)
		if err != nil {
			return last, err
		}
		now = now.In(loc)
	} else {
		now = now.Local()
	}
	y, m, d := now.Date()
	at := func(clock string, day int) (time.Time, error) {
		t, err := time.Parse(time.TimeOnly, clock)
		return time.Date(y, m, d+day, t.Hour(), t.Minute(), t.Second(), 0, now.Location()), err
	}
	for _, r := range ranges {
		for _, shift := range [...]int{-1, 0} { // begun yesterday, begun today
			start, err := at(r.Start, shift)
			if err != nil {
				return last, err
			}
			end, err := at(r.End, shift)
			if err != nil {
				return last, err
			}
			if end.Before(start) {
				end, _ = at(r.End, shift+1)
			}
			if !now.Before(start) && now.Before(end) && end.After(last) {
				last = end
			}
		}
	}
	return last, nil
}

// identity is the user that the checks have found.
func (k *userCheck) identity() (*User, error) {
	if g := k.grant; g != nil && g.user.Account == k.account && g.user.Expires.Equal(k.expires) &&
		g.user.ExpiresByAccount == k.byAcct {
		return g.user, nil
	}
	perms := account.PermissionsOf(&k.limits.Permissions)
	if perms == nil {
		perms = k.account.Snap().DefaultPerms
	}
	if k.claims.Callout {
		perms = withoutCallout(perms)
	}
	compiled, err := CompilePerms(perms)
	if err != nil {
		return nil, fmt.Errorf("permissions not valid: %w", err)
	}
	return &User{
		Name: k.user.Subject, Account: k.account, Perms: compiled, Expires: k.expires, ExpiresByAccount: k.byAcct,
		MaxSubs: limit(k.limits.Subs), MaxPayload: limit(k.limits.Payload),
		Label: labelOf(k.account, "jwt:"+k.user.Subject),
		JWT:   k.token.text, Bearer: k.user.BearerToken, IssuerKey: k.user.Issuer, NameTag: k.user.Name, Tags: slices.Clone([]string(k.user.Tags)),
	}, nil
}

// limit converts a limit of a JWT: negative is none.
func limit(n int64) int { return int(min(max(n, -1), 1<<31-1)) }
