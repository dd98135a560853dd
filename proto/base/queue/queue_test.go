package queue

import (
	"runtime"
	"slices"
	"sync"
	"testing"
)

func TestMPSCBoundAndOrder(t *testing.T) {
	wakes := 0
	q := NewMPSC[int](3, func() { wakes++ })
	for i := range 3 {
		if q.Push(i) != Pushed {
			t.Fatal("push into a free inbox")
		}
	}
	if q.Push(9) != Full || q.Len() != 3 || wakes != 1 {
		t.Errorf("len %d, wakes %d", q.Len(), wakes)
	}
	if q.Force(3) != Pushed || wakes != 1 {
		t.Error("force into a full inbox")
	}
	batch := q.Take(nil)
	if !slices.Equal(batch, []int{0, 1, 2, 3}) || q.Len() != 0 {
		t.Errorf("batch %v", batch)
	}
	q.Push(4)
	if wakes != 2 {
		t.Errorf("%d wakes after a take, want 2", wakes)
	}
	second := q.Take(batch)
	if !slices.Equal(second, []int{4}) {
		t.Errorf("batch %v", second)
	}
	if !slices.Equal(batch, []int{0, 0, 0, 0}) {
		t.Errorf("spent batch %v still references its items", batch)
	}
	if len(q.Take(second)) != 0 {
		t.Error("take from an empty inbox")
	}
	q.Push(5)
	q.Close()
	q.Close()
	if q.Push(6) != Closed || q.Force(6) != Closed || q.PushWait(6) != Closed {
		t.Error("push after close")
	}
	if got := q.Take(nil); !slices.Equal(got, []int{5}) {
		t.Errorf("after close %v", got)
	}
}

func TestMPSCShrinks(t *testing.T) {
	q := NewMPSC[int](1<<20, nil)
	for i := range 100000 {
		q.Push(i)
	}
	big := q.Take(nil)
	q.Push(1)
	small := q.Take(big) // a full batch: kept
	q.Push(2)
	q.Take(small)
	q.Push(3) // into the memory of big
	spent := q.Take(nil)
	q.Take(spent)
	if c := cap(q.items); c > maxIdleCap {
		t.Errorf("keeps %d items of memory", c)
	}
}

func TestMPSCWait(t *testing.T) {
	const producers, each = 8, 500
	wake := make(chan struct{}, 1)
	q := NewMPSC[[2]int](4, func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	for p := range producers {
		go func() {
			for i := range each {
				if q.PushWait([2]int{p, i}) != Pushed {
					t.Error("refused")
				}
			}
		}()
	}
	next := [producers]int{}
	var batch [][2]int
	for total := 0; total < producers*each; {
		<-wake
		batch = q.Take(batch)
		if len(batch) > 4 {
			t.Fatalf("batch of %d over the bound", len(batch))
		}
		for _, v := range batch {
			if next[v[0]] != v[1] {
				t.Fatalf("producer %d: item %d, want %d", v[0], v[1], next[v[0]])
			}
			next[v[0]]++
			total++
		}
	}
}

func TestMPSCCloseReleasesWaiters(t *testing.T) {
	q := NewMPSC[int](1, nil)
	q.Push(0)
	var wg sync.WaitGroup
	results := make([]Result, 4)
	for i := range results {
		wg.Add(1)
		go func() {
			defer wg.Done()
			results[i] = q.PushWait(i)
		}()
	}
	for waiting := 0; waiting < len(results); runtime.Gosched() {
		q.mu.Lock()
		waiting = q.waits
		q.mu.Unlock()
	}
	q.Close()
	wg.Wait()
	for _, r := range results {
		if r != Closed {
			t.Errorf("result %d", r)
		}
	}
}

func TestMPSCNoAllocs(t *testing.T) {
	q := NewMPSC[*int](64, nil)
	v := new(int)
	var a, b []*int
	cycle := func() {
		for range 32 {
			q.Push(v)
		}
		a, b = b, q.Take(a)
	}
	for range 4 {
		cycle()
	}
	if n := testing.AllocsPerRun(100, cycle); n != 0 {
		t.Errorf("%v allocations per batch", n)
	}
}

func TestSPSC(t *testing.T) {
	q := NewSPSC[int](5)
	if q.Cap() != 8 || NewSPSC[int](1).Cap() != 1 || NewSPSC[int](8).Cap() != 8 {
		t.Errorf("capacity %d", q.Cap())
	}
	next, want := 0, 0
	for round := range 50 {
		for range round % 11 {
			if q.Push(next) {
				next++
			} else if q.Len() != q.Cap() {
				t.Fatalf("refused with %d items", q.Len())
			}
		}
		for range round % 3 {
			if v, ok := q.Pop(); ok {
				if v != want {
					t.Fatalf("got %d, want %d", v, want)
				}
				want++
			}
		}
		var dst [4]int
		for _, v := range dst[:q.PopBatch(dst[:round%5])] {
			if v != want {
				t.Fatalf("batch: got %d, want %d", v, want)
			}
			want++
		}
		if q.Len() != next-want {
			t.Fatalf("len %d, want %d", q.Len(), next-want)
		}
	}
	if next < 60 {
		t.Fatalf("only %d pushed", next)
	}
}

func TestSPSCConcurrent(t *testing.T) {
	const total = 200000
	q := NewSPSC[int](64)
	go func() {
		for i := 0; i < total; {
			if q.Push(i) {
				i++
			} else {
				runtime.Gosched()
			}
		}
	}()
	var dst [16]int
	for want := 0; want < total; {
		got := dst[:0]
		if want%2 == 0 {
			got = dst[:q.PopBatch(dst[:])]
		} else if v, ok := q.Pop(); ok {
			got = append(got, v)
		}
		if len(got) == 0 {
			runtime.Gosched()
		}
		for _, v := range got {
			if v != want {
				t.Fatalf("got %d, want %d", v, want)
			}
			want++
		}
	}
}

func BenchmarkMPSC(b *testing.B) {
	q := NewMPSC[int](1024, nil)
	var batch []int
	i := 0
	for b.Loop() {
		q.Push(i)
		if i++; i%64 == 0 {
			batch = q.Take(batch)
		}
	}
}

func BenchmarkSPSC(b *testing.B) {
	q := NewSPSC[int](1024)
	for b.Loop() {
		q.Push(1)
		q.Pop()
	}
}
