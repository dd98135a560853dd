package auth

import (
	"crypto/tls"
	"math"
	"net/netip"
	"sync/atomic"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/netio"
	"ramjet/proto/base/clock"
	"ramjet/proto/wire"
)

// Listener is which listener's overrides apply.
type Listener uint8

// The listeners that authenticate.
const (
	ClientListener Listener = iota
	WebsocketListener
	MQTTListener
	LeafListener
	numListeners
)

// Request is what a connection presents. Immutable once Begin was called.
type Request struct {
	Kind     engine.Kind
	ConnType engine.ConnType
	Listener Listener
	Connect  wire.Connect // decoded CONNECT (cookies of websocket already filled in)
	Nonce    string
	ID       uint64 // of the connection, for callouts
	TLS      *tls.ConnectionState
	Remote   netip.AddrPort
	// NoAuthUser: the connection sent an operation before CONNECT and a no_auth_user applies.
	NoAuthUser bool
	// Gone, when not nil, reports that nobody waits for the answer any more (the connection is closed):
	// an attempt that still waits for its turn is then denied without work. Any goroutine.
	Gone func() bool

	proof atomic.Pointer[proof]
}

// proof is what a request has proven: it stays proven after a reload, so that Recheck need not repeat
// signatures and bcrypt for every connection.
type proof struct {
	signed bool   // the nonce is signed with Connect.Nkey
	proxy  string // trusted key that signed the nonce
	hash   string // bcrypt hash that the presented secret matches
	user   *userProof
}

// User is an authenticated identity: immutable.
type User struct {
	Name    string // what monitoring shows: user, nkey, "[REDACTED]" for a token
	Nkey    string
	Account *account.Account
	Perms   *Perms    // nil = unrestricted
	Expires time.Time // zero = never
	// ExpiresByAccount: it is the account's JWT that expires, not the user's.
	ExpiresByAccount bool
	// MaxSubs, MaxPayload: -1 none; the connection takes the minimum of server, account and user.
	MaxSubs, MaxPayload int
	ProxyKey            string
	// Label is the log suffix `"account/user:name"`, "" for nobody in particular.
	Label string
	// Bearer: whoever has the JWT is this user, so that it is not shown.
	Bearer bool
	// JWT, IssuerKey, NameTag and Tags describe a user of operator mode, for monitoring and events.
	JWT, IssuerKey, NameTag string
	Tags                    []string
}

// ShownJWT returns the JWT for monitoring and events, "" for one that is a secret. Any goroutine.
func (u *User) ShownJWT() string {
	if u.Bearer {
		return ""
	}
	return u.JWT
}

// Result of an authentication.
type Result struct {
	User   *User        // nil when denied
	Reason netio.Reason // when denied
	Log    string       // text for the log, e.g. `authentication error - User "x"`
	Warn   string       // a warning to log whatever the outcome, "" for none
	Text   string       // -ERR of a denial, "" for wire.TextAuthorizationViolation
	// Detail is why an authorization callout denied, for the event of DetailAccount.
	Detail        string
	DetailAccount *account.Account

	missing string // denied only because this account is not known here; see Authenticator.UseAccounts
}

// Authenticator decides who a connection is; immutable, one per configuration.
type Authenticator struct {
	rules    [numListeners]rules
	proxies  proxyKeys
	wsNoAuth string
	hidden   bool // INFO does not say auth_required, because of no_auth_user
	nkeys    bool
	operator *operator // nil: users are in the configuration
	fetch    Fetch     // nil: what is not known stays unknown
	callout  *callout  // of the configuration, nil for none
	callouts *Callouts // how services are asked
	asking   *atomic.Int32
	timeout  time.Duration
	accounts *account.Registry
	clock    clock.Clock
	tokens   *userTokens

	verified *verified
	hashes   *queue // bcrypt
	sigs     *queue // signatures
}

// Required reports whether CONNECT credentials are needed on this listener.
func (a *Authenticator) Required(l Listener) bool { return a.operator != nil || a.rules[l].required }

// InfoRequired reports whether the first INFO on this listener says auth_required: not when a
// no_auth_user is configured. Later INFOs say what Required says (reference/protocol.md, section 4).
func (a *Authenticator) InfoRequired(l Listener) bool { return a.Required(l) && !a.hidden }

// NonceNeeded reports whether INFO carries a nonce.
func (a *Authenticator) NonceNeeded() bool {
	return a.nkeys || a.operator != nil || len(a.proxies) > 0
}

