package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/proto/base/clock"
	"ramjet/proto/mqtt"
	"ramjet/proto/sysapi"
	"ramjet/store/vfs"
)

// TestMQTTStreams: the first client makes the streams of its account, as reference/websocket_mqtt.md (B4) has them.
func TestMQTTStreams(t *testing.T) {
	s, _ := mqttServer(t, vfs.NewMem(), &config.Options{})
	p := mqttConnect(t, s, mqttLogin{id: "a", keep: true}, false)
	p.subscribe("02", "x/#", 2)
	js := natsJS(t, s)
	for _, want := range []jetstream.StreamConfig{
		{Name: "$MQTT_sess", Subjects: []string{"$MQTT.sess.>"}, MaxMsgsPerSubject: 1},
		{Name: "$MQTT_msgs", Subjects: []string{"$MQTT.msgs.>"}, MaxMsgsPerSubject: -1, Retention: jetstream.InterestPolicy},
		{Name: "$MQTT_rmsgs", Subjects: []string{"$MQTT.rmsgs.>"}, MaxMsgsPerSubject: 1},
		{Name: "$MQTT_out", Subjects: []string{"$MQTT.out.>"}, MaxMsgsPerSubject: -1, Retention: jetstream.InterestPolicy},
		{Name: "$MQTT_qos2in", Subjects: []string{"$MQTT.qos2.in.>"}, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true},
	} {
		st, err := js.Stream(context.Background(), want.Name)
		if err != nil {
			t.Fatal(want.Name, err)
		}
		got := st.CachedInfo().Config
		if got.Subjects[0] != want.Subjects[0] || len(got.Subjects) != 1 || got.MaxMsgsPerSubject != want.MaxMsgsPerSubject ||
			got.Retention != want.Retention || got.Discard != want.Discard || got.DiscardNewPerSubject != want.DiscardNewPerSubject ||
			got.Storage != jetstream.FileStorage || got.Replicas != 1 {
			t.Errorf("%s: %+v", want.Name, got)
		}
	}
	hash := shortName("a")
	var rec struct {
		Origin string                     `json:"origin"`
		ID     string                     `json:"id"`
		Subs   map[string]int             `json:"subs"`
		Cons   map[string]json.RawMessage `json:"cons"`
		PubRel map[string]any             `json:"pubrel"`
	}
	st, _ := js.Stream(context.Background(), "$MQTT_sess")
	m, err := st.GetLastMsgForSubject(context.Background(), "$MQTT.sess."+hash)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(m.Data, &rec); err != nil {
		t.Fatal(err)
	}
	if rec.ID != "a" || rec.Origin != shortName("mq") || rec.Subs["x.>"] != 2 || len(rec.Cons) != 2 || rec.Cons["x fwc"] == nil ||
		rec.PubRel["durable_name"] != "$MQTT_PUBREL_"+hash || rec.PubRel["filter_subject"] != "$MQTT.out.pubrel."+hash {
		t.Errorf("record %s", m.Data)
	}
}

