package api

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ramjet/proto/jsapi"
)

// advisories returns the subjects of what was published but answers.
func advisories(all []published) (subjects []string) {
	for _, p := range all {
		if s, ok := strings.CutPrefix(p.subject, jsapi.AdvisoryPrefix); ok {
			subjects = append(subjects, p.account+" "+s)
		} else {
			subjects = append(subjects, "answer")
		}
	}
	return subjects
}

func TestAdvisories(t *testing.T) {
	b := newBench(t)
	b.node.listens["a >"] = true
	for _, c := range []struct{ subj, body, want string }{
		{"STREAM.CREATE.S", `{"name":"S"}`, "a STREAM.CREATED.S, answer, a API"},
		{"STREAM.CREATE.S", `{"name":"S"}`, "answer, a API"},
		{"STREAM.CREATE.S", `{"name":"S","description":"x"}`, "answer, a API"},
		{"STREAM.UPDATE.S", `{"name":"S"}`, "a STREAM.UPDATED.S, answer, a API"},
		{"CONSUMER.CREATE.S.C", `{"stream_name":"S","config":{"durable_name":"C"}}`, "a CONSUMER.CREATED.S.C, answer, a API"},
		{"CONSUMER.CREATE.S.C", `{"stream_name":"S","config":{"durable_name":"C","description":"x"}}`, "answer, a API"},
		{"CONSUMER.CREATE.S.D", `{"stream_name":"S","config":{"durable_name":"D","pause_until":"2030-01-01T00:00:00Z"}}`,
			"a CONSUMER.CREATED.S.D, answer, a API, a CONSUMER.PAUSE.S.D"},
		{"CONSUMER.PAUSE.S.C", `{"pause_until":"2030-01-01T00:00:00Z"}`, "a CONSUMER.PAUSE.S.C, answer, a API"},
		{"CONSUMER.PAUSE.S.C", `{"pause_until":"2030-01-01T00:00:00Z"}`, "answer, a API"},
		{"CONSUMER.PAUSE.S.C", ``, "a CONSUMER.PAUSE.S.C, answer, a API"},
		{"CONSUMER.PAUSE.S.C", ``, "answer, a API"},
		{"STREAM.MSG.GET.S", `{"seq":1}`, "answer, a API"},
		{"STREAM.SNAPSHOT.S", `{"deliver_subject":"x"}`, "answer, a API, a STREAM.SNAPSHOT_CREATE.S, a STREAM.SNAPSHOT_COMPLETE.S"},
		{"STREAM.RESTORE.R", `{"config":{},"state":{}}`, "a STREAM.RESTORE_CREATE.R, answer, a API"},
		{"STREAM.LEADER.STEPDOWN.S", ``, "answer, a API"},
		{"CONSUMER.DELETE.S.C", ``, "a CONSUMER.DELETED.S.C, answer, a API"},
		{"STREAM.DELETE.S", ``, "a CONSUMER.DELETED.S.D, a STREAM.DELETED.S, answer, a API"},
		{"FOO", ``, ""},
	} {
		b.send("a", "", c.subj, c.body)
		if got := strings.Join(advisories(b.node.take()), ", "); got != c.want {
			t.Errorf("%s %s:\n got  %s\n want %s", c.subj, c.body, got, c.want)
		}
	}
}

func TestMsgGetSuccessIsNotAudited(t *testing.T) {
	b := newBench(t)
	b.send("a", "", "STREAM.CREATE.S", `{"name":"S"}`)
	b.node.accounts["a"].store("S", nil, []byte("x"))
	b.node.take()
	b.node.listens["a >"] = true
	b.send("a", "", "STREAM.MSG.GET.S", `{"seq":1}`)
	if got := advisories(b.node.take()); len(got) != 1 {
		t.Errorf("published %v", got)
	}
}

func TestAuditFields(t *testing.T) {
	b := newBench(t)
	b.node.server.Domain = "hub"
	b.r.builder.Domain = "hub"
	b.node.listens["a "+jsapi.AdvisoryPrefix+"API"] = true
	b.send("a", "", "STREAM.NAMES", `{"offset":1}`)
	all := b.node.take()
	if len(all) != 2 {
		t.Fatalf("published %v", all)
	}
	for _, want := range []string{
		`{"type":"io.nats.jetstream.advisory.v1.api_audit","id":"`, `"server":"REF","client":{"acc":"a","id":7},"subject":"$JS.API.STREAM.NAMES"`,
		`"request":"{\"offset\":1}"`, `"response":"{\"type\":\"io.nats.jetstream.api.v1.stream_names_response\"`, `"domain":"hub"}`,
	} {
		if !strings.Contains(all[1].body, want) {
			t.Errorf("%s lacks %s", all[1].body, want)
		}
	}
}

func TestNoReplySubject(t *testing.T) {
	b := newBench(t)
	b.node.listens["a >"] = true
	b.r.Deliver(&Request{Account: "a", Client: 1, Subject: "$JS.API.STREAM.CREATE.S", Body: []byte(`{"name":"S"}`)})
	b.work()
	if b.node.accounts["a"].streams["S"] == nil {
		t.Error("not created")
	}
	if got := strings.Join(advisories(b.node.take()), ", "); got != "a STREAM.CREATED.S, a API" {
		t.Errorf("published %s", got)
	}
}

func TestSystemAccountFromElsewhere(t *testing.T) {
	b := newBench(t)
	for _, subj := range []string{"FOO", "STREAM.NAMES"} {
		b.r.Deliver(&Request{Account: "s", System: true, Subject: jsapi.APIPrefix + subj, Reply: "r"})
	}
	b.work()
	if all := b.node.take(); len(all) != 0 {
		t.Errorf("answered %v", all)
	}
}

