package host

import (
	"strings"
	"testing"
	"time"

	"ramjet/proto/jsapi"
	"ramjet/store/vfs"
)

// TestBatchTimesOut leaves an atomic batch alone on a stream on which nothing else happens.
func TestBatchTimesOut(t *testing.T) {
	w := newWorld(t, vfs.NewMem())
	w.create(jsapi.StreamConfig{Name: "S", Subjects: []string{"s"}, AllowAtomic: true})
	tun := *w.h.tun.Load()
	tun.Batch.Timeout = int64(50 * time.Millisecond)
	w.h.Tune(tun)
	const advisory = "$JS.EVENT.ADVISORY.STREAM.BATCH_ABANDONED.S"
	w.n.listen(advisory)
	w.n.listen("ack")
	w.n.send("A", "s", "s", "ack", "NATS/1.0\r\nNats-Batch-Id: b\r\nNats-Batch-Sequence: 1\r\n\r\n", "x")
	if m := w.n.wait(t, "ack"); m.body != "" {
		t.Fatal(m.body)
	}
	if m := w.n.wait(t, advisory); !strings.Contains(m.body, `"batch":"b","reason":"timeout"`) {
		t.Error(m.body)
	}
	w.n.send("A", "s", "s", "ack", "NATS/1.0\r\nNats-Batch-Id: b\r\nNats-Batch-Sequence: 2\r\nNats-Batch-Commit: 1\r\n\r\n", "x")
	if m := w.n.wait(t, "ack"); !strings.Contains(m.body, `"err_code":10176`) {
		t.Error(m.body)
	}
}
