package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/proto/base/clock"
	"ramjet/proto/sysapi"
	"ramjet/store/vfs"
)

// jsServer starts a server with JetStream on a disk in memory and waits until it serves.
func jsServer(t testing.TB, disk vfs.FS, o *config.Options) (*Server, *memLog) {
	t.Helper()
	s, l := jsServerSoon(t, disk, o)
	serving(t, s)
	return s, l
}

// serving waits until JetStream has recovered.
func serving(t testing.TB, s *Server) {
	t.Helper()
	await(t, s.js.Load().ended)
	// Whoever ends the recovery tells the control goroutine next.
	for late := clock.System().Now().Add(10 * time.Second); ; {
		if err := s.ctl.call(func() error { return nil }); err != nil {
			t.Fatal(err)
		}
		p := (jsView{s.js.Load()}).Problem()
		if p == "" {
			return
		}
		if clock.System().Now().After(late) {
			t.Fatal(p)
		}
	}
}

// jsServerSoon is jsServer without waiting.
func jsServerSoon(t testing.TB, disk vfs.FS, o *config.Options) (*Server, *memLog) {
	t.Helper()
	l := &memLog{}
	o.Host, o.Port = "127.0.0.1", -1
	if o.JetStream == nil {
		o.JetStream = &config.JetStreamOptions{Enabled: true, Strict: true}
	}
	if o.StoreDir == "" {
		o.StoreDir = "/store"
	}
	s, err := New(o, Env{Logger: l, FS: disk})
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shutdown(t, s) })
	return s, l
}

