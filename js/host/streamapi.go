package host

import (
	"slices"
	"strings"
	"sync"
	"time"

	"ramjet/js/api"
	"ramjet/js/op"
	"ramjet/js/stream"
	"ramjet/proto/jsapi"
	"ramjet/store"
	"ramjet/store/catalog"
	"ramjet/store/crypt"
	"ramjet/store/memstream"
	sstore "ramjet/store/stream"
)

// newStream makes a stream that is not served yet, with its files if it has some. API goroutine, under the account's lock.
// restoring marks one that is to be forgotten if the server stops before it is complete.
func (h *Host) newStream(a *Account, cfg *jsapi.StreamConfig, created time.Time, restoring bool) (*Stream, *jsapi.Error) {
	s := &Stream{h: h, acct: a, name: cfg.Name, created: created, restoring: restoring}
	s.assign(h.pick())
	if cfg.Storage == jsapi.MemoryStorage {
		s.log = memstream.New(s.sh.pool)
		return s, nil
	}
	s.group = h.newGroup(s)
	err := s.newKey(cfg)
	if err == nil {
		s.conf.Store(cfg)
		if s.newStore(); restoring { // what the journal knows of it is less than what its files hold
			err = s.makeFiles()
		}
	}
	if err != nil {
		h.dropGroup(s.group)
		s.sh.streams.Add(-1)
		return nil, storeError(err)
	}
	return s, nil
}

// storeError is the answer when files cannot be made.
func storeError(err error) *jsapi.Error {
	if sstore.IsNoSpace(err) {
		return jsapi.InsufficientResources.Err()
	}
	return jsapi.StreamStoreFailed.With("err", err.Error())
}

// newKey makes the key of a new stream and its codec.
func (s *Stream) newKey(cfg *jsapi.StreamConfig) error {
	o := &s.h.o
	compress := cfg.Compression != jsapi.NoCompression
	var key []byte
	if o.Key != nil {
		key = make([]byte, crypt.KeyLen)
		crypt.SystemRandom(key)
		sealed, err := crypt.SealKey(o.Cipher, crypt.Derive(o.Key, s.acct.name, s.name), key, crypt.SystemRandom)
		if err != nil {
			return err
		}
		s.key = sealed
	}
	return s.setCodec(key, compress)
}

func (s *Stream) setCodec(key []byte, compress bool) error {
	cipher := crypt.NoCipher
	if key != nil {
		cipher = s.h.o.Cipher
		s.seal = sealer{cipher: cipher, key: key}
	}
	if cipher == crypt.NoCipher && !compress {
		return nil
	}
	codec, err := crypt.NewCodec(cipher, key, compress, crypt.SystemRandom)
	s.codec = codec
	return err
}

// openStore opens the segments in dir.
func (s *Stream) openStore(dir string) (*sstore.Recovered, error) {
	st, rec, err := sstore.Open(s.storeOptions(), dir)
	if err != nil {
		return nil, err
	}
	s.store, s.log, s.files.made = st, st, true
	return rec, nil
}

func (s *Stream) storeOptions() sstore.Options {
	return sstore.Options{Env: &s.sh.env, SegmentBytes: s.h.o.SegmentBytes, Codec: s.codec, OnDamage: s.onDamage, OnFailure: s.onFailure}
}

// lead makes the machine and its front.
func (s *Stream) lead(cfg *jsapi.StreamConfig) {
	s.m = stream.NewMachine(cfg, s.log, s)
	s.m.SetLeader(true)
	s.configured()
	s.newFront()
}

func (s *Stream) newFront() {
	s.f = stream.NewFront(s.m, stream.FrontConfig{Domain: s.h.o.Domain, Quota: s.acct, Batch: s.h.tun.Load().Batch})
}

// pick returns the shard with the fewest streams.
func (h *Host) pick() *Shard {
	best := h.shards[0]
	for _, s := range h.shards[1:] {
		if s.streams.Load() < best.streams.Load() {
			best = s
		}
	}
	best.streams.Add(1)
	return best
}

// begin hands a new stream to its shard and makes its creation durable, with its first entry, the configuration that replay starts with. What it
// returns waits for that.
func (s *Stream) begin() (durable func() *jsapi.Error) {
	var api *jsapi.Error
	wait := s.sh.begin(func(done func()) {
		if s.store != nil {
			s.sh.stores[s.store] = s
		}
		s.rearm()
		if s.store == nil {
			done()
			return
		}
		waits := 2
		part := func(err *jsapi.Error) {
			if err != nil {
				api = err
			}
			if waits--; waits == 0 {
				done()
			}
		}
		d := s.decision(createsStream)
		d.meta = catalog.AppendMeta(nil, s.catalogMeta(s.conf.Load()))
		decided := func(err error) {
			if err != nil {
				part(apiError(err))
			} else {
				part(nil)
			}
		}
		if err := s.sh.decide(s.group, d, decided); err != nil {
			api = apiError(err)
			done()
			return
		}
		s.journaled = true
		s.command(s.configCmd(s.conf.Load()), part)
	})
	return func() *jsapi.Error {
		if !wait() {
			return jsapi.NotEnabled.Err()
		}
		return api
	}
}

