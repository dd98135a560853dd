package bufpool

import (
	"sync"
	"testing"

	"ramjet/proto/base/invariant"
)

func TestClasses(t *testing.T) {
	for c := int8(0); c < classes; c++ {
		if got := classOf(classSize(c)); got != c {
			t.Errorf("class of %d bytes is %d, want %d", classSize(c), got, c)
		}
	}
	for n := 0; n <= MaxClass; n++ {
		c := classOf(n)
		if c < 0 || int(c) >= classes {
			t.Fatalf("%d bytes: class %d", n, c)
		}
		if classSize(c) < n || c > 0 && classSize(c-1) >= n {
			t.Fatalf("%d bytes: class %d of %d bytes is not the smallest", n, c, classSize(c))
		}
	}
	if classOf(MaxClass+1) != plain || Cap(MaxClass+1) != MaxClass+1 || Cap(MaxClass-1) != MaxClass || Cap(65) != 96 {
		t.Error("large sizes")
	}
}

func TestLifecycle(t *testing.T) {
	for _, n := range []int{0, 1, 64, 65, 4096, 65536, MaxClass, MaxClass + 1, 3 << 20} {
		f := Get(n)
		if len(f.B) != n || cap(f.B) != Cap(n) || f.Shared() {
			t.Fatalf("Get(%d): len %d cap %d shared %v", n, len(f.B), cap(f.B), f.Shared())
		}
		f.Retain()
		if !f.Shared() {
			t.Fatal("two references are not shared")
		}
		f.Release()
		if f.Shared() {
			t.Fatal("one reference is shared")
		}
		f.B = f.B[n/2:] // the pool must get the whole buffer back nevertheless
		f.Release()
	}
	for range 1000 {
		f := Get(4096)
		if cap(f.B) != 4096 {
			t.Fatalf("capacity %d after reslicing", cap(f.B))
		}
		f.Release()
	}
}

func mustPanic(t *testing.T, what string, fn func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s did not panic", what)
		}
	}()
	fn()
}

func TestMisuse(t *testing.T) {
	f := Get(MaxClass + 1) // plain: nobody else can get it between the two calls
	f.Release()
	mustPanic(t, "double release", f.Release)
	f.refs.Store(0) // what the panic left behind would fail other tests in the quarantine
	mustPanic(t, "retain of a free frame", f.Retain)
	f.refs.Store(0)
}

func TestConcurrentReferences(t *testing.T) {
	const goroutines, rounds = 8, 2000
	var wg sync.WaitGroup
	for g := range goroutines {
		f := Get(1024)
		for i := range f.B {
			f.B[i] = byte(g)
		}
		for range 3 {
			f.Retain()
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := range rounds {
					f.Retain()
					if f.B[i%1024] != byte(g) {
						t.Errorf("frame %d was reused while referenced", g)
					}
					f.Release()
					Get(1024).Release()
				}
				f.Release()
			}()
		}
		f.Release()
	}
	wg.Wait()
}

func TestNoAllocs(t *testing.T) {
	if invariant.On || raceEnabled {
		t.Skip("frames are not reused at once")
	}
	if n := testing.AllocsPerRun(1000, func() {
		f := Get(4000)
		f.Retain()
		f.Release()
		f.Release()
	}); n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
}

func BenchmarkGetRelease(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Get(4096).Release()
	}
}
