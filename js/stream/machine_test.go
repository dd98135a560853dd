package stream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"ramjet/js/op"
	"ramjet/proto/base/rng"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
)

func TestAllocations(t *testing.T) {
	for name, h := range map[string][]byte{"plain": nil, "msg id": hdr("Nats-Msg-Id", "0123456789abcdef", "Other", "x")} {
		r := newRig(t, `{"duplicate_window":100000000}`)
		r.log.quiet = true
		in := Inbound{Subject: []byte("a.1"), Reply: []byte("_INBOX.abcdef.123"), Header: h, Payload: make([]byte, 128)}
		var c op.Cmd
		n := 0
		run := func() {
			for range 16 {
				if h != nil {
					n++
					for i, v := 0, n; i < 8; i, v = i+1, v/10 {
						h[30-i] = byte('0' + v%10)
					}
				}
				r.now += 1e6
				r.f.Publish(&in, r.now, &r.b, &r.out)
			}
			for rd := op.Open(r.b.Bytes()); rd.Next(&c); {
				r.m.Apply(1, &c, &r.out)
				r.f.Applied(&c, &r.out)
			}
			r.b.Reset()
			if len(r.out.List) != 32 {
				t.Fatal(len(r.out.List))
			}
			r.out.Reset()
		}
		for range 200 {
			run()
		}
		if got := testing.AllocsPerRun(100, run); got > 0 {
			t.Errorf("%s: %v allocations in 16 publishes", name, got)
		}
	}
}

// script makes entries that use every kind of command.
func script(t testing.TB, seed uint64) (cfg jsapi.StreamConfig, entries [][]byte) {
	src := rng.New(seed)
	r := newRig(t, `{"max_msgs":20,"max_msgs_per_subject":5,"max_age":60000000000,"subject_delete_marker_ttl":2000000000,"allow_msg_schedules":true,"allow_atomic":true,"duplicate_window":5000000000,"republish":{"src":"a.>","dest":"r.>"}}`)
	r.hold = true
	for i := 0; i < 300; i++ {
		r.now += int64(src.Uint64n(3e8))
		subj := fmt.Sprintf("a.%d", src.Intn(6))
		switch src.Intn(12) {
		case 0:
			r.pub(subj, "x", "Nats-TTL", "2s")
		case 1:
			r.pub("b.1", "x", "Nats-Schedule", "@every 1s", "Nats-Schedule-Target", "a.9")
		case 2:
			r.pub(subj, "x", "Nats-Rollup", "sub")
		case 3:
			r.pub(subj, "x", "Nats-Msg-Id", fmt.Sprint(src.Intn(20)))
		case 4:
			r.b.Add(&op.Cmd{Kind: op.Purge, Subject: []byte(subj), Keep: 1, Time: r.now})
		case 5:
			r.b.Add(&op.Cmd{Kind: op.Remove, Seq: r.f.LastSeq(), Time: r.now})
		case 6:
			next := *r.m.Config()
			next.MaxMsgs = int64(10 + src.Intn(20))
			b, _ := json.Marshal(&next)
			r.b.Add(&op.Cmd{Kind: op.Config, Payload: b, Time: r.now})
		case 7:
			r.f.Tick(r.now, &r.b, &r.out)
		default:
			r.pub(subj, "x")
		}
		if src.Intn(3) == 0 && r.b.Len() > 0 {
			entries = append(entries, bytes.Clone(r.b.Bytes()))
			r.flush()
		}
	}
	return r.cfg, entries
}

// play applies entries and renders state and effects.
func play(t testing.TB, m *Machine, entries [][]byte, effects *bytes.Buffer) {
	var out Effects
	for i, e := range entries {
		rd := op.Open(e)
		var c op.Cmd
		for rd.Next(&c) {
			m.Apply(uint64(i), &c, &out)
		}
		if rd.Err() != nil {
			t.Fatal(rd.Err())
		}
		for _, e := range out.List {
			fmt.Fprintf(effects, "%d %d %s %q %s %v %s;", e.Kind, e.Seq, e.Subject, e.Header, e.Payload, e.Limit, e.Text)
			if e.Kind == Failed {
				t.Fatal(e.Err)
			}
		}
		out.Reset()
	}
}