// discard takes a stream apart that never was served.
func (s *Stream) discard() {
	if err := s.decideEnd(); err != nil {
		s.h.env.Events.log(idWriteFailed, "stream '%s > %s', which could not be created: %v", s.acct.name, s.name, err)
	}
	s.end()
	s.remove()
}

// wanted returns what a stream with this configuration subscribes to.
func wanted(cfg *jsapi.StreamConfig) map[string]itemKind {
	w := map[string]itemKind{}
	if cfg.Mirror == nil {
		for _, subj := range cfg.Subjects {
			w[subj] = itemPublish
		}
	}
	if cfg.AllowDirect {
		for _, subj := range directSubjects(cfg.Name) {
			w[subj] = itemDirect
		}
	}
	return w
}

// subscribe makes the stream receive what it stores and direct gets: what is no longer wanted is left first, so that nothing comes
// twice. Under the account's lock.
func (s *Stream) subscribe(cfg *jsapi.StreamConfig) error {
	want := wanted(cfg)
	for subj, cancel := range s.subs {
		if _, ok := want[subj]; !ok {
			cancel()
			delete(s.subs, subj)
		}
	}
	for subj, kind := range want {
		if s.subs[subj] != nil {
			continue
		}
		queue := ""
		if kind == itemDirect {
			queue = jsapi.DirectQueue
		}
		cancel, err := s.h.apiBus.Subscribe(s.acct.name, subj, queue, &port{sh: s.sh, st: s, kind: kind})
		if err != nil {
			return err
		}
		if s.subs == nil {
			s.subs = subscriptions{}
		}
		s.subs[subj] = cancel
	}
	return nil
}

// directSubjects returns where direct gets of a stream are asked for.
func directSubjects(name string) [2]string {
	return [2]string{jsapi.DirectPrefix + name, jsapi.DirectPrefix + name + ".>"}
}

func (s *Stream) configCmd(cfg *jsapi.StreamConfig) *op.Cmd {
	return &op.Cmd{Kind: op.Config, Time: s.sh.now, Payload: marshal(cfg)}
}

// The methods below implement api.Stream.

// Name returns the name of the stream.
func (s *Stream) Name() string { return s.name }

// Created returns when the stream was created.
func (s *Stream) Created() time.Time { return s.created }

// Config returns the configuration in force.
func (s *Stream) Config() *jsapi.StreamConfig { return s.conf.Load() }

// Offline tells that the stream runs.
func (s *Stream) Offline() string { return "" }

// Info returns the state of the stream.
func (s *Stream) Info(r *jsapi.StreamInfoRequest, page *jsapi.Page) *jsapi.StreamInfo {
	i := &jsapi.StreamInfo{Created: s.created}
	fill := func() {
		i.Config = *s.m.Config()
		i.TimeStamp = time.Unix(0, s.sh.now).UTC()
		s.m.FillState(&i.State, r, page)
		for _, c := range s.consumers {
			if !c.conf.Load().Direct {
				i.State.Consumers++
			}
		}
		s.sourceInfo(i)
	}
	if !s.sh.ask(func(done func()) { s.settled(func() { fill(); done() }) }) {
		i.Config = *s.conf.Load()
	}
	return i
}

// Update puts a configuration in force: in the journal, then in the metadata.
func (s *Stream) Update(cfg *jsapi.StreamConfig) *jsapi.Error {
	old := s.conf.Load()
	if err := s.do(func() *op.Cmd { return s.configCmd(cfg) }); err != nil {
		return err
	}
	if s.store != nil {
		if err := s.saveMeta(cfg); err != nil {
			return storeError(err)
		}
	}
	if len(s.subs) > 0 || len(wanted(old)) == 0 {
		if err := s.subscribe(cfg); err != nil {
			return jsapi.StreamUpdate.Wrap(err)
		}
	}
	return nil
}

// do proposes the command that fn makes on the shard and waits for it.
func (s *Stream) do(fn func() *op.Cmd) (err *jsapi.Error) {
	if !s.sh.ask(func(done func()) {
		s.command(fn(), func(e *jsapi.Error) { err = e; done() })
	}) {
		return jsapi.NotEnabled.Err()
	}
	return err
}

// Delete ends the stream and its consumers and removes their files.
func (s *Stream) Delete() *jsapi.Error {
	if err := s.decideEnd(); err != nil {
		return decisionError(err)
	}
	s.stopSources(true)
	for _, c := range s.byName.list() {
		c.unsubscribe()
	}
	s.subs.cancel()
	s.end()
	s.acct.mu.Lock()
	s.acct.drop(s.name)
	delete(s.acct.problems, s.name)
	s.acct.mu.Unlock()
	return s.remove()
}

