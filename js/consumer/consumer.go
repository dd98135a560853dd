package consumer

import (
	"math"
	"strconv"
	"strings"
	"time"

	"ramjet/proto/base/rng"
	"ramjet/proto/jsapi"
	"ramjet/store"
)

// Env is what a consumer lives in.
type Env struct {
	Stream, Name string
	Created      time.Time
	Domain       string // version 2 acks only
	AccountHash  string // not empty: version 2 acks (8 characters)
	Log          Log
	Sink         Sink
	Rand         *rng.Source // owned by the consumer from then on
	Burst        int         // bytes the rate limit lets through at once: the largest message
	Volatile     bool        // memory storage without replicas: no commands are collected
}

// Consumer is the leader of a consumer: the State and everything that is decided for it.
type Consumer struct {
	env    Env
	cfg    jsapi.ConsumerConfig // private copy
	st     *State
	enc    encoder
	filter store.Filter
	ids    *rng.NUID

	prefix []byte // of ack replies
	sample int    // percent
	scan   uint64 // nothing to deliver below; at or above State.next

	count   uint64 // num_pending, if counted
	counted bool

	sched   schedule
	wait    waiting
	pin     pinned
	push    pushState
	flow    flowControl
	bucket  bucket
	replay  replay
	blocked bool  // the log reads a cold block: Wake
	paused  int64 // until; 0 = not paused
	active  int64 // last activity, for the inactive threshold
	idle    int64 // deadline of inactivity; never = not armed
	jitter  int64

	rec     store.Rec // the message at hand
	scratch []byte    // header of the message at hand, if it is not the stored one
	pinHdr  []byte    // the same with a pin
	reply   []byte
	hdr     []byte // of statuses
	req     jsapi.NextRequest
	msg     Delivery
	out     Reply
	advice  Advice
}

// New returns a consumer that leads with the given state (NewState for a new one, then Start). now is the time of
// becoming leader.
func New(env Env, cfg *jsapi.ConsumerConfig, st *State, now int64) *Consumer {
	c := &Consumer{env: env, st: st, ids: rng.NewNUID(env.Rand.Fork())}
	c.enc.off = env.Volatile
	c.prefix = jsapi.AppendAckPrefix(nil, env.Domain, env.AccountHash, env.Stream, env.Name)
	c.sched = newSchedule()
	c.wait = newWaiting()
	c.idle = never
	c.jitter = int64(env.Rand.Uint64n(uint64(time.Second)))
	c.setConfig(cfg)
	c.flow.init(cfg.FlowControl)
	if cfg.PauseUntil != nil {
		if t := cfg.PauseUntil.UnixNano(); t > now {
			c.paused = t
		}
	}
	c.scan = st.next
	c.bucket.init(cfg.RateLimit, env.Burst, now)
	c.pullBack()
	c.reconcile()
	for id := st.pending.head; id != nilID; id = st.pending.at(id).next {
		c.arm(id)
	}
	c.touch(now)
	return c
}

// Start selects where a new consumer begins (reference/jetstream/consumer.md, section 2).
func (c *Consumer) Start(now int64) {
	var ls store.State
	c.env.Log.State(&ls)
	next := ls.LastSeq + 1
	var list []uint64
	switch c.cfg.DeliverPolicy {
	case jsapi.DeliverAll:
		next = ls.FirstSeq
	case jsapi.DeliverLast:
		var r store.Rec
		if a := c.env.Log.Prev(&c.filter, ls.LastSeq, &r); a == store.Hit {
			next = r.Seq
		} else if seq, ok := c.lastBySubject(); ok {
			next = seq
		} else if !c.filter.All() {
			next = ls.FirstSeq
		}
	case jsapi.DeliverByStartSequence:
		next = max(c.cfg.OptStartSeq, ls.FirstSeq)
	case jsapi.DeliverByStartTime:
		next = max(c.env.Log.SeqAt(c.cfg.OptStartTime.UnixNano()), ls.FirstSeq)
		switch c.env.Log.Next(&c.filter, next, &c.rec) {
		case store.Hit:
			next = c.rec.Seq
		case store.None:
			next = ls.LastSeq + 1
		}
	case jsapi.DeliverLastPerSubject:
		list = c.lastPerSubject()
	}
	next = max(next, 1)
	c.st.start(next, list)
	c.enc.start(next, list)
	c.scan = next
	c.counted = false
	if c.cfg.ReplayPolicy == jsapi.ReplayOriginal {
		c.replay.until = ls.LastSeq
	}
	c.touch(now)
}

// Commands returns what was decided since the last call, as one batch for State.Apply, valid until the next method call;
// nil if nothing was.
func (c *Consumer) Commands() []byte { return c.enc.take() }

// State returns the state, for snapshots; it must not be changed.
func (c *Consumer) State() *State { return c.st }

// Config returns the configuration in force; it must not be changed.
func (c *Consumer) Config() *jsapi.ConsumerConfig { return &c.cfg }

func (c *Consumer) setConfig(cfg *jsapi.ConsumerConfig) {
	c.cfg = *cfg
	c.filter = store.Filter{Patterns: FilterSubjects(cfg)}
	c.sample = samplePercent(cfg.SampleFrequency)
}