func TestDeterminism(t *testing.T) {
	for seed := uint64(1); seed <= 10; seed++ {
		cfg, entries := script(t, seed)
		var a, b bytes.Buffer
		x, y := NewMachine(&cfg, &fakeLog{}, nil), NewMachine(&cfg, &fakeLog{}, nil)
		play(t, x, entries, &a)
		play(t, y, entries, &b)
		if !bytes.Equal(a.Bytes(), b.Bytes()) || !bytes.Equal(x.AppendState(nil), y.AppendState(nil)) {
			t.Fatalf("seed %d: not deterministic", seed)
		}
		rx, ry := rig{log: x.log.(*fakeLog)}, rig{log: y.log.(*fakeLog)}
		if rx.seqs() != ry.seqs() || rx.seqs() == "" {
			t.Fatalf("seed %d: logs differ or are empty", seed)
		}
		// From a checkpoint in the middle the rest gives the same.
		half := len(entries) / 2
		z := NewMachine(&cfg, &fakeLog{}, nil)
		play(t, z, entries[:half], &b)
		blob := z.AppendState(nil)
		w := NewMachine(z.Config(), z.log, nil)
		if err := w.Restore(blob); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(w.AppendState(nil), blob) {
			t.Fatalf("seed %d: state changes in the checkpoint", seed)
		}
		for i, e := range entries[half:] {
			rd := op.Open(e)
			var c op.Cmd
			var out Effects
			for rd.Next(&c) {
				w.Apply(uint64(half+i), &c, &out)
			}
		}
		if !bytes.Equal(w.AppendState(nil), x.AppendState(nil)) {
			t.Fatalf("seed %d: the checkpoint loses something", seed)
		}
	}
}

func FuzzState(f *testing.F) {
	cfg, entries := script(f, 3)
	m := NewMachine(&cfg, &fakeLog{}, nil)
	var buf bytes.Buffer
	play(f, m, entries, &buf)
	f.Add(m.AppendState(nil))
	f.Add([]byte{1, 0, 0, 0, 255, 255, 255, 255, 15})
	f.Fuzz(func(t *testing.T, b []byte) {
		m := NewMachine(&cfg, &fakeLog{}, nil)
		if m.Restore(b) != nil {
			return
		}
		s := m.AppendState(nil)
		if err := m.Restore(s); err != nil || !bytes.Equal(m.AppendState(nil), s) {
			t.Fatalf("encode(decode) is not stable: %v", err)
		}
	})
}

func TestFifo(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		src := rng.New(seed)
		var q fifo
		type entry struct {
			key string
			seq uint64
		}
		var model []entry
		for i := uint64(0); i < 3000; i++ {
			grow := 6
			if i > 1500 {
				grow = 4
			}
			switch r := src.Intn(10); {
			case r < grow:
				k := fmt.Sprintf("%0*d", 1+src.Intn(60), src.Intn(40))
				q.push([]byte(k), i, int64(i))
				model = append(model, entry{k, i})
			case r < 9 && len(model) > 0:
				q.pop()
				model = model[1:]
			case len(model) > 0:
				q.push([]byte("undone"), i, 0)
				q.unpush()
			}
			if q.len() != len(model) {
				t.Fatalf("seed %d: %d entries, want %d", seed, q.len(), len(model))
			}
			if len(model) == 0 {
				continue
			}
			k := model[src.Intn(len(model))].key
			var last, n uint64
			for _, e := range model {
				if e.key == k {
					last = e.seq
					n++
				}
			}
			if s := q.find([]byte(k)); s == nil || s.seq != last || q.count([]byte(k)) != n {
				t.Fatalf("seed %d step %d: %s: %+v, want %d of %d", seed, i, k, s, last, n)
			}
			if q.find([]byte("nowhere")) != nil || q.find([]byte("undone")) != nil {
				t.Fatalf("seed %d: found what is not there", seed)
			}
		}
	}
}

