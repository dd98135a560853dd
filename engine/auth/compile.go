package auth

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nkeys"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/proto/base/clock"
)

// entry is one configured identity.
type entry struct {
	user          *User
	pass          secret
	key           nkeys.KeyPair // nkey users
	types         uint16        // bit set of allowed engine.ConnType, 0 = all
	proxyRequired bool
	token         bool // single token: pass is compared with auth_token
	certOnly      bool // no password, and a TLS listener may map certificates to it
}

// allows reports whether the identity may be used on connections of type t.
func (e *entry) allows(t engine.ConnType) bool { return e.types == 0 || e.types>>t&1 != 0 }

// users are identities by name.
type users struct {
	byName, byNkey map[string]*entry
	byDN           []dnUser
	decoy          *secret // compared for unknown names; nil: nothing to compare
}

// rules are what applies on one listener.
type rules struct {
	required  bool
	tlsMap    bool
	users     *users
	single    *entry // the one token or user, nil for none
	noAuth    string // name of no_auth_user
	open      *entry // stands in for no_auth_user, see openGlobal
	anonymous *User  // who everybody is when nothing is required
}

// noAuthEntry returns the identity behind the name of a no_auth_user.
func (r *rules) noAuthEntry(name string) *entry {
	if name == "" {
		return r.open
	}
	if e := r.users.byName[name]; e != nil {
		return e
	}
	return r.users.byNkey[name]
}

const plaintextWarning = "Plaintext passwords detected, use nkeys or bcrypt"

// New compiles the authenticator of opts. warnings: "Plaintext passwords detected, ...". It refuses
// what it cannot enforce.
func New(opts *config.Options, reg *account.Registry) (a *Authenticator, warnings []string, err error) {
	b := &builder{opts: opts, reg: reg}
	a = &Authenticator{verified: newVerified(), clock: clock.System(), tokens: newUserTokens(), asking: new(atomic.Int32),
		timeout: timeoutOf(opts), accounts: reg,
		hashes: &queue{width: max(1, runtime.GOMAXPROCS(0)-1)}, sigs: &queue{width: max(1, runtime.GOMAXPROCS(0)/2)}}
	if a.operator, err = newOperator(opts, reg); err != nil {
		return nil, nil, err
	}
	if a.callout, err = newCallout(opts, reg); err != nil {
		return nil, nil, err
	}
	b.callout = a.callout
	for _, k := range opts.TrustedProxies {
		pair, err := nkeys.FromPublicKey(k)
		if err != nil {
			return nil, nil, fmt.Errorf("proxy trusted key %q is invalid", k)
		}
		a.proxies = append(a.proxies, proxyKey{k, pair})
	}
	base, err := b.clientRules(reg.Global())
	if err != nil {
		return nil, nil, err
	}
	if b.plain {
		warnings = append(warnings, plaintextWarning)
	}
	a.nkeys = len(base.users.byNkey) > 0
	a.hidden = opts.NoAuthUser != ""
	a.rules[ClientListener] = base
	a.rules[WebsocketListener], a.rules[MQTTListener] = base, base
	if w := opts.Websocket; w != nil {
		a.wsNoAuth = w.NoAuthUser
		a.rules[WebsocketListener] = b.override(base, &w.Auth, w.NoAuthUser, mapsCerts(w.TLS))
	}
	if m := opts.MQTT; m != nil {
		a.rules[MQTTListener] = b.override(base, &m.Auth, m.NoAuthUser, mapsCerts(m.TLS))
	}
	if a.rules[LeafListener], err = b.leafRules(base); err != nil {
		return nil, nil, err
	}
	return a, warnings, nil
}

// builder compiles one configuration.
type builder struct {
	opts  *config.Options
	reg   *account.Registry
	plain bool // a plaintext password was found
	// callout of the configuration, nil for none
	callout *callout
}

func mapsCerts(t *config.TLSOptions) bool { return t != nil && t.VerifyAndMap }

