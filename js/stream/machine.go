package stream

import (
	"encoding/json"

	"ramjet/js/op"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
	"ramjet/store"
)

// Machine is the state of a stream beyond its log, and what commands do to both. The same commands on equal logs give
// equal states and effects. Owner: the shard of the stream.
type Machine struct {
	cfg      jsapi.StreamConfig
	log      Log
	retainer Retainer
	leader   bool

	dedupe   dedupe
	lastID   []byte // id of the last stored message
	lastTime int64  // time of the last message or skip
	sched    schedules
	sourced  sourced
	republ   *subject.Transform
	applied  uint64

	recheck []released

	rec   store.Rec // scratch
	state store.State
	hdr   []byte
	subj  []byte
}

// NewMachine returns the machine of a stream over its log. cfg is normalised. Call Rebuild or Restore next if the log
// has messages.
func NewMachine(cfg *jsapi.StreamConfig, log Log, r Retainer) *Machine {
	m := &Machine{log: log, retainer: r}
	log.State(&m.state)
	if cfg.FirstSeq > 1 && m.state.LastSeq == 0 {
		_ = log.SkipTo(cfg.FirstSeq - 1) // an error shows at the first append
	}
	m.configure(cfg, 0)
	return m
}

// Config returns the configuration in force; it must not be modified.
func (m *Machine) Config() *jsapi.StreamConfig { return &m.cfg }

// Log returns the log of the stream.
func (m *Machine) Log() Log { return m.log }

// Applied returns the index of the last applied command.
func (m *Machine) Applied() uint64 { return m.applied }

// SetLeader says whether this replica republishes. Everything else is the same on all replicas.
func (m *Machine) SetLeader(on bool) { m.leader = on }

// configure takes over cfg at now.
func (m *Machine) configure(cfg *jsapi.StreamConfig, now int64) {
	m.cfg = *cfg
	m.republ = nil
	if r := cfg.Republish; r != nil {
		if t, err := subject.NewTransform(r.Source, r.Destination); err == nil {
			m.republ = t
		}
	}
	m.dedupe.setWindow(int64(cfg.DuplicateWindow), now)
}

// Apply performs one command. It neither waits nor reads a clock; index is the position of its entry.
func (m *Machine) Apply(index uint64, c *op.Cmd, out *Effects) {
	m.applied = index
	switch c.Kind {
	case op.Msg:
		m.applyMsg(c, out)
	case op.Skip:
		m.applySkip(c, out)
	case op.SkipTo:
		if err := m.log.SkipTo(c.Seq); err != nil {
			m.fail(err, out)
		}
	case op.Remove:
		m.remove(c.Seq, c.Flags&op.FlagErase != 0, c.Flags&op.FlagLimit != 0, out)
	case op.Purge:
		m.applyPurge(c, out)
	case op.Expire:
		m.applyExpire(c.Time, out)
	case op.Config:
		m.applyConfig(c, out)
	}
}

func (m *Machine) fail(err error, out *Effects) {
	out.List = append(out.List, Effect{Kind: Failed, Err: err})
}

// remember notes id and time of a message that was stored or skipped.
func (m *Machine) remember(c *op.Cmd) {
	m.lastTime = max(m.lastTime, c.Time)
	m.dedupe.expire(c.Time)
	if len(c.MsgID) > 0 && m.cfg.Mirror == nil {
		m.dedupe.add(c.MsgID, c.Seq, c.Time)
	}
}

func (m *Machine) applyMsg(c *op.Cmd, out *Effects) {
	m.rec = store.Rec{Seq: c.Seq, Time: c.Time, Subject: c.Subject, Header: c.Header, Payload: c.Payload, TTL: c.TTL}
	var prev uint64
	if m.leader && m.republ != nil {
		prev, _ = m.log.Last(c.Subject)
	}
	if err := m.log.Append(&m.rec); err != nil {
		m.fail(err, out)
		return
	}
	m.remember(c)
	m.lastID = append(m.lastID[:0], c.MsgID...)
	m.trackSource(c)
	out.List = append(out.List, Effect{Kind: Stored, Seq: c.Seq, Subject: out.copy(c.Subject)})
	m.enforce(c.Subject, out) // before the roll-up: what both would remove counts twice
	m.rollup(c, out)
	if m.cfg.AllowMsgSchedules {
		m.trackSchedule(c, out)
	}
	if m.leader && m.republ != nil {
		m.republish(c, prev, out)
	}
}

