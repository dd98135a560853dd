package host

import (
	"encoding/json"
	"math"
	"time"

	"ramjet/js/advisory"
	"ramjet/js/api"
	"ramjet/js/consumer"
	"ramjet/proto/jsapi"
	"ramjet/store/catalog"
)

// CreateConsumer implements api.Stream. Steps: engine on the shard, creation and first record durable, subscriptions.
func (s *Stream) CreateConsumer(name string, cfg *jsapi.ConsumerConfig, legacy bool) (api.Consumer, *jsapi.Error) {
	c, err := s.createConsumer(name, cfg, legacy, s.h.env.Clock.Now().UTC(), nil)
	if err != nil {
		return nil, err
	}
	c.subscribe()
	return c, nil
}

// createConsumer makes a consumer that is not subscribed yet; state is nil for one that starts as its configuration says.
func (s *Stream) createConsumer(name string, cfg *jsapi.ConsumerConfig, legacy bool, created time.Time, state *consumer.State) (*Consumer, *jsapi.Error) {
	h := s.h
	c := &Consumer{st: s, name: name, created: created, legacy: legacy, seal: s.seal}
	if s.store != nil && !cfg.MemoryStorage {
		if err := h.writable(); err != nil {
			return nil, err
		}
		c.group = h.newGroup(c)
	}
	c.conf.Store(cfg)
	var err error
	if !s.sh.ask(func(done func()) {
		if s.gone {
			err = jsapi.StreamNotFound.Err()
			done()
			return
		}
		if !c.volatile() {
			d := c.decision(createsConsumer)
			d.meta = catalog.AppendMeta(nil, c.catalogMeta(cfg))
			wait := func(e error) { err = e; done() }
			if c.ephemeral() {
				wait = nil
			}
			if err = s.sh.decide(c.group, d, wait); err != nil {
				done()
				return
			}
			c.journaled = true
			c.needSnap = true // the first record is the whole state
		}
		c.start(state)
		c.markReady()
		if c.volatile() || c.ephemeral() {
			done()
		}
	}) {
		return nil, jsapi.NotEnabled.Err()
	}
	if err != nil {
		if e := c.decideEnd(); e != nil {
			h.env.Events.log(idWriteFailed, "consumer '%s > %s > %s', which could not be created: %v", s.acct.name, s.name, name, e)
		}
		c.end()
		c.remove()
		return nil, jsapi.ConsumerCreate.Wrap(err)
	}
	s.byName.set(c)
	return c, nil
}

// start makes the engine of a consumer and adds it to the stream. Shard.
func (c *Consumer) start(state *consumer.State) {
	s, cfg := c.st, c.conf.Load()
	fresh := state == nil
	if fresh {
		state = consumer.NewState(cfg.AckPolicy)
	}
	c.eng = consumer.New(consumer.Env{Stream: s.name, Name: c.name, Created: c.created, Domain: s.h.o.Domain, Log: s.log, Sink: c,
		Rand: s.sh.rand.Fork(), Burst: burst(s.m.Config()), Volatile: c.volatile()}, cfg, state, s.sh.now)
	if fresh {
		c.eng.Start(s.sh.now)
	}
	s.consumers = append(s.consumers, c)
}

// burst is what a rate limit lets through at once: the largest message.
func burst(cfg *jsapi.StreamConfig) int {
	if cfg.MaxMsgSize > 0 {
		return int(cfg.MaxMsgSize)
	}
	return 1 << 20
}

