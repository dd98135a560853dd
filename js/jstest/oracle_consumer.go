package jstest

import (
	"fmt"
	"slices"
	"sort"

	"ramjet/js/consumer"
	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
	"ramjet/store"
)

// OracleConsumer is a pull consumer done the dumb way: one list of messages that were delivered, one of requests, and
// everything counted anew each time it is asked for.
type OracleConsumer struct {
	Log    *Log
	Policy jsapi.AckPolicy
	Wait   int64
	Back   []int64
	MaxDel int
	MaxAck int
	Filter store.Filter

	next         uint64
	dseq         uint64
	sseq         uint64
	floorC       uint64
	floorS       uint64
	looked       uint64       // up to where nothing was found
	out          []*oracleMsg // delivered, not acknowledged, by sequence
	givenUp      map[uint64]int
	ready        []uint64 // to be delivered again, in order
	reqs         []*oracleReq
	blocked      bool // a read has to wait: nothing is delivered until Wake
	Lines        []string
	Redeliveries int
}

type oracleMsg struct {
	seq, dseq uint64
	n         int
	due       int64
	ready     bool
}

type oracleReq struct {
	to       string
	n, bytes int
	limited  bool
	noWait   bool
	got      bool
	expires  int64
}

// NewOracleConsumer returns one that begins at the first message.
func NewOracleConsumer(l *Log, policy jsapi.AckPolicy) *OracleConsumer {
	return &OracleConsumer{Log: l, Policy: policy, next: 1, givenUp: map[uint64]int{}, MaxDel: -1}
}

func (o *OracleConsumer) say(format string, a ...any) {
	o.Lines = append(o.Lines, fmt.Sprintf(format, a...))
}

// Take returns the lines since the last call.
func (o *OracleConsumer) Take() []string {
	l := o.Lines
	o.Lines = nil
	return l
}

func (o *OracleConsumer) pending() uint64 { return o.Log.Pending(&o.Filter, o.next, false) }

func (o *OracleConsumer) find(seq uint64) *oracleMsg {
	for _, m := range o.out {
		if m.seq == seq {
			return m
		}
	}
	return nil
}

// Info returns the numbers of ConsumerInfo as one line.
func (o *OracleConsumer) Info() string {
	red := 0
	for _, m := range o.out {
		if m.n > 1 {
			red++
		}
	}
	red += len(o.givenUp)
	if o.MaxDel == 1 {
		red = 0
	}
	sseq := o.sseq
	if o.dseq == 0 && sseq == 0 {
		sseq = o.looked
	}
	return fmt.Sprintf("delivered %d/%d floor %d/%d ackpending %d redelivered %d waiting %d pending %d", o.dseq, sseq, o.floorC,
		o.floorS, len(o.out), red, len(o.reqs), o.pending())
}

// Needs reports whether the consumer still needs a stored message.
func (o *OracleConsumer) Needs(seq uint64) bool {
	m := o.Log.Find(seq)
	if m == nil || !Passes(&o.Filter, m.Subject) {
		return false
	}
	_, up := o.givenUp[seq]
	return seq >= o.next || o.find(seq) != nil || up
}

func (o *OracleConsumer) floor(first bool) {
	c, s := o.floorC, o.floorS
	switch {
	case len(o.out) == 0:
		c, s = o.dseq, o.sseq
	case first:
		c, s = o.out[0].dseq-1, o.out[0].seq-1
	}
	o.floorC, o.floorS = max(c, o.floorC), max(s, o.floorS)
}

// drop takes a message out of everything.
func (o *OracleConsumer) drop(seq uint64) {
	delete(o.givenUp, seq)
	o.ready = slices.DeleteFunc(o.ready, func(s uint64) bool { return s == seq })
	for i, m := range o.out {
		if m.seq == seq {
			o.out = slices.Delete(o.out, i, i+1)
			o.floor(i == 0 && m.dseq == o.floorC+1) // not above one that was given up
			return
		}
	}
}

// Next takes a request.
func (o *OracleConsumer) Next(now int64, to string, batch, maxBytes int, expires int64, noWait bool) {
	o.expire(now)
	if noWait {
		asked := 0
		for _, r := range o.reqs {
			asked += r.n
		}
		have := int(o.pending()) + len(o.ready)
		if have == 0 && expires == 0 {
			o.say("%s 404 No Messages", to)
			return
		}
		if have > 0 && have < asked {
			o.say("%s 408 Requests Pending", to)
			return
		}
	}
	r := &oracleReq{to: to, n: batch, bytes: maxBytes, limited: maxBytes > 0, noWait: noWait}
	if expires > 0 {
		r.expires = now + expires
	}
	o.reqs = append(o.reqs, r)
	o.Pump(now)
}

