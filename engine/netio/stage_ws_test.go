package netio

import (
	"bytes"
	"io"
	mrand "math/rand/v2"
	"net"
	"strings"
	"testing"

	"ramjet/proto/base/bufpool"
	"ramjet/proto/ws"
)

// wsFrame is a frame as the peer sees it.
type wsFrame struct {
	b0      byte
	payload string
}

// wsPeer speaks raw frames.
type wsPeer struct {
	t  *testing.T
	nc net.Conn
}

// send writes one masked frame with any first byte.
func (p *wsPeer) send(b0 byte, payload string) {
	p.t.Helper()
	if _, err := p.nc.Write(maskedFrame(b0, payload)); err != nil {
		p.t.Fatal(err)
	}
}

func maskedFrame(b0 byte, payload string) []byte {
	key := [4]byte{9, 8, 7, 6}
	f := ws.AppendHeader(nil, 0, false, false, len(payload), &key)
	f[0] = b0
	at := len(f)
	f = append(f, payload...)
	ws.Mask(f[at:], key, 0)
	return f
}

// read reads one unmasked frame; io.EOF gives an empty one with b0 0.
func (p *wsPeer) read() wsFrame {
	p.t.Helper()
	var h [8]byte
	if _, err := io.ReadFull(p.nc, h[:2]); err != nil {
		if err == io.EOF {
			return wsFrame{}
		}
		p.t.Fatal(err)
	}
	n, b0 := int(h[1]), h[0]
	ext := map[int]int{126: 2, 127: 8}[n]
	if n >= 128 {
		p.t.Fatal("masked frame from a server")
	}
	if ext > 0 {
		if _, err := io.ReadFull(p.nc, h[:ext]); err != nil {
			p.t.Fatal(err)
		}
		n = 0
		for _, c := range h[:ext] {
			n = n<<8 | int(c)
		}
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(p.nc, b); err != nil {
		p.t.Fatal(err)
	}
	return wsFrame{b0, string(b)}
}

func wsServer(t *testing.T, backend string, spec WebsocketSpec, h *stageEcho) *wsPeer {
	_, addr := stageServer(t, backend, func(c *Conn) Handler {
		c.Push(NewWebsocket(c, spec))
		return h
	})
	return &wsPeer{t, dialStage(t, addr)}
}

func deflated(t *testing.T, s string) string {
	b, err := new(ws.Deflater).Append(nil, []byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWebsocketFrames(t *testing.T) {
	long := strings.Repeat("a", 9000)
	noise := make([]byte, 9000)
	for i, r := 0, mrand.New(mrand.NewPCG(1, 2)); i < len(noise); i++ {
		noise[i] = byte(r.Uint32())
	}
	cases := []struct {
		name string
		spec WebsocketSpec
		send []wsFrame
		want []wsFrame
		end  Reason
	}{
		{name: "binary and text", send: []wsFrame{{0x82, "one"}, {0x81, "two"}}, want: []wsFrame{{0x82, "one"}, {0x82, "two"}}},
		{name: "fragments", send: []wsFrame{{0x01, "on"}, {0x89, "hi"}, {0x80, "e"}}, want: []wsFrame{{0x82, "on"}, {0x8a, "hi"}, {0x82, "e"}}},
		{name: "close", send: []wsFrame{{0x88, "\x03\xe8bye"}}, want: []wsFrame{{0x88, "\x03\xe8bye"}, {}}, end: ReasonClientClosed},
		{name: "empty close", send: []wsFrame{{0x88, ""}}, want: []wsFrame{{0x88, ""}, {}}, end: ReasonClientClosed},
		{name: "bad close", send: []wsFrame{{0x88, "a"}}, want: []wsFrame{{0x88, "\x03\xeaclose frame payload cannot be 1 byte"}, {}}, end: ReasonReadError},
		{name: "bad text", send: []wsFrame{{0x88, "\x03\xe8\xff"}}, want: []wsFrame{{0x88, "\x03\xefinvalid utf8 body in close frame"}, {}}, end: ReasonReadError},
		{name: "data, then violation", send: []wsFrame{{0x82, "one"}, {0x83, ""}}, want: []wsFrame{{0x82, "one"}, {0x88, "\x03\xeaunknown opcode 3"}, {}}, end: ReasonReadError},
		{name: "compressed without agreement", send: []wsFrame{{0xc2, "x"}}, want: []wsFrame{{0x88, "\x03\xeacompressed frame received without negotiated permessage-deflate"}, {}}, end: ReasonReadError},
		{name: "compressed", spec: WebsocketSpec{Compress: true}, send: []wsFrame{{0xc2, deflated(t, "one")}, {0x82, "two"}}, want: []wsFrame{{0x82, "one"}, {0x82, "two"}}},
		{name: "compressed fragments", spec: WebsocketSpec{Compress: true}, send: []wsFrame{{0x42, deflated(t, "one")[:2]}, {0x80, deflated(t, "one")[2:]}}, want: []wsFrame{{0x82, "one"}}},
		{name: "compressed answer", spec: WebsocketSpec{Compress: true}, send: []wsFrame{{0x82, long}}, want: []wsFrame{{0xc2, deflated(t, long)}}},
		{name: "not smaller", spec: WebsocketSpec{Compress: true}, send: []wsFrame{{0x82, string(noise)}}, want: []wsFrame{{0x82, string(noise)}}},
		{name: "browser", spec: WebsocketSpec{FrameLimit: 4096}, send: []wsFrame{{0x82, long}}, want: []wsFrame{{0x82, long[:4096]}, {0x82, long[:4096]}, {0x82, long[:808]}}},
		{name: "corrupt", spec: WebsocketSpec{Compress: true}, send: []wsFrame{{0xc2, "\xff\xff\xff\xff\x01"}}, want: []wsFrame{{0x88, "\x03\xeaflate: corrupt input before offset 1"}, {}}, end: ReasonReadError},
		{name: "too much", spec: WebsocketSpec{Compress: true, MaxPayload: func() int64 { return 3 }}, send: []wsFrame{{0xc2, deflated(t, "four")}}, want: []wsFrame{{0x82, "fou"}, {0x88, "\x03\xf1maximum payload exceeded"}, {}}, end: ReasonMaxPayload},
		{name: "too much compressed", spec: WebsocketSpec{Compress: true, MaxPayload: func() int64 { return 1000 }}, send: []wsFrame{{0x42, string(noise)}}, want: []wsFrame{{0x88, "\x03\xf1maximum payload exceeded"}, {}}, end: ReasonMaxPayload},
	}
	eachBackend(t, func(t *testing.T, backend string) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				ends := make(chan closing, 1)
				p := wsServer(t, backend, c.spec, &stageEcho{closed: func(n *Conn, r Reason) { ends <- closing{r, n.Err()} }})
				got := make([]wsFrame, 0, len(c.want))
				step := len(c.want) == len(c.send) // else answer and question do not pair: send all at once
				var all []byte
				for _, f := range c.send {
					if !step {
						all = append(all, maskedFrame(f.b0, f.payload)...)
						continue
					}
					p.send(f.b0, f.payload)
					got = append(got, p.read())
				}
				if !step {
					if _, err := p.nc.Write(all); err != nil {
						t.Fatal(err)
					}
				}
				for len(got) < len(c.want) {
					got = append(got, p.read())
				}
				joined, want := joinFrames(got), joinFrames(c.want)
				if joined != want {
					t.Errorf("got %.300q\nwant %.300q", joined, want)
				}
				if c.end != ReasonUnknown {
					p.nc.Close()
					if e := await(t, "close", ends); e.reason != c.end || e.err == nil {
						t.Errorf("closed: %v, %v", e.reason, e.err)
					}
				}
			})
		}
	})
}

