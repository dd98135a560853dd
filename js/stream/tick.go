package stream

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"ramjet/js/op"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
	"ramjet/store"
)

// NextTick returns when Tick has something to do, unix nanoseconds; false if nothing waits for a time. now is the
// present time. The host rounds it up to its granularity (250 ms).
func (f *Front) NextTick(now int64) (at int64, ok bool) {
	earlier := func(t int64) {
		if !ok || t < at {
			at, ok = t, true
		}
	}
	if x, has := f.m.log.(Expirer); has && !f.expiring && !f.m.cfg.Sealed {
		if f.m.cfg.AllowMsgTTL {
			if t, due := x.NextExpiry(); due {
				earlier(t)
			}
		}
		if age := int64(f.m.cfg.MaxAge); age > 0 {
			switch _, t, a := x.OldestExpired(now, age); {
			case a == store.Hit || a == store.Pending:
				earlier(now)
			case t != 0:
				earlier(t)
			}
		}
	}
	if s := f.m.sched.due(); s != nil {
		earlier(s.next)
	}
	for _, b := range f.atomic {
		earlier(b.last + f.cfg.Batch.Timeout)
	}
	for _, b := range f.fast {
		earlier(b.at + f.cfg.Batch.Timeout)
	}
	return at, ok
}

// Tick does what is due at now: expiry, schedules, batches that went silent. Commands go to b, the rest to out.
func (f *Front) Tick(now int64, b *op.Batch, out *Effects) {
	f.expire(now, b)
	f.fire(now, b, out)
	f.timeoutBatches(now, b, out)
}

// expire proposes the removal of what is too old. Without markers one command does it; with markers the leader says
// message by message what goes and what takes its place.
func (f *Front) expire(now int64, b *op.Batch) {
	x, ok := f.m.log.(Expirer)
	if !ok || f.expiring || f.m.cfg.Sealed {
		return
	}
	age := int64(f.m.cfg.MaxAge)
	due := false
	if f.m.cfg.AllowMsgTTL {
		t, ok := x.NextExpiry()
		due = ok && t <= now
	}
	if age > 0 && !due {
		_, _, a := x.OldestExpired(now, age)
		due = a == store.Hit
	}
	if !due {
		return
	}
	if f.m.cfg.SubjectDeleteMarkerTTL > 0 {
		if now, ok = f.expireMarked(x, now, age, b); !ok {
			return
		}
	}
	b.Add(&op.Cmd{Kind: op.Expire, Time: now})
	f.expiring = true
}

// maxMarked is about how many messages one tick looks at for markers.
const maxMarked = 4096

// expiring is a message whose time is over.
type expiring struct {
	seq  uint64
	time int64
	subj string
}

// expireMarked proposes a marker for each subject that an Expire at until leaves without message. until is before now if
// there is much to look at, or if what follows is being read; false: the first one is.
func (f *Front) expireMarked(x Expirer, now, age int64, b *op.Batch) (until int64, ok bool) {
	list, until, ok := f.aged(x, now, age)
	if !ok {
		return 0, false
	}
	seen := make(map[uint64]bool, len(list))
	for i := range list {
		seen[list[i].seq] = true
	}
	f.eachExpired(until, func(r *store.Rec) {
		if !seen[r.Seq] {
			list = append(list, expiring{r.Seq, r.Time, string(r.Subject)})
		}
	})
	slices.SortFunc(list, func(a, b expiring) int { return cmp.Compare(a.seq, b.seq) })
	gone := make(map[string]uint64)
	for i := range list {
		gone[list[i].subj]++
	}
	for i := range list {
		n := gone[list[i].subj]
		delete(gone, list[i].subj)
		subj := []byte(list[i].subj)
		if n == 0 || f.subjs.find(subj) != nil || f.m.log.Count(subj) > n {
			continue
		}
		last, _ := f.m.log.Last(subj)
		if f.m.log.LoadNow(last, &f.rec) != store.Hit || header.Has(f.rec.Header, jsapi.HdrMarkerReason) ||
			string(header.Get(f.rec.Header, jsapi.HdrKVOperation)) == jsapi.KVPurge {
			continue
		}
		f.propose(&op.Cmd{Kind: op.Msg, Flags: op.FlagMarker | op.FlagRollupSub, Subject: subj,
			Header: f.markerHeader(jsapi.MarkerMaxAge), TTL: int64(f.m.cfg.SubjectDeleteMarkerTTL / time.Second)}, now, b)
	}
	return until, true
}

