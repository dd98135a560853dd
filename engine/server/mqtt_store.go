package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/dispatch"
	"ramjet/engine/interest"
	"ramjet/engine/mqtt"
	"ramjet/proto/base/rng"
	"ramjet/proto/jsapi"
)

// Kinds of requests, as a token of their reply subjects (reference/websocket_mqtt.md, B4).
const (
	mqttStreamCreate   = "SC"
	mqttStreamUpdate   = "SU"
	mqttStreamLookup   = "SL"
	mqttStreamDelete   = "SD"
	mqttStreamNames    = "SN"
	mqttConsumerCreate = "CC"
	mqttConsumerDelete = "CD"
	mqttMsgStore       = "MS"
	mqttMsgLoad        = "ML"
	mqttMsgDelete      = "MD"
	mqttSessPersist    = "SP"
)

// mqttReplies begins the reply subjects of all servers.
const mqttReplies = "$MQTT.JSA."

// mqttStore is mqtt.Storage over the JetStream API: requests are messages in the account, so that JetStream may
// be this server's, or that of a domain behind a leafnode or an import. Any goroutine; mu is a leaf.
type mqttStore struct {
	s       *Server
	acct    *account.Account
	local   *dispatch.Local
	prefix  string // of reply subjects of this server
	domain  string // of the API, "" = this one
	token   string // of the domain in the subjects of sessions, with its dot
	info    []byte // header block that tells the API who asks
	timeout time.Duration
	unique  string // in reply subjects: nobody can guess it
	out     *sync.Pool
	updates mqtt.Updates // set by Open

	mu     sync.Mutex
	subs   []*interest.Sub
	calls  map[uint64]mqttCall
	last   uint64 // call
	timer  bool   // expire will be called
	closed bool
}

// mqttCall is a request that waits for its answer.
type mqttCall struct {
	kind  string
	w     mqtt.Waiter
	tag   uint64
	raw   func(answer []byte, err error) // instead of w
	until int64
}

// mqttOut is what a message is sent with, kept between messages.
type mqttOut struct {
	ctx   *dispatch.Ctx // for callers that are no loop
	msg   engine.Msg
	reply []byte
}

func newMQTTStore(s *Server, a *account.Account) *mqttStore {
	o := s.opts.Load()
	t := &mqttStore{s: s, acct: a, prefix: mqttReplies + mqttNode(s) + ".", timeout: o.MQTT.JSAPITimeout, calls: map[uint64]mqttCall{}}
	t.local = dispatch.NewLocal(a.Index(), engine.Account, 0, t.onReply)
	domain, set := o.DefaultJSDomain[a.Name()]
	if domain == "" && o.MQTT.JSDomain != "" {
		domain, set = o.MQTT.JSDomain, true
	}
	t.domain = domain
	if !set && o.JetStream != nil {
		domain = o.JetStream.Domain
	}
	if domain != "" {
		t.token = domain + "."
	}
	t.info = append(append([]byte(`NATS/1.0`+"\r\n"+`Nats-Request-Info: {"acc":`), jsapi.AppendString(nil, a.Name())...), "}\r\n\r\n"...)
	t.unique = rng.NewNUID(rng.NewRandom()).Next()[:mqttUnique]
	seed := s.seed + 11
	t.out = &sync.Pool{New: func() any { return &mqttOut{ctx: dispatch.NewCtx(engine.NoLoop, seed)} }}
	return t
}

// mqttNode is the name of this server in subjects.
func mqttNode(s *Server) string { return jsapi.Hash(s.Name()) }

// send publishes a message; slices are borrowed. busy: a receiver is behind.
func (t *mqttStore) send(from engine.LoopID, subject, reply, hdr, payload []byte) (busy bool) {
	o := t.out.Get().(*mqttOut)
	ctx := t.s.ctx(from)
	loop := ctx != nil
	if !loop {
		ctx = o.ctx
	}
	m := &o.msg
	m.Subject, m.Reply, m.Header, m.Payload, m.Origin = subject, reply, hdr, payload, engine.Account
	if mapping := t.acct.Snap().Map; mapping != nil {
		if to, mapped, ok := mapping(subject, nil, 1); ok && mapped {
			m.Subject = to
		}
	}
	out := t.s.router.PublishMapped(ctx, t.acct, m)
	*m = engine.Msg{}
	if !loop {
		ctx.ResetSlow()
		ctx.Cache.Sweep(sweepStep)
	}
	t.out.Put(o)
	return out.Slow
}

