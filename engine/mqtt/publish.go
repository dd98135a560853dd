package mqtt

import (
	"bytes"
	"fmt"

	"ramjet/engine"
	"ramjet/engine/link"
	"ramjet/proto/header"
	"ramjet/proto/mqtt"
)

const (
	// permCacheSize bounds the publish permission cache; when it is full it starts over.
	permCacheSize = 128
	// largePayload is the size from which a payload is offered by reference to its frame.
	largePayload = 8 << 10

	headerPub     = "Nmqtt-Pub"
	headerSubject = "Nmqtt-Subject"
	headerMapped  = "Nmqtt-Mapped"
	headerPubRel  = "Nmqtt-PubRel"
)

// qosHeaders are the header blocks of messages that were published with QoS 0, 1 and 2.
var qosHeaders = [3][]byte{
	[]byte("NATS/1.0\r\n" + headerPub + ":0\r\n\r\n"),
	[]byte("NATS/1.0\r\n" + headerPub + ":1\r\n\r\n"),
	[]byte("NATS/1.0\r\n" + headerPub + ":2\r\n\r\n"),
}

// publishedQoS returns the QoS a message was published with, 0 for what did not come from MQTT.
func publishedQoS(hdr []byte) byte {
	if len(hdr) == 0 {
		return 0
	}
	for q := range qosHeaders {
		if bytes.Equal(hdr, qosHeaders[q]) {
			return byte(q)
		}
	}
	if v := header.Get(hdr, headerPub); len(v) > 0 && v[0] >= '0' && v[0] <= '2' {
		return v[0] - '0'
	}
	return 0
}

// publication is a message on its way from a client. Slices are borrowed.
type publication struct {
	flags   byte
	id      uint16 // 0 = nobody waits for an answer
	subject []byte
	mapped  []byte // the subject before mapping, nil = not mapped
	payload []byte
	heldSeq uint64 // of the held message that PUBREL releases, 0 = none
	read    bool   // payload lies in what is being read
}

// onPublish handles PUBLISH: subject, size, then by QoS.
func (c *Client) onPublish(p *mqtt.Packet) error {
	qos := mqtt.QoS(p.Flags)
	if qos == 2 && c.svc.mqttOptions().RejectQoS2 {
		return c.fail(errQoS2)
	}
	pub := publication{flags: p.Flags, id: p.ID, payload: p.Payload, read: true}
	ok, err := c.address(&pub, p.Topic)
	if err != nil {
		return c.fail(err)
	}
	size := len(qosHeaders[qos]) + len(p.Payload)
	if qos == 2 {
		size += holdRoom(&pub)
	}
	c.Lane().CountIn(size)
	if c.maxPay >= 0 && size > c.maxPay {
		return c.tooLarge(fmt.Errorf("%w: %d vs %d", mqtt.ErrTooLarge, size, c.maxPay))
	}
	switch {
	case !ok: // a mapping dropped it
		c.answerDropped(&pub)
	case qos == 2:
		c.hold(&pub)
	default:
		c.deliver(&pub)
	}
	return c.next()
}

// address finds the subject of a topic, mapped as the account says; ok is false if the mapping drops it.
func (c *Client) address(pub *publication, topic []byte) (ok bool, err error) {
	if c.subj, err = mqtt.AppendSubject(c.subj[:0], topic, false); err != nil {
		return false, err
	}
	pub.subject = c.subj
	mapping := c.acct.Snap().Map
	if mapping == nil {
		return true, nil
	}
	out, mapped, ok := mapping(c.subj, c.mapped[:0], c.random())
	if !ok {
		return false, nil
	}
	if mapped {
		pub.mapped, pub.subject, c.mapped = c.subj, out, out
	}
	return true, nil
}

// next suspends reading while too many packets wait for their answers.
func (c *Client) next() error {
	if c.pipe.full() {
		return link.ErrHold
	}
	return nil
}

// answerDropped answers a message that goes nowhere.
func (c *Client) answerDropped(pub *publication) {
	switch {
	case pub.heldSeq > 0:
		c.m.store.Delete(c.LoopID(), StreamIn, pub.heldSeq, &c.pipe, c.pipe.push(mqtt.PUBCOMP, pub.id, 1, nil)|opDelete)
	case pub.id == 0:
	case mqtt.QoS(pub.flags) == 1:
		c.answer(mqtt.PUBACK, pub.id)
	case mqtt.QoS(pub.flags) == 2:
		c.answer(mqtt.PUBREC, pub.id)
		c.held.release(pub.id) // nothing is held: its PUBREL is answered with PUBCOMP
	}
}

// answer sends an answer that waits for nothing but its turn.
func (c *Client) answer(t mqtt.Type, id uint16) {
	c.pipe.push(t, id, 0, nil)
	c.pipe.pump()
}

// deliver publishes a message, and stores it when its QoS says so. The answer follows when that is done.
func (c *Client) deliver(pub *publication) {
	qos := mqtt.QoS(pub.flags)
	if !c.mayPublish(pub.subject) {
		c.Logf(engine.Error, "RJ-Q011", "Publish Violation - Subject %q", pub.subject)
		c.answerDropped(pub)
		return
	}
	keep, key := c.toRetain(pub)
	n := uint8(0)
	if keep != nil {
		n++
	}
	resp := mqtt.Type(0)
	switch {
	case qos == 0:
	case pub.heldSeq > 0:
		resp, n = mqtt.PUBCOMP, n+2
	default:
		n++
		if pub.id != 0 {
			resp = mqtt.PUBACK
		}
	}
	var tag uint64
	if n > 0 {
		tag = c.pipe.push(resp, pub.id, n, nil)
	}
	if keep != nil {
		c.retain(keep, key, tag|opRetain)
	}
	c.publish(pub)
	if qos == 0 {
		return
	}
	store := c.m.store
	hdr := qosHeaders[qos]
	if pub.heldSeq > 0 {
		hdr = appendDeliveryID(pub.heldSeq)
	}
	subj := append(append(c.held.subject[:0], SubjectMessages...), pub.subject...)
	c.held.subject = subj
	if store.Store(c.LoopID(), subj, hdr, pub.payload, &c.pipe, tag+opStore) {
		c.slowDown()
	}
	if pub.heldSeq > 0 {
		store.Delete(c.LoopID(), StreamIn, pub.heldSeq, &c.pipe, tag|opDelete)
	}
}

