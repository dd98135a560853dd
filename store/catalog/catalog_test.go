package catalog

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"ramjet/proto/base/rng"
	"ramjet/store"
	"ramjet/store/consumer"
	"ramjet/store/stream"
	"ramjet/store/vfs"
)

func open(t *testing.T, fsys vfs.FS) *Catalog {
	t.Helper()
	c, err := Open(fsys, "/js")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEscape(t *testing.T) {
	r := rng.New(1)
	seen := map[string]string{}
	names := []string{"", "$G", "a.b", "../../etc", ".", "..", ".gone-1", "ä", "%41", "A", "a", strings.Repeat("x", 255), strings.Repeat("ü", 200), strings.Repeat("ü", 199) + "a"}
	for range 500 {
		b := make([]byte, r.Intn(6))
		for i := range b {
			b[i] = byte(r.Uint64())
		}
		names = append(names, string(b))
	}
	for _, n := range names {
		e := Escape(n)
		if old, ok := seen[e]; ok && old != n {
			t.Fatalf("%q and %q are both %q", old, n, e)
		}
		seen[e] = n
		if strings.ContainsAny(e, "/\x00.") || len(e) > 200 || e == "" {
			t.Fatalf("%q: unsafe %q", n, e)
		}
		back, ok := Unescape(e)
		if short := strings.Contains(e, "%~"); ok == short || (ok && back != n) {
			t.Fatalf("%q: %q back is %q %v", n, e, back, ok)
		}
	}
}

func TestLifecycle(t *testing.T) {
	mem := vfs.NewMem()
	c := open(t, mem)
	sd, cd := c.StreamDir("$G", "ORDERS"), c.ConsumerDir("$G", "ORDERS", "new*")
	sm, cm := &Meta{Kind: Stream, Name: "ORDERS", Body: []byte(`{"a":1}`)}, &Meta{Kind: Consumer, Name: "new*", Body: []byte("x"), Key: []byte("k")}
	for dir, m := range map[string]*Meta{sd: sm} {
		if err := c.Create(dir, m); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Create(cd, cm); err != nil {
		t.Fatal(err)
	}
	if err := c.Create(sd, sm); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("created twice: %v", err)
	}
	sm.Body = []byte(`{"a":2}`)
	if err := c.Update(sd, sm); err != nil {
		t.Fatal(err)
	}
	// Everything is durable without any further sync.
	c = open(t, mem.CrashClone(vfs.Crash{}))
	f, err := c.Scan()
	if err != nil || len(f.Streams) != 1 || len(f.Streams[0].Consumers) != 1 || f.Removed != 0 {
		t.Fatalf("%+v %v", f, err)
	}
	s := f.Streams[0]
	if s.Account != "$G" || s.Stream != "ORDERS" || string(s.Meta.Body) != `{"a":2}` || s.Consumers[0].Consumer != "new*" || !bytes.Equal(s.Consumers[0].Meta.Key, cm.Key) {
		t.Fatalf("%+v", s)
	}
	if err := c.Delete(s.Consumers[0].Dir); err != nil {
		t.Fatal(err)
	}
	if f, _ = c.Scan(); len(f.Streams) != 1 || len(f.Streams[0].Consumers) != 0 {
		t.Fatalf("%+v", f)
	}
	if err := c.Delete(sd); err != nil {
		t.Fatal(err)
	}
	if f, _ = c.Scan(); len(f.Streams) != 0 {
		t.Fatalf("%+v", f)
	}
}

// TestCrash cuts the power before every call of create, update and delete: the asset is there as before or as after.
func TestCrash(t *testing.T) {
	mem := vfs.NewMem()
	open(t, mem)
	r := rng.New(3)
	var want []string // allowed bodies; "" = not there
	crashes := 0
	hooked := vfs.Intercept(mem, vfs.Slow(func(*vfs.Call) {
		for k := range 6 {
			crashes++
			img := mem.CrashClone(vfs.Crash{Rand: r.Intn, Keep: k * 20, Torn: true})
			c := open(t, img)
			f, err := c.Scan()
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, s := range f.Streams {
				if s.Err != nil {
					t.Fatalf("want one of %q: %v", want, s.Err)
				}
				got = string(s.Meta.Body)
				if b, err := vfs.ReadFile(img, s.Dir+"/state", 100); err != nil || string(b) != "begin" {
					t.Fatalf("a stream without its state: %q %v", b, err)
				}
			}
			if !slices.Contains(want, got) {
				t.Fatalf("found %q, want one of %q", got, want)
			}
			if len(f.Quarantined) > 0 {
				t.Fatalf("quarantined %v", f.Quarantined)
			}
		}
	}))
	c := &Catalog{fs: hooked, base: "/js", parents: map[string]bool{}}
	dir := c.StreamDir("A", "S")
	want = []string{"", "one"}
	if err := c.Create(dir, &Meta{Kind: Stream, Name: "S", Body: []byte("one")}, File{"state", []byte("begin")}, File{Name: "saved"}); err != nil {
		t.Fatal(err)
	}
	want = []string{"one", "two"}
	if err := c.Update(dir, &Meta{Kind: Stream, Name: "S", Body: []byte("two")}); err != nil {
		t.Fatal(err)
	}
	want = []string{"two", ""}
	if err := c.Delete(dir); err != nil {
		t.Fatal(err)
	}
	if crashes < 100 {
		t.Fatalf("%d crashes", crashes)
	}
}

func TestTrace(t *testing.T) {
	mem := vfs.NewMem()
	open(t, mem)
	trace := vfs.NewTrace("/js/accounts")
	c := &Catalog{fs: vfs.Intercept(mem, trace.Hook), base: "/js", parents: map[string]bool{}}
	dir := c.StreamDir("A", "S")
	_ = c.Create(dir, &Meta{Kind: Stream, Name: "S"}, File{"state", []byte("s")})
	if got, want := trace.Take(), `mkdir ./A
syncdir .
mkdir ./A/.new-1-S
create ./A/.new-1-S/meta
write ./A/.new-1-S/meta 0+20
sync ./A/.new-1-S/meta
create ./A/.new-1-S/state
write ./A/.new-1-S/state 0+1
sync ./A/.new-1-S/state
syncdir ./A/.new-1-S
rename ./A/.new-1-S -> ./A/S
syncdir ./A
`; got != want {
		t.Errorf("create:\n%s", got)
	}
	_ = c.Create(c.StreamDir("A", "T"), &Meta{Kind: Stream, Name: "T"})
	if got, want := trace.Take(), `mkdir ./A/.new-2-T
create ./A/.new-2-T/meta
write ./A/.new-2-T/meta 0+20
sync ./A/.new-2-T/meta
syncdir ./A/.new-2-T
rename ./A/.new-2-T -> ./A/T
syncdir ./A
`; got != want {
		t.Errorf("create another:\n%s", got)
	}
	_ = c.Delete(dir)
	if got, want := trace.Take(), `rename ./A/S -> ./A/.gone-3-S
syncdir ./A
remove ./A/.gone-3-S
`; got != want {
		t.Errorf("delete:\n%s", got)
	}
}

func TestUnknownAndDamaged(t *testing.T) {
	mem := vfs.NewMem()
	c := open(t, mem)
	for _, n := range []string{"ok", "bad", "swapped"} {
		if err := c.Create(c.StreamDir("A", n), &Meta{Kind: Stream, Name: n}); err != nil {
			t.Fatal(err)
		}
	}
	f, _ := mem.OpenRW(c.StreamDir("A", "bad") + "/meta")
	_, _ = f.WriteAt([]byte{0xff}, 9)
	_ = c.Update(c.StreamDir("A", "swapped"), &Meta{Kind: Stream, Name: "ok"})
	_ = mem.MkdirAll("/js/accounts/A/not a name")
	g, _ := mem.Create("/js/accounts/A/file")
	_, _ = g.WriteAt([]byte("keep me"), 0)
	_ = mem.MkdirAll("/js/accounts/A/.new-7-x")
	found, err := c.Scan()
	if err != nil || len(found.Streams) != 3 || len(found.Quarantined) != 2 || found.Removed != 1 {
		t.Fatalf("%+v %v", found, err)
	}
	for _, s := range found.Streams {
		if (s.Err == nil) != (s.Stream == "ok") || s.Err != nil && !errors.Is(s.Err, ErrCorrupt) {
			t.Errorf("%+v", s)
		}
	}
	for _, q := range found.Quarantined {
		reason, err := vfs.ReadFile(mem, q+"/reason", 1000)
		if err != nil || !strings.Contains(string(reason), "accounts/A/") {
			t.Errorf("%s: %q %v", q, reason, err)
		}
		if strings.HasSuffix(q, "-file") {
			if b, _ := vfs.ReadFile(mem, q+"/content", 100); string(b) != "keep me" {
				t.Error("content lost")
			}
		}
	}
}

func TestCheck(t *testing.T) {
	mem := vfs.NewMem()
	c := open(t, mem)
	dir := c.StreamDir("A", "S")
	_ = c.Create(dir, &Meta{Kind: Stream, Name: "S"})
	_ = c.Create(c.ConsumerDir("A", "S", "C"), &Meta{Kind: Consumer, Name: "C"})
	if err := consumer.Save(mem, c.ConsumerState("A", "S", "C"), &consumer.State{Applied: 4}, nil); err != nil {
		t.Fatal(err)
	}
	run := func(fn func()) { fn() }
	s, _, err := stream.Open(stream.Options{Env: &stream.Env{FS: mem, Go: run, Read: run, Wake: func(*stream.Store) {}}, SegmentBytes: 1000}, dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		_ = s.Append(&store.Rec{Seq: uint64(i + 1), Subject: []byte("a"), Payload: make([]byte, 50)})
	}
	s.Checkpoint(50, nil, func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	})
	files := 0
	rep, err := Check(mem, "/js", CheckOptions{Progress: func(string, int64) { files++ }})
	if err != nil || rep.Streams != 1 || rep.Consumers != 1 || rep.Msgs != 50 || len(rep.Problems) != 0 || files != rep.Segments || len(rep.Leftovers) != 0 {
		t.Fatalf("%+v %v", rep, err)
	}
	for _, name := range []string{dir + "/meta", dir + "/state", dir + "/0000000000000001.seg", c.ConsumerState("A", "S", "C"), c.ConsumerDir("A", "S", "C") + "/meta"} {
		img := mem.CrashClone(vfs.Crash{})
		f, err := img.OpenRW(name)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1)
		_, _ = f.ReadAt(b, 20)
		_, _ = f.WriteAt([]byte{b[0] ^ 1}, 20)
		if rep, err := Check(img, "/js", CheckOptions{}); err != nil || len(rep.Problems) == 0 {
			t.Errorf("%s: damage not found: %+v %v", name, rep, err)
		}
	}
}

