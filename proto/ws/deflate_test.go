package ws

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func inflate(z *Inflater, in []byte, limit int64) ([]byte, error) {
	var out []byte
	err := z.Inflate(in, limit, func(b []byte) error {
		out = append(out, b...)
		return nil
	})
	return out, err
}

func TestDeflate(t *testing.T) {
	var d Deflater
	var z Inflater
	for _, s := range []string{"PING\r\n", strings.Repeat("MSG foo 1 5\r\nhello\r\n", 10000), "", "\x00\xff"} {
		c, err := d.Append([]byte("head"), []byte(s))
		if err != nil {
			t.Fatal(err)
		}
		got, err := inflate(&z, c[4:], int64(len(s)))
		if err != nil || string(got) != s || string(c[:4]) != "head" {
			t.Errorf("%.20q: %.20q %v", s, got, err)
		}
		if len(s) > 1000 && len(c) > len(s)/20 {
			t.Errorf("%d bytes of %d", len(c), len(s))
		}
	}
}

func TestInflateLimit(t *testing.T) {
	var d Deflater
	var z Inflater
	c, err := d.Append(nil, make([]byte, 100<<20))
	if err != nil {
		t.Fatal(err)
	}
	got, err := inflate(&z, c, 1<<20)
	if err != error(ErrTooBig) || len(got) != 1<<20 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if got, err := inflate(&z, c[:len(c)/100], 1<<30); err != nil && len(got) == 0 {
		t.Errorf("a cut message gives what there is: %d %v", len(got), err)
	}
}

// TestInflateAsPeer: compressed bytes that nats-server 2.15.2 accepted or refused.
func TestInflateAsPeer(t *testing.T) {
	var z Inflater
	if _, err := inflate(&z, []byte("\xff\xff\xff\xff\x01"), 100); err == nil || !strings.Contains(err.Error(), "corrupt") {
		t.Errorf("corrupt: %v", err)
	}
	if _, err := inflate(&z, nil, 100); err == nil || !strings.Contains(err.Error(), "corrupt") {
		t.Errorf("empty: %v", err)
	}
	// A final block ends the message: what follows is not looked at.
	if got, err := inflate(&z, []byte("\x01\x06\x00\xf9\xffPING\r\n\xff\xff\xff"), 100); err != nil || string(got) != "PING\r\n" {
		t.Errorf("final block: %q %v", got, err)
	}
	stop := errors.New("stop")
	if err := z.Inflate([]byte("\x01\x06\x00\xf9\xffPING\r\n"), 100, func([]byte) error { return stop }); err != stop {
		t.Errorf("emit error: %v", err)
	}
}

func TestCompressedLimit(t *testing.T) {
	for in, want := range map[int64]int64{1 << 20: 8 << 20, 8 << 20: 64 << 20, 1 << 30: 64 << 20, 4096: 32768, 0: 64 << 20, 1<<63 - 1: 64 << 20} {
		if got := CompressedLimit(in); got != want {
			t.Errorf("%d: %d, want %d", in, got, want)
		}
	}
}

func BenchmarkDeflate(b *testing.B) {
	var d Deflater
	in := bytes.Repeat([]byte("MSG orders.eu.1234 1 64\r\n0123456789abcdef0123456789ABCDEF\r\n"), 16)
	var out []byte
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		out, _ = d.Append(out[:0], in)
	}
}

func BenchmarkInflate(b *testing.B) {
	var d Deflater
	var z Inflater
	in := bytes.Repeat([]byte("PUB orders.eu.1234 64\r\n0123456789abcdef0123456789ABCDEF\r\n"), 16)
	c, _ := d.Append(nil, in)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		z.Inflate(c, 1<<20, func([]byte) error { return nil })
	}
}

// FuzzInflate: no panic, never more than the limit; a fresh and a reused Inflater agree.
func FuzzInflate(f *testing.F) {
	var d Deflater
	for _, s := range []string{"", "PING\r\n", strings.Repeat("abc", 1000)} {
		c, _ := d.Append(nil, []byte(s))
		f.Add(c)
	}
	f.Add([]byte("\xff\xff\xff\xff\x01"))
	var reused Inflater
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := inflate(&reused, in, 5000)
		if len(got) > 5000 {
			t.Fatal(len(got))
		}
		again, err2 := inflate(new(Inflater), in, 5000)
		if !bytes.Equal(got, again) || (err == nil) != (err2 == nil) || (err != nil && err.Error() != err2.Error()) {
			t.Fatalf("%q %v, fresh: %q %v", got, err, again, err2)
		}
		if err != nil {
			return
		}
		c, err := d.Append(nil, got)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := inflate(&reused, c, 5000); err != nil || !bytes.Equal(back, got) {
			t.Fatalf("%q %v", back, err)
		}
	})
}