// natsJS connects a NATS client.
func natsJS(t testing.TB, s *Server) jetstream.JetStream {
	t.Helper()
	nc := connect(t, s)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// TestMQTTMatrix: every QoS of a publisher to every QoS of a subscriber, and NATS in both directions.
func TestMQTTMatrix(t *testing.T) {
	s, _ := mqttServer(t, vfs.NewMem(), &config.Options{})
	nc := connect(t, s)
	sub, err := nc.SubscribeSync("top.*")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	var subs [3]*mqttPeer
	for q := range subs {
		subs[q] = mqttConnect(t, s, mqttLogin{id: fmt.Sprint("s", q)}, false)
		subs[q].subscribe(fmt.Sprintf("%02x", q), "top/+", q)
	}
	p := mqttConnect(t, s, mqttLogin{id: "p"}, false)
	for q := range byte(3) {
		text := fmt.Sprint("from", q)
		p.publish("top/x", q, false, text)
		for sq := range byte(3) {
			subs[sq].receive("top/x", min(q, sq), "", text)
			subs[sq].flush()
		}
		m, err := sub.NextMsg(mqttPatience)
		if err != nil || string(m.Data) != text || m.Header.Get("Nmqtt-Pub") != fmt.Sprint(q) {
			t.Fatalf("NATS got %v %v", m, err)
		}
	}
	if err := nc.Publish("top.y", []byte("nats")); err != nil {
		t.Fatal(err)
	}
	for q := range subs {
		subs[q].receive("top/y", 0, "", "nats")
		subs[q].flush()
	}
}

// TestMQTTSession: what comes while a client is away is delivered when it is back, also by a server that was
// started again; a clean session leaves nothing.
func TestMQTTSession(t *testing.T) {
	disk := vfs.NewMem()
	s, _ := mqttServer(t, disk, &config.Options{MQTT: &config.MQTTOptions{AckWait: 3 * time.Second}})
	a := mqttConnect(t, s, mqttLogin{id: "a", keep: true}, false)
	a.subscribe("01", "x/y", 1)
	a.subscribe("02", "z", 2)
	a.send([]byte{0xE0, 0})
	a.wantClosed()
	p := mqttConnect(t, s, mqttLogin{id: "p"}, false)
	p.publish("x/y", 1, false, "one")
	p.publish("z", 2, false, "two")
	a = mqttConnect(t, s, mqttLogin{id: "a", keep: true}, true)
	got := map[string]bool{}
	for range 2 {
		text, id, err := a.read()
		if err != nil {
			t.Fatal(err)
		}
		got[text] = true
		if strings.Contains(text, "q1") {
			a.send(mqtt.AppendAck(nil, mqtt.PUBACK, id))
		} // the other one stays unacknowledged
	}
	if !got["PUBLISH x/y q1: one"] || !got["PUBLISH z q2: two"] {
		t.Fatalf("after the first time away: %v", got)
	}
	a.flush()
	p.publish("x/y", 1, false, "three")
	a.want("PUBLISH x/y q1: three")
	shutdown(t, s)

	s, _ = mqttServer(t, disk, &config.Options{})
	a = mqttConnect(t, s, mqttLogin{id: "a", keep: true}, true)
	got = map[string]bool{}
	for done := 0; done < 2; {
		text, id, err := a.read()
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasPrefix(text, "PUBREL "):
			fmt.Sscanf(text, "PUBREL %04x", &id)
			a.send(mqtt.AppendAck(nil, mqtt.PUBCOMP, id))
			done++
			continue
		case strings.Contains(text, "q1"):
			a.send(mqtt.AppendAck(nil, mqtt.PUBACK, id))
			done++
		default:
			a.send(mqtt.AppendAck(nil, mqtt.PUBREC, id))
		}
		got[text] = true
	}
	if !got["PUBLISH x/y q1 dup: three"] || !got["PUBLISH z q2 dup: two"] {
		t.Fatalf("after the restart: %v", got)
	}
	a.send([]byte{0xE0, 0})
	a.wantClosed()

	a = mqttConnect(t, s, mqttLogin{id: "a"}, false) // clean: the session is discarded
	p = mqttConnect(t, s, mqttLogin{id: "p"}, false)
	p.publish("x/y", 1, false, "four")
	a.flush()
	js := natsJS(t, s)
	st, err := js.Stream(context.Background(), "$MQTT_msgs")
	if err != nil {
		t.Fatal(err)
	}
	if i := st.CachedInfo(); i.State.Consumers != 0 || i.State.Msgs != 0 {
		t.Errorf("left in $MQTT_msgs: %d consumers, %d messages", i.State.Consumers, i.State.Msgs)
	}
}

