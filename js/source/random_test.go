package source

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ramjet/js/op"
	"ramjet/js/stream"
	"ramjet/proto/base/rng"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
	"ramjet/store"
)

// trouble is a world in which everything goes wrong now and then.
type trouble struct {
	*world
	t     *testing.T
	src   *rng.Source
	seed  uint64
	list  []*origStream
	count int
	dirty bool // messages are gone here: only the checkpoint knows positions
}

func (x *trouble) step() {
	o := x.list[x.src.Intn(len(x.list))]
	switch n := x.src.Intn(100); {
	case n < 50:
		for range 1 + x.src.Intn(5) {
			x.count++
			var h []byte
			switch x.src.Intn(4) {
			case 0:
				h = []byte("NATS/1.0\r\nX: y\r\n\r\n")
			case 1:
				h = []byte("NATS/1.0\r\nNats-Expected-Last-Sequence: 3\r\nX: y\r\nNats-Stream-Source: Q 1 > > q\r\n\r\n")
			}
			o.put(fmt.Sprintf("%s.%d", "abc"[x.src.Intn(3):][:1], x.src.Intn(3)), h, strconv.Itoa(x.count))
		}
	case n < 58 && len(o.msgs) > 0:
		o.remove(o.msgs[x.src.Intn(len(o.msgs))].Seq)
	case n < 60:
		o.msgs = slices.DeleteFunc(o.msgs, func(store.Rec) bool { return x.src.Intn(3) > 0 })
	case n < 61:
		o.msgs = nil
	case n < 75:
		x.advance(time.Duration(x.src.Intn(int(3 * time.Second))))
	case n < 78:
		x.advance(time.Duration(x.src.Intn(int(40 * time.Second))))
	case n < 82:
		x.restart(!x.dirty && x.src.Intn(2) == 0)
	case n < 86:
		x.hold = !x.hold
	case n < 88 && x.b.Len() > 0:
		x.b.Reset()
		x.f.Abort(nil, &x.out)
		x.out.Reset()
		x.e.Restart(x.now)
	case n < 91:
		x.dropPct = x.src.Intn(30)
	case n < 93:
		o.dupEvery = x.src.Intn(4)
	case n < 94:
		o.mute = !o.mute
	case n < 95:
		o.deaf = !o.deaf
	case n < 96:
		for _, c := range o.cons {
			c.paused = !c.paused
		}
	case n < 97:
		o.cons = map[string]*origConsumer{}
	case n < 98 && x.begun():
		x.dirty = true
		x.log.Log.Purge(nil, x.log.Log.Last)
	case n < 99 && x.m.Config().Mirror == nil:
		x.count++
		o.recreate(fmt.Sprint("id", x.count))
	default:
		x.e.Reconnect(x.now)
	}
	x.run()
}

// begun reports that every source has stored something: one that has not starts at the last time of a purged stream, and
// takes nothing older.
func (x *trouble) begun() bool {
	for _, o := range x.e.list {
		if st, _, _ := x.m.Sourced(o.key); st.Seq == 0 {
			return false
		}
	}
	return x.m.Config().Mirror == nil
}

// heal ends all trouble and waits until everything must have arrived.
func (x *trouble) heal() {
	x.hold, x.dropPct = false, 0
	for _, o := range x.list {
		o.mute, o.deaf, o.dupEvery = false, false, 0
		for _, c := range o.cons {
			c.paused = false
		}
	}
	x.advance(6 * time.Minute)
	for i := range x.e.list {
		if e := x.info(i).Error; e != nil {
			x.t.Fatalf("seed %d: origin %d: %v", x.seed, i, e)
		}
	}
	if len(x.subs) != len(x.e.list) || len(x.e.byID) != len(x.subs) {
		x.t.Fatalf("seed %d: %d subscriptions", x.seed, len(x.subs))
	}
}

// kept is the header of a message as a mirror has it.
func kept(h []byte, source bool) string {
	var l []string
	for _, line := range strings.Split(strings.TrimSuffix(string(h), "\r\n\r\n"), "\r\n") {
		if !strings.HasPrefix(line, "Nats-Expected-") && !(source && strings.HasPrefix(line, "Nats-Stream-Source")) && line != "" {
			l = append(l, line)
		}
	}
	if len(l) < 2 {
		return ""
	}
	return strings.Join(l, "\r\n") + "\r\n\r\n"
}

