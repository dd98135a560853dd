package journal

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ramjet/store/vfs"
)

// stopped returns a disk with a journal of several files that was stopped cleanly, and what is in it.
func stoppedJournal(t testing.TB) (*world, []string) {
	w := newWorld(t)
	l := w.open(w.options())
	var want []string
	for i := range uint64(24) {
		r := rec(GroupID(i%3+1), i, fmt.Sprintf("%04d%s", i, bytes.Repeat([]byte("p"), 7000)))
		want = append(want, show(&r))
		if err := w.durable(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return w, want
}

// TestEveryRecordDamaged flips a bit in each record of a stopped journal, in its header and in its payload: exactly it is missing, and
// that is said. No place is taken for a torn tail.
func TestEveryRecordDamaged(t *testing.T) {
	w, want := stoppedJournal(t)
	whole := w.mem
	for i := range want {
		for _, at := range []int64{-headerLen, -headerLen + 9, -headerLen + 30, 0, 6999} {
			w.mem = whole.CrashClone(vfs.Crash{})
			w.fs = w.mem
			name, off := w.find(fmt.Sprintf("%04dppp", i))
			w.flip(name, off+at)
			l := w.open(w.options())
			_ = l.Close()
			if len(w.damage) != 1 || w.damage[0].Length != size(7004) {
				t.Fatalf("record %d, byte %d: damage %+v", i, at, w.damage)
			}
			if g := w.damage[0].Group; at >= 0 && g != GroupID(i%3+1) {
				t.Errorf("record %d, byte %d: group %d", i, at, g)
			}
			w.damage = nil
			w.replayed(slices.Concat(want[:i], want[i+1:]))
		}
	}
}

// TestDamagedHeader: one bad copy of a file header costs nothing; two are said, and the file is put aside and not used again.
func TestDamagedHeader(t *testing.T) {
	w, want := stoppedJournal(t)
	whole := w.mem
	names, _ := whole.List("/j")
	inUse := 0
	for _, n := range names {
		b, _ := vfs.ReadFile(whole, "/j/"+n, 1<<30)
		used := !isZero(b[:fileHeaderLen])
		for _, both := range []bool{false, true} {
			w.mem = whole.CrashClone(vfs.Crash{})
			w.fs = w.mem
			w.flip("/j/"+n, 20)
			if both && used {
				w.flip("/j/"+n, headerCopy+33)
			}
			before := w.image()
			rep, err := Check(w.fs, "/j", nil)
			if err != nil || (len(rep.Problems) > 0) != (both || !used) || !reflect.DeepEqual(before, w.image()) {
				t.Errorf("%s: check %+v %v, or it changed something", n, rep, err)
			}
			l := w.open(w.options())
			_ = l.Close()
			if !both && used {
				w.replayed(want)
				continue
			}
			// A spare file that is not zero any more is suspect too.
			after, _ := w.mem.List("/j")
			if len(w.damage) == 0 || !slices.Contains(after, n+damagedSuffix) {
				t.Errorf("%s: damage %+v, files %v", n, w.damage, after)
			}
			kept, _ := vfs.ReadFile(w.mem, "/j/"+n+damagedSuffix, 1<<30)
			if !bytes.Equal(kept[fileHeaderLen:], b[fileHeaderLen:]) {
				t.Errorf("%s: what was put aside has changed", n)
			}
			if used && strings.Contains(string(b), "ppp") {
				inUse++
				if len(w.recs) >= len(want) {
					t.Errorf("%s: replayed %d", n, len(w.recs))
				}
			}
			if rep, err := Check(w.fs, "/j", nil); err != nil || len(rep.Problems) == 0 {
				t.Errorf("%s: check of what was put aside: %+v %v", n, rep, err)
			}
			// Again: it stays aside.
			l = w.open(w.options())
			_ = l.Close()
			if now, _ := w.mem.List("/j"); !slices.Contains(now, n+damagedSuffix) {
				t.Errorf("%s is gone: %v", n, now)
			}
		}
	}
	if inUse < 2 {
		t.Errorf("%d files held records", inUse)
	}
}

func FuzzParse(f *testing.F) {
	r := Record{Group: 3, Kind: KindStream, Flags: FlagRewritten, Index: 7, Term: 9, Payload: []byte("payload")}
	b := make([]byte, size(len(r.Payload)))
	copy(b[headerLen:], r.Payload)
	putHeader(b, 42, 1000, &r)
	f.Add(b, uint64(42), uint64(1000))
	f.Add(b[:headerLen], uint64(42), uint64(1000))
	f.Fuzz(func(t *testing.T, b []byte, salt, pos uint64) {
		var r Record
		n, ok := parse(b, salt, Pos(pos), &r)
		if !ok {
			return
		}
		if n < headerLen || n > int64(len(b)) || int64(len(r.Payload)) > n-headerLen {
			t.Fatalf("%d bytes of %d, payload %d", n, len(b), len(r.Payload))
		}
		again := make([]byte, headerLen)
		putHeader(again, salt, Pos(pos), &r)
		if !bytes.Equal(again, b[:headerLen]) {
			t.Fatalf("decoded %v, which encodes differently", r)
		}
		records, synced, ok := parseCommit(r.Payload)
		if ok {
			var c [commitLen - headerLen]byte
			putCommit(c[:], records, synced)
			if !bytes.Equal(c[:], r.Payload) {
				t.Fatal("a commit encodes differently")
			}
		}
	})
}

func FuzzFileHeader(f *testing.F) {
	b := make([]byte, fileHeaderLen)
	putFileHeader(b, &file{number: 5, prev: 4, salt: 9, start: 1234, size: 1 << 20}, 3)
	f.Add(b[:headerSum+8], b[:headerSum+8])
	f.Add([]byte{}, b[:headerSum+8])
	f.Fuzz(func(t *testing.T, first, second []byte) {
		b := make([]byte, fileHeaderLen)
		copy(b[:headerCopy], first)
		copy(b[headerCopy:], second)
		var h file
		oldest, err := parseFileHeader(b, &h)
		if err != nil || h.number == 0 {
			return
		}
		if h.prev >= h.number || h.size < fileHeaderLen || h.size > maxFileSize {
			t.Fatalf("believed %+v", h)
		}
		again := make([]byte, fileHeaderLen)
		putFileHeader(again, &h, oldest)
		if h := again[:headerSum+8]; !bytes.HasPrefix(b, h) && !bytes.HasPrefix(b[headerCopy:], h) {
			t.Fatalf("decoded %+v, which encodes differently", h)
		}
	})
}

// FuzzChain: whatever numbers headers carry, the chain is finite, sorted, and without repetition.
func FuzzChain(f *testing.F) {
	f.Add([]byte{3, 2, 1, 2, 1, 1, 1, 0, 1})
	f.Add([]byte{9, 4, 1, 3, 2, 1, 5, 5, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		var used []*file
		oldest := map[uint64]uint64{}
		for ; len(data) >= 3; data = data[3:] {
			n, prev := uint64(data[0]), uint64(data[1])
			if n == 0 || prev >= n {
				continue // not believed by parseFileHeader
			}
			used = append(used, &file{number: n, prev: prev})
			oldest[n] = uint64(data[2])
		}
		chain, _ := chainOf(used, oldest)
		for i := 1; i < len(chain); i++ {
			if chain[i-1].number >= chain[i].number {
				t.Fatalf("chain is not sorted")
			}
		}
		if len(used) > 0 && len(chain) == 0 {
			t.Fatal("no chain")
		}
	})
}