// NoAuthUser returns the user that a connection of type t on listener l becomes when it sends another
// operation before CONNECT, "" when it must send CONNECT first: the no_auth_user (a user, not an nkey)
// if it exists, is allowed on t and does not require a proxy.
func (a *Authenticator) NoAuthUser(l Listener, t engine.ConnType) string {
	r := &a.rules[l]
	if e := r.noAuthEntry(a.noAuth(r, t)); e != nil && e.user.Nkey == "" && !e.proxyRequired && e.allows(t) {
		return e.user.Name
	}
	return ""
}

// noAuth is the name of the no_auth_user of r for connections of type t.
func (a *Authenticator) noAuth(r *rules, t engine.ConnType) string {
	if t == engine.LeafnodeWS && a.wsNoAuth != "" {
		return a.wsNoAuth
	}
	return r.noAuth
}

// Inherit takes over from prev, the authenticator that a reload replaces, which passwords were
// verified and which attempts wait, and its clock. Before the first Begin; control goroutine.
func (a *Authenticator) Inherit(prev *Authenticator) {
	if prev != nil {
		a.verified, a.hashes, a.sigs = prev.verified, prev.hashes, prev.sigs
		a.clock, a.tokens = prev.clock, prev.tokens
		a.callouts, a.asking, a.fetch = prev.callouts, prev.asking, prev.fetch
		if a.operator != nil && prev.operator != nil {
			a.operator.notPinned = prev.operator.notPinned
		}
	}
}

// UseClock sets the clock that expiry is measured with. Before the first Begin; control goroutine.
func (a *Authenticator) UseClock(c clock.Clock) { a.clock = c }

// Fetch looks for an account that the registry does not know, in a directory or at a service, and calls done when the registry knows
// it or it cannot be had; false when it has too much to do already. Never blocks; any goroutine. done is called once, on any goroutine.
type Fetch func(name string, done func()) bool

// UseFetch sets how unknown accounts are found. Before the first Begin; control goroutine.
func (a *Authenticator) UseFetch(f Fetch) { a.fetch = f }

// NotPinned returns how many users were refused because their account is not one of resolver_pinned_accounts. Any goroutine.
func (a *Authenticator) NotPinned() uint64 {
	if a.operator == nil {
		return 0
	}
	return a.operator.notPinned.Load()
}

// Begin authenticates: if the answer is cheap it calls done before returning; otherwise (bcrypt,
// signatures) the work runs on pool and done is called there (the caller posts to its loop). Never
// blocks. When too many attempts wait already the attempt is denied; the peer may try again.
func (a *Authenticator) Begin(req *Request, pool *netio.Pool, done func(Result)) {
	a.begin(req, pool, done)
}

// Recheck says, after a reload, who an already authenticated connection is now (same request, new
// configuration); Result.User == nil closes it. What the request has proven before is not proven
// again, so that nearly all answers come before Recheck returns; those that do not always wait their
// turn, however many there are.
func (a *Authenticator) Recheck(req *Request, pool *netio.Pool, done func(Result)) {
	a.recheck(req, pool, done)
}

func (a *Authenticator) begin(req *Request, pool submitter, done func(Result)) {
	at := a.resolve(req)
	a.prove(&at, pool, done, maxJobs)
}

func (a *Authenticator) recheck(req *Request, pool submitter, done func(Result)) {
	at := a.resolve(req)
	at.rechecked = true
	if p := req.proof.Load(); p != nil {
		if p.proxy != "" && !a.proxies.trusts(p.proxy) {
			done(at.denied(netio.ReasonProxyNotTrusted))
			return
		}
		at.credit(p)
	}
	a.prove(&at, pool, done, math.MaxInt)
}

// prove finishes at, here or on the pool. limit bounds the attempts that wait.
func (a *Authenticator) prove(at *attempt, pool submitter, done func(Result), limit int) {
	q := a.sigs
	switch at.cost() {
	case costNothing:
		a.settle(at, pool, done)
		return
	case costHash:
		q = a.hashes
	}
	job := func() {
		if gone := at.req.Gone; gone != nil && gone() {
			done(at.denied(netio.ReasonAuthFailure))
			return
		}
		a.settle(at, pool, done)
	}
	if !q.submit(pool, job, limit) {
		r := at.denied(netio.ReasonAuthFailure)
		r.Log += ": too many attempts are waiting"
		done(r)
	}
}

// settle finishes at, once more if its account has to be fetched first.
func (a *Authenticator) settle(at *attempt, pool submitter, done func(Result)) {
	r := a.finish(at)
	if r.missing != "" && a.fetch != nil && !at.fetched {
		at.fetched = true
		if a.fetch(r.missing, func() { a.prove(at, pool, done, math.MaxInt) }) {
			return
		}
	}
	a.conclude(at, r, pool, done)
}
