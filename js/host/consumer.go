package host

import (
	"encoding/json"
	"sync/atomic"
	"time"

	"ramjet/js/advisory"
	"ramjet/js/consumer"
	"ramjet/proto/base/wheel"
	"ramjet/proto/jsapi"
	"ramjet/store"
	"ramjet/store/journal"
)

// Consumer is a consumer on this server. What has no note belongs to the shard of its stream.
type Consumer struct {
	st      *Stream
	name    string
	group   journal.GroupID // 0: nothing of it is kept
	created time.Time
	legacy  bool                                 // created without a name
	conf    atomic.Pointer[jsapi.ConsumerConfig] // any goroutine
	seal    sealer
	subs    subscriptions // under the account's lock
	unwatch func()        // likewise
	files   files         // any goroutine but a shard's

	eng      *consumer.Consumer
	index    uint64 // of the last record given to the journal
	needSnap bool   // a record was refused: the next one holds the whole state
	confirms []held
	releases []span
	timer    wheel.Timer
	ckTimer  wheel.Timer
	ckBusy   bool
	ckWait   []func()
	marked   bool // the state file was written once; under the lock of files
	since    int64
	isReady  bool
	gone     bool
	dying    bool
	ending   bool // its end is in the journal: no checkpoint may release that

	journaled bool // the journal may hold its creation, so its end is decided there; set before it is served

	state  *consumer.State       // recovery: until it leads
	held   map[uint64]heldRecord // replay: records that came before their turn
	proven int                   // replay: findings of damage before its last record
}

type heldRecord struct {
	kind    journal.Kind
	payload []byte
}

func (c *Consumer) volatile() bool { return c.group == 0 }

// ephemeral reports whether clients take it for one that may vanish: its creation does not wait for the disk. They make another one if a power
// cut takes it away in these milliseconds, and they make them by the thousand.
func (c *Consumer) ephemeral() bool { return c.conf.Load().Durable == "" }

func (c *Consumer) markReady() {
	if !c.isReady {
		c.isReady = true
		c.st.sh.ready = append(c.st.sh.ready, c)
	}
}

// inbound takes a message of a client.
func (c *Consumer) inbound(kind itemKind, p *packet) {
	if c.gone {
		return
	}
	now := c.st.sh.now
	switch kind {
	case itemNext:
		c.eng.Next(now, p.reply, p.header, p.payload)
	case itemFlow:
		c.eng.FlowReply(now, p.subject, p.header)
	case itemReset:
		c.reset(p)
	case itemAck:
		var a jsapi.AckReply
		if jsapi.ParseAckReply(p.subject, &a) {
			c.eng.Ack(now, &a, p.reply, p.payload)
		}
	}
	c.markReady()
}

// finish delivers what can be delivered and journals what was decided.
func (c *Consumer) finish() {
	c.isReady = false
	if c.gone {
		return
	}
	c.eng.Pump(c.st.sh.now)
	c.release()
	cmds := c.eng.Commands()
	if !c.volatile() && (len(cmds) > 0 || c.needSnap) {
		c.record(cmds)
	}
	if len(c.confirms) > 0 {
		t := c.st.sh.current(c.st.h.ackPolicy())
		t.held = append(t.held, c.confirms...)
		clear(c.confirms)
		c.confirms = c.confirms[:0]
	}
	c.rearm()
}

// span is a range of sequences.
type span struct{ from, to uint64 }

// release tells the stream what is no longer needed.
func (c *Consumer) release() {
	for i := 0; i < len(c.releases); i++ { // a removal may release more
		c.st.released(c.releases[i].from, c.releases[i].to, c.eng.Filter())
	}
	c.releases = c.releases[:0]
}

// record journals a batch of commands. What the journal refuses is made up for by the whole state in the next record.
func (c *Consumer) record(cmds []byte) {
	r := journal.Record{Group: c.group, Kind: journal.KindConsumer, Index: c.index + 1, Payload: cmds, Essential: true}
	if c.needSnap {
		r.Kind, r.Payload = journal.KindSnapshot, c.eng.State().AppendSnapshot(nil)
	}
	n := int64(len(r.Payload))
	if _, err := c.st.sh.journalize(&c.seal, r); err != nil {
		c.needSnap = true
		clear(c.confirms) // not durable: the client asks again
		c.confirms = c.confirms[:0]
		return
	}
	c.needSnap = false
	c.index++
	c.since += n
	c.st.sh.current(store.SyncNone)
	c.scheduleCheckpoint()
}

func (c *Consumer) rearm() {
	at, ok := c.eng.Deadline()
	if !ok {
		c.st.sh.wheel.Cancel(&c.timer)
		return
	}
	c.timer.Owner, c.timer.ID = c, timerTick
	c.st.sh.wheel.Arm(&c.timer, at)
}

func (c *Consumer) fire(id uint8) {
	switch {
	case c.gone:
	case id == timerCheckpoint:
		c.checkpoint()
	default:
		c.eng.Tick(c.st.sh.now)
		c.markReady()
	}
}

// Deliver implements consumer.Sink.
func (c *Consumer) Deliver(d *consumer.Delivery) bool {
	return c.st.sh.bus.Deliver(c.st.acct.name, d.To, d.Subject, d.Reply, d.Header, d.Payload)
}

