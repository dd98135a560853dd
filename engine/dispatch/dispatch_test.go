package dispatch

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/interest"
)

// sink records what it is given and answers with verdict.
type sink struct {
	kind    engine.Kind
	id      uint64
	verdict engine.Verdict
	slow    bool
	on      func(m *engine.Msg)
	got     []string
	n       int
}

func (s *sink) Deliver(_ engine.LoopID, m *engine.Msg, sub *interest.Sub) engine.Verdict {
	s.n++
	if s.on != nil {
		s.on(m)
	}
	if s.verdict.Delivered() && s.got != nil {
		s.got = append(s.got, sub.SID()+":"+string(m.Subject))
	}
	return s.verdict
}
func (s *sink) Kind() engine.Kind { return s.kind }
func (s *sink) ID() uint64        { return s.id }
func (s *sink) Slow() bool        { return s.slow }

// linkSink is a sink that knows links.
type linkSink struct {
	sink
	deny, last bool
}

func (s *linkSink) Accepts(*engine.Msg, *interest.Sub) bool { return !s.deny }
func (s *linkSink) Fallback(*interest.Sub) bool             { return s.last }
func (s *linkSink) DeliverLink(_ engine.LoopID, m *engine.Msg, plain *interest.Sub, queues []*interest.Sub) engine.Verdict {
	line := string(m.Subject)
	if plain != nil {
		line += " plain"
	}
	for _, q := range queues {
		line += " " + q.Queue()
	}
	s.n++
	s.got = append(s.got, line)
	return s.verdict
}

func client(id uint64) *sink { return &sink{id: id, got: []string{}} }

func add(t testing.TB, x *interest.Index, s interest.Sink, subject, queue string, weight int32) *interest.Sub {
	t.Helper()
	sub := interest.NewSub([]byte(subject), []byte(queue), fmt.Append(nil, s.ID()), weight, s)
	if err := x.Insert(sub); err != nil {
		t.Fatal(err)
	}
	return sub
}

func newCtx(t testing.TB) *Ctx {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return NewCtx(0, seed)
}

func from(kind engine.Kind, id uint64, subject string) *engine.Msg {
	return &engine.Msg{Subject: []byte(subject), Payload: []byte("hi"), Origin: kind, OriginID: id}
}

func TestPlainFanout(t *testing.T) {
	x, ctx := interest.NewIndex(), newCtx(t)
	a, b, hard := client(1), client(2), client(3)
	b.verdict, hard.verdict = engine.OverSoft, engine.OverHard
	add(t, x, a, "foo.bar", "", 1)
	add(t, x, a, "foo.*", "", 1)
	add(t, x, b, ">", "", 1)
	add(t, x, hard, "foo.>", "", 1)
	m := from(engine.Client, 1, "foo.bar")
	if o := publish(ctx, x, nil, m, nil); o != (Outcome{Delivered: 3, Slow: true}) {
		t.Errorf("outcome %+v", o)
	}
	if len(a.got) != 2 || len(b.got) != 1 || ctx.Slow != 1 || !slices.Equal(ctx.SlowSinks, []interest.Sink{b}) {
		t.Errorf("a %v, b %v, slow %d %v", a.got, b.got, ctx.Slow, ctx.SlowSinks)
	}
	ctx.ResetSlow()
	m.NoEcho = true
	if o := publish(ctx, x, nil, m, nil); o.Delivered != 1 || len(a.got) != 2 {
		t.Errorf("without echo: %+v, a %v", o, a.got)
	}
	if o := publish(ctx, x, nil, from(engine.Client, 1, "none."), nil); o != (Outcome{}) {
		t.Errorf("no interest: %+v", o)
	}
	ctx.NoStall, b.slow = true, true
	refused := ctx.Refused
	if o := publish(ctx, x, nil, from(engine.Client, 9, "foo.bar"), nil); o.Delivered != 2 || ctx.Refused != refused+1 {
		t.Errorf("NoStall: %+v, refused %d", o, ctx.Refused-refused)
	}
	if o := publish(ctx, x, nil, from(engine.Router, 9, "foo.bar"), nil); o.Delivered != 3 {
		t.Errorf("NoStall is for clients only: %+v", o)
	}
}

