package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ramjet/js/jstest"
	"ramjet/js/op"
	"ramjet/js/stream"
	"ramjet/proto/base/rng"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
	"ramjet/store"
)

const testStart = 1_700_000_000_000_000_000

// testLog is a stream.Log in a slice.
type testLog struct {
	*jstest.Log
	time int64 // of the last message
}

func newTestLog() *testLog { return &testLog{Log: jstest.NewLog()} }

func (l *testLog) Append(r *store.Rec) error {
	if r.Seq <= l.Log.Last {
		return errors.New("sequence went back")
	}
	c := *r
	c.Subject, c.Header, c.Payload = bytes.Clone(r.Subject), bytes.Clone(r.Header), bytes.Clone(r.Payload)
	l.Msgs, l.Log.Last, l.time = append(l.Msgs, c), r.Seq, r.Time
	return nil
}

func (l *testLog) LoadNow(seq uint64, r *store.Rec) store.Avail {
	if m := l.Find(seq); m != nil {
		*r = *m
		return store.Hit
	}
	return store.None
}

func (l *testLog) NextNow(f *store.Filter, from uint64, r *store.Rec) store.Avail {
	for i := range l.Msgs {
		if m := &l.Msgs[i]; m.Seq >= from && jstest.Passes(f, m.Subject) {
			*r = *m
			return store.Hit
		}
	}
	return store.None
}

func (l *testLog) Weight(seq uint64) uint64 {
	if m := l.Find(seq); m != nil {
		return stream.MsgSize(jsapi.MemoryStorage, len(m.Subject), len(m.Header), len(m.Payload))
	}
	return 0
}

func (l *testLog) SkipTo(seq uint64) error {
	if seq <= l.Log.Last {
		return errors.New("skip back")
	}
	l.Log.Last = seq
	return nil
}

func (l *testLog) Remove(seq uint64, _ bool) bool { return l.Log.Remove(seq) }

func (l *testLog) Purge(p *store.Purge, _ func(uint64)) uint64 {
	n := len(l.Msgs)
	l.Log.Purge(p.Filter, p.Below)
	return uint64(n - len(l.Msgs))
}

func (l *testLog) State(s *store.State) {
	l.Log.State(s)
	s.LastTime = l.time
}

func (l *testLog) each(subj []byte, fn func(seq uint64)) {
	for i := range l.Msgs {
		if bytes.Equal(l.Msgs[i].Subject, subj) {
			fn(l.Msgs[i].Seq)
		}
	}
}

func (l *testLog) Last(s []byte) (seq uint64, ok bool) {
	l.each(s, func(n uint64) { seq, ok = n, true })
	return seq, ok
}

func (l *testLog) First(s []byte) (seq uint64, ok bool) {
	l.each(s, func(n uint64) {
		if !ok {
			seq, ok = n, true
		}
	})
	return seq, ok
}

func (l *testLog) Count(s []byte) (n uint64) {
	l.each(s, func(uint64) { n++ })
	return n
}

// packet is on its way to the engine.
type packet struct {
	id  uint64
	msg Msg
}

// world is a stream with its engine, and the streams that it mirrors or sources. Nothing happens by itself: run moves
// what is on its way, advance moves time.
type world struct {
	t       testing.TB
	env     Env
	now     int64
	cfg     jsapi.StreamConfig
	log     *testLog
	m       *stream.Machine
	f       *stream.Front
	b       op.Batch
	out     stream.Effects
	index   uint64
	hold    bool // what is proposed is not applied
	e       *Engine
	subs    map[uint64]string
	queue   []packet
	origins map[string]*origStream
	sent    []string // subjects of what the engine published
	bodies  []string
	warned  []string
	direct  bool
	quiet   bool // benchmark
	giveUp  int  // the n-th message is given up while it is stored, and what was not applied before it
	stored  func(c *op.Cmd)
	rnd     *rng.Source
	dropPct int // of deliveries
}

