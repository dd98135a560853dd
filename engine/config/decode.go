package config

import (
	"fmt"
	"strings"

	"ramjet/proto/conf"
)

// decoder collects what decoding finds. It never stops at an error.
type decoder struct {
	errors   []*Problem
	warnings []*Problem
	opts     *Options
	env      *environment
	later    []func() // checks that need the whole file
}

func (d *decoder) errorf(pos conf.Pos, format string, args ...any) {
	if len(d.errors) < maxProblems {
		d.errors = append(d.errors, &Problem{Pos: pos, Msg: fmt.Sprintf(format, args...)})
	}
}

func (d *decoder) warnf(e *conf.Entry, format string, args ...any) {
	if len(d.warnings) < maxProblems {
		d.warnings = append(d.warnings, &Problem{Pos: e.Pos, Msg: fmt.Sprintf("invalid use of field \"%s\": ", strings.ToLower(e.Key)) + fmt.Sprintf(format, args...)})
	}
}

// key is one key of a block: how its value gets into a T.
type key[T any] struct {
	names string // the name and its aliases
	set   func(d *decoder, t *T, e *conf.Entry)
}

// block is the table of keys of one kind of map.
type block[T any] struct {
	keys    []key[T]
	unknown string // message for another key
	index   map[string]*key[T]
	names   []string
}

const unknownField = "unknown field \"%s\""

func newBlock[T any](unknown string, keys ...key[T]) *block[T] {
	b := &block[T]{keys: keys, unknown: unknown, index: make(map[string]*key[T])}
	for i := range keys {
		for _, n := range strings.Fields(keys[i].names) {
			if b.index[n] != nil {
				panic("config: key defined twice: " + n)
			}
			b.index[n] = &keys[i]
			b.names = append(b.names, n)
		}
	}
	return b
}

// decode sets t from the entries of m in their order. A key that was used as a variable may be unknown.
func (b *block[T]) decode(d *decoder, t *T, m *conf.Object) {
	for _, e := range m.Entries {
		k := b.index[strings.ToLower(e.Key)]
		switch {
		case k != nil:
			k.set(d, t, e)
		case !e.Used:
			advice := ""
			if len(d.errors) < maxProblems { // beyond, nobody will see it
				advice = hint(e.Key, b.names)
			}
			d.errorf(e.Pos, b.unknown+"%s", e.Key, advice)
		}
	}
}

// typeError reports that the value of e is not what the key takes.
func (d *decoder) typeError(e *conf.Entry, want string) {
	d.errorf(e.Pos, "%s: expected %s, got %s", e.Key, want, describe(e.Value))
}

// describe says what a value is, for messages. Strings are not shown: they may be secrets.
func describe(v *conf.Value) string {
	switch v.Kind {
	case conf.Int:
		return fmt.Sprintf("the integer %d", v.Int)
	case conf.Float:
		return fmt.Sprintf("the number %v", v.Float)
	case conf.Bool:
		return fmt.Sprintf("the boolean %v", v.Bool)
	case conf.Array:
		return "an array"
	case conf.Map:
		return "a map"
	case conf.Time:
		return "a date"
	}
	return "a string"
}

// kind names the type of v, for messages in which nats-server names a type of Go.
func kind(v *conf.Value) string {
	switch v.Kind {
	case conf.Array:
		return "array"
	case conf.Float:
		return "number"
	}
	return v.Kind.String()
}
