package stream

import (
	"bytes"
	"errors"
	"fmt"
	"sort"

	"ramjet/proto/subject"
	"ramjet/store"
)

// fakeLog is the simplest Log: a slice of messages.
type fakeLog struct {
	msgs  []store.Rec
	last  uint64
	bytes uint64
	fail  error
	cold  bool // reads have to wait
	quiet bool // keep nothing: for allocation tests
}

func passesFilter(f *store.Filter, s []byte) bool {
	if f.All() {
		return true
	}
	for _, p := range f.Patterns {
		if subject.MatchBytes(s, p) {
			return true
		}
	}
	return false
}

func recSize(r *store.Rec) uint64 {
	return MsgSize(1, len(r.Subject), len(r.Header), len(r.Payload))
}

func (l *fakeLog) Append(r *store.Rec) error {
	if l.fail != nil {
		return l.fail
	}
	if r.Seq <= l.last {
		return fmt.Errorf("sequence %d after %d", r.Seq, l.last)
	}
	l.last = r.Seq
	if l.quiet {
		return nil
	}
	c := *r
	c.Subject, c.Header, c.Payload = bytes.Clone(r.Subject), bytes.Clone(r.Header), bytes.Clone(r.Payload)
	l.msgs = append(l.msgs, c)
	l.bytes += recSize(r)
	return nil
}

func (l *fakeLog) SkipTo(seq uint64) error {
	if seq <= l.last {
		return errors.New("skip back")
	}
	l.last = seq
	return nil
}

func (l *fakeLog) find(seq uint64) int {
	return sort.Search(len(l.msgs), func(i int) bool { return l.msgs[i].Seq >= seq })
}

func (l *fakeLog) Load(seq uint64, r *store.Rec) store.Avail {
	if l.cold {
		return store.Pending
	}
	if i := l.find(seq); i < len(l.msgs) && l.msgs[i].Seq == seq {
		*r = l.msgs[i]
		return store.Hit
	}
	return store.None
}

func (l *fakeLog) Next(f *store.Filter, from uint64, r *store.Rec) store.Avail {
	if l.cold {
		return store.Pending
	}
	for i := l.find(from); i < len(l.msgs); i++ {
		if passesFilter(f, l.msgs[i].Subject) {
			*r = l.msgs[i]
			return store.Hit
		}
	}
	return store.None
}

func (l *fakeLog) now(fn func()) {
	cold := l.cold
	l.cold = false
	fn()
	l.cold = cold
}

func (l *fakeLog) LoadNow(seq uint64, r *store.Rec) (a store.Avail) {
	l.now(func() { a = l.Load(seq, r) })
	return a
}

func (l *fakeLog) NextNow(f *store.Filter, from uint64, r *store.Rec) (a store.Avail) {
	l.now(func() { a = l.Next(f, from, r) })
	return a
}

func (l *fakeLog) Weight(seq uint64) uint64 {
	if i := l.find(seq); i < len(l.msgs) && l.msgs[i].Seq == seq {
		return recSize(&l.msgs[i])
	}
	return 0
}

func (l *fakeLog) Aged(from, limit uint64) (uint64, bool) {
	for i := l.find(from); i < len(l.msgs) && l.msgs[i].Seq < limit; i++ {
		if l.msgs[i].TTL >= 0 {
			return l.msgs[i].Seq, true
		}
	}
	return 0, false
}

func (l *fakeLog) Prev(f *store.Filter, upto uint64, r *store.Rec) store.Avail {
	for i := len(l.msgs) - 1; i >= 0; i-- {
		if l.msgs[i].Seq <= upto && passesFilter(f, l.msgs[i].Subject) {
			*r = l.msgs[i]
			return store.Hit
		}
	}
	return store.None
}

func (l *fakeLog) Remove(seq uint64, _ bool) bool {
	i := l.find(seq)
	if i == len(l.msgs) || l.msgs[i].Seq != seq {
		return false
	}
	l.bytes -= recSize(&l.msgs[i])
	l.msgs = append(l.msgs[:i], l.msgs[i+1:]...)
	return true
}

