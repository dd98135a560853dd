package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ramjet/proto/base/clock"
	"ramjet/store"
	"ramjet/store/vfs"
)

// world is a journal over a crashable disk with what it reported.
type world struct {
	t       testing.TB
	mem     *vfs.Mem
	fs      vfs.FS
	log     *Log
	recs    []string // replayed: "group/index payload"
	damage  []Damage
	failed  atomic.Pointer[error]
	syncErr atomic.Int32
	noSpace atomic.Bool
	lag     atomic.Uint64
	drained chan struct{}
}

func (w *world) options() Options {
	var salt atomic.Uint64
	salt.Store(rand.Uint64())
	return Options{
		FileSize: minFileSize, FirstSize: minFileSize,
		Salt:      func() uint64 { return salt.Add(0x9e3779b97f4a7c15) },
		OnDamage:  func(d Damage) { w.damage = append(w.damage, d) },
		OnFailure: func(err error) { w.failed.Store(&err) },
		OnSyncErr: func(error) { w.syncErr.Add(1) },
		OnNoSpace: func(full bool) { w.noSpace.Store(full) },
		OnLag:     func(g GroupID) { w.lag.Store(uint64(g)) },
		OnDrained: func() { poke(w.drained) },
	}
}

// hangs is how long a test may take: one that waits for ever shows where, long before the test binary is stopped.
const hangs = time.Minute

func newWorld(t testing.TB) *world {
	name := t.Name()
	watchdog := clock.System().AfterFunc(hangs, func() {
		debug.SetTraceback("all")
		panic(name + " hangs")
	})
	t.Cleanup(func() { watchdog.Stop() })
	m := vfs.NewMem()
	return &world{t: t, mem: m, fs: m, drained: make(chan struct{}, 1)}
}

func show(r *Record) string { return fmt.Sprintf("%d/%d %s", r.Group, r.Index, r.Payload) }