func FuzzMeta(f *testing.F) {
	f.Add(AppendMeta(nil, &Meta{Kind: Stream, Name: "S", Key: []byte("k"), Body: []byte("{}")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Meta
		if ParseMeta(b, &m) != nil {
			return
		}
		if !bytes.Equal(AppendMeta(nil, &m), b) && len(b) < 200 {
			var again Meta
			if ParseMeta(AppendMeta(nil, &m), &again) != nil || again.Name != m.Name || !bytes.Equal(again.Body, m.Body) {
				t.Fatal("not stable")
			}
		}
	})
}

// TestFullDisk fills the disk, purges with the help of the reserve, and goes on.
func TestFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	c := open(t, mem)
	if err := errors.Join(c.HoldReserve(8000), c.HoldReserve(8000)); err != nil {
		t.Fatal(err)
	}
	dir := c.StreamDir("A", "S")
	_ = c.Create(dir, &Meta{Kind: Stream, Name: "S"})
	run := func(fn func()) { fn() }
	var failed error
	o := stream.Options{
		Env: &stream.Env{FS: mem, Go: run, Read: run, Wake: func(*stream.Store) {}}, SegmentBytes: 10_000, FlushBytes: 1000,
		OnFailure: func(err error) { failed = err },
	}
	s, _, err := stream.Open(o, dir)
	if err != nil {
		t.Fatal(err)
	}
	mem.SetLimit(60_000)
	seq := uint64(0)
	for failed == nil && seq < 1000 {
		seq++
		if err := s.Append(&store.Rec{Seq: seq, Subject: []byte("a"), Payload: make([]byte, 200)}); err != nil {
			t.Fatal(err)
		}
	}
	if !stream.IsNoSpace(failed) {
		t.Fatalf("%v after %d", failed, seq)
	}
	// Something else takes what is left.
	hog, _ := mem.Create("/hog")
	free, _, _ := mem.Space("/")
	if err := hog.Preallocate(int64(free), false); err != nil {
		t.Fatal(err)
	}
	s.Purge(&store.Purge{}, nil)
	done := false
	s.Checkpoint(seq, nil, func(err error) { done = err == nil })
	s.WriteRetry()
	if s.Poll(); done {
		t.Fatal("no space, but a state was written")
	}
	if ok, err := c.ReleaseReserve(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	s.WriteRetry()
	if s.Poll(); !done || failed != nil {
		t.Fatalf("not recovered: %v", failed)
	}
	if err := c.HoldReserve(8000); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		seq++
		if err := s.Append(&store.Rec{Seq: seq, Subject: []byte("a"), Payload: make([]byte, 200)}); err != nil {
			t.Fatal(err)
		}
	}
	if failed != nil {
		t.Fatal(failed)
	}
}
