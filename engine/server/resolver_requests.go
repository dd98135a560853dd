package server

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"ramjet/engine"
	"ramjet/engine/account"
)

// syncEvery is how often a full resolver compares what it has with others.
const syncEvery = time.Minute

// errDeleted refuses the JWT of an account that the operator has deleted.
var errDeleted = errors.New("this JWT was deleted, the account has to be issued again")

// claims implements sysacc.Claims.
type claims struct{ s *Server }

// kept is the directory of JWTs, nil when there is none.
func (c claims) kept() *jwtDir {
	if r := c.s.resolver.Load(); r != nil {
		return r.dir
	}
	return nil
}

func (r *resolver) timeout() time.Duration {
	if r.o.Timeout > 0 {
		return r.o.Timeout
	}
	return fetchTimeout
}

// Keeps implements sysacc.Claims.
func (c claims) Keeps() (full, cache bool) {
	r := c.s.resolver.Load()
	return r != nil && r.o.Type == "full", r != nil && r.o.Type == "cache"
}

// Lookup implements sysacc.Claims.
func (c claims) Lookup(name string) string {
	d := c.kept()
	if d == nil {
		return ""
	}
	token, err := d.load(name)
	if err != nil {
		c.s.log.Logf(engine.Error, "RJ-S082", "Account %s: its JWT cannot be read: %v", name, err)
	}
	return token
}

// List implements sysacc.Claims.
func (c claims) List() []string {
	if d := c.kept(); d != nil {
		return d.list()
	}
	return nil
}

// Pack implements sysacc.Claims.
func (c claims) Pack(hash []byte) []string {
	d := c.kept()
	if d == nil {
		return nil
	}
	if sum := d.sum(); bytes.Equal(sum[:], hash) {
		return nil
	}
	var lines []string
	for _, name := range d.list() {
		if token := c.Lookup(name); token != "" {
			lines = append(lines, name+"|"+token)
		}
	}
	return lines
}

// Update implements sysacc.Claims. An account that is not in force keeps for later what it was sent, if the resolver keeps anything.
func (c claims) Update(name, token string, done func(about, what string, err error)) {
	r := c.s.resolver.Load()
	if r == nil {
		return
	}
	full, cache := c.Keeps()
	failed := "jwt update resulted in error"
	if cache {
		failed = "jwt update cache resulted in error"
	}
	if token == "" && !full && !cache {
		done(name, "jwt update error", errors.New("request body is empty"))
		return
	}
	ac, err := jwt.DecodeAccountClaims(token)
	if err != nil {
		if name == "" || full {
			name = "n/a"
		}
		done(name, failed, err)
		return
	}
	if name == "" {
		name = ac.Subject
	}
	if name != ac.Subject {
		done(name, failed, errors.New("subject does not match jwt content"))
		return
	}
	if err := r.trusted(ac.Issuer, true); err != nil {
		done(name, failed, err)
		return
	}
	c.s.ctl.post(func() {
		inForce := c.s.accounts.Lookup(name) != nil
		if !inForce && cache {
			done(name, "jwt update cache skipped", nil)
			return
		}
		if !inForce && !full {
			done(name, "jwt update skipped", nil)
			return
		}
		used, err := account.DecodeClaims(name, token)
		if err == nil && len(used.Problems()) > 0 {
			err = errors.New(used.Problems()[0])
		}
		if err == nil && r.deleted[name] == sha256.Sum256([]byte(token)) {
			err = errDeleted
		}
		if err != nil {
			done(name, "jwt validation failed", err)
			return
		}
		if r.dir != nil {
			if _, err := r.dir.save(ac, token, false); err != nil {
				done(name, failed, err)
				return
			}
		}
		if inForce {
			if err := r.enforce(name, token); err != nil {
				done(name, failed, err)
				return
			}
		}
		if cache {
			done(name, "jwt updated cache", nil)
			return
		}
		done(name, "jwt updated", nil)
	})
}

// enforce puts another JWT of an account in force, none with "". Control.
func (r *resolver) enforce(name, token string) error {
	was, had := r.force[name]
	kept, configured := r.preload[name]
	if token == "" {
		delete(r.force, name)
	} else {
		r.force[name] = token
	}
	delete(r.preload, name) // what is pushed or deleted counts, whenever the configured one was issued
	err := r.s.applyClaims()
	if err != nil {
		delete(r.force, name)
		if had {
			r.force[name] = was
		}
		if configured {
			r.preload[name] = kept
		}
	}
	return err
}

