package dispatch

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/proto/base/clock"
	"ramjet/proto/header"
	"ramjet/proto/sysapi"
)

// trade is accounts that import from each other, routed with a manual clock.
type trade struct {
	*testing.T
	reg      *account.Registry
	router   *Router
	ctx      *Ctx
	clk      *clock.Manual
	measured []string
	last     *sysapi.ServiceLatency
}

// asker is a connection as services see it.
type asker struct{ acc string }

func (a asker) RTT() time.Duration { return 3 * time.Millisecond }
func (a asker) ClientInfo(detailed bool) *sysapi.ClientInfo {
	i := &sysapi.ClientInfo{Account: a.acc, RTT: a.RTT()}
	if detailed {
		i.Name, i.Kind = "the client", "Client"
	}
	return i
}

func newTrade(t *testing.T, accounts ...*config.Account) *trade {
	t.Helper()
	w := &trade{T: t, ctx: newCtx(t), clk: clock.NewManual(time.Unix(1000, 0))}
	var err error
	if w.reg, err = account.NewRegistry(&config.Options{Accounts: accounts}); err != nil {
		t.Fatal(err)
	}
	w.router = NewRouter(w.reg)
	w.reg.UseHooks(account.Hooks{Clock: w.clk, Lost: w.router.Lost})
	w.router.UseHooks(Hooks{
		Clock: w.clk, Server: func() string { return "srv" }, ReplySuffix: ".NODE.T",
		Find: func(id uint64) Asker {
			if id == 1 {
				return asker{"B"}
			}
			return nil
		},
		Measured: func(a *account.Account, subject string, v *sysapi.ServiceLatency) {
			w.last = v
			w.measured = append(w.measured, a.Name()+" "+subject+" "+v.Error)
		},
	})
	return w
}

// pub publishes as client id of an account.
func (w *trade) pub(acc string, id uint64, subject, reply, hdr string) Outcome {
	m := &engine.Msg{Subject: []byte(subject), Reply: []byte(reply), Header: []byte(hdr), Payload: []byte("hi"), Origin: engine.Client, OriginID: id}
	before := *m
	out := w.router.Publish(w.ctx, w.reg.Lookup(acc), m)
	if before.Account = w.reg.Lookup(acc).Ref(); string(m.Subject) != subject || string(m.Reply) != reply || string(m.Header) != hdr || m.Account != before.Account {
		w.Errorf("the message was changed: %+v", m)
	}
	return out
}

// sub subscribes connection id in an account.
func (w *trade) sub(acc string, id uint64, subject, queue string) *sink {
	s := client(id)
	add(w, w.reg.Lookup(acc).Index(), s, subject, queue, 1)
	return s
}

// responder subscribes a connection that answers each request with the given payloads; "" is an empty
// one. Answers are published once Publish has returned, by run.
func (w *trade) responder(acc string, id uint64, subject string, answers ...string) (s *sink, seen *engine.Msg, run func()) {
	s, seen = w.sub(acc, id, subject, ""), &engine.Msg{}
	var later []func()
	s.on = func(m *engine.Msg) {
		*seen = engine.Msg{Subject: []byte(string(m.Subject)), Reply: []byte(string(m.Reply)), Header: []byte(string(m.Header)), Account: m.Account}
		for _, a := range answers {
			reply := engine.Msg{Subject: seen.Reply, Payload: []byte(a), Origin: engine.Client, OriginID: id}
			later = append(later, func() { w.router.Publish(w.ctx, w.reg.Lookup(acc), &reply) })
		}
	}
	return s, seen, func() {
		for _, fn := range later {
			fn()
		}
		later = nil
	}
}

