package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ramjet/store"
	"ramjet/store/catalog"
	"ramjet/store/crypt"
	"ramjet/store/journal"
	"ramjet/store/stream"
	"ramjet/store/vfs"
)

// testStore makes a store with one stream of 50 messages below dir/jetstream, encrypted if key is given.
func testStore(t *testing.T, dir, key string) (stored string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	base, disk := dir+"/jetstream", vfs.OS()
	must(disk.MkdirAll(base))
	salt := uint64(1)
	j, err := journal.Open(disk, base+"/journal", journal.Options{FileSize: 1 << 20, FirstSize: 1 << 20, Salt: func() uint64 { salt++; return salt }}, nil)
	must(err)
	_, err = j.Append(journal.Record{Group: 1, Kind: journal.KindStream, Index: 1, Payload: []byte("a journal record")})
	must(err)
	done := make(chan error, 1)
	j.Submit(store.SyncDurable, func(err error) { done <- err })
	must(await(t, done))
	must(j.Close())
	c, err := catalog.Open(disk, base)
	must(err)
	m := &catalog.Meta{Kind: catalog.Stream, Name: "S"}
	var codec *crypt.Codec
	if key != "" {
		secret := bytes.Repeat([]byte("k"), crypt.KeyLen)
		m.Key, err = crypt.SealKey(crypt.AES, crypt.Derive([]byte(key), "$G", "S"), secret, crypt.SystemRandom)
		must(err)
		codec, err = crypt.NewCodec(crypt.AES, secret, true, crypt.SystemRandom)
		must(err)
	}
	must(c.Create(c.StreamDir("$G", "S"), m))
	must(c.Create(c.ConsumerDir("$G", "S", "C"), &catalog.Meta{Kind: catalog.Consumer, Name: "C"}))
	run := func(fn func()) { fn() }
	s, _, err := stream.Open(stream.Options{Env: &stream.Env{FS: disk, Go: run, Read: run, Wake: func(*stream.Store) {}}, SegmentBytes: 2000, Codec: codec}, c.StreamDir("$G", "S"))
	must(err)
	for i := range 50 {
		must(s.Append(&store.Rec{Seq: uint64(i + 1), Subject: []byte("a"), Payload: bytes.Repeat([]byte("payload "), 10)}))
	}
	s.Checkpoint(50, nil, func(err error) { done <- err })
	must(await(t, done))
	s.Close(func(err error) { done <- err })
	must(await(t, done))
	return base
}

func await[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	panic("unreachable")
}

// spoil changes one byte in the middle of the first file that matches pattern.
func spoil(t *testing.T, pattern string) {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v", pattern, err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(names[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCheckStore(t *testing.T) {
	dir := t.TempDir()
	base := testStore(t, dir, "")
	for _, d := range []string{dir, base, dir + "/"} {
		code, out, stderr := runOnce(t, "check", d)
		if code != 0 || stderr != "" || !strings.Contains(out, "1 stream with 1 consumer") || !strings.Contains(out, "messages:    50 ") ||
			!strings.Contains(out, "journal:     1 file, 1 record, 16 bytes") || !strings.Contains(out, "no damage") {
			t.Errorf("%s: %d %q\n%s", d, code, stderr, out)
		}
	}
	spoil(t, base+"/accounts/$G/S/*.seg")
	code, out, _ := runOnce(t, "check", dir)
	if code != 1 || !strings.Contains(out, "result:      1 problem\n") || !strings.Contains(out, ".seg: messages ") {
		t.Errorf("%d\n%s", code, out)
	}
	code, out, _ = runOnce(t, "check", "-json", dir)
	var rep checkReport
	if err := json.Unmarshal([]byte(out), &rep); err != nil || code != 1 || len(rep.Problems) != 1 || rep.Streams != 1 || rep.Messages != 50 {
		t.Errorf("%d %v\n%s", code, err, out)
	}
}

func TestCheckEncryptedStore(t *testing.T) {
	dir := t.TempDir()
	testStore(t, dir, "geheim")
	if code, out, _ := runOnce(t, "check", dir); code != 1 || !strings.Contains(out, "encrypted: give the server's configuration with -c") {
		t.Errorf("without a key: %d\n%s", code, out)
	}
	for text, want := range map[string]int{`key: geheim`: 0, `key: neu, prev_key: geheim`: 0, `key: falsch`: 1} {
		conf := writeFile(t, "c.conf", `jetstream { store_dir: "`+dir+`", cipher: aes, `+text+` }`)
		if code, out, stderr := runOnce(t, "check", "-c", conf); code != want {
			t.Errorf("%s: %d %s\n%s", text, code, stderr, out)
		}
	}
}

func TestCheckStoreFails(t *testing.T) {
	dir := t.TempDir()
	base := testStore(t, dir, "")
	unlock, err := vfs.OS().Lock(base + "/lock")
	if err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := runOnce(t, "check", dir); code != 2 || !strings.Contains(stderr, "in use") {
		t.Errorf("locked: %d %q", code, stderr)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"check"}, "Usage: ramjet check"},
		{[]string{"check", "a", "b"}, "Usage: ramjet check"},
		{[]string{"check", "-x"}, "Usage: ramjet check"},
		{[]string{"check", t.TempDir()}, "holds no JetStream data"},
		{[]string{"check", dir + "/none"}, "no such file"},
		{[]string{"check", "-c", writeFile(t, "c.conf", "port: 1\n")}, "names no store_dir"},
	} {
		if code, _, stderr := runOnce(t, c.args...); code != 2 || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: %d %q", c.args, code, stderr)
		}
	}
	if code, _, stderr := runOnce(t, "check", "-h"); code != 0 || !strings.Contains(stderr, "Exit code") {
		t.Errorf("%d %q", code, stderr)
	}
}

func TestProgress(t *testing.T) {
	var b bytes.Buffer
	p := &progress{w: &b, total: 1000, done: 250}
	p.draw(time.Second)
	if want := "\r[##########" + strings.Repeat(" ", 30) + "]  25 %  250 bytes/s"; b.String() != want {
		t.Errorf("%q", b.String())
	}
	p.done = 2000 // more than was counted before
	p.draw(time.Second)
	if !strings.Contains(b.String(), "] 100 %") {
		t.Errorf("%q", b.String())
	}
	b.Reset()
	p.clear()
	if strings.Trim(b.String(), " \r") != "" || b.Len() == 0 {
		t.Errorf("%q", b.String())
	}
}
