package account

import (
	"encoding/json"
	"sync/atomic"

	"ramjet/engine"
	"ramjet/engine/interest"
	"ramjet/proto/base/invariant"
)

// Global is the name of the account of users without one; System the default system account.
const (
	Global = "$G"
	System = "$SYS"
)

// Account is one account. Identity is immutable; what a reload changes is in Snapshot, swapped by the
// control goroutine.
type Account struct {
	ref   engine.AccountRef
	index *interest.Index
	snap  atomic.Pointer[Snapshot]
	// conns counts attached connections: clients in the low, leafnodes in the high 32 bits, in one
	// word so that a limit over their sum is checked and taken in one step.
	conns atomic.Uint64
	gone  gone

	remoteTotal atomic.Uint64 // connections on other servers, as conns
	remote      remotes

	quoted  string // the name as JSON
	imports importer
	replies Replies
	abandon abandon
}

func newAccount(id uint32, name string, hooks *Hooks) *Account {
	quoted, _ := json.Marshal(name) // a string can be encoded
	a := &Account{ref: engine.AccountRef{ID: id, Name: name}, index: interest.NewIndex(), quoted: string(quoted)}
	a.replies.account, a.replies.hooks, a.replies.bound = a, hooks, maxReplies
	return a
}

// QuotedName returns the account's name as JSON. Any goroutine.
func (a *Account) QuotedName() string { return a.quoted }

// Replies returns the answers that services of the account owe to other accounts. Any goroutine.
func (a *Account) Replies() *Replies { return &a.replies }

// Name returns the account's name. Any goroutine.
func (a *Account) Name() string { return a.ref.Name }

// NameTag returns the name that the account's JWT gives it, else its name. Any goroutine.
func (a *Account) NameTag() string {
	if c := a.Snap().Claims; c != nil && c.Name != "" {
		return c.Name
	}
	return a.Name()
}

// Ref returns the identity carried by messages. Any goroutine.
func (a *Account) Ref() engine.AccountRef { return a.ref }

// Index returns the account's subscriptions. Any goroutine.
func (a *Account) Index() *interest.Index { return a.index }

// Snap returns what the current configuration says about the account; never nil. Any goroutine.
func (a *Account) Snap() *Snapshot { return a.snap.Load() }

const leafUnit = 1 << 32

func split(word uint64) (clients, leafs int) { return int(uint32(word)), int(word >> 32) }

// Conns returns the attached client and leafnode connections. Any goroutine.
func (a *Account) Conns() (clients, leafs int) { return split(a.conns.Load()) }

// unit is what a connection of kind k adds to the counts; 0 for kinds that are not counted.
func unit(k engine.Kind) uint64 {
	switch k {
	case engine.Client:
		return 1
	case engine.Leaf:
		return leafUnit
	}
	return 0
}

// Attach counts a connection of kind in; ok is false (not counted) when max_connections or
// max_leafnodes is reached. Clients and leafnodes together make up max_connections, but only a
// client is refused because of it (reference/auth.md, section 3). Other kinds are not counted.
// Any goroutine.
func (a *Account) Attach(k engine.Kind) (ok bool) {
	u := unit(k)
	if u == 0 {
		return true
	}
	for {
		old := a.conns.Load()
		clients, leafs := split(old)
		if a.full(k, clients, leafs) {
			return false
		}
		if a.conns.CompareAndSwap(old, old+u) {
			return true
		}
	}
}

// Full reports that Attach would refuse a connection of kind k now. Any goroutine.
func (a *Account) Full(k engine.Kind) bool {
	clients, leafs := a.Conns()
	return a.full(k, clients, leafs)
}

// full reports that clients and leafnodes of this server and of others fill the limits for a connection of kind k.
func (a *Account) full(k engine.Kind, clients, leafs int) bool {
	lim := &a.Snap().Limits
	rc, rl := a.RemoteConns()
	return k == engine.Client && reached(clients+leafs+rc+rl, lim.MaxConn) || k == engine.Leaf && reached(leafs+rl, lim.MaxLeafs)
}

// Detach counts a connection out that Attach counted in. Any goroutine.
func (a *Account) Detach(k engine.Kind) {
	u := unit(k)
	if u == 0 {
		return
	}
	for {
		old := a.conns.Load()
		clients, leafs := split(old)
		if invariant.On {
			invariant.Check(k == engine.Client && clients > 0 || k == engine.Leaf && leafs > 0,
				"account: detach without attach")
		}
		if k == engine.Client && clients == 0 || k == engine.Leaf && leafs == 0 {
			return // never borrow from the neighbour's half of the word
		}
		if a.conns.CompareAndSwap(old, old-u) {
			return
		}
	}
}

// reached reports whether n more than fill limit; negative limits are none.
func reached(n, limit int) bool { return limit >= 0 && n >= limit }
