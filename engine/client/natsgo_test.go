package client

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestNatsGo is a session of the Go client: publish, subscribe, request, queue groups, headers, drain.
func TestNatsGo(t *testing.T) {
	w := newWorld(t, sampleUsers)
	open := func() *nats.Conn {
		nc, err := nats.Connect("nats://"+w.ln.Addr().String(), nats.UserInfo("all", "p"), nats.Name("t"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	a, b := open(), open()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := b.QueueSubscribe("svc.>", "q", func(m *nats.Msg) {
		r := nats.NewMsg(m.Reply)
		r.Header.Set("Subject", m.Subject)
		r.Data = m.Data
		if err := m.RespondMsg(r); err != nil {
			t.Error(err)
		}
	})
	must(err)
	must(b.Flush())
	for _, n := range []int{0, 1, 100, 10_000, 1<<20 - 100} {
		data := bytes.Repeat([]byte("z"), n)
		m, err := a.Request("svc.echo", data, patience)
		must(err)
		if !bytes.Equal(m.Data, data) || m.Header.Get("Subject") != "svc.echo" {
			t.Errorf("%d bytes: %v", n, m.Header)
		}
	}
	if _, err := a.Request("nobody", nil, patience); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("%v", err)
	}
	sub, err := b.SubscribeSync("count")
	must(err)
	must(sub.AutoUnsubscribe(1000))
	must(b.Flush())
	for range 1500 {
		must(a.Publish("count", []byte("x")))
	}
	must(a.Flush())
	for range 1000 {
		_, err := sub.NextMsg(patience)
		must(err)
	}
	if _, err := sub.NextMsg(10 * time.Millisecond); !errors.Is(err, nats.ErrMaxMessages) {
		t.Errorf("%v", err)
	}
	if rtt, err := a.RTT(); err != nil || rtt <= 0 {
		t.Errorf("%v %v", rtt, err)
	}
	must(b.Drain())
	w.log.wait(t, "Client connection closed: Client Closed")
	if _, err := nats.Connect("nats://"+w.ln.Addr().String(), nats.UserInfo("all", "bad")); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("%v", err)
	}
}
