package account

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"

	"ramjet/engine/config"
)

// Claims is what the JWT of an account says (reference/auth.md, sections 6 and 11): immutable.
type Claims struct {
	Token         string
	Subject, Name string
	Issuer        string // operator key
	Tags          []string
	// NotBefore and Expires bound the time in which users are let in; zero = no bound.
	NotBefore, Expires time.Time
	DisallowBearer     bool
	// Callout: users are let in by an authorization callout, except those of AuthUsers (public keys).
	Callout   bool
	AuthUsers []string
	// AllowedAccounts are those, besides this one, that the callout may put users into; `*` is any. XKey is
	// the public curve key that its requests are encrypted for, "" for none.
	AllowedAccounts []string
	XKey            string

	imports jwt.Imports
	exports jwt.Exports
	signers map[string]*jwt.UserScope // who may issue users; nil: users carry their own limits
	revoked map[string]int64
	limits  config.AccountLimits
	js      *JetStream
	perms   *config.Permissions

	traceDest     string
	traceSampling int
	mappings      []*config.Mapping
	warnings      []string
}

// unusable is why an account cannot be used although its JWT is well formed and signed.
type unusable struct{ error }

// DecodeClaims decodes and verifies the JWT of the account called name. The error says what is wrong
// with it; that it is expired, or not valid yet, is not an error. Any goroutine.
func DecodeClaims(name, token string) (*Claims, error) {
	ac, err := jwt.DecodeAccountClaims(token)
	if err != nil {
		return nil, err
	}
	if ac.Subject != name {
		return nil, unusable{fmt.Errorf("it is the JWT of account %q", ac.Subject)}
	}
	vr := jwt.CreateValidationResults()
	ac.Validate(vr)
	if e := vr.Errors(); len(e) > 0 {
		return nil, unusable{errors.Join(e...)}
	}
	c := &Claims{
		Token: token, Subject: ac.Subject, Name: ac.Name, Issuer: ac.Issuer, Tags: ac.Tags,
		NotBefore: unix(ac.NotBefore), Expires: unix(ac.Expires),
		DisallowBearer: ac.Limits.DisallowBearer,
		imports:        ac.Imports,
		exports:        ac.Exports,
		Callout:        ac.Authorization.IsEnabled(),
		AuthUsers:      ac.Authorization.AuthUsers, AllowedAccounts: ac.Authorization.AllowedAccounts, XKey: ac.Authorization.XKey,
		signers: make(map[string]*jwt.UserScope, len(ac.SigningKeys)),
		revoked: ac.Revocations,
		limits: config.AccountLimits{
			MaxConn: limit(ac.Limits.Conn), MaxLeafs: limit(ac.Limits.LeafNodeConn),
			MaxSubs: limit(ac.Limits.Subs), MaxPayload: limit(ac.Limits.Payload),
		},
		js:    claimsJS(&ac.Limits),
		perms: PermissionsOf(&ac.DefaultPermissions),
	}
	if ac.Trace != nil {
		c.traceDest, c.traceSampling = string(ac.Trace.Destination), ac.Trace.Sampling
	}
	for k, s := range ac.SigningKeys {
		switch s := s.(type) {
		case nil:
			c.signers[k] = nil
		case *jwt.UserScope:
			c.signers[k] = s
		default:
			return nil, unusable{fmt.Errorf("signing key %q has a scope of unknown kind", k)}
		}
	}
	c.readMappings(ac.Mappings)
	return c, nil
}

// readMappings takes the mappings that can be compiled; what is wrong with another is a warning.
func (c *Claims) readMappings(in jwt.Mapping) {
	for _, src := range slices.Sorted(maps.Keys(in)) {
		m := &config.Mapping{Source: string(src)}
		for _, d := range in[src] {
			m.Dests = append(m.Dests, config.MapDest{Subject: string(d.Subject), Weight: int(d.GetWeight()), Cluster: d.Cluster})
		}
		if _, err := compileMappings([]*config.Mapping{m}, ""); err != nil {
			c.warnings = append(c.warnings, fmt.Sprintf("mapping of account %q ignored: %v", c.Subject, err))
			continue
		}
		c.mappings = append(c.mappings, m)
	}
}

// Signer reports whether key may issue users of the account, and the scope of a scoped signing key.
// strict: the operator demands signing keys. Any goroutine.
func (c *Claims) Signer(key string, strict bool) (scope *jwt.UserScope, ok bool) {
	if scope, ok = c.signers[key]; ok {
		return scope, true
	}
	return nil, key == c.Subject && !strict
}

// Revoked reports whether the account has revoked the JWTs issued to user at or before issued, unix
// seconds. Any goroutine.
func (c *Claims) Revoked(user string, issued int64) bool {
	return revoked(c.revoked, user, issued)
}

// ImportedAccounts returns the accounts that streams and services are imported from. Any goroutine.
func (c *Claims) ImportedAccounts() []string {
	var names []string
	for _, i := range c.imports {
		if i != nil && !slices.Contains(names, i.Account) {
			names = append(names, i.Account)
		}
	}
	return names
}

// Problems are parts of the JWT that are left out because they cannot be used. Any goroutine.
func (c *Claims) Problems() []string { return c.warnings }

// Mappings returns the mappings in force. Not to be modified. Any goroutine.
func (c *Claims) Mappings() []*config.Mapping { return c.mappings }

// Revocations returns until when which users are revoked; `*` is all. Any goroutine.
func (c *Claims) Revocations() map[string]time.Time {
	if len(c.revoked) == 0 {
		return nil
	}
	m := make(map[string]time.Time, len(c.revoked))
	for k, at := range c.revoked {
		m[k] = time.Unix(at, 0).UTC()
	}
	return m
}

// Payload returns the JSON of a token's claims, nil if it is none; nothing is verified. Any goroutine.
func Payload(token string) []byte {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || !json.Valid(b) {
		return nil
	}
	return b
}

// OperatorPayload returns the claims of an operator's JWT as JSON, those of an old version in the form of now; nil if it is none. Any
// goroutine.
func OperatorPayload(token string) []byte {
	c, err := jwt.DecodeOperatorClaims(token)
	if err != nil {
		return nil
	}
	b, err := json.Marshal(c)
	if err != nil {
		return nil
	}
	return b
}

// PermissionsOf converts the permissions of a JWT; nil when they do not restrict.
func PermissionsOf(p *jwt.Permissions) *config.Permissions {
	side := func(s *jwt.Permission) *config.SubjectPerm {
		if s.Empty() {
			return nil
		}
		return &config.SubjectPerm{Allow: s.Allow, Deny: s.Deny}
	}
	out := config.Permissions{Publish: side(&p.Pub), Subscribe: side(&p.Sub)}
	if p.Resp != nil {
		out.Responses = &config.ResponsePerm{MaxMsgs: p.Resp.MaxMsgs, Expires: p.Resp.Expires}
	}
	if out == (config.Permissions{}) {
		return nil
	}
	return &out
}

// limit converts a limit of a JWT: negative is none.
func limit(n int64) int { return int(min(max(n, -1), 1<<31-1)) }

// unix converts a time of a JWT: 0 is none.
func unix(sec int64) time.Time {
	if sec == 0 {
		return time.Time{}
	}
	return time.Unix(sec, 0)
}
