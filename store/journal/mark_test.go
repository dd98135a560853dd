package journal

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"ramjet/store"
	"ramjet/store/vfs"
)

// big are options with files large enough for a mark to matter.
func (w *world) big() Options {
	o := w.options()
	o.FileSize, o.FirstSize = 1<<20, 1<<20
	return o
}

// readBytes opens the journal on disk, counts what it reads beside file headers, and closes it.
func (w *world) readBytes(disk *vfs.Mem) (n int64) {
	w.t.Helper()
	var read atomic.Int64
	w.mem = disk
	w.fs = vfs.Intercept(disk, func(c *vfs.Call) (int64, error) {
		if c.Op == vfs.OpRead && c.Off >= fileHeaderLen {
			read.Add(c.Len)
		}
		return 0, nil
	})
	l := w.open(w.big())
	n = read.Load()
	_ = l.Close()
	return n
}

// TestStartReadsWhatLives: after a clean stop with everything released nothing is replayed and hardly anything is read; after a kill not much more
// than what was written.
func TestStartReadsWhatLives(t *testing.T) {
	w := newWorld(t)
	l := w.open(w.big())
	var want []string
	var pos Pos
	for i := range uint64(20) {
		r := rec(1, i, fmt.Sprintf("%d%s", i, bytes.Repeat([]byte("p"), 5000)))
		want = append(want, show(&r))
		var err error
		if pos, err = l.Append(r); err != nil {
			t.Fatal(err)
		}
		if err = flush(l, store.SyncDurable); err != nil {
			t.Fatal(err)
		}
	}
	killed := w.mem.CrashClone(vfs.Crash{})
	window := int64(1<<20) / 16
	if n := w.readBytes(killed.CrashClone(vfs.Crash{})); n > int64(pos)+4*window {
		t.Errorf("%d bytes read, %d were written", n, pos)
	}
	w.replayed(want)

	l.Release(1, pos)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// And again: the next start finds it no different if nothing happened in between.
	disk := l.fs.(*vfs.Mem)
	for range 3 {
		if n := w.readBytes(disk); n > 2*window {
			t.Errorf("%d bytes read after a clean stop", n)
		}
		w.replayed(nil)
		if n := w.log.Stats().Files; n != 1 {
			t.Errorf("%d files are live", n)
		}
	}
	// What is not released is replayed.
	w.mem, w.fs = disk, disk
	l = w.open(w.big())
	if err := durable(l, rec(1, 20, "more"), rec(2, 1, "others")); err != nil {
		t.Fatal(err)
	}
	l.Release(1, l.Stats().Head)
	_ = l.Close()
	w.open(w.big())
	w.replayed([]string{"1/20 more", "2/1 others"})
}

// TestUnbelievedMark: a mark that does not verify, or is older than the records, makes recovery read everything; never less.
func TestUnbelievedMark(t *testing.T) {
	w := newWorld(t)
	l := w.open(w.big())
	name := ""
	var first []byte
	var want []string
	for i := range uint64(40) {
		r := rec(1, i, fmt.Sprintf("%d%s", i, bytes.Repeat([]byte("p"), 9000)))
		want = append(want, show(&r))
		if err := durable(l, r); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			name, _ = w.find("0ppp")
			b, _ := vfs.ReadFile(w.mem, name, 1<<30)
			first = b[markAt : markAt+markLen]
		}
	}
	killed := w.mem.CrashClone(vfs.Crash{})
	_ = l.Close()
	for what, mark := range map[string][]byte{"zero": make([]byte, markLen), "garbage": bytes.Repeat([]byte{0x5a}, markLen), "old": first} {
		disk := killed.CrashClone(vfs.Crash{})
		f, err := disk.OpenRW(name)
		if err == nil {
			_, err = f.WriteAt(mark, markAt)
		}
		if err != nil {
			t.Fatal(err)
		}
		w.readBytes(disk)
		t.Log(what)
		w.replayed(want)
	}
}

