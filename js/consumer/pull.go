package consumer

import (
	"fmt"
	"strings"

	"ramjet/proto/header"
	"ramjet/proto/jsapi"
)

// Next takes a pull request: where messages go, the header and the body of the request. Without a place for messages it
// is ignored.
func (c *Consumer) Next(now int64, to, hdr, body []byte) {
	if len(to) == 0 {
		return
	}
	if !c.cfg.Pull() {
		c.status(to, 409, textPushBased)
		return
	}
	if v := header.Get(hdr, jsapi.HdrRequiredAPILevel); v != nil {
		if n, ok := jsapi.ParseUint(v); !ok || n > jsapi.Level {
			c.status(to, 412, textAPILevel)
			return
		}
	}
	c.active = now
	r := &c.req
	if err := jsapi.ParseNext(body, r); err != nil {
		text := strings.Replace(err.Error(), "field NextRequest.", "field JSApiConsumerGetNextRequest.", 1)
		c.status(to, 400, textBadRequest+text)
		return
	}
	if code, text := c.check(r); code != 0 {
		c.status(to, code, text)
		return
	}
	c.expireRequests(now)
	if r.NoWait && !c.admitNoWait(to, r) {
		return
	}
	if c.cfg.MaxWaiting > 0 && c.wait.n >= c.cfg.MaxWaiting {
		c.dropUninterested()
		if c.wait.n >= c.cfg.MaxWaiting {
			if r.Heartbeat == 0 {
				c.status(to, 409, textMaxWaiting)
			}
			return
		}
	}
	w := waiter{reply: to, n: r.Batch, bytes: r.MaxBytes, limited: r.MaxBytes > 0, noWait: r.NoWait, plain: r.Plain,
		beat: int64(r.Heartbeat), minPend: r.MinPending, minAck: r.MinAckPending, pin: r.ID}
	if r.Expires != 0 { // a negative one is over at once
		w.expires = now + int64(r.Expires)
	}
	if c.cfg.PriorityPolicy == jsapi.PriorityPrioritized {
		w.priority = r.Priority
	}
	if r.ID != "" {
		c.pin.renew(now, c.cfg.PriorityTimeout)
	}
	c.wait.add(now, &w)
	c.Pump(now)
}

// check returns the status that refuses a request, 0 if it may be served.
func (c *Consumer) check(r *jsapi.NextRequest) (code int, text string) {
	cfg := &c.cfg
	switch {
	case r.Heartbeat > 0 && r.Heartbeat > r.Expires/2:
		return 400, textBadRequest + "heartbeat value too large"
	case cfg.MaxRequestBatch > 0 && r.Batch > cfg.MaxRequestBatch:
		return 409, fmt.Sprintf("Exceeded MaxRequestBatch of %d", cfg.MaxRequestBatch)
	case cfg.MaxRequestExpires > 0 && r.Expires > cfg.MaxRequestExpires:
		return 409, fmt.Sprintf("Exceeded MaxRequestExpires of %v", cfg.MaxRequestExpires)
	case cfg.MaxRequestMaxBytes > 0 && r.MaxBytes > cfg.MaxRequestMaxBytes:
		return 409, fmt.Sprintf("Exceeded MaxRequestMaxBytes of %d", cfg.MaxRequestMaxBytes)
	}
	return c.checkPriority(r)
}

// admitNoWait answers requests that must not wait and would have to; false: answered.
func (c *Consumer) admitNoWait(to []byte, r *jsapi.NextRequest) bool {
	pending := c.NumPending() + uint64(c.sched.ready.n)
	switch {
	case pending == 0 && r.Expires <= 0:
		c.status(to, 404, textNoMessages)
		return false
	case pending > 0 && pending < uint64(max(c.wait.asked, 0)):
		c.status(to, 408, textPending)
		return false
	}
	return true
}

