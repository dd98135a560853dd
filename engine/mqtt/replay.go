package mqtt

import (
	"time"

	"ramjet/engine"
	"ramjet/engine/interest"
	"ramjet/proto/mqtt"
)

const (
	loadWindow = 64                    // retained messages that are read at a time
	drainPause = 10 * time.Millisecond // while the client does not keep up
)

// replay sends the retained messages that new subscriptions match. Loop.
type replay struct {
	c    *Client
	list []retained
	at   int
	done func()
}

// retained is one retained message for one subscription.
type retained struct {
	x       *subscription
	subject string
	seq     uint64
	gen     uint32
	msg     *retainedMsg // nil = to be read
	skip    bool
}

// sendRetained sends the retained messages for subs and then goes on. What they are is decided at one moment: what
// waits behind the gate by then is sent before them, because none of it is newer, and what comes after that
// follows them.
func (c *Client) sendRetained(subs []*interest.Sub, g *gate, done func()) {
	r := &replay{c: c, done: done}
	now := c.svc.now()
	m := c.m
	m.mu.Lock()
	if m.retained.n > 0 {
		for _, s := range subs {
			x := s.Sink().(*subscription)
			m.retained.match(s.Subject(), func(e *retainedEntry) {
				if x.hidden && e.subject[0] == '$' {
					return
				}
				e.until = now + int64(cacheTime)
				r.list = append(r.list, retained{x: x, subject: e.subject, seq: e.seq, gen: e.gen, msg: e.msg})
			})
		}
	}
	older := g.take(false)
	m.mu.Unlock()
	if len(older) > 0 {
		c.Send(older)
	}
	r.run()
}

// run sends a window of messages after those that have to be read were read.
func (r *replay) run() {
	if r.at == len(r.list) {
		r.done()
		return
	}
	part := r.list[r.at:min(len(r.list), r.at+loadWindow)]
	left := 0
	for i := range part {
		if part[i].msg == nil {
			left++
		}
	}
	if left == 0 {
		r.send(part)
		return
	}
	c := r.c
	for i := range part {
		e := &part[i]
		if e.msg != nil {
			continue
		}
		c.m.store.Load(c.LoopID(), StreamRetained, SubjectRetained+e.subject, WaiterFunc(func(res Result) {
			c.post(func() {
				c.loadedRetained(e, &res)
				if left--; left == 0 {
					r.send(part)
				}
			})
		}))
	}
}

// loadedRetained takes the answer of the storage.
func (c *Client) loadedRetained(e *retained, r *Result) {
	e.skip = true
	if r.Err != nil {
		c.Logf(engine.Warn, "RJ-Q019", "failed to load retained message for subject %q: %v", e.subject, r.Err)
		if r.NotFound() {
			c.m.mu.Lock()
			c.m.retained.missing(e.subject, e.gen, e.seq)
			c.m.mu.Unlock()
		}
		return
	}
	msg, err := decodeRetained(r.Msg.Header, r.Msg.Data)
	if err != nil {
		c.Logf(engine.Warn, "RJ-Q019", "failed to decode retained message for subject %q: %v", e.subject, err)
		return
	}
	if len(msg.payload) == 0 {
		return // being deleted
	}
	now := c.svc.now()
	c.m.mu.Lock()
	e.skip = !c.m.retained.loaded(e.subject, e.gen, r.Msg.Seq, msg, now)
	c.m.mu.Unlock()
	e.msg = msg
}

// send sends a window, and goes on when the client keeps up.
func (r *replay) send(part []retained) {
	c := r.c
	for i := range part {
		if e := &part[i]; !e.skip {
			c.sendRetainedMsg(e)
		}
		part[i].msg = nil
	}
	r.at += len(part)
	if c.Slow() {
		r.wait()
		return
	}
	r.run()
}

func (r *replay) wait() {
	r.c.Net().Loop().After(drainPause, func() {
		switch c := r.c; {
		case c.Closing():
			c.unlock()
			if c.gone {
				c.leave()
			}
		case c.Slow():
			r.wait()
		default:
			r.run()
		}
	})
}

func (c *Client) sendRetainedMsg(e *retained) {
	if e.x.denied([]byte(e.subject)) {
		return
	}
	qos := min(mqtt.QoS(e.msg.flags), byte(e.x.qos.Load()))
	if qos == 2 && c.svc.mqttOptions().RejectQoS2 {
		c.Logf(engine.Warn, "RJ-Q020", "Rejecting retained message with QoS2 for subscription %q, as configured", e.x.sid)
		return
	}
	id := uint16(0)
	if qos > 0 {
		c.sess.mu.Lock()
		if c.sess.owner == c {
			id = c.sess.inflight.trackRetained(retainedKey(e.x.sid), qos)
		}
		c.sess.mu.Unlock()
		if id == 0 {
			qos = 0 // no identifier is free
		}
	}
	out, from := c.Out(), c.LoopID()
	b := out.Begin(from, len(e.subject)+len(e.msg.payload)+mqtt.PublishRoom)
	b = mqtt.AppendPublishFor(b, qos<<1|mqtt.FlagRetain, []byte(e.subject), id, len(e.msg.payload))
	out.End(from, append(b, e.msg.payload...), 1)
	if c.Lane().Trace {
		c.traceOut([]byte(e.subject), qos<<1|mqtt.FlagRetain, id, len(e.msg.payload))
	}
}
