package storetest

import (
	"bytes"
	"fmt"
	"slices"

	"ramjet/proto/base/rng"
	"ramjet/store"
)

// Store is what every stream store does (js/stream.Log, and expiry).
type Store interface {
	Append(r *store.Rec) error
	SkipTo(seq uint64) error
	Load(seq uint64, r *store.Rec) store.Avail
	Next(f *store.Filter, from uint64, r *store.Rec) store.Avail
	Prev(f *store.Filter, upto uint64, r *store.Rec) store.Avail
	Remove(seq uint64, erase bool) bool
	Purge(p *store.Purge, each func(seq uint64)) uint64
	State(*store.State)
	Last(subject []byte) (seq uint64, ok bool)
	Count(subject []byte) uint64
	First(subject []byte) (seq uint64, ok bool)
	Subjects(f *store.Filter, fn func(subject []byte, count, last uint64) bool)
	Pending(f *store.Filter, from uint64, lastPerSubject bool) uint64
	SeqAt(t int64) uint64
	Deleted(fn func(from, to uint64) bool)
	OldestExpired(now, maxAge int64) (seq uint64, at int64, a store.Avail)
	Expire(now int64, fn func(seq uint64) bool) int
	NextExpiry() (at int64, ok bool)
	Due(now int64, fn func(seq uint64) bool)
	Check() error
}

// Driver runs random operations on a store and an oracle.
type Driver struct {
	R *rng.Source
	S Store
	O *Oracle
	// Wait is called when a read is Pending; it lets the readers run.
	Wait    func()
	Now     int64
	Payload int // largest payload; default 60
	Keys    int // different subjects; default 40
	// Ops counts the changes made, Log is told each of them first (to be replayed after a crash).
	Ops     uint64
	Log     func(Op)
	filters []*store.Filter
}

// Op is a change of a stream.
type Op struct {
	Kind  byte // 'a'ppend, 's'kip, 'r'emove, 'e'rase, 'p'urge
	Rec   store.Rec
	Seq   uint64
	Purge store.Purge
}

// Apply makes the change on a store.
func (op *Op) Apply(s Store) error {
	switch op.Kind {
	case 'a':
		return s.Append(&op.Rec)
	case 's':
		return s.SkipTo(op.Seq)
	case 'r', 'e':
		s.Remove(op.Seq, op.Kind == 'e')
	case 'p':
		p := op.Purge
		if p.Filter != nil {
			p.Filter = &store.Filter{Patterns: p.Filter.Patterns}
		}
		s.Purge(&p, nil)
	}
	return nil
}

// ApplyOracle makes the change on an oracle.
func (op *Op) ApplyOracle(o *Oracle) {
	switch op.Kind {
	case 'a':
		o.Append(&op.Rec)
	case 's':
		o.SkipTo(op.Seq)
	case 'r', 'e':
		o.Remove(op.Seq)
	case 'p':
		o.Purge(&op.Purge)
	}
}

func (d *Driver) subject() string {
	keys := d.Keys
	if keys == 0 {
		keys = 40
	}
	k := d.R.Intn(keys)
	if d.R.Intn(3) > 0 {
		k = d.R.Intn(min(keys, 4))
	}
	return fmt.Sprintf("s.%d.%c", k, 'a'+k%3)
}

func (d *Driver) pattern() string {
	switch d.R.Intn(6) {
	case 0:
		return "s.*." + string(rune('a'+d.R.Intn(4)))
	case 1:
		return fmt.Sprintf("s.%d.>", d.R.Intn(40))
	case 2:
		return "s.>"
	case 3:
		return "nothing.here"
	}
	return d.subject()
}

// filter returns a filter, often one that was used before.
func (d *Driver) filter() *store.Filter {
	if len(d.filters) > 8 && d.R.Intn(4) > 0 {
		return d.filters[d.R.Intn(len(d.filters))]
	}
	var f *store.Filter
	if d.R.Intn(5) > 0 {
		f = &store.Filter{Patterns: []string{d.pattern()}}
		for d.R.Intn(4) == 0 {
			f.Patterns = append(f.Patterns, d.pattern())
		}
	}
	d.filters = append(d.filters, f)
	return f
}

