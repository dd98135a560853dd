package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"ramjet/js/consumer"
	"ramjet/js/op"
	"ramjet/js/stream"
	"ramjet/proto/jsapi"
	"ramjet/store/catalog"
	"ramjet/store/crypt"
	"ramjet/store/journal"
	sstore "ramjet/store/stream"
	"ramjet/store/vfs"
)

// recover brings back everything that is in the directory. No shard runs yet: this goroutine owns all of them, and lends each to one
// goroutine for steps 2 and 4.
//
//  1. Scan the catalog; open the stores of all streams, several at a time, and restore machines and consumers from their checkpoints.
//  2. Replay the journal: every record to its group, the groups of different shards in parallel (replay.go); what a checkpoint covers is ignored.
//     Assets that have no files yet are made, those that have ended are hidden (decision.go).
//  3. Where indexes have holes the asset is declared read only, with what is left.
//  4. Consumers take the lead; retention is applied once, because what it removed may have come back.
func (h *Host) recover() error {
	cat, err := catalog.Open(h.env.FS, h.o.Dir)
	if err != nil {
		return err
	}
	h.cat = cat
	h.sizes = sizesFor(h.env.FS, &h.o)
	for i := range h.o.Shards {
		h.shards = append(h.shards, newShard(h, i))
	}
	found, err := cat.Scan()
	if err != nil {
		return err
	}
	for _, q := range found.Quarantined {
		h.env.Events.log(idQuarantined, "unknown files were moved to %s", q)
	}
	h.recovery.Quarantined = found.Quarantined
	h.damage.clean = h.wasClean()
	h.openAll(found.Streams)
	if err := h.openJournal(); err != nil {
		return err
	}
	h.resumeAll()
	if err := h.unmarkClean(); err != nil {
		return err
	}
	if err := cat.HoldReserve(h.sizes.reserve); err != nil && !sstore.IsNoSpace(err) {
		h.env.Events.log(idWriteFailed, "the reserve for a full disk could not be made: %v", err)
	}
	h.recovery.FileBytes = vfs.SizeBelow(h.env.FS, h.o.Dir+"/journal") + h.sizes.reserve
	for _, a := range h.all() {
		for _, s := range a.list() {
			if s.store != nil {
				h.recovery.FileBytes += s.store.FileBytes()
			}
		}
	}
	return nil
}

const (
	openers      = 8         // stores opened at a time
	replayedMuch = 256 << 10 // bytes replayed into a stream after which it is checkpointed at once
	replayedMany = 200_000   // records of all after which every stream is
)

func (h *Host) openAll(entries []catalog.Entry) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, openers)
	for i := range entries {
		e := &entries[i]
		a := h.account(e.Account, true)
		sh := h.pick()
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; wg.Done() }()
			if err := h.openStream(a, sh, e); err != nil {
				name := e.Stream
				if name == "" {
					name = e.Dir
				}
				a.mu.Lock()
				a.failed[name] = err.Error()
				a.mu.Unlock()
				h.env.Events.log(idAssetFailed, "stream '%s > %s' is offline: %v; its files are untouched", a.name, name, err)
			}
		}()
	}
	wg.Wait()
}

// knownStream makes a stream, without its store, from its metadata.
func (h *Host) knownStream(a *Account, sh *Shard, m *catalog.Meta) (*Stream, *streamBody, error) {
	b := &streamBody{}
	err := json.Unmarshal(m.Body, b)
	if err == nil {
		err = json.Unmarshal(b.Raw, &b.Config)
	}
	if err != nil || b.Config == nil {
		return nil, nil, fmt.Errorf("metadata: %w", errors.Join(errExtra, err))
	}
	if b.Restoring {
		return nil, b, nil
	}
	if why := stream.Unsupported(b.Config); why != "" {
		return nil, nil, errors.New(why)
	}
	s := &Stream{h: h, acct: a, name: m.Name, group: b.Group, created: b.Created, key: m.Key, recovering: true, damaged: b.Damaged}
	s.assign(sh)
	return s, b, s.openKey(b.Config)
}