func samplePercent(s string) int {
	n, err := strconv.Atoi(strings.TrimSuffix(s, "%"))
	if err != nil {
		return 0
	}
	return min(max(n, 0), 100)
}

// Update takes over a configuration that ValidateUpdate accepted.
func (c *Consumer) Update(now int64, cfg *jsapi.ConsumerConfig) {
	old := c.cfg
	c.setConfig(cfg)
	c.cfg.PauseUntil = old.PauseUntil
	if !sameFilters(&old, cfg) {
		c.scan, c.counted = c.st.next, false
	}
	if old.AckWait != cfg.AckWait || !equalWaits(old.BackOff, cfg.BackOff) {
		for id := c.st.pending.head; id != nilID; id = c.st.pending.at(id).next {
			e := c.st.pending.at(id)
			if e.where != placeQueue && !e.delayed {
				c.st.progress(id, e.ts, c.due(e.ts, e.deliveries))
				c.enc.op(cmdProgress, e.sseq, uint64(e.ts), waitOf(e.ts, e.due))
				c.arm(id)
			}
		}
	}
	if old.RateLimit != cfg.RateLimit {
		c.bucket.init(cfg.RateLimit, c.env.Burst, now)
	}
	if old.DeliverSubject != cfg.DeliverSubject && cfg.DeliverSubject != "" {
		c.rebind(now)
	}
	if cfg.PriorityPolicy != jsapi.PriorityPinned {
		c.pin.clear()
	}
	c.touch(now)
	c.Pump(now)
}

// rebind redelivers all pending to a new deliver subject.
func (c *Consumer) rebind(now int64) {
	c.push.interest = false
	c.flow.reset()
	for id := c.st.pending.head; id != nilID; id = c.st.pending.at(id).next {
		e := c.st.pending.at(id)
		if e.where != placeQueue && e.due != never {
			c.st.retry(id, 0)
			c.enc.op(cmdRetry, e.sseq, 0)
			c.sched.enqueue(&c.st.pending, id)
		}
	}
	c.push.lost = now
}

// Published tells of a new message; true if it passes the filter, so that Pump has something to do. Call Pump once
// after a batch of them.
func (c *Consumer) Published(seq uint64, subject []byte) bool {
	if !c.Matches(subject) {
		return false
	}
	if c.counted && seq >= c.st.next {
		c.count++
	}
	return true
}

// Wake tells that a read the log had to wait for is done.
func (c *Consumer) Wake(now int64) {
	c.blocked = false
	c.Pump(now)
}

// Deadline returns when Tick has to be called (unix nanoseconds); ok is false if time alone changes nothing.
func (c *Consumer) Deadline() (at int64, ok bool) {
	at = c.sched.deadline(&c.st.pending)
	if t, _, ok := c.wait.expiry.min(); ok {
		at = min(at, t)
	}
	if t, _, ok := c.wait.beats.min(); ok {
		at = min(at, t)
	}
	if c.paused != 0 {
		at = min(at, c.paused)
	}
	if c.pin.id != "" {
		at = min(at, c.pin.due)
	}
	at = min(at, c.push.deadline(c), c.idle)
	if c.replay.due != 0 {
		at = min(at, c.replay.due)
	}
	if c.bucket.due != 0 {
		at = min(at, c.bucket.due)
	}
	return at, at != math.MaxInt64
}

// Tick does what is due at now. It may be called at any time.
func (c *Consumer) Tick(now int64) {
	if c.paused != 0 && now >= c.paused {
		c.paused = 0
		c.advise(Advice{Kind: AdviseResumed})
	}
	if c.pin.id != "" && now >= c.pin.due {
		c.unpin("timeout")
	}
	if c.replay.due != 0 && now >= c.replay.due {
		c.replay.due = 0
	}
	if c.bucket.due != 0 && now >= c.bucket.due {
		c.bucket.due = 0
	}
	c.expireDeliveries(now)
	c.Pump(now)
	c.expireRequests(now)
	c.beatRequests(now)
	c.beatPush(now)
	c.checkIdle(now)
}

// SetPause pauses until a time (unix nanoseconds); 0 or a past time resumes. Deliveries stop, everything else goes on. The
// configuration shows the time also when it is over.
func (c *Consumer) SetPause(now, until int64) {
	c.paused = 0
	c.cfg.PauseUntil = nil
	if until != 0 {
		t := time.Unix(0, until).UTC()
		c.cfg.PauseUntil = &t
	}
	if until > now {
		c.paused = until
	}
	c.Pump(now)
}

// Paused returns until when the consumer is paused, 0 if it is not.
func (c *Consumer) Paused(now int64) int64 {
	if c.paused > now {
		return c.paused
	}
	return 0
}

// advise and emit pass effects from memory of the consumer: what goes through an interface would be allocated.
func (c *Consumer) advise(a Advice) {
	c.advice = a
	c.env.Sink.Advise(&c.advice)
}

func (c *Consumer) emit(r Reply) {
	c.out = r
	c.env.Sink.Send(&c.out)
}