// pumpPull serves waiting requests, one message each, in turns.
func (c *Consumer) pumpPull(now int64) {
	c.expireRequests(now)
	var id int32
	var deliveries uint64
	have := false
	for c.wait.n > 0 {
		if !have {
			var f found
			if f, id = c.fetch(now); f != message {
				if f == nothing {
					c.endNoWait(now, true)
				}
				return
			}
			deliveries = c.prepare(id)
			have = true
		}
		wid := c.pick(id != nilID) // only with a message at hand: an old pin is refused when it would be used
		if wid == nilID {
			c.endNoWait(now, true)
			return
		}
		w := c.wait.at(wid)
		size := c.size()
		if w.limited && size > w.bytes {
			c.statusRest(w, 409, textTooLarge)
			c.wait.remove(wid)
			continue
		}
		pin, pinned := c.pinFor(w)
		if !c.send(now, w.reply, id, deliveries, pinned, pin) {
			c.wait.remove(wid)
			continue
		}
		have = false
		c.claim(now, w, pin)
		if !c.wait.served(now, wid, size) {
			if w.limited && w.bytes > 0 {
				c.statusRest(w, 409, textBatchDone)
			}
			c.wait.remove(wid)
		}
	}
}

// endNoWait ends the requests that do not wait at the end of what there is; those that wait for a first message are
// kept, if wait is set.
func (c *Consumer) endNoWait(now int64, wait bool) {
	if c.wait.noWaits == 0 {
		return
	}
	for id := c.wait.head; id != nilID; {
		w := c.wait.at(id)
		next := w.next
		if w.noWait && (w.expires == 0 || (wait && w.delivered > 0)) {
			c.status(w.reply, 404, textNoMessages)
			c.wait.remove(id)
		}
		id = next
	}
}

// expireRequests ends the requests whose time is over.
func (c *Consumer) expireRequests(now int64) {
	for {
		at, id, ok := c.wait.expiry.min()
		if !ok || at > now {
			return
		}
		c.active = now
		c.statusRest(c.wait.at(id), 408, textTimeout)
		c.wait.remove(id)
	}
}

// beatRequests sends the heartbeats that are due.
func (c *Consumer) beatRequests(now int64) {
	for {
		at, id, ok := c.wait.beats.min()
		if !ok || at > now {
			return
		}
		w := c.wait.at(id)
		if !c.env.Sink.Interest(w.reply) {
			c.wait.remove(id)
			continue
		}
		c.heartbeat(w.reply, nil)
		c.wait.beats.set(id, following(at, w.beat, now))
	}
}

// dropUninterested forgets requests nobody waits for any more.
func (c *Consumer) dropUninterested() {
	for id := c.wait.head; id != nilID; {
		next := c.wait.at(id).next
		if !c.env.Sink.Interest(c.wait.at(id).reply) {
			c.wait.remove(id)
		}
		id = next
	}
}

// Ending says why all waiting requests end.
type Ending uint8

// The endings.
const (
	EndDeleted  Ending = iota // the consumer or its stream was deleted
	EndLeader                 // another server leads now
	EndShutdown               // the server stops
)

// EndRequests ends all waiting requests with a status.
func (c *Consumer) EndRequests(why Ending) {
	for id := c.wait.head; id != nilID; id = c.wait.head {
		w := c.wait.at(id)
		switch why {
		case EndDeleted:
			c.status(w.reply, 409, textDeleted)
		case EndLeader:
			c.status(w.reply, 409, textLeaderChange)
		case EndShutdown:
			c.statusRest(w, 409, textServerShutdown)
		}
		c.wait.remove(id)
	}
}

// DropRequest forgets the waiting requests of an inbox, for interest that expired elsewhere; text is the status to
// send, "" for none.
func (c *Consumer) DropRequest(now int64, to []byte) {
	for id := c.wait.head; id != nilID; {
		w := c.wait.at(id)
		next := w.next
		if string(w.reply) == string(to) {
			c.statusRest(w, 408, "Interest Expired")
			c.wait.remove(id)
		}
		id = next
	}
	c.active = max(c.active, now)
}