// TestWideDamage zeroes much more than a window in the middle of what was written: what follows is found and the hole is said, after a kill too.
func TestWideDamage(t *testing.T) {
	w := newWorld(t)
	l := w.open(w.big())
	var want []string
	for i := range uint64(90) {
		r := rec(1, i, fmt.Sprintf("%d%s", i, bytes.Repeat([]byte("p"), 9000)))
		if i < 10 || i >= 89 {
			want = append(want, show(&r))
		}
		if err := durable(l, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := durable(l, rec(1, 90, "last")); err != nil { // its commit record proves those before
		t.Fatal(err)
	}
	want = append(want, "1/90 last")
	disk := w.mem.CrashClone(vfs.Crash{})
	w.mem = disk
	from, at := w.find("10ppp")
	to, end := w.find("89ppp")
	if from != to {
		t.Fatal("two files")
	}
	f, err := disk.OpenRW(from)
	if err == nil {
		_, err = f.WriteAt(make([]byte, end-headerLen-at), at)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.readBytes(disk)
	if len(w.damage) != 1 || w.damage[0].Length < 700_000 {
		t.Errorf("damage %+v", w.damage)
	}
	if got := strings.Join(w.recs, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("replayed %d records, want %d", len(w.recs), len(want))
	}
}

// TestFilesGrowAsTheyAreFilled: a start does not make a larger file than the one before, and the first one is small.
func TestFilesGrowAsTheyAreFilled(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	o.FileSize, o.FirstSize, o.Stepped = 16<<20, 2<<20, true
	biggest := func() (n int64) {
		names, _ := w.mem.List("/j")
		for _, name := range names {
			i, err := w.mem.Stat("/j/" + name)
			if err != nil {
				t.Fatal(err)
			}
			n = max(n, i.Size())
		}
		return n
	}
	for range 6 {
		l := w.open(o)
		if n := l.mu.live[0].size; n > o.FirstSize {
			t.Errorf("a start uses a file of %d bytes", n)
		}
		if _, err := l.Append(rec(1, 1, "a")); err != nil {
			t.Fatal(err)
		}
		for l.Step() {
		}
		l.Release(1, l.Stats().Head)
		_ = l.Close()
	}
	if n := biggest(); n != o.FirstSize {
		t.Errorf("a file of %d bytes although none was filled", n)
	}
	l := w.open(o)
	for i := range uint64(40) {
		pos, err := l.Append(rec(1, i, string(make([]byte, 1<<20))))
		if err != nil {
			t.Fatal(err)
		}
		l.Release(1, pos)
		for l.Step() {
		}
	}
	if n := biggest(); n != o.FileSize {
		t.Errorf("files grew to %d bytes", n)
	}
}

// TestMarkDamage: a mark with any bit changed, or of another file, says nothing.
func TestMarkDamage(t *testing.T) {
	f := file{number: 5, salt: 9, start: 1000, size: 1 << 20, high: 5000, low: 3000}
	b := make([]byte, markLen)
	putMark(b, &f)
	read := func(salt, number uint64) (high, low Pos) {
		x := file{number: number, salt: salt, start: f.start, size: f.size}
		parseMark(b, &x)
		return x.high, x.low
	}
	if high, low := read(f.salt, f.number); high != f.high || low != f.low {
		t.Fatal(high, low)
	}
	for _, other := range [][2]uint64{{f.salt + 1, f.number}, {f.salt, f.number + 1}} {
		if high, low := read(other[0], other[1]); high != 0 || low != 0 {
			t.Errorf("of another file: %d %d", high, low)
		}
	}
	for i := range 8 * len(b) {
		b[i/8] ^= 1 << (i % 8)
		if high, low := read(f.salt, f.number); high != 0 || low != 0 {
			t.Errorf("bit %d: %d %d", i, high, low)
		}
		b[i/8] ^= 1 << (i % 8)
	}
}

func FuzzMark(f *testing.F) {
	m := &file{number: 5, salt: 9, start: 1000, size: 1 << 20, high: 5000, low: 3000}
	b := make([]byte, markLen)
	putMark(b, m)
	f.Add(b)
	f.Add(make([]byte, markLen))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < markLen {
			return
		}
		x := &file{number: 5, salt: 9, start: 1000, size: 1 << 20}
		parseMark(b, x)
		if x.high == 0 {
			return
		}
		if x.high < x.start || x.high > x.limit() || x.low > x.high {
			t.Fatalf("believed %+v", x)
		}
		again := make([]byte, markLen)
		if putMark(again, x); !bytes.Equal(again, b[:markLen]) {
			t.Fatal("encodes differently")
		}
	})
}
