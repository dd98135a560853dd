package host

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"ramjet/proto/base/clock"
	"ramjet/proto/base/rng"
	"ramjet/proto/jsapi"
	"ramjet/store/vfs"
)

// assets is what has to be there: of a stream how many messages of which life, of a consumer "S/C" nothing more.
type assets map[string]asset

type asset struct {
	maybe  bool // it is being created or deleted
	exists bool
	life   int
	msgs   uint64
}

// matrix runs a script and cuts the power before every call that changes the disk.
type matrix struct {
	*world
	mem   *vfs.Mem
	mu    sync.Mutex // the model and the disk as of one moment
	want  assets
	r     *rng.Source
	calls int
	every int // calls of which one is cut; constant
	bad   int
}

func crashMatrix(t *testing.T, seed uint64, rule vfs.NameRule, every int) *matrix {
	m := &matrix{mem: vfs.NewMem(), want: assets{}, r: rng.New(seed), every: every}
	m.mem.SetNameRule(rule)
	hooked := vfs.Intercept(m.mem, func(c *vfs.Call) (int64, error) {
		switch c.Op {
		case vfs.OpWrite, vfs.OpSync, vfs.OpSyncDir, vfs.OpCreate, vfs.OpAllocate, vfs.OpRemove, vfs.OpRename:
			m.cut(c)
		}
		return 0, nil
	})
	m.world = &world{t: t, n: newNet(), fs: hooked, clk: clock.System(), opt: smallJournal}
	m.open()
	t.Cleanup(func() { _ = m.h.Close() })
	return m
}

func smallJournal(o *Options) { o.JournalFile, o.Shards = 64<<10, 1 }

func (m *matrix) cut(c *vfs.Call) {
	m.mu.Lock()
	m.calls++
	n, bad, want := m.calls, m.bad, maps.Clone(m.want)
	clones := []*vfs.Mem{m.mem.CrashClone(vfs.Crash{})}
	if n%2 == 0 {
		clones = append(clones, m.mem.CrashClone(vfs.Crash{Rand: m.r.Intn, Keep: 60, Torn: true}))
	}
	m.mu.Unlock()
	if bad > 3 || m.every > 1 && n%m.every != 0 {
		return
	}
	for i, disk := range clones {
		if why := lost(disk, want, n%4 == 0); why != "" {
			m.mu.Lock()
			m.bad++
			m.mu.Unlock()
			m.t.Errorf("call %d (%s %s), cut %d: %s", n, c.Op, c.Path, i, why)
		}
	}
}

// lost opens what a power cut left, and again as a second start finds what the first one did, and says what is not as it has to be.
func lost(disk *vfs.Mem, want assets, again bool) string {
	for _, after := range []string{"the cut", "another kill"} {
		var log []string
		var mu sync.Mutex
		o := Options{Dir: "js", ServerName: "s", MaxMemory: -1, MaxStore: -1}
		smallJournal(&o)
		h, err := Open(Env{FS: disk, Clock: clock.System(), Rand: rng.New(1), Bus: func(int) Bus { return newNet() }, Limits: unlimited{},
			Events: Events{Log: func(id, format string, args ...any) {
				mu.Lock()
				defer mu.Unlock()
				log = append(log, id+" "+fmt.Sprintf(format, args...))
			}}}, o)
		if err != nil {
			return err.Error()
		}
		a := h.account("A", true)
		why := compare(a, want)
		if p := a.Problems(); why == "" && len(p) > 0 {
			why = fmt.Sprint(p)
		}
		if n := h.Findings(); why == "" && n > 0 {
			why = fmt.Sprintf("%d findings of damage", n)
		}
		next := disk.CrashClone(vfs.Crash{})
		_ = h.Close()
		if why != "" {
			return after + ": " + why + "\n" + strings.Join(log, "\n")
		}
		if disk = next; !again {
			break
		}
	}
	return ""
}

