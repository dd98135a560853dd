package host

import (
	"encoding/json"
	"errors"
	"sync/atomic"
	"time"

	"ramjet/js/op"
	"ramjet/js/stream"
	"ramjet/proto/base/wheel"
	"ramjet/proto/jsapi"
	"ramjet/store"
	"ramjet/store/crypt"
	"ramjet/store/journal"
	sstore "ramjet/store/stream"
)

const (
	entrySize   = 256 << 10              // a turn's batch is cut here
	directStep  = 256                    // messages of a direct get before others come
	keepBatches = 8                      // empty ones of a stream
	tickEvery   = 250 * time.Millisecond // at most: what expires one after the other is taken together

	timerTick       = 0
	timerCheckpoint = 1
	timerSource     = 2
)

// Stream is a stream on this server. What has no note belongs to its shard.
type Stream struct {
	h       *Host
	acct    *Account
	sh      *Shard
	name    string
	group   journal.GroupID // 0: in memory
	created time.Time
	codec   *crypt.Codec
	seal    sealer
	key     []byte                             // sealed, as in the metadata
	conf    atomic.Pointer[jsapi.StreamConfig] // any goroutine
	subs    subscriptions                      // under the account's lock
	byName  consumerMap                        // any goroutine

	log    stream.Log
	store  *sstore.Store // nil: in memory
	m      *stream.Machine
	f      *stream.Front
	rule   stream.AckRule
	in     stream.Inbound
	out    stream.Effects
	batch  *op.Batch
	spare  []*op.Batch
	drops  *op.Batch // removals by retention, which are in force already
	calls  []func(*jsapi.Error)
	report usage

	index    uint64      // of the last entry given to the journal
	applied  uint64      // of the last applied one
	pos      journal.Pos // after it
	inflight int
	failing  *jsapi.Error // entries were refused: abort when nothing is on the way any more
	broken   error        // the log refused an entry, the journal failed or has a hole: read only until a restart
	writeErr error        // the store can not write at present
	purged   uint64       // by the last purge
	isDirty  bool
	gone     bool
	ending   bool // its end is in the journal: no checkpoint may release that

	files     files // any goroutine but a shard's
	journaled bool  // the journal may hold its creation, so its end is decided there; set before it is served

	restoring  bool // API goroutine
	recovering bool
	rebuilt    bool              // recovery: its state was lost
	held       map[uint64][]byte // replay: entries that came before their turn
	proven     int               // replay: findings of damage before its last record
	damaged    string            // why it is read only, as in the metadata
	offline    int               // consumers that could not be opened: nobody knows what they need

	src      *sourcing // nil: nothing to follow
	follows  bool      // it may follow its origins
	srcTimer wheel.Timer

	consumers []*Consumer
	gets      []*stream.DirectGet
	reads     []func() bool // wait for the log; true: done
	barriers  []barrier     // oldest first
	tickTimer wheel.Timer
	ticked    int64 // when the front last had its tick
	ckTimer   wheel.Timer
	ckBusy    bool
	ckAgain   bool
	ckWait    []func(error)
	since     int64 // journal bytes since the last checkpoint
}

// assign makes sh the shard of a new stream.
func (s *Stream) assign(sh *Shard) {
	s.sh, s.batch, s.drops = sh, op.NewBatch(&sh.batches), op.NewBatch(&sh.batches)
}

// Interest implements stream.Retainer.
func (s *Stream) Interest(subj []byte) bool {
	for _, c := range s.consumers {
		if c.eng.Matches(subj) {
			return true
		}
	}
	return s.recovering || s.offline > 0
}

// Needs implements stream.Retainer. During recovery, and as long as a consumer is offline, nobody knows, so everything is needed.
func (s *Stream) Needs(seq uint64, subj []byte) bool {
	for _, c := range s.consumers {
		if c.eng.Needs(seq, subj) {
			return true
		}
	}
	return s.recovering || s.offline > 0
}

// MayNeed implements stream.Retainer.
func (s *Stream) MayNeed(seq uint64) bool {
	for _, c := range s.consumers {
		if c.eng.MayNeed(seq) {
			return true
		}
	}
	return s.recovering || s.offline > 0
}

func (s *Stream) markDirty() {
	if !s.isDirty {
		s.isDirty = true
		s.sh.dirty = append(s.sh.dirty, s)
	}
}

