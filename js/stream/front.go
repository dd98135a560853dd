package stream

import (
	"cmp"

	"ramjet/js/op"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
	"ramjet/store"
)

// Origin says where an inbound message comes from.
type Origin uint8

// The origins.
const (
	Client    Origin = iota
	Source           // sourced from another stream: Nats-Stream-Source is allowed, expectations were removed
	Mirror           // of the mirrored stream: Seq and Time are given, no dedupe
	Scheduler        // produced by a schedule
)

// Inbound is a message to be stored. Its slices are borrowed until Publish returns.
type Inbound struct {
	Subject, Reply, Header, Payload []byte
	Origin                          Origin
	Seq                             uint64 // Mirror
	Time                            int64  // Mirror: unix nanoseconds
	Trace                           Trace  // Client; nil for almost every message
}

// Trace hears what a stream does with a message that is traced for its publisher. Owner: the shard.
type Trace interface {
	// TraceOnly reports that the message is only to be checked: nothing changes.
	TraceOnly() bool
	// Accepted notes that it passed the checks and is stored as subject, or nothing is, because nobody is interested.
	Accepted(subject []byte, noInterest bool)
	// Done ends the trace: the message is in force, or it is not, because of why.
	Done(why string)
}

// Quota is what the limits of server and account say about more bytes. Owner: the shard; nil: no limits.
type Quota interface {
	// ServerFull reports that the server has no room for n bytes, AccountFull the same of the account.
	ServerFull(s jsapi.Storage, n int) bool
	AccountFull(s jsapi.Storage, replicas, n int) bool
}

// BatchLimits bound batches; zero values are the defaults.
type BatchLimits struct {
	AtomicPerStream, FastPerStream, AtomicMsgs int
	AtomicBytes                                int   // memory of the open atomic batches of a stream
	Timeout                                    int64 // nanoseconds without message after which a batch is given up
	// Total, if not nil, counts open batches of the whole server: it is asked to add or take away one.
	Total func(fast bool, delta int) bool
}

// FrontConfig is what a Front needs besides its machine.
type FrontConfig struct {
	Domain    string
	Clustered bool // the order of checks of replicated streams
	Quota     Quota
	Batch     BatchLimits
}

// Front is the leader's side of a stream: it decides about each inbound message, taking into account what it has
// proposed and is not applied yet. Publish adds commands to a batch; the host makes the batch durable, applies its
// commands to the machine and then calls Applied for each, in order. Owner: the shard of the stream.
type Front struct {
	m      *Machine
	cfg    FrontConfig
	checks []checkFn

	seq      uint64 // last proposed
	time     int64  // of the last proposed message
	lastID   []byte
	idsSet   bool // lastID is valid: something was proposed since the front was made
	allBelow uint64
	inMsgs   uint64 // proposed, not applied; only what makes the stream larger
	inBytes  uint64
	pend     ring
	subjs    fifo // subjects of what is proposed
	ids      fifo // message ids of what is proposed
	waiters  []waiter
	counters map[string]*counter
	rnd      uint64

	atomic   map[string]*atomicBatch
	fast     map[string]*fastBatch
	batchMem int
	expiring bool

	xform *subject.Transform
	p     publish
	state store.State
	rec   store.Rec
	subj  []byte
	cmd   op.Cmd
}

// publish is the message that is being decided about.
type publish struct {
	in        *Inbound
	h         headers
	subject   []byte // after the transform
	header    []byte // as it will be stored
	payload   []byte
	now       int64
	ttl       int64
	flags     op.Flags
	size      uint64
	skip      bool   // nobody is interested: not stored
	replace   bool   // takes the place of the oldest message of its subject
	dup       uint64 // sequence of the original
	isDup     bool
	value     []byte // counter
	total     *counter
	clustered bool
	inBatch   bool // member of an atomic batch: expectations are checked by the batch
	b         *op.Batch
	out       *Effects
	fast      *fastBatch
	fastSeq   uint64
	atomic    *atomicBatch
	count     int  // messages of the atomic batch, on its last one
	held      bool // the trace ends when the message is applied
}

// only reports that the message is only to be checked.
func (p *publish) only() bool { return p.in.Trace != nil && p.in.Trace.TraceOnly() }

type checkFn func(f *Front, p *publish) *jsapi.Error

// pending is a proposed message.
type pending struct {
	seq     uint64
	size    uint64
	reply   []byte
	value   []byte
	batch   []byte
	count   int
	fast    *fastBatch
	fastSeq uint64
	counted bool // in inMsgs and inBytes
	id      bool
	counter bool
	trace   Trace
}

