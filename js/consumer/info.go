package consumer

import (
	"time"

	"ramjet/proto/jsapi"
)

func (p Pair) info() jsapi.SequenceInfo {
	i := jsapi.SequenceInfo{Consumer: p.Consumer, Stream: p.Stream}
	if p.At != 0 {
		t := time.Unix(0, p.At).UTC()
		i.Last = &t
	}
	return i
}

// Info returns the state as the API shows it; Cluster is left to the host. The configuration is a copy, without a name
// for those that were created without one (legacy).
func (c *Consumer) Info(now int64) *jsapi.ConsumerInfo {
	c.dropUninterested()
	cfg := c.cfg
	i := &jsapi.ConsumerInfo{
		Stream: c.env.Stream, Name: c.env.Name, Created: c.env.Created, Config: &cfg,
		Delivered: c.st.delivered.info(), AckFloor: c.st.floor.info(),
		NumAckPending: c.st.NumAckPending(), NumRedelivered: c.st.NumRedelivered(),
		NumWaiting: c.wait.n, NumPending: c.NumPending(),
		PushBound: !cfg.Pull() && c.push.interest,
		TimeStamp: time.Unix(0, now).UTC(),
	}
	if i.Delivered.Consumer == 0 && i.Delivered.Stream == 0 {
		i.Delivered.Stream = c.seen() // nothing delivered yet: how far it has looked
	}
	if cfg.MaxDeliver == 1 {
		i.NumRedelivered = 0
	}
	if c.paused > now {
		i.Paused, i.PauseRemaining = true, time.Duration(c.paused-now)
	}
	if cfg.PriorityPolicy != jsapi.PriorityNone && len(cfg.PriorityGroups) > 0 {
		g := jsapi.PriorityGroupState{Group: c.group(), PinnedTS: new(time.Time)} // the zero time is shown
		if c.pin.id != "" {
			g.PinnedClientID, *g.PinnedTS = c.pin.id, time.Unix(0, c.pin.since).UTC()
		}
		i.PriorityGroups = []jsapi.PriorityGroupState{g}
	}
	return i
}
