package host

import (
	"maps"
	"sync"

	"ramjet/store/journal"
)

const (
	replayBytes = 256 << 10 // payloads that go to a lane at once
	replayAhead = 4         // such batches that wait for a lane
)

// replayer hands the records of the journal to lanes. A stream, with its consumers and everything that was ever decided under its name, has
// one lane, so that its records stay in order; those of different lanes are applied in parallel. Owner: the reader of the journal.
type replayer struct {
	h       *Host
	lanes   []*lane // of the shards
	byShard map[*Shard]*lane
	byGroup map[journal.GroupID]*lane
	byName  map[string]*lane
	unknown map[journal.GroupID]bool
	next    int // lane of the next new name
	ended   bool
}

// lane applies the records of the streams of one shard. Owner: its goroutine, and whoever has drained it.
type lane struct {
	sh      *Shard
	decided *replayed
	unknown map[journal.GroupID]bool
	work    chan *replayBatch
	free    chan *replayBatch
	open    *replayBatch   // the reader's
	pending sync.WaitGroup // batches on the way
}

// replayBatch is records with copies of their payloads.
type replayBatch struct {
	list  []journal.Record
	bytes []byte
}

func newReplayer(h *Host) *replayer {
	p := &replayer{h: h, byShard: map[*Shard]*lane{}, byGroup: map[journal.GroupID]*lane{}, byName: map[string]*lane{}, unknown: map[journal.GroupID]bool{}}
	for _, sh := range h.shards {
		l := &lane{sh: sh, decided: newReplayed(), unknown: map[journal.GroupID]bool{}, work: make(chan *replayBatch, replayAhead), free: make(chan *replayBatch, replayAhead+1)}
		p.lanes, p.byShard[sh] = append(p.lanes, l), l
		go l.run(h)
	}
	for _, a := range h.all() {
		for _, s := range a.list() {
			p.byName[laneName(a.name, s.name)] = p.byShard[s.sh]
		}
		a.sorted = nil // in order again when all are there
	}
	for g, owner := range h.groups.owner {
		switch o := owner.(type) {
		case *Stream:
			p.byGroup[g] = p.byShard[o.sh]
		case *Consumer:
			p.byGroup[g] = p.byShard[o.st.sh]
		}
	}
	return p
}

func laneName(account, stream string) string { return account + "\x00" + stream }

// take takes a record of the journal.
func (p *replayer) take(r *journal.Record) {
	p.h.recovery.Records++
	l := p.byGroup[r.Group]
	if r.Kind == journal.KindCatalog {
		l = p.laneOfDecision(r)
	}
	if l == nil {
		p.unknown[r.Group] = true
		return
	}
	l.add(r)
}

// laneOfDecision returns the lane of the name that was decided about.
func (p *replayer) laneOfDecision(r *journal.Record) *lane {
	d, err := parseDecision(r.Payload)
	if err != nil {
		return p.lanes[0] // which will report it
	}
	name := laneName(d.account, d.stream)
	l := p.byName[name]
	if l == nil {
		l = p.lanes[p.next]
		p.next = (p.next + 1) % len(p.lanes)
		p.byName[name] = l
	}
	if p.byGroup[r.Group] == nil {
		p.byGroup[r.Group] = l
	}
	return l
}

// drain waits until everything that was taken is applied.
func (p *replayer) drain() {
	for _, l := range p.lanes {
		l.flush()
	}
	for _, l := range p.lanes {
		l.pending.Wait()
	}
}

// damaged notes damage: what was taken before it was applied without knowing of it.
func (p *replayer) damaged(d journal.Damage) {
	if !p.ended {
		p.drain()
	}
	p.h.onJournalDamage(d)
}

// end ends the lanes and returns what was decided, and the groups whose owner was not there.
func (p *replayer) end() (*replayed, map[journal.GroupID]bool) {
	p.drain()
	p.ended = true
	all := newReplayed()
	for _, l := range p.lanes {
		close(l.work)
		maps.Copy(all.ended, l.decided.ended)
		maps.Copy(all.parents, l.decided.parents)
		all.hidden = append(all.hidden, l.decided.hidden...)
		maps.Copy(p.unknown, l.unknown)
	}
	return all, p.unknown
}

// add copies a record into the open batch of a lane. Reader.
func (l *lane) add(r *journal.Record) {
	b := l.open
	if b != nil && len(b.bytes)+len(r.Payload) > cap(b.bytes) {
		l.flush()
		b = nil
	}
	if b == nil {
		select {
		case b = <-l.free:
		default:
			b = &replayBatch{bytes: make([]byte, 0, replayBytes)}
		}
		l.open = b
	}
	c := *r
	if n := len(b.bytes); len(r.Payload) <= cap(b.bytes)-n {
		b.bytes = append(b.bytes, r.Payload...)
		c.Payload = b.bytes[n:len(b.bytes):len(b.bytes)]
	} else {
		c.Payload = append([]byte(nil), r.Payload...)
	}
	b.list = append(b.list, c)
}

// flush hands the open batch over. Reader.
func (l *lane) flush() {
	if l.open == nil {
		return
	}
	l.pending.Add(1)
	l.work <- l.open
	l.open = nil
}

func (l *lane) run(h *Host) {
	for b := range l.work {
		for i := range b.list {
			l.apply(h, &b.list[i])
		}
		clear(b.list)
		b.list, b.bytes = b.list[:0], b.bytes[:0]
		select {
		case l.free <- b:
		default:
		}
		l.pending.Done()
	}
}

func (l *lane) apply(h *Host, r *journal.Record) {
	if r.Kind == journal.KindCatalog {
		if h.replayDecision(l.sh, r, l.decided); h.ownerOf(r.Group) == nil {
			l.unknown[r.Group] = true
		}
		return
	}
	switch owner := h.ownerOf(r.Group).(type) {
	case *Stream:
		owner.replay(r)
	case *Consumer:
		owner.replay(r)
	default:
		l.unknown[r.Group] = true
	}
}

// openJournal replays the journal and starts its committer.
func (h *Host) openJournal() error {
	expected := h.expectsJournal()
	p := newReplayer(h)
	o := journal.Options{
		FileSize: h.sizes.file, FirstSize: h.sizes.first, MaxFiles: h.sizes.files, MaxQueued: h.o.JournalQueued, Interval: h.o.SyncInterval, Clock: h.env.Clock,
		Salt:      h.salt,
		OnFailure: h.onVolumeFailed,
		OnSyncErr: func(err error) {
			h.env.Events.log(idSyncFailed, "journal: a sync failed, what was not acknowledged goes to a fresh file: %v", err)
		},
		OnNoSpace: h.onNoSpace,
		OnDamage:  p.damaged,
		Expected:  expected,
		OnLag:     h.onLag,
		Orphan:    func(g journal.GroupID) bool { return h.ownerOf(g) == nil },
	}
	log, err := journal.Open(h.env.FS, h.o.Dir+"/journal", o, func(r *journal.Record, _ journal.Pos) error {
		p.take(r)
		return nil
	})
	decided, unknown := p.end()
	if err != nil {
		return err
	}
	h.journal = log
	for g := range unknown {
		h.noteGroup(g)
		if !decided.ended[g] && !h.failedGroup(g) {
			log.Forget(g)
		}
	}
	return decided.finish(h)
}