func seeds(t *testing.T) uint64 {
	if testing.Short() {
		return 30
	}
	return 80
}

// TestRandomMirror: in the end the mirror has everything the origin still has, and nothing it never had.
func TestRandomMirror(t *testing.T) {
	for seed := uint64(1); seed <= seeds(t); seed++ {
		cfg, filter := `{"name":"M","mirror":{"name":"O"}}`, ""
		if seed%3 == 0 {
			cfg, filter = `{"name":"M","mirror":{"name":"O","filter_subject":"a.*"}}`, "a."
		}
		o := testOrigin("O")
		x := &trouble{t: t, src: rng.New(seed), seed: seed, list: []*origStream{o}}
		x.world = newWorld(t, cfg, o)
		x.world.rnd = x.src
		for range 300 {
			x.step()
		}
		x.heal()
		for _, r := range x.log.Msgs {
			h, ok := o.history["id1 "+strconv.FormatUint(r.Seq, 10)]
			if !ok || r.Time != h.Time || !bytes.Equal(r.Subject, h.Subject) || !bytes.Equal(r.Payload, h.Payload) || string(r.Header) != kept(h.Header, false) {
				t.Fatalf("seed %d: %+v is not of the origin", seed, r)
			}
		}
		for _, r := range o.msgs {
			if strings.HasPrefix(string(r.Subject), filter) && x.log.Find(r.Seq) == nil {
				t.Fatalf("seed %d: %d is missing", seed, r.Seq)
			}
		}
	}
}

// TestRandomSources: every message that an origin still has was stored exactly once, in order, whatever was purged here.
func TestRandomSources(t *testing.T) {
	stored := 0
	for seed := uint64(1); seed <= seeds(t); seed++ {
		o, p := testOrigin("O"), testOrigin("P")
		x := &trouble{t: t, src: rng.New(seed), seed: seed, list: []*origStream{o, p}}
		x.world = newWorld(t, `{"name":"S","sources":[{"name":"O","filter_subject":"a.*"},{"name":"O","subject_transforms":[{"src":"b.*","dest":"x.$1.b"}]},{"name":"P"}]}`, o, p)
		x.world.rnd = x.src
		had := map[string]bool{}
		last := map[string]uint64{}
		x.stored = func(c *op.Cmd) {
			stored++
			var h stream.SourceHeader
			v := header.Get(c.Header, jsapi.HdrStreamSource)
			if !stream.ParseSourceHeader(v, &h) {
				t.Fatalf("seed %d: header %q", seed, v)
			}
			from := o
			if string(h.Name) == "P" {
				from = p
			}
			r, ok := from.history[string(h.Identity)+" "+strconv.FormatUint(h.Seq, 10)]
			subj := string(r.Subject)
			if strings.HasPrefix(string(h.Filter), "b.") {
				subj = "x." + subj[2:] + ".b"
			}
			if !ok || string(c.Subject) != subj || !bytes.Equal(c.Payload, r.Payload) || !bytes.Equal(h.Subject, r.Subject) ||
				kept(c.Header, true) != kept(r.Header, true) {
				t.Fatalf("seed %d: %q is not of the origin", seed, v)
			}
			key := string(h.AppendIndex(nil)) + " " + string(h.Identity)
			if h.Seq <= last[key] {
				t.Fatalf("seed %d: %s: %d after %d", seed, key, h.Seq, last[key])
			}
			last[key] = h.Seq
			had[fmt.Sprintf("%s %s %d %s", h.Name, h.Filter, h.Seq, h.Identity)] = true
		}
		for range 300 {
			x.step()
		}
		x.heal()
		check := func(s *origStream, filter, prefix string) {
			for _, r := range s.msgs {
				if strings.HasPrefix(string(r.Subject), prefix) && !had[fmt.Sprintf("%s %s %d %s", s.name, filter, r.Seq, s.identity)] {
					t.Fatalf("seed %d: %s %s: %d is missing", seed, s.name, filter, r.Seq)
				}
			}
		}
		check(o, "a.*", "a.")
		check(o, "b.*", "b.")
		check(p, ">", "")
	}
	if stored == 0 {
		t.Fatal("nothing was stored")
	}
}

// feeder delivers one message after the other without allocating.
type feeder struct {
	w   *world
	o   *origin
	m   Msg
	pre []byte
	seq uint64
}