func shutdown(t testing.TB, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func jsOf(t testing.TB, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// TestJetStreamLife: what was stored is there after a restart, and monitoring shows it.
func TestJetStreamLife(t *testing.T) {
	disk, ctx := vfs.NewMem(), t.Context()
	s, _ := jsServer(t, disk, &config.Options{ServerName: "n1"})
	nc := connect(t, s)
	js := jsOf(t, nc)
	st, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.*"}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if a, err := js.Publish(ctx, "s.1", fmt.Append(nil, i)); err != nil || a.Sequence != uint64(i+1) {
			t.Fatal(a, err)
		}
	}
	c, err := st.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: "C", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := c.Fetch(3)
	if err != nil {
		t.Fatal(err)
	}
	for m := range batch.Messages() {
		if err := m.DoubleAck(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if i := s.info(0); !i.JetStream || i.Domain != "" {
		t.Errorf("INFO: %+v", i)
	}
	v, _ := s.pages.Jsz(&sysapi.JSzOptions{Consumer: true, Config: true})
	if v.Disabled || v.Streams != 1 || v.Consumers != 1 || v.Messages != 10 || v.Total != 1 || len(v.Accounts) != 1 || v.Config.StoreDir != "/store/jetstream" {
		t.Fatalf("%+v", v)
	}
	d := v.Accounts[0].Streams[0]
	if d.Name != "S" || d.Config.Name != "S" || d.State.Msgs != 10 || d.Cluster.Leader != "n1" || len(d.Consumers) != 1 || d.Consumers[0].NumPending != 7 {
		t.Errorf("%+v", d)
	}
	if v, _ := s.pages.Jsz(&sysapi.JSzOptions{Consumer: true}); v.Accounts[0].Streams[0].Config != nil || v.Accounts[0].Streams[0].Consumers[0].Config != nil {
		t.Error("a configuration that was not asked for")
	}
	for q, want := range map[sysapi.HealthzOptions]int{
		{}: 200, {Account: "$G", Stream: "S", Consumer: "C"}: 200, {Account: "$G", Stream: "X"}: 404, {Account: "$G", Stream: "S", Consumer: "X"}: 404,
	} {
		if h := s.pages.Healthz(&q); h.StatusCode != want {
			t.Errorf("%+v: %+v", q, h)
		}
	}
	if a, err := s.pages.AccountInfo("$G"); err != nil || !a.JetStream {
		t.Errorf("%+v %v", a, err)
	}
	if j := (jsView{s.js.Load()}).Journal(); j.Records == 0 || j.Syncs == 0 {
		t.Errorf("%+v", j)
	}
	shutdown(t, s)

	s, _ = jsServer(t, disk, &config.Options{ServerName: "n1"})
	js = jsOf(t, connect(t, s))
	if st, err = js.Stream(ctx, "S"); err != nil || st.CachedInfo().State.Msgs != 10 {
		t.Fatal(st, err)
	}
	if c, err = st.Consumer(ctx, "C"); err != nil {
		t.Fatal(err)
	}
	m, err := c.Next()
	if err != nil || string(m.Data()) != "3" {
		t.Fatal(m, err)
	}
}

// TestJetStreamPowerCut: what was acknowledged is there after the power went.
func TestJetStreamPowerCut(t *testing.T) {
	disk, ctx := vfs.NewMem(), t.Context()
	s, _ := jsServer(t, disk, &config.Options{})
	js := jsOf(t, connect(t, s))
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := js.Publish(ctx, "s", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	after := disk.CrashClone(vfs.Crash{})
	s2, l := jsServer(t, after, &config.Options{})
	st, err := jsOf(t, connect(t, s2)).Stream(ctx, "S")
	if err != nil || st.CachedInfo().State.Msgs != 20 {
		t.Fatal(st, err, l)
	}
}

// TestJetStreamAccounts: each account has what its configuration says, also after a reload.
func TestJetStreamAccounts(t *testing.T) {
	ctx := t.Context()
	options := func(a, b *config.AccountJetStream) *config.Options {
		return &config.Options{
			JetStream: &config.JetStreamOptions{Enabled: true, Strict: true}, StoreDir: "/store",
			Accounts: []*config.Account{
				{Name: "A", JetStream: a, Users: []*config.User{{Name: "a", Pass: "a", Account: "A"}}},
				{Name: "B", JetStream: b, Users: []*config.User{{Name: "b", Pass: "b", Account: "B"}}},
			},
		}
	}
	on := &config.AccountJetStream{Enabled: true}
	two := &config.AccountJetStream{Enabled: true, MaxMemory: -1, MaxStore: -1, MaxStreams: 2}
	one := &config.AccountJetStream{Enabled: true, MaxMemory: -1, MaxStore: -1, MaxStreams: 1}
	s, _ := jsServer(t, vfs.NewMem(), options(two, nil))
	a, b := jsOf(t, connect(t, s, nats.UserInfo("a", "a"))), jsOf(t, connect(t, s, nats.UserInfo("b", "b")))
	add := func(js jetstream.JetStream, name string) error {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{name}})
		return err
	}
	if err := errors.Join(add(a, "S1"), add(a, "S2")); err != nil {
		t.Fatal(err)
	}
	var api *jetstream.APIError
	if err := add(a, "S3"); !errors.As(err, &api) || api.ErrorCode != 10027 {
		t.Errorf("third stream: %v", err)
	}
	if err := add(b, "S1"); !errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		t.Errorf("not enabled: %v", err)
	}
	if n := (jsView{s.js.Load()}).Accounts(); fmt.Sprint(n) != "[A]" {
		t.Errorf("enabled: %v", n)
	}
	reload := func(o *config.Options) {
		t.Helper()
		o.Host, o.Port = "127.0.0.1", s.Options().Port
		if err := s.Reload(o); err != nil {
			t.Fatal(err)
		}
	}
	reload(options(one, on))
	if err := add(b, "S1"); err != nil {
		t.Errorf("enabled by the reload: %v", err)
	}
	if i, err := a.AccountInfo(ctx); err != nil || i.Limits.MaxStreams != 1 || i.Streams != 2 {
		t.Errorf("%+v %v", i, err)
	}
	reload(options(nil, on))
	if _, err := a.AccountInfo(ctx); !errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		t.Errorf("disabled by the reload: %v", err)
	}
	if _, err := a.Publish(ctx, "S1", nil, jetstream.WithRetryAttempts(0)); !errors.Is(err, jetstream.ErrNoStreamResponse) {
		t.Errorf("stored for an account without JetStream: %v", err)
	}
	reload(options(on, on))
	if _, err := a.Publish(ctx, "S1", nil); err != nil {
		t.Errorf("enabled again: %v", err)
	}
	// The whole server off and on.
	o := options(on, on)
	o.JetStream = nil
	reload(o)
	if v, _ := s.pages.Jsz(&sysapi.JSzOptions{}); !v.Disabled || s.info(0).JetStream {
		t.Errorf("not off: %+v", v)
	}
	if _, err := a.AccountInfo(ctx); !errors.Is(err, jetstream.ErrJetStreamNotEnabled) {
		t.Errorf("off: %v", err)
	}
	reload(options(on, on))
	serving(t, s)
	if st, err := a.Stream(ctx, "S1"); err != nil || st.CachedInfo().State.Msgs != 1 {
		t.Errorf("on again: %v %v", st, err)
	}
	if !s.info(0).JetStream {
		t.Error("INFO does not say so")
	}
}

