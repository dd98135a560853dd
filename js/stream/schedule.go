package stream

import (
	"errors"
	"math"
	"math/bits"
	"sort"
	"strconv"
	"strings"
	"time"

	"ramjet/js/op"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
	"ramjet/store"
)

var errPattern = errors.New("bad schedule pattern")

// Schedule is a parsed pattern of Nats-Schedule.
type Schedule struct {
	once  bool          // @at
	at    int64         // @at: unix nanoseconds
	every time.Duration // @every
	cron  *cron
	zone  *time.Location
}

// ParseSchedule parses `@at time`, `@every duration`, a named interval or a six-field cron pattern. zone is nil when
// no zone was given; it is for cron patterns only.
func ParseSchedule(pattern string, zone *time.Location) (s Schedule, err error) {
	if at, ok := strings.CutPrefix(pattern, "@at "); ok {
		t, err := time.Parse(time.RFC3339, strings.TrimSpace(at))
		if err != nil || zone != nil {
			return s, errPattern
		}
		s.once, s.at = true, nanos(t)
		return s, nil
	}
	if every, ok := strings.CutPrefix(pattern, "@every "); ok {
		d, err := time.ParseDuration(strings.TrimSpace(every))
		if err != nil || d < time.Second || zone != nil {
			return s, errPattern
		}
		s.every = d
		return s, nil
	}
	switch pattern {
	case "@yearly", "@annually":
		pattern = "0 0 0 1 1 *"
	case "@monthly":
		pattern = "0 0 0 1 * *"
	case "@weekly":
		pattern = "0 0 0 * * 0"
	case "@daily", "@midnight":
		pattern = "0 0 0 * * *"
	case "@hourly":
		pattern = "0 0 * * * *"
	}
	if s.cron, err = parseCron(pattern); err != nil {
		return s, err
	}
	if s.zone = zone; zone == nil {
		s.zone = time.UTC
	}
	return s, nil
}

// Repeats reports whether the schedule fires more than once.
func (s *Schedule) Repeats() bool { return !s.once }

// nanos returns t in unix nanoseconds, as near as 64 bits come to it.
func nanos(t time.Time) int64 {
	switch s := t.Unix(); {
	case s > math.MaxInt64/int64(time.Second)-1:
		return math.MaxInt64
	case s < math.MinInt64/int64(time.Second)+1:
		return math.MinInt64
	}
	return t.UnixNano()
}

// Next returns the first time after `after` (unix nanoseconds) at which s fires, given that it has been active since
// then; false if it never does. For @every, missed firings up to now collapse into one.
func (s *Schedule) Next(after, now int64) (int64, bool) {
	switch {
	case s.once:
		return s.at, true
	case s.cron == nil && s.every == 0:
		return 0, false
	case s.every > 0:
		if next := nanos(time.Unix(0, after).Round(time.Second).Add(s.every)); next > now || after == now {
			return next, true
		}
		return nanos(time.Unix(0, now).Round(time.Second).Add(s.every)), true
	}
	return s.cron.next(time.Unix(0, max(after, now)).In(s.zone))
}

// cron is a six-field pattern as sets of bits.
type cron struct {
	sec, min, hour, dom, mon, dow uint64
	anyDom, anyDow                bool
}

var (
	monthNames = "jan feb mar apr may jun jul aug sep oct nov dec"
	dayNames   = "sun mon tue wed thu fri sat"
)

