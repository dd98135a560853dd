package stream

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"ramjet/proto/base/rng"
	"ramjet/store"
	"ramjet/store/crypt"
	"ramjet/store/storetest"
	"ramjet/store/vfs"
)

// inline is an Env whose writer and readers run at once.
func inline(fsys vfs.FS, seed uint64) *Env {
	r := rng.New(seed)
	return &Env{
		FS: fsys, Go: func(fn func()) { fn() }, Read: func(fn func()) { fn() }, Wake: func(*Store) {},
		Random: func(b []byte) {
			for i := range b {
				b[i] = byte(r.Uint64())
			}
		},
	}
}

func tiny(env *Env) Options {
	return Options{Env: env, SegmentBytes: 2000, FlushBytes: 300, CacheBytes: 1500, IndexBytes: 2000}
}

func codecFor(t testing.TB, c crypt.Cipher, env *Env) *crypt.Codec {
	codec, err := crypt.NewCodec(c, bytes.Repeat([]byte{3}, crypt.KeyLen), true, env.Random)
	if err != nil {
		t.Fatal(err)
	}
	return codec
}

func mustOpen(t testing.TB, o Options) (*Store, *Recovered) {
	t.Helper()
	if err := errors.Join(o.Env.FS.MkdirAll("/s"), o.Env.FS.SyncDir("/")); err != nil {
		t.Fatal(err)
	}
	s, rec, err := Open(o, "/s")
	if err != nil {
		t.Fatal(err)
	}
	return s, rec
}

// checkpoint makes a checkpoint and waits for it; the Env is inline.
func checkpoint(s *Store, applied uint64, extra string) error {
	err := fmt.Errorf("checkpoint did not finish")
	s.Checkpoint(applied, []byte(extra), func(e error) { err = e })
	s.Poll()
	return err
}

// run drives a store with restarts and returns the first difference.
func run(t *testing.T, seed uint64, steps int, o Options) {
	t.Helper()
	o.OnDamage = func(d Damage) { t.Errorf("seed %d: damage %+v", seed, d) }
	s, rec := mustOpen(t, o)
	if !rec.New {
		t.Fatalf("seed %d: not new", seed)
	}
	d := &storetest.Driver{R: rng.New(seed), S: s, O: &storetest.Oracle{}}
	if seed%4 == 0 {
		d.Payload = 1500
	}
	var log []storetest.Op
	var logged uint64 // index of log[0]
	var total Stats
	d.Log = func(op storetest.Op) { log = append(log, op) }
	d.Wait = func() { s.Poll() }
	for i := range steps {
		err := d.Change()
		if err == nil {
			err = d.Query()
		}
		if err == nil && i%400 == 399 {
			err = d.ExpireAll(d.Now + 1e9)
		}
		if err == nil {
			switch d.R.Intn(60) {
			case 0:
				if err = checkpoint(s, d.Ops, fmt.Sprint("extra", d.Ops)); err == nil {
					log, logged = nil, d.Ops
				}
			case 1: // killed: what came after the checkpoint is replayed
				s.Close(func(error) {})
				total.Compactions += s.Stats().Compactions
				total.Reads += s.Stats().Reads
				var rec *Recovered
				if s, rec, err = Open(o, "/s"); err != nil {
					break
				}
				if rec.Applied != logged || rec.Rebuilt || (logged > 0 && string(rec.Extra) != fmt.Sprint("extra", logged)) {
					err = fmt.Errorf("recovered %+v, want %d", rec, logged)
					break
				}
				for k := range log {
					if err = log[k].Apply(s); err != nil {
						break
					}
				}
				d.Reset(s)
				if err == nil {
					err = d.CheckState()
				}
			case 2:
				err = s.Check()
			case 3:
				s.Scrub(func(bad int) {
					if bad > 0 {
						t.Errorf("seed %d: scrub found %d", seed, bad)
					}
				})
			case 4:
				s.TrimCache()
			}
		}
		if err != nil {
			t.Fatalf("seed %d, step %d: %v", seed, i, err)
		}
	}
	if err := checkpoint(s, d.Ops, ""); err != nil {
		t.Fatal(err)
	}
	rep, err := Check(o.Env.FS, "/s", o.Codec, nil)
	if err != nil || len(rep.Problems) > 0 || rep.Msgs != uint64(len(d.O.Msgs)) {
		t.Fatalf("seed %d: check %+v %v, want %d messages", seed, rep, err, len(d.O.Msgs))
	}
	if steps > 2000 && seed%4 == 1 && (total.Compactions == 0 || total.Reads == 0) {
		t.Errorf("seed %d: nothing compacted or nothing read: %+v", seed, total)
	}
}

