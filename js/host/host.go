package host

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ramjet/js/api"
	"ramjet/proto/base/rng"
	"ramjet/proto/jsapi"
	"ramjet/store/catalog"
	"ramjet/store/journal"
)

// Host is JetStream on one server: its shards, accounts and journal. It implements api.Node.
type Host struct {
	env      Env
	o        Options
	tun      atomic.Pointer[Tunable]
	server   atomic.Pointer[api.Server]
	cat      *catalog.Catalog
	journal  *journal.Log
	unlock   func() error
	sizes    sizes
	shards   []*Shard
	router   *api.Router
	closed   atomic.Bool
	late     atomic.Bool // it stops, and no more files are made, nor states of consumers written: the journal has them
	noSpace  atomic.Bool
	used     [2]atomic.Int64 // bytes by storage, of this server's replicas
	most     [2]atomic.Int64 // limits of used
	recovery Recovery

	volumeFailed atomic.Pointer[volumeError]
	findings     atomic.Uint64 // of damage since the start
	damage       recoveryDamage

	mu       sync.RWMutex // leaf
	accounts map[string]*Account

	groups struct {
		sync.Mutex // leaf
		last       journal.GroupID
		owner      map[journal.GroupID]any    // *Stream or *Consumer
		orphans    map[string]journal.GroupID // of creations in the journal, by the directory that another asset has
	}

	making sync.WaitGroup // removals of files behind an answer, states of consumers

	writes, reads slots // of blocking work on files

	apiMu  sync.Mutex // the bus of the API, one goroutine at a time
	apiBus Bus
	rndMu  sync.Mutex // leaf
	rnd    *rng.Source
}

// slots bound how many goroutines are in calls of the file system at a time: each of them is a thread of the operating system. Who holds a slot
// waits for nobody who needs one.
type slots chan struct{}

const (
	writeSlots = 64
	readSlots  = 128
)

func (s slots) run(fn func()) {
	s <- struct{}{}
	defer func() { <-s }()
	fn()
}

// Recovery says how the start went.
type Recovery struct {
	Streams, Consumers int
	Rebuilt            int // streams that were scanned because no checkpoint could be read
	Failed             int
	Quarantined        []string
	Records            uint64 // of the journal
	FileBytes          int64  // that segments and the journal take on the volume
	Took               time.Duration
}

// volumeError is why nothing can be written any more.
type volumeError struct{ error }

// ErrLocked is returned by Open when another process uses the directory.
var ErrLocked = errors.New("jetstream: store directory is in use")

