package auth

import (
	"crypto/tls"
	"net/netip"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/netio"
	"ramjet/proto/wire"
)

// CONTRACT: see engine/netio/contract.go for the rule.

// Listener is which listener's overrides apply.
type Listener uint8

const (
	ClientListener Listener = iota
	WebsocketListener
	MQTTListener
	LeafListener
)

// Request is what a connection presents. Immutable once Begin was called.
type Request struct {
	Kind     engine.Kind
	ConnType engine.ConnType
	Listener Listener
	Connect  wire.Connect // decoded CONNECT (cookies of websocket already filled in)
	Nonce    string
	TLS      *tls.ConnectionState
	Remote   netip.AddrPort
	// NoAuthUser: the connection sent an operation before CONNECT and a no_auth_user applies.
	NoAuthUser bool
}

// User is an authenticated identity: immutable.
type User struct {
	Name    string // what monitoring shows: user, nkey, "[REDACTED]" token form
	Nkey    string
	Account *account.Account
	Perms   *Perms // nil = unrestricted
	Expires time.Time
	// MaxSubs, MaxPayload: -1 none; the connection takes the minimum of server, account and user.
	MaxSubs, MaxPayload int
	ProxyKey            string
	// Label is the log suffix `"account/user:name"`.
	Label string
}

// Result of an authentication.
type Result struct {
	User   *User        // nil when denied
	Reason netio.Reason // when denied
	Log    string       // text for the log, e.g. `authentication error - User "x"`
}

// Authenticator decides who a connection is; immutable, one per configuration.
type Authenticator struct{}

// New compiles the authenticator of opts. warnings: "Plaintext passwords detected, ...".
func New(opts *config.Options, reg *account.Registry) (a *Authenticator, warnings []string, err error) {
	panic("contract")
}

// Required reports whether CONNECT credentials are needed on this listener; NonceNeeded whether INFO
// carries a nonce; NoAuthUser the usable no_auth_user ("" = none) for this listener and type.
func (a *Authenticator) Required(l Listener) bool                        { panic("contract") }
func (a *Authenticator) NonceNeeded() bool                               { panic("contract") }
func (a *Authenticator) NoAuthUser(l Listener, t engine.ConnType) string { panic("contract") }

// Begin authenticates: if the answer is cheap it calls done before returning; otherwise (bcrypt,
// signatures) the work runs on pool and done is called there (the caller posts to its loop).
func (a *Authenticator) Begin(req *Request, pool *netio.Pool, done func(Result)) { panic("contract") }

// Recheck says, after a reload, who an already authenticated connection is now (same request, new
// configuration); Result.User == nil closes it.
func (a *Authenticator) Recheck(req *Request, pool *netio.Pool, done func(Result)) { panic("contract") }

// Perms are the compiled permissions of a user: immutable, any goroutine, no cache inside.
type Perms struct{}

// CompilePerms compiles p; nil in, nil out.
func CompilePerms(p *config.Permissions) (*Perms, error) { panic("contract") }

func (p *Perms) CanPub(subject []byte) bool        { panic("contract") }
func (p *Perms) CanSub(subject, queue []byte) bool { panic("contract") }

// FiltersDelivery reports whether a subscription to subject may receive subjects that subscribe deny
// excludes, so that each delivery must be tested with Deliverable.
func (p *Perms) FiltersDelivery(subject []byte) bool { panic("contract") }
func (p *Perms) Deliverable(subject []byte) bool     { panic("contract") }

// Responses returns allow_responses, nil if not set.
func (p *Perms) Responses() *config.ResponsePerm { panic("contract") }

// Source returns the configured form for monitoring and user info.
func (p *Perms) Source() *config.Permissions { panic("contract") }
