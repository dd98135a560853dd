package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"ramjet/proto/base/rng"
	"ramjet/store"
	"ramjet/store/crypt"
	"ramjet/store/msgtab"
	"ramjet/store/storetest"
	"ramjet/store/vfs"
)

// journaled plays a host: every change has an index, a checkpoint releases those it covers once it is durable.
type journaled struct {
	log      []storetest.Op
	oracles  []*storetest.Oracle // after 0, 1, 2... changes
	released uint64
}

// recover opens what a crash left and replays; the state must equal the oracle's after all changes.
func (j *journaled) recover(t *testing.T, what string, fsys vfs.FS, codec *crypt.Codec) {
	t.Helper()
	o := tiny(inline(fsys, 9))
	o.Codec = codec
	o.OnDamage = func(d Damage) { t.Errorf("%s: damage %+v", what, d) }
	if err := fsys.MkdirAll("/s"); err != nil {
		t.Fatal(err)
	}
	s, rec, err := Open(o, "/s")
	if err != nil {
		t.Fatalf("%s: open: %v", what, err)
	}
	if rec.Rebuilt || rec.Applied < j.released || rec.Applied > uint64(len(j.log)) {
		t.Fatalf("%s: recovered %+v, released %d", what, rec, j.released)
	}
	for k := rec.Applied; k < uint64(len(j.log)); k++ {
		if err := j.log[k].Apply(s); err != nil {
			t.Fatalf("%s: replay of %d: %v", what, k, err)
		}
	}
	d := &storetest.Driver{R: rng.New(uint64(len(j.log))), S: s, O: j.oracles[len(j.log)].Clone(), Wait: func() { s.Poll() }, Now: int64(len(j.log)) * 1000}
	err = d.CheckState()
	if err == nil {
		err = s.Check()
	}
	for i := 0; i < 12 && err == nil; i++ {
		err = d.Query()
	}
	for _, m := range d.O.Msgs {
		var r store.Rec
		a := s.Load(m.Seq, &r)
		for a == store.Pending {
			a = s.Load(m.Seq, &r)
		}
		if a != store.Hit && err == nil {
			err = fmt.Errorf("message %d: %v", m.Seq, a)
		}
	}
	if err != nil {
		t.Fatalf("%s: applied %d of %d: %v", what, rec.Applied, len(j.log), err)
	}
}

