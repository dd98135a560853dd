package mqtt

import (
	"bytes"
	"fmt"
	"strings"

	"ramjet/engine"
	"ramjet/engine/interest"
	"ramjet/engine/link"
	"ramjet/proto/jsapi"
	"ramjet/proto/mqtt"
)

// filter is one topic filter of a SUBSCRIBE or UNSUBSCRIBE, or of a session.
type filter struct {
	subject string // "" if the filter cannot be a subject
	code    byte   // QoS, then the return code
}

// parentSID marks the subscription one level up that `x/#` has besides its own.
const parentSID = " fwc"

// part is one subscription of a filter.
type part struct{ subject, sid string }

// parts lists the subscriptions of a filter: itself, and for `x/#` also `x`.
func parts(subject string) []part {
	list := []part{{subject, subject}}
	if up, ok := mqtt.ParentLevel(subject); ok {
		list = append(list, part{up, up + parentSID})
	}
	return list
}

// onSubscribe handles SUBSCRIBE and UNSUBSCRIBE; it answers when everything is done.
func (c *Client) onSubscribe(p *mqtt.Packet) error {
	if !c.m.relock(c) {
		return c.fail(fmt.Errorf("another session is in use with client ID %q", c.id))
	}
	c.holds = true
	var filters []filter
	o := c.svc.mqttOptions()
	p.Filters(func(topic []byte, qos byte) {
		subj, err := mqtt.AppendSubject(nil, topic, true)
		if err != nil {
			c.Logf(engine.Error, "RJ-Q013", "invalid topic %q: %v", topic, err)
			subj = nil
		}
		if qos == 2 && o.DowngradeQoS2 {
			c.Logf(engine.Warn, "RJ-Q014", "Downgrading subscription QoS2 to QoS1 for %q, as configured", subj)
			qos = 1
		}
		filters = append(filters, filter{string(subj), qos})
	})
	if p.Type == mqtt.UNSUBSCRIBE {
		c.unsubscribe(p.ID, filters)
		return link.ErrHold
	}
	op := &subscribing{c: c, filters: filters, asked: true, gate: &gate{}}
	id := p.ID
	op.done = func() { c.subscribed(id, op) }
	op.run()
	return link.ErrHold
}

// subscribing makes the subscriptions of a list of filters, one after the other: with a QoS each needs a
// consumer. Loop; it goes on when the answers come.
type subscribing struct {
	c       *Client
	filters []filter
	asked   bool  // by SUBSCRIBE, not from the session
	gate    *gate // of what is new
	at      int
	parts   []part // of filters[at] that are left; nil = not begun
	begun   bool
	made    []*interest.Sub // for filters[at]
	subs    []*interest.Sub // for all, the direct ones
	done    func()
}

// run goes on until an answer has to be waited for, or to the end.
func (op *subscribing) run() {
	for op.at < len(op.filters) {
		f := &op.filters[op.at]
		if !op.begun {
			op.begun, op.made, op.parts = true, nil, parts(f.subject)
			if f.subject == "" || strings.HasPrefix(f.subject, reserved) {
				op.refuse()
				continue
			}
			if f.code == 2 && op.needPubRel() {
				return
			}
		}
		if f.code == mqtt.SubFailure || len(op.parts) == 0 {
			op.next()
			continue
		}
		if !op.part(op.parts[0]) {
			return
		}
	}
	op.done()
}

// next goes on to the next filter.
func (op *subscribing) next() { op.at, op.begun = op.at+1, false }

// refuse takes back what was done for the filter.
func (op *subscribing) refuse() {
	f := &op.filters[op.at]
	f.code = mqtt.SubFailure
	for _, s := range op.made {
		op.c.drop(s)
	}
	if len(op.made) > 0 {
		for _, p := range parts(f.subject) {
			op.c.dropConsumer(p.sid)
		}
	}
	op.parts, op.made = nil, nil
}