func joinFrames(fs []wsFrame) string {
	var b strings.Builder
	for _, f := range fs {
		b.WriteByte(f.b0)
		b.WriteString(f.payload)
		b.WriteByte('|')
	}
	return b.String()
}

// TestWebsocketCloseCodes: the status follows the close reason, and nothing comes after it.
func TestWebsocketCloseCodes(t *testing.T) {
	for r, want := range map[Reason]string{ReasonAuthTimeout: "\x03\xf0Authentication Timeout", ReasonServerShutdown: "\x03\xe9Server Shutdown",
		ReasonProtocolViolation: "\x03\xeaProtocol Violation", ReasonMaxPayload: "\x03\xf1Maximum Message Payload Exceeded", ReasonKicked: "\x03\xf3Kicked"} {
		p := wsServer(t, stageBackends()[0], WebsocketSpec{}, &stageEcho{data: func(c *Conn, _ []byte) bool {
			c.Out().Append(c.Loop().Index(), []byte("-ERR"))
			c.CloseAfterFlush(r)
			return true
		}})
		p.send(0x82, "x")
		if f := p.read(); f != (wsFrame{0x82, "-ERR"}) {
			t.Errorf("%v: %q", r, f)
		}
		if f := p.read(); f != (wsFrame{0x88, want}) {
			t.Errorf("%v: %q", r, f)
		}
		if f := p.read(); f != (wsFrame{}) {
			t.Errorf("%v: %q", r, f)
		}
	}
}

