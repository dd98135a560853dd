package consumer_test

import "testing"

func TestPullRequests(t *testing.T) {
	runScripts(t, []script{
		{"empty body is one message, a number a batch, other text one", `
			config {}
			pub a.1 a.2 a.3 a.4 a.5
			next in
			> in <- a.1 #1 d1 c1 p4
			next in 2
			> in <- a.2 #2 d1 c2 p3
			> in <- a.3 #3 d1 c3 p2
			next in hello
			> in <- a.4 #4 d1 c4 p1`},
		{"batch 0 ends after the first message", `
			config {}
			pub a.1 a.2
			next in {"expires":"1s"}
			> in <- a.1 #1 d1 c1 p1
			info
			> delivered 1/1 floor 0/0 ackpending 1 redelivered 0 waiting 0 pending 1`},
		{"push based", `
			config {"deliver_subject":"d"}
			next in
			> in 409 Consumer is push based`},
		{"api level", `
			config {}
			nexthdr in Nats-Required-Api-Level: 99
			> in 412 Required Api Level
			nexthdr in Nats-Required-Api-Level: x
			> in 412 Required Api Level
			nexthdr in Nats-Required-Api-Level: 1`},
		{"bad requests", `
			config {}
			next in {"batch":x}
			> in 400 Bad Request - invalid character 'x' looking for beginning of value
			next in {"batch":"x"}
			> in 400 Bad Request - json: cannot unmarshal string into Go struct field JSApiConsumerGetNextRequest.batch of type int
			next in {"batch":1,"idle_heartbeat":"1s"}
			> in 400 Bad Request - heartbeat value too large
			next in {"batch":1,"expires":"1s","idle_heartbeat":"501ms"}
			> in 400 Bad Request - heartbeat value too large
			next in {"batch":1,"min_pending":2}
			> in 400 Bad Request - Not a Overflow Priority consumer
			next in {"batch":1,"min_ack_pending":2}
			> in 400 Bad Request - Not a Overflow Priority consumer
			next in {"batch":1,"id":"z"}
			> in 400 Bad Request - Not a Pinned Client Priority consumer
			next in {"batch":1,"priority":10}
			> in 400 Bad Request - Priority must be between 0 and 9
			next in {"batch":1,"priority":1}`},
		{"request limits", `
			config {"max_batch":10,"max_expires":5000000000,"max_bytes":1000}
			next in 11
			> in 409 Exceeded MaxRequestBatch of 10
			next in {"batch":1,"expires":"6s"}
			> in 409 Exceeded MaxRequestExpires of 5s
			next in {"batch":1,"max_bytes":1001}
			> in 409 Exceeded MaxRequestMaxBytes of 1000`},
		{"order of rejection", `
			config {"max_batch":1,"priority_groups":["A"],"priority_policy":"overflow"}
			next in {"batch":5,"idle_heartbeat":"1s","id":"x"}
			> in 400 Bad Request - heartbeat value too large
			next in {"batch":5,"id":"x"}
			> in 409 Exceeded MaxRequestBatch of 1
			next in {"batch":1,"id":"x"}
			> in 400 Bad Request - Not a Pinned Client Priority consumer
			next in {"batch":1}
			> in 400 Bad Request - Priority Group missing
			next in {"batch":1,"group":"B"}
			> in 400 Bad Request - Invalid Priority Group
			next in {"batch":1,"group":"A","no_wait":true}
			> in 404 No Messages`},
		{"no_wait", `
			config {}
			next in {"batch":2,"no_wait":true}
			> in 404 No Messages
			pub a.1 a.2
			next in {"batch":5,"no_wait":true}
			> in <- a.1 #1 d1 c1 p1
			> in <- a.2 #2 d1 c2 p0
			> in 404 No Messages
			pub a.3 a.4
			next in {"batch":2,"no_wait":true}
			> in <- a.3 #3 d1 c3 p1
			> in <- a.4 #4 d1 c4 p0`},
		{"no_wait with fewer pending than asked for", `
			config {"max_ack_pending":1}
			pub a.1 a.2
			next x 5
			> x <- a.1 #1 d1 c1 p1
			next in {"batch":1,"no_wait":true}
			> in 408 Requests Pending`},
		{"negative expiry is over at once, negative batch is one", `
			config {}
			pub a.1 a.2
			next in {"batch":1,"expires":-5}
			> in 408 Request Timeout Nats-Pending-Messages=1 Nats-Pending-Bytes=0
			next in {"batch":-1}
			> in <- a.1 #1 d1 c1 p1
			next in -3
			> in <- a.2 #2 d1 c2 p0`},
		{"no_wait while paused", `
			config {}
			pub a.1
			pause 1s
			next in {"batch":1,"no_wait":true}
			> in 404 No Messages
			next i2 {"batch":1,"no_wait":true,"expires":"500ms"}
			after 500ms
			> i2 408 Request Timeout Nats-Pending-Messages=1 Nats-Pending-Bytes=0`},
		{"no_wait waits for max_ack_pending", `
			config {"max_ack_pending":1}
			pub a.1 a.2
			next x
			> x <- a.1 #1 d1 c1 p1
			next in {"batch":1,"no_wait":true}
			next i2 {"batch":1,"no_wait":true,"expires":"1s"}
			after 1s
			> i2 408 Request Timeout Nats-Pending-Messages=1 Nats-Pending-Bytes=0
			ack 1
			> release 1-1
			> in <- a.2 #2 d1 c2 p0`},
		{"no_wait with expires is one shot", `
			config {}
			next in {"batch":3,"no_wait":true,"expires":"1s"}
			after 500ms
			pub a.1 a.2
			> in <- a.1 #1 d1 c1 p1
			> in <- a.2 #2 d1 c2 p0
			> in 404 No Messages
			next in {"batch":3,"no_wait":true,"expires":"1s"}
			after 1s
			> in 408 Request Timeout Nats-Pending-Messages=3 Nats-Pending-Bytes=0`},
		{"max waiting, silent with a heartbeat", `
			config {"max_waiting":1}
			next x
			next in
			> in 409 Exceeded MaxWaiting
			next in {"batch":1,"expires":"1s","idle_heartbeat":"100ms"}
			deaf x
			next in
			pub a.1
			> in <- a.1 #1 d1 c1 p0`},
		{"timeouts in deadline order", `
			config {}
			next x {"batch":3,"expires":"3s"}
			next y {"batch":2,"expires":"1s","max_bytes":100}
			next z {"batch":1,"expires":"2s"}
			after 10s
			> y 408 Request Timeout Nats-Pending-Messages=2 Nats-Pending-Bytes=100
			> z 408 Request Timeout Nats-Pending-Messages=1 Nats-Pending-Bytes=0
			> x 408 Request Timeout Nats-Pending-Messages=3 Nats-Pending-Bytes=0
			pub a.1`},
		{"round robin and no status at completion", `
			config {}
			next x 2
			next y 2
			pub a.1 a.2 a.3 a.4
			> x <- a.1 #1 d1 c1 p3
			> y <- a.2 #2 d1 c2 p2
			> x <- a.3 #3 d1 c3 p1
			> y <- a.4 #4 d1 c4 p0
			info
			> delivered 4/4 floor 0/0 ackpending 4 redelivered 0 waiting 0 pending 0`},
		{"a request in an acknowledgement that is refused holds nobody up", `
			config {"ack_policy":"all","max_ack_pending":2}
			pub a.1 a.2 a.3 a.4
			next in {"batch":2}
			> in <- a.1 #1 d1 c1 p3
			> in <- a.2 #2 d1 c2 p2
			next w {"batch":5}
			ackr 2 +NXT {"batch":1,"no_wait":true}
			> release 1-2
			> r 408 Requests Pending
			> w <- a.3 #3 d1 c3 p1
			> w <- a.4 #4 d1 c4 p0`},
		{"max_bytes", `
			config {"ack_policy":"none"}
			pub a.1=10 a.2=10 a.3=200 a.4
			# subject 3, reply 39 (C is the name), payload 10
			next in {"batch":3,"max_bytes":200,"expires":"1s"}
			> in <- a.1 #1 d1 c1 p3 "xxxxxxxxxx"
			> release 1-1
			> in <- a.2 #2 d1 c2 p2 "xxxxxxxxxx"
			> release 2-2
			> in 409 Message Size Exceeds MaxBytes Nats-Pending-Messages=1 Nats-Pending-Bytes=96
			next in {"batch":1,"max_bytes":10}
			> in 409 Message Size Exceeds MaxBytes Nats-Pending-Messages=1 Nats-Pending-Bytes=10
			next in {"batch":1,"max_bytes":1000}
			> in <- a.3 #3 d1 c3 p1 "xxxx...200"
			> release 3-3
			> in 409 Batch Completed Nats-Pending-Messages=0 Nats-Pending-Bytes=758`},
		{"requests without interest are dropped", `
			config {}
			next x 5
			next y 1
			deaf x
			pub a.1
			> y <- a.1 #1 d1 c1 p0
			info
			> delivered 1/1 floor 0/0 ackpending 1 redelivered 0 waiting 0 pending 0`},
		{"heartbeats, not while messages flow", `
			config {}
			next in {"batch":5,"expires":"10s","idle_heartbeat":"1s"}
			after 900ms
			pub a.1
			> in <- a.1 #1 d1 c1 p0
			after 900ms
			after 100ms
			> in 100 Idle Heartbeat Nats-Last-Consumer=1 Nats-Last-Stream=1
			deaf in
			after 1s
			info
			> delivered 1/1 floor 0/0 ackpending 1 redelivered 0 waiting 0 pending 0`},
		{"endings", `
			config {}
			next x 1
			end deleted
			> x 409 Consumer Deleted
			next x 1
			end leader
			> x 409 Leadership Change
			next x {"batch":4,"max_bytes":50}
			end shutdown
			> x 409 Server Shutdown Nats-Pending-Messages=4 Nats-Pending-Bytes=50`},
		{"heartbeat tells the last message passed over", `
			config {"filter_subject":"a.1","ack_policy":"none"}
			pub a.1 a.2 a.2
			next in {"batch":5,"expires":"10s","idle_heartbeat":"1s"}
			> in <- a.1 #1 d1 c1 p0
			> release 1-1
			after 1s
			> in 100 Idle Heartbeat Nats-Last-Consumer=1 Nats-Last-Stream=3
			info
			> delivered 1/1 floor 1/1 ackpending 0 redelivered 0 waiting 1 pending 0`},
		{"cold blocks stop the pump until woken", `
			config {}
			cold 2
			pub a.1 a.2 a.3
			next in 3
			> in <- a.1 #1 d1 c1 p2
			pub a.4
			wake
			> in <- a.2 #2 d1 c2 p2
			> in <- a.3 #3 d1 c3 p1`},
		{"damaged messages are skipped", `
			config {}
			damage 2
			pub a.1 a.2 a.3
			next in 2
			> in <- a.1 #1 d1 c1 p2
			> advise damaged #2 c0 d0
			> in <- a.3 #3 d1 c2 p0`},
		{"headers only", `
			config {"headers_only":true}
			pub a.1=7
			next in
			> in <- a.1 #1 d1 c1 p0 Nats-Msg-Size=7`},
	})
}

