package stream

import (
	"fmt"
	"strings"
	"testing"

	"ramjet/proto/jsapi"
)

// tracing is a Trace that is kept as a line.
type tracing struct {
	only bool
	line []string
}

func (t *tracing) TraceOnly() bool { return t.only }
func (t *tracing) Accepted(subject []byte, noInterest bool) {
	t.line = append(t.line, fmt.Sprintf("accepted %s %v", subject, noInterest))
}
func (t *tracing) Done(why string) { t.line = append(t.line, strings.TrimSpace("done "+why)) }

// traced publishes and returns the trace, then the answers.
func (r *rig) traced(only bool, reply, subj string, pairs ...string) string {
	t := &tracing{only: only}
	r.f.Publish(&Inbound{Subject: []byte(subj), Reply: []byte(reply), Header: hdr(pairs...), Payload: []byte("1"), Trace: t}, r.now, &r.b, &r.out)
	if !r.hold {
		r.flush()
	} else {
		r.collect()
	}
	if n := strings.Count(strings.Join(t.line, "\n"), "done"); n > 1 || n == 0 && !r.hold {
		r.t.Errorf("the trace ended %d times: %v", n, t.line)
	}
	return strings.Join(append(t.line, r.take()), ", ")
}

// TestTraceOnly checks messages without any effect.
func TestTraceOnly(t *testing.T) {
	r := newRig(t, `{"allow_atomic":true,"allow_batched":true,"subject_transform":{"src":"a.*","dest":"b.$1"}}`)
	r.want(r.pub("a.1", "x", "Nats-Msg-Id", "id"), `"seq":1`)
	atomic := func(seq, commit string, more ...string) []string {
		return append([]string{"Nats-Batch-Id", "B", "Nats-Batch-Sequence", seq, "Nats-Batch-Commit", commit}, more...)[:4+2*min(len(commit), 1)+len(more)]
	}
	for range 2 { // nothing changes
		r.want(r.traced(true, "reply", "a.2"), "accepted b.2 false, done, ")
		r.want(r.traced(true, "reply", "a.2", "Nats-Expected-Last-Sequence", "7"), "done wrong last sequence: 1, wrong last sequence: 1 (10071)")
		r.want(r.traced(true, "reply", "a.1", "Nats-Msg-Id", "id"), `done msgid is duplicate, "seq":1,"duplicate": true`)
		r.want(r.traced(true, "reply", "a.3", atomic("1", "")...), "accepted a.3 false, done, ")
		r.want(r.traced(true, "reply", "a.3", atomic("1", "1")...), "accepted b.3 false, done, ")
		r.want(r.traced(true, "reply", "a.3", atomic("2", "1")...), "done atomic publish batch is incomplete, atomic publish batch is incomplete (10176)")
		r.want(r.traced(true, "in.F.10.ok.1.0.$FI", "a.3"), "accepted b.3 false, done, ")
		r.want(r.traced(true, "in.F.10.ok.2.1.$FI", "a.3"), "done batch publish ID unknown, batch publish ID unknown (10208)")
		r.want(r.seqs(), "1:b.1")
	}
	if len(r.f.atomic)+len(r.f.fast)+r.f.InFlight()+r.f.batchMem != 0 {
		t.Error("something is left")
	}
	// An open batch stays as it is.
	r.batch("B", 1, "", "a.4")
	r.want(r.traced(true, "reply", "a.5", atomic("2", "1")...), "accepted b.5 false, done, ")
	r.want(r.batch("B", 2, "1", "a.6"), `"seq":3,"batch":"B","count":2`)
	r.want(r.seqs(), "1:b.1 2:b.4 3:b.6")
}

// TestTraceStored ends traces when messages are in force, and only then.
func TestTraceStored(t *testing.T) {
	r := newRig(t, `{"allow_atomic":true,"allow_batched":true}`)
	one, two := &tracing{}, &tracing{}
	publish := func(tr *tracing, reply string, pairs ...string) {
		r.f.Publish(&Inbound{Subject: []byte("a.1"), Reply: []byte(reply), Header: hdr(pairs...), Trace: tr}, r.now, &r.b, &r.out)
	}
	publish(one, "reply")
	publish(two, "reply", "Nats-Expected-Last-Sequence", "9")
	if got := fmt.Sprint(one.line, two.line); got != "[accepted a.1 false] [done wrong last sequence: 1]" {
		t.Error(got)
	}
	r.flush()
	if got := fmt.Sprint(one.line); got != "[accepted a.1 false done]" {
		t.Error(got)
	}
	r.take()
	r.want(r.traced(false, "reply", "a.1", "Nats-Batch-Id", "B", "Nats-Batch-Sequence", "1"), "accepted a.1 false, done, ")
	r.want(r.traced(false, "reply", "a.2", "Nats-Batch-Id", "B", "Nats-Batch-Sequence", "2", "Nats-Batch-Commit", "1"), `accepted a.2 false, done, "seq":3,"batch":"B","count":2`)
	r.want(r.traced(false, "in.F.10.ok.1.0.$FI", "a.3"), `accepted a.3 false, done, {"type":"ack","seq":0,"msgs":10`)
	r.want(r.traced(false, "in.F.10.ok.9.1.$FI", "a.3"), `accepted a.3 false, done, {"type":"gap","last_seq":2,"seq":9`)
	r.want(r.seqs(), "1:a.1 2:a.1 3:a.2 4:a.3 5:a.3")
	// What is given up is told too.
	lost, closed := &tracing{}, &tracing{}
	publish(lost, "reply")
	r.b.Reset()
	r.f.Abort(jsapi.InsufficientResources.Err(), &r.out)
	publish(closed, "reply")
	r.b.Reset()
	r.f.Close(&r.out)
	if got := fmt.Sprint(lost.line, closed.line); got != "[accepted a.1 false done insufficient resources] [accepted a.1 false done stream not found]" {
		t.Error(got)
	}
}

// TestTraceNoInterest has a stream that keeps only what somebody wants.
func TestTraceNoInterest(t *testing.T) {
	r := newRig(t, `{"retention":"interest"}`)
	r.want(r.traced(true, "reply", "a.1"), "accepted a.1 true, done, ")
	r.want(r.traced(false, "reply", "a.1"), `accepted a.1 true, done, "seq":1`)
}
