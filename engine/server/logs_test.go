package server

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/proto/base/clock"
)

// fakeClock is a clock whose time stands still until it is moved; its timers are real.
type fakeClock struct {
	clock.Clock
	mu  sync.Mutex
	now time.Time
}

func newFakeClock() *fakeClock {
	return &fakeClock{Clock: clock.System(), now: time.Date(2026, 11, 22, 23, 42, 23, 924952000, time.UTC)}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.mu.Unlock()
}

func fileLog(t *testing.T, o config.LogOptions) (*Log, *fakeClock, func() string) {
	t.Helper()
	o.File = filepath.Join(t.TempDir(), "ramjet.log")
	clk := newFakeClock()
	l, err := NewLog(&o, clk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(5 * time.Second) })
	return l, clk, func() string {
		l.Flush(10 * time.Second)
		b, err := os.ReadFile(o.File)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
}

func TestLogText(t *testing.T) {
	l, _, read := fileLog(t, config.LogOptions{Time: true, TimeUTC: true, Debug: true, Trace: true})
	for lv, label := range levelLabels {
		l.Logf(engine.Level(lv), "RJ-X000", "a %s line", label)
	}
	var want strings.Builder
	for _, label := range levelLabels {
		fmt.Fprintf(&want, "[%d] 2026/11/22 23:42:23.924952 [%s] a %s line\n", os.Getpid(), label, label)
	}
	if got := read(); got != want.String() {
		t.Errorf("got\n%swant\n%s", got, want.String())
	}
}

func TestLogTextWithoutTime(t *testing.T) {
	l, _, read := fileLog(t, config.LogOptions{})
	l.Logf(engine.Debug, "", "not enabled")
	l.Logf(engine.Info, "", "100%% plain")
	if got, want := read(), fmt.Sprintf("[%d] [INF] 100%% plain\n", os.Getpid()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLogColor(t *testing.T) {
	f := newLogFormat(&config.LogOptions{}, true)
	got := string(f.append(nil, &logItem{level: engine.Warn, text: "x"}))
	if want := fmt.Sprintf("[%d] [\x1b[0;93mWRN\x1b[0m] x\n", os.Getpid()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLogJSON(t *testing.T) {
	l, _, read := fileLog(t, config.LogOptions{Format: "json", TimeUTC: true})
	text := "quote \" <tag> line\nbreak \x00 \xff"
	l.Logf(engine.Error, "RJ-X001", "%s", text)
	l.Logf(engine.Info, "", "plain")
	lines := strings.Split(strings.TrimSuffix(read(), "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("want 2 lines, got %q", lines)
	}
	var v map[string]string
	if err := json.Unmarshal([]byte(lines[0]), &v); err != nil {
		t.Fatal(err)
	}
	if v["level"] != "error" || v["id"] != "RJ-X001" || v["time"] != "2026-11-22T23:42:23.924952Z" || v["msg"] != strings.ToValidUTF8(text, "\ufffd") {
		t.Errorf("got %v", v)
	}
	if want := `{"time":"2026-11-22T23:42:23.924952Z","level":"info","msg":"plain"}`; lines[1] != want {
		t.Errorf("got %s, want %s", lines[1], want)
	}
}

func TestLogKeepsOrderPerGoroutine(t *testing.T) {
	l, _, read := fileLog(t, config.LogOptions{})
	const writers, each = 8, 500
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				l.Logf(engine.Info, "", "w%d %d", w, i)
			}
		})
	}
	wg.Wait()
	var next [writers]int
	for _, line := range strings.Split(strings.TrimSuffix(read(), "\n"), "\n") {
		var w, i int
		if _, err := fmt.Sscanf(line[strings.Index(line, "] w")+2:], "w%d %d", &w, &i); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if next[w] != i {
			t.Fatalf("writer %d: line %d, want %d", w, i, next[w])
		}
		next[w]++
	}
	for w, n := range next {
		if n != each {
			t.Errorf("writer %d: %d lines", w, n)
		}
	}
}

func TestLogRotation(t *testing.T) {
	l, clk, read := fileLog(t, config.LogOptions{SizeLimit: 1000, MaxNum: 3})
	path := l.sink.(*fileSink).path
	for i := range 200 {
		l.Logf(engine.Info, "", "line %03d", i)
		clk.advance(time.Millisecond)
	}
	last := read()
	backups, err := filepath.Glob(path + ".*")
	if err != nil {
		t.Fatal(err)
	}
	if len(backups) != 2 {
		t.Errorf("%d backups, want 2: %q", len(backups), backups)
	}
	stamp := regexp.MustCompile(`\.\d{4}\.\d\d\.\d\d\.\d\d\.\d\d\.\d\d\.\d{9}$`)
	for _, b := range backups {
		st, err := os.Stat(b)
		if err != nil {
			t.Fatal(err)
		}
		if !stamp.MatchString(b) || st.Size() <= 1000 || st.Size() > 1100 {
			t.Errorf("%s: %d bytes", b, st.Size())
		}
		if st.Mode().Perm()&^0o640 != 0 {
			t.Errorf("%s: mode %v", b, st.Mode())
		}
	}
	if !strings.Contains(last, `Rotated log, backup saved as "`+backups[1]+`"`) {
		t.Errorf("no rotation line for %s in %q", backups[1], last)
	}
	newest, err := os.ReadFile(backups[1])
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(newest)+last, "line 199") || !strings.Contains(last, `Purged log file "`) {
		t.Errorf("got %q", last)
	}
}