func TestPriorityGroups(t *testing.T) {
	runScripts(t, []script{
		{"overflow", `
			config {"priority_groups":["A"],"priority_policy":"overflow"}
			next x {"batch":9,"group":"A","min_pending":3}
			next y {"batch":9,"group":"A","min_ack_pending":1}
			pub a.1 a.2
			pub a.3
			> x <- a.1 #1 d1 c1 p2
			> y <- a.2 #2 d1 c2 p1
			> y <- a.3 #3 d1 c3 p0
			pub a.4
			> y <- a.4 #4 d1 c4 p0
			next z {"batch":1,"group":"A","min_pending":10,"no_wait":true}
			> z 404 No Messages`},
		{"overflow no_wait below the threshold", `
			config {"priority_groups":["A"],"priority_policy":"overflow"}
			pub a.1
			next z {"batch":1,"group":"A","min_pending":10,"no_wait":true}
			> z 404 No Messages`},
		{"overflow no_wait, the threshold is lost on the way", `
			config {"priority_groups":["A"],"priority_policy":"overflow"}
			pub a.1 a.2
			next z {"batch":3,"group":"A","min_pending":2,"no_wait":true,"expires":"10s"}
			> z <- a.1 #1 d1 c1 p1
			> z 404 No Messages`},
		{"overflow of a redelivery", `
			config {"priority_groups":["A"],"priority_policy":"overflow","ack_wait":1000000000}
			pub a.1
			next x {"batch":1,"group":"A"}
			> x <- a.1 #1 d1 c1 p0
			next y {"batch":1,"group":"A","min_pending":2}
			next z {"batch":1,"group":"A","min_pending":1}
			after 1s
			> z <- a.1 #1 d2 c2 p0`},
		{"overflow, those passed over go back", `
			config {"priority_groups":["A"],"priority_policy":"overflow"}
			next x {"batch":5,"group":"A","min_pending":2}
			next y {"batch":1,"group":"A"}
			next z {"batch":5,"group":"A"}
			pub a.1
			> y <- a.1 #1 d1 c1 p0
			pub a.2 a.3
			> z <- a.2 #2 d1 c2 p1
			> z <- a.3 #3 d1 c3 p0`},
		{"prioritized", `
			config {"priority_groups":["A"],"priority_policy":"prioritized"}
			next x {"batch":1,"group":"A","priority":5}
			next y {"batch":2,"group":"A","priority":1}
			next z {"batch":1,"group":"A","priority":1}
			next w {"batch":1,"group":"A"}
			pub a.1 a.2 a.3 a.4 a.5
			> w <- a.1 #1 d1 c1 p4
			> y <- a.2 #2 d1 c2 p3
			> z <- a.3 #3 d1 c3 p2
			> y <- a.4 #4 d1 c4 p1
			> x <- a.5 #5 d1 c5 p0`},
	})
}

