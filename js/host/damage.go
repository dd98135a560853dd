package host

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"ramjet/js/api"
	"ramjet/proto/jsapi"
	"ramjet/store/journal"
	sstore "ramjet/store/stream"
	"ramjet/store/vfs"
)

// recoveryDamage is what the journal was found to lack while it was replayed. A range whose owner is not known may have held records of
// every stream, except of those that have a later record without a gap before it, and of all if the last stop was clean: then the files of
// streams and consumers hold everything. A stream that is not excepted is read only: going on would give sequences away twice that were acknowledged.
type recoveryDamage struct {
	clean bool
	list  []foundDamage
}

type foundDamage struct {
	group    journal.GroupID // 0: not known
	anywhere bool            // where in the journal is not known either
	text     string
}

func (d *recoveryDamage) add(x journal.Damage) {
	d.list = append(d.list, foundDamage{x.Group, x.Length == 0, x.Reason})
}

// why returns what a stream may lack, "" if nothing.
func (d *recoveryDamage) why(s *Stream) string {
	if s.damaged != "" {
		return s.damaged
	}
	for i, f := range d.list {
		if !d.clean && s.store != nil && (f.group == 0 || f.group == s.group) && (f.anywhere || i >= s.proven) {
			return "the journal is damaged, records after the last checkpoint may be missing: " + f.text
		}
	}
	return ""
}

// of returns what a consumer may lack. It goes on: messages come again rather than get lost.
func (d *recoveryDamage) of(c *Consumer) string {
	for i, f := range d.list {
		if !d.clean && !c.volatile() && (f.group == 0 || f.group == c.group) && (f.anywhere || i >= c.proven) {
			return "the journal is damaged, a record may be missing: " + f.text
		}
	}
	return ""
}

// prove notes that nothing of the stream is missing before a record in its place.
func (s *Stream) prove(r *journal.Record) {
	if r.Flags&(journal.FlagRewritten|flagDrop) == 0 && r.Index <= s.applied+1 {
		s.proven = len(s.h.damage.list)
	}
}

// keepDamage makes sure that a stream with missing records is read only after the next start too: what proves the damage may be gone then.
func (s *Stream) keepDamage() {
	if s.broken == nil || s.damaged != "" {
		return
	}
	s.damaged = s.broken.Error()
	if err := s.saveMeta(s.m.Config()); err != nil {
		s.h.env.Events.log(idWriteFailed, "stream '%s > %s': metadata: %v", s.acct.name, s.name, err)
	}
}

// The file that says that the last stop was clean: everything of all streams and consumers is in their own files.
const (
	cleanName = "/clean"
	cleanText = "All streams and consumers were checkpointed when the server stopped.\n"
)

func (h *Host) wasClean() bool {
	b, err := vfs.ReadFile(h.env.FS, h.o.Dir+cleanName, 1<<10)
	return err == nil && string(b) == cleanText
}

// unmarkClean is called before anything is written.
func (h *Host) unmarkClean() error {
	switch err := h.env.FS.Remove(h.o.Dir + cleanName); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return h.env.FS.SyncDir(h.o.Dir)
}

func (h *Host) markClean() error {
	return vfs.WriteAtomic(h.env.FS, h.o.Dir+cleanName, []byte(cleanText))
}

// allSaved reports whether everything of all streams and consumers is in their own files. The shards have ended.
func (h *Host) allSaved() bool {
	for _, a := range h.all() {
		a.mu.RLock()
		unsaved := len(a.failed) + len(a.making)
		a.mu.RUnlock()
		if unsaved > 0 {
			return false
		}
		for _, s := range a.list() {
			if s.store != nil && (!s.files.there() || s.broken != nil || s.writeErr != nil || s.inflight > 0 || s.since > 0 || s.ckBusy) {
				return false
			}
			for _, c := range s.consumers {
				if !c.volatile() && (!c.files.there() || c.since > 0 || c.ckBusy || c.needSnap) {
					return false
				}
			}
		}
	}
	return true
}