// Reset forgets filters that remember another store.
func (d *Driver) Reset(s Store) {
	d.S = s
	for _, f := range d.filters {
		if f != nil {
			f.Compiled = nil
		}
	}
}

func (d *Driver) anySeq() uint64 {
	lo := d.O.First - min(d.O.First, 3)
	if d.R.Intn(3) == 0 && len(d.O.Msgs) > 0 {
		return d.O.Msgs[d.R.Intn(len(d.O.Msgs))].Seq
	}
	return lo + d.R.Uint64n(d.O.Last-lo+4)
}

// Record makes a random message.
func (d *Driver) Record() store.Rec {
	d.Now += int64(d.R.Intn(1000) + 1)
	r := store.Rec{Seq: d.O.Last + 1, Time: d.Now, Subject: []byte(d.subject())}
	if d.R.Intn(50) == 0 {
		r.Seq += d.R.Uint64n(5000)
	}
	size := d.Payload
	if size == 0 {
		size = 60
	}
	r.Payload = make([]byte, d.R.Intn(size))
	for i := range r.Payload {
		r.Payload[i] = byte(d.R.Uint64())
	}
	if d.R.Intn(3) == 0 {
		r.Header = fmt.Appendf(nil, "NATS/1.0\r\nA: %d\r\n\r\n", d.R.Intn(100))
	}
	switch d.R.Intn(30) {
	case 0:
		r.TTL = int64(d.R.Intn(3) + 1)
	case 1:
		r.TTL = -1
	}
	return r
}

// Change makes one random change.
func (d *Driver) Change() error {
	op := Op{Kind: 'a'}
	switch k := d.R.Intn(40); {
	case k < 22:
		op.Rec = d.Record()
	case k < 36:
		op.Kind, op.Seq = 'r', d.anySeq()
		if d.R.Intn(4) == 0 {
			op.Kind = 'e'
		}
		if d.R.Intn(3) == 0 {
			op.Seq = d.O.First
		}
	case k < 37:
		op.Kind, op.Seq = 's', d.O.Last+d.R.Uint64n(20)
	default:
		if d.R.Intn(6) > 0 {
			op.Rec = d.Record()
			break
		}
		op.Kind = 'p'
		op.Purge = store.Purge{Filter: d.filter()}
		switch d.R.Intn(4) {
		case 0:
			op.Purge.Below = d.anySeq()
		case 1:
			op.Purge.Keep = d.R.Uint64n(20)
		}
	}
	return d.Do(op)
}

// Do makes a change on both and compares what they say.
func (d *Driver) Do(op Op) error {
	d.Ops++
	if d.Log != nil {
		d.Log(op)
	}
	switch op.Kind {
	case 'r', 'e':
		want := d.O.Remove(op.Seq)
		if got := d.S.Remove(op.Seq, op.Kind == 'e'); got != want {
			return fmt.Errorf("Remove(%d) = %v, want %v", op.Seq, got, want)
		}
	case 'p':
		want := d.O.Purge(&op.Purge)
		var gone []uint64
		n := d.S.Purge(&op.Purge, func(q uint64) { gone = append(gone, q) })
		if n != uint64(len(want)) || !slices.Equal(gone, want) {
			return fmt.Errorf("Purge(%+v) = %d %v, want %v", op.Purge, n, gone, want)
		}
	default:
		op.ApplyOracle(d.O)
		if err := op.Apply(d.S); err != nil {
			return err
		}
	}
	return d.CheckState()
}

// CheckState compares the summaries.
func (d *Driver) CheckState() error {
	var got store.State
	d.S.State(&got)
	if want := d.O.State(); got != want {
		return fmt.Errorf("state\n %+v, want\n %+v", got, want)
	}
	return nil
}

func (d *Driver) retry(fn func() store.Avail) store.Avail {
	for range 1000 {
		a := fn()
		if a != store.Pending {
			return a
		}
		if d.Wait == nil {
			return a
		}
		d.Wait()
	}
	return store.Pending
}