// TestWebsocketPingFlood: unread pongs stay within bounds and the newest ping is answered.
func TestWebsocketPingFlood(t *testing.T) {
	s := NewWebsocket(nil, WebsocketSpec{}).(*wsStage)
	for i := range 10000 {
		s.pong(bytes.Repeat([]byte{byte(i)}, 125))
	}
	if len(s.ctl) > maxControls || !bytes.HasSuffix(s.ctl, bytes.Repeat([]byte{byte(9999 & 0xFF)}, 125)) {
		t.Errorf("%d bytes queued", len(s.ctl))
	}
	out, err := s.Seal(nil, nil)
	if err != nil || len(out) == 0 || len(s.ctl) != 0 {
		t.Errorf("%d bytes sealed, %d left, %v", len(out), len(s.ctl), err)
	}
}

// TestWebsocketClientRole: two stages of opposite roles understand each other.
func TestWebsocketClientRole(t *testing.T) {
	for _, spec := range []WebsocketSpec{{}, {NoMask: true}, {Compress: true}, {Compress: true, FrameLimit: 100}} {
		keys := byte(0)
		cspec := spec
		cspec.Client, cspec.MaskKey = true, func() [4]byte { keys++; return [4]byte{keys, 1, 2, 3} }
		client, server := NewWebsocket(nil, cspec), NewWebsocket(nil, spec)
		want := strings.Repeat("PUB foo 5\r\nhello\r\n", 100)
		b, err := client.Seal(nil, []byte(want))
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		collect := func(p []byte) error { got = append(got, p...); return nil }
		if err := server.Open(b, collect); err != nil || string(got) != want {
			t.Errorf("%+v: %q %v", spec, got, err)
		}
		if (keys > 0) == spec.NoMask {
			t.Errorf("%+v: %d keys", spec, keys)
		}
		got = nil
		if b, err = server.Seal(nil, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if err := client.Open(b, collect); err != nil || string(got) != want {
			t.Errorf("%+v: %q %v", spec, got, err)
		}
	}
}

func TestWebsocketStageAllocatesNothing(t *testing.T) {
	s := NewWebsocket(nil, WebsocketSpec{})
	frame := maskedFrame(0x82, "PUB foo 5\r\nhello\r\n")
	in, out := make([]byte, len(frame)), make([]byte, 0, 4096)
	emit := func([]byte) error { return nil }
	if n := testing.AllocsPerRun(1000, func() {
		copy(in, frame)
		if err := s.Open(in, emit); err != nil {
			t.Fatal(err)
		}
		var err error
		if out, err = s.Seal(out[:0], in); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestWebsocketOverTLS: both stages, large transfers in both directions.
func TestWebsocketOverTLS(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		sconf, cconf := tlsConfigs(tlsVersions["1.3"])
		_, addr := stageServer(t, backend, func(*Conn) Handler {
			return &stageEcho{
				open:    func(c *Conn) { c.StartTLS(TLSSpec{Config: sconf}) },
				secured: func(c *Conn) { c.Push(NewWebsocket(c, WebsocketSpec{})) },
			}
		})
		p := &wsPeer{t, tlsDial(t, addr, cconf)}
		data := strings.Repeat("0123456789abcdef", 1<<12)
		go func() {
			for range 20 {
				_, _ = p.nc.Write(maskedFrame(0x82, data))
				_, _ = p.nc.Write(maskedFrame(0x89, "ping"))
			}
		}()
		var got, pongs int
		for got < 20*len(data) || pongs < 20 {
			switch f := p.read(); f.b0 {
			case 0x82:
				got += len(f.payload)
			case 0x8a:
				pongs++
			default:
				t.Fatalf("%+v", f)
			}
		}
	})
}

func BenchmarkWebsocketStage(b *testing.B) {
	s := NewWebsocket(nil, WebsocketSpec{})
	frame := maskedFrame(0x82, strings.Repeat("PUB foo 5\r\nhello\r\n", 50))
	out := make([]byte, 0, 4096)
	emit := func([]byte) error { return nil }
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Open(frame, emit); err != nil {
			b.Fatal(err)
		}
		out, _ = s.Seal(out[:0], frame)
	}
}

// TestWebsocketOneFramePerFlush: a payload by reference shares its frame with head and tail.
func TestWebsocketOneFramePerFlush(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		_, addr := stageServer(t, backend, func(c *Conn) Handler {
			c.Push(NewWebsocket(c, WebsocketSpec{}))
			return &stageEcho{data: func(c *Conn, b []byte) bool {
				f := bufpool.Get(20000)
				copy(f.B, strings.Repeat("p", 20000))
				c.Out().AppendRef(c.Loop().Index(), []byte("head"), f, f.B, []byte("tail"), 1)
				f.Release()
				return true
			}}
		})
		p := &wsPeer{t, dialStage(t, addr)}
		p.send(0x82, "go")
		if f := p.read(); f.b0 != 0x82 || f.payload != "head"+strings.Repeat("p", 20000)+"tail" {
			t.Errorf("%x, %d bytes", f.b0, len(f.payload))
		}
	})
}