// adviseDamage tells who listens in the account. What a start finds is in the log and in /healthz: nobody is connected yet.
func (s *Stream) adviseDamage(d sstore.Damage) {
	if s.recovering {
		return
	}
	m := s.sh.advise.Damaged(s.acct.name, s.name, d.From, d.To, d.Reason, time.Unix(0, s.sh.now))
	if s.sh.bus.Interest(s.acct.name, []byte(m.Subject)) {
		s.sh.bus.Publish(s.acct.name, []byte(m.Subject), nil, nil, m.Body)
	}
}

// Findings returns how often damage was found since the start. Any goroutine.
func (h *Host) Findings() uint64 { return h.findings.Load() }

// lose notes a consumer that cannot be opened. Its files are untouched, and nothing is removed for lack of interest: nobody knows what it
// still needs.
func (s *Stream) lose(name string, err error) {
	s.offline++
	s.byName.fail(name, err.Error())
	s.acct.setProblem(s.name, "consumer "+name, "consumer "+name+" is offline: "+err.Error())
}

func (m *consumerMap) fail(name, why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failed == nil {
		m.failed = map[string]string{}
	}
	m.failed[name] = why
}

func (m *consumerMap) offline(name string) (why string, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	why, ok = m.failed[name]
	return why, ok
}

// failedConsumers returns the consumers that cannot run, in order of names.
func (s *Stream) failedConsumers() (l []api.Consumer) {
	s.byName.mu.RLock()
	defer s.byName.mu.RUnlock()
	var names []string
	for n := range s.byName.failed {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		l = append(l, &failedConsumer{s, n, s.byName.failed[n]})
	}
	return l
}

// failedConsumer stands for a consumer that cannot run here.
type failedConsumer struct {
	s         *Stream
	name, why string
}

func (f *failedConsumer) refused() *jsapi.Error {
	return jsapi.ConsumerOfflineReason.With("err", f.why)
}

// The methods implement api.Consumer.
func (f *failedConsumer) Name() string    { return f.name }
func (f *failedConsumer) Offline() string { return f.why }
func (f *failedConsumer) Begin()          {}
func (f *failedConsumer) Config() *jsapi.ConsumerConfig {
	return &jsapi.ConsumerConfig{Name: f.name, Durable: f.name}
}
func (f *failedConsumer) Info() *jsapi.ConsumerInfo {
	return &jsapi.ConsumerInfo{Stream: f.s.name, Name: f.name, Config: f.Config(), TimeStamp: f.s.h.Now().UTC()}
}
func (f *failedConsumer) Update(*jsapi.ConsumerConfig) *jsapi.Error { return f.refused() }
func (f *failedConsumer) Pause(time.Time) *jsapi.Error              { return f.refused() }
func (f *failedConsumer) Unpin(string) *jsapi.Error                 { return f.refused() }

// Delete removes the files, which is what somebody asked for who knows that the consumer is broken.
func (f *failedConsumer) Delete() *jsapi.Error {
	s := f.s
	d := s.decision(ends)
	d.parent, d.consumer = s.group, f.name
	if err := s.h.removeFailed(d); err != nil {
		return storeError(fmt.Errorf("consumer %s: %w", f.name, err))
	}
	s.byName.mu.Lock()
	delete(s.byName.failed, f.name)
	s.byName.mu.Unlock()
	s.acct.setProblem(s.name, "consumer "+f.name, "")
	s.sh.post(func() {
		if s.offline--; !s.gone {
			s.sweep()
		}
	})
	return nil
}

// expectsJournal reports whether the journal must be there: the server ran here, or some stream has files, and the last stop does not say that
// they are complete.
func (h *Host) expectsJournal() bool {
	if !h.damage.clean && h.cat.Reserved() {
		return true
	}
	for _, a := range h.all() {
		for _, s := range a.list() {
			if s.store != nil && s.applied > 0 && !h.damage.clean {
				return true
			}
		}
	}
	return false
}
