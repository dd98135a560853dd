package host

import (
	"testing"
	"time"
)

func TestScrubPause(t *testing.T) {
	for _, c := range []struct {
		size, total int64
		want        time.Duration
	}{
		{0, 1 << 40, scrubMax},                       // nothing there
		{16 << 20, 16 << 20, scrubMax},               // a small volume is done sooner
		{16 << 20, 1 << 40, scrubWeek / (1 << 16)},   // a week for all
		{16 << 20, 1 << 50, 1600 * time.Millisecond}, // too large for a week: the disk comes first
		{1 << 10, 1 << 50, scrubMin},
	} {
		if got := scrubPause(c.size, c.total); got.Round(time.Millisecond) != c.want.Round(time.Millisecond) {
			t.Errorf("segment %d of %d: %v, want %v", c.size, c.total, got, c.want)
		}
	}
}
