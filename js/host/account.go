package host

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"ramjet/js/api"
	"ramjet/proto/jsapi"
	"ramjet/store/journal"
)

// Account holds the assets of an account. It implements api.Account.
type Account struct {
	h        *Host
	name     string
	lock     sync.Mutex                       // of the API: creating, changing and deleting assets
	limits   atomic.Pointer[AccountLimits]    // nil: JetStream is not enabled
	used     [2][maxReplicas + 1]atomic.Int64 // bytes by storage and replicas, each replica once
	restores map[string]*restore              // on the way, under lock
	leaveAPI func()                           // under lock

	mu       sync.RWMutex // leaf
	streams  map[string]*Stream
	making   map[string]*Stream           // being created, not durable yet
	sorted   []*Stream                    // in order of names, never changed in place; nil: not made yet
	failed   map[string]string            // streams that can not run, with the reason
	problems map[string]map[string]string // what is wrong with a stream that runs, by kind
}

const maxReplicas = 5

// subscriptions are what an asset subscribed to: how to leave, by subject.
type subscriptions map[string]func()

func (s subscriptions) cancel() {
	for subj, fn := range s {
		fn()
		delete(s, subj)
	}
}

// Name implements api.Account.
func (a *Account) Name() string { return a.name }

// Lock and Unlock implement api.Account.
func (a *Account) Lock() { a.lock.Lock() }

// Unlock ends what Lock began.
func (a *Account) Unlock() { a.lock.Unlock() }

func (a *Account) stream(name string) *Stream {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.streams[name]
}

