package host

import (
	"testing"

	"ramjet/proto/jsapi"
	"ramjet/store/vfs"
)

// TestFilterNarrowed: messages that a consumer does not want any more leave an interest stream, and the consumer does not wait for
// their acknowledgement. nats-server counts them as pending until they would be redelivered.
func TestFilterNarrowed(t *testing.T) {
	w := newWorld(t, vfs.NewMem())
	s := w.create(jsapi.StreamConfig{Name: "S", Subjects: []string{"s.*"}, Retention: jsapi.InterestRetention})
	cfg := jsapi.ConsumerConfig{Durable: "C", Name: "C", AckPolicy: jsapi.AckExplicit, MaxDeliver: -1, MaxWaiting: 10}
	c := w.consumer(s, "C", cfg)
	w.publish("s.1", "x")
	w.publish("s.2", "x")
	w.n.listen("inbox")
	next := jsapi.BuildAPI(jsapi.ConsumerNext, "S", "C")
	w.n.send("A", next, next, "inbox", "", `{"batch":2,"no_wait":true}`)
	w.n.wait(t, "inbox")
	w.n.wait(t, "inbox")
	cfg.FilterSubject = "s.2"
	s.acct.Lock()
	err := c.Update(&cfg)
	s.acct.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if n := c.Info().NumAckPending; n != 1 {
		t.Errorf("%d are pending", n)
	}
	if n := s.Info(nil, &jsapi.Page{}).State.Msgs; n != 1 {
		t.Errorf("%d messages are left", n)
	}
}

// TestResetOfNothing: a request to a consumer that does not exist finds nobody, instead of no answer.
func TestResetOfNothing(t *testing.T) {
	w := newWorld(t, vfs.NewMem())
	w.create(jsapi.StreamConfig{Name: "S", Subjects: []string{"s"}})
	in := &apiInbox{h: w.h, account: "A"}
	if v := in.Deliver(&Msg{Account: "A", Subject: []byte("$JS.API.CONSUMER.RESET.S.C"), Reply: []byte("r")}); v != NotOne {
		t.Errorf("%v", v)
	}
}
