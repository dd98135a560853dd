package link

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"ramjet/engine/config"
	"ramjet/proto/base/bufpool"
)

func TestUptime(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                "0s",
		59 * time.Second: "59s",
		83 * time.Second: "1m23s",
		3 * time.Hour:    "3h0m0s",
		2*24*time.Hour + 3*time.Hour + 4*time.Minute + 5*time.Second:                    "2d3h4m5s",
		365*24*time.Hour + 2*24*time.Hour + 3*time.Hour + 4*time.Minute + 5*time.Second: "1y2d3h4m5s",
		-time.Second: "0s",
	} {
		if got := Uptime(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestMinLimit(t *testing.T) {
	for _, c := range []struct {
		server, a, b, want int
	}{
		{0, -1, -1, -1}, {10, -1, -1, 10}, {0, 5, -1, 5}, {10, 5, 7, 5}, {3, 5, 7, 3}, {10, 0, -1, 0},
	} {
		if got := MinLimit(c.server, c.a, c.b); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

func TestReplies(t *testing.T) {
	r := newReplies(&config.ResponsePerm{MaxMsgs: 2, Expires: time.Second})
	r.Track([]byte("a"), 0)
	if r.Use([]byte("b"), 0) {
		t.Error("b was never delivered")
	}
	for i, want := range []bool{true, true, false} {
		if got := r.Use([]byte("a"), 1); got != want {
			t.Errorf("use %d: %v", i, got)
		}
	}
	r.Track([]byte("a"), 0)
	if r.Use([]byte("a"), int64(time.Second)+1) {
		t.Error("expired")
	}
	// unlimited number and time
	r = newReplies(&config.ResponsePerm{MaxMsgs: -1, Expires: -1})
	r.Track([]byte("a"), 0)
	for range 100 {
		if !r.Use([]byte("a"), int64(1000*time.Hour)) {
			t.Fatal("unlimited")
		}
	}
	// defaults: one message
	r = newReplies(&config.ResponsePerm{})
	r.Track([]byte("a"), 0)
	if !r.Use([]byte("a"), 1) || r.Use([]byte("a"), 1) {
		t.Error("the default is one message")
	}
	// bounded
	for i := range 3 * maxReplies {
		r.Track(fmt.Appendf(nil, "x.%d", i), int64(i))
	}
	if n := len(r.entries); n > maxReplies {
		t.Errorf("%d entries", n)
	}
	// expired ones are pruned
	r.Track([]byte("late"), int64(time.Hour))
	if n := len(r.entries); n != 1 {
		t.Errorf("%d entries after an hour", n)
	}
}

// TestExtend: the bytes are kept, and announcing a size costs nothing.
func TestExtend(t *testing.T) {
	const total = 8 << 20
	f := extend(nil, []byte("head"), total)
	if c := cap(f.B); c > 2*presize {
		t.Errorf("%d bytes reserved for 4", c)
	}
	want := bytes.NewBufferString("head")
	piece := bytes.Repeat([]byte("0123456789abcdef"), 1000)
	for want.Len()+len(piece) <= total {
		f = extend(f, piece, total)
		want.Write(piece)
		if cap(f.B) > max(2*presize, 4*want.Len()) {
			t.Fatalf("%d bytes reserved for %d", cap(f.B), want.Len())
		}
	}
	if !bytes.Equal(f.B, want.Bytes()) {
		t.Error("bytes differ")
	}
	f.Release()
	g := bufpool.Get(10)
	g.B = append(g.B[:0], "ab"...)
	g = extend(g, []byte("cd"), 0)
	if string(g.B) != "abcd" {
		t.Errorf("%q", g.B)
	}
	g.Release()
}

// TestPace: the dearer the operations, the sooner the clock is looked at.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		ops  int
		work int64
		want int
	}{{askFirst, 0, askOps}, {askOps, 0, askOps}, {askOps, askOps, askOps}, {100, 300, 64}, {8, 8000, 1}, {1, 3, 64}} {
		if got := pace(c.ops, c.work); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