// Open recovers what is in the directory and starts the shards; it blocks as long as that takes. Accounts answer after
// ServeAccount.
func Open(env Env, o Options) (*Host, error) {
	o.setDefaults()
	if env.Go == nil {
		env.Go = func(fn func()) { go fn() }
	}
	h := &Host{env: env, o: o, accounts: map[string]*Account{}, rnd: env.Rand.Fork(), apiBus: env.Bus(-1),
		writes: make(slots, writeSlots), reads: make(slots, readSlots)}
	h.groups.owner = map[journal.GroupID]any{}
	h.Tune(o.Tunable)
	h.SetMax(o.MaxMemory, o.MaxStore)
	started := env.Clock.Now()
	if err := env.FS.MkdirAll(o.Dir); err != nil {
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	unlock, err := env.FS.Lock(o.Dir + "/lock")
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %v", ErrLocked, o.Dir, err)
	}
	h.unlock = unlock
	if err := h.recover(); err != nil {
		_ = unlock()
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	h.router = api.New(h)
	h.router.Start(env.Go)
	for _, sh := range h.shards {
		go sh.Run()
	}
	h.startScrub()
	h.recovery.Took = env.Clock.Now().Sub(started)
	return h, nil
}

// Tune changes what can be changed while running. Any goroutine.
func (h *Host) Tune(t Tunable) {
	h.tun.Store(&t)
	h.server.Store(&api.Server{
		Name: h.o.ServerName, ID: h.o.ServerID, Version: h.o.Version, Domain: h.o.Domain, Strict: !t.Lenient,
		MaxWindow: t.MaxWindow, MaxAckPending: t.MaxAckPending, MaxRequestBatch: t.MaxRequestBatch,
		DefaultMaxConsumers: t.DefaultMaxConsumers, QueueLimit: t.QueueLimit, InfoLimit: t.InfoLimit,
	})
	for _, a := range h.all() {
		for _, s := range a.list() {
			s.sh.post(func() { s.f.SetBatchLimits(t.Batch) })
		}
	}
}

// ServeAccount makes the API answer in an account, and its assets if JetStream is enabled for it. It is called again when its
// limits changed. Control goroutine.
func (h *Host) ServeAccount(name string) error {
	a := h.account(name, true)
	a.lock.Lock()
	defer a.lock.Unlock()
	if a.leaveAPI == nil {
		cancel, err := h.apiBus.Subscribe(name, jsapi.APIPrefix+">", "", &apiInbox{h: h, account: name})
		if err != nil {
			return err
		}
		a.leaveAPI = cancel
	}
	l := h.env.Limits.Account(name)
	was := a.limits.Swap(l)
	switch {
	case l != nil:
		a.open()
	case was != nil:
		a.shut()
	}
	return nil
}

// DropAccount makes an account deaf that does not exist any more. Its files are kept. Control goroutine.
func (h *Host) DropAccount(name string) {
	a := h.account(name, false)
	if a == nil {
		return
	}
	a.lock.Lock()
	defer a.lock.Unlock()
	a.limits.Store(nil)
	a.shut()
	a.leave()
}

// leave ends the API of an account. Under its lock.
func (a *Account) leave() {
	if a.leaveAPI != nil {
		a.leaveAPI()
		a.leaveAPI = nil
	}
}

func (h *Host) account(name string, create bool) *Account {
	h.mu.RLock()
	a := h.accounts[name]
	h.mu.RUnlock()
	if a != nil || !create {
		return a
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if a = h.accounts[name]; a == nil {
		a = &Account{h: h, name: name, streams: map[string]*Stream{}, failed: map[string]string{}, problems: map[string]map[string]string{}}
		h.accounts[name] = a
	}
	return a
}

// all returns the accounts in no order.
func (h *Host) all() []*Account {
	h.mu.RLock()
	defer h.mu.RUnlock()
	l := make([]*Account, 0, len(h.accounts))
	for _, a := range h.accounts {
		l = append(l, a)
	}
	return l
}

// Accounts returns the accounts that have JetStream enabled, in no order. Any goroutine.
func (h *Host) Accounts() []*Account {
	var l []*Account
	for _, a := range h.all() {
		if a.limits.Load() != nil {
			l = append(l, a)
		}
	}
	return l
}

// Recovery tells how the start went. Any goroutine.
func (h *Host) Recovery() Recovery { return h.recovery }

// Router returns the handlers of the API, for their counters.
func (h *Host) Router() *api.Router { return h.router }

// JournalStats returns the counters of the journal. Any goroutine.
func (h *Host) JournalStats() journal.Stats { return h.journal.Stats() }

// Dropped returns the messages that full inboxes refused. Any goroutine.
func (h *Host) Dropped() (n uint64) {
	for _, s := range h.shards {
		n += s.dropped.Load()
	}
	return n
}

// Health returns what is wrong with JetStream as a whole, "" if nothing is. Any goroutine.
func (h *Host) Health() string {
	switch {
	case h.closed.Load():
		return "shutting down"
	case h.volumeFailed.Load() != nil:
		return "volume failed: " + h.volumeFailed.Load().Error()
	case h.noSpace.Load():
		return "no space left on the volume"
	}
	return ""
}

// publish sends a message of the API or of an inbox. Any goroutine.
func (h *Host) publish(account string, to, hdr, body []byte) {
	h.apiMu.Lock()
	defer h.apiMu.Unlock()
	h.apiBus.Publish(account, to, nil, hdr, body)
	h.apiBus.Flush()
}

// tryPublish is publish for an inbox that refuses a message: it gives the answer up when the bus is in use, since the publisher's loop
// must not wait, and the user of the bus may be this very goroutine.
func (h *Host) tryPublish(account string, to, hdr, body []byte) {
	if !h.apiMu.TryLock() {
		return
	}
	defer h.apiMu.Unlock()
	h.apiBus.Publish(account, to, nil, hdr, body)
	h.apiBus.Flush()
}

// Close stops serving and closes the files. What was decided is in the journal; it spends at most closeTime on checkpoints, which save the next start
// its replay.
func (h *Host) Close() error {
	if h.closed.Swap(true) {
		return nil
	}
	for _, a := range h.all() {
		a.lock.Lock()
		a.leave()
		a.shut()
		a.lock.Unlock()
	}
	h.router.Close()
	h.checkpointAll(closeTime)
	h.late.Store(true)
	for _, s := range h.shards {
		close(s.stop)
		s.poke()
	}
	for _, s := range h.shards {
		<-s.ended
	}
	h.closeStores()
	h.making.Wait()
	err := h.journal.Close()
	if err == nil && h.allSaved() {
		err = h.markClean()
	}
	if uerr := h.unlock(); err == nil {
		err = uerr
	}
	return err
}

const (
	closeTime = 2 * time.Second
	closeMany = 1000 // checkpoints that are made at a stop; of more only those that save replaying replayedMuch
)

// unsaved is an asset whose journal is ahead of its files.
type unsaved struct {
	bytes int64
	save  func(done func()) // shard
	sh    *Shard
}

// checkpointAll ends the requests of clients and checkpoints what changed since its last checkpoint, as much as can be done in d: all if that are
// few. Of many only those are worth it that the next start would replay for longer than a checkpoint takes.
func (h *Host) checkpointAll(d time.Duration) {
	var list []unsaved
	for _, sh := range h.shards {
		sh.call(func() {
			for _, a := range h.all() {
				for _, s := range a.list() {
					if s.sh == sh {
						list = s.settleForStop(list)
					}
				}
			}
		})
	}
	slices.SortStableFunc(list, func(a, b unsaved) int { return cmp.Compare(b.bytes, a.bytes) })
	if len(list) > closeMany {
		if i := slices.IndexFunc(list, func(u unsaved) bool { return u.bytes < replayedMuch }); i >= 0 {
			list = list[:i]
		}
	}
	var wg sync.WaitGroup
	for _, u := range list {
		wg.Add(1)
		u.sh.post(func() { u.save(wg.Done) })
	}
	done, late := make(chan struct{}), make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	t := h.env.Clock.AfterFunc(d, func() { close(late) })
	select {
	case <-done:
	case <-late:
	}
	t.Stop()
}

// settleForStop ends what clients wait for and appends what a checkpoint would save. Shard.
func (s *Stream) settleForStop(list []unsaved) []unsaved {
	s.endRequests()
	for _, c := range s.consumers {
		c.finish() // what the end of its requests decided
	}
	s.settleTurn()
	if s.store != nil && (s.since > 0 || s.inflight > 0 || s.ckBusy) {
		list = append(list, unsaved{s.since, func(done func()) { s.checkpointThen(func(error) { done() }) }, s.sh})
	}
	for _, c := range s.consumers {
		if !c.volatile() && (c.since > 0 || c.ckBusy) {
			list = append(list, unsaved{c.since, c.checkpointThen, s.sh})
		}
	}
	return list
}

// closeStores closes the stores of all streams. What was not written yet is in the journal. The shards have ended.
func (h *Host) closeStores() {
	var wg sync.WaitGroup
	for _, a := range h.all() {
		for _, s := range a.list() {
			if s.store != nil {
				wg.Add(1)
				s.store.Abandon(func(error) { wg.Done() })
			}
		}
	}
	wg.Wait()
}
