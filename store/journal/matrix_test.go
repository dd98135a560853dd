package journal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ramjet/proto/base/clock"
	"ramjet/store"
	"ramjet/store/vfs"
)

// model is what must be found again: of each group everything acknowledged and not released, and nothing that was not appended.
type model struct {
	t        *testing.T
	payload  map[GroupID]map[uint64]string
	acked    map[GroupID][]uint64
	released map[GroupID]uint64
	ends     map[GroupID]map[uint64]Pos
}

func newModel(t *testing.T) *model {
	return &model{t, map[GroupID]map[uint64]string{}, map[GroupID][]uint64{}, map[GroupID]uint64{}, map[GroupID]map[uint64]Pos{}}
}

// verify opens what a power cut left and compares.
func (m *model) verify(disk vfs.FS, when string) {
	m.t.Helper()
	found := map[GroupID]map[uint64]bool{}
	last := map[GroupID]uint64{}
	o := (&world{drained: make(chan struct{}, 1)}).options()
	o.Stepped = true
	o.OnDamage = func(d Damage) { m.t.Fatalf("%s: damage %+v", when, d) }
	l, err := Open(disk, "/j", o, func(r *Record, _ Pos) error {
		if want, ok := m.payload[r.Group][r.Index]; !ok || want != string(r.Payload) {
			m.t.Fatalf("%s: replayed %.40q", when, show(r))
		}
		if found[r.Group] == nil {
			found[r.Group] = map[uint64]bool{}
		}
		if r.Flags&FlagRewritten == 0 {
			if r.Index <= last[r.Group] {
				m.t.Fatalf("%s: group %d: index %d after %d", when, r.Group, r.Index, last[r.Group])
			}
			last[r.Group] = r.Index
		}
		found[r.Group][r.Index] = true
		return nil
	})
	if err != nil {
		m.t.Fatalf("%s: %v", when, err)
	}
	_ = l.Close()
	for g, acked := range m.acked {
		for _, i := range acked {
			if i > m.released[g] && !found[g][i] {
				m.t.Fatalf("%s: group %d: acknowledged record %d is gone", when, g, i)
			}
		}
	}
}

// script is a life of a journal with everything it does: commits with and without a sync, files left, recycled and made, a
// laggard rewritten, a clean stop, a start. open may fail; then it is tried again.
func (m *model) script(fsys vfs.FS, stopped func(error)) {
	for life := range 4 {
		o := (&world{drained: make(chan struct{}, 1)}).options()
		o.Stepped = true
		o.MaxFiles = 4
		o.behindAt = 2000
		clk := clock.NewManual(time.Unix(0, 0))
		o.Clock = clk
		l, err := Open(fsys, "/j", o, nil)
		if err != nil {
			stopped(err)
			if l, err = Open(fsys, "/j", o, nil); err != nil {
				stopped(err)
				return
			}
		}
		for g, i := range m.released {
			l.Release(g, m.ends[g][i]) // what is covered by states of their own is known again
		}
		put := func(g GroupID, policy store.SyncPolicy, sizes ...int) {
			var recs []Record
			first := uint64(len(m.payload[g]) + 1)
			for i, n := range sizes {
				r := rec(g, first+uint64(i), fmt.Sprintf("%d/%d %s", g, first+uint64(i), bytes.Repeat([]byte{byte('a' + g)}, n)))
				recs = append(recs, r)
			}
			for _, r := range recs {
				if m.payload[g] == nil {
					m.payload[g], m.ends[g] = map[uint64]string{}, map[uint64]Pos{}
				}
				m.payload[g][r.Index] = string(r.Payload)
			}
			pos, err := l.Append(recs...)
			for errors.Is(err, ErrFull) {
				if !l.Step() {
					clk.Advance(retryFull)
				}
				pos, err = l.Append(recs...)
			}
			last := recs[len(recs)-1].Index
			if err == nil {
				m.ends[g][last] = pos
				err = m.flush(l, policy)
			}
			if err != nil {
				stopped(err)
				return
			}
			if policy == store.SyncDurable {
				for _, r := range recs {
					m.acked[g] = append(m.acked[g], r.Index)
				}
			}
		}
		put(7, store.SyncDurable, 10) // never released
		for i := range []int{45, 20, 0, 5}[life] {
			put(1, store.SyncDurable, 5000)
			if n := len(m.acked[1]); n > 2 {
				i := m.acked[1][n-3]
				m.released[1] = i
				l.Release(1, m.ends[1][i])
			}
			if i%7 == 0 {
				put(2, store.SyncOS, 100, 2000, 30)
				if i%2 == 0 {
					put(2, store.SyncOS, 40) // while that is synced
				}
			}
		}
		if n := uint64(len(m.payload[2])); life == 1 && m.ends[2][n] > 0 {
			m.released[2] = n
			l.Release(2, m.ends[2][n])
		}
		put(2, store.SyncDurable, 1)
		for l.Step() {
		}
		if life == 0 || life == 2 {
			continue // the process is killed
		}
		if err := l.Close(); err != nil {
			stopped(err)
		}
	}
}

func (m *model) flush(l *Log, policy store.SyncPolicy) error {
	c := make(chan error, 1)
	l.Submit(policy, func(err error) { c <- err })
	for len(c) == 0 && l.Step() {
	}
	return <-c
}

