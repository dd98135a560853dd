package msgtab

import (
	"bytes"
	"testing"

	"ramjet/proto/base/rng"
	"ramjet/store"
)

func TestRecord(t *testing.T) {
	r := rng.New(1)
	for i := range 500 {
		in := store.Rec{Seq: r.Uint64(), Time: int64(r.Uint64()), Subject: []byte("a.b"), Payload: make([]byte, r.Intn(100)), TTL: int64(r.Intn(5)) - 1}
		if r.Intn(2) == 0 {
			in.Header = []byte("NATS/1.0\r\n\r\n")
		}
		b := AppendRecord([]byte("x"), 7, &in)[1:]
		if len(b) != Size(&in) {
			t.Fatalf("%d: %d bytes, Size says %d", i, len(b), Size(&in))
		}
		var out store.Rec
		if n, erased := Verify(append(b, 1, 2, 3), 7, &out); n != len(b) || erased {
			t.Fatalf("%d: %d %v", i, n, erased)
		}
		if out.Seq != in.Seq || out.Time != in.Time || out.TTL != in.TTL || !bytes.Equal(out.Header, in.Header) || !bytes.Equal(out.Payload, in.Payload) || string(out.Subject) != "a.b" {
			t.Fatalf("%d: %+v, want %+v", i, out, in)
		}
		if n, _ := Verify(b, 8, &out); n != 0 {
			t.Fatal("another salt verifies")
		}
		bad := bytes.Clone(b)
		bad[r.Intn(len(bad))] ^= byte(1 + r.Intn(255))
		if n, _ := Verify(bad, 7, &out); n != 0 {
			t.Fatalf("%d: a changed record verifies", i)
		}
		Erase(b, 7, 99)
		if n, erased := Verify(b, 7, &out); n != len(b) || !erased || out.Seq != in.Seq || bytes.Contains(b, []byte("a.b")) {
			t.Fatalf("%d: erased record: %d %v", i, n, erased)
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(AppendRecord(nil, 0, &store.Rec{Seq: 1, Subject: []byte("a"), Payload: []byte("x")}))
	f.Add(AppendRecord(nil, 0, &store.Rec{Seq: 9, Subject: []byte("a.b"), Header: []byte("NATS/1.0\r\n\r\n"), TTL: -1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r store.Rec
		n, _ := View(b, &r)
		if n > len(b) {
			t.Fatal("over-read")
		}
		if n > 0 && len(r.Subject)+len(r.Header)+len(r.Payload) > n {
			t.Fatal("parts do not fit")
		}
		if n, erased := Verify(b, 0, &r); n > 0 && !erased && r.TTL >= -1 {
			if len(r.Header) == 0 && b[3]&0x80 != 0 {
				return // an empty header block is not written that way
			}
			if again := AppendRecord(nil, 0, &r); !bytes.Equal(again, b[:n]) && b[34] == 0 {
				t.Fatalf("not stable")
			}
		}
	})
}
