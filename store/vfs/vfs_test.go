package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"strings"
	"syscall"
	"testing"
)

// both runs a test against the real and the simulated file system.
func both(t *testing.T, fn func(t *testing.T, fsys FS, dir string)) {
	t.Run("os", func(t *testing.T) { fn(t, OS(), t.TempDir()) })
	t.Run("mem", func(t *testing.T) {
		m := NewMem()
		if err := m.MkdirAll("/d"); err != nil {
			t.Fatal(err)
		}
		fn(t, m, "/d")
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, fsys FS, name, content string) File {
	t.Helper()
	f, err := fsys.Create(name)
	must(t, err)
	_, err = f.WriteAt([]byte(content), 0)
	must(t, err)
	return f
}

func content(t *testing.T, fsys FS, name string) string {
	t.Helper()
	b, err := ReadFile(fsys, name, 1<<20)
	must(t, err)
	return string(b)
}

func TestFiles(t *testing.T) {
	both(t, func(t *testing.T, fsys FS, dir string) {
		a := path.Join(dir, "x/y/a")
		must(t, fsys.MkdirAll(path.Dir(a)))
		f := create(t, fsys, a, "hello")
		n, err := f.WriteV([][]byte{[]byte("AB"), []byte("CDE"), nil, []byte("F")}, 3)
		if n != 6 || err != nil {
			t.Fatal(n, err)
		}
		must(t, f.Sync())
		must(t, f.SyncData())
		if got := content(t, fsys, a); got != "helABCDEF" {
			t.Errorf("content %q", got)
		}
		m, err := f.Map(9)
		must(t, err)
		must(t, m.Populate(0, 9))
		if string(m.Bytes()) != "helABCDEF" {
			t.Errorf("mapped %q", m.Bytes())
		}
		must(t, m.Unmap())
		must(t, f.Truncate(3))
		must(t, f.Preallocate(10000, true))
		if size, err := f.Size(); size != 10000 || err != nil {
			t.Error(size, err)
		}
		must(t, f.Close())
		if _, err := f.WriteAt([]byte("x"), 0); err == nil {
			t.Error("write to a closed file")
		}
		must(t, fsys.SyncDir(path.Dir(a)))
		if _, err := ReadFile(fsys, a, 10); err == nil {
			t.Error("ReadFile ignores its limit")
		}
		must(t, WriteAtomic(fsys, a, []byte("new")))
		if got := content(t, fsys, a); got != "new" {
			t.Errorf("content %q", got)
		}
		must(t, fsys.Rename(a, a+"2"))
		names, err := fsys.List(path.Dir(a))
		if err != nil || fmt.Sprint(names) != "[a2]" {
			t.Error(names, err)
		}
		if _, err := fsys.Open(a); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		if _, err := fsys.Stat(a); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		if err := fsys.Remove(path.Join(dir, "x")); err == nil {
			t.Error("removed a directory that is not empty")
		}
		must(t, fsys.RemoveAll(path.Join(dir, "x")))
		must(t, fsys.RemoveAll(path.Join(dir, "x")))
		if err := fsys.Remove(a); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		free, total, err := fsys.Space(dir)
		if err != nil || free == 0 || total < free {
			t.Error(free, total, err)
		}
	})
}

func TestLock(t *testing.T) {
	both(t, func(t *testing.T, fsys FS, dir string) {
		unlock, err := fsys.Lock(path.Join(dir, "lock"))
		must(t, err)
		if _, err := fsys.Lock(path.Join(dir, "lock")); err == nil {
			t.Error("locked twice")
		}
		must(t, unlock())
		unlock, err = fsys.Lock(path.Join(dir, "lock"))
		must(t, err)
		must(t, unlock())
	})
}

func TestWriteVManyBuffers(t *testing.T) {
	both(t, func(t *testing.T, fsys FS, dir string) {
		f := create(t, fsys, path.Join(dir, "v"), "")
		defer f.Close()
		var bufs [][]byte
		var want []byte
		for i := range 3000 {
			b := []byte(fmt.Sprintf("%d,", i))
			bufs = append(bufs, b)
			want = append(want, b...)
		}
		if n, err := f.WriteV(bufs, 0); n != len(want) || err != nil {
			t.Fatal(n, err)
		}
		if got := content(t, fsys, path.Join(dir, "v")); got != string(want) {
			t.Error("content differs")
		}
	})
}

func TestMemCrash(t *testing.T) {
	m := NewMem()
	must(t, m.MkdirAll("/d"))
	must(t, m.SyncDir("/"))
	f := create(t, m, "/d/a", "old")
	must(t, f.Sync())

	if names, _ := m.CrashClone(Crash{}).List("/d"); len(names) != 0 {
		t.Errorf("a name survived without SyncDir: %v", names)
	}
	must(t, m.SyncDir("/d"))
	_, err := f.WriteAt([]byte("new and longer"), 0)
	must(t, err)
	create(t, m, "/d/b", "unsynced")
	must(t, m.Rename("/d/a", "/d/c"))

	c := m.CrashClone(Crash{})
	if got := content(t, c, "/d/a"); got != "old" {
		t.Errorf("after a crash %q", got)
	}
	if names, _ := c.List("/d"); fmt.Sprint(names) != "[a]" {
		t.Error(names)
	}
	must(t, m.SyncDir("/d"))
	c = m.CrashClone(Crash{})
	if names, _ := c.List("/d"); fmt.Sprint(names) != "[b c]" {
		t.Error(names)
	}
	if got := content(t, c, "/d/c"); got != "old" {
		t.Errorf("after a crash %q", got)
	}
	if got := content(t, c, "/d/b"); got != "" {
		t.Errorf("unsynced data survived: %q", got)
	}
	must(t, f.SyncData())
	if got := content(t, m.CrashClone(Crash{}), "/d/c"); got != "new and longer" {
		t.Errorf("after a crash %q", got)
	}
	if got := content(t, m, "/d/b"); got != "unsynced" {
		t.Errorf("the crash changed the original: %q", got)
	}
}

func TestMemOrderedNames(t *testing.T) {
	m := NewMem()
	m.SetNameRule(NamesOrdered)
	must(t, m.MkdirAll("/d"))
	create(t, m, "/d/a", "1")
	must(t, create(t, m, "/d/b", "2").Sync())
	if got := content(t, m.CrashClone(Crash{}), "/d/b"); got != "2" {
		t.Error(got)
	}
}

// TestMemCrashRandom checks, for random writes and syncs, that each block of a crash clone is either its durable or
// its current content.
func TestMemCrashRandom(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	const blocks = 8
	m := NewMem()
	f := create(t, m, "/f", string(bytes.Repeat([]byte{'0'}, blocks*memBlock)))
	must(t, f.Sync())
	must(t, m.SyncDir("/"))
	durable, current := [blocks]byte{}, [blocks]byte{}
	for i := range blocks {
		durable[i], current[i] = '0', '0'
	}
	both := 0
	for range 500 {
		b := r.IntN(blocks)
		current[b] = byte('a' + r.IntN(26))
		_, err := f.WriteAt(bytes.Repeat(current[b:b+1], memBlock), int64(b)*memBlock)
		must(t, err)
		if r.IntN(5) == 0 {
			must(t, f.SyncData())
			durable = current
		}
		got := content(t, m.CrashClone(Crash{Rand: r.IntN, Keep: 50}), "/f")
		for i := range blocks {
			block := got[i*memBlock : (i+1)*memBlock]
			if strings.Trim(block, string(block[0])) != "" || (block[0] != durable[i] && block[0] != current[i]) {
				t.Fatalf("block %d is neither old nor new", i)
			}
			if block[0] == current[i] && current[i] != durable[i] {
				both++
			}
		}
	}
	if both == 0 {
		t.Error("no unsynced block ever survived")
	}
}

func TestMemTorn(t *testing.T) {
	m := NewMem()
	f := create(t, m, "/f", strings.Repeat("o", memBlock))
	must(t, f.Sync())
	must(t, m.SyncDir("/"))
	_, err := f.WriteAt(bytes.Repeat([]byte{'n'}, memBlock), 0)
	must(t, err)
	c := m.CrashClone(Crash{Keep: 100, Torn: true, Rand: func(n int) int { return 2 % n }})
	if got, want := content(t, c, "/f"), strings.Repeat("n", 2*sector)+strings.Repeat("o", memBlock-2*sector); got != want {
		t.Error("not torn after two sectors")
	}
}

func TestMemSpace(t *testing.T) {
	m := NewMem()
	m.SetLimit(100)
	f := create(t, m, "/f", strings.Repeat("x", 90))
	if _, err := f.WriteAt(make([]byte, 20), 90); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if err := f.Preallocate(1000, false); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if free, total, _ := m.Space("/"); free != 10 || total != 100 {
		t.Error(free, total)
	}
	must(t, m.Remove("/f"))
	if free, _, _ := m.Space("/"); free != 100 {
		t.Error(free)
	}
}

func TestFault(t *testing.T) {
	var fault Fault
	boom := errors.New("boom")
	m := NewMem()
	fsys := Intercept(m, fault.Hook)
	f := create(t, fsys, "/a.log", "12345")
	fault.Add(FaultRule{Op: OpSync, Path: ".log", Err: boom, Skip: 1, Times: 1}, FaultRule{Op: OpWrite, Err: syscall.EIO, Short: 3})
	must(t, f.SyncData())
	if err := f.SyncData(); !errors.Is(err, boom) {
		t.Error(err)
	}
	must(t, f.SyncData())
	if n, err := f.WriteAt([]byte("abcdef"), 0); n != 3 || !errors.Is(err, syscall.EIO) {
		t.Error(n, err)
	}
	if got := content(t, m, "/a.log"); got != "abc45" {
		t.Error(got)
	}
	if fault.Hits() != 2 {
		t.Error(fault.Hits())
	}
	fault.Clear()
	_, err := f.WriteAt([]byte("abcdef"), 0)
	must(t, err)
}

func TestTraceGolden(t *testing.T) {
	tr := NewTrace("/d")
	fsys := Intercept(NewMem(), tr.Hook)
	must(t, fsys.MkdirAll("/d"))
	must(t, WriteAtomic(fsys, "/d/state", []byte("abc")))
	want := `mkdir .
create ./state.tmp
write ./state.tmp 0+3
sync ./state.tmp
rename ./state.tmp -> ./state
syncdir .
`
	if got := tr.Take(); got != want {
		t.Errorf("got\n%s", got)
	}
	if tr.Take() != "" {
		t.Error("Take did not clear")
	}
}

// TestWriteAtomicCrash replays a crash at every call of WriteAtomic: old or new content, never a mixture.
func TestWriteAtomicCrash(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	for _, rule := range []NameRule{NamesStrict, NamesOrdered} {
		m := NewMem()
		m.SetNameRule(rule)
		must(t, WriteAtomic(m, "/s", []byte("old")))
		var clones []*Mem
		fsys := Intercept(m, func(*Call) (int64, error) {
			for range 10 {
				clones = append(clones, m.CrashClone(Crash{Rand: r.IntN, Keep: 50, Torn: true}))
			}
			return 0, nil
		})
		must(t, WriteAtomic(fsys, "/s", []byte("new")))
		for _, c := range clones {
			if got := content(t, c, "/s"); got != "old" && got != "new" {
				t.Errorf("rule %d: %q", rule, got)
			}
		}
		if got := content(t, m.CrashClone(Crash{}), "/s"); got != "new" {
			t.Errorf("rule %d: WriteAtomic returned and the crash left %q", rule, got)
		}
	}
}

func TestWriteAtomicError(t *testing.T) {
	var fault Fault
	m := NewMem()
	must(t, WriteAtomic(m, "/s", []byte("old")))
	for _, op := range []Op{OpCreate, OpWrite, OpSync, OpRename, OpClose} {
		fault.Clear()
		fault.Add(FaultRule{Op: op, Err: syscall.EIO})
		if err := WriteAtomic(Intercept(m, fault.Hook), "/s", []byte("new")); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v", op, err)
		}
		if got := content(t, m, "/s"); got != "old" {
			t.Errorf("%s: %q", op, got)
		}
	}
}
