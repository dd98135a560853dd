package jstest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"ramjet/proto/jsapi"
)

// OracleStream is a stream as a person would describe it: a slice of messages and a map of ids. It answers one message
// at a time, each stored before the next one is looked at.
type OracleStream struct {
	Cfg    jsapi.StreamConfig // normalised
	Msgs   []OracleMsg        // ascending
	Last   uint64
	LastID string
	time   int64 // of the last message
	ids    map[string]oracleID
}

// OracleMsg is a stored message.
type OracleMsg struct {
	Seq             uint64
	Time, TTL       int64
	Subject         string
	Header, Payload string // of Fields.String
}

type oracleID struct {
	seq uint64
	at  int64
}

// Fields is a header as names and values.
type Fields [][2]string

// Get returns the value of a name.
func (h Fields) Get(key string) (string, bool) {
	for _, f := range h {
		if f[0] == key {
			return f[1], true
		}
	}
	return "", false
}

// Block returns the header as bytes on the wire, nil if there is none.
func (h Fields) Block() []byte {
	if len(h) == 0 {
		return nil
	}
	b := []byte("NATS/1.0\r\n")
	for _, f := range h {
		b = fmt.Appendf(b, "%s: %s\r\n", f[0], f[1])
	}
	return append(b, "\r\n"...)
}

func (h Fields) with(key, value string) Fields {
	h = slices.Clone(h)
	for i := range h {
		if h[i][0] == key {
			h[i][1] = value
		}
	}
	return h
}

// NewOracleStream returns an empty stream.
func NewOracleStream(cfg *jsapi.StreamConfig) *OracleStream {
	return &OracleStream{Cfg: *cfg, ids: map[string]oracleID{}}
}

// Post is a message to be stored.
type Post struct {
	Subject, Payload string
	Header           Fields
}

func apiErr(code int) string { return fmt.Sprint("error ", code) }

// Publish stores a message and returns the answer: "seq N", "duplicate N" or "error <err_code>".
func (o *OracleStream) Publish(now int64, p *Post) string {
	if answer := o.check(now, p, nil, o); answer != "" {
		return answer
	}
	o.store(now, p)
	return fmt.Sprint("seq ", o.Last)
}

// Batch stores all messages of an atomic batch, or none.
func (o *OracleStream) Batch(now int64, batch []Post) string {
	batch = slices.Clone(batch)
	for i := range batch {
		p := &batch[i]
		p.Header = append(slices.Clone(p.Header), [2]string{jsapi.HdrBatchID, "B"}, [2]string{jsapi.HdrBatchSeq, strconv.Itoa(i + 1)})
		if i == len(batch)-1 {
			p.Header = append(p.Header, [2]string{jsapi.HdrBatchCommit, "1"})
		}
	}
	after := *o // with the messages before, as far as room matters
	after.Msgs, after.ids = slices.Clone(o.Msgs), maps.Clone(o.ids)
	for i := range batch {
		p := &batch[i]
		if answer := o.check(now, p, batch[:i], &after); strings.HasPrefix(answer, "duplicate") {
			return apiErr(10201)
		} else if answer != "" {
			return answer
		}
		after.store(now, p)
	}
	for i := range batch {
		o.store(now, &batch[i])
	}
	return fmt.Sprintf("seq %d of %d", o.Last, len(batch))
}

// check returns why a message is not stored, "" if it is. before is what the batch of the message has before it,
// and after the stream with these.
func (o *OracleStream) check(now int64, p *Post, before []Post, after *OracleStream) string {
	size := len(p.Header.Block()) + len(p.Payload)
	if o.Cfg.MaxMsgSize > 0 && size > int(o.Cfg.MaxMsgSize) {
		return apiErr(10054)
	}
	if _, ok := p.Header.Get(jsapi.HdrTTL); ok && !o.Cfg.AllowMsgTTL {
		return apiErr(10166)
	}
	bySubject := func() string { return o.checkSubject(p, before) }
	bySequence := func() string { return o.checkSequence(p, before) }
	again := func() string { return o.checkID(now, p, before) }
	order := []func() string{bySubject, bySequence, again}
	if after != o { // batches have the order of replicated streams
		order = []func() string{again, bySequence, bySubject}
	}
	for _, f := range order {
		if answer := f(); answer != "" {
			return answer
		}
	}
	if v, ok := p.Header.Get(jsapi.HdrExpectedLastMsgID); ok && v != o.LastID {
		return apiErr(10070)
	}
	roll, rolls := p.Header.Get(jsapi.HdrRollup)
	switch {
	case !rolls:
	case !o.Cfg.AllowRollup || o.Cfg.DenyPurge, roll == "all" && len(before) > 0, roll == "sub" && wrote(before, p.Subject):
		return apiErr(10111)
	}
	if o.Cfg.Discard == jsapi.DiscardNew && !after.fits(p, rolls) {
		return apiErr(10077)
	}
	return ""
}

func wrote(before []Post, pattern string) bool {
	return slices.ContainsFunc(before, func(q Post) bool { return Matches(q.Subject, pattern) })
}

