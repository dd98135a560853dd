package server

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/auth"
	"ramjet/engine/config"
	"ramjet/proto/base/clock"
	"ramjet/store/vfs"
)

const (
	maxFetches  = 256  // accounts looked for at once
	maxFetchers = 4096 // logins that wait for one of them
	maxImported = 1024 // accounts fetched along with one, because it imports from them
	cacheLimit  = 1000 // JWTs of a cache that does not say
)

// resolver finds the JWTs of accounts in operator mode (reference/auth.md, section 6.1). The JWTs in force become part of the
// configuration as if they were listed in resolver_preload; what is found or pushed later joins them. Methods say who may call them;
// mu is a leaf.
type resolver struct {
	s   *Server // set by useResolver
	o   config.ResolverOptions
	dir *jwtDir // full and cache
	web *webResolver

	mu    sync.Mutex
	waits map[string][]func() // logins, by the account that is being looked for

	// Owner: control.
	preload map[string]string // of the configuration
	force   map[string]string // in force besides
	// deleted are the JWTs of accounts that the operator has deleted: they do not come back, from wherever they are found.
	deleted map[string][sha256.Size]byte
	sync    clock.Timer // of a full resolver: compares with others
}

// newResolver opens the resolver of o, nil when there is none, and completes o with what the server cannot start without.
func newResolver(o *config.Options, clk clock.Clock, fsys vfs.FS) (r *resolver, warnings []string, err error) {
	trust, err := account.Trusts(o)
	if trust == nil || o.Resolver == nil || err != nil {
		return nil, nil, err
	}
	r = &resolver{o: *o.Resolver, waits: map[string][]func(){}, force: map[string]string{}, deleted: map[string][sha256.Size]byte{}}
	switch r.o.Type {
	case "full", "cache":
		d := jwtDirOptions{fs: fsys, dir: r.o.Dir, clk: clk, limit: int(r.o.Limit), hard: r.o.HardDelete}
		if r.o.Type == "cache" {
			d.cache, d.ttl, d.hard = true, r.o.TTL, true
			if d.limit == 0 {
				d.limit = cacheLimit
			}
		}
		if r.dir, warnings, err = openJWTDir(d); err != nil {
			return nil, nil, fmt.Errorf("resolver directory %s: %w", r.o.Dir, err)
		}
		for _, name := range slices.Sorted(maps.Keys(o.ResolverPreload)) {
			c, err := accountJWT(name, o.ResolverPreload[name])
			if err == nil {
				_, err = r.dir.save(c, o.ResolverPreload[name], true)
			}
			if err != nil {
				warnings = append(warnings, fmt.Sprintf("Preloaded account [%s] not kept: %v", name, err))
			}
		}
	case "url":
		if r.web, err = newWebResolver(&r.o, o.ResolverTLS); err != nil {
			return nil, nil, err
		}
		if err := r.web.check(); err != nil {
			return nil, nil, err
		}
	}
	if sys := o.SystemAccount; nkeys.IsValidPublicAccountKey(sys) {
		token, err := r.near(sys)
		if err != nil {
			return nil, nil, fmt.Errorf("error resolving system account: %w", err)
		}
		if token != "" {
			r.force[sys] = token
		}
	}
	r.overlay(o)
	return r, warnings, nil
}

// overlay adds the JWTs in force to a configuration that was read. Control.
func (r *resolver) overlay(o *config.Options) {
	r.preload = maps.Clone(o.ResolverPreload)
	r.combine(o)
}

// combine makes the JWTs of o those in force: of two of the same account the one issued later. Control; o is not in use yet.
func (r *resolver) combine(o *config.Options) {
	all := maps.Clone(r.preload)
	if all == nil {
		all = map[string]string{}
	}
	for name, token := range r.force {
		if was := all[name]; was == "" || issued(token) >= issued(was) {
			all[name] = token
		}
	}
	o.ResolverPreload = all
}

// useResolver makes r the resolver. Control, or before the server is used.
func (s *Server) useResolver(r *resolver) {
	s.resolver.Store(r)
	if r == nil {
		return
	}
	r.s = s
	var fetch auth.Fetch
	if r.o.Type != "mem" {
		fetch = r.fetch
	}
	s.auth.Load().UseFetch(fetch)
}

// prepareResolver gives the configuration to come the JWTs that are in force, or opens another resolver for it. Control.
func (s *Server) prepareResolver(cur *config.Options, p *prepared) (err error) {
	r := s.resolver.Load()
	if r == nil || p.next.Resolver == nil {
		return nil // refused, if only one is nil
	}
	if *cur.Resolver == *p.next.Resolver && reflect.DeepEqual(cur.ResolverTLS, p.next.ResolverTLS) {
		r.overlay(p.next)
		return nil
	}
	if p.resolver, p.warnings, err = newResolver(p.next, s.clk, s.disk()); err != nil {
		return err
	}
	for name, token := range r.force {
		if p.resolver.force[name] == "" {
			p.resolver.force[name] = token
		}
	}
	maps.Copy(p.resolver.deleted, r.deleted)
	p.resolver.overlay(p.next)
	return nil
}