// aged lists the messages that the age limit removes at until.
func (f *Front) aged(x Expirer, now, age int64) (list []expiring, until int64, ok bool) {
	if age <= 0 {
		return nil, now, true
	}
	cut := f.m.log.SeqAt(now - age + 1)
	for seq, more := x.Aged(0, cut); more; seq, more = x.Aged(seq+1, cut) {
		a := f.m.log.Load(seq, &f.rec)
		n := len(list)
		switch {
		case a == store.Hit && n >= maxMarked && f.rec.Time > list[n-1].time:
			return list, f.rec.Time + age - 1, true
		case a == store.Hit:
			list = append(list, expiring{seq, f.rec.Time, string(f.rec.Subject)})
		case a == store.Pending && n == 0:
			return nil, 0, false
		case a == store.Pending: // it may have the time of the last ones
			end := list[n-1].time
			for n > 0 && list[n-1].time == end {
				n--
			}
			return list[:n], end + age - 1, n > 0
		}
	}
	return list, now, true
}

// eachExpired calls fn for each message whose own TTL is over.
func (f *Front) eachExpired(now int64, fn func(*store.Rec)) {
	if x, ok := f.m.log.(DueLister); ok {
		x.Due(now, func(seq uint64) bool {
			if f.m.log.LoadNow(seq, &f.rec) == store.Hit {
				fn(&f.rec)
			}
			return true
		})
		return
	}
	for seq := uint64(0); f.m.log.NextNow(nil, seq, &f.rec) == store.Hit; seq = f.rec.Seq + 1 {
		if f.rec.TTL > 0 && f.rec.Time+f.rec.TTL*int64(time.Second) <= now {
			fn(&f.rec)
		}
	}
}

func (f *Front) markerHeader(reason string) []byte {
	h := header.AppendAdd(nil, nil, jsapi.HdrMarkerReason, []byte(reason))
	h = header.AppendAdd(nil, h, jsapi.HdrTTL, []byte(f.m.cfg.SubjectDeleteMarkerTTL.String()))
	return header.AppendAdd(nil, h, jsapi.HdrRollup, []byte(jsapi.RollupSub))
}

// propose adds a message of the server's own.
func (f *Front) propose(c *op.Cmd, now int64, b *op.Batch) {
	f.seq, f.time = f.seq+1, max(now, f.time)
	c.Seq, c.Time = f.seq, f.time
	b.Add(c)
	q := f.pend.push()
	size := MsgSize(f.m.cfg.Storage, len(c.Subject), len(c.Header), len(c.Payload))
	*q = pending{seq: f.seq, size: size, reply: q.reply[:0], counted: true}
	f.inMsgs++
	f.inBytes += size
	f.subjs.push(c.Subject, f.seq, f.time)
	f.lastID, f.idsSet = f.lastID[:0], true
}

// checkSchedule validates the schedule headers (stream.md, section 5) and makes the schedule replace its predecessor.
func checkSchedule(f *Front, p *publish) *jsapi.Error {
	h := &p.h
	if !h.scheduled || p.in.Origin == Mirror || p.in.Origin == Source || p.in.Origin == Scheduler {
		return nil
	}
	if err := f.checkPattern(p); err != nil {
		return err
	}
	// A client may only end a schedule by name.
	switch {
	case h.next == nil && h.scheduler == nil:
		return nil
	case string(h.next) != jsapi.ScheduleNextDone || !subject.ValidLiteral(string(h.scheduler)) || string(h.scheduler) == string(p.subject):
		return jsapi.MessageSchedulesSchedulerInvalid.Err()
	case !f.m.cfg.AllowMsgSchedules:
		return jsapi.MessageSchedulesDisabled.Err()
	}
	last, inFlight := f.lastOf(h.scheduler)
	if !inFlight && last != 0 && f.m.log.LoadNow(last, &f.rec) == store.Hit && !header.Has(f.rec.Header, jsapi.HdrSchedule) {
		return jsapi.MessageSchedulesSchedulerInvalid.Err()
	}
	return nil
}

