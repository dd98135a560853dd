package mqtt

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

var open = Limits{MaxPacket: 1 << 20, Connected: true}

func str(s string) []byte { return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...) }

func packet(first byte, body ...[]byte) []byte {
	b := bytes.Join(body, nil)
	return append(AppendLength([]byte{first}, len(b)), b...)
}

func TestNextAccepts(t *testing.T) {
	for _, tc := range []struct {
		in   []byte
		want Packet
	}{
		{packet(0x30, str("a/b"), []byte("hi")), Packet{Type: PUBLISH, Topic: []byte("a/b"), Payload: []byte("hi")}},
		{packet(0x3B, str("a"), []byte{1, 2}, []byte("x")), Packet{Type: PUBLISH, Flags: 0xB, ID: 0x102, Topic: []byte("a"), Payload: []byte("x")}},
		{packet(0x35, str("a"), []byte{0, 2}), Packet{Type: PUBLISH, Flags: 5, ID: 2, Topic: []byte("a")}},
		{packet(0x40, []byte{0, 9}), Packet{Type: PUBACK, ID: 9}},
		{packet(0x62, []byte{0, 9}), Packet{Type: PUBREL, Flags: 2, ID: 9}},
		{packet(0xC0), Packet{Type: PINGREQ}},
		{packet(0xE0), Packet{Type: DISCONNECT}},
		{packet(0x82, []byte{0, 1}, str("a/#"), []byte{2}), Packet{Type: SUBSCRIBE, Flags: 2, ID: 1, Body: append(str("a/#"), 2)}},
		{packet(0xA2, []byte{0, 1}, str("a"), str("b")), Packet{Type: UNSUBSCRIBE, Flags: 2, ID: 1, Body: append(str("a"), str("b")...)}},
	} {
		var p Packet
		n, _, err := Next(append(tc.in, 0xFF), &open, &p)
		if err != nil || n != len(tc.in) {
			t.Fatalf("%x: n=%d err=%v", tc.in, n, err)
		}
		if fmt.Sprintf("%+v", p) != fmt.Sprintf("%+v", tc.want) {
			t.Errorf("%x: got %+v, want %+v", tc.in, p, tc.want)
		}
	}
}

func TestNextRefuses(t *testing.T) {
	closed := Limits{MaxPacket: 100}
	for _, tc := range []struct {
		in   []byte
		lim  *Limits
		want string
	}{
		{[]byte{0x30}, &closed, "the first packet should be a CONNECT (16), got 48"},
		{[]byte("GET / HTTP/1.1\r\n"), &closed, "must connect to the Websocket port"},
		{[]byte("GEX"), &closed, "the first packet should be a CONNECT"},
		{[]byte{0x11}, &closed, "invalid fixed header flags 1 for packet type 10"},
		{[]byte{0x10, 0xFF, 0xFF, 0xFF, 0xFF}, &closed, "malformed variable int"},
		{[]byte{0x10, 0xFF, 0x7F}, &closed, "maximum payload exceeded: 16386 vs 100"},
		{[]byte{0xF0}, &open, "received unknown packet type 15"},
		{[]byte{0x20}, &open, "received unknown packet type 2"},
		{[]byte{0x60}, &open, "invalid fixed header flags 0 for packet type 60"},
		{[]byte{0x80}, &open, "invalid fixed header flags 0 for packet type 80"},
		{[]byte{0xC0, 1}, &open, "invalid remaining length 1 for packet type c0"},
		{[]byte{0x40, 3}, &open, "invalid remaining length 3 for packet type 40"},
		{packet(0x40, []byte{0, 0}), &open, "packet identifier cannot be 0"},
		{packet(0x36, str("a"), []byte{0, 1}), &open, "QoS=3 is invalid in MQTT"},
		{packet(0x32, str("a"), []byte{0, 0}), &open, "with QoS=1, packet identifier cannot be 0"},
		{packet(0x32, str("a"), []byte{0}), &open, "error reading packet identifier"},
		{packet(0x30, []byte{0, 5, 'a'}), &open, "error reading topic: unexpected EOF"},
		{packet(0x30, str("")), &open, "topic cannot be empty"},
		{packet(0x30, str("a\x00")), &open, "invalid null character in topic"},
		{packet(0x30, str("a\xFF")), &open, "invalid utf8 for topic"},
		{packet(0x82, []byte{0, 1}), &open, "subscribe protocol must contain at least 1 topic filter"},
		{packet(0xA2, []byte{0, 1}), &open, "unsubscribe protocol must contain at least 1 topic filter"},
		{packet(0x82, []byte{0, 1}, str("a"), []byte{3}), &open, "subscribe QoS value must be 0, 1 or 2, got 3"},
		{packet(0x82, []byte{0, 1}, str("a")), &open, "error reading QoS"},
		{packet(0x82, []byte{0, 1}, str(""), []byte{0}), &open, "topic filter cannot be empty"},
		{packet(0x82, []byte{0}), &open, "error reading packet identifier"},
	} {
		var p Packet
		n, _, err := Next(tc.in, tc.lim, &p)
		if err == nil || n != 0 || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: n=%d err=%v, want %q", tc.in, n, err, tc.want)
		}
	}
	var p Packet
	if _, _, err := Next([]byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F}, &open, &p); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error of a large packet: %v", err)
	}
}

