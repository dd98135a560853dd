package stream

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"ramjet/proto/base/rng"
	"ramjet/store"
	"ramjet/store/vfs"
)

// TestAbandon gives a store up with its writer at every stage of appends and checkpoints: everybody who waits is told once, the files are closed, and
// what is opened again is the newest checkpoint that was reported, or the one on the way, complete.
func TestAbandon(t *testing.T) {
	for seed := range uint64(400) {
		mem := vfs.NewMem()
		env := inline(mem, seed)
		var waiting []func()
		env.Go = func(fn func()) { waiting = append(waiting, fn) }
		r := rng.New(seed)
		work := func(i int) {
			fn := waiting[i]
			waiting = append(waiting[:i:i], waiting[i+1:]...)
			fn()
		}
		full := seed%3 == 0
		fsys := vfs.Intercept(mem, func(c *vfs.Call) (int64, error) {
			if full && c.Op == vfs.OpWrite && r.Intn(3) == 0 {
				return 0, syscall.ENOSPC
			}
			return 0, nil
		})
		env.FS = mem
		s, _ := mustOpen(t, tiny(env))
		s.env.FS = fsys
		told := map[uint64][]error{}
		asked := uint64(0)
		for seq := uint64(1); seq <= 40; seq++ {
			rec := store.Rec{Seq: seq, Time: int64(seq), Subject: []byte("a"), Payload: []byte(fmt.Sprint("message ", seq))}
			if err := s.Append(&rec); err != nil {
				t.Fatal(err)
			}
			if r.Intn(8) == 0 {
				asked = seq
				s.Checkpoint(seq, nil, func(err error) { told[seq] = append(told[seq], err) })
			}
			for len(waiting) > 0 && r.Intn(3) > 0 {
				work(r.Intn(len(waiting)))
			}
			if r.Intn(16) == 0 {
				s.WriteRetry()
			}
			s.Poll()
		}
		ended := 0
		s.Abandon(func(error) { ended++ })
		for len(waiting) > 0 {
			work(r.Intn(len(waiting)))
		}
		if ended != 1 {
			t.Fatalf("seed %d: ended %d times", seed, ended)
		}
		newest := uint64(0)
		for seq, errs := range told {
			if len(errs) != 1 {
				t.Fatalf("seed %d: checkpoint %d was told %v", seed, seq, errs)
			}
			if errs[0] == nil {
				newest = max(newest, seq)
			} else if !errors.Is(errs[0], ErrClosed) {
				t.Fatalf("seed %d: checkpoint %d: %v", seed, seq, errs[0])
			}
		}
		if asked > 0 && told[asked] == nil {
			t.Fatalf("seed %d: checkpoint %d was told nothing", seed, asked)
		}
		o := tiny(inline(mem, seed))
		o.OnDamage = func(d Damage) { t.Errorf("seed %d: %+v", seed, d) }
		again, rec := mustOpen(t, o)
		_, last, _ := again.Bounds()
		if rec.Applied != newest || last != newest {
			t.Fatalf("seed %d: opened at %d with messages up to %d, the newest checkpoint is %d", seed, rec.Applied, last, newest)
		}
		if err := again.Check(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}
