package account

import (
	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/interest"
)

// CONTRACT: see engine/netio/contract.go for the rule.

// Global is the name of the account of users without one; System the default system account.
const (
	Global = "$G"
	System = "$SYS"
)

// Account is one account. Identity is immutable; what a reload changes is in Snapshot, swapped by the
// control goroutine.
type Account struct{}

func (a *Account) Name() string                { panic("contract") }
func (a *Account) Ref() engine.AccountRef      { panic("contract") }
func (a *Account) Index() *interest.Index      { panic("contract") }
func (a *Account) Snap() *Snapshot             { panic("contract") }
func (a *Account) Conns() (clients, leafs int) { panic("contract") }

// Attach counts a connection of kind in; ok is false (not counted) when max_connections or
// max_leafnodes is reached. Detach counts it out. Any goroutine.
func (a *Account) Attach(k engine.Kind) (ok bool) { panic("contract") }
func (a *Account) Detach(k engine.Kind)           { panic("contract") }

// Snapshot is the immutable part that a reload replaces.
type Snapshot struct {
	Limits       config.AccountLimits
	DefaultPerms *config.Permissions
	// Map returns the mapped subject of a message published by a client or leafnode (auth.md section
	// 4): ok false drops it; out aliases in when nothing maps. nil Map = no mappings.
	Map    func(in, scratch []byte, rnd uint64) (out []byte, mapped, ok bool)
	System bool
}

// Registry holds the accounts of a server.
type Registry struct{}

// NewRegistry builds the accounts of opts.
func NewRegistry(opts *config.Options) (*Registry, error) { panic("contract") }

// Prepare computes what Commit will do for opts: nothing visible changes until Commit is called.
func (r *Registry) Prepare(opts *config.Options) (commit func(), err error) { panic("contract") }

func (r *Registry) Lookup(name string) *Account  { panic("contract") }
func (r *Registry) ByID(id uint32) *Account      { panic("contract") }
func (r *Registry) Global() *Account             { panic("contract") }
func (r *Registry) System() *Account             { panic("contract") } // nil when none
func (r *Registry) Range(fn func(*Account) bool) { panic("contract") }