// subscribe makes the consumer receive what clients send to it. Under the account's lock.
func (c *Consumer) subscribe() {
	s, cfg := c.st, c.conf.Load()
	want := map[string]itemKind{
		jsapi.BuildAPI(jsapi.ConsumerReset, s.name, c.name): itemReset,
		jsapi.BuildAPI(jsapi.ConsumerNext, s.name, c.name):  itemNext, // a push consumer answers 409
	}
	if cfg.AckPolicy != jsapi.AckNone && cfg.AckPolicy != jsapi.AckFlowControl {
		want[string(jsapi.AppendAckPrefix(nil, "", "", s.name, c.name))+">"] = itemAck
		want[string(jsapi.AppendAckPrefix(nil, s.h.o.Domain, jsapi.Hash(s.acct.name), s.name, c.name))+">"] = itemAck
	}
	if cfg.FlowControl {
		want[jsapi.FlowPrefix+s.name+"."+c.name+".*"] = itemFlow
	}
	for subj, kind := range want {
		if c.subs[subj] != nil {
			continue
		}
		cancel, err := s.h.apiBus.Subscribe(s.acct.name, subj, "", &port{sh: s.sh, st: s, c: c, kind: kind})
		if err != nil {
			s.acct.setProblem(s.name, "consumer "+c.name, "consumer "+c.name+" is not subscribed: "+err.Error())
			continue
		}
		if c.subs == nil {
			c.subs = subscriptions{}
		}
		c.subs[subj] = cancel
	}
}

// Begin implements api.Consumer.
func (c *Consumer) Begin() {
	a := c.st.acct
	a.lock.Lock()
	defer a.lock.Unlock()
	if c.st.byName.get(c.name) == c {
		c.begin()
	}
}

// begin starts to follow the interest in the deliver subject. Under the account's lock.
func (c *Consumer) begin() {
	if c.unwatch == nil {
		c.watch(c.conf.Load())
	}
}

// watch follows the interest in the deliver subject.
func (c *Consumer) watch(cfg *jsapi.ConsumerConfig) {
	if c.unwatch != nil {
		c.unwatch()
		c.unwatch = nil
	}
	if cfg.Pull() {
		return
	}
	sh := c.st.sh
	c.unwatch = c.st.h.apiBus.Watch(c.st.acct.name, cfg.DeliverSubject, cfg.DeliverGroup, func(on bool) {
		sh.post(func() {
			if !c.gone {
				c.eng.SetInterest(sh.now, on)
				c.markReady()
			}
		})
	})
}

func (c *Consumer) unsubscribe() {
	if c.unwatch != nil {
		c.unwatch()
		c.unwatch = nil
	}
	c.subs.cancel()
}

// The methods below implement api.Consumer.

// Name returns the name of the consumer.
func (c *Consumer) Name() string { return c.name }

// Config returns the configuration in force.
func (c *Consumer) Config() *jsapi.ConsumerConfig { return c.conf.Load() }

// Offline tells that the consumer runs.
func (c *Consumer) Offline() string { return "" }

// Info returns the state of the consumer.
func (c *Consumer) Info() (i *jsapi.ConsumerInfo) {
	c.st.sh.ask(func(done func()) {
		c.st.settled(func() {
			if !c.gone {
				i = c.info()
			}
			done()
		})
	})
	if cfg := c.conf.Load(); i != nil && !cfg.Pull() && !i.PushBound {
		i.PushBound = c.st.Bound(cfg.DeliverSubject, cfg.DeliverGroup) // it has not begun, or not heard yet
	}
	return i
}

// Update puts a configuration in force: in the metadata, then in the engine.
func (c *Consumer) Update(cfg *jsapi.ConsumerConfig) *jsapi.Error {
	if err := c.save(cfg); err != nil {
		return err
	}
	old := c.conf.Swap(cfg)
	if !c.st.sh.call(func() {
		if !c.gone {
			c.eng.Update(c.st.sh.now, cfg)
			if cfg.Sourcing {
				// Its stream asks anew when it begins anew: what was not acknowledged comes again, counted from 1.
				_, _ = c.eng.Reset(c.st.sh.now, 0) // to the ack floor: cannot fail
			}
			c.markReady()
			if c.st.m.Config().Retention == jsapi.InterestRetention {
				c.st.sweep()
			}
		}
	}) {
		return jsapi.NotEnabled.Err()
	}
	if c.unwatch != nil && (old.DeliverSubject != cfg.DeliverSubject || old.DeliverGroup != cfg.DeliverGroup) {
		c.watch(cfg)
	}
	return nil
}

func (c *Consumer) save(cfg *jsapi.ConsumerConfig) *jsapi.Error {
	if c.volatile() {
		return nil
	}
	if err := c.saveMeta(cfg); err != nil {
		return storeError(err)
	}
	return nil
}

