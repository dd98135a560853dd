package host

import (
	"strings"
	"testing"

	"ramjet/proto/jsapi"
	"ramjet/store/vfs"
)

// ask sends a request to an asset and returns the answer.
func (w *world) ask(subj, body string) string {
	w.t.Helper()
	w.n.listen("answer")
	w.n.send("A", subj, subj, "answer", "", body)
	return w.n.wait(w.t, "answer").body
}

// TestReset moves consumers back and forth.
func TestReset(t *testing.T) {
	w := newWorld(t, vfs.NewMem())
	explicit := jsapi.ConsumerConfig{Durable: "C", Name: "C", AckPolicy: jsapi.AckExplicit, MaxDeliver: -1, MaxWaiting: 10}
	for _, c := range []struct {
		retention jsapi.Retention
		left      uint64 // after what was passed over
	}{{jsapi.LimitsRetention, 3}, {jsapi.WorkQueueRetention, 3}, {jsapi.InterestRetention, 1}} {
		name := "S" + c.retention.String()
		s := w.create(jsapi.StreamConfig{Name: name, Subjects: []string{name}, Retention: c.retention})
		w.consumer(s, "C", explicit)
		for range 3 {
			w.publish(name, "x")
		}
		subj := jsapi.BuildAPI(jsapi.ConsumerReset, name, "C")
		if got := w.ask(subj, `{"seq":3}`); !strings.Contains(got, `"reset_seq":3`) || !strings.Contains(got, `"_nats.level":"`) || strings.Contains(got, "error") {
			t.Errorf("%s: %s", name, got)
		}
		var page jsapi.Page
		if n := s.Info(nil, &page).State.Msgs; n != c.left {
			t.Errorf("%s: %d messages are left", name, n)
		}
		if got, want := w.ask(subj, `{"seq":1}`), `"reset_seq":1`; !strings.Contains(got, want) {
			t.Errorf("%s: %s", name, got)
		}
		// The answer tells the state before the consumer goes on.
		w.n.listen("waits")
		next := jsapi.BuildAPI(jsapi.ConsumerNext, name, "C")
		w.n.send("A", next, next, "waits", "", `{"batch":9,"expires":60000000000}`)
		w.n.wait(t, "waits")
		if got := w.ask(subj, ""); !strings.Contains(got, `"delivered":{"consumer_seq":0,`) {
			t.Errorf("%s: %s", name, got)
		}
	}
	for body, want := range map[string]string{"x": `"err_code":10025`, " ": `"err_code":10025`, `{"other":1}`: `"reset_seq":1`} {
		if got := w.ask(jsapi.BuildAPI(jsapi.ConsumerReset, "Slimits", "C"), body); !strings.Contains(got, want) {
			t.Errorf("%q: %s", body, got)
		}
	}
	s := w.create(jsapi.StreamConfig{Name: "N", Subjects: []string{"n"}})
	last := explicit
	last.DeliverPolicy = jsapi.DeliverLast
	w.consumer(s, "C", last)
	if got := w.ask(jsapi.BuildAPI(jsapi.ConsumerReset, "N", "C"), `{"seq":1}`); !strings.Contains(got, `"err_code":10204`) || !strings.Contains(got, `"reset_seq":0`) {
		t.Errorf("not allowed: %s", got)
	}
}

// TestAckSubscriptions: nobody listens for acknowledgements that mean nothing.
func TestAckSubscriptions(t *testing.T) {
	w := newWorld(t, vfs.NewMem())
	s := w.create(jsapi.StreamConfig{Name: "S", Subjects: []string{"s"}})
	for policy, want := range map[jsapi.AckPolicy]int{jsapi.AckNone: 0, jsapi.AckAll: 1, jsapi.AckExplicit: 1} {
		name := policy.String()
		w.consumer(s, name, jsapi.ConsumerConfig{Durable: name, Name: name, AckPolicy: policy, MaxDeliver: -1})
		if n := len(w.n.match("A", "$JS.ACK.S."+name+".1.1.1.1.1", false)); n != want {
			t.Errorf("%s: %d subscriptions", name, n)
		}
	}
}

// TestPurgeAhead: a purge of what has not come yet moves the stream there.
func TestPurgeAhead(t *testing.T) {
	w := newWorld(t, vfs.NewMem())
	for _, storage := range []jsapi.Storage{jsapi.FileStorage, jsapi.MemoryStorage} {
		name := storage.String()
		s := w.create(jsapi.StreamConfig{Name: name, Subjects: []string{name}, Storage: storage})
		w.publish(name, "x")
		for _, r := range []jsapi.PurgeRequest{{Seq: 9, Filter: name}, {Seq: 1 << 63}} { // of one subject, and too far
			if _, err := s.Purge(&r); err != nil {
				t.Fatal(err)
			}
		}
		w.publish(name, "x")
		if n, err := s.Purge(&jsapi.PurgeRequest{Seq: 9}); n != 1 || err != nil {
			t.Errorf("%s: purged %d, %v", name, n, err)
		}
		if ack := w.publish(name, "x"); ack.Seq != 9 {
			t.Errorf("%s: the next message is %d", name, ack.Seq)
		}
		// What does not exist is told in the words of each storage.
		want := map[jsapi.Storage]jsapi.ErrCode{jsapi.FileStorage: jsapi.StreamMsgDeleteFailed, jsapi.MemoryStorage: jsapi.SequenceNotFound}[storage]
		for _, seq := range []uint64{3, 99} {
			if err := s.DeleteMsg(&jsapi.MsgDeleteRequest{Seq: seq}); err == nil || err.ErrCode != want {
				t.Errorf("%s: delete %d: %v", name, seq, err)
			}
		}
	}
}