// list returns the streams in order of names. The slice is shared: it is not to be changed.
func (a *Account) list() []*Stream {
	a.mu.RLock()
	l := a.sorted
	a.mu.RUnlock()
	if l != nil {
		return l
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sorted == nil {
		a.sorted = slices.SortedFunc(maps.Values(a.streams), byName)
	}
	return a.sorted
}

func byName(x, y *Stream) int { return strings.Compare(x.name, y.name) }

// add and drop keep the order in a copy: whoever creates the ten thousandth stream does not sort the others. Requires: mu.
func (a *Account) add(s *Stream) {
	a.streams[s.name] = s
	if a.sorted == nil {
		return
	}
	i, there := slices.BinarySearchFunc(a.sorted, s, byName)
	l := make([]*Stream, 0, len(a.sorted)+1)
	l = append(append(l, a.sorted[:i]...), s)
	if there {
		i++
	}
	a.sorted = append(l, a.sorted[i:]...)
}

func (a *Account) drop(name string) {
	delete(a.streams, name)
	if i := slices.IndexFunc(a.sorted, func(s *Stream) bool { return s.name == name }); i >= 0 {
		a.sorted = slices.Delete(slices.Clone(a.sorted), i, i+1)
	}
}

// Stream implements api.Account.
func (a *Account) Stream(name string) api.Stream {
	if s := a.stream(name); s != nil {
		return s
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	if why, ok := a.failed[name]; ok {
		return &failedStream{a: a, name: name, why: why}
	}
	return nil
}

// Streams implements api.Account: those that run, then those that cannot.
func (a *Account) Streams() []api.Stream {
	l := a.list()
	out := make([]api.Stream, len(l))
	for i, s := range l {
		out[i] = s
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, n := range slices.Sorted(maps.Keys(a.failed)) {
		out = append(out, &failedStream{a: a, name: n, why: a.failed[n]})
	}
	return out
}

// setProblem notes what is wrong with a stream, or with "" that it no longer is; what says which of its problems.
func (a *Account) setProblem(stream, what, why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.problems[stream]
	switch {
	case why == "":
		if delete(p, what); len(p) == 0 {
			delete(a.problems, stream)
		}
	case p == nil:
		a.problems[stream] = map[string]string{what: why}
	default:
		p[what] = why
	}
}

// Problems returns what is wrong with the assets of the account, by name. Any goroutine.
func (a *Account) Problems() map[string]string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	all := make(map[string]string, len(a.problems)+len(a.failed))
	for n, p := range a.problems {
		all[n] = strings.Join(slices.Sorted(maps.Values(p)), "; ")
	}
	for n, why := range a.failed {
		all[n] = why
	}
	return all
}

// Each implements api.Account.
func (a *Account) Each(fn func(*jsapi.StreamConfig) bool) {
	a.mu.RLock()
	making, failed := slices.Collect(maps.Values(a.making)), slices.Sorted(maps.Keys(a.failed))
	a.mu.RUnlock()
	for _, l := range [][]*Stream{making, a.list()} {
		for _, s := range l {
			if !fn(s.conf.Load()) {
				return
			}
		}
	}
	for _, n := range failed {
		if !fn((&failedStream{a: a, name: n}).Config()) {
			return
		}
	}
}

// CreateStream implements api.Account. Steps: store, shard, creation and first entry in the journal (file streams; wait follows these), then the
// stream is known and subscribes.
func (a *Account) CreateStream(cfg *jsapi.StreamConfig) (api.Stream, func() *jsapi.Error, *jsapi.Error) {
	s, durable, err := a.create(cfg)
	if err != nil {
		return nil, nil, err
	}
	if s.store == nil {
		if err = durable(); err == nil {
			return s, nil, a.serve(s)
		}
		s.discard()
		return nil, nil, err
	}
	a.mu.Lock()
	if a.making == nil {
		a.making = map[string]*Stream{}
	}
	a.making[s.name] = s
	a.mu.Unlock()
	return s, func() *jsapi.Error {
		err := durable()
		a.lock.Lock()
		defer a.lock.Unlock()
		if err != nil {
			s.discard()
		} else {
			err = a.serve(s)
		}
		a.mu.Lock()
		delete(a.making, s.name)
		a.mu.Unlock()
		return err
	}, nil
}

// create begins to make a stream; durable waits for it. Under lock.
func (a *Account) create(cfg *jsapi.StreamConfig) (s *Stream, durable func() *jsapi.Error, err *jsapi.Error) {
	h := a.h
	if h.closed.Load() {
		return nil, nil, jsapi.NotEnabled.Err()
	}
	if cfg.Storage == jsapi.FileStorage {
		if err := h.writable(); err != nil {
			return nil, nil, err
		}
	}
	if s, err = h.newStream(a, cfg, h.env.Clock.Now().UTC(), false); err != nil {
		return nil, nil, err
	}
	s.lead(cfg)
	return s, s.begin(), nil
}

// serve makes a stream known and lets it subscribe, unless the account was shut meanwhile: then it does so when it is opened again. Under lock.
func (a *Account) serve(s *Stream) *jsapi.Error {
	a.mu.Lock()
	a.add(s)
	a.mu.Unlock()
	if a.limits.Load() == nil || a.h.closed.Load() {
		return nil
	}
	if err := s.subscribe(s.conf.Load()); err != nil {
		_ = s.Delete()
		return jsapi.StreamCreate.Wrap(err)
	}
	s.startSources()
	return nil
}

// taken reports whether a stream of the name is there or being created.
func (a *Account) taken(name string) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.streams[name] != nil || a.making[name] != nil
}

// writable returns why nothing can be stored on the volume now.
func (h *Host) writable() *jsapi.Error {
	switch {
	case h.volumeFailed.Load() != nil:
		return jsapi.StreamStoreFailed.With("err", h.volumeFailed.Load().Error())
	case h.noSpace.Load():
		return jsapi.InsufficientResources.Err()
	}
	return nil
}

// open makes the account ready to be used: its assets and the API answer. Under lock.
func (a *Account) open() {
	for _, s := range a.list() {
		if err := s.subscribe(s.conf.Load()); err != nil {
			a.setProblem(s.name, "subscription", "not subscribed: "+err.Error())
		}
		for _, c := range s.byName.list() {
			c.subscribe()
			c.begin()
		}
		s.startSources()
	}
}

// shut makes the assets deaf: JetStream was disabled for the account, its files are kept. Under lock.
func (a *Account) shut() {
	for _, s := range a.list() {
		s.stopSources(false)
		for _, c := range s.byName.list() {
			c.unsubscribe()
		}
		s.subs.cancel()
	}
}

// newGroup returns a journal group for an asset.
func (h *Host) newGroup(owner any) journal.GroupID {
	h.groups.Lock()
	defer h.groups.Unlock()
	h.groups.last++
	h.groups.owner[h.groups.last] = owner
	return h.groups.last
}

func (h *Host) setGroup(g journal.GroupID, owner any) {
	h.groups.Lock()
	defer h.groups.Unlock()
	h.groups.last = max(h.groups.last, g)
	h.groups.owner[g] = owner
}

// noteGroup makes sure that g is not given away again.
func (h *Host) noteGroup(g journal.GroupID) {
	h.groups.Lock()
	defer h.groups.Unlock()
	h.groups.last = max(h.groups.last, g)
}

func (h *Host) dropOwner(g journal.GroupID) {
	h.groups.Lock()
	defer h.groups.Unlock()
	delete(h.groups.owner, g)
}

// dropGroup forgets a group of which nothing is left.
func (h *Host) dropGroup(g journal.GroupID) {
	if g != 0 {
		h.dropOwner(g)
		h.journal.Forget(g)
	}
}

func (h *Host) ownerOf(g journal.GroupID) any {
	h.groups.Lock()
	defer h.groups.Unlock()
	return h.groups.owner[g]
}