func TestSlowSinksBounded(t *testing.T) {
	x, ctx := interest.NewIndex(), newCtx(t)
	for i := range 200 {
		s := client(uint64(i + 1))
		s.verdict = engine.OverSoft
		add(t, x, s, "a", "", 1)
	}
	publish(ctx, x, nil, from(engine.Client, 1, "a"), nil)
	if ctx.Slow != 200 || len(ctx.SlowSinks) != maxSlowSinks {
		t.Errorf("slow %d, sinks %d", ctx.Slow, len(ctx.SlowSinks))
	}
	ctx.ResetSlow()
	if ctx.Slow != 0 || len(ctx.SlowSinks) != 0 || ctx.SlowSinks[:1][0] != nil {
		t.Error("ResetSlow keeps sinks")
	}
}

// TestQueueOneMember: exactly one of a group that spans overlapping subjects, evenly spread.
func TestQueueOneMember(t *testing.T) {
	x, ctx := interest.NewIndex(), newCtx(t)
	var members []*sink
	for i, subj := range []string{"foo.bar", "foo.*", ">", "foo.bar"} {
		s := client(uint64(i + 1))
		members = append(members, s)
		add(t, x, s, subj, "q", 1)
	}
	other := client(9)
	add(t, x, other, "foo.*", "r", 1)
	const n = 8000
	for range n {
		if o := publish(ctx, x, nil, from(engine.Client, 7, "foo.bar"), nil); o.Delivered != 2 {
			t.Fatalf("outcome %+v", o)
		}
	}
	for _, s := range members {
		if s.n < n/4-400 || s.n > n/4+400 {
			t.Errorf("member %d got %d of %d", s.id, s.n, n)
		}
	}
	if other.n != n {
		t.Errorf("the other group got %d", other.n)
	}
}

// TestQueueFromRoute: members on other servers, which do not get what came from one, leave no share to their neighbours.
func TestQueueFromRoute(t *testing.T) {
	x, ctx := interest.NewIndex(), newCtx(t)
	route := &linkSink{sink: sink{kind: engine.Router, id: 10}}
	a, b := client(1), client(2)
	add(t, x, a, "a", "q", 1)
	add(t, x, route, "a", "q", 8)
	add(t, x, b, "a", "q", 1)
	const n = 4000
	for range n {
		if o := publish(ctx, x, nil, from(engine.Router, 11, "a"), [][]byte{[]byte("q")}); o.Delivered != 1 {
			t.Fatalf("outcome %+v", o)
		}
	}
	if route.n != 0 || a.n < n/2-300 || b.n < n/2-300 {
		t.Errorf("route %d, a %d, b %d", route.n, a.n, b.n)
	}
}

// TestQueueBack: what a route brings for a member that has gone goes to one on another server, but not to one that had the message.
func TestQueueBack(t *testing.T) {
	x, ctx := interest.NewIndex(), newCtx(t)
	here, there := &linkSink{sink: sink{kind: engine.Router, id: 10}}, &linkSink{sink: sink{kind: engine.Router, id: 11}}
	gone := client(1)
	gone.verdict = engine.Closed
	member := add(t, x, gone, "a", "q", 1)
	add(t, x, here, "a", "q", 1)
	add(t, x, there, "a", "q", 1)
	plain := add(t, x, here, "*", "", 1)
	send := func(want Outcome) {
		t.Helper()
		if o := publish(ctx, x, nil, from(engine.Router, 10, "a"), [][]byte{[]byte("q")}); o != want {
			t.Errorf("%+v", o)
		}
	}
	send(Outcome{Delivered: 1})
	if here.n != 0 || there.n != 1 || there.got[0] != "a q" {
		t.Errorf("back %q, on %q", here.got, there.got)
	}
	x.Remove(plain)
	x.Remove(member)
	for range 40 {
		send(Outcome{Delivered: 1})
	}
	if here.n+there.n != 41 {
		t.Errorf("back %d, on %d", here.n, there.n)
	}
	gone.verdict = engine.OK
	add(t, x, gone, "a", "q", 1)
	for range 40 {
		send(Outcome{Delivered: 1})
	}
	if here.n+there.n != 41 {
		t.Errorf("with a member here: back %d, on %d", here.n, there.n)
	}
}