// ring is a queue of pending messages whose slots keep their buffers.
type ring struct {
	slots      []pending
	head, tail uint64
}

func (r *ring) push() *pending {
	if n := uint64(len(r.slots)); r.tail-r.head == n {
		slots := make([]pending, max(64, 2*n))
		for p := r.head; p < r.tail; p++ {
			slots[p&uint64(len(slots)-1)] = r.slots[p&(n-1)]
		}
		r.slots = slots
	}
	p := &r.slots[r.tail&uint64(len(r.slots)-1)]
	r.tail++
	return p
}

func (r *ring) first() *pending {
	if r.head == r.tail {
		return nil
	}
	return &r.slots[r.head&uint64(len(r.slots)-1)]
}

// waiter is a duplicate whose original is not durable yet.
type waiter struct {
	seq     uint64
	reply   []byte
	fast    *fastBatch
	fastSeq uint64
}

// NewFront returns the front of m, whose log is up to date.
func NewFront(m *Machine, cfg FrontConfig) *Front {
	f := &Front{m: m, cfg: cfg, checks: standaloneOrder}
	if cfg.Clustered {
		f.checks = clusteredOrder
	}
	f.cfg.Batch.defaults()
	f.resync()
	return f
}

// resync takes sequence and time from the machine: nothing is in flight.
func (f *Front) resync() {
	f.m.log.State(&f.state)
	f.seq, f.time = f.state.LastSeq, max(f.m.lastTime, f.state.LastTime)
	f.idsSet, f.allBelow, f.inMsgs, f.inBytes = false, 0, 0, 0
	f.subjs, f.ids, f.pend = fifo{}, fifo{}, ring{slots: f.pend.slots}
	f.counters, f.waiters, f.expiring = nil, nil, false
	for _, s := range f.m.sched.bySubj {
		s.fired = false
	}
	f.Reconfigured()
}

// Reconfigured is called after a new configuration is in force.
func (f *Front) Reconfigured() {
	f.xform = nil
	if t := f.m.cfg.SubjectTransform; t != nil {
		f.xform, _ = subject.NewTransform(t.Source, t.Destination)
	}
}

// LastSeq returns the last proposed sequence.
func (f *Front) LastSeq() uint64 { return f.seq }

// InFlight returns the number of proposed messages that are not applied.
func (f *Front) InFlight() int { return int(f.pend.tail - f.pend.head) }

// Publish decides about one message at now (unix nanoseconds): it adds commands to b, or an answer to out. The error is
// why it was refused, for senders that have no reply subject.
func (f *Front) Publish(in *Inbound, now int64, b *op.Batch, out *Effects) *jsapi.Error {
	p := &f.p
	*p = publish{in: in, subject: in.Subject, header: in.Header, payload: in.Payload, now: now, b: b, out: out, clustered: f.cfg.Clustered}
	p.h.parse(in.Header)
	var err *jsapi.Error
	switch {
	case in.Origin == Client && p.fastReply() != nil:
		err = f.publishFast(p)
	case in.Origin == Client && p.h.batchID != nil:
		err = f.publishAtomic(p)
	default:
		if err = f.decide(p); err != nil {
			f.refuse(in.Reply, err, out)
		} else if p.isDup || !p.only() {
			f.accept(p)
		}
	}
	if in.Trace != nil && !p.held {
		endTrace(in.Trace, p.isDup, err)
	}
	return err
}

// endTrace ends the trace of a message that is not stored, or was only to be checked.
func endTrace(t Trace, duplicate bool, err *jsapi.Error) {
	switch {
	case err != nil:
		t.Done(err.Description)
	case duplicate:
		t.Done("msgid is duplicate")
	default:
		t.Done("")
	}
}

// SkipTo makes seq the last sequence without storing anything, if it is above it: the origin of a mirror has nothing up
// to there.
func (f *Front) SkipTo(seq uint64, b *op.Batch) {
	if seq <= f.seq {
		return
	}
	f.seq = seq
	f.cmd = op.Cmd{Kind: op.SkipTo, Seq: seq}
	b.Add(&f.cmd)
}

// PurgeAhead prepares for c, a purge of everything below a sequence that the stream has not reached: the next message gets it.
func (f *Front) PurgeAhead(c *op.Cmd, b *op.Batch) {
	if all := len(c.Subject) == 0 || string(c.Subject) == ">"; all && c.Seq > 0 && c.Seq <= maxAhead {
		f.SkipTo(c.Seq-1, b)
	}
}

// maxAhead bounds where a purge can move a stream to: the sequences that remain have to do.
const maxAhead = 1 << 62

