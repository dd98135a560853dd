package jstest

import (
	"fmt"
	"strings"

	"ramjet/js/consumer"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
)

// Recorder is a consumer.Sink that writes down every effect as a line.
type Recorder struct {
	Lines []string
	Deaf  map[string]bool // subjects nobody listens on
	Quiet bool            // no lines for releases and advisories
	Acks  [][]byte        // reply subjects of deliveries
	Flow  []byte          // last flow control subject
}

// Take returns the lines since the last call.
func (r *Recorder) Take() []string {
	l := r.Lines
	r.Lines = nil
	return l
}

func (r *Recorder) add(format string, a ...any) { r.Lines = append(r.Lines, fmt.Sprintf(format, a...)) }

// Deliver writes "inbox <- subject #seq d<deliveries> c<consumer seq> p<pending> [headers] [payload]".
func (r *Recorder) Deliver(d *consumer.Delivery) bool {
	if r.Deaf[string(d.To)] {
		return false
	}
	var a jsapi.AckReply
	if !jsapi.ParseAckReply(d.Reply, &a) {
		panic("bad ack reply " + string(d.Reply))
	}
	r.Acks = append(r.Acks, append([]byte(nil), d.Reply...))
	line := fmt.Sprintf("%s <- %s #%d d%d c%d p%d", d.To, d.Subject, a.StreamSeq, a.Deliveries, a.ConsumerSeq, a.Pending)
	if !r.Quiet {
		line += fields(d.Header)
		if len(d.Payload) > 0 {
			line += fmt.Sprintf(" %q", short(d.Payload))
		}
	}
	r.Lines = append(r.Lines, line)
	return true
}

func short(b []byte) string {
	if len(b) > 16 {
		return fmt.Sprintf("%s...%d", b[:4], len(b))
	}
	return string(b)
}

func fields(h []byte) string {
	if len(h) == 0 {
		return ""
	}
	var b strings.Builder
	if code, text, ok := header.Status(h); ok && code != 0 {
		fmt.Fprintf(&b, " %d %s", code, text)
	}
	for k, v := range header.All(h) {
		fmt.Fprintf(&b, " %s=%s", k, v)
	}
	return b.String()
}

// Send writes "inbox status fields [reply]", or "inbox +ok" for a confirmation.
func (r *Recorder) Send(p *consumer.Reply) {
	if p.Confirm {
		r.add("%s +ok", p.To)
		return
	}
	line := string(p.To) + fields(p.Header)
	if len(p.Reply) > 0 {
		r.Flow = append([]byte(nil), p.Reply...)
		line += " reply"
	}
	r.Lines = append(r.Lines, line)
}

// Interest looks into Deaf.
func (r *Recorder) Interest(subject []byte) bool { return !r.Deaf[string(subject)] }

// Release writes "release from-to".
func (r *Recorder) Release(from, to uint64) {
	if !r.Quiet {
		r.add("release %d-%d", from, to)
	}
}

// Advise writes "advise kind ...".
func (r *Recorder) Advise(a *consumer.Advice) {
	if r.Quiet {
		return
	}
	switch a.Kind {
	case consumer.AdvisePinned:
		r.add("advise pinned %s %d", a.Group, len(a.Pin))
	case consumer.AdviseUnpinned:
		r.add("advise unpinned %s %s", a.Group, a.Reason)
	case consumer.AdviseResumed:
		r.add("advise resumed")
	case consumer.AdviseAck:
		r.add("advise ack #%d c%d d%d after %d", a.StreamSeq, a.ConsumerSeq, a.Deliveries, a.AckTime)
	default:
		name := map[consumer.AdviceKind]string{consumer.AdviseMaxDeliver: "maxdeliver", consumer.AdviseNak: "nak",
			consumer.AdviseTerm: "term", consumer.AdviseDamaged: "damaged"}[a.Kind]
		line := fmt.Sprintf("advise %s #%d c%d d%d %s", name, a.StreamSeq, a.ConsumerSeq, a.Deliveries, a.Reason)
		r.Lines = append(r.Lines, strings.TrimSpace(line))
	}
}

// Inactive writes "inactive".
func (r *Recorder) Inactive() { r.add("inactive") }