func TestOracle(t *testing.T) {
	for seed := uint64(1); seed <= 25; seed++ {
		env := inline(vfs.NewMem(), seed)
		run(t, seed, 2500, tiny(env))
	}
}

func TestOracleEncoded(t *testing.T) {
	for seed := uint64(1); seed <= 12; seed++ {
		env := inline(vfs.NewMem(), seed)
		o := tiny(env)
		o.Codec = codecFor(t, []crypt.Cipher{crypt.NoCipher, crypt.ChaCha, crypt.AES}[seed%3], env)
		run(t, seed, 1500, o)
	}
}

func TestOracleOS(t *testing.T) {
	dir := t.TempDir()
	for seed := uint64(1); seed <= 3; seed++ {
		env := inline(rooted{vfs.OS(), fmt.Sprintf("%s/%d", dir, seed)}, seed)
		run(t, seed, 1200, tiny(env))
	}
}

// rooted puts all paths below a directory.
type rooted struct {
	vfs.FS
	root string
}

func (r rooted) Create(p string) (vfs.File, error) { return r.FS.Create(r.root + p) }
func (r rooted) Open(p string) (vfs.File, error)   { return r.FS.Open(r.root + p) }
func (r rooted) OpenRW(p string) (vfs.File, error) { return r.FS.OpenRW(r.root + p) }
func (r rooted) Remove(p string) error             { return r.FS.Remove(r.root + p) }
func (r rooted) Rename(a, b string) error          { return r.FS.Rename(r.root+a, r.root+b) }
func (r rooted) List(p string) ([]string, error)   { return r.FS.List(r.root + p) }
func (r rooted) MkdirAll(p string) error           { return r.FS.MkdirAll(r.root + p) }
func (r rooted) SyncDir(p string) error            { return r.FS.SyncDir(r.root + p) }

var _ storetest.Store = (*Store)(nil)
var _ = store.None

// TestEncryptExisting opens a plain store with a key: everything is encrypted before long, and unreadable without the key.
func TestEncryptExisting(t *testing.T) {
	mem := vfs.NewMem()
	env := inline(mem, 1)
	s, _ := mustOpen(t, tiny(env))
	secret := []byte("the secret text of a message")
	for i := range 100 {
		if err := s.Append(&store.Rec{Seq: uint64(i + 1), Subject: []byte("topsecret"), Payload: secret}); err != nil {
			t.Fatal(err)
		}
	}
	if err := checkpoint(s, 100, "topsecret"); err != nil {
		t.Fatal(err)
	}
	s.Close(func(error) {})
	o := tiny(env)
	o.Codec = codecFor(t, crypt.AES, env)
	s, _ = mustOpen(t, o)
	s.Poll()
	for i := range 2 {
		if err := checkpoint(s, uint64(100+i), "topsecret"); err != nil {
			t.Fatal(err)
		}
	}
	names, _ := mem.List("/s")
	for _, n := range names {
		b, _ := vfs.ReadFile(mem, "/s/"+n, 1<<20)
		if bytes.Contains(b, secret) || bytes.Contains(b, []byte("topsecret")) {
			t.Errorf("%s is readable", n)
		}
	}
	var r store.Rec
	for q := uint64(1); q <= 100; q++ {
		a := s.Load(q, &r)
		for k := 0; a == store.Pending && k < 3; k++ {
			a = s.Load(q, &r)
		}
		if a != store.Hit || !bytes.Equal(r.Payload, secret) {
			t.Fatalf("message %d: %v", q, a)
		}
	}
	s.Close(func(error) {})
	if _, _, err := Open(tiny(env), "/s"); !errors.Is(err, ErrKey) {
		t.Fatalf("without key: %v", err)
	}
	if _, _, err := Open(o, "/s"); err != nil {
		t.Fatal(err)
	}
}