func (f *Front) refuse(reply []byte, err *jsapi.Error, out *Effects) {
	if len(reply) > 0 && !f.m.cfg.NoAck {
		out.refuse(reply, err, f.m.cfg.Name)
	}
}

// sequential reports that the order of checks of one server counts. Batches have that of replicated streams everywhere.
func (p *publish) sequential() bool { return !p.clustered && !p.inBatch && p.fast == nil }

// decide runs the checks in order.
func (f *Front) decide(p *publish) *jsapi.Error {
	f.prepare(p)
	checks := f.checks
	if !p.sequential() {
		checks = clusteredOrder
	}
	for _, c := range checks {
		if err := c(f, p); err != nil {
			return err
		}
		if p.isDup {
			return nil
		}
	}
	if p.in.Trace != nil {
		p.in.Trace.Accepted(p.subject, p.skip)
	}
	return nil
}

// prepare applies the subject transform and cleans the header.
func (f *Front) prepare(p *publish) {
	if f.xform != nil && p.in.Origin != Mirror && p.in.Origin != Scheduler && f.xform.Match(subject.View(p.subject)) {
		f.rnd++
		f.subj = f.xform.Apply(f.subj[:0], subject.View(p.subject), f.rnd)
		p.subject = f.subj
	}
	if p.h.hasStatus {
		p.header = stripStatus(nil, p.header)
	}
	if p.h.requestInfo != nil {
		p.header = header.AppendDelete(nil, p.header, jsapi.HdrRequestInfo)
	}
	if len(p.header) == 0 {
		p.header = nil
	}
	p.size = MsgSize(f.m.cfg.Storage, len(p.subject), len(p.header), len(p.payload))
}

// MsgSize returns the bytes that a message counts for in the limits of a stream.
func MsgSize(s jsapi.Storage, subj, hdr, payload int) uint64 {
	if s == jsapi.MemoryStorage {
		return uint64(subj + hdr + payload + 16)
	}
	n := 22 + subj + payload + 8
	if hdr > 0 {
		n += 4 + hdr
	}
	return uint64(n)
}

// accept proposes a message that passed all checks.
func (f *Front) accept(p *publish) {
	if p.isDup {
		f.answerDup(p)
		return
	}
	seq, at := f.seq+1, max(p.now, f.time)
	if p.in.Origin == Mirror {
		seq, at = p.in.Seq, p.in.Time
		if seq <= f.seq {
			return // seen before
		}
	}
	f.seq, f.time = seq, at
	if p.flags&op.FlagRollupAll != 0 {
		f.allBelow = seq
	}
	c := &f.cmd
	*c = op.Cmd{Kind: op.Msg, Flags: p.flags, Seq: seq, Time: at, TTL: p.ttl, Subject: p.subject, Header: p.header, Payload: p.payload, MsgID: p.h.msgID}
	if p.in.Origin == Source || p.in.Origin == Mirror {
		c.Flags |= op.FlagSourced
	}
	if len(c.MsgID) == 0 {
		c.MsgID = nil
	}
	if p.skip {
		c.Kind, c.Header, c.Payload, c.TTL = op.Skip, nil, nil, 0
	}
	p.b.Add(c)

	q := f.pend.push()
	*q = pending{seq: seq, size: p.size, reply: q.reply[:0], value: p.value, count: p.count, fast: p.fast, fastSeq: p.fastSeq,
		id: c.MsgID != nil, counted: !p.skip && !p.replace, counter: p.total != nil, trace: p.in.Trace}
	p.held = q.trace != nil
	if !f.m.cfg.NoAck {
		q.reply = append(q.reply, p.in.Reply...)
	}
	if p.count > 0 {
		q.batch = []byte(p.atomic.id)
	}
	if q.counted {
		f.inMsgs++
		f.inBytes += p.size
	}
	f.subjs.push(p.subject, seq, at)
	if q.id {
		f.ids.push(c.MsgID, seq, at)
	}
	f.lastID, f.idsSet = append(f.lastID[:0], c.MsgID...), true
	if p.total != nil {
		if f.counters == nil {
			f.counters = make(map[string]*counter)
		}
		f.counters[string(p.subject)] = p.total
	}
}

// answerDup answers a duplicate, after its original is durable.
func (f *Front) answerDup(p *publish) {
	if first := f.pend.first(); first != nil && p.dup >= first.seq {
		f.waiters = append(f.waiters, waiter{seq: p.dup, reply: append([]byte(nil), p.in.Reply...), fast: p.fast, fastSeq: p.fastSeq})
		return
	}
	if p.fast != nil {
		f.fastDone(p.fast, p.in.Reply, p.fastSeq, p.out)
		return
	}
	if len(p.in.Reply) > 0 && !f.m.cfg.NoAck {
		f.ack(p.in.Reply, &jsapi.PubAck{Seq: p.dup, Duplicate: true}, p.out)
	}
}