// TestQueueRefusal: who refuses is passed over; the message is lost only if all do.
func TestQueueRefusal(t *testing.T) {
	x, ctx := interest.NewIndex(), newCtx(t)
	full, closed, self, good := client(1), client(2), client(3), client(4)
	full.verdict, closed.verdict = engine.Refused, engine.Closed
	for _, s := range []*sink{full, closed, self, good} {
		add(t, x, s, "a", "q", 1)
	}
	for range 200 {
		m := from(engine.Client, 3, "a")
		m.NoEcho = true
		if o := publish(ctx, x, nil, m, nil); o.Delivered != 1 {
			t.Fatalf("outcome %+v", o)
		}
	}
	if len(good.got) != 200 || self.n != 0 || full.n == 0 || closed.n == 0 {
		t.Errorf("good %d, self %d, full asked %d, closed asked %d", len(good.got), self.n, full.n, closed.n)
	}
	ctx.NoStall, good.slow = true, true
	m := from(engine.Client, 3, "a")
	m.NoEcho = true
	if o := publish(ctx, x, nil, m, nil); o.Delivered != 0 {
		t.Errorf("everybody refuses: %+v", o)
	}
}

// TestQueueLinks: routes compete by weight, leafnodes and routes that speak for leafnodes come last.
func TestQueueLinks(t *testing.T) {
	x, ctx := interest.NewIndex(), newCtx(t)
	c := client(1)
	route := &linkSink{sink: sink{kind: engine.Router, id: 10}}
	behind := &linkSink{sink: sink{kind: engine.Router, id: 11}, last: true}
	leaf := &linkSink{sink: sink{kind: engine.Leaf, id: 12}}
	local := add(t, x, c, "a", "q", 1)
	viaRoute := add(t, x, route, "a", "q", 3)
	add(t, x, behind, "a", "q", 9)
	viaLeaf := add(t, x, leaf, "a", "q", 9)
	const n = 8000
	for range n {
		if o := publish(ctx, x, nil, from(engine.Client, 7, "a"), nil); o.Delivered != 1 {
			t.Fatalf("outcome %+v", o)
		}
	}
	if leaf.n != 0 || behind.n != 0 || c.n+route.n != n {
		t.Fatalf("client %d, route %d, behind %d, leaf %d", c.n, route.n, behind.n, leaf.n)
	}
	// A start on a leafnode walks on to the local member, which is first in the group: 19 of 22.
	if c.n < n*7/10 || route.n < n/20 {
		t.Errorf("client %d, route %d", c.n, route.n)
	}
	x.Remove(viaRoute)
	c.verdict = engine.Refused
	publish(ctx, x, nil, from(engine.Client, 7, "a"), nil)
	if leaf.n+behind.n != 1 {
		t.Errorf("nobody else: leaf %d, behind %d", leaf.n, behind.n)
	}
	// From a route: local members, else the leafnode; only the groups named.
	behind.n, leaf.n = 0, 0
	if o := publish(ctx, x, nil, from(engine.Router, 10, "a"), [][]byte{[]byte("q")}); o.Delivered != 1 || leaf.n != 1 {
		t.Errorf("from a route: %+v, leaf %d", o, leaf.n)
	}
	if o := publish(ctx, x, nil, from(engine.Router, 10, "a"), [][]byte{[]byte("p")}); o.Delivered != 0 {
		t.Errorf("from a route for another group: %+v", o)
	}
	// Never back to the leafnode it came from.
	x.Remove(local)
	leaf.n, behind.n = 0, 0
	if o := publish(ctx, x, nil, from(engine.Leaf, 12, "a"), nil); o.Delivered != 0 {
		t.Errorf("from a leafnode that chose no group: %+v", o)
	}
	hub := from(engine.Leaf, 12, "a")
	hub.FromHub = true
	if o := publish(ctx, x, nil, hub, [][]byte{[]byte("q")}); o.Delivered != 0 {
		t.Errorf("from the hub to a route: %+v", o)
	}
	publish(ctx, x, nil, from(engine.Leaf, 12, "a"), [][]byte{[]byte("q")})
	if leaf.n != 0 || behind.n != 1 {
		t.Errorf("from the leafnode: leaf %d, behind %d", leaf.n, behind.n)
	}
	x.Remove(viaLeaf)
}

