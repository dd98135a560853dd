package crypt

import (
	"bytes"
	"errors"
	"testing"

	"ramjet/proto/base/rng"
)

func seeded(seed uint64) Random {
	r := rng.New(seed)
	return func(b []byte) {
		for i := range b {
			b[i] = byte(r.Uint64())
		}
	}
}

func TestCodec(t *testing.T) {
	key := bytes.Repeat([]byte{7}, KeyLen)
	text := bytes.Repeat([]byte("the quick brown fox "), 100)
	noise := make([]byte, 2001)
	seeded(1)(noise)
	for _, c := range []Cipher{NoCipher, ChaCha, AES} {
		for _, z := range []bool{false, true} {
			codec, err := NewCodec(c, key, z, seeded(2))
			if err != nil {
				t.Fatal(err)
			}
			for _, block := range [][]byte{nil, text, noise} {
				stored := codec.Append([]byte("x"), block, []byte("here"))[1:]
				got, err := codec.Open(stored, []byte("here"), len(block))
				if err != nil || !bytes.Equal(got, block) {
					t.Fatalf("%v %v: %v", c, z, err)
				}
				if z && len(block) == len(text) && len(stored) > 300 {
					t.Errorf("%v: not compressed: %d", c, len(stored))
				}
				if c == NoCipher {
					continue
				}
				if bytes.Contains(stored, []byte("quick brown")) {
					t.Errorf("%v: readable", c)
				}
				if _, err := codec.Open(stored, []byte("there"), 1<<20); err == nil {
					t.Errorf("%v: block could be moved", c)
				}
				stored[len(stored)-1] ^= 1
				if _, err := codec.Open(stored, []byte("here"), 1<<20); !errors.Is(err, ErrCorrupt) {
					t.Errorf("%v: changed block: %v", c, err)
				}
				if _, err := codec.Open(append([]byte{0}, block...), []byte("here"), 1<<20); err == nil {
					t.Errorf("%v: plain block accepted", c)
				}
			}
		}
	}
	codec, _ := NewCodec(NoCipher, nil, true, nil)
	if _, err := codec.Open(codec.Append(nil, text, nil), nil, len(text)-1); err == nil {
		t.Error("limit ignored")
	}
}

func TestKeyRotation(t *testing.T) {
	old, fresh := Derive([]byte("old"), "A", "S"), Derive([]byte("new"), "A", "S")
	if bytes.Equal(Derive([]byte("old"), "AB", "C"), Derive([]byte("old"), "A", "BC")) {
		t.Error("account and context run together")
	}
	key := bytes.Repeat([]byte{9}, KeyLen)
	for _, c := range []Cipher{ChaCha, AES} {
		sealed, err := SealKey(c, old, key, SystemRandom)
		if err != nil {
			t.Fatal(err)
		}
		got, gc, which, err := OpenKey(sealed, fresh, old)
		if err != nil || which != 1 || gc != c || !bytes.Equal(got, key) {
			t.Fatalf("%v %d %v", err, which, gc)
		}
		if _, _, _, err := OpenKey(sealed, fresh); !errors.Is(err, ErrKey) {
			t.Errorf("wrong key: %v", err)
		}
		for i := range sealed {
			if _, _, _, err := OpenKey(sealed[:i], old); err == nil {
				t.Errorf("opened %d bytes", i)
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	key := bytes.Repeat([]byte{7}, KeyLen)
	plain, _ := NewCodec(NoCipher, nil, true, nil)
	sealed, _ := NewCodec(AES, key, true, seeded(3))
	f.Add(plain.Append(nil, bytes.Repeat([]byte("ab"), 100), nil))
	f.Add(sealed.Append(nil, []byte("hello"), nil))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, c := range []*Codec{plain, sealed} {
			out, err := c.Open(b, nil, 1<<16)
			if err != nil {
				continue
			}
			if len(out) > 1<<16 {
				t.Fatal("limit ignored")
			}
			back, err := c.Open(c.Append(nil, out, nil), nil, 1<<16)
			if err != nil || !bytes.Equal(back, out) {
				t.Fatal("not stable")
			}
		}
	})
}

func FuzzOpenKey(f *testing.F) {
	derived := Derive([]byte("server key"), "A", "S")
	key := bytes.Repeat([]byte{9}, KeyLen)
	for _, c := range []Cipher{ChaCha, AES} {
		sealed, err := SealKey(c, derived, key, seeded(4))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(sealed)
		f.Add(sealed[:len(sealed)-1])
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, c, which, err := OpenKey(b, Derive([]byte("another"), "A", "S"), derived)
		if err != nil {
			return
		}
		if which != 1 || len(got) != KeyLen || c.String() == "" {
			t.Fatalf("key %x of cipher %v by %d", got, c, which)
		}
	})
}