// TestMQTTTakeover: a second connection with the identifier gets the session, the first is closed without its
// will; a third at once is held up and closed.
func TestMQTTTakeover(t *testing.T) {
	s, l := mqttServer(t, vfs.NewMem(), &config.Options{})
	w := mqttConnect(t, s, mqttLogin{id: "w"}, false)
	w.subscribe("00", "will", 0)
	a := mqttConnect(t, s, mqttLogin{id: "a", keep: true, will: &mqtt.Will{Topic: []byte("will"), Message: []byte("gone")}}, false)
	a.subscribe("01", "x", 1)
	b := mqttConnect(t, s, mqttLogin{id: "a", keep: true}, true)
	a.wantClosed()
	w.flush()
	c := mqttDial(t, s)
	c.send((&mqttLogin{id: "a", keep: true}).packet())
	c.wantClosed()
	w.publish("x", 1, false, "mine")
	b.receive("x", 1, "", "mine")
	if text := l.String(); !strings.Contains(text, `since both have the same client ID "a"`) {
		t.Error(text)
	}
}

// TestMQTTRetained: new subscriptions get what is kept, once for each, marked; an empty payload removes; nothing is
// lost by a restart.
func TestMQTTRetained(t *testing.T) {
	disk := vfs.NewMem()
	s, _ := mqttServer(t, disk, &config.Options{})
	p := mqttConnect(t, s, mqttLogin{id: "p"}, false)
	p.publish("r/a", 0, true, "a0")
	p.publish("r/a", 2, true, "a2")
	p.publish("r/b", 1, true, "b1")
	p.publish("r", 1, true, "up")
	p.publish("r/c", 1, true, "gone")
	p.publish("r/c", 1, true, "")
	check := func() {
		t.Helper()
		for q := range byte(3) {
			a := mqttConnect(t, s, mqttLogin{}, false)
			a.subscribe(fmt.Sprintf("%02x", q), "r/#", int(q))
			want := map[string]bool{fmt.Sprintf("PUBLISH r/a q%d retain: a2", q): true,
				fmt.Sprintf("PUBLISH r/b q%d retain: b1", min(q, 1)): true, fmt.Sprintf("PUBLISH r q%d retain: up", min(q, 1)): true}
			for range 3 {
				text, _, err := a.read()
				if err != nil || !want[text] {
					t.Fatalf("got %q %v, want one of %v", text, err, want)
				}
				delete(want, text)
			}
			a.flush()
			p.publish("r/b", 0, false, "live")
			a.want("PUBLISH r/b q0: live")
		}
	}
	check()
	shutdown(t, s)
	s, _ = mqttServer(t, disk, &config.Options{})
	p = mqttConnect(t, s, mqttLogin{id: "p"}, false)
	waitRetained(t, s, 3)
	check()
}

// waitRetained waits until the server has heard of n retained messages.
func waitRetained(t testing.TB, s *Server, n int) {
	t.Helper()
	for late := clock.System().Now().Add(mqttPatience); ; {
		p := mqttConnect(t, s, mqttLogin{}, false)
		p.subscribe("00", "#", 0)
		p.send([]byte{0xC0, 0})
		got := 0
		for {
			text, _, err := p.read()
			if err != nil {
				t.Fatal(err)
			}
			if text == "PINGRESP" {
				break
			}
			got++
		}
		if got == n {
			return
		}
		if clock.System().Now().After(late) {
			t.Fatalf("%d retained messages, want %d", got, n)
		}
	}
}

