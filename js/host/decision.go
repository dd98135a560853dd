package host

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"ramjet/js/stream"
	"ramjet/proto/jsapi"
	"ramjet/store"
	"ramjet/store/catalog"
	"ramjet/store/journal"
)

// An asset exists as soon as the journal says so, and ends when the journal says so: one record each, in the batch that everybody's records
// share. Files are made with the first checkpoint and removed behind the answer (files.go). Recovery makes what has no files yet and hides
// what has some and should not.

// decision is the payload of a record of kind journal.KindCatalog; its group is the one of the asset.
//
// Encoding: version u8, what u8, parent uvarint, then account, stream, consumer and metadata, each with its length as uvarint.
type decision struct {
	what                      byte
	parent                    journal.GroupID // of a consumer: its stream
	account, stream, consumer string
	meta                      []byte // of a creation, as in the file
}

const (
	decisionVersion = 1

	createsStream   = 1
	createsConsumer = 2
	ends            = 3
)

var errDecision = errors.New("host: a decision about an asset can not be read")

func appendDecision(dst []byte, d *decision) []byte {
	dst = append(dst, decisionVersion, d.what)
	dst = binary.AppendUvarint(dst, uint64(d.parent))
	for _, part := range [][]byte{[]byte(d.account), []byte(d.stream), []byte(d.consumer), d.meta} {
		dst = binary.AppendUvarint(dst, uint64(len(part)))
		dst = append(dst, part...)
	}
	return dst
}

// parseDecision reads all of b; meta aliases it.
func parseDecision(b []byte) (d decision, err error) {
	if len(b) < 2 || b[0] != decisionVersion || b[1] < createsStream || b[1] > ends {
		return d, errDecision
	}
	d.what, b = b[1], b[2:]
	number := func() uint64 {
		n, k := binary.Uvarint(b)
		if k <= 0 {
			err = errDecision
			return 0
		}
		b = b[k:]
		return n
	}
	part := func() (p []byte) {
		n := number()
		if n > uint64(len(b)) {
			err = errDecision
		}
		if err == nil {
			p, b = b[:n:n], b[n:]
		}
		return p
	}
	d.parent = journal.GroupID(number())
	d.account, d.stream, d.consumer, d.meta = string(part()), string(part()), string(part()), part()
	if err == nil && len(b) > 0 {
		err = errDecision
	}
	return d, err
}

// decide puts a decision about the asset of group g into the journal; done, if not nil, is called when it is durable or will not be. Shard.
func (s *Shard) decide(g journal.GroupID, d *decision, done func(error)) error {
	_, err := s.h.journal.Append(journal.Record{Group: g, Kind: journal.KindCatalog, Payload: appendDecision(nil, d), Essential: d.what == ends, Final: d.what == ends})
	if err != nil {
		return err
	}
	if done == nil {
		s.current(store.SyncNone)
		return nil
	}
	c := s.current(store.SyncDurable)
	c.held = append(c.held, held{fn: done})
	return nil
}

func (s *Stream) decision(what byte) *decision {
	return &decision{what: what, account: s.acct.name, stream: s.name}
}

func (c *Consumer) decision(what byte) *decision {
	d := c.st.decision(what)
	d.parent, d.consumer = c.st.group, c.name
	return d
}

// decideEnd makes the end of a stream durable. From then on nothing of it is checkpointed. API goroutine.
func (s *Stream) decideEnd() error {
	if !s.journaled {
		return nil
	}
	var err error
	if !s.sh.ask(func(done func()) {
		s.ending = true
		undo := func(e error) {
			if err = e; e != nil {
				s.ending = false
			}
			done()
		}
		if e := s.sh.decide(s.group, s.decision(ends), undo); e != nil {
			undo(e)
		}
	}) {
		err = journal.ErrClosed
	}
	return err
}

// decideEnd does so for a consumer. Nobody waits for the disk for one that is not durable: after a power cut it would be removed for lack of use.
func (c *Consumer) decideEnd() error {
	if !c.journaled {
		return nil
	}
	var err error
	if !c.st.sh.ask(func(done func()) {
		c.ending = true
		undo := func(e error) {
			if err = e; e != nil {
				c.ending = false
			}
			done()
		}
		wait := undo
		if c.ephemeral() {
			wait = nil
		}
		if e := c.st.sh.decide(c.group, c.decision(ends), wait); e != nil || wait == nil {
			undo(e)
		}
	}) {
		err = journal.ErrClosed
	}
	return err
}

// replayed are the decisions of a journal that is being replayed.
type replayed struct {
	ended   map[journal.GroupID]bool
	parents map[string]bool // directories that lack what ended
	hidden  []string
}

func newReplayed() *replayed {
	return &replayed{ended: map[journal.GroupID]bool{}, parents: map[string]bool{}}
}

// replayDecision follows a decision; a stream that it creates is given to sh. What a damaged record decided is not known. The lane of the
// stream.
func (h *Host) replayDecision(sh *Shard, r *journal.Record, x *replayed) {
	h.noteGroup(r.Group)
	d, err := parseDecision(r.Payload)
	if err == nil && d.what != ends && !x.ended[r.Group] {
		err = h.replayCreation(sh, r.Group, &d)
	}
	if err != nil {
		h.env.Events.log(idAssetFailed, "'%s > %s %s' of journal group %d: %v", d.account, d.stream, d.consumer, r.Group, err)
		return
	}
	if d.what == ends {
		x.ended[r.Group] = true
		h.replayEnd(r.Group, &d, x)
	}
}

