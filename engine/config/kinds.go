package config

import (
	"math"
	"strconv"
	"strings"
	"time"

	"ramjet/proto/conf"
)

// Setters of single values. Each reports a wrong type and then leaves the target alone.

func str[T any](f func(*T) *string) func(*decoder, *T, *conf.Entry) {
	return func(d *decoder, t *T, e *conf.Entry) {
		if s, ok := d.str(e); ok {
			*f(t) = s
		}
	}
}

func boolean[T any](f func(*T) *bool) func(*decoder, *T, *conf.Entry) {
	return func(d *decoder, t *T, e *conf.Entry) {
		if b, ok := d.boolean(e); ok {
			*f(t) = b
		}
	}
}

func integer[T any](f func(*T) *int) func(*decoder, *T, *conf.Entry) {
	return func(d *decoder, t *T, e *conf.Entry) {
		if n, ok := d.integer(e, math.MinInt32, math.MaxInt32); ok {
			*f(t) = int(n)
		}
	}
}

// count is an integer that may also be a number beyond 32 bits, such as a number of messages.
func count[T any](f func(*T) *int64) func(*decoder, *T, *conf.Entry) {
	return func(d *decoder, t *T, e *conf.Entry) {
		if n, ok := d.integer(e, math.MinInt64, math.MaxInt64); ok {
			*f(t) = n
		}
	}
}

// size is a number of bytes: an integer, or a quoted one that ends in K, M, G or T (powers of two).
func size[T any](f func(*T) *int64) func(*decoder, *T, *conf.Entry) {
	return func(d *decoder, t *T, e *conf.Entry) {
		if n, ok := d.size(e); ok {
			*f(t) = n
		}
	}
}

func duration[T any](f func(*T) *time.Duration) func(*decoder, *T, *conf.Entry) {
	return func(d *decoder, t *T, e *conf.Entry) {
		if v, ok := d.duration(e); ok {
			*f(t) = v
		}
	}
}

func stringList[T any](f func(*T) *[]string) func(*decoder, *T, *conf.Entry) {
	return func(d *decoder, t *T, e *conf.Entry) {
		if v, ok := d.stringList(e); ok {
			*f(t) = v
		}
	}
}

func (d *decoder) str(e *conf.Entry) (string, bool) {
	if e.Value.Kind != conf.String {
		d.typeError(e, "a string")
		return "", false
	}
	return e.Value.Str, true
}

func (d *decoder) boolean(e *conf.Entry) (bool, bool) {
	if e.Value.Kind != conf.Bool {
		d.typeError(e, "a boolean")
		return false, false
	}
	return e.Value.Bool, true
}

func (d *decoder) integer(e *conf.Entry, low, high int64) (int64, bool) {
	if e.Value.Kind != conf.Int {
		d.typeError(e, "an integer")
		return 0, false
	}
	if n := e.Value.Int; n < low || n > high {
		d.errorf(e.Pos, "%s: %d is out of the range %d to %d", e.Key, n, low, high)
		return 0, false
	}
	return e.Value.Int, true
}

func (d *decoder) size(e *conf.Entry) (int64, bool) {
	switch e.Value.Kind {
	case conf.Int:
		return e.Value.Int, true
	case conf.String:
		n, ok := parseSize(e.Value.Str)
		if !ok {
			d.errorf(e.Pos, "%s: sizes defined as strings must end in K, M, G, T", e.Key)
		}
		return n, ok
	}
	d.typeError(e, "a size")
	return 0, false
}

func parseSize(s string) (int64, bool) {
	if s == "" {
		return 0, true
	}
	shift := strings.IndexByte("KMGT", s[len(s)-1])
	n, err := strconv.ParseInt(s[:len(s)-1], 10, 64)
	if shift < 0 || err != nil {
		return 0, false
	}
	shift = (shift + 1) * 10
	if n<<shift>>shift != n {
		return 0, false
	}
	return n << shift, true
}