// TestMQTTRetainedOrder: while a retained message is replaced, a new subscriber never sees the old value after the new.
func TestMQTTRetainedOrder(t *testing.T) {
	s, _ := mqttServer(t, vfs.NewMem(), &config.Options{})
	p := mqttConnect(t, s, mqttLogin{id: "p"}, false)
	// The writer ends before the test does, whatever happens.
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			p.publish("v", byte(n%2), true, fmt.Sprintf("%06d", n))
		}
	}()
	defer func() {
		close(stop)
		await(t, done)
	}()
	for i := range 30 {
		a := mqttConnect(t, s, mqttLogin{}, false)
		a.subscribe("00", "v", 0)
		last := ""
		for range 5 {
			text, _, err := a.read()
			if err != nil {
				t.Fatal(err)
			}
			v := text[strings.LastIndex(text, " ")+1:]
			if v < last {
				t.Fatalf("round %d: %q after %q", i, v, last)
			}
			last = v
		}
		a.c.Close()
	}
}

// TestMQTTWill: published when the connection is lost, with its QoS and kept if it says so; not after DISCONNECT.
func TestMQTTWill(t *testing.T) {
	s, _ := mqttServer(t, vfs.NewMem(), &config.Options{})
	w := mqttConnect(t, s, mqttLogin{id: "w"}, false)
	w.subscribe("02", "will/+", 2)
	login := func(q byte) mqttLogin {
		return mqttLogin{id: fmt.Sprint("c", q), will: &mqtt.Will{Topic: fmt.Appendf(nil, "will/%d", q), Message: []byte("bye"), QoS: q, Retain: q == 1}}
	}
	for q := range byte(3) {
		a := mqttConnect(t, s, login(q), false)
		a.send([]byte{0xE0, 0})
		a.wantClosed()
		a = mqttConnect(t, s, login(q), false)
		a.c.Close()
		w.receive(fmt.Sprintf("will/%d", q), q, "", "bye")
		w.flush()
	}
	n := mqttConnect(t, s, mqttLogin{id: "n"}, false)
	n.subscribe("01", "will/#", 1)
	n.receive("will/1", 1, " retain", "bye")
	n.flush()
}

// TestMQTTQoS2Repeats: packets that a client sends again do not double a message, on one connection or the next.
func TestMQTTQoS2Repeats(t *testing.T) {
	s, _ := mqttServer(t, vfs.NewMem(), &config.Options{})
	w := mqttConnect(t, s, mqttLogin{id: "w"}, false)
	w.subscribe("02", "t", 2)
	p := mqttConnect(t, s, mqttLogin{id: "p", keep: true}, false)
	pub := mqttPublish("t", 2, false, 9, "once")
	p.send(pub)
	p.want("PUBREC 0009")
	pub[0] |= mqtt.FlagDup
	p.send(pub)
	p.want("PUBREC 0009")
	p.c.Close()

	p = mqttConnect(t, s, mqttLogin{id: "p", keep: true}, true)
	p.send(pub)
	p.want("PUBREC 0009")
	for range 3 {
		p.send(mqtt.AppendAck(nil, mqtt.PUBREL, 9))
		p.want("PUBCOMP 0009")
	}
	w.receive("t", 2, "", "once")
	w.flush()
	p.send(mqttPublish("t", 2, false, 9, "twice")) // the identifier is free again
	p.want("PUBREC 0009")
	p.send(mqtt.AppendAck(nil, mqtt.PUBREL, 9))
	p.want("PUBCOMP 0009")
	w.receive("t", 2, "", "twice")
	p.send(mqtt.AppendAck(nil, mqtt.PUBREL, 77)) // nothing is held
	p.want("PUBCOMP 004d")
	w.send(mqtt.AppendAck(nil, mqtt.PUBREC, 4711)) // nothing was sent
	w.want("PUBREL 1267")
	p.send(append(mqttPublish("t", 2, false, 10, "x"), mqtt.AppendAck(nil, mqtt.PUBREL, 10)...))
	p.wantClosed() // PUBREL did not wait for PUBREC
}

