package vfs

import (
	"fmt"
	"strings"
	"sync"
)

// Trace records the calls that change the disk, one line each, for golden traces: a missing sync is a diff.
// Safe for any goroutine.
type Trace struct {
	mu    sync.Mutex
	lines []string
	root  string
}

// NewTrace returns a trace that shows paths relative to root.
func NewTrace(root string) *Trace { return &Trace{root: root} }

// Hook is the hook to Intercept with.
func (t *Trace) Hook(c *Call) (int64, error) {
	switch c.Op {
	case OpRead, OpList, OpStat, OpOpen, OpMap, OpClose:
		return 0, nil
	}
	line := fmt.Sprintf("%s %s", c.Op, t.rel(c.Path))
	switch c.Op {
	case OpRename:
		line += " -> " + t.rel(c.To)
	case OpWrite:
		line += fmt.Sprintf(" %d+%d", c.Off, c.Len)
	case OpTruncate, OpAllocate:
		line += fmt.Sprintf(" %d", c.Off)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line)
	return 0, nil
}

func (t *Trace) rel(p string) string {
	if r, ok := strings.CutPrefix(p, t.root); ok {
		return "." + r
	}
	return p
}

// Take returns the lines recorded since the last Take.
func (t *Trace) Take() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := strings.Join(t.lines, "\n")
	t.lines = nil
	if s != "" {
		s += "\n"
	}
	return s
}
