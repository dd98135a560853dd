package host

import (
	"errors"
	"math"
	"sync"
	"time"

	"ramjet/js/api"
	"ramjet/js/backup"
	"ramjet/js/consumer"
	"ramjet/js/stream"
	"ramjet/proto/jsapi"
	"ramjet/store"
)

const (
	backupStep  = 256 << 10 // bytes of records read from or given to a shard at a time
	restoreSync = 8 << 20   // bytes of a restore before the writer has to catch up
	removeStep  = 1000      // messages that a restore removes at a time
)

// arrivals collects what arrives for a transfer, for one goroutine.
type arrivals struct {
	mu   sync.Mutex // leaf
	list []func()
	wake chan struct{}
}

func newArrivals() *arrivals { return &arrivals{wake: make(chan struct{}, 1)} }

func (q *arrivals) put(fn func()) {
	q.mu.Lock()
	q.list = append(q.list, fn)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run does what arrived; it waits for something, at most until deadline (unix nanoseconds, 0: for ever), if there is nothing.
func (q *arrivals) run(h *Host, deadline int64) {
	q.mu.Lock()
	list := q.list
	q.list = nil
	q.mu.Unlock()
	for _, fn := range list {
		fn()
	}
	if len(list) > 0 {
		return
	}
	if deadline == 0 {
		<-q.wake
		return
	}
	d := time.Duration(deadline - h.env.Clock.Now().UnixNano())
	if d <= 0 {
		return
	}
	t := h.env.Clock.AfterFunc(d, func() { q.put(func() {}) })
	<-q.wake
	t.Stop()
}

// inboxFunc is an Inbox.
type inboxFunc func(m *Msg)

// Deliver implements Inbox.
func (f inboxFunc) Deliver(m *Msg) Verdict {
	f(m)
	return Taken
}

func (h *Host) token() string { return jsapi.HashName(h.Random()) }

func (h *Host) unix() int64 { return h.env.Clock.Now().UnixNano() }

// Snapshot implements api.Stream.
func (s *Stream) Snapshot(r *api.Request, req *jsapi.SnapshotRequest) (*jsapi.SnapshotResponse, func() error, *jsapi.Error) {
	var (
		cfg       jsapi.StreamConfig
		state     jsapi.StreamState
		consumers []*backup.Consumer
		now       int64
	)
	if !s.sh.call(func() {
		now = s.sh.now
		cfg = *s.m.Config()
		s.m.FillState(&state, nil, nil)
		if req.NoConsumers {
			return
		}
		for _, c := range s.consumers {
			if conf := c.eng.Config(); !conf.Direct {
				consumers = append(consumers, &backup.Consumer{Name: c.name, Config: *conf, Created: c.created.UnixNano(), State: c.eng.State().Export()})
			}
		}
	}) {
		return nil, nil, jsapi.NotEnabled.Err()
	}
	state.Consumers = len(consumers)
	enc := &backup.Encoder{}
	err := enc.Start(&state, len(consumers), now)
	for _, c := range consumers {
		if err == nil {
			err = enc.AddConsumer(c)
		}
	}
	if err != nil {
		return nil, nil, jsapi.StreamSnapshot.Wrap(err)
	}
	q := newArrivals()
	ses := backup.NewSnapshotSession(req, s.name, s.h.token(), enc, s.h.unix())
	cancel, err := s.h.apiBus.Subscribe(s.acct.name, ses.AckSubject(), "", inboxFunc(func(*Msg) { q.put(func() { ses.Ack(s.h.unix()) }) }))
	if err != nil {
		return nil, nil, jsapi.StreamSnapshot.Wrap(err)
	}
	unwatch := s.h.apiBus.Watch(s.acct.name, req.DeliverSubject, "", func(on bool) { q.put(func() { ses.Interest(on, s.h.unix()) }) })
	run := func() error {
		defer cancel()
		defer unwatch()
		s.send(ses, enc, q, &state)
		return ses.Err()
	}
	return &jsapi.SnapshotResponse{Config: &cfg, State: &state}, run, nil
}

// send feeds the encoder and sends the chunks until the backup is over.
func (s *Stream) send(ses *backup.SnapshotSession, enc *backup.Encoder, q *arrivals, state *jsapi.StreamState) {
	next := max(state.FirstSeq, 1)
	var recs records
	for !ses.Done() {
		for ses.Wants() {
			if len(recs.list) == 0 {
				var err error
				if next, err = s.readRange(&recs, next, state.LastSeq); err != nil {
					ses.Fail(err)
					break
				}
			}
			if len(recs.list) == 0 {
				if err := enc.Finish(); err != nil {
					ses.Fail(err)
				}
				break
			}
			if err := enc.AddRecord(&recs.list[0]); err != nil {
				ses.Fail(err)
			}
			recs.list = recs.list[1:]
		}
		ses.Tick(s.h.unix())
		m, ok := ses.Next(s.h.unix())
		if !ok {
			q.run(s.h, ses.Deadline())
			continue
		}
		s.h.apiMu.Lock()
		s.h.apiBus.Publish(s.acct.name, []byte(m.Subject), []byte(m.Reply), m.Header, m.Payload)
		s.h.apiBus.Flush()
		s.h.apiMu.Unlock()
	}
}

// records are copies of records.
type records struct{ list []store.Rec }

func (r *records) reset() { r.list = r.list[:0:0] }

func (r *records) add(x *store.Rec) {
	cut := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		return append([]byte(nil), b...)
	}
	c := *x
	c.Subject, c.Header, c.Payload = cut(x.Subject), cut(x.Header), cut(x.Payload)
	r.list = append(r.list, c)
}

