package auth

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/netio"
	"ramjet/proto/header"
)

// CalloutSubject is where the service of an authorization callout listens, in the callout's account.
const CalloutSubject = "$SYS.REQ.USER.AUTH"

const (
	calloutAudience = "nats-authorization-request"
	calloutKey      = "Nats-Server-Xkey"
	tokenPrefix     = "eyJ" // of every JWT; a sealed message begins with something else
	calloutTimeout  = 2 * time.Second
	maxCallouts     = 8192 // waiting for their answer
)

// Callouts is what asking a callout service needs of the server. Immutable.
type Callouts struct {
	// Server describes this server in requests; XKey is filled in when requests are encrypted.
	Server func() jwt.ServerID
	// Key signs requests; Curve encrypts them.
	Key, Curve nkeys.KeyPair
	// Ask publishes a request in account in and calls done once, with the payload of the answer, which it
	// owns, or with ok false after timeout. Any goroutine but a loop; done is called on any.
	Ask func(in *account.Account, subject string, header, payload []byte, timeout time.Duration, done func(answer []byte, ok bool))
}

// UseCallouts sets how callout services are asked. Before the first Begin; control goroutine.
func (a *Authenticator) UseCallouts(c *Callouts) { a.callouts = c }

// callout is one authorization callout: of the configuration, or of an account's JWT (reference/auth.md,
// section 8).
type callout struct {
	account *account.Account // where the service listens
	issuer  string           // config mode: who signs answers and users; else ""
	xkey    string           // of the service, "" for no encryption
	// delegated says whose users it decides about: nil for all.
	delegated []string
	users     []string // who is let in without it: the service itself
	timeout   time.Duration
}

// newCallout returns the callout of the configuration, nil when it has none.
func newCallout(o *config.Options, reg *account.Registry) (*callout, error) {
	c := o.Auth.Callout
	if c == nil {
		return nil, nil
	}
	name := c.Account
	if name == "" {
		name = account.Global
	}
	acc := reg.Lookup(name)
	if acc == nil {
		//lint:ignore ST1005 the text is that of nats-server
		return nil, fmt.Errorf("Authorization callout account %q not valid", name)
	}
	return &callout{account: acc, issuer: c.Issuer, xkey: c.XKey, delegated: c.AllowedAccounts, users: c.AuthUsers, timeout: timeoutOf(o)}, nil
}

func timeoutOf(o *config.Options) time.Duration {
	if o.Auth.Timeout > 0 {
		return o.Auth.Timeout
	}
	return calloutTimeout
}

// calloutOf returns who is to be asked about an attempt that ended with r, nil when r stands.
func (a *Authenticator) calloutOf(at *attempt, r *Result) *callout {
	if r.Reason == netio.ReasonProxyNotTrusted {
		return nil
	}
	if r.User != nil && !at.rechecked && r.User.Account.Full(at.req.Kind) {
		return nil // there is no room: that is the answer
	}
	if at.byJWT {
		// Whom the account's own JWT does not let in, its service is not asked about.
		if r.User == nil {
			return nil
		}
		c := r.User.Account.Snap().Claims
		if c == nil || !c.Callout || at.proven != nil && slices.Contains(c.AuthUsers, at.proven.token.user.Subject) {
			return nil
		}
		return &callout{account: r.User.Account, xkey: c.XKey, delegated: c.AllowedAccounts, timeout: a.timeout}
	}
	c := a.callout
	switch {
	case c == nil:
		return nil
	case at.req.Kind == engine.Leaf:
	case r.User != nil && r.User.Account.Name() != account.Global && len(c.delegated) > 0 && !slices.Contains(c.delegated, r.User.Account.Name()):
		return nil
	}
	if id := at.identity(); id != "" && slices.Contains(c.users, id) {
		return nil
	}
	return c
}

// identity is the configured identity that the attempt claims, whether or not it was proven.
func (at *attempt) identity() string {
	switch e := at.entry; {
	case e == nil, e.token:
		return ""
	case e.user.Nkey != "":
		return e.user.Nkey
	default:
		return e.user.Name
	}
}

// conclude answers with r, or with what the callout service says. From wherever the attempt finished.
func (a *Authenticator) conclude(at *attempt, r Result, pool submitter, done func(Result)) {
	c := a.calloutOf(at, &r)
	if c == nil {
		done(r)
		return
	}
	q := &question{a: a, at: at, c: c, pool: pool, done: done}
	if a.callouts == nil {
		q.fail(errors.New("authorization callouts are not available"))
		return
	}
	if a.asking.Add(1) > maxCallouts || !a.sigs.submit(pool, q.ask, maxJobs) {
		a.asking.Add(-1)
		q.fail(errors.New("too many authorization callouts are waiting"))
	}
}

