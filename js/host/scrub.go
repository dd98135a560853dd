package host

import (
	"time"
)

// The pace of the scrubber: the whole volume in a week, at least a segment in scrubMax, at most scrubRate bytes a second, so that a
// disk of 200 MB/s is busy with it for a twentieth of the time.
const (
	scrubWeek = 7 * 24 * time.Hour
	scrubRate = 10 << 20
	scrubMin  = time.Second
	scrubMax  = 10 * time.Minute
)

// scrubber verifies cold segments of all streams, one after the other. Its steps are timers; nothing runs between them.
type scrubber struct {
	h    *Host
	todo []*Stream // of this round
}

// startScrub begins the rounds; they end when the host is closed.
func (h *Host) startScrub() {
	x := &scrubber{h: h}
	x.later(scrubMax)
}

func (x *scrubber) later(d time.Duration) {
	x.h.env.Clock.AfterFunc(d, func() {
		if !x.h.closed.Load() {
			x.h.env.Go(x.step)
		}
	})
}

// step verifies one segment and sets the time of the next.
func (x *scrubber) step() {
	if len(x.todo) == 0 {
		for _, a := range x.h.all() {
			for _, s := range a.list() {
				if s.store != nil {
					x.todo = append(x.todo, s)
				}
			}
		}
	}
	var size int64
	for size == 0 && len(x.todo) > 0 {
		s := x.todo[0]
		if !s.sh.call(func() {
			if !s.gone && s.broken == nil {
				size = s.store.Scrub(func(int) {})
			}
		}) {
			return
		}
		if size == 0 { // through with this one
			x.todo = x.todo[1:]
		}
	}
	x.later(scrubPause(size, x.h.Usage().Store))
}

// scrubPause is the time after a segment of size bytes on a volume of total bytes.
func scrubPause(size, total int64) time.Duration {
	if size == 0 {
		return scrubMax
	}
	share := time.Duration(float64(scrubWeek) * float64(size) / float64(max(total, size)))
	least := max(scrubMin, time.Duration(float64(time.Second)*float64(size)/scrubRate))
	return max(min(share, scrubMax), least)
}
