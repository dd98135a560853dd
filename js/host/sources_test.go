package host

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ramjet/proto/base/clock"
	"ramjet/proto/base/rng"
	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
	"ramjet/store/vfs"
)

// wire is a bus in which JetStream hears itself, as in a server.
type wire struct {
	mu   sync.Mutex
	subs map[*wireSub]bool
}

type wireSub struct {
	account, subject string
	in               Inbox
	watch            func(bool)
}

func (w *wire) match(account, subj string) (l []*wireSub) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s := range w.subs {
		if s.account == account && s.in != nil && subject.Match(subj, s.subject) {
			l = append(l, s)
		}
	}
	return l
}

func (w *wire) Publish(account string, subj, reply, hdr, payload []byte) {
	w.Deliver(account, subj, subj, reply, hdr, payload)
}

func (w *wire) Deliver(account string, to, subj, reply, hdr, payload []byte) bool {
	l := w.match(account, string(to))
	for _, s := range l {
		s.in.Deliver(&Msg{Account: account, Subject: subj, Reply: reply, Header: hdr, Payload: payload})
	}
	return len(l) > 0
}

func (w *wire) Interest(account string, subj []byte) bool {
	return len(w.match(account, string(subj))) > 0
}
func (w *wire) Flush() {}

func (w *wire) change(s *wireSub, on bool) {
	w.mu.Lock()
	if on {
		w.subs[s] = true
	} else {
		delete(w.subs, s)
	}
	var watches []*wireSub
	for x := range w.subs {
		if x.watch != nil && x.account == s.account && subject.Match(x.subject, s.subject) {
			watches = append(watches, x)
		}
	}
	w.mu.Unlock()
	for _, x := range watches {
		x.watch(w.Interest(x.account, []byte(x.subject)))
	}
}

func (w *wire) Subscribe(account, subj, _ string, in Inbox) (func(), error) {
	s := &wireSub{account: account, subject: subj, in: in}
	w.change(s, true)
	return func() { w.change(s, false) }, nil
}

func (w *wire) Watch(account, subj, _ string, fn func(bool)) func() {
	s := &wireSub{account: account, subject: subj, watch: fn}
	w.change(s, true)
	return func() { w.change(s, false) }
}

// mailbox is a client that keeps what it gets.
type mailbox chan string

func (b mailbox) Deliver(m *Msg) Verdict {
	b <- fmt.Sprintf("%s %s", m.Subject, m.Payload)
	return Taken
}

func (b mailbox) want(t *testing.T, text string) {
	t.Helper()
	select {
	case got := <-b:
		if got != text {
			t.Fatalf("got %q, want %q", got, text)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("no %q", text)
	}
}

// TestMirrorsAndSources lets one server mirror and source its own streams: every kind of origin, a restart, promotion.
func TestMirrorsAndSources(t *testing.T) {
	fs, bus := vfs.NewMem(), &wire{subs: map[*wireSub]bool{}}
	seed := uint64(0)
	open := func() *Host {
		seed++
		h, err := Open(Env{FS: fs, Clock: clock.System(), Rand: rng.New(seed), Bus: func(int) Bus { return bus }, Limits: unlimited{}},
			Options{Dir: "js", Shards: 2, ServerName: "s", MaxMemory: -1, MaxStore: -1, JournalFile: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.ServeAccount("A"); err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := open()
	defer func() { _ = h.Close() }()
	seen := make(mailbox, 1000)
	_, _ = bus.Subscribe("A", "seen.>", "", seen)
	answers := make(mailbox, 10)
	_, _ = bus.Subscribe("A", "answers", "", answers)
	call := func(e jsapi.Endpoint, name, body string) (i jsapi.StreamInfo) {
		t.Helper()
		bus.Publish("A", []byte(jsapi.BuildAPI(e, name)), []byte("answers"), nil, []byte(body))
		_, text, _ := strings.Cut(<-answers, " ")
		var r struct {
			Error *jsapi.Error `json:"error"`
			jsapi.StreamInfo
		}
		if err := json.Unmarshal([]byte(text), &r); err != nil || r.Error != nil {
			t.Fatalf("%s: %s", body, text)
		}
		return r.StreamInfo
	}
	pub := func(subj, body string) {
		t.Helper()
		bus.Publish("A", []byte(subj), []byte("answers"), nil, []byte(body))
		if a := <-answers; strings.Contains(a, "error") {
			t.Fatal(a)
		}
	}
	call(jsapi.StreamCreateAPI, "O", `{"name":"O","subjects":["o.*"]}`)
	call(jsapi.StreamCreateAPI, "W", `{"name":"W","subjects":["w.*"],"retention":"workqueue"}`)
	pub("o.1", "a")
	pub("o.2", "b")
	pub("w.1", "c")
	call(jsapi.StreamCreateAPI, "M", `{"name":"M","mirror":{"name":"O"},"republish":{"src":">","dest":"seen.m.>"}}`)
	seen.want(t, "seen.m.o.1 a")
	seen.want(t, "seen.m.o.2 b")
	call(jsapi.StreamCreateAPI, "S", `{"name":"S","sources":[{"name":"W","subject_transforms":[{"src":"w.*","dest":"x.$1"}]}],"republish":{"src":">","dest":"seen.s.>"}}`)
	seen.want(t, "seen.s.x.1 c")
	pub("w.2", "d")
	seen.want(t, "seen.s.x.2 d")
	if i := call(jsapi.StreamInfoAPI, "M", ``); i.Mirror == nil || i.Mirror.Name != "O" || i.Mirror.Error != nil || i.Mirror.Active < 0 || i.State.LastSeq != 2 {
		t.Errorf("%+v", i.Mirror)
	}
	if i := call(jsapi.StreamInfoAPI, "S", ``); len(i.Sources) != 1 || i.Sources[0].Error != nil || i.Sources[0].Seq != 2 {
		t.Errorf("%+v", i.Sources)
	}

	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	bus.mu.Lock()
	for s := range bus.subs {
		if s.in != nil && s.in != Inbox(seen) && s.in != Inbox(answers) {
			t.Errorf("after the end somebody listens on %s", s.subject)
			delete(bus.subs, s)
		}
	}
	bus.mu.Unlock()
	h = open()
	pub("o.3", "e")
	seen.want(t, "seen.m.o.3 e")
	pub("w.3", "f")
	seen.want(t, "seen.s.x.3 f")
	call(jsapi.StreamUpdateAPI, "M", `{"name":"M","subjects":["m"],"republish":{"src":">","dest":"seen.m.>"}}`)
	pub("o.4", "g")
	pub("m", "h")
	seen.want(t, "seen.m.m h")
	if i := call(jsapi.StreamInfoAPI, "M", ``); i.Mirror != nil || i.State.LastSeq != 4 {
		t.Errorf("%+v", i)
	}
	if i := call(jsapi.StreamInfoAPI, "S", ``); i.State.Msgs != 3 {
		t.Errorf("%+v", i.State)
	}
}
