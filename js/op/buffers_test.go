package op

import "testing"

func TestBuffers(t *testing.T) {
	var mem Buffers
	c := Cmd{Kind: Msg, Seq: 1, Subject: []byte("s"), Payload: make([]byte, 1000)}
	fill := func(b *Batch, n int) *Batch {
		for range n {
			b.Add(&c)
		}
		return b
	}
	a := fill(NewBatch(&mem), 100)
	if mem.Bytes() != 0 {
		t.Fatal("kept while in use")
	}
	a.Free()
	held := mem.Bytes()
	if held < 100_000 || a.Len() != 0 || a.Bytes() != nil {
		t.Fatalf("%d bytes are kept", held)
	}
	b := NewBatch(&mem)
	if n := testing.AllocsPerRun(10, func() { fill(b, 100).Free() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if n := mem.Age(); n != 0 {
		t.Errorf("%d bytes were let go that are in use", n)
	}
	if n := mem.Age(); n != held || mem.Bytes() != 0 {
		t.Errorf("%d bytes were let go, %d are left", n, mem.Bytes())
	}
	fill(NewBatch(&mem), 2000).Free()
	if mem.Bytes() != 0 {
		t.Errorf("%d bytes of a very large batch are kept", mem.Bytes())
	}
	var list []*Batch
	for range 100 {
		list = append(list, fill(NewBatch(&mem), 100))
	}
	for _, b := range list {
		b.Free()
	}
	if mem.Bytes() > keepBuffers {
		t.Errorf("%d bytes are kept", mem.Bytes())
	}
	fill(&Batch{}, 3).Free() // without memory to share
}