// TestErase looks for erased content in all files.
func TestErase(t *testing.T) {
	for _, encoded := range []bool{false, true} {
		mem := vfs.NewMem()
		env := inline(mem, 1)
		o := tiny(env)
		if encoded {
			o.Codec, _ = crypt.NewCodec(crypt.NoCipher, nil, true, env.Random) // compressed: found if it is there
		}
		s, _ := mustOpen(t, o)
		for i := range 60 {
			payload := fmt.Appendf(nil, "payload<%d>", i+1)
			if err := s.Append(&store.Rec{Seq: uint64(i + 1), Subject: []byte("a"), Payload: payload}); err != nil {
				t.Fatal(err)
			}
		}
		s.Remove(5, true)
		s.Remove(30, true)
		for k := range 3 {
			if err := checkpoint(s, uint64(60+k), ""); err != nil {
				t.Fatal(err)
			}
		}
		names, _ := mem.List("/s")
		for _, n := range names {
			b, _ := vfs.ReadFile(mem, "/s/"+n, 1<<20)
			if bytes.Contains(b, []byte("payload<5>")) || bytes.Contains(b, []byte("payload<30>")) {
				t.Errorf("encoded %v: %s has erased content", encoded, n)
			}
		}
		rep, err := Check(mem, "/s", o.Codec, nil)
		if err != nil || len(rep.Problems) > 0 || rep.Msgs != 58 {
			t.Errorf("%+v %v", rep, err)
		}
		var bad []Damage
		o.OnDamage = func(d Damage) { bad = append(bad, d) }
		if _, rec, err := Open(o, "/s"); err != nil || len(bad) > 0 || rec.Rebuilt {
			t.Errorf("%v %v", err, bad)
		}
	}
}