// collect decodes data given in pieces and lists what came out.
func collect(data []byte, cut func(rest int) int, lim Limits) (out []string) {
	var buf []byte
	var p Packet
	for len(data) > 0 {
		k := cut(len(data))
		buf, data = append(buf, data[:k]...), data[k:]
		for {
			n, need, err := Next(buf, &lim, &p)
			if err != nil {
				return append(out, "error: "+err.Error())
			}
			if n == 0 {
				if need > 0 && need <= len(buf) {
					return append(out, "need does not grow")
				}
				break
			}
			out = append(out, fmt.Sprintf("%+v", p))
			lim.Connected = true
			buf = buf[n:]
		}
	}
	return out
}

func FuzzNext(f *testing.F) {
	f.Add(packet(0x30, str("a/b"), []byte("hi")), uint8(1), true)
	f.Add(append(packet(0x10, str("MQTT"), []byte{4, 2, 0, 1}, str("")), packet(0x82, []byte{0, 1}, str("a/#"), []byte{2})...), uint8(3), false)
	f.Add([]byte("GET / HTTP/1.1"), uint8(1), false)
	f.Fuzz(func(t *testing.T, data []byte, step uint8, connected bool) {
		lim := Limits{MaxPacket: 4096, Connected: connected}
		whole := collect(data, func(n int) int { return n }, lim)
		parts := collect(data, func(n int) int { return min(n, int(step%7)+1) }, lim)
		if fmt.Sprint(whole) != fmt.Sprint(parts) {
			t.Fatalf("cut every %d: %q, whole: %q", step%7+1, parts, whole)
		}
		var p Packet
		if n, _, err := Next(data, &lim, &p); err == nil && n > 0 {
			p.Filters(func(topic []byte, qos byte) {
				if p.Type != SUBSCRIBE && p.Type != UNSUBSCRIBE {
					return
				}
				if len(topic) == 0 || qos > 2 {
					t.Fatalf("filter %q qos %d", topic, qos)
				}
			})
			if p.Type == PUBLISH {
				again := append(AppendPublishHead(nil, p.Flags, p.Topic, p.ID, len(p.Payload)), p.Payload...)
				var q Packet
				if m, _, err := Next(again, &lim, &q); err != nil || m != len(again) || fmt.Sprint(p) != fmt.Sprint(q) {
					t.Fatalf("encoded again: %v %v, %+v, was %+v", m, err, q, p)
				}
			}
		}
	})
}