// Send implements consumer.Sink.
func (c *Consumer) Send(r *consumer.Reply) {
	if r.Confirm && !c.volatile() {
		c.confirms = append(c.confirms, held{c: c, to: append([]byte(nil), r.To...), hdr: append([]byte(nil), r.Header...)})
		return
	}
	c.st.sh.bus.Publish(c.st.acct.name, r.To, r.Reply, r.Header, nil)
}

// Interest implements consumer.Sink.
func (c *Consumer) Interest(subject []byte) bool {
	return c.st.sh.bus.Interest(c.st.acct.name, subject)
}

// Release implements consumer.Sink. The engine must not be called from here: the stream does the rest at the end of the turn.
func (c *Consumer) Release(from, to uint64) {
	if c.st.m.Config().Retention == jsapi.LimitsRetention {
		return
	}
	if n := len(c.releases); n > 0 && c.releases[n-1].to+1 == from {
		c.releases[n-1].to = to
	} else {
		c.releases = append(c.releases, span{from, to})
	}
	c.markReady()
}

// Inactive implements consumer.Sink.
func (c *Consumer) Inactive() {
	if !c.dying {
		c.dying = true
		c.st.h.env.Go(func() { c.st.h.expire(c) })
	}
}

// Advise implements consumer.Sink.
func (c *Consumer) Advise(a *consumer.Advice) {
	st, sh := c.st, c.st.sh
	kind := ""
	switch a.Kind {
	case consumer.AdviseMaxDeliver:
		kind = advisory.MaxDeliveries
	case consumer.AdviseNak:
		kind = advisory.MsgNaked
	case consumer.AdviseTerm:
		kind = advisory.MsgTerminated
	case consumer.AdvisePinned:
		kind = advisory.Pinned
	case consumer.AdviseUnpinned:
		kind = advisory.Unpinned
	case consumer.AdviseResumed:
		kind = advisory.ConsumerPaused
	case consumer.AdviseDamaged:
		st.h.env.Events.log(idDamaged, "consumer '%s > %s > %s': message %d can not be read and was skipped", st.acct.name, st.name, c.name, a.StreamSeq)
		return
	case consumer.AdviseAck:
	default:
		return
	}
	subject := advisory.Subject(kind, st.name, c.name)
	if a.Kind == consumer.AdviseAck {
		subject = advisory.AckSubject(st.name, c.name)
	}
	if !sh.bus.Interest(st.acct.name, []byte(subject)) {
		return
	}
	now, b := time.Unix(0, sh.now), sh.advise
	var m advisory.Message
	switch a.Kind {
	case consumer.AdviseMaxDeliver:
		m = b.MaxDeliver(st.name, c.name, a.StreamSeq, a.Deliveries, now)
	case consumer.AdviseNak, consumer.AdviseTerm:
		m = b.Msg(kind, st.name, c.name, a.ConsumerSeq, a.StreamSeq, a.Deliveries, string(a.Reason), now)
	case consumer.AdvisePinned, consumer.AdviseUnpinned:
		m = b.Pin(st.acct.name, st.name, c.name, a.Group, a.Pin, string(a.Reason), now)
	case consumer.AdviseResumed:
		m = b.Pause(st.name, c.name, time.Time{}, now)
	case consumer.AdviseAck:
		m = b.Ack(st.name, c.name, a.ConsumerSeq, a.StreamSeq, a.Deliveries, time.Duration(a.AckTime), now)
	}
	sh.bus.Publish(st.acct.name, []byte(m.Subject), nil, nil, m.Body)
}

// reset answers a request to move the consumer (reference/jetstream/consumer.md, section 7).
func (c *Consumer) reset(p *packet) {
	if len(p.reply) == 0 {
		return
	}
	st := c.st
	typ := jsapi.ConsumerReset.ResponseType()
	answer := func(err *jsapi.Error, v any) {
		st.sh.bus.Publish(st.acct.name, p.reply, nil, nil, jsapi.AppendResponse(nil, typ, err, v))
	}
	var req jsapi.ResetRequest
	if len(p.payload) > 0 { // unknown fields do not matter here
		if err := json.Unmarshal(p.payload, &req); err != nil {
			answer(jsapi.InvalidJSON.Wrap(err), &jsapi.ResetResponse{})
			return
		}
	}
	at, err := c.eng.Reset(st.sh.now, req.Seq)
	if err != nil {
		answer(jsapi.ConsumerInvalidReset.Wrap(err), &jsapi.ResetResponse{})
		return
	}
	i := c.info()
	i.Config = consumer.WithServerMetadata(i.Config, st.h.o.Version)
	answer(nil, &jsapi.ResetResponse{ConsumerInfo: i, ResetSeq: at}) // before what is delivered now
	if st.m.Config().Retention == jsapi.InterestRetention {
		st.sweep() // what was passed over; a work queue keeps it for another reset
	}
}

func (c *Consumer) info() *jsapi.ConsumerInfo {
	i := c.eng.Info(c.st.sh.now)
	if c.legacy {
		i.Config.Name = ""
	}
	return i
}

// consumerBody is what the metadata of a consumer keep.
type consumerBody struct {
	Group   journal.GroupID       `json:"group"`
	Created time.Time             `json:"created"`
	Legacy  bool                  `json:"legacy,omitempty"`
	Config  *jsapi.ConsumerConfig `json:"config"`
}

func (c *Consumer) meta(cfg *jsapi.ConsumerConfig) []byte {
	b, err := json.Marshal(&consumerBody{c.group, c.created, c.legacy, cfg})
	if err != nil {
		panic(err) // plain data
	}
	return b
}