// TestRebuild loses both state files: all messages are found again, also when segments are encoded.
func TestRebuild(t *testing.T) {
	for seed := uint64(1); seed <= 6; seed++ {
		mem := vfs.NewMem()
		env := inline(mem, seed)
		o := tiny(env)
		if seed%2 == 0 {
			o.Codec = codecFor(t, crypt.ChaCha, env)
		}
		s, _ := mustOpen(t, o)
		d := &storetest.Driver{R: rng.New(seed), S: s, O: &storetest.Oracle{}}
		for range 300 {
			op := storetest.Op{Kind: 'a', Rec: d.Record()}
			if err := d.Do(op); err != nil {
				t.Fatal(err)
			}
		}
		if err := checkpoint(s, 300, ""); err != nil {
			t.Fatal(err)
		}
		s.Close(func(error) {})
		if err := errors.Join(mem.Remove("/s/state"), mem.Remove("/s/state.prev")); err != nil {
			t.Fatal(err)
		}
		said := 0
		o.OnDamage = func(Damage) { said++ }
		s, rec, err := Open(o, "/s")
		if err != nil || !rec.Rebuilt || said == 0 {
			t.Fatalf("seed %d: %+v %v", seed, rec, err)
		}
		d.Reset(s)
		d.Wait = func() { s.Poll() }
		if err := errors.Join(d.CheckState(), s.Check()); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for range 100 {
			if err := d.Query(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
	}
}

// TestDrained: a work queue that is always empty does not keep files.
func TestDrained(t *testing.T) {
	mem := vfs.NewMem()
	s, _ := mustOpen(t, tiny(inline(mem, 1)))
	for q := uint64(1); q <= 2000; q++ {
		if err := s.Append(&store.Rec{Seq: q, Subject: []byte("job"), Payload: make([]byte, 50)}); err != nil {
			t.Fatal(err)
		}
		s.Remove(q, false)
		if q%100 == 0 {
			if err := checkpoint(s, q, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	names, _ := mem.List("/s")
	if len(names) > 5 || len(s.Segments()) > 2 {
		t.Errorf("%v, %d segments", names, len(s.Segments()))
	}
}

// TestOracleLarge has segments with many records, few and many subjects, so that all forms of an index are used.
func TestOracleLarge(t *testing.T) {
	for seed := uint64(101); seed <= 104; seed++ {
		o := tiny(inline(vfs.NewMem(), seed))
		o.SegmentBytes, o.CacheBytes, o.IndexBytes, o.FlushBytes = 150_000, 20_000, 30_000, 5000
		s, _ := mustOpen(t, o)
		keys := []int{3, 290, 3000, 100_000}[seed%4]
		d := &storetest.Driver{R: rng.New(seed), S: s, O: &storetest.Oracle{}, Payload: 8, Keys: keys, Wait: func() { s.Poll() }}
		for i := range 12_000 {
			rec := d.Record()
			rec.TTL, rec.Seq = 0, d.O.Last+1
			if d.R.Intn(3) > 0 {
				rec.Subject = fmt.Appendf(nil, "s.%d.a", d.R.Intn(keys))
			}
			op := storetest.Op{Kind: 'a', Rec: rec}
			d.O.Append(&op.Rec)
			if err := s.Append(&op.Rec); err != nil {
				t.Fatal(err)
			}
			if i%3 == 0 {
				q := d.O.Msgs[d.R.Intn(len(d.O.Msgs))].Seq
				if !s.Remove(q, false) || !d.O.Remove(q) {
					t.Fatalf("seed %d: cannot remove %d", seed, q)
				}
			}
			if i%40 == 0 {
				if err := d.Query(); err != nil {
					t.Fatalf("seed %d, step %d: %v", seed, i, err)
				}
			}
			if i%3000 == 2999 {
				if err := errors.Join(checkpoint(s, uint64(i), ""), s.Check(), d.CheckState()); err != nil {
					t.Fatalf("seed %d, step %d: %v", seed, i, err)
				}
				var err error
				if s, _, err = Open(o, "/s"); err != nil {
					t.Fatal(err)
				}
				d.Reset(s)
			}
		}
	}
}

// TestScrub finds a damaged record in a cold segment, and a damaged index, before anybody reads them.
func TestScrub(t *testing.T) {
	mem := vfs.NewMem()
	o := tiny(inline(mem, 5))
	s, _ := mustOpen(t, o)
	for q := uint64(1); q <= 80; q++ {
		if err := s.Append(&store.Rec{Seq: q, Time: int64(q), Subject: []byte("a"), Payload: make([]byte, 50)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := checkpoint(s, 80, ""); err != nil {
		t.Fatal(err)
	}
	flip := func(id uint64, at int64) {
		f, err := mem.OpenRW(segName("/s", id))
		if err != nil {
			t.Fatal(err)
		}
		if at < 0 {
			size, _ := f.Size()
			at += size
		}
		b := make([]byte, 1)
		_, _ = f.ReadAt(b, at)
		_, _ = f.WriteAt([]byte{b[0] ^ 4}, at)
		_ = f.Close()
	}
	flip(s.Segments()[0].ID, headerLen+60)
	flip(s.Segments()[1].ID, -60)
	var said []Damage
	o.OnDamage = func(d Damage) { said = append(said, d) }
	s, _, err := Open(o, "/s")
	if err != nil {
		t.Fatal(err)
	}
	said = nil
	for !s.Warm(1, 80) {
	}
	bad, steps := 0, 0
	for s.Scrub(func(n int) { bad += n }) > 0 {
		s.Poll()
		steps++
	}
	var st store.State
	s.State(&st)
	if bad == 0 || st.LostMsgs != 1 || steps != len(s.Segments())-1 {
		t.Fatalf("bad %d, %d steps of %d segments, %+v, %+v", bad, steps, len(s.Segments()), said, st)
	}
	var r store.Rec
	if a := s.Load(1, &r); a != store.Damaged {
		t.Fatalf("damaged record: %v", a)
	}
}
