package consumer_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"ramjet/js/jstest"
	"ramjet/proto/base/rng"
	"ramjet/proto/jsapi"
	"ramjet/store"
)

// TestAgainstOracle makes random operations on a consumer, a follower and the oracle and compares every delivery,
// status, number and need. RAMJET_SEED replays one seed, RAMJET_SEEDS runs that many.
func TestAgainstOracle(t *testing.T) {
	first, n := uint64(1), uint64(300)
	if testing.Short() {
		n = 60
	}
	if s := os.Getenv("RAMJET_SEEDS"); s != "" {
		n, _ = strconv.ParseUint(s, 10, 64)
	}
	if s := os.Getenv("RAMJET_SEED"); s != "" {
		first, _ = strconv.ParseUint(s, 10, 64)
		n = 1
	}
	redeliveries := 0
	for seed := first; seed < first+n; seed++ {
		redeliveries += runOracle(t, seed)
		if t.Failed() {
			t.Fatalf("RAMJET_SEED=%d", seed)
		}
	}
	if n > 1 && redeliveries < 1000 {
		t.Fatalf("only %d redeliveries: the operations do not reach them", redeliveries)
	}
}

func runOracle(t *testing.T, seed uint64) int {
	rnd := rng.New(seed)
	w := newWorld(t)
	w.rec.Quiet = true
	policy := []string{"explicit", "explicit", "all", "none"}[rnd.Intn(4)]
	cfg := map[string]any{"ack_policy": policy, "inactive_threshold": int64(1e18)}
	if policy != "none" {
		cfg["ack_wait"] = int64(10 * time.Millisecond)
		cfg["max_ack_pending"] = 3 + rnd.Intn(20)
		if rnd.Intn(2) == 0 {
			cfg["max_deliver"] = 1 + rnd.Intn(4)
		} else if rnd.Intn(2) == 0 {
			cfg["backoff"] = []int64{5e6, 20e6, 3e6}
		}
	}
	filters := [][]string{nil, {"a.1"}, {"a.1", "a.3"}, {"a.*"}}[rnd.Intn(4)]
	if filters != nil {
		cfg["filter_subjects"] = filters
	}
	b, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.start(string(b))
	o := jstest.NewOracleConsumer(w.log, w.cfg.AckPolicy)
	o.Wait, o.MaxDel, o.MaxAck = int64(w.cfg.AckWait), w.cfg.MaxDeliver, w.cfg.MaxAckPending
	for _, d := range w.cfg.BackOff {
		o.Back = append(o.Back, int64(d))
	}
	o.Filter = store.Filter{Patterns: filters}
	var history []string
	for range 250 {
		op := randomOp(w, o, rnd)
		history = append(history, op)
		w.replicate()
		got, want := w.collect(), o.Take()
		if info := w.infoLine(); info != o.Info() {
			got, want = append(got, info), append(want, o.Info())
		}
		for i := range w.log.Msgs {
			m := &w.log.Msgs[i]
			if a, b := w.c.Needs(m.Seq, m.Subject), o.Needs(m.Seq); a != b {
				got = append(got, fmt.Sprintf("needs %d: %v", m.Seq, a))
			}
		}
		if !slices.Equal(got, want) {
			tail := history[max(0, len(history)-25):]
			t.Errorf("seed %d config %s\nlast operations: %q\ngot  %q\nwant %q", seed, b, tail, got, want)
			return 0
		}
	}
	return o.Redeliveries
}