func TestSchedules(t *testing.T) {
	vienna, santiago := zoneOf(t, "Europe/Vienna"), zoneOf(t, "America/Santiago")
	at := func(s string) int64 {
		x, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return x.UnixNano()
	}
	for _, c := range []struct {
		pattern string
		zone    *time.Location
		after   string
		want    string
	}{
		{"@at 2024-05-01T10:00:00Z", nil, "2024-01-01T00:00:00Z", "2024-05-01T10:00:00Z"},
		{"@every 90s", nil, "2024-01-01T00:00:00Z", "2024-01-01T00:01:30Z"},
		{"@hourly", nil, "2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z"},
		{"@daily", vienna, "2024-01-01T00:00:00Z", "2024-01-01T23:00:00Z"},
		{"0 30 9 * * mon-fri", nil, "2024-03-01T10:00:00Z", "2024-03-04T09:30:00Z"},
		{"*/15 * * * * *", nil, "2024-03-01T10:00:15Z", "2024-03-01T10:00:30Z"},
		{"5 0 0 29 feb ?", nil, "2024-03-01T00:00:00Z", "2028-02-29T00:00:05Z"},
		{"0 0 0 13 * fri", nil, "2024-03-01T00:00:00Z", "2024-03-08T00:00:00Z"},
		{"0 0,20 1-3/2 * * *", nil, "2024-03-01T01:00:00Z", "2024-03-01T01:20:00Z"},
		{"@yearly", nil, "2024-03-01T01:00:00Z", "2025-01-01T00:00:00Z"},
		{"@weekly", nil, "2024-03-01T01:00:00Z", "2024-03-03T00:00:00Z"},
		{"@monthly", nil, "2024-03-01T01:00:00Z", "2024-04-01T00:00:00Z"},
		{"@at 1970-01-01T00:00:00Z", nil, "2024-01-01T00:00:00Z", "1970-01-01T00:00:00Z"},
		{"@at 9999-01-01T00:00:00Z", nil, "2024-01-01T00:00:00Z", "2262-04-11T23:47:16Z"}, // the end of time
		{"@at 0001-01-01T00:00:00Z", nil, "2024-01-01T00:00:00Z", "1677-09-21T00:12:43Z"}, // and its beginning
		{"@every 2562047h", nil, "2024-01-01T00:00:00Z", "2262-04-11T23:47:16Z"},
		{"0 0 0 */9223372036854775807 * *", nil, "2024-03-01T01:00:00Z", "2024-04-01T00:00:00Z"},
		{"*/60 * * * * *", nil, "2024-03-01T01:00:00Z", "2024-03-01T01:01:00Z"},
		{"0 0 0 1-5/9223372036854775807 */4 *", nil, "2024-03-01T01:00:00Z", "2024-05-01T00:00:00Z"},
		// The 8th of September 2024 began at 1:00 in Santiago.
		{"0 0 12 8 9 *", santiago, "2024-09-07T12:00:00Z", "2024-09-08T15:00:00Z"},
		{"0 0 0 8 9 *", santiago, "2024-09-07T12:00:00Z", "2025-09-08T03:00:00Z"},
		{"0 30 1 * * *", santiago, "2024-09-08T03:00:00Z", "2024-09-08T04:30:00Z"},
	} {
		s, err := ParseSchedule(c.pattern, c.zone)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		got, ok := s.Next(at(c.after), at(c.after))
		if text := time.Unix(0, got).UTC().Format(time.RFC3339); !ok || text != c.want {
			t.Errorf("%s after %s: got %s, want %s", c.pattern, c.after, text, c.want)
		}
	}
	for _, bad := range []string{"", "@at x", "@every 500ms", "@every", "* * * * *", "60 * * * * *", "* * * 0 * *", "5-1 * * * * *", "*/0 * * * * *", "* * * * foo *", "@never"} {
		if _, err := ParseSchedule(bad, nil); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
	s, _ := ParseSchedule("0 0 0 30 2 *", nil)
	if _, ok := s.Next(0, 0); ok {
		t.Error("30 February")
	}
	// Missed firings collapse into one.
	s, _ = ParseSchedule("@every 10s", nil)
	if got, _ := s.Next(at("2024-01-01T00:00:00Z"), at("2024-01-01T01:00:03Z")); got != at("2024-01-01T01:00:13Z") {
		t.Error(time.Unix(0, got).UTC())
	}
}

func zoneOf(t testing.TB, name string) *time.Location {
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// FuzzSchedule: whatever a publisher writes into Nats-Schedule, a schedule that is accepted has a next time after the one before, or none, and never
// turns in a circle.
func FuzzSchedule(f *testing.F) {
	zones := []*time.Location{nil, zoneOf(f, "America/Santiago"), zoneOf(f, "Asia/Beirut"), zoneOf(f, "Australia/Lord_Howe"), zoneOf(f, "Pacific/Apia")}
	for i, p := range []string{"@at 2024-05-01T10:00:00Z", "@at 9999-12-31T23:59:59+14:00", "@every 2562047h47m16s", "@weekly", "0 0 12 8 9 *", "*/15 0-5,7 ? jan,12 2-4/2 mon-fri",
		"0 0 0 */9223372036854775807 * *", "0 0 0 31 2 ?", "59 59 23 31 12 6"} {
		f.Add(p, uint8(i), int64(1_725_700_000_000_000_000))
		f.Add(p, uint8(1), int64(1<<62))
	}
	f.Fuzz(func(t *testing.T, pattern string, zone uint8, now int64) {
		now &= 1<<62 - 1 // 1970 to 2116
		s, err := ParseSchedule(pattern, zones[int(zone)%len(zones)])
		if err != nil {
			return
		}
		for last := now; ; {
			next, ok := s.Next(last, last)
			if !ok || !s.Repeats() {
				return
			}
			if next <= last {
				t.Fatalf("%q fires at %d after %d", pattern, next, last)
			}
			if last = next; last > now+int64(50*time.Hour) {
				return
			}
			last += int64(time.Hour)
		}
	})
}

func TestScheduling(t *testing.T) {
	r := newRig(t, `{"allow_msg_schedules":true,"allow_msg_ttl":true}`)
	r.pub("a.t", "body", "Nats-Schedule", "@at "+time.Unix(0, r.now+5e9).UTC().Format(time.RFC3339), "Nats-Schedule-Target", "b.1", "Nats-Schedule-TTL", "5s", "K", "v")
	if at, ok := r.f.NextTick(r.now); !ok || at != r.now+5e9 {
		t.Fatal(at, ok)
	}
	r.want(string(header.Get(r.log.msgs[0].Header, "Nats-Rollup")), "sub")
	r.tick(4 * time.Second)
	r.want(r.seqs(), "1:a.t")
	r.tick(time.Second)
	r.want(r.seqs(), "2:b.1")
	m := r.log.msgs[0]
	r.want(fmt.Sprintf("%q %s %d", m.Header, m.Payload, m.TTL), `"NATS/1.0\r\nK: v\r\nNats-Scheduler: a.t\r\nNats-Schedule-Next: purge\r\nNats-TTL: 5s\r\n\r\n" body 5`)
	if at, ok := r.f.NextTick(r.now); !ok || at != r.now+5e9 { // only the TTL is left
		t.Error(at, ok)
	}

	r.pub("a.e", "own", "Nats-Schedule", "@every 2s", "Nats-Schedule-Target", "b.2", "Nats-Schedule-Source", "b.src")
	r.tick(2 * time.Second)
	r.pub("b.src", "data", "Nats-Msg-Id", "i", "X", "y")
	r.tick(2 * time.Second)
	r.want(r.seqs(), "2:b.1 3:a.e 4:b.2 5:b.src 6:b.2")
	r.want(string(r.log.msgs[2].Payload)+" "+string(r.log.msgs[4].Payload), "own data")
	next := time.Unix(0, r.now+2e9).UTC().Format(time.RFC3339Nano)
	r.want(string(r.log.msgs[4].Header), "NATS/1.0\r\nX: y\r\nNats-Scheduler: a.e\r\nNats-Schedule-Next: "+next+"\r\n\r\n")
	// A machine rebuilt from the log continues where this one stands.
	m2 := NewMachine(&r.cfg, r.log, nil)
	m2.Rebuild(r.now)
	if e := m2.sched.bySubj["a.e"]; e == nil || e.next != r.now+2e9 {
		t.Errorf("%+v", e)
	}
	r.pub("a.e", "plain") // deactivates
	r.tick(10 * time.Second)
	r.want(r.seqs(), "3:a.e 4:b.2 5:b.src 6:b.2 7:a.e")
	// What one schedule sends to the subject of another leaves that alone.
	r.pub("a.s", "x", "Nats-Schedule", "@at "+time.Unix(0, r.now+1e9).UTC().Format(time.RFC3339), "Nats-Schedule-Target", "b.4")
	r.pub("b.4", "y", "Nats-Schedule", "@at "+time.Unix(0, r.now+2e9).UTC().Format(time.RFC3339), "Nats-Schedule-Target", "b.5")
	r.tick(time.Second)
	r.want(r.seqs(), "3:a.e 4:b.2 5:b.src 6:b.2 7:a.e 9:b.4 10:b.4")
	r.tick(time.Second)
	r.want(r.seqs(), "3:a.e 4:b.2 5:b.src 6:b.2 7:a.e 11:b.5")
	r.pub("a.x", "x", "Nats-Schedule", "@every 2s", "Nats-Schedule-Target", "b.2")
	r.b.Add(&op.Cmd{Kind: op.Remove, Seq: 12})
	r.flush()
	r.tick(10 * time.Second)
	r.want(fmt.Sprint(r.f.LastSeq()), "12")
}

func BenchmarkPublish(b *testing.B) {
	r := newRig(b, `{}`)
	r.log.quiet = true
	in := Inbound{Subject: []byte("a.1"), Reply: []byte("_INBOX.abcdef.123"), Payload: make([]byte, 128)}
	var c op.Cmd
	b.ReportAllocs()
	for b.Loop() {
		r.now += 1000
		r.f.Publish(&in, r.now, &r.b, &r.out)
		if r.b.Len() == 64 {
			for rd := op.Open(r.b.Bytes()); rd.Next(&c); {
				r.m.Apply(1, &c, &r.out)
				r.f.Applied(&c, &r.out)
			}
			r.b.Reset()
			r.out.Reset()
		}
	}
}
