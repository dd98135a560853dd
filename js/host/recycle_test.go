package host

import (
	"strings"
	"testing"

	"ramjet/store/journal"
	"ramjet/store/vfs"
)

// decisions returns how many decisions about streams and consumers the journal of a disk still has, by name, copies counted.
func decisions(t *testing.T, disk *vfs.Mem) map[string]int {
	t.Helper()
	found := map[string]int{}
	o := journal.Options{Stepped: true, FileSize: 64 << 10, Salt: func() uint64 { return 7 }}
	l, err := journal.Open(disk, "js/journal", o, func(r *journal.Record, _ journal.Pos) error {
		if r.Kind == journal.KindCatalog {
			d, err := parseDecision(r.Payload)
			if err != nil {
				return err
			}
			found[strings.TrimSuffix(d.stream+"/"+d.consumer, "/")]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return found
}

// forgotten publishes until the journal files that had decisions about the assets are used again for something else.
func (m *matrix) forgotten(names ...string) {
	m.t.Helper()
	for range 40 {
		m.publish("W", strings.Repeat("x", 20<<10))
		m.checkpoints()
		left := decisions(m.t, m.mem.CrashClone(vfs.Crash{}))
		n := 0
		for _, name := range names {
			n += left[name]
		}
		if n == 0 {
			return
		}
	}
	m.t.Fatal("the journal does not forget what has ended")
}

// TestDeletionOutlivesItsRecord deletes assets, with files and without, and uses the journal files again that held their creation and their end, with
// the power cut before every call: what was deleted does not come back, and what came under the same name later stays.
func TestDeletionOutlivesItsRecord(t *testing.T) {
	for _, rule := range []vfs.NameRule{vfs.NamesStrict, vfs.NamesOrdered} {
		m := crashMatrix(t, 11, rule, map[vfs.NameRule]int{vfs.NamesStrict: 3, vfs.NamesOrdered: 7}[rule])
		m.makeStream("W", 1, 1)
		for life := 1; life <= 2; life++ {
			withFiles := life == 1
			d, k := m.makeStream("D", life, 1), m.makeStream("K", life, 1)
			m.makeConsumer(d, "C", true)
			c := m.makeConsumer(k, "C", true)
			if withFiles {
				m.checkpoints()
			}
			m.remove("K/C", c.Delete, true)
			m.remove("D", d.Delete, true)
			m.set("D/C", func(a *asset) { *a = asset{} })
			m.forgotten("D", "D/C", "K/C")
			m.remove("K", k.Delete, true)
		}
		// Again under the old names, and none of it in the journal after a start.
		d := m.makeStream("D", 3, 2)
		m.makeConsumer(d, "C", true)
		m.forgotten("D", "D/C", "K")
		m.restart()
		m.remove("D", m.account().stream("D").Delete, true)
		m.set("D/C", func(a *asset) { *a = asset{} })
		m.forgotten("D", "D/C")
		if err := m.h.Close(); err != nil {
			t.Fatal(err)
		}
		m.mu.Lock()
		t.Logf("%d calls", m.calls)
		m.mu.Unlock()
	}
}