func TestPublishDoesNotAllocate(t *testing.T) {
	in := packet(0x32, str("some/topic/x"), []byte{0, 7}, []byte("payload"))
	var p Packet
	var subj, out [128]byte
	lim := open
	n := testing.AllocsPerRun(100, func() {
		if _, _, err := Next(in, &lim, &p); err != nil {
			t.Fatal(err)
		}
		s, err := AppendSubject(subj[:0], p.Topic, false)
		if err != nil {
			t.Fatal(err)
		}
		AppendPublishFor(out[:0], p.Flags, s, 9, len(p.Payload))
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func connectBody(flags byte, fields ...string) []byte {
	b := append(str("MQTT"), 4, flags, 0, 10)
	for _, f := range fields {
		b = append(b, str(f)...)
	}
	return b
}

func TestParseConnect(t *testing.T) {
	var c Connect
	code, err := ParseConnect(connectBody(0xF6, "id", "w/t", "gone", "u", "p"), false, &c)
	if err != nil || code != 0 {
		t.Fatal(code, err)
	}
	if c.ClientID != "id" || !c.Clean || c.KeepAlive != 10 || c.User != "u" || c.Password != "p" ||
		string(c.Will.Topic) != "w/t" || string(c.Will.Message) != "gone" || c.Will.QoS != 2 || !c.Will.Retain {
		t.Errorf("%+v %+v", c, c.Will)
	}
	for _, tc := range []struct {
		body []byte
		code byte
		want string
	}{
		{nil, 0, "error reading protocol name"},
		{str("MQIsdp"), 0, `older protocol "MQIsdp" not supported`},
		{str("XMTT"), 0, `expected connect packet with protocol name "MQTT", got "XMTT"`},
		{append(str("MQTT"), 5, 0, 0, 0), BadProtocolVersion, "unacceptable protocol version of 5"},
		{append(str("MQTT"), 4), 0, "error reading flags"},
		{connectBody(0x01), 0, "reserved bit"},
		{connectBody(0x08), 0, "Will QoS must be 0 too, got 1"},
		{connectBody(0x20), 0, "Will Retain flag must be 0 too"},
		{connectBody(0x1C), 0, "Will QoS can be 0, 1 or 2, got 3"},
		{connectBody(0x40), 0, "password flag set but username flag is not"},
		{append(str("MQTT"), 4, 0, 0), 0, "error reading keep alive"},
		{connectBody(0), 0, "error reading client ID"},
		{connectBody(0, ""), IdentifierRejected, "clean session flag must be set"},
		{connectBody(2, "a.b"), IdentifierRejected, `invalid character in client ID "a.b"`},
		{connectBody(2, "a\xFF"), IdentifierRejected, "invalid utf8 for client ID"},
		{connectBody(6, "a", ""), 0, "empty Will topic"},
		{connectBody(6, "a", "w+"), 0, "wildcards not allowed"},
		{connectBody(6, "a", "w"), 0, "error reading Will message"},
		{connectBody(0x82, "a", ""), BadUserOrPassword, "empty user name"},
		{connectBody(0x82, "a", "\x00"), BadUserOrPassword, "invalid null character in user name"},
		{connectBody(0xC2, "a", "u"), 0, "error reading password"},
		{connectBody(2, "a", "more"), 0, "bytes after the last field"},
	} {
		var c Connect
		code, err := ParseConnect(tc.body, false, &c)
		if err == nil || code != tc.code || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: code %d, %v; want %d %q", tc.body, code, err, tc.code, tc.want)
		}
	}
	if code, err := ParseConnect(connectBody(0x16, "a", "w", ""), true, &c); code != WillQoS2Rejected || err == nil {
		t.Error(code, err)
	}
}

func FuzzParseConnect(f *testing.F) {
	f.Add(connectBody(0xF6, "id", "w/t", "gone", "u", "p"), false)
	f.Fuzz(func(t *testing.T, body []byte, reject bool) {
		var c Connect
		code, err := ParseConnect(body, reject, &c)
		if err == nil && (code != 0 || c.ClientID == "" && !c.Clean || c.HasPassword && !c.HasUser) {
			t.Fatalf("%x accepted: %+v", body, c)
		}
	})
}

func TestAppend(t *testing.T) {
	for _, tc := range []struct{ got, want []byte }{
		{AppendAck(nil, PUBACK, 0x102), []byte{0x40, 2, 1, 2}},
		{AppendAck(nil, PUBREL, 3), []byte{0x62, 2, 0, 3}},
		{AppendAck(nil, UNSUBACK, 3), []byte{0xB0, 2, 0, 3}},
		{AppendConnAck(nil, 0, true), []byte{0x20, 2, 1, 0}},
		{AppendConnAck(nil, NotAuthorized, true), []byte{0x20, 2, 0, 5}},
		{AppendSubAck(nil, 4, []byte{0, 0x80}), []byte{0x90, 4, 0, 4, 0, 0x80}},
		{AppendPingResp(nil), []byte{0xD0, 0}},
		{AppendLength(nil, MaxRemaining), []byte{0xFF, 0xFF, 0xFF, 0x7F}},
	} {
		if !bytes.Equal(tc.got, tc.want) {
			t.Errorf("got %x, want %x", tc.got, tc.want)
		}
	}
}
