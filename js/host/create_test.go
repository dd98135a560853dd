package host

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"ramjet/js/stream"
	"ramjet/proto/base/clock"
	"ramjet/proto/jsapi"
	"ramjet/store/vfs"
)

// TestCreationsShareASync: while one sync of the journal takes its time, creations collect; the next sync makes all of them durable, and none is
// answered, listed or subscribed before. A power cut after the answers loses none.
func TestCreationsShareASync(t *testing.T) {
	const n = 16
	mem := vfs.NewMem()
	mem.SetNameRule(vfs.NamesStrict)
	slow := make(chan struct{})
	close(slow)
	var mu sync.Mutex // of slow and syncs
	var syncs int
	w := &world{t: t, n: newNet(), clk: clock.System(), opt: func(o *Options) { o.JournalFile = 1 << 20 }}
	hold := make(chan chan struct{}, 1)
	w.fs = vfs.Intercept(mem, func(c *vfs.Call) (int64, error) {
		if c.Op == vfs.OpSync && strings.Contains(c.Path, "/journal/") {
			mu.Lock()
			select {
			case slow = <-hold:
				syncs = 0
			default:
			}
			syncs++
			gate := slow
			mu.Unlock()
			<-gate
		}
		return 0, nil
	})
	w.open()
	w.create(jsapi.StreamConfig{Name: "FIRST", Subjects: []string{"first"}})
	for w.h.JournalStats().Spare == 0 {
		w.publish("first", "the journal makes its spare file meanwhile")
	}
	a := w.account()
	closed := make(chan struct{})
	hold <- closed
	done := make(chan *jsapi.Error, n)
	for i := range n {
		go func() {
			cfg := jsapi.StreamConfig{Name: fmt.Sprintf("S%d", i), Subjects: []string{fmt.Sprintf("s%d", i)}}
			err := stream.CheckCreate(&cfg, &stream.Context{})
			if err == nil {
				_, err = a.createNow(&cfg)
			}
			done <- err
		}()
	}
	for making := 0; making < n; { // all begin although no sync ends
		a.lock.Lock()
		a.mu.RLock()
		making = len(a.making)
		a.mu.RUnlock()
		a.lock.Unlock()
	}
	for _, sh := range w.h.shards {
		sh.call(func() {}) // a turn later all are appended
	}
	select {
	case err := <-done:
		t.Fatalf("a creation ended before it was durable: %v", err)
	default:
	}
	if got := len(a.Streams()); got != 1 {
		t.Errorf("%d streams are shown", got)
	}
	close(closed)
	for range n {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	disk := mem.CrashClone(vfs.Crash{})
	if err := w.h.Close(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if syncs > 4 { // the one that took its time, theirs, and perhaps one more on each side
		t.Errorf("%d syncs for %d creations", syncs, n)
	}
	w.fs = disk
	w.open()
	t.Cleanup(func() { _ = w.h.Close() })
	if got := len(w.account().Streams()); got != n+1 {
		t.Errorf("%d streams after a power cut, want %d", got, n+1)
	}
}
