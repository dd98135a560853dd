package host

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"

	"ramjet/js/consumer"
	"ramjet/proto/jsapi"
	scons "ramjet/store/consumer"
	"ramjet/store/journal"

	"encoding/json"
)

var errExtra = errors.New("host: state of a stream is damaged")

// appendExtra encodes what the checkpoint of a stream keeps beside the log: the configuration as of then, which replay starts
// with, and the state of the machine.
func (s *Stream) appendExtra(dst []byte) []byte {
	cfg := marshal(s.m.Config())
	dst = append(binary.AppendUvarint(dst, uint64(len(cfg))), cfg...)
	return s.m.AppendState(dst)
}

// parseExtra reads that; known is a configuration that need not be parsed again if its JSON is the same.
func parseExtra(b []byte, known *jsapi.StreamConfig, raw []byte) (cfg *jsapi.StreamConfig, state []byte, err error) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)-k) {
		return nil, nil, errExtra
	}
	conf, state := b[k:k+int(n)], b[k+int(n):]
	if bytes.Equal(conf, raw) {
		return known, state, nil
	}
	cfg = &jsapi.StreamConfig{}
	if json.Unmarshal(conf, cfg) != nil {
		return nil, nil, errExtra
	}
	return cfg, state, nil
}

// scheduleCheckpoint begins a checkpoint when much was journaled since the last one, else makes sure that one comes.
func (s *Stream) scheduleCheckpoint() {
	switch {
	case s.since >= s.h.o.CheckpointAt:
		s.checkpoint()
	case !s.ckTimer.Armed():
		s.ckTimer.Owner, s.ckTimer.ID = s, timerCheckpoint
		s.sh.wheel.Arm(&s.ckTimer, s.sh.now+int64(s.h.o.CheckpointAge))
	}
}

// covered returns up to where the journal is not needed after a checkpoint of the present state: to its head when nothing
// is on the way, because rewritten copies of old records lie there too.
func (s *Stream) covered() journal.Pos {
	if s.inflight == 0 {
		return s.h.journal.Stats().Head
	}
	return s.pos
}

// checkpoint makes the applied state durable in files of the stream and releases the journal up to it.
func (s *Stream) checkpoint() { s.checkpointThen(func(error) {}) }

// checkpointThen does so and calls done, on any goroutine, when the state as of now is durable.
func (s *Stream) checkpointThen(done func(error)) {
	if s.store == nil || s.gone || s.ending || s.broken != nil || (s.since == 0 && !s.ckBusy) {
		done(s.broken)
		return
	}
	if s.ckBusy {
		s.ckAgain = true
		s.ckWait = append(s.ckWait, done)
		return
	}
	s.sh.wheel.Cancel(&s.ckTimer)
	s.ckBusy, s.ckAgain, s.since = true, false, 0
	pos := s.covered()
	s.store.Checkpoint(s.applied, s.appendExtra(nil), func(err error) {
		if err == nil {
			s.h.journal.Release(s.group, pos)
		}
		s.sh.post(func() {
			s.ckBusy = false
			if err != nil {
				s.since++ // what is in the journal still has to be covered
			}
			wait := s.ckWait
			s.ckWait = nil
			switch {
			case s.gone:
			case s.ckAgain && err == nil:
				s.checkpointThen(func(err error) {
					for _, fn := range wait {
						fn(err)
					}
				})
				return
			case s.since > 0:
				s.scheduleCheckpoint()
			}
			for _, fn := range wait {
				fn(err)
			}
		})
		done(err)
	})
}

func (c *Consumer) scheduleCheckpoint() {
	switch {
	case c.since >= c.st.h.o.CheckpointAt:
		c.checkpoint()
	case !c.ckTimer.Armed():
		c.ckTimer.Owner, c.ckTimer.ID = c, timerCheckpoint
		c.st.sh.wheel.Arm(&c.ckTimer, c.st.sh.now+int64(c.st.h.o.CheckpointAge))
	}
}

// checkpoint writes the state file and releases the journal. The state may be ahead of the journal's last sync, never behind the
// records it replaces: everything of the group that lies before the head was appended by this goroutine.
func (c *Consumer) checkpoint() { c.checkpointThen(func() {}) }

// checkpointThen does so and calls done, on any goroutine, when the state as of now is in the file, or will not be.
func (c *Consumer) checkpointThen(done func()) {
	switch {
	case c.volatile() || c.gone || c.ending || c.st.ending || (c.since == 0 && !c.ckBusy):
		done()
		return
	case c.ckBusy:
		c.ckWait = append(c.ckWait, done)
		return
	}
	h, sh := c.st.h, c.st.sh
	sh.wheel.Cancel(&c.ckTimer)
	c.ckBusy, c.since = true, 0
	index, pos := c.index, h.journal.Stats().Head
	state := &scons.State{Applied: index, Extra: c.eng.State().AppendSnapshot(nil)}
	h.making.Add(1)
	h.env.Go(func() {
		defer h.making.Done()
		var err error
		h.writes.run(func() { err = c.saveState(state) })
		if err == nil {
			h.journal.Release(c.group, pos)
		}
		sh.post(func() {
			c.ckBusy = false
			if err != nil {
				c.since++
			}
			wait := c.ckWait
			c.ckWait = nil
			if len(wait) > 0 && err == nil && !c.gone {
				c.checkpointThen(func() {
					for _, fn := range wait {
						fn()
					}
				})
			} else {
				for _, fn := range wait {
					fn()
				}
			}
			if c.since > 0 && !c.gone && !c.ckBusy {
				c.scheduleCheckpoint()
			}
		})
		done()
	})
}

// restore reads the state file; as long as there was none the consumer starts with its first record in the journal. One that does not verify,
// or is lost, is an error: a consumer that starts anew would deliver everything again.
func (c *Consumer) restore(policy jsapi.AckPolicy) error {
	c.files.made = true
	c.marked = c.st.h.cat.HasState(c.st.acct.name, c.st.name, c.name)
	f, err := scons.Load(c.st.h.env.FS, c.st.h.cat.ConsumerState(c.st.acct.name, c.st.name, c.name), c.st.codec)
	if errors.Is(err, fs.ErrNotExist) && !c.marked {
		c.state = consumer.NewState(policy)
		return nil
	}
	if err != nil {
		return err
	}
	c.state, err = consumer.DecodeSnapshot(f.Extra)
	c.index = f.Applied
	return err
}

// restoreNew makes the state of a consumer that has no files yet.
func (c *Consumer) restoreNew() { c.state = consumer.NewState(c.conf.Load().AckPolicy) }
