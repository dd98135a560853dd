package account

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"ramjet/engine/config"
	"ramjet/proto/base/clock"
)

// Registry holds the accounts of a server. Prepare and its commit are for the control goroutine;
// everything else may be called on any goroutine.
type Registry struct {
	t     atomic.Pointer[table]
	hooks *Hooks
}

// table is one immutable set of accounts.
type table struct {
	live   []*Account // by id, configured now
	all    []*Account // index = id; also accounts that a reload removed
	byName map[string]*Account
	global *Account
	system *Account

	warnings []string
}

// NewRegistry builds the accounts of opts.
func NewRegistry(opts *config.Options) (*Registry, error) {
	r := &Registry{hooks: &Hooks{Clock: clock.System()}}
	r.t.Store(&table{})
	commit, err := r.Prepare(opts)
	if err != nil {
		return nil, err
	}
	commit()
	return r, nil
}

// UseHooks sets what the accounts need of the server. Before the first message; control goroutine.
func (r *Registry) UseHooks(h Hooks) { *r.hooks = h }

// Lookup returns the account called name, nil when there is none.
func (r *Registry) Lookup(name string) *Account { return r.t.Load().byName[name] }

// Known returns the account called name, also when a reload has removed it; nil when there never was one.
func (r *Registry) Known(name string) *Account {
	t := r.t.Load()
	if a := t.byName[name]; a != nil {
		return a
	}
	for _, a := range t.all {
		if a.Name() == name {
			return a
		}
	}
	return nil
}

// ByID returns the account with the id of its Ref, also when a reload has removed it meanwhile: its
// last connections may still be closing. nil when there never was one.
func (r *Registry) ByID(id uint32) *Account {
	if t := r.t.Load(); int64(id) < int64(len(t.all)) {
		return t.all[id]
	}
	return nil
}

// Global returns `$G`.
func (r *Registry) Global() *Account { return r.t.Load().global }

// System returns the system account, nil when there is none.
func (r *Registry) System() *Account { return r.t.Load().system }

// Len returns the number of accounts.
func (r *Registry) Len() int { return len(r.t.Load().live) }

// Range calls fn for each account in order of creation until it returns false. It walks the set as
// it was when called.
func (r *Registry) Range(fn func(*Account) bool) {
	for _, a := range r.t.Load().live {
		if !fn(a) {
			return
		}
	}
}

// Prepare computes what Commit will do for opts: nothing visible changes until commit is called.
// An account that stays, or that comes back after an earlier reload removed it, keeps its identity:
// pointer, id, index and connection counts. commit cannot fail; call it before the next Prepare, or
// never.
func (r *Registry) Prepare(opts *config.Options) (commit func(), err error) {
	old := r.t.Load()
	b := newBuilder(old, r.hooks)
	if err := b.build(opts); err != nil {
		return nil, err
	}
	return func() { b.commit(r) }, nil
}

// builder makes the next table.
type builder struct {
	old, next *table
	decoded   *table // whose JWTs need not be decoded again
	hooks     *Hooks
	snaps     map[*Account]*Snapshot
	exchanges map[*Account]*Exchange
}

func newBuilder(old *table, hooks *Hooks) *builder {
	return &builder{old: old, decoded: old, hooks: hooks, snaps: make(map[*Account]*Snapshot), exchanges: make(map[*Account]*Exchange),
		next: &table{all: old.all[:len(old.all):len(old.all)], byName: make(map[string]*Account)}}
}

// commit makes what was built visible in r.
func (b *builder) commit(r *Registry) {
	for a, s := range b.snaps {
		a.snap.Store(s)
	}
	r.t.Store(b.next)
	for a, s := range b.snaps {
		a.apply(s.Exchange)
	}
	for _, a := range b.old.live {
		if b.snaps[a] == nil {
			a.apply(nil)
		}
	}
}

func (b *builder) build(opts *config.Options) error {
	sys := systemName(opts)
	var err error
	if b.next.global, err = b.add(opts, Global, nil, opts.Mappings, sys == Global); err != nil {
		return err
	}
	for _, c := range opts.Accounts {
		if c.Name == Global {
			return fmt.Errorf("%q is a Reserved Account", Global)
		}
		if b.next.byName[c.Name] != nil {
			//lint:ignore ST1005 the text is that of nats-server
			return fmt.Errorf("Duplicate Account Entry: %s", c.Name)
		}
		if _, err := b.add(opts, c.Name, c, c.Mappings, sys == c.Name); err != nil {
			return err
		}
	}
	if err := b.preload(opts); err != nil {
		return err
	}
	if sys != "" {
		if b.next.system = b.next.byName[sys]; b.next.system == nil {
			c, err := provisional(opts, sys)
			switch {
			case err != nil:
				return err
			case c != nil:
				err = b.addClaims(opts, c)
			case sys == System:
				_, err = b.add(opts, System, nil, nil, true)
			default:
				err = errors.New("error resolving system account: account missing")
			}
			if err != nil {
				return err
			}
			b.next.system = b.next.byName[sys]
		}
	}
	return b.exchange(opts)
}

// systemName returns the name of the system account of opts, "" for none.
func systemName(opts *config.Options) string {
	switch {
	case opts.SystemAccount != "":
		return opts.SystemAccount
	case opts.NoSystemAccount:
		return ""
	}
	return System
}

// add puts the account called name into the next table, with its next snapshot.
func (b *builder) add(opts *config.Options, name string, c *config.Account, maps []*config.Mapping, system bool) (*Account, error) {
	s := &Snapshot{Limits: limitsOf(c), System: system, JetStream: jetStreamOf(opts, name, c, system)}
	if c != nil {
		s.DefaultPerms, s.TraceDest, s.TraceSampling = c.DefaultPerms, c.TraceDest, c.TraceSampling
	}
	var err error
	if s.Mappings, err = compileMappings(slices.Concat(maps, domainMappings(opts, name, system)), clusterName(opts)); err != nil {
		return nil, err
	}
	if s.Mappings != nil {
		s.Map = s.Mappings.Map
	}
	a := b.known(name)
	if a == nil {
		a = newAccount(uint32(len(b.next.all)), name, b.hooks)
		a.snap.Store(s)
		b.next.all = append(b.next.all, a)
	}
	b.snaps[a] = s
	b.next.live = append(b.next.live, a)
	b.next.byName[name] = a
	return a, nil
}

// known returns the account of that name that exists, or existed before an earlier reload: so that
// repeated reloads cost no more than the distinct names ever used, and a connection of a removed
// account meets its own account when it comes back.
func (b *builder) known(name string) *Account {
	if a := b.old.byName[name]; a != nil {
		return a
	}
	for _, a := range b.old.all {
		if a.Name() == name {
			return a
		}
	}
	return nil
}
