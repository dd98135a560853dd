package journal

import (
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ramjet/proto/base/clock"
	"ramjet/store"
	"ramjet/store/vfs"
)

// TestSyncBehind: what nobody waits for is synced while more is written, and is not kept after that. Whether that sync works or not, nothing is lost.
func TestSyncBehind(t *testing.T) {
	for _, outcome := range []error{nil, syscall.EIO} {
		t.Run(fmt.Sprint(outcome), func(t *testing.T) {
			var armed atomic.Bool
			begun, goOn := make(chan struct{}), make(chan struct{})
			w := newWorld(t)
			w.fs = vfs.Intercept(w.mem, func(c *vfs.Call) (int64, error) {
				if c.Op == vfs.OpSync && strings.HasSuffix(c.Path, "00000000"+suffix) && armed.CompareAndSwap(true, false) {
					close(begun)
					<-goOn
					return 0, outcome
				}
				return 0, nil
			})
			o := w.options()
			clk := clock.NewManual(time.Unix(0, 0))
			o.FileSize, o.FirstSize, o.behindAt, o.Clock = 1<<20, 1<<20, 10_000, clk
			l := w.open(o)
			var want []string
			write := func(i int, policy store.SyncPolicy) {
				t.Helper()
				r := rec(1, uint64(i), fmt.Sprintf("%d %s", i, strings.Repeat("x", 3000)))
				if _, err := w.append(r); err != nil {
					t.Fatal(err)
				}
				want = append(want, show(&r))
				if policy == store.SyncOS && i%2 == 0 && l.TryWrite() {
					return
				}
				done := make(chan error, 1)
				l.Submit(policy, func(err error) { done <- err })
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			}
			write(1, store.SyncDurable)
			from := l.Stats().Synced
			armed.Store(true)
			i := 1
			for range 4 {
				i++
				write(i, store.SyncOS)
			}
			poke(l.kick)
			<-begun
			for k := range 20 { // while the disk is busy
				i++
				if write(i, store.SyncOS); k == 10 {
					clk.Advance(time.Minute) // the timer has to wait too
				}
			}
			if got := l.Stats().Synced; got != from {
				t.Fatalf("synced up to %d before the sync ended", got)
			}
			close(goOn)
			i++
			write(i, store.SyncDurable)
			s := l.Stats()
			if s.Synced != s.Head || s.Failed || w.syncErr.Load() != map[bool]int32{false: 0, true: 1}[outcome != nil] {
				t.Errorf("%+v, %d failed syncs", s, w.syncErr.Load())
			}
			l.turn.Lock()
			if len(l.unsynced) > 0 || l.unsyncedN != 0 {
				t.Errorf("%d batches of %d bytes are kept", len(l.unsynced), l.unsyncedN)
			}
			l.turn.Unlock()
			w.mem = w.mem.CrashClone(vfs.Crash{})
			w.fs = w.mem
			w.open(w.options())
			w.replayed(want)
		})
	}
}

// TestSyncBehindBound: with a disk that is slower than who writes, the committer waits before it keeps too much.
func TestSyncBehindBound(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	o.Stepped, o.FileSize, o.FirstSize, o.Clock = true, 64<<20, 64<<20, clock.NewManual(time.Unix(0, 0))
	l := w.open(o)
	most := int64(0)
	for i := range maxUnsynced>>20 + 6 {
		r := rec(1, uint64(i+1), strings.Repeat("x", 1<<20))
		if _, err := l.Append(r); err != nil {
			t.Fatal(err)
		}
		l.Submit(store.SyncOS, func(error) {})
		if !l.commit() { // and no Step: the sync behind does not end by itself
			t.Fatal("nothing to commit")
		}
		most = max(most, l.unsyncedN)
	}
	if most < maxUnsynced/2 || most > maxUnsynced+(2<<20) {
		t.Errorf("%d bytes were kept", most)
	}
	for l.Step() {
	}
	if l.unsyncedN >= o.behindAt+defaultBehind {
		t.Errorf("%d bytes are kept after a sync", l.unsyncedN)
	}
	if freed, _ := l.Age(); freed > 0 {
		t.Errorf("%d bytes that were just used are let go", freed)
	}
	if _, left := l.Age(); left > 0 {
		t.Errorf("%d bytes that nobody needs are kept", left)
	}
}

// TestArenasInOrder: an arena that several batches filled comes back with the last of them, and not before.
func TestArenasInOrder(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	o.Stepped, o.behindAt, o.Clock = true, 1<<20, clock.NewManual(time.Unix(0, 0))
	l := w.open(o)
	for i := range 8 {
		if _, err := l.Append(rec(1, uint64(i+1), strings.Repeat("x", 500))); err != nil {
			t.Fatal(err)
		}
		if !l.TryWrite() {
			t.Fatal("not written")
		}
	}
	owners := 0
	for _, b := range l.unsynced {
		if b.whole != nil || len(b.used) > 0 {
			owners++
		}
	}
	if len(l.unsynced) < 8 || owners > 1 || l.mu.cur.whole == nil {
		t.Fatalf("%d batches, %d of them own an arena", len(l.unsynced), owners)
	}
	arena := &l.mu.cur.whole[:1][0]
	l.Submit(store.SyncDurable, func(error) {})
	for l.Step() {
	}
	if len(l.unsynced) > 0 || &l.mu.cur.whole[:1][0] != arena {
		t.Error("the open batch does not go on in the arena")
	}
}

// TestArenasForLargeRecords: records of a batch each, of changing sizes, are copied without new memory once there is some.
func TestArenasForLargeRecords(t *testing.T) {
	var a arenas
	a.keep(16 << 20)
	var used [][]byte
	run := func() {
		used = used[:0]
		for i := range 20 {
			used = append(used, a.get(100), a.get(arenaSize+i*40_000))
		}
		for _, c := range used {
			a.put(c)
		}
	}
	run()
	if n := testing.AllocsPerRun(10, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if c := a.get(100); cap(c) != arenaSize {
		t.Errorf("a small record got an arena of %d bytes", cap(c))
	}
}
