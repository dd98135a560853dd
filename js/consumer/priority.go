package consumer

import (
	"slices"
	"time"

	"ramjet/proto/jsapi"
)

const defaultPinTimeout = 2 * time.Minute

// pinned is the client a pinned_client consumer sticks to.
type pinned struct {
	id    string // "" = nobody
	since int64
	due   int64 // gives up the client if it asks for nothing until then
}

func (p *pinned) clear() { *p = pinned{} }

// renew notes a request of the pinned client.
func (p *pinned) renew(now int64, timeout time.Duration) {
	if p.id == "" {
		return
	}
	if timeout <= 0 {
		timeout = defaultPinTimeout
	}
	p.due = now + int64(timeout)
}

// checkPriority returns the status that refuses a request because of its priority fields.
func (c *Consumer) checkPriority(r *jsapi.NextRequest) (code int, text string) {
	policy := c.cfg.PriorityPolicy
	switch {
	case policy != jsapi.PriorityOverflow && (r.MinPending > 0 || r.MinAckPending > 0):
		return 400, textBadRequest + "Not a Overflow Priority consumer"
	case policy != jsapi.PriorityPinned && r.ID != "":
		return 400, textBadRequest + "Not a Pinned Client Priority consumer"
	case r.Priority < 0 || r.Priority > 9:
		return 400, textBadRequest + "Priority must be between 0 and 9"
	case policy == jsapi.PriorityNone || r.Plain:
		return 0, ""
	case r.Group == "":
		return 400, textBadRequest + "Priority Group missing"
	case !slices.Contains(c.cfg.PriorityGroups, r.Group):
		return 400, textBadRequest + "Invalid Priority Group"
	case r.ID != "" && c.pin.id != "" && r.ID != c.pin.id:
		return 423, textPinMismatch
	}
	return 0, ""
}

// pick returns the request that gets the message at hand, nilID if none may have it; again tells that it is a redelivery.
func (c *Consumer) pick(again bool) int32 {
	switch c.cfg.PriorityPolicy {
	case jsapi.PriorityOverflow:
		for id := c.wait.head; id != nilID; id = c.wait.at(id).next {
			if c.overflows(c.wait.at(id), again) {
				c.wait.rotate(id)
				return id
			}
		}
		return nilID
	case jsapi.PriorityPinned:
		return c.pickPinned()
	}
	return c.wait.head
}

// overflows reports whether a request may be served. A message that is redelivered is one of those that wait.
func (c *Consumer) overflows(w *waiter, again bool) bool {
	if w.minPend <= 0 && w.minAck <= 0 {
		return true
	}
	waiting := c.NumPending()
	if again {
		waiting++
	}
	return (w.minPend > 0 && waiting >= uint64(w.minPend)) || (w.minAck > 0 && int64(c.st.pending.n) >= w.minAck)
}

// pickPinned returns the first request of the pinned client, or who may become it; while there is one, requests outside of the group
// wait. Requests with an old pin end.
func (c *Consumer) pickPinned() int32 {
	for id := c.wait.head; id != nilID; {
		w := c.wait.at(id)
		next := w.next
		switch {
		case w.pin == c.pin.id:
			return id
		case w.pin != "":
			c.statusRest(w, 423, textWrongPin)
			c.wait.remove(id)
		}
		id = next
	}
	return nilID
}

// pinFor returns the pin id the next message to w carries.
func (c *Consumer) pinFor(w *waiter) (pin string, pinned bool) {
	switch {
	case c.cfg.PriorityPolicy != jsapi.PriorityPinned:
		return "", false
	case w.plain:
		return "", true
	case c.pin.id == "":
		return c.ids.Next(), true
	}
	return c.pin.id, true
}

// claim makes the client of w the pinned one, after it got a message with a new pin.
func (c *Consumer) claim(now int64, w *waiter, pin string) {
	if pin == "" || c.pin.id != "" {
		return
	}
	w.pin = pin
	c.pin = pinned{id: pin, since: now}
	c.pin.renew(now, c.cfg.PriorityTimeout)
	c.advise(Advice{Kind: AdvisePinned, Group: c.group(), Pin: pin})
}

func (c *Consumer) group() string {
	if len(c.cfg.PriorityGroups) == 0 {
		return ""
	}
	return c.cfg.PriorityGroups[0]
}

func (c *Consumer) unpin(reason string) {
	c.pin.clear()
	c.advise(Advice{Kind: AdviseUnpinned, Group: c.group(), Reason: []byte(reason)})
}

// Unpin gives up the pinned client of a group, by request; the error is what the API answers.
func (c *Consumer) Unpin(now int64, group string) error {
	switch {
	case group == "":
		return jsapi.InvalidJSON.With("err", "consumer group not specified")
	case !ValidGroup(group):
		return jsapi.ConsumerInvalidGroupName.Err()
	case !slices.Contains(c.cfg.PriorityGroups, group):
		return jsapi.ConsumerInvalidPriorityGroup.Err()
	}
	c.unpin("admin")
	c.Pump(now)
	return nil
}
