package source

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"ramjet/proto/header"
	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
)

// Levels of the request: what an origin refuses is asked again in an older form.
const (
	levelIdentity = 5 // tells whether the stream was created anew
	levelSourcing = 4 // the origin names the consumer, and may keep it
	levelOld      = 0
)

// setup asks for a consumer.
func (e *Engine) setup(o *origin, now int64) {
	e.stop(o)
	o.asked, o.phase = now, asking
	o.consumer, o.deliverTo = "", ""
	if o.err != nil && o.err.ErrCode == jsapi.SourceConsumerFlowControlStalled {
		o.err = nil
	}
	o.level = levelIdentity
	if o.mirror {
		o.level = levelSourcing
	}
	e.request(o, now)
}

// request sends the request of o in the form of o.level, with a reply subject of its own: an answer to an older request
// must not be taken for this one's.
func (e *Engine) request(o *origin, now int64) {
	e.unlisten(&o.reply)
	inbox := e.inbox(o)
	o.reply = e.listen(o, inbox)
	var hdr []byte
	if o.level != levelOld {
		hdr = header.AppendAdd(nil, nil, jsapi.HdrRequiredAPILevel, strconv.AppendInt(nil, int64(o.level), 10))
	}
	if o.level == levelIdentity {
		hdr = header.AppendAdd(nil, hdr, jsapi.HdrStreamIdentity, []byte(o.identity))
	}
	if o.src.Consumer != nil {
		if o.mirror {
			hdr = nil
		}
		e.arm(o, now+resetTimeout)
		e.sink.Publish(o.api(jsapi.BuildAPI(jsapi.ConsumerReset, o.src.Name, o.base)), inbox, hdr, nil)
		return
	}
	req := jsapi.CreateConsumerRequest{Stream: o.src.Name, Config: e.consumerConfig(o)}
	subj := jsapi.BuildAPI(jsapi.ConsumerCreateAPI, o.src.Name)
	if f := req.Config.FilterSubject; f != "" {
		subj = jsapi.BuildAPI(jsapi.ConsumerCreateAPI, o.src.Name, req.Config.Name, f)
	}
	body, err := json.Marshal(&req)
	if err != nil {
		e.failed(o, now, setupError(o, err.Error()))
		return
	}
	e.arm(o, now+createTimeout)
	e.sink.Publish(o.api(subj), inbox, hdr, body)
}

// consumerConfig is the consumer that o wants at its origin.
func (e *Engine) consumerConfig(o *origin) jsapi.ConsumerConfig {
	c := jsapi.ConsumerConfig{
		Name:              o.base,
		AckPolicy:         jsapi.AckNone,
		AckWait:           22 * time.Hour,
		MaxDeliver:        1,
		Heartbeat:         time.Second,
		FlowControl:       true,
		Direct:            true,
		Sourcing:          o.level != levelOld,
		InactiveThreshold: time.Duration(healthInterval),
	}
	if o.level == levelOld {
		c.Name += "_" + e.token()
	}
	prefix, kind := "_nats.src.", "S."
	if o.mirror {
		prefix, kind = "_nats.mirror.", "M."
	}
	c.Metadata = map[string]string{prefix + "stream": e.m.Config().Name, prefix + "acc": e.env.Account}
	if e.env.Domain != "" {
		c.Metadata[prefix+"domain"] = e.env.Domain
	}
	c.DeliverSubject = "$JS." + kind + e.token()
	if x := o.src.External; x != nil && x.DeliverPrefix != "" {
		c.DeliverSubject = strings.ReplaceAll(x.DeliverPrefix+"."+kind+e.token(), "..", ".")
	}
	if f := o.filters(); len(f) == 1 {
		c.FilterSubject = f[0]
	} else {
		c.FilterSubjects = f
	}
	e.start(o, &c)
	return c
}

// start sets where the consumer of o begins.
func (e *Engine) start(o *origin, c *jsapi.ConsumerConfig) {
	from := func(seq uint64) { c.DeliverPolicy, c.OptStartSeq = jsapi.DeliverByStartSequence, seq }
	after := func(t time.Time) { c.DeliverPolicy, c.OptStartTime = jsapi.DeliverByStartTime, &t }
	e.m.Log().State(&e.state)
	first := o.seq == 0
	if o.mirror {
		first = first && e.state.FirstSeq == 0
	}
	last := time.Unix(0, e.state.LastTime).UTC()
	switch t := o.src.OptStartTime; {
	case !first:
		from(o.seq + 1)
	case o.src.OptStartSeq > 0:
		from(o.src.OptStartSeq)
	case t != nil && !o.mirror && !o.anew && e.state.LastTime != 0 && t.Before(last):
		after(last)
	case t != nil:
		after(*t)
	case !o.mirror && e.state.FirstSeq > 1 && e.state.LastTime != 0 && !o.anew:
		after(last) // what came from here before is gone
	}
}

// inbox returns a new reply subject.
func (e *Engine) inbox(o *origin) string {
	if !e.env.ReplyV2 {
		return "$JSC.R." + e.token()
	}
	domain := "_"
	if x := o.src.External; x != nil {
		if rest, ok := strings.CutPrefix(x.APIPrefix, "$JS."); ok {
			if d, ok := strings.CutSuffix(rest, ".API"); ok && d != "" {
				domain = d
			}
		}
	}
	return strings.Join([]string{"$JSC.R", domain, jsapi.Hash(e.env.Account), o.src.Name, o.base, e.token()}, ".")
}