// refusal returns why publishes are refused, nil if they are not.
func (s *Stream) refusal() *jsapi.Error {
	switch {
	case s.broken != nil:
		return jsapi.StreamStoreFailed.With("err", s.broken.Error())
	case s.failing != nil:
		return s.failing
	case s.store == nil:
		return nil
	case s.h.noSpace.Load() || (s.writeErr != nil && sstore.IsNoSpace(s.writeErr)):
		return jsapi.InsufficientResources.Err()
	case s.writeErr != nil:
		return jsapi.StreamStoreFailed.With("err", s.writeErr.Error())
	}
	return nil
}

func (s *Stream) publish(p *packet, t stream.Trace) {
	if s.gone {
		if t != nil {
			t.Done(jsapi.StreamNotFound.Err().Description)
		}
		return
	}
	s.in = stream.Inbound{Subject: p.subject, Reply: p.reply, Header: p.header, Payload: p.payload, Trace: t}
	s.take(&s.in)
}

// take takes one message to be stored: from a client, a mirror or a source. The error is why it was refused.
func (s *Stream) take(in *stream.Inbound) *jsapi.Error {
	if err := s.refusal(); err != nil {
		if len(in.Reply) > 0 && !s.m.Config().NoAck {
			s.sh.bus.Publish(s.acct.name, in.Reply, nil, nil, jsapi.AppendPubError(nil, err, s.name))
		}
		if in.Trace != nil {
			in.Trace.Done(err.Description)
		}
		return err
	}
	err := s.f.Publish(in, s.sh.now, s.batch, &s.out)
	if len(s.out.List) > 0 {
		s.flush()
	}
	if s.batch.Size() > entrySize {
		s.propose()
	}
	s.markDirty()
	return err
}

// command proposes one command of the API in an entry of its own; done is called when it was applied or given up.
func (s *Stream) command(c *op.Cmd, done func(*jsapi.Error)) {
	switch {
	case s.gone:
		done(jsapi.StreamNotFound.Err())
		return
	case s.broken != nil:
		done(jsapi.StreamStoreFailed.With("err", s.broken.Error()))
		return
	}
	s.propose()
	s.batch.Add(c)
	s.calls = append(s.calls, done)
	s.propose()
	s.markDirty()
}

// settleTurn ends the turn of a stream that did something.
func (s *Stream) settleTurn() {
	if s.gone {
		return
	}
	s.propose()
	s.journalDrops()
	s.count()
	if s.f != nil && s.f.Staging() {
		s.rearm() // nothing is applied that would do it
	}
	if s.src != nil {
		s.armSources()
	}
}

// propose gives what was decided to the journal; without one it is applied at once.
func (s *Stream) propose() {
	if s.batch.Len() == 0 || s.gone {
		return
	}
	e := entry{st: s, index: s.index + 1, batch: s.batch, calls: s.calls}
	s.calls = nil
	if n := len(s.spare); n > 0 {
		s.batch, s.spare = s.spare[n-1], s.spare[:n-1]
	} else {
		s.batch = op.NewBatch(&s.sh.batches)
	}
	if s.store == nil {
		s.index++
		s.apply(&e)
		return
	}
	pos, err := s.sh.journalize(&s.seal, journal.Record{Group: s.group, Kind: journal.KindStream, Index: e.index, Payload: e.batch.Bytes(),
		Essential: essential(e.batch)})
	if err != nil {
		s.giveUp(&e, err)
		return
	}
	s.index++
	e.pos = pos
	s.inflight++
	s.since += int64(e.batch.Size())
	c := s.sh.current(s.rule.Sync)
	c.entries = append(c.entries, e)
}

// journalDrops notes removals by retention. They are in force already and can be found again from what the consumers acknowledged,
// so nobody waits for them; replay repeats them whatever else it did.
func (s *Stream) journalDrops() {
	if s.drops.Len() == 0 {
		return
	}
	if s.store != nil && s.broken == nil {
		_, err := s.sh.journalize(&s.seal, journal.Record{Group: s.group, Kind: journal.KindStream, Flags: flagDrop, Index: s.index,
			Payload: s.drops.Bytes(), Essential: true})
		if err == nil {
			s.since += int64(s.drops.Size())
			s.sh.current(store.SyncNone)
			s.scheduleCheckpoint()
		}
	}
	s.drops.Free()
}