func TestStreamImport(t *testing.T) {
	w := newTrade(t,
		&config.Account{Name: "A", Exports: []*config.Export{{Stream: "news.>"}, {Service: "news.>"}}},
		&config.Account{Name: "B", Imports: []*config.Import{{Account: "A", Stream: "news.>", Prefix: "from.a"}}},
		&config.Account{Name: "C", Imports: []*config.Import{{Account: "A", Service: "news.>"}}})
	one, all, q1, q2 := w.sub("B", 1, "from.a.news.x", ""), w.sub("B", 2, "from.>", ""), w.sub("B", 3, "from.a.news.*", "q"), w.sub("B", 4, "from.a.news.*", "q")
	own, other := w.sub("A", 5, "news.x", "q"), w.sub("B", 6, "news.x", "")
	for range 60 {
		if o := w.pub("A", 9, "news.x", "", ""); o.Delivered != 3 {
			t.Fatalf("%+v", o)
		}
	}
	if one.n != 60 || all.n != 60 || other.n != 0 || one.got[0] != "1:from.a.news.x" || all.got[0] != "2:from.a.news.x" {
		t.Errorf("one %d %v, all %d, without prefix %d", one.n, one.got[:1], all.n, other.n)
	}
	// A queue group extends over the accounts.
	if q1.n == 0 || q2.n == 0 || own.n == 0 || q1.n+q2.n+own.n != 60 {
		t.Errorf("queue: %d, %d, in A %d", q1.n, q2.n, own.n)
	}
	if o := w.pub("B", 9, "from.a.news.x", "", ""); o.Delivered != 3 || own.n+q1.n+q2.n != 61 {
		t.Errorf("published where it is imported: %+v", o)
	}
	// What comes as a request is no message of the stream, but reaches services.
	n := one.n
	for own.n = 0; own.n == 0; {
		if w.pub("C", 9, "news.x", "", ""); one.n != n {
			t.Fatal("a request was exported as a stream")
		}
	}
}

func TestStreamImportNoEcho(t *testing.T) {
	w := newTrade(t,
		&config.Account{Name: "A", Exports: []*config.Export{{Stream: "x"}}, Imports: []*config.Import{{Account: "B", Service: "y", To: "z"}}},
		&config.Account{Name: "B", Imports: []*config.Import{{Account: "A", Stream: "x"}}, Exports: []*config.Export{{Service: "y"}}})
	s := w.sub("B", 1, "x", "")
	m := from(engine.Client, 1, "x")
	m.NoEcho = true
	if o := w.router.Publish(w.ctx, w.reg.Lookup("A"), m); o.Delivered != 0 || s.n != 0 {
		t.Errorf("%+v, %d delivered", o, s.n)
	}
}

func TestServiceImport(t *testing.T) {
	w := newTrade(t,
		&config.Account{Name: "A", Exports: []*config.Export{{Service: "add.*"}}, Mappings: []*config.Mapping{{Source: "add.old", Dests: []config.MapDest{{Subject: "add.new", Weight: 100}}}}},
		&config.Account{Name: "B", Imports: []*config.Import{{Account: "A", Service: "add.*", To: "sum.*.now"}}})
	inbox := w.sub("B", 1, "inbox.1", "")
	if o := w.pub("B", 1, "sum.x.now", "inbox.1", ""); o.Delivered != 0 || w.reg.Lookup("A").Replies().Len() != 0 {
		t.Fatalf("nobody there: %+v", o)
	}
	s, seen, run := w.responder("A", 2, "add.*", "42", "43")
	if o := w.pub("B", 1, "sum.x.now", "inbox.1", ""); o.Delivered != 1 || s.got[0] != "2:add.x" {
		t.Fatalf("%+v, %v", o, s.got)
	}
	if seen.Account.Name != "A" || !strings.HasPrefix(string(seen.Reply), "_R_.") {
		t.Errorf("%+v", seen)
	}
	if v := string(header.Get(seen.Header, infoKey)); v != `{"acc":"B","rtt":3000000}` {
		t.Errorf("who asks: %s", v)
	}
	if run(); inbox.n != 1 || inbox.got[0] != "1:inbox.1" {
		t.Errorf("%d answers: %v", inbox.n, inbox.got)
	}
	w.pub("B", 1, "sum.old.now", "", "NATS/1.0\r\nA: b\r\n\r\n")
	if got := s.got[len(s.got)-1]; got != "2:add.new" || string(seen.Reply) != "" || string(header.Get(seen.Header, "A")) != "b" {
		t.Errorf("mapped to %s, %+v", got, seen)
	}
	w.pub("B", 1, "sum.x.now", "$JS.ACK.1", "")
	if string(seen.Reply) != "$JS.ACK.1" || w.reg.Lookup("A").Replies().Len() != 0 {
		t.Errorf("reply %s", seen.Reply)
	}
	w.pub("B", 1, "sum.x.now", `i."b".$FI`, "") // a fast batch reads its reply subject
	if v := string(header.Get(seen.Header, infoKey)); v != `{"acc":"B","rtt":3000000,"reply":"i.\"b\".$FI"}` {
		t.Errorf("who asks: %s", v)
	}
	if o := w.pub("A", 2, "sum.x.now", "", ""); o.Delivered != 0 {
		t.Error("imported the other way round")
	}
}