func newWorld(t testing.TB, config string, origins ...*origStream) *world {
	t.Helper()
	w := &world{t: t, now: testStart, log: newTestLog(), subs: map[uint64]string{}, origins: map[string]*origStream{}, rnd: rng.New(5),
		env: Env{Account: "A", Domain: "D1", Rand: rng.New(1)}}
	w.cfg = parseConfig(t, config)
	for _, o := range origins {
		w.origins[o.name] = o
		o.w = w
	}
	w.m = stream.NewMachine(&w.cfg, w.log, nil)
	w.m.SetLeader(true)
	w.f = stream.NewFront(w.m, stream.FrontConfig{})
	w.e = New(w.env, w.m, w, w.now)
	return w
}

func parseConfig(t testing.TB, config string) (cfg jsapi.StreamConfig) {
	t.Helper()
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		t.Fatal(err)
	}
	cfg.Storage = jsapi.MemoryStorage
	if err := stream.CheckCreate(&cfg, &stream.Context{Clustered: true}); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// restart is a crash: what was not applied is lost. With lost also the checkpoint is.
func (w *world) restart(lost bool) {
	w.t.Helper()
	blob := w.m.AppendState(nil)
	w.e.Close(false)
	if len(w.subs) > 0 {
		w.t.Fatalf("subscriptions are left: %v", w.subs)
	}
	w.queue = nil
	cfg := *w.m.Config()
	w.m = stream.NewMachine(&cfg, w.log, nil)
	if lost {
		w.m.Rebuild(w.now)
	} else if err := w.m.Restore(blob); err != nil {
		w.t.Fatal(err)
	}
	w.b.Reset()
	w.f = stream.NewFront(w.m, stream.FrontConfig{})
	w.e = New(w.env, w.m, w, w.now)
}

// update changes the configuration.
func (w *world) update(config string) {
	w.t.Helper()
	cfg := parseConfig(w.t, config)
	w.cfg = cfg
	body, _ := json.Marshal(&cfg)
	w.b.Add(&op.Cmd{Kind: op.Config, Time: w.now, Payload: body})
	w.apply()
	w.e.Update(w.now)
}

// apply makes what was proposed durable.
func (w *world) apply() {
	w.t.Helper()
	r := op.Open(w.b.Bytes())
	var c op.Cmd
	for r.Next(&c) {
		w.index++
		w.m.Apply(w.index, &c, &w.out)
		if w.stored != nil && c.Kind == op.Msg {
			w.stored(&c)
		}
		w.f.Applied(&c, &w.out)
	}
	for _, x := range w.out.List {
		if x.Kind == stream.Failed {
			w.t.Fatal(x.Err)
		}
	}
	w.out.Reset()
	w.b.Reset()
	w.e.Stored(w.log.Log.Last)
}

func (w *world) Listen(id uint64, subj string) {
	if _, twice := w.subs[id]; twice {
		w.t.Fatalf("id %d used twice", id)
	}
	w.subs[id] = subj
}

func (w *world) Unlisten(id uint64) {
	if _, ok := w.subs[id]; !ok {
		w.t.Fatalf("id %d is not listened on", id)
	}
	delete(w.subs, id)
}

func (w *world) Publish(subj, reply string, hdr, payload []byte) {
	if w.quiet {
		return
	}
	w.sent = append(w.sent, subj)
	w.bodies = append(w.bodies, fmt.Sprintf("%q %s", hdr, payload))
	for _, o := range w.origins {
		o.request(subj, reply, bytes.Clone(hdr), bytes.Clone(payload))
	}
}

func (w *world) Store(in *stream.Inbound) (uint64, *jsapi.Error) {
	err := w.f.Publish(in, w.now, &w.b, &w.out)
	if w.giveUp > 0 {
		if w.giveUp--; w.giveUp == 0 {
			w.b.Reset()
			w.f.Abort(nil, &w.out)
			w.e.Restart(w.now)
		}
	}
	return w.f.LastSeq(), err
}

func (w *world) SkipTo(seq uint64) { w.f.SkipTo(seq, &w.b) }
func (w *world) CaughtUp(on bool)  { w.direct = on }
func (w *world) Warn(text string)  { w.warned = append(w.warned, text) }

