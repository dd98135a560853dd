package netio

import (
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestIdleMemory: an idle connection costs little more than its Conn, also after traffic.
func TestIdleMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("memory of the plain build")
	}
	if n := unsafe.Sizeof(Conn{}); n > 800 {
		t.Errorf("a Conn has %d bytes", n)
	}
	backend := testBackends()[0]
	w := newWorld(t, backend, Config{})
	h := newHand()
	h.data = echo
	const n = 1000
	heap := func() uint64 {
		runtime.GC()
		runtime.GC() // the second one empties the pools' victims
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var before uint64
	var fds []int
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	buf := make([]byte, 100)
	for i := range n + 10 {
		if i == 10 { // the loops have their buffers now
			before = heap()
		}
		pair, err := socketpair()
		if err != nil {
			t.Skip(err)
		}
		fds = append(fds, pair[1])
		_ = unix.SetNonblock(pair[1], false)
		w.g.adopt(pair[0], addrPort(nil), addrPort(nil), true, h.accept)
		if _, err := unix.Write(pair[1], buf); err != nil {
			t.Fatal(err)
		}
		if got, err := unix.Read(pair[1], buf); got != len(buf) || err != nil {
			t.Fatal(got, err)
		}
	}
	each := (heap() - before) / n
	t.Logf("Conn %d bytes, %d bytes of heap per idle connection", unsafe.Sizeof(Conn{}), each)
	if each > 1200 {
		t.Errorf("%d bytes of heap per idle connection", each)
	}
}
