package consumer_test

import (
	"fmt"
	"testing"
)

func TestAcknowledgements(t *testing.T) {
	runScripts(t, []script{
		{"progress does not call off a redelivery that is due", `
			config {"ack_policy":"explicit"}
			pub a.1 a.2
			next in
			> in <- a.1 #1 d1 c1 p1
			ack 1 -NAK
			> advise nak #1 c1 d1
			ack 1 +WPI
			next in
			> in <- a.1 #1 d2 c2 p1`},
		{"a termination takes what is before it with ack all", `
			config {"ack_policy":"all"}
			pub a.1 a.2 a.3
			next in {"batch":2}
			> in <- a.1 #1 d1 c1 p2
			> in <- a.2 #2 d1 c2 p1
			ack 2 +TERM
			> advise term #2 c2 d1
			> release 1-2`},
		{"all kinds confirm", `
			config {}
			pub a.1 a.2 a.3 a.4 a.5 a.6
			next in 6
			> in <- a.1 #1 d1 c1 p5
			> in <- a.2 #2 d1 c2 p4
			> in <- a.3 #3 d1 c3 p3
			> in <- a.4 #4 d1 c4 p2
			> in <- a.5 #5 d1 c5 p1
			> in <- a.6 #6 d1 c6 p0
			ackr 1
			> release 1-1
			> r +ok
			ackr 1 +ACK
			> r +ok
			ackr 2 +OK
			> release 2-2
			> r +ok
			ackr 3 +TERM because
			> advise term #3 c3 d1 because
			> release 3-3
			> r +ok
			ackr 4 +WPI
			> r +ok
			ackr 5 -NAK {"delay":1000000000}
			> advise nak #5 c5 d1
			> r +ok
			ackr 6 +ACKK
			> r +ok
			ackr 7 +ACK
			ackr 0
			info
			> delivered 6/6 floor 3/3 ackpending 3 redelivered 0 waiting 0 pending 0`},
		{"next", `
			config {}
			pub a.1 a.2 a.3 a.4 a.5 a.6
			next in 1
			> in <- a.1 #1 d1 c1 p5
			ackr 1 +NXT
			> release 1-1
			> r <- a.2 #2 d1 c2 p4
			ackr 2 +NXT 2
			> release 2-2
			> r <- a.3 #3 d1 c3 p3
			> r <- a.4 #4 d1 c4 p2
			ackr 4 +NXT {"batch":1,"no_wait":true}
			> release 4-4
			> r <- a.5 #5 d1 c5 p1
			ack 5 +NXT
			> release 5-5
			info
			> delivered 5/5 floor 2/2 ackpending 1 redelivered 0 waiting 0 pending 1`},
		{"floors", `
			config {"filter_subject":"a.1"}
			pub a.2 a.1 a.2 a.2 a.1 a.2 a.2 a.1
			next in 3
			> in <- a.1 #2 d1 c1 p2
			> in <- a.1 #5 d1 c2 p1
			> in <- a.1 #8 d1 c3 p0
			info
			> delivered 3/8 floor 0/0 ackpending 3 redelivered 0 waiting 0 pending 0
			ack 5
			> release 5-5
			info
			> delivered 3/8 floor 0/0 ackpending 2 redelivered 0 waiting 0 pending 0
			ack 2
			> release 2-2
			info
			> delivered 3/8 floor 2/7 ackpending 1 redelivered 0 waiting 0 pending 0
			ack 8 -NAK
			> advise nak #8 c3 d1
			next in 1
			> in <- a.1 #8 d2 c4 p0
			ack 8
			> release 8-8
			info
			> delivered 4/8 floor 4/8 ackpending 0 redelivered 0 waiting 0 pending 0`},
		{"ack all", `
			config {"ack_policy":"all"}
			pub a.1 a.2 a.3 a.4
			next in 4
			> in <- a.1 #1 d1 c1 p3
			> in <- a.2 #2 d1 c2 p2
			> in <- a.3 #3 d1 c3 p1
			> in <- a.4 #4 d1 c4 p0
			ackr 2
			> release 1-2
			> r +ok
			ackr 1
			> r +ok
			info
			> delivered 4/4 floor 2/2 ackpending 2 redelivered 0 waiting 0 pending 0
			after 30s
			next in 1
			> in <- a.3 #3 d2 c5 p0
			ack 4
			> release 3-4
			next in 1
			info
			> delivered 5/4 floor 4/4 ackpending 0 redelivered 0 waiting 1 pending 0`},
		{"ack none", `
			config {"ack_policy":"none"}
			pub a.1 a.2
			next in 2
			> in <- a.1 #1 d1 c1 p1
			> release 1-1
			> in <- a.2 #2 d1 c2 p0
			> release 2-2
			ackr 1
			info
			> delivered 2/2 floor 2/2 ackpending 0 redelivered 0 waiting 0 pending 0
			restart
			info
			> delivered 2/2 floor 2/2 ackpending 0 redelivered 0 waiting 0 pending 0`},
		{"max_ack_pending stalls new ones only", `
			config {"max_ack_pending":2}
			pub a.1 a.2 a.3 a.4
			next in 10
			> in <- a.1 #1 d1 c1 p3
			> in <- a.2 #2 d1 c2 p2
			ack 2 -NAK
			> advise nak #2 c2 d1
			> in <- a.2 #2 d2 c3 p2
			ack 1
			> release 1-1
			> in <- a.3 #3 d1 c4 p1
			update {"max_ack_pending":3}
			> in <- a.4 #4 d1 c5 p0
			pub a.5
			rm 3
			> advise term #3 c4 d1 Unacknowledged message was deleted
			> in <- a.5 #5 d1 c6 p0`},
		{"ack wait, order of redelivery, late ack", `
			config {"ack_wait":1000000000}
			pub a.1 a.2 a.3 a.4
			next in 4
			> in <- a.1 #1 d1 c1 p3
			> in <- a.2 #2 d1 c2 p2
			> in <- a.3 #3 d1 c3 p1
			> in <- a.4 #4 d1 c4 p0
			after 500ms
			ack 2 +WPI
			after 500ms
			pub a.5
			ack 3
			> release 3-3
			next in 3
			> in <- a.1 #1 d2 c5 p1
			> in <- a.4 #4 d2 c6 p1
			> in <- a.5 #5 d1 c7 p0
			after 500ms
			next in 1
			> in <- a.2 #2 d2 c8 p0
			info
			> delivered 8/5 floor 0/0 ackpending 4 redelivered 3 waiting 0 pending 0`},
		{"nak", `
			config {"ack_wait":10000000000}
			pub a.1 a.2
			next in 2
			> in <- a.1 #1 d1 c1 p1
			> in <- a.2 #2 d1 c2 p0
			ack 1 -NAK 2s
			> advise nak #1 c1 d1
			ack 2 -NAK nonsense
			> advise nak #2 c2 d1
			next in 2
			> in <- a.2 #2 d2 c3 p0
			after 1999ms
			after 1ms
			> in <- a.1 #1 d2 c4 p0
			ack 2
			> release 2-2
			ack 2 -NAK
			ack 9 -NAK`},
		{"delayed nak survives a change of leader", `
			config {"ack_wait":10000000000}
			pub a.1
			next in 1
			> in <- a.1 #1 d1 c1 p0
			ack 1 -NAK 20s
			> advise nak #1 c1 d1
			restart
			next in {"batch":1,"expires":"30s"}
			after 19s
			after 1s
			> in <- a.1 #1 d2 c2 p0`},
		{"backoff", `
			config {"backoff":[1000000000,5000000000],"max_deliver":4}
			pub a.1 a.2
			next in 9
			> in <- a.1 #1 d1 c1 p1
			> in <- a.2 #2 d1 c2 p0
			ack 2
			> release 2-2
			after 1s
			> in <- a.1 #1 d2 c3 p0
			after 4s
			pub a.3
			> in <- a.3 #3 d1 c4 p0
			after 1s
			> in <- a.1 #1 d3 c5 p0
			> in <- a.3 #3 d2 c6 p0
			ack 3
			> release 3-3
			after 5s
			> in <- a.1 #1 d4 c7 p0
			after 5s
			> advise maxdeliver #1 c1 d4
			info
			> delivered 7/3 floor 0/0 ackpending 0 redelivered 1 waiting 1 pending 0
			after 100s`},
		{"max deliver", `
			config {"max_deliver":2}
			pub a.1 a.2 a.3
			next in 1
			> in <- a.1 #1 d1 c1 p2
			ack 1 -NAK
			> advise nak #1 c1 d1
			next in 2
			> in <- a.1 #1 d2 c2 p2
			> in <- a.2 #2 d1 c3 p1
			ack 1 -NAK
			> advise nak #1 c2 d2
			info
			> delivered 3/2 floor 0/0 ackpending 2 redelivered 1 waiting 0 pending 1
			next in {"batch":1,"expires":"1ms"}
			> advise maxdeliver #1 c1 d2
			> in <- a.3 #3 d1 c4 p0
			info
			> delivered 4/3 floor 0/0 ackpending 2 redelivered 1 waiting 0 pending 0
			needs
			> needs 1 2 3
			restart
			needs
			> needs 1 2 3
			ack 2
			> release 2-2
			ack 3
			> release 3-3
			info
			> delivered 4/3 floor 4/3 ackpending 0 redelivered 1 waiting 0 pending 0
			ack 1
			> release 1-1
			needs
			> needs
			info
			> delivered 4/3 floor 4/3 ackpending 0 redelivered 0 waiting 0 pending 0`},
		{"max deliver one shows no redelivered; lowering acts at the next expiry", `
			config {"ack_wait":1000000000}
			pub a.1
			next in 5
			> in <- a.1 #1 d1 c1 p0
			after 1s
			> in <- a.1 #1 d2 c2 p0
			update {"max_deliver":1}
			info
			> delivered 2/1 floor 0/0 ackpending 1 redelivered 0 waiting 1 pending 0
			after 1s
			> advise maxdeliver #1 c1 d2
			after 10s`},
		{"exhausted ones are forgotten with the message", `
			config {"max_deliver":1}
			pub a.1 a.2
			next in 2
			> in <- a.1 #1 d1 c1 p1
			> in <- a.2 #2 d1 c2 p0
			after 30s
			> advise maxdeliver #1 c1 d1
			> advise maxdeliver #2 c2 d1
			needs
			> needs 1 2
			rm 1
			needs
			> needs 2
			purge
			needs
			> needs`},
		{"update of ack_wait", `
			config {"ack_wait":10000000000}
			pub a.1
			next in 5
			> in <- a.1 #1 d1 c1 p0
			after 2s
			update {"ack_wait":3000000000}
			after 999ms
			after 1ms
			> in <- a.1 #1 d2 c2 p0`},
		{"failed delivery changes nothing", `
			config {"deliver_subject":"d","ack_wait":1000000000}
			interest on
			pub a.1
			> d <- a.1 #1 d1 c1 p0
			deaf d
			after 1s
			pub a.2
			info
			> delivered 1/1 floor 0/0 ackpending 1 redelivered 0 waiting 0 pending 1
			hear d
			interest on
			> d <- a.1 #1 d2 c2 p1
			> d <- a.2 #2 d1 c3 p0`},
	})
}