// barrier is who waits until the entries up to index are decided.
type barrier struct {
	index uint64
	fn    func()
}

// barrierWait is how long a slow disk may hold up who only wants to look.
const barrierWait = 2 * time.Second

// settled runs fn when what the stream has taken so far, and what is due by now, is in force or refused; a disk that
// does not answer is not waited for longer than barrierWait.
func (s *Stream) settled(fn func()) {
	if s.gone || s.f == nil {
		fn()
		return
	}
	if at, ok := s.nextTick(); ok && at <= s.sh.now {
		s.fire(timerTick)
	}
	if s.store == nil {
		s.propose()
		fn()
		return
	}
	last := s.index
	if s.batch.Len() > 0 {
		last++
	} else if s.inflight == 0 {
		fn()
		return
	}
	done := false
	once := func() {
		if !done {
			done = true
			fn()
		}
	}
	t := s.h.env.Clock.AfterFunc(barrierWait, func() { s.sh.post(once) })
	s.barriers = append(s.barriers, barrier{last, func() { t.Stop(); once() }})
}

// passed runs what waits for the entries up to index.
func (s *Stream) passed(index uint64) {
	for len(s.barriers) > 0 && s.barriers[0].index <= index {
		fn := s.barriers[0].fn
		if s.barriers = s.barriers[1:]; len(s.barriers) == 0 {
			s.barriers = nil
		}
		fn()
	}
}

// giveUp answers everybody who waits for an entry that is not in the journal.
func (s *Stream) giveUp(e *entry, err error) {
	api := apiError(err)
	for _, fn := range e.calls {
		fn(api)
	}
	s.passed(e.index)
	s.recycle(e.batch)
	if errors.Is(err, journal.ErrFailed) {
		s.fail(err)
	}
	s.failing = api
	s.settle()
}

// fail makes the stream read only.
func (s *Stream) fail(err error) {
	if s.broken != nil {
		return
	}
	s.broken = err
	s.acct.setProblem(s.name, "read only", "read only: "+err.Error())
	s.h.env.Events.log(idStreamFailed, "stream '%s > %s': %v: read only", s.acct.name, s.name, err)
}

// settle aborts what was refused once nothing before it is on the way.
func (s *Stream) settle() {
	if s.failing == nil || s.inflight > 0 {
		return
	}
	err := s.failing
	s.failing = nil
	s.batch.Free()
	s.f.Abort(err, &s.out)
	s.flush()
	if s.src != nil {
		s.src.eng.Restart(s.sh.now)
	}
}

func (s *Stream) recycle(b *op.Batch) {
	b.Free()
	if len(s.spare) < keepBatches {
		s.spare = append(s.spare, b)
	}
}

// committed takes the outcome of an entry.
func (s *Stream) committed(e *entry, err error) {
	s.inflight--
	switch {
	case s.gone:
		for _, fn := range e.calls {
			fn(jsapi.StreamNotFound.Err())
		}
		s.passed(e.index)
	case err != nil:
		s.giveUp(e, err)
		return
	default:
		s.pos = e.pos
		s.apply(e)
	}
	s.settle()
}

// apply performs an entry.
func (s *Stream) apply(e *entry) {
	s.run(e.index, e.batch.Bytes(), true)
	s.flush()
	var api *jsapi.Error
	if s.broken != nil {
		api = jsapi.StreamStoreFailed.With("err", s.broken.Error())
	}
	for _, fn := range e.calls {
		fn(api)
	}
	s.passed(e.index)
	s.recycle(e.batch)
	if s.src != nil {
		s.src.eng.Stored(s.lastSeq())
	}
	s.rearm()
	if s.store != nil {
		s.scheduleCheckpoint()
	}
	s.markDirty()
}

// run applies the commands of an entry; lead settles them with the front.
func (s *Stream) run(index uint64, b []byte, lead bool) {
	if s.broken != nil {
		return
	}
	var c op.Cmd
	r := op.Open(b)
	for r.Next(&c) {
		n := len(s.out.List)
		s.m.Apply(index, &c, &s.out)
		if k := len(s.out.List); k > n && s.out.List[k-1].Kind == stream.Failed {
			err := s.out.List[k-1].Err
			if !lead && errors.Is(err, errKnown) {
				s.out.List = s.out.List[:k-1] // a rebuilt store has it already
				continue
			}
			s.fail(err)
			if lead {
				s.failing = jsapi.StreamStoreFailed.With("err", s.broken.Error())
			}
			return
		}
		if lead {
			s.f.Applied(&c, &s.out)
		}
	}
	if r.Err() != nil {
		s.fail(r.Err())
	}
	s.applied = index
}

