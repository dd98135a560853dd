package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress is a bar on a terminal.
type progress struct {
	w     io.Writer
	total int64
	start time.Time
	done  int64
	drawn time.Time
	width int // of the line on the screen
}

const (
	barWidth  = 40
	drawEvery = 100 * time.Millisecond
)

// add counts n bytes more.
func (p *progress) add(n int64) {
	p.done += n
	now := time.Now()
	if p.total <= 0 || now.Sub(p.drawn) < drawEvery {
		return
	}
	p.drawn = now
	p.draw(now.Sub(p.start))
}

// draw shows how far it is after the time taken.
func (p *progress) draw(taken time.Duration) {
	part := min(float64(p.done)/float64(p.total), 1)
	full := int(part * barWidth)
	rate := int64(0)
	if s := taken.Seconds(); s > 0 {
		rate = int64(float64(p.done) / s)
	}
	line := fmt.Sprintf("[%s%s] %3.0f %%  %s/s", strings.Repeat("#", full), strings.Repeat(" ", barWidth-full), part*100, inBytes(rate))
	pad := max(p.width-len(line), 0)
	p.width = len(line)
	fmt.Fprint(p.w, "\r", line, strings.Repeat(" ", pad))
}

// clear takes the bar away.
func (p *progress) clear() {
	if p.width > 0 {
		fmt.Fprint(p.w, "\r", strings.Repeat(" ", p.width), "\r")
	}
}
