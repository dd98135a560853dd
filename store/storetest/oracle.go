package storetest

import (
	"slices"

	"ramjet/proto/subject"
	"ramjet/store"
	"ramjet/store/msgtab"
)

// Msg is a message of the oracle.
type Msg struct {
	Seq, Bytes      uint64
	Time, TTL       int64
	Subject         string
	Header, Payload []byte
	Lost            bool
}

// Oracle is the simplest stream store there is.
type Oracle struct {
	Memory      bool
	Msgs        []Msg // in order
	First, Last uint64
	LastTime    int64
}

// Clone returns a copy that shares message bytes.
func (o *Oracle) Clone() *Oracle {
	c := *o
	c.Msgs = slices.Clone(o.Msgs)
	return &c
}

// Append stores a message.
func (o *Oracle) Append(r *store.Rec) {
	if len(o.Msgs) == 0 {
		o.First = r.Seq
	}
	o.Msgs = append(o.Msgs, Msg{
		Seq: r.Seq, Bytes: msgtab.Bytes(o.Memory, r), Time: r.Time, TTL: r.TTL, Subject: string(r.Subject),
		Header: slices.Clone(r.Header), Payload: slices.Clone(r.Payload),
	})
	o.Last, o.LastTime = r.Seq, r.Time
}

// SkipTo makes seq the last sequence.
func (o *Oracle) SkipTo(seq uint64) {
	if len(o.Msgs) == 0 {
		o.First = seq + 1
	}
	o.Last = seq
}

// Find returns the position of the first message at or after seq.
func (o *Oracle) Find(seq uint64) int {
	i, _ := slices.BinarySearchFunc(o.Msgs, seq, func(m Msg, s uint64) int {
		switch {
		case m.Seq < s:
			return -1
		case m.Seq > s:
			return 1
		}
		return 0
	})
	return i
}

// Has reports whether seq is a message.
func (o *Oracle) Has(seq uint64) bool {
	i := o.Find(seq)
	return i < len(o.Msgs) && o.Msgs[i].Seq == seq
}

// Remove deletes a message.
func (o *Oracle) Remove(seq uint64) bool {
	if !o.Has(seq) {
		return false
	}
	i := o.Find(seq)
	o.Msgs = slices.Delete(o.Msgs, i, i+1)
	o.settle()
	return true
}

func (o *Oracle) settle() {
	o.First = o.Last + 1
	if len(o.Msgs) > 0 {
		o.First = o.Msgs[0].Seq
	}
}

// Pass reports whether a subject passes f.
func Pass(f *store.Filter, subj string) bool {
	if f.All() {
		return true
	}
	return slices.ContainsFunc(f.Patterns, func(p string) bool { return subject.Match(subj, p) })
}

// Purge removes what p selects.
func (o *Oracle) Purge(p *store.Purge) (gone []uint64) {
	var match []uint64
	for _, m := range o.Msgs {
		if Pass(p.Filter, m.Subject) {
			match = append(match, m.Seq)
		}
	}
	match = match[:len(match)-int(min(uint64(len(match)), p.Keep))]
	for _, q := range match {
		if p.Below == 0 || q < p.Below {
			gone = append(gone, q)
		}
	}
	o.Msgs = slices.DeleteFunc(o.Msgs, func(m Msg) bool { _, ok := slices.BinarySearch(gone, m.Seq); return ok })
	if len(gone) > 0 {
		o.settle()
	}
	return gone
}

// State returns the summary, without what is lost.
func (o *Oracle) State() store.State {
	s := store.State{Msgs: uint64(len(o.Msgs)), FirstSeq: o.First, LastSeq: o.Last, LastTime: o.LastTime}
	subjects := map[string]bool{}
	for _, m := range o.Msgs {
		s.Bytes += m.Bytes
		subjects[m.Subject] = true
	}
	s.Subjects = len(subjects)
	if len(o.Msgs) > 0 {
		s.FirstTime = o.Msgs[0].Time
		s.Deleted = o.Last - o.First + 1 - s.Msgs
	}
	return s
}