func newFeeder(t testing.TB, cfg string) *feeder {
	src := testOrigin("O")
	w := newWorld(t, cfg, src)
	w.advance(time.Second)
	w.quiet = true
	f := &feeder{w: w, o: w.e.list[0], pre: jsapi.AppendAckPrefix(nil, "", "", "O", w.e.list[0].consumer)}
	f.m = Msg{Subject: []byte("a.b"), Header: []byte("NATS/1.0\r\nX: y\r\nNats-Expected-Stream: z\r\n\r\n"), Payload: make([]byte, 100)}
	return f
}

func (f *feeder) one() {
	f.seq++
	f.m.Reply = jsapi.AppendAckReply(f.m.Reply[:0], f.pre, 1, f.seq, f.seq, testStart, 5)
	f.w.e.Deliver(f.w.now, f.o.feed, &f.m)
}

// nullSink takes messages and drops them.
type nullSink struct {
	*world
	n uint64
}

func (s *nullSink) Store(*stream.Inbound) (uint64, *jsapi.Error) { s.n++; return s.n, nil }

var feeds = map[string]string{"mirror": `{"name":"S","mirror":{"name":"O"}}`, "source": `{"name":"S","sources":[{"name":"O"}]}`,
	"transform": `{"name":"S","sources":[{"name":"O","subject_transforms":[{"src":"a.*","dest":"c.$1"}]}]}`}

func TestAllocations(t *testing.T) {
	for kind, cfg := range feeds {
		f := newFeeder(t, cfg)
		s := &nullSink{world: f.w}
		f.w.e.sink = s
		f.one()
		if n := testing.AllocsPerRun(100, f.one); n != 0 || s.n != f.seq {
			t.Errorf("%s: %v allocations per message, %d of %d stored", kind, n, s.n, f.seq)
		}
	}
}

func BenchmarkDeliver(b *testing.B) {
	for kind, cfg := range feeds {
		b.Run(kind, func(b *testing.B) {
			f := newFeeder(b, cfg)
			f.w.e.sink = &nullSink{world: f.w}
			b.ReportAllocs()
			for b.Loop() {
				f.one()
			}
		})
	}
}

// FuzzDeliver gives an engine whatever can arrive, in every phase: it must not panic, must not listen twice, and a message
// for another consumer must not be stored.
func FuzzDeliver(f *testing.F) {
	ok := `{"name":"JS_X","config":{"deliver_subject":"d.x","ack_policy":"none"},"delivered":{"stream_seq":3},"num_pending":1}`
	f.Add(true, "", "", ok, "$JS.ACK.O.JS_X.1.4.1.5.0", "", "p")
	f.Add(false, "", "NATS/1.0\r\nNats-Stream-Identity: i\r\n\r\n", ok, "$JS.ACK.O.JS_X.1.9.1.5.0", "NATS/1.0\r\nNats-Batch-Id: x\r\nA: b\r\n", "p")
	f.Add(false, "x", "", `{"error":{"err_code":10025}}`, "$JS.FC.x", "NATS/1.0 100 FlowControl Request\r\n\r\n", "")
	f.Add(true, "x", "NATS/1.0 503\r\n\r\n", "", "", "NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 9\r\nNats-Consumer-Stalled: y\r\n\r\n", "")
	f.Fuzz(func(t *testing.T, mirror bool, reply, hdr, body, reply2, hdr2, body2 string) {
		cfg := feeds["source"]
		if mirror {
			cfg = feeds["mirror"]
		}
		w := newWorld(t, cfg)
		w.advance(300 * time.Millisecond)
		o := w.e.list[0]
		w.e.Deliver(w.now, o.reply, &Msg{Subject: []byte("i"), Reply: []byte(reply), Header: []byte(hdr), Payload: []byte(body)})
		for range 4 {
			w.e.Deliver(w.now, o.feed, &Msg{Subject: []byte("a.b"), Reply: []byte(reply2), Header: []byte(hdr2), Payload: []byte(body2)})
		}
		w.apply()
		var a jsapi.AckReply
		if len(w.log.Msgs) > 1 || len(w.log.Msgs) == 1 && (!jsapi.ParseAckReply([]byte(reply2), &a) || !strings.Contains(body, string(a.Consumer))) {
			t.Fatalf("%d stored", len(w.log.Msgs))
		}
		if len(w.subs) > 1 || len(w.e.byID) != len(w.subs) {
			t.Fatalf("listens %v", w.subs)
		}
	})
}
