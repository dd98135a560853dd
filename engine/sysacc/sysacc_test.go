package sysacc

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/dispatch"
	"ramjet/engine/link"
	"ramjet/proto/base/clock"
	"ramjet/proto/sysapi"
)

// pages is a monitoring that knows nothing; accounts are told with one connection.
type pages struct{ hold chan struct{} }

func (p *pages) Varz() (*sysapi.Varz, error) {
	if p.hold != nil {
		<-p.hold
	}
	return &sysapi.Varz{}, nil
}
func (*pages) Connz(o *sysapi.ConnzOptions) (*sysapi.Connz, error) {
	if o.Sort == "bad" {
		return nil, errors.New("bad sort")
	}
	return &sysapi.Connz{Limit: o.Limit}, nil
}
func (*pages) Subsz(*sysapi.SubszOptions) (*sysapi.Subsz, error)    { return &sysapi.Subsz{}, nil }
func (*pages) Routez(*sysapi.RoutezOptions) (*sysapi.Routez, error) { return &sysapi.Routez{}, nil }
func (*pages) Gatewayz(*sysapi.GatewayzOptions) (*sysapi.Gatewayz, error) {
	return &sysapi.Gatewayz{}, nil
}
func (*pages) Leafz(*sysapi.LeafzOptions) (*sysapi.Leafz, error) { return &sysapi.Leafz{}, nil }
func (*pages) Accountz(*sysapi.AccountzOptions) (*sysapi.Accountz, error) {
	return &sysapi.Accountz{}, nil
}
func (*pages) AccountInfo(string) (*sysapi.AccountInfo, error) { return &sysapi.AccountInfo{}, nil }
func (*pages) Jsz(*sysapi.JSzOptions) (*sysapi.JSInfo, error) {
	return &sysapi.JSInfo{Disabled: true}, nil
}
func (*pages) JszAccount(*sysapi.JSzOptions) (*sysapi.AccountDetail, error) {
	return nil, errors.New("jetstream not enabled")
}
func (*pages) JetStreamStats() *sysapi.JetStreamVarz         { return nil }
func (*pages) Healthz(*sysapi.HealthzOptions) *sysapi.Health { return &sysapi.Health{Status: "ok"} }
func (*pages) AccountStatz(o *sysapi.AccountStatzOptions) (*sysapi.AccountStatz, error) {
	v := &sysapi.AccountStatz{}
	for _, a := range o.Accounts {
		v.Accounts = append(v.Accounts, &sysapi.AccountStat{Account: a, Conns: 1, TotalConns: 1})
	}
	return v, nil
}

// silent counts lines that are not traces, and keeps those that are.
type silent struct {
	lines  atomic.Int32
	traces chan string
}

func (l *silent) Enabled(engine.Level) bool { return l.traces != nil }

func (l *silent) Logf(lv engine.Level, _, format string, args ...any) {
	if lv == engine.Trace {
		l.traces <- fmt.Sprintf(format, args...)
		return
	}
	l.lines.Add(1)
}

// bench is a service on a manual clock.
type bench struct {
	*Service
	t     testing.TB
	clock *clock.Manual
	pages *pages
	log   *silent
	ctx   *dispatch.Ctx
	asked atomic.Int32 // calls of Usage: statistics that were built
}

func newBench(t testing.TB) *bench { return newBenchPort(t, false) }

func newBenchPort(t testing.TB, stepped bool) *bench {
	o := &config.Options{ServerName: "n1", Host: "127.0.0.1", Accounts: []*config.Account{{Name: "A"}}}
	config.Baseline(o)
	reg, err := account.NewRegistry(o)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, clock: clock.NewManual(time.Unix(1000, 0)), pages: &pages{}, log: &silent{}, ctx: dispatch.NewCtx(engine.NoLoop, 1)}
	b.Service = New(Port{
		ID: "NID", Version: "2.15.2", StartTime: b.clock.Now(), Clock: b.clock, Logger: b.log,
		Name: func() string { return "n1" }, Options: func() *config.Options { return o },
		Accounts: reg, Registry: link.NewRegistry(0), Router: dispatch.NewRouter(reg),
		Counters: func() link.Counters { return link.Counters{} },
		Usage:    func() (int64, float64) { b.asked.Add(1); return 1, 2 },
		Pages:    b.pages, Reload: func() error { return nil },
		Kick: func(cid uint64) bool { return cid == 7 }, LameDuck: func(cid uint64) bool { return cid == 7 },
		Stepped: stepped,
	})
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
	return b
}

