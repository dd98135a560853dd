package stream

import (
	"bytes"
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
		earlier(b.last + f.cfg.Batch.Timeout)
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
		f.expireMarked(x, now, age, b)
	}
	b.Add(&op.Cmd{Kind: op.Expire, Time: now})
	f.expiring = true
}

// expireMarked proposes a marker for each subject that the coming Expire leaves without message.
func (f *Front) expireMarked(x Expirer, now, age int64, b *op.Batch) {
	gone := make(map[string]uint64)
	var order []string
	look := func(r *store.Rec) {
		s := string(r.Subject)
		if gone[s] == 0 {
			order = append(order, s)
		}
		gone[s]++
	}
	seen := make(map[uint64]bool)
	for seq := uint64(0); age > 0; { // oldest first, by age
		if f.m.log.Next(nil, seq, &f.rec) != store.Hit || f.rec.Time+age > now {
			break
		}
		seq = f.rec.Seq + 1
		if f.rec.TTL >= 0 && !seen[f.rec.Seq] {
			seen[f.rec.Seq] = true
			look(&f.rec)
		}
	}
	// By own TTL. The walk must not consume deadlines, so it goes over the subjects' last messages instead.
	if t, ok := x.NextExpiry(); ok && t <= now {
		f.eachExpired(now, func(r *store.Rec) {
			if !seen[r.Seq] {
				seen[r.Seq] = true
				look(r)
			}
		})
	}
	for _, s := range order {
		subj := []byte(s)
		if f.subjs.find(subj) != nil || f.m.log.Count(subj) > gone[s] {
			continue
		}
		last, _ := f.m.log.Last(subj)
		if f.m.log.Load(last, &f.rec) != store.Hit || header.Has(f.rec.Header, jsapi.HdrMarkerReason) ||
			string(header.Get(f.rec.Header, jsapi.HdrKVOperation)) == jsapi.KVPurge {
			continue
		}
		f.propose(&op.Cmd{Kind: op.Msg, Flags: op.FlagMarker | op.FlagRollupSub, Subject: subj,
			Header: f.markerHeader(jsapi.MarkerMaxAge), TTL: int64(f.m.cfg.SubjectDeleteMarkerTTL / time.Second)}, now, b)
	}
}

// eachExpired calls fn for each message whose own TTL is over.
func (f *Front) eachExpired(now int64, fn func(*store.Rec)) {
	if x, ok := f.m.log.(DueLister); ok {
		x.Due(now, func(seq uint64) bool {
			if f.m.log.Load(seq, &f.rec) == store.Hit {
				fn(&f.rec)
			}
			return true
		})
		return
	}
	for seq := uint64(0); f.m.log.Next(nil, seq, &f.rec) == store.Hit; seq = f.rec.Seq + 1 {
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
	if !f.m.cfg.AllowMsgSchedules {
		return jsapi.MessageSchedulesDisabled.Err()
	}
	if h.schedule == nil {
		// A client may only end a schedule by name.
		if string(h.next) != jsapi.ScheduleNextDone || !subject.ValidLiteral(string(h.scheduler)) ||
			string(h.scheduler) == string(p.subject) {
			return jsapi.MessageSchedulesSchedulerInvalid.Err()
		}
		return nil
	}
	if h.next != nil || h.scheduler != nil {
		return jsapi.MessageSchedulesSchedulerInvalid.Err()
	}
	var zone *time.Location
	if h.zone != nil {
		z, err := time.LoadLocation(string(h.zone))
		if err != nil || len(h.zone) == 0 {
			return jsapi.MessageSchedulesTimeZoneInvalid.Err()
		}
		zone = z
	}
	sched, err := ParseSchedule(string(h.schedule), zone)
	if _, fires := sched.Next(p.now, p.now); err != nil || !fires {
		return jsapi.MessageSchedulesPatternInvalid.Err()
	}
	target := string(h.target)
	if !subject.ValidLiteral(target) || target == string(p.subject) || !withinSubjects(f.m.cfg.Subjects, target) {
		return jsapi.MessageSchedulesTargetInvalid.Err()
	}
	if h.from != nil {
		from := string(h.from)
		if !subject.ValidLiteral(from) || from == target || from == string(p.subject) || !withinSubjects(f.m.cfg.Subjects, from) {
			return jsapi.MessageSchedulesSourceInvalid.Err()
		}
	}
	if h.schedTTL != nil {
		if _, ok := parseTTL(h.schedTTL); !ok {
			return jsapi.MessageSchedulesTTLInvalid.Err()
		}
		if !f.m.cfg.AllowMsgTTL {
			return jsapi.MessageTTLDisabled.Err()
		}
	}
	if h.schedRollup != nil && !bytes.EqualFold(h.schedRollup, []byte(jsapi.RollupSub)) {
		return jsapi.MessageSchedulesRollupInvalid.Err()
	}
	if h.rollup != nil && !bytes.EqualFold(h.rollup, []byte(jsapi.RollupSub)) {
		return jsapi.MessageSchedulesRollupInvalid.Err()
	}
	if h.rollup == nil {
		p.header = header.AppendSet(nil, p.header, jsapi.HdrRollup, []byte(jsapi.RollupSub))
		h.rollup = []byte(jsapi.RollupSub)
		p.size = MsgSize(f.m.cfg.Storage, len(p.subject), len(p.header), len(p.payload))
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
		if f.m.log.Load(s.seq, &f.rec) != store.Hit {
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
		if last, _ := f.m.log.Last(h.from); last != 0 && f.m.log.Load(last, &f.rec) == store.Hit {
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