// trusted reports whether key may issue accounts, or, if not accounts, requests of the operator.
func (r *resolver) trusted(key string, accounts bool) error {
	trust, err := account.Trusts(r.s.opts.Load())
	if err != nil {
		return err
	}
	_, ok := trust.Keys[key]
	switch {
	case ok, !accounts && trust.Strict[key]:
		return nil
	case trust.Strict[key]:
		return errors.New("operator requires issuer to be a signing key")
	}
	return errors.New("not trusted")
}

// Delete implements sysacc.Claims.
func (c claims) Delete(token string, done func(what string, err error)) {
	r := c.s.resolver.Load()
	if r == nil || r.dir == nil {
		return
	}
	g, err := jwt.DecodeGeneric(token)
	var names []string
	subject := ""
	if err == nil {
		subject = g.Subject
		names, err = r.deletable(g)
	}
	if err != nil {
		done(fmt.Sprintf("delete accounts request by %s failed", subject), err)
		return
	}
	c.s.ctl.post(func() {
		var errs []error
		for _, name := range names {
			err := r.dir.remove(name)
			if a := c.s.accounts.Lookup(name); err == nil && a != nil {
				r.deleted[name] = sha256.Sum256([]byte(a.Snap().Claims.Token))
				err = r.enforce(name, "")
			}
			if err != nil {
				errs = append(errs, err)
			}
		}
		if len(errs) > 0 {
			done(fmt.Sprintf("deleted %d accounts, failed for %d", len(names)-len(errs), len(errs)), errors.Join(errs...))
			return
		}
		done(fmt.Sprintf("deleted %d accounts", len(names)), nil)
	})
}

// deletable returns the accounts that a request of the operator names.
func (r *resolver) deletable(g *jwt.GenericClaims) ([]string, error) {
	bad := errors.New("malformed request")
	switch {
	case !r.o.AllowDelete && !r.dir.cache:
		return nil, errors.New("delete must be enabled in server config")
	case g.Subject != g.Issuer:
		return nil, errors.New("not self signed")
	}
	if err := r.trusted(g.Issuer, false); err != nil {
		return nil, err
	}
	list, ok := g.Data["accounts"].([]any)
	if !ok {
		return nil, bad
	}
	var names []string
	for _, v := range list {
		name, ok := v.(string)
		if !ok || !nkeys.IsValidPublicAccountKey(name) {
			return nil, bad
		}
		if name == r.s.opts.Load().SystemAccount {
			return nil, errors.New("not allowed to delete system account")
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// startSync begins to compare with other servers, if everything is kept. Control.
func (r *resolver) startSync() {
	if r == nil || r.o.Type != "full" {
		return
	}
	every := r.o.Interval
	if every <= 0 {
		every = syncEvery
	}
	r.sync = r.s.clk.AfterFunc(every, func() {
		go func() { // it waits for answers
			r.merge()
			r.s.ctl.post(r.startSync)
		}()
	})
}

// stopSync ends it. Control.
func (r *resolver) stopSync() {
	if r != nil && r.sync != nil {
		r.sync.Stop()
	}
}

// merge takes from another server what is newer there.
func (r *resolver) merge() {
	sys := r.s.accounts.System()
	if sys == nil {
		return
	}
	sum := r.dir.sum()
	var lines []string
	r.s.inboxes.collect(sys, "$SYS.REQ.CLAIMS.PACK", sum[:], r.timeout(), false, func(answer []byte) bool {
		if len(answer) > 0 {
			lines = append(lines, string(answer))
		}
		return len(answer) == 0
	})
	for _, line := range lines {
		name, token, _ := strings.Cut(line, "|")
		ac, err := accountJWT(name, token)
		if err == nil {
			err = r.trusted(ac.Issuer, true)
		}
		changed := false
		if err == nil {
			changed, err = r.dir.save(ac, token, true)
		}
		if err != nil {
			r.s.log.Logf(engine.Error, "RJ-S083", "Account %s: the JWT of another server is not kept: %v", name, err)
			continue
		}
		if changed {
			r.s.ctl.post(func() {
				if r.s.accounts.Lookup(name) == nil {
					return
				}
				if err := r.enforce(name, token); err != nil {
					r.s.log.Logf(engine.Error, "RJ-S081", "Account %s: its JWT cannot be put in force: %v", name, err)
				}
			})
		}
	}
}