func TestServiceStreamOfAnswers(t *testing.T) {
	for _, response := range []string{"stream", "chunked"} {
		w := newTrade(t,
			&config.Account{Name: "A", Exports: []*config.Export{{Service: "list", ResponseType: response, Threshold: time.Second}}},
			&config.Account{Name: "B", Imports: []*config.Import{{Account: "A", Service: "list"}}})
		inbox := w.sub("B", 1, "inbox", "")
		_, _, run := w.responder("A", 2, "list", "a", "b", "", "c")
		w.pub("B", 1, "list", "inbox", "")
		replies := w.reg.Lookup("A").Replies()
		if replies.Len() != 1 {
			t.Fatalf("%d wait", replies.Len())
		}
		if run(); inbox.n != 3 || replies.Len() != 0 {
			t.Errorf("%s: %d answers, %d wait", response, inbox.n, replies.Len())
		}
		w.pub("B", 1, "list", "inbox", "")
		if w.clk.Advance(2 * time.Second); replies.Len() != 0 {
			t.Error("no end without an answer")
		}
		if run(); inbox.n != 3 {
			t.Error("an answer after the end")
		}
	}
}

// TestServiceChain asks through two accounts; everything is imported, so that each subject, reply
// subjects too, could go round.
func TestServiceChain(t *testing.T) {
	w := newTrade(t,
		&config.Account{Name: "A", Imports: []*config.Import{{Account: "B", Service: ">"}}},
		&config.Account{Name: "B", Exports: []*config.Export{{Service: ">"}}, Imports: []*config.Import{{Account: "C", Service: ">", Share: true}}},
		&config.Account{Name: "C", Exports: []*config.Export{{Service: ">"}}})
	inbox := w.sub("A", 1, "in.1", "")
	if o := w.pub("A", 1, "foo", "in.1", ""); o.Delivered != 0 {
		t.Errorf("nobody there: %+v", o)
	}
	s, seen, run := w.responder("C", 2, "foo", "yes")
	if o := w.pub("A", 1, "foo", "in.1", ""); o.Delivered != 1 || s.n != 1 {
		t.Fatalf("%+v, asked %d times", o, s.n)
	}
	var info sysapi.ClientInfo
	if err := json.Unmarshal(header.Get(seen.Header, infoKey), &info); err != nil || info.Account != "A" || info.Service != "B" || info.Server != "srv" || info.Name != "" {
		t.Errorf("%v, %+v", err, info)
	}
	run()
	if inbox.n != 1 || w.reg.Lookup("B").Replies().Len()+w.reg.Lookup("C").Replies().Len() != 0 {
		t.Errorf("%d answers, %d and %d wait", inbox.n, w.reg.Lookup("B").Replies().Len(), w.reg.Lookup("C").Replies().Len())
	}
}

// TestServiceInternal has a subscriber inside the server that answers at once, from inside of the
// delivery of the request.
func TestServiceInternal(t *testing.T) {
	w := newTrade(t,
		&config.Account{Name: "A", Exports: []*config.Export{{Service: "$JS.API.>", ResponseType: "stream"}}},
		&config.Account{Name: "B", Imports: []*config.Import{{Account: "A", Service: "$JS.API.>", Share: true}}})
	inbox := w.sub("B", 1, "in", "")
	a := w.reg.Lookup("A")
	var hdr string
	api := NewLocal(a.Index(), engine.JetStream, 0, func(_ engine.LoopID, m *engine.Msg) {
		hdr = string(header.Get(m.Header, infoKey))
		w.router.Publish(w.ctx, a, &engine.Msg{Subject: m.Reply, Reply: []byte("$JS.ACK.x"), Payload: []byte("{}"), Origin: engine.JetStream})
	})
	if _, err := api.Subscribe("$JS.API.>", ""); err != nil {
		t.Fatal(err)
	}
	var reply string
	inbox.on = func(m *engine.Msg) { reply = string(m.Reply) }
	if o := w.pub("B", 1, "$JS.API.INFO", "in", ""); o.Delivered != 1 || inbox.n != 1 || reply != "$JS.ACK.x" {
		t.Errorf("%+v, %d answers, reply %q", o, inbox.n, reply)
	}
	if want := `{"acc":"B","name":"the client","rtt":3000000,"server":"srv","kind":"Client"}`; hdr != want {
		t.Errorf("who asks: %s, want %s", hdr, want)
	}
}