// flush does what the machine and the front asked for.
func (s *Stream) flush() {
	for i := range s.out.List {
		e := &s.out.List[i]
		switch e.Kind {
		case stream.Send, stream.Republish:
			s.sh.bus.Publish(s.acct.name, e.Subject, nil, e.Header, e.Payload)
		case stream.Stored:
			for _, c := range s.consumers {
				if c.eng.Published(e.Seq, e.Subject) {
					c.markReady()
				}
			}
		case stream.Removed:
			for _, c := range s.consumers {
				c.eng.Removed(s.sh.now, e.Seq, e.Subject)
				c.markReady()
			}
		case stream.Purged:
			s.purged = e.Seq
			for _, c := range s.consumers {
				if len(e.Seqs) > 0 {
					c.eng.PurgedFew(s.sh.now, e.Purge.Filter, e.Subject, e.Seqs)
				} else {
					c.eng.PurgedOf(s.sh.now, e.Purge.Filter)
				}
				c.markReady()
			}
		case stream.Configured:
			s.configured()
		case stream.Abandoned:
			s.abandoned(string(e.Subject), e.Text)
		}
	}
	s.out.Reset()
}

func (s *Stream) configured() {
	cfg := *s.m.Config()
	s.conf.Store(&cfg)
	s.rule = stream.RuleFor(&cfg, s.h.o.SyncInterval == 0)
	if s.f != nil {
		s.f.Reconfigured()
		s.rearm()
		s.follow()
	}
}

func (s *Stream) lastSeq() uint64 {
	_, _, _, last := s.size()
	return last
}

func (s *Stream) size() (msgs, bytes, first, last uint64) {
	if z, ok := s.log.(stream.Sizer); ok {
		return z.Size()
	}
	var st store.State
	s.log.State(&st)
	return st.Msgs, st.Bytes, st.FirstSeq, st.LastSeq
}

// abandoned tells that an atomic batch was given up: in the account and, with its name, in the system account.
func (s *Stream) abandoned(batch, reason string) {
	now := time.Unix(0, s.sh.now)
	for _, acct := range []string{"", s.acct.name} {
		m := s.sh.advise.Abandoned(acct, s.name, batch, reason, now)
		to := s.acct.name
		if acct != "" {
			to = s.h.o.SystemAccount
		}
		if to != "" && s.sh.bus.Interest(to, []byte(m.Subject)) {
			s.sh.bus.Publish(to, []byte(m.Subject), nil, nil, m.Body)
		}
	}
}

// released removes what no consumer needs of what one consumer no longer does.
func (s *Stream) released(from, to uint64, f *store.Filter) {
	s.m.Released(from, to, f, &s.out)
	s.dropped()
}

// sweep removes everything that no consumer needs: after a recovery and after a consumer is gone.
func (s *Stream) sweep() {
	s.m.Sweep(&s.out)
	s.dropped()
}

// dropped notes and tells removals by retention.
func (s *Stream) dropped() {
	for i := range s.out.List {
		switch e := &s.out.List[i]; e.Kind {
		case stream.Removed:
			s.drops.Add(&op.Cmd{Kind: op.Remove, Seq: e.Seq, Time: s.sh.now})
		case stream.Purged:
			s.drops.Add(&op.Cmd{Kind: op.Purge, Seq: s.lastSeq() + 1, Time: s.sh.now})
		}
	}
	s.flush()
	s.markDirty()
}

// count tells the account what changed.
func (s *Stream) count() {
	_, bytes, _, _ := s.size()
	cfg := s.m.Config()
	s.report.set(s.acct, cfg.Storage, cfg.Replicas, int64(bytes))
}

// nextTick returns when the front wants its next tick.
func (s *Stream) nextTick() (at int64, ok bool) {
	at, ok = s.f.NextTick(s.sh.now)
	return max(at, s.ticked+int64(tickEvery)), ok
}

func (s *Stream) rearm() {
	at, ok := s.nextTick()
	if !ok {
		s.sh.wheel.Cancel(&s.tickTimer)
		return
	}
	s.tickTimer.Owner, s.tickTimer.ID = s, timerTick
	s.sh.wheel.Arm(&s.tickTimer, at)
}