// TestLinkOnce: plain interest and several groups of one server are one message to it.
func TestLinkOnce(t *testing.T) {
	x, ctx := interest.NewIndex(), newCtx(t)
	route := &linkSink{sink: sink{kind: engine.Router, id: 10}}
	denied := &linkSink{sink: sink{kind: engine.Leaf, id: 11}, deny: true}
	gw := &sink{kind: engine.Gateway, id: 12, got: []string{}}
	for _, p := range []string{"a.*", "a.b", ">"} {
		add(t, x, route, p, "", 1)
		add(t, x, denied, p, "", 1)
		add(t, x, gw, p, "", 1)
	}
	add(t, x, route, "a.b", "q1", 2)
	add(t, x, route, "a.*", "q2", 2)
	add(t, x, gw, "a.*", "q3", 2)
	for i := range 4 {
		if o := publish(ctx, x, nil, from(engine.Client, 1, "a.b"), nil); o.Delivered != 2 {
			t.Fatalf("outcome %+v", o)
		}
		if len(gw.got) != i+1 || len(route.got) != i+1 || denied.n != 0 {
			t.Fatalf("route %q, gateway %q, denied %d", route.got, gw.got, denied.n)
		}
		if g := route.got[i]; g != "a.b plain q1 q2" && g != "a.b plain q2 q1" {
			t.Fatalf("route got %q", g)
		}
	}
	if len(ctx.links) != 0 || len(ctx.picks) != 0 || len(ctx.members) != 0 {
		t.Error("scratch is not empty")
	}
}

// TestRules: who gets a plain message from whom.
func TestRules(t *testing.T) {
	want := map[engine.Kind]string{
		engine.Client: "crglsja", engine.System: "crglsja", engine.JetStream: "crglsja", engine.Account: "crglsja",
		engine.Leaf: "crglsja", engine.Router: "clsja", engine.Gateway: "crlsja",
	}
	letters := map[engine.Kind]byte{engine.Client: 'c', engine.Router: 'r', engine.Gateway: 'g', engine.Leaf: 'l',
		engine.System: 's', engine.JetStream: 'j', engine.Account: 'a'}
	for origin := range engine.NumKinds {
		x, ctx := interest.NewIndex(), newCtx(t)
		var sinks []*sink
		for k := range engine.NumKinds {
			s := client(uint64(100 + k))
			s.kind = k
			sinks = append(sinks, s)
			add(t, x, s, "a", "", 1)
		}
		publish(ctx, x, nil, from(origin, 1, "a"), nil)
		for _, s := range sinks {
			if (s.n == 1) != slices.Contains([]byte(want[origin]), letters[s.kind]) {
				t.Errorf("from %v to %v: %d messages", origin, s.kind, s.n)
			}
		}
	}
}

func suffix(in, scratch []byte, rnd uint64) ([]byte, bool, bool) {
	switch string(in) {
	case "drop":
		return in, false, false
	case "keep":
		return in, false, true
	}
	return append(append(scratch[:0], in...), ".mapped"...), true, true
}

