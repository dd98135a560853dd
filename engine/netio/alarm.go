package netio

import (
	"time"

	"ramjet/proto/base/clock"
)

// clockAlarm wakes a loop through a configured clock, for pollers that cannot wait for it themselves.
type clockAlarm struct {
	l     *Loop
	timer clock.Timer
	at    int64 // mono nanoseconds, 0 = not set
}

// set makes the loop wake in d nanoseconds; an earlier alarm stays.
func (a *clockAlarm) set(d int64, ok bool) {
	if !ok {
		return
	}
	at := a.l.mono + d
	if a.at > a.l.mono && a.at <= at {
		return
	}
	if a.timer != nil {
		a.timer.Stop()
	}
	a.at = at
	a.timer = a.l.g.afterFunc(time.Duration(d), func() { a.l.post(task{fn: func() {}}, false) })
}
