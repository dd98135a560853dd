package stream

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"ramjet/store"
	"ramjet/store/vfs"
)

// TestWritesBesideSync: while a checkpoint waits for the disk, what is appended goes to its files and leaves memory.
func TestWritesBesideSync(t *testing.T) {
	for _, outcome := range []error{nil, syscall.EIO} {
		var held atomic.Bool
		begun, goOn := make(chan struct{}), make(chan struct{})
		hook := func(c *vfs.Call) (int64, error) {
			if c.Op == vfs.OpSync && strings.HasSuffix(c.Path, segSuffix) && held.CompareAndSwap(true, false) {
				close(begun)
				<-goOn
				return 0, outcome
			}
			return 0, nil
		}
		mem := vfs.NewMem()
		env := inline(vfs.Intercept(mem, hook), 3)
		env.Go = func(fn func()) { go fn() }
		o := tiny(env)
		s, _ := mustOpen(t, o)
		seq := uint64(0)
		add := func(n int) {
			for range n {
				seq++
				if err := s.Append(&store.Rec{Seq: seq, Time: int64(seq), Subject: []byte("a"), Payload: make([]byte, 60)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		add(10)
		held.Store(true)
		done := make(chan error, 1)
		s.Checkpoint(10, nil, func(err error) { done <- err })
		<-begun
		add(500)
		wrote := make(chan error, 1)
		s.Flush(func(err error) { wrote <- err })
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
		s.Poll()
		if s.unwritten > 0 || s.hotBytes > o.CacheBytes {
			t.Errorf("%d bytes are not written, frames take %d", s.unwritten, s.hotBytes)
		}
		select {
		case err := <-done:
			t.Fatalf("the checkpoint ended before its sync: %v", err)
		default:
		}
		s.Purge(&store.Purge{Below: 5}, nil)
		close(goOn)
		if err := <-done; !errors.Is(err, outcome) {
			t.Fatalf("checkpoint: %v", err)
		}
		if outcome != nil {
			if err := checkpoint(s, 500, ""); err == nil {
				t.Error("files are trusted after a failed sync")
			}
			continue
		}
		again := make(chan error, 1)
		s.Checkpoint(511, nil, func(err error) { again <- err })
		if err := <-again; err != nil {
			t.Fatal(err)
		}
		s2, rec, err := Open(tiny(inline(mem.CrashClone(vfs.Crash{}), 4)), "/s")
		if err != nil || rec.Applied != 511 {
			t.Fatalf("%+v %v", rec, err)
		}
		if msgs, _, first, last := s2.Size(); first != 5 || last != seq || msgs != seq-4 {
			t.Fatalf("%d messages, %d to %d", msgs, first, last)
		}
	}
}

// TestSaveRetry: a checkpoint that finds no room is tried again, beside writes that find none; both get through once there is some.
func TestSaveRetry(t *testing.T) {
	mem := vfs.NewMem()
	var fault vfs.Fault
	o := tiny(inline(vfs.Intercept(mem, fault.Hook), 5))
	var failures []error
	o.OnFailure = func(err error) { failures = append(failures, err) }
	s, _ := mustOpen(t, o)
	add := func(from, to uint64) {
		for q := from; q <= to; q++ {
			if err := s.Append(&store.Rec{Seq: q, Time: int64(q), Subject: []byte("a"), Payload: make([]byte, 60)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	add(1, 20)
	fault.Add(vfs.FaultRule{Op: vfs.OpCreate, Path: nextName, Err: syscall.ENOSPC})
	saved := errors.New("not told")
	s.Checkpoint(20, nil, func(err error) { saved = err })
	s.Poll()
	if len(failures) != 1 || s.Failed() == nil {
		t.Fatalf("failures %v", failures)
	}
	fault.Add(vfs.FaultRule{Op: vfs.OpWrite, Path: segSuffix, Err: syscall.ENOSPC})
	add(21, 60)
	for range 3 {
		s.WriteRetry()
		s.Poll()
	}
	if saved == nil || s.Failed() == nil {
		t.Fatalf("saved %v, failed %v", saved, s.Failed())
	}
	fault.Clear()
	for range 3 {
		s.WriteRetry()
		s.Poll()
	}
	if saved != nil || s.Failed() != nil || s.unwritten >= o.FlushBytes {
		t.Fatalf("saved %v, failed %v, %d bytes not written", saved, s.Failed(), s.unwritten)
	}
	if err := checkpoint(s, 60, ""); err != nil {
		t.Fatal(err)
	}
}