func (o *OracleConsumer) expire(now int64) {
	for {
		var first *oracleReq
		for _, r := range o.reqs {
			if r.expires != 0 && r.expires <= now && (first == nil || r.expires < first.expires) {
				first = r
			}
		}
		if first == nil {
			return
		}
		o.end(first, fmt.Sprintf("408 Request Timeout Nats-Pending-Messages=%d Nats-Pending-Bytes=%d", max(first.n, 0), first.bytes))
	}
}

func (o *OracleConsumer) end(r *oracleReq, status string) {
	if status != "" {
		o.say("%s %s", r.to, status)
	}
	o.reqs = slices.DeleteFunc(o.reqs, func(q *oracleReq) bool { return q == r })
}

// Pump serves requests one message at a time.
func (o *OracleConsumer) Pump(now int64) {
	o.expire(now)
	for len(o.reqs) > 0 && !o.blocked {
		var rec store.Rec
		if len(o.ready) > 0 {
			if m := o.find(o.ready[0]); o.MaxDel > 0 && m.n >= o.MaxDel {
				o.retry(m)
				continue
			}
		}
		again := len(o.ready) > 0
		avail := store.Hit
		switch {
		case again:
			avail = o.Log.Load(o.ready[0], &rec)
		case o.Policy != jsapi.AckNone && o.MaxAck > 0 && len(o.out) >= o.MaxAck:
			return
		default:
			avail = o.Log.Next(&o.Filter, o.next, &rec)
		}
		switch avail {
		case store.Pending:
			o.blocked = true
			return
		case store.None:
			o.looked = o.Log.Last
			for _, r := range slices.Clone(o.reqs) {
				if r.noWait && (r.expires == 0 || r.got) {
					o.end(r, "404 No Messages")
				}
			}
			return
		}
		o.serve(now, o.reqs[0], &rec, again)
	}
}

// Wake tells that reads that had to wait are done.
func (o *OracleConsumer) Wake(now int64) {
	o.blocked = false
	o.Pump(now)
}

func (o *OracleConsumer) serve(now int64, r *oracleReq, rec *store.Rec, again bool) {
	n, left := 1, o.pending()
	if again {
		n = o.find(rec.Seq).n + 1
	} else {
		left--
	}
	reply := fmt.Sprintf("$JS.ACK.S.C.%d.%d.%d.%d.%d", n, rec.Seq, o.dseq+1, rec.Time, left)
	size := len(rec.Subject) + len(reply) + len(rec.Payload)
	if r.limited && size > r.bytes {
		o.end(r, fmt.Sprintf("409 Message Size Exceeds MaxBytes Nats-Pending-Messages=%d Nats-Pending-Bytes=%d", r.n, r.bytes))
		return
	}
	o.dseq++
	o.say("%s <- %s #%d d%d c%d p%d", r.to, rec.Subject, rec.Seq, n, o.dseq, left)
	if again {
		o.ready = o.ready[1:]
		m := o.find(rec.Seq)
		m.n, m.due, m.ready = n, o.due(now, n), false
		o.Redeliveries++
	} else {
		o.next, o.sseq = rec.Seq+1, rec.Seq
		if o.Policy == jsapi.AckNone {
			o.floorC, o.floorS = o.dseq, o.sseq
		} else {
			o.out = append(o.out, &oracleMsg{seq: rec.Seq, dseq: o.dseq, n: 1, due: o.due(now, 1)})
		}
	}
	r.n--
	r.got = true
	if r.limited {
		r.bytes -= size
	}
	if r.n > 0 {
		o.reqs = append(o.reqs[1:], r)
		return
	}
	status := ""
	if r.limited && r.bytes > 0 {
		status = fmt.Sprintf("409 Batch Completed Nats-Pending-Messages=0 Nats-Pending-Bytes=%d", r.bytes)
	}
	o.end(r, status)
}

func (o *OracleConsumer) due(now int64, n int) int64 {
	if len(o.Back) > 0 {
		return now + o.Back[min(n, len(o.Back))-1]
	}
	return now + o.Wait
}

// Due returns the earliest time at which something happens by itself, 0 if never.
func (o *OracleConsumer) Due() (at int64) {
	try := func(t int64) {
		if t != 0 && (at == 0 || t < at) {
			at = t
		}
	}
	for _, m := range o.out {
		if !m.ready {
			try(max(m.due, 1))
		}
	}
	for _, r := range o.reqs {
		try(r.expires)
	}
	return at
}

// Tick does what is due.
func (o *OracleConsumer) Tick(now int64) {
	for _, m := range slices.Clone(o.out) {
		if !m.ready && m.due <= now {
			o.retry(m)
		}
	}
	o.Pump(now)
}