// mqttUnique and mqttCallLen are the lengths of the parts of the last token of a reply subject.
const (
	mqttUnique  = 12
	mqttCallLen = 10
	base62      = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// call sends a request whose answer c waits for. hash, if not "", becomes part of the reply subject.
func (t *mqttStore) call(from engine.LoopID, subject, hash, hdr, payload []byte, c mqttCall) (busy bool) {
	c.until = t.s.clk.Now().UnixNano() + int64(t.timeout)
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		c.done(from, mqtt.Result{Err: mqtt.ErrStopped})
		return false
	}
	t.last++
	n := t.last
	t.calls[n] = c
	arm := !t.timer
	t.timer = true
	t.mu.Unlock()
	if arm {
		t.s.clk.AfterFunc(t.timeout/4, t.expire)
	}
	o := t.out.Get().(*mqttOut)
	r := append(append(append(o.reply[:0], t.prefix...), c.kind...), '.')
	if len(hash) > 0 {
		r = append(append(r, hash...), '.')
	}
	r = append(r, t.unique...)
	at := len(r)
	r = append(r, "0000000000"...)
	for i := at + mqttCallLen - 1; n > 0; i-- {
		r[i] = base62[n%62]
		n /= 62
	}
	o.reply = r
	busy = t.send(from, subject, r, hdr, payload)
	t.out.Put(o)
	return busy
}

// done tells who waits.
func (c *mqttCall) done(from engine.LoopID, r mqtt.Result) {
	switch {
	case c.raw != nil:
		c.raw(nil, r.Err)
	case c.w != nil:
		c.w.Done(from, c.tag, r)
	}
}

// expire answers what has waited too long, and comes again while anything waits.
func (t *mqttStore) expire() {
	now := t.s.clk.Now().UnixNano()
	var late []mqttCall
	t.mu.Lock()
	for n, c := range t.calls {
		if c.until <= now {
			late = append(late, c)
			delete(t.calls, n)
		}
	}
	t.timer = len(t.calls) > 0
	again := t.timer
	t.mu.Unlock()
	for i := range late {
		late[i].done(engine.NoLoop, mqtt.Result{Err: fmt.Errorf("timeout after %v: request type %q", t.timeout, late[i].kind)})
	}
	if again {
		t.s.clk.AfterFunc(t.timeout/4, t.expire)
	}
}

// onReply is the dispatch.Handler of the answers.
func (t *mqttStore) onReply(from engine.LoopID, m *engine.Msg) {
	subject := m.Route()
	tail, ok := bytes.CutPrefix(subject, []byte(t.prefix))
	if !ok {
		t.onOther(subject, m)
		return
	}
	if len(tail) < mqttUnique+mqttCallLen || string(tail[len(tail)-mqttUnique-mqttCallLen:len(tail)-mqttCallLen]) != t.unique {
		return
	}
	n := uint64(0)
	for _, d := range tail[len(tail)-mqttCallLen:] {
		i := bytes.IndexByte([]byte(base62), d)
		if i < 0 {
			return
		}
		n = n*62 + uint64(i)
	}
	t.mu.Lock()
	c, ok := t.calls[n]
	delete(t.calls, n)
	t.mu.Unlock()
	switch {
	case !ok:
	case c.raw != nil:
		c.raw(append([]byte(nil), m.Payload...), nil)
	case c.w != nil:
		c.w.Done(from, c.tag, mqttResult(c.kind, m.Payload))
	}
}

// onOther is for answers to other servers, and the retained messages.
func (t *mqttStore) onOther(subject []byte, m *engine.Msg) {
	tail, ok := bytes.CutPrefix(subject, []byte(mqttReplies))
	if !ok { // the subject that the consumer of retained messages delivers to
		var r jsapi.AckReply
		if jsapi.ParseAckReply(m.Reply, &r) {
			t.updates.Retained(string(m.Subject), r.StreamSeq, m.Header, m.Payload)
		}
		return
	}
	f := bytes.Split(tail, []byte{'.'})
	var ack struct {
		Domain string `json:"domain"`
		Seq    uint64 `json:"seq"`
	}
	if len(f) != 4 || string(f[1]) != mqttSessPersist || json.Unmarshal(m.Payload, &ack) != nil || ack.Seq == 0 {
		return
	}
	if ack.Domain+"." == t.token || ack.Domain == t.token {
		t.updates.Claimed(string(f[2]), ack.Seq)
	}
}

// mqttAnswer is any answer of the API, as far as it matters.
type mqttAnswer struct {
	Error     *jsapi.Error     `json:"error"`
	Seq       uint64           `json:"seq"`
	Duplicate bool             `json:"duplicate"`
	Message   *jsapi.StoredMsg `json:"message"`
}

func mqttResult(kind string, payload []byte) (r mqtt.Result) {
	if kind == mqttMsgStore {
		if seq, ok := plainAck(payload); ok {
			return mqtt.Result{Seq: seq}
		}
	}
	var a mqttAnswer
	if err := json.Unmarshal(payload, &a); err != nil {
		return mqtt.Result{Err: fmt.Errorf("invalid answer of the JetStream API: %w", err)}
	}
	switch {
	case a.Error != nil:
		r.Err = a.Error
	case kind == mqttMsgLoad && a.Message == nil:
		r.Err = jsapi.NoMessageFound.Err()
	case kind == mqttMsgLoad:
		r.Msg = &mqtt.Stored{Subject: a.Message.Subject, Seq: a.Message.Seq, Header: a.Message.Header, Data: a.Message.Data}
	default:
		r.Seq, r.Duplicate = a.Seq, a.Duplicate
	}
	return r
}

