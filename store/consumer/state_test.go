package consumer

import (
	"bytes"
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"ramjet/proto/base/rng"
	"ramjet/store/crypt"
	"ramjet/store/vfs"
)

func random(r *rng.Source) *State {
	s := &State{Applied: r.Uint64(), Delivered: Pos{r.Uint64n(1e6), r.Uint64()}, AckFloor: Pos{r.Uint64n(1e6), r.Uint64n(1e9)}}
	seq := r.Uint64n(1000)
	for range r.Intn(200) {
		s.Pending = append(s.Pending, Pending{Stream: seq, Consumer: r.Uint64n(1e6), Time: int64(r.Uint64())})
		if r.Intn(3) == 0 {
			s.Redelivered = append(s.Redelivered, Redelivered{seq, r.Uint64n(10)})
		}
		seq += 1 + r.Uint64n(50)
	}
	for range r.Intn(20) {
		s.Extra = append(s.Extra, byte(r.Uint64()))
	}
	return s
}

func TestRoundTrip(t *testing.T) {
	r := rng.New(1)
	for i := range 200 {
		s := random(r)
		var got State
		b := Append([]byte("x"), s)[1:]
		if err := Decode(b, &got); err != nil || !got.Equal(s) {
			t.Fatalf("%d: %v\n%+v\n%+v", i, err, got, s)
		}
		for range 20 {
			c := bytes.Clone(b)
			c[r.Intn(len(c))] ^= byte(1 + r.Intn(255))
			if Decode(c, &got) == nil {
				t.Fatal("flipped bit was not noticed")
			}
			if Decode(b[:r.Intn(len(b))], &got) == nil {
				t.Fatal("cut was not noticed")
			}
		}
	}
}

func TestCompact(t *testing.T) {
	s := &State{}
	for i := range 10_000 {
		s.Pending = append(s.Pending, Pending{uint64(i + 1), uint64(i + 1), 1_700_000_000_000_000_000 + int64(i)*20_000})
	}
	if n := len(Append(nil, s)); n > 60_000 {
		t.Fatalf("%d bytes for 10000 pending", n)
	}
}

// TestCrash cuts the power at every sync of a save: old or new, nothing else.
func TestCrash(t *testing.T) {
	r := rng.New(2)
	for _, rule := range []vfs.NameRule{vfs.NamesStrict, vfs.NamesOrdered} {
		mem := vfs.NewMem()
		mem.SetNameRule(rule)
		if err := errors.Join(mem.MkdirAll("/c"), mem.SyncDir("/")); err != nil {
			t.Fatal(err)
		}
		a, b := random(r), random(r)
		if err := Save(mem, "/c/state", a, nil); err != nil {
			t.Fatal(err)
		}
		crashes := 0
		check := func(keep int) {
			crashes++
			img := mem.CrashClone(vfs.Crash{Rand: r.Intn, Keep: keep, Torn: true})
			got, err := Load(img, "/c/state", nil)
			if err != nil || (!got.Equal(a) && !got.Equal(b)) {
				t.Fatalf("%v", err)
			}
		}
		hook := vfs.Slow(func(*vfs.Call) {
			for k := range 8 {
				check(k * 14)
			}
		})
		if err := Save(vfs.Intercept(mem, hook), "/c/state", b, nil); err != nil {
			t.Fatal(err)
		}
		img := mem.CrashClone(vfs.Crash{})
		if got, err := Load(img, "/c/state", nil); err != nil || !got.Equal(b) || crashes < 40 {
			t.Fatalf("saved state lost: %v, %d crashes", err, crashes)
		}
	}
}

func TestFile(t *testing.T) {
	mem := vfs.NewMem()
	_ = mem.MkdirAll("/c")
	if _, err := Load(mem, "/c/state", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	codec, err := crypt.NewCodec(crypt.AES, make([]byte, crypt.KeyLen), false, crypt.SystemRandom)
	if err != nil {
		t.Fatal(err)
	}
	s := random(rng.New(3))
	if err := Save(mem, "/c/state", s, codec); err != nil {
		t.Fatal(err)
	}
	if got, err := Load(mem, "/c/state", codec); err != nil || !got.Equal(s) {
		t.Fatal(err)
	}
	if _, err := Load(mem, "/c/state", nil); err == nil {
		t.Fatal("readable without the key")
	}
	var fault vfs.Fault
	fault.Add(vfs.FaultRule{Op: vfs.OpWrite, Err: syscall.ENOSPC})
	if err := Save(vfs.Intercept(mem, fault.Hook), "/c/state", random(rng.New(4)), codec); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if got, err := Load(mem, "/c/state", codec); err != nil || !got.Equal(s) {
		t.Fatal("a failed save destroyed the state before")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Append(nil, &State{}))
	f.Add(Append(nil, random(rng.New(1))))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s, again State
		if Decode(b, &s) != nil {
			return
		}
		if err := Decode(Append(nil, &s), &again); err != nil || !again.Equal(&s) {
			t.Fatal("not stable")
		}
	})
}
