package consumer_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"ramjet/js/consumer"
	"ramjet/js/jstest"
	"ramjet/proto/base/rng"
	"ramjet/proto/jsapi"
	"ramjet/store"
)

const epoch = int64(1_700_000_000_000_000_000)

// world is a consumer on a log in memory, a follower fed with its commands, and a clock.
type world struct {
	t        testing.TB
	now      int64
	log      *jstest.Log
	rec      *jstest.Recorder
	cfg      jsapi.ConsumerConfig
	c        *consumer.Consumer
	follower *consumer.State
	acks     map[uint64]jsapi.AckReply // last delivery by stream sequence
}

func newWorld(t testing.TB) *world {
	return &world{t: t, now: epoch, log: jstest.NewLog(), rec: &jstest.Recorder{Deaf: map[string]bool{}}, acks: map[uint64]jsapi.AckReply{}}
}

func (w *world) limits() *consumer.Limits {
	return &consumer.Limits{Stream: &jsapi.StreamConfig{Name: "S", Replicas: 1, Subjects: []string{"a.>"}}}
}

func (w *world) env() consumer.Env {
	return consumer.Env{Stream: "S", Name: "C", Created: time.Unix(0, epoch), Log: w.log, Sink: w.rec, Rand: rng.New(7), Burst: 1000}
}

func (w *world) start(cfg string) {
	w.t.Helper()
	w.cfg = jsapi.ConsumerConfig{Durable: "C", AckPolicy: jsapi.AckExplicit}
	if err := json.Unmarshal([]byte(cfg), &w.cfg); err != nil {
		w.t.Fatal(err)
	}
	if w.cfg.Durable == "-" {
		w.cfg.Durable = ""
	}
	if err := consumer.SetDefaults(&w.cfg, w.limits(), false); err != nil {
		w.t.Fatal(err)
	}
	if err := consumer.Validate(&w.cfg, w.limits()); err != nil {
		w.t.Fatal(err)
	}
	w.follower = consumer.NewState(w.cfg.AckPolicy)
	w.c = consumer.New(w.env(), &w.cfg, consumer.NewState(w.cfg.AckPolicy), w.now)
	w.c.Start(w.now)
	w.replicate()
}

// replicate feeds the follower and compares it with the leader.
func (w *world) replicate() {
	w.t.Helper()
	if err := w.follower.Apply(w.c.Commands()); err != nil {
		w.t.Fatal(err)
	}
	a, b := w.c.State().AppendSnapshot(nil), w.follower.AppendSnapshot(nil)
	if string(a) != string(b) {
		w.t.Fatalf("follower differs:\n%x\n%x", a, b)
	}
}

// restart goes on from a snapshot of the follower.
func (w *world) restart() {
	w.t.Helper()
	st, err := consumer.DecodeSnapshot(w.follower.AppendSnapshot(nil))
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := *w.c.Config()
	w.c = consumer.New(w.env(), &cfg, st, w.now)
}

// advance moves the clock to every deadline up to d from now.
func (w *world) advance(d time.Duration) {
	end := w.now + int64(d)
	if w.c == nil {
		w.now = end
		return
	}
	for range 100000 {
		at, ok := w.c.Deadline()
		if !ok || at > end {
			w.now = end
			w.c.Tick(w.now)
			return
		}
		w.now = max(w.now, at)
		w.c.Tick(w.now)
	}
	w.t.Fatal("deadlines do not pass")
}

func (w *world) collect() []string {
	for _, a := range w.rec.Acks {
		var r jsapi.AckReply
		jsapi.ParseAckReply(a, &r)
		w.acks[r.StreamSeq] = r
	}
	w.rec.Acks = nil
	return w.rec.Take()
}

func (w *world) ackReply(seq uint64) *jsapi.AckReply {
	r, ok := w.acks[seq]
	if !ok {
		r = jsapi.AckReply{StreamSeq: seq, ConsumerSeq: seq, Deliveries: 1}
	}
	return &r
}

func (w *world) infoLine() string {
	i := w.c.Info(w.now)
	line := fmt.Sprintf("delivered %d/%d floor %d/%d ackpending %d redelivered %d waiting %d pending %d", i.Delivered.Consumer,
		i.Delivered.Stream, i.AckFloor.Consumer, i.AckFloor.Stream, i.NumAckPending, i.NumRedelivered, i.NumWaiting, i.NumPending)
	if i.PushBound {
		line += " bound"
	}
	if i.Paused {
		line += fmt.Sprintf(" paused %v", i.PauseRemaining)
	}
	for _, g := range i.PriorityGroups {
		line += fmt.Sprintf(" group %s %v", g.Group, g.PinnedClientID != "")
	}
	return line
}

// do runs one line of a script and compares leader and follower.
func (w *world) do(line string) {
	w.t.Helper()
	w.doRaw(line)
	if w.c != nil {
		w.replicate()
	}
}

