package host

import (
	"fmt"
	"testing"
	"time"

	"ramjet/proto/jsapi"
	"ramjet/store/vfs"
)

// TestCleanStopLeavesNothing: what streams and consumers decided is in their own files after a clean stop, so the next start replays nothing; a
// journal that is damaged then harms nobody.
func TestCleanStopLeavesNothing(t *testing.T) {
	mem := vfs.NewMem()
	w := newWorld(t, mem)
	for _, p := range []jsapi.Retention{jsapi.LimitsRetention, jsapi.WorkQueueRetention} {
		name := fmt.Sprintf("S%d", p)
		s := w.create(jsapi.StreamConfig{Name: name, Subjects: []string{name + ".x"}, Retention: p})
		w.consumer(s, "C", jsapi.ConsumerConfig{Durable: "C", Name: "C", AckPolicy: jsapi.AckExplicit, AckWait: time.Minute, MaxAckPending: 10, MaxWaiting: 10, MaxDeliver: -1})
	}
	seen := 0
	for round := range 3 {
		for _, name := range []string{"S0", "S2"} {
			w.publish(name+".x", fmt.Sprint(round))
			w.publish(name+".x", "more")
			if got, want := w.next(name, "C"), name+".x="+fmt.Sprint(round); got != want && round == 0 {
				t.Errorf("%s, want %s", got, want)
			}
		}
		seen++
		w.restart()
		if n := w.h.Recovery().Records; n != 0 {
			t.Errorf("round %d: %d records replayed after a clean stop", round, n)
		}
		var page jsapi.Page
		for name, want := range map[string]uint64{"S0": uint64(2 * seen), "S2": uint64(seen)} {
			if i := w.account().stream(name).Info(nil, &page); i.State.Msgs != want {
				t.Errorf("round %d: %s has %d messages, want %d", round, name, i.State.Msgs, want)
			}
		}
	}
	if err := w.h.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := mem.List("js/journal")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		f, err := mem.OpenRW("js/journal/" + n)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []int64{0, 2048} {
			if _, err := f.WriteAt([]byte{'X'}, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.open()
	if w.h.Findings() == 0 {
		t.Error("damaged headers were not found")
	}
	if p := w.account().Problems(); len(p) != 0 {
		t.Errorf("problems %v", p)
	}
	w.publish("S0.x", "on it goes")
}