func (f *Front) ack(reply []byte, a *jsapi.PubAck, out *Effects) {
	a.Stream, a.Domain = f.m.cfg.Name, f.cfg.Domain
	out.ack(reply, a)
}

// Applied settles what the machine applied: it answers the publisher. Call it after Machine.Apply for each command that
// this front proposed.
func (f *Front) Applied(c *op.Cmd, out *Effects) {
	switch c.Kind {
	case op.Msg, op.Skip:
	case op.Expire:
		f.expiring = false
		return
	case op.Config:
		f.Reconfigured()
		f.dropDisabled(out)
		return
	default:
		return
	}
	q := f.pend.first()
	if q == nil || q.seq != c.Seq {
		return // not ours: proposed before this front was made
	}
	if q.counted {
		f.inMsgs--
		f.inBytes -= q.size
	}
	f.subjs.pop()
	if q.id {
		f.ids.pop()
	}
	if q.counter && f.subjs.find(c.Subject) == nil {
		delete(f.counters, string(c.Subject))
	}
	f.pend.head++
	if q.trace != nil {
		q.trace.Done("")
	}
	switch {
	case q.fast != nil:
		q.fast.stream = q.seq
		f.fastDone(q.fast, q.reply, q.fastSeq, out)
	case len(q.reply) > 0:
		a := jsapi.PubAck{Seq: q.seq, Value: q.value}
		if q.count > 0 {
			a.BatchID, a.BatchSize, a.Value = q.batch, q.count, nil
		}
		f.ack(q.reply, &a, out)
	}
	if len(f.waiters) > 0 {
		f.settleWaiters(c.Seq, out)
	}
	q.value, q.batch, q.fast, q.trace = nil, nil, nil, nil
}

// settleWaiters answers the duplicates of what is durable up to seq.
func (f *Front) settleWaiters(seq uint64, out *Effects) {
	keep := f.waiters[:0]
	for _, w := range f.waiters {
		switch {
		case w.seq > seq:
			keep = append(keep, w)
		case w.fast != nil:
			f.fastDone(w.fast, w.reply, w.fastSeq, out)
		case len(w.reply) > 0 && !f.m.cfg.NoAck:
			f.ack(w.reply, &jsapi.PubAck{Seq: w.seq, Duplicate: true}, out)
		}
	}
	clear(f.waiters[len(keep):])
	f.waiters = keep
}

// Abort is called when what was proposed will not be applied by this leader: every publisher that still waits gets err,
// or no answer if it is nil. The machine must have applied everything that will be applied.
func (f *Front) Abort(err *jsapi.Error, out *Effects) {
	for q := f.pend.first(); q != nil; q = f.pend.first() {
		if err != nil && len(q.reply) > 0 && q.fast == nil {
			out.refuse(q.reply, err, f.m.cfg.Name)
		}
		if q.trace != nil {
			endTrace(q.trace, false, cmp.Or(err, jsapi.StreamNotFound.Err()))
			q.trace = nil
		}
		f.pend.head++
	}
	for _, w := range f.waiters {
		if err != nil && len(w.reply) > 0 && w.fast == nil {
			out.refuse(w.reply, err, f.m.cfg.Name)
		}
	}
	f.closeBatches(out)
	f.resync()
}

// lastOf returns the last sequence of a literal subject, proposed ones included; inFlight tells that it is one.
func (f *Front) lastOf(subj []byte) (seq uint64, inFlight bool) {
	if s := f.subjs.find(subj); s != nil {
		return s.seq, true
	}
	seq, ok := f.m.log.Last(subj)
	if !ok || seq < f.allBelow {
		return 0, false
	}
	return seq, false
}

// lastMatching is lastOf for a pattern.
func (f *Front) lastMatching(pattern []byte) (seq uint64, inFlight bool) {
	if !subject.HasWildcard(subject.View(pattern)) {
		return f.lastOf(pattern)
	}
	for p := f.subjs.tail; p > f.subjs.head; p-- {
		if s := f.subjs.at(p - 1); subject.MatchBytes(f.subjs.key(s), subject.View(pattern)) {
			return s.seq, true
		}
	}
	if !subject.Valid(subject.View(pattern)) {
		return 0, false
	}
	filter := store.Filter{Patterns: []string{string(pattern)}}
	f.m.log.Subjects(&filter, func(_ []byte, _, last uint64) bool {
		if last >= f.allBelow {
			seq = max(seq, last)
		}
		return true
	})
	return seq, false
}