// changeResolver replaces the resolver. Control.
func (s *Server) changeResolver(r *resolver) {
	s.resolver.Load().stopSync()
	s.useResolver(r)
	r.startSync()
	s.sysacc.ClaimsChanged()
}

// issued is when a JWT says it was issued; unix seconds.
func issued(token string) int64 {
	c, err := jwt.DecodeAccountClaims(token)
	if err != nil {
		return 0
	}
	return c.IssuedAt
}

// near looks where no other server is asked: "" when it is not there.
func (r *resolver) near(name string) (string, error) {
	switch {
	case r.dir != nil:
		return r.dir.load(name)
	case r.web != nil:
		return r.web.get(name)
	}
	return "", nil
}

// far asks the other servers. Not on a loop; waits.
func (r *resolver) far(name string) string {
	sys := r.s.accounts.System()
	if r.dir == nil || sys == nil {
		return ""
	}
	token := ""
	r.s.inboxes.collect(sys, "$SYS.REQ.ACCOUNT."+name+".CLAIMS.LOOKUP", nil, r.timeout(), true, func(answer []byte) bool {
		token = string(answer)
		return token != ""
	})
	return token
}

// fetch is auth.Fetch.
func (r *resolver) fetch(name string, done func()) bool {
	if !nkeys.IsValidPublicAccountKey(name) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting, under := r.waits[name]
	if !under && len(r.waits) >= maxFetches || len(waiting) >= maxFetchers {
		return false
	}
	r.waits[name] = append(waiting, done)
	if !under {
		go r.find(name)
	}
	return true
}

// find looks for an account and those it imports from, puts them in force and lets the logins go on.
func (r *resolver) find(name string) {
	found := map[string]string{}
	todo, seen := []string{name}, map[string]bool{name: true}
	for len(todo) > 0 && len(seen) <= maxImported {
		next := todo[0]
		todo = todo[1:]
		token := r.look(next)
		if token == "" {
			continue
		}
		c, err := account.DecodeClaims(next, token)
		if err != nil {
			r.s.log.Logf(engine.Warn, "RJ-S080", "Account %s: its JWT cannot be used: %v", next, err)
			continue
		}
		found[next] = token
		for _, from := range c.ImportedAccounts() {
			if !seen[from] && r.s.accounts.Lookup(from) == nil {
				seen[from] = true
				todo = append(todo, from)
			}
		}
	}
	apply := func() {
		for n, token := range found {
			if r.deleted[n] == sha256.Sum256([]byte(token)) {
				delete(found, n)
				_ = r.dir.remove(n) // what is not removed now is not found again
			}
		}
		if len(found) > 0 {
			for n, token := range found {
				r.force[n] = token
			}
			if err := r.s.applyClaims(); err != nil {
				r.s.log.Logf(engine.Error, "RJ-S081", "Account %s: its JWT cannot be put in force: %v", name, err)
				for n := range found {
					delete(r.force, n)
				}
			}
		}
		r.mu.Lock()
		waiting := r.waits[name]
		delete(r.waits, name)
		r.mu.Unlock()
		for _, done := range waiting {
			done()
		}
	}
	r.s.ctl.post(apply) // when the server ends nobody waits any more
}

// look looks everywhere; what comes from another server is kept.
func (r *resolver) look(name string) string {
	token, err := r.near(name)
	if err != nil {
		r.s.log.Logf(engine.Error, "RJ-S082", "Account %s: its JWT cannot be read: %v", name, err)
	}
	if token != "" {
		return token
	}
	if token = r.far(name); token == "" {
		return ""
	}
	c, err := accountJWT(name, token)
	if err == nil {
		_, err = r.dir.save(c, token, true)
	}
	if err != nil {
		r.s.log.Logf(engine.Error, "RJ-S083", "Account %s: the JWT of another server is not kept: %v", name, err)
	}
	return token
}

// applyClaims puts the JWTs in force that the resolver has, as a reload of the configuration would. Control.
func (s *Server) applyClaims() error {
	cur := s.opts.Load()
	next := *cur
	s.resolver.Load().combine(&next)
	commit, err := s.accounts.Prepare(&next)
	if err != nil {
		return err
	}
	changed := false
	for name, token := range cur.ResolverPreload {
		changed = changed || next.ResolverPreload[name] != token
	}
	s.opts.Store(&next)
	commit()
	s.syncSysacc()
	s.syncLinks()
	s.reloadJetStream(cur, &next)
	if changed { // of accounts that have connections
		s.shrinkAccounts()
		s.clients.Recheck()
	}
	return nil
}