// TestJetStreamDomain: the API answers under the name of the domain too, and acknowledgements carry it.
func TestJetStreamDomain(t *testing.T) {
	ctx := t.Context()
	s, _ := jsServer(t, vfs.NewMem(), &config.Options{JetStream: &config.JetStreamOptions{Enabled: true, Domain: "hub"}})
	nc := connect(t, s)
	if s.info(0).Domain != "hub" {
		t.Error("INFO does not name the domain")
	}
	js, err := jetstream.NewWithDomain(nc, "hub")
	if err != nil {
		t.Fatal(err)
	}
	st, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := js.Publish(ctx, "s", []byte("x")); err != nil || a.Domain != "hub" {
		t.Fatal(a, err)
	}
	c, err := st.CreateConsumer(ctx, jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.DoubleAck(ctx); err != nil {
		t.Fatal(err)
	}
	if d, err := st.GetMsg(ctx, 1); err != nil || string(d.Data) != "x" {
		t.Error(d, err)
	}
	if _, err := jsOf(t, nc).Stream(ctx, "S"); err != nil {
		t.Errorf("without domain: %v", err)
	}
	if i := s.sysacc; i == nil {
		t.Fatal("no system account")
	}
	other, err := jetstream.NewWithDomain(nc, "other")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.AccountInfo(ctx); !errors.Is(err, jetstream.ErrJetStreamNotEnabled) {
		t.Errorf("another domain: %v", err)
	}
}

// TestJetStreamStartFails: a server that cannot have the JetStream it was asked for does not start.
func TestJetStreamStartFails(t *testing.T) {
	file := vfs.NewMem()
	_ = file.MkdirAll("/store")
	if _, err := file.Create("/store/jetstream"); err != nil {
		t.Fatal(err)
	}
	used := vfs.NewMem()
	jsServer(t, used, &config.Options{})
	broken := vfs.Intercept(vfs.NewMem(), func(c *vfs.Call) (int64, error) {
		if strings.Contains(c.Path, "journal") {
			return 0, errors.New("disk is broken")
		}
		return 0, nil
	})
	for want, disk := range map[string]vfs.FS{
		"storage directory is not a directory":                                             file,
		"/store/jetstream is in use by another server":                                     used,
		"Can't start JetStream: jetstream: mkdir /store/jetstream/journal: disk is broken": broken,
		"could not create storage directory - mkdir /store/jetstream: permission denied":   vfs.Intercept(vfs.NewMem(), func(*vfs.Call) (int64, error) { return 0, errors.New("permission denied") }),
	} {
		l := &memLog{}
		s, err := New(&config.Options{Host: "127.0.0.1", Port: -1, StoreDir: "/store", JetStream: &config.JetStreamOptions{Enabled: true}}, Env{Logger: l, FS: disk})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(l.String(), "[FTL]") {
			t.Errorf("%v, want %s\n%s", err, want, l)
		}
		shutdown(t, s)
	}
}

// TestJetStreamRecovering: a store that takes long does not hold up the server; the API, health and monitoring say what goes on.
func TestJetStreamRecovering(t *testing.T) {
	mem, ctx := vfs.NewMem(), t.Context()
	s, _ := jsServer(t, mem, &config.Options{})
	js := jsOf(t, connect(t, s))
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	shutdown(t, s)
	hold := make(chan struct{})
	var once sync.Once
	release := func() { once.Do(func() { close(hold) }) }
	t.Cleanup(release)
	slow := vfs.Intercept(mem, vfs.Slow(func(c *vfs.Call) {
		if strings.Contains(c.Path, "/accounts/") {
			<-hold
		}
	}))
	s, l := jsServerSoon(t, slow, &config.Options{})
	nc := connect(t, s)
	m, err := nc.Request("$JS.API.STREAM.INFO.S", nil, 10*time.Second)
	if err != nil || string(m.Data) != `{"type":"io.nats.jetstream.api.v1.stream_info_response","error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}` {
		t.Errorf("%v %v", m, err)
	}
	if h := s.pages.Healthz(&sysapi.HealthzOptions{}); h.StatusCode != 503 || !strings.Contains(h.Error, "recovering") {
		t.Errorf("%+v", h)
	}
	v, err := s.pages.Jsz(&sysapi.JSzOptions{Streams: true})
	if err != nil || v.Disabled || v.Streams != 0 || !s.info(0).JetStream {
		t.Errorf("%+v %v", v, err)
	}
	release()
	serving(t, s)
	if _, err := jsOf(t, nc).Stream(ctx, "S"); err != nil {
		t.Error(err, l)
	}
	if h := s.pages.Healthz(&sysapi.HealthzOptions{}); h.StatusCode != 200 {
		t.Errorf("%+v", h)
	}
}

// TestJetStreamStopsWhileRecovering: the end of a server waits for the recovery, and leaves nothing open.
func TestJetStreamStopsWhileRecovering(t *testing.T) {
	mem := vfs.NewMem()
	hold, reached := make(chan struct{}), make(chan struct{}, 1)
	slow := vfs.Intercept(mem, vfs.Slow(func(c *vfs.Call) {
		if strings.Contains(c.Path, "/journal") {
			select {
			case reached <- struct{}{}:
			default:
			}
			<-hold
		}
	}))
	s, _ := jsServerSoon(t, slow, &config.Options{})
	await(t, reached)
	done := make(chan struct{})
	go func() { shutdown(t, s); close(done) }()
	close(hold)
	await(t, done)
	if unlock, err := mem.Lock("/store/jetstream/lock"); err != nil {
		t.Errorf("still locked: %v", err)
	} else {
		_ = unlock()
	}
}

// TestJetStreamOptions: how the configuration arrives at the host.
func TestJetStreamOptions(t *testing.T) {
	o := &config.Options{MaxPending: 7 << 20, StoreDir: "/store", JetStream: &config.JetStreamOptions{
		Enabled: true, MaxStore: 5, MaxMemorySet: true, SyncInterval: time.Second, SyncSet: true, Domain: "d", Key: "k", Cipher: "aes",
		MaxBufferedMsgs: 11, MaxBufferedSize: 12, RequestQueueLimit: 13, InfoQueueLimit: 14,
		Limits: config.JetStreamLimits{MaxAckPending: 1, MaxRequestBatch: 2, DefaultMaxConsumers: 3, DuplicateWindow: 4, BatchMaxInflightPerStream: 5,
			BatchMaxInflightTotal: 2, BatchMaxMsgs: 7, BatchTimeout: 8},
	}}
	s, err := New(o, Env{Logger: &memLog{}, FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer shutdown(t, s)
	h := s.jsOptions(s.Options(), "/store/jetstream")
	if h.MaxMemory != 0 || h.MaxStore != 5 || h.SyncInterval != time.Second || h.Domain != "d" || string(h.Key) != "k" || h.Cipher.String() != "aes" ||
		h.PrevKey != nil || h.InboxSize != 11 || h.InboxBytes != 12 || h.Pending != 7<<20 || h.SystemAccount != "$SYS" {
		t.Errorf("%+v", h)
	}
	var tune tuning
	u := tune.of(s.Options())
	if !u.Lenient || u.MaxAckPending != 1 || u.MaxRequestBatch != 2 || u.DefaultMaxConsumers != 3 || u.MaxWindow != 4 || u.QueueLimit != 13 ||
		u.InfoLimit != 14 || u.Batch.AtomicPerStream != 5 || u.Batch.FastPerStream != 5 || u.Batch.AtomicMsgs != 7 || u.Batch.Timeout != 8 {
		t.Errorf("%+v", u)
	}
	first, second, third := u.Batch.Total(false, 1), u.Batch.Total(false, 1), u.Batch.Total(false, 1)
	if !first || !second || third || !u.Batch.Total(true, 1) {
		t.Error("the limit of open batches is 2 of each kind")
	}
	if u.Batch.Total(false, -1); !u.Batch.Total(false, 1) {
		t.Error("a batch that ended still counts")
	}
	if n := memoryLimit(); n < 1<<20 {
		t.Errorf("memory limit %d", n)
	}
	if n := diskLimit(vfs.OS(), t.TempDir(), 0); n < 1<<20 {
		t.Errorf("disk limit %d", n)
	}
	tiers := accountLimits(&account.JetStream{Tiers: map[string]config.AccountJetStream{"R1": {MaxStore: 1}, "R3": {MaxStore: 3}, "Rx": {}}})
	if len(tiers.Tiers) != 2 || tiers.Tiers[3].MaxStore != 3 {
		t.Errorf("%+v", tiers)
	}
	if dir, tmp := jsDir(&config.Options{}); !tmp || !strings.HasSuffix(dir, "/nats/jetstream") {
		t.Error(dir, tmp)
	}
}

// TestJetStreamAudit: advisories name the client that asked.
func TestJetStreamAudit(t *testing.T) {
	s, _ := jsServer(t, vfs.NewMem(), &config.Options{ServerName: "n1"})
	nc := connect(t, s, nats.Name("me"))
	events := collect(t, nc, "$JS.EVENT.ADVISORY.API", "")
	if _, err := jsOf(t, nc).CreateStream(t.Context(), jetstream.StreamConfig{Name: "S"}); err != nil {
		t.Fatal(err)
	}
	var e struct {
		Client sysapi.ClientInfo `json:"client"`
	}
	if err := json.Unmarshal(await(t, events).Data, &e); err != nil {
		t.Fatal(err)
	}
	if e.Client.Name != "me" || e.Client.Server != "n1" || e.Client.Account != "$G" || e.Client.Kind != "Client" {
		t.Errorf("%+v", e.Client)
	}
}

// TestJetStreamSizes: the sizes of the server may grow by a reload.
func TestJetStreamSizes(t *testing.T) {
	ctx := t.Context()
	options := func(memory int64) *config.Options {
		return &config.Options{StoreDir: "/store", JetStream: &config.JetStreamOptions{Enabled: true, Strict: true, MaxMemory: memory, MaxStore: 1 << 20}}
	}
	s, _ := jsServer(t, vfs.NewMem(), options(10_000))
	js := jsOf(t, connect(t, s))
	add := func(name string) error {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Storage: jetstream.MemoryStorage, MaxBytes: 8000})
		return err
	}
	var api *jetstream.APIError
	if err := add("A"); err != nil {
		t.Fatal(err)
	}
	if err := add("B"); !errors.As(err, &api) || api.ErrorCode != 10028 {
		t.Errorf("more than there is: %v", err)
	}
	o := options(20_000)
	o.Host, o.Port = "127.0.0.1", s.Options().Port
	if err := s.Reload(o); err != nil {
		t.Fatal(err)
	}
	if err := add("B"); err != nil {
		t.Error(err)
	}
	if v, _ := s.pages.Jsz(&sysapi.JSzOptions{}); v.Config.MaxMemory != 20_000 || v.Config.MaxStore != 1<<20 || v.ReservedMemory != 16_000 {
		t.Errorf("%+v", v)
	}
	o = options(5_000)
	o.Host, o.Port = "127.0.0.1", s.Options().Port
	if err := s.Reload(o); err == nil || !strings.Contains(err.Error(), "decreasing") {
		t.Errorf("smaller: %v", err)
	}
}

// TestJetStreamSlowPush: a push consumer whose subscriber does not read ends as a slow consumer, and keeps what it has not delivered.
func TestJetStreamSlowPush(t *testing.T) {
	ctx := t.Context()
	s, _ := jsServer(t, vfs.NewMem(), &config.Options{MaxPending: 2 << 20})
	nc := connect(t, s)
	js := jsOf(t, nc)
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	for range 300 {
		if _, err := js.Publish(ctx, "s", make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "CONNECT {\"verbose\":false}\r\nSUB push 1\r\nPING\r\n"); err != nil {
		t.Fatal(err)
	}
	readUntil(t, c, "PONG\r\n")
	gone := make(chan bool, 10)
	s.buses.Watch("$G", "push", "", func(on bool) { gone <- !on })
	if await(t, gone) {
		t.Fatal("not subscribed")
	}
	old, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.AddConsumer("S", &nats.ConsumerConfig{Durable: "C", DeliverSubject: "push", AckPolicy: nats.AckNonePolicy}); err != nil {
		t.Fatal(err)
	}
	if !await(t, gone) {
		t.Fatal("still subscribed")
	}
	if n := (source{s}).Counters().SlowConsumers; n != 1 {
		t.Errorf("%d slow consumers", n)
	}
	i, err := old.ConsumerInfo("S", "C")
	if err != nil || i.PushBound || i.NumPending == 0 || i.NumPending >= 300 {
		t.Errorf("%+v %v", i, err)
	}
}