func (h *Host) openStream(a *Account, sh *Shard, e *catalog.Entry) error {
	if e.Err != nil {
		return e.Err
	}
	s, b, err := h.knownStream(a, sh, e.Meta)
	if err != nil {
		return err
	}
	if s == nil {
		h.env.Events.log(idRestore, "the restore of stream '%s > %s' was not complete when the server stopped: it is removed", a.name, e.Meta.Name)
		return h.cat.Delete(e.Dir)
	}
	if !bytes.Equal(s.key, e.Meta.Key) {
		m := *e.Meta
		m.Key = s.key
		if err := h.cat.Update(e.Dir, &m); err != nil {
			return err
		}
	}
	rec, err := s.openStore(e.Dir)
	if err != nil {
		return err
	}
	cfg, state := b.Config, []byte(nil)
	if len(rec.Extra) > 0 {
		if cfg, state, err = parseExtra(rec.Extra, b.Config, b.Raw); err != nil {
			return err
		}
	}
	s.applied, s.rebuilt = rec.Applied, rec.Rebuilt
	s.m = stream.NewMachine(cfg, s.log, s)
	if state == nil || rec.Rebuilt {
		s.m.Rebuild(sh.now)
	} else if err := s.m.Restore(state); err != nil {
		s.m.Rebuild(sh.now)
	}
	if rec.Rebuilt {
		a.setProblem(s.name, "rebuilt", "rebuilt from its segments, the checkpoint could not be read")
	}
	s.configured()
	h.setGroup(s.group, s)
	for i := range e.Consumers {
		if err := s.openConsumer(&e.Consumers[i]); err != nil {
			s.lose(e.Consumers[i].Consumer, err)
			h.env.Events.log(idAssetFailed, "consumer '%s > %s > %s' is offline: %v; its files are untouched", a.name, s.name, e.Consumers[i].Consumer, err)
		}
	}
	a.mu.Lock()
	a.add(s)
	a.mu.Unlock()
	return nil
}

// openKey opens the key of a stream; one that an older server key seals is sealed again, and different then.
func (s *Stream) openKey(cfg *jsapi.StreamConfig) error {
	compress := cfg.Compression != jsapi.NoCompression
	if len(s.key) == 0 {
		return s.setCodec(nil, compress)
	}
	o := &s.h.o
	var derived [][]byte
	for _, k := range [][]byte{o.Key, o.PrevKey} {
		if k != nil {
			derived = append(derived, crypt.Derive(k, s.acct.name, s.name))
		}
	}
	if len(derived) == 0 {
		return errors.New("it is encrypted and no key is configured")
	}
	key, cipher, which, err := crypt.OpenKey(s.key, derived...)
	if err != nil {
		return err
	}
	if which > 0 && o.Key != nil {
		sealed, err := crypt.SealKey(cipher, derived[0], key, crypt.SystemRandom) // of the blocks that are there
		if err != nil {
			return err
		}
		s.key = sealed
	}
	codec, err := crypt.NewCodec(cipher, key, compress, crypt.SystemRandom)
	s.codec, s.seal = codec, sealer{cipher: cipher, key: key}
	return err
}

func (s *Stream) openConsumer(e *catalog.Entry) error {
	if e.Err != nil {
		return e.Err
	}
	c, err := s.knownConsumer(e.Meta)
	if err != nil {
		return err
	}
	if err := c.restore(c.conf.Load().AckPolicy); err != nil {
		s.h.dropOwner(c.group)
		return err
	}
	s.byName.set(c)
	return nil
}

// knownConsumer makes a consumer, without its state, from its metadata.
func (s *Stream) knownConsumer(m *catalog.Meta) (*Consumer, error) {
	var b consumerBody
	if err := json.Unmarshal(m.Body, &b); err != nil || b.Config == nil {
		return nil, fmt.Errorf("metadata: %w", errors.Join(errExtra, err))
	}
	c := &Consumer{st: s, name: m.Name, group: b.Group, created: b.Created, legacy: b.Legacy, seal: s.seal}
	c.conf.Store(b.Config)
	s.h.setGroup(c.group, c)
	return c, nil
}

// failedGroup reports whether g may belong to an asset that could not be opened: its records are kept.
func (h *Host) failedGroup(journal.GroupID) bool {
	for _, a := range h.all() {
		if len(a.failed) > 0 || len(a.problems) > 0 {
			return true
		}
	}
	return false
}

