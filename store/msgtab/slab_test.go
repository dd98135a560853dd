package msgtab

import (
	"runtime"
	"testing"
	"unsafe"
)

// TestSlab: a table with much in memory takes frames that lie side by side, and one that shrank counts from the start again.
func TestSlab(t *testing.T) {
	tab := New(nil, 0, true, NewPool(0))
	var frames [][]byte
	for range slabFrames {
		frames = append(frames, tab.fullFrame())
	}
	if tab.slab != nil {
		t.Fatalf("a slab for %d frames", len(frames))
	}
	const n = slabSize / FrameSize
	for i := range n + 1 {
		b := tab.fullFrame()
		if len(b) != 0 || cap(b) != FrameSize {
			t.Fatalf("length %d, capacity %d", len(b), cap(b))
		}
		prev := frames[len(frames)-1]
		if next := uintptr(unsafe.Pointer(unsafe.SliceData(prev))) + FrameSize; i > 0 && i < n && next != uintptr(unsafe.Pointer(unsafe.SliceData(b))) {
			t.Fatalf("frame %d is not behind the one before", i)
		}
		frames = append(frames, b)
	}
	if len(tab.slab) != slabSize-FrameSize {
		t.Errorf("%d bytes are left of the second slab", len(tab.slab))
	}
	for _, b := range frames {
		tab.Recycle(b)
	}
	if tab.inUse != 0 {
		t.Errorf("%d frames in use", tab.inUse)
	}
}

// TestSlabIsFreed: nothing but its frames keeps a slab.
func TestSlabIsFreed(t *testing.T) {
	gone := make(chan struct{})
	b := newSlab()
	runtime.AddCleanup(&b[0], func(done chan struct{}) { close(done) }, gone)
	part := b[FrameSize : 2*FrameSize]
	b = nil
	runtime.GC()
	select {
	case <-gone:
		t.Fatal("freed although a part is in use")
	default:
	}
	part[0] = 1
	runtime.KeepAlive(part)
	for range 10 { // the cleanup runs behind the collection
		runtime.GC()
	}
	<-gone
}

// TestNoSlabForFiles: a stream in files that holds many frames for a moment takes no slab.
func TestNoSlabForFiles(t *testing.T) {
	tab := New(nil, 0, false, NewPool(0))
	for range 2 * slabFrames {
		if b := tab.fullFrame(); cap(b) != FrameSize {
			t.Fatalf("capacity %d", cap(b))
		}
	}
	if tab.slab != nil {
		t.Error("a slab was taken")
	}
}
