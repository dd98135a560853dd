package source

import (
	"math"

	"ramjet/js/stream"
	"ramjet/proto/jsapi"
	"ramjet/store"
)

// Engine runs the mirror or the sources of one stream. Owner: the shard of the stream.
type Engine struct {
	env  Env
	sink Sink
	m    *stream.Machine

	list   []*origin // the mirror, or the sources in the order of the configuration
	byID   map[uint64]*origin
	lastID uint64
	next   int64 // no origin is due before
	search search

	applied uint64    // last applied sequence
	owed    []*origin // those with a flow control reply that waits for Stored

	caughtUp bool
	restarts int

	in    stream.Inbound
	hdr   []byte
	subj  []byte
	state store.State
}

// New returns the engine of the stream of m, whose log has everything that was proposed so far applied, and begins at
// once: the first requests are due between 100 ms and, for replicated streams, 800 ms after now.
func New(env Env, m *stream.Machine, sink Sink, now int64) *Engine {
	e := &Engine{env: env, sink: sink, m: m, byID: make(map[uint64]*origin), next: math.MaxInt64}
	m.Log().State(&e.state)
	e.applied = e.state.LastSeq
	cfg := m.Config()
	for _, o := range e.origins(cfg) {
		e.begin(o, now)
		if cfg.Replicas > 1 && !o.mirror {
			o.due += e.random(100*ms, 600*ms)
		}
	}
	return e
}

// origins replaces the list by what cfg wants, keeping the origins that stay, and returns the new ones.
func (e *Engine) origins(cfg *jsapi.StreamConfig) (added []*origin) {
	old := make(map[string]*origin, len(e.list))
	for _, o := range e.list {
		old[o.key] = o
	}
	e.list = e.list[:0:0]
	add := func(s *jsapi.StreamSource, mirror bool) {
		o := newOrigin(s, mirror)
		if was := old[o.key]; was != nil && was.mirror == mirror {
			was.src, o = s, was
			delete(old, o.key)
		} else {
			added = append(added, o)
		}
		e.list = append(e.list, o)
	}
	if cfg.Mirror != nil {
		add(cfg.Mirror, true)
	}
	for _, s := range cfg.Sources {
		add(s, false)
	}
	return added
}

// begin finds out where a new origin starts and makes it due.
func (e *Engine) begin(o *origin, now int64) {
	o.base = e.consumerName(o)
	e.position(o)
	if o.phase == searching {
		e.arm(o, now)
		return
	}
	e.schedule(o, now)
}

// position takes the position of o from what is applied.
func (e *Engine) position(o *origin) {
	o.dseq, o.need, o.recreated, o.anew, o.phase = 0, 0, false, false, resting
	if o.mirror {
		e.m.Log().State(&e.state)
		o.seq = e.state.LastSeq
		return
	}
	st, upto, known := e.m.Sourced(o.key)
	if !known && !o.searched {
		o.phase = searching
		e.search.begin(upto)
		return
	}
	if known {
		o.found, o.foundID = st.Seq, st.Identity
	}
	o.seq, o.identity = o.found, o.foundID
}

// Update follows a new configuration, which is in force in the machine: removed origins stop at once and their consumers
// are deleted, new ones begin. Removing the mirror promotes the stream.
func (e *Engine) Update(now int64) {
	was := e.list
	added := e.origins(e.m.Config())
	used := make(map[string]bool, len(e.list))
	stays := make(map[*origin]bool, len(e.list))
	for _, o := range e.list {
		stays[o] = true
		used[o.at(e.consumerName(o))] = true
	}
	for _, o := range was {
		if !stays[o] {
			e.stop(o)
			e.deleteConsumer(o, used)
			if o.mirror {
				e.setCaughtUp(false)
			}
			continue
		}
		if name := e.consumerName(o); name != o.base { // the same stream is sourced once more now, or no longer
			e.stop(o)
			e.deleteConsumer(o, used)
			if o.base = name; o.phase != searching {
				e.schedule(o, now)
			}
		}
	}
	for _, o := range added {
		e.begin(o, now)
	}
	if e.caughtUp {
		e.sink.CaughtUp(true) // mirror_direct may be another
	}
	e.rearm()
}

// Restart begins anew from what is applied: what was proposed was given up. It may be called from inside Sink.Store.
func (e *Engine) Restart(now int64) {
	e.restarts++
	for _, o := range e.list {
		if o.phase == searching {
			continue
		}
		e.stop(o)
		e.position(o)
		if o.phase == searching {
			e.arm(o, now)
			continue
		}
		e.schedule(o, now)
	}
}

// Reconnect asks again, without backoff, wherever nothing was heard for long: a link to other servers came up.
func (e *Engine) Reconnect(now int64) {
	for _, o := range e.list {
		if o.phase == resting || o.phase == running && now-o.last > healthInterval {
			e.stop(o)
			o.fails = 0
			e.schedule(o, now)
		}
	}
}

// Close stops everything. deleted tells that the stream is deleted: its consumers at the origins are deleted too.
func (e *Engine) Close(deleted bool) {
	for _, o := range e.list {
		e.stop(o)
		if deleted {
			e.deleteConsumer(o, nil)
		}
		if o.mirror {
			e.setCaughtUp(false)
		}
	}
	e.list, e.next = nil, math.MaxInt64
}

// Deadline returns when Tick has to be called; false: no need.
func (e *Engine) Deadline() (at int64, ok bool) { return e.next, e.next != math.MaxInt64 }

// Tick does what is due at now.
func (e *Engine) Tick(now int64) {
	if e.search.active {
		e.searchStep(now)
	}
	if now < e.next {
		return
	}
	for _, o := range e.list {
		if o.due > now {
			continue
		}
		switch o.phase {
		case resting:
			e.setup(o, now)
		case asking:
			e.timedOut(o, now)
		case running:
			if at := o.last + healthInterval; at >= now {
				e.arm(o, at+1)
			} else {
				e.retry(o, now)
			}
		}
	}
	e.rearm()
}

// arm sets when o is due.
func (e *Engine) arm(o *origin, at int64) {
	o.due = at
	e.next = min(e.next, at)
}

// rearm finds the next deadline.
func (e *Engine) rearm() {
	e.next = math.MaxInt64
	for _, o := range e.list {
		e.next = min(e.next, o.due)
	}
}

// listen starts to listen and returns the id.
func (e *Engine) listen(o *origin, subj string) uint64 {
	e.lastID++
	e.byID[e.lastID] = o
	e.sink.Listen(e.lastID, subj)
	return e.lastID
}

// unlisten stops it; *id becomes 0.
func (e *Engine) unlisten(id *uint64) {
	if *id == 0 {
		return
	}
	delete(e.byID, *id)
	e.sink.Unlisten(*id)
	*id = 0
}

func (e *Engine) setCaughtUp(on bool) {
	if e.caughtUp != on {
		e.caughtUp = on
		e.sink.CaughtUp(on)
	}
}

// random returns a value of [lo, hi).
func (e *Engine) random(lo, hi int64) int64 { return lo + int64(e.env.Rand.Uint64n(uint64(hi-lo))) }

// token returns 8 random characters.
func (e *Engine) token() string {
	var b [8]byte
	e.env.Rand.Fill(b[:])
	return jsapi.HashName(b)
}
