package stream

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"ramjet/proto/header"
	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
	"ramjet/store"
)

// maxMultiSubjects bounds the subjects of a multi-last get.
const maxMultiSubjects = 1024

// DirectGet is one direct get in progress (reference/jetstream/stream.md, section 7). Owner: the shard.
type DirectGet struct {
	m     *Machine
	reply []byte
	req   jsapi.MsgGetRequest

	filter  *store.Filter
	next    uint64   // where the walk goes on
	multi   []uint64 // sequences of a multi get
	batch   int      // messages yet to send
	bytes   int      // bytes yet to send; 0 no bound
	upTo    uint64
	prev    uint64 // sequence sent last
	pending uint64
	exact   bool
	single  bool
	sent    bool
}

// StartDirect begins a direct get. body is the request; subj is the tail of the subject form, "" for the body form.
// maxBytes is the server's bound of pending bytes. A refusal is sent at once, with nil as the result.
func (m *Machine) StartDirect(subj string, hdr, body, reply []byte, maxBytes int, out *Effects) *DirectGet {
	if v := header.Get(hdr, jsapi.HdrRequiredAPILevel); v != nil && !jsapi.LevelSupported(v) {
		out.status(reply, 412, "Required Api Level")
		return nil
	}
	d := &DirectGet{m: m, reply: bytes.Clone(reply)}
	empty := len(bytes.TrimSpace(body)) == 0
	if empty && subj == "" {
		out.status(reply, 408, "Empty Request")
		return nil
	}
	if !empty && json.Unmarshal(body, &d.req) != nil {
		out.status(reply, 408, "Malformed Request")
		return nil
	}
	r := &d.req
	if subj != "" {
		if r.Seq > 0 || r.LastFor != "" || r.NextFor != "" || r.StartTime != nil || len(r.MultiLast) > 0 || r.Batch > 0 {
			out.status(reply, 408, "Bad Request")
			return nil
		}
		r.LastFor = subj
	}
	if r.Seq == 0 && r.LastFor == "" && r.NextFor == "" && r.StartTime == nil && len(r.MultiLast) == 0 {
		out.status(reply, 408, "Empty Request")
		return nil
	}
	if !d.valid() {
		out.status(reply, 408, "Bad Request")
		return nil
	}
	if r.MaxBytes > 0 && maxBytes > 0 {
		d.bytes = min(r.MaxBytes, maxBytes)
	} else {
		d.bytes = max(r.MaxBytes, maxBytes)
	}
	if !d.plan(out) {
		return nil
	}
	return d
}

// valid checks that the selectors fit together.
func (d *DirectGet) valid() bool {
	r := &d.req
	if r.UpToSeq > 0 && r.UpToTime != nil {
		return false // both bounds
	}
	if len(r.MultiLast) > 0 {
		return r.LastFor == "" && r.NextFor == "" && r.StartTime == nil
	}
	switch {
	case r.LastFor != "":
		return r.Seq == 0 && r.NextFor == "" && r.StartTime == nil && r.Batch == 0
	case r.Seq > 0 && r.StartTime != nil:
		return false
	}
	return r.Seq > 0 || r.StartTime != nil || r.NextFor != ""
}

// plan finds where the walk starts; false if there is nothing, which was answered.
func (d *DirectGet) plan(out *Effects) bool {
	r, log := &d.req, d.m.log
	if len(r.MultiLast) > 0 {
		return d.planMulti(out)
	}
	d.single, d.batch = r.Batch == 0, max(r.Batch, 1)
	switch {
	case r.LastFor != "":
		d.exact = true
		if subject.HasWildcard(r.LastFor) {
			var rec store.Rec
			if log.Prev(&store.Filter{Patterns: []string{r.LastFor}}, 1<<64-1, &rec) == store.Hit {
				d.next = rec.Seq
			}
		} else {
			d.next, _ = log.Last([]byte(r.LastFor))
		}
	case r.StartTime != nil:
		d.next = log.SeqAt(r.StartTime.UnixNano())
	default:
		d.next = r.Seq
		d.exact = d.single && r.NextFor == ""
	}
	if r.NextFor != "" {
		d.filter = &store.Filter{Patterns: []string{r.NextFor}}
	}
	if !d.single {
		d.pending = log.Pending(d.filter, d.next, false)
	}
	return true
}

func (d *DirectGet) planMulti(out *Effects) bool {
	r, log := &d.req, d.m.log
	d.upTo = 1<<64 - 1
	if r.UpToSeq > 0 {
		d.upTo = r.UpToSeq
	}
	if r.UpToTime != nil {
		if d.upTo = log.SeqAt(r.UpToTime.UnixNano()) - 1; d.upTo == 0 {
			out.status(d.reply, 404, "No Results")
			return false
		}
	}
	var st store.State
	log.State(&st)
	if r.UpToTime != nil && d.upTo < st.FirstSeq {
		out.status(d.reply, 404, "No Results")
		return false
	}
	filter := &store.Filter{Patterns: r.MultiLast}
	n, older := 0, 0  // older: below the lowest sequence asked for, which ends a walk in pages
	var late []string // subjects whose last message is after the bound
	log.Subjects(filter, func(s []byte, _, last uint64) bool {
		n++
		if last <= d.upTo {
			if last >= r.Seq {
				d.multi = append(d.multi, last)
			} else {
				older++
			}
		} else {
			late = append(late, string(s))
		}
		return n <= maxMultiSubjects
	})
	if n > maxMultiSubjects {
		out.status(d.reply, 413, "Too Many Results")
		return false
	}
	var rec store.Rec
	for _, s := range late {
		switch {
		case log.Prev(&store.Filter{Patterns: []string{s}}, d.upTo, &rec) != store.Hit:
		case rec.Seq < r.Seq:
			older++
		default:
			d.multi = append(d.multi, rec.Seq)
		}
	}
	if len(d.multi)+older == 0 {
		out.status(d.reply, 404, "No Results")
		return false
	}
	slices.Sort(d.multi)
	d.upTo = min(d.upTo, st.LastSeq)
	d.batch, d.pending = len(d.multi), uint64(len(d.multi))
	if r.Batch > 0 {
		d.batch = min(d.batch, r.Batch)
	}
	return true
}