// replay takes a record of the stream. Records may come out of order: those that the journal has rewritten come later.
func (s *Stream) replay(r *journal.Record) {
	s.prove(r)
	switch {
	case s.broken != nil:
	case r.Flags&flagDrop == 0 && r.Index <= s.applied:
	case s.unseal(r) != nil:
	case r.Flags&flagDrop != 0:
		s.run(s.applied, r.Payload, false)
		s.out.Reset()
		s.since += int64(len(r.Payload))
	case r.Index == s.applied+1:
		s.replayEntry(r.Index, r.Payload)
		for len(s.held) > 0 {
			next, ok := s.held[s.applied+1]
			if !ok {
				break
			}
			delete(s.held, s.applied+1)
			s.replayEntry(s.applied+1, next)
		}
	default:
		if s.held == nil {
			s.held = map[uint64][]byte{}
		}
		s.held[r.Index] = append([]byte(nil), r.Payload...)
	}
}

// unseal decrypts a record. What can not be decrypted is not what was written here.
func (s *Stream) unseal(r *journal.Record) error {
	err := s.seal.open(r)
	if err != nil {
		s.fail(err)
	}
	return err
}

// replayHeld replays the entries that came before their turn in a stream whose state was lost: the journal has released what a lost state
// covered, and that is in the segments. It is proven by the sequence of the first message among them. False: it is not.
func (s *Stream) replayHeld() bool {
	if !s.rebuilt || s.broken != nil || len(s.h.damage.list) > 0 {
		return false
	}
	list := slices.Sorted(maps.Keys(s.held))
	if list[len(list)-1]-list[0] != uint64(len(list)-1) {
		return false
	}
	last, seen := s.lastSeq(), false
	for _, i := range list {
		var c op.Cmd
		for r := op.Open(s.held[i]); !seen && r.Next(&c); {
			if seen = c.Kind == op.Msg || c.Kind == op.Skip; seen && c.Seq > last+1 {
				return false
			}
		}
	}
	for _, i := range list {
		s.replayEntry(i, s.held[i])
	}
	return true
}

func (s *Stream) replayEntry(index uint64, b []byte) {
	s.run(index, b, false)
	for i := range s.out.List {
		if s.out.List[i].Kind == stream.Configured {
			s.configured()
		}
	}
	s.out.Reset()
	s.since += int64(len(b))
}

// replay takes a record of the consumer.
func (c *Consumer) replay(r *journal.Record) {
	if r.Flags&journal.FlagRewritten == 0 && r.Index <= c.index+1 {
		c.proven = len(c.st.h.damage.list)
	}
	switch {
	case c.eng != nil || r.Index <= c.index:
	case c.unseal(r) != nil:
	case r.Kind == journal.KindSnapshot || r.Index == c.index+1:
		c.replayRecord(r.Kind, r.Index, r.Payload)
		for len(c.held) > 0 {
			next, ok := c.held[c.index+1]
			if !ok {
				break
			}
			delete(c.held, c.index+1)
			c.replayRecord(next.kind, c.index+1, next.payload)
		}
	default:
		if c.held == nil {
			c.held = map[uint64]heldRecord{}
		}
		c.held[r.Index] = heldRecord{r.Kind, append([]byte(nil), r.Payload...)}
	}
}

// unseal decrypts a record; the consumer goes on without one that can not be decrypted, as after a hole.
func (c *Consumer) unseal(r *journal.Record) error {
	err := c.seal.open(r)
	if err != nil {
		c.lost(r.Index, err)
	}
	return err
}

// lost tells that a record of the consumer is lost.
func (c *Consumer) lost(index uint64, err error) {
	c.st.acct.setProblem(c.st.name, "consumer "+c.name, "consumer "+c.name+": "+err.Error())
	c.st.h.env.Events.log(idConsumerFailed, "consumer '%s > %s > %s': record %d: %v", c.st.acct.name, c.st.name, c.name, index, err)
}

func (c *Consumer) replayRecord(kind journal.Kind, index uint64, b []byte) {
	var err error
	if kind == journal.KindSnapshot {
		var st *consumer.State
		if st, err = consumer.DecodeSnapshot(b); err == nil {
			c.state = st
		}
	} else {
		err = c.state.Apply(b)
	}
	if err != nil {
		c.lost(index, err)
	}
	c.index = index
	c.since += int64(len(b))
}

