package consumer

import (
	"reflect"
	"testing"

	"ramjet/proto/jsapi"
)

func TestExportImport(t *testing.T) {
	x := jsapi.SnapshotConsumerState{
		Delivered:   jsapi.SequencePair{Consumer: 9, Stream: 20},
		AckFloor:    jsapi.SequencePair{Consumer: 3, Stream: 6},
		Pending:     jsapi.SnapshotPending{{Stream: 7, Consumer: 4, Time: 100}, {Stream: 12, Consumer: 6, Time: 200}},
		Redelivered: jsapi.SnapshotRedelivered{{Stream: 12, Count: 2}},
	}
	s := Import(jsapi.AckExplicit, &x)
	if s.NumAckPending() != 2 || s.NumRedelivered() != 1 || s.Next() != 21 {
		t.Errorf("pending %d, redelivered %d, next %d", s.NumAckPending(), s.NumRedelivered(), s.Next())
	}
	if got := s.Export(); !reflect.DeepEqual(got, x) {
		t.Errorf("%+v, want %+v", got, x)
	}
	// The last delivery gave up: it is no longer pending, the count stays.
	id, _ := s.pending.find(12)
	s.exhaust(id)
	got := s.Export()
	if len(got.Pending) != 1 || len(got.Redelivered) != 1 || got.Redelivered[0] != (jsapi.RedeliveryCount{Stream: 12, Count: 2}) {
		t.Errorf("%+v", got)
	}
	if n := Import(jsapi.AckNone, &x).NumAckPending(); n != 0 {
		t.Errorf("%d pending without acks", n)
	}
}
