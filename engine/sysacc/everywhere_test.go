package sysacc

import (
	"testing"
	"time"

	"ramjet/proto/base/clock"
)

// TestSums: a sum ends with the last number or after its time, once, and only so many wait.
func TestSums(t *testing.T) {
	var x sums
	c := clock.NewManual(time.Unix(1000, 0))
	var got []int
	open := func(here, missing int) string {
		return x.add(c, &sum{total: here, missing: missing, done: func(n int) { got = append(got, n) }})
	}
	all, late := open(1, 2), open(10, 2)
	x.take(all, 2)
	x.take(late, 5)
	x.take("nobody", 9)
	if len(got) != 0 {
		t.Errorf("%v before the last number", got)
	}
	x.take(all, 3)
	x.take(all, 4)
	c.Advance(sumWait)
	x.take(late, 5)
	c.Advance(sumWait)
	if len(got) != 2 || got[0] != 6 || got[1] != 15 || len(x.open) != 0 {
		t.Errorf("%v, %d wait", got, len(x.open))
	}
	for range maxSums {
		open(0, 1)
	}
	if id := open(0, 1); id != "" {
		t.Errorf("one too many is %q", id)
	}
}