// resumeAll makes every asset lead, the streams of different shards in parallel.
func (h *Host) resumeAll() {
	lists := make(map[*Shard][]*Stream, len(h.shards))
	for _, a := range h.all() {
		for _, s := range a.list() {
			h.recovery.Streams++
			h.recovery.Consumers += s.byName.len()
			lists[s.sh] = append(lists[s.sh], s)
		}
		h.recovery.Failed += len(a.failed)
	}
	var wg sync.WaitGroup
	for _, list := range lists {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for _, s := range list {
				s.resume()
			}
		}()
	}
	wg.Wait()
}

func (s *Stream) resume() {
	sh := s.sh
	if n := len(s.held); n > 0 && !s.replayHeld() {
		s.fail(fmt.Errorf("entries after %d are missing in the journal, %d later ones were kept out", s.applied, n))
	}
	s.held = nil
	if why := s.h.damage.why(s); why != "" {
		s.fail(errors.New(why))
	}
	s.keepDamage()
	s.index = s.applied
	sh.stores[s.store] = s
	s.m.SetLeader(true)
	s.configured()
	for _, c := range s.byName.list() {
		if c.since == 0 && len(c.held) == 0 && !c.volatile() && c.files.made {
			s.h.journal.Release(c.group, s.h.journal.Stats().Head)
		}
		if len(c.held) > 0 {
			// What is missing is what clients did in between; messages come again rather than get lost.
			s.acct.setProblem(s.name, "consumer "+c.name, "consumer "+c.name+": records after a hole in the journal are missing")
			s.h.env.Events.log(idConsumerFailed, "consumer '%s > %s > %s': records after %d are missing in the journal", s.acct.name, s.name, c.name, c.index)
			c.held = nil
		}
		if c.index == 0 {
			c.state = nil // the first record did not get there: it starts as its configuration says
		}
		if why := s.h.damage.of(c); why != "" {
			c.lost(c.index+1, errors.New(why))
		}
		c.needSnap = !c.volatile() && c.since == 0 && !c.files.made
		c.start(c.state)
		c.state = nil
		c.markReady()
		if c.since > 0 {
			c.scheduleCheckpoint()
		}
	}
	s.newFront()
	s.recovering = false
	s.sweep()
	s.rearm()
	s.count()
	switch {
	case s.since > replayedMuch, s.since > 0 && s.h.recovery.Records > replayedMany:
		s.checkpoint() // the next start shall not replay it again
	case s.since > 0, !s.files.made:
		s.since++
		s.scheduleCheckpoint()
	case s.broken == nil && s.store != nil:
		// Its state covers all that was replayed; no checkpoint would say so before something happens to it.
		s.h.journal.Release(s.group, s.covered())
	}
}

func (h *Host) salt() uint64 {
	h.rndMu.Lock()
	defer h.rndMu.Unlock()
	return h.rnd.Uint64()
}

// onVolumeFailed is told by the committer that nothing can be written any more.
func (h *Host) onVolumeFailed(err error) {
	h.volumeFailed.Store(&volumeError{err})
	h.env.Events.log(idVolumeFailed, "the volume failed, its streams are read only: %v", err)
}

// onNoSpace is told by the committer that the disk is full, and when it no longer is.
func (h *Host) onNoSpace(full bool) {
	h.noSpace.Store(full)
	if full {
		h.env.Events.log(idNoSpace, "no space left in %s: publishing is refused until there is", h.o.Dir)
		h.env.Go(func() { _, _ = h.cat.ReleaseReserve() })
		return
	}
	h.env.Events.log("", "there is space in %s again", h.o.Dir)
	h.env.Go(func() { _ = h.cat.HoldReserve(h.sizes.reserve) })
}

func (h *Host) onJournalDamage(d journal.Damage) {
	h.env.Events.log(idJournalDamaged, "journal file %d: %d bytes at %d do not verify: %s", d.File, d.Length, d.Pos, d.Reason)
	h.findings.Add(1)
	h.damage.add(d)
}

// onLag is told by the committer that a group pins old files.
func (h *Host) onLag(g journal.GroupID) {
	switch o := h.ownerOf(g).(type) {
	case *Stream:
		o.sh.post(o.checkpoint)
	case *Consumer:
		o.st.sh.post(o.checkpoint)
	}
}