func (o *OracleStream) checkSubject(p *Post, before []Post) string {
	v, ok := p.Header.Get(jsapi.HdrExpectedLastSubjSeq)
	if !ok {
		return ""
	}
	subj := p.Subject
	if s, ok := p.Header.Get(jsapi.HdrExpectedLastSubjSub); ok {
		subj = s
	}
	switch {
	case wrote(before, subj):
		return apiErr(10164)
	case v != fmt.Sprint(o.lastMatching(subj)):
		return apiErr(10071)
	}
	return ""
}

func (o *OracleStream) checkSequence(p *Post, before []Post) string {
	v, ok := p.Header.Get(jsapi.HdrExpectedLastSeq)
	switch {
	case !ok:
		return ""
	case v != fmt.Sprint(o.Last+uint64(len(before))):
		return apiErr(10071)
	case len(before) > 0:
		return apiErr(10164)
	}
	return ""
}

func (o *OracleStream) checkID(now int64, p *Post, before []Post) string {
	id, ok := p.Header.Get(jsapi.HdrMsgID)
	if !ok {
		return ""
	}
	if d, ok := o.ids[id]; ok && now-d.at < int64(o.Cfg.DuplicateWindow) {
		return fmt.Sprint("duplicate ", d.seq)
	}
	for _, q := range before {
		if other, _ := q.Header.Get(jsapi.HdrMsgID); other == id {
			return "duplicate"
		}
	}
	return ""
}

func (o *OracleStream) lastMatching(pattern string) (seq uint64) {
	for _, m := range o.Msgs {
		if Matches(m.Subject, pattern) {
			seq = m.Seq
		}
	}
	return seq
}

func (o *OracleStream) size(subj, header, payload string) int {
	n := len(subj) + len(header) + len(payload) + 16
	if o.Cfg.Storage == jsapi.FileStorage {
		if n += 14; header != "" {
			n += 4
		}
	}
	return n
}

// Bytes returns the sum of the sizes of all messages.
func (o *OracleStream) Bytes() (n int) {
	for _, m := range o.Msgs {
		n += o.size(m.Subject, m.Header, m.Payload)
	}
	return n
}

// fits is the rule of discard new.
func (o *OracleStream) fits(p *Post, rolls bool) bool {
	size := o.size(p.Subject, string(p.Header.Block()), p.Payload)
	replaced := -1
	if most := o.Cfg.MaxMsgsPerSubject; most > 0 && int64(o.count(p.Subject)) >= most {
		if o.Cfg.DiscardNewPerSubject && !rolls {
			return false
		}
		i := slices.IndexFunc(o.Msgs, func(m OracleMsg) bool { return m.Subject == p.Subject })
		replaced = o.size(o.Msgs[i].Subject, o.Msgs[i].Header, o.Msgs[i].Payload)
	}
	if o.Cfg.MaxMsgs > 0 && replaced < 0 && len(o.Msgs) >= int(o.Cfg.MaxMsgs) {
		return false
	}
	return o.Cfg.MaxBytes <= 0 || o.Bytes()+size <= int(o.Cfg.MaxBytes) || replaced >= size
}

func (o *OracleStream) count(subj string) (n int) {
	for _, m := range o.Msgs {
		if m.Subject == subj {
			n++
		}
	}
	return n
}

func (o *OracleStream) store(now int64, p *Post) {
	o.Last++
	o.time = max(o.time, now)
	m := OracleMsg{Seq: o.Last, Time: o.time, Subject: p.Subject, Payload: p.Payload}
	hdr := p.Header
	if v, ok := hdr.Get(jsapi.HdrTTL); ok {
		if v == "never" {
			m.TTL = -1
		} else if d, err := time.ParseDuration(v); err == nil {
			m.TTL = int64(d / time.Second)
		}
		if least := int64(o.Cfg.SubjectDeleteMarkerTTL / time.Second); m.TTL > 0 && m.TTL < least && o.Cfg.MaxMsgsPerSubject != 1 {
			m.TTL = least
			hdr = hdr.with(jsapi.HdrTTL, fmt.Sprint(least))
		}
	}
	m.Header = string(hdr.Block())
	o.Msgs = append(o.Msgs, m)
	o.forgetIDs(o.time)
	o.LastID = ""
	if id, ok := hdr.Get(jsapi.HdrMsgID); ok {
		o.LastID = id
		if o.Cfg.DuplicateWindow > 0 {
			o.ids[id] = oracleID{m.Seq, o.time}
		}
	}
	o.trimSubject(m.Subject)
	o.trim()
	switch roll, _ := hdr.Get(jsapi.HdrRollup); roll {
	case "all":
		o.del(func(x *OracleMsg) bool { return x.Seq < m.Seq })
	case "sub":
		o.del(func(x *OracleMsg) bool { return x.Seq < m.Seq && x.Subject == m.Subject })
	}
}

func (o *OracleStream) forgetIDs(now int64) {
	for id, d := range o.ids {
		if now-d.at >= int64(o.Cfg.DuplicateWindow) {
			delete(o.ids, id)
		}
	}
}

