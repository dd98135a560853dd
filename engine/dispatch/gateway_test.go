package dispatch

import (
	"testing"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/interest"
)

// ranked is a link to another cluster.
type ranked struct {
	linkSink
	rank int64
}

func (r *ranked) Rank() int64 { return r.rank }

// TestQueueElsewhere: a group is served here, by a leafnode, by the nearest other cluster, in this order.
func TestQueueElsewhere(t *testing.T) {
	x, ctx := interest.NewIndex(), newCtx(t)
	far := &ranked{linkSink{sink: sink{kind: engine.Gateway, id: 20, got: []string{}}}, 900}
	near := &ranked{linkSink{sink: sink{kind: engine.Gateway, id: 21, got: []string{}}}, 100}
	deaf := &ranked{linkSink{sink: sink{kind: engine.Gateway, id: 22, got: []string{}}, deny: true}, 1}
	leaf := &linkSink{sink: sink{kind: engine.Leaf, id: 30, got: []string{}}}
	here := client(1)
	for _, g := range []*ranked{far, near, deaf} {
		add(t, x, g, "a", "q", 1)
	}
	atLeaf := add(t, x, leaf, "a", "q", 1)
	local := add(t, x, here, "a", "q", 1)
	say := func(origin engine.Kind) { publish(ctx, x, nil, from(origin, 9, "a"), nil) }
	for range 20 {
		say(engine.Client)
	}
	if here.n != 20 || len(near.got)+len(far.got)+len(leaf.got) != 0 {
		t.Fatalf("here %d, near %q, far %q, leaf %q", here.n, near.got, far.got, leaf.got)
	}
	x.Remove(local)
	say(engine.Client)
	if len(leaf.got) != 1 || len(near.got) != 0 {
		t.Fatalf("leaf %q, near %q", leaf.got, near.got)
	}
	x.Remove(atLeaf)
	for range 20 {
		say(engine.JetStream)
	}
	if len(near.got) != 20 || near.got[0] != "a q" || len(far.got)+len(deaf.got) != 0 {
		t.Fatalf("near %q, far %q, deaf %q", near.got, far.got, deaf.got)
	}
	say(engine.Router)
	say(engine.Gateway)
	if len(near.got) != 20 || len(far.got) != 0 {
		t.Error("a message from another server went to another cluster")
	}
}

// TestRouted: messages to subjects of gateway replies are taken over, whatever way they come, or routed if nobody wants
// them.
func TestRouted(t *testing.T) {
	reg, err := account.NewRegistry(&config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, ctx, acct := NewRouter(reg), newCtx(t), reg.Global()
	s := client(1)
	add(t, acct.Index(), s, "_GR_.>", "", 1)
	var heard []string
	take := true
	r.UseHooks(Hooks{Routed: func(_ *Ctx, a *account.Account, m *engine.Msg) (Outcome, bool) {
		heard = append(heard, a.Name()+" "+string(m.Route()))
		return Outcome{Delivered: 7}, take
	}})
	say := func(subject, to string) Outcome {
		m := from(engine.Client, 9, subject)
		if to != "" {
			m.To = []byte(to)
		}
		return r.Publish(ctx, acct, m)
	}
	if o := say("_GR_.a.b.c", ""); o.Delivered != 7 || len(heard) != 1 || heard[0] != "$G _GR_.a.b.c" || s.n != 0 {
		t.Errorf("%+v, heard %q, delivered %d", o, heard, s.n)
	}
	if o := say("x", "_GR_.a.b.d"); o.Delivered != 7 || len(heard) != 2 {
		t.Errorf("%+v, heard %q", o, heard)
	}
	take = false
	if o := say("_GR_.a.b.c", ""); o.Delivered != 1 || s.n != 1 {
		t.Errorf("%+v, delivered %d", o, s.n)
	}
	if say("_GR_.", ""); len(heard) != 3 {
		t.Errorf("heard %q", heard)
	}
}

func TestRoutedSubjects(t *testing.T) {
	s := AppendRouted(nil, "1vR9Ah", "cIlrfV", []byte("rr.x"))
	cluster, server, rest := Routed(s)
	if string(s) != "_GR_.1vR9Ah.cIlrfV.rr.x" || string(cluster) != "1vR9Ah" || string(server) != "cIlrfV" || string(rest) != "rr.x" {
		t.Errorf("%q: %q %q %q", s, cluster, server, rest)
	}
	for in, want := range map[string]string{
		"": "", "a": "a", "_GR_.": "_GR_.", "_GR_.1vR9Ah.cIlrfV.": "_GR_.1vR9Ah.cIlrfV.", "_GR_.1vR9Ah.cIlrfV.r": "r", "_R_.a": "_R_.a",
	} {
		if got := Unrouted([]byte(in)); string(got) != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if c, _, _ := Routed([]byte("_GR_.1vR9Ah.cIlrfV.")); c != nil {
		t.Errorf("cluster %q of nothing", c)
	}
}
