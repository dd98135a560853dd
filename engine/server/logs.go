package server

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/proto/base/clock"
)

// Bytes of queued log text above which lines are dropped and counted. Debug and trace lines go first:
// they are the flood. The others have so much room that only a log device that hangs fills it.
const (
	logSoftLimit = 4 << 20
	logHardLimit = 32 << 20
	lineOverhead = 96 // bytes a queued line costs besides its text
	repeatWindow = time.Second
	repeatMax    = 1024 // different warnings remembered
)

// Log is the server's logger: Logf formats on the caller's goroutine and queues; one goroutine writes, in
// order. It implements engine.Logger. Safe for any goroutine.
type Log struct {
	clk     clock.Clock
	enabled atomic.Uint32 // bit per engine.Level

	mu      sync.Mutex
	queue   []logItem
	bytes   int
	dropped int64 // lines since the last report
	closed  bool
	repeats map[string]*repeat
	wake    chan struct{} // capacity 1

	sink logSink // owner: the writer goroutine
	done chan struct{}
}

// logItem is a line, or a task for the writer when do is set.
type logItem struct {
	level engine.Level
	when  time.Time
	id    string
	text  string
	do    func()
}

// repeat is a warning seen within the last second.
type repeat struct {
	until time.Time
	count int // suppressed
}

// logSink is where lines end; all methods run on the writer goroutine.
type logSink interface {
	write(lines []logItem)
	// reopen opens the file again by its name; ok is false where that means nothing.
	reopen() (ok bool, err error)
	close()
}

// NewLog returns a logger for o. An error means that the log file or syslog cannot be opened.
func NewLog(o *config.LogOptions, clk clock.Clock) (*Log, error) {
	sink, err := newSink(o, clk)
	if err != nil {
		return nil, err
	}
	l := &Log{clk: clk, sink: sink, wake: make(chan struct{}, 1), done: make(chan struct{}), repeats: map[string]*repeat{}}
	l.setLevels(o)
	go l.run()
	return l, nil
}

func (l *Log) setLevels(o *config.LogOptions) {
	bits := uint32(1<<engine.Info | 1<<engine.Warn | 1<<engine.Error | 1<<engine.Fatal)
	if o.Debug {
		bits |= 1 << engine.Debug
	}
	if o.Trace {
		bits |= 1 << engine.Trace
	}
	l.enabled.Store(bits)
}

// Enabled reports whether lines of level lv are wanted.
func (l *Log) Enabled(lv engine.Level) bool { return l.enabled.Load()&(1<<lv) != 0 }

// Logf queues one line; see engine.Logger. Identical warnings are written at most once a second.
func (l *Log) Logf(lv engine.Level, id, format string, args ...any) {
	if !l.Enabled(lv) {
		return
	}
	l.put(logItem{level: lv, when: l.clk.Now(), id: id, text: fmt.Sprintf(format, args...)})
}

func (l *Log) put(it logItem) {
	cost := len(it.text) + lineOverhead
	l.mu.Lock()
	switch {
	case l.closed:
		l.mu.Unlock()
		if it.do != nil {
			it.do()
		}
		return
	case it.do != nil:
	case it.level == engine.Warn && l.repeated(&it):
		l.mu.Unlock()
		return
	case l.bytes+cost > logHardLimit, l.bytes+cost > logSoftLimit && it.level >= engine.Debug:
		l.dropped++
		l.mu.Unlock()
		return
	}
	l.queue = append(l.queue, it)
	l.bytes += cost
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// repeated reports whether the warning was already written within the last second. Under l.mu.
func (l *Log) repeated(it *logItem) bool {
	r := l.repeats[it.text]
	if r != nil && it.when.Before(r.until) {
		r.count++
		return true
	}
	if r == nil {
		if len(l.repeats) >= repeatMax {
			for k, old := range l.repeats {
				if !it.when.Before(old.until) {
					delete(l.repeats, k)
				}
			}
			if len(l.repeats) >= repeatMax {
				return false // a storm of different warnings: let them pass, the queue bounds them
			}
		}
		r = &repeat{}
		l.repeats[it.text] = r
	}
	if r.count > 0 {
		it.text += fmt.Sprintf(" (repeated %d times)", r.count)
		r.count = 0
	}
	r.until = it.when.Add(repeatWindow)
	return false
}

// run is the writer goroutine.
func (l *Log) run() {
	defer close(l.done)
	var batch []logItem
	for {
		l.mu.Lock()
		batch, l.queue = l.queue, batch[:0]
		l.bytes = 0
		dropped := l.dropped
		l.dropped = 0
		closed := l.closed
		l.mu.Unlock()
		if len(batch) == 0 {
			if closed {
				l.sink.close()
				return
			}
			<-l.wake
			continue
		}
		l.writeBatch(batch)
		if dropped > 0 {
			l.sink.write([]logItem{{level: engine.Warn, when: l.clk.Now(), id: "RJ-S001",
				text: fmt.Sprintf("%d log lines dropped: the log is written more slowly than it grows", dropped)}})
		}
		clear(batch)
	}
}

// writeBatch writes runs of lines and does the tasks between them.
func (l *Log) writeBatch(batch []logItem) {
	from := 0
	for i := range batch {
		if batch[i].do == nil {
			continue
		}
		if i > from {
			l.sink.write(batch[from:i])
		}
		batch[i].do()
		from = i + 1
	}
	if from < len(batch) {
		l.sink.write(batch[from:])
	}
}

// Flush returns when everything queued before was written, or after timeout.
func (l *Log) Flush(timeout time.Duration) {
	done := make(chan struct{})
	expired := make(chan struct{})
	t := l.clk.AfterFunc(timeout, func() { close(expired) })
	defer t.Stop()
	l.put(logItem{do: func() { close(done) }})
	select {
	case <-done:
	case <-expired:
	}
}

// Reopen opens the log file again by its name (after an external rotation).
func (l *Log) Reopen() {
	l.put(logItem{do: func() {
		ok, err := l.sink.reopen()
		it := logItem{level: engine.Info, when: l.clk.Now(), text: "File log re-opened"}
		switch {
		case err != nil:
			it.level, it.id, it.text = engine.Error, "RJ-S002", "File log re-open failed: "+err.Error()
		case !ok:
			it.text = "File log re-open ignored, not a file logger"
		}
		l.sink.write([]logItem{it})
	}})
}

// reconfigure opens what next asks for where that differs from cur; commit makes it current, after the
// lines queued before. On error nothing changed.
func (l *Log) reconfigure(cur, next *config.LogOptions) (commit func(), err error) {
	was, is := *cur, *next
	for _, o := range []*config.LogOptions{&was, &is} { // the writer does not know levels
		o.Debug, o.Trace, o.TraceVerbose, o.TraceHeaders = false, false, false, false
	}
	if was == is {
		return func() { l.setLevels(next) }, nil
	}
	sink, err := newSink(next, l.clk)
	if err != nil {
		return nil, err
	}
	return func() {
		l.setLevels(next)
		l.put(logItem{do: func() {
			l.sink.close()
			l.sink = sink
		}})
	}, nil
}

// Close writes what is queued and ends the writer; later lines are lost. It waits at most timeout.
func (l *Log) Close(timeout time.Duration) {
	l.Flush(timeout)
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}
