package server

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"ramjet/engine/config"
	"ramjet/proto/mqtt"
	"ramjet/store/vfs"
)

// mqttPatience bounds every wait for something that must come.
const mqttPatience = 20 * time.Second

// mqttServer starts a server with MQTT on a disk in memory.
func mqttServer(t testing.TB, disk vfs.FS, o *config.Options) (*Server, *memLog) {
	t.Helper()
	if o.MQTT == nil {
		o.MQTT = &config.MQTTOptions{}
	}
	o.MQTT.Host, o.MQTT.Port = "127.0.0.1", -1
	if o.ServerName == "" {
		o.ServerName = "mq"
	}
	return jsServer(t, disk, o)
}

// mqttPeer is one end of an MQTT connection in tests. A failure ends the test.
type mqttPeer struct {
	t testing.TB
	c net.Conn
	r *bufio.Reader
}

// mqttLogin is what a test says in CONNECT.
type mqttLogin struct {
	id         string
	keep       bool // the session stays
	user, pass string
	keepAlive  uint16
	will       *mqtt.Will
}

func mqttDial(t testing.TB, s *Server) *mqttPeer {
	t.Helper()
	c, err := net.Dial("tcp", s.addrs.Load().mqtt.String())
	if err != nil {
		t.Fatal(err)
	}
	return mqttOver(t, c)
}

func mqttOver(t testing.TB, c net.Conn) *mqttPeer {
	t.Cleanup(func() { c.Close() })
	return &mqttPeer{t: t, c: c, r: bufio.NewReader(c)}
}

// mqttConnect dials and sends CONNECT; the return code must be 0, and the session present as said.
func mqttConnect(t testing.TB, s *Server, l mqttLogin, present bool) *mqttPeer {
	t.Helper()
	p := mqttDial(t, s)
	p.send(l.packet())
	want := "CONNACK 0000"
	if present {
		want = "CONNACK 0100"
	}
	p.want(want)
	return p
}

func mqttText(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

func mqttPacket(first byte, parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return append(mqtt.AppendLength([]byte{first}, len(b)), b...)
}

func (l *mqttLogin) packet() []byte {
	flags := byte(0)
	if !l.keep {
		flags |= 2
	}
	parts := [][]byte{mqttText("MQTT"), {4}, nil, binary.BigEndian.AppendUint16(nil, l.keepAlive), mqttText(l.id)}
	if w := l.will; w != nil {
		flags |= 4 | w.QoS<<3
		if w.Retain {
			flags |= 0x20
		}
		parts = append(parts, mqttText(string(w.Topic)), mqttText(string(w.Message)))
	}
	if l.user != "" {
		flags |= 0x80
		parts = append(parts, mqttText(l.user))
	}
	if l.pass != "" {
		flags |= 0x40
		parts = append(parts, mqttText(l.pass))
	}
	parts[2] = []byte{flags}
	return mqttPacket(0x10, parts...)
}

func (p *mqttPeer) send(b []byte) {
	p.t.Helper()
	if _, err := p.c.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// read returns the next packet as text: PUBLISH as "PUBLISH topic q1 retain dup: payload", others with their bytes
// in hex. It also returns the packet identifier of a PUBLISH.
func (p *mqttPeer) read() (text string, id uint16, err error) {
	if err := p.c.SetReadDeadline(time.Now().Add(mqttPatience)); err != nil {
		return "", 0, err
	}
	first, err := p.r.ReadByte()
	if err != nil {
		return "", 0, err
	}
	n, shift := 0, 0
	for {
		b, err := p.r.ReadByte()
		if err != nil {
			return "", 0, err
		}
		n |= int(b&0x7F) << shift
		if shift += 7; b&0x80 == 0 {
			break
		}
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(p.r, b); err != nil {
		return "", 0, err
	}
	kind := mqtt.Type(first & 0xF0)
	if kind != mqtt.PUBLISH {
		return strings.TrimSpace(fmt.Sprintf("%s %x", kind, b)), 0, nil
	}
	topic := b[2 : 2+int(b[0])<<8+int(b[1])]
	b = b[2+len(topic):]
	text = fmt.Sprintf("PUBLISH %s q%d", topic, mqtt.QoS(first))
	if mqtt.QoS(first) > 0 {
		id, b = binary.BigEndian.Uint16(b), b[2:]
	}
	if first&mqtt.FlagRetain != 0 {
		text += " retain"
	}
	if first&mqtt.FlagDup != 0 {
		text += " dup"
	}
	return text + ": " + string(b), id, nil
}

// want reads the next packet, which must be as said, and returns the identifier of a PUBLISH.
func (p *mqttPeer) want(text string) uint16 {
	p.t.Helper()
	got, id, err := p.read()
	if err != nil {
		p.t.Fatalf("%v, want %q", err, text)
	}
	if got != text {
		p.t.Fatalf("got %q, want %q", got, text)
	}
	return id
}

// wantClosed reads to the end of the connection, which must come without another packet.
func (p *mqttPeer) wantClosed() {
	p.t.Helper()
	if got, _, err := p.read(); err == nil {
		p.t.Fatalf("got %q, want the end", got)
	} else if e, ok := err.(net.Error); ok && e.Timeout() {
		p.t.Fatal("not closed")
	}
}

// flush makes sure that everything before it was handled, and that nothing else came.
func (p *mqttPeer) flush() {
	p.t.Helper()
	p.send([]byte{0xC0, 0})
	p.want("PINGRESP")
}

// subscribe subscribes filters ("a/b" and QoS in turn) and wants these codes.
func (p *mqttPeer) subscribe(codes string, filters ...any) {
	p.t.Helper()
	parts := [][]byte{{0, 1}}
	for i := 0; i < len(filters); i += 2 {
		parts = append(parts, mqttText(filters[i].(string)), []byte{byte(filters[i+1].(int))})
	}
	p.send(mqttPacket(0x82, parts...))
	p.want("SUBACK 0001" + codes)
}

// publish sends PUBLISH and goes through its exchange.
func (p *mqttPeer) publish(topic string, qos byte, retain bool, payload string) {
	p.t.Helper()
	p.send(mqttPublish(topic, qos, retain, 7, payload))
	switch qos {
	case 0:
		p.flush()
	case 1:
		p.want("PUBACK 0007")
	case 2:
		p.want("PUBREC 0007")
		p.send(mqtt.AppendAck(nil, mqtt.PUBREL, 7))
		p.want("PUBCOMP 0007")
	}
}

func mqttPublish(topic string, qos byte, retain bool, id uint16, payload string) []byte {
	flags := qos << 1
	if retain {
		flags |= mqtt.FlagRetain
	}
	return append(mqtt.AppendPublishHead(nil, flags, []byte(topic), id, len(payload)), payload...)
}

// receive wants a message and acknowledges it.
func (p *mqttPeer) receive(topic string, qos byte, more, payload string) {
	p.t.Helper()
	id := p.want(fmt.Sprintf("PUBLISH %s q%d%s: %s", topic, qos, more, payload))
	switch qos {
	case 1:
		p.send(mqtt.AppendAck(nil, mqtt.PUBACK, id))
	case 2:
		p.send(mqtt.AppendAck(nil, mqtt.PUBREC, id))
		p.want(fmt.Sprintf("PUBREL %04x", id))
		p.send(mqtt.AppendAck(nil, mqtt.PUBCOMP, id))
	}
}
