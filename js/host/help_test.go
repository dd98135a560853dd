package host

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ramjet/proto/base/clock"
	"ramjet/proto/jsapi"
	"ramjet/store/vfs"
)

// TestHelperWrites: what a loop that handles messages for an idle shard does to files. By default nothing, whatever has to be written; the shard writes and
// answers. Where acknowledgements come from the page cache the loop writes the journal itself, and nothing else, unless other work on files is on the way.
func TestHelperWrites(t *testing.T) {
	for _, c := range []struct {
		name        string
		interval    time.Duration
		busy, wrote bool
	}{{"durable", 0, false, false}, {"page cache", time.Minute, false, true}, {"page cache, files are written", time.Minute, true, false}} {
		t.Run(c.name, func(t *testing.T) { testHelperWrites(t, c.interval, c.busy, c.wrote) })
	}
}

func testHelperWrites(t *testing.T, interval time.Duration, busy, wrote bool) {
	var writes, inLoop, other atomic.Int32
	hook := func(c *vfs.Call) (int64, error) {
		buf := make([]byte, 16<<10)
		if strings.Contains(string(buf[:runtime.Stack(buf, false)]), "(*Helper).Run") {
			inLoop.Add(1)
			if c.Op != vfs.OpWrite || !strings.HasSuffix(c.Path, ".jnl") {
				other.Add(1)
			}
		}
		if c.Op == vfs.OpWrite {
			writes.Add(1)
		}
		return 0, nil
	}
	// A clock that stands still: on a loaded machine a write may seem held up.
	w := &world{t: t, n: newNet(), fs: vfs.Intercept(vfs.NewMem(), hook), clk: clock.NewManual(time.Unix(1_700_000_000, 0)), opt: func(o *Options) { o.SyncInterval, o.JournalFile = interval, 1<<20 }}
	w.open()
	t.Cleanup(func() { _ = w.h.Close() })
	s := w.create(jsapi.StreamConfig{Name: "S", Subjects: []string{"s"}})
	w.consumer(s, "C", jsapi.ConsumerConfig{Durable: "C", Name: "C", AckPolicy: jsapi.AckExplicit, AckWait: time.Minute, MaxAckPending: 100, MaxWaiting: 10, MaxDeliver: -1})
	if busy {
		w.h.writes <- struct{}{}
		defer func() { <-w.h.writes }()
	}
	var loop Helper
	helped := 0
	send := func(subj, reply, body string) {
		t.Helper()
		for _, sub := range w.n.match("A", subj, false) {
			sub.in.Deliver(&Msg{Account: "A", Subject: []byte(subj), Reply: []byte(reply), Payload: []byte(body), Helper: &loop})
		}
		if loop.Pending() {
			helped++
			loop.Run()
		}
	}
	w.n.listen("ack")
	w.n.listen("inbox")
	before := writes.Load()
	for i := range 20 {
		send("s", "ack", fmt.Sprint(i))
		if m := w.n.wait(t, "ack"); !strings.Contains(m.body, fmt.Sprintf(`"seq":%d`, i+1)) {
			t.Fatal(m.body)
		}
		send(jsapi.BuildAPI(jsapi.ConsumerNext, "S", "C"), "inbox", `{"batch":1}`)
		m := w.n.wait(t, "inbox")
		if m.body != fmt.Sprint(i) {
			t.Fatalf("delivered %q", m.body)
		}
		w.n.listen("confirm")
		send(m.reply, "confirm", "+ACK")
		w.n.wait(t, "confirm")
	}
	if n := inLoop.Load(); n > 0 != wrote {
		t.Errorf("a loop made %d calls of the file system", n)
	}
	if n := other.Load(); n > 0 {
		t.Errorf("%d of them are no write to the journal", n)
	}
	if writes.Load() == before || helped < 20 {
		t.Errorf("%d writes, %d turns of the loop", writes.Load()-before, helped)
	}
}
