package wheel

import (
	"slices"
	"testing"
	"time"

	"ramjet/proto/base/rng"
)

const ms = int64(time.Millisecond)

func TestFiresInTime(t *testing.T) {
	// Delays around every level boundary, from starts around every level boundary.
	var delays []int64
	for shift := uint(0); shift <= spanBits+1; shift++ {
		for d := int64(-2); d <= 2; d++ {
			delays = append(delays, max(1, int64(1)<<shift+d))
		}
	}
	for _, start := range []int64{0, 1, 63, 64, 4095, 1 << 20, 1<<30 - 1, 1<<spanBits - 1, 1<<spanBits - 100, 1_790_000_000_000} {
		for _, d := range delays {
			w := New(time.Millisecond, start*ms)
			tm := &Timer{}
			w.Arm(tm, (start+d)*ms-ms/2) // rounded up to the tick
			fired := 0
			fire := func(*Timer) { fired++ }
			// Walk by Next, as a loop would, up to just before the deadline.
			for steps := 0; ; steps++ {
				at, ok := w.Next()
				if !ok {
					t.Fatalf("start %d delay %d: lost", start, d)
				}
				if at >= (start+d)*ms {
					break
				}
				if w.Advance(at, fire); steps > levels+1 {
					t.Fatalf("start %d delay %d: %d steps", start, d, steps)
				}
			}
			w.Advance((start+d)*ms-1, fire)
			if fired != 0 || !tm.Armed() {
				t.Fatalf("start %d delay %d: early", start, d)
			}
			if w.Advance((start+d)*ms, fire); fired != 1 || tm.Armed() || w.Len() != 0 {
				t.Fatalf("start %d delay %d: fired %d times", start, d, fired)
			}
		}
	}
}

// TestAgainstModel arms, cancels and advances at random and compares with a sorted list.
func TestAgainstModel(t *testing.T) {
	seed := uint64(20260101)
	t.Logf("seed %d", seed)
	r := rng.New(seed)
	type entry struct {
		at, order int64
		id        int
	}
	for round := range 30 {
		now := int64(r.Uint64() >> 24)
		w := New(time.Millisecond, now*ms)
		timers := make([]Timer, 200)
		var model []entry
		for i := range timers {
			timers[i].Owner = i
		}
		remove := func(id int) {
			model = slices.DeleteFunc(model, func(e entry) bool { return e.id == id })
		}
		for step := range int64(2000) {
			id := r.Intn(len(timers))
			switch r.Intn(4) {
			case 0, 1:
				at := now + int64(r.Uint64()>>(64-1-uint(r.Intn(40)))) - 3
				w.Arm(&timers[id], at*ms)
				remove(id)
				model = append(model, entry{max(at, now+1), step, id})
			case 2:
				armed := slices.ContainsFunc(model, func(e entry) bool { return e.id == id })
				if w.Cancel(&timers[id]) != armed {
					t.Fatalf("round %d: cancel", round)
				}
				remove(id)
			case 3:
				now += int64(r.Uint64() >> (64 - 1 - uint(r.Intn(38))))
				slices.SortFunc(model, func(a, b entry) int {
					if a.at != b.at {
						return int(min(max(a.at-b.at, -1), 1))
					}
					return int(a.order - b.order)
				})
				var want, got []int
				for len(model) > 0 && model[0].at <= now {
					want = append(want, model[0].id)
					model = model[1:]
				}
				n := w.Advance(now*ms, func(tm *Timer) { got = append(got, tm.Owner.(int)) })
				if !slices.Equal(got, want) || n != len(want) {
					t.Fatalf("round %d step %d: fired %v, want %v", round, step, got, want)
				}
			}
			if w.Len() != len(model) {
				t.Fatalf("round %d: %d armed, want %d", round, w.Len(), len(model))
			}
			if at, ok := w.Next(); ok != (len(model) > 0) || ok && slices.ContainsFunc(model, func(e entry) bool { return e.at*ms < at }) {
				t.Fatalf("round %d: next %d %v after a deadline", round, at, ok)
			}
		}
	}
}

func TestCallbacks(t *testing.T) {
	w := New(time.Millisecond, 0)
	var a, b, c Timer
	a.ID, b.ID, c.ID = 1, 2, 3
	var log []uint8
	w.Arm(&a, 5*ms)
	w.Arm(&b, 5*ms)
	w.Arm(&c, 6*ms)
	w.Advance(10*ms, func(tm *Timer) {
		log = append(log, tm.ID)
		if len(log) == 1 {
			w.Cancel(&b)      // due in the same tick, not fired yet
			w.Arm(&a, 0)      // not before the next tick
			w.Arm(&c, 100*ms) // moved away
		}
		if len(log) == 2 {
			w.Arm(&b, 10*ms)
		}
	})
	if want := []uint8{1, 1, 2}; !slices.Equal(log, want) || w.Len() != 1 || !c.Armed() {
		t.Errorf("fired %v, want %v", log, want)
	}
}

func TestBackwards(t *testing.T) {
	w := New(time.Millisecond, 100*ms)
	var a Timer
	w.Arm(&a, 105*ms)
	fire := func(*Timer) {}
	if w.Advance(50*ms, fire) != 0 || w.Advance(104*ms, fire) != 0 || w.Advance(105*ms, fire) != 1 {
		t.Error("a clock going back must not matter")
	}
}

func TestNoAllocs(t *testing.T) {
	w := New(time.Millisecond, 0)
	var timers [16]Timer
	now := int64(0)
	fire := func(*Timer) {}
	if n := testing.AllocsPerRun(1000, func() {
		for i := range timers {
			w.Arm(&timers[i], now+int64(i*i*i)*ms)
		}
		w.Cancel(&timers[3])
		now += 700 * ms
		w.Advance(now, fire)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkArmCancel(b *testing.B) {
	w := New(time.Millisecond, 0)
	timers := make([]Timer, 10000)
	for i := range timers {
		w.Arm(&timers[i], int64(i)*13*ms)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		w.Arm(&timers[i], int64(i)*17*ms)
		if i++; i == len(timers) {
			i = 0
		}
	}
}

func BenchmarkAdvance(b *testing.B) {
	w := New(time.Millisecond, 0)
	timers := make([]Timer, 10000)
	for i := range timers {
		w.Arm(&timers[i], int64(i)*12*ms)
	}
	now := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		now += ms
		w.Advance(now, func(t *Timer) { w.Arm(t, now+120000*ms) })
	}
}