func (o *OracleConsumer) retry(m *oracleMsg) {
	if o.MaxDel > 0 && m.n >= o.MaxDel {
		o.out = slices.DeleteFunc(o.out, func(x *oracleMsg) bool { return x == m })
		o.ready = slices.DeleteFunc(o.ready, func(s uint64) bool { return s == m.seq })
		o.givenUp[m.seq] = m.n // it leaves a hole: the floor stays
		return
	}
	m.ready = true
	o.ready = append(o.ready, m.seq)
}

// Ack takes an acknowledgement of a kind with the numbers of a delivery.
func (o *OracleConsumer) Ack(now int64, kind string, seq, dseq uint64, delay int64) {
	if o.Policy == jsapi.AckNone || seq >= o.next {
		return
	}
	m := o.find(seq)
	switch {
	case (kind == "" || kind == "+TERM") && o.Policy == jsapi.AckAll:
		first := o.floorS + 1
		if len(o.out) > 0 {
			first = min(first, o.out[0].seq)
		}
		if seq >= first {
			o.ackAll(seq, dseq)
		}
	case kind == "" || kind == "+TERM":
		o.drop(seq)
	case m == nil:
	case kind == "-NAK" && (dseq <= o.floorC || dseq > o.dseq):
	case kind == "-NAK" && delay > 0:
		m.due, m.ready = now+delay, false
		o.ready = slices.DeleteFunc(o.ready, func(s uint64) bool { return s == m.seq })
	case m.ready: // it is delivered again anyway
	case kind == "+WPI":
		m.due = o.due(now, m.n)
	case kind == "-NAK":
		m.ready, m.due = true, 0
		o.ready = append(o.ready, m.seq)
	}
	o.Pump(now)
}

func (o *OracleConsumer) ackAll(seq, dseq uint64) {
	o.out = slices.DeleteFunc(o.out, func(m *oracleMsg) bool { return m.seq <= seq })
	o.ready = slices.DeleteFunc(o.ready, func(s uint64) bool { return s <= seq })
	for s := range o.givenUp {
		if s <= seq {
			delete(o.givenUp, s)
		}
	}
	o.floorC, o.floorS = max(o.floorC, min(dseq, o.dseq)), max(o.floorS, min(seq, o.sseq))
}

func (o *OracleConsumer) first() uint64 {
	if len(o.Log.Msgs) > 0 {
		return o.Log.Msgs[0].Seq
	}
	return o.Log.Last + 1
}

// Purged tells that messages that pass f left the log by a purge.
func (o *OracleConsumer) Purged(now int64, f *store.Filter) {
	first := o.first()
	if all := !f.All() && len(o.Filter.Patterns) > 0; all {
		for _, own := range o.Filter.Patterns {
			all = all && slices.ContainsFunc(f.Patterns, func(p string) bool { return subject.IsSubset(own, p) })
		}
		if all {
			i := slices.IndexFunc(o.Log.Msgs, func(m store.Rec) bool { return Passes(f, m.Subject) })
			if first = o.Log.Last + 1; i >= 0 {
				first = o.Log.Msgs[i].Seq
			}
		}
	}
	if o.next < first {
		o.next, o.sseq = first, max(o.sseq, first-1)
		o.out, o.ready, o.givenUp = nil, nil, map[uint64]int{}
		o.floor(false)
	}
	o.Removed(now)
}

// Removed tells that messages left the log.
func (o *OracleConsumer) Removed(now int64) {
	o.forgetGone()
	o.Pump(now)
}

func (o *OracleConsumer) forgetGone() {
	var gone []uint64
	for _, m := range o.out {
		if o.Log.Find(m.seq) == nil {
			gone = append(gone, m.seq)
		}
	}
	for s := range o.givenUp {
		if o.Log.Find(s) == nil {
			gone = append(gone, s)
		}
	}
	for _, s := range gone {
		o.drop(s)
	}
}

// Restart forgets what only the leader knew: requests, and the order of what waits for redelivery. Messages may have
// left the log since the last call.
func (o *OracleConsumer) Restart() {
	o.reqs, o.ready, o.blocked = nil, nil, false
	o.next = max(o.next, o.first())
	o.looked = o.next - 1
	for _, m := range o.out {
		m.ready = false
	}
	o.forgetGone()
	sort.Slice(o.out, func(i, k int) bool { return o.out[i].seq < o.out[k].seq })
}

// SetFilter changes what passes.
func (o *OracleConsumer) SetFilter(now int64, cfg *jsapi.ConsumerConfig) {
	o.Filter = store.Filter{Patterns: consumer.FilterSubjects(cfg)}
	o.looked = o.next - 1
	o.Pump(now)
}