// part makes the subscription p; false: it goes on later.
func (op *subscribing) part(p part) bool {
	c := op.c
	f := &op.filters[op.at]
	s := c.subscribe(p.subject, p.sid, f.code, op.gate)
	if s == nil {
		op.refuse()
		return true
	}
	op.made = append(op.made, s)
	cc := c.sess.consumer(p.sid)
	switch {
	case f.code == 0:
		if cc != nil {
			c.dropConsumer(p.sid)
		}
		op.partDone(s)
		return true
	case cc != nil:
		if !c.listen(cc, p.sid, p.subject, f.code, op.gate) {
			op.refuse()
			return true
		}
		op.partDone(s)
		return true
	}
	cc, err := c.newConsumer(StreamMessages, SubjectMessages+p.subject, c.sess.hash+"_"+c.svc.newID(), DeliverPrefix+c.svc.newID())
	if err != nil {
		c.Logf(engine.Error, "RJ-Q015", "Unable to add JetStream consumer for subscription on %q: err=%v", p.subject, err)
		op.refuse()
		return true
	}
	// Subscribed first: the consumer begins to deliver at once.
	if !c.listen(cc, p.sid, p.subject, f.code, op.gate) {
		op.refuse()
		return true
	}
	c.m.store.AddConsumer(c.LoopID(), StreamMessages, cc, WaiterFunc(func(r Result) {
		c.post(func() {
			if r.Err != nil {
				c.Logf(engine.Error, "RJ-Q015", "Unable to add JetStream consumer for subscription on %q: err=%v", p.subject, r.Err)
				c.dropSID(cc.DeliverSubject)
				op.refuse()
			} else {
				c.sess.setConsumer(p.sid, cc)
				op.partDone(s)
			}
			op.run()
		})
	}))
	return false
}

func (op *subscribing) partDone(s *interest.Sub) {
	op.subs = append(op.subs, s)
	op.parts = op.parts[1:]
}

// newConsumer is the configuration of a consumer; the error says that the session has too many.
func (c *Client) newConsumer(stream, filter, durable, deliver string) (*jsapi.ConsumerConfig, error) {
	o := c.svc.mqttOptions()
	c.sess.mu.Lock()
	total := c.sess.ackTotal + o.MaxAckPending
	c.sess.mu.Unlock()
	if total > maxAckTotal {
		return nil, fmt.Errorf("max_ack_pending for all consumers would be %v which exceeds the limit of %v", total, maxAckTotal)
	}
	return &jsapi.ConsumerConfig{
		DeliverSubject: deliver, Durable: durable, AckPolicy: jsapi.AckExplicit, DeliverPolicy: jsapi.DeliverNew,
		FilterSubject: filter, AckWait: o.AckWait, MaxAckPending: o.MaxAckPending, MemoryStorage: o.ConsumerMemory,
		InactiveThreshold: o.ConsumerInactive,
	}, nil
}

// needPubRel makes the consumer of PUBRELs if the session has none; true: it goes on later. A subscription
// that needs it and does not get it is refused.
func (op *subscribing) needPubRel() (later bool) {
	c := op.c
	s := c.sess
	deliver := deliverPubRel + s.hash
	if c.Sub([]byte(deliver)) == nil {
		x := &subscription{c: c, s: s, role: pubrel}
		if !c.mayListen(deliver) || c.AddSub(interest.NewSub([]byte(deliver), nil, []byte(deliver), 1, x)) != nil {
			c.Logf(engine.Error, "RJ-Q016", "failed to initialize PUBREL processing: %v", "not authorized")
			op.filters[op.at].code = mqtt.SubFailure
			return false
		}
	}
	s.mu.Lock()
	have := s.pubrel != nil
	s.mu.Unlock()
	if have {
		return false
	}
	cc, err := c.newConsumer(StreamOut, subjectPubRel+s.hash, durablePubRel+s.hash, deliver)
	if err != nil {
		c.Logf(engine.Error, "RJ-Q016", "failed to initialize PUBREL processing: %v", err)
		op.filters[op.at].code = mqtt.SubFailure
		return false
	}
	c.m.store.AddConsumer(c.LoopID(), StreamOut, cc, WaiterFunc(func(r Result) {
		c.post(func() {
			if r.Err != nil {
				c.Logf(engine.Error, "RJ-Q016", "failed to initialize PUBREL processing: %v", r.Err)
				op.filters[op.at].code = mqtt.SubFailure
			} else {
				s.mu.Lock()
				s.pubrel = cc
				s.ackTotal += cc.MaxAckPending
				s.mu.Unlock()
			}
			op.run()
		})
	}))
	return true
}

// subscribe makes the direct subscription sid, or changes the QoS of the one there is; nil if it may not be.
func (c *Client) subscribe(subject, sid string, qos byte, g *gate) *interest.Sub {
	b := []byte(subject)
	if c.perms != nil && !c.perms.CanSub(b, nil) {
		c.Logf(engine.Error, "RJ-Q017", "Subscription Violation - Subject %q, SID %s", subject, sid)
		return nil
	}
	if n := c.svc.options().MaxSubTokens; n > 0 && bytes.Count(b, []byte("."))+1 > n {
		c.Logf(engine.Error, "RJ-Q017", "Permissions Violation for Subscription to %q, too many tokens", subject)
		return nil
	}
	if s := c.Sub([]byte(sid)); s != nil {
		x := s.Sink().(*subscription)
		x.gate.Store(g)
		x.qos.Store(uint32(qos))
		return s
	}
	if c.maxSub >= 0 && c.NumSubs() >= c.maxSub {
		c.Logf(engine.Error, "RJ-Q018", "maximum subscriptions exceeded")
		return nil
	}
	x := &subscription{c: c, s: c.sess, role: direct, sid: sid, hidden: mqtt.BeginsWithWildcard(subject)}
	x.qos.Store(uint32(qos))
	x.gate.Store(g)
	s := interest.NewSub(b, nil, []byte(sid), 1, x)
	if c.AddSub(s) != nil {
		c.Logf(engine.Error, "RJ-Q013", "invalid subject %q", subject)
		return nil
	}
	return s
}

