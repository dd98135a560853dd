package host

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"ramjet/proto/base/clock"
	"ramjet/proto/jsapi"
	"ramjet/store/vfs"
)

// gate holds the syncs of the journal while it is closed.
type gate struct {
	mu   sync.Mutex
	open chan struct{} // nil: open
}

func (g *gate) pass(c *vfs.Call) {
	if c.Op != vfs.OpSync || !strings.HasSuffix(c.Path, ".jnl") {
		return
	}
	g.mu.Lock()
	ch := g.open
	g.mu.Unlock()
	if ch != nil {
		<-ch
	}
}

func (g *gate) close() { g.mu.Lock(); g.open = make(chan struct{}); g.mu.Unlock() }

func (g *gate) release() { g.mu.Lock(); close(g.open); g.open = nil; g.mu.Unlock() }

// TestSlowDisk: the disk stops in the middle of a sync. Publishers that pause when they are told to are all paused after a bounded number of
// bytes, none of them is refused; one that does not pause is refused, and costs no memory. When the disk works again everybody is answered,
// and what was acknowledged survives a power cut.
func TestSlowDisk(t *testing.T) {
	const (
		publishers = 32
		size       = 8 << 10
		queued     = 2 << 20 // of the journal
		inbox      = 1 << 20
		rude       = 3000
	)
	disk, g := vfs.NewMem(), &gate{}
	w := &world{t: t, n: newNet(), fs: vfs.Intercept(disk, vfs.Slow(g.pass)), clk: clock.System(), opt: func(o *Options) {
		o.InboxBytes, o.JournalQueued, o.JournalFile = inbox, queued, 8<<20
	}}
	w.open()
	t.Cleanup(func() { _ = w.h.Close() })
	st := w.create(jsapi.StreamConfig{Name: "S", Subjects: []string{"p.*"}, Storage: jsapi.FileStorage})
	w.n.listen("ack.*")
	g.close()
	payload := make([]byte, size)
	send := func(id string) Verdict {
		subs := w.n.match("A", "p."+id, false)
		if len(subs) != 1 {
			t.Fatalf("%d subscribers", len(subs))
		}
		return subs[0].in.Deliver(&Msg{Account: "A", Subject: []byte("p." + id), Reply: []byte("ack." + id), Payload: payload})
	}
	var sent atomic.Int64
	var paused sync.WaitGroup
	for p := range publishers {
		paused.Add(1)
		go func() {
			defer paused.Done()
			for i := 0; ; i++ {
				sent.Add(1)
				if send(fmt.Sprintf("%d-%d", p, i)) != Taken {
					return
				}
				if i > 10000 {
					t.Errorf("publisher %d is not paused", p)
					return
				}
			}
		}()
	}
	paused.Wait()
	polite := int(sent.Load())
	if most := int64(2*queued + inbox + publishers*(size+packetCost)); int64(polite)*size > most {
		t.Errorf("%d bytes were taken before all publishers were paused, at most %d are allowed", polite*size, most)
	}
	for i := range rude {
		send(fmt.Sprintf("rude-%d", i))
		st.sh.in.mu.Lock()
		n := st.sh.in.bytes
		st.sh.in.mu.Unlock()
		if n > inbox {
			t.Fatalf("%d bytes wait in the inbox", n)
		}
		if n := w.h.JournalStats().Queued; n > 2*queued+entrySize+size {
			t.Fatalf("%d bytes wait for the journal", n)
		}
	}
	g.release()
	acked, refused := map[string]uint64{}, map[string]bool{}
	w.n.mu.Lock()
	for len(acked)+len(refused) < polite+rude {
		for _, m := range w.n.msgs {
			var a struct {
				jsapi.PubAck
				Error *jsapi.Error
			}
			if err := json.Unmarshal([]byte(m.body), &a); err != nil {
				t.Error(err)
			}
			if a.Error == nil {
				acked[m.to[4:]] = a.Seq
				continue
			}
			refused[m.to[4:]] = true
			if a.Error.ErrCode != jsapi.StreamTooManyRequests.Err().ErrCode || !strings.HasPrefix(m.to, "ack.rude") {
				t.Errorf("%s: %v", m.to, a.Error)
			}
		}
		w.n.msgs = w.n.msgs[:0]
		if len(acked)+len(refused) < polite+rude {
			w.n.seen.Wait()
		}
	}
	w.n.mu.Unlock()
	if len(refused) == 0 || len(acked) < polite {
		t.Errorf("%d acknowledged, %d refused of %d and %d", len(acked), len(refused), polite, rude)
	}
	t.Logf("%d publishers paused after %d messages of %d bytes; of %d more %d were refused", publishers, polite, size, rude, len(refused))
	after := &world{t: t, n: newNet(), fs: disk.CrashClone(vfs.Crash{}), clk: clock.System(), opt: w.opt}
	after.open()
	defer after.h.Close()
	s := after.account().stream("S")
	for id, seq := range acked {
		m, err := s.GetMsg(&jsapi.MsgGetRequest{Seq: seq})
		if err != nil || m.Subject != "p."+id || len(m.Data) != size {
			t.Fatalf("message %d of %s: %v", seq, id, err)
		}
	}
	if msgs, _, _, _ := s.size(); msgs != uint64(len(acked)) {
		t.Errorf("%d messages, %d were acknowledged", msgs, len(acked))
	}
}