func compare(a *Account, want assets) string {
	for name, w := range want {
		sname, cname, isConsumer := strings.Cut(name, "/")
		s := a.stream(sname)
		there := s != nil
		if isConsumer {
			if owner := want[sname]; owner.maybe || !owner.exists {
				continue
			}
			there = there && s.byName.get(cname) != nil
		}
		switch {
		case w.maybe:
		case there != w.exists:
			return fmt.Sprintf("%s is there: %v", name, there)
		case there && !isConsumer && w.msgs > 0:
			if msgs, _, _, _ := s.size(); msgs < w.msgs {
				return fmt.Sprintf("%s has %d messages of %d", name, msgs, w.msgs)
			}
			msg, err := s.GetMsg(&jsapi.MsgGetRequest{Seq: 1})
			if err != nil || string(msg.Data) != fmt.Sprint(w.life) {
				return fmt.Sprintf("%s, first message: %+v %v, want one of life %d", name, msg, err, w.life)
			}
		}
	}
	return ""
}

func (m *matrix) set(name string, fn func(*asset)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.want[name]
	fn(&a)
	m.want[name] = a
}

func (m *matrix) makeStream(name string, life, msgs int) *Stream {
	m.t.Helper()
	m.set(name, func(a *asset) { *a = asset{maybe: true} })
	s := m.create(jsapi.StreamConfig{Name: name, Subjects: []string{name}})
	m.set(name, func(a *asset) { *a = asset{exists: true, life: life} })
	for range msgs {
		m.publish(name, fmt.Sprint(life))
		m.set(name, func(a *asset) { a.msgs++ })
	}
	return s
}

func (m *matrix) makeConsumer(s *Stream, name string, durable bool) *Consumer {
	m.t.Helper()
	cfg := jsapi.ConsumerConfig{Name: name, AckPolicy: jsapi.AckExplicit, AckWait: time.Minute, MaxAckPending: 10, MaxWaiting: 10, MaxDeliver: -1}
	if durable {
		cfg.Durable = name
	}
	m.set(s.name+"/"+name, func(a *asset) { *a = asset{maybe: true} })
	c := m.consumer(s, name, cfg)
	m.set(s.name+"/"+name, func(a *asset) { *a = asset{exists: true, maybe: !durable} })
	return c
}

// remove deletes an asset; forgets tells that nobody is promised that it stays away.
func (m *matrix) remove(name string, fn func() *jsapi.Error, promised bool) {
	m.t.Helper()
	m.set(name, func(a *asset) { *a = asset{maybe: true} })
	a := m.account()
	a.Lock()
	err := fn()
	a.Unlock()
	if err != nil {
		m.t.Fatalf("%s: %v", name, err)
	}
	m.set(name, func(a *asset) { *a = asset{maybe: !promised} })
}

// checkpoints puts streams and consumers into their files.
func (m *matrix) checkpoints() {
	m.t.Helper()
	for _, s := range m.account().list() {
		done := make(chan error, 1)
		s.sh.post(func() { s.checkpointThen(func(err error) { done <- err }) })
		if err := <-done; err != nil {
			m.t.Fatal(err)
		}
		for _, c := range s.byName.list() {
			saved := make(chan struct{})
			s.sh.post(func() { c.checkpointThen(func() { close(saved) }) })
			<-saved
		}
	}
}

