package api

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"ramjet/js/jstest"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
)

// bench is a router over a fake node that works when the test says so.
type bench struct {
	*testing.T
	node *fakeNode
	r    *Router
	n    int
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, node: newFakeNode()}
	b.r = New(b.node)
	b.r.spawn = func(fn func()) { fn() }
	b.r.OnPanic(func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) })
	return b
}

// send delivers a request and works until nothing waits.
func (b *bench) send(account, hdr, subj, body string) *Request {
	b.n++
	req := &Request{Account: account, System: account == "s", Client: 7, Subject: jsapi.APIPrefix + subj,
		Reply: fmt.Sprintf("reply.%d", b.n), Body: []byte(body)}
	if hdr != "" {
		req.Header = []byte("NATS/1.0\r\n" + hdr + "\r\n\r\n")
	}
	b.r.Deliver(req)
	b.work()
	return req
}

func (b *bench) work() {
	for b.r.queue.inflight() > 0 {
		t, ok := b.r.queue.next()
		if !ok {
			return
		}
		b.r.run(t)
	}
}

// ask sends a request and returns the answer; ok is false if there is none.
func (b *bench) ask(account, hdr, subj, body string) (p published, ok bool) {
	b.Helper()
	req := b.send(account, hdr, subj, body)
	for _, m := range b.node.take() {
		if m.subject == req.Reply {
			if ok {
				b.Errorf("%s was answered twice", subj)
			}
			p, ok = m, true
		}
	}
	return p, ok
}

// TestAnswers sends every recorded request and compares the answers.
func TestAnswers(t *testing.T) {
	text, err := os.ReadFile("testdata/answers.txt")
	if err != nil {
		t.Fatal(err)
	}
	all, err := jstest.ParseAnswers(string(text))
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	compared := 0
	for _, r := range all {
		switch r.Kind {
		case "store":
			b.node.accounts[r.Account].store(r.Subject, r.HeaderBlock(), []byte(r.Body))
			continue
		case "listen":
			b.node.listens[r.Account+" "+r.Subject] = true
			continue
		}
		compared++
		got, ok := b.ask(r.Account, r.Header, r.Subject, r.Body)
		if ok != (r.Answer != "") {
			t.Errorf("%v\n answered: %v %s", r, ok, got.body)
			continue
		}
		if diff := jstest.CompareAnswer(got.body, r.Answer); diff != "" {
			t.Errorf("%v\n %s", r, diff)
		}
		if ok && !strings.HasPrefix(got.body, r.Answer[:strings.IndexAny(r.Answer, ",}")]) {
			t.Errorf("%v\n type is not first: %s", r, got.body)
		}
		if r.AnswerHeader == "" && got.hdr != "" || r.AnswerHeader != "" && len(header.Get([]byte(got.hdr), r.AnswerHeader)) != 8 {
			t.Errorf("%v\n header %q", r, got.hdr)
		}
	}
	if compared < 300 {
		t.Errorf("only %d answers in the file", compared)
	}
}

// fields returns the answer as a map.
func fields(t *testing.T, body string) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return m
}
