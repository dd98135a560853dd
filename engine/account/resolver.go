package account

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"ramjet/engine/config"
)

// preload adds the accounts of resolver_preload. A token that is no account JWT at all is an error; an
// account that cannot be used is left out with a warning.
func (b *builder) preload(opts *config.Options) error {
	trust, err := Trusts(opts)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(opts.ResolverPreload)) {
		if name == Global {
			return fmt.Errorf("%q is a Reserved Account", Global)
		}
		c, err := b.claims(name, opts.ResolverPreload[name])
		if err != nil {
			var u unusable
			if !errors.As(err, &u) {
				return fmt.Errorf("preload account error for %q: %w", name, err)
			}
			b.warn("Preloaded account [%s] not valid: %v", name, err)
			continue
		}
		if trust == nil {
			continue // nobody may issue accounts: it would not be used
		}
		if _, ok := trust.Keys[c.Issuer]; !ok {
			b.warn("Preloaded account [%s] not valid: it was not issued by a trusted operator", name)
			continue
		}
		if err := b.addClaims(opts, c); err != nil {
			return err
		}
	}
	return nil
}

// provisional stands in for the JWT of the system account until somebody pushes it: with a resolver that JWTs are pushed to, an operator
// needs a user of the system account to push the first. nil if the configuration is not of that kind.
func provisional(opts *config.Options, sys string) (*Claims, error) {
	if len(opts.Operators) != 1 || opts.Resolver == nil || opts.Resolver.Type == "mem" || !nkeys.IsValidPublicAccountKey(sys) {
		return nil, nil
	}
	trust, err := Trusts(opts)
	if err != nil {
		return nil, err
	}
	keys := slices.Sorted(maps.Keys(trust.Keys))
	if len(keys) == 0 {
		return nil, nil
	}
	return &Claims{
		Subject: sys, Issuer: keys[0], signers: map[string]*jwt.UserScope{sys: nil},
		limits: config.AccountLimits{MaxConn: -1, MaxLeafs: -1, MaxSubs: -1, MaxPayload: -1},
	}, nil
}

// claims decodes the JWT of an account, unless the table before had the same.
func (b *builder) claims(name, token string) (*Claims, error) {
	if a := b.decoded.byName[name]; a != nil {
		if c := a.Snap().Claims; c != nil && c.Token == token {
			return c, nil
		}
	}
	return DecodeClaims(name, token)
}

// addClaims adds the account of c.
func (b *builder) addClaims(opts *config.Options, c *Claims) error {
	a, err := b.add(opts, c.Subject, nil, c.mappings, systemName(opts) == c.Subject)
	if err != nil {
		return err
	}
	s := b.snaps[a]
	s.Limits, s.DefaultPerms, s.Claims = c.limits, c.perms, c
	s.TraceDest, s.TraceSampling = c.traceDest, c.traceSampling
	if !s.System {
		s.JetStream = c.js
	}
	for _, w := range c.warnings {
		b.warn("%s", w)
	}
	return nil
}

func (b *builder) warn(format string, args ...any) {
	b.next.warnings = append(b.next.warnings, fmt.Sprintf(format, args...))
}

// Warnings returns what an operator should know about the configured accounts. Any goroutine.
func (r *Registry) Warnings() []string { return r.t.Load().warnings }

// Trial returns a registry for opts that shares no account with r, to find out whether a configuration
// works. JWTs that r has decoded are not decoded again. Control.
func (r *Registry) Trial(opts *config.Options) (*Registry, error) {
	t := &Registry{hooks: r.hooks}
	b := newBuilder(&table{}, r.hooks)
	b.decoded = r.t.Load()
	if err := b.build(opts); err != nil {
		return nil, err
	}
	b.commit(t)
	return t, nil
}