var errDamaged = errors.New("a message of the stream does not verify")

// readRange reads the next records up to last into recs; none are left when it stays empty.
func (s *Stream) readRange(recs *records, from, last uint64) (next uint64, err error) {
	recs.reset()
	size := 0
	next = from
	if !s.sh.ask(func(done func()) {
		s.read(func() bool {
			var r store.Rec
			for next <= last && size < backupStep {
				if s.gone {
					err = jsapi.StreamNotFound.Err()
					break
				}
				switch s.log.Next(nil, next, &r) {
				case store.Pending:
					if len(recs.list) == 0 {
						return false
					}
					done()
					return true
				case store.Damaged:
					err = errDamaged
				case store.None:
					next = last + 1
				case store.Hit:
					if next = r.Seq + 1; r.Seq <= last {
						recs.add(&r)
						size += len(r.Subject) + len(r.Header) + len(r.Payload)
					}
				}
				if err != nil {
					break
				}
			}
			done()
			return true
		})
	}) {
		return next, jsapi.NotEnabled.Err()
	}
	return next, err
}

// restore takes a backup into a stream that is not served yet. It implements backup.Handler.
type restore struct {
	a         *Account
	cfg       *jsapi.StreamConfig
	s         *Stream
	recs      records
	size      int
	unsynced  int
	consumers []*backup.Consumer
	giveUp    func()        // as if the client had become silent
	decided   chan struct{} // closed when received is known
	received  bool          // everything came
	gone      chan struct{} // closed, unless received, when the files are removed
}

// Restore implements api.Account.
func (a *Account) Restore(r *api.Request, req *jsapi.RestoreRequest, done func(*api.Restored)) (string, *jsapi.Error) {
	h := a.h
	x := &restore{a: a, cfg: &req.Config, decided: make(chan struct{}), gone: make(chan struct{})}
	if before := a.restores[x.cfg.Name]; before != nil {
		before.giveUp()
		if <-before.decided; before.received { // it only waits for the lock
			return "", jsapi.StreamNameExistRestoreFailed.Err()
		}
		<-before.gone
	}
	s, err := h.newStream(a, x.cfg, h.env.Clock.Now().UTC(), true)
	if err != nil {
		return "", err
	}
	x.s = s
	if s.store != nil {
		s.sh.call(func() { s.sh.stores[s.store] = s })
	}
	dec := backup.NewDecoder(x, backup.Options{Name: x.cfg.Name, FirstSeq: req.State.FirstSeq, MaxMsgSize: int(x.cfg.MaxMsgSize), Now: h.unix()})
	ses := backup.NewRestoreSession(x.cfg.Name, h.token(), dec, h.unix())
	q := newArrivals()
	cancel, serr := h.apiBus.Subscribe(a.name, ses.Subject(), "", inboxFunc(func(m *Msg) {
		reply, body := string(m.Reply), append([]byte(nil), m.Payload...)
		q.put(func() {
			if m, ok := ses.Chunk(reply, body, h.unix()); ok {
				h.publish(a.name, []byte(m.Subject), m.Header, m.Payload)
				ses.Touch(h.unix())
			}
		})
	}))
	if serr != nil {
		s.discard()
		return "", jsapi.StreamRestore.Wrap(serr)
	}
	x.giveUp = func() { q.put(func() { ses.Tick(math.MaxInt64) }) }
	if a.restores == nil {
		a.restores = map[string]*restore{}
	}
	a.restores[x.cfg.Name] = x
	h.env.Go(func() {
		for ses.Phase() == backup.Receiving {
			q.run(h, ses.Deadline())
			ses.Tick(h.unix())
		}
		cancel()
		x.received = ses.Phase() == backup.Received
		close(x.decided)
		if x.received {
			ses.Finish(x.activate())
		}
		end := &api.Restored{Bytes: ses.Bytes(), Reply: ses.Reply(), Err: ses.APIError()}
		if end.Err == nil {
			end.Stream = s
		} else {
			s.discard()
			if !x.received {
				close(x.gone) // whoever holds the lock may wait for it
			}
			x.forget()
		}
		done(end)
	})
	return ses.Subject(), nil
}