// api returns a subject of the API as it is reached from here.
func (o *origin) api(subj string) string {
	if x := o.src.External; x != nil && x.APIPrefix != "" {
		subj = strings.ReplaceAll(x.APIPrefix+"."+strings.TrimPrefix(subj, jsapi.APIPrefix), "..", ".")
	}
	return subj
}

// answer is the answer to a consumer create or reset.
type answer struct {
	Error *jsapi.Error `json:"error"`
	jsapi.ConsumerInfo
}

// answered handles the answer to the request of o.
func (e *Engine) answered(o *origin, m *Msg, now int64) {
	if code, _, ok := header.Status(m.Header); ok && code == 503 && len(m.Payload) == 0 {
		e.failed(o, now, setupError(o, "no responders available for request"))
		return
	}
	var a answer
	if err := json.Unmarshal(m.Payload, &a); err != nil {
		if o.mirror {
			o.err = jsapi.InvalidJSON.Wrap(err)
		}
		return // another one may come; the timeout decides
	}
	e.unlisten(&o.reply)
	switch {
	case a.Error != nil:
		e.refusedSetup(o, a.Error, now)
	case a.Config == nil || a.Name == "":
		e.failed(o, now, setupError(o, "invalid consumer create response"))
	case o.src.Consumer != nil && a.Config.AckPolicy != jsapi.AckFlowControl:
		code := jsapi.SourceConsumerRequiresAckFC
		if o.mirror {
			code = jsapi.MirrorConsumerRequiresAckFC
		}
		e.failed(o, now, code.Err())
	case o.src.Consumer == nil && !subject.ValidLiteral(a.Config.DeliverSubject):
		e.failed(o, now, setupError(o, "invalid consumer create response"))
	default:
		e.ready(o, &a, header.Get(m.Header, jsapi.HdrStreamIdentity), now)
	}
}

// refusedSetup tries an older form of the request, or gives up for now.
func (e *Engine) refusedSetup(o *origin, err *jsapi.Error, now int64) {
	switch err.ErrCode {
	case jsapi.ConsumerStreamIdentityMismatch:
		o.seq, o.dseq, o.identity, o.recreated, o.err = 0, 0, "", true, nil
		o.anew = true
		e.schedule(o, now)
		return
	case jsapi.RequiredApiLevel, jsapi.InvalidJSON:
		switch {
		case o.level == levelIdentity:
			o.level = levelSourcing
		case o.level == levelSourcing && o.src.Consumer == nil:
			o.level = levelOld
		default:
			e.failed(o, now, err)
			return
		}
		e.request(o, now)
		return
	}
	e.failed(o, now, err)
}

// ready begins to listen to the consumer that was made.
func (e *Engine) ready(o *origin, a *answer, identity []byte, now int64) {
	if o.refused == 0 {
		o.err = nil
	}
	o.fails = 0
	if !o.mirror {
		if o.recreated || len(identity) > 0 && o.identity != "" && o.identity != string(identity) {
			e.sink.Warn("source stream '" + o.src.Name + "' of stream '" + e.m.Config().Name + "' was recreated: sourcing begins anew")
			o.seq, o.anew = 0, true
		}
		o.identity, o.recreated = string(identity), false
	}
	if a.Delivered.Stream > o.seq {
		if o.mirror {
			e.sink.SkipTo(a.Delivered.Stream)
		}
		o.seq = a.Delivered.Stream
	}
	o.consumer, o.deliverTo, o.dseq, o.stall = a.Name, a.Config.DeliverSubject, 0, stall{}
	if o.src.Consumer != nil {
		o.deliverTo = o.src.Consumer.DeliverSubject
	}
	o.last, o.phase = now, running
	e.arm(o, now+healthInterval+1)
	if o.mirror && a.NumPending < caughtUpBelow {
		e.setCaughtUp(true)
	}
	o.feed = e.listen(o, o.deliverTo)
}

// failed notes why the request of o failed and makes the next one due.
func (e *Engine) failed(o *origin, now int64, err *jsapi.Error) {
	if o.err == nil || *o.err != *err {
		e.sink.Warn(o.kind() + " '" + o.src.Name + "' of stream '" + e.m.Config().Name + "': " + err.Error())
	}
	o.err = err
	o.fails++
	e.retry(o, now)
}

// timedOut handles a request that was not answered. A consumer that exists already may show that it lives by what it
// sends: then the backoff ends.
func (e *Engine) timedOut(o *origin, now int64) {
	o.fails++
	e.retry(o, now)
	if c := o.src.Consumer; c != nil {
		o.feed, o.probe = e.listen(o, c.DeliverSubject), true
	}
}

// probed handles the sign of life of a consumer that did not answer.
func (e *Engine) probed(o *origin, now int64) {
	o.fails = 0
	e.retry(o, now)
}

// deleteConsumer asks, once, to delete the consumer of o, unless it was made by somebody else or an origin in used needs
// it. Ephemeral ones end by themselves.
func (e *Engine) deleteConsumer(o *origin, used map[string]bool) {
	name := o.consumer
	if name == "" {
		name = o.base
	}
	if o.src.Consumer != nil || name == o.base && used[o.at(name)] {
		return
	}
	e.sink.Publish(o.api(jsapi.BuildAPI(jsapi.ConsumerDelete, o.src.Name, name)), e.inbox(o), nil, nil)
	o.consumer = ""
}

func (o *origin) kind() string {
	if o.mirror {
		return "mirror"
	}
	return "source"
}

func setupError(o *origin, text string) *jsapi.Error {
	if o.mirror {
		return jsapi.MirrorConsumerSetupFailed.With("err", text)
	}
	return jsapi.SourceConsumerSetupFailed.With("err", text)
}
