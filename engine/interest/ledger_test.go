package interest

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"ramjet/engine"
)

// originSink is a connection whose interest comes from an origin.
type originSink struct {
	fakeSink
	origin string
}

func byOrigin(s *Sub) (string, bool) {
	o, ok := s.Sink().(*originSink)
	if !ok || o.kind == engine.Router {
		return "", false
	}
	return o.origin, true
}

// tracker is a follower that checks that every change is one, and keeps what was announced.
type tracker struct {
	t  *testing.T
	mu sync.Mutex
	by map[Change]int32 // key: the change without its weight
	n  int
}

func newTracker(t *testing.T) *tracker { return &tracker{t: t, by: make(map[Change]int32)} }

func (k *tracker) tell(c Change) {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := c.Weight
	c.Weight = 0
	if w < 0 || k.by[c] == w {
		k.t.Errorf("told %+v with weight %d, which is known", c, w)
	}
	k.n++
	if w == 0 {
		delete(k.by, c)
	} else {
		k.by[c] = w
	}
}

// expect is the interest of subs that a follower should have been told.
func expect(subs []*Sub, byEach bool, skip func(string) bool) map[Change]int32 {
	want := make(map[Change]int32)
	for _, s := range subs {
		o, ok := byOrigin(s)
		if !ok || s.Closed() || skip != nil && skip(o) {
			continue
		}
		c := Change{Subject: s.Subject(), Queue: s.Queue()}
		if byEach {
			c.Origin = o
		}
		if s.HasQueue() {
			want[c] += s.Weight()
		} else {
			want[c] = 1
		}
	}
	return want
}

func same(a, b map[Change]int32) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

// TestLedgerConcurrent changes subscriptions on several goroutines, each inserted on one and maybe
// removed on another, while ledgers and followers come and go: everybody ends with the truth and has
// heard of no change that was none.
func TestLedgerConcurrent(t *testing.T) {
	r := seeded(t)
	sinks := []Sink{
		&originSink{fakeSink{engine.Client, 1}, ""}, &originSink{fakeSink{engine.Client, 2}, ""},
		&originSink{fakeSink{engine.Leaf, 3}, "A"}, &originSink{fakeSink{engine.Leaf, 4}, "B"},
		&originSink{fakeSink{engine.Router, 5}, ""}, &fakeSink{engine.System, 6},
	}
	skipA := func(o string) bool { return o == "A" }
	for range 20 {
		x := NewIndex()
		var all []*Sub
		for i := range 400 {
			q := ""
			if r.IntN(3) == 0 {
				q = fmt.Sprint("q", r.IntN(2))
			}
			all = append(all, NewSub(fmt.Append(nil, "s.", r.IntN(6)), []byte(q), fmt.Append(nil, i), 1+int32(r.IntN(3)), sinks[r.IntN(len(sinks))]))
		}
		removed := make([]bool, len(all))
		for i := range removed {
			removed[i] = r.IntN(2) == 0
		}
		sum, each, late := newTracker(t), newTracker(t), newTracker(t)
		l, err := NewLedger(x, byOrigin)
		if err != nil {
			t.Fatal(err)
		}
		l.Follow(Follower{Tell: sum.tell, Skip: skipA})
		l.Follow(Follower{Tell: each.tell, ByOrigin: true})
		var wg sync.WaitGroup
		start := make(chan struct{})
		in := make([]chan struct{}, len(all))
		for i := range in {
			in[i] = make(chan struct{})
		}
		for g := range 4 {
			wg.Go(func() {
				<-start
				for i := g; i < len(all); i += 4 {
					if err := x.Insert(all[i]); err != nil {
						t.Error(err)
					}
					close(in[i])
				}
			})
			wg.Go(func() {
				<-start
				for i := g; i < len(all); i += 4 {
					if removed[i] {
						for !all[i].inserted() { // before or after Insert has returned
							runtime.Gosched()
						}
						for !x.Remove(all[i]) {
							runtime.Gosched()
						}
					}
				}
			})
		}
		var other *Ledger
		wg.Go(func() {
			<-start
			for range 5 {
				o, err := NewLedger(x, byOrigin)
				if err != nil {
					t.Error(err)
					return
				}
				stop := o.Follow(Follower{Tell: newTracker(t).tell})
				stop()
				o.Close()
			}
			other, _ = NewLedger(x, byOrigin)
			other.Follow(Follower{Tell: late.tell, ByOrigin: true})
		})
		close(start)
		wg.Wait()
		for i := range in {
			<-in[i]
		}
		var left []*Sub
		for i, s := range all {
			if !removed[i] {
				left = append(left, s)
			}
		}
		if want := expect(left, false, skipA); !same(sum.by, want) {
			t.Fatalf("sum: got %v\nwant %v", sum.by, want)
		}
		want := expect(left, true, nil)
		if !same(each.by, want) || !same(late.by, want) {
			t.Fatalf("by origin: got %v\nlate %v\nwant %v", each.by, late.by, want)
		}
		got := make(map[Change]int32)
		l.Range(func(c Change) bool {
			w := c.Weight
			c.Weight = 0
			got[c] = w
			return true
		})
		if !same(got, want) {
			t.Fatalf("Range: got %v\nwant %v", got, want)
		}
		for _, s := range left {
			x.Remove(s)
		}
		if n := l.Len(); n != 0 || len(sum.by)+len(each.by)+len(late.by) != 0 {
			t.Fatalf("%d keys left, announced %v %v %v", n, sum.by, each.by, late.by)
		}
	}
}