// checkPattern validates a schedule.
func (f *Front) checkPattern(p *publish) *jsapi.Error {
	h := &p.h
	var zone *time.Location
	var bad *jsapi.Error
	if h.zone != nil {
		z, err := time.LoadLocation(string(h.zone))
		if err != nil || len(h.zone) == 0 {
			bad = jsapi.MessageSchedulesTimeZoneInvalid.Err()
		}
		zone = z
	}
	if h.schedule != nil && bad == nil {
		sched, err := ParseSchedule(string(h.schedule), zone)
		if _, fires := sched.Next(p.now, p.now); err != nil || !fires {
			bad = jsapi.MessageSchedulesPatternInvalid.Err()
		}
	}
	switch {
	case (bad != nil || h.schedule != nil) && !f.m.cfg.AllowMsgSchedules:
		return jsapi.MessageSchedulesDisabled.Err()
	case bad != nil:
		return bad
	case h.schedule == nil:
		return nil
	}
	if h.schedTTL != nil {
		if _, ok := jsapi.ParseTTL(h.schedTTL); !ok {
			return jsapi.MessageSchedulesTTLInvalid.Err()
		}
	}
	if h.schedRollup != nil && string(h.schedRollup) != jsapi.RollupSub {
		return jsapi.MessageSchedulesRollupInvalid.Err()
	}
	if h.schedTTL != nil && !f.m.cfg.AllowMsgTTL {
		return jsapi.MessageTTLDisabled.Err()
	}
	target, from := string(h.target), string(h.from)
	badFrom := from != "" && (from == target || from == string(p.subject) || !subject.ValidLiteral(from))
	switch {
	case !subject.ValidLiteral(target) || target == string(p.subject):
		return jsapi.MessageSchedulesTargetInvalid.Err()
	case badFrom:
		return jsapi.MessageSchedulesSourceInvalid.Err()
	case !withinSubjects(f.m.cfg.Subjects, target):
		return jsapi.MessageSchedulesTargetInvalid.Err()
	case from != "" && !withinSubjects(f.m.cfg.Subjects, from):
		return jsapi.MessageSchedulesSourceInvalid.Err()
	case h.rollup == nil:
		p.header = header.AppendAdd(nil, p.header, jsapi.HdrRollup, []byte(jsapi.RollupSub))
		h.rollup = []byte(jsapi.RollupSub)
		p.size = MsgSize(f.m.cfg.Storage, len(p.subject), len(p.header), len(p.payload))
	case !bytes.EqualFold(h.rollup, []byte(jsapi.RollupSub)):
		return jsapi.MessageSchedulesRollupInvalid.Err()
	}
	p.flags |= op.FlagSchedule
	return nil
}

// fire proposes the messages of the schedules that are due.
func (f *Front) fire(now int64, b *op.Batch, out *Effects) {
	if len(f.m.sched.bySubj) == 0 {
		return
	}
	for _, s := range f.m.sched.dueAll(now) {
		if f.subjs.find([]byte(s.subj)) != nil || s.fired {
			continue // replaced, or its message is on the way
		}
		if f.m.log.LoadNow(s.seq, &f.rec) != store.Hit {
			continue
		}
		if f.fireOne(s, now, b, out) {
			s.fired = true
		}
	}
}

func (f *Front) fireOne(s *scheduled, now int64, b *op.Batch, out *Effects) bool {
	sched, ok := scheduleOf(f.rec.Header)
	if !ok {
		return false
	}
	var h headers
	own := bytes.Clone(f.rec.Header)
	body := bytes.Clone(f.rec.Payload)
	h.parse(own)
	from := own
	if len(h.from) > 0 {
		if last, _ := f.m.log.Last(h.from); last != 0 && f.m.log.LoadNow(last, &f.rec) == store.Hit {
			from, body = bytes.Clone(f.rec.Header), bytes.Clone(f.rec.Payload)
		}
	}
	hdr := []byte(header.Version + "\r\n")
	for it := header.NewIter(from); ; {
		k, v, ok := it.Next()
		if !ok {
			break
		}
		if !producedWithout(string(k)) {
			hdr = header.AppendField(hdr, string(k), v)
		}
	}
	hdr = header.AppendField(hdr, jsapi.HdrScheduler, []byte(s.subj))
	next := []byte(jsapi.ScheduleNextDone)
	if sched.Repeats() {
		if at, ok := sched.Next(s.next, now); ok {
			next = time.Unix(0, at).UTC().AppendFormat(nil, time.RFC3339Nano)
		}
	}
	hdr = header.AppendField(hdr, jsapi.HdrScheduleNext, next)
	if len(h.schedTTL) > 0 {
		hdr = header.AppendField(hdr, jsapi.HdrTTL, h.schedTTL)
	}
	if len(h.schedRollup) > 0 {
		hdr = header.AppendField(hdr, jsapi.HdrRollup, h.schedRollup)
	}
	in := Inbound{Subject: bytes.Clone(h.target), Header: append(hdr, "\r\n"...), Payload: body, Origin: Scheduler}
	n := f.pend.tail
	f.Publish(&in, now, b, out)
	return f.pend.tail > n
}

// producedWithout reports that a header of the source is not for the produced message.
func producedWithout(key string) bool {
	switch key {
	case jsapi.HdrScheduler, jsapi.HdrMsgID, jsapi.HdrTTL, jsapi.HdrRollup:
		return true
	}
	return len(key) >= len(jsapi.HdrSchedulePrefix) && key[:len(jsapi.HdrSchedulePrefix)] == jsapi.HdrSchedulePrefix ||
		len(key) >= len(jsapi.HdrExpectedPrefix) && key[:len(jsapi.HdrExpectedPrefix)] == jsapi.HdrExpectedPrefix
}
