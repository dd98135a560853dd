package host

import (
	"runtime"
	"strings"
	"testing"

	"ramjet/proto/jsapi"
	"ramjet/store/journal"
	"ramjet/store/vfs"
)

// saveConsumer checkpoints a consumer and waits for it.
func saveConsumer(t *testing.T, c *Consumer) {
	t.Helper()
	sh := c.st.sh
	sh.call(c.checkpoint)
	for busy := true; busy; runtime.Gosched() {
		sh.call(func() { busy = c.ckBusy })
	}
}

// TestLostConsumerState: a consumer whose state is gone or does not verify is offline, what only it needs stays in the stream, and when somebody deletes
// it, it is free.
func TestLostConsumerState(t *testing.T) {
	for name, harm := range map[string]func(fs vfs.FS, file string) error{
		"gone":    func(fs vfs.FS, file string) error { return fs.Remove(file) },
		"damaged": func(fs vfs.FS, file string) error { return vfs.WriteAtomic(fs, file, []byte("nonsense")) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, vfs.NewMem())
			s := w.create(jsapi.StreamConfig{Name: "S", Subjects: []string{"a"}, Storage: jsapi.FileStorage, Retention: jsapi.InterestRetention})
			c := w.consumer(s, "C", jsapi.ConsumerConfig{Durable: "C", AckPolicy: jsapi.AckExplicit})
			for range 5 {
				w.publish("a", "x")
			}
			w.next("S", "C")
			saveConsumer(t, c)
			if err := w.h.Close(); err != nil {
				t.Fatal(err)
			}
			if err := harm(w.fs, w.h.cat.ConsumerState("A", "S", "C")); err != nil {
				t.Fatal(err)
			}
			w.open()
			if p := w.account().Problems()["S"]; !strings.Contains(p, "consumer C is offline") {
				t.Errorf("problem %q", p)
			}
			s = w.account().stream("S")
			off := s.Consumer("C")
			if off == nil || off.Offline() == "" || len(s.Consumers()) != 1 {
				t.Fatalf("consumer %v of %d", off, len(s.Consumers()))
			}
			w.publish("a", "y")
			s.acct.Lock()
			defer s.acct.Unlock()
			size := func() (n uint64) { s.sh.call(func() { n, _, _, _ = s.size() }); return n }
			if n := size(); n != 5 { // one was acknowledged
				t.Errorf("%d messages while the consumer is offline", n)
			}
			if err := off.Delete(); err != nil {
				t.Fatal(err)
			}
			if n := size(); n != 0 || s.Consumer("C") != nil || w.account().Problems()["S"] != "" {
				t.Errorf("%d messages after it was deleted, problem %q", n, w.account().Problems()["S"])
			}
		})
	}
}

// TestDamageIsProven: what a range of unknown owner may have held is decided for each stream by what comes after it.
func TestDamageIsProven(t *testing.T) {
	s := func(applied uint64) *Stream {
		w := newWorld(t, vfs.NewMem())
		s := w.create(jsapi.StreamConfig{Name: "S", Subjects: []string{"a"}, Storage: jsapi.FileStorage})
		return &Stream{h: w.h, group: 7, store: s.store, applied: applied}
	}
	hole := journal.Damage{Pos: 100, Length: 8, Reason: "bad"}
	for name, tt := range map[string]struct {
		damage journal.Damage
		after  []journal.Record
		clean  bool
		harmed bool
	}{
		"nothing after it":       {damage: hole, harmed: true},
		"the last stop clean":    {damage: hole, clean: true},
		"of another":             {damage: journal.Damage{Length: 8, Group: 8}},
		"its own":                {damage: journal.Damage{Length: 8, Group: 7}, harmed: true},
		"the next record":        {damage: hole, after: []journal.Record{{Group: 7, Index: 6}}},
		"a record of before":     {damage: hole, after: []journal.Record{{Group: 7, Index: 3}}},
		"a gap":                  {damage: hole, after: []journal.Record{{Group: 7, Index: 8}}, harmed: true},
		"a copy":                 {damage: hole, after: []journal.Record{{Group: 7, Index: 6, Flags: journal.FlagRewritten}}, harmed: true},
		"a removal":              {damage: hole, after: []journal.Record{{Group: 7, Index: 5, Flags: flagDrop}}, harmed: true},
		"not known where it was": {damage: journal.Damage{Reason: "header"}, after: []journal.Record{{Group: 7, Index: 6}}, harmed: true},
	} {
		st := s(5)
		st.h.damage = recoveryDamage{clean: tt.clean}
		st.prove(&journal.Record{Group: 7, Index: 5})
		st.h.damage.add(tt.damage)
		for i := range tt.after {
			st.prove(&tt.after[i])
		}
		if why := st.h.damage.why(st); (why != "") != tt.harmed {
			t.Errorf("%s: %q", name, why)
		}
	}
}

// FuzzExtra: what a checkpoint keeps beside the log is refused or has a configuration.
func FuzzExtra(f *testing.F) {
	raw := []byte(`{"name":"S"}`)
	f.Add(append([]byte{byte(len(raw))}, raw...))
	f.Add(append([]byte{2}, "{}state"...))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, '{'})
	f.Add([]byte{4, 'n', 'u', 'l', 'l'})
	known := &jsapi.StreamConfig{Name: "S"}
	f.Fuzz(func(t *testing.T, b []byte) {
		cfg, state, err := parseExtra(b, known, raw)
		if err == nil && (cfg == nil || len(state) > len(b)) {
			t.Fatalf("%q: %+v, %q", b, cfg, state)
		}
	})
}
