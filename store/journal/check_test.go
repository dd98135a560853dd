package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"testing"

	"ramjet/store/vfs"
)

// image returns the content of the journal's files.
func (w *world) image() map[string]string {
	m := map[string]string{}
	names, _ := w.mem.List("/j")
	for _, n := range names {
		b, err := vfs.ReadFile(w.mem, "/j/"+n, 1<<30)
		if err != nil {
			w.t.Fatal(err)
		}
		m[n] = string(b)
	}
	return m
}

// TestCheck: the offline check finds what recovery would, and changes nothing.
func TestCheck(t *testing.T) {
	w := newWorld(t)
	if _, err := Check(w.fs, "/j", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no journal: %v", err)
	}
	l := w.open(w.options())
	for i := range uint64(10) {
		if err := durable(l, rec(GroupID(i+1), i, fmt.Sprintf("payload-%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	_ = l.Close()
	before := w.image()
	var read int64
	rep, err := Check(w.fs, "/j", func(n int64) { read += n })
	if err != nil || rep.Records != 10 || rep.Bytes != 90 || rep.Files != 1 || len(rep.Problems) != 0 || read < minFileSize {
		t.Errorf("%+v %v, %d bytes", rep, err, read)
	}
	if !reflect.DeepEqual(before, w.image()) {
		t.Error("the check changed something")
	}
	w.flip(w.find("payload-4"))
	if rep, err = Check(w.fs, "/j", nil); err != nil || rep.Records != 9 || len(rep.Problems) != 1 || rep.Problems[0].Group != 5 {
		t.Errorf("%+v %v", rep, err)
	}
	w.open(w.options())
	if !reflect.DeepEqual(w.damage, rep.Problems) {
		t.Errorf("recovery says %+v, the check %+v", w.damage, rep.Problems)
	}
}