// Step sends up to n messages. It returns true when the get is over. wait tells that a message is being read: call Step
// again when the log has it.
func (d *DirectGet) Step(n int, out *Effects) (done, wait bool) {
	var rec store.Rec
	for ; n > 0; n-- {
		if d.batch == 0 {
			return d.end(out), false
		}
		a := d.load(&rec)
		switch {
		case a == store.Pending:
			return false, true
		case a != store.Hit && !d.sent:
			out.status(d.reply, 404, "Message Not Found")
			return true, false
		case a != store.Hit:
			return d.end(out), false
		}
		d.send(&rec, out)
		if d.single {
			return true, false
		}
	}
	return false, false
}

func (d *DirectGet) load(rec *store.Rec) store.Avail {
	log := d.m.log
	if d.multi != nil {
		for len(d.multi) > 0 {
			a := log.Load(d.multi[0], rec)
			if a == store.Hit || a == store.Pending {
				return a
			}
			d.multi = d.multi[1:] // removed since the plan
			d.batch--
			d.pending--
			if d.batch == 0 {
				break
			}
		}
		return store.None
	}
	if d.exact {
		if d.next == 0 {
			return store.None
		}
		return log.Load(d.next, rec)
	}
	return log.Next(d.filter, d.next, rec)
}

// send adds one message and moves on.
func (d *DirectGet) send(rec *store.Rec, out *Effects) {
	d.batch--
	var h []byte
	if !d.req.NoHeaders || d.req.MultiLast != nil { // a multi get needs them
		if d.pending > 0 {
			d.pending--
		}
		h = d.m.hdr[:0]
		if len(rec.Header) > len(header.Empty) {
			h = append(h, rec.Header[:len(rec.Header)-2]...)
		} else {
			h = append(h, header.Version+"\r\n"...)
		}
		h = AppendOrigin(h, d.m.cfg.Name, rec.Subject, rec.Seq, rec.Time)
		if !d.single {
			h = appendNum(h, jsapi.HdrNumPending, d.pending)
			h = appendNum(h, jsapi.HdrLastSequence, d.prev)
		}
		h = append(h, "\r\n"...)
		d.m.hdr = h
	}
	out.send(d.reply, h, out.copy(rec.Payload))
	d.prev, d.sent, d.next = rec.Seq, true, rec.Seq+1
	if d.multi != nil {
		d.multi = d.multi[1:]
	}
	if d.bytes > 0 {
		if d.bytes -= len(rec.Header) + len(rec.Payload) + len(rec.Subject); d.bytes <= 0 {
			d.batch = 0
		}
	}
}

// end closes a batch with its status.
func (d *DirectGet) end(out *Effects) bool {
	if d.single {
		return true
	}
	h := header.AppendStatusLine(nil, 204, "EOB")
	h = appendNum(h, jsapi.HdrNumPending, d.pending)
	h = appendNum(h, jsapi.HdrLastSequence, d.prev)
	if d.req.MultiLast != nil {
		h = appendNum(h, jsapi.HdrUpToSequence, d.upTo)
	}
	out.send(d.reply, append(h, "\r\n"...), nil)
	return true
}

// GetMsg answers MSG.GET. wait tells that the message is being read: call it again when the log has it.
func (m *Machine) GetMsg(r *jsapi.MsgGetRequest) (msg *jsapi.StoredMsg, err *jsapi.Error, wait bool) {
	selectors := 0
	for _, set := range []bool{r.Seq > 0 && r.NextFor == "", r.LastFor != "", r.StartTime != nil && r.NextFor == "", r.NextFor != ""} {
		if set {
			selectors++
		}
	}
	if selectors != 1 || r.Batch > 0 || r.MaxBytes > 0 || len(r.MultiLast) > 0 || r.Seq > 0 && r.StartTime != nil {
		return nil, jsapi.BadRequest.Err(), false
	}
	from := r.Seq
	if r.StartTime != nil {
		from = m.log.SeqAt(r.StartTime.UnixNano())
	}
	var rec store.Rec
	var a store.Avail
	switch {
	case r.LastFor != "":
		a = m.log.Prev(&store.Filter{Patterns: []string{r.LastFor}}, 1<<64-1, &rec)
	case r.NextFor != "":
		a = m.log.Next(&store.Filter{Patterns: []string{r.NextFor}}, from, &rec)
	case r.StartTime != nil:
		a = m.log.Next(nil, from, &rec)
	default:
		a = m.log.Load(from, &rec)
	}
	switch a {
	case store.Pending:
		return nil, nil, true
	case store.Hit:
	default:
		return nil, jsapi.NoMessageFound.Err(), false
	}
	msg = &jsapi.StoredMsg{Subject: string(rec.Subject), Seq: rec.Seq, Data: bytes.Clone(rec.Payload), Time: time.Unix(0, rec.Time).UTC()}
	if !r.NoHeaders {
		msg.Header = bytes.Clone(rec.Header)
	}
	return msg, nil, false
}
