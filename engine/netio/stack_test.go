package netio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"ramjet/engine"
	"ramjet/proto/base/bufpool"
	"ramjet/proto/base/invariant"
)

// lineStage is a stage with visible framing: each sealed piece is "<name:len:" bytes ">".
type lineStage struct {
	name string
	in   []byte
	fail bool
}

func (s *lineStage) Open(in []byte, emit func([]byte) error) error {
	if s.fail {
		return stageFail{}
	}
	s.in = append(s.in, in...)
	for {
		var n int
		head := "<" + s.name + ":%d:"
		at := bytes.IndexByte(s.in, ':')
		if at < 0 {
			return nil
		}
		end := bytes.IndexByte(s.in[at+1:], ':')
		if end < 0 {
			return nil
		}
		if _, err := fmt.Sscanf(string(s.in[:at+end+2]), head, &n); err != nil {
			return err
		}
		body := s.in[at+end+2:]
		if len(body) < n+1 {
			return nil
		}
		piece := append([]byte(nil), body[:n]...)
		s.in = body[n+1:]
		if err := emit(piece); err != nil {
			return err
		}
	}
}

func (s *lineStage) Seal(dst, plain []byte) ([]byte, error) {
	if s.fail {
		return dst, errors.New("cannot seal")
	}
	dst = fmt.Appendf(dst, "<%s:%d:", s.name, len(plain))
	dst = append(dst, plain...)
	return append(dst, '>'), nil
}

func (s *lineStage) Finish(dst []byte, r Reason) []byte {
	return fmt.Appendf(dst, "<%s-end>", s.name)
}

type stageFail struct{}

func (stageFail) Error() string  { return "bad frame" }
func (stageFail) Reason() Reason { return ReasonProtocolViolation }

// TestPushMidStream: the handler upgrades in the middle of a read; earlier output leaves plain, later
// output and input go through the stages, and the end is framed from the top down.
func TestPushMidStream(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		h := newHand()
		var log []string
		upper := newHand()
		upper.data = func(c *Conn, b []byte, _ *bufpool.Frame) {
			log = append(log, "upper "+string(b))
			switch {
			case bytes.HasPrefix(b, []byte("up2")):
				c.Out().Append(c.Loop().Index(), []byte("ok2"))
				c.Push(&lineStage{name: "b"})
				c.Out().Append(c.Loop().Index(), []byte("after2"))
				c.Unread(b[3:])
			case string(b) == "bye":
				c.CloseAfterFlush(ReasonClientClosed)
			}
		}
		h.data = func(c *Conn, b []byte, _ *bufpool.Frame) {
			log = append(log, "plain "+string(b))
			me := c.Loop().Index()
			if bytes.HasPrefix(b, []byte("up1")) {
				c.Out().Append(me, []byte("ok1"))
				c.Push(&lineStage{name: "a"})
				c.SetHandler(upper)
				c.Out().Append(me, []byte("after1"))
				c.Unread(b[3:])
			}
		}
		nc := w.dial(w.listen(h.accept))
		inner := "<b:3:two><b:3:bye>"
		_, err := io.WriteString(nc, "up1<a:3:one><a:3:up2>"+fmt.Sprintf("<a:%d:%s>", len(inner), inner)+"<a:4:lost>")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(nc)
		if err != nil {
			t.Fatal(err)
		}
		want := "ok1<a:6:after1><a:3:ok2><a:12:<b:6:after2>><a:7:<b-end>><a-end>"
		// staging may join neighbours, so compare without the frames of stage a
		if string(got) != want && string(got) != "ok1<a:9:after1ok2><a:12:<b:6:after2>><a:7:<b-end>><a-end>" {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if r := wait(t, upper.closed, "close"); r != ReasonClientClosed {
			t.Errorf("reason %v", r)
		}
		if s := fmt.Sprint(log); s != "[plain up1<a:3:one><a:3:up2><a:18:<b:3:two><b:3:bye>><a:4:lost> upper one upper up2 upper two upper bye]" {
			t.Errorf("events %s", s)
		}
	})
}

// TestUnreadWhilePaused: input given back under a pause waits for ResumeRead, in order.
func TestUnreadWhilePaused(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		h := newHand()
		var got []byte
		paused := make(chan struct{}, 100)
		h.data = func(c *Conn, b []byte, _ *bufpool.Frame) {
			got = append(got, b[0])
			c.PauseRead()
			c.Unread(b[1:])
			paused <- struct{}{}
		}
		nc := w.dial(w.listen(h.accept))
		_, _ = nc.Write([]byte("abc"))
		c := wait(t, h.conn, "open")
		for range 3 {
			wait(t, paused, "pause")
			w.on(c, func() { c.ResumeRead() })
		}
		_, _ = nc.Write([]byte("de"))
		for range 2 {
			wait(t, paused, "pause")
			w.on(c, func() { c.ResumeRead() })
		}
		if string(got) != "abcde" {
			t.Errorf("got %q", got)
		}
	})
}

// TestUnreadWithoutProgress: everything given back waits for more input and comes again with it.
func TestUnreadWithoutProgress(t *testing.T) {
	w := newWorld(t, "mem", Config{})
	h := newHand()
	got := make(chan string, 10)
	h.data = func(c *Conn, b []byte, _ *bufpool.Frame) {
		if len(b) < 6 {
			c.Unread(b)
			c.Out().Append(c.Loop().Index(), []byte("."))
			return
		}
		got <- string(b)
	}
	nc := w.dial(w.listen(h.accept))
	_, _ = nc.Write([]byte("abc"))
	_, _ = io.ReadFull(nc, make([]byte, 1))
	_, _ = nc.Write([]byte("def"))
	if s := wait(t, got, "whole"); s != "abcdef" {
		t.Errorf("got %q", s)
	}
}