// randomOp does one operation on both and returns its description.
func randomOp(w *world, o *jstest.OracleConsumer, rnd *rng.Source) string {
	pick := func() uint64 { // a sequence, mostly a delivered one
		if last := w.c.State().Delivered().Stream; last > 0 && rnd.Intn(10) > 0 {
			back := min(last, 25)
			return last - rnd.Uint64n(back)
		}
		return 1 + rnd.Uint64n(w.log.Last+2)
	}
	switch k := rnd.Intn(115); {
	case k >= 110: // the reads that wait are done
		clear(w.log.Cold)
		w.c.Wake(w.now)
		o.Wake(w.now)
		return "wake"
	case k >= 100: // reads of these have to wait
		for range 1 + rnd.Intn(4) {
			w.log.Cold[1+rnd.Uint64n(w.log.Last+3)] = true
		}
		return "cold"
	case k < 22:
		op := ""
		for range 1 + rnd.Intn(5) {
			op += " a." + strconv.Itoa(1+rnd.Intn(4)) + "=" + strconv.Itoa(rnd.Intn(60))
		}
		w.do("pub" + op)
		o.Pump(w.now)
		return "pub" + op
	case k < 45:
		batch, bytes, expires := 1+rnd.Intn(6), 0, int64(0)
		if rnd.Intn(3) == 0 {
			bytes = 30 + rnd.Intn(400)
		}
		if rnd.Intn(2) == 0 {
			expires = 1 + int64(rnd.Uint64n(30e6))
		}
		noWait := rnd.Intn(3) == 0
		to := fmt.Sprint("i", rnd.Intn(1000))
		body := jsapi.AppendNext(nil, &jsapi.NextRequest{Batch: batch, MaxBytes: bytes, Expires: time.Duration(expires), NoWait: noWait})
		w.c.Next(w.now, []byte(to), nil, body)
		o.Next(w.now, to, batch, bytes, expires, noWait)
		return fmt.Sprintf("next %s %s", to, body)
	case k < 75:
		seq := pick()
		kind := []string{"", "", "", "", "+TERM", "+WPI", "-NAK", "-NAK"}[rnd.Intn(8)]
		delay, body := int64(0), kind
		if kind == "-NAK" && rnd.Intn(2) == 0 {
			delay = 1 + int64(rnd.Uint64n(30e6))
			body = fmt.Sprintf(`-NAK {"delay":%d}`, delay)
		}
		a := w.ackReply(seq)
		w.c.Ack(w.now, a, nil, []byte(body))
		o.Ack(w.now, kind, seq, a.ConsumerSeq, delay)
		return fmt.Sprintf("ack %d %s", seq, body)
	case k < 88:
		d := int64(1 + rnd.Uint64n(15e6))
		end := w.now + d
		for range 10000 {
			at, ok := w.c.Deadline()
			want := o.Due()
			if ok && at <= end && (want == 0 || max(at, w.now) != max(want, w.now)) && want <= end && want != 0 {
				w.t.Errorf("deadline in %d, want in %d", at-w.now, want-w.now)
			}
			if !ok || at > end {
				break
			}
			w.now = max(w.now, at)
			w.c.Tick(w.now)
			o.Tick(w.now)
		}
		if due := o.Due(); due != 0 && due <= end {
			w.t.Errorf("the consumer does not wake up in %d", due-w.now)
		}
		w.now = end
		return "after " + time.Duration(d).String()
	case k < 93:
		if len(w.log.Msgs) == 0 {
			return "-"
		}
		m := w.log.Msgs[rnd.Intn(len(w.log.Msgs))]
		w.log.Remove(m.Seq)
		subj := m.Subject
		if rnd.Intn(3) == 0 {
			subj = nil
		}
		w.c.Removed(w.now, m.Seq, subj)
		w.c.Pump(w.now)
		o.Removed(w.now)
		return fmt.Sprint("remove ", m.Seq)
	case k < 95:
		var f *store.Filter
		if rnd.Intn(2) == 0 {
			f = &store.Filter{Patterns: []string{"a." + strconv.Itoa(1+rnd.Intn(4))}}
		}
		below := uint64(0)
		if rnd.Intn(2) == 0 {
			below = pick()
		}
		var gone []uint64
		for _, m := range w.log.Msgs {
			if (below == 0 || m.Seq < below) && jstest.Passes(f, m.Subject) {
				gone = append(gone, m.Seq)
			}
		}
		w.log.Purge(f, below)
		if f != nil && len(gone) > 0 && rnd.Intn(2) == 0 {
			w.c.PurgedFew(w.now, f, []byte(f.Patterns[0]), gone)
		} else {
			w.c.PurgedOf(w.now, f)
		}
		w.c.Pump(w.now)
		o.Purged(w.now, f)
		return fmt.Sprint("purge ", f, " ", below)
	case k < 97:
		cfg := *w.c.Config()
		cfg.FilterSubject, cfg.FilterSubjects = "", [][]string{nil, {"a.1"}, {"a.2", "a.3"}}[rnd.Intn(3)]
		w.c.Update(w.now, &cfg)
		o.SetFilter(w.now, &cfg)
		return fmt.Sprint("filter ", cfg.FilterSubjects)
	default:
		op := "restart"
		for rnd.Intn(3) > 0 && len(w.log.Msgs) > 0 { // what the consumer was not told of before the stop
			m := w.log.Msgs[min(rnd.Intn(len(w.log.Msgs)), rnd.Intn(len(w.log.Msgs)))]
			if seq := m.Seq; rnd.Intn(3) == 0 {
				w.log.Purge(nil, seq)
				op += fmt.Sprint(" below ", seq)
			} else {
				w.log.Remove(seq)
				op += fmt.Sprint(" without ", seq)
			}
		}
		w.restart()
		o.Restart()
		w.c.Pump(w.now)
		return op
	}
}