// TestCrashMatrix cuts the power before every sync, rename and removal, and in random states between.
func TestCrashMatrix(t *testing.T) {
	for seed := uint64(1); seed <= 12; seed++ {
		mem := vfs.NewMem()
		r := rng.New(seed)
		work := func() {}
		j := &journaled{}
		var crashes []func()
		cut := func(what string) {
			for _, keep := range []int{0, 50, 100} {
				img := mem.CrashClone(vfs.Crash{Rand: r.Intn, Keep: keep, Torn: keep == 50})
				snap := *j
				snap.log = j.log[:len(j.log):len(j.log)]
				snap.oracles = j.oracles[:len(j.oracles):len(j.oracles)]
				crashes = append(crashes, func() { snap.recover(t, fmt.Sprintf("seed %d, %s, keep %d", seed, what, keep), img, nil) })
			}
		}
		var codec *crypt.Codec
		armed := false
		n := 0
		hooked := vfs.Intercept(mem, vfs.Slow(func(c *vfs.Call) {
			switch c.Op {
			case vfs.OpSync, vfs.OpSyncDir, vfs.OpRename, vfs.OpRemove, vfs.OpTruncate:
				if n++; armed && n%3 == int(seed)%3 {
					cut(fmt.Sprintf("before %s %s (call %d)", c.Op, c.Path, n))
				}
			}
		}))
		o := tiny(inline(hooked, seed))
		o.Codec = codec
		if seed > 6 { // the writer, and who saves a checkpoint, come to their turns late and in any order
			var waiting []func()
			o.Env.Go = func(fn func()) { waiting = append(waiting, fn) }
			work = func() {
				for len(waiting) > 0 && r.Intn(3) > 0 {
					i := r.Intn(len(waiting))
					fn := waiting[i]
					waiting = slices.Delete(waiting, i, i+1)
					fn()
				}
			}
		}
		s, _ := mustOpen(t, o)
		armed = true
		d := &storetest.Driver{R: rng.New(seed * 77), S: s, O: &storetest.Oracle{}}
		j.oracles = append(j.oracles, d.O.Clone())
		d.Log = func(op storetest.Op) { j.log = append(j.log, op) }
		for i := range 500 {
			// A change that is interrupted counts as not journaled: oracle and log grow together after it.
			var op storetest.Op
			d.Log = func(o storetest.Op) { op = o }
			if err := d.Change(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			j.log = append(j.log, op)
			j.oracles = append(j.oracles, d.O.Clone())
			if work(); i%23 == 22 {
				at := uint64(len(j.log))
				s.Checkpoint(at, nil, func(err error) {
					if err == nil {
						j.released = at
					}
				})
			}
			if r.Intn(40) == 0 {
				cut(fmt.Sprintf("after change %d", i))
			}
		}
		if len(crashes) < 100 {
			t.Fatalf("only %d crashes", len(crashes))
		}
		for _, c := range crashes {
			c()
		}
	}
}

// TestFaults makes a call of each kind fail once, for some time: nothing may be lost, and writing goes on when the disk is well again.
func TestFaults(t *testing.T) {
	for _, op := range []vfs.Op{vfs.OpWrite, vfs.OpCreate, vfs.OpAllocate, vfs.OpRename, vfs.OpTruncate} {
		for skip := range 12 {
			for _, errno := range []error{syscall.ENOSPC, syscall.EIO} {
				name := fmt.Sprintf("%s after %d, %v", op, skip, errno)
				mem := vfs.NewMem()
				var fault vfs.Fault
				o := tiny(inline(vfs.Intercept(mem, fault.Hook), 5))
				var failures []error
				o.OnFailure = func(err error) { failures = append(failures, err) }
				s, _ := mustOpen(t, o)
				fault.Add(vfs.FaultRule{Op: op, Path: "/s", Err: errno, Skip: skip, Times: 3, Short: 7})
				d := &storetest.Driver{R: rng.New(uint64(skip)), S: s, O: &storetest.Oracle{}, Wait: func() { s.Poll() }}
				released := uint64(0)
				for i := range 300 {
					err := d.Change()
					if err == nil {
						err = d.Query()
					}
					if err != nil {
						t.Fatalf("%s, step %d: %v", name, i, err)
					}
					if i%40 == 39 {
						at := d.Ops
						s.Checkpoint(at, nil, func(err error) {
							if err == nil {
								released = at
							}
						})
					}
					if i%10 == 9 {
						s.WriteRetry()
					}
				}
				for range 5 {
					s.WriteRetry()
					s.Poll()
				}
				if fault.Hits() > 0 && (len(failures) == 0 && op != vfs.OpRename && op != vfs.OpTruncate) {
					t.Logf("%s: failed silently (a rewrite)", name)
				}
				if len(failures) > 0 && failures[len(failures)-1] != nil {
					t.Fatalf("%s: not recovered: %v", name, failures)
				}
				if err := checkpoint(s, d.Ops, ""); err != nil || released == 0 {
					t.Fatalf("%s: %v, released %d", name, err, released)
				}
				s2, rec, err := Open(tiny(inline(mem, 6)), "/s")
				if err != nil || rec.Applied != d.Ops {
					t.Fatalf("%s: %+v %v", name, rec, err)
				}
				d.Reset(s2)
				if err := d.CheckState(); err != nil {
					t.Fatalf("%s: reopened: %v", name, err)
				}
			}
		}
	}
}

// TestSyncFailure: a failed sync is final; the checkpoint is refused, reads go on, an opening elsewhere finds the state before.
func TestSyncFailure(t *testing.T) {
	mem := vfs.NewMem()
	var fault vfs.Fault
	o := tiny(inline(vfs.Intercept(mem, fault.Hook), 5))
	var failure error
	o.OnFailure = func(err error) { failure = err }
	s, _ := mustOpen(t, o)
	d := &storetest.Driver{R: rng.New(1), S: s, O: &storetest.Oracle{}, Wait: func() { s.Poll() }}
	step := func(n int) {
		for range n {
			if err := errors.Join(d.Change(), d.Query()); err != nil {
				t.Fatal(err)
			}
		}
	}
	step(100)
	if err := checkpoint(s, 100, "good"); err != nil {
		t.Fatal(err)
	}
	before := d.O.Clone()
	step(50)
	fault.Add(vfs.FaultRule{Op: vfs.OpSync, Path: ".seg", Err: syscall.EIO, Times: 1})
	if err := checkpoint(s, 150, "bad"); !errors.Is(err, syscall.EIO) {
		t.Fatalf("checkpoint: %v", err)
	}
	if failure == nil || s.Failed() == nil {
		t.Fatal("not reported")
	}
	s.WriteRetry()
	step(50)
	if err := checkpoint(s, 200, "bad"); err == nil {
		t.Fatal("trusted again")
	}
	s2, rec, err := Open(tiny(inline(mem, 6)), "/s")
	if err != nil || rec.Applied != 100 || string(rec.Extra) != "good" {
		t.Fatalf("%+v %v", rec, err)
	}
	d2 := &storetest.Driver{R: rng.New(1), S: s2, O: before}
	if err := d2.CheckState(); err != nil {
		t.Fatal(err)
	}
}

// TestNoDescriptor: when no descriptor is free nothing was synced and nothing failed; the checkpoint waits until there is one.
func TestNoDescriptor(t *testing.T) {
	for _, op := range []vfs.Op{vfs.OpSyncDir, vfs.OpCreate} {
		for _, skip := range []int{0, 1, 2} {
			mem := vfs.NewMem()
			var fault vfs.Fault
			o := tiny(inline(vfs.Intercept(mem, fault.Hook), 5))
			s, _ := mustOpen(t, o)
			d := &storetest.Driver{R: rng.New(1), S: s, O: &storetest.Oracle{}, Wait: func() { s.Poll() }}
			fault.Add(vfs.FaultRule{Op: op, Path: "/s", Err: syscall.EMFILE, Skip: skip})
			for i := range 100 {
				if err := errors.Join(d.Change(), d.Query()); err != nil {
					t.Fatalf("%s %d: step %d: %v", op, skip, i, err)
				}
			}
			saved := errors.New("not told")
			s.Checkpoint(d.Ops, nil, func(err error) { saved = err })
			s.Poll()
			if fault.Hits() > 0 && (s.Failed() == nil || saved == nil) {
				t.Fatalf("%s %d: failed %v, saved %v", op, skip, s.Failed(), saved)
			}
			fault.Clear()
			for range 3 {
				s.WriteRetry()
				s.Poll()
			}
			if s.Failed() != nil || saved != nil {
				t.Fatalf("%s %d: not taken up again: %v, %v", op, skip, s.Failed(), saved)
			}
			s2, rec, err := Open(tiny(inline(mem, 6)), "/s")
			if err != nil || rec.Applied != d.Ops {
				t.Fatalf("%s %d: %+v %v", op, skip, rec, err)
			}
			d.Reset(s2)
			if err := d.CheckState(); err != nil {
				t.Fatalf("%s %d: reopened: %v", op, skip, err)
			}
		}
	}
}

// TestUnwrittenBound: with a full disk memory is bounded.
func TestUnwrittenBound(t *testing.T) {
	mem := vfs.NewMem()
	var fault vfs.Fault
	o := tiny(inline(vfs.Intercept(mem, fault.Hook), 5))
	o.MaxUnwritten = 10_000
	s, _ := mustOpen(t, o)
	fault.Add(vfs.FaultRule{Op: vfs.OpWrite, Err: syscall.ENOSPC})
	var err error
	n := 0
	for n = 1; n < 1000 && err == nil; n++ {
		err = s.Append(&store.Rec{Seq: uint64(n), Subject: []byte("a"), Payload: make([]byte, 100)})
	}
	if !errors.Is(err, ErrReadOnly) || n > 100 {
		t.Fatalf("%v after %d", err, n)
	}
	var r store.Rec
	if a := s.Load(5, &r); a != store.Hit {
		t.Fatalf("read while the disk is full: %v", a)
	}
	fault.Clear()
	s.WriteRetry()
	s.Poll()
	if err := s.Append(&store.Rec{Seq: uint64(n - 1), Subject: []byte("a")}); err != nil {
		t.Fatal(err)
	}
}

// TestBitFlips changes one byte in each file in turn: nothing wrong may ever be returned, and what is lost must be said.
func TestBitFlips(t *testing.T) {
	for _, mode := range []string{"plain", "chacha"} {
		mem := vfs.NewMem()
		env := inline(mem, 3)
		o := tiny(env)
		if mode != "plain" {
			o.Codec = codecFor(t, crypt.ChaCha, env)
		}
		s, _ := mustOpen(t, o)
		d := &storetest.Driver{R: rng.New(11), S: s, O: &storetest.Oracle{}}
		for range 400 {
			if err := d.Change(); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(checkpoint(s, d.Ops, ""), checkpoint(s, d.Ops, "")); err != nil {
			t.Fatal(err)
		}
		names, _ := mem.List("/s")
		r := rng.New(4)
		for _, name := range names {
			for range 12 {
				img := mem.CrashClone(vfs.Crash{})
				f, err := img.OpenRW("/s/" + name)
				if err != nil {
					t.Fatal(err)
				}
				size, _ := f.Size()
				at := int64(r.Intn(int(size)))
				b := make([]byte, 1)
				_, _ = f.ReadAt(b, at)
				b[0] ^= byte(1 + r.Intn(255))
				_, _ = f.WriteAt(b, at)
				_ = f.Close()
				flipped(t, fmt.Sprintf("%s %s+%d of %d", mode, name, at, size), img, o.Codec, d.O)
			}
		}
	}
}

func flipped(t *testing.T, what string, img vfs.FS, codec *crypt.Codec, want *storetest.Oracle) {
	t.Helper()
	o := tiny(inline(img, 8))
	o.Codec = codec
	said := 0
	o.OnDamage = func(Damage) { said++ }
	rep, err := Check(img, "/s", codec, nil)
	if err != nil {
		t.Fatalf("%s: check: %v", what, err)
	}
	s, rec, err := Open(o, "/s")
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	for s.Scrub(func(int) {}) > 0 {
		s.Poll()
	}
	var st store.State
	s.State(&st)
	if st.LastSeq != want.Last && !rec.Rebuilt {
		t.Fatalf("%s: last %d, want %d", what, st.LastSeq, want.Last)
	}
	lost := 0
	for _, m := range want.Msgs {
		var r store.Rec
		a := s.Load(m.Seq, &r)
		for k := 0; a == store.Pending && k < 10; k++ {
			a = s.Load(m.Seq, &r)
		}
		switch {
		case a == store.Damaged:
			lost++
		case a != store.Hit:
			t.Fatalf("%s: message %d: %v, %+v", what, m.Seq, a, rec)
		case string(r.Payload) != string(m.Payload) || string(r.Subject) != m.Subject || r.Time != m.Time:
			t.Fatalf("%s: message %d is wrong", what, m.Seq)
		}
	}
	if lost > 0 && (said == 0 || len(rep.Problems) == 0) {
		t.Fatalf("%s: %d lost, %d reports, check %+v", what, lost, said, rep.Problems)
	}
	s.State(&st)
	if int(st.LostMsgs) < lost {
		t.Fatalf("%s: %d lost, state says %d", what, lost, st.LostMsgs)
	}
	// A lost message can be removed like any other.
	for _, m := range want.Msgs {
		if !s.Remove(m.Seq, false) {
			t.Fatalf("%s: cannot remove %d", what, m.Seq)
		}
	}
	s.State(&st)
	if !rec.Rebuilt && (st.Msgs != 0 || st.Bytes != 0 || st.LostMsgs != 0 || st.Subjects != 0) {
		t.Fatalf("%s: after removing all: %+v", what, st)
	}
}

var update = flag.Bool("update", false, "write the golden files")

// TestTrace compares the calls that change the disk with the golden file.
func TestTrace(t *testing.T) {
	mem := vfs.NewMem()
	trace := vfs.NewTrace("/s")
	o := tiny(inline(vfs.Intercept(mem, trace.Hook), 1))
	out := ""
	section := func(name string) { out += "# " + name + "\n" + trace.Take() }
	s, _ := mustOpen(t, o)
	section("create")
	seq := uint64(0)
	add := func(n int) {
		for range n {
			seq++
			if err := s.Append(&store.Rec{Seq: seq, Time: int64(seq), Subject: fmt.Appendf(nil, "a.%d", seq%3), Payload: make([]byte, 60)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	add(6)
	section("append batch")
	if err := checkpoint(s, 6, "x"); err != nil {
		t.Fatal(err)
	}
	section("checkpoint")
	add(16)
	section("seal")
	if err := checkpoint(s, 22, "x"); err != nil {
		t.Fatal(err)
	}
	section("checkpoint after seal")
	s.Remove(2, true)
	_ = checkpoint(s, 23, "x")
	section("erase")
	for q := uint64(3); q < 21; q++ {
		s.Remove(q, false)
	}
	s.Poll()
	section("compaction")
	_ = checkpoint(s, 36, "x")
	section("checkpoint after compaction")
	s.Purge(&store.Purge{}, nil)
	_ = checkpoint(s, 37, "x")
	section("purge")
	s.Close(func(error) {})
	section("close")
	golden := filepath.Join("testdata", "trace.golden")
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(golden, []byte(out), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || string(want) != out {
		t.Errorf("trace differs (%v):\n%s", err, out)
	}
}

// TestConcurrent runs writer and readers on their own goroutines.
func TestConcurrent(t *testing.T) {
	mem := vfs.NewMem()
	woken := make(chan struct{}, 1)
	var wg sync.WaitGroup
	spawn := func(fn func()) { wg.Add(1); go func() { defer wg.Done(); fn() }() }
	env := &Env{FS: mem, Go: spawn, Read: spawn, Wake: func(*Store) {
		select {
		case woken <- struct{}{}:
		default:
		}
	}}
	s, _ := mustOpen(t, tiny(env))
	d := &storetest.Driver{R: rng.New(3), S: s, O: &storetest.Oracle{}, Wait: func() {
		select {
		case <-woken:
		case <-time.After(10 * time.Second):
			t.Fatal("not woken")
		}
	}}
	for i := range 3000 {
		if err := errors.Join(d.Change(), d.Query()); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if i%100 == 99 {
			done := make(chan error, 1)
			s.Checkpoint(d.Ops, nil, func(err error) { done <- err })
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	}
	done := make(chan error, 1)
	s.Close(func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	s2, rec, err := Open(tiny(inline(mem, 1)), "/s")
	if err != nil || rec.Applied != d.Ops {
		t.Fatalf("%+v %v", rec, err)
	}
	d.Reset(s2)
	if err := d.CheckState(); err != nil {
		t.Fatal(err)
	}
}

func FuzzFiles(f *testing.F) {
	sum := &summary{n: 2, first: 5, last: 6, end: 100, subjects: []subjectCount{{key: []byte("a"), n: 2, first: 5, last: 6}}, ttls: []msgtab.Deadline{{At: 9, Seq: 5}}}
	det := &detail{sizes: []uint32{50, 50}, seqs: []uint64{5, 6}, lids: []uint32{0, 0}}
	f.Add(sum.append(nil))
	f.Add(det.append(nil))
	st := &state{nextID: 3, first: 5, last: 6, segs: []segState{{id: 1, first: 5, last: 6, n: 2, end: 100}}}
	f.Add(st.append(nil, &st.dels, &st.lost))
	f.Add(putHeader(1, 2, 3, true))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, ok := parseSummary(b); ok {
			if again, ok := parseSummary(s.append(nil)); !ok || again.n != s.n || again.last != s.last {
				t.Fatal("summary is not stable")
			}
		}
		if d, ok := parseDetail(b, 3); ok {
			if again, ok := parseDetail(d.append(nil), 3); !ok || len(again.seqs) != len(d.seqs) {
				t.Fatal("index is not stable")
			}
		}
		if st, ok := parsePayload(b); ok {
			if again, ok := parsePayload(st.append(nil, &st.dels, &st.lost)); !ok || again.last != st.last {
				t.Fatal("state is not stable")
			}
		}
		parseHeader(b)
		parseChunk(b, 0)
		walkChunks(append(make([]byte, headerLen), b...), 0, 0)
		_, _ = parseState(b, &crypt.Codec{})
	})
}

// TestReadErrors: what cannot be read is Damaged, says so, and is read again by the next Open.
func TestReadErrors(t *testing.T) {
	for _, op := range []vfs.Op{vfs.OpRead, vfs.OpMap, vfs.OpOpen} {
		mem := vfs.NewMem()
		var fault vfs.Fault
		o := tiny(inline(vfs.Intercept(mem, fault.Hook), 5))
		o.IndexBytes = 1 << 20
		if op == vfs.OpRead { // plain files are mapped
			o.Codec = codecFor(t, crypt.NoCipher, o.Env)
		}
		said := 0
		o.OnDamage = func(Damage) { said++ }
		s, _ := mustOpen(t, o)
		for q := uint64(1); q <= 60; q++ {
			if err := s.Append(&store.Rec{Seq: q, Time: int64(q), Subject: []byte("a"), Payload: make([]byte, 50)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := checkpoint(s, 60, ""); err != nil {
			t.Fatal(err)
		}
		s.TrimCache()
		fault.Add(vfs.FaultRule{Op: op, Path: ".seg", Err: syscall.EIO})
		var r store.Rec
		a := s.Load(3, &r)
		for k := 0; a == store.Pending && k < 5; k++ {
			a = s.Load(3, &r)
		}
		var st store.State
		s.State(&st)
		if a != store.Damaged || said == 0 || st.LostMsgs == 0 || st.LostBytes == 0 || st.Msgs != 60 || r.Seq != 3 {
			t.Fatalf("%s: %v, %d reports, %+v", op, a, said, st)
		}
		if a := s.Load(60, &r); a != store.Hit {
			t.Fatalf("%s: the tail is in memory, got %v", op, a)
		}
		if err := checkpoint(s, 61, ""); err != nil {
			t.Fatal(err)
		}
		s.Close(func(error) {})
		fault.Clear()
		s, _, err := Open(o, "/s")
		if err != nil {
			t.Fatal(err)
		}
		s.State(&st)
		a = s.Load(3, &r)
		for k := 0; a == store.Pending && k < 5; k++ {
			a = s.Load(3, &r)
		}
		if a != store.Hit || st.LostMsgs != 0 || st.LostBytes != 0 {
			t.Fatalf("%s: reopened: %v %+v", op, a, st)
		}
	}
}

// TestMissingSegment removes one file: its messages are lost, everything else is there.
func TestMissingSegment(t *testing.T) {
	mem := vfs.NewMem()
	o := tiny(inline(mem, 5))
	s, _ := mustOpen(t, o)
	for q := uint64(1); q <= 80; q++ {
		if err := s.Append(&store.Rec{Seq: q, Time: int64(q), Subject: fmt.Appendf(nil, "a.%d", q%4), Payload: make([]byte, 50)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := checkpoint(s, 80, ""); err != nil {
		t.Fatal(err)
	}
	gone := s.Segments()[1]
	if err := mem.Remove(segName("/s", gone.ID)); err != nil {
		t.Fatal(err)
	}
	var said []Damage
	o.OnDamage = func(d Damage) { said = append(said, d) }
	s, _, err := Open(o, "/s")
	if err != nil || len(said) == 0 {
		t.Fatalf("%v %v", err, said)
	}
	var st store.State
	s.State(&st)
	if st.Msgs != 80 || st.LostMsgs != uint64(gone.N) || st.LostBytes == 0 || st.LastSeq != 80 {
		t.Fatalf("%+v", st)
	}
	f := &store.Filter{Patterns: []string{"a.1"}}
	var r store.Rec
	hits, damaged := 0, 0
	for from := uint64(1); from <= 80; {
		switch a := s.Next(f, from, &r); a {
		case store.Hit:
			hits++
			from = r.Seq + 1
		case store.Damaged:
			damaged++
			from = r.Seq + 1
		case store.None:
			from = 81
		}
	}
	if damaged != gone.N || hits != 20-(gone.N+2)/4 && hits != 20-gone.N/4 && hits != 20-(gone.N+3)/4 {
		t.Fatalf("%d hits, %d damaged of %d", hits, damaged, gone.N)
	}
	// It stays lost, and known to be, over checkpoints; removing the messages forgets the file.
	if err := checkpoint(s, 81, ""); err != nil {
		t.Fatal(err)
	}
	if s, _, err = Open(o, "/s"); err != nil {
		t.Fatal(err)
	}
	s.State(&st)
	if st.Msgs != 80 || st.LostMsgs != uint64(gone.N) || st.LostBytes == 0 {
		t.Fatalf("after a checkpoint: %+v", st)
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	for q := gone.First; q <= gone.Last; q++ {
		if !s.Remove(q, false) {
			t.Fatalf("cannot remove %d", q)
		}
	}
	before := len(s.Segments())
	if err := checkpoint(s, 82, ""); err != nil {
		t.Fatal(err)
	}
	s.State(&st)
	if len(s.Segments()) != before-1 || st.LostMsgs != 0 || st.LostBytes != 0 {
		t.Fatalf("%d segments of %d, %+v", len(s.Segments()), before, st)
	}
	if n := s.Purge(&store.Purge{}, nil); n != 80-uint64(gone.N) {
		t.Fatalf("purged %d", n)
	}
}

// FuzzFooter: a footer whose parts verify may still say anything.
func FuzzFooter(f *testing.F) {
	sum := &summary{n: 2, first: 5, last: 6, end: 100, subjects: []subjectCount{{key: []byte("a"), n: 2, first: 5, last: 6}}}
	det := &detail{sizes: []uint32{50, 50}, seqs: []uint64{5, 6}, lids: []uint32{0, 0}}
	f.Add(sum.append(nil), det.append(nil), 0)
	f.Add(sum.append(nil), (&detail{}).append(nil), 0)
	f.Add([]byte{}, []byte{}, 1)
	f.Fuzz(func(t *testing.T, a, b []byte, off int) {
		mem := vfs.NewMem()
		h, err := mem.Create("/f")
		if err != nil {
			t.Fatal(err)
		}
		file := append(append(putHeader(1, 2, 3, false), a...), b...)
		at := len(file)
		file = binary.LittleEndian.AppendUint64(file, uint64(headerLen+off%3))
		file = binary.LittleEndian.AppendUint32(file, uint32(len(a)))
		file = binary.LittleEndian.AppendUint32(file, uint32(len(b)))
		file = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(file, xxhash.Sum64(a)), xxhash.Sum64(b))
		file = append(file, trailerMagic...)
		file = binary.LittleEndian.AppendUint64(file, xxhash.Sum64(file[at:]))
		if _, err := h.WriteAt(file, 0); err != nil {
			t.Fatal(err)
		}
		s, d, err := readFooter(h, &crypt.Codec{}, 1, true)
		if err == nil && (len(d.seqs) != s.n || d.seqs[0] != s.first || d.seqs[s.n-1] != s.last) {
			t.Fatalf("%+v %+v", s, d)
		}
	})
}

// TestChunkDamage: no bit of a chunk can change, and none of another store is taken, before it is decoded.
func TestChunkDamage(t *testing.T) {
	for _, cipher := range []crypt.Cipher{crypt.NoCipher, crypt.AES} {
		codec := codecFor(t, cipher, inline(vfs.NewMem(), 1))
		b := appendChunk(nil, codec, 7, 9, 300, bytes.Repeat([]byte("records "), 40))
		if c, n := parseChunk(append(bytes.Clone(b), 1, 2, 3), 9); n != len(b) || c.off != 300 || c.n != 320 || int(c.stored) != len(b)-chunkLen {
			t.Fatalf("%+v, %d of %d", c, n, len(b))
		}
		if _, n := parseChunk(b, 10); n != 0 {
			t.Error("a chunk of another store is taken")
		}
		for i := range b {
			for bit := range 8 {
				b[i] ^= 1 << bit
				if c, n := parseChunk(b, 9); n != 0 {
					t.Errorf("cipher %v: bit %d of byte %d: %+v", cipher, bit, i, c)
				}
				b[i] ^= 1 << bit
			}
		}
	}
}
