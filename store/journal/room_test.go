package journal

import (
	"bytes"
	"errors"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ramjet/proto/base/clock"
	"ramjet/store"
	"ramjet/store/vfs"
)

// until advances the clock until ok.
func until(clk *clock.Manual, ok func() bool) {
	for !ok() {
		clk.Advance(retryFull)
		runtime.Gosched()
	}
}

// TestDiskFull: publishers are refused, essential records go on, and service resumes by itself.
func TestDiskFull(t *testing.T) {
	w := newWorld(t)
	w.mem.SetLimit(4 * minFileSize)
	clk := clock.NewManual(time.Unix(0, 0))
	o := w.options()
	o.Clock = clk
	l := w.open(o)
	payload := string(bytes.Repeat([]byte("x"), 4000))
	var err error
	var kept []string
	for i := uint64(0); i < 1000 && err == nil; i++ {
		r := rec(1, i, payload)
		if err = w.durable(r); err == nil {
			kept = append(kept, show(&r))
		}
	}
	if !errors.Is(err, ErrNoSpace) || !w.noSpace.Load() {
		t.Fatalf("full disk: %v", err)
	}
	for i := range uint64(100) {
		e := rec(2, i, "delete")
		e.Essential = true
		if err := w.durable(e); err != nil {
			t.Fatalf("essential record %d: %v", i, err)
		}
		kept = append(kept, show(&e))
	}
	w.mem.SetLimit(0)
	until(clk, func() bool { return !w.noSpace.Load() })
	r := rec(1, 5000, "again")
	if err := w.durable(r); err != nil {
		t.Error(err)
	}
	_ = l.Close()
	w.open(w.options())
	w.replayed(append(kept, show(&r)))
}

// TestDiskFullRelease: a release makes room on a disk that stays full.
func TestDiskFullRelease(t *testing.T) {
	w := newWorld(t)
	w.mem.SetLimit(4 * minFileSize)
	o := w.options()
	o.Clock = clock.NewManual(time.Unix(0, 0)) // stands still: nothing is tried again by time
	l := w.open(o)
	payload := string(bytes.Repeat([]byte("x"), 4000))
	for round := range 5 {
		var err error
		for err == nil {
			err = w.durable(rec(1, 1, payload))
		}
		if !errors.Is(err, ErrNoSpace) {
			t.Fatalf("round %d: %v", round, err)
		}
		l.Release(1, l.Stats().Head)
		for l.Stats().NoSpace {
			runtime.Gosched()
		}
	}
	if n, _ := w.mem.List("/j"); len(n) > 4 {
		t.Errorf("%d files", len(n))
	}
}

// TestDiskFullUnnoticed: the disk is full although it says that it has room, so that records were taken that have no file. They wait,
// nothing is lost or reordered, and both a retry and a release of an old file let them go on.
func TestDiskFullUnnoticed(t *testing.T) {
	for _, by := range []string{"retry", "release"} {
		t.Run(by, func(t *testing.T) {
			var fault vfs.Fault
			gate := make(chan struct{})
			w := newWorld(t)
			var held atomic.Bool
			w.fs = vfs.Intercept(w.mem, func(c *vfs.Call) (int64, error) {
				if c.Op == vfs.OpAllocate && held.Load() {
					<-gate
				}
				return fault.Hook(c)
			})
			clk := clock.NewManual(time.Unix(0, 0))
			o := w.options()
			o.Clock = clk
			l := w.open(o)
			payload := string(bytes.Repeat([]byte("x"), 4000))
			var want []string
			put := func(g GroupID, n int) {
				for range n {
					r := rec(g, uint64(len(want)), payload)
					if _, err := l.Append(r); err != nil {
						t.Fatal(err)
					}
					want = append(want, show(&r))
				}
			}
			put(9, 15) // the first file
			put(1, 1)
			if err := flush(l, store.SyncDurable); err != nil {
				t.Fatal(err)
			}
			for l.Stats().Spare == 0 {
				runtime.Gosched()
			}
			fault.Add(vfs.FaultRule{Op: vfs.OpAllocate, Err: syscall.ENOSPC})
			held.Store(true)
			put(1, 14+15+10) // the second, the spare one, and one that is not there
			done := make(chan error, 1)
			l.Submit(store.SyncDurable, func(err error) { done <- err })
			close(gate)
			for !w.noSpace.Load() {
				runtime.Gosched()
			}
			select {
			case err := <-done:
				t.Fatalf("acknowledged without a file: %v", err)
			default:
			}
			if by == "release" {
				l.Release(9, l.Stats().Head)
			} else {
				fault.Clear()
				until(clk, func() bool { return len(done) > 0 })
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			_ = l.Close()
			w.open(w.options())
			if by == "release" {
				want = want[15:]
			}
			w.replayed(want)
		})
	}
}

// TestDiskFullAtStart: a journal on a full disk opens, replays, refuses, and resumes.
func TestDiskFullAtStart(t *testing.T) {
	w := newWorld(t)
	l := w.open(w.options())
	r := rec(1, 1, "kept")
	if err := w.durable(r); err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	names, _ := w.mem.List("/j")
	for _, n := range names[1:] {
		_ = w.mem.Remove("/j/" + n)
	}
	w.mem.SetLimit(minFileSize)
	clk := clock.NewManual(time.Unix(0, 0))
	o := w.options()
	o.Clock = clk
	l = w.open(o)
	w.replayed([]string{show(&r)})
	e := rec(1, 2, "delete")
	e.Essential = true
	for _, r := range []Record{e, rec(1, 2, "publish")} {
		if err := w.durable(r); !errors.Is(err, ErrNoSpace) {
			t.Errorf("%s: %v", r.Payload, err)
		}
	}
	if err := flush(l, store.SyncDurable); err != nil {
		t.Error(err)
	}
	w.mem.SetLimit(0)
	until(clk, func() bool { return !l.Stats().NoSpace })
	if err := w.durable(e); err != nil {
		t.Error(err)
	}
	_ = l.Close()
	w.open(w.options())
	w.replayed([]string{show(&r), show(&e)})
}
