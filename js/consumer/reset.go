package consumer

import (
	"errors"

	"ramjet/proto/jsapi"
)

// Reset moves the consumer to seq, or with 0 back to its ack floor, as if it were new (reference/jetstream/consumer.md,
// section 7). It returns the sequence it stands at; the error is what the API answers. What it passes over stays in the stream, so that
// another reset can go back. Call Pump afterwards.
func (c *Consumer) Reset(now int64, seq uint64) (uint64, error) {
	if seq == 0 {
		seq = c.st.floor.Stream + 1
	} else if err := c.resettable(seq); err != nil {
		return 0, jsapi.ConsumerInvalidReset.Wrap(err)
	}
	c.sched.clear()
	c.st.reset(seq)
	c.enc.op(cmdReset, seq)
	c.scan, c.counted = seq, false
	c.replay = replay{}
	c.flow.reset()
	c.active = now
	return seq, nil
}

func (c *Consumer) resettable(seq uint64) error {
	if seq >= gone {
		return errors.New("not allowed")
	}
	switch c.cfg.DeliverPolicy {
	case jsapi.DeliverAll:
		return nil
	case jsapi.DeliverByStartSequence:
		if seq < c.cfg.OptStartSeq {
			return errors.New("below start seq")
		}
		return nil
	case jsapi.DeliverByStartTime:
		if c.cfg.OptStartTime != nil && seq < c.env.Log.SeqAt(c.cfg.OptStartTime.UnixNano()) {
			return errors.New("below start time")
		}
		return nil
	}
	return errors.New("not allowed")
}