// plainAck reads the sequence of an acknowledgement {"stream":"...","seq":N} or with a domain behind it;
// everything else goes the long way.
func plainAck(b []byte) (seq uint64, ok bool) {
	const key = `","seq":`
	i := bytes.Index(b, []byte(key))
	if i < 0 || !bytes.HasPrefix(b, []byte(`{"stream":"`)) {
		return 0, false
	}
	b = b[i+len(key):]
	end := bytes.IndexAny(b, ",} ")
	if end < 0 || bytes.Contains(b, []byte(`"duplicate"`)) || bytes.Contains(b, []byte(`"error"`)) {
		return 0, false
	}
	return jsapi.ParseUint(b[:end])
}

// api returns the subject of an endpoint.
func (t *mqttStore) api(e jsapi.Endpoint, names ...string) []byte {
	s := jsapi.BuildAPI(e, names...)
	if t.domain != "" {
		s = "$JS." + t.domain + ".API." + s[len(jsapi.APIPrefix):]
	}
	return []byte(s)
}

// Store implements mqtt.Storage.
func (t *mqttStore) Store(from engine.LoopID, subject, hdr, payload []byte, w mqtt.Waiter, tag uint64) (busy bool) {
	if w == nil {
		return t.send(from, subject, nil, hdr, payload)
	}
	return t.call(from, subject, nil, hdr, payload, mqttCall{kind: mqttMsgStore, w: w, tag: tag})
}

// LoadSession implements mqtt.Storage.
func (t *mqttStore) LoadSession(from engine.LoopID, hash string, w mqtt.Waiter) {
	t.Load(from, mqtt.StreamSessions, mqtt.SubjectSessions+t.token+hash, w)
}

// SaveSession implements mqtt.Storage.
func (t *mqttStore) SaveSession(from engine.LoopID, hash string, seq uint64, record []byte, w mqtt.Waiter) {
	hdr := t.info
	if seq > 0 {
		hdr = append([]byte("NATS/1.0\r\nNats-Expected-Last-Subject-Sequence:"), strconv.FormatUint(seq, 10)...)
		hdr = append(hdr, "\r\n\r\n"...)
	}
	t.call(from, []byte(mqtt.SubjectSessions+t.token+hash), []byte(hash), hdr, record, mqttCall{kind: mqttSessPersist, w: w})
}

// Load implements mqtt.Storage.
func (t *mqttStore) Load(from engine.LoopID, stream, subject string, w mqtt.Waiter) {
	body := append(jsapi.AppendString([]byte(`{"last_by_subj":`), subject), '}')
	t.call(from, t.api(jsapi.StreamMsgGet, stream), nil, t.info, body, mqttCall{kind: mqttMsgLoad, w: w})
}

// Delete implements mqtt.Storage.
func (t *mqttStore) Delete(from engine.LoopID, stream string, seq uint64, w mqtt.Waiter, tag uint64) {
	body := append(strconv.AppendUint([]byte(`{"seq":`), seq, 10), `,"no_erase":true}`...)
	subject := t.api(jsapi.StreamMsgDelete, stream)
	if w == nil {
		t.send(from, subject, nil, t.info, body)
		return
	}
	t.call(from, subject, nil, t.info, body, mqttCall{kind: mqttMsgDelete, w: w, tag: tag})
}

// AddConsumer implements mqtt.Storage.
func (t *mqttStore) AddConsumer(from engine.LoopID, stream string, c *jsapi.ConsumerConfig, w mqtt.Waiter) {
	body, err := json.Marshal(&jsapi.CreateConsumerRequest{Stream: stream, Config: *c})
	if err != nil {
		w.Done(from, 0, mqtt.Result{Err: err})
		return
	}
	t.call(from, t.api(jsapi.ConsumerDurableCreate, stream, c.Durable), nil, t.info, body, mqttCall{kind: mqttConsumerCreate, w: w})
}

// DropConsumer implements mqtt.Storage.
func (t *mqttStore) DropConsumer(from engine.LoopID, stream, durable string, w mqtt.Waiter) {
	subject := t.api(jsapi.ConsumerDelete, stream, durable)
	if w == nil {
		t.send(from, subject, nil, t.info, nil)
		return
	}
	t.call(from, subject, nil, t.info, nil, mqttCall{kind: mqttConsumerDelete, w: w})
}

// Ack implements mqtt.Storage.
func (t *mqttStore) Ack(from engine.LoopID, reply string) { t.send(from, []byte(reply), nil, nil, nil) }

// Send implements mqtt.Storage.
func (t *mqttStore) Send(from engine.LoopID, subject, payload []byte) {
	t.send(from, subject, nil, nil, payload)
}

// Close implements mqtt.Storage.
func (t *mqttStore) Close() {
	t.mu.Lock()
	t.closed = true
	calls, subs := t.calls, t.subs
	t.calls, t.subs = map[uint64]mqttCall{}, nil
	t.mu.Unlock()
	for _, s := range subs {
		t.local.Unsubscribe(s)
	}
	for _, c := range calls {
		c.done(engine.NoLoop, mqtt.Result{Err: mqtt.ErrStopped})
	}
}

var _ mqtt.Storage = (*mqttStore)(nil)
