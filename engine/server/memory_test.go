package server

import "testing"

func TestGCPercent(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{{0, 100}, {gcKnee, 100}, {4 * gcKnee, 50}, {16 * gcKnee, 25}, {1 << 40, 25}} {
		if got := gcPercent(c.live); got != c.want {
			t.Errorf("%d: %d, want %d", c.live, got, c.want)
		}
	}
	last := 101
	for live := uint64(1 << 20); live < 1<<36; live *= 2 {
		p := gcPercent(live)
		if p > last {
			t.Errorf("grows at %d", live)
		}
		last = p
	}
}