// deliver puts a message on its way to whoever listens on to; false: nobody.
func (w *world) deliver(to string, m Msg) bool {
	for id, s := range w.subs {
		if s == to {
			if w.dropPct == 0 || w.rnd.Intn(100) >= w.dropPct {
				w.queue = append(w.queue, packet{id, m})
			}
			return true
		}
	}
	return false
}

// run moves everything that can move.
func (w *world) run() {
	for {
		for _, o := range w.origins {
			o.pump()
		}
		if len(w.queue) == 0 {
			if w.hold || w.b.Len() == 0 {
				return
			}
		}
		for len(w.queue) > 0 {
			p := w.queue[0]
			w.queue = w.queue[1:]
			w.e.Deliver(w.now, p.id, &p.msg)
		}
		if !w.hold {
			w.apply()
		}
	}
}

// advance moves time by d, stopping at every deadline and at every second for heartbeats.
func (w *world) advance(d time.Duration) {
	end := w.now + int64(d)
	for w.run(); w.now < end; w.run() {
		next := min(end, w.now-(w.now-testStart)%second+second)
		if at, ok := w.e.Deadline(); ok {
			next = min(next, max(at, w.now))
		}
		w.now = next
		w.e.Tick(w.now)
		if (w.now-testStart)%second == 0 {
			for _, o := range w.origins {
				o.beat()
			}
		}
	}
}

// requests counts what was published on subjects with the prefix.
func (w *world) requests(prefix string) (n int) {
	for _, s := range w.sent {
		if strings.HasPrefix(s, prefix) {
			n++
		}
	}
	return n
}

// content returns "seq:subject=payload" of what is stored.
func (w *world) content() string {
	var l []string
	for _, r := range w.log.Msgs {
		l = append(l, fmt.Sprintf("%d:%s=%s", r.Seq, r.Subject, r.Payload))
	}
	return strings.Join(l, " ")
}

func (w *world) want(content string) {
	w.t.Helper()
	if got := w.content(); got != content {
		w.t.Fatalf("got  %s\nwant %s", got, content)
	}
}

// info returns the state of the i-th origin.
func (w *world) info(i int) *jsapi.StreamSourceInfo {
	if m := w.e.Mirror(w.now); m != nil {
		return m
	}
	return w.e.Sources(w.now)[i]
}

// origStream is a stream elsewhere, with the API for consumers.
type origStream struct {
	w        *world
	name     string
	identity string
	api      string // prefix; "" the usual one
	fc       string // prefix of flow control subjects
	msgs     []store.Rec
	last     uint64
	history  map[string]store.Rec // identity and sequence: everything that was ever stored
	cons     map[string]*origConsumer
	mute     bool
	deaf     bool                                           // flow control replies are lost
	refuse   func(level string, identity bool) *jsapi.Error // answer to requests
	answer   func(a *jsapi.ConsumerInfo, reset bool) []byte // instead of the usual answer
	asked    []jsapi.ConsumerConfig
	made     int
	deleted  []string
	dupEvery int // deliver every n-th message twice
}

type origConsumer struct {
	cfg        jsapi.ConsumerConfig
	next, dseq uint64
	window     int // messages until flow control
	fc         string
	waits      bool
	idle       int // seconds without interest
	paused     bool
	ackSeq     uint64 // acknowledged by flow control
	sent       uint64
}

const origWindow = 8

func testOrigin(name string) *origStream {
	return &origStream{name: name, identity: "id1", cons: map[string]*origConsumer{}, history: map[string]store.Rec{}}
}

// add stores messages "subject=payload".
func (o *origStream) add(list ...string) *origStream {
	for _, s := range list {
		subj, body, _ := strings.Cut(s, "=")
		o.put(subj, nil, body)
	}
	return o
}

func (o *origStream) put(subj string, hdr []byte, body string) {
	o.last++
	r := store.Rec{Seq: o.last, Time: testStart + int64(o.last), Subject: []byte(subj), Header: hdr, Payload: []byte(body)}
	o.msgs = append(o.msgs, r)
	o.history[o.identity+" "+strconv.FormatUint(o.last, 10)] = r
}