// mayListen reports whether an internal subscription is allowed: only deny entries count.
func (c *Client) mayListen(subject string) bool {
	return c.perms == nil || c.perms.Deliverable([]byte(subject))
}

// listen subscribes to what the consumer cc of the subscription sid delivers.
func (c *Client) listen(cc *jsapi.ConsumerConfig, sid, subject string, qos byte, g *gate) bool {
	if s := c.Sub([]byte(cc.DeliverSubject)); s != nil {
		x := s.Sink().(*subscription)
		x.gate.Store(g)
		x.qos.Store(uint32(qos))
		return true
	}
	if !c.mayListen(cc.DeliverSubject) {
		c.Logf(engine.Error, "RJ-Q017", "Subscription Violation - Subject %q, SID %s", cc.DeliverSubject, cc.DeliverSubject)
		return false
	}
	x := &subscription{c: c, s: c.sess, role: consumer, durable: cc.Durable, sid: sid, hidden: mqtt.BeginsWithWildcard(subject)}
	x.qos.Store(uint32(qos))
	x.gate.Store(g)
	b := []byte(cc.DeliverSubject)
	return c.AddSub(interest.NewSub(b, nil, b, 1, x)) == nil
}

// drop removes a subscription of this connection.
func (c *Client) drop(s *interest.Sub) {
	x := s.Sink().(*subscription)
	c.sess.mu.Lock()
	x.closed = true
	c.sess.mu.Unlock()
	c.RemoveSub(s)
}

func (c *Client) dropSID(sid string) {
	if s := c.Sub([]byte(sid)); s != nil {
		c.drop(s)
	}
}

// dropConsumer removes the consumer of the subscription sid, if it has one, and forgets what it has under way.
func (c *Client) dropConsumer(sid string) {
	cc := c.sess.consumer(sid)
	if cc != nil {
		c.sess.setConsumer(sid, nil)
		c.dropSID(cc.DeliverSubject)
		c.m.store.DropConsumer(c.LoopID(), StreamMessages, cc.Durable, nil)
	}
	c.sess.mu.Lock()
	if cc != nil {
		c.sess.inflight.purge(cc.Durable)
	}
	c.sess.inflight.purge(retainedKey(sid))
	c.sess.mu.Unlock()
}

// unsubscribe handles UNSUBSCRIBE.
func (c *Client) unsubscribe(id uint16, filters []filter) {
	for _, f := range filters {
		if f.subject == "" {
			continue
		}
		for _, p := range parts(f.subject) {
			c.dropConsumer(p.sid)
			c.dropSID(p.sid)
		}
	}
	c.save(c.sess.update(filters, false), func() {
		c.Send(mqtt.AppendAck(nil, mqtt.UNSUBACK, id))
		c.traceAck("->>", mqtt.UNSUBACK, id)
		c.unlock()
		c.Resume()
	})
}

// save stores the session's record, if needed, and then goes on.
func (c *Client) save(needed bool, then func()) {
	if !needed {
		c.post(then)
		return
	}
	c.sess.save(c.LoopID(), func(err error) {
		c.post(func() {
			if err != nil {
				c.unlock()
				c.fail(fmt.Errorf("unable to persist session %q: %w", c.id, err))
				return
			}
			then()
		})
	})
}

// subscribed answers SUBSCRIBE when its filters were handled.
func (c *Client) subscribed(id uint16, op *subscribing) {
	c.save(c.sess.update(op.filters, true), func() {
		codes := make([]byte, len(op.filters))
		for i, f := range op.filters {
			codes[i] = f.code
		}
		c.Send(mqtt.AppendSubAck(nil, id, codes))
		c.traceAck("->>", mqtt.SUBACK, id)
		c.sendRetained(op.subs, op.gate, func() {
			c.openGate(op.gate)
			c.RangeSubs(func(s *interest.Sub) bool {
				if x, ok := s.Sink().(*subscription); ok {
					x.gate.CompareAndSwap(op.gate, nil)
				}
				return true
			})
			c.unlock()
			c.Resume()
		})
	})
}
