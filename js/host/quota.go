package host

import (
	"ramjet/proto/jsapi"
)

// usage is what a stream has told its account.
type usage struct {
	storage  jsapi.Storage
	replicas int
	bytes    int64
}

// set tells the account the bytes of a stream. Owner: the shard.
func (u *usage) set(a *Account, s jsapi.Storage, replicas int, bytes int64) {
	if u.storage == s && u.replicas == replicas && u.bytes == bytes {
		return
	}
	a.used[u.storage][u.replicas].Add(-u.bytes)
	a.used[s][replicas].Add(bytes)
	a.h.used[u.storage].Add(-u.bytes)
	a.h.used[s].Add(bytes)
	*u = usage{s, replicas, bytes}
}

// Used returns the bytes the account uses, replicas counted. Any goroutine.
func (a *Account) usedBytes(s jsapi.Storage) (n int64) {
	for r := range a.used[s] {
		n += a.used[s][r].Load() * int64(max(r, 1))
	}
	return n
}

func (h *Host) max(s jsapi.Storage) int64 { return h.most[s].Load() }

// SetMax changes the bytes that the server may use; below 0 unlimited. Any goroutine.
func (h *Host) SetMax(memory, store int64) {
	h.most[jsapi.MemoryStorage].Store(memory)
	h.most[jsapi.FileStorage].Store(store)
}

func bytesLimit(l *jsapi.AccountLimits, s jsapi.Storage) int64 {
	if s == jsapi.MemoryStorage {
		return l.MaxMemory
	}
	return l.MaxStore
}

// ServerFull implements stream.Quota. The shard reports the bytes of a turn at its end, so a limit may be passed by one turn.
func (a *Account) ServerFull(s jsapi.Storage, n int) bool {
	limit := a.h.max(s)
	return limit >= 0 && a.h.used[s].Load()+int64(n) > limit
}

// AccountFull implements stream.Quota.
func (a *Account) AccountFull(s jsapi.Storage, replicas, n int) bool {
	l := a.limits.Load()
	if l == nil {
		return false
	}
	if l.Tiers != nil {
		t, ok := l.Tiers[replicas]
		limit := bytesLimit(&t, s)
		return ok && limit >= 0 && a.used[s][replicas].Load()+int64(n) > limit
	}
	limit := bytesLimit(&l.Flat, s)
	return limit >= 0 && a.usedBytes(s)+int64(n)*int64(max(replicas, 1)) > limit
}

// Tier implements api.Account.
func (a *Account) Tier(replicas int) (jsapi.AccountLimits, *jsapi.Error) {
	l := a.limits.Load()
	switch {
	case l == nil:
		return jsapi.AccountLimits{}, jsapi.NotEnabledForAccount.Err()
	case l.Tiers == nil:
		return l.Flat, nil
	}
	t, ok := l.Tiers[max(replicas, 1)]
	if !ok {
		return t, jsapi.NoLimits.Err()
	}
	return t, nil
}

// reserved returns the reservations of the account for a storage: of streams with so many replicas, or of all with 0, each replica
// counted then.
func (a *Account) reserved(s jsapi.Storage, replicas int) (bytes int64, streams int) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	count := func(c *jsapi.StreamConfig) {
		r := max(c.Replicas, 1)
		if replicas != 0 && r != replicas {
			return
		}
		streams++
		if c.Storage == s && c.MaxBytes > 0 {
			if replicas == 0 {
				bytes += c.MaxBytes * int64(r)
			} else {
				bytes += c.MaxBytes
			}
		}
	}
	for _, s := range a.streams {
		count(s.conf.Load())
	}
	for _, s := range a.making {
		count(s.conf.Load())
	}
	return bytes, streams
}

func exceeded(s jsapi.Storage) *jsapi.Error {
	if s == jsapi.MemoryStorage {
		return jsapi.MemoryResourcesExceeded.Err()
	}
	return jsapi.StorageResourcesExceeded.Err()
}