// replayCreation makes an asset that may have no files yet.
func (h *Host) replayCreation(sh *Shard, g journal.GroupID, d *decision) error {
	switch o := h.ownerOf(g).(type) {
	case *Stream:
		o.journaled = true
		return nil
	case *Consumer:
		o.journaled = true
		return nil
	}
	m := &catalog.Meta{}
	if err := catalog.ParseMeta(append([]byte(nil), d.meta...), m); err != nil {
		return err
	}
	if d.what == createsConsumer {
		s, ok := h.ownerOf(d.parent).(*Stream)
		if !ok {
			return nil // it ended with its stream
		}
		if _, failed := s.byName.offline(d.consumer); failed || s.byName.get(d.consumer) != nil {
			h.setOrphan(h.cat.ConsumerDir(d.account, d.stream, d.consumer), g)
			return nil
		}
		c, err := s.knownConsumer(m)
		if err != nil {
			s.lose(d.consumer, err)
			h.setOrphan(h.cat.ConsumerDir(d.account, d.stream, d.consumer), g)
			return err
		}
		c.journaled = true
		c.restoreNew()
		s.byName.set(c)
		return nil
	}
	a := h.account(d.account, true)
	if a.Stream(d.stream) != nil {
		h.setOrphan(h.cat.StreamDir(d.account, d.stream), g)
		return nil
	}
	s, b, err := h.knownStream(a, sh, m)
	if err == nil && s == nil {
		err = errDecision // a restore is not begun that way
	}
	if err != nil {
		a.mu.Lock()
		a.failed[d.stream] = err.Error()
		a.mu.Unlock()
		h.setOrphan(h.cat.StreamDir(d.account, d.stream), g)
		return err
	}
	s.journaled = true
	s.newStore()
	s.m = stream.NewMachine(b.Config, s.log, s)
	s.m.Rebuild(s.sh.now)
	s.configured()
	h.setGroup(s.group, s)
	sh.streams.Add(1)
	a.mu.Lock()
	a.add(s)
	a.mu.Unlock()
	if !bytes.Equal(s.key, m.Key) {
		return s.makeFiles() // the next start may not have the older server key any more
	}
	return nil
}

// replayEnd takes away what has ended.
func (h *Host) replayEnd(g journal.GroupID, d *decision, x *replayed) {
	dir := h.cat.StreamDir(d.account, d.stream)
	if d.consumer != "" {
		dir = h.cat.ConsumerDir(d.account, d.stream, d.consumer)
	}
	x.parents[parentOf(dir)] = true
	made := false
	switch o := h.ownerOf(g).(type) {
	case *Stream:
		made = o.files.end()
		for _, c := range o.byName.list() {
			c.files.end()
			h.dropOwner(c.group)
		}
		o.store.Close(func(error) {})
		o.sh.streams.Add(-1)
		o.acct.mu.Lock()
		o.acct.drop(o.name)
		delete(o.acct.problems, o.name)
		o.acct.mu.Unlock()
	case *Consumer:
		made = o.files.end()
		o.st.byName.remove(o)
	}
	h.dropOwner(g)
	if !made {
		return
	}
	gone, err := h.cat.Hide(dir)
	if err != nil {
		h.env.Events.log(idWriteFailed, "%s was deleted, but can not be removed: %v", dir, err)
		delete(x.ended, g) // its record is kept
		return
	}
	x.hidden = append(x.hidden, gone)
}

// finish makes durable that what ended is gone; then the journal need not say so any more.
func (x *replayed) finish(h *Host) error {
	for dir := range x.parents {
		if _, err := h.env.FS.Stat(dir); err != nil {
			continue // it is gone itself
		}
		if err := h.env.FS.SyncDir(dir); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	for _, gone := range x.hidden {
		_ = h.env.FS.RemoveAll(gone) // a leftover is removed by the next start
	}
	for g := range x.ended {
		h.journal.Forget(g)
	}
	return nil
}

// setOrphan notes that the journal creates an asset in a directory where there is one that can not be used.
func (h *Host) setOrphan(dir string, g journal.GroupID) {
	h.groups.Lock()
	defer h.groups.Unlock()
	if h.groups.orphans == nil {
		h.groups.orphans = map[string]journal.GroupID{}
	}
	h.groups.orphans[dir] = g
}

// removeFailed removes an asset that can not be used, on request of somebody who knows that. API goroutine.
func (h *Host) removeFailed(d *decision) error {
	dir := h.cat.StreamDir(d.account, d.stream)
	if d.consumer != "" {
		dir = h.cat.ConsumerDir(d.account, d.stream, d.consumer)
	}
	h.groups.Lock()
	g := h.groups.orphans[dir]
	h.groups.Unlock()
	if g != 0 {
		err, sh := error(journal.ErrClosed), h.shards[0]
		sh.ask(func(done func()) {
			if err = sh.decide(g, d, func(e error) { err = e; done() }); err != nil {
				done()
			}
		})
		if err != nil {
			return err
		}
	}
	if err := h.cat.Delete(dir); err != nil {
		return err
	}
	if g != 0 {
		h.dropGroup(g)
	}
	return nil
}

// decisionError is the answer when a decision can not be made durable.
func decisionError(err error) *jsapi.Error {
	if errors.Is(err, journal.ErrClosed) {
		return jsapi.NotEnabled.Err()
	}
	return storeError(err)
}