func TestMapping(t *testing.T) {
	x, ctx := interest.NewIndex(), newCtx(t)
	s := client(1)
	add(t, x, s, ">", "", 1)
	for _, c := range []struct {
		kind    engine.Kind
		subject string
		want    Outcome
		got     string
	}{
		{engine.Client, "a", Outcome{Delivered: 1, Mapped: true}, "1:a.mapped"},
		{engine.Leaf, "a", Outcome{Delivered: 1, Mapped: true}, "1:a.mapped"},
		{engine.Client, "keep", Outcome{Delivered: 1}, "1:keep"},
		{engine.Client, "drop", Outcome{Dropped: true}, ""},
		{engine.Router, "a", Outcome{Delivered: 1}, "1:a"},
		{engine.System, "drop", Outcome{Delivered: 1}, "1:drop"},
	} {
		s.got = s.got[:0]
		m := from(c.kind, 2, c.subject)
		if o := publish(ctx, x, suffix, m, nil); o != c.want || string(m.Subject) != c.subject {
			t.Errorf("%v %s: %+v, subject %s", c.kind, c.subject, o, m.Subject)
		}
		if fmt.Sprint(s.got) != "["+c.got+"]" {
			t.Errorf("%v %s: delivered %q", c.kind, c.subject, s.got)
		}
	}
}

// TestNested: deliveries that publish keep the outer message and result intact, and a circle ends.
func TestNested(t *testing.T) {
	x, ctx := interest.NewIndex(), newCtx(t)
	services := []*sink{client(1), client(2), client(3)}
	sinkhole := client(9)
	add(t, x, sinkhole, "reply.*.mapped", "", 1)
	for _, s := range services {
		s.kind = engine.System
		s.on = func(m *engine.Msg) {
			if string(m.Subject) != "ask.mapped" {
				t.Errorf("subject is %s", m.Subject)
			}
			publish(ctx, x, suffix, from(engine.Client, 0, fmt.Sprintf("reply.%d", s.id)), nil)
			if string(m.Subject) != "ask.mapped" {
				t.Errorf("subject became %s", m.Subject)
			}
		}
		add(t, x, s, "ask.*", "", 1)
	}
	for i := range 3 {
		if o := publish(ctx, x, suffix, from(engine.Client, 7, "ask"), nil); o.Delivered != 3 || len(sinkhole.got) != 3*(i+1) {
			t.Fatalf("%+v, replies %q", o, sinkhole.got)
		}
	}
	depth := 0
	circle := client(4)
	circle.on = func(*engine.Msg) { depth++; publish(ctx, x, nil, from(engine.System, 0, "circle"), nil) }
	add(t, x, circle, "circle", "", 1)
	publish(ctx, x, nil, from(engine.Client, 7, "circle"), nil)
	if depth != maxDepth || ctx.depth != 0 {
		t.Errorf("circle of %d, depth %d", depth, ctx.depth)
	}
}

