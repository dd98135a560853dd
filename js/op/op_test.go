package op

import (
	"bytes"
	"reflect"
	"testing"
)

func samples() []Cmd {
	h := []byte("NATS/1.0\r\nNats-Msg-Id: abc\r\n\r\n")
	return []Cmd{
		{Kind: Msg, Seq: 1, Time: -5, Subject: []byte("a.b"), Payload: []byte("hello")},
		{Kind: Msg, Flags: FlagRollupSub, Seq: 1 << 60, Time: 1, TTL: -1, Subject: []byte("a"), Header: h, Payload: []byte{}, MsgID: h[23:26:26]},
		{Kind: Msg, Seq: 2, Subject: []byte("a"), Header: h, Payload: []byte{}, MsgID: []byte("other")},
		{Kind: Skip, Flags: FlagRollupAll, Seq: 4, Time: 9, Subject: []byte("x"), MsgID: []byte("id")},
		{Kind: SkipTo, Seq: 77},
		{Kind: Remove, Flags: FlagErase, Seq: 3, Time: 4},
		{Kind: Purge, Seq: 10, Keep: 2, Time: 3, Subject: []byte("a.>")},
		{Kind: Expire, Time: 99},
		{Kind: Config, Time: 1, Payload: []byte("{}")},
		{Kind: Consumer, Sub: 7, Subject: []byte("C"), Payload: []byte("opaque")},
	}
}

func TestRoundTrip(t *testing.T) {
	var b Batch
	want := samples()
	for i := range want {
		b.Add(&want[i])
	}
	m := b.Mark()
	b.Add(&want[0])
	b.Truncate(m)
	if b.Len() != len(want) {
		t.Fatal(b.Len())
	}
	r := Open(b.Bytes())
	var c Cmd
	for i := range want {
		if !r.Next(&c) || !reflect.DeepEqual(c, want[i]) {
			t.Fatalf("%d: got %+v, want %+v, %v", i, c, want[i], r.Err())
		}
	}
	if r.Next(&c) || r.Err() != nil {
		t.Fatal("no end", r.Err())
	}
	for n := 1; n < len(b.Bytes()); n++ { // every cut is an error or ends at a command
		r, k := Open(b.Bytes()[:n]), 0
		for r.Next(&c) {
			k++
		}
		if r.Err() == nil && k == len(want) {
			t.Fatalf("cut at %d not noticed", n)
		}
	}
	if r := Open([]byte{9}); r.Err() != ErrVersion {
		t.Fatal(r.Err())
	}
}

func TestAllocations(t *testing.T) {
	var b Batch
	cmds := samples()
	var c Cmd
	if n := testing.AllocsPerRun(100, func() {
		b.Reset()
		for i := range cmds {
			b.Add(&cmds[i])
		}
		for r := Open(b.Bytes()); r.Next(&c); {
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func FuzzEntry(f *testing.F) {
	var b Batch
	for _, c := range samples() {
		b.Add(&c)
		f.Add(bytes.Clone(b.Bytes()))
	}
	f.Add([]byte{1, 255, 255, 255, 255, 1, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		var out, again Batch
		var c Cmd
		r := Open(in)
		for r.Next(&c) {
			out.Add(&c)
		}
		r = Open(out.Bytes())
		for r.Next(&c) {
			again.Add(&c)
		}
		if out.Len() > 0 && (r.Err() != nil || !bytes.Equal(out.Bytes(), again.Bytes())) {
			t.Fatalf("encode(decode) is not stable: %x, %x, %v", out.Bytes(), again.Bytes(), r.Err())
		}
	})
}

func BenchmarkMsg(b *testing.B) {
	c := samples()[0]
	c.Payload = make([]byte, 128)
	var batch Batch
	var got Cmd
	b.ReportAllocs()
	for b.Loop() {
		batch.Reset()
		batch.Add(&c)
		for r := Open(batch.Bytes()); r.Next(&got); {
		}
	}
}