// watch returns the payloads of messages to subj in an account.
func (b *bench) watch(acc, subj string) chan string {
	ch := make(chan string, 1000)
	l := dispatch.NewLocal(b.p.Accounts.Lookup(acc).Index(), engine.System, 0, func(_ engine.LoopID, m *engine.Msg) {
		ch <- string(m.Payload)
	})
	if _, err := l.Subscribe(subj, ""); err != nil {
		b.t.Fatal(err)
	}
	return ch
}

func (b *bench) publish(acc, subj, reply, body string) {
	m := engine.Msg{Subject: []byte(subj), Payload: []byte(body), Origin: engine.Client}
	if reply != "" {
		m.Reply = []byte(reply)
	}
	b.p.Router.Publish(b.ctx, b.p.Accounts.Lookup(acc), &m)
}

func (b *bench) await(ch chan string) string {
	b.t.Helper()
	select {
	case s := <-ch:
		return s
	case <-time.After(10 * time.Second):
		b.t.Fatal("nothing came")
		return ""
	}
}

// idle waits until the workers have done what was queued.
func (b *bench) idle() {
	for _, w := range []*worker{b.requests, b.events} {
		done := make(chan struct{})
		if !w.push(func(*worker) { close(done) }) {
			b.t.Fatal("queue full")
		}
		<-done
	}
}

