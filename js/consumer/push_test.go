package consumer_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestPush(t *testing.T) {
	runScripts(t, []script{
		{"needs interest, keeps its place without", `
			config {"deliver_subject":"d","ack_policy":"none"}
			pub a.1 a.2
			info
			> delivered 0/0 floor 0/0 ackpending 0 redelivered 0 waiting 0 pending 2
			interest on
			> d <- a.1 #1 d1 c1 p1
			> release 1-1
			> d <- a.2 #2 d1 c2 p0
			> release 2-2
			interest off
			pub a.3
			interest on
			> d <- a.3 #3 d1 c3 p0
			> release 3-3
			info
			> delivered 3/3 floor 3/3 ackpending 0 redelivered 0 waiting 0 pending 0 bound`},
		{"idle heartbeats only without traffic and with interest, also when paused", `
			config {"deliver_subject":"d","ack_policy":"none","idle_heartbeat":1000000000,"filter_subject":"a.1"}
			after 3s
			interest on
			after 900ms
			pub a.1 a.2
			> d <- a.1 #1 d1 c1 p0
			> release 1-1
			after 900ms
			after 100ms
			> d 100 Idle Heartbeat Nats-Last-Consumer=1 Nats-Last-Stream=2
			pause 2s
			pub a.1
			after 1500ms
			> d 100 Idle Heartbeat Nats-Last-Consumer=1 Nats-Last-Stream=2
			after 500ms
			> advise resumed
			> d <- a.1 #3 d1 c2 p0
			> release 3-3
			interest off
			after 10s`},
		{"new deliver subject gets the unacknowledged first", `
			config {"deliver_subject":"d"}
			interest on
			pub a.1 a.2
			> d <- a.1 #1 d1 c1 p1
			> d <- a.2 #2 d1 c2 p0
			interest off
			pub a.3
			update {"deliver_subject":"e"}
			interest on
			> e <- a.1 #1 d2 c3 p1
			> e <- a.2 #2 d2 c4 p1
			> e <- a.3 #3 d1 c5 p0`},
		{"rate limit", `
			config {"deliver_subject":"d","ack_policy":"none","rate_limit_bps":8000}
			interest on
			pub a.1=400 a.2=400 a.3=400
			> d <- a.1 #1 d1 c1 p2 "xxxx...400"
			> release 1-1
			> d <- a.2 #2 d1 c2 p1 "xxxx...400"
			> release 2-2
			after 300ms
			after 100ms
			> d <- a.3 #3 d1 c3 p0 "xxxx...400"
			> release 3-3`},
		{"headers only: what is sent counts", `
			config {"deliver_subject":"d","ack_policy":"none","rate_limit_bps":8000,"headers_only":true}
			interest on
			pub a.1=900 a.2=900
			> d <- a.1 #1 d1 c1 p1 Nats-Msg-Size=900
			> release 1-1
			> d <- a.2 #2 d1 c2 p0 Nats-Msg-Size=900
			> release 2-2`},
		{"replay with the original gaps until caught up", `
			pub a.1
			after 1s
			pub a.2
			after 3s
			pub a.3
			after 5s
			config {"deliver_subject":"d","replay_policy":"original","ack_policy":"none"}
			interest on
			> d <- a.1 #1 d1 c1 p2
			> release 1-1
			after 999ms
			after 1ms
			> d <- a.2 #2 d1 c2 p1
			> release 2-2
			after 2999ms
			pub a.4 a.5
			after 1ms
			> d <- a.3 #3 d1 c3 p2
			> release 3-3
			> d <- a.4 #4 d1 c4 p1
			> release 4-4
			> d <- a.5 #5 d1 c5 p0
			> release 5-5`},
		{"replay of a pull consumer whose first request comes late", `
			pub a.1
			after 1s
			pub a.2
			after 5s
			config {"replay_policy":"original","ack_policy":"none"}
			after 60s
			next in 2
			> in <- a.1 #1 d1 c1 p1
			> release 1-1
			after 1s
			> in <- a.2 #2 d1 c2 p0
			> release 2-2`},
		{"flow control acknowledges", `
			config {"deliver_subject":"d","ack_policy":"flow_control","max_ack_pending":2}
			interest on
			pub a.1 a.2 a.3
			> d <- a.1 #1 d1 c1 p2
			> d <- a.2 #2 d1 c2 p1
			> d 100 FlowControl Request reply
			ackr 1
			after 1s
			> d 100 Idle Heartbeat Nats-Last-Consumer=2 Nats-Last-Stream=2 Nats-Consumer-Stalled=flow
			flow Nats-Last-Consumer:1 Nats-Last-Stream:1
			> release 1-1
			> d <- a.3 #3 d1 c3 p0
			> d 100 FlowControl Request reply
			flow Nats-Last-Consumer:9 Nats-Last-Stream:9
			info
			> delivered 3/3 floor 1/1 ackpending 2 redelivered 0 waiting 0 pending 0 bound
			after 1s
			> d 100 Idle Heartbeat Nats-Last-Consumer=3 Nats-Last-Stream=3
			> d 100 FlowControl Request reply
			flow Nats-Last-Consumer:3 Nats-Last-Stream:3
			> release 2-3
			flow Nats-Last-Consumer:3 Nats-Last-Stream:3
			after 1s
			> d 100 Idle Heartbeat Nats-Last-Consumer=3 Nats-Last-Stream=3
			info
			> delivered 3/3 floor 3/3 ackpending 0 redelivered 0 waiting 0 pending 0 bound`},
	})
}