// TestMQTTBadPackets: what ends a connection, and with which answer.
func TestMQTTBadPackets(t *testing.T) {
	s, _ := mqttServer(t, vfs.NewMem(), &config.Options{MaxPayload: 1000, MQTT: &config.MQTTOptions{RejectQoS2: true, DowngradeQoS2: true}})
	login := (&mqttLogin{id: "x"}).packet()
	for name, tc := range map[string]struct {
		b    []byte
		want string // CONNACK
	}{
		"not CONNECT":        {[]byte{0xC0, 0}, ""},
		"HTTP":               {[]byte("GET / HTTP/1.1\r\n\r\n"), ""},
		"NATS":               {[]byte("CONNECT {}\r\n"), ""},
		"too large":          {append([]byte{0x10, 0xFF, 0xFF, 0x7F}, make([]byte, 100)...), ""},
		"length":             {[]byte{0x10, 0xFF, 0xFF, 0xFF, 0xFF}, ""},
		"MQTT 5":             {mqttPacket(0x10, mqttText("MQTT"), []byte{5, 2, 0, 0}, mqttText("x")), "CONNACK 0001"},
		"MQTT 3.1":           {mqttPacket(0x10, mqttText("MQIsdp"), []byte{3, 2, 0, 0}, mqttText("x")), ""},
		"no identifier":      {mqttPacket(0x10, mqttText("MQTT"), []byte{4, 0, 0, 0}, mqttText("")), "CONNACK 0002"},
		"identifier":         {(&mqttLogin{id: "a.b"}).packet(), "CONNACK 0002"},
		"will with QoS 2":    {(&mqttLogin{id: "x", will: &mqtt.Will{Topic: []byte("w"), QoS: 2}}).packet(), "CONNACK 0010"},
		"second CONNECT":     {append(append([]byte(nil), login...), login...), "CONNACK 0000"},
		"wildcard in topic":  {append(append([]byte(nil), login...), mqttPublish("a/+", 0, false, 0, "")...), "CONNACK 0000"},
		"blank in topic":     {append(append([]byte(nil), login...), mqttPublish("a b", 0, false, 0, "")...), "CONNACK 0000"},
		"QoS 2":              {append(append([]byte(nil), login...), mqttPublish("a", 2, false, 1, "")...), "CONNACK 0000"},
		"payload":            {append(append([]byte(nil), login...), mqttPublish("a", 0, false, 0, strings.Repeat("x", 1000))...), "CONNACK 0000"},
		"packet":             {append(append([]byte(nil), login...), 0x30, 0xFF, 0xFF, 0x7F), "CONNACK 0000"},
		"PUBREL flags":       {append(append([]byte(nil), login...), 0x60, 2, 0, 1), "CONNACK 0000"},
		"subscribe nothing":  {append(append([]byte(nil), login...), 0x82, 2, 0, 1), "CONNACK 0000"},
		"identifier is zero": {append(append([]byte(nil), login...), 0x40, 2, 0, 0), "CONNACK 0000"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.b = []byte(strings.ReplaceAll(string(tc.b), string(mqttText("x")), string(mqttText(fmt.Sprintf("%c", 'A'+len(name))))))
			p := mqttDial(t, s)
			p.send(tc.b)
			if tc.want != "" {
				p.want(tc.want)
			}
			p.wantClosed()
		})
	}
	p := mqttConnect(t, s, mqttLogin{id: "ok"}, false)
	p.subscribe("0180808001", "a", 2, "b c", 0, "$MQTT/msgs/#", 0, "d\x7f", 1, "e", 1)
	q := mqttConnect(t, s, mqttLogin{id: "ok2"}, false)
	q.publish("a", 1, false, strings.Repeat("x", 900))
	p.receive("a", 1, "", strings.Repeat("x", 900))
}

// TestMQTTKeepAlive: a silent client is closed after half as much again as it announced.
func TestMQTTKeepAlive(t *testing.T) {
	s, _ := mqttServer(t, vfs.NewMem(), &config.Options{})
	began := clock.System().Now()
	p := mqttConnect(t, s, mqttLogin{id: "k", keepAlive: 1}, false)
	p.wantClosed()
	if d := clock.System().Now().Sub(began); d < 1400*time.Millisecond {
		t.Errorf("closed after %v", d)
	}
}

