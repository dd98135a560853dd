package jstest

import (
	"slices"

	"ramjet/proto/subject"
	"ramjet/store"
)

// Log is a stream log in a slice. Every answer is found by looking at every message.
type Log struct {
	Msgs    []store.Rec // ascending
	Last    uint64
	Cold    map[uint64]bool // Load and Next answer Pending
	Damaged map[uint64]bool
}

// NewLog returns an empty log.
func NewLog() *Log { return &Log{Cold: map[uint64]bool{}, Damaged: map[uint64]bool{}} }

// Append stores a message with the next sequence and returns it.
func (l *Log) Append(subj, payload string, at int64) uint64 {
	l.Last++
	l.Msgs = append(l.Msgs, store.Rec{Seq: l.Last, Time: at, Subject: []byte(subj), Payload: []byte(payload)})
	return l.Last
}

// Find returns the message with a sequence, nil if there is none.
func (l *Log) Find(seq uint64) *store.Rec {
	i, ok := slices.BinarySearchFunc(l.Msgs, seq, func(r store.Rec, s uint64) int { return int(int64(r.Seq) - int64(s)) })
	if !ok {
		return nil
	}
	return &l.Msgs[i]
}

// Remove deletes a message.
func (l *Log) Remove(seq uint64) bool {
	n := len(l.Msgs)
	l.Msgs = slices.DeleteFunc(l.Msgs, func(r store.Rec) bool { return r.Seq == seq })
	return len(l.Msgs) < n
}

// Purge deletes what passes f below seq (0: everything).
func (l *Log) Purge(f *store.Filter, below uint64) {
	l.Msgs = slices.DeleteFunc(l.Msgs, func(r store.Rec) bool { return (below == 0 || r.Seq < below) && Passes(f, r.Subject) })
}

// Matches reports whether a literal subject matches a pattern.
func Matches(subj, pattern string) bool { return subject.Match(subj, pattern) }

// Passes reports whether a subject passes a filter.
func Passes(f *store.Filter, subj []byte) bool {
	return f.All() || slices.ContainsFunc(f.Patterns, func(p string) bool { return subject.MatchBytes(subj, p) })
}

func (l *Log) read(m *store.Rec, r *store.Rec) store.Avail {
	if l.Cold[m.Seq] {
		return store.Pending
	}
	*r = *m
	if l.Damaged[m.Seq] {
		return store.Damaged
	}
	return store.Hit
}

// Load is that of js/stream.Log, as all the following.
func (l *Log) Load(seq uint64, r *store.Rec) store.Avail {
	if m := l.Find(seq); m != nil {
		return l.read(m, r)
	}
	return store.None
}

// Next finds the first message at or after from.
func (l *Log) Next(f *store.Filter, from uint64, r *store.Rec) store.Avail {
	i, _ := slices.BinarySearchFunc(l.Msgs, from, func(r store.Rec, s uint64) int { return int(int64(r.Seq) - int64(s)) })
	for ; i < len(l.Msgs); i++ {
		if Passes(f, l.Msgs[i].Subject) {
			return l.read(&l.Msgs[i], r)
		}
	}
	return store.None
}

// Prev finds the last message at or before upto.
func (l *Log) Prev(f *store.Filter, upto uint64, r *store.Rec) store.Avail {
	for i := len(l.Msgs) - 1; i >= 0; i-- {
		if m := &l.Msgs[i]; m.Seq <= upto && Passes(f, m.Subject) {
			return l.read(m, r)
		}
	}
	return store.None
}

// State summarizes.
func (l *Log) State(s *store.State) {
	*s = store.State{Msgs: uint64(len(l.Msgs)), LastSeq: l.Last}
	switch {
	case len(l.Msgs) > 0:
		s.FirstSeq = l.Msgs[0].Seq
	case l.Last > 0:
		s.FirstSeq = l.Last + 1
	}
}

// Subjects lists subjects in byte order.
func (l *Log) Subjects(f *store.Filter, fn func(subject []byte, count, last uint64) bool) {
	type sum struct{ count, last uint64 }
	sums := map[string]sum{}
	var names []string
	for i := range l.Msgs {
		m := &l.Msgs[i]
		if !Passes(f, m.Subject) {
			continue
		}
		s, ok := sums[string(m.Subject)]
		if !ok {
			names = append(names, string(m.Subject))
		}
		sums[string(m.Subject)] = sum{s.count + 1, m.Seq}
	}
	slices.Sort(names)
	for _, n := range names {
		if !fn([]byte(n), sums[n].count, sums[n].last) {
			return
		}
	}
}

// Pending counts messages, or subjects, at or after from.
func (l *Log) Pending(f *store.Filter, from uint64, lastPerSubject bool) (n uint64) {
	subjects := map[string]bool{}
	for i := range l.Msgs {
		if m := &l.Msgs[i]; m.Seq >= from && Passes(f, m.Subject) {
			n++
			subjects[string(m.Subject)] = true
		}
	}
	if lastPerSubject {
		return uint64(len(subjects))
	}
	return n
}

// SeqAt finds the first sequence at or after a time.
func (l *Log) SeqAt(t int64) uint64 {
	for i := range l.Msgs {
		if l.Msgs[i].Time >= t {
			return l.Msgs[i].Seq
		}
	}
	return l.Last + 1
}

// Deleted lists the runs of missing sequences between the first and the last message.
func (l *Log) Deleted(fn func(from, to uint64) bool) {
	for i := 1; i < len(l.Msgs); i++ {
		if from, to := l.Msgs[i-1].Seq+1, l.Msgs[i].Seq-1; from <= to && !fn(from, to) {
			return
		}
	}
	if n := len(l.Msgs); n > 0 && l.Msgs[n-1].Seq < l.Last {
		fn(l.Msgs[n-1].Seq+1, l.Last)
	}
}