func (l *fakeLog) Purge(p *store.Purge, each func(uint64)) (n uint64) {
	var match []uint64
	for _, m := range l.msgs {
		if passesFilter(p.Filter, m.Subject) && (p.Below == 0 || m.Seq < p.Below) {
			match = append(match, m.Seq)
		}
	}
	if p.Keep > 0 {
		match = match[:max(0, len(match)-int(p.Keep))]
	}
	for _, s := range match {
		l.Remove(s, false)
		if each != nil {
			each(s)
		}
		n++
	}
	return n
}

func (l *fakeLog) State(s *store.State) {
	*s = store.State{Msgs: uint64(len(l.msgs)), Bytes: l.bytes, LastSeq: l.last}
	if l.last > 0 {
		s.FirstSeq = l.last + 1
	}
	if len(l.msgs) > 0 {
		a, b := l.msgs[0], l.msgs[len(l.msgs)-1]
		s.FirstSeq, s.FirstTime, s.LastTime = a.Seq, a.Time, b.Time
		s.Deleted = l.last - a.Seq + 1 - s.Msgs
	}
	seen := map[string]bool{}
	for _, m := range l.msgs {
		seen[string(m.Subject)] = true
	}
	s.Subjects = len(seen)
}

func (l *fakeLog) Last(s []byte) (uint64, bool) {
	for i := len(l.msgs) - 1; i >= 0; i-- {
		if bytes.Equal(l.msgs[i].Subject, s) {
			return l.msgs[i].Seq, true
		}
	}
	return 0, false
}

func (l *fakeLog) First(s []byte) (uint64, bool) {
	for i := range l.msgs {
		if bytes.Equal(l.msgs[i].Subject, s) {
			return l.msgs[i].Seq, true
		}
	}
	return 0, false
}

func (l *fakeLog) Count(s []byte) (n uint64) {
	for i := range l.msgs {
		if bytes.Equal(l.msgs[i].Subject, s) {
			n++
		}
	}
	return n
}

func (l *fakeLog) Subjects(f *store.Filter, fn func([]byte, uint64, uint64) bool) {
	count, last := map[string]uint64{}, map[string]uint64{}
	for _, m := range l.msgs {
		if passesFilter(f, m.Subject) {
			count[string(m.Subject)]++
			last[string(m.Subject)] = m.Seq
		}
	}
	var names []string
	for s := range count {
		names = append(names, s)
	}
	sort.Strings(names)
	for _, s := range names {
		if !fn([]byte(s), count[s], last[s]) {
			return
		}
	}
}

func (l *fakeLog) Pending(f *store.Filter, from uint64, lastPer bool) (n uint64) {
	if lastPer {
		l.Subjects(f, func(_ []byte, _, last uint64) bool {
			if last >= from {
				n++
			}
			return true
		})
		return n
	}
	for _, m := range l.msgs {
		if m.Seq >= from && passesFilter(f, m.Subject) {
			n++
		}
	}
	return n
}

func (l *fakeLog) SeqAt(t int64) uint64 {
	for _, m := range l.msgs {
		if m.Time >= t {
			return m.Seq
		}
	}
	return l.last + 1
}

func (l *fakeLog) Deleted(fn func(from, to uint64) bool) {
	if len(l.msgs) == 0 {
		return
	}
	next := l.msgs[0].Seq
	for _, m := range l.msgs {
		if m.Seq > next && !fn(next, m.Seq-1) {
			return
		}
		next = m.Seq + 1
	}
}

func (l *fakeLog) Expire(now int64, fn func(uint64) bool) (n int) {
	for _, m := range append([]store.Rec(nil), l.msgs...) {
		if m.TTL > 0 && m.Time+m.TTL*1e9 <= now && fn(m.Seq) {
			n++
		}
	}
	return n
}

func (l *fakeLog) NextExpiry() (at int64, ok bool) {
	for _, m := range l.msgs {
		if t := m.Time + m.TTL*1e9; m.TTL > 0 && (!ok || t < at) {
			at, ok = t, true
		}
	}
	return at, ok
}

func (l *fakeLog) OldestExpired(now, maxAge int64) (uint64, int64, store.Avail) {
	for _, m := range l.msgs {
		if m.TTL < 0 {
			continue
		}
		if m.Time+maxAge <= now {
			return m.Seq, m.Time + maxAge, store.Hit
		}
		return m.Seq, m.Time + maxAge, store.None
	}
	return 0, 0, store.None
}
