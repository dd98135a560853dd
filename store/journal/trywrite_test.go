package journal

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"ramjet/proto/base/clock"
	"ramjet/store"
	"ramjet/store/vfs"
)

// TestTryWrite: what nobody waits for the disk with is written at once and without a sync; what somebody waits for is left to the committer.
func TestTryWrite(t *testing.T) {
	w := newWorld(t)
	trace := vfs.NewTrace("/j")
	w.fs = vfs.Intercept(w.mem, trace.Hook)
	o := w.options()
	o.Stepped = true
	l := w.open(o)
	for l.Step() {
	}
	trace.Take()
	append1 := func(i uint64) {
		t.Helper()
		if _, err := l.Append(rec(1, i, "abc")); err != nil {
			t.Fatal(err)
		}
	}
	append1(1)
	if !l.TryWrite() {
		t.Fatal("not written")
	}
	if got, want := trace.Take(), "write ./00000000.jnl 4096+104\n"; got != want {
		t.Errorf("calls %q, want %q", got, want)
	}
	if !l.TryWrite() || trace.Take() != "" {
		t.Error("nothing to write is written")
	}
	append1(2)
	durable := false
	l.Submit(store.SyncDurable, func(err error) { durable = err == nil })
	if l.TryWrite() || trace.Take() != "" || durable {
		t.Error("somebody waits for the disk, and it was not left to the committer")
	}
	if l.Step(); !durable {
		t.Error("not durable")
	}
	append1(3)
	if _, err := l.Append(rec(1, 4, string(make([]byte, inlineMost)))); !errors.Is(err, ErrTooLarge) && l.TryWrite() {
		t.Error("too much was written at once")
	}
}

// TestTryWriteFails: a write that fails is not made good by the caller; the committer moves it to a fresh file, and what is submitted behind it hears of it.
func TestTryWriteFails(t *testing.T) {
	for _, times := range []int{1, 3} {
		w := newWorld(t)
		var fault vfs.Fault
		trace := vfs.NewTrace("/j")
		w.fs = vfs.Intercept(vfs.Intercept(w.mem, fault.Hook), trace.Hook)
		o := w.options()
		o.Stepped = true
		l := w.open(o)
		for l.Step() {
		}
		var first error = errors.New("not told")
		if _, err := l.Append(rec(1, 1, "abc")); err != nil {
			t.Fatal(err)
		}
		l.Submit(store.SyncOS, func(err error) { first = err })
		fault.Add(vfs.FaultRule{Op: vfs.OpWrite, Path: ".jnl", Err: syscall.EIO, Times: times})
		trace.Take()
		if l.TryWrite() {
			t.Fatal("a failed write is written")
		}
		if got, want := trace.Take(), "write ./00000000.jnl 4096+104\n"; got != want {
			t.Errorf("the caller did %q, want %q", got, want)
		}
		if l.TryWrite() {
			t.Error("another one before the committer")
		}
		var second error = errors.New("not told")
		l.Submit(store.SyncOS, func(err error) { second = err })
		for l.Step() {
		}
		if times == 1 {
			if first != nil || second != nil || w.syncErr.Load() != 1 {
				t.Errorf("%v, %v, %d failovers", first, second, w.syncErr.Load())
			}
			w.mem = w.mem.CrashClone(vfs.Crash{})
			w.fs = w.mem
			w.open(w.options())
			w.replayed([]string{"1/1 abc"})
			continue
		}
		if !errors.Is(first, ErrFailed) || !errors.Is(second, ErrFailed) {
			t.Errorf("the volume failed: %v, %v", first, second)
		}
	}
}

// TestCalm: writes that are held up may take a twentieth of the time, and a burst.
func TestCalm(t *testing.T) {
	w := newWorld(t)
	clk := clock.NewManual(time.Unix(1_700_000_000, 0))
	var takes time.Duration
	w.fs = vfs.Intercept(w.mem, func(c *vfs.Call) (int64, error) {
		if c.Op == vfs.OpWrite {
			clk.Advance(takes)
		}
		return 0, nil
	})
	o := w.options()
	o.Stepped, o.Clock = true, clk
	l := w.open(o)
	for l.Step() {
	}
	write := func(i uint64, d time.Duration) {
		t.Helper()
		takes = d
		if _, err := l.Append(rec(1, i, "abc")); err != nil {
			t.Fatal(err)
		}
		if !l.TryWrite() {
			t.Fatal("not written")
		}
		takes = 0
	}
	write(1, slowWrite)
	write(2, calmBurst)
	if !l.Calm() {
		t.Error("not calm after a quick write and one that was held up within the burst")
	}
	write(3, 2*slowWrite)
	if l.Calm() {
		t.Error("calm beyond the burst")
	}
	clk.Advance(calmShare*2*slowWrite - 2*slowWrite - 1)
	if l.Calm() {
		t.Error("calm too soon")
	}
	clk.Advance(1)
	if !l.Calm() {
		t.Error("not calm again")
	}
	clk.Advance(time.Hour)
	write(4, calmBurst+1)
	if l.Calm() {
		t.Error("time without writes is saved up")
	}
}