// TestMQTTUsers: who is let in, where, and what it may do.
func TestMQTTUsers(t *testing.T) {
	perms := &config.Permissions{
		Publish:   &config.SubjectPerm{Allow: []string{"ok.>"}},
		Subscribe: &config.SubjectPerm{Allow: []string{"ok", "ok.>"}, Deny: []string{"ok.secret"}},
	}
	s, _ := mqttServer(t, vfs.NewMem(), &config.Options{Auth: config.AuthBlock{Users: []*config.User{
		{Name: "all", Pass: "p"}, {Name: "some", Pass: "p", Perms: perms, ConnTypes: []string{"MQTT"}}, {Name: "nats", Pass: "p", ConnTypes: []string{"STANDARD"}},
	}}})
	for _, l := range []mqttLogin{{id: "x"}, {id: "x", user: "all", pass: "bad"}, {id: "x", user: "nobody", pass: "p"}, {id: "x", user: "nats", pass: "p"}} {
		p := mqttDial(t, s)
		p.send(l.packet())
		p.want("CONNACK 0005")
		p.wantClosed()
	}
	a := mqttConnect(t, s, mqttLogin{id: "a", user: "all", pass: "p"}, false)
	b := mqttConnect(t, s, mqttLogin{id: "b", user: "some", pass: "p"}, false)
	b.subscribe("0201808000", "ok/#", 2, "ok/x", 1, "ok/secret", 0, "#", 1, "ok/+", 0)
	a.publish("ok/secret", 2, false, "hidden")
	a.publish("ok/secret", 0, false, "hidden")
	a.publish("ok/y", 2, false, "seen")
	b.receive("ok/y", 0, "", "seen")
	b.receive("ok/y", 2, "", "seen")
	a.subscribe("01", "#", 1)
	c := mqttConnect(t, s, mqttLogin{id: "c", user: "some", pass: "p"}, false)
	c.publish("no", 1, true, "dropped") // acknowledged all the same
	c.publish("no", 2, true, "dropped")
	c.publish("ok/z", 1, false, "kept")
	a.receive("ok/z", 1, "", "kept")
	a.flush()
}

// TestMQTTMonitoring: /varz, /connz and the event of a connection.
func TestMQTTMonitoring(t *testing.T) {
	s, _ := mqttServer(t, vfs.NewMem(), &config.Options{HTTPHost: "127.0.0.1", HTTPPort: -1})
	mqttConnect(t, s, mqttLogin{id: "dev"}, false)
	var v sysapi.Varz
	monitorPage(t, s, "/varz", &v)
	_, port, _ := net.SplitHostPort(s.addrs.Load().mqtt.String())
	if fmt.Sprint(v.MQTT.Port) != port || v.MQTT.Host != "127.0.0.1" || v.MQTT.AckWait != 30*time.Second || v.MQTT.MaxAckPending != 1024 {
		t.Errorf("%+v", v.MQTT)
	}
	var c sysapi.Connz
	monitorPage(t, s, "/connz?mqtt_client=dev", &c)
	if len(c.Conns) != 1 || c.Conns[0].Type != "mqtt" || c.Conns[0].MQTTClient != "dev" {
		t.Errorf("%+v", c.Conns)
	}
	monitorPage(t, s, "/connz?mqtt_client=other", &c)
	if len(c.Conns) != 0 {
		t.Errorf("%+v", c.Conns)
	}
}

