package trace

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/proto/header"
	"ramjet/proto/sysapi"
)

// log collects lines.
type log struct{ lines []string }

func (l *log) Logf(_ engine.Level, id, format string, args ...any) {
	l.lines = append(l.lines, id+" "+fmt.Sprintf(format, args...))
}
func (l *log) Enabled(engine.Level) bool { return true }

// world is a tracer whose events are kept.
type world struct {
	Tracer
	log    log
	reg    *account.Registry
	events []string
	random int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	reg, err := account.NewRegistry(&config.Options{Accounts: []*config.Account{{Name: "A", TraceDest: "traces", TraceSampling: 30}, {Name: "B"}}})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{reg: reg}
	w.Tracer = Tracer{
		Now: func() time.Time { return time.Unix(5, 0) }, System: reg.System, Logger: &w.log, Random: func(int) int { return w.random },
		Publish: func(a *account.Account, dest, enc string, v *sysapi.TraceEvent) {
			b, err := json.Marshal(v.Events)
			if err != nil {
				t.Error(err)
			}
			w.events = append(w.events, fmt.Sprintf("%s %s %s hops=%d %s", a.Name(), dest, enc, v.Hops, b))
		},
	}
	return w
}

func block(pairs ...string) string {
	b := "NATS/1.0\r\n"
	for i := 0; i < len(pairs); i += 2 {
		b += pairs[i] + ": " + pairs[i+1] + "\r\n"
	}
	return b + "\r\n"
}

const parentOn, parentOff = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"

