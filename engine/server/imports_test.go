package server

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"ramjet/proto/sysapi"
)

const tradeConf = `
host: 127.0.0.1, port: -1
server_name: market
accounts {
  SHOP {
    users: [ {user: shop, password: p} ]
    exports: [
      {service: "order.*", latency: {subject: "metrics.order", sampling: 100%}}
      {service: "list", response: stream}
      {stream: "news.>"}
    ]
  }
  HOME {
    users: [ {user: home, password: p} ]
    imports: [
      {service: {account: SHOP, subject: "order.*"}, to: "buy.*", share: true}
      {service: {account: SHOP, subject: "list"}}
      {stream: {account: SHOP, subject: "news.>"}, prefix: "shop"}
    ]
  }
  $SYS { users: [ {user: s, password: p} ] }
}
`

func nextMsg(t *testing.T, s *nats.Subscription) *nats.Msg {
	t.Helper()
	m, err := s.NextMsg(5 * time.Second)
	if err != nil {
		t.Fatalf("%s: %v", s.Subject, err)
	}
	return m
}

// TestTrade is a day of two accounts: orders, a list in several messages, news, and what is measured.
func TestTrade(t *testing.T) {
	s, file := confServer(t, tradeConf)
	shop, home := dial(t, s, "shop"), dial(t, s, "home", nats.Name("buyer"))
	metrics := subscribe(t, shop, "metrics.>")
	if _, err := home.Request("buy.pen", nil, 5*time.Second); err != nats.ErrNoResponders {
		t.Errorf("nobody sells: %v", err)
	}
	var lat sysapi.ServiceLatency
	if err := json.Unmarshal(nextMsg(t, metrics).Data, &lat); err != nil || lat.Status != 503 || lat.Responder != nil {
		t.Errorf("measured %+v, %v", lat, err)
	}
	_, err := shop.Subscribe("order.*", func(m *nats.Msg) { _ = m.Respond([]byte(m.Subject + " " + m.Header.Get("Nats-Request-Info"))) })
	if err != nil {
		t.Fatal(err)
	}
	_, err = shop.Subscribe("list", func(m *nats.Msg) {
		for _, x := range []string{"pen", "ink", ""} {
			_ = m.Respond([]byte(x))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := shop.Flush(); err != nil {
		t.Fatal(err)
	}
	got := ask(t, home, "buy.pen", "1")
	subj, header, _ := strings.Cut(got, " ")
	var who sysapi.ClientInfo
	if err := json.Unmarshal([]byte(header), &who); err != nil || subj != "order.pen" || who.Account != "HOME" || who.Name != "buyer" || who.Server != "market" {
		t.Errorf("the shop saw %s", got)
	}
	lat = sysapi.ServiceLatency{}
	if err := json.Unmarshal(nextMsg(t, metrics).Data, &lat); err != nil || lat.Type != sysapi.LatencyType || lat.Status != 200 ||
		lat.Requestor == nil || lat.Requestor.Name != "buyer" || lat.Responder == nil || lat.Responder.Account != "SHOP" || lat.Total <= 0 {
		t.Errorf("measured %+v, %v", lat, err)
	}

	inbox := subscribe(t, home, "inbox")
	if err := home.PublishRequest("list", "inbox", nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"pen", "ink", ""} {
		if m := nextMsg(t, inbox); string(m.Data) != want {
			t.Errorf("%q, want %q", m.Data, want)
		}
	}

	news := subscribe(t, home, "shop.news.*")
	if err := shop.Publish("news.sale", []byte("ink")); err != nil {
		t.Fatal(err)
	}
	if m := nextMsg(t, news); m.Subject != "shop.news.sale" {
		t.Errorf("%s", m.Subject)
	}

	const implicit = 4 // services that every account imports of the system account
	info, err := s.pages.AccountInfo("HOME")
	if err != nil || len(info.Imports) != 3+implicit || info.Imports[1].Subject != "order.*" || info.Imports[1].LocalSubject != "buy.*" || !info.Imports[1].Share || info.Imports[1].Latency == nil {
		t.Errorf("%v, %+v", err, info)
	}
	if info, err = s.pages.AccountInfo("SHOP"); err != nil || len(info.Exports) != 3 || info.Exports[0].Type != "stream" || info.Exports[2].ResponseType != "Streamed" {
		t.Errorf("%v, %+v", err, info)
	}

	// A reload takes the stream away and moves a service; the connections stay.
	changed := strings.Replace(tradeConf, `{stream: {account: SHOP, subject: "news.>"}, prefix: "shop"}`, "", 1)
	changed = strings.Replace(changed, `"buy.*"`, `"purchase.*"`, 1)
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.ReloadFile(); err != nil {
		t.Fatal(err)
	}
	if _, err := home.Request("buy.pen", nil, 5*time.Second); err != nats.ErrNoResponders {
		t.Errorf("the old name: %v", err)
	}
	if got := ask(t, home, "purchase.ink", "1"); !strings.HasPrefix(got, "order.ink ") {
		t.Errorf("%s", got)
	}
	if err := shop.Publish("news.sale", nil); err != nil {
		t.Fatal(err)
	}
	if err := shop.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := home.Flush(); err != nil {
		t.Fatal(err)
	}
	if n, _, _ := news.Pending(); n != 0 {
		t.Error("news without an import")
	}

	// A mistake refuses the reload, with its place.
	if err := os.WriteFile(file, []byte(strings.Replace(tradeConf, `subject: "list"`, `subject: "lost"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.ReloadFile(); err == nil || !strings.Contains(err.Error(), `r.conf:17:7: Error adding service import "lost": service import not authorized`) {
		t.Errorf("%v", err)
	}
	if got := ask(t, home, "purchase.ink", "1"); !strings.HasPrefix(got, "order.ink ") {
		t.Errorf("after a refused reload: %s", got)
	}
}

// TestImportFromSystem lets an account ask the system account what operators can ask.
func TestImportFromSystem(t *testing.T) {
	s, _ := confServer(t, `
host: 127.0.0.1, port: -1
accounts {
  A { users: [ {user: a, password: p} ], imports: [ {service: {account: "$SYS", subject: "$SYS.REQ.SERVER.PING.VARZ"}, to: "varz"} ] }
  $SYS { users: [ {user: s, password: p} ], exports: [ {service: "$SYS.REQ.SERVER.PING.VARZ", response: stream} ] }
}`)
	if v := ask(t, dial(t, s, "a"), "varz", ""); !strings.Contains(v, `"server_id":"`+s.ID()) {
		t.Error(v)
	}
}

// TestJetStreamFromAnotherAccount uses streams of an account from one that imports its API: publishing,
// pull and push consumers, acknowledgements.
func TestJetStreamFromAnotherAccount(t *testing.T) {
	s, _ := confServer(t, fmt.Sprintf(`
host: 127.0.0.1, port: -1
jetstream: { store_dir: %q }
accounts {
  JS {
    jetstream: enabled
    users: [ {user: js, password: p} ]
    exports: [
      {service: "$JS.API.>", response: stream}
      {service: "$JS.ACK.>"}
      {service: "orders"}
      {stream: "deliver.>"}
    ]
  }
  HOME {
    users: [ {user: home, password: p} ]
    imports: [
      {service: {account: JS, subject: "$JS.API.>"}}
      {service: {account: JS, subject: "$JS.ACK.>"}}
      {service: {account: JS, subject: "orders"}}
      {stream: {account: JS, subject: "deliver.>"}}
    ]
  }
  PART {
    users: [ {user: part, password: p} ]
    imports: [ {service: {account: JS, subject: "$JS.API.INFO"}} ]
  }
}`, t.TempDir()))
	part := dial(t, s, "part")
	if m, err := part.Request("$JS.API.INFO", nil, 10*time.Second); err != nil || !strings.Contains(string(m.Data), `"limits"`) {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := part.Request("$JS.API.STREAM.NAMES", nil, 10*time.Second); err != nats.ErrNoResponders {
		t.Errorf("what is not imported: %+v, %v", m, err)
	}
	home := dial(t, s, "home")
	js, err := home.JetStream(nats.MaxWait(10 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.AddStream(&nats.StreamConfig{Name: "S", Subjects: []string{"orders"}, Storage: nats.MemoryStorage}); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if a, err := js.Publish("orders", []byte{byte(i)}); err != nil || a.Sequence != uint64(i+1) {
			t.Fatal(a, err)
		}
	}
	pull, err := js.PullSubscribe("orders", "pull")
	if err != nil {
		t.Fatal(err)
	}
	msgs, err := pull.Fetch(3, nats.MaxWait(10*time.Second))
	if err != nil || len(msgs) != 3 {
		t.Fatal(len(msgs), err)
	}
	for i, m := range msgs {
		if m.Subject != "orders" || m.Data[0] != byte(i) {
			t.Errorf("%s %v", m.Subject, m.Data)
		}
		if err := m.AckSync(); err != nil {
			t.Error(err)
		}
	}
	if info, err := pull.ConsumerInfo(); err != nil || info.NumAckPending != 0 || info.AckFloor.Stream != 3 {
		t.Errorf("%+v %v", info, err)
	}
	waiting := func(want int) {
		t.Helper()
		if info, err := pull.ConsumerInfo(); err != nil || info.NumWaiting != want {
			t.Errorf("%+v %v", info, err)
		}
	}
	inbox := subscribe(t, home, "waits.here")
	if err := home.PublishRequest("$JS.API.CONSUMER.MSG.NEXT.S.pull", "waits.here", nil); err != nil {
		t.Fatal(err)
	}
	waiting(1)
	if err := inbox.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	waiting(0) // a request nobody waits for is forgotten, although the requestor is in another account
	push, err := js.SubscribeSync("orders", nats.DeliverSubject("deliver.home"), nats.AckExplicit())
	if err != nil {
		t.Fatal(err)
	}
	if m := nextMsg(t, push); m.Subject != "orders" || m.AckSync() != nil {
		t.Errorf("%+v", m)
	}
}
