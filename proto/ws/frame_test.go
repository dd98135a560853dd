package ws

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

var testKey = [4]byte{1, 2, 3, 4}

// frame builds a frame with any first byte, masked or not.
func frame(b0 byte, payload string, masked bool) []byte {
	var key *[4]byte
	if masked {
		key = &testKey
	}
	f := AppendHeader(nil, 0, false, false, len(payload), key)
	f[0] = b0
	at := len(f)
	f = append(f, payload...)
	if masked {
		Mask(f[at:], testKey, 0)
	}
	return f
}

// transcript decodes in, cut into pieces by cut, and renders what was found. The pieces of a message
// are joined, since where they are cut is not promised.
func transcript(d *Decoder, in []byte, cut func(left int) int) string {
	var out strings.Builder
	var msg []byte
	for len(in) > 0 {
		n := cut(len(in))
		piece := bytes.Clone(in[:n])
		in = in[n:]
		for {
			var ev Event
			used, err := d.Next(piece, &ev)
			if used > len(piece) {
				panic("over-read")
			}
			if err != nil {
				fmt.Fprintf(&out, "%q error %d %s", msg, err.Code, err.Text)
				return out.String()
			}
			piece = piece[used:]
			if ev.Kind == EventNone {
				if len(piece) > 0 {
					panic("input left")
				}
				break
			}
			switch ev.Kind {
			case EventData:
				if msg = append(msg, ev.Payload...); ev.Final {
					fmt.Fprintf(&out, "%q/%v ", msg, ev.Compressed)
					msg = nil
				}
			case EventPing:
				fmt.Fprintf(&out, "ping%q ", ev.Payload)
			case EventPong:
				fmt.Fprintf(&out, "pong%q ", ev.Payload)
			case EventClose:
				c, text, err := ParseClose(ev.Payload)
				fmt.Fprintf(&out, "close%d%q%v ", c, text, err)
			}
		}
	}
	fmt.Fprintf(&out, "%q", msg)
	return out.String()
}

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// The texts are those nats-server 2.15.2 puts in its close frame or log for the same bytes.
var frameCases = []struct {
	name    string
	deflate bool
	in      []byte
	want    string
}{
	{"binary", false, frame(0x82, "PING\r\n", true), `"PING\r\n"/false ""`},
	{"text", false, frame(0x81, "PING\r\n", true), `"PING\r\n"/false ""`},
	{"fragments", false, cat(frame(0x01, "PI", true), frame(0x89, "hello", true), frame(0x00, "", true), frame(0x80, "NG", true)), `ping"hello" "PING"/false ""`},
	{"empty", false, cat(frame(0x82, "", true), frame(0x82, "", true)), `""/false ""/false ""`},
	{"length 126", false, frame(0x82, strings.Repeat("a", 126), true), fmt.Sprintf("%q/false \"\"", strings.Repeat("a", 126))},
	{"length 64k", false, frame(0x82, strings.Repeat("a", 1<<16), true), fmt.Sprintf("%q/false \"\"", strings.Repeat("a", 1<<16))},
	{"length not minimal", false, []byte("\x82\xfe\x00\x06\x00\x00\x00\x00PING\r\n"), `"PING\r\n"/false ""`},
	{"pong", false, frame(0x8a, "x", true), `pong"x" ""`},
	{"compressed", true, cat(frame(0x42, "ab", true), frame(0x80, "c", true), frame(0x82, "d", true)), `"abc"/true "d"/false ""`},
	{"continuation first", false, frame(0x80, "a", true), `"" error 1002 invalid continuation frame`},
	{"compressed continuation", true, cat(frame(0x02, "a", true), frame(0xc0, "b", true)), `"a" error 1002 invalid continuation frame`},
	{"second start", false, cat(frame(0x02, "a", true), frame(0x82, "b", true)), `"a" error 1002 new message started before final frame for previous message was received`},
	{"no mask", false, frame(0x82, "a", false), `"" error 1002 mask bit missing`},
	{"no mask on ping", false, cat(frame(0x82, "a", true), frame(0x89, "", false)), `"a"/false "" error 1002 mask bit missing`},
	{"rsv2", false, frame(0xa2, "a", true), `"" error 1002 RSV2 and RSV3 must be clear`},
	{"rsv3", true, frame(0x92, "a", true), `"" error 1002 RSV2 and RSV3 must be clear`},
	{"rsv1", false, frame(0xc2, "a", true), `"" error 1002 compressed frame received without negotiated permessage-deflate`},
	{"opcode 3", false, frame(0x83, "", true), `"" error 1002 unknown opcode 3`},
	{"opcode 11", false, frame(0x8b, "", true), `"" error 1002 unknown opcode 11`},
	{"ping 126", false, frame(0x89, strings.Repeat("a", 126), true), `"" error 1002 control frame length bigger than maximum allowed of 125 bytes`},
	{"ping 125", false, frame(0x89, strings.Repeat("a", 125), true), fmt.Sprintf("ping%q \"\"", strings.Repeat("a", 125))},
	{"ping not final", false, frame(0x09, "a", true), `"" error 1002 control frame does not have final bit set`},
	{"ping compressed", true, frame(0xc9, "a", true), `"" error 1002 control frame must not be compressed`},
	{"length 2^63", false, []byte("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04abc"), `"" error 1002 invalid 64-bit payload length`},
	{"close", false, frame(0x88, "\x03\xe8bye", true), `close1000"bye"<nil> ""`},
	{"close empty", false, frame(0x88, "", true), `close1005""<nil> ""`},
	{"close 1 byte", false, frame(0x88, "a", true), `close0""close frame payload cannot be 1 byte ""`},
	{"close 1005", false, frame(0x88, "\x03\xed", true), `close0""invalid close status code 1005 ""`},
	{"close bad text", false, frame(0x88, "\x03\xe8\xff\xfe", true), `close0""invalid utf8 body in close frame ""`},
}

