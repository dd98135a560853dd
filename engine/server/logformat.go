package server

import (
	"bytes"
	"encoding/json"
	"os"
	"strconv"
	"time"

	"ramjet/engine"
	"ramjet/engine/config"
)

// logFormat turns lines into bytes (reference/config.md, section 10).
type logFormat struct {
	json  bool
	time  bool
	utc   bool
	color bool
	pid   string
}

func newLogFormat(o *config.LogOptions, color bool) logFormat {
	return logFormat{json: o.Format == "json", time: o.Time, utc: o.TimeUTC, color: color, pid: strconv.Itoa(os.Getpid())}
}

var levelLabels = [...]string{engine.Info: "INF", engine.Warn: "WRN", engine.Error: "ERR", engine.Fatal: "FTL", engine.Debug: "DBG", engine.Trace: "TRC"}

var levelColors = [...]string{engine.Info: "32", engine.Warn: "0;93", engine.Error: "31", engine.Fatal: "31", engine.Debug: "36", engine.Trace: "33"}

var levelNames = [...]string{engine.Info: "info", engine.Warn: "warn", engine.Error: "error", engine.Fatal: "fatal", engine.Debug: "debug", engine.Trace: "trace"}

// append appends it as one line.
func (f *logFormat) append(dst []byte, it *logItem) []byte {
	when := it.when
	if f.utc {
		when = when.UTC()
	} else {
		when = when.Local()
	}
	if f.json {
		return f.appendJSON(dst, it, when)
	}
	dst = append(dst, '[')
	dst = append(dst, f.pid...)
	dst = append(dst, "] "...)
	if f.time {
		dst = when.AppendFormat(dst, "2006/01/02 15:04:05.000000")
		dst = append(dst, ' ')
	}
	label := levelLabels[it.level]
	if f.color {
		dst = append(dst, "[\x1b["...)
		dst = append(dst, levelColors[it.level]...)
		dst = append(dst, 'm')
		dst = append(dst, label...)
		dst = append(dst, "\x1b[0m] "...)
	} else {
		dst = append(dst, '[')
		dst = append(dst, label...)
		dst = append(dst, "] "...)
	}
	dst = append(dst, it.text...)
	if len(it.text) == 0 || it.text[len(it.text)-1] != '\n' {
		dst = append(dst, '\n')
	}
	return dst
}

// appendJSON appends one object per line: time (RFC 3339), level, id (of warnings and errors), msg.
func (f *logFormat) appendJSON(dst []byte, it *logItem, when time.Time) []byte {
	dst = append(dst, `{"time":"`...)
	dst = when.AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, `","level":"`...)
	dst = append(dst, levelNames[it.level]...)
	dst = append(dst, '"')
	if it.id != "" {
		dst = append(dst, `,"id":"`...)
		dst = append(dst, it.id...)
		dst = append(dst, '"')
	}
	dst = append(dst, `,"msg":`...)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(it.text); err != nil { // a string always encodes
		return append(dst, "\"\"}\n"...)
	}
	dst = append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
	return append(dst, "}\n"...)
}