func TestStreamChanges(t *testing.T) {
	runScripts(t, []script{
		{"terminated again", `
			config {}
			pub a.1
			next in 1
			> in <- a.1 #1 d1 c1 p0
			ack 1
			> release 1-1
			ack 1 +TERM why
			> advise term #1 c1 d1 why`},
		{"a later delay counts", `
			config {}
			pub a.1
			next in 1
			> in <- a.1 #1 d1 c1 p0
			ack 1 -NAK
			> advise nak #1 c1 d1
			ack 1 -NAK {"delay":10000000000}
			> advise nak #1 c1 d1
			next in 1
			after 9s
			after 1s
			> in <- a.1 #1 d2 c2 p0`},
		{"removed after redeliveries", `
			config {"ack_wait":1000000000}
			pub a.1
			next in 3
			> in <- a.1 #1 d1 c1 p0
			after 1s
			> in <- a.1 #1 d2 c2 p0
			after 1s
			> in <- a.1 #1 d3 c3 p0
			rm 1
			> advise term #1 c1 d2 Unacknowledged message was deleted
			info
			> delivered 3/1 floor 3/1 ackpending 0 redelivered 0 waiting 0 pending 0`},
		{"a purge of what passes that leaves some", `
			config {"filter_subject":"a.1"}
			pub a.1 a.2 a.1 a.2 a.1
			purge a.* 4
			info
			> delivered 0/3 floor 0/3 ackpending 0 redelivered 0 waiting 0 pending 1
			purge a.1
			info
			> delivered 0/5 floor 0/5 ackpending 0 redelivered 0 waiting 0 pending 0`},
		{"last of nothing", `
			pub a.1 a.2
			config {"deliver_policy":"last","filter_subject":"b"}
			info
			> delivered 0/0 floor 0/0 ackpending 0 redelivered 0 waiting 0 pending 0`},
		{"removed while pending", `
			config {}
			pub a.1 a.2 a.3
			next in 2
			> in <- a.1 #1 d1 c1 p2
			> in <- a.2 #2 d1 c2 p1
			rm 1
			> advise term #1 c1 d1 Unacknowledged message was deleted
			rm 2
			> advise term #2 c2 d1 Unacknowledged message was deleted
			info
			> delivered 2/2 floor 2/2 ackpending 0 redelivered 0 waiting 0 pending 1
			rm 3
			info
			> delivered 2/2 floor 2/2 ackpending 0 redelivered 0 waiting 0 pending 0`},
		{"removing a delivered one does not lower pending", `
			config {}
			pub a.1 a.2 a.3
			next in 1
			> in <- a.1 #1 d1 c1 p2
			ack 1
			> release 1-1
			info
			> delivered 1/1 floor 1/1 ackpending 0 redelivered 0 waiting 0 pending 2
			rm 1
			info
			> delivered 1/1 floor 1/1 ackpending 0 redelivered 0 waiting 0 pending 2`},
		{"purge", `
			config {}
			pub a.1 a.2 a.3
			next in 2
			> in <- a.1 #1 d1 c1 p2
			> in <- a.2 #2 d1 c2 p1
			purge
			info
			> delivered 2/3 floor 2/3 ackpending 0 redelivered 0 waiting 0 pending 0
			pub a.4
			next in 1
			> in <- a.4 #4 d1 c3 p0`},
		{"purge below keeps later pending", `
			config {"ack_wait":1000000000}
			pub a.1 a.2 a.3
			next in 2
			> in <- a.1 #1 d1 c1 p2
			> in <- a.2 #2 d1 c2 p1
			purge > 2
			info
			> delivered 2/2 floor 1/1 ackpending 1 redelivered 0 waiting 0 pending 1
			next in {"batch":5,"expires":"5s"}
			> in <- a.3 #3 d1 c3 p0
			after 1s
			> in <- a.2 #2 d2 c4 p0
			> in <- a.3 #3 d2 c5 p0`},
		{"purge of one subject", `
			config {"filter_subjects":["a.1","a.2"]}
			pub a.1 a.2 a.1 a.2 a.3
			next in 1
			> in <- a.1 #1 d1 c1 p3
			purge a.1
			info
			> delivered 1/1 floor 1/1 ackpending 0 redelivered 0 waiting 0 pending 2
			next in 5
			> in <- a.2 #2 d1 c2 p1
			> in <- a.2 #4 d1 c3 p0`},
		{"redelivery of a message that is gone", `
			config {}
			pub a.1 a.2
			next in 2
			> in <- a.1 #1 d1 c1 p1
			> in <- a.2 #2 d1 c2 p0
			ack 1 -NAK
			> advise nak #1 c1 d1
			rm 1
			> advise term #1 c1 d1 Unacknowledged message was deleted
			next in {"batch":1,"no_wait":true}
			> in 404 No Messages`},
		{"stream lost its end", `
			config {}
			pub a.1 a.2 a.3
			next in 3
			> in <- a.1 #1 d1 c1 p2
			> in <- a.2 #2 d1 c2 p1
			> in <- a.3 #3 d1 c3 p0
			truncate 1
			restart
			info
			> delivered 3/1 floor 0/0 ackpending 1 redelivered 0 waiting 0 pending 0
			next in 1
			pub a.9
			> in <- a.9 #2 d1 c4 p0`},
		{"restart redelivers what is overdue, in order", `
			config {"ack_wait":1000000000}
			pub a.1 a.2 a.3
			next in 3
			> in <- a.1 #1 d1 c1 p2
			> in <- a.2 #2 d1 c2 p1
			> in <- a.3 #3 d1 c3 p0
			ack 2
			> release 2-2
			ack 3 -NAK
			> advise nak #3 c3 d1
			after 1s
			restart
			next in {"batch":5,"expires":"100ms"}
			after 100ms
			> in <- a.1 #1 d2 c4 p0
			> in <- a.3 #3 d2 c5 p0
			> in 408 Request Timeout Nats-Pending-Messages=3 Nats-Pending-Bytes=0`},
	})
}

