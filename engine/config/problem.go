package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ramjet/proto/conf"
)

// Problem is one thing wrong with a configuration, with its place if it has one.
type Problem struct {
	Pos conf.Pos // Line 0: the whole file or the command line
	Msg string
}

func (p *Problem) Error() string {
	if p.Pos.Line == 0 {
		return p.Msg
	}
	return fmt.Sprintf("%s: %s", where(p.Pos), p.Msg)
}

// At returns the problem msg at pos, which is "file:line:col" as in Export.Pos, or "" for nowhere.
func At(pos, msg string) *Problem { return &Problem{Pos: parsePlace(pos), Msg: msg} }

func where(p conf.Pos) string {
	if p.Line == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// ErrorList is everything wrong with a configuration, in the order of the text.
type ErrorList struct{ Problems []*Problem }

func (l *ErrorList) Error() string {
	lines := make([]string, len(l.Problems))
	for i, p := range l.Problems {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// maxProblems bounds what a hopeless file can make us report.
const maxProblems = 1000

// byPlace sorts problems by file, in order of reading, then line and column, and drops repetitions, which
// come from variables used several times.
func byPlace(problems []*Problem, files []string) []*Problem {
	rank := make(map[string]int, len(files))
	for i, f := range files {
		if _, ok := rank[f]; !ok {
			rank[f] = i
		}
	}
	slices.SortStableFunc(problems, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(rank[a.Pos.File], rank[b.Pos.File]), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Col, b.Pos.Col))
	})
	return slices.CompactFunc(problems, func(a, b *Problem) bool { return *a == *b })
}

// usageError is a command line that cannot be parsed.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

// IsUsageError says that the command line has an unknown or malformed flag, for which the usage is printed.
func IsUsageError(err error) bool {
	var u *usageError
	return errors.As(err, &u)
}