func (o *origStream) remove(seq uint64) {
	o.msgs = slices.DeleteFunc(o.msgs, func(r store.Rec) bool { return r.Seq == seq })
}

// recreate makes another stream of the same name.
func (o *origStream) recreate(identity string) {
	o.identity, o.msgs, o.last, o.cons = identity, nil, 0, map[string]*origConsumer{}
}

func (o *origStream) request(subj, reply string, hdr, body []byte) {
	for _, c := range o.cons {
		if c.fc == subj && c.waits && !o.deaf {
			c.waits, c.window = false, origWindow
			if n, ok := jsapi.ParseUint(header.Get(hdr, jsapi.HdrLastStream)); ok {
				c.ackSeq = max(c.ackSeq, n)
			}
		}
	}
	prefix := "$JS.API"
	if o.api != "" {
		prefix = o.api
	}
	rest, ok := strings.CutPrefix(subj, prefix+".")
	var call jsapi.APICall
	if !ok || !jsapi.ParseAPI(jsapi.APIPrefix+rest, &call) || call.Stream != o.name || o.mute {
		return
	}
	if call.Endpoint == jsapi.ConsumerDelete {
		o.deleted = append(o.deleted, call.Consumer)
		delete(o.cons, call.Consumer)
		return
	}
	level := string(header.Get(hdr, jsapi.HdrRequiredAPILevel))
	want := header.Get(hdr, jsapi.HdrStreamIdentity)
	if o.refuse != nil {
		if err := o.refuse(level, header.Has(hdr, jsapi.HdrStreamIdentity)); err != nil {
			o.reply(reply, nil, append(jsapi.AppendError([]byte(`{"error":`), err), '}'))
			return
		}
	}
	if len(want) > 0 && string(want) != o.identity {
		o.reply(reply, nil, append(jsapi.AppendError([]byte(`{"error":`), jsapi.ConsumerStreamIdentityMismatch.Err()), '}'))
		return
	}
	var c *origConsumer
	if call.Endpoint == jsapi.ConsumerReset {
		c = o.cons[call.Consumer]
		if c == nil {
			o.reply(reply, nil, append(jsapi.AppendError([]byte(`{"error":`), jsapi.ConsumerNotFound.Err()), '}'))
			return
		}
		c.next, c.dseq, c.waits, c.window = c.ackSeq+1, 0, false, origWindow
	} else {
		var req jsapi.CreateConsumerRequest
		if err := json.Unmarshal(body, &req); err != nil || req.Stream != o.name {
			o.w.t.Fatalf("bad request %s: %v", body, err)
		}
		o.asked = append(o.asked, req.Config)
		o.made++
		cfg := req.Config
		if cfg.Sourcing {
			cfg.Name = fmt.Sprintf("%s-%d", cfg.Name, o.made)
		}
		c = &origConsumer{cfg: cfg, next: 1, window: origWindow}
		if len(o.msgs) > 0 {
			c.next = o.msgs[0].Seq
		} else if o.last > 0 {
			c.next = o.last + 1
		}
		switch cfg.DeliverPolicy {
		case jsapi.DeliverByStartSequence:
			c.next = max(c.next, cfg.OptStartSeq)
		case jsapi.DeliverByStartTime:
			for c.next <= o.last {
				if i := o.find(c.next); i < len(o.msgs) && o.msgs[i].Time >= cfg.OptStartTime.UnixNano() {
					break
				}
				c.next++
			}
		}
		o.cons[cfg.Name] = c
	}
	info := jsapi.ConsumerInfo{Stream: o.name, Name: c.cfg.Name, Config: &c.cfg, Delivered: jsapi.SequenceInfo{Stream: c.next - 1}}
	info.NumPending = uint64(len(o.msgs) - o.find(c.next))
	ident := header.AppendAdd(nil, nil, jsapi.HdrStreamIdentity, []byte(o.identity))
	if !header.Has(hdr, jsapi.HdrStreamIdentity) {
		ident = nil
	}
	if o.answer != nil {
		if b := o.answer(&info, call.Endpoint == jsapi.ConsumerReset); b != nil {
			o.reply(reply, ident, b)
			return
		}
	}
	b, _ := json.Marshal(&info)
	o.reply(reply, ident, b)
}