// duration takes a string with units, or with a warning a number of seconds.
func (d *decoder) duration(e *conf.Entry) (time.Duration, bool) {
	switch v := e.Value; v.Kind {
	case conf.String:
		return d.strictDuration(e)
	case conf.Int:
		if v.Int > math.MaxInt64/int64(time.Second) || v.Int < math.MinInt64/int64(time.Second) {
			d.errorf(e.Pos, "%s: %d seconds is out of range", e.Key, v.Int)
			return 0, false
		}
		advice := ""
		if v.Int != 0 && v.Int%1000000 == 0 {
			advice = " (without quotes " + strconv.FormatInt(v.Int/1000000, 10) + "m means " + strconv.FormatInt(v.Int, 10) + " seconds)"
		}
		d.warnf(e, "%s should be converted to a duration%s", strings.ToLower(e.Key), advice)
		return time.Duration(v.Int) * time.Second, true
	}
	d.typeError(e, "a duration such as \"2m30s\"")
	return 0, false
}

// strictDuration takes only a string with units.
func (d *decoder) strictDuration(e *conf.Entry) (time.Duration, bool) {
	if e.Value.Kind != conf.String {
		d.typeError(e, "a duration such as \"2m30s\"")
		return 0, false
	}
	v, err := time.ParseDuration(e.Value.Str)
	if err != nil {
		d.errorf(e.Pos, "error parsing %s: %v", strings.ToLower(e.Key), err)
		return 0, false
	}
	return v, true
}

// timeout takes seconds, with or without fraction, or a string with units. where names the block in messages.
func (d *decoder) timeout(e *conf.Entry, where string) (time.Duration, bool) {
	switch v := e.Value; v.Kind {
	case conf.Int, conf.Float:
		seconds := v.Float
		if v.Kind == conf.Int {
			seconds = float64(v.Int)
		}
		if !(math.Abs(seconds) < math.MaxInt64/float64(time.Second)) {
			d.errorf(e.Pos, "%s: %v seconds is out of range", e.Key, seconds)
			return 0, false
		}
		return time.Duration(seconds * float64(time.Second)), true
	case conf.String:
		t, err := time.ParseDuration(v.Str)
		if err != nil {
			d.errorf(e.Pos, "error parsing %s config, '%s' %v", where, strings.ToLower(e.Key), err)
			return 0, false
		}
		return t, true
	}
	d.typeError(e, "seconds or a duration such as \"2s\"")
	return 0, false
}

// stringList takes one string or an array of strings.
func (d *decoder) stringList(e *conf.Entry) ([]string, bool) {
	switch e.Value.Kind {
	case conf.String:
		return []string{e.Value.Str}, true
	case conf.Array:
		list := make([]string, 0, len(e.Value.Items))
		ok := true
		for _, item := range e.Value.Items {
			if item.Kind != conf.String {
				d.errorf(item.Pos, "%s: expected a string in the array, got %s", e.Key, describe(item))
				ok = false
				continue
			}
			list = append(list, item.Str)
		}
		return list, ok
	}
	d.errorf(e.Pos, "%s: expected a string or an array of strings, got %s (error parsing %s: unsupported type %s)",
		e.Key, describe(e.Value), strings.ToLower(e.Key), kind(e.Value))
	return nil, false
}

func (d *decoder) object(e *conf.Entry) (*conf.Object, bool) {
	if e.Value.Kind != conf.Map {
		d.errorf(e.Pos, "Expected %s to be a map, got %s", strings.ToLower(e.Key), describe(e.Value))
		return nil, false
	}
	return e.Value.Map, true
}

// stringMap takes a map of strings.
func (d *decoder) stringMap(e *conf.Entry) (map[string]string, bool) {
	m, ok := d.object(e)
	if !ok {
		return nil, false
	}
	out := make(map[string]string, len(m.Entries))
	for _, x := range m.Entries {
		s, fine := d.str(x)
		ok = ok && fine
		out[x.Key] = s
	}
	return out, ok
}