func TestPinnedClient(t *testing.T) {
	const cfg = `config {"priority_groups":["A"],"priority_policy":"pinned_client","priority_timeout":2000000000}`
	w := newWorld(t)
	w.do(cfg)
	w.do("pub a.1 a.2 a.3")
	pin := func() string {
		p := w.c.Info(w.now).PriorityGroups[0]
		return p.PinnedClientID
	}
	expect := func(line string, want ...string) {
		t.Helper()
		w.do(line)
		got := w.collect()
		if len(got) != len(want) {
			t.Fatalf("%s\ngot  %q\nwant %q", line, got, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%s\ngot  %q\nwant %q", line, got, want)
			}
		}
	}
	// A plain request is let through and does not pin.
	expect("next p", "p <- a.1 #1 d1 c1 p2 Nats-Pin-Id=")
	if pin() != "" {
		t.Fatal("a plain request pinned")
	}
	// Rejected for its size: nobody is pinned.
	expect(`next x {"batch":1,"group":"A","max_bytes":5}`, "x 409 Message Size Exceeds MaxBytes Nats-Pending-Messages=1 Nats-Pending-Bytes=5")
	if pin() != "" {
		t.Fatal("pin claimed by a rejected request")
	}
	expect(`next x {"batch":1,"group":"A","id":"old"}`, "x 423 Nats-Wrong-Pin-Id Nats-Pending-Messages=1 Nats-Pending-Bytes=0")
	w.do(`next x {"batch":1,"group":"A","expires":"60s"}`)
	id := pin()
	if got := w.collect(); len(id) != 22 || got[0] != "x <- a.2 #2 d1 c2 p1 Nats-Pin-Id="+id || got[1] != "advise pinned A 22" {
		t.Fatalf("%q %q", got, id)
	}
	expect(`next n {"batch":1,"group":"A","no_wait":true}`, "n 404 No Messages")
	// Stand-by: waits with heartbeats, its budget untouched.
	expect(`next y {"batch":1,"group":"A","expires":"60s","idle_heartbeat":"1s","max_bytes":100}`)
	expect("after 1s", "y 100 Idle Heartbeat Nats-Last-Consumer=2 Nats-Last-Stream=2")
	expect(`next z {"batch":1,"group":"A","id":"wrong"}`, "z 423 Nats-Pin-Id mismatch")
	expect(`next x {"batch":1,"group":"A","id":"`+id+`"}`, "x <- a.3 #3 d1 c3 p0 Nats-Pin-Id="+id)
	expect(`next x {"batch":5,"max_bytes":500,"group":"A","id":"` + id + `"}`)
	// The request renewed the pin; 2s later it is gone and the stand-by is next, the old id is refused.
	expect("after 1900ms", "y 100 Idle Heartbeat Nats-Last-Consumer=3 Nats-Last-Stream=3")
	w.do("after 101ms")
	if got := w.collect(); len(got) != 2 || got[0] != "advise unpinned A timeout" || pin() != "" {
		t.Fatalf("%q", got)
	}
	w.do("pub a.4")
	id2 := pin()
	if got := w.collect(); id2 == id || len(got) != 3 || got[0] != "y <- a.4 #4 d1 c4 p0 Nats-Pin-Id="+id2 {
		t.Fatalf("%q", got)
	}
	expect("pub a.5", "x 423 Nats-Wrong-Pin-Id Nats-Pending-Messages=5 Nats-Pending-Bytes=500")
	w.do("unpin A")
	if got := w.collect(); len(got) != 1 || got[0] != "advise unpinned A admin" {
		t.Fatalf("%q", got)
	}
	expect("unpin", "invalid JSON: consumer group not specified (10025)")
	expect("unpin B", "Provided priority group does not exist for this consumer (10160)")
	expect("unpin a*b", "Valid priority group name must match A-Z, a-z, 0-9, -_/=)+ and may not exceed 16 characters (10162)")
	// A request that lost its pin is refused only when there is a message for it.
	w.do(`next r {"batch":9,"group":"A","expires":"10s"}`)
	w.collect()
	expect("after 5s", "advise unpinned A timeout")
	expect("after 5s", "r 408 Request Timeout Nats-Pending-Messages=8 Nats-Pending-Bytes=0")
	// A new leader has no pin.
	w.do(`next x {"batch":1,"group":"A"}`)
	w.do("pub a.5")
	if pin() == "" {
		t.Fatal("not pinned")
	}
	w.do("restart")
	if pin() != "" {
		t.Fatal("pin survived")
	}
}
