package monitor

import (
	"fmt"
	"io"
	"log"
	"net/url"
	"strconv"
)

// params decodes the query of a request. The first value that does not decode is kept in err.
type params struct {
	values url.Values
	err    error
}

func (q *params) fail(kind, name string, err error) {
	if q.err == nil {
		q.err = fmt.Errorf("Error decoding %s for '%s': %v", kind, name, err)
	}
}

func (q *params) string(name string) string { return q.values.Get(name) }

func (q *params) bool(name string) bool {
	s := q.values.Get(name)
	if s == "" {
		return false
	}
	v, err := strconv.ParseBool(s)
	if err != nil {
		q.fail("boolean", name, err)
	}
	return v
}

func (q *params) int(name string) int {
	s := q.values.Get(name)
	if s == "" {
		return 0
	}
	v, err := strconv.Atoi(s)
	if err != nil {
		q.fail("int", name, err)
	}
	return v
}

func (q *params) uint64(name string) uint64 {
	s := q.values.Get(name)
	if s == "" {
		return 0
	}
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		q.fail("uint64", name, err)
	}
	return v
}

// subs decodes subs=1|detail.
func (q *params) subs() (list, detail bool) {
	if q.values.Get("subs") == "detail" {
		return true, true
	}
	return q.bool("subs"), false
}

const defaultLimit = 1024

// page decodes offset and limit.
func (q *params) page() (offset, limit int) { return pageOf(q.int("offset"), q.int("limit")) }

// pageOf applies the defaults to offset and limit.
func pageOf(offset, limit int) (int, int) {
	offset = max(0, offset)
	if limit <= 0 {
		limit = defaultLimit
	}
	return offset, limit
}

// window returns the part of n items that offset and limit select.
func window(n, offset, limit int) (from, to int) {
	from = min(offset, n)
	return from, from + min(limit, n-from)
}

// discardLog is for net/http's own complaints about broken peers: they are not ours to report.
func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }
