package netio

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"

	"ramjet/proto/base/rng"
)

// openAll feeds in to a new stage in pieces of at most step bytes.
func openAll(in []byte, step int) ([]byte, error) {
	s := NewS2(S2Fast)
	var out []byte
	for len(in) > 0 {
		n := min(step, len(in))
		piece := bytes.Clone(in[:n])
		if err := s.Open(piece, func(b []byte) error { out = append(out, b...); return nil }); err != nil {
			return out, err
		}
		clear(piece) // what is kept must have been copied
		in = in[n:]
	}
	return out, nil
}

func TestS2RoundTrip(t *testing.T) {
	r := rng.New(7)
	noise := make([]byte, 3*s2Block/2)
	for i := range noise {
		noise[i] = byte(r.Uint64())
	}
	text := []byte(strings.Repeat("RMSG $G foo.bar 5\r\nhello\r\n", 30000))
	for _, level := range []S2Level{S2Uncompressed, S2Fast, S2Better, S2Best} {
		var wire, want []byte
		seal := NewS2(level)
		for _, b := range [][]byte{[]byte("PING\r\n"), text, noise, nil, {7}} {
			var err error
			if wire, err = seal.Seal(wire, b); err != nil {
				t.Fatal(err)
			}
			want = append(want, b...)
		}
		for _, step := range []int{1 << 30, 1, 3, 1000, 65536} {
			if step == 1 && level != S2Best {
				continue // slow, and the framing is the same
			}
			got, err := openAll(wire, step)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("level %d in steps of %d: %v, %d of %d bytes", level, step, err, len(got), len(want))
			}
		}
		// the library reads what we write
		got, err := io.ReadAll(s2.NewReader(bytes.NewReader(wire)))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("level %d: the library: %v", level, err)
		}
		plain, sealed := seal.Ratio()
		if plain != int64(len(want)) || sealed != int64(len(wire)) {
			t.Errorf("counted %d and %d", plain, sealed)
		}
		if level != S2Uncompressed && sealed > plain*2/3 {
			t.Errorf("level %d: %d bytes of %d", level, sealed, plain)
		}
	}
}

// TestS2Library: we read what the library writes, with its options.
func TestS2Library(t *testing.T) {
	text := []byte(strings.Repeat("HMSG APP orders.new 12 30\r\n", 100000))
	for _, opts := range [][]s2.WriterOption{
		nil, {s2.WriterBestCompression()}, {s2.WriterUncompressed()}, {s2.WriterSnappyCompat()},
		{s2.WriterPadding(4096)}, {s2.WriterAddIndex()},
	} {
		var b bytes.Buffer
		w := s2.NewWriter(nil, append(opts, s2.WriterConcurrency(1))...)
		for range 2 { // one stream follows the other
			w.Reset(&b)
			if _, err := w.Write(text); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}
		got, err := openAll(b.Bytes(), 4093)
		if err != nil || !bytes.Equal(got, append(bytes.Clone(text), text...)) {
			t.Fatalf("%v, %d bytes", err, len(got))
		}
	}
}

func TestS2Refused(t *testing.T) {
	good, _ := NewS2(S2Fast).Seal(nil, []byte(strings.Repeat("abc", 100)))
	spoiled := bytes.Clone(good)
	spoiled[len(s2Magic)+5]++
	for name, c := range map[string]struct {
		in   string
		want error
	}{
		"plain text":      {"PING\r\n", errS2Start},
		"no identifier":   {string(good[len(s2Magic):]), errS2Start},
		"bad identifier":  {"\xff\x06\x00\x00S2sTwx", errS2Start},
		"identifier long": {"\xff\x07\x00\x00S2sTwOO", errS2Length},
		"unknown chunk":   {string(s2Magic) + "\x02\x01\x00\x00a", errS2Chunk},
		"huge chunk":      {string(s2Magic) + "\x01\xff\xff\xff", errS2Length},
		"short chunk":     {string(s2Magic) + "\x00\x02\x00\x00ab", errS2Length},
		"checksum":        {string(spoiled), errS2Checksum},
	} {
		for _, step := range []int{1, 1 << 20} {
			_, err := openAll([]byte(c.in), step)
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
	}
}

// TestS2Memory: announcing a chunk costs nothing.
func TestS2Memory(t *testing.T) {
	s := NewS2(S2Fast)
	in := append(bytes.Clone(s2Magic), s2Plain, 0, 0, 0x3f)
	if err := s.Open(in, func([]byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if cap(s.part) > 1024 {
		t.Errorf("%d bytes for a head", cap(s.part))
	}
}

func FuzzS2(f *testing.F) {
	good, _ := NewS2(S2Better).Seal(nil, []byte(strings.Repeat("RMSG $G a 1\r\nx\r\n", 50)))
	f.Add(good, 3)
	f.Add(append(bytes.Clone(good), good...), 100)
	f.Add([]byte("\xff\x06\x00\x00sNaPpY\x80\x02\x00\x00ab\x01\x05\x00\x00abcde"), 1)
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		step = min(max(step, 1), 1<<16)
		a, errA := openAll(in, 1<<30)
		b, errB := openAll(in, step)
		if !bytes.Equal(a, b) || (errA == nil) != (errB == nil) {
			t.Fatalf("%d bytes, %v; in pieces %d bytes, %v", len(a), errA, len(b), errB)
		}
	})
}