// question is one request to a callout service.
type question struct {
	a    *Authenticator
	at   *attempt
	c    *callout
	pool submitter
	done func(Result)
	user string // public key made for this request; the answer must name it
}

// fail denies the attempt; the text is logged with its first letter in upper case.
func (q *question) fail(err error) {
	text := err.Error()
	if r, n := utf8.DecodeRuneInString(text); n > 0 {
		text = string(unicode.ToUpper(r)) + text[n:]
	}
	r := q.at.denied(netio.ReasonAuthFailure)
	r.Warn, r.Detail, r.DetailAccount = text, text, q.c.account
	var p *proxyMissing
	if errors.As(err, &p) {
		r.Reason = netio.ReasonProxyRequired
	}
	q.done(r)
}

// proxyMissing: the user must come through a trusted proxy, and does not.
type proxyMissing struct{}

func (*proxyMissing) Error() string { return "proxy connection required" }

// ask signs and sends the request. Pool.
func (q *question) ask() {
	answered := func(answer []byte, ok bool) {
		q.a.asking.Add(-1)
		if !ok {
			r := q.at.denied(netio.ReasonAuthFailure)
			r.Detail, r.DetailAccount = r.Reason.String(), q.c.account
			q.done(r)
			return
		}
		// The answer came on somebody's loop: signatures are checked elsewhere.
		if !q.a.sigs.submit(q.pool, func() { q.answered(answer) }, maxJobs) {
			q.fail(errors.New("too many authorization callouts are waiting"))
		}
	}
	if gone := q.at.req.Gone; gone != nil && gone() {
		answered(nil, false)
		return
	}
	hdr, payload, err := q.request()
	if err != nil {
		q.a.asking.Add(-1)
		q.fail(fmt.Errorf("error encoding auth request claim on account %q: %w", q.c.account.Name(), err))
		return
	}
	q.a.callouts.Ask(q.c.account, CalloutSubject, hdr, payload, q.c.timeout, answered)
}

// request builds the signed and, if asked for, sealed request.
func (q *question) request() (hdr, payload []byte, err error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return nil, nil, err
	}
	if q.user, err = pair.PublicKey(); err != nil {
		return nil, nil, err
	}
	subj := q.c.issuer
	if subj == "" {
		subj = q.c.account.Name()
	}
	req, env := q.at.req, q.a.callouts
	c := jwt.NewAuthorizationRequestClaims(subj)
	c.Audience, c.UserNkey, c.Server = calloutAudience, q.user, env.Server()
	c.Expires = q.a.clock.Now().Add(q.c.timeout).UTC().Unix()
	if q.c.xkey != "" {
		if c.Server.XKey, err = env.Curve.PublicKey(); err != nil {
			return nil, nil, err
		}
	}
	c.ClientInformation = q.client()
	cn := &req.Connect
	c.ConnectOptions = jwt.ConnectOptions{
		JWT: cn.JWT, Nkey: cn.Nkey, SignedNonce: cn.Sig, Token: cn.Token, Username: cn.User, Password: cn.Pass,
		Name: cn.Name, Lang: cn.Lang, Version: cn.Version, Protocol: cn.Protocol,
	}
	if c.ConnectOptions.JWT == "" && q.at.proven != nil {
		c.ConnectOptions.JWT = q.at.proven.token.text // of MQTT's password, or default_sentinel
	}
	if cn.Sig != "" {
		c.ClientInformation.Nonce = req.Nonce
	}
	c.TLS = clientTLS(req.TLS)
	token, err := c.Encode(env.Key)
	if err != nil || q.c.xkey == "" {
		return nil, []byte(token), err
	}
	sealed, err := env.Curve.Seal([]byte(token), q.c.xkey)
	return header.AppendAdd(nil, nil, calloutKey, []byte(c.Server.XKey)), sealed, err
}

// client describes the connection.
func (q *question) client() jwt.ClientInformation {
	req := q.at.req
	info := jwt.ClientInformation{ID: req.ID, Kind: req.Kind.String(), Name: req.Connect.Name}
	if req.Remote.IsValid() {
		info.Host = req.Remote.Addr().Unmap().String()
	}
	switch {
	case req.Kind != engine.Client:
	case req.ConnType == engine.Websocket:
		info.Type = "websocket"
	case req.ConnType == engine.MQTT, req.ConnType == engine.MQTTWS:
		info.Type = "mqtt"
	default:
		info.Type = "nats"
	}
	if p := q.at.proven; p != nil {
		info.User, info.NameTag, info.Tags = p.token.user.Subject, p.token.user.Name, p.token.user.Tags
	} else {
		info.User, _ = claimed(q.at) // a token is shown as redacted
	}
	return info
}

