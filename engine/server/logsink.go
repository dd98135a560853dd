package server

import (
	"errors"
	"fmt"
	"log/syslog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/proto/base/clock"
)

// newSink opens what o asks for: a file, the system log, a remote system log, or standard error.
func newSink(o *config.LogOptions, clk clock.Clock) (logSink, error) {
	switch {
	case o.File != "":
		return openFileSink(o, clk)
	case o.RemoteSyslog != "":
		network, addr, err := remoteSyslogAddr(o.RemoteSyslog)
		if err != nil {
			return nil, err
		}
		w, err := syslog.Dial(network, addr, syslog.LOG_DEBUG, syslogTag())
		if err != nil {
			return nil, fmt.Errorf("error connecting to syslog: %w", err)
		}
		return &syslogSink{w}, nil
	case o.Syslog:
		w, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_NOTICE, syslogTag())
		if err != nil {
			return nil, fmt.Errorf("error connecting to syslog: %w", err)
		}
		return &syslogSink{w}, nil
	}
	return &streamSink{f: newLogFormat(o, isTerminal(os.Stderr)), w: os.Stderr}, nil
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), ioctlReadTermios)
	return err == nil
}

// streamSink writes to an open file that is not ours to rotate.
type streamSink struct {
	f   logFormat
	w   *os.File
	buf []byte
}

func (s *streamSink) write(lines []logItem) {
	s.buf = s.buf[:0]
	for i := range lines {
		s.buf = s.f.append(s.buf, &lines[i])
		if len(s.buf) >= 64<<10 {
			_, _ = s.w.Write(s.buf) // nowhere left to report it
			s.buf = s.buf[:0]
		}
	}
	_, _ = s.w.Write(s.buf)
	if cap(s.buf) > 128<<10 {
		s.buf = nil
	}
}

func (s *streamSink) reopen() (bool, error) { return false, nil }
func (s *streamSink) close()                {}

// syslogSink sends lines to the system log; it adds time and process id.
type syslogSink struct{ w *syslog.Writer }

func (s *syslogSink) write(lines []logItem) {
	for i := range lines {
		text := lines[i].text
		// Failures cannot be reported anywhere; the library reconnects at the next line.
		switch lines[i].level {
		case engine.Warn:
			_ = s.w.Warning(text)
		case engine.Error:
			_ = s.w.Err(text)
		case engine.Fatal:
			_ = s.w.Crit(text)
		case engine.Debug:
			_ = s.w.Debug(text)
		default:
			_ = s.w.Notice(text)
		}
	}
}

func (s *syslogSink) reopen() (bool, error) { return false, nil }
func (s *syslogSink) close()                { _ = s.w.Close() }

func syslogTag() string { return filepath.Base(os.Args[0]) }

// remoteSyslogAddr splits udp://host:port, tcp://host:port, unix:///path, unixgram:///path.
func remoteSyslogAddr(s string) (network, addr string, err error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", "", fmt.Errorf("invalid remote syslog address: %w", err)
	}
	switch u.Scheme {
	case "udp", "tcp":
		return u.Scheme, u.Host, nil
	case "unix", "unixgram":
		return u.Scheme, u.Path, nil
	}
	return "", "", fmt.Errorf("invalid network type: %q", u.Scheme)
}

// fileSink writes a log file, and rotates it when it exceeds limit bytes (0 = never), keeping max files
// in all (0 = every one).
type fileSink struct {
	f      logFormat
	clk    clock.Clock
	path   string
	limit  int64 // current; grows when a rotation fails
	config int64 // configured
	max    int

	file    *os.File
	size    int64
	rotated time.Time // of the newest backup
	failed  time.Time // last write failure reported
	buf     []byte
}

func openFileSink(o *config.LogOptions, clk clock.Clock) (*fileSink, error) {
	s := &fileSink{f: newLogFormat(o, false), clk: clk, path: o.File, limit: o.SizeLimit, config: o.SizeLimit, max: o.MaxNum}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("error opening file: %w", err)
	}
	return s, nil
}