// publish sends a message to who is subscribed now.
func (c *Client) publish(pub *publication) {
	l := c.Lane()
	m := &l.Msg
	*m = engine.Msg{Subject: pub.subject, Header: qosHeaders[mqtt.QoS(pub.flags)], Payload: pub.payload, Origin: engine.Client, OriginID: c.ID()}
	if pub.read && l.Frame != nil && len(pub.payload) >= largePayload {
		m.Frame = l.Frame
	}
	ctx := c.Ctx()
	if out := c.svc.link.Router.PublishMapped(ctx, c.acct, m); out.Slow {
		c.slowDown()
	}
}

// slowDown pauses this producer for the targets that do not keep up.
func (c *Client) slowDown() {
	ctx := c.Ctx()
	if !ctx.NoStall {
		c.StallFor(ctx.SlowSinks)
	}
	ctx.ResetSlow()
}

// mayPublish is the publish permission: what the user may always, from the cache, or a reply to a message that
// was delivered here.
func (c *Client) mayPublish(s []byte) bool {
	if bytes.HasPrefix(s, []byte("$NRG.")) && !c.acct.Snap().System {
		return false
	}
	if c.perms == nil {
		return true
	}
	ok, hit := c.allowed[string(s)]
	if !hit {
		ok = c.perms.CanPub(s)
		if c.allowed == nil {
			c.allowed = map[string]bool{}
		} else if len(c.allowed) >= permCacheSize {
			clear(c.allowed)
		}
		c.allowed[string(s)] = ok
	}
	if ok {
		return true
	}
	r := c.Replies()
	return r != nil && r.Use(s, c.svc.now())
}

// toRetain decides whether a message is to be kept for later subscribers, and under which subject. Birth
// certificates of Sparkplug B are, without having the flag, and then under a topic of their own, where they
// are published too.
func (c *Client) toRetain(pub *publication) (keep *retainedMsg, key []byte) {
	flag := pub.flags&mqtt.FlagRetain != 0
	if !flag && !mayBeSparkplug(pub.subject) {
		return nil, nil
	}
	topic := mqtt.AppendTopic(nil, pub.subject)
	sp := mqtt.SparkplugTopic(topic)
	birth := sp.Birth && !sp.Certificate
	if flag == birth {
		return nil, nil // with the flag, a birth certificate is not valid
	}
	keep = &retainedMsg{origin: c.svc.env.Node(), source: c.req.Connect.User, flags: pub.flags,
		payload: append([]byte(nil), pub.payload...)}
	key = append([]byte(nil), pub.subject...)
	if birth {
		topic = append([]byte(mqtt.SparkplugCertificates), topic...)
		key, _ = mqtt.AppendSubject(nil, topic, false) // its parts were converted before
		keep.flags |= mqtt.FlagRetain
		if len(pub.payload) > 0 {
			c.m.store.Send(c.LoopID(), key, pub.payload)
		}
	}
	return keep, key
}

// mayBeSparkplug is a cheap test on the subject.
func mayBeSparkplug(s []byte) bool {
	return len(s) > 10 && (bytes.HasPrefix(s, []byte("spBv1//0.")) || bytes.HasPrefix(s, []byte("$sparkplug.")))
}

// retain keeps m: subscribers get it from now on, tag is done when it is stored.
func (c *Client) retain(m *retainedMsg, key []byte, tag uint64) {
	subject := string(key)
	c.m.mu.Lock()
	c.m.retained.storing(subject, m)
	c.m.mu.Unlock()
	hdr := appendRetained(nil, mqtt.AppendTopic(nil, key), m)
	mgr := c.m
	w := waiterFrom(func(from engine.LoopID, r Result) {
		now := mgr.svc.now()
		mgr.mu.Lock()
		mgr.retained.settled(subject, m, r.Seq, now)
		mgr.mu.Unlock()
		if r.Err != nil {
			c.Logf(engine.Error, "RJ-Q012", "unable to store retained message for account %q, subject %q: %v", mgr.acct.Name(), subject, r.Err)
		}
		c.pipe.Done(from, tag, Result{})
	})
	mgr.store.Store(c.LoopID(), append([]byte(SubjectRetained), key...), hdr, m.payload, w, 0)
}

// waiterFrom is a function as a Waiter that is told who calls.
type waiterFrom func(from engine.LoopID, r Result)

// Done implements Waiter.
func (f waiterFrom) Done(from engine.LoopID, _ uint64, r Result) { f(from, r) }

// publishWill publishes the will of a client that was lost.
func (c *Client) publishWill(w *mqtt.Will) {
	pub := publication{flags: w.QoS << 1, payload: w.Message}
	if w.Retain {
		pub.flags |= mqtt.FlagRetain
	}
	if ok, err := c.address(&pub, w.Topic); !ok || err != nil {
		return
	}
	c.deliver(&pub)
}