// TestServiceConversation: an answer with a reply subject is a request of the other side.
func TestServiceConversation(t *testing.T) {
	w := newTrade(t,
		&config.Account{Name: "A", Exports: []*config.Export{{Service: "q"}}},
		&config.Account{Name: "B", Imports: []*config.Import{{Account: "A", Service: "q"}}})
	back := w.sub("A", 2, "a.inbox", "")
	_, seen, _ := w.responder("A", 2, "q")
	inbox := w.sub("B", 1, "in", "")
	var reply string
	inbox.on = func(m *engine.Msg) { reply = string(m.Reply) }
	w.pub("B", 1, "q", "in", "")
	w.pub("A", 2, string(seen.Reply), "a.inbox", "")
	if !strings.HasPrefix(reply, "_R_.") {
		t.Fatalf("reply %q", reply)
	}
	if o := w.pub("B", 1, reply, "", ""); o.Delivered != 1 || back.n != 1 {
		t.Errorf("%+v, %d", o, back.n)
	}
}

func TestLatency(t *testing.T) {
	w := newTrade(t,
		&config.Account{Name: "A", Exports: []*config.Export{
			{Service: "q", LatencySubject: "lat.q", LatencySampling: 100, Threshold: time.Second},
			{Service: "h", LatencySubject: "lat.h"}}},
		&config.Account{Name: "B", Imports: []*config.Import{{Account: "A", Service: "q", Share: true}, {Account: "A", Service: "h"}}})
	inbox := w.sub("B", 1, "in", "")
	want := func(what string, list ...string) {
		t.Helper()
		if strings.Join(w.measured, ",") != strings.Join(list, ",") {
			t.Errorf("%s: measured %q, want %q", what, w.measured, list)
		}
		w.measured = nil
	}
	w.pub("B", 1, "q", "in", "")
	want("nobody", "A lat.q Service Unavailable")
	_, seen, run := w.responder("A", 2, "*", "x")
	w.pub("B", 1, "q", "in", "")
	if !strings.HasSuffix(string(seen.Reply), ".NODE.T") {
		t.Errorf("reply %s", seen.Reply)
	}
	w.clk.Advance(20 * time.Millisecond)
	run()
	if v := w.last; v.Status != 200 || v.Service != 20*time.Millisecond || v.Total != 23*time.Millisecond || v.Requestor.Name != "the client" || v.Requestor.Server != "srv" {
		t.Errorf("%+v", v)
	}
	want("answer", "A lat.q ")
	w.pub("B", 1, "q", "", "")
	want("no reply", "A lat.q Bad Request")
	w.pub("B", 1, "q", "in", "")
	w.clk.Advance(time.Second)
	want("no answer", "A lat.q Service Timeout")
	run()
	want("too late")
	w.pub("B", 1, "h", "in", "")
	w.pub("B", 1, "h", "in", "NATS/1.0\r\nX-B3-Sampled: 0\r\n\r\n")
	run()
	want("no header")
	w.pub("B", 1, "h", "in", "NATS/1.0\r\nx-b3-sampled: 1\r\nOther: y\r\n\r\n")
	run()
	if len(w.last.Header) != 1 || w.last.Header["X-B3-Sampled"][0] != "1" || w.last.Requestor.Name != "" {
		t.Errorf("%+v", w.last)
	}
	want("by header", "A lat.h ")
	if inbox.n != 4 {
		t.Errorf("%d answers", inbox.n)
	}
}

func TestTraced(t *testing.T) {
	for _, tt := range []struct {
		key, value string
		want       bool
	}{
		{uberTrace, "a:b:c:1", true}, {uberTrace, "a:b:c:11", true}, {uberTrace, "a:b:c:2", false}, {uberTrace, "a:b:c:", false},
		{uberTrace, "a:b:c:111", false}, {uberTrace, "1", false},
		{b3Sampled, "1", true}, {b3Sampled, "0", false}, {b3Sampled, "x", false}, {b3Trace, "any", true},
		{b3Single, "t-s-1-p", true}, {b3Single, "t-s-0", false}, {b3Single, "0", false}, {b3Single, "d", true},
		{traceParent, "00-t-s-01", true}, {traceParent, "00-t-s-00", false}, {traceParent, "00-t-s-1", false}, {traceParent, "01", false},
		{"Other", "1", false},
	} {
		if got := traced(map[string][]string{tt.key: {tt.value}}); (got != nil) != tt.want {
			t.Errorf("%s: %s: %v", tt.key, tt.value, got)
		}
	}
}