// forget takes the restore off the list of its account.
func (x *restore) forget() {
	x.a.lock.Lock()
	defer x.a.lock.Unlock()
	x.left()
}

// left is forget under the account's lock.
func (x *restore) left() {
	if x.a.restores[x.cfg.Name] == x {
		delete(x.a.restores, x.cfg.Name)
	}
}

// activate makes the restored stream a stream like others.
func (x *restore) activate() error {
	a, s := x.a, x.s
	a.lock.Lock()
	defer a.lock.Unlock()
	if a.restores[x.cfg.Name] != x || a.taken(x.cfg.Name) {
		return jsapi.StreamNameExistRestoreFailed.Err()
	}
	x.left()
	ctx := &stream.Context{Each: a.Each}
	if err := stream.CheckOverlap(x.cfg, ctx); err != nil {
		return err
	}
	if x.cfg.Replicas > 1 {
		return jsapi.StreamReplicasNotSupported.Err()
	}
	if err := a.Reserve(nil, x.cfg); err != nil {
		return err
	}
	s.sh.call(func() {
		s.lead(x.cfg)
		s.m.Rebuild(s.sh.now)
		s.newFront()
	})
	if err := s.begin()(); err != nil {
		return err
	}
	var made []*Consumer
	for _, b := range x.consumers {
		cfg := b.Config
		created := time.Unix(0, b.Created).UTC()
		if b.Created == 0 {
			created = s.created
		}
		c, err := s.createConsumer(b.Name, &cfg, false, created, consumer.Import(cfg.AckPolicy, &b.State))
		if err != nil {
			return err
		}
		made = append(made, c)
	}
	if s.store != nil {
		ch := make(chan error, 1)
		s.sh.post(func() { s.checkpointThen(func(err error) { ch <- err }) })
		select {
		case err := <-ch:
			if err != nil {
				return err
			}
		case <-s.sh.ended:
			return jsapi.NotEnabled.Err()
		}
		s.restoring = false
		if err := s.saveMeta(x.cfg); err != nil {
			return err
		}
	}
	a.mu.Lock()
	a.add(s)
	a.mu.Unlock()
	if err := s.subscribe(x.cfg); err != nil {
		return err
	}
	for _, c := range made {
		c.subscribe()
		c.begin()
	}
	s.startSources()
	return nil
}

// Stream implements backup.Handler: the configuration is that of the request.
func (x *restore) Stream(b *backup.Stream) error {
	if b.Created != 0 {
		x.s.created = time.Unix(0, b.Created).UTC() // nobody knows of s yet
	}
	return nil
}

// Consumer implements backup.Handler.
func (x *restore) Consumer(c *backup.Consumer) error {
	k := *c
	x.consumers = append(x.consumers, &k)
	return nil
}

// Record implements backup.Handler.
func (x *restore) Record(r *store.Rec) error {
	x.recs.add(r)
	if r.TTL < 0 && !x.cfg.AllowMsgTTL {
		x.recs.list[len(x.recs.list)-1].TTL = 0
	}
	if x.size += len(r.Subject) + len(r.Header) + len(r.Payload); x.size < backupStep {
		return nil
	}
	return x.flush()
}

// do runs fn on the shard after what was collected.
func (x *restore) do(fn func() error) (err error) {
	if !x.s.sh.call(func() {
		for i := range x.recs.list {
			if err = x.s.log.Append(&x.recs.list[i]); err != nil {
				return
			}
		}
		if fn != nil {
			err = fn()
		}
	}) {
		return jsapi.NotEnabled.Err()
	}
	x.unsynced += x.size
	x.recs.reset()
	x.size = 0
	return err
}

func (x *restore) flush() error {
	if err := x.do(nil); err != nil || x.s.store == nil || x.unsynced < restoreSync {
		return err
	}
	x.unsynced = 0
	ch := make(chan error, 1)
	x.s.sh.post(func() { x.s.store.Flush(func(err error) { ch <- err }) })
	select {
	case err := <-ch:
		return err
	case <-x.s.sh.ended:
		return jsapi.NotEnabled.Err()
	}
}

// Deleted implements backup.Handler. A range may be wide: it is walked by its messages, some at a time.
func (x *restore) Deleted(from, to uint64) error {
	for from <= to {
		err := x.do(func() error {
			for range removeStep {
				var r store.Rec
				switch x.s.log.NextNow(nil, from, &r) {
				case store.None:
					from = to + 1
					return nil
				case store.Hit:
					if r.Seq > to {
						from = to + 1
						return nil
					}
					x.s.log.Remove(r.Seq, false)
					from = r.Seq + 1
				default:
					return errDamaged
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// End implements backup.Handler.
func (x *restore) End(first, last uint64) error {
	return x.do(func() error {
		log := x.s.log
		if _, _, _, have := x.s.size(); last > have {
			if err := log.SkipTo(last); err != nil {
				return err
			}
		}
		if first > 1 {
			log.Purge(&store.Purge{Below: first}, nil)
		}
		return nil
	})
}