func (w *world) open(o Options) *Log {
	w.t.Helper()
	w.recs, w.damage = nil, nil
	l, err := Open(w.fs, "/j", o, func(r *Record, _ Pos) error {
		w.recs = append(w.recs, show(r))
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.log = l
	w.t.Cleanup(func() { _ = l.Close() })
	return l
}

// replayed compares what Open replayed, without damage.
func (w *world) replayed(want []string) {
	w.t.Helper()
	if len(w.damage) > 0 {
		w.t.Errorf("damage %+v", w.damage)
	}
	for i := range max(len(want), len(w.recs)) {
		var a, b string
		if i < len(w.recs) {
			a = w.recs[i]
		}
		if i < len(want) {
			b = want[i]
		}
		if a != b {
			w.t.Fatalf("replayed %d records, want %d; number %d is %.40q, want %.40q", len(w.recs), len(want), i, a, b)
		}
	}
}

// append waits while the journal is full, as publishers do.
func (w *world) append(recs ...Record) (Pos, error) {
	for {
		pos, err := w.log.Append(recs...)
		if !errors.Is(err, ErrFull) {
			return pos, err
		}
		<-w.drained
	}
}

// durable does so and waits for the disk.
func (w *world) durable(recs ...Record) error {
	if _, err := w.append(recs...); err != nil {
		return err
	}
	return flush(w.log, store.SyncDurable)
}

// durable appends and waits for the disk.
func durable(l *Log, recs ...Record) error {
	if _, err := l.Append(recs...); err != nil {
		return err
	}
	return flush(l, store.SyncDurable)
}

func flush(l *Log, p store.SyncPolicy) error {
	c := make(chan error, 1)
	l.Submit(p, func(err error) { c <- err })
	return <-c
}

func rec(g GroupID, i uint64, payload string) Record {
	return Record{Group: g, Kind: KindStream, Index: i, Payload: []byte(payload)}
}

func TestReopen(t *testing.T) {
	w := newWorld(t)
	l := w.open(w.options())
	var want []string
	for i := range uint64(100) {
		r := rec(GroupID(i%3+1), i, fmt.Sprintf("payload %d", i))
		want = append(want, show(&r))
		if err := durable(l, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(rec(1, 1, "x")); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	l = w.open(w.options())
	if fmt.Sprint(w.recs) != fmt.Sprint(want) {
		t.Errorf("replayed %d records, want %d", len(w.recs), len(want))
	}
	// Again, after appending to the reopened log.
	if err := durable(l, rec(9, 9, "more")); err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	w.open(w.options())
	if want = append(want, "9/9 more"); fmt.Sprint(w.recs) != fmt.Sprint(want) {
		t.Errorf("replayed %v", w.recs)
	}
	if len(w.damage) > 0 {
		t.Error(w.damage)
	}
}

func TestFilesRotateAndRecycle(t *testing.T) {
	w := newWorld(t)
	l := w.open(w.options())
	payload := string(bytes.Repeat([]byte("x"), 4000))
	var last Pos
	for i := range uint64(400) {
		pos, err := l.Append(rec(1, i, payload))
		if err != nil {
			t.Fatal(err)
		}
		if err := flush(l, store.SyncDurable); err != nil {
			t.Fatal(err)
		}
		l.Release(1, last)
		last = pos
	}
	if s := l.Stats(); s.Files > 3 {
		t.Errorf("%d live files although all but one record was released", s.Files)
	}
	_ = l.Close()
	names, _ := w.mem.List("/j")
	if len(names) > 8 {
		t.Errorf("%d files on disk", len(names))
	}
	w.open(w.options())
	if n := len(w.recs); n == 0 || w.recs[n-1] != fmt.Sprintf("1/399 %s", payload) || len(w.damage) > 0 {
		t.Errorf("replayed %d, damage %v", n, w.damage)
	}
}

func TestGroupCommit(t *testing.T) {
	w := newWorld(t)
	var syncs atomic.Int32
	gate := make(chan struct{})
	w.fs = vfs.Intercept(w.mem, vfs.Slow(func(c *vfs.Call) {
		if c.Op == vfs.OpSync && syncs.Add(1) == 4 { // two for each of the first files, one for its header
			<-gate
		}
	}))
	l := w.open(w.options())
	start := l.Stats()
	var wg sync.WaitGroup
	for i := range uint64(1000) {
		if _, err := l.Append(rec(1, i, "x")); err != nil {
			t.Fatal(err)
		}
		wg.Add(1)
		l.Submit(store.SyncDurable, func(err error) {
			if err != nil {
				t.Error(err)
			}
			wg.Done()
		})
	}
	close(gate)
	wg.Wait()
	if n := l.Stats().Syncs - start.Syncs; n > 100 {
		t.Errorf("%d syncs for 1000 records", n)
	}
}

func TestOwnedPayloads(t *testing.T) {
	w := newWorld(t)
	l := w.open(w.options())
	big := bytes.Repeat([]byte("0123456789"), 2000)
	var freed atomic.Int32
	for i := range uint64(20) {
		p := append([]byte(nil), big...)
		if err := durable(l, Record{Group: 1, Kind: KindStream, Index: i, Payload: p, Own: func() { freed.Add(1) }}); err != nil {
			t.Fatal(err)
		}
	}
	_ = l.Close()
	if freed.Load() != 20 {
		t.Errorf("%d payloads given back", freed.Load())
	}
	w.open(w.options())
	if len(w.recs) != 20 || w.recs[7] != fmt.Sprintf("1/7 %s", big) {
		t.Errorf("replayed %d", len(w.recs))
	}
	if _, err := w.log.Append(rec(1, 1, string(make([]byte, w.log.MaxPayload()+1)))); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}

// TestLargeRecord: a record may be as large as the largest file, also while files are small.
func TestLargeRecord(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	o.FileSize = 16 * o.FirstSize
	l := w.open(o)
	sizes := []int{10, l.MaxPayload(), 20, 3 * int(o.FirstSize), l.MaxPayload(), 30}
	for i, n := range sizes {
		if err := durable(l, rec(1, uint64(i), string(bytes.Repeat([]byte{'x'}, n)))); err != nil {
			t.Fatal(n, err)
		}
	}
	if _, err := l.Append(rec(1, 9, string(make([]byte, l.MaxPayload()+1)))); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	_ = l.Close()
	w.open(o)
	if len(w.recs) != len(sizes) || len(w.damage) != 0 {
		t.Fatalf("replayed %d, %v", len(w.recs), w.damage)
	}
	for i, n := range sizes {
		if want := fmt.Sprintf("1/%d %s", i, strings.Repeat("x", n)); w.recs[i] != want {
			t.Errorf("record %d has %d bytes, want %d", i, len(w.recs[i]), len(want))
		}
	}
}

// TestPowerCut cuts the power at random moments: whatever was acknowledged is there afterwards, in order, without damage
// reports; whatever else is there was appended.
func TestPowerCut(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for _, rule := range []vfs.NameRule{vfs.NamesStrict, vfs.NamesOrdered} {
		for round := range 30 {
			w := newWorld(t)
			w.mem.SetNameRule(rule)
			var acked []string
			for life := range 3 {
				clones := []*vfs.Mem{}
				ackedAt := []int{}
				o := w.options()
				l := w.open(o)
				if len(w.damage) > 0 {
					t.Fatalf("round %d life %d: damage %v", round, life, w.damage)
				}
				if len(w.recs) < len(acked) {
					t.Fatalf("round %d life %d: %d of %d acknowledged records are gone", round, life, len(acked)-len(w.recs), len(acked))
				}
				for i, a := range acked {
					if w.recs[i] != a {
						t.Fatalf("round %d: record %d is %.40q, want %.40q", round, i, w.recs[i], a)
					}
				}
				acked = append([]string(nil), w.recs...)
				for range r.IntN(60) {
					var batch []Record
					for range 1 + r.IntN(4) {
						n := len(acked) + len(batch)
						batch = append(batch, rec(GroupID(1+r.IntN(3)), uint64(n), fmt.Sprintf("%d-%s", n, bytes.Repeat([]byte("z"), r.IntN(3000)))))
					}
					if _, err := l.Append(batch...); err != nil {
						t.Fatal(err)
					}
					if r.IntN(3) == 0 {
						clones = append(clones, w.mem.CrashClone(vfs.Crash{Rand: r.IntN, Keep: r.IntN(101), Torn: true}))
						ackedAt = append(ackedAt, len(acked))
					}
					if err := flush(l, store.SyncDurable); err != nil {
						t.Fatal(err)
					}
					for i := range batch {
						acked = append(acked, show(&batch[i]))
					}
					if r.IntN(3) == 0 {
						clones = append(clones, w.mem.CrashClone(vfs.Crash{Rand: r.IntN, Keep: r.IntN(101), Torn: true}))
						ackedAt = append(ackedAt, len(acked))
					}
				}
				_ = l.Close()
				if len(clones) == 0 {
					continue
				}
				k := r.IntN(len(clones))
				w.mem, acked = clones[k], acked[:ackedAt[k]]
				w.fs = w.mem
			}
		}
	}
}

// slotsWith returns the names of files that hold the payload, with its offset.
func (w *world) find(payload string) (name string, off int64) {
	w.t.Helper()
	names, _ := w.mem.List("/j")
	for _, n := range names {
		b, err := vfs.ReadFile(w.mem, "/j/"+n, 1<<30)
		if err != nil {
			w.t.Fatal(err)
		}
		if i := bytes.Index(b, []byte(payload)); i >= 0 {
			return "/j/" + n, int64(i)
		}
	}
	w.t.Fatalf("%q is in no file", payload)
	return "", 0
}

func (w *world) flip(name string, off int64) {
	w.t.Helper()
	f, err := w.mem.OpenRW(name)
	if err != nil {
		w.t.Fatal(err)
	}
	var b [1]byte
	_, _ = f.ReadAt(b[:], off)
	b[0] ^= 0x10
	if _, err := f.WriteAt(b[:], off); err != nil {
		w.t.Fatal(err)
	}
	_ = f.Sync()
	_ = f.Close()
}

// TestDamage flips a bit in a record in the middle: the others are replayed, the hole is reported with its group.
func TestDamage(t *testing.T) {
	w := newWorld(t)
	l := w.open(w.options())
	for i := range uint64(10) {
		if err := durable(l, rec(GroupID(i+1), i, fmt.Sprintf("payload-%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	_ = l.Close()
	w.flip(w.find("payload-4"))
	w.open(w.options())
	if len(w.recs) != 9 {
		t.Errorf("replayed %v", w.recs)
	}
	if len(w.damage) != 1 || w.damage[0].Group != 5 {
		t.Errorf("damage %+v", w.damage)
	}
}

// TestDamagedLastRecord: the last records of a log that was stopped cleanly, or that was started again since, are damage and not a torn
// tail when they do not verify.
func TestDamagedLastRecord(t *testing.T) {
	for _, starts := range []int{0, 1, 2} {
		w := newWorld(t)
		l := w.open(w.options())
		if err := durable(l, rec(1, 1, "first"), rec(2, 2, "last")); err != nil {
			t.Fatal(err)
		}
		if starts > 0 {
			// The process was killed: what it had written is there, and nothing says that it was synced.
			w.mem = w.mem.CrashClone(vfs.Crash{Keep: 100, Rand: func(int) int { return 0 }})
			w.fs = w.mem
		} else {
			_ = l.Close()
		}
		for range starts {
			l := w.open(w.options())
			w.replayed([]string{"1/1 first", "2/2 last"})
			_ = l.Close()
		}
		names, _ := w.mem.List("/j")
		for _, n := range names { // also copies in files that are not used any more
			b, _ := vfs.ReadFile(w.mem, "/j/"+n, 1<<30)
			if i := bytes.Index(b, []byte("last")); i >= 0 {
				w.flip("/j/"+n, int64(i))
			}
		}
		w.open(w.options())
		if len(w.damage) != 1 || w.damage[0].Group != 2 || len(w.recs) != 1 {
			t.Errorf("%d starts: damage %+v, replayed %v", starts, w.damage, w.recs)
		}
	}
}

// TestTornTail: a batch that was never synced is cut, silently.
func TestTornTail(t *testing.T) {
	w := newWorld(t)
	l := w.open(w.options())
	if err := durable(l, rec(1, 1, "kept")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(rec(1, 2, "lost-a"), rec(1, 3, "lost-b")); err != nil {
		t.Fatal(err)
	}
	if err := flush(l, store.SyncOS); err != nil {
		t.Fatal(err)
	}
	clone := w.mem.CrashClone(vfs.Crash{})
	whole := w.mem.CrashClone(vfs.Crash{Keep: 100, Rand: func(int) int { return 0 }})
	_ = l.Close()

	w.mem, w.fs = clone, clone
	_ = w.open(w.options()).Close()
	if fmt.Sprint(w.recs) != "[1/1 kept]" || len(w.damage) > 0 {
		t.Errorf("replayed %v, damage %v", w.recs, w.damage)
	}
	w.mem, w.fs = whole, whole
	w.flip(w.find("lost-a"))
	w.open(w.options())
	if fmt.Sprint(w.recs) != "[1/1 kept]" || len(w.damage) > 0 {
		t.Errorf("replayed %v, damage %v", w.recs, w.damage)
	}
}

func TestMissingFile(t *testing.T) {
	w := newWorld(t)
	l := w.open(w.options())
	payload := string(bytes.Repeat([]byte("x"), 5000))
	for i := range uint64(40) {
		if err := durable(l, rec(1, i, fmt.Sprint(i, payload))); err != nil {
			t.Fatal(err)
		}
	}
	_ = l.Close()
	name, _ := w.find("15" + payload)
	if err := w.mem.Remove(name); err != nil {
		t.Fatal(err)
	}
	w.open(w.options())
	if len(w.damage) != 1 || len(w.recs) >= 40 || len(w.recs) < 20 {
		t.Errorf("damage %+v, replayed %d", w.damage, len(w.recs))
	}
}

// TestSyncFails: the unacknowledged batch moves to a fresh file and is acknowledged from there; nothing is lost by a power cut
// right after.
func TestSyncFails(t *testing.T) {
	var fault vfs.Fault
	var making sync.Map // paths
	w := newWorld(t)
	w.fs = vfs.Intercept(w.mem, func(c *vfs.Call) (int64, error) {
		if c.Op == vfs.OpAllocate {
			making.Store(c.Path, true)
		} else if _, made := making.LoadAndDelete(c.Path); made {
			return 0, nil // the preparer makes a file; the sync that fails is to be the committer's
		}
		return fault.Hook(c)
	})
	l := w.open(w.options())
	want := []string{}
	for i := range uint64(50) {
		if i%10 == 5 {
			fault.Add(vfs.FaultRule{Op: vfs.OpSync, Path: ".jnl", Err: syscall.EIO, Times: 1})
		}
		r := rec(1, i, fmt.Sprint("p", i))
		want = append(want, show(&r))
		if err := durable(l, r); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
	}
	if n := w.syncErr.Load(); n != 5 {
		t.Errorf("%d sync errors reported", n)
	}
	clone := w.mem.CrashClone(vfs.Crash{})
	_ = l.Close()
	w.mem, w.fs = clone, clone
	w.open(w.options())
	if fmt.Sprint(w.recs) != fmt.Sprint(want) || len(w.damage) > 0 {
		t.Errorf("replayed %v, damage %v", w.recs, w.damage)
	}
}

// TestVolumeFails: when the fresh file fails too, nothing more is acknowledged and everybody learns why.
func TestVolumeFails(t *testing.T) {
	var fault vfs.Fault
	w := newWorld(t)
	w.fs = vfs.Intercept(w.mem, fault.Hook)
	l := w.open(w.options())
	if err := durable(l, rec(1, 1, "good")); err != nil {
		t.Fatal(err)
	}
	fault.Add(vfs.FaultRule{Op: vfs.OpSync, Err: syscall.EIO})
	if err := durable(l, rec(1, 2, "bad")); !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v", err)
	}
	if w.failed.Load() == nil || !l.Stats().Failed {
		t.Error("failure was not reported")
	}
	if _, err := l.Append(rec(1, 3, "later")); !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
	if err := flush(l, store.SyncDurable); !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
}

func TestBackPressure(t *testing.T) {
	w := newWorld(t)
	gate := make(chan struct{})
	var held atomic.Bool
	w.fs = vfs.Intercept(w.mem, vfs.Slow(func(c *vfs.Call) {
		if c.Op == vfs.OpWrite && held.Load() {
			<-gate
		}
	}))
	o := w.options()
	o.MaxQueued = 10000
	drained := make(chan struct{}, 1)
	o.OnDrained = func() { drained <- struct{}{} }
	l := w.open(o)
	held.Store(true)
	var err error
	n := 0
	for ; n < 1000 && err == nil; n++ {
		_, err = l.Append(rec(1, uint64(n), "0123456789"))
		l.Submit(store.SyncDurable, func(error) {})
		if n == 250 && !l.Full() {
			t.Error("not full above MaxQueued")
		}
	}
	if !errors.Is(err, ErrFull) {
		t.Errorf("after %d appends: %v", n, err)
	}
	close(gate)
	<-drained
	if l.Full() {
		t.Error("full after draining")
	}
}

func TestRewriteLaggard(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	o.MaxFiles = 8
	moved := make(chan Pos, 10)
	o.OnMoved = func(g GroupID, from, to Pos) { moved <- to }
	l := w.open(o)
	if err := durable(l, rec(7, 1, "lonely")); err != nil {
		t.Fatal(err)
	}
	payload := string(bytes.Repeat([]byte("x"), 5000))
	for i := uint64(0); len(moved) == 0 && i < 2000; i++ {
		pos, err := w.append(rec(1, i, payload))
		if err == nil {
			err = flush(l, store.SyncDurable)
		}
		if err != nil {
			t.Fatal(err)
		}
		l.Release(1, pos)
	}
	if w.lag.Load() != 7 || len(moved) != 1 {
		t.Fatalf("lag %d, moved %d", w.lag.Load(), len(moved))
	}
	_ = l.Close()
	w.open(w.options())
	n := 0
	for _, r := range w.recs {
		if r == "7/1 lonely" {
			n++
		}
	}
	if n == 0 || len(w.damage) > 0 {
		t.Errorf("the laggard's record is there %d times, damage %v", n, w.damage)
	}
}

func TestReadAt(t *testing.T) {
	w := newWorld(t)
	l := w.open(w.options())
	from := l.Stats().Head
	pos, err := l.Append(rec(3, 7, "hello"))
	if err != nil {
		t.Fatal(err)
	}
	if err := flush(l, store.SyncDurable); err != nil {
		t.Fatal(err)
	}
	var r Record
	if err := l.ReadAt(from, pos, nil, &r); err != nil || show(&r) != "3/7 hello" {
		t.Error(show(&r), err)
	}
	if err := l.ReadAt(pos, pos+1000, nil, &r); err == nil {
		t.Error("read beyond the end")
	}
	w.flip(w.find("hello"))
	var d *DamageError
	if err := l.ReadAt(from, pos, nil, &r); !errors.As(err, &d) {
		t.Error(err)
	}
}

func TestNewerVersionIsRefused(t *testing.T) {
	w := newWorld(t)
	_ = w.open(w.options()).Close()
	names, _ := w.mem.List("/j")
	f, _ := w.mem.OpenRW("/j/" + names[0])
	var b [fileHeaderLen]byte
	_, _ = f.ReadAt(b[:], 0)
	binary.LittleEndian.PutUint32(b[8:], formatVersion+1)
	sumHeader(b[:])
	_, _ = f.WriteAt(b[:], 0)
	if _, err := Open(w.fs, "/j", w.options(), nil); !errors.Is(err, errVersion) {
		t.Error(err)
	}
}

// TestAppendAllocs: the hot path of a publish takes no memory once batches are warm.
func TestAppendAllocs(t *testing.T) {
	w := newWorld(t)
	l := w.open(w.options())
	r := rec(1, 1, "0123456789012345678901234567890123456789")
	for range 2000 {
		if err := durable(l, r); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(20, func() {
		if _, err := l.Append(r); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations per append", n)
	}
}

func FuzzJudge(f *testing.F) {
	w := newWorld(f)
	l := w.open(w.options())
	_ = durable(l, rec(1, 1, "abc"), rec(2, 2, "defg"))
	_ = durable(l, rec(1, 3, "hij"))
	l.mu.Lock()
	cur := l.mu.live[0]
	meta := file{number: cur.number, salt: cur.salt, start: cur.start, size: cur.size}
	l.mu.Unlock()
	name := slotName("/j", cur.slot)
	_ = l.Close()
	good, err := vfs.ReadFile(w.mem, name, 1<<30)
	if err != nil {
		f.Fatal(err)
	}
	body := good[fileHeaderLen : fileHeaderLen+400]
	f.Add(body, 0, byte(0), true)
	f.Add(body, 60, byte(4), false)
	f.Fuzz(func(t *testing.T, data []byte, at int, x byte, complete bool) {
		if at >= 0 && at < len(data) {
			data = append([]byte(nil), data...)
			data[at] ^= x
		}
		end, holes := judge(data, meta.salt, meta.start, complete)
		if end < 0 || end > int64(len(data)) {
			t.Fatalf("end %d of %d", end, len(data))
		}
		p := int64(0)
		for _, h := range holes {
			if h.from < p || h.to <= h.from || h.to > int64(len(data)) {
				t.Fatalf("holes %v", holes)
			}
			p = h.to
		}
		// Everything outside the holes parses.
		var r Record
		for p := int64(0); p < end; {
			if len(holes) > 0 && holes[0].from == p {
				p, holes = holes[0].to, holes[1:]
				continue
			}
			n, ok := parse(data[p:], meta.salt, meta.start+Pos(p), &r)
			if !ok {
				t.Fatalf("believed bytes at %d do not verify", p)
			}
			p += n
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	w := newWorld(b)
	o := w.options()
	o.FileSize, o.FirstSize = 64<<20, 64<<20
	l := w.open(o)
	r := rec(1, 1, string(make([]byte, 128)))
	b.ReportAllocs()
	b.SetBytes(size(128))
	for i := 0; b.Loop(); i++ {
		pos, err := l.Append(r)
		if err != nil {
			b.Fatal(err)
		}
		if i%256 == 255 {
			_ = flush(l, store.SyncOS)
			l.Release(1, pos)
		}
	}
}
