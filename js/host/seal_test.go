package host

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"ramjet/proto/base/clock"
	"ramjet/proto/jsapi"
	"ramjet/store/crypt"
	"ramjet/store/journal"
	"ramjet/store/vfs"
)

// encrypted opens a world with a key, and the one before it.
func encrypted(t *testing.T, fs vfs.FS, cipher crypt.Cipher, key, prev string) *world {
	w := &world{t: t, n: newNet(), fs: fs, clk: clock.System()}
	w.keys(cipher, key, prev)
	w.open()
	t.Cleanup(func() { _ = w.h.Close() })
	return w
}

func (w *world) keys(cipher crypt.Cipher, key, prev string) {
	w.opt = func(o *Options) {
		o.Cipher = cipher
		if o.Key = []byte(key); key == "" {
			o.Key = nil
		}
		if o.PrevKey = []byte(prev); prev == "" {
			o.PrevKey = nil
		}
	}
}

// grep counts the files below dir that hold text.
func grep(t *testing.T, fs vfs.FS, dir, text string) (n int) {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		name = dir + "/" + name
		i, err := fs.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if i.IsDir() {
			n += grep(t, fs, name, text)
			continue
		}
		f, err := fs.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, i.Size())
		if _, err := f.ReadAt(b, 0); err != nil && len(b) > 0 && err.Error() != "EOF" {
			t.Fatal(err)
		}
		_ = f.Close()
		if bytes.Contains(b, []byte(text)) {
			n++
		}
	}
	return n
}

// TestSealedJournal: nothing of what an encrypted store was given can be read on its disk, in the journal neither; it comes back with the same key,
// with a new key beside the old one, and with the new one alone.
func TestSealedJournal(t *testing.T) {
	for _, cipher := range []crypt.Cipher{crypt.ChaCha, crypt.AES} {
		t.Run(cipher.String(), func(t *testing.T) {
			fs := vfs.NewMem()
			w := encrypted(t, fs, cipher, "first key", "")
			s := w.create(jsapi.StreamConfig{Name: "S", Subjects: []string{"secret-subject.>"}, Storage: jsapi.FileStorage})
			w.consumer(s, "C", jsapi.ConsumerConfig{Durable: "C", AckPolicy: jsapi.AckExplicit})
			for i := range 10 {
				w.publish("secret-subject.x", fmt.Sprintf("secret payload %d", i))
			}
			for i := range 3 {
				if got := w.next("S", "C"); got != fmt.Sprintf("secret-subject.x=secret payload %d", i) {
					t.Fatal(got)
				}
			}
			if n := grep(t, fs, "js/journal", "secret payload"); n != 0 {
				t.Fatalf("%d journal files hold payloads", n)
			}
			// A power cut leaves no checkpoint: all of it comes back from the journal.
			next := 3
			for i, k := range []struct{ key, prev string }{{"first key", ""}, {"second key", "first key"}, {"second key", ""}} {
				killed := fs.CrashClone(vfs.Crash{})
				w = encrypted(t, killed, cipher, k.key, k.prev)
				if w.h.recovery.Records == 0 {
					t.Fatal("nothing was replayed")
				}
				if p := w.account().Problems(); len(p) != 0 {
					t.Fatalf("%d: %v", i, p)
				}
				if got := w.next("S", "C"); got != fmt.Sprintf("secret-subject.x=secret payload %d", next) {
					t.Fatalf("%d: %s", i, got)
				}
				next++
				w.publish("secret-subject.x", fmt.Sprintf("secret payload %d", 9+i+1))
				if n := grep(t, killed, "js", "secret payload"); n != 0 {
					t.Fatalf("%d files hold payloads", n)
				}
				fs = killed
			}
		})
	}
}

// TestWrongKey: a stream whose key does not fit is offline with the reason, nothing of it is touched, and it is there again with the right key; a new
// stream works meanwhile.
func TestWrongKey(t *testing.T) {
	fs := vfs.NewMem()
	w := encrypted(t, fs, crypt.ChaCha, "right", "")
	w.create(jsapi.StreamConfig{Name: "S", Subjects: []string{"a"}, Storage: jsapi.FileStorage})
	for i := range 5 {
		w.publish("a", fmt.Sprint(i))
	}
	fs = fs.CrashClone(vfs.Crash{})
	for _, key := range []string{"wrong", ""} {
		w = encrypted(t, fs, crypt.ChaCha, key, "")
		if why := w.account().Problems()["S"]; !strings.Contains(why, "key") {
			t.Fatalf("key %q: problem %q", key, why)
		}
		if off := w.account().Stream("S").Offline(); !strings.Contains(off, "key") {
			t.Fatalf("offline: %q", off)
		}
		name := "N" + key
		w.create(jsapi.StreamConfig{Name: name, Subjects: []string{"n" + key}, Storage: jsapi.FileStorage})
		w.publish("n"+key, "x")
		if err := w.h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	w = encrypted(t, fs, crypt.ChaCha, "right", "")
	st, ok := w.account().Stream("S").(*Stream)
	if !ok {
		t.Fatalf("still offline: %v", w.account().Problems())
	}
	if msgs, _, _, last := st.size(); msgs != 5 || last != 5 {
		t.Fatalf("%d messages, last %d", msgs, last)
	}
	if got := w.publish("a", "more"); got.Seq != 6 {
		t.Fatal(got)
	}
}

func TestSealer(t *testing.T) {
	key := bytes.Repeat([]byte{7}, crypt.KeyLen)
	r := journal.Record{Group: 3, Kind: journal.KindStream, Index: sealedIndexes - 1, Flags: flagDrop, Payload: []byte("plain")}
	x := &sealer{cipher: crypt.AES, key: key}
	sealed := r
	if _, err := x.seal(&sealed, nil); err != nil || bytes.Contains(sealed.Payload, []byte("plain")) {
		t.Fatal(err, sealed.Payload)
	}
	moved := sealed
	moved.Flags |= journal.FlagRewritten
	if err := x.open(&moved); err != nil || string(moved.Payload) != "plain" {
		t.Fatal(err, moved.Payload)
	}
	for name, change := range map[string]func(*journal.Record){
		"index":  func(r *journal.Record) { r.Index++ },
		"group":  func(r *journal.Record) { r.Group++ },
		"kind":   func(r *journal.Record) { r.Kind = journal.KindConsumer },
		"flags":  func(r *journal.Record) { r.Flags = 0 },
		"byte":   func(r *journal.Record) { r.Payload = append([]byte(nil), r.Payload...); r.Payload[20] ^= 1 },
		"plain":  func(r *journal.Record) { r.Payload = []byte("plain") },
		"empty":  func(r *journal.Record) { r.Payload = nil },
		"header": func(r *journal.Record) { r.Payload = r.Payload[:3] },
	} {
		b := sealed
		change(&b)
		if err := (&sealer{cipher: crypt.AES, key: key}).open(&b); !errors.Is(err, errSealed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if buf, err := (&sealer{}).seal(&r, nil); err != nil || buf != nil || string(r.Payload) != "plain" {
		t.Error("without a key it must be left alone")
	}
}