func (o *origStream) reply(to string, hdr, body []byte) {
	o.w.deliver(to, Msg{Subject: []byte(to), Header: hdr, Payload: body})
}

func (o *origStream) find(seq uint64) int {
	i, _ := slices.BinarySearchFunc(o.msgs, seq, func(r store.Rec, s uint64) int { return int(int64(r.Seq) - int64(s)) })
	return i
}

func (c *origConsumer) takes(subj []byte) bool {
	f := c.cfg.FilterSubjects
	if c.cfg.FilterSubject != "" {
		f = []string{c.cfg.FilterSubject}
	}
	return len(f) == 0 || slices.ContainsFunc(f, func(p string) bool { return subject.MatchBytes(subj, p) })
}

func (o *origStream) names() []string {
	var l []string
	for n := range o.cons {
		l = append(l, n)
	}
	slices.Sort(l)
	return l
}

// listened reports that somebody gets what c sends.
func (o *origStream) listened(c *origConsumer) bool {
	for _, s := range o.w.subs {
		if s == c.cfg.DeliverSubject {
			return true
		}
	}
	return false
}

// pump delivers what the windows allow.
func (o *origStream) pump() {
	for _, n := range o.names() {
		c := o.cons[n]
		if !o.listened(c) || c.paused {
			continue
		}
		for !c.waits {
			i := o.find(c.next)
			for i < len(o.msgs) && !c.takes(o.msgs[i].Subject) {
				i++
			}
			if i == len(o.msgs) {
				c.next = o.last + 1
				break
			}
			o.send(c, &o.msgs[i], len(o.msgs)-i-1)
			c.next = o.msgs[i].Seq + 1
			if c.window--; c.window == 0 {
				c.waits = true
				c.fc = fmt.Sprintf("%s$JS.FC.%s.%s.%d", o.fc, o.name, n, c.dseq)
				o.w.deliver(c.cfg.DeliverSubject, Msg{Subject: []byte(c.cfg.DeliverSubject), Reply: []byte(c.fc), Header: header.AppendStatus(nil, 100, "FlowControl Request")})
			}
		}
	}
}

func (o *origStream) send(c *origConsumer, r *store.Rec, pending int) {
	c.dseq++
	c.sent++
	reply := jsapi.AppendAckReply(nil, jsapi.AppendAckPrefix(nil, "", "", o.name, c.cfg.Name), 1, r.Seq, c.dseq, r.Time, uint64(pending))
	m := Msg{Subject: r.Subject, Reply: reply, Header: r.Header, Payload: r.Payload}
	o.w.deliver(c.cfg.DeliverSubject, m)
	if o.dupEvery > 0 && c.sent%uint64(o.dupEvery) == 0 {
		o.w.deliver(c.cfg.DeliverSubject, m)
	}
}

// beat sends heartbeats.
func (o *origStream) beat() {
	for _, n := range o.names() {
		c := o.cons[n]
		if c.paused {
			continue
		}
		if c.idle++; o.listened(c) {
			c.idle = 0
		}
		if c.idle > 10 && c.cfg.InactiveThreshold > 0 {
			delete(o.cons, n)
			continue
		}
		h := header.AppendStatus(nil, 100, "Idle Heartbeat")
		h = header.AppendAdd(nil, h, jsapi.HdrLastConsumer, fmt.Append(nil, c.dseq))
		if c.waits {
			h = header.AppendAdd(nil, h, jsapi.HdrConsumerStalled, []byte(c.fc))
		}
		o.w.deliver(c.cfg.DeliverSubject, Msg{Subject: []byte(c.cfg.DeliverSubject), Header: h})
	}
}
