package client

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/link"
)

// pair is a publisher and a subscriber on one loop; what the subscriber gets is read and dropped.
type pair struct {
	w   *world
	pub *Client
}

func newPair(t testing.TB, sub, connect string, set func(*config.Options)) *pair {
	t.Helper()
	w := newWorld(t, set)
	b := w.pipe().connect("")
	b.send(sub)
	b.sync()
	go io.Copy(io.Discard, b.c)
	a := w.pipe().connect(connect)
	var pub *Client
	w.env.Registry.Range(engine.Client, func(c *link.Conn) bool {
		if p := c.Protocol().(*Client); pub == nil || p.ID() > pub.ID() {
			pub = p
		}
		return true
	})
	_ = a
	return &pair{w, pub}
}

// onLoop runs fn on the publisher's loop and waits for it.
func (p *pair) onLoop(fn func()) {
	done := make(chan struct{})
	p.pub.Net().Loop().Post(func() { fn(); close(done) })
	<-done
}

// read gives data to the publisher as one read of its socket, and ends the turn.
func (p *pair) read(data []byte) {
	p.pub.OnData(p.pub.Net(), data, nil)
	p.w.group.FlushTurn(p.pub.LoopID())
}

// TestPubNoAlloc: nothing is allocated for a message on its way from the socket to the outbox.
func TestPubNoAlloc(t *testing.T) {
	for _, c := range []struct {
		name, sub, connect, op string
		set                    func(*config.Options)
	}{
		{"plain", "SUB foo 1\r\n", "", "PUB foo 5\r\nhello\r\n", nil},
		{"reply", "SUB foo 1\r\n", "", "PUB foo _INBOX.x.y 5\r\nhello\r\n", nil},
		{"wildcard", "SUB foo.* 1\r\nSUB foo.> 2\r\n", "", "PUB foo.bar 5\r\nhello\r\n", nil},
		{"queue", "SUB foo q 1\r\nSUB foo q 2\r\n", "", "PUB foo 5\r\nhello\r\n", nil},
		{"headers", "SUB foo 1\r\n", `"headers":true`, "HPUB foo 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", nil},
		{"permissions", "SUB foo 1\r\n", `"user":"some","pass":"p"`, "PUB foo 5\r\nhello\r\n",
			func(o *config.Options) {
				sampleUsers(o)
				o.Auth.Users[0].Perms = nil
				o.NoAuthUser = "all"
			}},
		{"nobody", "SUB bar 1\r\n", "", "PUB foo 5\r\nhello\r\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPair(t, c.sub, c.connect, c.set)
			data := bytes.Repeat([]byte(c.op), 100)
			var allocs float64
			p.onLoop(func() {
				for range 20 {
					p.read(data)
				}
				allocs = testing.AllocsPerRun(50, func() { p.read(data) })
			})
			if allocs > 3 { // 100 messages a run; the flush may allocate when the socket is full
				t.Errorf("%.0f allocations for 100 messages", allocs)
			}
			if p.w.env.Sum().InMsgs == 0 {
				t.Error("nothing was published")
			}
		})
	}
}

func BenchmarkPubMsg(b *testing.B) {
	for _, size := range []int{16, 128, 1024} {
		for _, sub := range []string{"none", "one", "four"} {
			b.Run(fmt.Sprintf("%s/%d", sub, size), func(b *testing.B) {
				subs := map[string]string{
					"none": "SUB other 1\r\n", "one": "SUB foo 1\r\n",
					"four": "SUB foo 1\r\nSUB foo 2\r\nSUB foo 3\r\nSUB foo 4\r\n",
				}[sub]
				p := newPair(b, subs, "", nil)
				op := fmt.Sprintf("PUB foo %d\r\n%s\r\n", size, bytes.Repeat([]byte("x"), size))
				const batch = 256
				data := bytes.Repeat([]byte(op), batch)
				b.ReportAllocs()
				b.ResetTimer()
				for i := 0; i < b.N; i += batch {
					p.onLoop(func() { p.read(data) })
				}
			})
		}
	}
}
