package dispatch

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/interest"
	"ramjet/engine/trace"
	"ramjet/proto/header"
	"ramjet/proto/sysapi"
)

// peer is a connection as traces see it.
type peer struct {
	*sink
	name string
	vet  engine.Verdict
}

func (s peer) PeerName() string                              { return s.name }
func (s peer) Vet(*engine.Msg, *interest.Sub) engine.Verdict { return s.vet }

// server is a connection to another server.
type server struct {
	linkSink
	name   string
	old    bool
	header []string
}

func (s *server) PeerName() string                              { return s.name }
func (s *server) Vet(*engine.Msg, *interest.Sub) engine.Verdict { return engine.OK }
func (s *server) Traces() bool                                  { return !s.old }
func (s *server) DeliverLink(from engine.LoopID, m *engine.Msg, plain *interest.Sub, queues []*interest.Sub) engine.Verdict {
	s.header = append(s.header, fmt.Sprintf("%s to %s", header.Get(m.Header, header.TraceHop), header.Get(m.Header, header.TraceDest)))
	return s.linkSink.DeliverLink(from, m, plain, queues)
}

// traced publishes as client 1 of an account and returns the steps of the trace after the first, and its hops.
func (w *trade) traced(acc, subject string, only bool) (Outcome, string) {
	w.Helper()
	var got []string
	x := &trace.Tracer{Now: w.clk.Now, System: w.reg.System, Publish: func(a *account.Account, dest, _ string, v *sysapi.TraceEvent) {
		for _, e := range v.Events[1:] {
			b, err := json.Marshal(e)
			if err != nil {
				w.Error(err)
			}
			got = append(got, strings.Replace(string(b), `"ts":"1970-01-01T00:16:40Z",`, "", 1))
		}
		got = append(got, fmt.Sprintf("%s %s hops %d", a.Name(), dest, v.Hops))
	}}
	hdr := header.AppendAdd(nil, nil, header.TraceDest, []byte("tr"))
	if only {
		hdr = header.AppendAdd(nil, hdr, header.TraceOnly, []byte("1"))
	}
	m := &engine.Msg{Subject: []byte(subject), Reply: []byte("inbox"), Header: hdr, Payload: []byte("hi"), Origin: engine.Client, OriginID: 1, NoEcho: true}
	t, _, _, _ := x.Begin(&trace.Message{Account: w.reg.Lookup(acc), Header: hdr, Subject: m.Subject})
	m.Trace = t
	out := w.router.Publish(w.ctx, w.reg.Lookup(acc), m)
	if m.Trace != engine.Tracing(t) || string(m.Header) != string(hdr) || string(m.Subject) != subject {
		w.Errorf("the message was changed: %+v", m)
	}
	t.End()
	return out, strings.Join(got, "\n")
}

func (w *trade) expect(got string, want ...string) {
	w.Helper()
	if text := strings.Join(want, "\n"); got != text {
		w.Errorf("trace:\n%s\nwant:\n%s", got, text)
	}
}

// TestTraceDeliveries has every reason why a client does not get a message.
func TestTraceDeliveries(t *testing.T) {
	w := newTrade(t, &config.Account{Name: "A"})
	x := w.reg.Lookup("A").Index()
	ok, self := peer{w.sub("A", 9, "other", ""), "ok", engine.OK}, peer{client(1), "self", engine.OK}
	ok.sink = client(2)
	closed, denied := peer{client(3), "closed", engine.Closed}, peer{client(4), "denied", engine.Refused}
	closed.verdict, denied.verdict = engine.Closed, engine.Refused
	full, slow := peer{client(5), "full", engine.Refused}, peer{client(6), "slow", engine.OK}
	full.verdict, slow.slow = engine.Refused, true
	for _, s := range []interest.Sink{ok, self, closed, denied, slow} {
		add(t, x, s, "foo", "", 1)
	}
	sub := add(t, x, full, "foo", "", 1)
	sub.SetMax(1)
	sub.Take()
	w.ctx.NoStall = true
	eg := func(id int, name, why string) string {
		if why != "" {
			why = `,"error":"` + why + `"`
		}
		return fmt.Sprintf(`{"type":"eg","kind":0,"cid":%d,"name":%q,"sub":"foo"%s}`, id, name, why)
	}
	lines := []string{
		eg(2, "ok", ""), eg(1, "self", trace.NoEcho), eg(3, "closed", trace.ConnClosed), eg(4, "denied", trace.SubDenied),
		eg(6, "slow", trace.NoStall), eg(5, "full", trace.SubFull), "A tr hops 0",
	}
	out, got := w.traced("A", "foo", false)
	w.expect(got, lines...)
	if out.Delivered != 1 || ok.n != 1 {
		t.Errorf("%+v, %d deliveries", out, ok.n)
	}
	lines[4] = eg(6, "slow", "") // nobody would wait
	out, got = w.traced("A", "foo", true)
	w.expect(got, lines...)
	if out.Delivered != 2 || ok.n != 1 || closed.n != 1 {
		t.Errorf("%+v: a message that is only traced was delivered", out)
	}
}