// clientTLS describes the TLS connection and the certificates of the peer, verified chains if there are.
func clientTLS(st *tls.ConnectionState) *jwt.ClientTLS {
	if st == nil {
		return nil
	}
	text := func(raw []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}))
	}
	version := strings.TrimPrefix(tls.VersionName(st.Version), "TLS ")
	c := &jwt.ClientTLS{Version: version, Cipher: tls.CipherSuiteName(st.CipherSuite)}
	for _, chain := range st.VerifiedChains {
		var certs jwt.StringList
		for _, x := range chain {
			certs = append(certs, text(x.Raw))
		}
		c.VerifiedChains = append(c.VerifiedChains, certs)
	}
	if len(c.VerifiedChains) == 0 {
		for _, x := range st.PeerCertificates {
			c.Certs = append(c.Certs, text(x.Raw))
		}
	}
	return c
}

// answered decides by what the service said. Pool.
func (q *question) answered(answer []byte) {
	user, err := q.open(answer)
	if err != nil {
		q.fail(err)
		return
	}
	u, err := q.admit(user)
	if err != nil {
		q.fail(err)
		return
	}
	q.done(q.at.granted(u))
}

// open returns the user of an answer, after checking that it is one to this request by the service.
func (q *question) open(answer []byte) (*jwt.UserClaims, error) {
	name := q.c.account.Name()
	if len(answer) == 0 {
		return nil, fmt.Errorf("auth callout violation: %q on account %q", "no reason supplied", name)
	}
	sealed := q.c.xkey != "" && !strings.HasPrefix(string(answer), tokenPrefix)
	if sealed {
		var err error
		if answer, err = q.a.callouts.Curve.Open(answer, q.c.xkey); err != nil {
			return nil, fmt.Errorf("error decrypting auth callout response on account %q: %w", name, err)
		}
	}
	c, err := jwt.DecodeAuthorizationResponseClaims(string(answer))
	if err != nil {
		return nil, err
	}
	vr := jwt.CreateValidationResults()
	if c.Validate(vr); len(vr.Issues) > 0 {
		return nil, fmt.Errorf("authorization response had validation errors: %w", vr.Issues[0])
	}
	if c.Subject != q.user {
		return nil, errors.New("auth callout violation: auth callout response is not for expected user")
	}
	if c.Audience != q.a.callouts.Server().ID {
		return nil, errors.New("auth callout violation: auth callout response is not for server")
	}
	if !sealed { // nobody else could have sealed it
		if err := q.signedByService(c); err != nil {
			return nil, err
		}
	}
	if c.Error != "" {
		return nil, fmt.Errorf("auth callout service returned an error: %v", c.Error)
	}
	return jwt.DecodeUserClaims(c.Jwt)
}

// signedByService checks who issued an answer.
func (q *question) signedByService(c *jwt.AuthorizationResponseClaims) error {
	name := q.c.account.Name()
	switch {
	case q.c.issuer != "":
		if c.Issuer == q.c.issuer {
			return nil
		}
	case c.IssuerAccount != "" && c.IssuerAccount != name:
		return fmt.Errorf("auth callout response issuer account %q is not the callout account", c.IssuerAccount)
	case c.Issuer == name:
		return nil
	default:
		if claims := q.c.account.Snap().Claims; claims != nil {
			if _, ok := claims.Signer(c.Issuer, false); ok {
				return nil
			}
		}
	}
	return errors.New("auth callout signing key is unknown")
}

