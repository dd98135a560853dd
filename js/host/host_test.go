package host

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ramjet/js/api"
	"ramjet/js/backup"
	"ramjet/js/stream"
	"ramjet/proto/base/clock"
	"ramjet/proto/base/rng"
	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
	"ramjet/store/crypt"
	"ramjet/store/vfs"
)

// net is a bus for tests: subscriptions of JetStream and of clients in one list.
type net struct {
	mu   sync.Mutex
	subs map[*netSub]bool
	seen *sync.Cond
	msgs []netMsg
}

type netSub struct {
	account, subject string
	in               Inbox
	client           bool
	watch            func(bool)
}

type netMsg struct{ account, to, subject, reply, hdr, body string }

func newNet() *net {
	n := &net{subs: map[*netSub]bool{}}
	n.seen = sync.NewCond(&n.mu)
	return n
}

func (n *net) match(account, subj string, client bool) (l []*netSub) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for s := range n.subs {
		if s.account == account && s.client == client && s.watch == nil && subject.Match(subj, s.subject) {
			l = append(l, s)
		}
	}
	return l
}

func (n *net) send(account, to, subj, reply, hdr, body string) bool {
	for _, s := range n.match(account, to, false) {
		m := &Msg{Account: account, Subject: []byte(to), Payload: []byte(body)}
		if reply != "" {
			m.Reply = []byte(reply)
		}
		if hdr != "" {
			m.Header = []byte(hdr)
		}
		s.in.Deliver(m)
	}
	if len(n.match(account, to, true)) == 0 {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.msgs = append(n.msgs, netMsg{account, to, subj, reply, hdr, body})
	n.seen.Broadcast()
	return true
}

func (n *net) Publish(account string, to, reply, hdr, payload []byte) {
	n.send(account, string(to), string(to), string(reply), string(hdr), string(payload))
}

func (n *net) Deliver(account string, to, subj, reply, hdr, payload []byte) bool {
	return n.send(account, string(to), string(subj), string(reply), string(hdr), string(payload))
}

func (n *net) Interest(account string, subj []byte) bool {
	return len(n.match(account, string(subj), true)) > 0
}

func (n *net) Flush() {}

func (n *net) add(s *netSub) func() {
	n.mu.Lock()
	n.subs[s] = true
	var tell []func(bool)
	if s.client {
		for w := range n.subs {
			if w.watch != nil && w.account == s.account && subject.Match(w.subject, s.subject) {
				tell = append(tell, w.watch)
			}
		}
	}
	n.mu.Unlock()
	for _, fn := range tell {
		fn(true)
	}
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.subs, s)
	}
}

func (n *net) Subscribe(account, subj, queue string, in Inbox) (func(), error) {
	return n.add(&netSub{account: account, subject: subj, in: in}), nil
}

func (n *net) Watch(account, subj, queue string, fn func(bool)) func() {
	cancel := n.add(&netSub{account: account, subject: subj, watch: fn})
	fn(len(n.match(account, subj, true)) > 0)
	return cancel
}

// listen makes the test a client that sees what goes to subj.
func (n *net) listen(subj string) { n.add(&netSub{account: "A", subject: subj, client: true}) }

// wait returns the next message to subj.
func (n *net) wait(t *testing.T, subj string) netMsg {
	t.Helper()
	late := time.AfterFunc(10*time.Second, func() { n.mu.Lock(); n.msgs = append(n.msgs, netMsg{to: "late"}); n.mu.Unlock(); n.seen.Broadcast() })
	defer late.Stop()
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		for i, m := range n.msgs {
			if m.to == subj {
				n.msgs = append(n.msgs[:i:i], n.msgs[i+1:]...)
				return m
			}
			if m.to == "late" {
				t.Fatalf("nothing came to %s", subj)
			}
		}
		n.seen.Wait()
	}
}

type unlimited struct{}

func (unlimited) Account(name string) *AccountLimits {
	if name != "A" {
		return nil
	}
	return &AccountLimits{Flat: jsapi.AccountLimits{MaxMemory: -1, MaxStore: -1, MaxStreams: -1, MaxConsumers: -1}}
}