func (m *Machine) applySkip(c *op.Cmd, out *Effects) {
	if err := m.log.SkipTo(c.Seq); err != nil {
		m.fail(err, out)
		return
	}
	m.remember(c)
	m.lastID = append(m.lastID[:0], c.MsgID...)
	m.rollup(c, out)
}

// rollup removes what a message with a roll-up header replaces.
func (m *Machine) rollup(c *op.Cmd, out *Effects) {
	switch {
	case c.Flags&op.FlagRollupAll != 0:
		m.purge(store.Purge{Below: c.Seq}, out)
	case c.Flags&op.FlagRollupSub != 0:
		n := m.log.Count(c.Subject)
		if n == 0 || n == 1 && c.Kind == op.Msg {
			return
		}
		p := store.Purge{Below: c.Seq, Filter: &store.Filter{Patterns: []string{string(c.Subject)}}}
		if n > rollupFew {
			m.purge(p, out)
		} else {
			m.purgeFew(p, c.Subject, out)
		}
	}
}

// rollupFew is how many messages a roll-up may remove one by one, as far as consumers are concerned: they do not count anew then.
const rollupFew = 256

// purgeFew is purge of few messages, all on subj.
func (m *Machine) purgeFew(p store.Purge, subj []byte, out *Effects) {
	at := len(out.seqs)
	n := m.log.Purge(&p, func(seq uint64) {
		out.seqs = append(out.seqs, seq)
		if m.cfg.AllowMsgSchedules {
			m.sched.dropSeq(seq)
		}
	})
	seqs := out.seqs[at:len(out.seqs):len(out.seqs)]
	out.List = append(out.List, Effect{Kind: Purged, Seq: n, Purge: p, Subject: out.copy(subj), Seqs: seqs})
}

func (m *Machine) applyPurge(c *op.Cmd, out *Effects) {
	p := store.Purge{Below: c.Seq, Keep: c.Keep}
	if len(c.Subject) > 0 {
		p.Filter = &store.Filter{Patterns: []string{string(c.Subject)}}
	}
	m.purge(p, out)
}

func (m *Machine) purge(p store.Purge, out *Effects) {
	n := m.log.Purge(&p, nil)
	if m.cfg.AllowMsgSchedules {
		m.sched.prune(m.log)
	}
	e := Effect{Kind: Purged, Seq: n, Purge: p}
	out.List = append(out.List, e)
}

// remove deletes one message.
func (m *Machine) remove(seq uint64, erase, limit bool, out *Effects) bool {
	if m.cfg.AllowMsgSchedules {
		m.sched.dropSeq(seq)
	}
	var subj []byte
	if s, ok := m.log.(Subjecter); ok {
		subj = out.copy(s.Subject(seq))
	}
	if !m.log.Remove(seq, erase) {
		return false
	}
	out.List = append(out.List, Effect{Kind: Removed, Seq: seq, Subject: subj, Limit: limit})
	return true
}

// enforce removes what is above the limits after a message on subj was stored.
func (m *Machine) enforce(subj []byte, out *Effects) {
	if most := m.cfg.MaxMsgsPerSubject; most > 0 {
		for m.log.Count(subj) > uint64(most) {
			seq, ok := m.log.First(subj)
			if !ok || !m.remove(seq, false, true, out) {
				break
			}
		}
	}
	m.trim(out)
}

// trim removes the oldest messages until count and bytes hold. A stream that refuses new messages keeps its old ones also when its
// limits become lower.
func (m *Machine) trim(out *Effects) {
	if m.cfg.Discard != jsapi.DiscardOld || m.cfg.MaxMsgs <= 0 && m.cfg.MaxBytes <= 0 {
		return
	}
	for {
		msgs, bytes, first, _ := m.size()
		over := m.cfg.MaxMsgs > 0 && msgs > uint64(m.cfg.MaxMsgs) || m.cfg.MaxBytes > 0 && bytes > uint64(m.cfg.MaxBytes)
		if !over || msgs == 0 || !m.remove(first, false, true, out) {
			return
		}
	}
}

// size returns the size of the log.
func (m *Machine) size() (msgs, bytes, first, last uint64) {
	if s, ok := m.log.(Sizer); ok {
		return s.Size()
	}
	m.log.State(&m.state)
	return m.state.Msgs, m.state.Bytes, m.state.FirstSeq, m.state.LastSeq
}