func (w *world) doRaw(line string) {
	t := w.t
	t.Helper()
	op, rest, _ := strings.Cut(line, " ")
	arg, tail, _ := strings.Cut(rest, " ")
	num := func() uint64 { n, _ := strconv.ParseUint(arg, 10, 64); return n }
	dur := func() time.Duration {
		d, err := time.ParseDuration(arg)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	switch op {
	case "config":
		w.start(rest)
	case "update":
		cfg := *w.c.Config()
		if err := json.Unmarshal([]byte(rest), &cfg); err != nil {
			t.Fatal(err)
		}
		w.c.Update(w.now, &cfg)
	case "pub": // pub subject... : one message each, "subject=size" for a size
		for _, s := range strings.Fields(rest) {
			s, size, _ := strings.Cut(s, "=")
			n, _ := strconv.Atoi(size)
			seq := w.log.Append(s, strings.Repeat("x", n), w.now)
			if w.c != nil {
				w.c.Published(seq, []byte(s))
			}
		}
		if w.c != nil {
			w.c.Pump(w.now)
		}
	case "next":
		w.c.Next(w.now, []byte(arg), nil, w.body(tail))
	case "nexthdr":
		w.c.Next(w.now, []byte(arg), []byte("NATS/1.0\r\n"+tail+"\r\n\r\n"), nil)
	case "ack": // ack seq body
		w.c.Ack(w.now, w.ackReply(num()), nil, []byte(tail))
	case "ackr": // with a reply subject "r"
		w.c.Ack(w.now, w.ackReply(num()), []byte("r"), []byte(tail))
	case "after":
		w.advance(dur())
	case "deaf":
		w.rec.Deaf[arg] = true
	case "hear":
		w.rec.Deaf[arg] = false
	case "rm":
		m := w.log.Find(num())
		subj := m.Subject
		w.log.Remove(num())
		w.c.Removed(w.now, num(), subj)
		w.c.Pump(w.now)
	case "purge":
		var f *store.Filter
		if arg != "" && arg != ">" {
			f = &store.Filter{Patterns: []string{arg}}
		}
		below, _ := strconv.ParseUint(tail, 10, 64)
		w.log.Purge(f, below)
		if w.c != nil {
			w.c.PurgedOf(w.now, f)
			w.c.Pump(w.now)
		}
	case "info":
		w.rec.Lines = append(w.rec.Lines, w.infoLine())
	case "restart":
		w.replicate()
		w.restart()
	case "pause":
		w.c.SetPause(w.now, w.now+int64(dur()))
	case "resume":
		w.c.SetPause(w.now, 0)
	case "reset":
		seq, err := w.c.Reset(w.now, num())
		w.c.Pump(w.now)
		if err != nil {
			w.rec.Lines = append(w.rec.Lines, err.Error())
		} else {
			w.rec.Lines = append(w.rec.Lines, fmt.Sprint("at ", seq))
		}
	case "unpin":
		if err := w.c.Unpin(w.now, arg); err != nil {
			w.rec.Lines = append(w.rec.Lines, err.Error())
		}
	case "interest":
		w.c.SetInterest(w.now, arg == "on")
	case "flow":
		var hdr []byte
		if rest != "" {
			hdr = []byte("NATS/1.0\r\n" + strings.ReplaceAll(rest, " ", "\r\n") + "\r\n\r\n")
		}
		w.c.FlowReply(w.now, w.rec.Flow, hdr)
	case "cold":
		w.log.Cold[num()] = true
	case "wake":
		clear(w.log.Cold)
		w.c.Wake(w.now)
	case "damage":
		w.log.Damaged[num()] = true
	case "truncate":
		for w.log.Last > num() {
			w.log.Remove(w.log.Last)
			w.log.Last--
		}
	case "end":
		w.c.EndRequests(map[string]consumer.Ending{"deleted": consumer.EndDeleted, "leader": consumer.EndLeader, "shutdown": consumer.EndShutdown}[arg])
	case "needs":
		var got []string
		for i := range w.log.Msgs {
			if m := &w.log.Msgs[i]; w.c.Needs(m.Seq, m.Subject) {
				got = append(got, fmt.Sprint(m.Seq))
			}
		}
		w.rec.Lines = append(w.rec.Lines, strings.TrimSpace("needs "+strings.Join(got, " ")))
	default:
		t.Fatalf("unknown operation %q", line)
	}
}

// body turns durations in quotes of a request into nanoseconds: {"expires":"5s"}.
func (w *world) body(s string) []byte {
	for _, key := range []string{`"expires":"`, `"idle_heartbeat":"`} {
		if i := strings.Index(s, key); i >= 0 {
			from := i + len(key)
			to := from + strings.IndexByte(s[from:], '"')
			d, err := time.ParseDuration(s[from:to])
			if err != nil {
				w.t.Fatal(err)
			}
			s = s[:from-1] + strconv.FormatInt(int64(d), 10) + s[to+1:]
		}
	}
	return []byte(s)
}

// runScript runs lines; those that begin with ">" are what the line before has to cause, all of it, in order.
func runScript(t *testing.T, script string) {
	w := newWorld(t)
	lines := strings.Split(strings.TrimSpace(script), "\n")
	for i := 0; i < len(lines); {
		line := strings.TrimSpace(lines[i])
		i++
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		w.do(line)
		got := w.collect()
		for j := range got {
			if flow := string(w.rec.Flow); flow != "" {
				got[j] = strings.ReplaceAll(got[j], flow, "flow")
			}
		}
		var want []string
		for i < len(lines) && strings.HasPrefix(strings.TrimSpace(lines[i]), ">") {
			want = append(want, strings.TrimSpace(strings.TrimSpace(lines[i])[1:]))
			i++
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("%s\ngot:\n  %s\nwant:\n  %s", line, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		}
	}
}

type script struct{ name, text string }

func runScripts(t *testing.T, scripts []script) {
	for _, s := range scripts {
		t.Run(s.name, func(t *testing.T) { runScript(t, s.text) })
	}
}