// TestStreamImportNoAlloc: a message that goes to another account costs no more memory than one that stays.
func TestStreamImportNoAlloc(t *testing.T) {
	w := newTrade(t,
		&config.Account{Name: "A", Exports: []*config.Export{{Stream: "news.*"}}},
		&config.Account{Name: "B", Imports: []*config.Import{{Account: "A", Stream: "news.*", To: "a.$1.b"}}})
	s := &sink{id: 1}
	add(t, w.reg.Lookup("B").Index(), s, "a.>", "", 1)
	a, m := w.reg.Lookup("A"), from(engine.Client, 2, "news.x")
	w.router.Publish(w.ctx, a, m)
	if n := testing.AllocsPerRun(100, func() { w.router.Publish(w.ctx, a, m) }); n != 0 || s.n < 100 {
		t.Errorf("%v allocations, %d deliveries", n, s.n)
	}
}

func BenchmarkService(b *testing.B) {
	reg, err := account.NewRegistry(&config.Options{Accounts: []*config.Account{
		{Name: "A", Exports: []*config.Export{{Service: "q"}}},
		{Name: "B", Imports: []*config.Import{{Account: "A", Service: "q"}}}}})
	if err != nil {
		b.Fatal(err)
	}
	r, ctx := NewRouter(reg), NewCtx(0, 1)
	from, to := reg.Lookup("B"), reg.Lookup("A")
	answer := &engine.Msg{Payload: []byte("yes"), Origin: engine.Client, OriginID: 2}
	add(b, to.Index(), &sink{id: 2, on: func(m *engine.Msg) { answer.Subject = append(answer.Subject[:0], m.Reply...) }}, "q", "", 1)
	add(b, from.Index(), &sink{id: 1}, "in.*", "", 1)
	m := &engine.Msg{Subject: []byte("q"), Reply: []byte("in.1"), Payload: []byte("hi"), Origin: engine.Client, OriginID: 1}
	b.ReportAllocs()
	for b.Loop() {
		r.Publish(ctx, from, m)
		r.Publish(ctx, to, answer)
	}
}

// TestImportsKeepShownSubject: JetStream sends messages to a subject of the consumer but shows that they
// were published to, also over imports.
func TestImportsKeepShownSubject(t *testing.T) {
	w := newTrade(t,
		&config.Account{Name: "A", Exports: []*config.Export{{Service: "next"}, {Stream: "deliver.>"}}},
		&config.Account{Name: "B", Imports: []*config.Import{{Account: "A", Service: "next"}, {Account: "A", Stream: "deliver.>"}}},
		&config.Account{Name: "C", Imports: []*config.Import{{Account: "A", Stream: "deliver.>", Prefix: "p"}}})
	inbox, same, moved := w.sub("B", 1, "inbox", ""), w.sub("B", 1, "deliver.*", ""), w.sub("C", 1, "p.deliver.x", "")
	_, seen, _ := w.responder("A", 2, "next")
	w.pub("B", 1, "next", "inbox", "")
	for _, to := range [][]byte{seen.Reply, []byte("deliver.x")} {
		m := from(engine.JetStream, 0, "orders.1")
		m.To = to
		if o := w.router.Publish(w.ctx, w.reg.Lookup("A"), m); o.Delivered == 0 || string(m.Subject) != "orders.1" || string(m.To) != string(to) {
			t.Errorf("%s: %+v, %+v", to, o, m)
		}
	}
	if inbox.got[0] != "1:orders.1" || same.got[0] != "1:orders.1" || moved.got[0] != "1:orders.1" {
		t.Errorf("%v, %v, %v", inbox.got, same.got, moved.got)
	}
}

// FuzzTraced: whatever headers a request has, those told of with its latency are headers that it has.
func FuzzTraced(f *testing.F) {
	for _, kv := range [][2]string{{"Uber-Trace-Id", "1:2:3:1"}, {"X-B3-Sampled", "1"}, {"X-B3-TraceId", "a"}, {"B3", "1-2-1"}, {"Traceparent", "00-a-b-01"}, {"B3", ""}, {"Uber-Trace-Id", ":::"}} {
		f.Add(kv[0], kv[1], "Uberctx-a", "v")
	}
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 string) {
		h := map[string][]string{k1: {v1}, k2: {v2}}
		for k, v := range traced(h) {
			if w, ok := h[k]; !ok || !slices.Equal(v, w) {
				t.Fatalf("%q: %q", k, v)
			}
		}
	})
}
