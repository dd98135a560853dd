package mqtt

import (
	"errors"
	"fmt"
	"strconv"

	"ramjet/engine"
	"ramjet/engine/link"
	"ramjet/proto/header"
	"ramjet/proto/mqtt"
)

// What a client may have in memory between PUBLISH and PUBREL; beyond it, PUBREL reads the held message from
// its stream.
const (
	maxHeldMsgs  = 1024
	maxHeldBytes = 4 << 20
)

// Outcomes of holding a message.
const (
	holdPending   uint8 = iota
	holdStored          // under seq
	holdDuplicate       // it was held before
)

// exchange is a QoS 2 message of a client between PUBLISH and PUBREL, as far as it is in memory.
type exchange struct {
	flags           byte
	state           uint8
	seq             uint64
	subject, mapped []byte
	payload         []byte
}

func (x *exchange) size() int { return len(x.subject) + len(x.mapped) + len(x.payload) }

// heldPackets are the QoS 2 exchanges of a client as a receiver. Loop.
type heldPackets struct {
	open  map[uint16]*exchange
	bytes int
	// released has a bit for each packet identifier whose PUBREL was seen; nil until the first.
	released *[1 << 16 / 64]uint64
	subject  []byte // scratch
}

func (h *heldPackets) isReleased(id uint16) bool {
	return h.released != nil && h.released[id>>6]>>(id&63)&1 != 0
}

func (h *heldPackets) release(id uint16) {
	h.drop(id)
	if h.released == nil {
		h.released = new([1 << 16 / 64]uint64)
	}
	h.released[id>>6] |= 1 << (id & 63)
}

func (h *heldPackets) drop(id uint16) {
	if x := h.open[id]; x != nil {
		h.bytes -= x.size()
		delete(h.open, id)
	}
}

// record keeps a copy of pub, which is about to be held; nil if that is not to be.
func (h *heldPackets) record(pub *publication) *exchange {
	// On a released identifier this is a new message, DUP or not. A DUP that is not known here may repeat one
	// of another connection: only the stream knows which was accepted.
	known := h.isReleased(pub.id)
	if known {
		h.released[pub.id>>6] &^= 1 << (pub.id & 63)
	} else if pub.flags&mqtt.FlagDup != 0 {
		return nil
	}
	x := &exchange{flags: pub.flags}
	n := len(pub.subject) + len(pub.mapped) + len(pub.payload)
	if len(h.open) >= maxHeldMsgs || h.bytes+n > maxHeldBytes {
		return nil
	}
	b := append(append(append(make([]byte, 0, n), pub.subject...), pub.mapped...), pub.payload...)
	i, j := len(pub.subject), len(pub.subject)+len(pub.mapped)
	x.subject, x.mapped, x.payload = b[:i:i], b[i:j:j], b[j:]
	if h.open == nil {
		h.open = map[uint16]*exchange{}
	}
	h.open[pub.id] = x
	h.bytes += n
	return x
}

// holdRoom is how much longer the header of a held message is than the usual one.
func holdRoom(pub *publication) int {
	n := 1 + len(headerSubject) + 1 + len(pub.subject) + 2
	if len(pub.mapped) > 0 {
		n += len(headerMapped) + 1 + len(pub.mapped) + 2
	}
	return n
}

// heldSubject appends the subject that the message with packet identifier id is held under.
func (c *Client) heldSubject(dst []byte, id uint16) []byte {
	dst = append(append(append(dst, SubjectIn...), c.id...), '.')
	return strconv.AppendUint(dst, uint64(id), 10)
}

// hold stores a QoS 2 message until its PUBREL; PUBREC follows.
func (c *Client) hold(pub *publication) {
	if c.held.open[pub.id] != nil {
		c.answer(mqtt.PUBREC, pub.id) // sent again: nothing but another PUBREC is owed
		return
	}
	hdr := append([]byte("NATS/1.0\r\n"+headerPub+":2"), "0123456789abcdef"[pub.flags&0x0F])
	hdr = append(append(append(hdr, "\r\n"+headerSubject+":"...), pub.subject...), "\r\n"...)
	if len(pub.mapped) > 0 {
		hdr = append(append(append(hdr, headerMapped+":"...), pub.mapped...), "\r\n"...)
	}
	hdr = append(hdr, "\r\n"...)
	tag := c.pipe.push(mqtt.PUBREC, pub.id, 1, c.held.record(pub))
	c.held.subject = c.heldSubject(c.held.subject[:0], pub.id)
	if c.m.store.Store(c.LoopID(), c.held.subject, hdr, pub.payload, &c.pipe, tag|opHold) {
		c.slowDown()
	}
}