func same(r *store.Rec, m *Msg) error {
	if r.Seq != m.Seq || r.Time != m.Time || r.TTL != m.TTL || string(r.Subject) != m.Subject || !bytes.Equal(r.Header, m.Header) || !bytes.Equal(r.Payload, m.Payload) {
		return fmt.Errorf("got %+v, want %+v", *r, *m)
	}
	return nil
}

// Query asks one random question.
func (d *Driver) Query() error {
	var r store.Rec
	o := d.O
	seq := d.anySeq()
	switch d.R.Intn(10) {
	case 0:
		a := d.retry(func() store.Avail { return d.S.Load(seq, &r) })
		if !o.Has(seq) {
			if a != store.None {
				return fmt.Errorf("Load(%d) = %v, want None", seq, a)
			}
			return nil
		}
		if a != store.Hit {
			return fmt.Errorf("Load(%d) = %v, want Hit", seq, a)
		}
		return same(&r, &o.Msgs[o.Find(seq)])
	case 1, 2:
		f := d.filter()
		i := o.Find(seq)
		for i < len(o.Msgs) && !Pass(f, o.Msgs[i].Subject) {
			i++
		}
		a := d.retry(func() store.Avail { return d.S.Next(f, seq, &r) })
		if i == len(o.Msgs) {
			if a != store.None {
				return fmt.Errorf("Next(%v, %d) = %v %d, want None", f, seq, a, r.Seq)
			}
			return nil
		}
		if a != store.Hit {
			return fmt.Errorf("Next(%v, %d) = %v, want %d", f, seq, a, o.Msgs[i].Seq)
		}
		return same(&r, &o.Msgs[i])
	case 3:
		f := d.filter()
		i := o.Find(seq+1) - 1
		for i >= 0 && !Pass(f, o.Msgs[i].Subject) {
			i--
		}
		a := d.retry(func() store.Avail { return d.S.Prev(f, seq, &r) })
		if i < 0 {
			if a != store.None {
				return fmt.Errorf("Prev(%v, %d) = %v %d, want None", f, seq, a, r.Seq)
			}
			return nil
		}
		if a != store.Hit {
			return fmt.Errorf("Prev(%v, %d) = %v, want %d", f, seq, a, o.Msgs[i].Seq)
		}
		return same(&r, &o.Msgs[i])
	case 4:
		return d.queryPending(seq)
	case 5:
		return d.querySubjects()
	case 6:
		return d.querySubject()
	case 7:
		i := 0
		at := d.Now - int64(d.R.Intn(20000))
		for i < len(o.Msgs) && o.Msgs[i].Time < at {
			i++
		}
		want := o.Last + 1
		if i < len(o.Msgs) {
			want = o.Msgs[i].Seq
		}
		if got := d.S.SeqAt(at); got != want {
			return fmt.Errorf("SeqAt(%d) = %d, want %d", at, got, want)
		}
	case 8:
		return d.queryExpiry()
	case 9:
		if d.R.Intn(10) == 0 {
			return d.S.Check()
		}
		next := o.First
		var err error
		d.S.Deleted(func(lo, hi uint64) bool {
			for ; next < lo; next++ {
				if !o.Has(next) {
					err = fmt.Errorf("%d is not reported as deleted", next)
				}
			}
			for ; next <= hi; next++ {
				if o.Has(next) {
					err = fmt.Errorf("%d is reported as deleted", next)
				}
			}
			return err == nil
		})
		return err
	}
	return nil
}

func (d *Driver) queryPending(seq uint64) error {
	f := d.filter()
	want := uint64(0)
	last := map[string]uint64{}
	for _, m := range d.O.Msgs {
		if Pass(f, m.Subject) {
			last[m.Subject] = m.Seq
			if m.Seq >= seq {
				want++
			}
		}
	}
	if got := d.S.Pending(f, seq, false); got != want {
		return fmt.Errorf("wrong Pending(%v, %d) = %d, want %d", f, seq, got, want)
	}
	want = 0
	for _, q := range last {
		if q >= seq {
			want++
		}
	}
	if got := d.S.Pending(f, seq, true); got != want {
		return fmt.Errorf("Pending(%v, %d, last per subject) = %d, want %d", f, seq, got, want)
	}
	return nil
}