// Pause pauses until a time.
func (c *Consumer) Pause(until time.Time) *jsapi.Error {
	cfg := *c.conf.Load()
	cfg.PauseUntil = nil
	var at int64
	if !until.IsZero() {
		u := until.UTC()
		cfg.PauseUntil, at = &u, unixNano(u)
	}
	if err := c.save(&cfg); err != nil {
		return err
	}
	c.conf.Store(&cfg)
	if !c.st.sh.call(func() {
		if !c.gone {
			c.eng.SetPause(c.st.sh.now, at)
			c.markReady()
		}
	}) {
		return jsapi.NotEnabled.Err()
	}
	return nil
}

// unixNano is t.UnixNano, within what it can tell.
func unixNano(t time.Time) int64 {
	switch {
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64 - 1
	case t.Before(time.Unix(0, 0)):
		return 0
	}
	return t.UnixNano()
}

// Unpin gives up the pinned client of a group.
func (c *Consumer) Unpin(group string) *jsapi.Error {
	var err error
	if !c.st.sh.call(func() {
		if c.gone {
			err = jsapi.ConsumerNotFound.Err()
			return
		}
		err = c.eng.Unpin(c.st.sh.now, group)
		c.markReady()
	}) {
		return jsapi.NotEnabled.Err()
	}
	if err != nil {
		return jsapi.InvalidJSON.Wrap(err)
	}
	return nil
}

// Delete ends the consumer and removes its files.
func (c *Consumer) Delete() *jsapi.Error {
	if err := c.decideEnd(); err != nil {
		return decisionError(err)
	}
	c.unsubscribe()
	c.end()
	c.st.byName.remove(c)
	return c.remove()
}

// end takes the consumer from its stream: whoever waits hears of it.
func (c *Consumer) end() {
	s := c.st
	s.sh.call(func() {
		if c.gone || c.eng == nil {
			return
		}
		c.stop()
		for i, o := range s.consumers {
			if o == c {
				s.consumers = append(s.consumers[:i:i], s.consumers[i+1:]...)
				break
			}
		}
		if !s.gone {
			s.sweep()
		}
	})
}

// stop ends a consumer on its shard.
func (c *Consumer) stop() {
	c.eng.EndRequests(consumer.EndDeleted)
	c.finish()
	c.gone = true
	c.st.sh.wheel.Cancel(&c.timer)
	c.st.sh.wheel.Cancel(&c.ckTimer)
}

func (s *Stream) endConsumers() {
	for _, c := range s.consumers {
		c.stop()
	}
	s.consumers = nil
}

// endRequests tells the clients that wait that the server stops.
func (s *Stream) endRequests() {
	for _, c := range s.consumers {
		c.eng.EndRequests(consumer.EndShutdown)
		c.markReady()
	}
}

// remove removes the files of a consumer that has ended.
func (c *Consumer) remove() *jsapi.Error {
	if c.volatile() {
		return nil
	}
	h := c.st.h
	h.dropOwner(c.group)
	forget := func() { h.dropGroup(c.group) }
	if !c.files.end() {
		forget()
		return nil
	}
	gone, err := h.cat.Hide(c.dir())
	switch {
	case err == nil && c.journaled:
		h.clear(gone, forget)
	case err == nil:
		err = h.cat.Clear(gone)
		forget()
	}
	if err != nil {
		return storeError(err)
	}
	return nil
}

// expire deletes a consumer that nobody used for its inactive threshold. Background goroutine.
func (h *Host) expire(c *Consumer) {
	a := c.st.acct
	a.lock.Lock()
	defer a.lock.Unlock()
	if c.st.byName.get(c.name) != c || h.closed.Load() {
		return
	}
	if err := c.Delete(); err != nil {
		h.env.Events.log(idConsumerFailed, "consumer '%s > %s > %s': %v", a.name, c.st.name, c.name, err)
	}
	c.st.sh.post(func() {
		sh := c.st.sh
		m := sh.advise.Consumer(advisory.ConsumerDeleted, c.st.name, c.name, time.Unix(0, sh.now))
		if sh.bus.Interest(a.name, []byte(m.Subject)) {
			sh.bus.Publish(a.name, []byte(m.Subject), nil, nil, m.Body)
		}
	})
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain data
	}
	return b
}