var errHeld = errors.New("invalid message in QoS2 PUBREL stream")

// onPubRel handles PUBREL: the held message is delivered, stored and no longer held; then PUBCOMP.
func (c *Client) onPubRel(id uint16) error {
	x := c.held.open[id]
	switch {
	case x == nil && c.held.isReleased(id):
		c.answer(mqtt.PUBCOMP, id) // sent again
		return c.next()
	case x == nil:
	case x.state == holdPending:
		return c.fail(fmt.Errorf("QoS2 PUBREL (pi=%v) received before its PUBREC was sent", id))
	case x.state == holdStored:
		c.held.release(id)
		c.deliver(&publication{flags: x.flags, id: id, subject: x.subject, mapped: x.mapped, payload: x.payload, heldSeq: x.seq})
		return c.next()
	}
	c.held.drop(id)
	c.m.store.Load(c.LoopID(), StreamIn, string(c.heldSubject(nil, id)), WaiterFunc(func(r Result) {
		c.post(func() {
			if c.released(id, r) == nil {
				c.Resume()
			}
		})
	}))
	return link.ErrHold
}

// released delivers a held message that was read from its stream.
func (c *Client) released(id uint16, r Result) error {
	if r.NotFound() {
		c.answer(mqtt.PUBCOMP, id)
		return nil
	}
	if r.Err != nil {
		return c.fail(fmt.Errorf("unable to load the held QoS2 message (pi=%v): %w", id, r.Err))
	}
	v, subject := header.Get(r.Msg.Header, headerPub), header.Get(r.Msg.Header, headerSubject)
	if len(v) == 0 || v[0] != '2' || len(subject) == 0 {
		c.m.store.Delete(c.LoopID(), StreamIn, r.Msg.Seq, nil, 0) // so that the next PUBREL is answered
		return c.fail(errHeld)
	}
	pub := publication{flags: 2 << 1, id: id, subject: subject, mapped: header.Get(r.Msg.Header, headerMapped),
		payload: r.Msg.Data, heldSeq: r.Msg.Seq}
	if len(v) > 1 {
		if f, err := strconv.ParseUint(string(v[1]), 16, 8); err == nil {
			pub.flags |= byte(f) & mqtt.FlagRetain
		}
	}
	c.held.release(id)
	c.deliver(&pub)
	return nil
}

// appendDeliveryID is the header block of a released message: its identifier makes sure that it is stored
// once, however often and on whichever server PUBREL is repeated.
func appendDeliveryID(seq uint64) []byte {
	b := append([]byte("NATS/1.0\r\n"+headerPub+":2\r\nNats-Msg-Id:q2-"), strconv.FormatUint(seq, 10)...)
	return append(b, "\r\n\r\n"...)
}

// onReceived handles PUBACK and PUBREC: the consumer is told, and after PUBREC the PUBREL is stored first,
// which its own consumer then delivers.
func (c *Client) onReceived(id uint16, rec bool) error {
	s := c.sess
	s.mu.Lock()
	if s.owner != c {
		s.mu.Unlock()
		return c.fail(errSession)
	}
	p, ok := s.inflight.publish[id]
	if rec && (!ok || p.qos != 2 || s.pubrel == nil) {
		s.mu.Unlock()
		c.Send(mqtt.AppendAck(nil, mqtt.PUBREL, id)) // so that the client can complete
		c.traceAck("->>", mqtt.PUBREL, id)
		return nil
	}
	if rec {
		s.inflight.trackPubRel(id, s.pubrel.Durable, "", 0)
	}
	s.inflight.untrack(id)
	s.mu.Unlock()
	store := c.m.store
	if !rec {
		if p.ack != "" {
			store.Ack(c.LoopID(), p.ack)
		}
		return nil
	}
	hdr := strconv.AppendUint([]byte("NATS/1.0\r\n"+headerPubRel+":"), uint64(id), 10)
	hdr = append(hdr, "\r\n\r\n"...)
	store.Store(c.LoopID(), []byte(subjectPubRel+s.hash), hdr, nil, WaiterFunc(func(r Result) {
		if r.Err != nil {
			c.post(func() { c.fail(r.Err) })
			return
		}
		if p.ack != "" {
			store.Ack(engine.NoLoop, p.ack)
		}
	}), 0)
	return nil
}

// onPubComp handles PUBCOMP: the end of a delivery.
func (c *Client) onPubComp(id uint16) {
	s := c.sess
	s.mu.Lock()
	ack := ""
	if s.owner == c {
		ack = s.inflight.untrackPubRel(id)
	}
	s.mu.Unlock()
	if ack != "" {
		c.m.store.Ack(c.LoopID(), ack)
	}
}
