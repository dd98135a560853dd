package link

import (
	"strings"
	"time"

	"ramjet/engine"
	"ramjet/engine/interest"
	"ramjet/proto/sysapi"
)

// dropBatch is how many subscriptions of a closed connection leave the index in one step of a background
// job of the loop, so that a connection with a million of them does not stop the others.
const dropBatch = 64

// NumSubs returns the number of subscriptions. Any goroutine.
func (c *Conn) NumSubs() int { return int(c.nsubs.Load()) }

// Sub returns the subscription with the given sid, nil if there is none. Loop.
func (c *Conn) Sub(sid []byte) *interest.Sub { return c.subs.Get(sid) }

// AddSub inserts s into the account's index and the sid table. The error is subject.ErrInvalid. Loop.
func (c *Conn) AddSub(s *interest.Sub) error {
	if err := c.Account().Index().Insert(s); err != nil {
		return err
	}
	c.subs.Put(s)
	c.nsubs.Add(1)
	if u := c.User(); s.HasWildcard() && u != nil && u.Perms != nil && u.Perms.FiltersDelivery([]byte(s.Subject())) {
		c.flags.Or(flagFilter)
	}
	return nil
}

// ReplaceSub is AddSub of s in the place of old, which has the same sid, subject and queue group. Loop.
func (c *Conn) ReplaceSub(old, s *interest.Sub) error {
	if err := c.Account().Index().Replace(old, s); err != nil {
		return err
	}
	c.subs.Delete([]byte(old.SID()))
	c.subs.Put(s)
	return nil
}

// RemoveSub removes s from the index and the sid table. Loop.
func (c *Conn) RemoveSub(s *interest.Sub) {
	s.Close()
	if c.subs.Delete([]byte(s.SID())) != nil {
		c.nsubs.Add(-1)
	}
	if a := c.Account(); a != nil {
		a.Index().Remove(s)
	}
}

// Limit sets the auto-unsubscribe limit of s; it is removed at once when that many were delivered. Loop.
func (c *Conn) Limit(s *interest.Sub, limit int64) {
	s.SetMax(limit)
	if s.Delivered() >= limit {
		c.RemoveSub(s)
	}
}

// expireSub removes s, whose last message producer from has just delivered: from the index at once,
// because its interest has ended, from the sid table on the owning loop.
func (c *Conn) expireSub(from engine.LoopID, s *interest.Sub) {
	if from == c.loop {
		c.traceDel(s)
		c.RemoveSub(s)
		return
	}
	s.Close()
	if a := c.Account(); a != nil {
		a.Index().Remove(s)
	}
	c.nc.Loop().PostFrom(from, func() {
		c.traceDel(s)
		sid := []byte(s.SID())
		if c.subs.Get(sid) == s {
			c.subs.Delete(sid)
			c.nsubs.Add(-1)
		}
	})
}

// traceDel logs the removal of an auto-unsubscribed subscription.
func (c *Conn) traceDel(s *interest.Sub) {
	if c.env.Logger.Enabled(engine.Trace) {
		c.Logf(engine.Trace, "", "<-> [DELSUB %s]", s.SID())
	}
}

// RangeSubs calls fn for each subscription until it returns false; fn may not change the table. Loop.
func (c *Conn) RangeSubs(fn func(*interest.Sub) bool) { c.subs.Range(fn) }

// ClearSubs removes every subscription, large sets in slices of the loop's time. Loop.
func (c *Conn) ClearSubs() {
	if c.subs.Len() == 0 {
		return
	}
	all := make([]*interest.Sub, 0, c.subs.Len())
	c.subs.Range(func(s *interest.Sub) bool {
		s.Close()
		all = append(all, s)
		return true
	})
	c.subs = interest.SidTable{}
	c.nsubs.Store(0)
	c.flags.And(^flagFilter)
	if a := c.Account(); a != nil {
		c.unindex(a.Index(), all)
	}
}

// unindex removes the subscriptions of all from x, a batch now and the rest in the background.
func (c *Conn) unindex(x *interest.Index, all []*interest.Sub) {
	n := min(len(all), dropBatch)
	for _, s := range all[:n] {
		x.Remove(s)
	}
	rest := all[n:]
	if len(rest) == 0 {
		return
	}
	step := func() bool {
		n := min(len(rest), dropBatch)
		for _, s := range rest[:n] {
			x.Remove(s)
		}
		clear(rest[:n])
		rest = rest[n:]
		return len(rest) > 0
	}
	if !c.nc.Loop().Background(step) {
		for step() { // the loop has stopped: nobody is kept waiting
		}
	}
}

// SubDetail fills d with the monitoring view of s.
func (c *Conn) SubDetail(d *sysapi.SubDetail, s *interest.Sub) {
	*d = sysapi.SubDetail{
		// cloned: the text shares the allocation of s, which would pin the connection
		Subject: strings.Clone(s.Subject()), Queue: strings.Clone(s.Queue()), Sid: strings.Clone(s.SID()),
		Msgs: s.Delivered(), Max: s.Max(), Cid: c.id,
	}
	if a := c.Account(); a != nil {
		d.Account = a.Name()
	}
}

// Subs calls fn for each subscription, on the owning loop, and returns when done or after timeout.
// Any goroutine but a loop.
func (c *Conn) Subs(timeout time.Duration, fn func(*sysapi.SubDetail)) {
	done := make(chan struct{})
	expired := make(chan struct{})
	posted := c.nc.Loop().Post(func() {
		defer close(done)
		select {
		case <-expired:
			return // the caller has gone, fn may not be called any more
		default:
		}
		var d sysapi.SubDetail
		c.subs.Range(func(s *interest.Sub) bool {
			c.SubDetail(&d, s)
			fn(&d)
			return true
		})
	})
	if !posted {
		return
	}
	fired := make(chan struct{})
	t := c.env.Clock.AfterFunc(timeout, func() { close(fired) })
	defer t.Stop()
	select {
	case <-done:
	case <-fired:
		close(expired)
	}
}

// RefreshFilter sets or clears the per-delivery permission test after permissions changed. Loop.
func (c *Conn) RefreshFilter() {
	on := false
	if u := c.User(); u != nil && u.Perms != nil {
		c.subs.Range(func(s *interest.Sub) bool {
			on = s.HasWildcard() && u.Perms.FiltersDelivery([]byte(s.Subject()))
			return !on
		})
	}
	c.setFlag(flagFilter, on)
}