// clientRules compiles the rules of the client listener, which the others start from.
func (b *builder) clientRules(global *account.Account) (rules, error) {
	o := b.opts
	r := rules{users: newUsers(), noAuth: o.NoAuthUser, tlsMap: mapsCerts(o.TLS), anonymous: anonymous(global)}
	for _, u := range o.Auth.Users {
		if err := b.addUser(r.users, u, u.Account, o.Auth.DefaultPerms, o.Auth.ProxyRequired); err != nil {
			return r, err
		}
	}
	for _, acc := range o.Accounts {
		for _, u := range acc.Users {
			if err := b.addUser(r.users, u, acc.Name, acc.DefaultPerms, false); err != nil {
				return r, err
			}
		}
	}
	r.single = single(&o.Auth, global, o.Auth.ProxyRequired)
	if r.single != nil && !r.single.token && o.Auth.Pass != "" && !r.single.pass.bcrypt {
		b.plain = true
	}
	if b.openGlobal() {
		r.open = &entry{user: &User{Name: "no_auth_user", Account: global, MaxSubs: -1, MaxPayload: -1}}
	}
	r.required = len(r.users.byName)+len(r.users.byNkey) > 0 || r.single != nil || r.open != nil || b.callout != nil
	return r, nil
}

// openGlobal reports the configuration whose only account is the system account, and that has no
// authorization block, not even an empty one: users of the system account log in, and everybody else
// is still let in to $G without credentials (verified on nats-server 2.15.2).
func (b *builder) openGlobal() bool {
	o := b.opts
	sys := b.reg.System()
	return len(o.Accounts) == 1 && sys != nil && sys.Name() == o.Accounts[0].Name && o.NoAuthUser == "" &&
		o.Places["authorization"] == "" && o.Auth.User == "" && o.Auth.Token == "" && o.Auth.Users == nil &&
		o.Auth.DefaultPerms == nil && !o.Auth.ProxyRequired
}

func anonymous(acc *account.Account) *User { return &User{Account: acc, MaxSubs: -1, MaxPayload: -1} }

// single compiles the one token or user of a block; nil when it has none.
func single(auth *config.AuthBlock, acc *account.Account, proxy bool) *entry {
	u := anonymous(acc)
	switch {
	case auth.Token != "":
		u.Name, u.Label = redacted, labelOf(acc, "token")
		return &entry{user: u, pass: newSecret(auth.Token), token: true, proxyRequired: proxy}
	case auth.User != "":
		u.Name, u.Label = auth.User, labelOf(acc, "user:"+auth.User)
		return &entry{user: u, pass: newSecret(auth.Pass), proxyRequired: proxy}
	}
	return nil
}

// override applies the authorization block of the websocket or MQTT listener: with a user, token or
// no_auth_user of its own, the general ones do not count there. Certificates are always mapped as the
// listener's own TLS block says.
func (b *builder) override(base rules, auth *config.AuthBlock, noAuth string, tlsMap bool) rules {
	base.tlsMap = tlsMap
	if auth.User == "" && auth.Token == "" && noAuth == "" {
		return base
	}
	base.required = true
	base.noAuth, base.open = noAuth, nil
	base.single = single(auth, base.anonymous.Account, b.opts.Auth.ProxyRequired)
	return base
}

// leafRules compiles the rules of leafnode connections: those of clients, unless the leafnodes block
// has credentials (reference/auth.md, section 5).
func (b *builder) leafRules(base rules) (rules, error) {
	l := b.opts.Leafnodes
	if l == nil {
		return base, nil
	}
	acc, err := b.account(l.Auth.Account)
	if err != nil {
		return base, err
	}
	base.tlsMap = mapsCerts(l.TLS)
	own := rules{required: true, users: newUsers(), anonymous: anonymous(acc)}
	switch {
	case l.Auth.User != "":
		own.single = single(&config.AuthBlock{User: l.Auth.User, Pass: l.Auth.Pass}, acc, l.Auth.ProxyRequired)
	case l.Auth.Nkey != "":
		u := &config.User{Nkey: l.Auth.Nkey, ProxyRequired: l.Auth.ProxyRequired}
		err = b.addUser(own.users, u, acc.Name(), nil, false)
	case len(l.Auth.Users) > 0:
		own.tlsMap = base.tlsMap
		for _, u := range l.Auth.Users {
			if err == nil {
				err = b.addUser(own.users, u, u.Account, nil, l.Auth.ProxyRequired)
			}
		}
	default:
		base.anonymous = own.anonymous
		return base, nil
	}
	return own, err
}