func (s *Stream) fire(id uint8) {
	if s.gone {
		return
	}
	switch id {
	case timerCheckpoint:
		s.checkpoint()
		return
	case timerSource:
		if s.src != nil {
			s.src.eng.Tick(s.sh.now)
			s.markDirty()
		}
		return
	}
	if s.broken == nil && s.failing == nil {
		s.ticked = s.sh.now
		s.f.Tick(s.sh.now, s.batch, &s.out)
		s.flush()
		s.markDirty()
	}
	s.rearm()
}

// woken goes on with what waited for the store.
func (s *Stream) woken() {
	s.store.Poll()
	if s.gone {
		return
	}
	s.m.Recheck(&s.out)
	s.dropped()
	for _, c := range s.consumers {
		c.eng.Wake(s.sh.now)
		c.markReady()
	}
	if s.src != nil {
		s.src.eng.Tick(s.sh.now)
	}
	gets := s.gets
	s.gets = nil
	for _, d := range gets {
		s.runDirect(d)
	}
	reads := s.reads
	s.reads = nil
	for _, fn := range reads {
		s.read(fn)
	}
}

// read runs fn until it returns true: at once, and each time the store has read something.
func (s *Stream) read(fn func() bool) {
	if !fn() {
		s.reads = append(s.reads, fn)
	}
}

func (s *Stream) direct(p *packet) {
	if s.gone || len(p.reply) == 0 {
		return
	}
	d := s.m.StartDirect(directTail(p.subject), p.header, p.payload, p.reply, s.h.o.Pending, &s.out)
	s.flush()
	if d != nil {
		s.runDirect(d)
	}
}

// directTail returns what follows the stream's name in the subject of a direct get.
func directTail(subj []byte) string {
	n := len(jsapi.DirectPrefix)
	if len(subj) <= n {
		return ""
	}
	for i := n; i < len(subj); i++ {
		if subj[i] == '.' {
			return string(subj[i+1:])
		}
	}
	return ""
}

func (s *Stream) runDirect(d *stream.DirectGet) {
	done, wait := d.Step(directStep, &s.out)
	s.flush()
	switch {
	case done:
	case wait:
		s.gets = append(s.gets, d)
	default:
		s.sh.post(func() { // others first
			if !s.gone {
				s.runDirect(d)
			}
		})
	}
}

// onFailure is told by the store that writes fail, and with nil that they work again.
func (s *Stream) onFailure(err error) {
	if errors.Is(err, errLate) || errors.Is(err, errEnded) {
		return
	}
	s.writeErr = err
	if err != nil {
		s.acct.setProblem(s.name, "writing", "writing fails: "+err.Error())
		s.h.env.Events.log(idWriteFailed, "stream '%s > %s': writing fails: %v", s.acct.name, s.name, err)
	} else {
		s.acct.setProblem(s.name, "writing", "")
		s.h.env.Events.log("", "stream '%s > %s': writing works again", s.acct.name, s.name)
	}
}

// onDamage is told by the store that something does not verify.
func (s *Stream) onDamage(d sstore.Damage) {
	s.h.findings.Add(1)
	s.acct.setProblem(s.name, "damage", "damaged: "+d.Reason)
	s.adviseDamage(d)
	s.h.env.Events.log(idDamaged, "stream '%s > %s': %s: messages %d to %d: %s", s.acct.name, s.name, d.File, d.From, d.To, d.Reason)
}

// body is what the metadata of a stream keep.
type streamBody struct {
	Group     journal.GroupID     `json:"group"`
	Created   time.Time           `json:"created"`
	Restoring bool                `json:"restoring,omitempty"` // from a backup, not complete
	Damaged   string              `json:"damaged,omitempty"`   // records are missing: read only
	Config    *jsapi.StreamConfig `json:"-"`
	Raw       json.RawMessage     `json:"config"` // Config as it is stored
}

func (s *Stream) meta(cfg *jsapi.StreamConfig) []byte {
	b, err := json.Marshal(&streamBody{Group: s.group, Created: s.created, Restoring: s.restoring, Damaged: s.damaged, Raw: marshal(cfg)})
	if err != nil {
		panic(err) // plain data
	}
	return b
}