// TestCreationCrashMatrix creates and deletes assets, before and after they have files, with names that come again, and cuts the power before
// every call that changes the disk: what was answered holds.
func TestCreationCrashMatrix(t *testing.T) {
	for _, rule := range []vfs.NameRule{vfs.NamesStrict, vfs.NamesOrdered} {
		m := crashMatrix(t, 7, rule, map[vfs.NameRule]int{vfs.NamesStrict: 1, vfs.NamesOrdered: 3}[rule])
		s := m.makeStream("S", 1, 2)
		c := m.makeConsumer(s, "C", true)
		m.makeConsumer(s, "E", false)
		if got := m.next("S", "C"); got != "S=1" {
			t.Fatal(got)
		}
		// Without files.
		u := m.makeStream("T", 1, 1)
		m.remove("T", u.Delete, true)
		u = m.makeStream("T", 2, 1)
		uc := m.makeConsumer(u, "C", true)
		m.remove("T/C", uc.Delete, true)
		m.makeConsumer(u, "C", true)
		m.checkpoints()
		// With files, and again under the same name without.
		m.remove("S/C", c.Delete, true)
		m.makeConsumer(s, "C", true)
		m.remove("S", s.Delete, true)
		m.set("S/C", func(a *asset) { *a = asset{} })
		m.set("S/E", func(a *asset) { *a = asset{} })
		s = m.makeStream("S", 2, 1)
		m.makeConsumer(s, "C", true)
		m.checkpoints()
		m.remove("S", s.Delete, true)
		m.set("S/C", func(a *asset) { *a = asset{} })
		m.makeStream("S", 3, 1)
		// Until the journal has forgotten all of it and the files alone tell.
		for i := range 3 {
			m.publish("S", strings.Repeat("x", 30<<10))
			if i > 0 {
				m.checkpoints()
			}
		}
		m.restart()
		// A stream of before the start, which the journal knows nothing of.
		s = m.account().stream("S")
		m.makeConsumer(s, "D", true)
		m.remove("T", m.account().stream("T").Delete, true)
		m.remove("S", s.Delete, true)
		if err := m.h.Close(); err != nil {
			t.Fatal(err)
		}
		m.mu.Lock()
		if m.calls < 100 {
			t.Errorf("only %d calls", m.calls)
		}
		t.Logf("%d calls", m.calls)
		m.mu.Unlock()
	}
}

// TestCreationCostsOneSync: the creation of a stream and of a durable consumer is one sync of the journal and makes no file; so is the deletion of
// what has no files.
func TestCreationCostsOneSync(t *testing.T) {
	trace := vfs.NewTrace("js")
	w := &world{t: t, n: newNet(), fs: vfs.Intercept(vfs.NewMem(), trace.Hook), clk: clock.System(), opt: func(o *Options) { o.JournalFile = 1 << 20 }}
	w.open()
	t.Cleanup(func() { _ = w.h.Close() })
	s := w.create(jsapi.StreamConfig{Name: "W", Subjects: []string{"w"}})
	w.publish("w", "m")
	for w.h.JournalStats().Spare == 0 {
		w.publish("w", "the journal makes its spare file meanwhile")
	}
	for _, tt := range []struct {
		what string
		do   func()
	}{
		{"stream", func() { w.create(jsapi.StreamConfig{Name: "S", Subjects: []string{"s"}}) }},
		{"consumer", func() {
			w.consumer(w.account().stream("S"), "C", jsapi.ConsumerConfig{Name: "C", Durable: "C", AckPolicy: jsapi.AckExplicit})
		}},
		{"end of the consumer", func() { w.end(w.account().stream("S").byName.get("C").Delete) }},
		{"end of the stream", func() { w.end(w.account().stream("S").Delete) }},
	} {
		trace.Take()
		tt.do()
		var writes, syncs int
		for line := range strings.Lines(trace.Take()) {
			switch {
			case strings.HasPrefix(line, "write ./journal/"):
				writes++
			case strings.HasPrefix(line, "sync ./journal/"):
				syncs++
			default:
				t.Errorf("%s: %s", tt.what, line)
			}
		}
		if syncs != 1 || writes > 2 {
			t.Errorf("%s: %d writes, %d syncs", tt.what, writes, syncs)
		}
	}
	if msgs, _, _, _ := s.size(); msgs == 0 {
		t.Error("no messages")
	}
}

func (w *world) end(fn func() *jsapi.Error) {
	w.t.Helper()
	a := w.account()
	a.Lock()
	defer a.Unlock()
	if err := fn(); err != nil {
		w.t.Fatal(err)
	}
}