func TestStats(t *testing.T) {
	b := newBench(t)
	b.send("a", "", "STREAM.NAMES", "")
	b.send("a", "", "STREAM.INFO.X", "")
	b.send("n", "", "STREAM.INFO.X", "")
	b.send("a", "", "FOO", "")
	if total, errs := b.r.AccountStats("a"); total != 2 || errs != 1 {
		t.Errorf("account: %d %d", total, errs)
	}
	if total, _ := b.r.AccountStats("n"); total != 0 {
		t.Errorf("account without JetStream: %d", total)
	}
	if s := b.r.Stats(); s != (Stats{Total: 3, Errors: 2}) {
		t.Errorf("%+v", s)
	}
}

func TestOverflowDropsTheQueue(t *testing.T) {
	b := newBench(t)
	b.node.server.QueueLimit, b.node.server.InfoLimit = 5, 3
	b.node.listens["s >"] = true
	deliver := func(subj string, n int) {
		for i := range n {
			b.r.Deliver(&Request{Account: "a", Client: 1, Subject: jsapi.APIPrefix + subj, Reply: fmt.Sprint("r", i)})
		}
	}
	deliver("STREAM.NAMES", 2)
	deliver("STREAM.PURGE.S", 5) // the fifth drops them
	deliver("STREAM.PURGE.S", 1)
	all := b.node.take()
	if len(all) != 1 || all[0].account != "s" || all[0].subject != "$JS.EVENT.ADVISORY.API.LIMIT_REACHED" ||
		!strings.Contains(all[0].body, `"server":"REF","dropped":5}`) {
		t.Errorf("published %v", all)
	}
	b.work()
	if all := b.node.take(); len(all) != 3 {
		t.Errorf("answers: %v", all)
	}
	deliver("STREAM.NAMES", 3)
	if s := b.r.Stats(); s.Dropped != 8 || s.Inflight != 0 {
		t.Errorf("%+v", s)
	}
}

func TestPanicIsContained(t *testing.T) {
	b := newBench(t)
	var told any
	b.r.OnPanic(func(v any, stack []byte) { told = v })
	b.node.accounts["a"].streams["S"] = nil // a stream that is broken
	p, ok := b.ask("a", "", "STREAM.LIST", "")
	if !ok || !strings.Contains(p.body, `"error":{"code":500,"err_code":10051,"description":"internal error"},"total":0`) {
		t.Errorf("answer: %v %s", ok, p.body)
	}
	if told == nil || b.r.Stats().Panics != 1 {
		t.Errorf("told %v, %+v", told, b.r.Stats())
	}
	delete(b.node.accounts["a"].streams, "S")
	if _, ok := b.ask("a", "", "STREAM.LIST", ""); !ok {
		t.Error("the router is dead")
	}
}

// TestPanicFreesAccount has a handler panic that holds the lock of its account and its place among the mutating requests.
func TestPanicFreesAccount(t *testing.T) {
	b := newBench(t)
	b.r.OnPanic(func(any, []byte) {})
	b.node.accounts["a"].streams["S"] = &fakeStream{} // without an account
	b.ask("a", "", "STREAM.DELETE.S", "")
	if b.r.Stats().Panics != 1 {
		t.Fatal("no panic")
	}
	delete(b.node.accounts["a"].streams, "S")
	if p, ok := b.ask("a", "", "STREAM.CREATE.S", `{"name":"S"}`); !ok || strings.Contains(p.body, "error") {
		t.Errorf("answer: %v %s", ok, p.body)
	}
}

// TestWorkers runs the workers: while a mutating request of one account hangs, and many wait behind it, another account is served, and
// afterwards the first one's requests ran in their order.
func TestWorkers(t *testing.T) {
	node := newFakeNode()
	node.server.QueueLimit = 10000
	r := New(node)
	var wg sync.WaitGroup
	answers := make(chan published, 1000)
	node.onPublish = func(p published) { answers <- p }
	r.Start(func(fn func()) {
		wg.Add(1)
		go func() { defer wg.Done(); fn() }()
	})
	node.accounts["a"].Lock() // the disk of a is slow
	const n = 200
	for i := range n {
		r.Deliver(&Request{Account: "a", Subject: fmt.Sprintf("$JS.API.STREAM.CREATE.S%d", i), Reply: "a",
			Body: fmt.Appendf(nil, `{"name":"S%d"}`, i)})
	}
	r.Deliver(&Request{Account: "l", Subject: "$JS.API.STREAM.CREATE.T", Reply: "l", Body: []byte(`{"name":"T"}`)})
	r.Deliver(&Request{Account: "a", Subject: "$JS.API.STREAM.NAMES", Reply: "names"})
	for range 2 {
		if p := <-answers; p.subject == "a" {
			t.Fatalf("a was served: %s", p.body)
		}
	}
	node.accounts["a"].Unlock()
	for range n {
		<-answers
	}
	r.Close()
	wg.Wait()
	var last time.Time
	for i := range n {
		s := node.accounts["a"].streams[fmt.Sprintf("S%d", i)]
		if s == nil || !s.created.After(last) {
			t.Fatalf("S%d out of order", i)
		}
		last = s.created
	}
	r.Deliver(&Request{Account: "a", Subject: "$JS.API.STREAM.NAMES", Reply: "names"})
	if r.Stats().Inflight != 0 {
		t.Error("a closed router takes requests")
	}
}