func (d *Driver) querySubjects() error {
	f := d.filter()
	type total struct{ n, last uint64 }
	m := map[string]total{}
	for _, x := range d.O.Msgs {
		if Pass(f, x.Subject) {
			m[x.Subject] = total{m[x.Subject].n + 1, x.Seq}
		}
	}
	before := ""
	var err error
	d.S.Subjects(f, func(subj []byte, n, last uint64) bool {
		s := string(subj)
		if m[s] != (total{n, last}) || s <= before {
			err = fmt.Errorf("wrong Subjects: %q %d %d, want %+v; before it %q", s, n, last, m[s], before)
		}
		before = s
		delete(m, s)
		return err == nil
	})
	if err == nil && len(m) > 0 {
		err = fmt.Errorf("wrong Subjects(%v) left out %v", f, m)
	}
	return err
}

func (d *Driver) querySubject() error {
	s := d.subject()
	var first, last, n uint64
	for _, m := range d.O.Msgs {
		if m.Subject == s {
			if n == 0 {
				first = m.Seq
			}
			last = m.Seq
			n++
		}
	}
	gf, ok1 := d.S.First([]byte(s))
	gl, ok2 := d.S.Last([]byte(s))
	if gn := d.S.Count([]byte(s)); gf != first || gl != last || gn != n || ok1 != (n > 0) || ok2 != ok1 {
		return fmt.Errorf("%q: first %d last %d count %d, want %d %d %d", s, gf, gl, gn, first, last, n)
	}
	return nil
}

func (d *Driver) queryExpiry() error {
	age := int64(d.R.Intn(40000))
	i := 0
	for i < len(d.O.Msgs) && d.O.Msgs[i].TTL < 0 {
		i++
	}
	var seq uint64
	a := d.retry(func() (a store.Avail) { seq, _, a = d.S.OldestExpired(d.Now, age); return a })
	if i < len(d.O.Msgs) && d.O.Msgs[i].Time+age <= d.Now {
		if a != store.Hit || seq != d.O.Msgs[i].Seq {
			return fmt.Errorf("OldestExpired = %d %v, want %d", seq, a, d.O.Msgs[i].Seq)
		}
	} else if a != store.None {
		return fmt.Errorf("OldestExpired = %d %v, want None", seq, a)
	}
	if d.R.Intn(5) > 0 {
		return nil
	}
	// A glance at what is due, without taking it.
	at := d.Now + int64(d.R.Intn(4))*1e9
	var due, next int64
	for _, m := range d.O.Msgs {
		if m.TTL > 0 && m.Time+m.TTL*1e9 <= at {
			due++
		}
		if end := m.Time + m.TTL*1e9; m.TTL > 0 && (next == 0 || end < next) {
			next = end
		}
	}
	if got, ok := d.S.NextExpiry(); ok != (next != 0) || (ok && got != next) {
		return fmt.Errorf("NextExpiry = %d %v, want %d", got, ok, next)
	}
	found := map[uint64]bool{}
	d.S.Due(at, func(q uint64) bool { found[q] = d.O.Has(q); return true })
	if int64(len(found)) != due {
		return fmt.Errorf("Due(%d) has %d, want %d", at, len(found), due)
	}
	var took uint64
	d.S.Expire(at, func(q uint64) bool { took = q; return false })
	if (took != 0) != (due != 0) {
		return fmt.Errorf("Expire(%d) offered %d, %d are due", at, took, due)
	}
	return nil
}

// ExpireAll removes what is due at the given time from both.
func (d *Driver) ExpireAll(now int64) error {
	var want []uint64
	for _, m := range d.O.Msgs {
		if m.TTL > 0 && m.Time+m.TTL*1e9 <= now {
			want = append(want, m.Seq)
		}
	}
	var got []uint64
	d.S.Expire(now, func(q uint64) bool { got = append(got, q); return true })
	for _, q := range got {
		if err := d.Do(Op{Kind: 'r', Seq: q}); err != nil {
			return err
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		return fmt.Errorf("wrong Expire: %v, want %v", got, want)
	}
	return nil
}