// TestStageErrors: Open's error chooses the reason, a failing or panicking Seal is a write error.
func TestStageErrors(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		h := newHand()
		h.open = func(c *Conn) { c.Push(&lineStage{name: "a", fail: true}) }
		nc := w.dial(w.listen(h.accept))
		_, _ = nc.Write([]byte("x"))
		if r := wait(t, h.closed, "close"); r != ReasonProtocolViolation {
			t.Errorf("Open: reason %v", r)
		}
		h = newHand()
		h.open = func(c *Conn) { c.Push(&lineStage{name: "a", fail: true}) }
		w.dial(w.listen(h.accept))
		c := wait(t, h.conn, "open")
		c.Out().Append(engine.NoLoop, []byte("x"))
		c.Out().Flush(engine.NoLoop)
		if r := wait(t, h.closed, "close"); r != ReasonWriteError {
			t.Errorf("Seal: reason %v", r)
		}
		if invariant.On {
			return
		}
		h = newHand()
		h.open = func(c *Conn) { c.Push(panicStage{}) }
		w.dial(w.listen(h.accept))
		c = wait(t, h.conn, "open")
		c.Out().Append(engine.NoLoop, []byte("x"))
		c.Out().Flush(engine.NoLoop)
		if r := wait(t, h.closed, "close"); r != ReasonWriteError {
			t.Errorf("panic in Seal: reason %v", r)
		}
		if w.g.Panics() == 0 {
			t.Error("panic not counted")
		}
	})
}

type panicStage struct{}

func (panicStage) Open([]byte, func([]byte) error) error { return nil }
func (panicStage) Seal([]byte, []byte) ([]byte, error)   { panic("boom") }
func (panicStage) Finish(dst []byte, r Reason) []byte    { return dst }

// TestHold: output behind a held stage waits, what the stage itself sends overtakes it, and kick asks
// the stage for bytes of its own.
func TestHold(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		h := newHand()
		nc := w.dial(w.listen(h.accept))
		c := wait(t, h.conn, "open")
		s := &lineStage{name: "s"}
		me := c.Loop().Index()
		w.on(c, func() {
			c.Out().Append(me, []byte("info "))
			c.push(s, true)
			c.Out().Append(me, []byte("later"))
		})
		c.Out().Append(engine.NoLoop, []byte("!"))
		c.Out().Flush(engine.NoLoop)
		w.on(c, func() { c.writeBelow(s, []byte("hello ")) })
		w.on(c, func() { c.writeBelow(s, []byte("done ")) })
		head := make([]byte, len("info hello done "))
		if _, err := io.ReadFull(nc, head); err != nil || string(head) != "info hello done " {
			t.Fatalf("%q %v", head, err)
		}
		if n := c.Out().Pending(); n != 6 {
			t.Errorf("pending %d", n)
		}
		w.on(c, func() {
			c.releaseHold()
			c.kick()
			c.writeBelow(s, []byte("control"))
			c.CloseAfterFlush(ReasonKicked)
		})
		got, err := io.ReadAll(nc)
		switch string(got) { // "later" and "!" are of two producers: either may flush first
		case "<s:5:later><s:1:!><s:0:>control<s-end>", "<s:6:later!><s:0:>control<s-end>",
			"<s:1:!><s:5:later><s:0:>control<s-end>", "<s:6:!later><s:0:>control<s-end>":
		default:
			t.Errorf("got %q %v", got, err)
		}
		if err != nil {
			t.Error(err)
		}
	})
}

// TestCloseDuringHold: what waited for a handshake that never ended is dropped, the close is not held.
func TestCloseDuringHold(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{})
		h := newHand()
		nc := w.dial(w.listen(h.accept))
		c := wait(t, h.conn, "open")
		s := &lineStage{name: "s"}
		w.on(c, func() {
			c.push(s, true)
			c.Out().Append(c.Loop().Index(), []byte("secret"))
			c.Out().Flush(c.Loop().Index())
			c.writeBelow(s, []byte("alert"))
			c.CloseAfterFlush(ReasonTLSHandshake)
		})
		if got, err := io.ReadAll(nc); string(got) != "alert" || err != nil {
			t.Errorf("got %q %v", got, err)
		}
		if r := wait(t, h.closed, "close"); r != ReasonTLSHandshake {
			t.Errorf("reason %v", r)
		}
	})
}

// TestFrameRetained: a handler that retains the read frame keeps its bytes although reading goes on.
func TestFrameRetained(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		w := newWorld(t, backend, Config{Loops: 1, ReadBuffer: 128 << 10})
		h := newHand()
		type kept struct {
			f *bufpool.Frame
			b []byte
		}
		var all []kept
		total, done := 0, make(chan struct{})
		h.data = func(_ *Conn, b []byte, f *bufpool.Frame) {
			if f == nil {
				t.Error("no frame")
				return
			}
			f.Retain()
			all = append(all, kept{f, b})
			if total += len(b); total == 1<<20 {
				close(done)
			}
		}
		nc := w.dial(w.listen(h.accept))
		want := pattern(1<<20, 8)
		if _, err := nc.Write(want); err != nil {
			t.Fatal(err)
		}
		wait(t, done, "data")
		var got []byte
		for _, k := range all {
			got = append(got, k.b...)
		}
		if !bytes.Equal(got, want) {
			t.Error("retained bytes changed")
		}
		w.stop()
		for _, k := range all {
			k.f.Release()
		}
	})
}