func FuzzDecision(f *testing.F) {
	f.Add(appendDecision(nil, &decision{what: createsConsumer, parent: 300, account: "A", stream: "S", consumer: "C", meta: []byte("meta")}))
	f.Add(appendDecision(nil, &decision{what: ends, account: "A", stream: "S"}))
	f.Add([]byte{1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parseDecision(b)
		if err != nil {
			return
		}
		again, err := parseDecision(appendDecision(nil, &d))
		if err != nil || !reflect.DeepEqual(again, d) && !bytes.Equal(again.meta, d.meta) {
			t.Fatalf("%+v and %+v, %v", d, again, err)
		}
	})
}

// TestFilesTrace: the exact calls below the accounts that make, checkpoint and remove the files of a stream and of its consumer. A missing sync is a diff.
func TestFilesTrace(t *testing.T) {
	trace := vfs.NewTrace("js/accounts")
	w := &world{t: t, n: newNet(), fs: vfs.Intercept(vfs.NewMem(), trace.Hook), clk: clock.System(), opt: func(o *Options) { o.JournalFile = 1 << 20 }}
	w.open()
	t.Cleanup(func() { _ = w.h.Close() })
	s := w.create(jsapi.StreamConfig{Name: "S", Subjects: []string{"s"}})
	c := w.consumer(s, "C", jsapi.ConsumerConfig{Name: "C", Durable: "C", AckPolicy: jsapi.AckExplicit})
	checkpoint := func() {
		t.Helper()
		done := make(chan error, 1)
		s.sh.post(func() { s.checkpointThen(func(err error) { done <- err }) })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	sizes, journal := regexp.MustCompile(`(?m)^(write \S+) \d+\+\d+$`), regexp.MustCompile(`(?m)^.* js/journal.*\n`) // it has a trace of its own
	expect := func(what, want string) {
		t.Helper()
		if got := sizes.ReplaceAllString(journal.ReplaceAllString(trace.Take(), ""), "$1"); got != want {
			t.Errorf("%s:\n%s", what, got)
		}
	}
	trace.Take()
	checkpoint()
	expect("first checkpoint of a stream", `mkdir ./A
syncdir .
mkdir ./A/.new-1-S
create ./A/.new-1-S/meta
write ./A/.new-1-S/meta
sync ./A/.new-1-S/meta
create ./A/.new-1-S/state
write ./A/.new-1-S/state
sync ./A/.new-1-S/state
syncdir ./A/.new-1-S
rename ./A/.new-1-S -> ./A/S
syncdir ./A
create ./A/S/state.tmp
write ./A/S/state.tmp
sync ./A/S/state.tmp
syncdir ./A/S
rename ./A/S/state -> ./A/S/state.prev
rename ./A/S/state.tmp -> ./A/S/state
syncdir ./A/S
`)
	saved := make(chan struct{})
	c.st.sh.post(func() { c.checkpointThen(func() { close(saved) }) })
	<-saved
	expect("first checkpoint of a consumer", `mkdir ./A/S/consumers
syncdir ./A/S
mkdir ./A/S/consumers/.new-2-C
create ./A/S/consumers/.new-2-C/meta
write ./A/S/consumers/.new-2-C/meta
sync ./A/S/consumers/.new-2-C/meta
create ./A/S/consumers/.new-2-C/state
write ./A/S/consumers/.new-2-C/state
sync ./A/S/consumers/.new-2-C/state
create ./A/S/consumers/.new-2-C/saved
sync ./A/S/consumers/.new-2-C/saved
syncdir ./A/S/consumers/.new-2-C
rename ./A/S/consumers/.new-2-C -> ./A/S/consumers/C
syncdir ./A/S/consumers
`)
	w.end(c.Delete)
	w.h.making.Wait()
	expect("end of a consumer", `rename ./A/S/consumers/C -> ./A/S/consumers/.gone-3-C
syncdir ./A/S/consumers
remove ./A/S/consumers/.gone-3-C
`)
	w.end(s.Delete)
	w.h.making.Wait()
	expect("end of a stream", `rename ./A/S -> ./A/.gone-4-S
syncdir ./A
remove ./A/.gone-4-S
`)
}