func monitorPage(t testing.TB, s *Server, path string, v any) {
	t.Helper()
	r, err := http.Get("http://" + s.addrs.Load().http + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(v); err != nil {
		t.Fatal(err)
	}
}

// TestMQTTReload: a user that may not publish any more loses what is kept of it; one that is gone is closed.
func TestMQTTReload(t *testing.T) {
	user := func(name string, subjects ...string) *config.User {
		u := &config.User{Name: name, Pass: "p"}
		if len(subjects) > 0 {
			u.Perms = &config.Permissions{Publish: &config.SubjectPerm{Allow: subjects}}
		}
		return u
	}
	s, _ := mqttServer(t, vfs.NewMem(), &config.Options{Auth: config.AuthBlock{Users: []*config.User{user("a"), user("b"), user("c")}}})
	a := mqttConnect(t, s, mqttLogin{id: "a", user: "a", pass: "p"}, false)
	b := mqttConnect(t, s, mqttLogin{id: "b", user: "b", pass: "p"}, false)
	a.publish("r/x", 1, true, "x")
	a.publish("r/y", 1, true, "y")
	o := *s.Options()
	o.Auth.Users = []*config.User{user("a", "r.y"), user("c")}
	q := *o.MQTT
	q.MaxAckPending = 1
	o.MQTT = &q
	if err := s.Reload(&o); err != nil {
		t.Fatal(err)
	}
	b.want("CONNACK 0005")
	b.wantClosed()
	for late := clock.System().Now().Add(mqttPatience); ; {
		c := mqttConnect(t, s, mqttLogin{user: "c", pass: "p"}, false)
		c.subscribe("01", "r/+", 1)
		c.send([]byte{0xC0, 0})
		got := ""
		for text := ""; text != "PINGRESP"; {
			var err error
			if text, _, err = c.read(); err != nil {
				t.Fatal(err)
			}
			got += text + ";"
		}
		if got == "PUBLISH r/y q1 retain: y;PINGRESP;" {
			break
		}
		if clock.System().Now().After(late) {
			t.Fatal(got)
		}
	}
}

// TestMQTTNeedsJetStream: the configuration is refused without it.
func TestMQTTNeedsJetStream(t *testing.T) {
	_, err := New(&config.Options{Host: "127.0.0.1", Port: -1, MQTT: &config.MQTTOptions{Host: "127.0.0.1", Port: -1}}, Env{Logger: &memLog{}})
	if err == nil || !strings.Contains(err.Error(), "mqtt requires JetStream to be enabled if running in standalone mode") {
		t.Error(err)
	}
}

// TestMQTTLameDuck: clients are sent away, and new ones are not let in.
func TestMQTTLameDuck(t *testing.T) {
	s, _ := mqttServer(t, vfs.NewMem(), &config.Options{LameDuckDuration: time.Second, LameDuckGrace: time.Millisecond})
	p := mqttConnect(t, s, mqttLogin{id: "a"}, false)
	s.LameDuck()
	p.wantClosed()
	s.Wait()
	if n := s.registry.Count(engine.Client); n != 0 {
		t.Errorf("%d clients left", n)
	}
}

// TestMQTTNoAllocations: publishing and delivering with QoS 0 allocates nothing per message.
func TestMQTTNoAllocations(t *testing.T) {
	s, _ := mqttServer(t, vfs.NewMem(), &config.Options{})
	sub := mqttConnect(t, s, mqttLogin{id: "s"}, false)
	sub.subscribe("00", "some/topic", 0)
	p := mqttConnect(t, s, mqttLogin{id: "p"}, false)
	const batch, rounds = 500, 40
	one := mqttPublish("some/topic", 0, false, 0, "payload of some bytes")
	many := bytes.Repeat(one, batch)
	back := make([]byte, len(many))
	round := func() {
		p.send(many)
		if _, err := io.ReadFull(sub.r, back); err != nil {
			t.Fatal(err)
		}
	}
	round()
	if !bytes.Equal(back, many) {
		t.Fatalf("got %q", back[:len(one)])
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		round()
	}
	runtime.ReadMemStats(&after)
	if n := float64(after.Mallocs-before.Mallocs) / (batch * rounds); n > 0.1 {
		t.Errorf("%.2f allocations per message", n)
	}
}
