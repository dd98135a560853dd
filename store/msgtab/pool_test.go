package msgtab

import (
	"testing"

	"ramjet/proto/base/invariant"
)

func TestPool(t *testing.T) {
	p := NewPool(3 * FrameSize)
	if p.get() != nil {
		t.Fatal("a frame out of nothing")
	}
	a := append(make([]byte, 0, FrameSize), "borrowed"...)
	p.put(a)
	p.put(make([]byte, 0, FrameSize/2))
	if p.get() != nil {
		t.Fatal("given out although its bytes may be held")
	}
	if string(a) != "borrowed" {
		t.Error("overwritten during the turn")
	}
	p.Turn()
	if invariant.On && !invariant.Mangled(a) {
		t.Error("not poisoned")
	}
	b := p.get()
	if cap(b) != FrameSize || len(b) != 0 {
		t.Fatalf("length %d, capacity %d", len(b), cap(b))
	}
	if p.get() != nil {
		t.Fatal("twice the same")
	}
	for range 5 {
		p.put(make([]byte, 0, FrameSize))
	}
	if n := p.Bytes(); n != 3*FrameSize {
		t.Errorf("keeps %d bytes", n)
	}
	p.Turn()
	if n := p.Age(); n != 0 {
		t.Errorf("%d bytes were let go that came just now", n)
	}
	p.put(p.get())
	p.Turn()
	if n := p.Age(); n != 2*FrameSize {
		t.Errorf("%d bytes were let go, 2 frames were not needed", n)
	}
	if n := p.Age(); n != FrameSize || p.Bytes() != 0 {
		t.Errorf("%d bytes were let go, %d are left", n, p.Bytes())
	}
}

// TestNoPool: a table without pool works.
func TestNoPool(t *testing.T) {
	var p *Pool
	p.put(make([]byte, FrameSize))
	p.putIndex(p.index())
	if p.get() != nil {
		t.Error("a frame")
	}
}