func TestWants(t *testing.T) {
	for _, c := range []struct {
		hdr             string
		plain, external bool
	}{
		{"", false, false},
		{block("A", "b"), false, false},
		{block("Nats-Trace-Dest", "x"), true, true},
		{block("nats-trace-dest", "x"), false, false},
		{block("TraceParent", parentOn), false, true},
		{block("TraceParent", parentOn, "Nats-Trace-Origin-Account", "B"), true, true},
		{block("Nats-Trace-Origin-Account", "B"), false, false},
		{block("A", "traceparent"), false, false},
	} {
		if got := [2]bool{Wants([]byte(c.hdr), false), Wants([]byte(c.hdr), true)}; got != [2]bool{c.plain, c.external} {
			t.Errorf("%q: %v", c.hdr, got)
		}
	}
	hdr := []byte(block("A", "b", "C", strings.Repeat("d", 100)))
	if n := testing.AllocsPerRun(100, func() { Wants(hdr, true) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestParse(t *testing.T) {
	for hdr, want := range map[string]string{
		block("Nats-Trace-Dest", "x", "A", "1", "A", "2", "E", ""): "dest=x only=false external=false A=1,2 Nats-Trace-Dest=x",
		block("Nats-Trace-Dest", "x", "Nats-Trace-Only", "True"):   "dest=x only=true external=false Nats-Trace-Dest=x Nats-Trace-Only=True",
		block("Nats-Trace-Dest", "x", "Nats-Trace-Only", "yes"):    "dest=x only=false external=false Nats-Trace-Dest=x Nats-Trace-Only=yes",
		block("Nats-Trace-Dest", header.TraceDisabled):             "",
		block("Nats-Trace-Dest", ""):                               "",
		block("TRACEPARENT", parentOn, "Nats-Trace-Only", "1"):     "dest= only=false external=true Nats-Trace-Only=1 TRACEPARENT=" + parentOn,
		block("traceparent", parentOff):                            "",
		block("traceparent", "a-b-01"):                             "",
		block("traceparent", "a-b-c-1"):                            "",
		block("traceparent", "a-b-c-81"):                           "",
		block("traceparent", "a-b-c-x1"):                           "",
		block("traceparent", parentOff, "Traceparent", parentOn):   "dest= only=false external=true Traceparent=" + parentOn + " traceparent=" + parentOff,
		"NATS/1.0 503\r\nNats-Trace-Dest: x\r\n\r\n":               "",
		"NATS/1.0\r\nNats-Trace-Dest: \t x \t":                     "dest=x only=false external=false Nats-Trace-Dest=x",
	} {
		got := ""
		if r, ok := parse([]byte(hdr)); ok {
			got = fmt.Sprintf("dest=%s only=%v external=%v", r.dest, r.only, r.external)
			for _, k := range slices.Sorted(maps.Keys(r.header)) {
				got += " " + k + "=" + strings.Join(r.header[k], ",")
			}
		}
		if got != want {
			t.Errorf("%q: %s\nwant %s", hdr, got, want)
		}
	}
}

// TestBegin has what a message may ask for, and what becomes of it.
func TestBegin(t *testing.T) {
	w := newWorld(t)
	only := []string{"Nats-Trace-Only", "1"}
	with := func(dest string, more ...string) string {
		return block(append([]string{"Nats-Trace-Dest", dest}, more...)...)
	}
	for _, c := range []struct {
		name, acc, hdr string
		kind           engine.Kind
		random         int
		failed         string
		verdict        Verdict
		traced         string // destination
		disabled       bool
		log            string
	}{
		{name: "plain", acc: "A", hdr: with("d"), traced: "d"},
		{name: "bad destination", acc: "A", hdr: with("d.*"), log: "RJ-T002"},
		{name: "bad destination, only", acc: "A", hdr: with("d..e", only...), verdict: Drop, log: "RJ-T002"},
		{name: "forbidden", acc: "A", hdr: with("no"), verdict: Denied},
		{name: "gateway", acc: "A", hdr: with("_GR_.a.b"), verdict: Denied},
		{name: "consensus", acc: "A", hdr: with("$NRG.a"), verdict: Denied},
		{name: "consensus in the system account", acc: "$SYS", hdr: with("$NRG.a"), traced: "$NRG.a"},
		{name: "foreign header", acc: "A", hdr: with("d", "Nats-Trace-Origin-Account", "X"), disabled: true, log: "RJ-T001"},
		{name: "foreign header, only", acc: "A", hdr: with("d", "Nats-Trace-Origin-Account", "X", "Nats-Trace-Only", "1"), verdict: Drop, log: "RJ-T001"},
		{name: "foreign header, failed", acc: "A", hdr: with("d", "Nats-Trace-Origin-Account", "X"), failed: "x", log: "RJ-T001"},
		{name: "no account", hdr: with("d"), kind: engine.Router},
		{name: "no account, only", hdr: with("d", only...), kind: engine.Router, verdict: Drop},
		{name: "sampled", acc: "A", hdr: block("traceparent", parentOn), random: 29, traced: "traces"},
		{name: "not sampled", acc: "A", hdr: block("traceparent", parentOn), random: 30, disabled: true},
		{name: "sampled elsewhere", acc: "A", hdr: block("traceparent", parentOn), random: 99, kind: engine.Router, traced: "traces"},
		{name: "account without destination", acc: "B", hdr: block("traceparent", parentOn)},
	} {
		w.random, w.log.lines = c.random, nil
		var a *account.Account
		if c.acc != "" {
			a = w.reg.Lookup(c.acc)
		}
		m := Message{Account: a, Kind: c.kind, Subject: []byte("s"), Header: []byte(c.hdr), Failed: c.failed,
			MayPublish: func(s []byte) bool { return string(s) != "no" }}
		tr, hdr, v, _ := w.Begin(&m)
		got := ""
		if tr != nil {
			got = tr.Dest()
		}
		disabled := string(header.Get(hdr, header.TraceDest)) == header.TraceDisabled
		if v != c.verdict || got != c.traced || disabled != c.disabled || !disabled && string(hdr) != c.hdr {
			t.Errorf("%s: verdict %d, destination %q, header %q", c.name, v, got, hdr)
		}
		if text := strings.Join(w.log.lines, ";"); c.log == "" && text != "" || !strings.HasPrefix(text, c.log) {
			t.Errorf("%s: logged %q", c.name, text)
		}
	}
}

// TestEvent adds every kind of step, and two streams of which one decides after the rest is done.
func TestEvent(t *testing.T) {
	w := newWorld(t)
	m := Message{Account: w.reg.Lookup("A"), Kind: engine.Leaf, ID: 7, Name: "hub", Subject: []byte("s"), Size: 3,
		Header: []byte(block("Nats-Trace-Dest", "d", "Nats-Trace-Hop", "2.1", "Accept-Encoding", "gzip"))}
	tr, _, _, _ := w.Begin(&m)
	tr.Mapped([]byte("m"))
	tr.StreamExport("B", []byte("e"))
	tr.ServiceImport("B", []byte("f"), []byte("t"))
	tr.Remapped([]byte("u"))
	tr.Egress(&Egress{Kind: engine.Client, ID: 1, Account: "B", Sub: "x", Queue: "q", Error: NoEcho})
	for _, want := range []string{"2.1.1", "2.1.2"} {
		hdr, hop := tr.Hop(nil, m.Header)
		if hop != want || string(header.Get(hdr, header.TraceHop)) != want {
			t.Errorf("hop %s in %q", hop, hdr)
		}
		tr.Egress(&Egress{Kind: engine.Router, ID: 2, Name: "next", Account: "B", Sub: "x", Hop: hop})
	}
	one, two := tr.Reached("ONE"), tr.Reached("TWO")
	one.Accepted([]byte("s"), true)
	one.Done("")
	tr.End()
	if len(w.events) != 0 {
		t.Fatal("a stream has not decided yet")
	}
	two.Done("full")
	ts := `"ts":"1970-01-01T00:00:05Z"`
	want := `A d gzip hops=2 [` + strings.Join([]string{
		`{"type":"in",` + ts + `,"kind":4,"cid":7,"name":"hub","acc":"A","subj":"s"}`,
		`{"type":"sm",` + ts + `,"to":"m"}`,
		`{"type":"se",` + ts + `,"acc":"B","to":"e"}`,
		`{"type":"si",` + ts + `,"acc":"B","from":"f","to":"u"}`,
		`{"type":"eg",` + ts + `,"kind":0,"cid":1,"acc":"B","sub":"x","queue":"q","error":"Not delivered because of no echo"}`,
		`{"type":"eg",` + ts + `,"kind":1,"cid":2,"name":"next","hop":"2.1.1"}`,
		`{"type":"eg",` + ts + `,"kind":1,"cid":2,"name":"next","hop":"2.1.2"}`,
		`{"type":"js",` + ts + `,"stream":"ONE","subject":"s","nointerest":true}`,
		`{"type":"js",` + ts + `,"stream":"TWO","error":"full"}`,
	}, ",") + `]`
	if got := strings.Join(w.events, "\n"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// FuzzParse holds parse to Wants: what asks for a trace was found by the search.
func FuzzParse(f *testing.F) {
	f.Add([]byte(block("Nats-Trace-Dest", "x", "Nats-Trace-Only", "1", "traceparent", parentOn)))
	f.Add([]byte(block("traceparent", parentOff)))
	f.Add([]byte("NATS/1.0\r\nNats-Trace-Dest:x"))
	f.Add([]byte("NATS/1.0 100\r\n\r\n"))
	f.Fuzz(func(t *testing.T, hdr []byte) {
		r, ok := parse(hdr)
		if !ok {
			return
		}
		if !Wants(hdr, true) || !r.external && !Wants(hdr, false) {
			t.Errorf("%q asks for a trace and was not found", hdr)
		}
		if _, again := parse(Disable(hdr)); again {
			t.Errorf("%q asks for a trace after it was disabled", hdr)
		}
	})
}