func parseCron(p string) (*cron, error) {
	f := strings.Fields(p)
	if len(f) != 6 {
		return nil, errPattern
	}
	c := &cron{anyDom: isAny(f[3]), anyDow: isAny(f[5])}
	var err error
	for i, x := range []struct {
		set    *uint64
		lo, hi int
		names  string
	}{{&c.sec, 0, 59, ""}, {&c.min, 0, 59, ""}, {&c.hour, 0, 23, ""}, {&c.dom, 1, 31, ""}, {&c.mon, 1, 12, monthNames}, {&c.dow, 0, 6, dayNames}} {
		if *x.set, err = cronField(f[i], x.lo, x.hi, x.names); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func isAny(f string) bool { return strings.HasPrefix(f, "*") || strings.HasPrefix(f, "?") }

func cronField(f string, lo, hi int, names string) (set uint64, err error) {
	for _, part := range strings.Split(f, ",") {
		rng, stepText, stepped := strings.Cut(part, "/")
		from, to, step := lo, hi, 1
		if stepped {
			if step, err = strconv.Atoi(stepText); err != nil || step < 1 {
				return 0, errPattern
			}
		}
		if rng != "*" && rng != "?" {
			a, b, isRange := strings.Cut(rng, "-")
			if from, err = cronValue(a, lo, names); err != nil {
				return 0, err
			}
			switch {
			case isRange:
				if to, err = cronValue(b, lo, names); err != nil {
					return 0, err
				}
			case !stepped:
				to = from
			}
		}
		if from < lo || to > hi || from > to {
			return 0, errPattern
		}
		for v := from; v <= to; v += min(step, hi+1) { // a step beyond the field is the first value alone, whatever it is
			set |= 1 << v
		}
	}
	return set, nil
}

func cronValue(s string, lo int, names string) (int, error) {
	if names != "" && len(s) == 3 {
		for i, n := range strings.Fields(names) {
			if strings.EqualFold(n, s) {
				return i + lo, nil
			}
		}
	}
	if n, ok := jsapi.ParseUint([]byte(s)); ok && n < 100 {
		return int(n), nil
	}
	return 0, errPattern
}

// next returns the first matching second after t; false if there is none within five years.
func (c *cron) next(t time.Time) (int64, bool) {
	t = t.Add(time.Second - time.Duration(t.Nanosecond()))
	for limit := t.Year() + 5; t.Year() <= limit; {
		switch {
		case c.mon>>uint(t.Month())&1 == 0:
			t = midnight(t.Year(), t.Month()+1, 1, t)
		case !c.day(t):
			t = midnight(t.Year(), t.Month(), t.Day()+1, t)
		case c.hour>>uint(t.Hour())&1 == 0:
			t = t.Truncate(time.Second).Add(time.Hour - time.Duration(t.Minute())*time.Minute - time.Duration(t.Second())*time.Second)
		case c.min>>uint(t.Minute())&1 == 0:
			t = t.Add(time.Minute - time.Duration(t.Second())*time.Second)
		default:
			if rest := c.sec >> uint(t.Second()); rest != 0 {
				return t.Add(time.Duration(bits.TrailingZeros64(rest)) * time.Second).UnixNano(), true
			}
			t = t.Add(time.Minute - time.Duration(t.Second())*time.Second)
		}
	}
	return 0, false
}

// midnight returns the beginning of a day later than that of t, in its zone. Where the clocks go forward at midnight a day begins at 1:00, and
// what time.Date makes of 0:00 may be the evening before.
func midnight(year int, month time.Month, day int, t time.Time) time.Time {
	d := time.Date(year, month, day, 0, 0, 0, 0, t.Location())
	if d.Hour() > 12 {
		d = d.Add(24*time.Hour - time.Duration(d.Hour())*time.Hour - time.Duration(d.Minute())*time.Minute)
	}
	return d
}

// day applies the rule of cron: if both day fields are restricted, one of them is enough.
func (c *cron) day(t time.Time) bool {
	dom := c.dom>>uint(t.Day())&1 == 1
	dow := c.dow>>uint(t.Weekday())&1 == 1
	if c.anyDom || c.anyDow {
		return dom && dow
	}
	return dom || dow
}

// scheduled is the active schedule of a subject.
type scheduled struct {
	subj string
	seq  uint64
	next int64
	// fired: its message is proposed. Leader only, not part of the state.
	fired bool
}

// schedules are the active schedules of a stream. It is part of the state of the machine.
type schedules struct {
	bySubj map[string]*scheduled
	bySeq  map[uint64]*scheduled
}

func (s *schedules) set(subj []byte, seq uint64, next int64) {
	if s.bySubj == nil {
		s.bySubj, s.bySeq = make(map[string]*scheduled), make(map[uint64]*scheduled)
	}
	e := s.bySubj[string(subj)]
	if e == nil {
		e = &scheduled{subj: string(subj)}
		s.bySubj[e.subj] = e
	}
	delete(s.bySeq, e.seq)
	e.seq, e.next, e.fired = seq, next, false
	s.bySeq[seq] = e
}

func (s *schedules) drop(subj []byte) {
	if e := s.bySubj[string(subj)]; e != nil {
		delete(s.bySubj, e.subj)
		delete(s.bySeq, e.seq)
	}
}

func (s *schedules) dropSeq(seq uint64) {
	if e := s.bySeq[seq]; e != nil {
		delete(s.bySubj, e.subj)
		delete(s.bySeq, seq)
	}
}

// prune drops the schedules whose message is gone.
func (s *schedules) prune(log Log) {
	for _, e := range s.bySubj {
		if log.Weight(e.seq) == 0 {
			s.dropSeq(e.seq)
		}
	}
}

// due returns the earliest schedule.
func (s *schedules) due() *scheduled {
	var first *scheduled
	for _, e := range s.bySubj {
		if e.fired {
			continue
		}
		if first == nil || e.next < first.next || e.next == first.next && e.seq < first.seq {
			first = e
		}
	}
	return first
}

// dueAll returns the schedules that are due at now, earliest first.
func (s *schedules) dueAll(now int64) (list []*scheduled) {
	for _, e := range s.bySubj {
		if e.next <= now {
			list = append(list, e)
		}
	}
	sort.Slice(list, func(i, j int) bool {
		return list[i].next < list[j].next || list[i].next == list[j].next && list[i].seq < list[j].seq
	})
	return list
}

// scheduleOf parses the schedule headers of a stored message.
func scheduleOf(h []byte) (s Schedule, ok bool) {
	p := header.Get(h, jsapi.HdrSchedule)
	if len(p) == 0 {
		return s, false
	}
	var zone *time.Location
	if z := header.Get(h, jsapi.HdrScheduleZone); len(z) > 0 {
		zone, _ = time.LoadLocation(string(z))
	}
	s, err := ParseSchedule(string(p), zone)
	return s, err == nil
}

// trackSchedule follows what a stored message means for schedules: it starts one, it was produced by one, or it ends
// the one of its subject.
func (m *Machine) trackSchedule(c *op.Cmd, out *Effects) {
	if s, ok := scheduleOf(c.Header); ok {
		if next, ok := s.Next(c.Time, c.Time); ok {
			m.sched.set(c.Subject, c.Seq, next)
		} else {
			m.sched.drop(c.Subject)
		}
		return
	}
	by := header.Get(c.Header, jsapi.HdrScheduler)
	if by == nil {
		if e := m.sched.bySubj[string(c.Subject)]; e != nil && e.seq < c.Seq {
			m.sched.drop(c.Subject)
		}
		return
	}
	next := header.Get(c.Header, jsapi.HdrScheduleNext)
	switch at, err := time.Parse(time.RFC3339Nano, string(next)); {
	case string(next) == jsapi.ScheduleNextDone:
		m.sched.drop(by)
		if c.Flags&op.FlagSourced == 0 {
			m.purge(store.Purge{Filter: &store.Filter{Patterns: []string{string(by)}}}, out)
		}
	case err == nil:
		if e := m.sched.bySubj[string(by)]; e != nil {
			e.next, e.fired = at.UnixNano(), false
		}
	}
}