// TestTraceAccounts follows a message by a stream import and a service import, which let the trace through or not.
func TestTraceAccounts(t *testing.T) {
	for _, allow := range []bool{false, true} {
		w := newTrade(t,
			&config.Account{Name: "A", Exports: []*config.Export{{Stream: "news.*"}, {Service: "ask.*", AllowTrace: allow}},
				Mappings: []*config.Mapping{{Source: "ask.old", Dests: []config.MapDest{{Subject: "ask.new", Weight: 100}}}, {Source: "n.*", Dests: []config.MapDest{{Subject: "news.$1", Weight: 100}}}}},
			&config.Account{Name: "B", Imports: []*config.Import{
				{Account: "A", Stream: "news.*", Prefix: "a", AllowTrace: allow}, {Account: "A", Service: "ask.*", To: "q.*"}}})
		reader, _ := w.sub("B", 3, "a.news.*", ""), w.sub("A", 4, "quiet", "")
		service, seen, answer := w.responder("A", 5, "ask.new", "yes")
		asked := w.sub("B", 6, "inbox", "")
		far := &server{linkSink: linkSink{sink: sink{kind: engine.Router, id: 7}}, name: "far"}
		add(t, w.reg.Lookup("A").Index(), far, "ask.*", "", 1)

		stream := []string{`{"type":"sm","to":"news.x"}`, `{"type":"se","acc":"B","to":"a.news.x"}`}
		request := []string{`{"type":"si","acc":"A","from":"q.old","to":"ask.new"}`}
		hops := 0
		if allow {
			stream = append(stream, `{"type":"eg","kind":0,"cid":3,"acc":"B","sub":"news.*"}`)
			request = append(request, `{"type":"eg","kind":0,"cid":5,"acc":"A","sub":"ask.new"}`, `{"type":"eg","kind":1,"cid":7,"name":"far","hop":"1"}`)
			hops = 1
		}
		stream, request = append(stream, "A tr hops 0"), append(request, fmt.Sprintf("B tr hops %d", hops))
		for _, only := range []bool{true, false} {
			n := map[bool]int{true: 0, false: 1}[only]
			out, got := w.traced("A", "n.x", only)
			w.expect(got, stream...)
			if out.Delivered != 1 || reader.n != n {
				t.Errorf("only %v: %+v, %d deliveries", only, out, reader.n)
			}
			if out, got = w.traced("B", "q.old", only); allow || !only {
				w.expect(got, request...)
			}
			if service.n != n || (out.Delivered > 0) != (allow || !only) {
				t.Errorf("allowed %v, only %v: %+v, %d requests", allow, only, out, service.n)
			}
		}
		// The other server is told where its event gets to the account of the publisher, or not to trace.
		if d := header.Get([]byte(seen.Header), header.TraceDest); string(d) == header.TraceDisabled == allow {
			t.Errorf("allowed %v: the service saw %q", allow, d)
		}
		last := far.header[len(far.header)-1]
		if !allow {
			if last != " to "+header.TraceDisabled {
				t.Errorf("the other server got %q", last)
			}
			continue
		}
		hop, dest, _ := strings.Cut(last, " to ")
		trs := w.sub("B", 8, "tr", "")
		for range 2 {
			m := from(engine.Router, 7, dest)
			if w.router.Publish(w.ctx, w.reg.Lookup("A"), m); hop != "1" {
				t.Errorf("hop %q", hop)
			}
		}
		if answer(); trs.n != 2 || asked.n != 1 {
			t.Errorf("%d traces came back by %s, %d answers", trs.n, dest, asked.n)
		}
	}
}

// TestTraceServers has servers that trace and servers that do not know about it.
func TestTraceServers(t *testing.T) {
	w := newTrade(t, &config.Account{Name: "A"})
	x := w.reg.Lookup("A").Index()
	far := &server{linkSink: linkSink{sink: sink{kind: engine.Router, id: 7}}, name: "far"}
	leaf := &server{linkSink: linkSink{sink: sink{kind: engine.Leaf, id: 8}}, name: "leaf"}
	old := &server{linkSink: linkSink{sink: sink{kind: engine.Gateway, id: 9}}, name: "old", old: true}
	for _, s := range []interest.Sink{far, leaf, old} {
		add(t, x, s, "foo", "", 1)
	}
	eg := func(kind, id int, name, hop, why string) string {
		if hop != "" {
			hop = `,"hop":"` + hop + `"`
		}
		if why != "" {
			why = `,"error":"` + why + `"`
		}
		return fmt.Sprintf(`{"type":"eg","kind":%d,"cid":%d,"name":%q%s%s}`, kind, id, name, hop, why)
	}
	_, got := w.traced("A", "foo", false)
	w.expect(got, eg(1, 7, "far", "1", ""), eg(4, 8, "leaf", "2", ""), eg(2, 9, "old", "3", trace.Unsupported), "A tr hops 3")
	_, got = w.traced("A", "foo", true)
	w.expect(got, eg(1, 7, "far", "1", ""), eg(4, 8, "leaf", "2", ""), eg(2, 9, "old", "", trace.OnlyUnsupported), "A tr hops 2")
	if far.n != 2 || leaf.n != 2 || old.n != 1 || strings.Join(far.header, ",") != "1 to tr,1 to tr" || strings.Join(leaf.header, ",") != "2 to tr,2 to tr" {
		t.Errorf("far %v, leaf %v, old %v", far.header, leaf.header, old.header)
	}
}
