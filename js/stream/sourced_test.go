package stream

import (
	"bytes"
	"fmt"
	"testing"

	"ramjet/js/op"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
	"ramjet/store"
)

func TestIndexOf(t *testing.T) {
	for _, c := range []struct {
		s    jsapi.StreamSource
		want string
	}{
		{jsapi.StreamSource{Name: "O"}, "O > >"},
		{jsapi.StreamSource{Name: "O", FilterSubject: "a.*"}, "O a.* >"},
		{jsapi.StreamSource{Name: "O", SubjectTransforms: []jsapi.SubjectTransform{{Source: "a", Destination: "x.{{partition(3, 1)}}"}, {}}}, "O a\f> x.{{partition(3,1)}}\f>"},
		{jsapi.StreamSource{Name: "O", External: &jsapi.ExternalStream{APIPrefix: "$JS.hub.API"}}, "O:" + jsapi.Hash("$JS.hub.API") + " > >"},
		{jsapi.StreamSource{Name: "O", Consumer: &jsapi.StreamSourceConsumer{Name: "C"}}, "O:C=" + jsapi.Hash("C") + " > >"},
	} {
		x := IndexOf(&c.s)
		if x.String() != c.want {
			t.Errorf("%q, want %q", x.String(), c.want)
		}
		v := AppendSourceHeader(nil, &x, 7, []byte("a.b"), "id")
		var h SourceHeader
		if !ParseSourceHeader(v, &h) || string(h.AppendIndex(nil)) != c.want || h.Seq != 7 || string(h.Subject) != "a.b" || string(h.Identity) != "id" {
			t.Errorf("%q: %+v", v, h)
		}
	}
}

func TestOldSourceHeaders(t *testing.T) {
	for v, want := range map[string]string{"O 5": "O 5", "$JS.ACK.O.C.1.5.2.9.0": "O 5", "O:abcdefgh 5": "O:abcdefgh 5", "O 5 a > x": "O 5",
		"": "", "O": "", "O x": "", " 5": "", "O 5 a": "", "O 5 a >": "", "O 5 a > ": "", "O 5 a > x i y": "", "$JS.ACK.O": ""} {
		var h SourceHeader
		got := ""
		if ParseSourceHeader([]byte(v), &h) {
			got = fmt.Sprintf("%s %d", h.Name, h.Seq)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", v, got, want)
		}
	}
}

func FuzzSourceHeader(f *testing.F) {
	for _, s := range []string{"O 5", "O:h 5 a\fb > x id", "$JS.ACK.O.C.1.5.2.9.0", "O  > "} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		var h, g SourceHeader
		if !ParseSourceHeader(v, &h) || h.Filter == nil {
			return
		}
		x := SourceIndex{string(h.Name), string(h.Filter), string(h.Dest)}
		w := AppendSourceHeader(nil, &x, h.Seq, h.Subject, string(h.Identity))
		if !ParseSourceHeader(w, &g) || !bytes.Equal(g.AppendIndex(nil), h.AppendIndex(nil)) || g.Seq != h.Seq || !bytes.Equal(g.Subject, h.Subject) ||
			!bytes.Equal(g.Identity, h.Identity) {
			t.Fatalf("%q becomes %q", v, w)
		}
	})
}

func sourcedHeader(v string) []byte {
	return header.AppendAdd(nil, nil, jsapi.HdrStreamSource, []byte(v))
}

func TestSourced(t *testing.T) {
	r := newRig(t, `{"sources":[{"name":"O"},{"name":"P"}]}`)
	send := func(v string) {
		r.f.Publish(&Inbound{Subject: []byte("a.x"), Header: sourcedHeader(v), Origin: Source}, r.now, &r.b, &r.out)
		r.flush()
	}
	check := func(m *Machine, index, want string) {
		t.Helper()
		s, upto, known := m.Sourced(index)
		if got := fmt.Sprintf("%d%s %d %v", s.Seq, s.Identity, upto, known); got != want {
			t.Errorf("%s: %s, want %s", index, got, want)
		}
	}
	check(r.m, "O > >", "0 0 true")
	send("O 7 > > x i1")
	send("O 9 > > x i1")
	send("P 3 > > x")
	send("O 2 > > x i2") // created anew
	check(r.m, "O > >", "2i2 0 true")
	check(r.m, "P > >", "3 0 true")
	check(r.m, "Q > >", "0 0 true")
	r.m.Apply(100, &op.Cmd{Kind: op.Purge}, &r.out) // changes nothing about where sources are
	blob := r.m.AppendState(nil)
	m := NewMachine(&r.cfg, r.log, nil)
	if err := m.Restore(blob); err != nil || !bytes.Equal(m.AppendState(nil), blob) {
		t.Fatal(err)
	}
	check(m, "O > >", "2i2 0 true")
	// Without a checkpoint the log has to be searched, as far as Rebuild did not read it.
	send("O 3 > > x i2")
	send("P 4 > > x")
	m = NewMachine(&r.cfg, r.log, nil)
	m.Rebuild(r.now + 1)
	check(m, "O > >", "0 6 false")
	r.log.Purge(&store.Purge{}, nil)
	check(m, "O > >", "0 0 true")
	// Many removed ones are forgotten, the configured ones never, the latest of the others last.
	for i := range 200 {
		send(fmt.Sprintf("X%d 1 > > x", i))
	}
	r.m.sourced.configured(&r.cfg)
	if n := len(r.m.sourced.byIndex); n != 2+spareSources {
		t.Fatal(n)
	}
	check(r.m, "O > >", "3i2 0 true")
	check(r.m, "X199 > >", "1 0 true")
	check(r.m, "X0 > >", "0 0 true")
}

func TestRefusalsOfPublish(t *testing.T) {
	r := newRig(t, `{"max_msgs":1,"discard":"new","duplicate_window":1000000000,"sources":[{"name":"O"}]}`)
	pub := func(subj, id string) *jsapi.Error {
		h := header.AppendAdd(nil, sourcedHeader("O 1 > > x"), jsapi.HdrMsgID, []byte(id))
		err := r.f.Publish(&Inbound{Subject: []byte(subj), Header: h, Origin: Source}, r.now, &r.b, &r.out)
		r.flush()
		return err
	}
	if err := pub("a.x", "1"); err != nil {
		t.Fatal(err)
	}
	if err := pub("a.x", "1"); err != nil {
		t.Fatal("a duplicate is no error:", err)
	}
	if err := pub("a.x", "2"); !IsFull(err) {
		t.Fatal(err)
	}
	if IsFull(nil) || IsFull(storeFailed("message too large")) || IsFull(jsapi.StreamSealed.Err()) {
		t.Fatal("not full")
	}
}

func TestSkipTo(t *testing.T) {
	r := newRig(t, `{"mirror":{"name":"O"}}`)
	r.f.SkipTo(5, &r.b)
	r.f.SkipTo(4, &r.b)
	if err := r.f.Publish(&Inbound{Subject: []byte("a"), Origin: Mirror, Seq: 6, Time: 9}, r.now, &r.b, &r.out); err != nil || r.b.Len() != 2 {
		t.Fatal(err, r.b.Len())
	}
	r.flush()
	if r.log.last != 6 || len(r.log.msgs) != 1 || r.f.LastSeq() != 6 {
		t.Fatal(r.log.last)
	}
}