// Reserve implements api.Account (reference/jetstream/limits.md, section 3).
func (a *Account) Reserve(old, next *jsapi.StreamConfig) *jsapi.Error {
	replicas := max(next.Replicas, 1)
	lim, err := a.Tier(replicas)
	if err != nil {
		return err
	}
	tiered := a.limits.Load().Tiers != nil
	scope, factor := 0, int64(replicas)
	if tiered {
		scope, factor = replicas, 1
	}
	bytes, streams := a.reserved(next.Storage, scope)
	if old == nil && lim.MaxStreams > 0 && streams >= lim.MaxStreams {
		return jsapi.MaximumStreamsLimit.Err()
	}
	var before int64
	if old != nil && old.Storage == next.Storage && old.MaxBytes > 0 && (!tiered || max(old.Replicas, 1) == replicas) {
		before = old.MaxBytes
		if !tiered {
			before *= int64(max(old.Replicas, 1))
		}
	}
	want := max(next.MaxBytes, 0) * factor
	if old != nil && want <= before {
		return nil // shrinking is always allowed
	}
	need := want
	if need == 0 {
		need = 1
	}
	if l := bytesLimit(&lim, next.Storage); l >= 0 && (bytes-before+need > l || want == 0 && a.usedBytes(next.Storage) >= l && l > 0) {
		return exceeded(next.Storage)
	}
	if l := a.h.max(next.Storage); l >= 0 && want > 0 && a.h.reserved(next.Storage)-before+want > l {
		return exceeded(next.Storage)
	}
	return nil
}

// reserved returns what the streams of all accounts reserved.
func (h *Host) reserved(s jsapi.Storage) (n int64) {
	for _, a := range h.all() {
		b, _ := a.reserved(s, 0)
		n += b
	}
	return n
}

func (a *Account) tierInfo(lim jsapi.AccountLimits, replicas int) jsapi.Tier {
	t := jsapi.Tier{Limits: lim}
	sum := func(s jsapi.Storage) uint64 {
		if replicas == 0 {
			return uint64(max(a.usedBytes(s), 0))
		}
		return uint64(max(a.used[s][replicas].Load(), 0))
	}
	t.Memory, t.Store = sum(jsapi.MemoryStorage), sum(jsapi.FileStorage)
	m, _ := a.reserved(jsapi.MemoryStorage, replicas)
	f, n := a.reserved(jsapi.FileStorage, replicas)
	t.ReservedMemory, t.ReservedStore, t.Streams = uint64(m), uint64(f), n
	for _, s := range a.list() {
		for _, c := range s.byName.list() {
			r := c.conf.Load().Replicas
			if r == 0 {
				r = max(s.conf.Load().Replicas, 1)
			}
			if replicas == 0 || r == replicas {
				t.Consumers++
			}
		}
	}
	return t
}

// Info implements api.Account.
func (a *Account) Info() *jsapi.AccountInfo {
	l := a.limits.Load()
	if l == nil {
		return &jsapi.AccountInfo{}
	}
	if l.Tiers == nil {
		return &jsapi.AccountInfo{Tier: a.tierInfo(l.Flat, 0)}
	}
	i := &jsapi.AccountInfo{Tier: a.tierInfo(jsapi.AccountLimits{}, 0), Tiers: map[string]jsapi.Tier{}}
	for r, lim := range l.Tiers {
		i.Tiers["R"+string(rune('0'+r))] = a.tierInfo(lim, r)
	}
	return i
}

// Usage is what a server uses of its JetStream resources, bytes.
type Usage struct{ Memory, Store, ReservedMemory, ReservedStore, MaxMemory, MaxStore int64 }

// Usage returns what the server uses. Any goroutine.
func (h *Host) Usage() Usage {
	return Usage{
		Memory: h.used[jsapi.MemoryStorage].Load(), Store: h.used[jsapi.FileStorage].Load(),
		ReservedMemory: h.reserved(jsapi.MemoryStorage), ReservedStore: h.reserved(jsapi.FileStorage),
		MaxMemory: h.max(jsapi.MemoryStorage), MaxStore: h.max(jsapi.FileStorage),
	}
}