func TestStartAndFilters(t *testing.T) {
	runScripts(t, []script{
		{"last", `
			pub a.1 a.2 a.1 a.2
			config {"deliver_policy":"last","filter_subject":"a.1"}
			info
			> delivered 0/2 floor 0/2 ackpending 0 redelivered 0 waiting 0 pending 1
			next in 1
			> in <- a.1 #3 d1 c1 p0`},
		{"last of several filters", `
			pub a.1 a.2 a.3 a.1
			config {"deliver_policy":"last","filter_subjects":["a.2","a.3"]}
			next in 1
			> in <- a.3 #3 d1 c1 p0`},
		{"new, also after a restart before the first delivery", `
			pub a.1 a.2
			config {"deliver_policy":"new"}
			restart
			info
			> delivered 0/2 floor 0/2 ackpending 0 redelivered 0 waiting 0 pending 0
			pub a.3
			restart
			next in 1
			> in <- a.3 #3 d1 c1 p0`},
		{"start sequence", `
			pub a.1 a.2 a.3
			purge
			config {"deliver_policy":"by_start_sequence","opt_start_seq":2}
			info
			> delivered 0/3 floor 0/3 ackpending 0 redelivered 0 waiting 0 pending 0`},
		{"start sequence beyond the end", `
			pub a.1
			config {"deliver_policy":"by_start_sequence","opt_start_seq":3}
			next in 1
			pub a.2
			restart
			next in 1
			info
			> delivered 0/2 floor 0/2 ackpending 0 redelivered 0 waiting 1 pending 0
			pub a.3
			> in <- a.3 #3 d1 c1 p0`},
		{"start time", `
			pub a.1
			after 1s
			pub a.2
			config {"deliver_policy":"by_start_time","opt_start_time":"2023-11-14T22:13:20.5Z"}
			next in 1
			> in <- a.2 #2 d1 c1 p0`},
		{"start time goes to the first match, or to the end", `
			pub a.1 a.2 a.3 a.1
			config {"deliver_policy":"by_start_time","opt_start_time":"2020-01-01T00:00:00Z","filter_subjects":["a.2","a.3"]}
			info
			> delivered 0/1 floor 0/1 ackpending 0 redelivered 0 waiting 0 pending 2
			config {"deliver_policy":"by_start_time","opt_start_time":"2030-01-01T00:00:00Z","filter_subjects":["a.2","a.3"]}
			info
			> delivered 0/4 floor 0/4 ackpending 0 redelivered 0 waiting 0 pending 0`},
		{"last per subject, then everything new", `
			pub a.1 a.2 a.1 a.3 a.2 b.1
			config {"deliver_policy":"last_per_subject","filter_subject":"a.*"}
			info
			> delivered 0/2 floor 0/2 ackpending 0 redelivered 0 waiting 0 pending 3
			next in 1
			> in <- a.1 #3 d1 c1 p2
			pub a.1
			rm 4
			info
			> delivered 1/3 floor 0/2 ackpending 1 redelivered 0 waiting 0 pending 2
			restart
			next in 5
			> in <- a.2 #5 d1 c2 p1
			> in <- a.1 #7 d1 c3 p0
			pub a.3
			> in <- a.3 #8 d1 c4 p0
			ack 3
			> release 3-3
			info
			> delivered 4/8 floor 1/4 ackpending 3 redelivered 0 waiting 1 pending 0`},
		{"several filters deliver in order and once", `
			config {"filter_subjects":["a.*.x","a.1.*"]}
			pub a.1.x a.2.y a.2.x a.1.y
			next in 9
			> in <- a.1.x #1 d1 c1 p2
			> in <- a.2.x #3 d1 c2 p1
			> in <- a.1.y #4 d1 c3 p0`},
		{"change of filters", `
			config {"filter_subject":"a.1"}
			pub a.1 a.2 a.1 a.2
			next in 1
			> in <- a.1 #1 d1 c1 p1
			update {"filter_subject":"a.2"}
			info
			> delivered 1/1 floor 0/0 ackpending 1 redelivered 0 waiting 0 pending 2
			next in 9
			> in <- a.2 #2 d1 c2 p1
			> in <- a.2 #4 d1 c3 p0
			update {"filter_subject":""}
			pub a.7
			> in <- a.7 #5 d1 c4 p0`},
		{"needs", `
			config {"filter_subject":"a.1"}
			pub a.1 a.1 a.2 a.1
			next in 2
			> in <- a.1 #1 d1 c1 p2
			> in <- a.1 #2 d1 c2 p1
			ack 1
			> release 1-1
			needs
			> needs 2 4`},
	})
}