func (o *OracleStream) del(gone func(m *OracleMsg) bool) (n int) {
	before := len(o.Msgs)
	o.Msgs = slices.DeleteFunc(o.Msgs, func(m OracleMsg) bool { return gone(&m) })
	return before - len(o.Msgs)
}

func (o *OracleStream) trimSubject(subj string) {
	extra := o.count(subj) - int(o.Cfg.MaxMsgsPerSubject)
	if o.Cfg.MaxMsgsPerSubject <= 0 {
		return
	}
	o.del(func(m *OracleMsg) bool {
		if m.Subject != subj || extra <= 0 {
			return false
		}
		extra--
		return true
	})
}

func (o *OracleStream) trim() {
	if o.Cfg.Discard != jsapi.DiscardOld {
		return
	}
	for len(o.Msgs) > 0 && (o.Cfg.MaxMsgs > 0 && len(o.Msgs) > int(o.Cfg.MaxMsgs) || o.Cfg.MaxBytes > 0 && o.Bytes() > int(o.Cfg.MaxBytes)) {
		o.Msgs = o.Msgs[1:]
	}
}

// Delete removes one message by request.
func (o *OracleStream) Delete(seq uint64) string {
	removed := len(o.Msgs) > 0 && seq >= o.Msgs[0].Seq && seq <= o.Last
	switch n := o.del(func(m *OracleMsg) bool { return m.Seq == seq }); {
	case n == 0 && (removed || o.Cfg.Storage == jsapi.MemoryStorage):
		return apiErr(10043)
	case n == 0:
		return apiErr(10057)
	default:
		return "deleted"
	}
}

// Purge removes what passes a filter ("": all) below seq (0: all) but the newest keep.
func (o *OracleStream) Purge(filter string, seq, keep uint64) string {
	match := 0
	for _, m := range o.Msgs {
		if filter == "" || Matches(m.Subject, filter) {
			match++
		}
	}
	n := o.del(func(m *OracleMsg) bool {
		if filter != "" && !Matches(m.Subject, filter) {
			return false
		}
		match--
		return (seq == 0 || m.Seq < seq) && match >= int(keep)
	})
	return fmt.Sprint("purged ", n)
}

// Update puts a normalised configuration in force.
func (o *OracleStream) Update(now int64, cfg *jsapi.StreamConfig) {
	o.time = max(o.time, now)
	o.Cfg = *cfg
	o.forgetIDs(o.time)
	subjects := map[string]bool{}
	for _, m := range o.Msgs {
		subjects[m.Subject] = true
	}
	for s := range subjects {
		o.trimSubject(s)
	}
	o.trim()
}

// expired reports whether the time of a message is over.
func (o *OracleStream) expired(now int64, m *OracleMsg) bool {
	if m.TTL > 0 && o.Cfg.AllowMsgTTL && m.Time+m.TTL*int64(time.Second) <= now {
		return true
	}
	return m.TTL >= 0 && o.Cfg.MaxAge > 0 && m.Time+int64(o.Cfg.MaxAge) <= now
}

// Tick removes what is too old and leaves markers, if the stream has them.
func (o *OracleStream) Tick(now int64) {
	if mark := o.Cfg.SubjectDeleteMarkerTTL; mark > 0 {
		left, last := map[string]int{}, map[string]OracleMsg{}
		var order []string
		for _, m := range o.Msgs {
			last[m.Subject] = m
			if !o.expired(now, &m) {
				left[m.Subject]++
			} else if !slices.Contains(order, m.Subject) {
				order = append(order, m.Subject)
			}
		}
		for _, s := range order {
			m := last[s]
			if left[s] > 0 || strings.Contains(m.Header, jsapi.HdrMarkerReason) {
				continue
			}
			o.store(now, &Post{Subject: s, Header: Fields{{jsapi.HdrMarkerReason, "MaxAge"}, {jsapi.HdrTTL, mark.String()}, {jsapi.HdrRollup, "sub"}}})
		}
	}
	if o.del(func(m *OracleMsg) bool { return o.expired(now, m) }) > 0 {
		o.forgetIDs(now)
	}
}

// Lines describes the state and every message.
func (o *OracleStream) Lines() []string {
	first := uint64(0)
	if o.Last > 0 {
		first = o.Last + 1
	}
	if len(o.Msgs) > 0 {
		first = o.Msgs[0].Seq
	}
	subjects := map[string]bool{}
	for _, m := range o.Msgs {
		subjects[m.Subject] = true
	}
	lines := []string{fmt.Sprintf("msgs %d bytes %d seqs %d-%d subjects %d", len(o.Msgs), o.Bytes(), first, o.Last, len(subjects))}
	for i := range o.Msgs {
		lines = append(lines, o.Msgs[i].String())
	}
	return lines
}

// String describes a message.
func (m *OracleMsg) String() string {
	return fmt.Sprintf("#%d %s at %d ttl %d %q %q", m.Seq, m.Subject, m.Time, m.TTL, m.Header, m.Payload)
}