func (s *fileSink) open() error {
	f, err := os.OpenFile(s.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	s.file, s.size = f, st.Size()
	return nil
}

func (s *fileSink) write(lines []logItem) {
	s.buf = s.buf[:0]
	for i := range lines {
		s.buf = s.f.append(s.buf, &lines[i])
		full := s.limit > 0 && s.size+int64(len(s.buf)) > s.limit
		if full || len(s.buf) >= 64<<10 {
			s.put()
		}
		if full {
			s.rotate()
		}
	}
	s.put()
	if cap(s.buf) > 128<<10 {
		s.buf = nil
	}
}

// put writes the buffer. A failure is reported on standard error once a second: the disk may be full.
func (s *fileSink) put() {
	if len(s.buf) == 0 {
		return
	}
	n, err := s.file.Write(s.buf)
	s.size += int64(n)
	s.buf = s.buf[:0]
	if err == nil {
		return
	}
	if now := s.clk.Now(); now.Sub(s.failed) >= time.Second {
		s.failed = now
		fmt.Fprintf(os.Stderr, "%s: writing the log file: %v\n", programName, err)
	}
}

// direct writes one line of the logger itself, without looking at the limit.
func (s *fileSink) direct(lv engine.Level, id, format string, args ...any) {
	s.buf = s.f.append(s.buf[:0], &logItem{level: lv, when: s.clk.Now(), id: id, text: fmt.Sprintf(format, args...)})
	s.put()
}

const backupStamp = "2006.01.02.15.04.05.000000000"

// rotate renames the file to its name with a time stamp and starts a new one.
func (s *fileSink) rotate() {
	now := s.clk.Now().Local()
	if !now.After(s.rotated) { // within the resolution of the clock
		now = s.rotated.Add(1)
	}
	s.rotated = now
	bak := s.path + "." + now.Format(backupStamp)
	if err := os.Rename(s.path, bak); err != nil {
		s.limit *= 2
		s.direct(engine.Error, "RJ-S003", "Unable to rename logfile for rotation (%v), will attempt next rotation at size %v", err, s.limit)
		return
	}
	old := s.file
	if err := s.open(); err != nil { // keep writing to the renamed file
		s.limit *= 2
		s.direct(engine.Error, "RJ-S004", "Unable to open a new logfile after rotation (%v), logging to %q, will attempt next rotation at size %v", err, bak, s.limit)
		return
	}
	_ = old.Close() // everything was written; nothing to do about it
	s.limit = s.config
	s.direct(engine.Info, "", "Rotated log, backup saved as %q", bak)
	if s.max > 0 {
		s.purge()
	}
}

// purge removes the oldest backups beyond max-1.
func (s *fileSink) purge() {
	dir, base := filepath.Split(s.path)
	if dir == "" {
		dir = "."
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		s.direct(engine.Error, "RJ-S005", "Unable to read directory %q for log purge (%v), will attempt next rotation", dir, err)
		return
	}
	var backups []string
	for _, e := range entries {
		stamp, ok := strings.CutPrefix(e.Name(), base+".")
		if !ok || e.IsDir() {
			continue
		}
		if _, err := time.Parse(backupStamp, stamp); err == nil {
			backups = append(backups, e.Name())
		}
	}
	slices.Sort(backups)
	for len(backups) > s.max-1 {
		name := filepath.Join(dir, backups[0])
		backups = backups[1:]
		if err := os.Remove(name); err != nil {
			s.direct(engine.Error, "RJ-S006", "Unable to remove backup log file %q (%v), will attempt next rotation", name, err)
			return
		}
		s.direct(engine.Info, "", "Purged log file %q", name)
	}
}

func (s *fileSink) reopen() (bool, error) {
	old := s.file
	if err := s.open(); err != nil {
		s.file = old
		return true, err
	}
	_ = old.Close()
	return true, nil
}

func (s *fileSink) close() { _ = s.file.Close() }