type world struct {
	t   *testing.T
	n   *net
	fs  vfs.FS
	clk clock.Clock
	h   *Host
	opt func(*Options) // nil: as they are
	log []string
	mu  sync.Mutex
}

func newWorld(t *testing.T, fs vfs.FS) *world { return newWorldAt(t, fs, clock.System()) }

func newWorldAt(t *testing.T, fs vfs.FS, clk clock.Clock) *world {
	w := &world{t: t, n: newNet(), fs: fs, clk: clk}
	w.open()
	t.Cleanup(func() { _ = w.h.Close() })
	return w
}

func (w *world) open() {
	w.t.Helper()
	o := Options{Dir: "js", Shards: 2, ServerName: "s", MaxMemory: -1, MaxStore: -1, JournalFile: 1 << 20}
	if w.opt != nil {
		w.opt(&o)
	}
	h, err := Open(Env{FS: w.fs, Clock: w.clk, Rand: rng.New(1), Bus: func(int) Bus { return w.n }, Limits: unlimited{},
		Events: Events{Log: func(id, format string, args ...any) {
			w.mu.Lock()
			w.log = append(w.log, id+" "+fmt.Sprintf(format, args...))
			w.mu.Unlock()
		}}}, o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.h = h
	if err := h.ServeAccount("A"); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) account() *Account { return w.h.account("A", false) }

func (w *world) create(cfg jsapi.StreamConfig) *Stream {
	w.t.Helper()
	if err := stream.CheckCreate(&cfg, &stream.Context{}); err != nil {
		w.t.Fatal(err)
	}
	s, err := w.account().createNow(&cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// createNow creates a stream and waits for it.
func (a *Account) createNow(cfg *jsapi.StreamConfig) (*Stream, *jsapi.Error) {
	a.Lock()
	s, wait, err := a.CreateStream(cfg)
	a.Unlock()
	if err == nil && wait != nil {
		err = wait()
	}
	if err != nil {
		return nil, err
	}
	return s.(*Stream), nil
}

func (w *world) consumer(s *Stream, name string, cfg jsapi.ConsumerConfig) *Consumer {
	w.t.Helper()
	s.acct.Lock()
	defer s.acct.Unlock()
	c, err := s.CreateConsumer(name, &cfg, false)
	if err != nil {
		w.t.Fatal(err)
	}
	return c.(*Consumer)
}

func (w *world) publish(subj, body string) jsapi.PubAck {
	w.t.Helper()
	w.n.listen("ack")
	w.n.send("A", subj, subj, "ack", "", body)
	m := w.n.wait(w.t, "ack")
	var a struct {
		jsapi.PubAck
		Error *jsapi.Error
	}
	if err := json.Unmarshal([]byte(m.body), &a); err != nil || a.Error != nil {
		w.t.Fatalf("%s: %v", m.body, err)
	}
	return a.PubAck
}

// next pulls one message and acknowledges it.
func (w *world) next(s, c string) string {
	w.t.Helper()
	w.n.listen("inbox")
	subj := jsapi.BuildAPI(jsapi.ConsumerNext, s, c)
	w.n.send("A", subj, subj, "inbox", "", `{"batch":1,"no_wait":true}`)
	m := w.n.wait(w.t, "inbox")
	if m.reply == "" {
		return strings.TrimSpace(m.hdr)
	}
	w.n.listen("confirm")
	w.n.send("A", m.reply, m.reply, "confirm", "", "+ACK")
	w.n.wait(w.t, "confirm")
	return m.subject + "=" + m.body
}

func (w *world) restart() {
	w.t.Helper()
	if err := w.h.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.open()
}

// TestKeyAndCipherChange: a stream that an older key and cipher encrypted serves with the new key alone once the server ran with both.
func TestKeyAndCipherChange(t *testing.T) {
	w := newWorld(t, vfs.NewMem())
	reopen := func(key, prev string, c crypt.Cipher) {
		t.Helper()
		if err := w.h.Close(); err != nil {
			t.Fatal(err)
		}
		w.opt = func(o *Options) {
			if o.Key, o.Cipher = []byte(key), c; prev != "" {
				o.PrevKey = []byte(prev)
			}
		}
		w.open()
	}
	reopen("one", "", crypt.AES)
	w.create(jsapi.StreamConfig{Name: "S", Subjects: []string{"s.*"}})
	w.publish("s.x", "secret")
	for i, next := range []crypt.Cipher{crypt.ChaCha, crypt.AES} {
		key, prev := fmt.Sprint("key", i+1), "one"
		if i > 0 {
			prev = fmt.Sprint("key", i)
		}
		reopen(key, prev, next)
		w.publish("s.x", "more")
		reopen(key, "", next)
		var page jsapi.Page
		s := w.account().stream("S")
		if s == nil {
			t.Fatalf("%s: %v", next, w.log)
		}
		if got := s.Info(nil, &page); got.State.Msgs != uint64(i+2) {
			t.Errorf("%s: %+v", next, got.State)
		}
	}
}

// TestInfoFollowsPublishes: who published without waiting for the acknowledgement sees the message in the stream, and
// nothing that is due to expire.
func TestInfoFollowsPublishes(t *testing.T) {
	clk := clock.NewManual(time.Unix(1e9, 0))
	w := newWorldAt(t, vfs.NewMem(), clk)
	for _, storage := range []jsapi.Storage{jsapi.FileStorage, jsapi.MemoryStorage} {
		name := storage.String()
		s := w.create(jsapi.StreamConfig{Name: name, Subjects: []string{name}, Storage: storage, AllowMsgTTL: true})
		c := w.consumer(s, "C", jsapi.ConsumerConfig{Durable: "C", Name: "C", AckPolicy: jsapi.AckExplicit, AckWait: time.Minute, MaxDeliver: -1})
		msgs := func() uint64 {
			var page jsapi.Page
			return s.Info(nil, &page).State.Msgs
		}
		for i := range uint64(20) {
			w.n.send("A", name, name, "", "NATS/1.0\r\nNats-TTL: 3s\r\n\r\n", "x")
			look := msgs
			if i%2 == 1 {
				look = func() uint64 { return c.Info().NumPending }
			}
			if got := look(); got != i+1 {
				t.Fatalf("%s: %d messages after %d", name, got, i+1)
			}
		}
		clk.Advance(3 * time.Second)
		if got := msgs(); got != 0 {
			t.Errorf("%s: %d messages when all have expired", name, got)
		}
	}
}

// TestFullInbox: who publishes more than may wait is told with a status.
func TestFullInbox(t *testing.T) {
	w := newWorld(t, vfs.NewMem())
	_ = w.h.Close()
	w.opt = func(o *Options) { o.InboxSize = 1 }
	w.open()
	s := w.create(jsapi.StreamConfig{Name: "S", Subjects: []string{"s"}})
	w.n.listen("ack")
	hold, held := make(chan struct{}), make(chan struct{})
	s.sh.post(func() { close(held); <-hold })
	<-held
	for range 4 {
		w.n.send("A", "s", "s", "ack", "", "x")
	}
	m := w.n.wait(t, "ack")
	close(hold)
	if !strings.HasPrefix(m.hdr, "NATS/1.0 429 Too Many Requests\r\n") || !strings.Contains(m.body, `"err_code":10167`) {
		t.Errorf("%+v", m)
	}
}

// TestIdleStreamFreesTheJournal: a stream that was checkpointed and to which nothing happens any more keeps no journal file over restarts.
func TestIdleStreamFreesTheJournal(t *testing.T) {
	w := newWorld(t, vfs.NewMem())
	w.create(jsapi.StreamConfig{Name: "S", Subjects: []string{"s.*"}})
	w.publish("s.x", "once")
	w.create(jsapi.StreamConfig{Name: "B", Subjects: []string{"b.*"}})
	for i := range 8 {
		w.publish("b.x", fmt.Sprint(i))
		done := make(chan error, 2)
		for _, name := range []string{"S", "B"} {
			s := w.account().stream(name)
			s.sh.post(func() { s.checkpointThen(func(err error) { done <- err }) })
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		w.restart()
	}
	if n := w.h.JournalStats().Files; n > 3 {
		t.Errorf("%d journal files are kept", n)
	}
	var page jsapi.Page
	if i := w.account().stream("S").Info(nil, &page); i.State.Msgs != 1 {
		t.Errorf("state %+v", i.State)
	}
}

func TestPublishConsumeRestart(t *testing.T) {
	w := newWorld(t, vfs.NewMem())
	for _, name := range []string{"S", "M"} {
		cfg := jsapi.StreamConfig{Name: name, Subjects: []string{strings.ToLower(name) + ".*"}}
		if name == "M" {
			cfg.Storage = jsapi.MemoryStorage
		}
		s := w.create(cfg)
		w.consumer(s, "C", jsapi.ConsumerConfig{Durable: "C", Name: "C", AckPolicy: jsapi.AckExplicit, AckWait: time.Minute, MaxAckPending: 10, MaxWaiting: 10, MaxDeliver: -1})
		for i := range 3 {
			if a := w.publish(strings.ToLower(name)+".x", fmt.Sprint(i)); a.Seq != uint64(i+1) {
				t.Fatalf("%s: %+v", name, a)
			}
		}
		if got := w.next(name, "C"); got != strings.ToLower(name)+".x=0" {
			t.Fatalf("%s: %s", name, got)
		}
	}
	w.restart()
	if s := w.account().stream("M"); s != nil {
		t.Error("a stream in memory came back")
	}
	s := w.account().stream("S")
	if s == nil {
		t.Fatal("no stream after the restart")
	}
	var page jsapi.Page
	if i := s.Info(nil, &page); i.State.Msgs != 3 || i.State.LastSeq != 3 || i.State.Consumers != 1 {
		t.Errorf("state %+v", i.State)
	}
	if got := w.next("S", "C"); got != "s.x=1" {
		t.Errorf("after the restart: %s", got)
	}
	if a := w.publish("s.y", "3"); a.Seq != 4 {
		t.Errorf("after the restart: %+v", a)
	}
	if n, err := s.Purge(&jsapi.PurgeRequest{Filter: "s.x"}); n != 3 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
	if got := w.next("S", "C"); got != "s.y=3" {
		t.Errorf("after the purge: %s", got)
	}
	s.acct.Lock()
	if err := s.Delete(); err != nil {
		t.Error(err)
	}
	s.acct.Unlock()
	w.restart()
	if s := w.account().stream("S"); s != nil {
		t.Error("a deleted stream came back")
	}
}

func TestRetention(t *testing.T) {
	w := newWorld(t, vfs.NewMem())
	s := w.create(jsapi.StreamConfig{Name: "Q", Subjects: []string{"q.>"}, Retention: jsapi.WorkQueueRetention})
	c := w.consumer(s, "C", jsapi.ConsumerConfig{Durable: "C", Name: "C", AckPolicy: jsapi.AckExplicit, AckWait: time.Minute, MaxAckPending: 10, MaxWaiting: 10,
		MaxDeliver: -1, FilterSubject: "q.a"})
	for _, subj := range []string{"q.a", "q.b", "q.a"} {
		w.publish(subj, subj)
	}
	w.next("Q", "C")
	if i := s.Info(nil, &jsapi.Page{}); i.State.Msgs != 2 || i.State.FirstSeq != 2 {
		t.Errorf("state %+v", i.State)
	}
	s.acct.Lock()
	if err := c.Delete(); err != nil {
		t.Error(err)
	}
	s.acct.Unlock()
	w.restart()
	s = w.account().stream("Q")
	if i := s.Info(nil, &jsapi.Page{}); i.State.Msgs != 2 || i.State.FirstSeq != 2 || i.State.Consumers != 0 {
		t.Errorf("after the restart: state %+v", i.State)
	}
}

// TestBackupWithoutReceiver: a backup that nobody acknowledges ends.
func TestBackupWithoutReceiver(t *testing.T) {
	clk := clock.NewManual(time.Unix(1e9, 0))
	w := newWorldAt(t, vfs.NewMem(), clk)
	s := w.create(jsapi.StreamConfig{Name: "S", Subjects: []string{"s.*"}})
	body := make([]byte, 100<<10)
	rng.New(1).Fill(body) // does not shrink
	w.publish("s.a", string(body))
	_, run, err := s.Snapshot(&api.Request{Account: "A"}, &jsapi.SnapshotRequest{DeliverSubject: "d", ChunkSize: 1024, WindowSize: 1024})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- run() }()
	for {
		select {
		case err := <-done:
			if err != backup.ErrNoFlowResponse {
				t.Errorf("ended with %v", err)
			}
			return
		default:
			clk.Advance(100 * time.Millisecond)
		}
	}
}

// TestRestoreTwice: the second request for a stream takes the place of the first, whose client went away.
func TestRestoreTwice(t *testing.T) {
	w := newWorld(t, vfs.NewMem())
	req := &jsapi.RestoreRequest{Config: jsapi.StreamConfig{Name: "R", Subjects: []string{"r"}, Replicas: 1}}
	a := w.account()
	ends := make(chan *api.Restored, 2)
	for range 2 {
		a.Lock()
		_, err := a.Restore(&api.Request{Account: "A"}, req, func(r *api.Restored) { ends <- r })
		a.Unlock()
		if err != nil {
			t.Fatal(err)
		}
	}
	if end := <-ends; end.Err == nil {
		t.Error("the first did not end")
	}
}

// The queue of a shard keeps order, bounds and memory.
func TestItemQueue(t *testing.T) {
	var q itemQueue
	p := &port{kind: itemPublish}
	m := &Msg{Subject: []byte("s"), Header: []byte("h"), Payload: []byte("p")}
	big := &Msg{Subject: []byte("s"), Reply: []byte("r"), Payload: make([]byte, ownBuffer)}
	var spent []item
	for range 3 * arenaSize / 100 { // more than an arena, several turns
		for _, x := range []*Msg{m, big} {
			if f := q.push(item{port: p, kind: p.kind}, x, 10, 1<<20); !f.ok {
				t.Fatal("refused")
			}
		}
		if n, slow := q.waiting(); n != 2 || slow != 0 {
			t.Fatalf("%d waiting, %d slow", n, slow)
		}
		spent = q.take(spent)
		a, b := spent[0].packet(), spent[1].packet()
		if string(a.subject)+string(a.reply)+string(a.header)+string(a.payload) != "shp" || a.reply != nil || string(b.reply) != "r" || len(b.payload) != ownBuffer {
			t.Fatalf("%+v", a)
		}
		q.done(int64(len(spent[0].buf)+len(spent[1].buf)) + 2*packetCost)
	}
	if q.bytes != 0 || len(q.spare) > keepArenas {
		t.Errorf("%d bytes, %d arenas", q.bytes, len(q.spare))
	}
	held := len(q.spare) * arenaSize
	if freed, left := q.age(); freed != 0 || left != held {
		t.Errorf("%d bytes were let go at once, %d of %d are left", freed, left, held)
	}
	if freed, left := q.age(); freed != held || left != 0 || held == 0 {
		t.Errorf("%d of %d bytes were let go, %d are left", freed, held, left)
	}
	if q.push(item{port: p, kind: p.kind}, m, 10, packetCost).ok {
		t.Error("more bytes than may wait")
	}
	q.force(item{kind: itemCall, fn: func() {}})
	if q.push(item{port: p, kind: p.kind}, m, 1, 1<<20).ok {
		t.Error("more items than may wait")
	}
	if n, slow := q.waiting(); n != 1 || slow != 1 {
		t.Errorf("%d waiting, %d slow", n, slow)
	}
}