func TestLogReopen(t *testing.T) {
	l, _, read := fileLog(t, config.LogOptions{})
	path := l.sink.(*fileSink).path
	l.Logf(engine.Info, "", "before")
	l.Flush(10 * time.Second)
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	l.Logf(engine.Info, "", "still the old file")
	l.Reopen()
	l.Logf(engine.Info, "", "after")
	got := read()
	if strings.Contains(got, "before") || !strings.Contains(got, "File log re-opened\n") || !strings.Contains(got, "after") {
		t.Errorf("new file: %q", got)
	}
	old, err := os.ReadFile(path + ".moved")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(old), "still the old file") {
		t.Errorf("old file: %q", old)
	}
}

func TestLogRepeatedWarnings(t *testing.T) {
	l, clk, read := fileLog(t, config.LogOptions{})
	for range 5 {
		l.Logf(engine.Warn, "RJ-X002", "same")
		l.Logf(engine.Error, "RJ-X003", "error")
	}
	l.Logf(engine.Warn, "RJ-X002", "other")
	clk.advance(time.Second)
	l.Logf(engine.Warn, "RJ-X002", "same")
	got := read()
	if n := strings.Count(got, "[WRN] same"); n != 2 {
		t.Errorf("%d times:\n%s", n, got)
	}
	if !strings.Contains(got, "[WRN] same (repeated 4 times)\n") || strings.Count(got, "[ERR] error\n") != 5 || !strings.Contains(got, "other") {
		t.Errorf("got\n%s", got)
	}
}

// stuckSink blocks in write until released.
type stuckSink struct {
	mu      sync.Mutex
	lines   []string
	entered chan struct{}
	release chan struct{}
}

func (s *stuckSink) write(lines []logItem) {
	s.entered <- struct{}{}
	<-s.release
	s.mu.Lock()
	for i := range lines {
		s.lines = append(s.lines, lines[i].text)
	}
	s.mu.Unlock()
}
func (s *stuckSink) reopen() (bool, error) { return false, nil }
func (s *stuckSink) close()                {}