func TestStatsSchedule(t *testing.T) {
	b := newBench(t)
	// Nobody listens: nothing is built.
	b.clock.Advance(time.Minute)
	b.idle()
	if n := b.asked.Load(); n != 0 {
		t.Fatalf("%d statistics for nobody", n)
	}
	b = newBench(t)
	ch := b.watch(account.System, "$SYS.SERVER.NID.STATSZ")
	// Due 250 ms, 500 ms, ... after the one before, then every 10 s.
	var at []time.Duration
	step := 250 * time.Millisecond
	for d := step; d <= 45*time.Second; d += step {
		b.clock.Advance(step)
		b.idle()
		for len(ch) > 0 {
			<-ch
			at = append(at, d)
		}
	}
	want := "[250ms 750ms 1.75s 3.75s 7.75s 15.75s 25.75s 35.75s]"
	if got := fmt.Sprint(at); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestConnsHeartbeat(t *testing.T) {
	b := newBench(t)
	ch := b.watch(account.System, "$SYS.ACCOUNT.A.SERVER.CONNS")
	b.clock.Advance(time.Minute)
	b.idle()
	if n := len(ch); n != 0 {
		t.Fatalf("%d events without a connection", n)
	}
	b.p.Accounts.Lookup("A").Attach(engine.Client)
	b.clock.Advance(30 * time.Second)
	if s := b.await(ch); !strings.Contains(s, `"acc":"A"`) {
		t.Error(s)
	}
}

// TestConnsMerge: changes that wait are told once.
func TestConnsMerge(t *testing.T) {
	b := newBench(t)
	ch := b.watch(account.System, "$SYS.ACCOUNT.A.SERVER.CONNS")
	hold := make(chan struct{})
	b.events.push(func(*worker) { <-hold })
	for range 100 {
		b.noteConns(b.p.Accounts.Lookup("A"))
	}
	close(hold)
	b.idle()
	if n := len(ch); n != 1 {
		t.Errorf("%d events", n)
	}
	b.noteConns(b.p.Accounts.Lookup("A"))
	b.idle()
	if n := len(ch); n != 2 {
		t.Errorf("%d events after another change", n)
	}
}

// TestVerbose: trace_verbose shows what the server sends, also when nobody gets it.
func TestVerbose(t *testing.T) {
	b := newBench(t)
	b.log.traces = make(chan string, 100)
	b.noteConns(b.p.Accounts.Lookup("A"))
	b.idle()
	if n := len(b.log.traces); n != 0 {
		t.Fatalf("%d traces", n)
	}
	b.p.Options().Log.TraceVerbose = true
	b.noteConns(b.p.Accounts.Lookup("A"))
	for _, want := range []string{"SYSTEM - <<- [PUB $SYS.ACCOUNT.A.SERVER.CONNS  ", "SYSTEM - <<- MSG_PAYLOAD: [", "SYSTEM - <<- [PUB $SYS.SERVER.ACCOUNT.A.CONNS  "} {
		if got := b.await(b.log.traces); !strings.HasPrefix(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	b.idle()
	b.p.Options().Log.TraceVerbose = false
}

// TestBounds: a flood costs bounded memory, is counted, and passes.
func TestBounds(t *testing.T) {
	b := newBench(t)
	b.pages.hold = make(chan struct{})
	body := `{"server_name":"` + strings.Repeat("x", maxBody-100) + `"}`
	b.publish(account.System, "$SYS.REQ.SERVER.PING.VARZ", "r", "") // keeps the worker
	for range 3 * maxRequests {
		b.publish(account.System, "$SYS.REQ.SERVER.PING.VARZ", "r", body)
	}
	if n := b.waiting.Load(); n > maxWaiting {
		t.Errorf("%d bytes wait", n)
	}
	for range 3 * maxRequests {
		b.publish(account.System, "$SYS.REQ.SERVER.PING.IDZ", "r", "")
	}
	if n := b.requests.q.Len(); n > maxRequests {
		t.Errorf("%d requests wait", n)
	}
	if b.dropped.Load() == 0 || b.log.lines.Load() == 0 || b.log.lines.Load() > 10 {
		t.Errorf("%d dropped, %d lines", b.dropped.Load(), b.log.lines.Load())
	}
	close(b.pages.hold)
	b.requestsIdle()
	if n := b.waiting.Load(); n != 0 {
		t.Errorf("%d bytes wait after all", n)
	}
	ch := b.watch(account.System, "r2")
	b.publish(account.System, "$SYS.REQ.SERVER.PING.IDZ", "r2", "")
	if s := b.await(ch); s != `{"name":"n1","host":"127.0.0.1","id":"NID"}` {
		t.Error(s)
	}
}

// requestsIdle waits until a full queue was worked off.
func (b *bench) requestsIdle() {
	done := make(chan struct{})
	b.requests.q.PushWait(func(*worker) { close(done) })
	<-done
}

// TestStopEndsAll: Stop does not wait for queued requests, and nothing is taken or told afterwards but the
// last event.
func TestStopEndsAll(t *testing.T) {
	b := newBench(t)
	answers := b.watch(account.System, "r")
	ends := b.watch(account.System, "$SYS.SERVER.NID.SHUTDOWN")
	hold := make(chan struct{})
	taken := make(chan struct{})
	b.requests.push(func(*worker) { close(taken); <-hold })
	<-taken
	for range 10 {
		b.publish(account.System, "$SYS.REQ.SERVER.PING.IDZ", "r", "")
	}
	stopped := make(chan struct{})
	go func() { b.Stop(); close(stopped) }()
	if s := b.await(ends); !strings.Contains(s, `"id":"NID"`) {
		t.Error(s)
	}
	close(hold)
	<-stopped
	b.Stop() // again
	b.publish(account.System, "$SYS.REQ.SERVER.PING.IDZ", "r", "")
	b.noteConns(b.p.Accounts.Lookup("A"))
	if n := len(answers); n != 0 {
		t.Errorf("%d answers", n)
	}
}

// TestNoCircle: an answer sent to a subject that is a request itself does not come back.
func TestNoCircle(t *testing.T) {
	b := newBench(t)
	ch := b.watch(account.System, "$SYS.REQ.SERVER.PING.STATSZ")
	stats := b.watch(account.System, "$SYS.SERVER.NID.STATSZ")
	b.publish(account.System, "$SYS.REQ.SERVER.PING.STATSZ", "$SYS.REQ.SERVER.PING.STATSZ", "")
	b.await(ch) // the request
	b.await(ch) // the answer, which has no reply subject and so only makes an event
	b.await(stats)
	b.idle()
	b.idle()
	if len(ch) != 0 || len(stats) != 0 {
		t.Errorf("%d requests, %d events more", len(ch), len(stats))
	}
}

// TestStep: without goroutines everything happens in Step.
func TestStep(t *testing.T) {
	b := newBenchPort(t, true)
	ch, ends := b.watch(account.System, "r"), b.watch(account.System, "$SYS.SERVER.NID.SHUTDOWN")
	if b.Step() {
		t.Error("there was nothing to do")
	}
	b.publish(account.System, "$SYS.REQ.SERVER.PING.IDZ", "r", "")
	if len(ch) != 0 || !b.Step() || len(ch) != 1 || b.Step() {
		t.Errorf("%d answers", len(ch))
	}
	b.Stop()
	if len(ends) != 1 {
		t.Errorf("%d last events", len(ends))
	}
}

func TestFilter(t *testing.T) {
	b := newBench(t)
	b.p.Options().ServerTags = []string{"Eu", "fast"}
	for _, c := range []struct {
		f    sysapi.Filter
		want bool
	}{
		{sysapi.Filter{}, true},
		{sysapi.Filter{Name: "n"}, true},
		{sysapi.Filter{Name: "n", Exact: true}, false},
		{sysapi.Filter{Name: "n1", Host: "127.0.0.1", Exact: true}, true},
		{sysapi.Filter{Host: "0.0"}, true},
		{sysapi.Filter{Host: "10."}, false},
		{sysapi.Filter{Cluster: "c"}, false},
		{sysapi.Filter{Domain: "d"}, false},
		{sysapi.Filter{Tags: []string{"eu", "FAST"}}, true},
		{sysapi.Filter{Tags: []string{"eu", "slow"}}, false},
	} {
		if got := b.meant(&c.f); got != c.want {
			t.Errorf("%+v: %v", c.f, got)
		}
	}
}

// TestAllocs: what every connection passes costs nothing to speak of while nobody listens.
func TestAllocs(t *testing.T) {
	b := newBench(t)
	subj := []byte(b.subjects.authErr)
	if n := testing.AllocsPerRun(100, func() { b.wants(subj) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzRequest: whatever the body, the answer is JSON or nothing, and the service lives on.
func FuzzRequest(f *testing.F) {
	for i, s := range []string{"", "{}", `{"cid":7}`, `{"tags":["x"]}`, `{"limit":-1,"sort":"bad"}`, `{bad`, "null", "[]", `{"acc":"A","subject":"foo.>"}`,
		"foo.* q", `{"name":"cpu","duration":-1}`, `{"filter":"System","all":true}`} {
		f.Add(uint8(i), s)
	}
	b := newBench(f)
	table := append(b.systemTable(), b.accountTable()...)
	out := b.watch(account.System, "r")
	f.Fuzz(func(t *testing.T, which uint8, body string) {
		if strings.Contains(body, "cpu") {
			t.Skip() // takes its time
		}
		b.t = t
		e := table[int(which)%len(table)]
		b.publish(account.System, strings.ReplaceAll(e.subject, "*", "A"), "r", body)
		b.idle()
		for len(out) > 0 {
			if s := <-out; !json.Valid([]byte(s)) {
				t.Errorf("%s %q: %s", e.subject, body, s)
			}
		}
		b.publish(account.System, "$SYS.REQ.SERVER.PING.IDZ", "r", "")
		if s := b.await(out); !strings.Contains(s, "NID") && !json.Valid([]byte(s)) {
			t.Errorf("%s", s)
		}
	})
}
