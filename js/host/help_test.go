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

// TestHelperTouchesNoFile: a loop that handles messages for an idle shard makes no call of the file system, whatever has to be written; it is written and
// answered by the shard.
func TestHelperTouchesNoFile(t *testing.T) {
	for _, interval := range []time.Duration{0, time.Minute} {
		var writes, inLoop atomic.Int32
		hook := func(c *vfs.Call) (int64, error) {
			buf := make([]byte, 16<<10)
			if strings.Contains(string(buf[:runtime.Stack(buf, false)]), "(*Helper).Run") {
				inLoop.Add(1)
			}
			if c.Op == vfs.OpWrite {
				writes.Add(1)
			}
			return 0, nil
		}
		w := &world{t: t, n: newNet(), fs: vfs.Intercept(vfs.NewMem(), hook), clk: clock.System(), opt: func(o *Options) { o.SyncInterval, o.JournalFile = interval, 1<<20 }}
		w.open()
		t.Cleanup(func() { _ = w.h.Close() })
		s := w.create(jsapi.StreamConfig{Name: "S", Subjects: []string{"s"}})
		w.consumer(s, "C", jsapi.ConsumerConfig{Durable: "C", Name: "C", AckPolicy: jsapi.AckExplicit, AckWait: time.Minute, MaxAckPending: 100, MaxWaiting: 10, MaxDeliver: -1})
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
				t.Fatalf("interval %v: %s", interval, m.body)
			}
			send(jsapi.BuildAPI(jsapi.ConsumerNext, "S", "C"), "inbox", `{"batch":1}`)
			m := w.n.wait(t, "inbox")
			if m.body != fmt.Sprint(i) {
				t.Fatalf("interval %v: delivered %q", interval, m.body)
			}
			w.n.listen("confirm")
			send(m.reply, "confirm", "+ACK")
			w.n.wait(t, "confirm")
		}
		if n := inLoop.Load(); n > 0 {
			t.Errorf("interval %v: a loop made %d calls of the file system", interval, n)
		}
		if writes.Load() == before || helped < 20 {
			t.Errorf("interval %v: %d writes, %d turns of the loop", interval, writes.Load()-before, helped)
		}
	}
}
