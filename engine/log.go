package engine

// Level is a log level; the labels are those of reference/config.md, section 10.
type Level uint8

// The log levels.
const (
	Info Level = iota
	Warn
	Error
	Fatal
	Debug
	Trace
)

// Logger is what packages of the engine log through; engine/server implements it. Safe for any
// goroutine; callers on a loop must test Enabled first for Debug and Trace.
//
// id is a stable identifier ("RJ-C012") listed with its meaning and the operator's action in
// docs/log-ids.md; every Warn, Error and Fatal has one, other levels pass "".
type Logger interface {
	Enabled(Level) bool
	Logf(l Level, id, format string, args ...any)
}