func TestLocal(t *testing.T) {
	x, ctx := interest.NewIndex(), newCtx(t)
	n := 0
	l := NewLocal(x, engine.System, 5, func(f engine.LoopID, m *engine.Msg) { n++ })
	s, err := l.Subscribe("svc.>", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Subscribe("bad..subject", ""); err == nil {
		t.Error("a bad subject was accepted")
	}
	s.SetMax(2)
	for range 4 {
		publish(ctx, x, nil, from(engine.Client, 1, "svc.a"), nil)
	}
	if n != 2 || x.Count() != 0 || l.Unsubscribe(s) {
		t.Errorf("%d messages, %d subscriptions", n, x.Count())
	}
	s, _ = l.Subscribe("svc.>", "q")
	publish(ctx, x, nil, from(engine.Client, 1, "svc.a"), nil)
	if n != 3 || !l.Unsubscribe(s) || l.Kind() != engine.System || l.ID() != 5 {
		t.Errorf("%d messages", n)
	}
}

func TestRouter(t *testing.T) {
	reg, err := account.NewRegistry(&config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	acct := reg.Global()
	r, ctx, c := NewRouter(reg), newCtx(t), client(1)
	add(t, acct.Index(), c, "a", "q", 1)
	m := from(engine.Client, 2, "a")
	if o := r.Publish(ctx, acct, m); o.Delivered != 1 || m.Account != acct.Ref() {
		t.Errorf("%+v, account %+v", o, m.Account)
	}
	m.Origin = engine.Router
	if o := r.PublishQueues(ctx, acct, m, [][]byte{[]byte("q")}); o.Delivered != 1 {
		t.Errorf("%+v", o)
	}
	if o := r.Publish(ctx, acct, m); o.Delivered != 0 {
		t.Errorf("a route that named no group: %+v", o)
	}
}

var testRouter = NewRouter(nil)

// publish is Router.Publish without an account.
func publish(ctx *Ctx, x *interest.Index, mapping mapFunc, m *engine.Msg, queues [][]byte) Outcome {
	return testRouter.publish(ctx, x, mapping, m, queues)
}

// benchWorld is 1 to 4 fan-out, a queue of 4, and the same with links.
func benchWorld(t testing.TB) (*interest.Index, *Ctx) {
	x := interest.NewIndex()
	for i := range 4 {
		id := uint64(i + 1)
		add(t, x, &sink{id: id}, "fan", "", 1)
		add(t, x, &sink{id: id}, "queue", "q", 1)
		add(t, x, &sink{id: id}, "wild.*", "", 1)
		route := &sink{id: id, kind: engine.Router}
		add(t, x, route, "far", "", 1)
		add(t, x, route, "far", "q", 3)
	}
	return x, NewCtx(0, 1)
}

func TestPublishAllocs(t *testing.T) {
	x, ctx := benchWorld(t)
	for _, c := range []struct {
		subject string
		m       mapFunc
		want    int
	}{
		{"fan", nil, 4}, {"queue", nil, 1}, {"wild.a", nil, 4}, {"far", nil, 4}, {"nobody", nil, 0}, {"a", suffix, 0},
	} {
		m := from(engine.Client, 99, c.subject)
		for range 5 {
			if o := publish(ctx, x, c.m, m, nil); o.Delivered != c.want {
				t.Fatalf("%s: %+v", c.subject, o)
			}
		}
		if n := testing.AllocsPerRun(1000, func() { publish(ctx, x, c.m, m, nil) }); n != 0 {
			t.Errorf("%s: %v allocations per message", c.subject, n)
		}
	}
}

func BenchmarkPublish(b *testing.B) {
	for _, subject := range []string{"fan", "queue", "wild.a", "far", "nobody"} {
		b.Run(subject, func(b *testing.B) {
			x, ctx := benchWorld(b)
			m := from(engine.Client, 99, subject)
			b.ReportAllocs()
			for range b.N {
				publish(ctx, x, nil, m, nil)
			}
		})
	}
}

// TestTo: a message with a route goes to who listens on that, and shows its subject.
func TestTo(t *testing.T) {
	x, ctx := interest.NewIndex(), newCtx(t)
	plain, other, q1, q2 := client(1), client(2), client(3), client(4)
	add(t, x, plain, "inbox.*", "", 1)
	add(t, x, other, "orders.new", "", 1)
	add(t, x, q1, "inbox.7", "g", 1)
	add(t, x, q2, "inbox.7", "g", 1)
	m := from(engine.JetStream, 0, "orders.new")
	m.To = []byte("inbox.7")
	for range 50 {
		if o := publish(ctx, x, nil, m, nil); o != (Outcome{Delivered: 2}) {
			t.Fatalf("outcome %+v", o)
		}
	}
	if len(plain.got) != 50 || plain.got[0] != "1:orders.new" || len(other.got) != 0 || len(q1.got)+len(q2.got) != 50 {
		t.Errorf("%d %v, %d and %d in the group", len(plain.got), other.got, len(q1.got), len(q2.got))
	}
	m.To = []byte("nobody")
	if o := publish(ctx, x, nil, m, nil); o != (Outcome{}) {
		t.Errorf("outcome %+v", o)
	}
}