// admit makes an identity of the user in an answer.
func (q *question) admit(user *jwt.UserClaims) (*User, error) {
	service := q.c.account.Name()
	if q.at.proxyKey == "" && (user.ProxyRequired || q.at.entry != nil && q.at.entry.proxyRequired) {
		return nil, &proxyMissing{} // the configuration may demand it too
	}
	vr := jwt.CreateValidationResults()
	if user.Validate(vr); len(vr.Issues) > 0 {
		return nil, fmt.Errorf("error validating user JWT: %w", vr.Issues[0])
	}
	if user.Subject != q.user {
		return nil, fmt.Errorf("expected authorized user of %q but got %q on account %q", q.user, user.Subject, service)
	}
	target, limits, err := q.target(user)
	if err != nil {
		return nil, err
	}
	if limits.ProxyRequired && q.at.proxyKey == "" {
		return nil, &proxyMissing{}
	}
	expires, err := q.expiry(user, limits)
	if err != nil {
		return nil, err
	}
	if list := limits.AllowedConnectionTypes; len(list) > 0 {
		var types uint16
		for _, t := range list {
			if bit, ok := connTypeBit(t); ok {
				types |= bit
			}
		}
		switch {
		case types == 0:
			return nil, fmt.Errorf("authorized user on account %q using invalid connection type", service)
		case types>>q.at.req.ConnType&1 == 0:
			return nil, fmt.Errorf("authorized user on account %q not allowed to use connection type", service)
		}
	}
	perms := account.PermissionsOf(&limits.Permissions)
	if perms == nil {
		perms = target.Snap().DefaultPerms
	}
	if target == q.c.account {
		perms = withoutCallout(perms)
	}
	u := &User{Account: target, Expires: expires, MaxSubs: -1, MaxPayload: -1, ProxyKey: q.at.proxyKey}
	if u.Perms, err = CompilePerms(perms); err != nil {
		return nil, fmt.Errorf("could not register auth callout user: %w", err)
	}
	// It is called what the service says, else what the connection called itself.
	name, label := claimed(q.at)
	switch {
	case user.Name != "":
		name, label = user.Name, "user:"+user.Name
	case name == "":
		name, label = user.Subject, "nkey:"+user.Subject
	}
	u.Name, u.Label = name, labelOf(target, label)
	return u, nil
}

// target returns the account that a user of the service belongs to, and the user's limits.
func (q *question) target(user *jwt.UserClaims) (*account.Account, *jwt.UserPermissionLimits, error) {
	name := q.c.account.Name()
	lookup := func(placed string) (*account.Account, error) {
		if a := q.a.accounts.Lookup(placed); a != nil {
			return a, nil
		}
		return nil, fmt.Errorf("no valid account %q for auth callout response on account %q: account missing", placed, name)
	}
	if q.c.issuer != "" {
		if user.IssuerAccount != "" {
			return nil, nil, fmt.Errorf("error non operator mode account %q: attempted to use issuer_account", name)
		}
		if user.Issuer != q.c.issuer {
			return nil, nil, fmt.Errorf("wrong issuer for auth callout response on account %q, expected %q got %q", name, q.c.issuer, user.Issuer)
		}
		a, err := lookup(user.Audience)
		return a, &user.UserPermissionLimits, err
	}
	issuer := user.Issuer
	if user.IssuerAccount != "" {
		issuer = user.IssuerAccount
	}
	if issuer != name && !slices.Contains(q.c.delegated, issuer) && !slices.Equal(q.c.delegated, []string{jwt.AnyAccount}) {
		return nil, nil, fmt.Errorf("account %q not permitted as valid account option for auth callout for account %q", user.Issuer, name)
	}
	a, err := lookup(issuer)
	if err != nil {
		return nil, nil, err
	}
	claims := a.Snap().Claims
	if claims == nil {
		return nil, nil, fmt.Errorf("user JWT issuer %q is not known", user.Issuer)
	}
	scope, ok := claims.Signer(user.Issuer, false)
	switch {
	case !ok:
		return nil, nil, fmt.Errorf("user JWT issuer %q is not known", user.Issuer)
	case scope == nil:
		return a, &user.UserPermissionLimits, nil
	}
	if err := scope.ValidateScopedSigner(user); err != nil {
		return nil, nil, fmt.Errorf("user JWT is not valid: %w", err)
	}
	limits, err := fillTemplate(&scope.Template, user, claims)
	if err != nil {
		return nil, nil, fmt.Errorf("user JWT generated invalid permissions: %w", err)
	}
	return a, limits, nil
}

// expiry returns when the session of a user ends, zero for never.
func (q *question) expiry(user *jwt.UserClaims, limits *jwt.UserPermissionLimits) (end time.Time, err error) {
	if user.Expires != 0 {
		end = time.Unix(user.Expires, 0)
	}
	if len(limits.Times) == 0 {
		return end, nil
	}
	open, err := openUntil(limits.Times, limits.Locale, q.a.clock.Now())
	if err != nil || open.IsZero() {
		return end, fmt.Errorf("authorized user on account %q outside of valid connect times", q.c.account.Name())
	}
	if end.IsZero() || open.Before(end) {
		end = open
	}
	return end, nil
}

// withoutCallout returns p without the right to publish requests in the service's account, which only
// servers do.
func withoutCallout(p *config.Permissions) *config.Permissions {
	out := config.Permissions{}
	if p != nil {
		out = *p
	}
	pub := config.SubjectPerm{}
	if out.Publish != nil {
		pub = *out.Publish
	}
	pub.Deny = append(slices.Clone(pub.Deny), CalloutSubject)
	out.Publish = &pub
	return &out
}