func newUsers() *users {
	return &users{byName: make(map[string]*entry), byNkey: make(map[string]*entry)}
}

func (b *builder) account(name string) (*account.Account, error) {
	if name == "" {
		return b.reg.Global(), nil
	}
	if acc := b.reg.Lookup(name); acc != nil {
		return acc, nil
	}
	return nil, fmt.Errorf("account %q does not exist", name)
}

// addUser compiles one user into us. defaults apply as a whole to a user without permissions.
func (b *builder) addUser(us *users, u *config.User, accName string, defaults *config.Permissions, proxy bool) error {
	acc, err := b.account(accName)
	if err != nil {
		return err
	}
	perms := u.Perms
	if perms == nil {
		perms = defaults
	}
	e := &entry{user: anonymous(acc), proxyRequired: u.ProxyRequired || proxy}
	who, in, name := "user", us.byName, u.Name
	if u.Nkey != "" {
		who, in, name = "nkey", us.byNkey, u.Nkey
		e.user.Nkey = u.Nkey
		if e.key, err = nkeys.FromPublicKey(u.Nkey); err != nil || !nkeys.IsValidPublicUserKey(u.Nkey) {
			//lint:ignore ST1005 the text is that of nats-server
			return fmt.Errorf("Not a valid public nkey for a user: %q", u.Nkey)
		}
	}
	e.user.Name, e.user.Label = name, labelOf(acc, who+":"+name)
	if b.callout != nil && acc == b.callout.account {
		perms = withoutCallout(perms)
	}
	if e.user.Perms, err = CompilePerms(perms); err != nil {
		return fmt.Errorf("invalid permissions for %s %q: %w", who, name, err)
	}
	for _, t := range u.ConnTypes {
		bit, ok := connTypeBit(t)
		if !ok {
			return fmt.Errorf("unknown connection type %q", t)
		}
		e.types |= bit
	}
	if in[name] != nil {
		//lint:ignore ST1005 the text is that of nats-server
		return fmt.Errorf("Duplicate %s %q detected", who, name)
	}
	in[name] = e
	if u.Nkey == "" {
		b.addPassword(us, e, u)
	}
	return nil
}

func (b *builder) addPassword(us *users, e *entry, u *config.User) {
	e.pass = newSecret(u.Pass)
	e.certOnly = u.Pass == "" && b.mayMap(e)
	if !e.pass.bcrypt && !e.certOnly {
		b.plain = true
	}
	if us.decoy == nil || e.pass.bcrypt && !us.decoy.bcrypt {
		us.decoy = &e.pass
	}
	if name, ok := parseDN(u.Name); ok {
		us.byDN = append(us.byDN, dnUser{name, e})
	}
}

// mayMap reports whether some configured listener could map a certificate to e.
func (b *builder) mayMap(e *entry) bool {
	o := b.opts
	ws, mqtt, leaf := o.Websocket, o.MQTT, o.Leafnodes
	wsCerts := ws != nil && ws.Port != 0 && ws.TLS != nil && (ws.TLS.Verify || ws.TLS.VerifyAndMap)
	switch {
	case mapsCerts(o.TLS) && e.allows(engine.Standard):
		return true
	case ws != nil && ws.Port != 0 && mapsCerts(ws.TLS) && e.allows(engine.Websocket):
		return true
	case mqtt != nil && mqtt.Port != 0 && mapsCerts(mqtt.TLS) &&
		(e.allows(engine.MQTT) || wsCerts && e.allows(engine.MQTTWS)):
		return true
	}
	return leaf != nil && leaf.Port != 0 && mapsCerts(leaf.TLS) && leaf.Auth.User == "" && leaf.Auth.Nkey == "" &&
		len(leaf.Auth.Users) == 0 && (e.allows(engine.Leafnode) || wsCerts && e.allows(engine.LeafnodeWS))
}

func connTypeBit(name string) (bit uint16, ok bool) {
	for t := engine.ConnType(0); t < engine.NumConnTypes; t++ {
		if strings.EqualFold(t.String(), name) {
			return 1 << t, true
		}
	}
	return 0, false
}
