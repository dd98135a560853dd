package host

import (
	"fmt"
	"testing"

	"ramjet/proto/jsapi"
	"ramjet/store/vfs"
)

// bring delivers a message to JetStream as a loop with that helper does.
func (w *world) bring(h *Helper, subj, reply, body string) {
	w.t.Helper()
	n := 0
	for _, s := range w.n.match("A", subj, false) {
		if _, asset := s.in.(*port); asset {
			s.in.Deliver(&Msg{Account: "A", Subject: []byte(subj), Reply: []byte(reply), Payload: []byte(body), Helper: h})
			n++
		}
	}
	if n != 1 {
		w.t.Fatalf("%d assets listen on %s", n, subj)
	}
}

// came returns how many messages have come to subj.
func (n *net) came(subj string) (k int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range n.msgs {
		if m.to == subj {
			k++
		}
	}
	return k
}

// TestHelper has loops that handle a few messages themselves, and leave the rest to the shard.
func TestHelper(t *testing.T) {
	w := newWorld(t, vfs.NewMem())
	s := w.create(jsapi.StreamConfig{Name: "S", Subjects: []string{"s.*"}, Storage: jsapi.MemoryStorage})
	w.consumer(s, "C", jsapi.ConsumerConfig{Durable: "C", Name: "C", AckPolicy: jsapi.AckExplicit, MaxDeliver: -1, MaxWaiting: 10})
	for i := range 4 {
		w.n.listen(fmt.Sprint("ack", i))
	}
	var h Helper

	// A few: they are handled when the loop's turn ends, on its goroutine, and not before, if the shard is idle; what it did last may not have
	// ended yet.
	for tries := 1; ; tries++ {
		for range helpMost {
			w.bring(&h, "s.1", "ack0", "x")
		}
		before := w.n.came("ack0")
		h.Run()
		after := w.n.came("ack0")
		if h.Pending() {
			t.Fatal("pending after the end of the turn")
		}
		if before == 0 && after == helpMost {
			break
		}
		if tries == 100 {
			t.Fatalf("%d answers before the end of the turn, %d after it", before, after)
		}
		for range helpMost {
			w.n.wait(t, "ack0")
		}
	}
	h.Run() // there is nothing to do

	// More: the shard is woken.
	for range helpMost + 1 {
		w.bring(&h, "s.1", "ack1", "x")
	}
	for range helpMost + 1 {
		w.n.wait(t, "ack1")
	}
	h.Run()

	// What takes longer: the same.
	w.bring(&h, jsapi.BuildAPI(jsapi.ConsumerNext, "S", "C"), "ack2", `{"batch":1,"no_wait":true}`)
	if m := w.n.wait(t, "ack2"); m.subject != "s.1" {
		t.Errorf("a pull got %+v", m)
	}
	if h.Pending() {
		t.Error("a pull is not for the helper")
	}

	// Somebody else has the shard: the loop does not wait for it.
	s.sh.owner.Lock()
	w.bring(&h, "s.1", "ack3", "x")
	h.Run()
	if h.Pending() || w.n.came("ack3") != 0 {
		t.Errorf("pending %v, %d answers while somebody has the shard", h.Pending(), w.n.came("ack3"))
	}
	s.sh.owner.Unlock()
	w.n.wait(t, "ack3")
}

// TestDropAccount: an account that is gone neither stores nor answers, and has everything when it is back.
func TestDropAccount(t *testing.T) {
	w := newWorld(t, vfs.NewMem())
	s := w.create(jsapi.StreamConfig{Name: "S", Subjects: []string{"s.*"}})
	w.consumer(s, "C", jsapi.ConsumerConfig{Durable: "C", Name: "C", AckPolicy: jsapi.AckExplicit, MaxDeliver: -1, MaxWaiting: 10})
	w.consumer(s, "P", jsapi.ConsumerConfig{Durable: "P", Name: "P", AckPolicy: jsapi.AckNone, MaxDeliver: -1, DeliverSubject: "push"})
	w.publish("s.1", "kept")
	w.h.DropAccount("unknown")
	for range 2 { // again does not matter
		w.h.DropAccount("A")
		for _, subj := range []string{"s.1", jsapi.BuildAPI(jsapi.ConsumerNext, "S", "C"), "$JS.API.INFO", "$JS.ACK.S.C.1.1.1.1.1"} {
			if subs := w.n.match("A", subj, false); len(subs) != 0 {
				t.Errorf("%d subscriptions of %s are left", len(subs), subj)
			}
		}
	}
	w.n.listen("push") // nobody is told
	if err := w.h.ServeAccount("A"); err != nil {
		t.Fatal(err)
	}
	if ack := w.publish("s.1", "new"); ack.Seq != 2 {
		t.Errorf("stored as %d", ack.Seq)
	}
	for _, want := range []string{"s.1=kept", "s.1=new"} {
		if got := w.next("S", "C"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	w.restart()
	if got := w.next("S", "C"); got != "NATS/1.0 404 No Messages" {
		t.Errorf("after a restart: %q", got)
	}
}