func TestPauseResetInactive(t *testing.T) {
	runScripts(t, []script{
		{"pause", `
			config {"ack_wait":1000000000}
			pub a.1 a.2
			next in 1
			> in <- a.1 #1 d1 c1 p1
			pause 5s
			next in {"batch":3,"expires":"20s","idle_heartbeat":"2s"}
			info
			> delivered 1/1 floor 0/0 ackpending 1 redelivered 0 waiting 1 pending 1 paused 5s
			after 4s
			> in 100 Idle Heartbeat Nats-Last-Consumer=1 Nats-Last-Stream=1
			> in 100 Idle Heartbeat Nats-Last-Consumer=1 Nats-Last-Stream=1
			restart
			next in {"batch":3,"expires":"20s"}
			after 1s
			> advise resumed
			> in <- a.1 #1 d2 c2 p1
			> in <- a.2 #2 d1 c3 p0
			pause 5s
			pub a.3
			resume
			> in <- a.3 #3 d1 c4 p0`},
		{"reset", `
			config {}
			pub a.1 a.2 a.3
			next in 3
			> in <- a.1 #1 d1 c1 p2
			> in <- a.2 #2 d1 c2 p1
			> in <- a.3 #3 d1 c3 p0
			ack 1
			> release 1-1
			reset
			> at 2
			info
			> delivered 0/1 floor 0/1 ackpending 0 redelivered 0 waiting 0 pending 2
			next in 1
			> in <- a.2 #2 d1 c1 p1
			reset 1
			> at 1
			next in 1
			> in <- a.1 #1 d1 c1 p2`},
		{"reset rules", `
			pub a.1 a.2 a.3
			config {"deliver_policy":"by_start_sequence","opt_start_seq":2}
			reset 1
			> invalid reset: below start seq (10204)
			reset 3
			> at 3
			config {"deliver_policy":"new"}
			reset 1
			> invalid reset: not allowed (10204)
			reset
			> at 4
			config {"deliver_policy":"by_start_time","opt_start_time":"2030-01-01T00:00:00Z"}
			reset 1
			> invalid reset: below start time (10204)`},
		{"durables live", `
			config {}
			after 1000h`},
		{"threshold of a pull consumer, waiting requests and waits for acks", `
			config {"inactive_threshold":10000000000,"ack_wait":60000000000}
			pub a.1
			next in {"batch":2,"expires":"20s"}
			> in <- a.1 #1 d1 c1 p0
			after 20s
			> in 408 Request Timeout Nats-Pending-Messages=1 Nats-Pending-Bytes=0
			after 49s
			ack 1
			> release 1-1
			after 10s
			after 1s
			> inactive`},
		{"ephemeral push", `
			config {"durable_name":"-","deliver_subject":"d"}
			after 4s
			interest on
			after 100s
			interest off
			after 4s
			interest on
			interest off
			after 4999ms
			after 1ms
			> inactive`},
		{"sampling", `
			config {"sample_freq":"100%"}
			pub a.1 a.2
			next in 2
			> in <- a.1 #1 d1 c1 p1
			> in <- a.2 #2 d1 c2 p0
			after 3us
			ack 1
			> advise ack #1 c1 d1 after 3000
			> release 1-1
			ack 2 +TERM
			> advise term #2 c2 d1
			> release 2-2`},
	})
}

func TestSamplingShare(t *testing.T) {
	w := newWorld(t)
	w.do(`config {"sample_freq":"50","max_ack_pending":-1}`)
	for range 1000 {
		w.do("pub a.1")
	}
	w.do("next in 1000")
	w.collect()
	for i := range 1000 {
		w.do(fmt.Sprint("ack ", i+1))
	}
	n := 0
	for _, l := range w.collect() {
		if len(l) > 10 && l[:10] == "advise ack" {
			n++
		}
	}
	if n < 400 || n > 600 {
		t.Fatalf("%d of 1000 sampled", n)
	}
}