func TestDecoder(t *testing.T) {
	for _, c := range frameCases {
		for _, step := range []int{1 << 20, 1, 2, 3, 5, 7, 13, 14} {
			if step < 5 && len(c.in) > 1000 {
				continue
			}
			d := &Decoder{RequireMask: true, Deflate: c.deflate}
			if got := transcript(d, c.in, func(left int) int { return min(step, left) }); got != c.want {
				t.Errorf("%s, step %d: %.200s, want %.200s", c.name, step, got, c.want)
			}
		}
	}
}

func TestDecoderWithoutMask(t *testing.T) {
	in := cat(frame(0x82, "ab", false), frame(0x82, "cd", true))
	if got := transcript(new(Decoder), in, func(left int) int { return left }); got != `"ab"/false "cd"/false ""` {
		t.Error(got)
	}
}

func TestMask(t *testing.T) {
	for n := range 100 {
		for pos := range 8 {
			b := make([]byte, n)
			next := Mask(b, testKey, pos)
			for i, c := range b {
				if c != testKey[(pos+i)&3] {
					t.Fatalf("%d bytes at %d: byte %d is %d", n, pos, i, c)
				}
			}
			if next&3 != (pos+n)&3 {
				t.Fatalf("%d bytes at %d: next %d", n, pos, next)
			}
		}
	}
}

func TestCloseCodes(t *testing.T) {
	// As nats-server answered a close frame with each of these.
	for _, c := range []CloseCode{1000, 1001, 1002, 1003, 1007, 1008, 1011, 1012, 1013, 1014, 3000, 4999} {
		if !c.Valid() {
			t.Errorf("%d is valid", c)
		}
	}
	for _, c := range []CloseCode{0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535} {
		if c.Valid() {
			t.Errorf("%d is not valid", c)
		}
	}
}

func TestAppendClose(t *testing.T) {
	f := AppendClose(nil, CloseProtocol, "mask bit missing", nil)
	if string(f) != "\x88\x12\x03\xeamask bit missing" {
		t.Errorf("%q", f)
	}
	if f := AppendClose(nil, CloseNoStatus, "ignored", nil); string(f) != "\x88\x00" {
		t.Errorf("%q", f)
	}
	for n := range 200 {
		f := AppendClose(nil, CloseInternal, strings.Repeat("é", n), &testKey)
		got := transcript(&Decoder{RequireMask: true}, f, func(left int) int { return left })
		if !strings.HasPrefix(got, "close1011") || !strings.Contains(got, `<nil> ""`) || strings.Contains(got, "...") != (n > 61) {
			t.Fatalf("%d: %s", n, got)
		}
	}
}

func TestFramesAllocateNothing(t *testing.T) {
	in := cat(frame(0x82, "PUB a 5\r\n", true), frame(0x02, strings.Repeat("x", 300), true), frame(0x89, "hi", true), frame(0x80, "", true))
	buf := make([]byte, len(in))
	out := make([]byte, 0, 1024)
	d := &Decoder{RequireMask: true}
	if n := testing.AllocsPerRun(100, func() {
		copy(buf, in)
		for _, piece := range [][]byte{buf[:3], buf[3:]} {
			var ev Event
			for used := 0; ; {
				n, err := d.Next(piece[used:], &ev)
				if err != nil {
					t.Fatal(err)
				}
				if used += n; ev.Kind == EventNone {
					break
				}
			}
		}
		out = AppendHeader(out[:0], OpBinary, true, false, 300, nil)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, size := range []int{64, 1024, 65536} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			in := frame(0x82, strings.Repeat("x", size), true)
			d := &Decoder{RequireMask: true}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			var ev Event
			for b.Loop() {
				d.Next(in, &ev)
			}
		})
	}
}

// FuzzDecoder: no panic, no over-read, any split gives the same result.
func FuzzDecoder(f *testing.F) {
	for _, c := range frameCases {
		f.Add(c.in, uint64(len(c.name)), c.deflate)
	}
	f.Fuzz(func(t *testing.T, in []byte, seed uint64, deflate bool) {
		whole := transcript(&Decoder{RequireMask: seed&1 == 0, Deflate: deflate}, in, func(left int) int { return left })
		x := seed
		cut := func(left int) int {
			x = x*6364136223846793005 + 1442695040888963407
			return 1 + int(x>>33)%min(left, 20)
		}
		if got := transcript(&Decoder{RequireMask: seed&1 == 0, Deflate: deflate}, in, cut); got != whole {
			t.Fatalf("seed %d: %q, whole: %q", seed, got, whole)
		}
	})
}

// FuzzEncode: what is encoded is decoded to the same.
func FuzzEncode(f *testing.F) {
	f.Add([]byte("PING\r\n"), uint32(7), true)
	f.Add([]byte{}, uint32(0), false)
	f.Add(bytes.Repeat([]byte("x"), 70000), uint32(1), true)
	f.Fuzz(func(t *testing.T, payload []byte, k uint32, masked bool) {
		var key *[4]byte
		if masked {
			key = new([4]byte)
			binary.LittleEndian.PutUint32(key[:], k)
		}
		b := AppendHeader(nil, OpBinary, true, false, len(payload), key)
		at := len(b)
		b = append(b, payload...)
		if masked {
			Mask(b[at:], *key, 0)
		}
		var ev Event
		n, err := (&Decoder{RequireMask: masked}).Next(b, &ev)
		if err != nil || n != len(b) || !ev.Final || !bytes.Equal(ev.Payload, payload) {
			t.Fatalf("%d %v %+v", n, err, ev)
		}
	})
}