// TestCrashMatrix cuts the power before every call that changes the disk.
func TestCrashMatrix(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, rule := range []vfs.NameRule{vfs.NamesStrict, vfs.NamesOrdered} {
		r := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t)
		w.mem.SetNameRule(rule)
		m := newModel(t)
		n := 0
		m.script(vfs.Intercept(w.mem, func(c *vfs.Call) (int64, error) {
			switch c.Op {
			case vfs.OpWrite, vfs.OpSync, vfs.OpSyncDir, vfs.OpCreate, vfs.OpAllocate, vfs.OpRemove, vfs.OpRename:
			default:
				return 0, nil
			}
			n++
			for _, cut := range []vfs.Crash{{}, {Rand: r.IntN, Keep: 100}, {Rand: r.IntN, Keep: 50, Torn: true}} {
				m.verify(w.mem.CrashClone(cut), fmt.Sprintf("rule %d, call %d (%s %s), keep %d", rule, n, c.Op, c.Path, cut.Keep))
			}
			return 0, nil
		}), func(err error) { t.Fatal(err) })
		m.verify(w.mem.CrashClone(vfs.Crash{}), "at the end")
		if n < 200 {
			t.Errorf("only %d calls", n)
		}
	}
}

// TestFaultMatrix makes every write and every sync fail once (whole, and after a part), and then from there on twice in a row: one failure is
// made good, two end the volume; either way what was acknowledged survives a power cut.
func TestFaultMatrix(t *testing.T) {
	for _, c := range []struct {
		op    vfs.Op
		short int64
		times int
	}{{vfs.OpWrite, 0, 1}, {vfs.OpWrite, 700, 1}, {vfs.OpSync, 0, 1}, {vfs.OpWrite, 100, 2}, {vfs.OpSync, 0, 2}} {
		t.Run(fmt.Sprintf("%s-%d-x%d", c.op, c.short, c.times), func(t *testing.T) {
			for k, more := 0, true; more; k++ {
				var fault vfs.Fault
				w := newWorld(t)
				fault.Add(vfs.FaultRule{Op: c.op, Path: ".jnl", Err: syscall.EIO, Skip: k, Times: c.times, Short: c.short})
				m := newModel(t)
				ended := false
				m.script(vfs.Intercept(w.mem, fault.Hook), func(err error) {
					if ended = true; !errors.Is(err, syscall.EIO) {
						t.Fatalf("fault at call %d: %v", k, err)
					}
					if c.times == 1 && errors.Is(err, ErrFailed) {
						t.Fatalf("fault at call %d: the volume failed: %v", k, err)
					}
				})
				more = fault.Hits() > 0
				m.verify(w.mem.CrashClone(vfs.Crash{}), fmt.Sprintf("fault at call %d (ended %v)", k, ended))
			}
		})
	}
}

// TestGoldenTrace: the exact sequence of calls that change the disk. A missing sync is a diff. Run with RAMJET_UPDATE_GOLDEN=1 to write the file
// anew.
func TestGoldenTrace(t *testing.T) {
	w := newWorld(t)
	trace := vfs.NewTrace("/j")
	w.fs = vfs.Intercept(w.mem, trace.Hook)
	var fault vfs.Fault
	w.fs = vfs.Intercept(w.fs, fault.Hook)
	o := w.options()
	o.Stepped = true
	o.MaxFiles = 4
	var out strings.Builder
	section := func(name string) { fmt.Fprintf(&out, "# %s\n%s", name, trace.Take()) }
	m := newModel(t)
	var l *Log
	open := func() {
		l = w.open(o)
		for l.Step() {
		}
	}
	commit := func(policy store.SyncPolicy, recs ...Record) Pos {
		t.Helper()
		pos, err := l.Append(recs...)
		if err == nil {
			err = m.flush(l, policy)
		}
		if err != nil {
			t.Fatal(err)
		}
		for l.Step() {
		}
		return pos
	}
	big := string(bytes.Repeat([]byte("x"), 20000))
	open()
	section("start of a new volume")
	commit(store.SyncDurable, rec(7, 1, "one"))
	section("commit of one record")
	commit(store.SyncDurable, rec(1, 1, "one"), rec(2, 1, "two"), rec(1, 2, "three"))
	section("commit of three records of two groups")
	commit(store.SyncOS, rec(1, 3, "four"))
	section("commit that nobody waits for")
	owned := rec(1, 4, big)
	owned.Own = func() {}
	commit(store.SyncDurable, owned)
	section("commit of a payload that is handed over")
	commit(store.SyncDurable, rec(1, 5, big), rec(1, 6, big))
	section("commit that goes on in the next file")
	pos := commit(store.SyncDurable, rec(1, 7, big), rec(1, 8, big))
	l.Release(1, pos)
	section("and in the next")
	for i := range uint64(4) {
		pos = commit(store.SyncDurable, rec(1, 9+i, big))
	}
	section("a laggard pins files")
	l.Release(1, pos)
	l.Release(2, pos)
	for l.Step() {
	}
	for i := range uint64(4) {
		pos = commit(store.SyncDurable, rec(1, 13+i, big))
		l.Release(1, pos)
		for l.Step() {
		}
	}
	section("its record is rewritten, files are recycled")
	fault.Add(vfs.FaultRule{Op: vfs.OpSync, Path: ".jnl", Err: syscall.EIO, Times: 1})
	commit(store.SyncDurable, rec(1, 17, "after a failure"))
	section("a sync fails: a fresh file")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	section("clean stop")
	open()
	section("start")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	section("clean stop of an idle journal")

	name := filepath.Join("testdata", "trace.golden")
	if os.Getenv("RAMJET_UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(name, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("trace differs from %s; got\n%s", name, out.String())
	}
}