// applyExpire removes what is too old at now. Markers are commands of their own.
func (m *Machine) applyExpire(now int64, out *Effects) {
	x, ok := m.log.(Expirer)
	if !ok {
		return
	}
	m.dedupe.expire(now)
	if m.cfg.AllowMsgTTL {
		x.Expire(now, func(seq uint64) bool { m.remove(seq, false, true, out); return true })
	}
	if m.cfg.MaxAge > 0 {
		cut := m.log.SeqAt(now - int64(m.cfg.MaxAge) + 1)
		for seq, more := x.Aged(0, cut); more; seq, more = x.Aged(seq+1, cut) {
			m.remove(seq, false, true, out)
		}
	}
}

func (m *Machine) applyConfig(c *op.Cmd, out *Effects) {
	var cfg jsapi.StreamConfig
	if err := json.Unmarshal(c.Payload, &cfg); err != nil {
		m.fail(err, out)
		return
	}
	old := m.cfg
	m.configure(&cfg, max(m.lastTime, c.Time))
	if old.Mirror != nil && cfg.Mirror == nil {
		_, _, _, m.sourced.unknown = m.size() // the sources of the origin are in what is stored
	}
	m.sourced.configured(&cfg)
	if most := cfg.MaxMsgsPerSubject; most > 0 && (old.MaxMsgsPerSubject <= 0 || most < old.MaxMsgsPerSubject) {
		m.trimSubjects(uint64(most), out)
	}
	m.trim(out)
	if cfg.Retention == jsapi.InterestRetention && old.Retention != jsapi.InterestRetention {
		m.Sweep(out)
	}
	if cfg.SubjectDeleteMarkerTTL == 0 { // else the leader decides, for the markers' sake
		m.applyExpire(c.Time, out)
	}
	out.List = append(out.List, Effect{Kind: Configured})
}

// trimSubjects keeps the newest most messages of each subject.
func (m *Machine) trimSubjects(most uint64, out *Effects) {
	type excess struct {
		subj []byte
		n    uint64
	}
	var list []excess
	m.log.Subjects(nil, func(s []byte, count, _ uint64) bool {
		if count > most {
			list = append(list, excess{append([]byte(nil), s...), count - most})
		}
		return true
	})
	for _, e := range list {
		for ; e.n > 0; e.n-- {
			seq, ok := m.log.First(e.subj)
			if !ok || !m.remove(seq, false, true, out) {
				break
			}
		}
	}
}

// retains reports whether consumers decide how long messages live.
func (m *Machine) retains() bool { return m.cfg.Retention != jsapi.LimitsRetention }

// Rebuild restores from the log what a checkpoint would have held: the dedupe window, the last id, schedules, and the
// positions of sources as far as this does not need older messages (Sourced tells). now is the time of recovery in unix
// nanoseconds.
func (m *Machine) Rebuild(now int64) {
	m.dedupe.fifo = fifo{}
	m.lastID = m.lastID[:0]
	m.log.State(&m.state)
	m.lastTime = max(m.lastTime, m.state.LastTime)
	from := m.log.SeqAt(now - m.dedupe.window)
	if m.cfg.AllowMsgSchedules {
		m.sched = schedules{}
		from = 0
	}
	m.sourced = sourced{}
	if m.state.Msgs > 0 && from > m.state.FirstSeq {
		m.sourced.unknown = min(from-1, m.state.LastSeq)
	}
	var drop Effects
	for a := m.log.NextNow(nil, from, &m.rec); a != store.None; a = m.log.NextNow(nil, from, &m.rec) {
		r := m.rec
		from = r.Seq + 1
		if a != store.Hit {
			continue
		}
		if id := header.Get(r.Header, jsapi.HdrMsgID); len(id) > 0 && m.cfg.Mirror == nil && now-r.Time < m.dedupe.window {
			m.dedupe.add(id, r.Seq, r.Time)
		}
		if m.cfg.Mirror == nil {
			m.sourced.track(r.Seq, r.Header)
		}
		if m.cfg.AllowMsgSchedules {
			m.trackSchedule(&op.Cmd{Kind: op.Msg, Flags: op.FlagSourced, Seq: r.Seq, Time: r.Time, Subject: r.Subject, Header: r.Header}, &drop)
		}
	}
	if m.log.LoadNow(m.state.LastSeq, &m.rec) == store.Hit {
		m.lastID = append(m.lastID[:0], header.Get(m.rec.Header, jsapi.HdrMsgID)...)
	}
}