// A log device that hangs must not hold up whoever logs, nor cost unbounded memory: debug and trace lines
// are dropped first, and counted.
func TestLogDropsWhenStuck(t *testing.T) {
	s := &stuckSink{entered: make(chan struct{}, 16), release: make(chan struct{})}
	l := &Log{clk: newFakeClock(), sink: s, wake: make(chan struct{}, 1), done: make(chan struct{}), repeats: map[string]*repeat{}}
	l.setLevels(&config.LogOptions{Debug: true})
	go l.run()
	l.Logf(engine.Info, "", "first")
	<-s.entered
	long := strings.Repeat("x", 64<<10)
	for range 200 { // 13 MB
		l.Logf(engine.Debug, "", "%s", long)
	}
	l.Logf(engine.Info, "", "important")
	l.mu.Lock()
	bytes, dropped := l.bytes, l.dropped
	l.mu.Unlock()
	if bytes > logSoftLimit+1024 || dropped == 0 {
		t.Errorf("%d bytes queued, %d dropped", bytes, dropped)
	}
	for range 1000 { // 65 MB
		l.Logf(engine.Info, "", "%s", long)
	}
	l.mu.Lock()
	bytes, dropped = l.bytes, l.dropped
	l.mu.Unlock()
	if bytes > logHardLimit {
		t.Errorf("%d bytes queued", bytes)
	}
	close(s.release)
	l.Close(10 * time.Second)
	<-l.done
	var important, report bool
	for _, text := range s.lines {
		important = important || text == "important"
		report = report || text == fmt.Sprintf("%d log lines dropped: the log is written more slowly than it grows", dropped)
	}
	if !important || !report {
		t.Errorf("important line %v, report %v", important, report)
	}
}

func TestLogOpenError(t *testing.T) {
	_, err := NewLog(&config.LogOptions{File: filepath.Join(t.TempDir(), "no", "dir", "x.log")}, clock.System())
	if err == nil || !strings.HasPrefix(err.Error(), "error opening file: open ") {
		t.Errorf("got %v", err)
	}
	for _, addr := range []string{"foo://x", "::"} {
		if _, err := NewLog(&config.LogOptions{RemoteSyslog: addr}, clock.System()); err == nil {
			t.Errorf("%s: no error", addr)
		}
	}
}

func TestLogRemoteSyslog(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	l, err := NewLog(&config.LogOptions{RemoteSyslog: "udp://" + pc.LocalAddr().String()}, clock.System())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close(5 * time.Second)
	for _, c := range []struct {
		lv  engine.Level
		pri string // LOG_DEBUG facility 0 (kern) | severity
	}{{engine.Info, "<5>"}, {engine.Warn, "<4>"}, {engine.Error, "<3>"}, {engine.Fatal, "<2>"}} {
		l.Logf(c.lv, "RJ-X004", "hello %d", c.lv)
		buf := make([]byte, 1024)
		if err := pc.SetReadDeadline(clock.System().Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, _, err := pc.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(buf[:n]); !strings.HasPrefix(got, c.pri) || !strings.HasSuffix(got, fmt.Sprintf("hello %d\n", c.lv)) {
			t.Errorf("level %d: %q", c.lv, got)
		}
	}
}

func TestLogReconfigure(t *testing.T) {
	dir := t.TempDir()
	a := config.LogOptions{File: filepath.Join(dir, "a")}
	b := config.LogOptions{File: filepath.Join(dir, "b"), Debug: true}
	l, err := NewLog(&a, newFakeClock())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close(5 * time.Second)
	l.Logf(engine.Info, "", "one")
	bad := config.LogOptions{File: filepath.Join(dir, "no", "dir")}
	if _, err := l.reconfigure(&a, &bad); err == nil {
		t.Error("no error")
	}
	commit, err := l.reconfigure(&a, &b)
	if err != nil {
		t.Fatal(err)
	}
	l.Logf(engine.Debug, "", "not yet")
	commit()
	l.Logf(engine.Debug, "", "two")
	l.Flush(10 * time.Second)
	for name, want := range map[string]string{"a": "one", "b": "two"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(strings.TrimSpace(string(got)), "] "+want) || strings.Count(string(got), "\n") != 1 {
			t.Errorf("%s: %q", name, got)
		}
	}
}