// TestLedgerReplace: another weight of a queue group is one change, and a stopped follower hears of none.
func TestLedgerReplace(t *testing.T) {
	x := NewIndex()
	l, _ := NewLedger(x, byOrigin)
	k := newTracker(t)
	stop := l.Follow(Follower{Tell: k.tell})
	sink := &originSink{fakeSink{engine.Leaf, 1}, "A"}
	mk := func(w int32) *Sub { return NewSub([]byte("a"), []byte("q"), []byte("1"), w, sink) }
	s := mk(3)
	_ = x.Insert(s)
	for _, w := range []int32{4, 4, 1} {
		next := mk(w)
		if err := x.Replace(s, next); err != nil {
			t.Fatal(err)
		}
		if s = next; k.by[Change{Subject: "a", Queue: "q"}] != w {
			t.Fatalf("announced %v, want weight %d", k.by, w)
		}
	}
	if k.n != 3 { // 3, 4, 1: the replacement by the same weight is none
		t.Fatalf("%d changes, want 3", k.n)
	}
	release := l.Hold("a", "")
	if k.by[Change{Subject: "a"}] != 1 {
		t.Fatalf("held interest is not announced: %v", k.by)
	}
	release()
	stop()
	x.Remove(s)
	if k.n != 5 {
		t.Fatalf("%d changes, want 5", k.n)
	}
	var m Result
	x.Match([]byte("a"), &m)
	if !m.Empty() {
		t.Fatal("a replaced subscription is still there")
	}
}

// TestLedgerLimit: an index has a bounded number of ledgers, and closed ones make room.
func TestLedgerLimit(t *testing.T) {
	x := NewIndex()
	s := sub("a", "", "1", &originSink{fakeSink{engine.Client, 1}, ""})
	_ = x.Insert(s)
	var all []*Ledger
	for range maxLedgers {
		l, err := NewLedger(x, byOrigin)
		if err != nil || l.Len() != 1 {
			t.Fatal(err, l.Len())
		}
		all = append(all, l)
	}
	if _, err := NewLedger(x, byOrigin); err != ErrLedgers {
		t.Fatal(err)
	}
	all[2].Close()
	l, err := NewLedger(x, byOrigin)
	if err != nil || l.Len() != 1 {
		t.Fatal("the bit of a closed ledger is not clean", err)
	}
	for range 3 {
		s.Take()
	}
	x.Remove(s)
	if s.Delivered() != 3 || l.Len() != 0 || all[0].Len() != 0 {
		t.Fatalf("delivered %d, left %d %d", s.Delivered(), l.Len(), all[0].Len())
	}
}

func BenchmarkLedger(b *testing.B) {
	x := NewIndex()
	l, _ := NewLedger(x, byOrigin)
	told := 0
	l.Follow(Follower{Tell: func(Change) { told++ }})
	r := rand.New(rand.NewPCG(1, 2))
	sink := &originSink{fakeSink{engine.Client, 1}, ""}
	b.ReportAllocs()
	for i := range b.N {
		s := NewSub(fmt.Append(nil, "orders.", r.IntN(100)), nil, fmt.Append(nil, i), 1, sink)
		_ = x.Insert(s)
		x.Remove(s)
	}
}