// end takes the stream from its shard: whoever waits hears of it.
func (s *Stream) end() {
	sh := s.sh
	sh.call(func() {
		s.endConsumers()
		if s.f != nil {
			s.f.Close(&s.out)
			s.flush()
		}
		s.report.set(s.acct, s.report.storage, s.report.replicas, 0)
		s.gone = true
		sh.wheel.Cancel(&s.tickTimer)
		sh.wheel.Cancel(&s.ckTimer)
		delete(sh.stores, s.store)
		if m, ok := s.log.(*memstream.Store); ok {
			s.h.freed(m.Memory())
			m.Purge(&store.Purge{}, nil)
			sh.armAge()
		}
	})
	sh.streams.Add(-1)
}

// remove removes the files of a stream that has ended.
func (s *Stream) remove() *jsapi.Error {
	if s.store == nil {
		return nil
	}
	for _, c := range s.byName.list() {
		c.files.end()
	}
	made := s.files.end()
	closed := make(chan struct{})
	s.sh.call(func() { s.store.Close(func(error) { close(closed) }) })
	select {
	case <-closed:
	case <-s.sh.ended:
	}
	s.h.dropOwner(s.group)
	forget := func() {
		s.h.dropGroup(s.group)
		for _, c := range s.byName.list() {
			s.h.dropGroup(c.group)
		}
	}
	if !made {
		forget()
		return nil
	}
	gone, err := s.h.cat.Hide(s.dir())
	switch {
	case err == nil && s.journaled:
		s.h.clear(gone, forget)
	case err == nil:
		err = s.h.cat.Clear(gone)
		forget()
	}
	if err != nil {
		return jsapi.StreamDelete.Wrap(err)
	}
	return nil
}

// Purge removes messages.
func (s *Stream) Purge(r *jsapi.PurgeRequest) (n uint64, err *jsapi.Error) {
	if !s.sh.ask(func(done func()) {
		var c op.Cmd
		if err = s.m.CheckPurge(r, s.sh.now, &c); err != nil {
			done()
			return
		}
		s.f.PurgeAhead(&c, s.batch)
		s.command(&c, func(e *jsapi.Error) { n, err = s.purged, e; done() })
	}) {
		return 0, jsapi.NotEnabled.Err()
	}
	if err != nil {
		n = 0
	}
	return n, err
}

// GetMsg reads a message.
func (s *Stream) GetMsg(r *jsapi.MsgGetRequest) (msg *jsapi.StoredMsg, err *jsapi.Error) {
	if !s.sh.ask(func(done func()) {
		s.read(func() bool {
			var wait bool
			if s.gone {
				msg, err = nil, jsapi.StreamNotFound.Err()
			} else if msg, err, wait = s.m.GetMsg(r); wait {
				return false
			}
			done()
			return true
		})
	}) {
		return nil, jsapi.NotEnabled.Err()
	}
	return msg, err
}

// DeleteMsg removes a message.
func (s *Stream) DeleteMsg(r *jsapi.MsgDeleteRequest) (err *jsapi.Error) {
	if !s.sh.ask(func(done func()) {
		var c op.Cmd
		if err = s.m.CheckDelete(r, s.sh.now, &c); err != nil {
			done()
			return
		}
		s.command(&c, func(e *jsapi.Error) { err = e; done() })
	}) {
		return jsapi.NotEnabled.Err()
	}
	return err
}

// Bound reports whether somebody listens on a deliver subject.
func (s *Stream) Bound(deliver, group string) bool {
	bound := false
	// Watch tells the present interest before it returns.
	s.h.apiBus.Watch(s.acct.name, deliver, group, func(on bool) { bound = on })()
	return bound
}

// Consumer returns a consumer, nil if there is none.
func (s *Stream) Consumer(name string) api.Consumer {
	if c := s.byName.get(name); c != nil {
		return c
	}
	if why, ok := s.byName.offline(name); ok {
		return &failedConsumer{s, name, why}
	}
	return nil
}

// Consumers returns all consumers in order of names.
func (s *Stream) Consumers() []api.Consumer {
	l := s.byName.list()
	out := make([]api.Consumer, len(l))
	for i, c := range l {
		out[i] = c
	}
	return append(out, s.failedConsumers()...)
}

// consumerMap are the consumers of a stream by name. Any goroutine.
type consumerMap struct {
	mu sync.RWMutex // leaf
	m  map[string]*Consumer
	// failed are those that could not be opened, with the reason.
	failed map[string]string
}

func (m *consumerMap) get(name string) *Consumer {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.m[name]
}

func (m *consumerMap) set(c *Consumer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.m == nil {
		m.m = map[string]*Consumer{}
	}
	m.m[c.name] = c
}

func (m *consumerMap) remove(c *Consumer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.m[c.name] == c {
		delete(m.m, c.name)
	}
}

func (m *consumerMap) len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.m)
}

func (m *consumerMap) list() []*Consumer {
	m.mu.RLock()
	l := make([]*Consumer, 0, len(m.m))
	for _, c := range m.m {
		l = append(l, c)
	}
	m.mu.RUnlock()
	slices.SortFunc(l, func(a, b *Consumer) int { return strings.Compare(a.name, b.name) })
	return l
}
