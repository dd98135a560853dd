package host

import (
	"ramjet/js/source"
	"ramjet/js/stream"
	"ramjet/proto/jsapi"
)

// sourcing runs the mirror or the sources of a stream: it is the source.Sink of the engine. Owner: the shard.
type sourcing struct {
	s      *Stream
	eng    *source.Engine
	listen map[uint64]func()
	direct subscriptions // of a mirror that answers direct gets of its origin
}

// fed takes a message of an origin. What a full inbox refuses is missing in the sequence, and asked for again.
func (s *Stream) fed(id uint64, p *packet) {
	if s.gone || s.src == nil {
		return
	}
	s.src.eng.Deliver(s.sh.now, id, &source.Msg{Subject: p.subject, Reply: p.reply, Header: p.header, Payload: p.payload})
	s.markDirty()
}

// Listen implements source.Sink.
func (x *sourcing) Listen(id uint64, subject string) {
	s := x.s
	cancel, err := s.sh.bus.Subscribe(s.acct.name, subject, "", &port{sh: s.sh, st: s, kind: itemFeed, feed: id})
	if err != nil {
		x.Warn("stream '" + s.name + "': " + err.Error())
		return // silence makes the engine try again
	}
	x.listen[id] = cancel
}

// Unlisten implements source.Sink.
func (x *sourcing) Unlisten(id uint64) {
	if cancel := x.listen[id]; cancel != nil {
		cancel()
		delete(x.listen, id)
	}
}

// Publish implements source.Sink.
func (x *sourcing) Publish(subject, reply string, hdr, payload []byte) {
	x.s.sh.bus.Publish(x.s.acct.name, []byte(subject), []byte(reply), hdr, payload)
}

// Store implements source.Sink.
func (x *sourcing) Store(in *stream.Inbound) (last uint64, err *jsapi.Error) {
	s := x.s
	err = s.take(in)
	return s.f.LastSeq(), err
}

// SkipTo implements source.Sink.
func (x *sourcing) SkipTo(seq uint64) {
	x.s.f.SkipTo(seq, x.s.batch)
	x.s.markDirty()
}

// CaughtUp implements source.Sink.
func (x *sourcing) CaughtUp(on bool) {
	s := x.s
	cfg := s.conf.Load()
	x.direct.cancel()
	if !on || cfg.Mirror == nil || !cfg.MirrorDirect || cfg.Mirror.External != nil {
		return
	}
	if x.direct == nil {
		x.direct = subscriptions{}
	}
	for _, subj := range directSubjects(cfg.Mirror.Name) {
		if cancel, err := s.sh.bus.Subscribe(s.acct.name, subj, jsapi.DirectQueue, &port{sh: s.sh, st: s, kind: itemDirect}); err == nil {
			x.direct[subj] = cancel
		}
	}
}

// Warn implements source.Sink.
func (x *sourcing) Warn(text string) {
	x.s.h.env.Events.log(idSource, "account '%s': %s", x.s.acct.name, text)
}

// follow starts, changes or keeps the engine as the configuration wants. Shard.
func (s *Stream) follow() {
	cfg := s.m.Config()
	switch {
	case s.gone || !s.follows:
	case s.src != nil:
		s.src.eng.Update(s.sh.now)
	case cfg.Mirror != nil || len(cfg.Sources) > 0:
		s.src = &sourcing{s: s, listen: map[uint64]func(){}}
		s.src.eng = source.New(source.Env{Account: s.acct.name, Domain: s.h.o.Domain, Rand: s.sh.rand.Fork()}, s.m, s.src, s.sh.now)
	}
	s.markDirty()
}

// startSources begins to follow the origins of a mirror or of sources. Under the account's lock.
func (s *Stream) startSources() {
	s.sh.call(func() {
		if !s.follows {
			s.follows = true
			s.follow()
		}
	})
}

// stopSources ends that; deleted tells that the stream will be deleted.
func (s *Stream) stopSources(deleted bool) {
	s.sh.call(func() {
		s.follows = false
		if s.src != nil {
			s.src.eng.Close(deleted)
			s.src = nil
			s.sh.wheel.Cancel(&s.srcTimer)
		}
	})
}

// armSources makes the wheel wake the engine when it has something to do.
func (s *Stream) armSources() {
	at, ok := s.src.eng.Deadline()
	if !ok {
		s.sh.wheel.Cancel(&s.srcTimer)
		return
	}
	s.srcTimer.Owner, s.srcTimer.ID = s, timerSource
	s.sh.wheel.Arm(&s.srcTimer, at)
}

func (s *Stream) sourceInfo(i *jsapi.StreamInfo) {
	if s.src != nil {
		i.Mirror, i.Sources = s.src.eng.Mirror(s.sh.now), s.src.eng.Sources(s.sh.now)
	}
}