// TestFlowControl: a request when half of the window is on the way, a stop above the window, twice the window with each
// answer up to 32 MiB; only the latest id counts.
func TestFlowControl(t *testing.T) {
	w := newWorld(t)
	w.do(`config {"deliver_subject":"d","ack_policy":"none","flow_control":true,"idle_heartbeat":1000000000}`)
	w.rec.Quiet = true
	w.do("interest on")
	const size = 64 << 10
	const msg = size + 3 + 45 // subject, about the reply subject
	feed := func() (msgs, requests int) {
		for range 2000 {
			w.do(fmt.Sprintf("pub a.1=%d", size))
		}
		for _, l := range w.collect() {
			switch {
			case strings.HasPrefix(l, "d <- "):
				msgs++
			case l == "d 100 FlowControl Request reply":
				requests++
			default:
				t.Fatal(l)
			}
		}
		return msgs, requests
	}
	msgs, requests := feed()
	if requests != 1 || msgs != (2<<20)/msg+1 {
		t.Fatalf("first window: %d messages, %d requests", msgs, requests)
	}
	first := w.rec.Flow
	if want := "$JS.FC.S.C."; !strings.HasPrefix(string(first), want) || len(first) != len(want)+4 {
		t.Fatalf("subject %q", first)
	}
	w.do(fmt.Sprint("after ", time.Second))
	if got := w.collect(); len(got) != 1 || !strings.HasSuffix(got[0], "Nats-Consumer-Stalled="+string(first)) {
		t.Fatalf("stalled heartbeat %q", got)
	}
	w.c.FlowReply(w.now, []byte("$JS.FC.S.C.none"), nil)
	if got := w.collect(); len(got) != 0 {
		t.Fatalf("wrong id: %q", got)
	}
	out, covered, window := msgs*msg, (1<<20)/msg*msg+msg, 2<<20
	for range 6 {
		for range 300 {
			w.do(fmt.Sprintf("pub a.1=%d", size))
		}
		w.collect()
		stale := w.rec.Flow
		w.do("flow")
		out, window = out-covered, min(2*window, 32<<20)
		want, asked := 0, false
		for ; out <= window; want++ {
			if out += msg; !asked && out > window/2 {
				asked, covered = true, out
			}
		}
		got := 0
		for _, l := range w.collect() {
			if strings.HasPrefix(l, "d <- ") {
				got++
			}
		}
		if got < want-1 || got > want+1 { // msg is not exact
			t.Fatalf("window %d: %d messages, want %d", window, got, want)
		}
		if string(stale) == string(w.rec.Flow) {
			t.Fatal("no new request")
		}
		w.c.FlowReply(w.now, stale, nil)
		if len(w.collect()) != 0 {
			t.Fatal("a stale answer counted")
		}
	}
}
